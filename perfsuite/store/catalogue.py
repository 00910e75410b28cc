"""Finding, listing and removing runs."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from perfsuite.errors import StoreError, UsageError
from perfsuite.store.files import (
    ARRIVING,
    GENERATED_ID,
    LEAVING,
    LOCK,
    MANIFEST,
    claim,
    is_being_written,
    reason,
    release,
    workload_files,
)
from perfsuite.store.reader import read_manifest
from perfsuite.units import some

#: Of many ids so many are named.
_NAMED = 5

HOW_TO_RECORD = "record one with: pytest --profile-dnn"
#: Long after any process is done with making or removing a folder.
LEFTOVER_AFTER_S = 3600.0


@dataclass(frozen=True)
class RunSummary:
    """A run as a listing shows it.

    ``created`` and ``status`` are None where the manifest cannot be read, and ``problem`` says why.  ``status``
    is ``running`` while a process still writes into the run.
    """

    id: str
    path: Path
    created: str | None
    status: str | None
    workloads: int
    size_bytes: int
    problem: str | None = None


def list_runs(directory: Path) -> tuple[RunSummary, ...]:
    """The runs in ``directory``, newest first; a folder that does not exist holds none.

    Raises:
        StoreError: the folder cannot be read.
    """
    found = []
    for path in _run_folders(directory):
        summary = _summarise(path)
        # Another process may be pruning.
        with contextlib.suppress(FileNotFoundError):
            found.append((_made_at(summary), summary.id, summary))
    return tuple(summary for *_, summary in sorted(found, key=lambda row: row[:2], reverse=True))


def resolve_run(spec: str, directory: Path) -> Path:
    """The folder of the run that ``spec`` names: an id in ``directory``, the unique beginning of one, a path,
    ``latest``, or ``latest~N``, the one N runs before it.

    Raises:
        StoreError: nothing or more than one run matches.
    """
    ids = [run.id for run in list_runs(directory)]
    counted = re.fullmatch(r"latest(?:~(\d{1,9}))?", spec)
    if counted:
        if not ids:
            raise StoreError(f"no runs in {directory}: {HOW_TO_RECORD}")
        back = int(counted[1] or 0)
        if back >= len(ids):
            raise StoreError(f"no run {spec!r} in {directory}: it holds {len(ids)}")
        return directory / ids[back]
    if spec in ids:
        return directory / spec
    if spec and os.path.isfile(os.path.join(spec, MANIFEST)):
        return Path(spec)
    if os.path.basename(spec) == MANIFEST and os.path.isfile(spec):
        return Path(spec).parent
    matches = [name for name in ids if spec and name.startswith(spec)]
    if len(matches) == 1:
        return directory / matches[0]
    if matches:
        raise StoreError(
            f"{spec!r} is the beginning of {len(matches)} runs: {some(matches, _NAMED)}; write more of the id"
        )
    if spec and os.path.exists(spec):
        raise StoreError(f"{spec} is not a run: a run is a folder with a readable {MANIFEST}")
    if not ids:
        raise StoreError(f"no run {spec!r}, and no runs in {directory}: {HOW_TO_RECORD}")
    raise StoreError(f"no run {spec!r} in {directory}: there are {some(ids, _NAMED)}")


def prune_runs(directory: Path, keep: int) -> tuple[str, ...]:
    """Remove all but the newest ``keep`` runs.

    One that a process is still writing is never removed, nor an unfinished one on a file system without locks,
    where that cannot be known, nor a folder that cannot be told to be a run.

    Returns:
        The ids that this call removed.

    Raises:
        UsageError: ``keep`` is negative.
        StoreError: a run cannot be removed.
    """
    if keep < 0:
        raise UsageError(f"keep {keep}: how many runs to keep, 0 or more")
    removed = []
    for run in list_runs(directory)[keep:]:
        try:
            if _remove(run):
                removed.append(run.id)
        except FileNotFoundError:
            continue  # Another process was faster.
        except OSError as error:
            raise StoreError(f"cannot remove {run.path}: {reason(error)}") from error
    _sweep(directory)
    return tuple(removed)


def _run_folders(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            folders = [
                Path(directory, entry.name)
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot read {directory}: {reason(error)}") from error
    return [path for path in folders if GENERATED_ID.fullmatch(path.name) or (path / MANIFEST).is_file()]


def _summarise(path: Path) -> RunSummary:
    created = status = problem = None
    present: tuple[str, ...] = ()
    try:
        present = workload_files(path)
        manifest = read_manifest(path)
        created, status = manifest.created, manifest.status
        missing = len(set(manifest.workloads) - set(present))
        problem = f"{missing} of {len(manifest.workloads)} workload files missing" if missing else None
    except StoreError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{path}: cannot be read: {reason(error)}"
    if status == "interrupted" and is_being_written(path):
        status = "running"
    return RunSummary(path.name, path, created, status, len(present), _size(path), problem)


def _made_at(run: RunSummary) -> datetime:
    """When the run was made: by its manifest, else by its id, else by the clock of its folder.

    Raises:
        FileNotFoundError: it has been removed.
    """
    modified = run.path.stat().st_mtime
    if run.created is not None:
        return datetime.fromisoformat(run.created)
    with contextlib.suppress(ValueError):
        return datetime.strptime(run.id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    return datetime.fromtimestamp(modified, timezone.utc)


def _size(path: Path) -> int:
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _remove(run: RunSummary) -> bool:
    if run.status is None and not GENERATED_ID.fullmatch(run.id):
        return False  # Somebody else's folder with a run.json in it.
    try:
        lock = claim(run.path)
    except BlockingIOError:
        return False
    if lock is None and run.status != "complete" and (run.path / LOCK).exists():
        return False
    try:
        # Renamed first: nobody ever sees half a run.
        gone = run.path.with_name(f"{LEAVING}{secrets.token_hex(8)}")
        run.path.rename(gone)
        shutil.rmtree(gone)
    finally:
        if lock is not None:
            release(lock)
    return True


def _sweep(directory: Path) -> None:
    """Remove what a process that was killed left on its way in or out."""
    for prefix in (ARRIVING, LEAVING):
        for path in directory.glob(f"{prefix}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > LEFTOVER_AFTER_S and not is_being_written(path):
                    shutil.rmtree(path, ignore_errors=True)
