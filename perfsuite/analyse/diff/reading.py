"""What must be said beside the rows: where they and the timed step disagree, and what is no operator's doing."""

from __future__ import annotations

from collections.abc import Iterator

from perfsuite.analyse.diff.deltas import MATERIAL
from perfsuite.analyse.diff.model import Ledgers, Wall
from perfsuite.analyse.kernel import kernel_ns
from perfsuite.records import Memory
from perfsuite.units import counted, format_grouped, format_ns, format_share

#: A change of the kernel's part of the step (:func:`kernel_ns`) that is this much of base's is worth a word.
KERNEL = 0.02
#: By which the profiled steps may lie outside the timed interval: the profiler costs some per cent of a step.
_PROFILER = 0.05


def reading_notes(wall: Wall, ledger: Ledgers | None, base: Memory | None, head: Memory | None) -> tuple[str, ...]:
    """What the reader must bear in mind when the rows are to explain the timed step."""
    notes: list[str] = []
    if ledger is not None:
        notes += _disagreement(wall, ledger)
    if base is not None and head is not None:
        notes += _kernel(base, head)
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


def _kernel(base: Memory, head: Memory) -> Iterator[str]:
    """The kernel held up a bare step for a material part of base's more or less."""
    before, after = kernel_ns(base), kernel_ns(head)
    if before is None or after is None or not base.wall_ns:
        return
    change = after - before
    if abs(change) < KERNEL * base.wall_ns:
        return
    faults = None if None in (base.page_faults, head.page_faults) else (base.page_faults or 0, head.page_faults or 0)
    # System time that goes up while faults go down is something else than faults.
    by_faults = faults is not None and (faults[1] - faults[0]) * change > 0
    what = "page faults, not operators" if by_faults else "the kernel, not operators"
    told = "" if faults is None else f" for {format_grouped(faults[0])} → {counted(faults[1], 'page fault')}"
    yield (
        f"{what}: of one bare step the kernel took about {format_ns(before)} → {format_ns(after)}{told}, a change by "
        f"{format_share(abs(change) / base.wall_ns)} of base's; the rows of whatever was interrupted hold it"
    )
