"""Horizontal bars: the operators that take longest, and the phases."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from perfsuite.analyse.figures import HotspotBar, Hotspots, PhaseBar, PhaseTimes
from perfsuite.present.cells import clean, format_count, format_ns, format_shapes, format_share
from perfsuite.present.plots.layout import inner_width, plain, sentence, sheet, unit_for
from perfsuite.present.plots.rows import AXIS, bar, figures, height_of, label, named, torn, whisker
from perfsuite.present.plots.style import COMPACT, OTHER, PAPER, SERIES, SMALL, WIDE, styled
from perfsuite.present.plots.words import fit_left, fit_right, width_of, write
from perfsuite.units import counted

_LEGEND, _FIGURES = 16.0, 82.0
#: A bar longer than so many of the longest shown row is cut, or the rest would flatten all others.
_CUT = 1.15


def phase_colors(phases: tuple[str | None, ...]) -> Mapping[str | None, str]:
    """A colour for each phase, in their order; grey outside all of them."""
    named = [phase for phase in phases if phase is not None]
    return {**{name: SERIES[at % (len(SERIES) - 1)] for at, name in enumerate(named)}, None: OTHER}


# --- hotspots ---------------------------------------------------------------------------------------


@styled
def hotspots(record: Hotspots, *, width: float = WIDE, words: bool = True) -> Figure:
    """A bar for each row, coloured by phase, oneDNN's part of it hatched, and the sum of all other rows."""
    if record.missing is not None:
        return sentence(record, width, words)
    rows = len(record.bars) + bool(record.rest_rows)
    labels, right = inner_width(width) * 0.42, _room(width)
    texts = [(*named(one.name, one.shapes, labels - 8), _place(one, labels - 8)) for one in record.bars]
    high = rows * height_of(texts)
    drawn = sheet(record, width, high + AXIS + _LEGEND, words)
    axes = drawn.axes(labels, AXIS, drawn.width - labels - right, high)
    longest = max(max(bar.self_ns, bar.interval[1] if bar.interval else 0.0) for bar in record.bars)
    unit, size = unit_for(longest)
    limit = longest * _CUT if record.rest_ns > longest * _CUT else max(longest, record.rest_ns) * 1.02
    axes.set(xlim=(0, limit / size), ylim=(rows - 0.5, -0.5), yticks=[])
    axes.set_xlabel(f"self time per step ({unit})")
    plain(axes, "x", 5 if width > COMPACT else 3)
    colors = phase_colors(record.phases)
    for index, (one, lines) in enumerate(zip(record.bars, texts, strict=True)):
        _hotspot(axes, one, index, size, colors[one.phase])
        label(axes, index, *lines)
        figures(axes, index, _amount(one.self_ns, one.share, width))
    if record.rest_rows:
        _rest(axes, record, len(record.bars), size, limit, width)
    _legend(drawn.canvas(), record, colors, labels)
    return drawn.figure


def hotspots_tips(record: Hotspots) -> dict[str, str]:
    """What each bar is, exactly."""
    found = {f"hotspots-{index}": _hotspot_tip(bar) for index, bar in enumerate(record.bars)}
    if record.rest_rows:
        share = _of_step(record.rest_share)
        found[f"hotspots-{len(record.bars)}"] = (
            f"{counted(record.rest_rows, 'other row')}: {format_ns(record.rest_ns, 4)} self time per step{share}"
        )
    return found


def _hotspot_tip(bar: HotspotBar) -> str:
    where = " ".join(word for word in (bar.module, bar.phase) if word)
    interval = ""
    if bar.interval is not None:
        interval = f" (95% interval {format_ns(bar.interval[0], 4)} to {format_ns(bar.interval[1], 4)})"
    inside = "" if not bar.primitives_ns else f", oneDNN {format_ns(bar.primitives_ns, 4)} in its own pass"
    return clean(
        f"{bar.name} {format_shapes(bar.shapes)[:200]} {where[:200]}: {format_ns(bar.self_ns, 4)} self time per step"
        f"{interval}{_of_step(bar.share)}, {_calls(bar.count)}{inside}"
    )


def _calls(count: float) -> str:
    return f"{format_count(count)} call{'' if count == 1 else 's'}"


def _of_step(share: float | None) -> str:
    return "" if share is None else f", {format_share(share)} of the step"


def _hotspot(axes: Axes, one: HotspotBar, row: int, size: float, color: str) -> None:
    bar(axes, row, 0, one.self_ns / size, color, gid=f"hotspots-{row}")
    if one.primitives_ns:
        # From another pass, so it may come out longer than the row itself: inside a bar it ends with it.
        bar(axes, row, 0, min(one.primitives_ns, one.self_ns) / size, "none", hatch="////")
    if one.interval is not None:
        whisker(axes, row, one.interval[0] / size, one.interval[1] / size, floor=0.0)


def _place(bar: HotspotBar, room: float) -> str:
    phase = fit_right(bar.phase or "outside all phases", room / 2, SMALL)
    if not bar.module:
        return phase
    return f"{phase} · {fit_left(bar.module, room - width_of(phase + ' · ', SMALL), SMALL)}"


def _room(width: float) -> float:
    """For the figures right of the bars."""
    return _FIGURES if width > COMPACT else 44.0


def _amount(ns: float, share: float | None, width: float) -> str:
    return format_ns(ns) + ("" if share is None or width < COMPACT else f"  {format_share(share)}")


def _rest(axes: Axes, record: Hotspots, row: int, size: float, limit: float, width: float) -> None:
    cut = record.rest_ns > limit
    bar(axes, row, 0, min(record.rest_ns, limit) / size, OTHER, gid=f"hotspots-{row}")
    if cut:
        torn(axes, row, 0.94)
    label(axes, row, counted(record.rest_rows, "other row"), "bar cut" if cut else "")
    figures(axes, row, _amount(record.rest_ns, record.rest_share, width))


def _legend(canvas: Axes, record: Hotspots, colors: Mapping[str | None, str], left: float) -> None:
    """A swatch for each phase that occurs, above the bars; as many as there is room for."""
    y, end = canvas.get_ylim()[1] - 8, canvas.get_xlim()[1]
    there = {one.phase for one in record.bars}
    entries = [(colors[phase], "", phase or "outside all phases") for phase in record.phases if phase in there]
    if any(bar.primitives_ns for bar in record.bars):
        entries.append((OTHER, "////", "in oneDNN"))
    wanted = sum(width_of(fit_right(name, 90, SMALL), SMALL) + 21 for _, _, name in entries)
    if wanted > end:
        # What is hatched is said nowhere else; a phase is also named beside its bar.
        entries.sort(key=lambda entry: not entry[1])
    texts = [fit_right(name, 90, SMALL) for _, _, name in entries]
    x = left if wanted <= end - left else max(0.0, end - wanted)
    for (color, hatch, _), text in zip(entries, texts, strict=True):
        if x + 12 + width_of(text, SMALL) > end:
            return
        canvas.add_patch(Rectangle((x, y - 3.5), 8, 7, facecolor=color, edgecolor=PAPER, hatch=hatch, linewidth=0))
        write(canvas, x + 11, y, text, fontsize=SMALL, va="center")
        x += width_of(text, SMALL) + 21


# --- phases -----------------------------------------------------------------------------------------


@styled
def phase_times(record: PhaseTimes, *, width: float = WIDE, words: bool = True) -> Figure:
    """The median of each phase as a bar, with its interval or range."""
    if record.missing is not None:
        return sentence(record, width, words)
    high = len(record.bars) * 18.0
    drawn = sheet(record, width, high + AXIS, words)
    names = [fit_right(one.name, drawn.width / 4) for one in record.bars]
    left = max(width_of(name) for name in names) + 8
    axes = drawn.axes(left, AXIS, drawn.width - left - _room(width), high)
    longest = max(one.high_ns for one in record.bars)
    unit, size = unit_for(longest)
    axes.set(xlim=(0, longest * 1.03 / size or 1.0), ylim=(len(names) - 0.5, -0.5), yticks=[])
    axes.set_xlabel(f"time per step ({unit})")
    plain(axes, "x", 5 if width > COMPACT else 3)
    colors = phase_colors(tuple(one.name for one in record.bars))
    for row, (one, name) in enumerate(zip(record.bars, names, strict=True)):
        bar(axes, row, 0, one.median_ns / size, colors[one.name], gid=f"phases-{row}")
        whisker(axes, row, one.low_ns / size, one.high_ns / size)
        label(axes, row, name)
        figures(axes, row, _amount(one.median_ns, one.share, width))
    return drawn.figure


def phase_times_tips(record: PhaseTimes) -> dict[str, str]:
    """What each bar is, exactly."""
    return {f"phases-{index}": _phase_tip(bar) for index, bar in enumerate(record.bars)}


def _phase_tip(bar: PhaseBar) -> str:
    spread = "95% interval" if bar.kind == "interval" else "range"
    share = "" if bar.share is None else f", {format_share(bar.share)} of the median step"
    return clean(
        f"{bar.name}: median {format_ns(bar.median_ns, 4)}, {spread} {format_ns(bar.low_ns, 4)} to "
        f"{format_ns(bar.high_ns, 4)}, n = {bar.n}{share}"
    )
