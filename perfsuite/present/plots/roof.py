"""The roofline: rows as dots under what the machine can do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator

from perfsuite.analyse.figures import Roof, RooflineDot, RooflineFigure
from perfsuite.analyse.roofline import bound_by
from perfsuite.present.cells import clean, format_ns, format_shapes, format_share, shorten_left, shorten_right
from perfsuite.present.plots.bars import phase_colors
from perfsuite.present.plots.layout import sentence, sheet, spread
from perfsuite.present.plots.style import COMPACT, GRID, INK, MARKERS, OTHER, PAPER, SERIES, SLOWER, SMALL, WIDE, styled
from perfsuite.present.plots.words import fit_right, wrap, write
from perfsuite.units import PREFIXES, format_amount

_HEIGHT, _LEFT, _BOTTOM, _LINE = 236.0, 42.0, 30.0, 11.0
#: The column right of the axes.
_COLUMN = 128.0
#: Diameters of dots in points, of which the area says the time; few, so that a drawing can share their shapes.
_SMALLEST, _LARGEST, _SIZES = 2.5, 13.0, 10
_BOUNDS = ("compute-bound", "memory-bound", "overhead-bound")
_DASHES = ("solid", (0, (5, 2)), (0, (3, 1.5, 1, 1.5)), (0, (1, 1.5)))
_WARNING = "Measured on a busy machine: the roofs may be too low."
#: What draws the sample of an entry of the legend at (x, y), and its words.
_Entry = tuple[Callable[[Axes, float, float], object], str]


@styled
def roofline(record: RooflineFigure, *, width: float = WIDE, words: bool = True) -> Figure:
    """Dots of which the area is the time, under peaks (level lines) and bandwidths (slopes), both axes logarithmic."""
    if record.missing is not None:
        return sentence(record, width, words)
    wide = width > COMPACT
    looks = _looks(record)
    entries = _entries(record, looks, wide)
    below = 0.0 if wide else (len(entries) + 1) // 2 * _LINE + 4
    above = 14.0 if record.contended else 0.0
    drawn = sheet(record, width, _HEIGHT + below + above, words)
    right = drawn.width - (_COLUMN if wide else 4)
    box = _LEFT, _BOTTOM + below, right - _LEFT, _HEIGHT - _BOTTOM - 4
    axes, canvas = drawn.axes(*box), drawn.canvas()
    _scales(axes, record, 4 if wide else 8)
    peaks = _roofs(axes, record)
    _dots(axes, record, looks)
    if record.contended:
        _warning(canvas, drawn.height - 8, wide)
    if wide:
        # With peaks, whose labels stand beside their lines, the legend keeps out of their way at the bottom.
        top = len(entries) * _LINE + 8
        _peak_labels(canvas, axes, peaks, right, top)
        _legend(canvas, entries, right + 14, top if peaks else _HEIGHT)
    else:
        _labels_inside(axes, peaks)
        half = (len(entries) + 1) // 2
        _legend(canvas, entries[:half], 0, below, drawn.width / 2)
        _legend(canvas, entries[half:], drawn.width / 2, below)
    return drawn.figure


def roofline_tips(record: RooflineFigure) -> dict[str, str]:
    """What each dot and each roof that is drawn is, exactly."""
    found = {f"roofline-{index}": _tip(dot) for index, dot in enumerate(record.dots)}
    return found | {f"roof-{index}": _roof_name(roof) for index, roof in enumerate(record.roofs) if roof.drawn}


def _tip(dot: RooflineDot) -> str:
    # Short, because a page has each of 300 twice; the table has all of it.
    shapes, module = shorten_right(format_shapes(dot.shapes), 30), shorten_left(dot.module or "", 30)
    where = " ".join(part for part in (shapes, module, dot.phase) if part)
    unit = _unit(dot.dtype)
    reached = ""
    if dot.share is not None and dot.ceiling is not None:
        reached = f" ({format_share(dot.share)} of {format_amount(dot.ceiling, unit)})"
    bound = bound_by(dot.bound, dot.roof)
    return clean(
        f"{dot.name} {where}: {format_ns(dot.time_ns, 4)}, {format_amount(dot.flop_rate, unit)}{reached}, "
        f"{dot.intensity:.3g} FLOP/byte{', ' + bound if bound else ''}"
    )


def _unit(dtype: str | None) -> str:
    """What is counted in whole numbers is no floating-point operation."""
    return "OP/s" if dtype == "int8" else "FLOP/s"


def _roof_name(roof: Roof) -> str:
    unit = _unit(roof.name) if roof.kind == "peak" else "B/s"
    return clean(f"{roof.name} {format_amount(roof.rate, unit)}{', by conversion' if roof.emulated else ''}")


# --- axes and marks ---------------------------------------------------------------------------------


def _scales(axes: Axes, record: RooflineFigure, beyond: float) -> None:
    """Both axes; the one of intensity ends ``beyond`` times the highest."""
    xs = [dot.intensity for dot in record.dots]
    ys = [dot.flop_rate for dot in record.dots]
    peaks = [roof.rate for roof in record.roofs if roof.kind == "peak" and roof.drawn]
    bandwidths = [roof.rate for roof in record.roofs if roof.kind == "bandwidth"]
    if peaks and bandwidths:
        # The ridges at the top: where each bandwidth stops being the lower one.
        xs += [max(peaks) / min(bandwidths), max(peaks) / max(bandwidths)]
    axes.set(xscale="log", yscale="log")
    axes.set(xlim=(min(xs) / 2.5, max(xs) * beyond), ylim=(min((*ys, *peaks)) / 3, max((*ys, *peaks)) * 2.5))
    axes.set_xlabel("arithmetic intensity (FLOP/byte)")
    axes.set_ylabel("FLOP/s")
    for axis, rate in ((axes.xaxis, False), (axes.yaxis, True)):
        axis.set_major_locator(LogLocator(10, numticks=8))
        axis.set_minor_locator(LogLocator(10, numticks=1))
        axis.set_major_formatter(FuncFormatter(_tick_of_rate if rate else _tick))
    axes.grid()


def _tick(value: float, _: int | None = None) -> str:
    return f"{value:g}" if 1e-4 < value < 1e6 else f"{value:.0e}"


def _tick_of_rate(value: float, _: int | None = None) -> str:
    # Of decades there are no digits to round.
    prefix, size = next(((name, size) for name, size in reversed(PREFIXES) if value >= 0.9995 * size), PREFIXES[0])
    return f"{value / size:g} {prefix}".strip()


def _looks(record: RooflineFigure) -> Mapping[str | None, tuple[str, str]]:
    """Colour and shape for each bound; for each phase where the machine was not measured."""
    if record.roofs:
        there = {dot.bound for dot in record.dots}
        looks: dict[str | None, tuple[str, str]] = {
            bound: (SERIES[at], MARKERS[at]) for at, bound in enumerate(_BOUNDS) if bound in there
        }
        return looks | ({None: (OTHER, "D")} if None in there else {})
    there = {dot.phase for dot in record.dots}
    colors = phase_colors(record.phases)
    return {
        phase: (colors[phase], MARKERS[at % len(MARKERS)]) for at, phase in enumerate(record.phases) if phase in there
    }


def _dots(axes: Axes, record: RooflineFigure, looks: Mapping[str | None, tuple[str, str]]) -> None:
    dots = record.dots
    longest = max(dot.time_ns for dot in dots)
    for index, dot in enumerate(dots):  # the shortest last, so that none hides behind a longer one
        color, marker = looks[dot.bound if record.roofs else dot.phase]
        share = math.sqrt(max(dot.time_ns, 0.0) / longest) if longest else 0.0
        size = _SMALLEST + (_LARGEST - _SMALLEST) * math.ceil(share * _SIZES) / _SIZES
        (line,) = axes.plot(
            [dot.intensity], [dot.flop_rate], linestyle="none", marker=marker, markersize=size, markerfacecolor=color,
            markeredgecolor=PAPER, markeredgewidth=0.5, zorder=3, clip_on=False,
        )  # fmt: skip
        line.set_gid(f"roofline-{index}")


def _roofs(axes: Axes, record: RooflineFigure) -> list[Roof]:
    """The lines; the peaks among them are returned."""
    left, right = axes.get_xlim()
    drawn = [(index, roof) for index, roof in enumerate(record.roofs) if roof.drawn]
    peaks = [roof for _, roof in drawn if roof.kind == "peak"]
    top = max((roof.rate for roof in peaks), default=axes.get_ylim()[1])
    fastest = max((roof.rate for _, roof in drawn if roof.kind == "bandwidth"), default=None)
    dashes = _dashes(record)
    for index, roof in drawn:
        style: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": dashes.get(roof.name), "zorder": 2}
        if roof.kind == "peak":
            # What is computed by conversion has a rate, but the hardware has no such limit.
            dash: Any = _DASHES[3] if roof.emulated else "solid"
            style |= {"linewidth": 0.7 if roof.emulated else 1.2, "linestyle": dash}
            start = left if fastest is None else max(left, roof.rate / fastest)
            (line,) = axes.plot([start, right], [roof.rate] * 2, **style)
        else:
            (line,) = axes.plot([left, top / roof.rate], [left * roof.rate, top], **style)
        line.set_gid(f"roof-{index}")
    return peaks


def _dashes(record: RooflineFigure) -> Mapping[str, Any]:
    """Of each level, the farthest solid."""
    levels = [roof.name for roof in record.roofs if roof.kind == "bandwidth"]
    return {name: _DASHES[at % len(_DASHES)] for at, name in enumerate(reversed(levels))}


# --- words ------------------------------------------------------------------------------------------


def _warning(canvas: Axes, y: float, wide: bool) -> None:
    canvas.add_patch(Rectangle((0, y - 4), 4, 9, facecolor=SLOWER, linewidth=0))
    text = _WARNING if wide else wrap(_WARNING.partition(":")[0] + ": roofs too low?", canvas.get_xlim()[1], SMALL)[0]
    write(canvas, 8, y, text, fontsize=SMALL, fontweight="bold", va="center")


def _peak_labels(canvas: Axes, axes: Axes, peaks: Sequence[Roof], left: float, below: float) -> None:
    """Each peak's name beside its line, and none lower than ``below``."""
    low, high = (math.log(end) for end in axes.get_ylim())
    box_bottom, box_height = _BOTTOM, _HEIGHT - _BOTTOM - 4
    lines = [box_bottom + box_height * (math.log(roof.rate) - low) / (high - low) for roof in peaks]
    lines = [max(line, box_bottom) for line in lines]
    places = spread(lines, [_LINE] * len(lines), max(below, box_bottom), _HEIGHT)
    room = canvas.get_xlim()[1] - left - 14
    for roof, line, y in zip(peaks, lines, places, strict=True):
        canvas.plot([left + 1, left + 12], [line, y], color=GRID, linewidth=0.6)
        name = fit_right(_roof_name(roof), room, SMALL, "bold")
        write(canvas, left + 14, y, name, fontsize=SMALL, va="center", fontweight="bold")


def _labels_inside(axes: Axes, peaks: Sequence[Roof]) -> None:
    """Each peak's name on its line, right of all dots; the legend says its rate."""
    for roof in peaks:
        axes.annotate(
            fit_right(roof.name, 40, SMALL), (1, roof.rate), xycoords=("axes fraction", "data"), xytext=(0, 2),
            textcoords="offset points", ha="right", va="bottom", fontsize=SMALL, parse_math=False,
        )  # fmt: skip


def _entries(record: RooflineFigure, looks: Mapping[str | None, tuple[str, str]], wide: bool) -> list[_Entry]:
    """Which line is which level, which mark which bound, and what the area is; peaks where no label has their rate."""
    dashes = _dashes(record)

    def line(dash: Any) -> Callable[[Axes, float, float], object]:
        return lambda canvas, x, y: canvas.plot([x, x + 20], [y, y], color=INK, linewidth=0.9, linestyle=dash)

    def mark(color: str, marker: str) -> Callable[[Axes, float, float], object]:
        return lambda canvas, x, y: canvas.plot(
            [x + 10], [y], linestyle="none", marker=marker, markersize=5, markerfacecolor=color,
            markeredgecolor=PAPER, markeredgewidth=0.5,
        )  # fmt: skip

    found: list[_Entry] = []
    if not wide:
        peaks = [roof for roof in record.roofs if roof.kind == "peak" and roof.drawn]
        found += [(line(_DASHES[3] if roof.emulated else "solid"), _roof_name(roof)) for roof in peaks]
    found += [(line(dashes[roof.name]), _roof_name(roof)) for roof in record.roofs if roof.kind == "bandwidth"]
    unnamed = "no peak for its data type" if record.roofs else "outside all phases"
    found += [(mark(color, marker), name or unnamed) for name, (color, marker) in looks.items()]
    return [*found, (lambda canvas, x, y: None, "area: time per step")]


def _legend(canvas: Axes, entries: Sequence[_Entry], left: float, top: float, end: float | None = None) -> None:
    """The entries from ``top`` down, up to ``end``."""
    room = (end or canvas.get_xlim()[1]) - left - 24
    for at, (sample, text) in enumerate(entries):
        y = top - 6 - at * _LINE
        sample(canvas, left, y)
        write(canvas, left + 24, y, fit_right(text, room, SMALL), fontsize=SMALL, va="center")
