"""Intervals for a mean that may be looked at after every observation.

Whoever stops as soon as an interval says what he waits for, sees a 95% interval miss far more often than in 5 % of
cases.  These are wider, so that all of a plan's looks together miss in at most 5 %: repeated confidence intervals
(C. Jennison and B. W. Turnbull, Repeated confidence intervals for group sequential clinical trials, Controlled
Clinical Trials 5, 1984; Interim analyses: the repeated confidence interval approach, J. R. Statist. Soc. B 51, 1989;
Group Sequential Methods with Applications to Clinical Trials, 2000, chapter 9; t statistics: its section 4.4).

A plan is ``alpha``, ``first`` and ``last``: which probability all looks together may err with, and after how many
observations the first and the last look are.  Stopping earlier, for whatever reason, errs less.

With ``groups`` = 2 the observations alternate between two groups that may differ by any constant, and what is wanted
is the mean of the two groups' means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from perfsuite.stats import mean, student_t_quantile

#: Between the constant level of S. J. Pocock (Biometrika 64, 1977; shape ½) and that of P. C. O'Brien and T. R.
#: Fleming (Biometrics 35, 1979; shape 0) in the family of S. K. Wang and A. A. Tsiatis (Biometrics 43, 1987).
SHAPE = 0.25
#: Simulated plans, and fewest of them beyond the critical value that it is read from.
_PATHS, _CHUNK, _FEWEST = 800_000, 20_000, 100
_SEED = 20_000


def estimate(groups: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """The mean of the groups' means; the standard deviation within groups; the standard error by unit of it.

    √(Σ(x − mean of its group)²/(n − g)) of n values in g groups, and √Σ(1/n of the group)/g: least squares with a
    constant for each group.  Of one group it is the mean, the standard deviation (ddof 1) and 1/√n.  The order of the
    values in a group makes no difference, not even in the last digit.

    Raises:
        ValueError: a group is empty, or there are no more values than groups.
    """
    freedom = sum(map(len, groups)) - len(groups)
    if freedom < 1 or not all(groups):
        raise ValueError("no spread within groups of so few values")
    means = [mean(group) for group in groups]
    squares = [(value - middle) ** 2 for group, middle in zip(groups, means, strict=True) for value in group]
    unit = math.sqrt(math.fsum(1 / len(group) for group in groups)) / len(groups)
    return mean(means), math.sqrt(math.fsum(squares) / freedom), unit


def multiplier(count: int, alpha: float, first: int, last: int, groups: int = 1) -> float:
    """How many standard errors the interval estimate ± multiplier·error reaches to either side after ``count`` values.

    The intervals at all looks of the plan hold the true mean at once with probability 1 − alpha, if the observations
    are independent and normal, but for the constant of their group.

    It is the t with z(t, f) = C·(last/count)^(½ − SHAPE), where f = count − groups are the degrees of freedom, z(t, f)
    = √(f·ln(1 + t²/f))·(8f + 1)/(8f + 3) turns Student's t into a nearly standard normal variable (D. L. Wallace,
    Annals of Mathematical Statistics 30, 1959) and C is :func:`critical_value`.  So the first looks, whose few values
    show least what kind of noise there is, are far stricter than the last one.  That z is not quite normal costs
    nothing, since C is found for this very z.

    Before the first look, where a plan decides nothing, it is the quantile of Student's interval for that many
    observations: right for who had to give up there, for reasons that have nothing to do with what was observed.

    Raises:
        ValueError: ``count`` leaves no degree of freedom or is beyond the plan, or there is no such plan.
    """
    check_plan(alpha, first, last, groups)
    if not groups < count <= last:
        raise ValueError(f"no interval from {count} observations in a plan for {last}")
    freedom = count - groups
    if count < first:
        return student_t_quantile(1 - alpha / 2, freedom)
    z = critical_value(alpha, first, last, groups) * (last / count) ** (0.5 - SHAPE)
    return math.sqrt(freedom * math.expm1((z / _stretch(freedom)) ** 2 / freedom))


@cache
def critical_value(alpha: float, first: int, last: int, groups: int = 1) -> float:
    """C, which max over the looks n of z(t_n, n − groups)·(n/last)^(½ − SHAPE) exceeds with probability ``alpha``.

    How t_first … t_last are distributed together depends on neither the means nor the variance of the observations, so
    simulated normal ones tell: C is an order statistic of 800 000 simulated plans.  Not the likeliest one, but the one
    that is two standard deviations of the Monte Carlo error to the strict side: at alpha = 5 % the looks err in 4.9 to
    5 % of cases, at 0.25 % in 0.22 to 0.25 %.  Numpy does not promise the same random numbers in each version; with
    others C changes by less than a per cent.

    Below alpha = 0.0125 %, where too few of the simulated plans are beyond C, each look gets an equal part of alpha
    (Bonferroni), which is stricter than it needs to be.  A plan of one look needs no simulation: C is the quantile.

    Raises:
        ValueError: there is no such plan.
    """
    check_plan(alpha, first, last, groups)
    looks = range(first, last + 1)
    if first == last or alpha * _PATHS < _FEWEST:
        tail = alpha / (2 * len(looks))
        quantiles = {n: student_t_quantile(1 - tail, n - groups) for n in looks}
        return max(_z(t, n - groups) * math.pow(n / last, 0.5 - SHAPE) for n, t in quantiles.items())
    import numpy as np

    beyond = alpha * _PATHS
    rank = math.floor(beyond - 2 * math.sqrt(beyond * (1 - alpha)))
    random = np.random.default_rng(_SEED)
    largest = np.zeros(_PATHS)
    for start in range(0, _PATHS, _CHUNK):
        sums, squares = np.zeros((groups, _CHUNK)), np.zeros(_CHUNK)
        best = largest[start : start + _CHUNK]
        for n in range(1, last + 1):
            values = random.standard_normal(_CHUNK)
            sums[(n - 1) % groups] += values
            squares += values * values
            if n < first:
                continue
            counts = np.array([(n - group + groups - 1) // groups for group in range(groups)])
            within = squares - (sums * sums / counts[:, None]).sum(axis=0)
            # t²/f, where f is n − groups: the estimate squared ÷ its unit of error squared ÷ the squares within.
            t_squared = (sums / counts[:, None]).sum(axis=0) ** 2 / ((1 / counts).sum() * within)
            weight = (n - groups) * _stretch(n - groups) ** 2 * (n / last) ** (1 - 2 * SHAPE)
            np.maximum(best, np.log1p(t_squared) * weight, out=best)
    squared = float(np.partition(largest, _PATHS - rank)[_PATHS - rank])
    return math.sqrt(squared)


def _z(t: float, freedom: int) -> float:
    return _stretch(freedom) * math.sqrt(freedom * math.log1p(t * t / freedom))


def _stretch(freedom: int) -> float:
    return (8 * freedom + 1) / (8 * freedom + 3)


def check_plan(alpha: float, first: int, last: int, groups: int = 1) -> None:
    """Refuse what is no plan.

    Raises:
        ValueError: ``alpha`` is not within (0, 1), there are not one or two groups, the first look leaves no degree of
            freedom, or the last look is before the first.
    """
    if not 0 < alpha < 1 or groups not in (1, 2) or not groups < first <= last:
        raise ValueError(f"no plan errs with {alpha!r} at looks from {first!r} to {last!r} values in {groups!r} groups")
