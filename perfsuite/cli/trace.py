"""``perfsuite trace``: one step of a workload for Perfetto or Chrome."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import click

from perfsuite.cli.choose import only_one, problems_of
from perfsuite.cli.face import directory_option, main, write
from perfsuite.errors import PerfsuiteError


@main.command()
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

    path = resolve_run(run, directory)
    loaded = load_run(path)
    profile = only_one(loaded, workload)
    timeline = load_timeline(path, profile.name)
    text = trace_text(timeline, profile, loaded.environment)
    if output == "-":
        write(text)
        return problems_of(loaded)
    _save(Path(output), text)
    write(f"{output}: {len(timeline.spans)} slices of step {timeline.step + 1} of {timeline.steps}\n")
    return problems_of(loaded)


def _save(path: Path, text: str) -> None:
    from perfsuite.store.files import reason, write_atomically

    data = text.encode("ascii")
    if path.name.endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a device or a pipe, which must not be replaced by a file
        else:
            # A link stays one: what it points to is replaced.
            write_atomically(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise PerfsuiteError(f"cannot write {path}: {reason(error)}") from error
