"""Text in a figure: measured, cut to its place, and never read as markup."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from perfsuite.present.cells import ELLIPSIS, clean
from perfsuite.present.plots.style import TEXT, no_glyph_warnings

#: Longer than any place in a figure; cutting there first keeps a name of a megabyte from taking minutes.
_LONGEST = 400


def write(where: Axes | Figure, x: float, y: float, text: str, **style: Any) -> Text:
    """Put ``text`` there as it is: ``$`` begins no formula, a control character is shown as an escape."""
    style = {"fontsize": TEXT, **style}
    return where.text(x, y, clean(text), parse_math=False, **style)


def width_of(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """How wide ``text`` is, in points."""
    return sum(_width_of(part, size, weight) for part in (text[at : at + 64] for at in range(0, len(text), 64)))


@lru_cache(maxsize=20_000)
def _width_of(text: str, size: float, weight: str) -> float:
    with no_glyph_warnings():
        width, _, _ = text_to_path.get_text_width_height_descent(text, _font(size, weight), ismath=False)
    return float(width)


@cache
def _font(size: float, weight: str) -> FontProperties:
    return FontProperties(size=size, weight=weight)


def fit_right(text: str, width: float, size: float = TEXT, weight: str = "normal") -> str:
    """The beginning of ``text``, cleaned, in at most so many points; an ellipsis says that there was more."""
    text = clean(text[:_LONGEST]) + (ELLIPSIS if len(text) > _LONGEST else "")
    return _longest(text, width, size, weight, keep_end=False)


def fit_left(text: str, width: float, size: float = TEXT) -> str:
    """The end of ``text``: of a module path the last names say which one it is."""
    text = (ELLIPSIS if len(text) > _LONGEST else "") + clean(text[-_LONGEST:])
    return _longest(text, width, size, "normal", keep_end=True)


def _longest(text: str, width: float, size: float, weight: str, keep_end: bool) -> str:
    if width_of(text, size, weight) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        kept = ELLIPSIS + text[len(text) - middle :] if keep_end else text[:middle] + ELLIPSIS
        if width_of(kept, size, weight) <= width:
            low = middle
        else:
            high = middle - 1
    kept = text[len(text) - low :] if keep_end else text[:low]
    return ELLIPSIS + kept if keep_end else kept + ELLIPSIS


def wrap(text: str, width: float, size: float = TEXT) -> list[str]:
    """Lines of ``text`` of at most so many points, broken at spaces."""
    lines: list[str] = []
    line = ""
    for word in clean(text).split():
        longer = f"{line} {word}" if line else word
        if line and width_of(longer, size) > width:
            lines.append(line)
            longer = word
        line = longer
    return [fit_right(one, width, size) for one in (*lines, line) if one]
