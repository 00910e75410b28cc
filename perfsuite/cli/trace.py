"""``perfsuite trace``: one step of a workload for Perfetto or Chrome."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perfsuite.cli.face import directory_option, main, write
from perfsuite.errors import PerfsuiteError, UsageError

if TYPE_CHECKING:
    from perfsuite.records import Profile, Run


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
    profile = _chosen(loaded, workload)
    timeline = load_timeline(path, profile.name)
    text = trace_text(timeline, profile, loaded.environment)
    if output == "-":
        write(text)
        return 0
    _save(Path(output), text)
    write(f"{output}: {len(timeline.spans)} slices of step {timeline.step + 1} of {timeline.steps}\n")
    return 0


def _chosen(run: Run, name: str | None) -> Profile:
    profiles = run.workloads
    if name is None and len(profiles) == 1:
        return profiles[0]
    matches = [profile for profile in profiles if name is not None and name in profile.name]
    exact = [profile for profile in matches if profile.name == name]
    if exact or len(matches) == 1:
        return (exact or matches)[0]
    if not profiles:
        raise PerfsuiteError(run.problems[0] if run.problems else f"run {run.id} has no workload")
    names = ", ".join(profile.name for profile in (matches or profiles))
    if name is None:
        raise UsageError(f"run {run.id} has {len(profiles)} workloads, choose one with --workload: {names}")
    what = "names several" if matches else "names none"
    raise UsageError(f"--workload {name!r} {what} of the workloads of run {run.id}: {names}")


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
