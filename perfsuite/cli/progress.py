"""The line that says what runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress_line() -> Iterator[Callable[[str], object]]:
    """A line on stderr that says what runs: rewritten on a terminal, left out where nobody watches."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield lambda text: None
        return

    def show(text: str) -> None:
        width = os.get_terminal_size(stream.fileno()).columns
        click.echo(f"\r\x1b[2K{text[: width - 1]}", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo("\r\x1b[2K", nl=False, err=True)
