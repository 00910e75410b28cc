"""What figures with one row for each thing have in common: labels left of the axis, exact figures right of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.markers import CARETLEFT
from matplotlib.patches import Rectangle

from perfsuite.present.cells import ELLIPSIS, format_shapes
from perfsuite.present.plots.style import INK, PAPER, SMALL, TEXT
from perfsuite.present.plots.words import fit_left, fit_right, width_of
from perfsuite.records import Shape

#: Height of a row with a label of two lines, and of the axis below all rows, in points.
ROW, AXIS = 23.0, 30.0
#: How much of a row a bar fills.
BAR = 0.68
_PLACE: dict[str, Any] = {
    "xycoords": ("axes fraction", "data"),
    "textcoords": "offset points",
    "parse_math": False,
}


def bar(axes: Axes, row: float, start: float, length: float, color: str, *, gid: str = "", hatch: str = "") -> None:
    """A bar in a row, in data units; what hatches it is in the paper's colour."""
    patch = Rectangle((start, row - BAR / 2), length, BAR, facecolor=color, edgecolor=PAPER, hatch=hatch, linewidth=0)
    if gid:
        patch.set_gid(gid)
    axes.add_patch(patch)


def whisker(axes: Axes, row: float, low: float, high: float, *, floor: float | None = None) -> None:
    """An interval in a row; where it goes on below ``floor`` it ends there with an arrow."""
    below = floor is not None and low < floor
    shown = floor if floor is not None and below else low
    style: dict[str, Any] = {"color": INK, "markeredgewidth": 0.8, "clip_on": False}
    axes.plot([shown, high], [row, row], linewidth=0.8, **style)
    axes.plot([shown], [row], marker=CARETLEFT if below else "|", markersize=4, **style)
    axes.plot([high], [row], marker="|", markersize=4, **style)


def torn(axes: Axes, row: float, at: float) -> None:
    """Two gaps in a bar, so that nobody reads its length; ``at`` is where, as a share of the axis."""
    for offset in (0.0, 0.016):
        x = [at + offset, at + offset + 0.01]
        low, high = axes.get_xlim()
        axes.plot([low + part * (high - low) for part in x], [row + 0.42, row - 0.42], color=PAPER, linewidth=1.6)


def label(axes: Axes, row: float, first: str, *more: str, bold: bool = False) -> None:
    """Lines that end at the axis, the first in full size; all cleaned and cut already."""
    lines = [(first, TEXT, "bold" if bold else "normal"), *((text, SMALL, "normal") for text in more if text)]
    heights = [size * 1.22 for _, size, _ in lines]
    y = sum(heights) / 2
    for (text, size, weight), height in zip(lines, heights, strict=True):
        axes.annotate(text, (0, row), xytext=(-5, y - height / 2), va="center", ha="right", fontsize=size,
                      fontweight=weight, **_PLACE)  # fmt: skip
        y -= height


def height_of(labels: Sequence[Sequence[str]]) -> float:
    """How high a row must be for all of these labels."""
    return ROW + 8.5 * max(0, max((sum(map(bool, lines)) for lines in labels), default=0) - 2)


def figures(axes: Axes, row: float, text: str) -> None:
    """The exact figures."""
    axes.annotate(text, (1, row), xytext=(5, 0), va="center", fontsize=TEXT, **_PLACE)


def named(name: str, shapes: Shape, room: float) -> tuple[str, str]:
    """An operator's name, without its namespace where that does not fit, and its shapes: behind it, or if there is no
    room, in a line of their own."""
    text = fit_left(name, room)
    if text.startswith(ELLIPSIS):
        text = fit_left(name.rpartition("::")[2], room)
    sizes = fit_right(format_shapes(shapes), room, SMALL)
    if not sizes or width_of(f"{text} {sizes}") > room:
        return text, sizes
    return f"{text} {sizes}", ""
