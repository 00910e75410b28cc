"""How the steps of one benchmark in one pair of processes are laid out, and in which order."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.stats import mean, median

#: A turn is about so long: the first steps of it wake threads and fill caches that the other side's turn has emptied.
_TURN_SECONDS = 0.08
#: A step that is longer than this does not feel that, and is a turn of its own.
_LONG_SECONDS = 0.2
#: How long each side is timed in a pair: longer tells hardly more, because pairs differ more than that.
_SIDE_SECONDS = 0.9
_MIN_TURNS, _MIN_LONG_TURNS, _MAX_TURNS = 6, 3, 40
#: A call that is shorter than this is repeated within a timed round, where set-up allows.
_ROUND_NS = 50_000


@dataclass(frozen=True)
class Plan:
    """``turns`` turns a side, of ``dropped`` steps that are not counted and ``steps`` that are."""

    turns: int
    steps: int
    dropped: int
    #: Calls in a timed step.
    iterations: int = 1


def plan_turns(warm_up_ns: Sequence[Sequence[float]], repeatable: bool = True) -> Plan:
    """The plan for a benchmark whose warm-up took so long on each side; both sides get the same.

    It is made for what the sides take on average: a side that became a hundred times slower needs no hundred steps.
    """
    calls_ns = [max(1.0, median(calls[-3:])) for calls in warm_up_ns]
    iterations = math.ceil(_ROUND_NS / min(calls_ns)) if repeatable else 1
    step = mean(calls_ns) * iterations / 1e9
    if step >= _LONG_SECONDS:
        return Plan(max(_MIN_LONG_TURNS, math.ceil(_SIDE_SECONDS / step)), 1, 0, iterations)
    steps = max(2, min(200, round(_TURN_SECONDS / step)))
    dropped = max(1, steps // 6)
    turns = max(_MIN_TURNS, min(_MAX_TURNS, math.ceil(_SIDE_SECONDS / (steps * step))))
    return Plan(turns, steps, dropped, iterations)


def order_turns(turns: int, chance: random.Random) -> str:
    """Whose turn it is (``b`` base, ``h`` head): in blocks of one each, each block in random order.

    Random, because anything regular could be in step with something else on the machine; in blocks, because both
    sides must meet a slow second equally often (randomised blocks of two).
    """
    return "".join(chance.choice(("bh", "hb")) for _ in range(turns))
