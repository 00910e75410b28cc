"""The cache levels of this machine, as the kernel describes them."""

from __future__ import annotations

import re
from pathlib import Path

from perfsuite.ceilings import CacheLevel

#: Where the kernel says nothing (containers that hide it, other kernels): a core of the last ten years, each thread
#: with its own L1 and L2.
FALLBACK = (("L1", 32 * 2**10, True), ("L2", 2**20, True), ("L3", 16 * 2**20, False))
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def cache_levels(cpus: Path, usable: list[int], threads: int) -> tuple[tuple[CacheLevel, ...], bool]:
    """The data caches, nearest first, then DRAM; and whether the kernel told us.

    The capacity of a level is what ``threads`` threads have of it together when they spread over the CPUs: a cache
    for each thread where there are as many, else all there are.

    Args:
        cpus: ``/sys/devices/system/cpu``.
        usable: the numbers of the CPUs that this process may run on.
    """
    found: dict[int, dict[str, int]] = {}
    for cpu in usable:
        for index in sorted((cpus / f"cpu{cpu}" / "cache").glob("index[0-9]*")):
            level, size, shared = (_read(index / name) for name in ("level", "size", "shared_cpu_list"))
            capacity = _bytes(size)
            if _read(index / "type") in ("Data", "Unified") and level.isdigit() and capacity:
                found.setdefault(int(level), {})[shared or str(cpu)] = capacity
    levels = [
        CacheLevel(f"L{level}", max(caches.values()) * min(threads, len(caches)))
        for level, caches in sorted(found.items())
    ]
    told = bool(levels)
    if not told:
        levels = [CacheLevel(name, size * (threads if private else 1)) for name, size, private in FALLBACK]
    return (*levels, CacheLevel("DRAM", None)), told


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _bytes(size: str) -> int:
    found = re.fullmatch(r"(\d{1,12})([KMG]?)", size)
    return int(found[1]) * _UNITS[found[2]] if found else 0
