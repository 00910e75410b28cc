"""``perfsuite show``, ``list`` and ``prune``: what runs there are and what is in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perfsuite.cli.choose import load, nothing_in, problems_of
from perfsuite.cli.face import directory_option, main, screen, tell, write

if TYPE_CHECKING:
    from perfsuite.records import Run


@main.command(short_help="Show a run as tables.")
@click.argument("run", default="latest")
@click.option(
    "--by",
    type=click.Choice(["operator", "primitive", "module", "phase"]),
    help="One table of each workload, grouped so.",
)
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Rows in a table.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON, whatever --by and --top say.")
@directory_option
def show(run: str, by: str | None, top: int, as_json: bool, directory: Path) -> int:
    """Show a run: a path, an id, the beginning of one, or `latest` (the default).

    Exits with 2 if a part of the run cannot be read; what can is shown.
    """
    loaded = load(run, directory)
    if as_json:
        from perfsuite.present.as_json import show_json

        write(json.dumps(show_json(loaded), indent=1, allow_nan=False) + "\n")
    else:
        write(_as_text(loaded, by, top))
    return problems_of(loaded)


def _as_text(run: Run, by: str | None, top: int) -> str:
    from perfsuite.present import terminal

    shown = screen()
    parts = [terminal.render_header(run, **shown)]
    for profile in run.workloads:
        if by is None:
            parts.append(terminal.render_profile(profile, top=top, **shown))
        else:
            parts.append(terminal.render_grouped(profile, by, top=top, **shown))
    if not run.workloads:
        parts.append(f"{nothing_in(run)}\n")
    return "\n".join(parts)


@main.command(name="list")
@directory_option
def list_command(directory: Path) -> int:
    """List the runs, newest first."""
    from perfsuite.store import list_runs

    runs = list_runs(directory)
    if not runs:
        tell(f"no runs in {directory}: record one with: pytest --profile-dnn")
        return 0
    from perfsuite.present.terminal import render_runs

    write(render_runs(runs, **screen()))
    return 0


@main.command()
@click.option("--keep", type=click.IntRange(min=0), required=True, help="How many of the newest runs to keep.")
@directory_option
def prune(keep: int, directory: Path) -> int:
    """Remove old runs; one that is still being written stays."""
    from perfsuite.store import prune_runs

    removed = prune_runs(directory, keep)
    write("".join(f"removed {run_id}\n" for run_id in removed) or "nothing to remove\n")
    return 0
