"""What a gate can tell on this host: how often it cries wolf, what it finds, and what that takes.

Everything is from process pairs of equal sides (A/A) that were recorded here, and of sides with a slowdown that was
really built in.  Two kinds of tallies, which the names keep apart: decisions that *replay* the pairs in the order in
which they were recorded, each pair once, are few and real; decisions *drawn* from the pairs with replacement are many,
and know no noise that the pairs do not show.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfsuite.errors import UsageError
from perfsuite.gate.disturb import DISTURBANCES
from perfsuite.gate.draft import MOST_PROFILES
from perfsuite.gate.estimate import paired_log_ratio
from perfsuite.gate.judge import affordable, judge, minimal_detectable
from perfsuite.gate.model import Judgement, PairTrace, Policy
from perfsuite.gate.simulate import Tally, replay, simulate
from perfsuite.records import Environment
from perfsuite.sequential import estimate
from perfsuite.stats import median

#: Version of a stored calibration.  Raised whenever a key is added, removed or changes its meaning.
FORMAT = 1
#: Fewest pairs of equal sides that anything is concluded from: fewer than that hardly show a spread.
FEWEST_PAIRS = 8
#: Slowdowns of the power curve, in thresholds.
CURVE = (0.0, 0.5, 1.0, 4 / 3, 5 / 3, 2.0, 3.0)
#: Plans that are looked at, by how many pairs they end with, as far as the policy has so many: a gate plans no more.
PLANS = (8, 10, 12, 15, 20, 30, 40)
#: What share of A/A decisions must be ``unchanged``, and of slowdowns of two thresholds found, within a good budget.
WANTED = 0.95


@dataclass(frozen=True)
class Alarms:
    """Decisions on equal sides; ``at_most`` is the upper 95 % bound of the rate of false alarms."""

    name: str
    tally: Tally
    #: How many called head ``regressed``, though it is equal.
    alarms: int
    #: One-sided, by Clopper and Pearson.  Of drawn decisions it says nothing of other pairs than those.
    at_most: float
    unchanged: float


@dataclass(frozen=True)
class Found:
    """What becomes of a slowdown by ``effect`` (a share) that was planted in the recorded steps."""

    effect: float
    found: float
    missed: float
    tally: Tally


@dataclass(frozen=True)
class Planned:
    """A plan that ends after ``pairs`` pairs."""

    pairs: int
    #: What it takes where nothing is decided before the end, and on average where the sides are equal.
    seconds: float
    mean_seconds: float
    #: The slowdown that all of its pairs find in 80 % of cases.
    minimal_detectable: float
    #: The share of ``unchanged`` where the sides are equal, and of ``regressed`` where head is two thresholds slower.
    unchanged: float
    found: float


@dataclass(frozen=True)
class Planted:
    """A slowdown that was built into the code, as the gate measured it."""

    #: What was built in, as a share.
    effect: float
    #: From all pairs at once.
    judgement: Judgement
    #: None where the pairs do not suffice for a decision.
    replayed: Tally | None
    drawn: Tally


@dataclass(frozen=True)
class Calibration:
    """What was found out on a host."""

    created: str
    environment: Environment | None
    policy: Policy
    #: Pairs of equal sides: how many; the median of what one takes; the spread of their log-ratios; how much longer
    #: the side takes whose worker was started first (log-ratio, negative where it is faster).
    pairs: int
    pair_seconds: float
    #: What nine of ten pairs take at most.
    slow_pair_seconds: float
    spread: float
    start_effect: float
    #: Real decisions, None where there are too few pairs for one; and drawn ones, by what the machine does meanwhile.
    replayed: Alarms | None
    drawn: tuple[Alarms, ...]
    curve: tuple[Found, ...]
    plans: tuple[Planned, ...]
    #: The slowdown that a budget is recommended for: two thresholds.
    slowdown: float
    #: The budget, profiles among it, with which a plan reaches :data:`WANTED` even if its pairs are slow; None if none
    #: does.  It is for a gate of one benchmark: in a gate of several each needs more pairs.
    recommended_seconds: float | None
    recommended_pairs: int | None
    planted: tuple[Planted, ...]


def calibrate(
    traces: Sequence[PairTrace],
    planted: Mapping[float, Sequence[PairTrace]],
    policy: Policy,
    *,
    created: str,
    environment: Environment | None = None,
    profile_seconds: float = 0.0,
    decisions: int = 2000,
    seed: int = 0,
) -> Calibration:
    """What pairs of equal sides, and of sides with a slowdown built in, say of gates with this policy on this host.

    Args:
        traces: of equal sides, in the order of time.
        planted: by the slowdown that was built into head (a share), in the order of time.
        policy: its pairs are cut to what fits into its seconds beside the profiles.
        created: when, in ISO 8601.
        environment: where.
        profile_seconds: what a gate takes besides to profile a pair; it counts in what a plan takes, and in the budget.
        decisions: how many are drawn for each figure.
        seed: of what is drawn.

    Raises:
        UsageError: there are too few pairs.
    """
    _check(traces, planted)
    # Log-ratios of what was started first to what was started second: equal sides differ in nothing else.
    start_effect, spread, _ = estimate(
        [[paired_log_ratio(trace.base_ns, trace.head_ns) * (-1 if trace.first == "base" else 1) for trace in traces]]
    )
    pair_seconds = median([trace.seconds for trace in traces])
    slow = sorted(trace.seconds for trace in traces)[math.ceil(0.9 * len(traces)) - 1]
    extra = MOST_PROFILES * profile_seconds
    lengths = sorted({min(pairs, policy.max_pairs) for pairs in PLANS})
    # As a gate plans: what profiles take is not there for pairs.
    left = dataclasses.replace(policy, seconds=max(1.0, policy.seconds - extra))
    policy = dataclasses.replace(affordable(left, pair_seconds), seconds=policy.seconds)
    again = replay(traces, policy)
    plans = tuple(_plan(traces, policy, pairs, pair_seconds, extra, spread, decisions, seed) for pairs in lengths)
    good = next((plan for plan in plans if min(plan.unchanged, plan.found) >= WANTED), None)
    return Calibration(
        created=created,
        environment=environment,
        policy=policy,
        pairs=len(traces),
        pair_seconds=pair_seconds,
        slow_pair_seconds=slow,
        spread=spread,
        start_effect=start_effect,
        replayed=None if again is None else _alarms("replayed", again),
        drawn=tuple(
            _alarms(name, simulate(traces, policy, disturbance=disturbance, decisions=decisions, seed=seed))
            for name, disturbance in DISTURBANCES.items()
        ),
        curve=tuple(_found(traces, policy, times * policy.threshold, decisions, seed) for times in CURVE),
        plans=plans,
        slowdown=2 * policy.threshold,
        recommended_seconds=None if good is None else good.pairs * slow + extra,
        recommended_pairs=None if good is None else good.pairs,
        planted=tuple(_planted(effect, pairs, policy, decisions, seed) for effect, pairs in sorted(planted.items())),
    )


def proportion_at_most(hits: int, trials: int, confidence: float = 0.95) -> float:
    """The upper bound of the probability of a hit, one-sided (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934).

    The p with P(B ≤ hits) = 1 − confidence, B ~ Bin(trials, p): a quantile of the beta distribution.  It covers at
    least as often as it says with any number of trials; with no hit among n it is about 3/n at 95 %.

    Raises:
        ValueError: there are no trials, or not so many.
    """
    if not 0 <= hits <= trials or not trials:
        raise ValueError(f"{hits} hits of {trials} trials")
    if hits == trials:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(hits + 1, trials - hits, confidence))


def _check(traces: Sequence[PairTrace], planted: Mapping[float, Sequence[PairTrace]]) -> None:
    if len(traces) < FEWEST_PAIRS:
        raise UsageError(f"a calibration needs {FEWEST_PAIRS} pairs of equal sides or more, there are {len(traces)}")
    for effect, pairs in planted.items():
        if len(pairs) < 3:
            raise UsageError(f"a calibration needs three pairs of a planted slowdown of {effect:.1%}, not {len(pairs)}")


def _alarms(name: str, tally: Tally) -> Alarms:
    alarms = tally.verdicts["regressed"]
    at_most = proportion_at_most(alarms, tally.decisions)
    return Alarms(name, tally, alarms, at_most, tally.share("unchanged"))


def _found(traces: Sequence[PairTrace], policy: Policy, effect: float, decisions: int, seed: int) -> Found:
    tally = simulate(traces, policy, effect=effect, decisions=decisions, seed=seed)
    return Found(effect, tally.share("regressed"), tally.share("unchanged"), tally)


def _plan(
    traces: Sequence[PairTrace],
    policy: Policy,
    pairs: int,
    pair_seconds: float,
    extra: float,
    spread: float,
    decisions: int,
    seed: int,
) -> Planned:
    first = min(policy.min_pairs, pairs)
    plan = dataclasses.replace(policy, min_pairs=first, max_pairs=pairs, seconds=float("inf"))
    same = simulate(traces, plan, decisions=decisions, seed=seed)
    slower = simulate(traces, plan, effect=2 * policy.threshold, decisions=decisions, seed=seed)
    return Planned(
        pairs=pairs,
        seconds=pairs * pair_seconds + extra,
        mean_seconds=same.mean_seconds + extra,
        minimal_detectable=minimal_detectable(pairs, spread, plan),
        unchanged=same.share("unchanged"),
        found=slower.share("regressed"),
    )


def _planted(effect: float, traces: Sequence[PairTrace], policy: Policy, decisions: int, seed: int) -> Planted:
    log_ratios = [paired_log_ratio(trace.base_ns, trace.head_ns) for trace in traces]
    started = [trace.first for trace in traces]
    # One look at all of them, whatever number that is.
    once = dataclasses.replace(policy, min_pairs=len(traces), max_pairs=len(traces))
    return Planted(
        effect=effect,
        judgement=judge(log_ratios, once, started=started if len(set(started)) == 2 else None),
        replayed=replay(traces, policy),
        drawn=simulate(traces, policy, decisions=decisions, seed=seed, mirror=False),
    )
