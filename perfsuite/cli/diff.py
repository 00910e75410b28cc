"""``perfsuite diff``: two runs, and what made the difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perfsuite.cli.choose import chosen, load, problems_of
from perfsuite.cli.face import directory_option, main, screen, write
from perfsuite.errors import NotComparableError, PerfsuiteError

if TYPE_CHECKING:
    from perfsuite.records import Run


@main.command(short_help="Compare two runs: what got slower, where and why.")
@click.argument("base")
@click.argument("head", default="latest")
@click.option("--workload", metavar="NAME", help="Only this workload.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Rows in a table.")
@click.option("--force", is_flag=True, help="Compare even what is not comparable; the output says so.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON, whatever --top says.")
@directory_option
def diff(base: str, head: str, workload: str | None, top: int, force: bool, as_json: bool, directory: Path) -> int:
    """Compare two runs: which operator, in which module, with which primitive, made the step slower or faster.

    BASE and HEAD are paths, ids, beginnings of one, `latest` (the default of HEAD) or `latest~N`, the run N before it.

    Exits with 0 if the runs were compared and with 2 if they are not comparable or a part
    of one cannot be read; what can is compared.
    """
    from perfsuite.analyse.diff import diff_runs

    before, after = load(base, directory), load(head, directory)
    compared = diff_runs(before, after, _common(before, after, workload))
    if compared.reasons and not force:
        raise NotComparableError(compared.reasons)
    if as_json:
        from perfsuite.present.diff_as_json import diff_json

        # Not indented: that would be Python's slow encoder, for megabytes that nobody reads.
        write(json.dumps(diff_json(compared), allow_nan=False) + "\n")
    else:
        from perfsuite.present.diff import render_diff

        write(render_diff(compared, top=top, **screen()))
    return problems_of(before, after)


def _common(before: Run, after: Run, workload: str | None) -> str | None:
    """The name that ``workload`` means, if it is given.

    Raises:
        PerfsuiteError: a run has no workload that can be read, or not that one.
    """
    for run in (before, after):
        if not run.workloads:
            # Its files may be damaged, which is the better answer than that nothing is in common.
            raise PerfsuiteError("; ".join(run.problems) or f"{run.id}: no workload was recorded in it")
    if workload is None:
        return None
    (profile,) = chosen(before, workload)
    chosen(after, profile.name)
    return profile.name
