"""Rows and the ledger: on made-up events, and on real steps with planted time."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch

from perfsuite.capture import operators, passes
from perfsuite.capture.events import MEMORY_EVENT, STEP_RANGE, Event
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.profiler import Recording
from perfsuite.capture.step import Step
from perfsuite.capture.training_step import TrainingStep
from perfsuite.errors import CaptureError

CONV = ((1, 2, 4, 4), (3, 2, 1, 1), (), (), (), (), ())
CONV_ARGUMENTS = (None, None, None, (1, 1), (0, 0), (1, 1), 1)


def event(name: str, start: int, end: int, thread: int = 1, **fields) -> Event:
    return Event(name, start, end, thread=thread, **fields)


def recorded(*events: Event, walls=(100,)):
    return operators.nest(Recording(events, tuple(walls)))


def test_rows_are_per_step_and_unique_by_their_key():
    steps = recorded(
        event(STEP_RANGE, 0, 100),
        event("aten::mm", 0, 10),
        event("aten::mm", 20, 40),
        event("aten::mm", 50, 55, shapes=((2, 2),)),
        event(STEP_RANGE, 200, 300),
        event("aten::mm", 200, 230),
        walls=(100, 100),
    )
    rows = {row.shapes: row for row in operators.operator_rows(steps)}
    assert rows[()].count == 1.5
    assert rows[()].self_ns == 30
    assert rows[()].self_ns_samples == (30, 30)
    assert rows[((2, 2),)].self_ns_samples == (5, 0)
    assert isinstance(rows[((2, 2),)].count, float)


def test_flops_go_to_the_innermost_operator_that_has_a_formula():
    steps = recorded(
        event(STEP_RANGE, 0, 100),
        event("aten::conv2d", 0, 90, shapes=CONV, concrete=CONV_ARGUMENTS),
        event("aten::mkldnn_convolution", 10, 80, shapes=CONV, concrete=(None, None, None, (0, 0), (1, 1), (1, 1), 1)),
        event("aten::empty", 20, 30),
    )
    flops = {row.name: row.flops for row in operators.operator_rows(steps)}
    assert flops == {"aten::conv2d": None, "aten::mkldnn_convolution": 2 * 3 * 16 * 2, "aten::empty": None}


def test_recursion_counts_total_time_once():
    steps = recorded(event(STEP_RANGE, 0, 100), event("aten::f", 0, 50), event("aten::f", 10, 30))
    (row,) = operators.operator_rows(steps)
    assert (row.count, row.total_ns, row.self_ns) == (2, 50, 50)


def test_the_ledger_names_what_no_clock_of_the_profiler_saw():
    steps = recorded(event(STEP_RANGE, 10, 90), event("aten::mm", 20, 60), walls=(100,))
    ledger = operators.ledger(steps, joined=1, executed=2)
    assert (ledger.wall_ns, ledger.operators_ns, ledger.python_ns, ledger.unattributed_ns) == (100, 40, 40, 20)
    assert ledger.joined_ratio == 0.5


def test_between_phases_is_nobodys_and_events_that_are_lost_show_up():
    forward = event("perfsuite.phase:forward", 20, 60)
    steps = recorded(event(STEP_RANGE, 0, 100), forward, event("aten::mm", 30, 50), walls=(100,))
    ledger = operators.ledger(steps)
    assert (ledger.operators_ns, ledger.python_ns, ledger.unattributed_ns) == (20, 20, 60)
    assert {row.kind for row in operators.python_rows(steps)} == {"phase"}


def test_allocations_belong_to_the_innermost_operator():
    steps = recorded(
        event(STEP_RANGE, 0, 100),
        event("aten::a", 0, 50),
        event("aten::empty", 10, 20),
        event(MEMORY_EVENT, 15, 15, bytes=64),
        event(MEMORY_EVENT, 30, 30, bytes=8),
        event(MEMORY_EVENT, 40, 40, bytes=-64),
    )
    found = {key[0]: (each.counts, each.bytes) for key, each in operators.allocations(steps).items()}
    assert found == {"aten::empty": ([1], [64]), "aten::a": ([1], [8])}


def test_time_on_other_threads_is_the_union_of_their_operators():
    assert operators.busy_ns([event("a", 0, 10), event("b", 5, 20), event("c", 30, 35)]) == 25


# --- real torch ------------------------------------------------------------------------------------


@torch.library.custom_op("perfsuite_test::wait", mutates_args=())
def wait(x: torch.Tensor) -> torch.Tensor:
    time.sleep(0.005)
    return x.clone()


def captured(function, **settings):
    recorder = PhaseRecorder()
    made = function(recorder) if settings.pop("with_recorder", False) else function
    return passes.capture_profile(Step(made), recorder, passes.Settings(**settings))


def test_a_planted_operator_and_a_planted_sleep_land_in_their_own_rows():
    def step():
        torch.ones(4).add(1)
        time.sleep(0.005)
        wait(torch.ones(4))

    # Several steps: one that the machine interrupts for some milliseconds must not look like the plant.
    profile = captured(step, passes=("operators",), steps=9)
    rows = {row.name: row for row in profile.operators}
    planted = 5_000_000
    assert rows["perfsuite_test::wait"].self_ns >= planted
    assert profile.ledger.python_ns >= planted
    others = profile.ledger.operators_ns - rows["perfsuite_test::wait"].self_ns
    assert others < planted, "the sleep was booked on an operator"
    (python,) = profile.python
    assert python.kind == "step"
    assert python.self_ns >= planted
    assert abs(profile.ledger.unattributed_ns) < 0.05 * profile.ledger.wall_ns


def test_self_times_are_those_that_torch_itself_computes():
    from perfsuite.capture.events import build_tree
    from perfsuite.capture.profiler import _events

    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(14400, 4)
    )
    x = torch.ones(2, 3, 32, 32)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        model(x).sum().backward()
    ours: dict[str, int] = {}
    for node in build_tree(_events(profiler.profiler.kineto_results.events())).nodes:
        ours[node.event.name] = ours.get(node.event.name, 0) + node.self_ns
    torchs = {row.key: row.self_cpu_time_total * 1e3 for row in profiler.key_averages()}
    assert len(torchs) > 20
    assert set(torchs) <= set(ours)
    for name, self_ns in torchs.items():
        # torch rounds each event to whole or fractional microseconds.
        assert ours[name] == pytest.approx(self_ns, rel=0.01, abs=2_000), name


def test_allocations_and_data_types_are_those_of_the_real_tensors():
    x, y = torch.ones(300, 200), torch.ones(200, 100, dtype=torch.float64)

    def step():
        torch.mm(x, x.t())
        torch.mm(y, y.t())

    profile = captured(step, passes=("operators", "memory"), steps=2)
    products = {row.dtypes[0]: row for row in profile.operators if row.name == "aten::mm"}
    single, double = products["float32"], products["float64"]
    assert single.shapes[:2] == ((300, 200), (200, 300))
    assert (single.counts, double.counts) == ((1, 1), (1, 1))
    # The result is allocated by the operator itself, once in each of the two steps of the pass.
    assert single.allocated_bytes_samples == (300 * 300 * 4,) * 2
    assert double.allocated_bytes_samples == (200 * 200 * 8,) * 2
    assert single.allocations_samples == double.allocations_samples == (1, 1)
    assert single.allocated_bytes == 300 * 300 * 4


@pytest.mark.parametrize("where", ["module", "autograd", "phase"])
def test_a_planted_sleep_is_named_by_the_range_it_is_in(where):
    class Sleepy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            if where == "autograd":
                time.sleep(0.005)
            return grad

    class Net(torch.nn.Linear):
        def forward(self, x):
            if where == "module":
                time.sleep(0.005)
            return Sleepy.apply(super().forward(x))

    def loss(output, target):
        if where == "phase":
            time.sleep(0.005)
        return (output - target).square().mean()

    model = Net(4, 4)
    batch = (torch.ones(2, 4), torch.zeros(2, 4))

    def build(recorder):
        return TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1), loss, batch, phase=recorder.phase)

    profile = captured(build, with_recorder=True, passes=("operators",), steps=9)
    rows = {(row.kind, row.phase, row.module): row.self_ns for row in profile.python}
    expected = {
        "module": ("module", "forward", "Net"),
        "autograd": ("autograd", "backward", "Net"),
        "phase": ("phase", "loss", None),
    }
    assert rows[expected[where]] >= 5_000_000
    assert sum(ns for key, ns in rows.items() if key != expected[where]) < 5_000_000


def test_backward_operators_carry_the_module_of_their_forward():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen = torch.nn.Conv2d(3, 16, 1).requires_grad_(False)
            self.first = torch.nn.Conv2d(16, 16, 3)
            self.second = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Conv2d(16, 16, 3))

        def forward(self, x):
            return self.second(self.first(self.frozen(x)))

    model = Net()
    x = torch.ones(2, 3, 32, 32)
    profile = captured(lambda: model(x).sum().backward(), passes=("operators",))
    backward = {row.module for row in profile.operators if row.name == "aten::convolution_backward"}
    assert backward == {"Net.first", "Net.second.1"}
    forward = {row.module for row in profile.operators if row.name == "aten::mkldnn_convolution"}
    assert forward == {"Net.frozen", "Net.first", "Net.second.1"}


def test_a_compiled_step_gets_no_module_hooks_and_its_graphs_are_operators():
    torch._dynamo.reset()
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    compiled = torch.compile(model, backend="aot_eager")
    x = torch.ones(1, 3, 8, 8)
    compiled(x).sum().backward()
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    profile = captured(lambda: compiled(x).sum().backward(), passes=("operators", "primitives", "memory"))
    assert profile.backend == "compile"
    assert {row.module for row in profile.operators} == {None}
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before, "the capture made torch recompile"


def test_another_profiler_in_the_step_is_one_clear_error():
    with torch.profiler.profile(), pytest.raises(CaptureError, match="another torch profiler is active"):
        captured(lambda: None, passes=("operators",))


def test_a_profiler_within_the_step_is_one_clear_error():
    def step():
        with torch.profiler.profile():
            torch.ones(2).add(1)

    with pytest.raises(CaptureError, match="profiler of its own"):
        captured(step, passes=("operators",))


def test_work_of_other_threads_is_not_joined_to_the_operator_that_runs_beside_it():
    import threading

    a = torch.randn(600, 600)
    conv = torch.nn.Conv2d(3, 16, 3)
    x = torch.randn(2, 3, 32, 32)

    def step():
        def beside():
            with torch.no_grad():
                for _ in range(3):
                    conv(x)

        thread = threading.Thread(target=beside)
        thread.start()
        for _ in range(5):
            a @ a
        thread.join()

    step()
    profile = captured(step, passes=("operators", "primitives"))
    assert not any(row.primitives for row in profile.operators if row.name == "aten::mm")
    assert profile.ledger.executed_primitives >= 3
    assert profile.ledger.joined_primitives == 0
    assert any("other threads" in note for note in profile.notes)


@pytest.mark.skipif(
    not hasattr(torch._C._autograd._KinetoEvent, "structured_input_shapes"),
    reason="NOT TESTED: shapes of tensor lists, which this torch does not record",
)
def test_operators_on_tensor_lists_are_rows_by_the_sizes_in_the_list():
    small, large = torch.ones(10), torch.ones(100, 100)

    def step():
        torch.cat([small, small])
        torch.cat([large, large, large])

    profile = captured(step, passes=("operators",))
    shapes = {row.shapes for row in profile.operators if row.name == "aten::cat"}
    assert shapes == {(((10,), (10,)), ()), (((100, 100),) * 3, ())}


def test_checkpointed_modules_are_found_in_the_backward():
    from torch.utils.checkpoint import checkpoint

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(8, 8)

        def forward(self, x):
            return checkpoint(self.a, x, use_reentrant=True)

    net = Net()
    x = torch.ones(4, 8, requires_grad=True)
    profile = captured(lambda: net(x).sum().backward(), passes=("operators",))
    assert {row.module for row in profile.operators if row.name == "aten::mm"} == {"Net.a"}


def test_a_phase_of_some_steps_only_is_said_to_be_so():
    steps = iter(range(1000))

    def build(recorder):
        def step():
            with recorder.phase("forward"):
                torch.ones(3).add(1)
            if next(steps) % 2:
                with recorder.phase("optimizer"):
                    torch.ones(3).add(1)

        return step

    profile = captured(build, with_recorder=True, passes=("phases",))
    assert [phase.name for phase in profile.phases] == ["forward", "optimizer"]
    assert any("'optimizer' ran in" in note for note in profile.notes)


def test_peak_memory_sees_what_was_there_only_for_a_moment():
    # In a process of its own: what earlier tests freed may still be resident here, and be used again.
    code = """
import torch
from perfsuite.capture.memory import measure_memory
from perfsuite.capture.step import Step

found = measure_memory(Step(lambda: torch.ones(64 * 2**20 // 4).add_(1)))
print(found.peak_rss_bytes - found.start_rss_bytes, found.page_faults, found.wall_ns, found.user_ns + found.system_ns)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    more, faults, wall_ns, cpu_ns = map(int, printed.split())
    assert more >= 60 * 2**20
    assert faults > 0
    assert wall_ns > 0
    assert cpu_ns > 0


def test_a_step_that_is_not_the_same_each_time_is_recorded_all_the_same():
    calls = iter(range(1000))

    def step():
        for _ in range(next(calls) % 3 + 1):
            torch.ones(4).add(1)

    profile = captured(step, passes=("operators",), steps=6)
    (row,) = [row for row in profile.operators if row.name == "aten::add"]
    assert row.count == 2
    assert row.shapes == ((4,), (), ())
    assert any("not run the same operators" in note for note in profile.notes)


def test_a_step_whose_shapes_vary_has_the_shapes_that_it_was_timed_on():
    lengths = iter(range(1, 1000))

    def step():
        x = torch.ones(next(lengths), 8)
        torch.mm(x, x.t())

    profile = captured(step, passes=("operators",), steps=4)
    products = [row for row in profile.operators if row.name == "aten::mm"]
    assert sorted(row.counts for row in products) == [(0, 0, 0, 1), (0, 0, 1, 0), (0, 1, 0, 0), (1, 0, 0, 0)]
    for row in products:
        (length, width), _ = row.shapes[:2]
        # FLOPs are per step: a mean over the four.
        assert row.flops == 2 * length * length * width / 4
    assert any("same operators on the same shapes" in note for note in profile.notes)


def test_peak_memory_forgets_what_was_there_before_the_step():
    earlier = torch.ones(256 * 2**20 // 4)
    del earlier
    profile = captured(lambda: torch.ones(4), passes=("memory",))
    assert profile.memory.peak_rss_bytes - profile.memory.start_rss_bytes < 128 * 2**20
