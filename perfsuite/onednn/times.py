"""Times of records: integers, so that sums are exact in any order."""

from __future__ import annotations

import re
from decimal import Decimal

#: Femtoseconds in the unit of a record's time, the millisecond.  oneDNN prints six digits of a clock that counts
#: in 2⁻¹² ms at the finest, so nothing that it prints is rounded.
FS_PER_MS = 10**12
FS_PER_NS = 10**6

_MILLISECONDS = re.compile(r"\d{1,30}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
#: A time as oneDNN prints it (C's %g), and then something else.
_TIME_AND_MORE = re.compile(r"(\d{1,6}(?:\.\d{1,10})?(?:e[+-]\d\d)?)(.*)", re.ASCII | re.DOTALL)
#: What ends a line in a terminal or in a JSON string, and other output that does not begin with a digit.
_END_OF_LINE = re.compile(r"""\\[nrtu"] | [\r\n\x1b\0"](?!\d)""", re.VERBOSE)
_OTHER_OUTPUT = re.compile(
    r"""[A-Za-z_]{3} | [ \t]+[A-Za-z_\[(|#=*] | \r | ["'\[\](){}<>|\#=*~^&;@!?$] .* [^\d.]""", re.VERBOSE | re.DOTALL
)
#: How many digits %g prints, unless the last ones are 0.
_PRINTED_DIGITS = 6
#: Epoch milliseconds in a double count in 2⁻¹² ms, and so does the difference of two of them.
_TICKS_PER_MS = 2**12
#: 30 years: anything longer was not measured.
_LONGEST_FS = FS_PER_MS * 10**12


def femtoseconds(milliseconds: str) -> int | None:
    """The time that ``milliseconds`` spells; None if it spells none (negative, NaN, infinite, no number)."""
    if not _MILLISECONDS.fullmatch(milliseconds):
        return None
    # Decimal: 0.258789 ms is 258789 ns, not 258789.00000000003.
    value = Decimal(milliseconds)
    if value.adjusted() > 12:
        return None
    time = int((value * FS_PER_MS).to_integral_value())
    return time if time <= _LONGEST_FS else None


def may_be_cut(milliseconds: str) -> bool:
    """Whether ``milliseconds``, a time, may be the first characters of another one that oneDNN prints."""
    mantissa, exponential, exponent = milliseconds.lower().partition("e")
    if exponential:
        return len(exponent) < len("-05")
    digits = mantissa.replace(".", "").lstrip("0")
    # With all its digits there, only an exponent may still follow, and only behind one digit before the point.
    return len(digits) < _PRINTED_DIGITS or (mantissa[1:2] == "." and mantissa[0] != "0")


def is_whole(milliseconds: str) -> bool:
    """Whether ``milliseconds``, a time, is all of one that oneDNN prints, whatever stands behind it.

    ``0.258789`` is; ``0.258`` may have lost digits, ``1.25879`` an exponent, and ``0.2587891`` has one too many.
    """
    return not may_be_cut(milliseconds) and f"{float(milliseconds):g}" == milliseconds


def before_other_output(text: str) -> str | None:
    """The time that ``text`` begins with where other output follows it; None where they cannot be told apart.

    The first digits of the other output could pass for the last ones of the time.  So the time must have all the
    digits that are printed or be one that oneDNN's clock can give: ``0.0529785Epoch 2`` and ``0.25Epoch 2`` are
    told apart, ``0.255Epoch 2`` is not.
    """
    match = _TIME_AND_MORE.match(text)
    if match is None:
        return None
    time, behind = match.groups()
    digits = len(time.partition("e")[0].replace(".", "").lstrip("0"))
    if digits > _PRINTED_DIGITS:
        return None
    if _END_OF_LINE.match(behind):
        return time
    if not _OTHER_OUTPUT.match(behind):
        return None
    ticks = round(float(time) * _TICKS_PER_MS)
    return time if digits == _PRINTED_DIGITS or f"{ticks / _TICKS_PER_MS:g}" == time else None
