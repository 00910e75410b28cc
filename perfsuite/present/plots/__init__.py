"""Figures with matplotlib: a finished record in, a :class:`matplotlib.figure.Figure` out, nothing computed.

Only matplotlib's objects are used: no state of pyplot is read or changed, and nothing needs a display.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from perfsuite.analyse.figures import FigureRecord
from perfsuite.present import kinds
from perfsuite.present.kinds import format_of
from perfsuite.present.plots import backend  # before whatever imports matplotlib
from perfsuite.present.plots.bars import hotspots, hotspots_tips, phase_times, phase_times_tips
from perfsuite.present.plots.donut import donut, donut_tips
from perfsuite.present.plots.memory import memory, memory_tips
from perfsuite.present.plots.output import image, save
from perfsuite.present.plots.roof import roofline, roofline_tips
from perfsuite.present.plots.samples import samples, samples_tips
from perfsuite.present.plots.svg import inline_svg
from perfsuite.present.plots.waterfall import waterfall, waterfall_tips

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "KINDS",
    "backend",
    "donut",
    "donut_tips",
    "draw",
    "format_of",
    "hotspots",
    "hotspots_tips",
    "image",
    "inline_svg",
    "memory",
    "memory_tips",
    "phase_times",
    "phase_times_tips",
    "roofline",
    "roofline_tips",
    "samples",
    "samples_tips",
    "save",
    "tips",
    "waterfall",
    "waterfall_tips",
]

#: Each kind of figure by its name on the command line.
KINDS: Mapping[str, Callable[..., Figure]] = {kind.name: globals()[kind.draw] for kind in kinds.KINDS}
_TIPS: Mapping[str, Callable[..., dict[str, str]]] = {kind.name: globals()[f"{kind.draw}_tips"] for kind in kinds.KINDS}
_NAMES = {kind.record: kind.name for kind in kinds.KINDS}


def draw(record: FigureRecord, **options: Any) -> Figure:
    """The figure of any record; ``options`` are those of its own function (``width`` in inches, ``words``)."""
    return KINDS[_NAMES[type(record).__name__]](record, **options)


def tips(record: FigureRecord) -> dict[str, str]:
    """The exact figures of each mark of the record's figure, by the mark's name; none where nothing is drawn."""
    return {} if record.missing is not None else _TIPS[_NAMES[type(record).__name__]](record)
