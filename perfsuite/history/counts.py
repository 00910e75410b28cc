"""Changes of what is counted: how many reorders a step runs has no noise, so each change of it is one.

Not every count is sure: one that differs between the processes of a commit is not compared, and a line that goes to and
fro between the same counts does so by itself.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from perfsuite.history.model import Change, Point, Series

#: So many points are looked back on to see whether a line goes to and fro, and so often it may.
_RECENT, _TURNS = 4, 2


def by_counts(many: Sequence[Series], threshold: float) -> list[Change]:
    """The changes of counts by more than ``threshold``, a share; from none or to none each is one.

    A ratio to none is infinite.  Machines are compared with themselves.
    """
    changes: list[Change] = []
    for one in many:
        machines: dict[str, list[Point]] = defaultdict(list)
        for point in one.points:
            if _is_sure(point):
                machines[point.machine].append(point)
        found = [change for points in machines.values() for change in _of_machine(one, points, threshold)]
        # Of machines that agree it is one change.
        changes += {(change.before.hash, change.at.hash, change.is_regression): change for change in found}.values()
    return changes


def _is_sure(point: Point) -> bool:
    return all(sample == point.value for sample in point.samples)


def _of_machine(series: Series, points: Sequence[Point], threshold: float) -> list[Change]:
    values = [point.value for point in points]
    changes = []
    for at in range(1, len(points)):
        if _differ(values[at - 1], values[at], threshold) and not _is_restless(values[: at + 1]):
            ratio = _ratio(values[at - 1], values[at])
            sides = at, len(points) - at
            change = Change(
                series.benchmark, points[at - 1].commit, points[at].commit, ratio, (ratio, ratio), 1.0, sides
            )
            back = next((later for later in points[at + 1 :] if _undone(values[at - 1], values[at], later.value)), None)
            changes.append(replace(change, recovered=back.commit if back is not None else None))
    return changes


def _differ(before: float, after: float, threshold: float) -> bool:
    if not before or not after:
        return before != after
    return abs(math.log(after / before)) > math.log1p(threshold)


def _ratio(before: float, after: float) -> float:
    return after / before if before else math.inf


def _undone(before: float, after: float, later: float) -> bool:
    """Whether a later count is as good again as the one before a regression, or as bad as before an improvement."""
    return later <= before if after > before else later >= before


def _is_restless(values: Sequence[float]) -> bool:
    """Whether the last count was there lately already, and the line has turned since, and before."""
    recent = values[-_RECENT:]
    turns = sum(one != other for one, other in zip(recent[:-1], recent[1:-1], strict=False))
    return recent[-1] in recent[:-1] and turns >= _TURNS
