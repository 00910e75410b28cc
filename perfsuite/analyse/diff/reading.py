"""What must be said beside the rows: where they and the timed step disagree, and what is no operator's doing."""

from __future__ import annotations

from collections.abc import Iterator

from perfsuite.analyse.diff.deltas import MATERIAL
from perfsuite.analyse.diff.model import Ledgers, Wall
from perfsuite.analyse.kernel import KernelChange, kernel_change
from perfsuite.records import Memory
from perfsuite.units import counted, format_grouped, format_ns, format_share

#: By which the profiled steps may lie outside the timed interval: the profiler costs some per cent of a step.
_PROFILER = 0.05


def reading_notes(wall: Wall, ledger: Ledgers | None, base: Memory | None, head: Memory | None) -> tuple[str, ...]:
    """What the reader must bear in mind when the rows are to explain the timed step."""
    notes: list[str] = []
    if ledger is not None:
        notes += _disagreement(wall, ledger)
    change = kernel_change(base, head)
    if change is not None:
        notes.append(_kernel(change))
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
    yield f"the rows explain the profiled steps ({format_ns(ledger.base_ns)} → {format_ns(ledger.head_ns)}), {how}"


def _kernel(change: KernelChange) -> str:
    what = "page faults, not operators" if change.by_faults else "the kernel, not operators"
    told = ""
    if change.faults is not None:
        told = f" for {format_grouped(change.faults[0])} → {counted(change.faults[1], 'page fault')}"
    return (
        f"{what}: of one bare step the kernel took about {format_ns(change.base_ns)} → {format_ns(change.head_ns)}"
        f"{told}, a change by {format_share(change.share)} of base's; the rows of whatever was interrupted hold it"
    )
