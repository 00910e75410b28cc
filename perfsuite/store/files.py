"""The layout of a run folder, and the few things that writing, reading and listing share."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from perfsuite.codec import from_json
from perfsuite.errors import StoreError
from perfsuite.records import FORMAT, READABLE_FORMATS, Environment, Profile

MANIFEST = "run.json"
WORKLOADS = "workloads"
TIMELINES = "timelines"
LOCK = ".lock"
SUFFIX = ".json.gz"
STATUSES = ("complete", "interrupted")
#: Folders on their way in or out carry one of these prefixes, so that nobody takes them for runs.
ARRIVING = ".new-"
LEAVING = ".gone-"
GENERATED_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4,}")

T = TypeVar("T")


@dataclass(frozen=True)
class Manifest:
    """``run.json``.  ``workloads`` are file names; it is filled when the run is finished."""

    id: str
    created: str
    status: str
    environment: Environment
    workloads: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorkloadFile:
    """What a workload's file holds beside its format."""

    profile: Profile


def workload_file_name(name: str) -> str:
    """A file name for a workload: readable, ASCII, at most 108 characters, different for different names."""
    # The tail of a test id is what tells it from its neighbours.
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[-80:].strip("-.") or "workload"
    # A test id may hold lone surrogates, which plain UTF-8 refuses.
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    return f"{slug}-{digest}{SUFFIX}"


def workload_files(run: Path) -> tuple[str, ...]:
    """Names of the workload files that are there, in the order they were last written."""
    found = []
    try:
        with os.scandir(run / WORKLOADS) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                    # A file that another process just replaced or removed is no reason to fail.
                    with contextlib.suppress(FileNotFoundError):
                        found.append((entry.stat().st_mtime_ns, entry.name))
    except FileNotFoundError:
        return ()
    return tuple(name for _, name in sorted(found))


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` so that a reader sees the old file or the whole new one, never a part.

    Raises:
        OSError: it could not be written; ``path`` is as it was and no temporary file is left.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_text(path: Path, text: str) -> int:
    """Put ``text`` where a user wants it, atomically if that is a file; returns how many bytes it takes.

    Raises:
        StoreError: it cannot be written.
    """
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def check_target(path: Path) -> None:
    """Whether a file could be put at ``path``, as far as that can be told without writing it.

    Raises:
        StoreError: there is no folder for it, it is a folder itself, or a link that leads nowhere.
    """
    try:
        if _is_there(path):
            if path.is_dir():
                raise StoreError(f"cannot write {path}: it is a folder")
            return
    except OSError as error:
        raise StoreError(f"cannot write {path}: {reason(error)}") from error
    try:
        # As `write_bytes` writes it: what `..` and links lead to.
        folder = os.path.dirname(os.path.realpath(path))
    except FileNotFoundError:  # the working folder is gone
        folder = ""
    if not os.path.isdir(folder):
        raise StoreError(f"cannot write {path}: there is no folder {path.parent}")


def _is_there(path: Path) -> bool:
    """Whether something is at ``path``.

    Raises:
        OSError: that cannot be told: links in a circle, or a file where a folder should be.
    """
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def write_bytes(path: Path, data: bytes) -> int:
    """As :func:`write_text`, of what is no text.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        # Links in a circle are an error here; what replaces a file would take their place.
        if _is_there(path) and not path.is_file():
            path.write_bytes(data)  # a device or a pipe, which must not be replaced by a file
        else:
            # A link stays one: what it points to is replaced.
            write_atomically(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {reason(error)}") from error
    return len(data)


def parse_document(data: bytes) -> tuple[int, dict[str, Any]]:
    """The format that the JSON object in ``data`` says it has, and the object without that key.

    Raises:
        StoreError: it is not one of ours, or is damaged.
    """
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"damaged, not valid JSON ({error})") from error
    if not isinstance(value, dict) or type(value.get("format")) is not int:
        raise StoreError("damaged, it does not say which format it has")
    return value.pop("format"), value


def read_record(
    path: Path, kind: type[T], version: int, mend: str, check: Callable[[T], object] = lambda record: None
) -> T | None:
    """The record in a file of one format, whose object has a key ``format`` beside the record's own.

    Args:
        path: the file.
        kind: what is in it.
        version: the only format that is read.
        mend: how to make a new one, for the message about a file that is no such record.
        check: raises a StoreError where no such record can have been written.

    Returns:
        The record; None if there is no such file.

    Raises:
        StoreError: it cannot be read, is damaged, has another format, or is refused by ``check``.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {reason(error)}") from error
    try:
        found, value = parse_document(data)
        if found != version:
            raise StoreError(f"format {found}, this perfsuite reads {version}")
        record = from_json(kind, value)
        check(record)
    except StoreError as error:
        raise StoreError(f"{path}: {error}; {mend}") from error
    return record


def decode(data: bytes) -> dict[str, Any]:
    """The JSON object in ``data``, a file of a run, without its ``format`` key.

    Raises:
        StoreError: it is not one of ours, is damaged, or has a format that this version does not read.
    """
    found, value = parse_document(data)
    if found > FORMAT:
        raise StoreError(
            f"written by a newer perfsuite (format {found}, this one reads {FORMAT}): upgrade perfsuite to read it"
        )
    if found not in READABLE_FORMATS:
        raise StoreError(f"unknown format {found}, this perfsuite reads {READABLE_FORMATS[0]} to {FORMAT}")
    return value


def reason(error: OSError) -> str:
    """The operating system's words, without the path that the caller names anyway."""
    return error.strerror or str(error)


# --- the lock ---------------------------------------------------------------------------------------
#
# Every process that writes into a run holds its lock file shared, for as long as it lives: the kernel lets go of
# it whatever ends the process, so a run that is being written can be told from one that was killed.


def hold(run: Path) -> int | None:
    """Hold the run's lock shared.

    Returns:
        A descriptor for :func:`release`; None where the file system has no locks.

    Raises:
        OSError: the lock file cannot be made, or the run was pruned while we waited.
    """
    descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        os.close(descriptor)
        return None
    try:
        if os.path.samestat(os.fstat(descriptor), os.stat(run / LOCK)):
            return descriptor
    except FileNotFoundError:
        pass
    release(descriptor)
    raise FileNotFoundError(f"{run} was removed")


def release(descriptor: int) -> None:
    """Let go of a lock from :func:`hold` or :func:`claim`."""
    # Closing alone would leave the lock with a child that was forked while it was held.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def claim(run: Path) -> int | None:
    """Hold the run's lock alone, without waiting.

    Returns:
        A descriptor for :func:`release`; None where the run has no lock file or the file system has no locks.

    Raises:
        BlockingIOError: a process is writing into the run.
    """
    try:
        descriptor = os.open(run / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def is_being_written(run: Path) -> bool:
    """Whether a living process holds the run's lock."""
    try:
        descriptor = claim(run)
    except BlockingIOError:
        return True
    if descriptor is not None:
        release(descriptor)
    return False
