"""The checks: each is a pure function over facts and says what it found, what that does to times, and what mends it."""

from perfsuite.doctor.checks.host import clock, load, numa, quota, steal, virtual
from perfsuite.doctor.checks.process import allocator, huge_pages, openmp, swap, threads
from perfsuite.doctor.checks.processor import boost, governor, heat, smt

__all__ = [
    "CHECKS",
    "allocator",
    "boost",
    "clock",
    "governor",
    "heat",
    "huge_pages",
    "load",
    "numa",
    "openmp",
    "quota",
    "smt",
    "steal",
    "swap",
    "threads",
    "virtual",
]
CHECKS = (
    load, steal, quota, virtual, governor, boost, smt, heat, numa, allocator, threads, openmp, huge_pages, swap, clock
)  # fmt: skip
