"""What the step holds of PyTorch's allocator while it runs."""

from __future__ import annotations

from perfsuite.analyse.figures.common import not_recorded, subtitle
from perfsuite.analyse.figures.model import MemoryFigure
from perfsuite.analyse.tables import allocation_peak
from perfsuite.records import AllocationCurve, Profile


def memory(profile: Profile) -> MemoryFigure:
    """The allocation curve of one step, its phases and its peak, and the resident memory of another."""
    title = "Memory over one step"
    curve, resident = profile.allocation_curve, profile.memory
    start = resident.start_rss_bytes if resident is not None else None
    peak = resident.peak_rss_bytes if resident is not None else None
    highest = allocation_peak(profile)
    if curve is None or highest is None or not any(curve.live_bytes):
        return MemoryFigure(
            title=title, subtitle=subtitle(profile), missing=_missing(profile, curve),
            start_rss_bytes=start, peak_rss_bytes=peak,
        )  # fmt: skip
    return MemoryFigure(
        title=title,
        subtitle=subtitle(profile, "1 step"),
        notes=_notes(profile, curve),
        # A file that another program wrote may have more of one than of the other.
        times_ns=curve.times_ns[: len(curve.live_bytes)],
        live_bytes=curve.live_bytes[: len(curve.times_ns)],
        wall_ns=curve.wall_ns,
        phases=curve.phases,
        peak_bytes=highest.bytes,
        peak_ns=highest.time_ns,
        peak_phase=highest.phase,
        start_rss_bytes=start,
        peak_rss_bytes=peak,
    )


def _missing(profile: Profile, curve: AllocationCurve | None) -> str:
    if curve is not None:
        # A flat line would say the same with less.
        return "At no time did the step hold more or less of PyTorch's CPU allocator than when it began."
    if "memory" in profile.passes:
        return "This run has no allocation curve: record it again with this version of perfsuite."
    return not_recorded("Memory was", "memory")


def _notes(profile: Profile, curve: AllocationCurve) -> tuple[str, ...]:
    found = [
        "Held of PyTorch's CPU allocator, as the profiler saw it in one step; 0 is what was held when the step began, "
        "so it falls below 0 where the step gives back more than it took."
    ]
    if profile.memory is not None:
        found.append("Resident memory (RSS) is of another step without the profiler, and of the whole process.")
    return tuple(found)
