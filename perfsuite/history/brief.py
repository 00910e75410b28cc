"""What an explanation says, in a few kilobytes: without the profiles and the rows that it is made of.

An explanation holds megabytes and takes the runs of two commits to make, so that a page of all neighbouring commits
could not make each of them every night; this is small enough to be kept beside the runs.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

from perfsuite.analyse.diff import Cause, Census, Total
from perfsuite.analyse.diff.model import Change, Value
from perfsuite.history.explain import Contributor, Explanation
from perfsuite.history.marks import besides_the_commit

#: So many contributors, totals and implementations of a workload are kept; of the others how many they are.
CONTRIBUTORS, TOTALS, REPLACED = 4, 8, 4
#: Counts by step are fractions, and sums of them differ by how they were added.
_EXACT = 1e-9


@dataclass(frozen=True)
class Replaced:
    """An implementation that took the place of another one."""

    cause: Cause
    #: In how many places of the step.
    places: int


@dataclass(frozen=True)
class Counted:
    """How the census of the step differs."""

    #: That differ, and that both sides know.
    totals: tuple[Total, ...]
    more_totals: int
    #: What takes longest first.
    replaced: tuple[Replaced, ...]
    more_replaced: int
    #: How many entries of the census differ, what is told here among them.
    judged: int

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (self.totals or self.replaced or self.judged)


@dataclass(frozen=True)
class Brief:
    """What :class:`perfsuite.history.explain.Explanation` says of a workload."""

    workload: str
    #: Of the profiled step: head ÷ base, the change and its interval between processes; None where not known.
    ratio: float | None
    delta_ns: float | None
    interval: tuple[float, float] | None
    confidence: float
    #: The first of them, without their rows.
    contributors: tuple[Contributor, ...]
    more_contributors: int
    #: How many of all contributors surely changed as the step did.
    sure: int
    #: None where a side has no operators.
    census: Counted | None
    #: What of software and machine differs, but for the commit.
    environment: tuple[Change, ...]
    #: Why times of the two sides say nothing about the code.
    reasons: tuple[str, ...]
    #: Ids of the runs of either side.
    runs: tuple[tuple[str, ...], tuple[str, ...]]
    #: Whether these runs took turns; else the interval does not hold what the machine did from one to the other.
    in_turns: bool

    @property
    def slower(self) -> bool | None:
        """As :attr:`Explanation.slower`."""
        return self.delta_ns > 0 if self.delta_ns else None

    @property
    def culprit(self) -> Contributor | None:
        """As :attr:`Explanation.culprit`."""
        return self.contributors[0] if self.sure else None

    @property
    def claim(self) -> str:
        """``slower`` or ``faster``, ``unsure`` where the interval holds 0, and ``unknown`` where there is none."""
        if self.delta_ns is None or self.interval is None:
            return "unknown"
        low, high = self.interval
        return "slower" if low > 0 else "faster" if high < 0 else "unsure"


def brief_of(one: Explanation, in_turns: bool) -> Brief:
    """The explanation in short; ``in_turns`` says whether its runs took turns."""
    shown = one.contributors[:CONTRIBUTORS]
    return Brief(
        one.workload, one.ratio, one.delta_ns, one.interval, one.confidence,
        tuple(replace(each, rows=()) for each in shown), len(one.contributors) - len(shown), one.sure,
        _counted(one.diff.census) if one.diff.ledger is not None else None, besides_the_commit(one.environment),
        one.reasons, one.runs, in_turns,
    )  # fmt: skip


def _counted(census: Census) -> Counted:
    totals = tuple(one for one in census.totals if _differs(one))
    places: Counter[tuple[str | None, Value, Value]] = Counter(
        (entry.primitive, entry.base, entry.head) for _, entry in census.entries if entry.what == "implementation"
    )
    # A counter is in the order in which it met its keys, which is that of the census.
    replaced = tuple(
        Replaced(Cause("implementation", base, head, primitive), count)
        for (primitive, base, head), count in places.items()
    )
    return Counted(totals[:TOTALS], len(totals[TOTALS:]), replaced[:REPLACED], len(replaced[REPLACED:]), census.judged)


def _differs(one: Total) -> bool:
    return one.base is not None and one.head is not None and not math.isclose(one.base, one.head, rel_tol=_EXACT)
