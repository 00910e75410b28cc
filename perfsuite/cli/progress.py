"""What is said of a long command while it runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from perfsuite.cli.face import tell

#: So long nothing is said where nobody watches: a CI ends a job that has printed nothing for some minutes.
_SILENCE_SECONDS = 60.0


@contextmanager
def progress_line() -> Iterator[_Line | _Lines]:
    """A line on stderr that says what runs: rewritten on a terminal; elsewhere a line for what has come about.

    A terminal that is closed meanwhile costs the line and nothing else.
    """
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield _Lines()
        return
    try:
        yield _Line(stream)
    finally:
        tell("\r\x1b[2K", nl=False)


class _Line:
    """One line on a terminal."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream

    def __call__(self, text: str) -> None:
        """Say what runs."""
        from perfsuite.present.cells import clean

        with suppress(OSError):  # of a terminal that is gone
            width = os.get_terminal_size(self._stream.fileno()).columns or 80
            tell(f"\r\x1b[2K{clean(text)[: width - 1]}", nl=False)

    def milestone(self, text: str) -> None:
        """Say what has come about, until the next line: all of it is shown at the end."""
        self(text)


class _Lines:
    """Lines in a log, few of them."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, text: str) -> None:
        """Say what runs, if nothing has been said for long.  Nothing, which clears a terminal's line, is not said."""
        if text and time.monotonic() - self._last >= _SILENCE_SECONDS:
            self.milestone(text)

    def milestone(self, text: str) -> None:
        """Say what has come about."""
        from perfsuite.present.cells import clean

        self._last = time.monotonic()
        tell(f"perfsuite: {clean(text)}")
