"""Which runs and workloads a command is about, and what could not be read of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.face import fail
from perfsuite.errors import PerfsuiteError, UsageError

if TYPE_CHECKING:
    from perfsuite.records import Profile, Run


def load(spec: str, directory: Path) -> Run:
    """The run that ``spec`` names.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    from perfsuite.store import load_run, resolve_run

    return load_run(resolve_run(spec, directory))


def load_base(spec: str, head: Run, directory: Path) -> Run:
    """The run that ``spec`` names, to compare ``head`` with.

    Raises:
        UsageError: it is the same run.
        StoreError: there is none, or it cannot be read.
    """
    base = load(spec, directory)
    if base.id == head.id:
        raise UsageError(f"base and head are the same run, {head.id}: name another one to compare it with")
    return base


def nothing_in(run: Run) -> str:
    """Why there is no workload in ``run``: none was recorded, or none can be read."""
    return "no workload of it could be read" if run.problems else "no workload was recorded in it"


def chosen(run: Run, name: str | None) -> list[Profile]:
    """The workloads of that name, or of which only one has it as a part; all of them if none is named.

    Raises:
        UsageError: none or several match.
    """
    if name is None:
        return list(run.workloads)
    matches = [profile for profile in run.workloads if name in profile.name]
    exact = [profile for profile in matches if profile.name == name]
    if exact or len(matches) == 1:
        return exact or matches
    names = ", ".join(profile.name for profile in (matches or run.workloads)) or "none"
    if matches:
        raise UsageError(f"--workload {name!r} names several workloads of run {run.id}: {names}")
    raise UsageError(f"--workload {name!r} is not in run {run.id}, which has: {names}{_unread(run)}")


def only_one(run: Run, name: str | None) -> Profile:
    """The workload of that name, or the only one.

    Raises:
        UsageError: none or several match, or none is named and there are others, or may have been.
    """
    found = chosen(run, name)
    if len(found) == 1 and (name is not None or not run.problems):
        return found[0]
    if not found:
        raise UsageError(f"run {run.id} has no workload that can be read{_unread(run)}")
    names = ", ".join(profile.name for profile in found)
    raise UsageError(f"run {run.id} has more than one workload, choose one with --workload: {names}{_unread(run)}")


def problems_of(*runs: Run | None) -> int:
    """Say on stderr what of the runs could not be read; the exit code."""
    problems = [problem for run in runs if run is not None for problem in run.problems]
    for problem in problems:
        fail(problem, PerfsuiteError.exit_code)
    return PerfsuiteError.exit_code if problems else 0


def _unread(run: Run) -> str:
    return f"; not readable: {'; '.join(run.problems)}" if run.problems else ""
