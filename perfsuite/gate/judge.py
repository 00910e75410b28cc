"""From the log-ratios of process pairs to a verdict.

One interval decides and is shown: an estimate ± :func:`perfsuite.sequential.multiplier` standard errors, at a level
that all looks at all benchmarks of a gate share.  The threshold is symmetric on the logarithm: a slowdown of more than
3 % is a ratio above 1.03, an improvement one below 1/1.03, so that swapping the sides swaps the verdicts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from perfsuite.gate.model import SIDES, Judgement, Policy
from perfsuite.sequential import check_plan, estimate, multiplier
from perfsuite.stats import student_t_quantile
from perfsuite.strays import strays
from perfsuite.units import format_share

#: The least standard deviation of a log-ratio that is believed.  Medians of steps of a few microseconds, read off a
#: clock of whole nanoseconds, can be equal in every pair; that says that they differ by less than the clock shows.
RESOLUTION = 1e-4
#: With how many pairs in all it makes sense to say how many more would decide.
MOST_PAIRS = 1000
#: Which share of slowdowns of the minimal detectable size is found.
POWER = 0.8
#: exp of anything more is no float any more; it comes up where two pairs have a spread of many octaves.
_LARGEST = 700.0


def judge(
    log_ratios: Sequence[float], policy: Policy, family: int = 1, started: Sequence[str] | None = None
) -> Judgement:
    """What the pairs so far say of a benchmark, one of ``family`` that a gate decides on.

    ``regressed`` if the interval lies above 1 + threshold, ``improved`` if below 1/(1 + threshold), ``unchanged`` if
    between the two, else ``inconclusive``.  With fewer than ``policy.min_pairs`` pairs it is ``inconclusive`` in any
    case, and the interval is the one that such pairs would have without further looks.  The intervals of all looks
    at all benchmarks hold the true ratios with probability ``policy.confidence``, if the log-ratios of a benchmark are
    independent and roughly normal; the benchmarks may depend on each other in any way (Bonferroni: each gets an equal
    part of the error).

    Pairs far from all others are set aside, one of eight at most (:mod:`perfsuite.strays`); estimate and interval are
    those of the rest.

    Args:
        log_ratios: log(head ÷ base), one of each pair of processes, in any order.
        policy: its ``seconds`` are not looked at.
        family: how many benchmarks the gate decides on.
        started: which side's worker was started first in each pair, ``base`` or ``head``, where that alternates.  Then
            what the order of the start does to the ratio cancels in the estimate, and is no noise to the interval; it
            costs a degree of freedom.  Before three pairs, or while all were started in one order, there is no verdict.

    Raises:
        ValueError: a log-ratio is not finite; there are more than ``policy.max_pairs``; ``policy`` or ``family`` is
            out of range; ``started`` has another length, or other words in it.
    """
    alpha, count = error_share(policy, family), len(log_ratios)
    if not all(map(math.isfinite, log_ratios)):
        raise ValueError("the log-ratio of a pair is not finite, so a median of its steps is not a positive number")
    if count > policy.max_pairs:
        raise ValueError(f"{count} pairs where the plan ends after {policy.max_pairs}")
    places = _by_start(count, started)
    if count < 2:
        return Judgement("inconclusive", process_pairs=count)
    if count <= len(places) or not all(places):
        places = (range(count),)
    ready = started is None or len(places) == len(SIDES)
    groups = [[log_ratios[place] for place in group] for group in places]
    aside = sorted(places[group][place] for group, place in strays(groups, RESOLUTION))
    groups = [[log_ratios[place] for place in group if place not in aside] for group in places]
    used = count - len(aside)
    middle, spread, unit = estimate(groups)
    spread = max(spread, RESOLUTION)
    half = multiplier(used, alpha, policy.min_pairs, policy.max_pairs, len(groups)) * spread * unit
    ready = ready and used >= policy.min_pairs
    verdict = _verdict(middle, half, math.log1p(policy.threshold)) if ready else "inconclusive"
    further = None if verdict != "inconclusive" else _further_pairs(middle, spread, used, policy, alpha, len(groups))
    return Judgement(
        verdict=verdict,
        ratio=_exp(middle),
        interval=(_exp(middle - half), _exp(middle + half)),
        process_pairs=count,
        minimal_detectable=minimal_detectable(used, spread, policy, family, len(groups)),
        further_pairs=further,
        spread=spread,
        strays=tuple(aside),
    )


def minimal_detectable(count: int, spread: float, policy: Policy, family: int = 1, groups: int = 2) -> float:
    """The true slowdown, as a share, that ``count`` pairs find in 80 % of cases.

    exp(log(1 + threshold) + (c + t)·e) − 1, where e is the standard error of pairs with this ``spread``, half of them
    started in each order (``groups`` = 2), c the half-width in such errors and t the 80 % quantile of Student's t with
    count − groups degrees of freedom.  As ever when a quantile of t is put for that of the noncentral t, a little is
    left out: that the half-width varies from gate to gate.  Looks before the last find some more.
    """
    alpha = error_share(policy, family)
    wide = multiplier(count, alpha, policy.min_pairs, policy.max_pairs, groups)
    wide += student_t_quantile(POWER, count - groups)
    return math.expm1(min(math.log1p(policy.threshold) + wide * spread * _unit(count, groups), _LARGEST))


def affordable(policy: Policy, pair_seconds: float) -> Policy:
    """The same policy with no more pairs than fit into its seconds, if one pair takes ``pair_seconds``.

    A plan for 20 pairs that has time for 13 is wider at its end than a plan for 13.  What a pair takes says nothing
    about which side is slower, so the plan may be made from any pairs before the first look; from then on it must stay
    as it is.

    Raises:
        ValueError: ``pair_seconds`` is not positive.
    """
    if not pair_seconds > 0:
        raise ValueError(f"a pair cannot take {pair_seconds!r} s")
    pairs = max(policy.least_pairs, math.floor(min(policy.seconds / pair_seconds, policy.max_pairs)))
    return dataclasses.replace(policy, max_pairs=max(policy.min_pairs, min(policy.max_pairs, pairs)))


def error_share(policy: Policy, family: int) -> float:
    """The probability that the intervals of one benchmark may err with.

    Raises:
        ValueError: ``policy`` or ``family`` is out of range.
    """
    if family < 1 or not 0 < policy.confidence < 1 or not 0 <= policy.threshold < math.inf:
        raise ValueError(f"no judgement by {policy} on a family of {family}")
    alpha = (1 - policy.confidence) / family
    check_plan(alpha, policy.min_pairs, policy.max_pairs)
    return alpha


def _by_start(count: int, started: Sequence[str] | None) -> Sequence[Sequence[int]]:
    """The places of the pairs that were started in each order; all together where that is not known."""
    if started is None:
        return (range(count),)
    if len(started) != count or not set(started) <= set(SIDES):
        raise ValueError(f"{count} pairs, and which side was started first: {list(started)}")
    return tuple([place for place, side in enumerate(started) if side == wanted] for wanted in SIDES)


def _unit(count: int, groups: int) -> float:
    """The standard error of ``count`` values in alternating groups, by unit of the standard deviation."""
    return math.sqrt(sum(1 / ((count + group) // groups) for group in range(groups))) / groups


def in_words(judgement: Judgement) -> str:
    """``+0.2% (-0.9% to +1.3%)``: by how much head takes longer, and the interval; before two pairs ``not known``."""
    if judgement.ratio is None or judgement.interval is None:
        return "not known"
    change, low, high = (format_share(one - 1, "+") for one in (judgement.ratio, *judgement.interval))
    return f"{change} ({low} to {high})"


def _verdict(middle: float, half: float, limit: float) -> str:
    if middle - half > limit:
        return "regressed"
    if middle + half < -limit:
        return "improved"
    return "unchanged" if -limit <= middle - half and middle + half <= limit else "inconclusive"


def _further_pairs(middle: float, spread: float, count: int, policy: Policy, alpha: float, groups: int) -> int | None:
    """How many more pairs decide if mean and spread stay; beyond the plan's end as wide as there.

    A plan made for more pairs would be a little narrower there, so this is rather too many than too few.
    """
    limit = math.log1p(policy.threshold)
    for pairs in range(max(count + 1, policy.min_pairs), MOST_PAIRS + 1):
        wide = multiplier(min(pairs, policy.max_pairs), alpha, policy.min_pairs, policy.max_pairs, groups)
        if _verdict(middle, wide * spread * _unit(pairs, groups), limit) != "inconclusive":
            return pairs - count
    return None


def _exp(value: float) -> float:
    return math.exp(max(-_LARGEST, min(value, _LARGEST)))
