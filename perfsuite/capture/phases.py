"""Phases of a step: free of charge while the step is timed, measured in a pass of their own.

One :class:`PhaseRecorder` serves all passes.  Its mode decides what ``with phase("forward"):`` does:
nothing (timing pass), read a clock (phase pass), or open a profiler range (operator and primitive passes).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType

from perfsuite.errors import UsageError


class _Nothing:
    """A context manager that does nothing; one instance serves every phase of every timed step."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


NOTHING = _Nothing()


class _Clock:
    """Times one entry of a phase; the time of phases inside it is theirs and not counted twice."""

    __slots__ = ("_inner_ns", "_name", "_recorder", "_start_ns")

    def __init__(self, recorder: PhaseRecorder, name: str) -> None:
        self._recorder = recorder
        self._name = name
        self._inner_ns = 0
        self._start_ns = 0

    def __enter__(self) -> None:
        self._recorder.open_clocks.append(self)
        self._recorder.current.setdefault(self._name, 0)
        self._start_ns = time.perf_counter_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        elapsed = time.perf_counter_ns() - self._start_ns
        recorder = self._recorder
        if recorder.open_clocks and recorder.open_clocks[-1] is self:  # not if the step ended inside it
            recorder.open_clocks.pop()
        recorder.current[self._name] = recorder.current.get(self._name, 0) + elapsed - self._inner_ns
        if recorder.open_clocks:
            recorder.open_clocks[-1]._inner_ns += elapsed


class PhaseRecorder:
    """What ``profiled.phase`` and :class:`~perfsuite.TrainingStep` report their phases to."""

    def __init__(self) -> None:
        self._make: Callable[[str], AbstractContextManager[None]] | None = None
        self._thread = 0
        #: Exclusive time of each phase in the step that is running, ns.
        self.current: dict[str, int] = {}
        self.open_clocks: list[_Clock] = []

    def phase(self, name: str) -> AbstractContextManager[None]:
        """A context manager for the named phase; on another thread than the step's own it does nothing.

        Raises:
            UsageError: the name is not a non-empty string.
        """
        if self._make is None or threading.get_ident() != self._thread:
            return NOTHING
        if not isinstance(name, str) or not name:
            raise UsageError(f"phase name: expected a non-empty string, found {name!r}")
        return self._make(name)

    @contextmanager
    def clocked(self) -> Iterator[None]:
        """Within the block phases read the clock; :meth:`take` hands out each step's times."""
        with self._mode(lambda name: _Clock(self, name)):
            yield

    @contextmanager
    def ranges(self, make: Callable[[str], AbstractContextManager[None]]) -> Iterator[None]:
        """Within the block a phase is whatever ``make(name)`` opens (a profiler range)."""
        with self._mode(make):
            yield

    def take(self) -> dict[str, int]:
        """The times of the step that just ended, ns by phase in order of first entry."""
        times, self.current = self.current, {}
        self.open_clocks.clear()
        return times

    @contextmanager
    def _mode(self, make: Callable[[str], AbstractContextManager[None]]) -> Iterator[None]:
        previous, self._make = self._make, make
        self._thread = threading.get_ident()
        self.current = {}
        try:
            yield
        finally:
            self._make = previous
