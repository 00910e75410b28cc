"""What each process recorded, in the few numbers that the history is judged by, kept beside the runs.

Reading a run takes a third of a second, and judging asks for the same few numbers of dozens of them, every night.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from perfsuite.codec import from_json, to_json
from perfsuite.errors import StoreError
from perfsuite.history.values import values_of
from perfsuite.records import Environment, Run
from perfsuite.store.files import Manifest, parse_document, write_atomically

#: A folder among those of commits, none of which begins so.
FOLDER = ".values"
#: To be raised when :func:`perfsuite.history.values.values_of` says something else of the same profile.
FORMAT = 1


@dataclass(frozen=True)
class Recorded:
    """One process: when it began, where, and workload → measure → part → samples."""

    #: ISO 8601, with a time zone.
    created: str
    environment: Environment
    values: Mapping[str, Mapping[str, Mapping[str, tuple[float, ...]]]]

    @property
    def began(self) -> float:
        """In seconds since 1970."""
        return datetime.fromisoformat(self.created).timestamp()


@dataclass(frozen=True)
class _Kept:
    #: Of the run, so that another one in its place is not taken for it.
    created: str
    values: Mapping[str, Mapping[str, Mapping[str, tuple[float, ...]]]]


def recorded(run: Run) -> Recorded:
    """What the history keeps of a run."""
    found = {profile.name: values_of(profile) for profile in run.workloads}
    values = {
        name: {measure: {part: tuple(samples) for part, samples in parts.items()} for measure, parts in one.items()}
        for name, one in found.items()
    }
    return Recorded(run.created, run.environment, values)


def find(runs_dir: Path, run: Path, manifest: Manifest) -> Recorded | None:
    """What was kept of the run in folder ``run``; None if there is nothing that can be read."""
    try:
        form, value = parse_document(_path(runs_dir, run).read_bytes())
        kept = from_json(_Kept, value) if form == FORMAT else None
    except (OSError, StoreError):
        return None
    if kept is None or kept.created != manifest.created:
        return None
    return Recorded(manifest.created, manifest.environment, kept.values)


def keep(runs_dir: Path, run: Path, found: Recorded) -> None:
    """Keep it; where that cannot be done the run will be read again."""
    path = _path(runs_dir, run)
    text = json.dumps({"format": FORMAT, **to_json(_Kept(found.created, found.values))}, allow_nan=False)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())


def _path(runs_dir: Path, run: Path) -> Path:
    return runs_dir / FOLDER / run.parent.name / f"{run.name}.json"
