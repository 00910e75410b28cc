"""The figures of a history for a page: drawn twice, for a wide and a narrow screen, with their data as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from markupsafe import Markup

from perfsuite.analyse.figures import FigureRecord
from perfsuite.history.figure import Dot, SeriesFigure
from perfsuite.history.stack import StackFigure
from perfsuite.present.cells import MISSING
from perfsuite.present.history import words as say
from perfsuite.present.history.plots import series_plot, series_tips, stack_plot, stack_tips
from perfsuite.present.history.plots.series import with_marks
from perfsuite.present.history.plots.stack import band_name
from perfsuite.present.plots import inline_svg
from perfsuite.present.plots.style import NARROW, WIDE
from perfsuite.present.report.drawings import Drawing, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Record = TypeVar("_Record", bound=FigureRecord)


def series_drawing(record: SeriesFigure, prefix: str) -> Drawing:
    """The line of a benchmark; the ids in it begin with ``prefix``, which is unique in the page."""
    return _drawing(with_marks(record), series_plot, series_tips(record), _dots(record), prefix)


def stack_drawing(record: StackFigure, prefix: str) -> Drawing:
    """The operators of a workload."""
    return _drawing(record, stack_plot, stack_tips(record), _columns(record), prefix)


def _drawing(
    record: _Record, draw: Callable[..., Figure], tips: Mapping[str, str], table: Table, prefix: str
) -> Drawing:
    if record.missing is not None:
        return Drawing(record, None, None, table)
    # Without words: the page has a heading, a caption and notes of its own.
    wide, narrow = (
        Markup(inline_svg(draw(record, width=inches, words=False), tips, f"{prefix}-{name}-"))
        for name, inches in (("wide", WIDE), ("narrow", NARROW))
    )
    return Drawing(record, wide, narrow, table)


def _dots(record: SeriesFigure) -> Table:
    unit = record.benchmark.unit
    rows = (
        (
            say.label(record.commits[dot.x]), record.machines[dot.machine], say.amount(dot.value, unit),
            _around(dot), str(dot.n or MISSING),
        )
        for dot in record.dots
    )  # fmt: skip
    return Table(("Commit", "Machine", "Value", "95% interval", "Samples"), 2, tuple(rows))


def _around(dot: Dot) -> str:
    if dot.low is None or dot.high is None:
        return MISSING
    return f"{dot.low:.4g} to {dot.high:.4g}{'' if dot.kind == 'interval' else ' (range)'}"


def _columns(record: StackFigure) -> Table:
    headers = ("Commit", *map(band_name, record.bands), "Timed step")
    rows = (
        (
            say.label(commit),
            *(say.amount(band.values[x], record.unit) for band in record.bands),
            say.amount(record.steps[x], record.unit),
        )
        for x, commit in enumerate(record.commits)
    )
    return Table(headers, 1, tuple(rows))
