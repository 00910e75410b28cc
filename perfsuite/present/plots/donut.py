"""The donut: a ring of shares, each with its label beside the ring."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patches import Wedge as WedgePatch

from perfsuite.analyse.figures import Donut, Wedge
from perfsuite.present.cells import clean, format_count, format_ns, format_share
from perfsuite.present.plots.layout import sentence, sheet, spread
from perfsuite.present.plots.style import (
    COMPACT,
    GRID,
    HATCHES,
    INK,
    OTHER,
    PAPER,
    SERIES,
    SMALL,
    TEXT,
    TITLE,
    WIDE,
    styled,
)
from perfsuite.present.plots.words import fit_left, fit_right, width_of, write

_OUTER, _INNER = 82.0, 48.0
#: From the ring to where leaders bend, and on to the labels.
_BEND, _REACH = 7.0, 22.0
_LABEL = 23.0


@styled
def donut(record: Donut, *, width: float = WIDE, words: bool = True) -> Figure:
    """Wedges clockwise from the top, the longest first; every label beside the ring, on its wedge's side."""
    if record.missing is not None:
        return sentence(record, width, words)
    angles = _angles(record.wedges)
    if width < COMPACT:
        return _with_list(record, width, words, angles)
    sides = [math.cos(math.radians((low + high) / 2)) >= -1e-9 for low, high in angles]
    most = max(sides.count(True), sides.count(False))
    drawn = sheet(record, width, max(2 * (_OUTER + _BEND) + 8, most * _LABEL + 4), words)
    canvas = drawn.canvas()
    center = drawn.width / 2, drawn.height / 2
    _ring(canvas, record, angles, center, 1.0)
    for right in (True, False):
        _labels(canvas, record, angles, [at for at, side in enumerate(sides) if side is right], right, center)
    return drawn.figure


def _with_list(record: Donut, width: float, words: bool, angles: Sequence[tuple[float, float]]) -> Figure:
    """Where there is no room on both sides: a smaller ring, and the labels as a list with swatches."""
    scale, line = 0.62, 21.0
    drawn = sheet(record, width, max(2 * _OUTER * scale + 4, len(record.wedges) * line + 4), words)
    canvas = drawn.canvas()
    _ring(canvas, record, angles, (_OUTER * scale, drawn.height / 2), scale)
    left, y = 2 * _OUTER * scale + 10, drawn.height / 2 + (len(record.wedges) - 1) * line / 2
    for wedge, (color, hatch) in zip(record.wedges, _looks(record.wedges), strict=True):
        canvas.add_patch(Rectangle((left, y - 1), 9, 8, facecolor=color, edgecolor=PAPER, hatch=hatch, linewidth=0))
        write(canvas, left + 13, y + 0.5, _fitted(wedge, drawn.width - left - 13), va="bottom")
        write(canvas, left + 13, y - 0.5, _figures(wedge), fontsize=SMALL, va="top")
        y -= line
    return drawn.figure


def _ring(
    canvas: Axes,
    record: Donut,
    angles: Sequence[tuple[float, float]],
    center: tuple[float, float],
    scale: float,
) -> None:
    for index, ((low, high), (color, hatch)) in enumerate(zip(angles, _looks(record.wedges), strict=True)):
        # Lines between wedges, and hatches, in the paper's colour; a ring of one wedge has no end to separate.
        patch = WedgePatch(
            center, _OUTER * scale, low, high, width=(_OUTER - _INNER) * scale,
            facecolor=color, edgecolor=PAPER, hatch=hatch, linewidth=0.8 if len(record.wedges) > 1 else 0.0,
        )  # fmt: skip
        patch.set_gid(f"donut-{index}")
        canvas.add_patch(patch)
    _center(canvas, record, center, scale)


def donut_tips(record: Donut) -> dict[str, str]:
    """What each wedge is, exactly."""
    return {f"donut-{index}": _tip(wedge, record.of) for index, wedge in enumerate(record.wedges)}


def _tip(wedge: Wedge, of: str) -> str:
    what, unit = ("time in primitives", "executions") if of == "primitives" else ("operators' self time", "calls")
    step = "" if wedge.share_of_step is None else f", {format_share(wedge.share_of_step)} of the step"
    return (
        f"{_name(wedge)}: {format_ns(wedge.time_ns, 4)} per step, {format_share(wedge.share)} of the {what}{step}, "
        f"{format_count(wedge.count)} {unit}"
    )


def _name(wedge: Wedge) -> str:
    if wedge.merged > 1:
        return f"other ({wedge.merged})"
    return clean(f"{wedge.name} {wedge.part}".rstrip())


def _angles(wedges: Sequence[Wedge]) -> list[tuple[float, float]]:
    """From and to, in degrees, counter-clockwise from the right as matplotlib counts."""
    found, passed = [], 0.0
    for wedge in wedges:
        high = 90 - 360 * passed
        passed += wedge.share
        found.append((90 - 360 * passed, high))
    return found


def _looks(wedges: Sequence[Wedge]) -> list[tuple[str, str]]:
    """A colour for each name and a hatch for each direction, or phase."""
    named = [wedge for wedge in wedges if wedge.merged == 1]
    colors = {name: SERIES[at % (len(SERIES) - 1)] for at, name in enumerate(dict.fromkeys(w.name for w in named))}
    parts = dict.fromkeys(wedge.part for wedge in named)
    hatches = {part: HATCHES[at % len(HATCHES)] for at, part in enumerate(parts)}
    return [(OTHER, "") if w.merged > 1 else (colors[w.name], hatches[w.part]) for w in wedges]


def _center(canvas: Axes, record: Donut, center: tuple[float, float], scale: float) -> None:
    x, y = center
    of = "in primitives" if record.of == "primitives" else "in operators"
    share = "of step: not known" if record.share_of_step is None else f"{format_share(record.share_of_step)} of step"
    small = SMALL if scale == 1 else SMALL - 1.5
    lines = ((12, format_ns(record.total_ns), (TITLE + 2) * max(scale, 0.75), "bold"), (-1, of, small, "normal"))
    for offset, text, size, weight in (*lines, (-12, "per step,", small, "normal"), (-22, share, small, "normal")):
        above = y + offset * max(scale, 0.7)
        write(canvas, x, above, text, fontsize=size, fontweight=weight, ha="center", va="center")


def _labels(
    canvas: Axes,
    record: Donut,
    angles: Sequence[tuple[float, float]],
    members: Sequence[int],
    right: bool,
    center: tuple[float, float],
) -> None:
    """Two lines for each wedge of a side, apart from one another, with a leader from the ring."""
    sign, height = (1 if right else -1), canvas.get_ylim()[1]
    middles = [math.radians(sum(angles[at]) / 2) for at in members]
    wanted = [center[1] + (_OUTER + _BEND) * math.sin(angle) for angle in middles]
    edge = center[0] + sign * (_OUTER + _REACH)
    room = (canvas.get_xlim()[1] - edge if right else edge) - 4
    for at, angle, y in zip(members, middles, spread(wanted, [_LABEL] * len(members), 0, height), strict=True):
        wedge = record.wedges[at]
        start = [center[i] + _OUTER * part for i, part in enumerate((math.cos(angle), math.sin(angle)))]
        bend = center[0] + sign * max(abs(math.cos(angle)) * (_OUTER + _BEND), _OUTER * 0.55)
        canvas.plot([start[0], bend, edge], [start[1], y, y], color=GRID, linewidth=0.7, zorder=0.5)
        side = "left" if right else "right"
        where, name = edge + sign * 3, _fitted(wedge, room)
        write(canvas, where, y + 0.5, name, ha=side, va="bottom", color=INK)
        write(canvas, where, y - 0.5, _figures(wedge), fontsize=SMALL, ha=side, va="top")


def _figures(wedge: Wedge) -> str:
    return f"{format_share(wedge.share)} · {format_ns(wedge.time_ns)}"


def _fitted(wedge: Wedge, room: float) -> str:
    """A name that fits: the operator's end and its phase say most."""
    if wedge.merged > 1 or not wedge.part:
        return fit_right(_name(wedge), room)
    part = fit_right(f" {wedge.part}", room / 2, TEXT)
    return fit_left(wedge.name, room - width_of(part)) + part
