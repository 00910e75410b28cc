"""A line of a history, drawn: points with intervals, levels, changes with what explains them, releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfsuite.history.explain import Explanation
from perfsuite.history.figure import SeriesFigure, Turn, series_figure
from perfsuite.history.marks import Mark
from perfsuite.history.model import Change, Commit, Series
from perfsuite.present.cells import clean
from perfsuite.present.history import words as say
from perfsuite.present.plots.layout import Sheet, plain, sentence, sheet, spread
from perfsuite.present.plots.output import save
from perfsuite.present.plots.style import FASTER, INK, MARKERS, SERIES, SLOWER, SMALL, TEXT, WIDE, styled
from perfsuite.present.plots.words import fit_right, width_of, write

HEIGHT, LEFT, BOTTOM, TOP = 214.0, 54.0, 20.0, 36.0
#: So many changes have their words above the figure: the largest.
_NAMED = 5
#: So many letters of marks have room.
_LETTERS = 40


def draw_series(
    series: Series,
    changes: Sequence[Change],
    marks: Sequence[Mark],
    path: Path,
    *,
    explanations: Sequence[Explanation] = (),
    width: float = WIDE,
) -> SeriesFigure:
    """Draw the line of a benchmark into a file: ``.png``, ``.svg`` or ``.pdf``; returns what was drawn.

    Args:
        changes: of any benchmarks; those of this one are shown.
        marks: of :func:`perfsuite.history.marks.marks`.
        explanations: what names the guilty operator at a change.

    Raises:
        UsageError: the suffix is another one.
        StoreError: the file cannot be written.
    """
    record = series_figure(series, changes, marks, explanations)
    save(series_plot(record, width=width), path)
    return record


@styled
def series_plot(record: SeriesFigure, *, width: float = WIDE, words: bool = True) -> Figure:
    """The points by commit, evenly spaced, of each machine with a shape and a colour of its own."""
    if record.missing is not None:
        return sentence(record, width, words)
    legend = 12.0 if len(record.machines) > 1 else 0.0
    drawn = sheet(with_marks(record), width, HEIGHT + legend, words)
    axes = drawn.axes(LEFT, BOTTOM, drawn.width - LEFT - 8, HEIGHT - BOTTOM - TOP)
    axes.set(xlim=(-0.6, len(record.commits) - 0.4), ylim=(record.low, record.high))
    begins = f"\naxis from {say.amount(record.low, '')} on" if record.low > 0 else ""
    axes.set_ylabel(clean(record.benchmark.unit) + begins, parse_math=False)
    plain(axes, "y")
    commit_ticks(axes, record.commits, drawn.width - LEFT - 8)
    _levels(axes, record)
    _dots(axes, record)
    for number, turn in enumerate(record.turns):
        line = axes.axvline(turn.x - 0.5, color=_color(turn), linestyle=(0, (4, 2)), linewidth=1.0, zorder=2)
        line.set_gid(f"series-turn-{number}")
    _turns(drawn, record, legend)
    _marks(axes, record)
    if legend:
        _machines(drawn, record)
    return drawn.figure


def series_tips(record: SeriesFigure) -> dict[str, str]:
    """What each machine's points and each change are, exactly."""
    if record.missing is not None:
        return {}
    found = {}
    for index, machine in enumerate(record.machines):
        mine = [dot for dot in record.dots if dot.machine == index]
        last = mine[-1]
        value = say.amount(last.value, record.benchmark.unit)
        found[f"series-dots-{index}"] = clean(f"{machine}: {value} at {record.commits[last.x].label}, the newest")
    return found | {f"series-turn-{index}": clean(turn_words(turn)) for index, turn in enumerate(record.turns)}


def turn_words(turn: Turn) -> str:
    """``v2.7.0 → v2.8.0: +6.0% (+4.9 to +7.1), regression: convolution_backward at layer3``."""
    one = turn.change
    recovered = f", undone at {one.recovered.label}" if one.recovered is not None else ""
    because = f": {say.share(turn.culprit)} from {say.contributor(turn.culprit)}" if turn.culprit is not None else ""
    return f"{say.commits(one.before, one.at)}: {say.change(one)}{recovered}{because}"


def with_marks(record: SeriesFigure) -> SeriesFigure:
    """With a note for each lettered mark."""
    lines = (
        f"Mark {one.letter}, at {record.commits[one.x].label}: {say.facts(one.mark.changes)}"
        for one in record.marks[:_LETTERS]
    )
    return replace(record, notes=(*record.notes, *lines))


def commit_ticks(axes: Axes, commits: Sequence[Commit], room: float) -> None:
    """Names below the axis: releases first, the newest before all, then as many others as there is room for."""
    each = room / (len(commits) + 0.2)
    numbers = list(range(len(commits) - 1, -1, -1))
    taken: list[tuple[float, float]] = []
    found: dict[int, str] = {}
    for x in sorted(numbers, key=lambda one: not commits[one].tags):
        name = fit_right(commits[x].label, 64, SMALL)
        half = width_of(name, SMALL) / 2 + 4
        low, high = (x + 0.6) * each - half, (x + 0.6) * each + half
        if high <= room + 10 and all(high <= left or right <= low for left, right in taken):
            taken.append((low, high))
            found[x] = name
    axes.set_xticks(sorted(found), labels=[found[x] for x in sorted(found)], fontsize=SMALL)
    for tick in axes.get_xticklabels():
        tick.set_parse_math(False)


def _color(turn: Turn) -> str:
    return SLOWER if turn.change.is_regression else FASTER


def _levels(axes: Axes, record: SeriesFigure) -> None:
    for level in record.levels:
        ends = (level.first - 0.5, level.last + 0.5)
        axes.plot(ends, (level.value,) * 2, color=SERIES[level.machine % 7], linewidth=1.1, zorder=3)
    for turn in record.turns:
        for span in turn.spans:
            ends = (turn.x - 0.5, turn.until + 0.5)
            axes.fill_between(ends, span.low, span.high, color=_color(turn), alpha=0.16, linewidth=0, zorder=1)


def _dots(axes: Axes, record: SeriesFigure) -> None:
    size = 4.0 if len(record.commits) <= 60 else 2.6
    for index in range(len(record.machines)):
        aside = (index - (len(record.machines) - 1) / 2) * 0.16
        color = SERIES[index % 7]
        mine = [dot for dot in record.dots if dot.machine == index]
        around = [(dot.x + aside, dot.low, dot.high) for dot in mine if dot.low is not None and dot.high is not None]
        if around:
            xs, lows, highs = zip(*around, strict=True)
            axes.vlines(xs, lows, highs, colors=color, linewidth=0.9, zorder=4)
        (points,) = axes.plot(
            [dot.x + aside for dot in mine], [dot.value for dot in mine], linestyle="none",
            marker=MARKERS[index % len(MARKERS)], markersize=size, color=color, markeredgewidth=0, zorder=5,
        )  # fmt: skip
        points.set_gid(f"series-dots-{index}")


def _turns(drawn: Sheet, record: SeriesFigure, legend: float) -> None:
    """By how much, and through which operator, above each of the largest changes."""
    largest = sorted(record.turns, key=lambda turn: -abs(turn.change.ratio - 1))[:_NAMED]
    shown = sorted(largest, key=lambda turn: turn.x)
    if not shown:
        return
    canvas, top = drawn.canvas(), HEIGHT - TOP
    each = (drawn.width - LEFT - 8) / (len(record.commits) + 0.2)
    most = min(220.0, (drawn.width - LEFT) / len(shown) - 8)
    texts = [_texts(turn, most) for turn in shown]
    middles = [LEFT + (turn.x + 0.1) * each for turn in shown]
    sizes = [max(width_of(first, TEXT, "bold"), width_of(second, SMALL)) + 8 for first, second in texts]
    places = spread(middles, sizes, LEFT - 10, drawn.width)
    for turn, (first, second), middle, x in zip(shown, texts, middles, places, strict=True):
        canvas.plot([middle, x], [top, top + 6], color=_color(turn), linewidth=0.8)
        write(canvas, x, top + 16, first, fontweight="bold", ha="center", va="bottom")
        write(canvas, x, top + 7, second, fontsize=SMALL, ha="center", va="bottom")


def _texts(turn: Turn, room: float) -> tuple[str, str]:
    named = "" if turn.culprit is None else say.contributor(turn.culprit)
    if turn.change.recovered is not None:
        named = f"undone at {turn.change.recovered.label}"
    return fit_right(say.ratio(turn.change.ratio), room, TEXT, "bold"), fit_right(named, room, SMALL)


def _marks(axes: Axes, record: SeriesFigure) -> None:
    low, high = record.low, record.high
    for one in record.marks[:_LETTERS]:
        axes.axvline(one.x - 0.5, color=INK, linestyle=(0, (1, 2)), linewidth=0.7, zorder=2)
        write(axes, one.x - 0.42, low + 0.02 * (high - low), one.letter, fontsize=SMALL, va="bottom")


def _machines(drawn: Sheet, record: SeriesFigure) -> None:
    """Which shape is which machine, above everything."""
    canvas, x, y = drawn.canvas(), LEFT, drawn.height - 6
    for index, machine in enumerate(record.machines):
        name = fit_right(machine, (drawn.width - LEFT) / min(len(record.machines), 5) - 16, SMALL)
        if x + width_of(name, SMALL) > drawn.width:
            write(canvas, x, y, f"+{len(record.machines) - index}", fontsize=SMALL, va="center")
            return
        canvas.plot([x], [y], marker=MARKERS[index % len(MARKERS)], markersize=4, color=SERIES[index % 7],
                    markeredgewidth=0)  # fmt: skip
        write(canvas, x + 6, y, name, fontsize=SMALL, va="center")
        x += width_of(name, SMALL) + 20
