"""The roofline: rows as dots under what the machine can do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from perfsuite.analyse.figures import Roof, RooflineDot, RooflineFigure
from perfsuite.present.cells import clean, format_ns, format_shapes, format_share, shorten_left, shorten_right
from perfsuite.present.plots.bars import phase_colors
from perfsuite.present.plots.layout import sentence, sheet, spread
from perfsuite.present.plots.style import COMPACT, GRID, INK, MARKERS, OTHER, PAPER, SERIES, SMALL, WIDE, styled
from perfsuite.present.plots.words import fit_right, write

_HEIGHT, _LEFT, _BOTTOM, _LINE = 236.0, 42.0, 30.0, 11.0
#: Diameters of dots in points, of which the area says the time; few, so that a drawing can share their shapes.
_SMALLEST, _LARGEST, _SIZES = 2.5, 13.0, 10
_BOUNDS = ("compute-bound", "memory-bound", "overhead-bound")
_DASHES = ("solid", (0, (5, 2)), (0, (3, 1.5, 1, 1.5)), (0, (1, 1.5)))


@styled
def roofline(record: RooflineFigure, *, width: float = WIDE, words: bool = True) -> Figure:
    """Dots of which the area is the time, under peaks (level lines) and bandwidths (slopes), both axes logarithmic."""
    if record.missing is not None:
        return sentence(record, width, words)
    drawn = sheet(record, width, _HEIGHT, words)
    legend = 128.0 if width > COMPACT else 104.0
    axes = drawn.axes(_LEFT, _BOTTOM, drawn.width - _LEFT - legend, _HEIGHT - _BOTTOM - 4)
    _scales(axes, record)
    peaks = [roof for roof in record.roofs if roof.kind == "peak"]
    bandwidths = [roof for roof in record.roofs if roof.kind == "bandwidth"]
    looks = _looks(record)
    _roofs(axes, peaks, bandwidths)
    _dots(axes, record, looks)
    canvas = drawn.canvas()
    left = drawn.width - legend
    # With peaks, whose labels stand beside their lines, the legend keeps out of their way at the bottom.
    below = (len(bandwidths) + len(looks) + 1) * _LINE + 8
    _peak_labels(canvas, axes, peaks, left, below)
    _legend(canvas, bandwidths, looks, left + 14, below if peaks else drawn.height)
    return drawn.figure


def roofline_tips(record: RooflineFigure) -> dict[str, str]:
    """What each dot and each roof is, exactly."""
    found = {f"roofline-{index}": _tip(dot) for index, dot in enumerate(record.dots)}
    return found | {f"roof-{index}": _roof_name(roof) for index, roof in enumerate(record.roofs)}


def _tip(dot: RooflineDot) -> str:
    # Short, because a page has each of 300 twice; the table has all of it.
    shapes, module = shorten_right(format_shapes(dot.shapes), 30), shorten_left(dot.module or "", 30)
    where = " ".join(part for part in (shapes, module, dot.phase) if part)
    reached = ""
    if dot.share is not None and dot.ceiling is not None:
        reached = f" ({format_share(dot.share)} of {_rate(dot.ceiling).strip()})"
    bound = f", {dot.bound}" if dot.bound else ""
    return clean(
        f"{dot.name} {where}: {format_ns(dot.time_ns, 4)}, {_rate(dot.flop_rate)}FLOP/s{reached}, "
        f"{dot.intensity:.3g} FLOP/byte{bound}"
    )


def _rate(rate: float) -> str:
    """``187 G``: three digits and the prefix of a rate per second."""
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if rate >= 0.9995 * size:
            scaled = rate / size
            decimals = 0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2
            return f"{scaled:.{decimals}f} {prefix}"
    return f"{rate:.3g} "


def _roof_name(roof: Roof) -> str:
    return clean(f"{roof.name} {_rate(roof.rate)}{'FLOP/s' if roof.kind == 'peak' else 'B/s'}")


def _scales(axes: Axes, record: RooflineFigure) -> None:
    xs = [dot.intensity for dot in record.dots]
    ys = [dot.flop_rate for dot in record.dots]
    peaks = [roof.rate for roof in record.roofs if roof.kind == "peak"]
    bandwidths = [roof.rate for roof in record.roofs if roof.kind == "bandwidth"]
    if peaks and bandwidths:
        # The ridges at the top: where each bandwidth stops being the lower one.
        xs += [max(peaks) / min(bandwidths), max(peaks) / max(bandwidths)]
    axes.set(xscale="log", yscale="log")
    axes.set(xlim=(min(xs) / 2.5, max(xs) * 4), ylim=(min((*ys, *peaks)) / 3, max((*ys, *peaks)) * 2.5))
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
    number, prefix = _rate(value).split(" ")
    return f"{float(number):g} {prefix}".strip()


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


def _roofs(axes: Axes, peaks: Sequence[Roof], bandwidths: Sequence[Roof]) -> None:
    left, right = axes.get_xlim()
    top = max((roof.rate for roof in peaks), default=axes.get_ylim()[1])
    fastest = max((roof.rate for roof in bandwidths), default=None)
    for index, roof in enumerate(peaks):
        start = left if fastest is None else max(left, roof.rate / fastest)
        width = 1.2 if roof.used else 0.6
        (line,) = axes.plot([start, right], [roof.rate] * 2, color=INK, linewidth=width, zorder=2)
        line.set_gid(f"roof-{index}")
    for index, roof in enumerate(bandwidths, len(peaks)):
        dash: Any = _DASHES[(len(bandwidths) - 1 - index + len(peaks)) % len(_DASHES)]
        (line,) = axes.plot(
            [left, top / roof.rate], [left * roof.rate, top], color=INK, linewidth=0.9, linestyle=dash, zorder=2
        )
        line.set_gid(f"roof-{index}")


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
        weight = "bold" if roof.used else "normal"
        write(canvas, left + 14, y, fit_right(_roof_name(roof), room, SMALL, weight), fontsize=SMALL, va="center",
              fontweight=weight)  # fmt: skip


def _legend(
    canvas: Axes,
    bandwidths: Sequence[Roof],
    looks: Mapping[str | None, tuple[str, str]],
    left: float,
    top: float,
) -> None:
    """Which line is which level, and which mark which bound; from ``top`` down."""
    room = canvas.get_xlim()[1] - left - 24
    y = top - 6
    for at, roof in enumerate(bandwidths):
        dash: Any = _DASHES[(len(bandwidths) - 1 - at) % len(_DASHES)]
        canvas.plot([left, left + 20], [y, y], color=INK, linewidth=0.9, linestyle=dash)
        write(canvas, left + 24, y, fit_right(_roof_name(roof), room, SMALL), fontsize=SMALL, va="center")
        y -= _LINE
    y -= 4 if bandwidths else 0
    for name, (color, marker) in looks.items():
        canvas.plot([left + 10], [y], linestyle="none", marker=marker, markersize=5, markerfacecolor=color,
                    markeredgecolor=PAPER, markeredgewidth=0.5)  # fmt: skip
        text = name or ("bound not known" if bandwidths else "outside all phases")
        write(canvas, left + 24, y, fit_right(text, room, SMALL), fontsize=SMALL, va="center")
        y -= _LINE
    write(canvas, left + 5, y, "area: time per step", fontsize=SMALL, va="center")
