"""Reads files below a root: ``/`` of this host, or a folder that looks like one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from perfsuite.doctor.model import Unread

T = TypeVar("T")


class Files:
    """Texts of the host by their absolute paths; what cannot be read is an :class:`.Unread` and no error."""

    def __init__(self, root: Path = Path("/")) -> None:
        """``root`` stands in place of ``/``."""
        self._root = root

    def text(self, path: str) -> str | Unread:
        """The whole text of a file."""
        try:
            return self._at(path).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return Unread(f"{path}: {error.strerror}")

    def read(self, path: str, parse: Callable[[str], T]) -> T | Unread:
        """What ``parse`` makes of the text; it raises ValueError where it cannot read it."""
        text = self.text(path)
        if isinstance(text, Unread):
            return text
        try:
            return parse(text)
        except ValueError as error:
            return Unread(f"{path}: not understood: {error}")

    def there(self, path: str) -> bool:
        """Whether there is a file or folder of that name, readable or not."""
        try:
            self._at(path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def matching(self, folder: str, pattern: str) -> list[str]:
        """The paths in a folder whose names match, by their numbers: ``cpu10`` follows ``cpu2``."""
        try:
            names = [path.name for path in self._at(folder).iterdir()]
        except OSError:
            return []
        found = [name for name in names if re.fullmatch(pattern, name)]
        return [f"{folder}/{name}" for name in sorted(found, key=_in_order)]

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")


def _in_order(name: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part) if part.isdigit() else -1, part) for part in re.split(r"([0-9]+)", name))


def of(read: T | Unread) -> T | None:
    """What was read, None if it was not: for what a check can do without."""
    return None if isinstance(read, Unread) else read
