"""Pages that take long to make and never change, kept beside the runs that they are made of."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from perfsuite.errors import StoreError
from perfsuite.store.files import write_text

#: A folder among those of commits, none of which begins so.
FOLDER = ".pages"


class KeptPages:
    """Pages by what they are made of."""

    def __init__(self, runs_dir: Path) -> None:
        """Beside the runs in ``runs_dir``; the folder is made when the first page is kept."""
        self._folder = runs_dir / FOLDER
        self._used: set[Path] = set()

    def find(self, made_of: Sequence[str]) -> str | None:
        """The page that was kept under this; None if there is none that can be read."""
        path = self._path(made_of)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        self._used.add(path)
        return text

    def keep(self, made_of: Sequence[str], page: str) -> None:
        """Keep a page; where that is not possible it will be made again."""
        path = self._path(made_of)
        with contextlib.suppress(OSError, StoreError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, page)
        self._used.add(path)

    def sweep(self) -> None:
        """Remove the pages that nobody asked for since this was made."""
        for path in self._folder.glob("*.html"):
            if path not in self._used:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _path(self, made_of: Sequence[str]) -> Path:
        digest = hashlib.sha256("\0".join(made_of).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self._folder / f"{digest}.html"
