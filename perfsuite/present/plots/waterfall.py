"""The waterfall: from one time to another, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfsuite.analyse.figures import Waterfall, WaterfallStep
from perfsuite.present.cells import clean, format_ns, format_shapes
from perfsuite.present.phrases import signed, signed_share, why
from perfsuite.present.plots.layout import inner_width, plain, sentence, sheet, unit_for
from perfsuite.present.plots.rows import AXIS, BAR, bar, figures, height_of, label, named, torn, whisker
from perfsuite.present.plots.style import COMPACT, FASTER, INK, OTHER, SLOWER, SMALL, WIDE, styled
from perfsuite.present.plots.words import fit_left, fit_right, width_of

_FIGURES = 92.0


@styled
def waterfall(record: Waterfall, *, width: float = WIDE, words: bool = True) -> Figure:
    """Start and end as whole bars, each step as a bar from where the one before it ended; slower ones are hatched."""
    if record.missing is not None:
        return sentence(record, width, words)
    rows = len(record.steps) + 2
    labels, right = (0.45, _FIGURES) if width > COMPACT else (0.42, 46.0)
    labels *= inner_width(width)
    texts = [_words(step, labels - 8) for step in record.steps]
    levels = record.levels_ns
    low, high = _window(record, levels)
    bottom, tall = AXIS + (10 if low > 0 else 0), rows * height_of(texts)
    drawn = sheet(record, width, tall + bottom, words)
    axes = drawn.axes(labels, bottom, drawn.width - labels - right, tall)
    unit, size = unit_for(max(abs(low), abs(high)))
    axes.set(xlim=(low / size, high / size), ylim=(rows - 0.5, -0.5), yticks=[])
    axes.set_xlabel(f"profiled step ({unit})" + (f"\naxis from {format_ns(low)} on" if low > 0 else ""))
    plain(axes, "x", 4 if width > COMPACT else 2)
    ends = [(0, record.start_name, record.start_ns), (rows - 1, record.end_name, record.end_ns)]
    for row, name, ns in ends:
        bar(axes, row, 0, ns / size, OTHER, gid=f"waterfall-{row}")
        if low > 0:
            torn(axes, row, 0.02)  # longer than what can be seen of it
        label(axes, row, fit_right(name, labels - 8, weight="bold"), bold=True)
        figures(axes, row, format_ns(ns))
    for row, (step, share, lines) in enumerate(zip(record.steps, record.shares, texts, strict=True), 1):
        _step(axes, row, step, levels[row - 1], size)
        label(axes, row, *lines)
        percent = "" if share is None or width < COMPACT else f"  {signed_share(share)}"
        figures(axes, row, signed(step.delta_ns) + percent)
    for row, level in enumerate(levels):
        # From where a bar ends to where the next begins.
        axes.plot([level / size] * 2, [row + BAR / 2, row + 1 - BAR / 2], color=INK, linewidth=0.5)
    return drawn.figure


def waterfall_tips(record: Waterfall) -> dict[str, str]:
    """What each bar is, exactly."""
    if record.missing is not None:
        return {}
    last = len(record.steps) + 1
    found = {"waterfall-0": clean(f"{record.start_name}: {format_ns(record.start_ns, 4)}")}
    found |= {f"waterfall-{index}": _tip(step) for index, step in enumerate(record.steps, 1)}
    return found | {f"waterfall-{last}": clean(f"{record.end_name}: {format_ns(record.end_ns, 4)}")}


def _tip(step: WaterfallStep) -> str:
    where = " ".join(part for part in (format_shapes(step.shapes)[:200], step.module or "", step.phase or "") if part)
    interval = ""
    if step.interval is not None:
        interval = f", 95% interval {signed(step.interval[0], 4)} to {signed(step.interval[1], 4)}"
    called = f"{step.name} {where}".rstrip()
    reason = f"; {_why(step)}" if _why(step) else ""
    return clean(f"{called}: {signed(step.delta_ns, 4)}{interval}{reason}")


def _window(record: Waterfall, levels: Sequence[float]) -> tuple[float, float]:
    """The axis: from 0 where the steps can be seen from there, else from shortly below the lowest bar or whisker."""
    reached = [*levels, record.end_ns]
    for step, level in zip(record.steps, levels, strict=False):
        reached += [level + end for end in step.interval or ()]
    low, high = min(reached), max(reached)
    margin = 0.08 * (high - low)
    if low <= 0:
        return low - margin, high + margin or 1.0
    if high - low > 0.3 * high or high == low:
        return 0.0, high * 1.03
    return max(0.0, low - 4 * margin), high + margin


def _step(axes: Axes, row: int, step: WaterfallStep, level: float, size: float) -> None:
    slower = step.delta_ns > 0
    color, hatch = (SLOWER, "////") if slower else (FASTER, "")
    bar(axes, row, level / size, step.delta_ns / size, color, gid=f"waterfall-{row}", hatch=hatch)
    if step.interval is not None:
        whisker(axes, row, *((level + end) / size for end in step.interval))


def _words(step: WaterfallStep, room: float) -> tuple[str, str, str]:
    """What it is, and why: the cause first, then as much of the place as there is room for."""
    first = named(step.name, step.shapes, room) if step.kind == "operator" else (fit_right(step.name, room), "")
    reason = fit_right(_why(step), room, SMALL)
    # Never less than a third, however long the reason.
    left = max(room / 3, room - width_of(f"{reason} · ", SMALL)) if reason else room
    parts = [part for part in (reason, fit_right(step.phase or "", left, SMALL)) if part]
    left = room - width_of(" · ".join([*parts, ""]), SMALL)
    if step.module and left > 30:
        parts.append(fit_left(step.module, left, SMALL))
    return *first, fit_right(" · ".join(parts), room, SMALL)


def _why(step: WaterfallStep) -> str:
    return step.detail if step.cause is None else why(step.cause)
