"""Warm up until stable; time steps where pytest-benchmark does not."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from perfsuite.capture.children import await_children
from perfsuite.capture.step import Step
from perfsuite.records import Samples
from perfsuite.stats import MEDIAN_INTERVAL_SAMPLES

#: A step has settled when the best of the latest calls is within this share of the best before them.
SETTLED = 0.02
#: How many calls in a row must bring nothing new.
WINDOW = 3
MAX_CALLS = 100
MAX_SECONDS = 10.0

#: A timed round is at least this long: a thousand times what reading the clock costs.
_ROUND_NS = 100_000


@dataclass(frozen=True)
class WarmUp:
    """How the warm-up went; ``settled`` is False if it ran out of calls or time first."""

    calls_ns: tuple[int, ...]
    settled: bool
    #: Processes that this one had started and that still worked when it was over.
    busy: tuple[str, ...] = ()


def warm_up(
    step: Step,
    clock: Callable[[], int] = time.perf_counter_ns,
    rest: Callable[[], tuple[str, ...]] = await_children,
) -> WarmUp:
    """Call the step until its running minimum stops falling.

    The minimum, because on a busy machine single calls are slow for reasons of their own; it falls while
    caches, allocator, JIT kernels and thread pools are still filling, and then it does not.  The first call
    does not count against ``MAX_SECONDS``: it may compile for a minute and say nothing of the next.

    After the first call it waits until the processes that this one has started come to rest (``rest``, see
    :mod:`perfsuite.capture.children`).
    """
    calls = [_timed(step, clock)]
    busy = rest()
    while True:
        calls.append(_timed(step, clock))
        if len(calls) > WINDOW and min(calls[-WINDOW:]) >= (1 - SETTLED) * min(calls[:-WINDOW]):
            return WarmUp(tuple(calls), True, busy)
        if len(calls) >= MAX_CALLS or sum(calls[1:]) > MAX_SECONDS * 1e9:
            return WarmUp(tuple(calls), False, busy)


def time_steps(
    step: Step,
    *,
    min_rounds: int = MEDIAN_INTERVAL_SAMPLES,
    max_seconds: float = 1.0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Samples:
    """Time rounds for ``max_seconds``, and at least ``min_rounds`` of them.

    A call that is short for the clock is repeated within a round; not if it needs set-up, which a round cannot hold.
    """
    first = max(1, _timed(step, clock))
    repeatable = step.setup is None and step.teardown is None
    iterations = math.ceil(_ROUND_NS / first) if repeatable else 1
    rounds: list[int] = []
    total = 0
    while len(rounds) < min_rounds or total < max_seconds * 1e9:
        rounds.append(_timed(step, clock, iterations))
        total += rounds[-1]
    return Samples(tuple(rounds), iterations)


def time_turn(
    step: Step, count: int, iterations: int = 1, clock: Callable[[], int] = time.perf_counter_ns
) -> tuple[int, ...]:
    """Time ``count`` rounds of ``iterations`` calls, one after the other; ns by round.

    Python's collector of cycles waits until the turn is over: when it comes depends on what else was allocated.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return tuple(_timed(step, clock, iterations) for _ in range(count))
    finally:
        if collecting:
            gc.enable()


def _timed(step: Step, clock: Callable[[], int], iterations: int = 1) -> int:
    with step.ready() as call:
        start = clock()
        for _ in range(iterations):
            call()
        return clock() - start
