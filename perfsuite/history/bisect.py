"""Which commit made a benchmark slower, where every process says something else.

``git bisect`` believes what it measures; here a commit is called good or bad only if that is sure.

What is compared: a commit with the good end, in pairs of fresh processes that run one after the other, the good end
first in every second pair.  A pair has one thing to say, the log-ratio of its two values: what drifts slowly meets
both, and what the order does to a pair cancels between pairs.

The cut: the two ends are compared first, until the interval of their log-ratio D lies above half of its estimate d.
Then d/2, the level halfway between them, is surely above the good end and below the bad one.  A commit is bad if the
interval of its log-ratio to the good end lies above d/2, good if it lies below, and inconclusive after the last pair.

How sure that is: before the first pair it is fixed how many decisions there can be: the ends, ⌈log₂ n⌉ halvings of n
steps, :data:`SPARE` for inconclusive ones, and the answer itself: K in all.  Each has a 1/K part of the error that all
may have (Bonferroni), and its intervals may be looked at after each pair (:mod:`perfsuite.sequential`, by
:func:`perfsuite.gate.judge.judge`, which sets pairs far from all others aside, one of eight at most).  So with
probability ``confidence`` all intervals of all decisions hold what they are for, if the log-ratios of a commit are
independent and about normal; then no commit below the cut was called bad and none above it good, whatever the number of
halvings, and the level does cross the cut after the last commit that was called good and not after the first one that
was called bad.

What it cannot say, it does not: an inconclusive commit, as one whose level is the cut itself, and one that cannot be
measured stay among the suspects; the answer is then a range.  Where the level crosses the cut several times, as where
a slowdown was mended and came back, one of the crossings is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from perfsuite.errors import PerfsuiteError
from perfsuite.gate.judge import judge
from perfsuite.gate.model import Judgement, Policy
from perfsuite.history.asv_files import HistoryError
from perfsuite.history.model import Commit

#: How many inconclusive commits are made up for by trying others.
SPARE = 2
#: The verdicts on a commit.
GOOD, BAD, INCONCLUSIVE, UNMEASURED = "good", "bad", "inconclusive", "not measured"


@dataclass(frozen=True)
class BisectOptions:
    """How sure, and how many pairs of processes a decision may take."""

    confidence: float = 0.95
    min_pairs: int = 4
    max_pairs: int = 16


@dataclass(frozen=True)
class Decision:
    """What was found of a commit."""

    commit: Commit
    #: :data:`GOOD`, :data:`BAD`, :data:`INCONCLUSIVE` or :data:`UNMEASURED`.
    verdict: str
    #: Of the commit to the good end; None where it was not measured.
    judgement: Judgement | None = None
    #: Why it could not be measured.
    reason: str | None = None


@dataclass(frozen=True)
class Bisection:
    """What a bisection has found."""

    benchmark: str
    good: Commit
    bad: Commit
    #: Of the bad end to the good one.
    whole: Judgement
    #: The last commit that is surely below the cut.
    last_good: Commit
    #: In their order: the first one above the cut is one of them.  Empty where it is not sure that there is any.
    suspects: tuple[Commit, ...]
    decisions: tuple[Decision, ...] = ()
    #: Of the first bad commit to the last good one, where there is one suspect.
    step: Judgement | None = None
    confidence: float = 0.95
    #: How many processes ran.
    processes: int = 0

    @property
    def first_bad(self) -> Commit | None:
        """The first bad commit; None where several may be it."""
        return self.suspects[0] if len(self.suspects) == 1 else None

    @property
    def part(self) -> float | None:
        """Which part of the whole slowdown is the first bad commit's, on the logarithm; None if that is not known."""
        if self.step is None or self.step.ratio is None or self.whole.ratio is None or self.whole.ratio <= 1:
            return None
        return math.log(self.step.ratio) / math.log(self.whole.ratio)


def bisect(
    benchmark: str,
    good: Commit,
    bad: Commit,
    between: Sequence[Commit],
    measure: Callable[[Commit], float],
    options: BisectOptions | None = None,
    tell: Callable[[Decision], object] = lambda decision: None,
    progress: Callable[[str], object] = lambda text: None,
) -> Bisection:
    """Find the first bad commit, or the fewest commits that it is among.

    Args:
        benchmark: what is measured, for the record.
        good: a commit before it became slower.
        bad: one after that.
        between: the commits between the two that can be measured, in their order.
        measure: the benchmark's value of a commit, in a fresh process; lower is better.  A
            :class:`~perfsuite.errors.PerfsuiteError` says that the commit cannot be measured.
        options: how sure.
        tell: called with each decision when it is made.
        progress: called with what is measured now.

    Raises:
        PerfsuiteError: one of the ends cannot be measured.
        HistoryError: a value is not a positive number.
    """
    options = options or BisectOptions()
    stops = [good, *between, bad]
    halvings = math.ceil(math.log2(len(stops) - 1))
    # With nothing between there is nothing to decide but whether there is a difference.
    decisions = 1 + (halvings + SPARE + 1 if between else 0)
    pairs = _Pairs(measure, options, decisions, progress)
    whole = pairs.compare(good, bad)
    if not _is_clear(whole, options):
        # Slower, but by how much is not known well enough to halve it: then it may be any of them.
        any_of_them = tuple(stops[1:]) if whole.verdict == "regressed" else ()
        return Bisection(benchmark, good, bad, whole, good, any_of_them, (), None, options.confidence, pairs.processes)
    cut = math.log(whole.ratio or 1.0) / 2
    low, high, taken = _search(stops, cut, halvings + SPARE, pairs, tell)
    suspects = tuple(stops[low + 1 : high + 1])
    step = None
    if len(suspects) == 1:
        step = pairs.compare(stops[low], stops[high]) if between else whole
    return Bisection(
        benchmark, good, bad, whole, stops[low], suspects, taken, step, options.confidence, pairs.processes
    )


def _search(
    stops: Sequence[Commit], cut: float, budget: int, pairs: _Pairs, tell: Callable[[Decision], object]
) -> tuple[int, int, tuple[Decision, ...]]:
    """The last good stop and the first bad one, as far as they are known, and what was decided."""
    low, high = 0, len(stops) - 1
    taken: list[Decision] = []
    left_out: set[int] = set()
    while budget:
        open_stops = [place for place in range(low + 1, high) if place not in left_out]
        if not open_stops:
            break
        place = min(open_stops, key=lambda one: abs(2 * one - low - high))
        try:
            judgement = pairs.compare(stops[0], stops[place], cut)
        except PerfsuiteError as error:
            decision = Decision(stops[place], UNMEASURED, reason=str(error))
        else:
            budget -= 1
            decision = Decision(stops[place], _side(judgement), judgement)
        taken.append(decision)
        tell(decision)
        if decision.verdict == GOOD:
            low = place
        elif decision.verdict == BAD:
            high = place
        else:
            left_out.add(place)
    return low, high, tuple(taken)


class _Pairs:
    """Pairs of processes, and what they say."""

    def __init__(
        self,
        measure: Callable[[Commit], float],
        options: BisectOptions,
        decisions: int,
        progress: Callable[[str], object],
    ) -> None:
        self._measure = measure
        self._options = options
        self._decisions = decisions
        self._progress = progress
        # A threshold of 0: what is asked is on which side of the cut a commit is, not by how much.
        self._policy = Policy(0.0, options.confidence, options.min_pairs, options.max_pairs)
        self.processes = 0

    def compare(self, base: Commit, head: Commit, cut: float | None = None) -> Judgement:
        """head to base, until it is on one side of the cut; without one, until half of the ratio is surely in it."""
        logs: list[float] = []
        started: list[str] = []
        judgement = Judgement(INCONCLUSIVE)
        while len(logs) < self._options.max_pairs:
            # base head, head base: what the order does cancels.
            turn = ("head", "base") if len(logs) % 2 else ("base", "head")
            self._progress(f"pair {len(logs) + 1} of at most {self._options.max_pairs}: {base.label} and {head.label}")
            values = {side: self._value(base if side == "base" else head) for side in turn}
            logs.append(math.log(values["head"] / values["base"]))
            started.append(turn[0])
            shifted = [one - (cut or 0.0) for one in logs]
            judgement = judge(shifted, self._policy, self._decisions, started)
            if judgement.decided and (cut is not None or _is_clear(judgement, self._options) or _is_faster(judgement)):
                break
        return _shifted(judgement, cut or 0.0)

    def _value(self, commit: Commit) -> float:
        found = self._measure(commit)
        self.processes += 1
        if not 0 < found < math.inf:
            raise HistoryError(f"{commit.label}: {found!r} was measured, and only positive numbers can be compared")
        return found


def _side(judgement: Judgement) -> str:
    return {"regressed": BAD, "improved": GOOD}.get(judgement.verdict, INCONCLUSIVE)


def _is_clear(judgement: Judgement, options: BisectOptions) -> bool:
    """Whether the slowdown is sure, and known well enough that half of it is surely a part of it."""
    if judgement.ratio is None or judgement.interval is None or judgement.process_pairs < options.min_pairs:
        return False
    return 0 < math.log(judgement.ratio) / 2 < math.log(judgement.interval[0])


def _is_faster(judgement: Judgement) -> bool:
    return judgement.verdict == "improved"


def _shifted(judgement: Judgement, by: float) -> Judgement:
    """In terms of the ratio itself."""
    if not by or judgement.ratio is None or judgement.interval is None:
        return judgement
    factor = math.exp(by)
    low, high = judgement.interval
    return replace(judgement, ratio=judgement.ratio * factor, interval=(low * factor, high * factor))
