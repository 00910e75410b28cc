"""What takes long to make and never changes, kept beside the runs that it is made of."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from perfsuite.errors import StoreError
from perfsuite.store.files import write_text

#: A folder among those of commits, none of which begins so.
FOLDER = ".pages"


class Kept:
    """Texts by what they are made of, each in a file of its own."""

    def __init__(self, folder: Path, suffix: str) -> None:
        """The folder is made when the first text is kept; nothing else with that suffix is in it."""
        self._folder = folder
        self._suffix = suffix
        self._used: set[Path] = set()

    def has(self, made_of: Sequence[str]) -> bool:
        """Whether there is a text that was kept under this, without reading it."""
        return self._path(made_of).is_file()

    def find(self, made_of: Sequence[str]) -> str | None:
        """The text that was kept under this; None if there is none that can be read."""
        path = self._path(made_of)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        self._used.add(path)
        return text

    def keep(self, made_of: Sequence[str], text: str) -> None:
        """Keep a text; where that is not possible it will be made again."""
        path = self._path(made_of)
        with contextlib.suppress(OSError, StoreError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
        self._used.add(path)

    def sweep(self) -> None:
        """Remove the texts that nobody asked for since this was made."""
        for path in self._folder.glob(f"*{self._suffix}"):
            if path not in self._used:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _path(self, made_of: Sequence[str]) -> Path:
        digest = hashlib.sha256("\0".join(made_of).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self._folder / f"{digest}{self._suffix}"


class KeptPages(Kept):
    """Pages by what they are made of."""

    def __init__(self, runs_dir: Path) -> None:
        """Beside the runs in ``runs_dir``."""
        super().__init__(runs_dir / FOLDER, ".html")
