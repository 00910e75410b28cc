"""A benchmark while the gate is at it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from perfsuite.gate.attribute import attribute, compare
from perfsuite.gate.budget import is_spent
from perfsuite.gate.census import CensusRules, judge_census
from perfsuite.gate.judge import affordable, in_words, judge
from perfsuite.gate.merge import merge
from perfsuite.gate.minority import minority_note
from perfsuite.gate.model import SIDES, BenchmarkResult, Judgement, PairTrace, Policy
from perfsuite.records import Profile, Samples
from perfsuite.stats import mean, median

#: How many pairs are profiled whatever the clock says: what differs between them is no property of the code.
CENSUS_PAIRS = 2
#: And how many where there may be something to explain, and where there is: an interval needs some.
MOST_PROFILES, _EXPLAINED = 4, 3
#: Pairs in a row that failed before a benchmark is given up.
_FAULTS = 2


@dataclass
class Draft:
    """What is known of a benchmark so far.

    It is *settled* where it is judged without times (missing, incomparable); *decided* as soon as its times have a
    verdict, which nothing that happens later takes away; *spent* where there is no time, or no plan, for another timed
    pair.  It is *open* as long as it needs another pair: for times, for the census, or to explain what was decided.  It
    is *finished* when further pairs would only say more of a verdict that stands.
    """

    name: str
    #: By side, where it is (:attr:`perfsuite.gate.messages.Listed.place`).
    places: Mapping[str, str]
    policy: Policy
    #: How many benchmarks the gate judges at once.
    family: int
    timed: bool = True
    #: Whether processes are profiled, for a census and to explain a change.
    census: bool = True
    pairs: list[PairTrace] = field(default_factory=list)
    profiles: list[Mapping[str, Profile]] = field(default_factory=list)
    seconds: float = 0.0
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Pairs in a row in which a worker failed otherwise than while it was profiled.
    faults: int = 0
    #: Whether its profile is being taken: what fails then takes no times away.
    profiling: bool = False
    #: ``missing`` or ``incomparable``; None where it is not settled.
    settled: str | None = None
    judgement: Judgement | None = None
    spent: bool = False
    #: It is decided, and pairs that were to explain it came to nothing.
    unexplained: bool = False
    #: The policy before it was known what a pair takes.
    _asked: Policy = field(init=False)
    #: What each pair took, profiles apart; pairs that came to nothing are among them.
    _costs: list[float] = field(init=False, default_factory=list)
    _profiling: float = field(init=False, default=0.0)
    #: How many of ``pairs`` know what they took.
    _charged: int = field(init=False, default=0)
    #: Pairs since it was spent, which are for the census alone.
    _overtime: int = field(init=False, default=0)
    #: Why a worker failed last, and why a pair came to nothing otherwise.
    _fault: str | None = field(init=False, default=None)
    _mishap: str | None = field(init=False, default=None)
    #: Profiles in a row that failed, and why no more of them are taken.
    _profile_faults: int = field(init=False, default=0)
    _unprofiled: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._asked = self.policy

    # --- its state ---------------------------------------------------------------------------------

    @property
    def decided(self) -> bool:
        """Whether its times have decided."""
        return self.judgement is not None and self.judgement.decided

    @property
    def wants_times(self) -> bool:
        """Whether another pair is to be timed."""
        return self.timed and not self.decided and not self.spent

    @property
    def lacks_census(self) -> bool:
        """Whether fewer processes were profiled than a census is from."""
        return self._is_profiled and len(self.profiles) < CENSUS_PAIRS

    @property
    def lacks_explanation(self) -> bool:
        """Whether it changed, and fewer were profiled than it takes to say why."""
        changed = self.judgement is not None and self.judgement.verdict in ("regressed", "improved")
        return changed and self._is_profiled and len(self.profiles) < _EXPLAINED

    @property
    def _is_profiled(self) -> bool:
        return self.census and self._unprofiled is None

    @property
    def open(self) -> bool:
        """Whether it needs another pair."""
        if self.settled is not None or self.unexplained:
            return False
        if self.spent:
            # A budget is for the clock; a census is from two processes a side all the same, if one can be taken.
            failing = self._fault is not None and not self.profiles
            return self.lacks_census and self._overtime < CENSUS_PAIRS and not failing
        return self.wants_times or self.lacks_census or self.lacks_explanation

    @property
    def finished(self) -> bool:
        """Whether it has its verdict."""
        return self.settled is not None or self.decided or (self.timed and self.spent) or not self.open

    def wants_profile(self) -> bool:
        """Whether this pair is to be profiled: for the census, or because there may be something to explain."""
        if self.lacks_census:
            return True
        if not self._is_profiled or not self.pairs or len(self.profiles) >= MOST_PROFILES:
            return False
        estimate = abs(mean([pair.log_ratio for pair in self.pairs]))
        return estimate > math.log1p(self.policy.threshold) / 2

    # --- what happens to it ------------------------------------------------------------------------

    def add(self, trace: PairTrace) -> None:
        """Judge anew, with the times of another pair."""
        self.pairs.append(trace)
        self.judgement = judge(
            [pair.log_ratio for pair in self.pairs], self.policy, self.family, [pair.first for pair in self.pairs]
        )

    def spend(self, seconds: float, profiling: float = 0.0) -> None:
        """Count what a pair took, ``profiling`` of it for profiles; close what cannot afford another.

        How many pairs there is time for is found out before the first look, by what has nothing to do with what was
        seen; from then on the plan stays as it is.
        """
        self.seconds += seconds
        self._profiling += profiling
        self._costs.append(max(1e-6, seconds - profiling))
        if len(self.pairs) > self._charged:
            self.pairs[-1] = replace(self.pairs[-1], seconds=self._costs[-1])
            self._charged = len(self.pairs)
        if self.spent:
            self._overtime += 1
            return
        each = median(self._costs)
        profile = self._profiling / len(self.profiles) if self.profiles else 0.0
        if self.timed and len(self.pairs) < self._asked.min_pairs:
            left = max(1.0, self._asked.seconds - MOST_PROFILES * profile)
            self.policy = replace(affordable(replace(self._asked, seconds=left), each), seconds=self._asked.seconds)
        another = each + (profile if self.wants_profile() else 0.0)
        late = bool(is_spent(self.policy, self.seconds, another, len(self._costs)))
        self.spent = late or len(self.pairs) >= self.policy.max_pairs

    def note(self, *sentences: str) -> None:
        """Keep what has not been said before."""
        self.notes += [one for one in dict.fromkeys(sentences) if one not in self.notes]

    def settle(self, verdict: str, reason: str) -> None:
        """End it without a judgement; where its times have decided, that stands, and nothing more is found out."""
        if self.decided:
            self.unexplained = True
            self.note(f"after it was decided, no further pair could explain it: {reason}")
        else:
            self.settled = verdict
            self.reasons.append(reason)

    def profiled(self, profiles: Mapping[str, Profile]) -> None:
        """Keep the profiles of a pair, by side."""
        self.profiles.append(profiles)
        self.profiling = False
        self._profile_faults = 0

    def unprofiled(self, reason: str) -> None:
        """Give its profiles up; its times are judged all the same."""
        self._unprofiled = self._unprofiled or reason
        if self.decided:
            self.settle("incomparable", reason)
        else:
            self.note(f"it is not profiled any more: {reason}")

    def succeeded(self) -> None:
        """A pair came to its end: only faults that follow each other give a benchmark up."""
        self.faults = 0

    def failed(self, reason: str, *, timed: bool = False) -> None:
        """A worker failed in a pair; after some in a row the benchmark is given up, or its profiles if it was profiled.

        ``timed`` says that this was after the pair's times had been taken, which are good.
        """
        self._fault = reason
        if self.profiling and self.timed:
            self._profile_faults += 1
            if self._profile_faults >= _FAULTS:
                return self.unprofiled(reason)
        else:
            self.faults += 1
            if self.faults >= _FAULTS:
                return self.settle("incomparable", reason)
        self._tell(reason, timed)

    def suspended(self, reason: str, *, timed: bool = False) -> None:
        """The machine was suspended in a pair, through no fault of its workers; ``timed`` as for :meth:`failed`."""
        self._mishap = reason
        self._tell(reason, timed)

    def _tell(self, reason: str, timed: bool) -> None:
        self.note(f"after a pair was timed, {reason}" if timed else f"a pair was thrown away: {reason}")

    # --- what comes of it --------------------------------------------------------------------------

    def result(self, rules: CensusRules | None) -> BenchmarkResult:
        """What is known, judged; without rules there is no census."""
        seen = bool(self.pairs or self.profiles)
        if self.settled is None and not seen and (self._fault is not None or not self.timed):
            # There was no time for another try, and what fails is no matter of noise; or nobody looked at all.
            self.settle("incomparable", self._fault or self._mishap or "no process could be profiled")
        verdict = self.settled
        if verdict is None and self.timed:
            verdict = self.judgement.verdict if self.judgement is not None else "inconclusive"
        if verdict == "unchanged":
            self.note(*filter(None, [minority_note(self.pairs, self.policy, self.family)]))
        if self.settled is None and rules is not None and self.census and not self.profiles:
            verdict = self._uncounted(verdict, rules)
        plain = BenchmarkResult(
            self.name,
            verdict,
            self.policy,
            self.judgement if self.settled is None else None,
            tuple(self.pairs),
            self.seconds,
            tuple(self.reasons),
            tuple(self.notes),
        )
        return plain if self.settled or not self.profiles or rules is None else _explained(plain, self.profiles, rules)

    def _uncounted(self, verdict: str | None, rules: CensusRules) -> str | None:
        """The verdict where no process could be profiled: a rule may be broken, so nothing may seem to pass."""
        why = self._unprofiled or self._fault or self._mishap or "no process was profiled"
        if verdict == "regressed":
            self.note(f"its operators are not known, since no process could be profiled: {why}")
        elif self.judgement is None or not rules.forbid_anything:
            self.note(f"there is no census of it: {why}")
        else:
            self.reasons.append(
                f"no census could be taken: {why}; by time alone it is {verdict}, {in_words(self.judgement)}, which is "
                "what counts with --no-census, or passes='timing' in its marker"
            )
            return "incomparable"
        return verdict


def _explained(plain: BenchmarkResult, profiles: list[Mapping[str, Profile]], rules: CensusRules) -> BenchmarkResult:
    """With the census, and with what explains a change of the time."""
    times = {
        "base": tuple(pair.base_median_ns for pair in plain.pairs),
        "head": tuple(pair.head_median_ns for pair in plain.pairs),
    }
    base, head = (
        replace(
            merge([one[side] for one in profiles]),
            name=plain.name,
            samples=Samples(times[side]) if times[side] else None,
        )
        for side in SIDES
    )
    judgement = plain.judgement
    diff = compare(
        base,
        head,
        judgement.ratio if judgement else None,
        judgement.interval if judgement else None,
        plain.policy.confidence,
        len(plain.pairs),
    )
    changed = plain.verdict in ("regressed", "improved")
    return replace(
        plain,
        base=base,
        head=head,
        diff=diff,
        census=judge_census(diff, base, head, rules, len(profiles)),
        attribution=attribute(diff, base, head, plain.verdict == "regressed") if changed else None,
    )
