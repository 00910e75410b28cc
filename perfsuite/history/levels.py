"""Changes of long series: of a level that holds, against the noise that the line has from night to night."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfsuite.changes import LEAST_AFTER, LEAST_BEFORE, WINDOW, Step, find_steps, measure_step
from perfsuite.history.model import Change, Point, Series
from perfsuite.stats import median

#: Fewest points of a series that is judged as a whole.
LONG = LEAST_BEFORE + LEAST_AFTER
#: Of the interval of each change.
CONFIDENCE = 0.95
#: Of normal noise, the standard deviation is so many median absolute deviations.
_MAD = 1.4826


def by_levels(many: Sequence[Series], threshold: float) -> list[Change]:
    """The changes of series of positive values, larger than ``threshold``, a share."""
    values = [[point.value for point in one.points] for one in many]
    labels = [[point.machine for point in one.points] for one in many]
    errors = [[own_error(point) for point in one.points] for one in many]
    changes = []
    for one, steps in zip(many, find_steps(values, labels, errors, threshold), strict=True):
        changes += [change for step in steps if (change := _change(one, step, steps, threshold)) is not None]
    return changes


def level_change(series: Series, known: Change, threshold: float, family: int) -> Change | None:
    """How the level of a series changed where another did; None if not surely by ``threshold``.

    Args:
        known: of the other; where it was undone the line is cut off.
        family: how many series are asked: they share the probability of an error.
    """
    at, end = known.at, known.recovered.position if known.recovered is not None else math.inf
    points = [point for point in series.points if point.commit.position < end]
    points = points[-WINDOW:]
    place = next((number for number, point in enumerate(points) if point.commit.position >= at.position), len(points))
    if place == 0 or place == len(points):
        return None
    confidence = 1 - (1 - CONFIDENCE) / family
    labels, errors = [point.machine for point in points], [own_error(point) for point in points]
    if any(point.value <= 0 for point in points):
        return None
    step = measure_step([point.value for point in points], place, labels, errors, confidence)
    limit = math.log1p(threshold)
    if step.interval[0] <= math.exp(limit) and step.interval[1] >= math.exp(-limit):
        return None
    return _change(Series(series.benchmark, tuple(points)), step, (step,), threshold, confidence)


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


def _change(
    series: Series, step: Step, steps: Sequence[Step], threshold: float, confidence: float = CONFIDENCE
) -> Change | None:
    points = series.points
    at = points[step.at].commit
    # Of one commit there may be points of several machines.
    before = next((one.commit for one in reversed(points[: step.at]) if one.commit.position < at.position), None)
    if before is None:
        return None
    back = next((later for later in steps if later.at > step.at and _undoes(later, step, threshold)), None)
    return Change(
        series.benchmark,
        before,
        at,
        step.ratio,
        step.interval,
        confidence,
        (step.at, len(points) - step.at),
        points[back.at].commit if back is not None else None,
    )


def _undoes(later: Step, step: Step, threshold: float) -> bool:
    """Whether the level before the step is back, or a better one than that, of a regression."""
    left = math.log(later.ratio) + math.log(step.ratio)
    return left <= math.log1p(threshold) if step.ratio > 1 else left >= -math.log1p(threshold)
