"""Changes of what is counted: how many reorders a step runs has no noise, so each change of it is one.

Not every count is sure: one that differs between the processes of a commit is not compared, and a line that goes to and
fro between the same counts does so by itself.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

from perfsuite.history.model import Change, Point, Series

#: So many points are looked back on to see whether a line goes to and fro, and so often it may.
_RECENT, _TURNS = 4, 2
#: Counts by step are fractions, and sums of them differ by how they were added.
_DIGITS = 9


def by_counts(many: Sequence[Series], threshold: float) -> list[Change]:
    """The changes of counts by more than ``threshold``, a share; from none or to none each is one.

    A ratio from none is infinite.  Machines are compared with themselves.
    """
    changes: list[Change] = []
    for one in many:
        machines: dict[str, list[Point]] = defaultdict(list)
        for point in one.points:
            if is_sure_count(point):
                machines[point.machine].append(point)
        found = [change for points in machines.values() for change in _of_machine(one, points, threshold)]
        # Of machines that agree it is one change.
        changes += {(change.before.hash, change.at.hash, change.is_regression): change for change in found}.values()
    return changes


def is_sure_count(point: Point) -> bool:
    """Whether all processes of a commit counted the same."""
    return len({_exact(sample) for sample in point.samples}) <= 1


def _exact(count: float) -> float:
    return float(f"{count:.{_DIGITS}g}")


def _of_machine(series: Series, points: Sequence[Point], threshold: float) -> list[Change]:
    values = [_exact(point.value) for point in points]
    changes = []
    for at in range(1, len(points)):
        before, now = values[at - 1 : at + 1]
        if not _differ(before, now, threshold) or _is_restless(values[: at + 1]):
            continue
        ratio = now / before if before else math.inf
        later = zip(points[at + 1 :], values[at + 1 :], strict=True)
        back = next((point.commit for point, count in later if _is_undone(before, now, count, threshold)), None)
        sides = at, len(points) - at
        changes.append(
            Change(series.benchmark, points[at - 1].commit, points[at].commit, ratio, (ratio, ratio), 1.0, sides, back)
        )
    return changes


def _differ(before: float, after: float, threshold: float) -> bool:
    if not before or not after:
        return before != after
    return abs(math.log(after / before)) > math.log1p(threshold)


def _is_undone(before: float, after: float, later: float, threshold: float) -> bool:
    """Whether a later count is about as good as the one before a regression, or as bad as before an improvement."""
    return (later <= before if after > before else later >= before) or not _differ(before, later, threshold)


def _is_restless(values: Sequence[float]) -> bool:
    """Whether the last count was there lately already, and the line has turned since, and before."""
    recent = values[-_RECENT:]
    turns = sum(one != other for one, other in itertools.pairwise(recent[:-1]))
    return recent[-1] in recent[:-1] and turns >= _TURNS
