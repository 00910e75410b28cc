"""What figures with one row for each thing have in common: labels left of the axis, exact figures right of it."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
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


def whisker(axes: Axes, row: float, low: float, high: float) -> None:
    """An interval in a row."""
    axes.plot([low, high], [row, row], color=INK, linewidth=0.8, marker="|", markersize=4, markeredgewidth=0.8)


def torn(axes: Axes, row: float, at: float) -> None:
    """Two gaps in a bar, so that nobody reads its length; ``at`` is where, as a share of the axis."""
    for offset in (0.0, 0.016):
        x = [at + offset, at + offset + 0.01]
        low, high = axes.get_xlim()
        axes.plot([low + part * (high - low) for part in x], [row + 0.42, row - 0.42], color=PAPER, linewidth=1.6)


def label(axes: Axes, row: float, first: str, second: str = "", *, bold: bool = False) -> None:
    """One or two lines that end at the axis; both cleaned and cut already."""
    weight = "bold" if bold else "normal"
    style = {"ha": "right", **_PLACE}
    if not second:
        axes.annotate(first, (0, row), xytext=(-5, 0), va="center", fontsize=TEXT, fontweight=weight, **style)
        return
    axes.annotate(first, (0, row), xytext=(-5, 0.5), va="bottom", fontsize=TEXT, fontweight=weight, **style)
    axes.annotate(second, (0, row), xytext=(-5, -0.5), va="top", fontsize=SMALL, **style)


def figures(axes: Axes, row: float, text: str) -> None:
    """The exact figures."""
    axes.annotate(text, (1, row), xytext=(5, 0), va="center", fontsize=TEXT, **_PLACE)


def named(name: str, shapes: Shape, room: float) -> str:
    """An operator's name, without its namespace where that does not fit, and as much of its shapes as then does."""
    text = fit_left(name, room)
    if text.startswith(ELLIPSIS):
        text = fit_left(name.rpartition("::")[2], room)
    left = room - width_of(f"{text} ")
    sizes = format_shapes(shapes)
    return f"{text} {fit_right(sizes, left)}" if sizes and left > 20 else text
