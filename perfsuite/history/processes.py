"""Changes of short series: neighbours compared by the processes in which they were measured, which took turns.

From one night to another a machine may differ by more than a release does.  So only processes of one sitting are
compared, and only if neither commit was all measured before the other: then what the machine did, it did to both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from perfsuite.analyse.diff.comparable import machine_reasons
from perfsuite.history.model import Change, Commit, Series
from perfsuite.history.values import Values, place_of, values_of
from perfsuite.records import Environment, Run
from perfsuite.stats import mean, median, student_t_quantile

#: With which all intervals of a family hold at once.
CONFIDENCE = 0.95
#: Processes further apart are of two sittings.
SITTING_SECONDS = 6 * 3600.0
#: The least standard deviation of a logarithm that is believed: medians read off a clock can be equal.
RESOLUTION = 1e-4
#: Fewest degrees of freedom of a spread that says anything.
_LEAST_FREEDOM = 2


class Runs(Protocol):
    """What is asked of :class:`perfsuite.history.shelf.Shelf`."""

    def environment(self, commit: Commit) -> Environment | None:
        """Of the commit's newest run."""

    def runs(self, commit: Commit) -> Sequence[Run]:
        """All of the commit's."""


@dataclass(frozen=True)
class _Process:
    """One process, and the logarithm of the median of what it measured."""

    commit: Commit
    environment: Environment
    #: Seconds since 1970.
    began: float
    log: float


class Processes:
    """The processes of a history; the runs of a commit are read when they are first asked for."""

    def __init__(self, shelf: Runs) -> None:
        """``shelf`` is where the runs are."""
        self._shelf = shelf
        #: Commit's hash and run's id → workload → what its process measured.
        self._values: dict[tuple[str, str], dict[str, Values]] = {}

    def neighbours(
        self, many: Sequence[Series], threshold: float
    ) -> tuple[list[Change], dict[tuple[Commit, Commit], int]]:
        """Changes between the neighbouring commits of series, and how many series of two commits were not compared.

        All comparisons share the probability of an error: with :data:`CONFIDENCE` no interval misses its ratio.
        """
        family = sum(len(_commits(one)) - 1 for one in many)
        changes: list[Change] = []
        left: dict[tuple[Commit, Commit], int] = defaultdict(int)
        for one in many:
            commits = _commits(one)
            found = []
            for before, at in zip(commits, commits[1:], strict=False):
                change = self._compare(one, commits, before, at, family)
                if change is None:
                    left[before, at] += 1
                elif _is_beyond(change, threshold):
                    found.append(change)
            changes += with_recoveries(found, threshold)
        return changes, dict(left)

    def between(self, series: Series, before: Commit, at: Commit, threshold: float, family: int) -> Change | None:
        """The change of a series between two commits; None if they cannot be compared, or it is not surely one.

        Args:
            family: how many series are asked: they share the probability of an error.
        """
        found = self._compare(series, (before, at), before, at, family)
        return found if found is not None and _is_beyond(found, threshold) else None

    def _compare(
        self, series: Series, commits: Sequence[Commit], before: Commit, at: Commit, family: int
    ) -> Change | None:
        """By the last sitting in which both took turns: Student's interval for the difference of means of logarithms.

        The spread of processes is pooled over those of ``commits`` that were measured in the sitting, with ddof 1 each;
        of ``family`` comparisons each has an equal part of the error (Bonferroni).
        """
        for sitting in reversed(_sittings(self._measured(series, commits))):
            sides = [[one for one in sitting if one.commit == side] for side in (before, at)]
            spread, freedom = _spread(sitting)
            if freedom < _LEAST_FREEDOM or not _took_turns(*sides):
                continue
            logs = [[one.log for one in side] for side in sides]
            effect = mean(logs[1]) - mean(logs[0])
            wide = student_t_quantile(1 - (1 - CONFIDENCE) / (2 * max(1, family)), freedom)
            half = wide * spread * math.sqrt(sum(1 / len(side) for side in logs))
            interval = math.exp(effect - half), math.exp(effect + half)
            points = sum(point.commit.position < at.position for point in series.points)
            sizes = points, len(series.points) - points
            return Change(series.benchmark, before, at, math.exp(effect), interval, CONFIDENCE, sizes)
        return None

    def _measured(self, series: Series, commits: Sequence[Commit]) -> list[_Process]:
        """What each process measured of the series."""
        place = place_of(series.benchmark.name, series.benchmark.parameters)
        if place is None:
            return []
        workload, measure, part = place
        found = []
        for commit in commits:
            for run in self._shelf.runs(commit):
                samples = self._values_of(commit, run).get(workload, {}).get(measure, {}).get(part, [])
                if samples and median(samples) > 0:
                    began = datetime.fromisoformat(run.created).timestamp()
                    found.append(_Process(commit, run.environment, began, math.log(median(samples))))
        return found

    def _values_of(self, commit: Commit, run: Run) -> dict[str, Values]:
        key = commit.hash, run.id
        if key not in self._values:
            self._values[key] = {profile.name: values_of(profile) for profile in run.workloads}
        return self._values[key]


def with_recoveries(changes: Sequence[Change], threshold: float) -> list[Change]:
    """The changes of a line in their order, each with the commit at which the level before it was back, if it was."""
    found = []
    for number, change in enumerate(changes):
        level = math.log(change.ratio)
        undone = None
        for later in changes[number + 1 :]:
            level += math.log(later.ratio)
            if level <= math.log1p(threshold) if change.is_regression else level >= -math.log1p(threshold):
                undone = later.at
                break
        found.append(replace(change, recovered=undone))
    return found


def _commits(series: Series) -> tuple[Commit, ...]:
    return tuple(dict.fromkeys(point.commit for point in series.points))


def _sittings(processes: Sequence[_Process]) -> list[list[_Process]]:
    """Processes of one machine that ran soon after one another, the last sitting at the end."""
    found: list[list[_Process]] = []
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


def _took_turns(before: Sequence[_Process], at: Sequence[_Process]) -> bool:
    """Whether neither was all measured before the other began, or is a single process."""
    if min(len(before), len(at)) < 2:
        return False
    spans = [(min(one.began for one in side), max(one.began for one in side)) for side in (before, at)]
    return spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]


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
