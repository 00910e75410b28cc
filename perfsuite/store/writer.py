"""Making a run and putting workloads into it."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import secrets
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from perfsuite.codec import to_json
from perfsuite.errors import StoreError
from perfsuite.records import FORMAT, Environment, Profile
from perfsuite.store.files import (
    ARRIVING,
    MANIFEST,
    STATUSES,
    TIMELINES,
    WORKLOADS,
    Manifest,
    WorkloadFile,
    hold,
    reason,
    release,
    workload_file_name,
    workload_files,
    write_atomically,
)
from perfsuite.timeline import Timeline, to_columns


class RunWriter:
    """One process's hold on a run it writes into; :func:`create_run` and :func:`join_run` make it.

    While it is open the run is never pruned.  As a context manager it closes at the end, which does not
    finish the run: one that nobody finishes stays ``interrupted``.
    """

    def __init__(self, path: Path, manifest: Manifest | None, lock: int | None) -> None:
        self.path = path
        self._manifest = manifest
        self._lock = lock

    @property
    def id(self) -> str:
        """The run's id, which is the name of its folder."""
        return self.path.name

    def write(self, profile: Profile, timeline: Timeline | None = None) -> Path:
        """Save a workload and the timeline of one of its steps; what the same name had before is replaced.

        Raises:
            StoreError: it cannot be written.  Other workloads are untouched.
        """
        path = self.path / WORKLOADS / workload_file_name(profile.name)
        beside = self.path / TIMELINES / path.name
        try:
            write_atomically(path, _packed(to_json(WorkloadFile(profile))))
            if timeline is None:
                beside.unlink(missing_ok=True)  # of the profile that was replaced
            else:
                beside.parent.mkdir(exist_ok=True)
                write_atomically(beside, _packed({"timeline": to_columns(timeline)}))
        except OSError as error:
            raise StoreError(
                f"cannot save workload {profile.name[:100]!r} in {self.path}: {reason(error)}; what was saved before "
                "is untouched: free some space or choose another folder"
            ) from error
        return path

    def describe(self, environment: Environment) -> None:
        """Replace the environment in the manifest, which still says ``interrupted``; nothing in a run that was joined.

        Raises:
            StoreError: the manifest cannot be written; the one before stays.
        """
        if self._manifest is None:
            return
        self._manifest = replace(self._manifest, environment=environment)
        try:
            _write_manifest(self.path, self._manifest)
        except OSError as error:
            raise StoreError(f"cannot describe the run in {self.path}: {reason(error)}: free some space") from error

    def claim(self, name: str, owner: str) -> bool:
        """Whether ``owner`` may write the workload ``name``: the first to ask may, in whatever process.

        Raises:
            StoreError: the claim cannot be written down.
        """
        path = self.path / f".claim-{workload_file_name(name)}"
        try:
            with open(path, "x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(owner)
        except FileExistsError:
            return path.read_text(encoding="utf-8") == owner
        except OSError as error:
            raise StoreError(f"cannot write into the run in {self.path}: {reason(error)}") from error
        return True

    def finish(self, status: str = "complete", environment: Environment | None = None) -> None:
        """Write the final manifest and close; ``environment`` replaces the one that the run was created with.

        In a run that was joined this only closes: the manifest is its creator's.

        Raises:
            StoreError: the manifest cannot be written; the one before stays, and says ``interrupted``.
            ValueError: ``status`` is neither ``complete`` nor ``interrupted``.
        """
        if status not in STATUSES:
            raise ValueError(f"status {status!r}: expected one of {', '.join(STATUSES)}")
        try:
            if self._manifest is not None:
                for claimed in self.path.glob(".claim-*"):
                    claimed.unlink(missing_ok=True)
                self._manifest = replace(
                    self._manifest,
                    status=status,
                    environment=environment or self._manifest.environment,
                    workloads=workload_files(self.path),
                )
                _write_manifest(self.path, self._manifest)
        except OSError as error:
            raise StoreError(
                f"cannot finish the run in {self.path}: {reason(error)}; its workloads are saved, but it stays marked "
                "as interrupted: free some space"
            ) from error
        finally:
            self.close()

    def discard(self) -> None:
        """Remove the run, which nothing was recorded into; where that fails an empty run stays behind."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the run; it may be pruned from now on.  Closing twice is harmless."""
        if self._lock is not None:
            release(self._lock)
            self._lock = None

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def create_run(directory: Path, environment: Environment, *, run_id: str | None = None) -> RunWriter:
    """Make a new run folder in ``directory``, which is made if need be.

    The run is ``interrupted`` until it is finished, so a process that is killed leaves the truth.  Its id is
    the UTC time and random digits; two processes never get the same folder.

    Raises:
        StoreError: the folder cannot be made, or ``run_id`` is taken or no plain name.
    """
    if run_id is not None and (not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", run_id) or run_id == "latest"):
        raise StoreError(f"run id {run_id!r}: use 1 to 100 letters, digits, '.', '_' and '-', and not 'latest'")
    now = datetime.now(timezone.utc)
    try:
        _make_directory(directory)
        return _create(directory, environment, now, run_id)
    except OSError as error:
        raise StoreError(
            f"cannot create a run in {directory}: {reason(error)}; choose a folder that can be written to and has space"
        ) from error


def join_run(path: Path) -> RunWriter:
    """Write into a run that another process created, as the workers of pytest-xdist do.

    Raises:
        StoreError: there is no run at ``path``, or it cannot be written to.
    """
    if not os.path.isfile(path / MANIFEST):
        raise StoreError(f"no run at {path} to join: create it first")
    try:
        return RunWriter(path, None, hold(path))
    except OSError as error:
        raise StoreError(f"cannot join the run at {path}: {reason(error)}") from error


def _make_directory(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    # In a folder that holds other things, a .gitignore of "*" would hide those from git.
    if not any(directory.iterdir()):
        with contextlib.suppress(FileExistsError), open(directory / ".gitignore", "x", encoding="ascii") as file:
            file.write("*\n")


def _create(directory: Path, environment: Environment, now: datetime, run_id: str | None) -> RunWriter:
    # Built under a hidden name and renamed: a run that can be seen has its manifest and its lock.
    hidden = directory / f"{ARRIVING}{secrets.token_hex(8)}"
    hidden.mkdir()
    lock = None
    try:
        (hidden / WORKLOADS).mkdir()
        lock = hold(hidden)
        while True:
            name = run_id or f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
            manifest = Manifest(name, now.isoformat(timespec="microseconds"), "interrupted", environment)
            _write_manifest(hidden, manifest)
            try:
                # rename(2) would replace an empty folder; a run is never empty, so a taken id fails.
                hidden.rename(directory / name)
            except OSError as error:
                if not os.path.lexists(directory / name):
                    raise
                if run_id is not None:
                    raise StoreError(f"run {name!r} exists already in {directory}: choose another id") from error
                continue
            return RunWriter(directory / name, manifest, lock)
    except BaseException:
        if lock is not None:
            release(lock)
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def _packed(content: dict[str, Any]) -> bytes:
    text = json.dumps({"format": FORMAT, **content}, separators=(",", ":"))
    # No time stamp inside: the same profile gives the same bytes.
    return gzip.compress(text.encode("ascii"), mtime=0)


def _write_manifest(run: Path, manifest: Manifest) -> None:
    # No newline at the end: a file that was cut off anywhere is then never valid JSON.
    text = json.dumps({"format": FORMAT, **to_json(manifest)}, indent=2)
    write_atomically(run / MANIFEST, text.encode("ascii"))
