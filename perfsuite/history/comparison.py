"""Releases held against each other, pair by pair: what surely differs, by how much, and in which operators.

A history judges neighbours; who migrates asks how one release compares with another that need not be next to it.  Only
processes that took turns in one night are compared (:mod:`perfsuite.history.processes`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.history.counts import is_sure_count
from perfsuite.history.model import Change, Commit, Series
from perfsuite.history.processes import CONFIDENCE, Processes, Runs
from perfsuite.history.values import COUNTS, place_of
from perfsuite.records import Environment
from perfsuite.stats import mean, median

#: What is compared on its own, in this order; parts of a step only explain what happened to it.
TIMES = ("step", "focal_loss", "peak_rss")
#: An operator whose time differs by less than this share of the step is not worth a line.
LEAST = 0.01
Pair = tuple[Commit, Commit]


@dataclass(frozen=True)
class Row:
    """A line of the history at each commit, and from one commit to another."""

    workload: str
    #: One of :data:`perfsuite.history.values.UNITS`, and its unit.
    measure: str
    unit: str
    #: By commit; None where it was not measured, or of a count is not sure.
    levels: tuple[float | None, ...]
    #: By pair, as long as there are pairs; None where the two cannot be compared.
    changes: tuple[Change | None, ...] = ()


@dataclass(frozen=True)
class Part:
    """An operator of a step on both sides of a pair, in milliseconds."""

    name: str
    #: None where it did not run.
    before: float | None
    at: float | None
    #: None where it ran on one side only.
    change: Change | None

    @property
    def delta(self) -> float:
        """What it takes longer."""
        return (self.at or 0.0) - (self.before or 0.0)


@dataclass(frozen=True)
class Parts:
    """What a step that surely changed is made of on both sides: the operators that surely changed along or against."""

    workload: str
    step: Change
    #: The largest first.
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Tally:
    """What was found of the steps of a pair."""

    before: Commit
    at: Commit
    slower: int
    faster: int
    #: Whose interval holds 1.
    undecided: int
    #: That were not measured on both sides in turns.
    left: int


@dataclass(frozen=True)
class Comparison:
    """Releases held against each other on one machine."""

    machine: str
    commits: tuple[Commit, ...]
    pairs: tuple[Pair, ...]
    #: By commit: its newest process's, None without one; and how many processes it has of each workload, at least.
    environments: tuple[Environment | None, ...]
    processes: tuple[int, ...]
    #: Rows with changes, and rows of counts, which have none.
    times: tuple[Row, ...]
    counts: tuple[Row, ...]
    parts: tuple[Parts, ...]
    #: With which all intervals of :attr:`times` hold at once, and with which those of the parts of one workload do.
    confidence: float = CONFIDENCE

    def tally(self) -> tuple[Tally, ...]:
        """What was found of the steps, by pair."""
        return tuple(self._tally(number, pair) for number, pair in enumerate(self.pairs))

    def _tally(self, number: int, pair: Pair) -> Tally:
        changes = [one.changes[number] for one in self.times if one.measure == "step"]
        known = [one for one in changes if one is not None]
        sure = [one for one in known if is_sure(one)]
        slower = sum(one.is_regression for one in sure)
        return Tally(*pair, slower, len(sure) - slower, len(known) - len(sure), len(changes) - len(known))


def is_sure(change: Change) -> bool:
    """Whether the interval of its ratio lies on one side of 1."""
    low, high = change.interval
    return low > 1 or high < 1


def compare(machine: str, series: Sequence[Series], runs: Runs, pairs: Sequence[Pair]) -> Comparison:
    """Hold commits against each other.

    All intervals of times and memory share the probability of an error, and so do those of all operators of one
    workload in all pairs (Bonferroni).

    Args:
        machine: whose points and runs these are.
        series: of all benchmarks.
        runs: what each process recorded.
        pairs: what is held against what.
    """
    known = {point.commit.hash: point.commit for one in series for point in one.points}
    commits = tuple(sorted(known.values(), key=lambda one: one.position))
    processes = Processes(runs)
    timed = [one for measure in TIMES for one in series if _place(one)[1] == measure]
    family = len(timed) * len(pairs)
    times = tuple(
        _row(one, runs, commits, tuple(processes.compared(one, before, at, family) for before, at in pairs))
        for one in timed
    )
    counts = tuple(_row(one, runs, commits) for one in series if _place(one)[1] in COUNTS)
    parts = tuple(
        _parts(row.workload, change, series, runs, processes, len(pairs))
        for number in range(len(pairs))
        for row in times
        if row.measure == "step" and (change := row.changes[number]) is not None and is_sure(change)
    )
    return Comparison(
        machine,
        commits,
        tuple(pairs),
        tuple(map(runs.environment, commits)),
        tuple(_processes(one, runs) for one in commits),
        times,
        counts,
        parts,
    )


def _place(series: Series) -> tuple[str, str, str]:
    return place_of(series.benchmark.name, series.benchmark.parameters) or ("", "", "")


def _row(series: Series, runs: Runs, commits: Sequence[Commit], changes: tuple[Change | None, ...] = ()) -> Row:
    workload, measure, _ = _place(series)
    if measure in COUNTS:
        sure = {one.commit.hash: one.value for one in series.points if is_sure_count(one)}
        levels = tuple(sure.get(one.hash) for one in commits)
    else:
        levels = tuple(_level(series, runs, one) for one in commits)
    return Row(workload, measure, series.benchmark.unit, levels, changes)


def _level(series: Series, runs: Runs, commit: Commit) -> float | None:
    """The geometric mean of the medians of a commit's processes; None if none has measured it."""
    workload, measure, part = _place(series)
    found = [one.values.get(workload, {}).get(measure, {}).get(part, ()) for one in runs.recorded(commit)]
    logs = [math.log(median(samples)) for samples in found if samples and median(samples) > 0]
    return math.exp(mean(logs)) if logs else None


def _processes(commit: Commit, runs: Runs) -> int:
    """How many processes measured the workload that the fewest did."""
    found: dict[str, int] = {}
    for one in runs.recorded(commit):
        for workload in one.values:
            found[workload] = found.get(workload, 0) + 1
    return min(found.values(), default=0)


def _parts(
    workload: str, step: Change, series: Sequence[Series], runs: Runs, processes: Processes, pairs: int
) -> Parts:
    mine = [one for one in series if _place(one)[:2] == (workload, "operator")]
    family = len(mine) * pairs
    found = []
    for one in mine:
        levels = [_level(one, runs, side) for side in (step.before, step.at)]
        change = processes.compared(one, step.before, step.at, family) if None not in levels else None
        found.append(Part(_place(one)[2], levels[0], levels[1], change))
    # What the operators of the slower side take together: shares are of that, the profiled step.
    whole = max(math.fsum(one.before or 0.0 for one in found), math.fsum(one.at or 0.0 for one in found))
    telling = [one for one in found if abs(one.delta) >= LEAST * whole and _tells(one)]
    return Parts(workload, step, tuple(sorted(telling, key=lambda one: (-abs(one.delta), one.name))))


def _tells(part: Part) -> bool:
    """Whether it surely changed, or ran on one side only."""
    if part.change is not None:
        return is_sure(part.change)
    return (part.before is None) != (part.at is None)
