"""A machine worse than the one that pairs were recorded on: what is done to each step, as a factor of its time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True)
class Disturbance:
    """What goes wrong while a pair is measured, on top of what did; sides are never looked at.

    Time is counted in turns: the steps of a turn share their luck, and the next turn is most often the other side's.
    """

    #: Short phases in which the machine is ``burst_factor`` times slower: the probability that one begins with a turn,
    #: and how many turns it lasts.
    bursts: float = 0.0
    burst_turns: int = 2
    burst_factor: float = 2.0
    #: How much slower the machine is at the end of a decision of all pairs than at its beginning; and the standard
    #: deviation of what it gets slower or faster by, from the beginning of a pair to its end.
    trend: float = 0.0
    drift: float = 0.0
    #: The standard deviation of a noise from turn to turn, and its correlation from one turn to the next (AR(1)).
    noise: float = 0.0
    correlation: float = 0.0
    #: The share of pairs that are, from a random moment on or up to it, ``slow_factor`` times slower.
    slow: float = 0.0
    slow_factor: float = 2.0
    #: The share of pairs of which one process is slower as a whole, and the standard deviation of by how much
    #: (log-ratio): the one thing here that turns do not cancel, so it costs pairs or a verdict.
    uneven: float = 0.0
    uneven_spread: float = 0.0


NOTHING = Disturbance()
#: By name, what a calibration and the tests try; each is worse than what a shared machine does on a bad day.
DISTURBANCES: Mapping[str, Disturbance] = MappingProxyType(
    {
        "as recorded": NOTHING,
        "bursts": Disturbance(bursts=0.08, burst_turns=2, burst_factor=2.0),
        "drift": Disturbance(trend=0.3, drift=0.1),
        "autocorrelation": Disturbance(noise=0.03, correlation=0.8),
        "slow phase": Disturbance(slow=0.25, slow_factor=2.0),
        "uneven processes": Disturbance(uneven=0.05, uneven_spread=0.1),
    }
)


def factors(disturbance: Disturbance, turns: Array, place: Array, length: float, random: Any) -> Array:
    """What each step's time is multiplied by: a row for each pair, a column for each step.

    Args:
        disturbance: what happens.
        turns: the number of each step's turn, in the order of time, from 0.
        place: when each pair begins, 0 the beginning and 1 the end of a decision with all its pairs.
        length: what part of a whole decision a pair is.
        random: a generator of numpy.
    """
    import numpy as np

    pairs, count = len(place), int(turns[-1]) + 1
    #: From 0 at the beginning of a pair to 1 at its end.
    inside = (np.arange(count) + 0.5) / count
    logs = math.log1p(disturbance.trend) * (place[:, None] + length * inside)
    if disturbance.bursts:
        begins = random.random((pairs, count)) < disturbance.bursts
        hit = begins.copy()
        for later in range(1, disturbance.burst_turns):
            hit[:, later:] |= begins[:, :-later]
        logs = logs + hit * math.log(disturbance.burst_factor)
    if disturbance.drift:
        logs = logs + disturbance.drift * random.standard_normal((pairs, 1)) * (inside - 0.5)
    if disturbance.noise:
        logs = logs + disturbance.noise * _autocorrelated(pairs, count, disturbance.correlation, random)
    if disturbance.slow:
        after = inside > random.random((pairs, 1))
        # From the moment on in half of them, up to the moment in the other half.
        slow = after ^ (random.random((pairs, 1)) < 0.5)
        logs = logs + (slow & (random.random((pairs, 1)) < disturbance.slow)) * math.log(disturbance.slow_factor)
    found: Array = np.exp(logs)[:, turns]
    return found


def _autocorrelated(pairs: int, count: int, correlation: float, random: Any) -> Array:
    """A stationary AR(1) of unit variance along each row."""
    noise: Array = random.standard_normal((pairs, count))
    fresh = math.sqrt(1 - correlation**2)
    for k in range(1, count):
        noise[:, k] = correlation * noise[:, k - 1] + fresh * noise[:, k]
    return noise
