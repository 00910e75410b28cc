"""Changes of short series: neighbours compared by the processes in which they were measured, which took turns.

From one night to another a machine may differ by more than a release does.  So only processes of one sitting are
compared, and of these only those that took turns: then what the machine did, it did to both commits.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from perfsuite.analyse.diff.comparable import machine_reasons
from perfsuite.history.levels import LONG, with_recoveries
from perfsuite.history.model import Benchmark, Change, Commit, Series
from perfsuite.history.recorded import Recorded
from perfsuite.history.values import place_of
from perfsuite.records import Environment, Run
from perfsuite.stats import mean, median, student_t_quantile

#: With which all intervals of a family hold at once.
CONFIDENCE = 0.95
#: Processes further apart are of two sittings.
SITTING_SECONDS = 6 * 3600.0
#: The least standard deviation of a logarithm that is believed: medians read off a clock can be equal.
RESOLUTION = 1e-4
#: Fewest processes of a commit that was measured in turns with another, and fewest degrees of freedom of a spread that
#: says anything.
_LEAST_PROCESSES, _LEAST_FREEDOM = 2, 2


class Runs(Protocol):
    """What is asked of :class:`perfsuite.history.shelf.Shelf`."""

    def environment(self, commit: Commit) -> Environment | None:
        """Of the commit's newest run."""

    def recorded(self, commit: Commit) -> Sequence[Recorded]:
        """What the commit's processes recorded."""


@dataclass(frozen=True)
class _Turn:
    """One process of a commit."""

    commit: Commit
    environment: Environment
    #: Seconds since 1970.
    began: float


@dataclass(frozen=True)
class _Process(_Turn):
    """And the logarithm of the median of what it measured."""

    log: float


@dataclass(frozen=True)
class _Recording(_Turn):
    """And its run."""

    run: Run


_T = TypeVar("_T", bound=_Turn)
#: The runs of two commits.
Sides = tuple[tuple[Run, ...], tuple[Run, ...]]


def runs_in_turns(before: Commit, at: Commit, base: Sequence[Run], head: Sequence[Run]) -> Sides | None:
    """Of the runs of two commits those that took turns in the last sitting in which both did, in their order.

    None where there are no two of each.
    """
    found = [
        _Recording(commit, run.environment, datetime.fromisoformat(run.created).timestamp(), run)
        for commit, side in ((before, base), (at, head))
        for run in side
    ]
    for sitting in reversed(_sittings(found)):
        turns = {id(one.run) for one in _turns(sitting)}
        ours, theirs = (tuple(run for run in side if id(run) in turns) for side in (base, head))
        if min(len(ours), len(theirs)) >= _LEAST_PROCESSES:
            return ours, theirs
    return None


class Processes:
    """The processes of a history."""

    def __init__(self, shelf: Runs) -> None:
        """``shelf`` is where the runs are."""
        self._shelf = shelf

    def neighbours(
        self, many: Sequence[Series], threshold: float
    ) -> tuple[list[Change], dict[tuple[Commit, Commit], list[Benchmark]]]:
        """Changes between the neighbouring commits of series, and which series of two commits were not compared.

        All comparisons share the probability of an error: with :data:`CONFIDENCE` no interval misses its ratio.
        """
        family = sum(len(_commits(one)) - 1 for one in many)
        changes: list[Change] = []
        left: dict[tuple[Commit, Commit], list[Benchmark]] = defaultdict(list)
        for one in many:
            commits = _commits(one)
            sittings = self._sittings(one, commits)
            found = []
            for before, at in itertools.pairwise(commits):
                change = _compare(one, sittings, before, at, family)
                if change is None:
                    left[before, at].append(one.benchmark)
                elif _is_beyond(change, threshold):
                    found.append(change)
            changes += with_recoveries(found, threshold)
        return changes, dict(left)

    def between(self, series: Series, before: Commit, at: Commit, threshold: float, family: int) -> Change | None:
        """The change of a series between two commits; None if they cannot be compared, or it is not surely one.

        Args:
            family: how many series are asked: they share the probability of an error.
        """
        found = self.compared(series, before, at, family)
        return found if found is not None and _is_beyond(found, threshold) else None

    def compared(self, series: Series, before: Commit, at: Commit, family: int) -> Change | None:
        """How a series differs between two commits, however little, with the interval of its ratio.

        None if no two processes of each took turns in one night.

        Args:
            family: how many comparisons share the probability of an error.
        """
        # Of a short line the processes of all commits tell how much processes differ; of a long one they are too many.
        commits = _commits(series) if len(series.points) < LONG else ()
        sittings = self._sittings(series, tuple(dict.fromkeys((*commits, before, at))))
        return _compare(series, sittings, before, at, family)

    def _sittings(self, series: Series, commits: Sequence[Commit]) -> list[list[_Process]]:
        """What each process measured of the series, sitting by sitting."""
        place = place_of(series.benchmark.name, series.benchmark.parameters)
        if place is None:
            return []
        workload, measure, part = place
        found = []
        for commit in commits:
            for one in self._shelf.recorded(commit):
                samples = one.values.get(workload, {}).get(measure, {}).get(part, ())
                if samples and median(samples) > 0:
                    found.append(_Process(commit, one.environment, one.began, math.log(median(samples))))
        return _sittings(found)


def _compare(
    series: Series, sittings: Sequence[Sequence[_Process]], before: Commit, at: Commit, family: int
) -> Change | None:
    """By the last sitting in which both took turns: Student's interval for the difference of means of logarithms.

    The spread of processes is pooled over all commits of the sitting, with ddof 1 each; of ``family`` comparisons each
    has an equal part of the error (Bonferroni).
    """
    for sitting in reversed(sittings):
        turns = _turns([one for one in sitting if one.commit in (before, at)])
        logs = [[one.log for one in turns if one.commit == side] for side in (before, at)]
        spread, freedom = _spread(sitting)
        if min(map(len, logs)) < _LEAST_PROCESSES or freedom < _LEAST_FREEDOM:
            continue
        effect = mean(logs[1]) - mean(logs[0])
        wide = student_t_quantile(1 - (1 - CONFIDENCE) / (2 * max(1, family)), freedom)
        half = wide * spread * math.sqrt(sum(1 / len(side) for side in logs))
        interval = math.exp(effect - half), math.exp(effect + half)
        points = sum(point.commit.position < at.position for point in series.points)
        sizes = points, len(series.points) - points
        return Change(series.benchmark, before, at, math.exp(effect), interval, CONFIDENCE, sizes)
    return None


def _commits(series: Series) -> tuple[Commit, ...]:
    return tuple(dict.fromkeys(point.commit for point in series.points))


def _sittings(processes: Sequence[_T]) -> list[list[_T]]:
    """Processes of one machine that ran soon after one another, the last sitting at the end."""
    found: list[list[_T]] = []
    for one in sorted(processes, key=lambda one: one.began):
        same = (
            sitting
            for sitting in reversed(found)
            if one.began - sitting[-1].began <= SITTING_SECONDS
            and not machine_reasons(sitting[-1].environment, one.environment)
        )
        sitting = next(same, None)
        if sitting is None:
            found.append([one])
        else:
            sitting.append(one)
    return found


def _turns(processes: Sequence[_T]) -> list[_T]:
    """Those of two commits that took turns, in their order.

    What one commit had to itself at the beginning or at the end goes, but for the process next to one of the other's.
    """
    order = sorted(processes, key=lambda one: one.began)
    changes = [at for at in range(1, len(order)) if order[at].commit != order[at - 1].commit]
    return order[changes[0] - 1 : changes[-1] + 1] if changes else []


def _spread(sitting: Sequence[_Process]) -> tuple[float, int]:
    """Standard deviation of processes of one commit, pooled, and its degrees of freedom."""
    logs: dict[str, list[float]] = defaultdict(list)
    for one in sitting:
        logs[one.commit.hash].append(one.log)
    freedom = sum(len(several) - 1 for several in logs.values())
    squares = math.fsum((log - mean(several)) ** 2 for several in logs.values() for log in several)
    return max(math.sqrt(squares / freedom) if freedom else 0.0, RESOLUTION), freedom


def _is_beyond(change: Change, threshold: float) -> bool:
    low, high = change.interval
    return low > 1 + threshold or high < 1 / (1 + threshold)
