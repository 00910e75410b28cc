"""Text for the cells of a table: numbers in sensible units, names that fit and cannot harm a terminal."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len

#: Shown for a value that is not known.
MISSING = "–"
ELLIPSIS = "…"
#: Nothing wider than this fits a line anywhere; cutting there first keeps a name of a megabyte from taking minutes.
_LONGEST = 2000
_TIME_UNITS = (("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9))
_BYTE_UNITS = (("B", 1.0), ("KiB", 2.0**10), ("MiB", 2.0**20), ("GiB", 2.0**30), ("TiB", 2.0**40))


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


def format_ns(ns: float | None, digits: int = 3) -> str:
    """A time with ``digits`` significant digits: ``12.3 ms``."""
    return _scaled(ns, _TIME_UNITS, 1000, digits)


def format_bytes(count: float | None, digits: int = 3) -> str:
    """A size with ``digits`` significant digits: ``1.21 GiB``."""
    return _scaled(count, _BYTE_UNITS, 1024, digits)


def format_share(share: float | None, sign: str = "") -> str:
    """A fraction in per cent: ``45.1%``; ``sign="+"`` shows the sign of a positive one too."""
    if share is None or not math.isfinite(share):
        return MISSING
    return f"{share * 100:{sign}.1f}%"


def format_count(count: float | None) -> str:
    """Calls in a step; a fraction only where the profiled steps differed."""
    if count is None or not math.isfinite(count):
        return MISSING
    return f"{count:.0f}" if abs(count - round(count)) < 0.005 else f"{count:.2f}"


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


def _scaled(value: float | None, units: Sequence[tuple[str, float]], base: int, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return MISSING
    text = ""
    for name, size in units:
        scaled = value / size
        # The first unit has no parts worth showing: a nanosecond or a byte.
        decimals = 0 if size == 1 else max(0, digits - len(str(int(abs(scaled)))))
        text = f"{scaled:.{decimals}f} {name}"
        # By what is printed, so that 999.9 ns is 1.00 µs and not 1000 ns.
        if abs(float(f"{scaled:.{decimals}f}")) < base:
            break
    return text
