"""The promises of a profile, kept on every real workload."""

from __future__ import annotations

import os

import pytest

from benchmarks.workloads import NAMES, workload
from perfsuite.capture.passes import Settings, capture_profile
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.step import Step
from perfsuite.capture.training_step import TrainingStep
from perfsuite.capture.verbose import timestamps_available
from perfsuite.records import Profile


def profile_of(name: str, dtype: str = "float32", backend: str = "eager") -> Profile:
    built = workload(name, dtype=dtype, backend=backend).build()
    recorder = PhaseRecorder()
    step = TrainingStep(built.model, built.optimizer, built.loss, built.batch, phase=recorder.phase)
    step()
    return capture_profile(Step(step), recorder, Settings(passes=("operators", "primitives"), steps=1))


def check_ledger(profile: Profile) -> None:
    ledger = profile.ledger
    assert abs(ledger.unattributed_ns) <= 0.05 * ledger.wall_ns
    assert sum(row.self_ns for row in profile.operators) == pytest.approx(ledger.operators_ns)
    assert len({row.key for row in profile.operators}) == len(profile.operators)
    assert len({row.key for row in profile.primitives}) == len(profile.primitives)
    assert sum(row.count for row in profile.primitives) == ledger.executed_primitives
    for index, row in enumerate(profile.primitives):
        assert index in profile.operators[row.operator].primitives


@pytest.mark.parametrize("name", NAMES)
def test_the_ledger_closes_and_primitives_are_joined(name):
    profile = profile_of(name)
    check_ledger(profile)
    if name == "transformer":
        # In float32 its products go to MKL.
        assert profile.ledger.executed_primitives == 0
        assert profile.ledger.joined_ratio is None
    else:
        assert profile.ledger.executed_primitives > 0
        assert profile.ledger.joined_ratio >= 0.995
    assert any(row.flops for row in profile.operators if row.phase == "forward")
    assert any(row.flops for row in profile.operators if row.phase == "backward")


def test_a_bfloat16_transformer_executes_primitives():
    profile = profile_of("transformer", dtype="bfloat16")
    check_ledger(profile)
    assert profile.ledger.executed_primitives > 0
    assert profile.ledger.joined_ratio >= 0.995
    assert all("bf16" in row.dtypes for row in profile.primitives if row.kind != "reorder")


def test_every_module_of_resnet_is_found_in_forward_and_backward():
    profile = profile_of("resnet18")
    forward = {row.module for row in profile.operators if row.name == "aten::mkldnn_convolution"}
    backward = {row.module for row in profile.operators if row.name == "aten::convolution_backward"}
    assert len(forward) == 20
    assert backward == forward
    assert "ResNet.layer4.1.conv2" in forward


def test_backward_convolutions_cost_twice_the_forward_but_for_the_first():
    profile = profile_of("resnet18")
    forward = {
        r.module: r.flops for r in profile.operators if r.name == "aten::mkldnn_convolution" and r.phase == "forward"
    }
    backward = {r.module: r.flops for r in profile.operators if r.name == "aten::convolution_backward"}
    for module, flops in forward.items():
        # The images need no gradient.
        assert backward[module] == flops * (1 if module == "ResNet.conv1" else 2), module


@pytest.mark.skipif(os.environ.get("TORCH_COMPILE_DISABLE") == "1", reason="NOT TESTED: torch.compile is disabled")
def test_a_compiled_resnet_is_joined_by_timestamps():
    profile = profile_of("resnet18", backend="compile")
    assert timestamps_available()
    assert profile.backend == "compile"
    assert profile.join == "timestamps"
    check_ledger(profile)
    assert profile.ledger.executed_primitives > 0
    assert profile.ledger.joined_ratio >= 0.995
    graphs = {row.name for row in profile.operators if "CompiledFxGraph" in row.name}
    assert graphs == {"## Call CompiledFxGraph 0 ##", "## Call CompiledFxGraph 1 ##"}
    assert {row.module for row in profile.operators} == {None}
    assert {row.phase for row in profile.operators} >= {"forward", "backward", "optimizer"}
