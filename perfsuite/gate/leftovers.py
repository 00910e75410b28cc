"""Temporary folders, and what a gate that was killed left of its own.

A folder's name says which process made it: ``perfsuite-WHAT-WHERE-PID-START-RANDOM``, where WHERE stands for the
kernel's boot and the space of process ids.  A lock in it holds as long as the process lives, also where its id means
nothing here (another container with the same temporary folder).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"perfsuite-(?:gate|worker|calibration)-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}")
_LOCK = "lock"
#: No gate runs for so long; what is registered by one that cannot be asked is given up then.
_ABANDONED_SECONDS = 7 * 86400


class OwnFolder:
    """A temporary folder that goes with its owner; should this process be killed, the next gate removes it."""

    def __init__(self, what: str, temporary: Path | None = None) -> None:
        """Make it.

        Args:
            what: ``gate``, ``worker`` or ``calibration``.
            temporary: where, by default in the system's temporary folder.

        Raises:
            OSError: it cannot be made.
        """
        self.path = Path(temporary or tempfile.gettempdir()) / new_name(what)
        self._finalizer = weakref.finalize(self, _remove_locked, self.path, claim(self.path), None)

    def remove(self, common: Path | None = None) -> bool:
        """Remove it, and what the repository whose ``.git`` is given knows of it; returns whether it is gone."""
        found = self._finalizer.detach()
        if found is None:
            return True
        _, remove, (path, lock, _), _ = found
        return bool(remove(path, lock, common))


def _remove_locked(folder: Path, lock: int, common: Path | None) -> bool:
    gone = remove_folder(folder, common)
    os.close(lock)
    return gone


def new_name(what: str) -> str:
    """The name of a folder for this process."""
    pid = os.getpid()
    return f"perfsuite-{what}-{_where()}-{pid}-{_started(pid)}-{secrets.token_hex(4)}"


def claim(folder: Path) -> int:
    """Make the folder and lock it; returns the descriptor that holds the lock.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700)
    lock = os.open(folder / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):  # a file system without locks: the process id has to do
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def sweep(temporary: Path, common: Path | None) -> None:
    """Remove what gates that are dead have left in the temporary folder and in the repository.

    Args:
        temporary: where gates make their folders.
        common: the repository's ``.git``; None outside of one.
    """
    with contextlib.suppress(OSError):
        for folder in temporary.glob("perfsuite-*"):
            if _is_abandoned(folder):
                remove_folder(folder, common)
    if common is None:
        return
    for entry, worktree in registered(common):
        for parent in worktree.parents:
            if _NAME.fullmatch(parent.name) and not parent.exists() and _is_given_up(parent.name, entry):
                _unregister(entry)


def remove_folder(folder: Path, common: Path | None) -> bool:
    """Remove a folder with its worktrees, and what a repository knows of them; returns whether it is gone."""
    entries = [_entry_of(worktree) for worktree in folder.glob("*/*")]
    if common is not None:
        entries += [entry for entry, worktree in registered(common) if folder in worktree.parents]
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        # A test has taken its own permission to write away.
        for parent, names, _ in os.walk(folder):
            for path in (os.path.join(parent, name) for name in names):
                if not os.path.islink(path):
                    with contextlib.suppress(OSError):
                        os.chmod(path, 0o700)
        shutil.rmtree(folder, ignore_errors=True)
    for entry in entries:
        if entry is not None:
            _unregister(entry)
    return not folder.exists()


def registered(common: Path) -> Iterator[tuple[Path, Path]]:
    """Each worktree that the repository knows of: the folder of what it knows, and the worktree's path."""
    for gitdir in sorted(common.glob("worktrees/*/gitdir")):
        with contextlib.suppress(OSError):
            yield gitdir.parent, _named_in(gitdir).parent


def _entry_of(worktree: Path) -> Path | None:
    """What the worktree's repository knows of it, by the worktree's own word, if the repository says the same."""
    with contextlib.suppress(OSError):
        entry = _named_in(worktree / ".git")
        if entry.parent.name == "worktrees" and _named_in(entry / "gitdir") == worktree / ".git":
            return entry
    return None


def _named_in(file: Path) -> Path:
    """The path that a file of git's consists of; newer gits may write it relative to the file."""
    text = os.fsdecode(file.read_bytes()).removeprefix("gitdir:").strip()
    return Path(os.path.normpath(file.parent / text))


def _unregister(entry: Path) -> None:
    """What ``git worktree prune`` does, for this one alone: another may be the user's, on a disk that is not here."""
    shutil.rmtree(entry, ignore_errors=True)
    with contextlib.suppress(OSError):  # there are others
        entry.parent.rmdir()


# --- dead or alive ----------------------------------------------------------------------------------


def _is_abandoned(folder: Path) -> bool:
    """Whether the folder is ours and the process that made it is dead; when in doubt it is not."""
    name = _NAME.fullmatch(folder.name)
    try:
        status = folder.lstat()
    except OSError:
        return False
    if name is None or not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        return False
    if name[1] == _where() and _started(int(name[2])) == name[3]:
        return False
    try:
        lock = os.open(folder / _LOCK, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        # A process that we can ask for died before it had one; of another we cannot know.
        return name[1] == _where()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _is_given_up(name: str, entry: Path) -> bool:
    """Whether a worktree whose folder is not here belongs to a gate that is dead."""
    found = _NAME.fullmatch(name)
    if found is not None and found[1] == _where():
        return _started(int(found[2])) != found[3]
    with contextlib.suppress(OSError):
        return time.time() - (entry / "gitdir").stat().st_mtime > _ABANDONED_SECONDS
    return False


def _where() -> str:
    """Eight digits for this boot of the kernel and this space of process ids."""
    facts = ""
    with contextlib.suppress(OSError):
        facts += Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        facts += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(facts.encode()).hexdigest()[:8]


def _started(pid: int) -> str | None:
    """When a process was started, in the kernel's ticks since its boot; None if it does not live."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in brackets, may hold anything; the state is the next field, the start the 20th from there.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X", "x") else fields[19]
