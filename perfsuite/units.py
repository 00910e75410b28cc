"""Numbers in words: times, sizes, rates, shares and counts, each with the unit that suits it."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Shown for a value that is not known.
MISSING = "–"
Units = Sequence[tuple[str, float]]
TIME_UNITS: Units = (("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9))
BYTE_UNITS: Units = (("B", 1.0), ("KiB", 2.0**10), ("MiB", 2.0**20), ("GiB", 2.0**30), ("TiB", 2.0**40))
#: Prefixes of what is counted in powers of ten.
PREFIXES: Units = (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))


def format_ns(ns: float | None, digits: int = 3) -> str:
    """A time with ``digits`` significant digits: ``12.3 ms``."""
    return _scaled(ns, TIME_UNITS, 1000, digits)


def format_bytes(count: float | None, digits: int = 3) -> str:
    """A size with ``digits`` significant digits: ``1.21 GiB``."""
    return _scaled(count, BYTE_UNITS, 1024, digits)


def format_amount(amount: float | None, unit: str, digits: int = 3) -> str:
    """An amount of ``unit`` with a prefix: ``504 GFLOP/s``."""
    text = _scaled(amount, PREFIXES, 1000, digits)
    return text if text == MISSING else text + unit


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


def format_grouped(count: float | None) -> str:
    """A whole number with thousands apart, by spaces that do not break: ``1 159 463``."""
    if count is None or not math.isfinite(count):
        return MISSING
    return f"{count:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``2 rows``, ``3 186 rows``; ``many`` where that is not ``one`` with an s."""
    return f"{format_grouped(count)} {one if count == 1 else many or one + 's'}"


def some(names: Sequence[str], most: int) -> str:
    """The first ``most`` names, and how many more there are: ``a, b and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _scaled(value: float | None, units: Units, base: int, digits: int) -> str:
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
