"""Colours, sizes and matplotlib's settings of every figure, defined once.

The palette is Okabe and Ito's (Color Universal Design, 2008), which readers with any common colour blindness can tell
apart.  Nothing is told by colour alone: hatches, marker shapes or labels say it too, so a figure survives a printer
without colours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

INK = "#1a1a1a"
PAPER = "#ffffff"
GRID = "#d4d4d4"
#: Blue, orange, green, vermilion, purple, sky, yellow; the last, grey, is for what is summed as "other".
SERIES = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#999999")
OTHER = SERIES[-1]
SLOWER, FASTER = SERIES[3], SERIES[0]
#: Lines in a surface, where a second thing than colour is told; the first is none.
HATCHES = ("", "////", "\\\\\\\\", "xxxx", "....", "----", "||||", "++++")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

#: What a drawing for a page says instead of each colour, so that the page's theme colours it.
CSS_NAMES: Mapping[str, str] = {
    INK: "--ink",
    PAPER: "--paper",
    GRID: "--grid",
    **{color: f"--series-{number}" for number, color in enumerate(SERIES, 1)},
}
#: What these are on white, and on a dark page, where the darker colours are lightened.
LIGHT: Mapping[str, str] = {name: color for color, name in CSS_NAMES.items()}
DARK: Mapping[str, str] = {
    **LIGHT,
    "--ink": "#e8e8e8",
    "--paper": "#16181c",
    "--grid": "#42464d",
    "--series-1": "#3d9fd8",
    "--series-3": "#1fb98f",
    "--series-4": "#f0803c",
}

#: Inches: one column of a paper, and both.
NARROW, WIDE = 3.5, 7.0
#: Narrower than this, a figure leaves out what it can.
COMPACT = 5.0
TITLE, TEXT, SMALL = 9.0, 8.0, 7.0

SETTINGS: Mapping[str, Any] = {
    # Verdana is as wide as DejaVu Sans, which matplotlib brings along: a drawing that is opened where that is not
    # installed keeps its proportions.
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": TEXT,
    "text.usetex": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "hatch.linewidth": 0.6,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.bbox": None,
    "savefig.dpi": 200,
    # Text stays text in every vector format: it can be searched, copied, and read aloud.
    "svg.fonttype": "none",
    "svg.hashsalt": "perfsuite",
    "pdf.fonttype": 42,
    "path.simplify": False,
}


@contextmanager
def settings() -> Iterator[None]:
    """Matplotlib's defaults with :data:`SETTINGS`, whatever the user has set; theirs are back afterwards."""
    from matplotlib import style

    with no_glyph_warnings(), style.context(["default", dict(SETTINGS)]):
        yield


@contextmanager
def no_glyph_warnings() -> Iterator[None]:
    """The box that a font shows for a character it lacks says as much as a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a function under :func:`settings`."""

    @wraps(draw)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with settings():
            return draw(*args, **kwargs)

    return wrapper
