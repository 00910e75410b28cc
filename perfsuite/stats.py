"""Numbers in, numbers out.

Formulae carry their source and what they do with few samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """The sample median; the mean of the two middle values when their number is even.

    Raises:
        ValueError: ``values`` is empty.
    """
    if not values:
        raise ValueError("the median of no values")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean, summed exactly (``math.fsum``).

    Raises:
        ValueError: ``values`` is empty.
    """
    if not values:
        raise ValueError("the mean of no values")
    return math.fsum(values) / len(values)


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """A distribution-free interval for the median, from order statistics.

    The interval [x(k), x(n+1−k)] covers the median with probability 1 − 2·P(B ≤ k−1), B ~ Bin(n, ½); k is
    the largest that still reaches ``confidence`` (Conover, Practical Nonparametric Statistics, 3rd ed.,
    §3.2).  It assumes independent samples: steps of one process are not quite, so it describes this
    process and not the next one.

    Returns:
        The interval, or None where n is too small for any pair of order statistics to reach
        ``confidence`` (n < 6 at 95 %).
    """
    n = len(values)
    tail = (1 - confidence) / 2
    below = 0.0
    rank = 0
    for k in range(1, n // 2 + 1):
        below += math.comb(n, k - 1) * 0.5**n if n < 1000 else _binomial_half(n, k - 1)
        if below > tail:
            break
        rank = k
    if not rank:
        return None
    ordered = sorted(values)
    return ordered[rank - 1], ordered[n - rank]


def _binomial_half(n: int, k: int) -> float:
    # 0.5**n underflows near n = 1075, and the integers get long well before.
    return math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))
