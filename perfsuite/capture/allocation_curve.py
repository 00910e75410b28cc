"""What a step holds of PyTorch's CPU allocator while it runs: arithmetic over the profiler's memory events, no torch.

**What is counted.**  The allocator reports each block as it is allocated and as it is freed.  So tensors are
counted, and what oneDNN needs beside them (scratchpads, reordered copies), because torch allocates that for it.  A
mapped file or a shared memory segment counts by the size of the whole mapping, however little of it is resident.

**What is not.**  Resident memory: the allocator's blocks may lie on pages that were never touched, and what is freed
may stay with the process.  What a library asks malloc for itself: MKL's buffers, arrays of numpy, Python's objects.
What runs on threads that the step starts in Python: the profiler does not listen there, so a block that such a thread
frees for the step seems to be held on.  Threads that torch starts (``torch.jit.fork``) do report and count.

**Which step.**  The last of the recorded ones.  A free is reported only of a block whose allocation the profiler saw:
in the first steps of a profile those of what the step before left (gradients, the last output) would be missing, and
the curve would not come down again.  In the last one they are there, unless a block outlives all the steps between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from perfsuite.capture.events import MEMORY_EVENT, PHASE_RANGE, STEP_RANGE, Event
from perfsuite.records import AllocationCurve, PhaseSpan

#: A curve has at most so many points: no screen shows more, and a step allocates tens of thousands of times.
POINTS = 600


def allocation_curve(events: Sequence[Event], points: int = POINTS) -> AllocationCurve:
    """The curve of the last recorded step; it begins with (0, 0) and ends with (wall, what is left).

    Args:
        events: of a recording with memory events, all threads.
        points: at least 5; where the step has more, :func:`thinned` leaves some out.

    Raises:
        ValueError: there is no step among the events.
    """
    step = max((e for e in events if e.name == STEP_RANGE), key=lambda e: e.start_ns, default=None)
    if step is None:
        raise ValueError("the profiler recorded no step")
    began, wall = step.start_ns, step.end_ns - step.start_ns
    # The sort is stable: of two events in one instant the one that was reported first comes first.
    changes = sorted(_within(events, MEMORY_EVENT, step), key=lambda e: e.start_ns)
    live = [0, *accumulate(change.bytes for change in changes)]
    times = [0, *(change.start_ns - began for change in changes), wall]
    kept = thinned(times, [*live, live[-1]], points)
    phases = sorted(_within(events, PHASE_RANGE, step), key=lambda e: (e.start_ns, -e.end_ns))
    return AllocationCurve(
        wall_ns=wall,
        times_ns=tuple(time for time, _ in kept),
        live_bytes=tuple(held for _, held in kept),
        phases=tuple(
            PhaseSpan(e.name[len(PHASE_RANGE) :], e.start_ns - began, min(e.end_ns - began, wall)) for e in phases
        ),
    )


def _within(events: Iterable[Event], prefix: str, step: Event) -> list[Event]:
    return [e for e in events if e.name.startswith(prefix) and step.start_ns <= e.start_ns < step.end_ns]


def thinned(times: Sequence[int], values: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """At most ``limit`` points of a step function, with every peak and trough that could be seen at that width.

    The time is cut into equal buckets.  Of each the first of its highest points, the first of its lowest and its last
    one are kept, the last so that the level at the start of the next bucket is right; the ends are kept too.

    Args:
        times: ascending, from 0; equal ones may follow each other.
        values: one for each time.
        limit: at least 5.

    Raises:
        ValueError: the limit is lower, or there are no points.
    """
    if limit < 5 or not times:
        raise ValueError(f"expected points and room for 5 of them, found {len(times)} and room for {limit}")
    chosen = set(range(len(times)))
    if len(times) > limit:
        buckets = (limit - 2) // 3
        width = times[-1] + 1
        members: dict[int, list[int]] = {}
        for index, time in enumerate(times):
            members.setdefault(time * buckets // width, []).append(index)
        chosen = {0, len(times) - 1}
        for inside in members.values():
            # max and min return the first of several that are equal.
            chosen |= {max(inside, key=values.__getitem__), min(inside, key=values.__getitem__), inside[-1]}
    return [(times[index], values[index]) for index in sorted(chosen)]
