"""Two joins that know nothing of each other must name the same operators."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from perfsuite.capture import operators, primitives
from perfsuite.capture.events import STEP_RANGE, Event
from perfsuite.capture.profiler import Recording

LINE = (
    "onednn_verbose,v1,{ms},primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core,forward_training,"
    "src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb32a::f0 dst:f32::blocked:acdb::f0,attr-scratchpad:user,"
    "alg:convolution_direct,mb4_ic3oc32,{took}"
)


def line(start_ns: int, took_ns: int) -> str:
    return LINE.format(ms=f"{start_ns // 10**6}.{start_ns % 10**6:06d}", took=took_ns / 1e6)


def recorded(*events: Event):
    return operators.nest(Recording(events, (100_000,)))


BASE = 1_795_000_000_000_000_000
STEP = Event(STEP_RANGE, BASE, BASE + 100_000, thread=1)
CONV = Event("aten::conv", BASE + 10_000, BASE + 50_000, thread=1)


BEGIN, END = "perfsuite_marker,step-begin,0", "perfsuite_marker,step-end,0"


def join(events, *lines):
    return primitives.join_by_time(recorded(*events), [BEGIN, *lines, END])


def test_an_execution_belongs_to_the_innermost_operator_at_its_middle():
    inner = Event("aten::inner", BASE + 20_000, BASE + 40_000, thread=1)
    found = join([STEP, CONV, inner], line(BASE + 19_000, 10_000), line(BASE + 41_000, 2_000))
    assert [key[0] for _, key in found.pairs] == ["aten::inner", "aten::conv"]


def test_an_execution_outside_operators_is_counted_and_not_joined():
    found = join([STEP, CONV], line(BASE + 60_000, 10_000))
    assert [key for _, key in found.pairs] == [None]


def test_executions_outside_the_recorded_steps_are_left_out():
    outside = [line(BASE + 20_000, 10), BEGIN, END, line(BASE + 20_000, 10)]
    assert primitives.join_by_time(recorded(STEP, CONV), outside).pairs == ()


def test_executions_of_a_step_are_counted_even_if_the_clocks_disagree():
    found = join([STEP, CONV], line(BASE + 10**9, 10_000), line(BASE - 10**9, 10_000))
    assert [key for _, key in found.pairs] == [None, None]


def test_a_line_without_a_time_and_a_line_that_cannot_be_read_are_counted():
    found = join(
        [STEP, CONV], line(BASE + 20_000, 10).replace(f"{BASE // 10**6}.020000,", ""), "onednn_verbose,v1,what"
    )
    assert [key for _, key in found.pairs] == [None]
    assert found.rejected == 1


def test_an_execution_that_two_threads_could_have_run_is_not_joined():
    other = Event("aten::conv", BASE + 20_000, BASE + 30_000, thread=2)
    found = join([STEP, CONV, other], line(BASE + 22_000, 2_000), line(BASE + 32_000, 2_000))
    assert [key and key[0] for _, key in found.pairs] == [None, "aten::conv"]
    third = Event("aten::conv", BASE + 15_000, BASE + 25_000, thread=3)
    found = join([STEP, CONV, third, other], line(BASE + 22_000, 2_000), line(BASE + 26_000, 2_000))
    assert [key for _, key in found.pairs] == [None, None]


def test_an_operator_of_the_primitive_pass_only_gets_a_row_with_count_0():
    found = join([STEP, CONV], line(BASE + 22_000, 2_000))
    rows, below = primitives.attach_primitives((), found, steps=1)
    assert (rows[0].name, rows[0].count, rows[0].primitives) == ("aten::conv", 0, (0,))
    assert below[0].operator == 0


def test_alike_executions_become_one_row_with_counts_per_step():
    found = join([STEP, CONV], line(BASE + 22_000, 2_000), line(BASE + 26_000, 4_000))
    _, (row,) = primitives.attach_primitives((), found, steps=2)
    assert (row.count, row.time_ns) == (1, 3_000)
    assert (row.kind, row.direction, row.layouts) == (
        "convolution",
        "forward_training",
        "src:acdb wei:Acdb32a dst:acdb",
    )


BOTH_JOINS = """
import json, sys
import torch
from perfsuite.capture import operators, primitives
from perfsuite.capture.modules import ModulePaths, module_ranges
from perfsuite.capture.profiler import record_steps
from perfsuite.capture.step import Step
from perfsuite.capture.verbose import capture_verbose, timestamps_available, verbose_header
from contextlib import contextmanager

torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
    torch.nn.Conv2d(16, 32, 3, groups=4), torch.nn.Flatten(), torch.nn.Linear(32 * 14 * 14, 8),
).to(getattr(torch, sys.argv[1]))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(2, 3, 16, 16, dtype=getattr(torch, sys.argv[1]))
def step():
    model(x).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
step()
kept = []
@contextmanager
def listening():
    with capture_verbose() as verbose, primitives.markers():
        yield
    kept.extend(verbose.lines)
with module_ranges(ModulePaths()):
    recording = record_steps(Step(step), 2, around=listening, at_edge=primitives.step_edges())
steps = operators.nest(recording)
by_marker = primitives.join_by_markers(steps, kept, verbose_header())
result = {"timestamps": timestamps_available(), "markers": [key for _, key in by_marker.pairs]}
if timestamps_available():
    by_time = primitives.join_by_time(steps, kept, verbose_header())
    result["times"] = [key for _, key in by_time.pairs]
print(json.dumps(result))
"""


def both_joins(dtype: str, timestamps: bool):
    environment = {k: v for k, v in os.environ.items() if k != "ONEDNN_VERBOSE_TIMESTAMP"}
    if timestamps:
        environment["ONEDNN_VERBOSE_TIMESTAMP"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", BOTH_JOINS, dtype], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_markers_and_timestamps_name_the_same_operators(dtype):
    found = both_joins(dtype, timestamps=True)
    assert found["timestamps"]
    assert len(found["times"]) == len(found["markers"]) > 10
    assert found["times"] == found["markers"]
    assert None not in found["times"]


def test_without_timestamps_the_markers_join_every_execution():
    found = both_joins("float32", timestamps=False)
    assert not found["timestamps"]
    assert len(found["markers"]) > 10
    assert {key[0] for key in found["markers"]} >= {"aten::mkldnn_convolution", "aten::convolution_backward"}
