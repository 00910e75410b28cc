"""The operators of a step over commits, drawn."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from perfsuite.history.stack import Band, StackFigure
from perfsuite.present.cells import clean
from perfsuite.present.history import words as say
from perfsuite.present.history.plots.series import commit_ticks
from perfsuite.present.plots.layout import Sheet, plain, sentence, sheet, spread
from perfsuite.present.plots.style import (
    COMPACT,
    FASTER,
    GRID,
    HATCHES,
    INK,
    OTHER,
    PAPER,
    SERIES,
    SLOWER,
    SMALL,
    WIDE,
    styled,
)
from perfsuite.present.plots.words import fit_right, write

_HEIGHT, _LEFT, _BOTTOM, _TOP = 220.0, 54.0, 20.0, 8.0
#: More commits than this are areas, since bars would be too thin for a hatch.
_BARS = 24


@styled
def stack_plot(record: StackFigure, *, width: float = WIDE, words: bool = True) -> Figure:
    """Operators on top of each other at each commit, the longest below; diamonds are the timed step."""
    if record.missing is not None or not record.bands:
        return sentence(record, width, words)
    names = 132.0 if width > COMPACT else 82.0
    drawn = sheet(record, width, _HEIGHT, words)
    room = drawn.width - _LEFT - names
    axes = drawn.axes(_LEFT, _BOTTOM, room, _HEIGHT - _BOTTOM - _TOP)
    axes.set(xlim=(-0.6, len(record.commits) - 0.4), ylim=(0, record.high * 1.05))
    axes.set_ylabel(f"self time ({clean(record.unit)})", parse_math=False)
    plain(axes, "y")
    commit_ticks(axes, record.commits, room)
    draw = _bars if len(record.commits) <= _BARS else _areas
    draw(axes, record)
    known = [(x, value) for x, value in enumerate(record.steps) if value is not None]
    if known:
        xs, values = zip(*known, strict=True)
        size = 4.5 if len(record.commits) <= _BARS else 2.5
        (line,) = axes.plot(xs, values, linestyle="none", marker="D", markersize=size, color=INK,
                            markeredgecolor=PAPER, markeredgewidth=0.5, zorder=5)  # fmt: skip
        line.set_gid("stack-step")
    for number, (x, ratio) in enumerate(record.turns):
        color = SLOWER if ratio > 1 else FASTER
        turn = axes.axvline(x - 0.5, color=color, linestyle=(0, (4, 2)), linewidth=1.0, zorder=4)
        turn.set_gid(f"stack-turn-{number}")
    _names(drawn, record, room, names)
    return drawn.figure


def stack_tips(record: StackFigure) -> dict[str, str]:
    """What each bar, or each area, is."""
    if record.missing is not None or not record.bands:
        return {}
    found: dict[str, str] = {}
    for index, band in enumerate(record.bands):
        name = band_name(band)
        known = {x: say.amount(one, record.unit) for x, one in enumerate(band.values) if one is not None}
        if len(record.commits) <= _BARS:
            where = ((x, f"{name} at {record.commits[x].label}: {value}") for x, value in known.items())
            found |= {f"stack-{index}-{x}": clean(text) for x, text in where}
        else:
            found[f"stack-{index}"] = clean(f"{name}: {say.amount(band.values[-1], record.unit)} at the newest")
    if any(one is not None for one in record.steps):
        last = next(one for one in reversed(record.steps) if one is not None)
        found["stack-step"] = clean(f"timed step: {say.amount(last, record.unit)} at the newest")
    for number, (x, ratio) in enumerate(record.turns):
        found[f"stack-turn-{number}"] = clean(f"timed step at {record.commits[x].label}: {say.ratio(ratio)}")
    return found


def band_name(band: Band) -> str:
    """``convolution``, ``other (9)``."""
    return f"{band.name} ({band.merged})" if band.merged > 1 else band.name


def _look(index: int, band: Band) -> tuple[str, str]:
    """Colour and hatch."""
    return (OTHER, "") if band.rest else (SERIES[index % 7], HATCHES[index % len(HATCHES)])


def _stacked(record: StackFigure) -> Iterator[tuple[int, Band, list[float]]]:
    """Each band with where it begins at each commit."""
    bottoms = [0.0] * len(record.commits)
    for index, band in enumerate(record.bands):
        yield index, band, list(bottoms)
        bottoms = [low + (value or 0.0) for low, value in zip(bottoms, band.values, strict=True)]


def _bars(axes: Axes, record: StackFigure) -> None:
    for index, band, bottoms in _stacked(record):
        color, hatch = _look(index, band)
        for x, (low, value) in enumerate(zip(bottoms, band.values, strict=True)):
            if value is None:
                continue
            bar = Rectangle((x - 0.4, low), 0.8, value, facecolor=color, edgecolor=PAPER, hatch=hatch, linewidth=0.4)
            bar.set_gid(f"stack-{index}-{x}")
            axes.add_patch(bar)


def _areas(axes: Axes, record: StackFigure) -> None:
    xs = range(len(record.commits))
    for index, band, bottoms in _stacked(record):
        color, hatch = _look(index, band)
        tops = [low + (value or 0.0) for low, value in zip(bottoms, band.values, strict=True)]
        area = axes.fill_between(xs, bottoms, tops, step="mid", facecolor=color, edgecolor=PAPER, hatch=hatch,
                                 linewidth=0.0)  # fmt: skip
        area.set_gid(f"stack-{index}")


def _names(drawn: Sheet, record: StackFigure, room: float, names: float) -> None:
    """Beside the newest commit, each at the height of its band."""
    canvas = drawn.canvas()
    tall, scale = _HEIGHT - _BOTTOM - _TOP, (_HEIGHT - _BOTTOM - _TOP) / (record.high * 1.05)
    newest = [(low[-1] + (band.values[-1] or 0.0) / 2, index, band) for index, band, low in _stacked(record)]
    targets = [_BOTTOM + middle * scale for middle, _, _ in newest]
    places = spread(targets, [10.5] * len(targets), _BOTTOM, _BOTTOM + tall)
    each = room / (len(record.commits) + 0.2)
    # A bar ends further to the right than an area, which ends at its last commit.
    edge = _LEFT + (len(record.commits) - (0 if len(record.commits) <= _BARS else 0.4)) * each
    left = _LEFT + room + 10
    for (_, index, band), target, y in zip(newest, targets, places, strict=True):
        color, hatch = _look(index, band)
        canvas.plot([edge, left - 2], [target, y], color=GRID, linewidth=0.6)
        canvas.add_patch(Rectangle((left, y - 3.5), 9, 7, facecolor=color, edgecolor=PAPER, hatch=hatch, linewidth=0.4))
        write(canvas, left + 12, y, fit_right(band_name(band), names - 26, SMALL), fontsize=SMALL, va="center")
