"""``perfsuite advise``: what could be mended in a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perfsuite.cli.choose import chosen, load, nothing_in, problems_of
from perfsuite.cli.face import directory_option, main, screen, write
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.records import Profile, Run


@main.command(short_help="Say what could be mended in a run, most at stake first.")
@click.argument("run", default="latest")
@click.option("--against", metavar="RUN", help="A reference run: what it has more or less of is a finding.")
@click.option("--workload", metavar="NAME", help="Only this workload.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
@directory_option
def advise(run: str, against: str | None, workload: str | None, as_json: bool, directory: Path) -> int:
    """Say what could be mended in a RUN: a path, an id, the beginning of one, or `latest` (the default).

    Each finding comes with its evidence, the time that would vanish at most, and what to do.  Exits with 0, whatever
    is found; with 2 if a run or a part of one cannot be read.
    """
    from perfsuite.analyse.advice import Subject
    from perfsuite.analyse.advice import advise as ask

    loaded = load(run, directory)
    reference = load(against, directory) if against is not None else None
    profiles = chosen(loaded, workload)
    others = {profile.name: profile for profile in reference.workloads} if reference is not None else {}
    if reference is not None:
        _check_common(loaded, reference, profiles)
    environment = reference.environment if reference is not None else None
    advice = [ask(Subject(one, loaded.environment, others.get(one.name), environment)) for one in profiles]
    if as_json:
        from perfsuite.present.advice import advice_json

        found = advice_json(loaded.id, reference.id if reference is not None else None, advice)
        write(json.dumps(found, indent=1, allow_nan=False) + "\n")
    else:
        from perfsuite.present.advice import render_advice

        shown = screen()
        write("\n".join(render_advice(one, **shown) for one in advice) or f"{nothing_in(loaded)}\n")
    return problems_of(loaded, reference)


def _check_common(run: Run, reference: Run, profiles: list[Profile]) -> None:
    """Raise a UsageError if the reference has none of these workloads."""
    from perfsuite.analyse.advice import common_workloads

    if profiles and not common_workloads(tuple(profiles), reference.workloads):
        here = ", ".join(profile.name for profile in profiles)
        there = ", ".join(profile.name for profile in reference.workloads) or "none"
        raise UsageError(
            f"--against: runs {run.id} and {reference.id} have no workload in common ({here} here, {there} there); "
            "record both with the same tests"
        )
