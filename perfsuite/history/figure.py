"""The figures of a history, as numbers: a line of it with its changes, and the operators of a step over commits."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perfsuite.analyse.figures import FigureRecord
from perfsuite.history.explain import Contributor, Explanation
from perfsuite.history.marks import Mark
from perfsuite.history.model import Benchmark, Change, Commit, Point, Series
from perfsuite.history.values import place_of
from perfsuite.stats import MEDIAN_INTERVAL_SAMPLES, median, median_interval
from perfsuite.units import counted

#: What a workload's operators can be the cause of.
_CAUSED = ("step", "phase", "focal_loss")


@dataclass(frozen=True)
class Dot:
    """One benchmark at one commit on one machine; ``x`` is the number of the commit in the figure."""

    x: int
    machine: int
    value: float
    #: Of its samples: ``interval`` (95 %, of their median) or ``range``; all None where they were not kept.
    low: float | None
    high: float | None
    kind: str | None
    n: int


@dataclass(frozen=True)
class Level:
    """The median of a machine's points between two changes, from commit ``first`` to ``last``."""

    machine: int
    first: int
    last: int
    value: float


@dataclass(frozen=True)
class Span:
    """Where a machine's level may be after a change: its level before, times the ends of the interval."""

    machine: int
    low: float
    high: float


@dataclass(frozen=True)
class Turn:
    """A change in the figure: ``x`` is the first commit of the new level, ``until`` the last."""

    x: int
    until: int
    change: Change
    spans: tuple[Span, ...]
    #: What explains it, where that is sure.
    culprit: Contributor | None


@dataclass(frozen=True)
class LetteredMark:
    """A change of the machine, with the letter that stands for it in the figure."""

    x: int
    letter: str
    mark: Mark


@dataclass(frozen=True, kw_only=True)
class SeriesFigure(FigureRecord):
    """The history of one benchmark."""

    benchmark: Benchmark
    #: In order; ``x`` is an index into them.
    commits: tuple[Commit, ...] = ()
    machines: tuple[str, ...] = ()
    dots: tuple[Dot, ...] = ()
    levels: tuple[Level, ...] = ()
    turns: tuple[Turn, ...] = ()
    marks: tuple[LetteredMark, ...] = ()
    #: What the value axis shows.
    low: float = 0.0
    high: float = 1.0


def series_figure(
    series: Series,
    changes: Sequence[Change] = (),
    marks: Sequence[Mark] = (),
    explanations: Sequence[Explanation] = (),
) -> SeriesFigure:
    """The line of a benchmark.

    Args:
        changes: of any benchmarks; those of this one are shown.
        marks: those between its first and its last commit are shown.
        explanations: a change of a workload's time is given the operator that one of these names for it.
    """
    kept = [point for point in series.points if math.isfinite(point.value)]
    commits = _commits(kept)
    place = {commit.hash: x for x, commit in enumerate(commits)}
    machines = tuple(dict.fromkeys(point.machine for point in kept))
    title, benchmark = series.benchmark.label, series.benchmark
    if not kept:
        return SeriesFigure(title=title, benchmark=benchmark, missing="Nothing was measured.")
    dots = tuple(_dot(point, place[point.commit.hash], machines.index(point.machine)) for point in kept)
    mine = [one for one in changes if one.benchmark.label == title]
    edges = sorted({x for one in mine for x in _edges(one, commits)})
    levels = tuple(_levels(dots, edges, len(commits)))
    turns = tuple(turn for one in mine if (turn := _turn(one, commits, edges, levels, explanations)) is not None)
    low, high = _window(dots, levels, turns)
    return SeriesFigure(
        title=title,
        subtitle=span_of(commits, machines),
        notes=_notes(series, dots, turns),
        benchmark=benchmark,
        commits=commits,
        machines=machines,
        dots=dots,
        levels=levels,
        turns=turns,
        marks=_lettered(marks, commits),
        low=low,
        high=high,
    )


def _commits(points: Sequence[Point]) -> tuple[Commit, ...]:
    return tuple(sorted({one.commit.hash: one.commit for one in points}.values(), key=lambda one: one.position))


def span_of(commits: Sequence[Commit], machines: Sequence[str]) -> str:
    first, last = commits[0], commits[-1]
    span = first.label if len(commits) == 1 else f"{first.label} to {last.label}"
    on = machines[0] if len(machines) == 1 else counted(len(machines), "machine")
    return f"{counted(len(commits), 'commit')}, {span} · {on}"


def _dot(point: Point, x: int, machine: int) -> Dot:
    samples = [one for one in point.samples if math.isfinite(one)]
    around = median_interval(samples) if samples else None
    if around is not None:
        return Dot(x, machine, point.value, *around, "interval", len(samples))
    if len(samples) > 1:
        return Dot(x, machine, point.value, min(samples), max(samples), "range", len(samples))
    return Dot(x, machine, point.value, None, None, None, len(samples))


def _edges(change: Change, commits: Sequence[Commit]) -> Iterator[int]:
    """Where a level begins: at the change, and where it is undone."""
    for commit in filter(None, (change.at, change.recovered)):
        x = index_of(commit, commits)
        if x is not None:
            yield x


def index_of(commit: Commit, commits: Sequence[Commit]) -> int | None:
    """The first commit of the line that is not before this one; None where all are."""
    return next((x for x, one in enumerate(commits) if one.position >= commit.position), None)


def _levels(dots: Sequence[Dot], edges: Sequence[int], count: int) -> Iterator[Level]:
    bounds = [0, *(x for x in edges if x > 0), count]
    grouped: dict[tuple[int, int], list[Dot]] = defaultdict(list)
    for dot in dots:
        nth = next(at for at in range(len(bounds) - 1, -1, -1) if dot.x >= bounds[at])
        grouped[nth, dot.machine].append(dot)
    for (_, machine), inside in sorted(grouped.items()):
        places = [dot.x for dot in inside]
        yield Level(machine, min(places), max(places), median([dot.value for dot in inside]))


def _turn(
    change: Change,
    commits: Sequence[Commit],
    edges: Sequence[int],
    levels: Sequence[Level],
    explanations: Sequence[Explanation],
) -> Turn | None:
    x = index_of(change.at, commits)
    if x is None:
        return None
    until = next((edge - 1 for edge in edges if edge > x), len(commits) - 1)
    before: dict[int, Level] = {}
    for level in levels:
        if level.last < x and (level.machine not in before or level.last > before[level.machine].last):
            before[level.machine] = level
    spans = tuple(
        Span(machine, level.value * change.interval[0], level.value * change.interval[1])
        for machine, level in sorted(before.items())
        # A count that was 0 has no ratio to another one.
        if all(map(math.isfinite, change.interval))
    )
    return Turn(x, until, change, spans, _culprit(change, explanations))


def _culprit(change: Change, explanations: Sequence[Explanation]) -> Contributor | None:
    """The operator that made a workload's time change; a line that is an operator's own needs none."""
    workload, measure, _ = place_of(change.benchmark.name, change.benchmark.parameters) or (None, None, "")
    if measure not in _CAUSED:
        return None
    for one in explanations:
        same = one.at.hash == change.at.hash and one.workload == workload
        if same and one.slower == change.is_regression:
            return one.culprit
    return None


def _window(dots: Sequence[Dot], levels: Sequence[Level], turns: Sequence[Turn]) -> tuple[float, float]:
    """All that is drawn and a margin; from 0 where little is lost by it."""
    reached = [level.value for level in levels]
    for dot in dots:
        reached += [one for one in (dot.value, dot.low, dot.high) if one is not None]
    for turn in turns:
        reached += [end for span in turn.spans for end in (span.low, span.high)]
    low, high = min(reached), max(reached)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    if 0 <= low < 0.3 * high or low == high == 0:
        return 0.0, high + margin
    return (max(low - margin, 0.0) if low >= 0 else low - margin), high + margin


def _lettered(marks: Sequence[Mark], commits: Sequence[Commit]) -> tuple[LetteredMark, ...]:
    first, last = commits[0].position, commits[-1].position
    inside = [mark for mark in marks if first < mark.commit.position <= last]
    found = []
    for number, mark in enumerate(sorted(inside, key=lambda one: one.commit.position)):
        x = index_of(mark.commit, commits)
        if x is not None:
            found.append(LetteredMark(x, _letter(number), mark))
    return tuple(found)


def _letter(number: int) -> str:
    """``a`` to ``z``, then ``aa``."""
    more, last = divmod(number, 26)
    return (_letter(more - 1) if more else "") + chr(ord("a") + last)


def _notes(series: Series, dots: Sequence[Dot], turns: Sequence[Turn]) -> tuple[str, ...]:
    found = []
    kinds = {dot.kind for dot in dots}
    if "interval" in kinds:
        found.append("Bar of a point: 95% interval of the median of its samples (order statistics).")
    if "range" in kinds:
        found.append(
            f"Bar of a point with fewer than {MEDIAN_INTERVAL_SAMPLES} samples: their range, which is no interval."
        )
    measured = [turn for turn in turns if not turn.change.counted]
    if measured:
        confidence = ", ".join(sorted({f"{turn.change.confidence * 100:.0f}%" for turn in measured}))
        found.append(
            "Line: median of the points between two changes. Band after a change: the level before it times its "
            f"{confidence} interval."
        )
    left = len(series.points) - len(dots)
    if left:
        found.append(f"{counted(left, 'point')} without a finite value not shown.")
    return tuple(found)
