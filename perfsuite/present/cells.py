"""Text for the cells of a table: numbers in sensible units, names that fit and cannot harm a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len

from perfsuite.units import MISSING, format_bytes, format_count, format_ns, format_share

__all__ = [
    "ELLIPSIS",
    "MISSING",
    "clean",
    "fit_widths",
    "format_bytes",
    "format_count",
    "format_ns",
    "format_shapes",
    "format_share",
    "shorten_left",
    "shorten_right",
]

ELLIPSIS = "…"
#: Nothing wider than this fits a line anywhere; cutting there first keeps a name of a megabyte from taking minutes.
_LONGEST = 2000


def clean(text: str) -> str:
    """``text`` with whatever a terminal would act on or cannot show written as an escape: ``\\x1b``.

    That is every character of Unicode's categories C (controls, bidirectional overrides, surrogates) and of the
    line and paragraph separators.
    """
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char)[0] == "C" or unicodedata.category(char) in ("Zl", "Zp")
        else char
        for char in text
    )


def format_shapes(shapes: Sequence[object]) -> str:
    """Sizes of the tensors among an operator's inputs: ``2x256x64x64 256x256x3x3``; of a list its first tensor."""
    return " ".join(filter(None, map(_format_shape, shapes)))


def _format_shape(shape: object) -> str:
    if not isinstance(shape, (tuple, list)) or not shape:
        return ""
    if isinstance(shape[0], (tuple, list)):
        return f"{_format_shape(shape[0])}[{len(shape)}]"
    return "x".join(map(str, shape))


def shorten_left(text: str, width: int) -> str:
    """The end of ``text`` in at most ``width`` cells: of a module path the last names say which one it is."""
    if cell_len(text) <= width:
        return text
    text = text[-_LONGEST:]
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return ELLIPSIS + text


def shorten_right(text: str, width: int) -> str:
    """The beginning of ``text`` in at most ``width`` cells."""
    if cell_len(text) <= width:
        return text
    text = text[:_LONGEST]
    while text and cell_len(text) > width - 1:
        text = text[:-1]
    return text + ELLIPSIS


def fit_widths(wanted: Sequence[int], available: int) -> list[int]:
    """Widths that sum to at most ``available``: who wants less than an equal part gets it all, the rest share."""
    widths = [0] * len(wanted)
    left = max(available, 0)
    # Smallest first, so that what it leaves is there for the wider ones.
    for position, index in enumerate(sorted(range(len(wanted)), key=lambda i: wanted[i])):
        widths[index] = min(wanted[index], left // (len(wanted) - position))
        left -= widths[index]
    return widths
