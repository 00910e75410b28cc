"""``perfsuite trace``: one step of a workload for Perfetto or Chrome."""

from __future__ import annotations

import gzip
from pathlib import Path

import click

from perfsuite.cli.choose import only_one, problems_of
from perfsuite.cli.face import directory_option, main, target, write


@main.command(short_help="Write one step as a trace for Perfetto.")
@click.argument("run", default="latest")
@click.option(
    "--workload", metavar="NAME", help="Which one, if the run has several: its name, or a part that only one has."
)
@click.option(
    "-o", "--output", metavar="FILE", required=True, help="Where to; compressed if it ends in .gz, - for stdout."
)
@directory_option
def trace(run: str, workload: str | None, output: str, directory: Path) -> int:
    """Write one step as a trace: operators, primitives within them, phases, modules.

    RUN is a path, an id, the beginning of one, or `latest` (the default).  Open the file in https://ui.perfetto.dev or
    chrome://tracing.  A file that is there is replaced.
    """
    from perfsuite.present.trace import trace_text
    from perfsuite.store import load_run, load_timeline, resolve_run

    file = target(output) if output != "-" else None
    path = resolve_run(run, directory)
    loaded = load_run(path)
    profile = only_one(loaded, workload)
    timeline = load_timeline(path, profile.name)
    text = trace_text(timeline, profile, loaded.environment)
    if file is None:
        write(text)
        return problems_of(loaded)
    _save(file, text)
    write(f"{output}: {len(timeline.spans)} slices of step {timeline.step + 1} of {timeline.steps}\n")
    return problems_of(loaded)


def _save(path: Path, text: str) -> None:
    from perfsuite.store.files import write_bytes

    data = text.encode("ascii")
    write_bytes(path, gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)
