"""The environments of stacks on the disk: where each is, whether it is whole, how large, and which must go.

::

    <env_dir>/stacks/
      3fa9c1d2e4b5a697/          an environment; its name is what was asked to be in it
        perfsuite-stack.json     written last: without it the environment was never finished
      3fa9c1d2e4b5a697.log       what the installer printed
      3fa9c1d2e4b5a697.lock      held by whoever makes or removes it
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from perfsuite.history.model import Stack
from perfsuite.history.requirements import is_file
from perfsuite.history.settings import HistorySettings
from perfsuite.store.files import write_atomically

_MARKER = "perfsuite-stack.json"
#: Of what st_blocks counts, whatever the file system's own blocks are.
_BLOCK_BYTES = 512


@dataclass(frozen=True)
class Venv:
    """Where the environment of a stack is, or will be."""

    path: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    @property
    def log(self) -> Path:
        """What the installer printed."""
        return self.path.with_name(f"{self.path.name}.log")

    @property
    def work(self) -> Path:
        """For builds; removed after them."""
        return self.path.with_name(f"{self.path.name}.work")

    @property
    def is_whole(self) -> bool:
        """Whether all is in it that was asked for, and its interpreter is still there."""
        return (self.path / _MARKER).is_file() and os.access(self.python, os.X_OK)

    @property
    def imported(self) -> tuple[str, ...]:
        """The modules of it that were imported to see whether they can be."""
        try:
            return tuple(json.loads((self.path / _MARKER).read_bytes())["imported"])
        except (OSError, ValueError, KeyError, TypeError):
            return ()

    def finish(self, stack: Stack, requirements: Sequence[str], imported: Sequence[str] = ()) -> None:
        """Say that it is whole, and which modules can be imported.

        Raises:
            OSError: it cannot be written.
        """
        content = {
            "requirements": list(requirements),
            "origin": stack.origin,
            "imported": list(imported),
            "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        write_atomically(self.path / _MARKER, json.dumps(content, indent=1).encode())

    def touch(self) -> None:
        """Say that it is used, so that others go before it."""
        with contextlib.suppress(OSError):
            os.utime(self.path / _MARKER)

    @property
    def used(self) -> float:
        """When it was last used, in seconds since 1970; 0 if it is not whole."""
        try:
            return (self.path / _MARKER).stat().st_mtime
        except OSError:
            return 0.0

    def remove(self) -> None:
        """Remove it and all that belongs to it, but its lock and its log.

        Raises:
            OSError: something cannot be removed; it is not whole any more.
        """
        with contextlib.suppress(FileNotFoundError):
            (self.path / _MARKER).unlink()
        for folder in (self.path, self.work):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)

    @contextlib.contextmanager
    def alone(self, *, wait: bool = True) -> Iterator[bool]:
        """Hold it against other processes; whether that is so, which without ``wait`` it need not be.

        Raises:
            OSError: there is no place for the lock.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_name(f"{self.path.name}.lock"), "wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            # Closing the file would leave the lock to a child that has it open.
            try:
                yield True
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)


def venv_of(stack: Stack, settings: HistorySettings, requirements: Sequence[str]) -> Venv:
    """The environment of a stack.

    Args:
        stack: what is installed.
        settings: where.
        requirements: all of them, with those that every stack has.
    """
    about: dict[str, Any] = {
        "requirements": [[one, *_contents(one)] for one in requirements],
        "build": [list(command) for command in stack.build],
        "python": stack.python or [sys.version, sys.base_prefix],
        "constraints": _contents(str(settings.constraints), whole=True) if settings.constraints else [],
    }
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    return Venv(settings.env_dir / "stacks" / name)


def venvs(settings: HistorySettings) -> tuple[Venv, ...]:
    """All there are, whole or not, the one that was used last at the end."""
    try:
        found = [Venv(path) for path in (settings.env_dir / "stacks").iterdir() if path.is_dir() and not path.suffix]
    except FileNotFoundError:
        return ()
    return tuple(sorted(found, key=lambda venv: (venv.used, venv.path.name)))


def disk_bytes(folders: Iterable[Path]) -> int:
    """What folders take on the disk, in bytes; what several of them share by hard links counts once."""
    seen: set[tuple[int, int]] = set()
    return sum(_tree_bytes(folder, seen) for folder in folders)


def prune(settings: HistorySettings, keep: Iterable[Venv] = ()) -> tuple[Path, ...]:
    """Remove environments, those unused for longest first, until all together take no more than ``disk_gib``.

    What was never finished goes in any case; what another process is making stays.

    Args:
        settings: where they are, and how much they may take.
        keep: environments that stay, even if they alone take more.

    Returns:
        What was removed.

    Raises:
        OSError: something cannot be removed.
    """
    kept = {venv.path for venv in keep}
    there = list(venvs(settings))
    removed = [venv for venv in there if not venv.is_whole and venv.path not in kept and _remove_alone(venv)]
    there = [venv for venv in there if venv not in removed]
    candidates = [venv for venv in there if venv.path not in kept]
    limit = settings.disk_gib * 2**30
    while candidates and disk_bytes(venv.path for venv in there) > limit:
        oldest = candidates.pop(0)
        if _remove_alone(oldest):
            there.remove(oldest)
            removed.append(oldest)
    return tuple(venv.path for venv in removed)


def _remove_alone(venv: Venv) -> bool:
    with venv.alone(wait=False) as alone:
        if alone:
            venv.remove()
            venv.log.unlink(missing_ok=True)
        return alone


def _contents(requirement: str, *, whole: bool = False) -> list[Any]:
    """What tells a file from another one at the same place; nothing for what is no file."""
    if not is_file(requirement):
        return []
    try:
        if whole:
            return [hashlib.sha256(Path(requirement).read_bytes()).hexdigest()]
        found = os.stat(requirement)
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _tree_bytes(folder: Path, seen: set[tuple[int, int]]) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(parent, name))
            except OSError:
                continue  # removed meanwhile
            # Only what has another name somewhere can be met twice.
            if found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
            total += found.st_blocks * _BLOCK_BYTES
    return total
