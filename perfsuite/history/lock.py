"""One at a time: a lock that ends with the process that holds it, whatever ended that."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from perfsuite.errors import PerfsuiteError, StoreError
from perfsuite.store.files import reason, release


class BusyError(PerfsuiteError):
    """Another process holds the lock; the message says which, and since when."""


@contextlib.contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock at ``path`` for as long as the block runs.

    The kernel lets go of it when the process ends, so the file of one that was killed is in nobody's way: it stays
    where it is, and the next one writes its own name into it.  Processes that are started meanwhile do not inherit the
    lock.

    Args:
        path: the file; its folder is made if need be.
        what: what is running, for the message: ``night``.

    Raises:
        BusyError: another process holds it.
        StoreError: the file cannot be made, or its file system has no locks.
    """
    descriptor = _locked(path, what)
    try:
        yield
    finally:
        release(descriptor)


@contextlib.contextmanager
def measuring_alone(lock: Path, env_dir: Path) -> Iterator[None]:
    """Hold the lock of a machine's nights, and that of the environments they measure in.

    Two histories with the same environments, or one under two names of the machine, would time each other's load, and
    remove environments that the other one is in.

    Raises:
        As :func:`alone`.
    """
    with alone(lock, "night"), alone(env_dir / "night.lock", "night"):
        yield


def _locked(path: Path, what: str) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(f"cannot lock {path}: {reason(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):  # on a full disk it is held all the same, by nobody knows whom
            me = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(me).encode(), 0)
    except BlockingIOError:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise BusyError(f"another {what} is running: {holder} holds {path}; wait for it, or end it") from None
    except OSError as error:
        os.close(descriptor)
        raise StoreError(f"cannot lock {path}: {reason(error)}; choose a folder on a file system with locks") from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _holder(descriptor: int) -> str:
    """Who wrote his name into the file last."""
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        pid, host, since = int(said["pid"]), str(said["host"]), str(said["since"])
    except (ValueError, KeyError, TypeError, OSError):
        return "a process that has not written down its name yet"
    if host == socket.gethostname() and not os.path.exists(f"/proc/{pid}"):
        # Of the one before: whoever holds it now is between taking the lock and writing.
        return "a process that has not written down its name yet"
    return f"process {pid} on {host}, since {since},"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
