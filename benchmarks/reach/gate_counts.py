"""What real decisions of the gate add up to: how often they were right, false alarms, culprits and seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.reach.common import MISSED, REACHED, UNSETTLED
from benchmarks.reach.pages import taken
from perfsuite.capture.calibration.step import PLANTED
from perfsuite.gate.calibration import proportion_at_most
from perfsuite.stats import median

Decision = Mapping[str, Any]
#: False alarms in all decisions on equal sides that are wanted, and seconds of any one decision.
MOST_ALARMS, MOST_SECONDS = 2, 90.0
#: The least share of slowdowns found of which the planted operator is named first.
NAMED = 0.95


@dataclass(frozen=True)
class Kind:
    """A planted slowdown, the threshold it is judged at, and what is right."""

    plant: float
    threshold: float
    right: str
    #: Of decisions: the least share of right ones, and how many decisions settle it.
    target: float
    decisions: int

    @property
    def title(self) -> str:
        """``+6 % at 3 %``"""
        sides = f"+{100 * self.plant:g} %" if self.plant else "equal sides"
        return f"{sides} at {100 * self.threshold:g} %"


KINDS = {
    "aa": Kind(0.0, 0.03, "unchanged", 0.95, 200),
    "6at3": Kind(0.06, 0.03, "regressed", 0.95, 60),
    "3at1": Kind(0.03, 0.01, "regressed", 0.90, 60),
}


@dataclass(frozen=True)
class Counts:
    """The decisions of one kind, one at least."""

    kind: Kind
    verdicts: Counter[str]
    #: Of those called regressed, how many name the planted operator first.
    named: int
    #: Medians, and the most there were.
    ratio: float
    pairs: float
    most_pairs: int
    seconds: float
    most_seconds: float

    @property
    def decisions(self) -> int:
        return self.verdicts.total()

    @property
    def right(self) -> int:
        return self.verdicts[self.kind.right]

    @property
    def right_at_least(self) -> float:
        """Lower bound of the share of right ones, with 95 % confidence (Clopper and Pearson)."""
        return 1 - proportion_at_most(self.decisions - self.right, self.decisions)

    @property
    def alarms(self) -> int:
        """Of equal sides: how many were called slower or faster."""
        return self.verdicts["regressed"] + self.verdicts["improved"]

    @property
    def alarms_at_most(self) -> float:
        """Upper bound of their rate, with 95 % confidence."""
        return proportion_at_most(self.alarms, self.decisions)

    @property
    def outcome(self) -> int:
        """MISSED, REACHED, or UNSETTLED where all is well so far and there are too few."""
        reached = self.right / self.decisions >= self.kind.target and self.most_seconds <= MOST_SECONDS
        if self.kind.plant:
            reached = reached and self.named >= NAMED * self.verdicts["regressed"]
        else:
            reached = reached and self.alarms <= MOST_ALARMS
        if not reached:
            return MISSED
        return REACHED if self.decisions >= self.kind.decisions else UNSETTLED


def count(decisions: Sequence[Decision], name: str) -> Counts | None:
    """Those of the kind; None if there are none."""
    mine = [one for one in decisions if one["kind"] == name]
    if not mine:
        return None
    seconds, pairs = [one["gate_seconds"] for one in mine], [len(one["pairs"]) for one in mine]
    return Counts(
        KINDS[name],
        Counter(one["verdict"] for one in mine),
        sum(one["verdict"] == "regressed" and one["culprit"] == PLANTED for one in mine),
        median([one["ratio"] for one in mine if one["ratio"]]),
        median(pairs),
        max(pairs),
        median(seconds),
        max(seconds),
    )


def summary(decisions: Sequence[Decision]) -> tuple[list[str], int]:
    """A line for each finding, and the worst outcome."""
    counted = {name: count(decisions, name) for name in KINDS}
    lines = [line for name, counts in counted.items() for line in _lines(name, counts)]
    outcomes = {UNSETTLED if counts is None else counts.outcome for counts in counted.values()}
    return lines, next(one for one in (MISSED, UNSETTLED, REACHED) if one in outcomes)


def _lines(name: str, counts: Counts | None) -> Iterator[str]:
    if counts is None:
        yield f"{name}: no decision yet"
        return
    kind, number = counts.kind, counts.decisions
    yield f"{name}: {number} decisions: {', '.join(f'{of} {word}' for word, of in counts.verdicts.most_common())}"
    yield (
        f"  {kind.right} {100 * counts.right / number:.1f} % (wanted {100 * kind.target:g} %; at least "
        f"{100 * counts.right_at_least:.1f} % with 95 % confidence)"
    )
    yield (
        f"  ratio: median {counts.ratio:.4f}; pairs: median {counts.pairs:g}, most {counts.most_pairs}; "
        f"seconds: median {counts.seconds:.0f}, most {counts.most_seconds:.0f} (wanted ≤ {MOST_SECONDS:g})"
    )
    if kind.plant:
        found = counts.verdicts["regressed"]
        share = 100 * counts.named / found if found else 0.0
        yield f"  planted operator named first: {share:.1f} % of {found} (wanted {100 * NAMED:g} %)"
    else:
        yield (
            f"  false alarms: {counts.verdicts['regressed']} regressed, {counts.verdicts['improved']} improved "
            f"(wanted ≤ {MOST_ALARMS} of {kind.decisions}); their rate is at most "
            f"{100 * counts.alarms_at_most:.1f} % with 95 % confidence"
        )
    word = "missed" if counts.outcome == MISSED else "reached"
    yield f"  {word}{'' if number >= kind.decisions else f', of {kind.decisions} decisions wanted'}"


def page(decisions: Sequence[Decision]) -> str:
    """A Markdown table with a row for each kind, and how it was obtained.

    Args:
        decisions: one at least.
    """
    lines = [
        "| Sides | Right | Share, at least | False alarms, at most | Operator named first | Pairs | Seconds, most |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in KINDS:
        counts = count(decisions, name)
        if counts is not None:
            lines.append(f"| {' | '.join(_cells(counts))} |")
    how = taken("decisions", decisions, [f"torch {one['torch']}" for one in decisions])
    bounds = (
        "“At least” and “at most” are bounds with 95 % confidence (Clopper and Pearson); pairs and seconds are medians."
    )
    return "\n".join([*lines, "", f"{bounds} {how}", ""])


def _cells(counts: Counts) -> list[str]:
    number, found = counts.decisions, counts.verdicts["regressed"]
    return [
        counts.kind.title,
        f"{counts.right} of {number} {counts.kind.right}",
        f"{100 * counts.right / number:.1f} %, {100 * counts.right_at_least:.1f} %",
        "" if counts.kind.plant else f"{counts.alarms}, {100 * counts.alarms_at_most:.1f} %",
        f"{counts.named} of {found}" if counts.kind.plant else "",
        f"{counts.pairs:g}",
        f"{counts.seconds:.0f}, {counts.most_seconds:.0f}",
    ]
