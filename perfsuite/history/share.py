"""How sure it is which part of a change is in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfsuite.stats import mean, student_t_quantile, variance


def share_interval(
    part_base: Sequence[float],
    whole_base: Sequence[float],
    part_head: Sequence[float],
    whole_head: Sequence[float],
    confidence: float = 0.95,
) -> tuple[float, float] | None:
    """An interval for what of a difference of means is in a part: (p̄ₕ − p̄_b) ÷ (w̄ₕ − w̄_b).

    Part and whole are of the same processes, so they go together.  Fieller's interval: all ρ for which the means of
    p − ρw of the two sides may be equal (E. C. Fieller, Journal of the Royal Statistical Society B 16, 1954), each
    side with its own variance (ddof 1), and Welch's and Satterthwaite's degrees of freedom at the ratio itself.

    Returns:
        The interval, or None of fewer than two processes a side, and where the whole may not have changed: every
        share would then be possible.
    """
    if len(whole_base) < 2 or len(whole_head) < 2:
        return None
    part, whole = mean(part_head) - mean(part_base), mean(whole_head) - mean(whole_base)
    if whole == 0:
        return None
    ratio = part / whole
    errors = [
        variance([p - ratio * w for p, w in zip(ps, ws, strict=True)]) / len(ws)
        for ps, ws in ((part_base, whole_base), (part_head, whole_head))
    ]
    total = math.fsum(errors)
    freedom = float(min(len(whole_base), len(whole_head)) - 1)
    if total > 0:
        first = errors[0] / total
        freedom = 1 / (first**2 / (len(whole_base) - 1) + (1 - first) ** 2 / (len(whole_head) - 1))
    limit = student_t_quantile((1 + confidence) / 2, max(freedom, 1.0)) ** 2
    sides = ((part_base, whole_base), (part_head, whole_head))
    parts, wholes, both = (
        math.fsum(_covariance(side[i], side[j]) / len(side[0]) for side in sides) for i, j in ((0, 0), (1, 1), (0, 1))
    )
    a, b, c = whole**2 - limit * wholes, part * whole - limit * both, part**2 - limit * parts
    if a <= 0:
        return None
    # At the ratio itself the inequality holds, so below 0 is nothing but rounding.
    spread = math.sqrt(max(b * b - a * c, 0.0))
    return (b - spread) / a, (b + spread) / a


def _covariance(one: Sequence[float], other: Sequence[float]) -> float:
    """With ddof 1; of a sample with itself its variance."""
    middle, centre = mean(one), mean(other)
    return math.fsum((x - middle) * (y - centre) for x, y in zip(one, other, strict=True)) / (len(one) - 1)
