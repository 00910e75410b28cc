"""What the kernel took of a step: one definition for the advice and the comparison."""

from __future__ import annotations

from perfsuite.records import Memory


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
