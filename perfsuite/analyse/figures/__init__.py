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
from perfsuite.analyse.figures.samples import samples
from perfsuite.analyse.figures.waterfall import waterfall

__all__ = [
    "Donut",
    "FigureRecord",
    "HotspotBar",
    "Hotspots",
    "MemoryFigure",
    "PhaseBar",
    "PhaseTimes",
    "Roof",
    "RooflineDot",
    "RooflineFigure",
    "SamplesFigure",
    "Series",
    "Waterfall",
    "WaterfallStep",
    "Wedge",
    "donut",
    "hotspots",
    "memory",
    "phase_times",
    "roofline_figure",
    "samples",
    "waterfall",
]
