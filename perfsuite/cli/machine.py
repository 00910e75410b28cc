"""``perfsuite machine`` and ``roofline``: what this machine can do at most, and how near a run came to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perfsuite.cli.choose import chosen, load, nothing_in, problems_of
from perfsuite.cli.face import directory_option, main, screen, tell, write
from perfsuite.errors import StoreError, UsageError

if TYPE_CHECKING:
    from perfsuite.ceilings import Ceilings


@main.command(short_help="Measure what this machine can do at most.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch; by default as many as torch takes.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--remeasure", is_flag=True, help="Measure again although there are ceilings of this machine.")
@directory_option
def machine(threads: int | None, as_json: bool, remeasure: bool, directory: Path) -> int:
    """Measure what this machine can do at most: FLOP/s of each data type, bandwidth of each level.

    The ceilings are stored with the environment they were measured in, and read back the next time.
    """
    ceilings, unsaved = _ceilings_of_this_machine(threads, remeasure, directory)
    if as_json:
        from perfsuite.present.roofline import ceilings_json

        write(json.dumps(ceilings_json(ceilings), indent=1, allow_nan=False) + "\n")
    else:
        from perfsuite.present.roofline import render_ceilings

        write(render_ceilings(ceilings, **screen()))
    if unsaved is not None:
        raise unsaved
    return 0


def _ceilings_of_this_machine(
    threads: int | None, remeasure: bool, directory: Path
) -> tuple[Ceilings, StoreError | None]:
    """Stored ones of the same environment, or new ones, and why those could not be stored.

    The only place on the command line that loads torch.
    """
    try:
        from perfsuite.capture.ceilings import measure_ceilings, torch_threads
        from perfsuite.capture.torch_facts import torch_facts

        facts = torch_facts()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"machine: {error.name} is not installed here, and its operators are what is measured"
        ) from None
    from perfsuite.environment import gather_environment
    from perfsuite.store.ceilings import load_ceilings, save_ceilings

    with torch_threads(threads) as count:
        found = None if remeasure else load_ceilings(directory, gather_environment(facts), count)
    if found is None:
        found = measure_ceilings(threads, lambda what: tell(f"measuring {what} …"))
        try:
            tell(f"ceilings: {save_ceilings(directory, found)}")
        except StoreError as error:
            return found, error  # what took seconds to measure is shown all the same
    return found, None


@main.command(short_help="How fast operators ran, and what the machine allows.")
@click.argument("run", default="latest")
@click.option("--workload", help="Only the workload of this name.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Rows in a table.")
@click.option("--primitives", is_flag=True, help="oneDNN's primitives instead of operators.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON, whatever --top and --primitives say.")
@directory_option
def roofline(run: str, workload: str | None, top: int, primitives: bool, as_json: bool, directory: Path) -> int:
    """How fast operators and primitives ran, and what the machine would allow.

    RUN is a path, an id, the beginning of one, or `latest`. The machine's ceilings come from `perfsuite machine`
    in the same --dir; without them the table says what was done and how fast. Exits with 2 if a part of the run
    cannot be read; what can is shown.
    """
    from perfsuite.analyse.roofline import roofline as roofline_of
    from perfsuite.present import roofline as present
    from perfsuite.store.ceilings import ceilings_of

    loaded = load(run, directory)
    profiles = chosen(loaded, workload)
    ceilings, why = ceilings_of(loaded, directory)
    if as_json:
        value = {
            "format": 1,
            "run": loaded.id,
            "ceilings": None if ceilings is None else present.ceilings_json(ceilings),
            "workloads": [present.roofline_json(profile, roofline_of(profile, ceilings)) for profile in profiles],
        }
        write(json.dumps(value, indent=1, allow_nan=False) + "\n")
    else:
        shown = screen()
        parts = [
            present.render_roofline(profile, roofline_of(profile, ceilings), primitives=primitives, top=top, **shown)
            for profile in profiles
        ]
        write("\n".join(parts) or f"{nothing_in(loaded)}\n")
        for warning in () if ceilings is None else ceilings.warnings:
            tell(f"warning: the ceilings: {warning}")
    if why:
        tell(f"no ceilings: {why}")
    return problems_of(loaded)
