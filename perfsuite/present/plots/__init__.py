"""Figures with matplotlib: a finished record in, a :class:`matplotlib.figure.Figure` out, nothing computed.

Only matplotlib's objects are used: no state of pyplot is read or changed, and nothing needs a display.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from perfsuite.present.plots.style import load_matplotlib

load_matplotlib()

from perfsuite.analyse import figures as records  # noqa: E402
from perfsuite.present.plots.bars import hotspots, hotspots_tips, phase_times, phase_times_tips  # noqa: E402
from perfsuite.present.plots.donut import donut, donut_tips  # noqa: E402
from perfsuite.present.plots.memory import memory, memory_tips  # noqa: E402
from perfsuite.present.plots.output import format_of, image, save  # noqa: E402
from perfsuite.present.plots.roof import roofline, roofline_tips  # noqa: E402
from perfsuite.present.plots.samples import samples, samples_tips  # noqa: E402
from perfsuite.present.plots.svg import inline_svg  # noqa: E402
from perfsuite.present.plots.waterfall import waterfall, waterfall_tips  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "KINDS",
    "donut",
    "draw",
    "format_of",
    "hotspots",
    "image",
    "inline_svg",
    "memory",
    "phase_times",
    "roofline",
    "samples",
    "save",
    "tips",
    "waterfall",
]

#: Each kind of figure by its name on the command line.
KINDS: Mapping[str, Callable[..., Figure]] = {
    "donut": donut,
    "hotspots": hotspots,
    "phases": phase_times,
    "roofline": roofline,
    "waterfall": waterfall,
    "samples": samples,
    "memory": memory,
}
_OF: Mapping[type[records.FigureRecord], tuple[Callable[..., Figure], Callable[[Any], dict[str, str]]]] = {
    records.Donut: (donut, donut_tips),
    records.Hotspots: (hotspots, hotspots_tips),
    records.PhaseTimes: (phase_times, phase_times_tips),
    records.RooflineFigure: (roofline, roofline_tips),
    records.Waterfall: (waterfall, waterfall_tips),
    records.SamplesFigure: (samples, samples_tips),
    records.MemoryFigure: (memory, memory_tips),
}


def draw(record: records.FigureRecord, **options: Any) -> Figure:
    """The figure of any record; ``options`` are those of its own function (``width`` in inches, ``words``)."""
    return _OF[type(record)][0](record, **options)


def tips(record: records.FigureRecord) -> dict[str, str]:
    """The exact figures of each mark of the record's figure, by the mark's name; none where nothing is drawn."""
    return {} if record.missing is not None else _OF[type(record)][1](record)
