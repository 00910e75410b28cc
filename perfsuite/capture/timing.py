"""Warm up until stable; time steps where pytest-benchmark does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from perfsuite.capture.step import Step

#: A step has settled when the best of the latest calls is within this share of the best before them.
SETTLED = 0.02
#: How many calls in a row must bring nothing new.
WINDOW = 3
MAX_CALLS = 100
MAX_SECONDS = 10.0


@dataclass(frozen=True)
class WarmUp:
    """How the warm-up went; ``settled`` is False if it ran out of calls or time first."""

    calls_ns: tuple[int, ...]
    settled: bool


def warm_up(step: Step, clock: Callable[[], int] = time.perf_counter_ns) -> WarmUp:
    """Call the step until its running minimum stops falling.

    The minimum, because on a busy machine single calls are slow for reasons of their own; it falls while
    caches, allocator, JIT kernels and thread pools are still filling, and then it does not.  The first call
    does not count against ``MAX_SECONDS``: it may compile for a minute and say nothing of the next.
    """
    calls: list[int] = []
    while True:
        calls.append(_timed(step, clock))
        if len(calls) > WINDOW and min(calls[-WINDOW:]) >= (1 - SETTLED) * min(calls[:-WINDOW]):
            return WarmUp(tuple(calls), settled=True)
        if len(calls) >= MAX_CALLS or sum(calls[1:]) > MAX_SECONDS * 1e9:
            return WarmUp(tuple(calls), settled=False)


def time_steps(
    step: Step,
    *,
    min_rounds: int = 5,
    max_seconds: float = 1.0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[int, ...]:
    """Time single calls for ``max_seconds``, and at least ``min_rounds`` of them, ns."""
    rounds: list[int] = []
    while len(rounds) < min_rounds or sum(rounds) < max_seconds * 1e9:
        rounds.append(_timed(step, clock))
    return tuple(rounds)


def _timed(step: Step, clock: Callable[[], int]) -> int:
    with step.ready() as call:
        start = clock()
        call()
        return clock() - start
