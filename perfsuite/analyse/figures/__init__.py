"""From a profile to the figures of it: frozen records that :mod:`perfsuite.present.plots` draws."""

from __future__ import annotations

from perfsuite.analyse.figures.donut import donut
from perfsuite.analyse.figures.hotspots import hotspots
from perfsuite.analyse.figures.memory import memory
from perfsuite.analyse.figures.model import (
    Donut,
    FigureRecord,
    HotspotBar,
    Hotspots,
    LeftOut,
    MemoryFigure,
    PhaseBar,
    PhaseTimes,
    Roof,
    RooflineDot,
    RooflineFigure,
    SamplesFigure,
    Series,
    Waterfall,
    WaterfallStep,
    Wedge,
)
from perfsuite.analyse.figures.phases import phase_times
from perfsuite.analyse.figures.roof import roofline_figure
from perfsuite.analyse.figures.rows import CurvePoint, Round, Rows, curve_rows, dot_rows, round_rows
from perfsuite.analyse.figures.samples import samples
from perfsuite.analyse.figures.waterfall import waterfall

__all__ = [
    "CurvePoint",
    "Donut",
    "FigureRecord",
    "HotspotBar",
    "Hotspots",
    "LeftOut",
    "MemoryFigure",
    "PhaseBar",
    "PhaseTimes",
    "Roof",
    "RooflineDot",
    "RooflineFigure",
    "Round",
    "Rows",
    "SamplesFigure",
    "Series",
    "Waterfall",
    "WaterfallStep",
    "Wedge",
    "curve_rows",
    "donut",
    "dot_rows",
    "hotspots",
    "memory",
    "phase_times",
    "roofline_figure",
    "round_rows",
    "samples",
    "waterfall",
]
