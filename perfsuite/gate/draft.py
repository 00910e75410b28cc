"""A benchmark while the gate is at it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from perfsuite.gate.attribute import attribute, compare
from perfsuite.gate.census import CensusRules, judge_census
from perfsuite.gate.judge import affordable, judge
from perfsuite.gate.merge import merge
from perfsuite.gate.model import BenchmarkResult, Judgement, PairTrace, Policy
from perfsuite.records import Profile, Samples
from perfsuite.stats import mean, median

#: How many pairs are profiled whatever the clock says: what differs between them is no property of the code.
CENSUS_PAIRS = 2
#: And how many where there may be something to explain, and where there is: an interval needs some.
MOST_PROFILES, _EXPLAINED = 4, 3
#: Pairs that failed before a benchmark is given up.
_FAULTS = 2


@dataclass
class Draft:
    """What is known of a benchmark so far."""

    name: str
    nodeids: Mapping[str, str]
    policy: Policy
    #: How many benchmarks the gate judges at once.
    family: int
    timed: bool = True
    pairs: list[PairTrace] = field(default_factory=list)
    profiles: list[Mapping[str, Profile]] = field(default_factory=list)
    seconds: float = 0.0
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    faults: int = 0
    #: ``missing`` or ``incomparable``, where it is settled without times.
    settled: str | None = None
    judgement: Judgement | None = None
    #: Without another pair within its budget.
    spent: bool = False

    def __post_init__(self) -> None:
        #: The policy before it was known what a pair takes.
        self._asked = self.policy
        #: What each pair took, profiles apart; pairs that came to nothing are among them.
        self._costs: list[float] = []
        self._profiling = 0.0
        #: Why a worker failed last.
        self._fault: str | None = None
        #: How many of ``pairs`` know what they took.
        self._charged = 0

    @property
    def decided(self) -> bool:
        """Whether its times have decided."""
        return self.judgement is not None and self.judgement.decided

    @property
    def open(self) -> bool:
        """Whether it needs another pair."""
        if self.settled or self.spent:
            return False
        changed = self.judgement is not None and self.judgement.verdict in ("regressed", "improved")
        if len(self.profiles) < (_EXPLAINED if changed else CENSUS_PAIRS):
            return True
        return self.timed and not self.decided

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
        each = median(self._costs)
        profile = self._profiling / len(self.profiles) if self.profiles else 0.0
        if self.timed and len(self.pairs) < self._asked.min_pairs:
            left = max(1.0, self._asked.seconds - MOST_PROFILES * profile)
            self.policy = replace(affordable(replace(self._asked, seconds=left), each), seconds=self._asked.seconds)
        then = self.seconds + each + (profile if self.wants_profile() else 0.0)
        late = then > self.policy.seconds and len(self._costs) >= self.policy.least_pairs
        self.spent = late or len(self.pairs) >= self.policy.max_pairs

    def wants_profile(self) -> bool:
        """Whether this pair is to be profiled: for the census, or because there may be something to explain."""
        if len(self.profiles) < CENSUS_PAIRS:
            return True
        if not self.pairs or len(self.profiles) >= MOST_PROFILES:
            return False
        estimate = abs(mean([pair.log_ratio for pair in self.pairs]))
        return estimate > math.log1p(self.policy.threshold) / 2

    def note(self, *sentences: str) -> None:
        """Keep what has not been said before."""
        self.notes += [one for one in sentences if one not in self.notes]

    def settle(self, verdict: str, reason: str) -> None:
        """End it without a judgement."""
        self.settled = verdict
        self.reasons.append(reason)

    def failed(self, reason: str, *, timed: bool = False) -> None:
        """A worker failed in a pair; after some the benchmark is given up.

        ``timed`` says that this was after the pair's times had been taken, which are good.
        """
        self.faults += 1
        self._fault = reason
        if self.faults >= _FAULTS:
            self.settle("incomparable", reason)
        elif timed:
            self.note(f"after a pair was timed, {reason}")
        else:
            self.note(f"a pair was thrown away: {reason}")

    def suspended(self, reason: str) -> None:
        """A pair came to nothing through no fault of its workers."""
        self.note(f"a pair was thrown away: {reason}")

    def result(self, rules: CensusRules) -> BenchmarkResult:
        """What is known, judged."""
        if self.settled is None and self._fault is not None and not (self.pairs or self.profiles):
            # There was no time for another try, and what fails is no matter of noise.
            self.settle("incomparable", self._fault)
        verdict = self.settled
        if verdict is None and self.timed:
            verdict = self.judgement.verdict if self.judgement is not None else "inconclusive"
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
        return plain if self.settled or not self.profiles else _explained(plain, self.profiles, rules)


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
        for side in ("base", "head")
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
