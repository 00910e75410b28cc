"""Resident memory of this process, from the kernel."""

from __future__ import annotations

import resource
import time
from pathlib import Path

from perfsuite.capture.step import Step
from perfsuite.records import Memory

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def measure_memory(step: Step) -> Memory:
    """Run one step and read the high-water mark of resident memory that it reached, and what it cost the kernel.

    VmHWM only ever rises, so it is reset first: writing 5 to ``/proc/self/clear_refs`` does that (proc(5)).
    Where the kernel refuses, the peak is None: an older peak would be somebody else's.
    """
    with step.ready() as call:
        start = read_status_bytes("VmRSS")
        reset = _reset_peak()
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter_ns()
        call()
        ended, after = time.perf_counter_ns(), resource.getrusage(resource.RUSAGE_SELF)
        # The kernel adds up its counters late: a peak can read a few pages less than where it began.
        peak = max(start, read_status_bytes("VmHWM")) if reset else None
    return Memory(
        start_rss_bytes=start,
        peak_rss_bytes=peak,
        wall_ns=ended - began,
        user_ns=round((after.ru_utime - before.ru_utime) * 1e9),
        system_ns=round((after.ru_stime - before.ru_stime) * 1e9),
        page_faults=after.ru_minflt - before.ru_minflt,
    )


def read_status_bytes(key: str) -> int:
    """A size from ``/proc/self/status`` in bytes.

    Raises:
        KeyError: the kernel does not report it.
    """
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise KeyError(key)


def _reset_peak() -> bool:
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True
