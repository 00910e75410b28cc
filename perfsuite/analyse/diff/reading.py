"""What must be said beside the rows: where they and the timed step disagree, and what is no operator's doing."""

from __future__ import annotations

from collections.abc import Iterator

from perfsuite.analyse.diff.deltas import MATERIAL
from perfsuite.analyse.diff.model import Ledgers, Wall
from perfsuite.records import Memory

#: Kernel time that is this much of base's step is worth a word.
KERNEL = 0.02
#: By which the profiled steps may lie outside the timed interval: the profiler costs some per cent of a step.
_PROFILER = 0.05


def reading_notes(wall: Wall, ledger: Ledgers | None, base: Memory | None, head: Memory | None) -> tuple[str, ...]:
    """What the reader must bear in mind when the rows are to explain the timed step."""
    notes: list[str] = []
    if ledger is not None:
        notes += _disagreement(wall, ledger)
    if base is not None and head is not None:
        notes += _kernel(wall, base, head)
    return tuple(notes)


def _disagreement(wall: Wall, ledger: Ledgers) -> Iterator[str]:
    """The profiled steps changed the other way than the timed ones, or by more or less than those surely did."""
    if wall.ratio is None or not ledger.base_ns:
        return
    profiled = ledger.head_ns / ledger.base_ns
    timed, rows = wall.ratio - 1, profiled - 1
    low, high = wall.interval or (profiled, profiled)
    if timed * rows < 0 and min(abs(timed), abs(rows)) >= MATERIAL:
        how = "which changed the other way than the timed ones"
    elif not low - _PROFILER <= profiled <= high + _PROFILER:
        how = f"which changed by another factor ({profiled:.3f}) than the timed ones ({low:.3f} to {high:.3f})"
    else:
        return
    yield f"the rows explain the profiled steps ({_ms(ledger.base_ns)} → {_ms(ledger.head_ns)} ms), {how}"


def _kernel(wall: Wall, base: Memory, head: Memory) -> Iterator[str]:
    """The kernel took a material part of base's step more or less."""
    step = base.wall_ns or wall.base_ns
    if base.system_ns is None or head.system_ns is None or not step:
        return
    change = head.system_ns - base.system_ns
    if abs(change) < KERNEL * step:
        return
    faults = None if None in (base.page_faults, head.page_faults) else (base.page_faults or 0, head.page_faults or 0)
    # System time that goes up while faults go down is something else than faults.
    by_faults = faults is not None and (faults[1] - faults[0]) * change > 0
    what = "page faults, not operators" if by_faults else "the kernel, not operators"
    counted = "" if faults is None else f" for {faults[0]} → {faults[1]} page faults"
    yield (
        f"{what}: {_ms(base.system_ns)} → {_ms(head.system_ns)} ms in the kernel{counted}, CPU time of all threads in "
        f"one bare step, a change by {abs(change) / step * 100:.1f} % of base's step; the rows of whatever was "
        "interrupted hold it"
    )


def _ms(ns: float) -> str:
    """Milliseconds with three significant digits."""
    return f"{ns / 1e6:.3g}"
