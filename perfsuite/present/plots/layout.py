"""The frame of a figure: title above, notes below, and the body between, measured in points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perfsuite.analyse.figures import FigureRecord
from perfsuite.present.cells import clean
from perfsuite.present.plots.style import SMALL, TEXT, TITLE
from perfsuite.present.plots.words import fit_right, wrap, write
from perfsuite.units import TIME_UNITS, Units

POINTS_PER_INCH = 72
_MARGIN = 6.0
_LINE = 1.35


@dataclass(frozen=True)
class Sheet:
    """A figure and where in it its body lies, in points from its lower left corner."""

    figure: Figure
    left: float
    bottom: float
    width: float
    height: float

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes at these points within the body."""
        wide, high = (inches * POINTS_PER_INCH for inches in self.figure.get_size_inches())
        box = ((self.left + left) / wide, (self.bottom + bottom) / high, width / wide, height / high)
        return self.figure.add_axes(box)

    def canvas(self) -> Axes:
        """The whole body as bare axes whose units are points."""
        axes = self.axes(0, 0, self.width, self.height)
        axes.set(xlim=(0, self.width), ylim=(0, self.height))
        axes.set_axis_off()
        return axes


def inner_width(width: float) -> float:
    """How wide the body of a figure ``width`` inches wide is, in points."""
    return width * POINTS_PER_INCH - 2 * _MARGIN


def sheet(record: FigureRecord, width: float, height: float, words: bool) -> Sheet:
    """A new figure, ``width`` inches wide, with a body ``height`` points high.

    Args:
        words: whether to write the title, the subtitle and the notes into it; a page writes its own.
    """
    inner = inner_width(width)
    notes = [line for note in record.notes for line in wrap(note, inner, SMALL)] if words else []
    footer = len(notes) * SMALL * _LINE + (4 if notes else 0)
    about = wrap(record.subtitle, inner, TEXT)[:2]
    header = (TITLE + TEXT * len(about)) * _LINE + 4 if words else 0.0
    total = header + height + footer + 2 * _MARGIN
    figure = Figure(figsize=(width, total / POINTS_PER_INCH), dpi=POINTS_PER_INCH)
    FigureCanvasAgg(figure)
    figure.set_label(clean(f"{record.title}: {record.subtitle}" if record.subtitle else record.title))
    if words:
        _head(figure, record.title, about, inner, total)
    for number, line in enumerate(reversed(notes)):
        bottom = (_MARGIN + number * SMALL * _LINE) / total
        write(figure, _MARGIN / (inner + 2 * _MARGIN), bottom, line, fontsize=SMALL, va="bottom")
    return Sheet(figure, _MARGIN, _MARGIN + footer, inner, height)


def _head(figure: Figure, title: str, about: Sequence[str], inner: float, total: float) -> None:
    left, top = _MARGIN / (inner + 2 * _MARGIN), total - _MARGIN
    title = fit_right(title, inner, TITLE, "bold")
    write(figure, left, top / total, title, fontsize=TITLE, fontweight="bold", va="top")
    for number, line in enumerate(about):
        below = (top - (TITLE + number * TEXT) * _LINE) / total
        write(figure, left, below, line, va="top")


def sentence(record: FigureRecord, width: float, words: bool, *more: str) -> Figure:
    """What to show where there is nothing to draw: why, instead of an empty picture."""
    inner = inner_width(width)
    lines = [line for text in (record.missing or "", *more) for line in wrap(text, inner, TEXT)]
    drawn = sheet(record, width, max(1, len(lines)) * TEXT * _LINE + 8, words)
    canvas = drawn.canvas()
    for number, line in enumerate(lines):
        write(canvas, 0, drawn.height - 4 - number * TEXT * _LINE, line, va="top")
    return drawn.figure


def unit_for(largest: float, units: Units = TIME_UNITS) -> tuple[str, float]:
    """The largest unit of which ``largest`` is at least one, and its size."""
    return next(((name, size) for name, size in reversed(units) if abs(largest) >= size), units[0])


def spread(targets: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Centres for labels of these sizes, as near to their targets as they can be without overlapping.

    Labels that would overlap form a block around the mean of where they want to be (pool adjacent violators, which is
    the least-squares answer); order is that of the targets.  Where all do not fit between ``low`` and ``high`` they
    overlap evenly.
    """
    if not targets:
        return []
    order = sorted(range(len(targets)), key=lambda index: targets[index])
    room = high - low
    scale = min(1.0, room / sum(sizes)) if sum(sizes) else 1.0
    # A block is [sum of wanted lower edges, count, length before each member's edge …]: where its first edge lies.
    blocks: list[tuple[list[int], float, float]] = []
    for index in order:
        members, wanted, length = [index], targets[index] - sizes[index] * scale / 2, sizes[index] * scale
        while blocks and _start(*blocks[-1], low, high) + blocks[-1][2] > _start(members, wanted, length, low, high):
            before, sum_before, length_before = blocks.pop()
            wanted = sum_before + wanted - len(members) * length_before
            members, length = before + members, length_before + length
        blocks.append((members, wanted, length))
    centres = [0.0] * len(targets)
    for members, wanted, length in blocks:
        edge = _start(members, wanted, length, low, high)
        for index in members:
            centres[index] = edge + sizes[index] * scale / 2
            edge += sizes[index] * scale
    return centres


def _start(members: Sequence[int], wanted: float, length: float, low: float, high: float) -> float:
    """Where a block's first label begins, within the bounds."""
    return min(max(wanted / len(members), low), max(low, high - length))


def plain(axes: Axes, which: str, ticks: int = 5) -> None:
    """A linear axis with few round ticks and a light grid."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis=which)  # type: ignore[arg-type]
