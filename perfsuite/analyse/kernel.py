"""What the kernel took of a step: one definition for the advice and the comparison."""

from __future__ import annotations

from dataclasses import dataclass

from perfsuite.records import Memory

#: A change of the kernel's part of the step that is this much of base's step is worth a word.
_MATERIAL = 0.02


@dataclass(frozen=True)
class KernelChange:
    """The kernel held up head's bare step for longer than base's, or shorter, by what is worth a word."""

    base_ns: float
    head_ns: float
    #: The change, whatever its sign, as a part of base's bare step.
    share: float
    #: Page faults of either side; None where one is not known.
    faults: tuple[int, int] | None

    @property
    def by_faults(self) -> bool:
        """Whether page faults did it: time that goes up while faults go down is something else."""
        return self.faults is not None and (self.faults[1] - self.faults[0]) * (self.head_ns - self.base_ns) > 0


def kernel_ns(memory: Memory | None) -> float | None:
    """Time of the bare step that the kernel held it up, an estimate; None where that was not recorded.

    Threads work beside each other, so that the kernel's part of their CPU time is its part of the step; and a step
    that waits (for a CPU, for data) is held up by no more than the kernel's own time.
    """
    if memory is None:
        return None
    system, user, wall = memory.system_ns, memory.user_ns, memory.wall_ns
    if system is None or user is None or not wall or not system + user:
        return None
    return min(float(system), wall * system / (system + user))


def kernel_share(memory: Memory | None) -> float | None:
    """The same as a part of that step's wall time."""
    held = kernel_ns(memory)
    return None if held is None or memory is None or not memory.wall_ns else held / memory.wall_ns


def kernel_change(base: Memory | None, head: Memory | None) -> KernelChange | None:
    """What changed between two sides; None where that is not known, or too little."""
    before, after = kernel_ns(base), kernel_ns(head)
    if base is None or head is None or before is None or after is None or not base.wall_ns:
        return None
    share = abs(after - before) / base.wall_ns
    if share < _MATERIAL:
        return None
    known = base.page_faults is not None and head.page_faults is not None
    return KernelChange(before, after, share, (base.page_faults or 0, head.page_faults or 0) if known else None)
