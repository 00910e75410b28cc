"""What the step holds while it runs."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfsuite.analyse.figures import MemoryFigure
from perfsuite.present.cells import clean, format_bytes, format_ns
from perfsuite.present.phrases import MINUS
from perfsuite.present.plots.layout import POINTS_PER_INCH, Sheet, plain, sentence, sheet, spread, unit_for
from perfsuite.present.plots.style import GRID, INK, SERIES, SMALL, WIDE, styled
from perfsuite.present.plots.words import fit_right, width_of, wrap, write
from perfsuite.units import BYTE_UNITS

_HEIGHT, _LEFT, _BOTTOM, _TOP = 190.0, 46.0, 30.0, 30.0


@styled
def memory(record: MemoryFigure, *, width: float = WIDE, words: bool = True) -> Figure:
    """The curve with its peak, phases as bands above it, and resident memory in words."""
    if record.missing is not None:
        return sentence(record, width, words, *_resident(record))
    inner = width * POINTS_PER_INCH - 16
    resident = [line for text in _resident(record) for line in wrap(text, inner, SMALL)]
    drawn = sheet(record, width, _HEIGHT + 10 * max(len(resident) - 1, 0), words)
    axes = drawn.axes(_LEFT, _BOTTOM, drawn.width - _LEFT - 4, _HEIGHT - _BOTTOM - _TOP)
    wall = record.wall_ns or max(record.times_ns)
    unit, size = unit_for(wall)
    low, high = min(0, *record.live_bytes), max(0, *record.live_bytes)
    byte_unit, byte_size = unit_for(max(-low, high), BYTE_UNITS)
    axes.set(xlim=(0, wall / size or 1.0), xlabel=f"time since the step began ({unit})")
    margin = 0.12 * (high - low) or 1.0
    axes.set(ylim=((low - (margin if low else 0)) / byte_size, (high + margin) / byte_size))
    axes.set_ylabel(f"held by the step ({byte_unit})")
    plain(axes, "x")
    plain(axes, "y")
    times = [0.0, *(ns / size for ns in record.times_ns), wall / size]
    # Nothing is held when the step begins; the last value holds to its end.
    values = [0.0, *(count / byte_size for count in record.live_bytes), record.live_bytes[-1] / byte_size]
    axes.fill_between(times, values, step="post", color=SERIES[0], alpha=0.2, linewidth=0)
    (line,) = axes.step(times, values, where="post", color=SERIES[0], linewidth=1.0)
    line.set_gid("memory-0")
    axes.axhline(0, color=INK, linewidth=0.5)
    _phases(drawn, axes, record, size, wall)
    _peak(axes, record, size, byte_size)
    for number, text in enumerate(resident):
        y = drawn.height - 2 - 10 * number
        write(drawn.canvas(), drawn.width - 4, y, text, fontsize=SMALL, ha="right", va="top")
    return drawn.figure


def memory_tips(record: MemoryFigure) -> dict[str, str]:
    """The peak, the curve, and each phase, exactly."""
    if record.missing is not None:
        return {}
    found = {}
    if record.peak_bytes is not None and record.peak_ns is not None:
        during = "" if record.peak_phase is None else f", in {clean(record.peak_phase)}"
        when = f"{format_ns(record.peak_ns, 4)} after the step began"
        peak = f"at most {_held(record.peak_bytes, 4)}, {when}{during}"
        found = {"memory-0": peak, "memory-peak": peak}
    for index, span in enumerate(record.phases):
        long = format_ns(span.end_ns - span.start_ns, 4)
        found[f"memory-phase-{index}"] = clean(f"{span.name}: {long}, from {format_ns(span.start_ns, 4)} on")
    return found


def _held(count: int, digits: int = 3) -> str:
    return format_bytes(count, digits).replace("-", MINUS)


def _resident(record: MemoryFigure) -> list[str]:
    if record.start_rss_bytes is None:
        return []
    text = f"Resident memory (RSS): {format_bytes(record.start_rss_bytes)} before a step"
    if record.peak_rss_bytes is None:
        return [f"{text}; its peak is not known (the kernel did not let it be reset)."]
    return [f"{text}, at most {format_bytes(record.peak_rss_bytes)} in it."]


def _phases(drawn: Sheet, axes: Axes, record: MemoryFigure, size: float, wall: float) -> None:
    """A band for each phase, every other one shaded, and its name above its middle."""
    for index, span in enumerate(record.phases):
        band = axes.axvspan(
            span.start_ns / size, span.end_ns / size, color=GRID, alpha=0.45 if index % 2 else 0.12, linewidth=0,
            zorder=0,
        )  # fmt: skip
        band.set_gid(f"memory-phase-{index}")
    canvas, scale = drawn.canvas(), (drawn.width - _LEFT - 4) / (wall or 1)
    # Of many spans only the long ones have room for a name.
    named = sorted(record.phases, key=lambda span: span.start_ns - span.end_ns)[:8]
    middles = [_LEFT + (span.start_ns + span.end_ns) / 2 * scale for span in named]
    names = [fit_right(span.name, 70, SMALL) for span in named]
    places = spread(middles, [width_of(name, SMALL) + 6 for name in names], _LEFT, drawn.width)
    for name, middle, x in zip(names, middles, places, strict=True):
        canvas.plot([middle, x], [_HEIGHT - _TOP, _HEIGHT - _TOP + 7], color=GRID, linewidth=0.6)
        write(canvas, x, _HEIGHT - _TOP + 8, name, fontsize=SMALL, ha="center", va="bottom")


def _peak(axes: Axes, record: MemoryFigure, size: float, byte_size: float) -> None:
    if record.peak_ns is None or record.peak_bytes is None:
        return
    x, y = record.peak_ns / size, record.peak_bytes / byte_size
    (mark,) = axes.plot([x], [y], marker="v", markersize=5, color=SERIES[3], markeredgewidth=0, clip_on=False, zorder=4)
    mark.set_gid("memory-peak")
    right = x > sum(axes.get_xlim()) / 2
    axes.annotate(
        f"peak {_held(record.peak_bytes)}", (x, y), xytext=(-6 if right else 6, 3), textcoords="offset points",
        ha="right" if right else "left", va="bottom", parse_math=False,
    )  # fmt: skip
