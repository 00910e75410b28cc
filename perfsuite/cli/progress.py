"""The line that says what runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from perfsuite.cli.face import tell


@contextmanager
def progress_line() -> Iterator[Callable[[str], object]]:
    """A line on stderr that says what runs: rewritten on a terminal, left out where nobody watches.

    A terminal that is closed meanwhile costs the line and nothing else.
    """
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield lambda text: None
        return

    def show(text: str) -> None:
        with suppress(OSError):  # of a terminal that is gone
            width = os.get_terminal_size(stream.fileno()).columns or 80
            tell(f"\r\x1b[2K{text[: width - 1]}", nl=False)

    try:
        yield show
    finally:
        tell("\r\x1b[2K", nl=False)
