"""Reading a run back: all that can be read, and a reason for what cannot."""

from __future__ import annotations

import gzip
import zlib
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from perfsuite.codec import from_json
from perfsuite.errors import StoreError
from perfsuite.records import AllocationCurve, Profile, Run
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
    _check_profile(profile)
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


#: No time, count or size that was measured is near it; beyond it a number no longer fits a float's exponent at last.
_LARGEST = 2.0**200


def _check_profile(profile: Profile) -> None:
    """Refuse what decodes but would break every reader: rows that point nowhere, a loop of no calls, no numbers."""
    for what in ("operators", "primitives", "python"):
        for i, row in enumerate(getattr(profile, what)):
            # A row is flat but for its samples and shapes.
            if not all(map(_is_sane, vars(row).values())):
                raise StoreError(f"workload.profile.{what}[{i}]: a number that is not finite, or that nothing can have")
    if profile.ledger is not None and not all(map(_is_sane, vars(profile.ledger).values())):
        raise StoreError("workload.profile.ledger: a number that is not finite, or that nothing can have")
    if profile.allocation_curve is not None:
        _check_curve(profile.allocation_curve)
    if profile.samples is not None and profile.samples.iterations < 1:
        raise StoreError(f"workload.profile.samples.iterations: {profile.samples.iterations} is not positive")
    for i, operator in enumerate(profile.operators):
        for index in operator.primitives:
            if not 0 <= index < len(profile.primitives):
                raise StoreError(f"workload.profile.operators[{i}].primitives: no primitive {index}")
    for i, primitive in enumerate(profile.primitives):
        if primitive.operator is not None and not 0 <= primitive.operator < len(profile.operators):
            raise StoreError(f"workload.profile.primitives[{i}].operator: no operator {primitive.operator}")


def _check_curve(curve: AllocationCurve) -> None:
    where = "workload.profile.allocation_curve"
    times, live = curve.times_ns, curve.live_bytes
    if not times or len(times) != len(live):
        raise StoreError(f"{where}: {len(live)} values for {len(times)} times")
    if any(after < before for before, after in pairwise(times)):
        raise StoreError(f"{where}.times_ns: they are not in order")
    if not all(map(_is_sane, (curve.wall_ns, *times[-1:], *times[:1], *live))):
        raise StoreError(f"{where}: a number that nothing can have")


def _is_sane(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_sane, value))
    return not isinstance(value, (int, float)) or -_LARGEST < value < _LARGEST
