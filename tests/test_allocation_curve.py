"""The allocation curve: on made-up events, on tensors whose sizes are known, and against torch's own running count."""

from __future__ import annotations

import threading
from bisect import bisect_right
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.capture import passes, profiler
from perfsuite.capture.allocation_curve import POINTS, allocation_curve, thinned
from perfsuite.capture.events import MEMORY_EVENT, PHASE_RANGE, STEP_RANGE, Event
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.step import Step
from perfsuite.capture.training_step import TrainingStep
from perfsuite.records import AllocationCurve, PhaseSpan

MIB = 2**20


def event(name: str, start: int, end: int, thread: int = 1, **fields) -> Event:
    return Event(name, start, end, thread=thread, **fields)


def memory(at: int, size: int, thread: int = 1) -> Event:
    return event(MEMORY_EVENT, at, at, thread, bytes=size)


# --- made-up events ---------------------------------------------------------------------------------


def test_the_last_step_is_summed_up_over_all_threads():
    curve = allocation_curve(
        [
            event(STEP_RANGE, 0, 100),
            memory(50, 1000),
            event(STEP_RANGE, 200, 300),
            memory(210, 64),
            memory(230, -1000),
            memory(220, 8, thread=2),
            memory(150, 4),  # between the steps
            memory(300, 2),  # after them
            event("aten::empty", 205, 215),
            event(PHASE_RANGE + "forward", 205, 225),
            event(PHASE_RANGE + "forward", 5, 25),
            event(PHASE_RANGE + "backward", 226, 301),
            event(PHASE_RANGE + "inner", 226, 240),
        ]
    )
    assert curve == AllocationCurve(
        wall_ns=100,
        times_ns=(0, 10, 20, 30, 100),
        live_bytes=(0, 64, 72, -928, -928),
        phases=(PhaseSpan("forward", 5, 25), PhaseSpan("backward", 26, 100), PhaseSpan("inner", 26, 40)),
    )


def test_what_happens_in_one_instant_keeps_its_order_and_its_peak():
    curve = allocation_curve([event(STEP_RANGE, 0, 10), memory(0, 5), memory(4, 7), memory(4, -12)])
    assert (curve.times_ns, curve.live_bytes) == ((0, 0, 4, 4, 10), (0, 5, 12, 0, 0))


def test_a_step_that_allocates_nothing_has_a_flat_curve():
    assert allocation_curve([event(STEP_RANGE, 7, 17)]) == AllocationCurve(10, (0, 10), (0, 0))


def test_no_step_is_an_error():
    with pytest.raises(ValueError, match="no step"):
        allocation_curve([memory(1, 1)])


def level(times, values, at: int) -> int:
    """The step function at an instant: the last value that was set by then."""
    return values[bisect_right(times, at) - 1]


step_functions = st.lists(st.tuples(st.integers(0, 2000), st.integers(-50, 50)), max_size=400)


@settings(deadline=None)
@given(changes=step_functions, limit=st.integers(5, 120))
def test_a_thinned_curve_keeps_the_peak_the_trough_the_ends_and_the_order(changes, limit):
    events = [event(STEP_RANGE, 0, 2001), *(memory(at, size) for at, size in changes)]
    whole, thin = allocation_curve(events, 10_000), allocation_curve(events, limit)
    points = list(zip(whole.times_ns, whole.live_bytes, strict=True))
    kept = list(zip(thin.times_ns, thin.live_bytes, strict=True))
    assert len(whole.times_ns) == len(changes) + 2
    assert len(kept) <= limit
    assert len(points) > limit or kept == points
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert all(before <= after for before, after in pairwise(thin.times_ns))
    rest = iter(points)
    assert all(point in rest for point in kept), "kept points are points of the curve, in its order"
    for extreme in (max, min):
        most = extreme(whole.live_bytes)
        first = thin.live_bytes.index(most)
        assert thin.times_ns[first] == whole.times_ns[whole.live_bytes.index(most)]


@settings(deadline=None)
@given(changes=step_functions, limit=st.integers(5, 60))
def test_each_bucket_of_a_thinned_curve_keeps_its_highest_and_lowest_and_begins_right(changes, limit):
    times = sorted(at for at, _ in changes) or [0]
    values = [size for _, size in changes] or [0]
    kept = thinned(times, values, limit)
    buckets = (limit - 2) // 3
    for bucket in range(buckets):
        inside = {(t, v) for t, v in zip(times, values, strict=True) if t * buckets // (times[-1] + 1) == bucket}
        left = {point for point in kept if point in inside}
        for extreme in (max, min):
            assert not inside or extreme(v for _, v in left) == extreme(v for _, v in inside)
        begins = -(-bucket * (times[-1] + 1) // buckets)
        if begins > times[0]:
            at = begins - 1  # the last instant of the bucket before
            assert level([t for t, _ in kept], [v for _, v in kept], at) == level(times, values, at)


def test_no_points_and_no_room_are_errors():
    with pytest.raises(ValueError, match="room for 5"):
        thinned([0], [0], 4)
    with pytest.raises(ValueError, match="found 0"):
        thinned([], [], 10)


# --- real torch -------------------------------------------------------------------------------------


def captured(function, recorder: PhaseRecorder | None = None) -> passes.Profile:
    settings = passes.Settings(passes=("operators", "memory"), steps=2)
    return passes.capture_profile(Step(function), recorder or PhaseRecorder(), settings)


def blocks(mib: int) -> torch.Tensor:
    return torch.empty(mib * MIB, dtype=torch.uint8)


def test_a_step_of_known_tensors_has_the_curve_that_they_make():
    recorder = PhaseRecorder()
    kept: list[torch.Tensor] = [blocks(16)]

    def step():
        with recorder.phase("first"):
            a = blocks(64)
            b = blocks(32)
            del a
        c = blocks(16)
        with recorder.phase("second"):
            kept[0] = c  # gives back what the step before kept
            del b

    profile = captured(step, recorder)
    curve = profile.allocation_curve
    assert [size // MIB for size in curve.live_bytes] == [0, 64, 96, 32, 48, 32, 0, 0]
    assert curve.times_ns[0] == 0
    assert curve.times_ns[-1] == curve.wall_ns
    first, second = curve.phases
    assert (first.name, second.name) == ("first", "second")
    within = [first.start_ns <= time < first.end_ns for time in curve.times_ns]
    assert within == [False, True, True, True, False, False, False, False]
    assert [second.start_ns <= time < second.end_ns for time in curve.times_ns].index(True) == 5
    assert 0 < curve.wall_ns <= profile.walls_ns["memory"][-1]


def twice(x):
    return x + x


def forked(x):
    return torch.jit.wait(torch.jit.fork(twice, x))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_threads_of_torch_count_and_those_of_python_do_not():
    script = torch.jit.script(forked)
    x = torch.ones(2 * MIB)

    def torchs():
        script(x)

    def pythons():
        thread = threading.Thread(target=blocks, args=(8,))
        thread.start()
        thread.join()

    assert max(captured(torchs).allocation_curve.live_bytes) == 8 * MIB
    assert set(captured(pythons).allocation_curve.live_bytes) == {0}


def test_what_onednn_needs_beside_the_tensors_is_counted():
    convolution, x = torch.nn.Conv2d(64, 64, 3, padding=1), torch.randn(4, 64, 16, 16)
    result = 4 * 64 * 16 * 16 * 4
    with torch.no_grad():
        # Its weights, at least, are copied into the layout that the implementation wants.
        assert max(captured(lambda: convolution(x)).allocation_curve.live_bytes) > result
        assert captured(lambda: x + x).allocation_curve.live_bytes == (0, result, 0, 0)


def running_counts(results) -> list[tuple[int, int]]:
    """(bytes, the allocator's own count afterwards) of each memory event within the last recorded step."""
    found, steps = [], []
    waiting = list(results.experimental_event_tree())
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.tag == torch._C._profiler._EventType.Allocation:
            fields = node.extra_fields
            found.append((node.start_time_ns, fields.total_allocated, fields.alloc_size))
        elif node.name == STEP_RANGE:
            steps.append((node.start_time_ns, node.end_time_ns))
    start, end = max(steps)
    return [(size, count) for at, count, size in sorted(found, key=lambda row: row[0]) if start <= at < end]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_the_curve_is_torchs_own_running_count(backend, monkeypatch):
    made = []

    class Kept(torch.profiler.profile):
        def __init__(self, **options):
            super().__init__(**options)
            made.append(self)

    torch._dynamo.reset()
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 16, 3),
        torch.nn.Flatten(),
        torch.nn.Linear(2304, 5),
    )
    batch = (torch.ones(4, 3, 16, 16), torch.zeros(4, dtype=torch.int64))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = model if backend == "eager" else torch.compile(model, backend=backend)
    recorder = PhaseRecorder()
    step = TrainingStep(run, optimizer, torch.nn.functional.cross_entropy, batch, phase=recorder.phase)
    step()
    monkeypatch.setattr(torch.profiler, "profile", Kept)
    curve = captured(step, recorder).allocation_curve
    counts = running_counts(made[-1].profiler.kineto_results)
    began = counts[0][1] - counts[0][0]
    assert len(counts) > 30
    assert len(curve.live_bytes) == len(counts) + 2 <= POINTS
    assert list(curve.live_bytes[1:-1]) == [count - began for _, count in counts]
    assert [span.name for span in curve.phases] == ["data", "forward", "loss", "backward", "optimizer"]
    # Everything that the step allocates replaces what the step before left: nothing is missing among the frees.
    assert curve.live_bytes[-1] == 0


def test_memory_of_an_accelerator_is_left_out():
    class Reported:
        def __init__(self, device, size):
            self.device_type = lambda: device
            self.nbytes = lambda: size

        name = staticmethod(lambda: MEMORY_EVENT)
        start_ns = staticmethod(lambda: 5)
        start_thread_id = staticmethod(lambda: 1)

    kinds = torch._C._autograd.DeviceType
    assert [e.bytes for e in profiler._events([Reported(kinds.CUDA, 7), Reported(kinds.CPU, 8)])] == [8]
