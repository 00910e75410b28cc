"""Signals that end a long command."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_like_interrupted() -> Iterator[None]:
    """SIGTERM, by which a CI cancels a job, and SIGHUP, of a terminal that is closed, do what Ctrl-C does.

    So nothing is left behind.  A signal that the caller ignores, as nohup does, stays ignored.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
