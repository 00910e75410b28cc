"""A folder in the place of another one, at once: whoever looks finds all of the old one or all of the new one."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

#: Of Linux's renameat2(2): paths that are not relative to an open folder; the two names are exchanged.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def replace_folder(made: Path, target: Path) -> None:
    """Put the folder ``made`` in the place of ``target``, which is removed; there need be none.

    Both are in one folder.  Linux exchanges the two names in one call, so that there is a whole folder at ``target`` at
    any time, whatever ends this process.  Where the kernel or the file system cannot do that, there is none between two
    renames, and :func:`put_back` mends what a process leaves that is killed just there.

    Raises:
        OSError: it cannot be done; ``target`` is as it was.
    """
    if not target.exists():
        made.rename(target)
        return
    if not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target))
    old = made
    if not _exchange(made, target):
        old = _old(target)
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        try:
            made.rename(target)
        except OSError:
            old.rename(target)
            raise
    shutil.rmtree(old, ignore_errors=True)


def put_back(target: Path) -> None:
    """Put the old folder back where :func:`replace_folder` was killed between two renames.

    Raises:
        OSError: it cannot be.
    """
    old = _old(target)
    if old.exists() and not target.exists():
        old.rename(target)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders; whether that was done."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "renameat2"):  # another C library, or another system
        return False
    names = [os.fsencode(path.absolute()) for path in (one, other)]
    return bool(libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
