"""Runs that pytest has recorded, brought into the history: as if asv had measured their commit.

Of which commit a run is, its environment says: the checkout that it was recorded in, or the build of the project that
was installed.  The run is kept with those of the commit, and what the history keeps of it goes into asv's results.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.analyse.diff.comparable import machine_reasons
from perfsuite.errors import PerfsuiteError, StoreError, UsageError
from perfsuite.history.deposit import Deposit
from perfsuite.history.model import Commit
from perfsuite.history.values import Values, values_of
from perfsuite.records import Environment, Profile, Run
from perfsuite.store import list_runs, load_run
from perfsuite.store.files import ARRIVING, LOCK, is_being_written, reason
from perfsuite.store.reader import read_manifest

if TYPE_CHECKING:
    from perfsuite.history.settings import HistorySettings

_IPEX = "intel_extension_for_pytorch"
#: Module of a project → what an environment knows of its build: the field of its version, and of its commit.
_BUILDS = {_IPEX: ("ipex", "ipex_commit"), "torch": ("torch", "torch_commit")}
#: A commit that is named with fewer digits could be another one.
_DIGITS = 7


@dataclass(frozen=True)
class Import:
    """What became of a run."""

    #: Its id; the path that was given where there is no run.
    run: str
    #: None where that is not known.
    commit: Commit | None = None
    #: The workloads that were imported.
    workloads: tuple[str, ...] = ()
    #: How many values the history has got from it; 0 where it had them all already.
    values: int = 0
    #: Why nothing was imported; None if something was, or was there already.
    problem: str | None = None
    #: What was left out, and what makes its times suspect; a line each.
    notes: tuple[str, ...] = ()


def import_runs(
    runs: Sequence[Path], settings: HistorySettings, commits: Sequence[Commit], *, machine: str
) -> tuple[Import, ...]:
    """Bring recorded runs into the history; one that cannot be does not keep the others out.

    What asv has measured of a commit stays, the samples are added to it; a run that was imported before adds nothing.
    Nothing else must write into the history meanwhile.

    Args:
        runs: folders of runs.
        settings: of the history.
        commits: of the branch (:func:`perfsuite.history.commits.branch_commits`).
        machine: the name of the machine that recorded them, as asv knows it.

    Raises:
        HistoryError: there is no asv, or its table of benchmarks cannot be had.
        UsageError: the machine's name is no name of a folder.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]{0,99}", machine):
        raise UsageError(f"machine {machine!r}: use letters, digits, '.', '_' and '-'")
    deposit = Deposit(settings, machine)
    return tuple(_import(path, settings, commits, deposit) for path in runs)


def commit_of(environment: Environment, settings: HistorySettings, commits: Sequence[Commit]) -> Commit:
    """The commit of the project's that a run has measured, by its environment.

    First the checkout that it was recorded in, if that is one of the project; then the commit that the installed build
    names; then its version, by the release's tag.

    Raises:
        UsageError: there is none, or the checkout had changes on top of it.
    """
    checkout = _of_hash(environment.git_commit, commits)
    if checkout is not None:
        if environment.git_dirty:
            raise UsageError(f"recorded with uncommitted changes on top of {checkout.label}")
        return checkout
    module = settings.imports[0]
    version = build = None
    if module in _BUILDS:
        version, build = (getattr(environment, name) for name in _BUILDS[module])
    found = _of_hash(build, commits) or _of_version(version, settings.tag_pattern, commits)
    if found is None:
        known = [("checkout", environment.git_commit), ("build", build), ("version", version)]
        said = ", ".join(f"{what} {value}" for what, value in known if value) or "nothing of it"
        raise UsageError(f"of which commit on {settings.branch} it is cannot be told: it says {said}")
    return found


def _of_hash(text: str | None, commits: Sequence[Commit]) -> Commit | None:
    if text is None or not re.fullmatch(rf"[0-9a-f]{{{_DIGITS},40}}", text):
        return None
    found = [one for one in commits if one.hash.startswith(text)]
    return found[0] if len(found) == 1 else None


def _of_version(version: str | None, pattern: str, commits: Sequence[Commit]) -> Commit | None:
    """The commit of the release; of several tags of one version the one that names the build, too: ``v2.8.0+cpu``."""
    if version is None:
        return None
    public = version.partition("+")[0]
    found = []
    for commit in commits:
        for tag in commit.tags:
            match = re.fullmatch(pattern, tag)
            if match is not None and match["version"].partition("+")[0] == public:
                found.append((tag.endswith(version), commit.position, commit))
    return max(found, key=lambda one: one[:2])[2] if found else None


# --- one run ----------------------------------------------------------------------------------------


def _import(path: Path, settings: HistorySettings, commits: Sequence[Commit], deposit: Deposit) -> Import:
    run_id, commit = path.name, None
    try:
        if is_being_written(path):
            raise StoreError(f"{path}: it is still being recorded")
        run = load_run(path)
        run_id = run.id
        commit = commit_of(run.environment, settings, commits)
        _check_machine(run.environment, settings.runs_dir)
        values, notes = _usable(run, settings)
        if not values:
            raise UsageError("; ".join(notes) or "it holds no workload")
        _keep(path, run, settings.runs_dir / commit.hash)
        added, more = deposit.add(commit, values, run.created)
    except PerfsuiteError as error:
        return Import(run_id, commit, problem=str(error))
    return Import(run_id, commit, tuple(values), added, notes=(*_doubts(run), *notes, *more))


def _usable(run: Run, settings: HistorySettings) -> tuple[Mapping[str, Values], tuple[str, ...]]:
    """The values of the workloads that are those of the history, and why the others are not."""
    found: dict[str, Values] = {}
    notes = list(run.problems)
    for profile in run.workloads:
        reasons = "; ".join(_unlike(profile, settings))
        if reasons:
            notes.append(f"{profile.name}: {reasons}")
        else:
            found[profile.name] = values_of(profile)
    return found, tuple(notes)


def _unlike(profile: Profile, settings: HistorySettings) -> Iterator[str]:
    """Why the profile is not of what the history measures."""
    backend = "ipex" if settings.imports[0] == _IPEX else "eager"
    expected = {"scale": settings.scale, "dtype": "float32", "backend": backend}
    for key, value in expected.items():
        if getattr(profile, key) != value:
            yield f"its {key} is {getattr(profile, key)}, the history's is {value}"
    if profile.samples is None or not profile.samples.rounds_ns:
        yield "it was not timed"
    if profile.contended:
        yield "it was timed while other workers of its session ran"


def _doubts(run: Run) -> tuple[str, ...]:
    disturbances = run.environment.disturbances
    if disturbances is None:
        return ("whether it was recorded under quiet settings is not known",)
    return (f"recorded where it was not quiet: {'; '.join(disturbances)}",) if disturbances else ()


def _check_machine(environment: Environment, runs_dir: Path) -> None:
    """Raise a UsageError if the history has runs, and none is of the machine that the environment is of."""
    reasons: tuple[str, ...] = ()
    for known in _environments(runs_dir):
        reasons = machine_reasons(known, environment)
        if not reasons:
            return
    if reasons:
        raise UsageError(f"recorded on another machine than all of the history: {'; '.join(reasons)}")


def _environments(runs_dir: Path) -> Iterator[Environment]:
    """Of the newest run of each commit that can be read."""
    folders = sorted(path for path in runs_dir.iterdir() if path.is_dir()) if runs_dir.is_dir() else []
    for folder in folders:
        for one in list_runs(folder):
            if one.problem is None:
                yield read_manifest(one.path).environment
                break


def _keep(path: Path, run: Run, folder: Path) -> None:
    """Copy the run to those of its commit, unless it is there.

    Raises:
        StoreError: it cannot be copied.
    """
    target = folder / run.id
    hidden = folder / f"{ARRIVING}{secrets.token_hex(8)}"
    try:
        if target.exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        # Under a hidden name first: a run that can be seen is whole.
        shutil.copytree(path, hidden, ignore=shutil.ignore_patterns(LOCK, ".claim-*", "report.html"))
        hidden.rename(target)
    except OSError as error:
        raise StoreError(f"cannot keep run {run.id} in {folder}: {reason(error)}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
