"""The figures of a workload, drawn, each with its data as a table for whoever cannot or will not look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from perfsuite.analyse.figures import (
    Donut,
    FigureRecord,
    MemoryFigure,
    PhaseTimes,
    RooflineFigure,
    SamplesFigure,
    Waterfall,
    curve_rows,
    dot_rows,
    round_rows,
)
from perfsuite.analyse.report import WorkloadReport
from perfsuite.analyse.roofline import bound_by
from perfsuite.present.cells import format_bytes, format_count, format_ns, format_shapes, format_share
from perfsuite.present.phrases import signed, value
from perfsuite.present.plots import KINDS, inline_svg, tips
from perfsuite.present.plots.style import NARROW, WIDE
from perfsuite.present.roofline import format_rate


@dataclass(frozen=True)
class Table:
    """Texts in rows; the first ``texts`` columns are words, the others numbers."""

    headers: tuple[str, ...]
    texts: int
    rows: tuple[tuple[str, ...], ...]
    #: Which rows these are, where they are not all of them.
    caption: str | None = None


@dataclass(frozen=True)
class Drawing:
    """A figure.  There are no drawings where the record says that there is nothing to draw."""

    record: FigureRecord
    #: For a page, and for a phone.
    wide: Markup | None
    narrow: Markup | None
    table: Table


def draw(one: WorkloadReport, prefix: str) -> dict[str, Drawing]:
    """The figures of a workload by kind; the ids in them begin with ``prefix``, which is unique in the page."""
    shown = one.figures
    drawn = {
        "phases": _drawing("phases", shown.phases, _phases(shown.phases), prefix),
        "donut": _drawing("donut", shown.donut, _donut(shown.donut), prefix),
        "roofline": _drawing("roofline", shown.roofline, _roofline(shown.roofline), prefix),
        "memory": _drawing("memory", shown.memory, _memory(shown.memory), prefix),
        "samples": _drawing("samples", shown.samples, _samples(shown.samples), prefix),
    }
    if shown.waterfall is not None:
        drawn["waterfall"] = _drawing("waterfall", shown.waterfall, _waterfall(shown.waterfall), prefix)
    return drawn


def _drawing(kind: str, record: FigureRecord, table: Table, prefix: str) -> Drawing:
    if record.missing is not None:
        return Drawing(record, None, None, table)
    marks = tips(record)
    # Without words: the page has a heading, a caption and notes of its own.
    wide, narrow = (
        Markup(inline_svg(KINDS[kind](record, width=inches, words=False), marks, f"{prefix}-{kind}-{name}-"))
        for name, inches in (("wide", WIDE), ("narrow", NARROW))
    )
    return Drawing(record, wide, narrow, table)


# --- the data of each figure as a table -------------------------------------------------------------


def _phases(record: PhaseTimes) -> Table:
    rows = (
        (
            bar.name,
            format_ns(bar.median_ns),
            _spread(bar.low_ns, bar.high_ns, bar.kind),
            str(bar.n),
            format_share(bar.share),
        )
        for bar in record.bars
    )
    return Table(("Phase", "Median", "95% interval", "Steps", "Of the median step"), 1, tuple(rows))


def _donut(record: Donut) -> Table:
    rows = (
        (
            wedge.name, wedge.part, format_ns(wedge.time_ns), format_share(wedge.share),
            format_share(wedge.share_of_step), format_count(wedge.count),
        )
        for wedge in record.wedges
    )  # fmt: skip
    of = "primitives" if record.of == "primitives" else "operators"
    first = ("Primitive", "Direction") if record.of == "primitives" else ("Operator", "Phase")
    return Table((*first, "Time", f"Of all {of}", "Of step", "Calls"), 2, tuple(rows))


def _roofline(record: RooflineFigure) -> Table:
    kept = dot_rows(record)
    rows = (
        (
            _called(dot.name, dot.shapes), dot.module or "", dot.phase or "", dot.dtype or "",
            bound_by(dot.bound, dot.roof), dot.roof or "", format_ns(dot.time_ns), f"{dot.intensity:.3g}",
            format_rate(dot.flop_rate), format_rate(dot.ceiling), format_share(dot.share),
        )
        for dot in kept.rows
    )  # fmt: skip
    headers = (
        "Operator", "Module", "Phase", "Data type", "Bound", "Ceiling of", "Time", "FLOP/B", "GFLOP/s",
        "Ceiling, GFLOP/s", "Of ceiling",
    )  # fmt: skip
    return Table(headers, 6, tuple(rows), kept.said)


def _memory(record: MemoryFigure) -> Table:
    kept = curve_rows(record)
    rows = ((format_ns(point.time_ns), format_bytes(point.live_bytes)) for point in kept.rows)
    return Table(("Since the step began", "Held"), 0, tuple(rows), kept.said)


def _samples(record: SamplesFigure) -> Table:
    kept = round_rows(record)
    rows = ((one.side, str(one.number), format_ns(one.ns, 4)) for one in kept.rows)
    return Table(("Side", "Round", "Time of a step"), 1, tuple(rows), kept.said)


def _waterfall(record: Waterfall) -> Table:
    rows = [
        (
            _called(step.name, step.shapes), step.module or "",
            step.detail if step.cause is None else
            f"{step.cause.kind}: {value(step.cause.base)} → {value(step.cause.head)}",
            signed(step.delta_ns),
            "" if step.interval is None else f"{signed(step.interval[0])} to {signed(step.interval[1])}",
        )
        for step in record.steps
    ]  # fmt: skip
    ends = [(record.start_name, "", "", format_ns(record.start_ns), "")]
    last = [(record.end_name, "", "", format_ns(record.end_ns), "")]
    return Table(("Row", "Module", "What the census saw", "Change", "95% interval"), 3, (*ends, *rows, *last))


def _called(name: str, shapes: Sequence[object]) -> str:
    return f"{name} {format_shapes(shapes)}".rstrip()


def _spread(low: float, high: float, kind: str) -> str:
    return f"{format_ns(low)} to {format_ns(high)}{'' if kind == 'interval' else ' (range)'}"
