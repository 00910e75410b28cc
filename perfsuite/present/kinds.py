"""The kinds of figures and of their files, once: what the command line lists and what a page draws.

Names instead of functions, so that the command line can list them without loading what computes and draws.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from perfsuite.errors import UsageError


class Kind(NamedTuple):
    """One kind of figure."""

    #: On the command line and in a page.
    name: str
    #: In :mod:`perfsuite.analyse.figures`: the record, and the function that makes it.
    record: str
    make: str
    #: In :mod:`perfsuite.present.plots`: the function that draws it; ``…_tips`` there says what each mark is.
    draw: str
    #: Whether it shows one run, and whether it compares two.
    one: bool = True
    two: bool = False


KINDS = (
    Kind("donut", "Donut", "donut", "donut"),
    Kind("hotspots", "Hotspots", "hotspots", "hotspots"),
    Kind("phases", "PhaseTimes", "phase_times", "phase_times"),
    Kind("roofline", "RooflineFigure", "roofline_figure", "roofline"),
    Kind("waterfall", "Waterfall", "waterfall", "waterfall", one=False, two=True),
    Kind("samples", "SamplesFigure", "samples", "samples", two=True),
    Kind("memory", "MemoryFigure", "memory", "memory"),
)
FORMATS = ("png", "svg", "pdf")


def kind_of(name: str) -> Kind:
    """The kind of this name.

    Raises:
        KeyError: there is none.
    """
    return {kind.name: kind for kind in KINDS}[name]


def format_of(path: Path) -> str:
    """``png``, ``svg`` or ``pdf``, by the suffix.

    Raises:
        UsageError: it is another one, or none.
    """
    found = path.suffix.lower().removeprefix(".")
    if found not in FORMATS:
        raise UsageError(f"cannot write a figure to {path}: the name must end in .png, .svg or .pdf")
    return found
