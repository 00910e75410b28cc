"""From the series of a history to findings: what became slower, since which commit, and what belongs together.

A long series is judged as a whole, by the noise it has from night to night (:mod:`perfsuite.changes`).  A short one, of
some releases that were measured in one night, cannot show that noise; there two neighbours are compared by the processes
in which they were measured, which took turns.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from perfsuite.changes import Step, find_steps
from perfsuite.history.marks import environment_lines
from perfsuite.history.model import Change, Commit, Finding, Point, Series
from perfsuite.history.values import place_of, values_of
from perfsuite.records import Environment, Run
from perfsuite.stats import mean, median, student_t_quantile

#: The smallest change that is reported, as a share.
THRESHOLD = 0.03
#: Fewest nights of a series that is judged as a whole.
LONG = 18
#: With which all intervals of all short series hold at once, and those of steps of long ones each.
CONFIDENCE = 0.95
#: Nights by which the places of changes that have one cause may differ.
NEAR = 2
#: What is judged by itself; the parts of a step only explain what happened to it.
LEADING = ("step", "focal_loss", "peak_rss", "reorders")
_PARTS = ("phase", "operator", "outside_onednn")
#: The least standard deviation of a logarithm that is believed: medians read off a clock can be equal.
RESOLUTION = 1e-4
#: Half of the width of a 95 % interval in standard errors.
_Z = 1.959963984540054


class Runs(Protocol):
    """What is asked of :class:`perfsuite.history.shelf.Shelf`."""

    def environment(self, commit: Commit) -> Environment | None:
        """Of the commit's newest run."""

    def runs(self, commit: Commit) -> Sequence[Run]:
        """All of the commit's."""


def judge(series: Sequence[Series], shelf: Runs, threshold: float = THRESHOLD) -> tuple[Finding, ...]:
    """The findings of a history, the newest first.

    Args:
        series: of all benchmarks.
        shelf: the runs that were recorded along with them.
        threshold: the smallest change that is reported, as a share.
    """
    judged = [one for one in series if _measure(one) in LEADING]
    parts = [one for one in series if _measure(one) in _PARTS]
    long = [one for one in judged if len(one.points) >= LONG]
    short = [one for one in judged if 1 < len(one.points) < LONG]
    leading = [*_by_series(long, threshold), *_by_processes(short, shelf, threshold, _pairs(short))]
    findings = []
    for group in _groups(leading):
        first = max(group, key=lambda change: (_is_step(change), abs(math.log(change.ratio))))
        beside = [change for change in _beside(parts, first, shelf, threshold) if change not in group]
        ordered = sorted(group, key=lambda change: (not _is_step(change), -abs(math.log(change.ratio))))
        lines = environment_lines(shelf.environment(first.before), shelf.environment(first.at))
        findings.append(Finding(first.before, first.at, (*ordered, *beside), lines))
    return tuple(sorted(findings, key=lambda finding: -finding.at.position))


def _measure(series: Series) -> str | None:
    place = place_of(series.benchmark.name, series.benchmark.parameters)
    return place[1] if place else None


def _is_step(change: Change) -> bool:
    place = place_of(change.benchmark.name, change.benchmark.parameters)
    return place is not None and place[1] == "step"


# --- long series --------------------------------------------------------------------------------------


def _by_series(many: Sequence[Series], threshold: float) -> list[Change]:
    values = [[_positive(point.value) for point in one.points] for one in many]
    labels = [[point.machine for point in one.points] for one in many]
    errors = [[_own_error(point) for point in one.points] for one in many]
    changes = []
    for one, steps in zip(many, find_steps(values, labels, errors, threshold), strict=True):
        changes += [_change(one, step, steps, threshold) for step in steps]
    return changes


def _change(series: Series, step: Step, steps: Sequence[Step], threshold: float) -> Change:
    points = series.points
    before = next(point for point in reversed(points[: step.at]))
    back = next((later for later in steps if later.at > step.at and _undoes(later, step, threshold)), None)
    return Change(
        series.benchmark,
        before.commit,
        points[step.at].commit,
        step.ratio,
        step.interval,
        CONFIDENCE,
        (step.at, len(points) - step.at),
        points[back.at].commit if back is not None else None,
    )


def _undoes(later: Step, step: Step, threshold: float) -> bool:
    return abs(math.log(later.ratio) + math.log(step.ratio)) <= math.log1p(threshold)


def _own_error(point: Point) -> float:
    """Relative standard error of the median of the night's samples: of a noisy night less is believed."""
    if len(point.samples) < 2:
        return 0.0
    logs = [math.log(_positive(value)) for value in point.samples]
    middle = median(logs)
    spread = 1.4826 * median([abs(value - middle) for value in logs])
    return math.sqrt(math.pi / 2) * spread / math.sqrt(len(logs))


def _positive(value: float) -> float:
    """A count of none counts as one, or there would be no ratio to it."""
    return value if value > 0 else 1.0


# --- short series -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Night:
    """A commit on a machine, by the processes in which it was measured: logarithms of their medians."""

    commit: Commit
    logs: tuple[float, ...]


def _pairs(many: Sequence[Series]) -> int:
    """How many neighbours are compared: they share the probability of an error."""
    return sum(max(0, len(one.points) - 1) for one in many)


def _by_processes(many: Iterable[Series], shelf: Runs, threshold: float, family: int) -> list[Change]:
    changes = []
    for one in many:
        for nights in _nights(one, shelf):
            changes += _neighbours(one, nights, threshold, family)
    return changes


def _nights(series: Series, shelf: Runs) -> list[list[_Night]]:
    """The series of each machine that has processes to compare."""
    place = place_of(series.benchmark.name, series.benchmark.parameters)
    assert place is not None
    machines: dict[str, list[_Night]] = defaultdict(list)
    for point in series.points:
        logs = tuple(math.log(_positive(value)) for value in _processes(shelf.runs(point.commit), *place))
        machines[point.machine].append(_Night(point.commit, logs))
    return list(machines.values())


def _processes(runs: Sequence[Run], workload: str, measure: str, part: str) -> list[float]:
    found = []
    for run in runs:
        for profile in run.workloads:
            if profile.name == workload:
                samples = values_of(profile).get(measure, {}).get(part, ())
                found += [median(samples)] if samples else []
    return found


def _neighbours(series: Series, nights: Sequence[_Night], threshold: float, family: int) -> list[Change]:
    """Changes between neighbours, by Student's interval with the spread of processes pooled over all commits.

    Each of ``family`` comparisons gets an equal part of the error (Bonferroni).
    """
    measured = [night for night in nights if night.logs]
    freedom = sum(len(night.logs) - 1 for night in measured)
    if freedom < 2:
        return []
    squares = math.fsum((log - mean(night.logs)) ** 2 for night in measured for log in night.logs)
    spread = max(math.sqrt(squares / freedom), RESOLUTION)
    wide = student_t_quantile(1 - (1 - CONFIDENCE) / (2 * max(1, family)), freedom)
    changes = []
    for before, at in zip(measured, measured[1:], strict=False):
        effect = mean(at.logs) - mean(before.logs)
        half = wide * spread * math.sqrt(1 / len(before.logs) + 1 / len(at.logs))
        limit = math.log1p(threshold)
        if effect - half > limit or effect + half < -limit:
            interval = math.exp(effect - half), math.exp(effect + half)
            sizes = sum(night.commit.position < at.commit.position for night in measured)
            changes.append(
                Change(
                    series.benchmark,
                    before.commit,
                    at.commit,
                    math.exp(effect),
                    interval,
                    CONFIDENCE,
                    (sizes, len(measured) - sizes),
                )
            )
    return _with_recoveries(changes, threshold)


def _with_recoveries(changes: Sequence[Change], threshold: float) -> list[Change]:
    found = []
    for number, change in enumerate(changes):
        undone = next(
            (
                later
                for later in changes[number + 1 :]
                if abs(math.log(later.ratio) + math.log(change.ratio)) <= math.log1p(threshold)
            ),
            None,
        )
        found.append(replace(change, recovered=undone.at) if undone is not None else change)
    return found


# --- what belongs together ----------------------------------------------------------------------------


def _groups(changes: Sequence[Change]) -> list[list[Change]]:
    """Changes at about the same commit and in the same direction."""
    groups: list[list[Change]] = []
    for change in sorted(changes, key=lambda one: one.at.position):
        near = next(
            (
                group
                for group in groups
                if abs(group[0].at.position - change.at.position) <= (NEAR if _is_long(group[0], change) else 0)
                and group[0].is_regression == change.is_regression
            ),
            None,
        )
        if near is None:
            groups.append([change])
        else:
            near.append(change)
    return groups


def _is_long(*changes: Change) -> bool:
    return all(sum(change.points) >= LONG for change in changes)


def _beside(parts: Sequence[Series], leading: Change, shelf: Runs, threshold: float) -> list[Change]:
    """Phases and operators of the same workload that changed the same way between the same commits."""
    place = place_of(leading.benchmark.name, leading.benchmark.parameters)
    workload = place[0] if place else None
    mine = []
    for one in parts:
        own = place_of(one.benchmark.name, one.benchmark.parameters)
        if own is not None and own[0] == workload:
            mine.append(one)
    found = []
    for one in mine:
        for nights in _nights(one, shelf):
            ends = [night for night in nights if night.commit in (leading.before, leading.at)]
            found += _neighbours(one, ends, threshold, max(1, len(mine)))
    same = [change for change in found if change.is_regression == leading.is_regression]
    return sorted(same, key=lambda change: -abs(math.log(change.ratio)))


