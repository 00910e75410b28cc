"""Changes of long series: of a level that holds, against the noise that the line has from night to night."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from perfsuite.changes import LEAST_AFTER, LEAST_BEFORE, WINDOW, Step, find_steps, measure_step
from perfsuite.history.model import Change, Commit, Point, Series
from perfsuite.stats import median

#: Fewest points of a series that is judged as a whole.
LONG = LEAST_BEFORE + LEAST_AFTER
#: Of the interval of each change.
CONFIDENCE = 0.95
#: Of normal noise, the standard deviation is so many median absolute deviations.
_MAD = 1.4826


def by_levels(many: Sequence[Series], threshold: float) -> list[Change]:
    """The changes of series of positive values, larger than ``threshold``, a share.

    One that looked larger when it was found than it does by all nights that there are now is none.
    """
    values = [[point.value for point in one.points] for one in many]
    labels = [[point.machine for point in one.points] for one in many]
    errors = [[own_error(point) for point in one.points] for one in many]
    changes: list[Change] = []
    for one, steps in zip(many, find_steps(values, labels, errors, threshold), strict=True):
        found = [change for step in steps if (change := _change(one, step)) is not None]
        changes += [change for change in with_recoveries(found, threshold) if change.size >= math.log1p(threshold)]
    return changes


def level_change(
    series: Series, known: Change, others: Iterable[Commit], threshold: float, family: int
) -> Change | None:
    """How the level of a series changed where another did; None if not surely by ``threshold``.

    Args:
        known: of the other.
        others: the commits at which that one changed besides.
        family: how many series are asked: they share the probability of an error.
    """
    place = _place(series, known.at)
    first = max(0, place - WINDOW // 2)
    points = series.points[first : place + WINDOW // 2]
    if not 0 < place < len(series.points):
        return None
    beside = {_place(series, one) - first for one in others}
    step = measure_step(
        [point.value for point in points],
        place - first,
        [point.machine for point in points],
        [own_error(point) for point in points],
        confidence := 1 - (1 - CONFIDENCE) / family,
        sorted(one for one in beside if 0 < one < len(points)),
    )
    low, high = step.interval
    if low <= 1 + threshold and high >= 1 / (1 + threshold):
        return None
    return _change(series, replace(step, at=place), confidence)


def own_error(point: Point) -> float:
    """Relative standard error of the median of the samples of a point: of one whose samples differ less is believed.

    √(π/2)·s/√n, of a normal distribution, with s by the median absolute deviation; 0 of fewer than two samples.
    """
    if len(point.samples) < 2 or min(point.samples) <= 0:
        return 0.0
    logs = [math.log(value) for value in point.samples]
    middle = median(logs)
    spread = _MAD * median([abs(value - middle) for value in logs])
    return math.sqrt(math.pi / 2) * spread / math.sqrt(len(logs))


def with_recoveries(changes: Sequence[Change], threshold: float) -> list[Change]:
    """The changes of a line in their order, each with the commit at which the level before it was back, if it was.

    Of a regression a level that is better still will do.
    """
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


def _place(series: Series, commit: Commit) -> int:
    """Of the first point that is not before the commit; how many points there are if all are."""
    points = enumerate(series.points)
    return next((at for at, point in points if point.commit.position >= commit.position), len(series.points))


def _change(series: Series, step: Step, confidence: float = CONFIDENCE) -> Change | None:
    points = series.points
    at = points[step.at].commit
    # Of one commit there may be points of several machines.
    before = next((one.commit for one in reversed(points[: step.at]) if one.commit.position < at.position), None)
    if before is None:
        return None
    sides = step.at, len(points) - step.at
    return Change(series.benchmark, before, at, step.ratio, step.interval, confidence, sides)
