"""Reading a run back: all that can be read, and a reason for what cannot."""

from __future__ import annotations

import gzip
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

from perfsuite.codec import from_json
from perfsuite.errors import StoreError
from perfsuite.records import Profile, Run
from perfsuite.store.checks import check_profile
from perfsuite.store.files import (
    MANIFEST,
    STATUSES,
    TIMELINES,
    WORKLOADS,
    Manifest,
    WorkloadFile,
    decode,
    reason,
    workload_file_name,
    workload_files,
)
from perfsuite.timeline import Timeline, from_columns


def load_run(path: Path) -> Run:
    """The run in folder ``path``.

    A workload file that is missing, damaged or of another format does not lose the others: it is named in
    ``Run.problems`` with the reason.

    Raises:
        StoreError: there is no run, or its manifest cannot be read; the message says what to do.
    """
    manifest = read_manifest(path)
    profiles = []
    problems = []
    for name in _names(path, manifest):
        try:
            profiles.append(_read_workload(path / WORKLOADS / name))
        except StoreError as error:
            problems.append(f"{path / WORKLOADS / name}: {error}")
    return Run(
        id=manifest.id,
        created=manifest.created,
        status=manifest.status,
        environment=manifest.environment,
        workloads=tuple(profiles),
        problems=tuple(problems),
    )


def load_timeline(path: Path, workload: str) -> Timeline:
    """The timeline that the run in folder ``path`` keeps of the workload.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    file = path / TIMELINES / workload_file_name(workload)
    if not file.exists():
        raise StoreError(
            f"{path} has no timeline of {workload}: it was recorded by an older perfsuite or without the operators "
            "and primitives passes; record it again with: pytest --profile-dnn"
        )
    try:
        return from_columns(_unpacked(file).get("timeline"))
    except StoreError as error:
        raise StoreError(f"{file}: {error}") from error


def read_manifest(path: Path) -> Manifest:
    """The manifest of the run in folder ``path``.

    Raises:
        StoreError: it is missing, damaged or of another format.
    """
    file = path / MANIFEST
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"no run at {path}: it has no {MANIFEST}") from error
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {reason(error)}") from error
    try:
        manifest = from_json(Manifest, decode(data), "run")
        _check_manifest(manifest)
    except StoreError as error:
        raise StoreError(f"{file}: {error}; the workload files beside it are untouched") from error
    return manifest


def _check_manifest(manifest: Manifest) -> None:
    if manifest.status not in STATUSES:
        raise StoreError(f"run.status: expected one of {', '.join(STATUSES)}, found {manifest.status[:60]!r}")
    try:
        created = datetime.fromisoformat(manifest.created)
    except ValueError as error:
        raise StoreError(f"run.created: expected an ISO 8601 time, found {manifest.created[:60]!r}") from error
    if created.tzinfo is None:
        raise StoreError(f"run.created: expected a time zone, found {manifest.created[:60]!r}")
    for name in manifest.workloads:
        if name != Path(name).name or "\0" in name:
            raise StoreError(f"run.workloads: {name[:60]!r} is no plain file name")


def _names(path: Path, manifest: Manifest) -> tuple[str, ...]:
    try:
        present = workload_files(path)
    except OSError as error:
        raise StoreError(f"{path / WORKLOADS}: cannot be read: {reason(error)}") from error
    # A run that was killed lists nothing, and holds what was finished.
    return tuple(dict.fromkeys((*manifest.workloads, *present)))


def _read_workload(file: Path) -> Profile:
    profile = from_json(WorkloadFile, _unpacked(file), "workload").profile
    check_profile(profile)
    return profile


def _unpacked(file: Path) -> dict[str, Any]:
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise StoreError(f"missing, though {MANIFEST} lists it") from error
    except OSError as error:
        raise StoreError(f"cannot be read: {reason(error)}") from error
    try:
        text = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StoreError(f"damaged, not a whole gzip file ({error})") from error
    return decode(text)
