"""Observations so far from all others that they are not of the same kind.

A process can be slower than its like for as long as it lives, by a tenth and more, because of where its memory or its
code happened to lie, or of what the host did then.  One such observation among six makes any interval for the mean
useless.  It is set aside where a test says so that hardly ever errs, and only few are: the generalized extreme
studentized deviate procedure of B. Rosner (Technometrics 25, 1983), on the residuals of groups that may differ by any
constant.  Who uses this says which observations it were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from perfsuite.stats import mean, student_t_quantile

#: The probability that anything at all is set aside of observations that are independent and normal, at each number
#: of strays that is tried.
ALPHA = 0.001
#: At most one of so many.
EVERY = 8
#: Of two that are equally far out but for this share neither is the farthest, whatever their order.
TIE = 1e-9


def strays(groups: Sequence[Sequence[float]], least: float = 0.0) -> list[tuple[int, int]]:
    """Which observations are set aside, as group and place in it; the farthest first.

    The farthest observation is taken away, then the farthest of the rest, and so on up to one of eight; the last of
    them that is too far out by the t test is a stray, and with it those before: two that hide each other are both seen.
    The test is of the externally studentized residual, t = r/(s·√(1 − h)), where s is the standard deviation without
    the observation and h = 1/n of its group, against Student's t with Bonferroni's correction for n observations.

    Args:
        groups: each may have a mean of its own, all have one standard deviation.  Of fewer than three, and of two that
            are equally far out, none is set aside.
        least: the smallest standard deviation that is believed.
    """
    total = sum(map(len, groups))
    left = [dict(enumerate(group)) for group in groups]
    taken: list[tuple[int, int]] = []
    found = 0
    for number in range(1, total // EVERY + 1):
        freedom = total - number + 1 - len(groups)
        t, where = _farthest(left, freedom, least)
        if where is None:
            break
        taken.append(where)
        del left[where[0]][where[1]]
        if t > critical(total - number + 1, freedom - 1):
            found = number
    return taken[:found]


def _farthest(groups: Sequence[dict[int, float]], freedom: int, least: float) -> tuple[float, tuple[int, int] | None]:
    """The largest residual, studentized, and where it is; nowhere if there are too few observations."""
    if freedom < 2:
        return 0.0, None
    residuals = []
    squares = []
    for number, group in enumerate(groups):
        middle = mean(list(group.values())) if group else 0.0
        squares += [(value - middle) ** 2 for value in group.values()]
        if len(group) > 2:  # of two, neither is farther from their mean
            room = 1 - 1 / len(group)
            residuals += [((value - middle) ** 2 / room, number, place) for place, value in group.items()]
    residuals.sort()
    if not residuals or (len(residuals) > 1 and residuals[-2][0] >= residuals[-1][0] * (1 - TIE)):
        return 0.0, None
    squared, number, place = residuals[-1]
    spread = math.sqrt(max(0.0, math.fsum(squares) - squared) / (freedom - 1))
    distance = math.sqrt(squared)
    t = distance / max(spread, least) if max(spread, least) > 0 else math.inf if distance > 0 else 0.0
    return t, (number, place)


@cache
def critical(count: int, freedom: int) -> float:
    """What t of the farthest of ``count`` exceeds with probability :data:`ALPHA` at most (Bonferroni)."""
    return student_t_quantile(1 - ALPHA / (2 * count), freedom)
