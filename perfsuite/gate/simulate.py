"""Gates by the thousand from process pairs that were recorded once: what would have been decided?

A decision draws pairs at random, with replacement, and looks after each of them like a gate does.  The steps of the
pairs are those that were recorded; a slowdown is planted by making head's steps longer, and the machine can be made
worse than it was.  What is resampled is the pair, as a whole, so what its processes had in common stays together.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfsuite.gate.budget import is_spent
from perfsuite.gate.disturb import NOTHING, Disturbance, factors
from perfsuite.gate.estimate import paired_log_ratio, paired_log_ratios
from perfsuite.gate.judge import RESOLUTION, error_share, judge
from perfsuite.gate.model import PairTrace, Policy
from perfsuite.sequential import multiplier
from perfsuite.stats import median
from perfsuite.strays import EVERY, TIE, critical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: The verdicts that times can give, as :func:`decide` counts them.
OUTCOMES = ("inconclusive", "unchanged", "improved", "regressed")
#: How many pairs are disturbed at once: some ten megabytes of steps.
_BATCH = 4096


@dataclass(frozen=True)
class Tally:
    """What so many decisions came to."""

    decisions: int
    #: How many decisions each verdict of :data:`OUTCOMES` was given in.
    verdicts: Mapping[str, int]
    #: How many pairs a decision took, and how long, on average; and the seconds that 95 % of them stayed within.
    mean_pairs: float
    mean_seconds: float
    most_seconds: float

    def share(self, verdict: str) -> float:
        """The share of decisions with this verdict."""
        return self.verdicts.get(verdict, 0) / self.decisions


def mirrored(trace: PairTrace) -> PairTrace:
    """The same pair with base called head and head called base."""
    return dataclasses.replace(
        trace,
        base_ns=trace.head_ns,
        head_ns=trace.base_ns,
        order=trace.order.translate(str.maketrans("bh", "hb")),
        first="head" if trace.first == "base" else "base",
    )


def simulate(
    traces: Sequence[PairTrace],
    policy: Policy,
    *,
    effect: float = 0.0,
    disturbance: Disturbance = NOTHING,
    decisions: int = 10_000,
    seed: int = 0,
    family: int = 1,
    mirror: bool = True,
) -> Tally:
    """Decisions on pairs drawn from ``traces`` with head made slower by ``effect`` (a share: 0.06 for 6 %).

    Which side's worker is started first alternates from pair to pair, as it does in a gate.  With ``mirror``, for
    traces of two equal sides, a pair that was started the other way round has its sides exchanged (before anything is
    planted), so that the sides differ in nothing but ``effect``.  Without it, only pairs that were started in the
    wanted order are drawn (any, where there are none); that is for traces of two sides that do differ.

    Raises:
        ValueError: there are no traces, or the turns of one of them are no blocks of two, or a step took no time.
    """
    import numpy as np

    if not traces or decisions < 1:
        raise ValueError(f"{decisions} decisions cannot be drawn from {len(traces)} pairs")
    random = np.random.default_rng(seed)
    shape = decisions, policy.max_pairs
    # Whether base's worker is started first in each pair.
    wanted = (random.integers(2, size=(decisions, 1)) + np.arange(policy.max_pairs)) % 2 == 1
    has = np.array([trace.first == "base" for trace in traces])
    if mirror or has.all() or not has.any():
        drawn = random.integers(len(traces), size=shape)
    else:
        drawn = np.where(wanted, random.choice(np.flatnonzero(has), shape), random.choice(np.flatnonzero(~has), shape))
    log_ratios = np.empty(shape)
    place = np.broadcast_to(np.arange(policy.max_pairs) / policy.max_pairs, shape)
    for index, trace in enumerate(traces):
        here = np.nonzero(drawn == index)
        if not len(here[0]):
            continue
        measured = _log_ratios(trace, place[here], policy.max_pairs, disturbance, random)
        # The mirror image of a pair has minus its log-ratio, whatever was done to its steps.
        log_ratios[here] = np.where(wanted[here] == has[index], measured, -measured) if mirror else measured
    log_ratios += math.log1p(effect)
    seconds = np.array([trace.seconds for trace in traces])[drawn]
    return decide(log_ratios, policy, family, seconds)


def _log_ratios(trace: PairTrace, place: Array, pairs: int, disturbance: Disturbance, random: Any) -> Array:
    """What ``len(place)`` copies of the pair say, each with disturbances of its own."""
    import numpy as np

    undisturbed = paired_log_ratio(trace.base_ns, trace.head_ns)
    if disturbance == NOTHING:
        return np.full(len(place), undisturbed)
    steps, turns, is_head = _in_time(trace)
    found = np.empty(len(place))
    for start in range(0, len(place), _BATCH):
        batch = place[start : start + _BATCH]
        disturbed = steps * factors(disturbance, turns, batch, 1 / pairs, random)
        found[start : start + len(batch)] = paired_log_ratios(disturbed, turns, is_head)
    if disturbance.uneven:
        hit = random.random(len(place)) < disturbance.uneven
        found += hit * disturbance.uneven_spread * random.standard_normal(len(place))
    return found


def _in_time(trace: PairTrace) -> tuple[Array, Array, Array]:
    """All steps in the order of time, the number of the turn of each, and whether each turn is head's."""
    import numpy as np

    sides = {"b": iter(trace.base_ns), "h": iter(trace.head_ns)}
    counts = trace.order.count("b"), trace.order.count("h")
    if counts != (len(trace.base_ns), len(trace.head_ns)) or sum(counts) != len(trace.order):
        raise ValueError(f"a pair with {len(trace.base_ns)} and {len(trace.head_ns)} turns has order {trace.order!r}")
    played = [next(sides[letter]) for letter in trace.order]
    steps = np.array([ns for turn in played for ns in turn], dtype=float)
    turns = np.repeat(np.arange(len(played)), [len(turn) for turn in played])
    return steps, turns, np.array([letter == "h" for letter in trace.order])


def decide(log_ratios: Array, policy: Policy, family: int = 1, seconds: Array | None = None) -> Tally:
    """The verdicts of :func:`perfsuite.gate.judge.judge`, looking after each pair of a row, many rows at once.

    Args:
        log_ratios: a row for each decision, ``policy.max_pairs`` columns in the order of time; of every
            second one the same side was started first.
        policy: by what is decided; its ``least_pairs`` and ``seconds`` end a decision as they end a gate's.
        family: how many benchmarks the gate decides on.
        seconds: what each pair takes, in the same shape; without it pairs take no time.
    """
    import numpy as np

    verdicts, pairs = looks(log_ratios, policy, family)
    spent = np.zeros_like(log_ratios) if seconds is None else np.cumsum(seconds, axis=1)
    number = np.arange(1, policy.max_pairs + 1)
    late = is_spent(policy, spent, 0.0 if seconds is None else _medians_so_far(seconds), number)
    begun = np.where(late.any(axis=1), late.argmax(axis=1) + 1, policy.max_pairs)
    verdicts = np.where(pairs <= begun, verdicts, 0)
    pairs = np.minimum(pairs, begun)
    took = np.take_along_axis(spent, pairs[:, None] - 1, axis=1)[:, 0]
    return _tally(np.bincount(verdicts, minlength=len(OUTCOMES)), pairs, took)


def _medians_so_far(seconds: Array) -> Array:
    """For each column the median of the columns up to it, by row."""
    import numpy as np

    return np.stack([np.median(seconds[:, :count], axis=1) for count in range(1, seconds.shape[1] + 1)], axis=1)


def looks(log_ratios: Array, policy: Policy, family: int) -> tuple[Array, Array]:
    """The verdict of each row, as its place in :data:`OUTCOMES`, and after how many pairs it stood."""
    import numpy as np

    alpha, limit = error_share(policy, family), math.log1p(policy.threshold)
    verdicts = np.zeros(len(log_ratios), dtype=int)
    pairs = np.full(len(log_ratios), policy.max_pairs)
    for count in range(policy.min_pairs, policy.max_pairs + 1):
        values = log_ratios[:, :count]
        kept = ~_strays(values)
        groups = [(values[:, start::2], kept[:, start::2]) for start in (0, 1)]
        numbers = np.stack([mask.sum(axis=1) for _, mask in groups])
        means = [(group * mask).sum(axis=1) / mask.sum(axis=1) for group, mask in groups]
        squares = [
            ((group - mean[:, None]) ** 2 * mask).sum(axis=1) for (group, mask), mean in zip(groups, means, strict=True)
        ]
        used = numbers.sum(axis=0)
        middle = sum(means) / 2
        spread = np.maximum(np.sqrt(sum(squares) / (used - 2)), RESOLUTION)
        error = spread * np.sqrt((1 / numbers).sum(axis=0)) / 2
        wide = {n: multiplier(n, alpha, policy.min_pairs, policy.max_pairs, groups=2) for n in np.unique(used).tolist()}
        half = np.vectorize(wide.__getitem__, otypes=[float])(used) * error
        low, high = middle - half, middle + half
        now = np.select([low > limit, high < -limit, (low >= -limit) & (high <= limit)], [3, 2, 1], 0)
        now[used < policy.min_pairs] = 0
        first = (verdicts == 0) & (now > 0)
        verdicts[first], pairs[first] = now[first], count
    return verdicts, pairs


def _strays(values: Array) -> Array:
    """Which values of each row :func:`perfsuite.strays.strays` sets aside, where every second one is of one group."""
    import numpy as np

    rows, count = values.shape
    gone = np.zeros(values.shape, dtype=bool)
    found: Array = gone.copy()
    clear = np.ones(rows, dtype=bool)
    group = np.arange(count) % 2
    for number in range(1, count // EVERY + 1):
        left = count - number + 1
        squared = np.zeros(values.shape)
        total = np.zeros(rows)
        for start in (0, 1):
            here = ~gone & (group == start)
            size = here.sum(axis=1, keepdims=True)
            middle = (values * here).sum(axis=1, keepdims=True) / np.maximum(size, 1)
            squares = np.where(here, (values - middle) ** 2, 0.0)
            total += squares.sum(axis=1)
            squared += np.where(size > 2, squares / (1 - 1 / np.maximum(size, 2)), 0.0)
        farthest = squared.argmax(axis=1)
        second, most = np.partition(squared, -2, axis=1)[:, -2:].T
        spread = np.sqrt(np.maximum(total - most, 0.0) / (left - 3))
        t = np.sqrt(most) / np.maximum(spread, RESOLUTION)
        # A row that has no farthest one has no further strays.
        clear &= second < most * (1 - TIE)
        gone[np.flatnonzero(clear), farthest[clear]] = True
        far = clear & (t > critical(left, left - 3))
        found[far] = gone[far]
    return found


def replay(traces: Sequence[PairTrace], policy: Policy, family: int = 1) -> Tally | None:
    """The decisions of gates that had run on these pairs one after the other, each pair in one of them.

    Nothing is drawn or made up: it is what a gate would have said, if ``traces`` are in the order of time.  Pairs at
    the end that do not suffice for another decision are left out.

    Returns:
        The tally; None where the pairs do not suffice for one decision.
    """
    verdicts: list[int] = []
    pairs: list[int] = []
    took: list[float] = []
    begun = 0
    for end in range(1, len(traces) + 1):
        seen = traces[begun:end]
        seconds = sum(trace.seconds for trace in seen)
        log_ratios = [paired_log_ratio(trace.base_ns, trace.head_ns) for trace in seen]
        judged = judge(log_ratios, policy, family, [trace.first for trace in seen])
        late = is_spent(policy, seconds, median([trace.seconds for trace in seen]), len(seen))
        if judged.decided or late or len(seen) == policy.max_pairs:
            verdicts.append(OUTCOMES.index(judged.verdict))
            pairs.append(len(seen))
            took.append(seconds)
            begun = end
    if not verdicts:
        return None
    import numpy as np

    return _tally(np.bincount(verdicts, minlength=len(OUTCOMES)), np.array(pairs), np.array(took))


def _tally(counts: Array, pairs: Array, seconds: Array) -> Tally:
    import numpy as np

    return Tally(
        decisions=len(pairs),
        verdicts={name: int(count) for name, count in zip(OUTCOMES, counts, strict=True)},
        mean_pairs=float(pairs.mean()),
        mean_seconds=float(seconds.mean()),
        most_seconds=float(np.quantile(seconds, 0.95)),
    )
