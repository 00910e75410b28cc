"""Every rule finds what is planted in a real model, and is silent on one that is as it should be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from perfsuite.analyse.advice import RULES, Advice, Finding, Subject, advise
from perfsuite.capture.passes import Settings, capture_profile
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.step import Step
from perfsuite.codec import from_json
from perfsuite.records import Environment, Profile
from perfsuite.stats import median
from tests.advice_models import (
    PASSES,
    Detector,
    Frozen,
    MkldnnSums,
    Recurrent,
    SlowGelu,
    capture,
    capture_step,
    convnet,
    images,
)
from tests.samples import an_environment

#: Allocator settings under which a step reuses its memory.
QUIET = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**33), "MALLOC_TOP_PAD_": str(2**28)}
AVX512 = ("avx2", "avx512bw", "avx512dq", "avx512f", "avx512vl")
ONE_THREAD = {"torch_threads": 1}


@pytest.fixture(autouse=True)
def one_thread():
    """A thread that waits for another one's CPU would make the times of these steps anything."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def advice_on(profile: Profile, environment: Environment | None = None, against: Profile | None = None) -> Advice:
    return advise(Subject(profile, environment or an_environment(**ONE_THREAD), against))


def find(rule: str, profile: Profile, environment: Environment | None = None, against: Profile | None = None):
    """The findings of one rule, which must have looked."""
    advice = advice_on(profile, environment, against)
    assert rule not in {missing.rule for missing in advice.not_checked}
    return [finding for finding in advice.findings if finding.rule == rule]


def the(rule: str, *arguments: object) -> Finding:
    (found,) = find(rule, *arguments)
    return found


def text(finding: Finding) -> str:
    return "\n".join([finding.title, *(fact.text for fact in finding.evidence)])


def in_a_process(folder: Path, *names: str, **variables: str) -> dict[str, Profile]:
    file = folder / "profiles.json"
    environment = {k: v for k, v in os.environ.items() if not re.match("MALLOC_|GLIBC_TUN|LD_PRELOAD|ONEDNN|DNNL", k)}
    environment |= {"OMP_NUM_THREADS": "1", "ONEDNN_VERBOSE_TIMESTAMP": "1", **variables}
    subprocess.run([sys.executable, "-m", "tests.advice_models", str(file), *names], env=environment, check=True)
    return {name: from_json(Profile, data) for name, data in json.loads(file.read_text()).items()}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return in_a_process(tmp_path_factory.mktemp("healthy"), "healthy", **QUIET)["healthy"]


@pytest.fixture(scope="module")
def badly_set(tmp_path_factory):
    """Captured where malloc maps every tensor anew and oneDNN may not use all of the CPU."""
    variables = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    return in_a_process(tmp_path_factory.mktemp("badly_set"), "healthy", "page_faults", **variables)


def sgd(model: nn.Module, **options: object) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.01, fused=True, **options)


# --- a healthy model --------------------------------------------------------------------------------


def test_a_healthy_model_gives_no_findings(healthy):
    advice = advice_on(healthy, an_environment(isa=AVX512, **ONE_THREAD), healthy)
    assert [text(finding) for finding in advice.findings] == []
    assert advice.not_checked == ()
    assert set(advice.silent) == {rule.name for rule in RULES}


def test_without_passes_rules_are_not_checked_and_say_what_they_need(healthy):
    bare = replace(
        healthy, operators=(), primitives=(), python=(), ledger=None, memory=None, phases=(), join=None, passes=()
    )
    advice = advice_on(bare)
    reasons = {missing.rule: missing.reason for missing in advice.not_checked}
    assert set(reasons) == {rule.name for rule in RULES} - {"threads"}
    assert advice.silent == ("threads",)
    assert reasons["slow-implementation"] == "needs the primitives pass"
    assert reasons["page-faults"] == "needs the memory pass"
    assert reasons["frozen-batch-norm"] == "needs the operators pass"


# --- frozen layers ----------------------------------------------------------------------------------


def test_weights_left_out_of_the_optimizer_are_found():
    model = convnet()
    trained = [parameter for name, parameter in model.named_parameters() if not name.startswith("0.")]
    profile = capture(model, torch.optim.SGD(trained, 0.01, momentum=0.9), cross_entropy, images())
    found = the("frozen-backward", profile)
    assert "32x3x3x3: 1 get a gradient, 0 are updated (Sequential.0)" in text(found)
    assert "32x32x3x3" not in text(found)
    first = next(r for r in profile.operators if r.name == "aten::convolution_backward" and r.module == "Sequential.0")
    assert min(first.self_ns_samples) <= found.stake.ns <= max(first.self_ns_samples)


def test_of_layers_of_one_shape_as_many_are_counted_as_are_not_updated():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(4)))
    batch = (torch.randn(8, 8, 48, 48), torch.randn(8, 8, 48, 48))
    found = the("frozen-backward", capture(model, torch.optim.SGD(model[2:].parameters(), 0.01), mse_loss, batch))
    assert "8x8x3x3: 4 get a gradient, 2 are updated" in text(found)


@pytest.mark.parametrize("inputs", [torch.contiguous_format, torch.channels_last])
def test_a_weight_of_two_modules_is_one(inputs):
    """Its gradient is summed before autograd detaches it, or copies it where its strides are not the weight's."""
    first, second = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
    model = nn.Sequential(first, second)
    batch = (torch.randn(4, 8, 48, 48).to(memory_format=inputs), torch.randn(4, 8, 48, 48))

    def found(parameters):
        return find("frozen-backward", capture(model, torch.optim.SGD(parameters, 0.01), mse_loss, batch))

    (waste,) = found([second.weight, second.bias])
    assert "8x8x3x3: 2 get a gradient, 1 are updated" in text(waste)
    second.weight = first.weight
    assert found(model.parameters()) == []
    (waste,) = found([first.bias, second.bias])
    assert "8x8x3x3: 1 get a gradient, 0 are updated" in text(waste)


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}])
def test_every_kind_of_update_is_recognised(options):
    model = convnet()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, **options)
    assert find("frozen-backward", capture(model, optimizer, cross_entropy, images())) == []


def test_gradients_that_are_accumulated_over_steps_are_not_left_out():
    class EverySecond:
        def __init__(self, optimizer):
            self.optimizer, self.calls = optimizer, 0

        def step(self):
            self.calls += 1
            if self.calls % 2 == 0:
                self.optimizer.step()

        def zero_grad(self):
            if self.calls % 2 == 0:
                self.optimizer.zero_grad()

    model = convnet()
    optimizer = EverySecond(torch.optim.SGD(model.parameters(), 0.01))
    profile = capture(model, optimizer, cross_entropy, images(), steps=4)
    updates = [row for row in profile.operators if row.phase == "optimizer" and row.name == "aten::add_"]
    assert {row.counts for row in updates if row.shapes[0] == (32, 3, 3, 3)} <= {(0, 1, 0, 1), (1, 0, 1, 0)}
    assert find("frozen-backward", profile) == []


def test_micro_batches_are_no_weights():
    first, second = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
    second.weight = first.weight
    model = nn.Sequential(first, second)
    recorder = PhaseRecorder()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def step():
        optimizer.zero_grad()
        for _ in range(3):
            with recorder.phase("forward"):
                loss = model(torch.ones(4, 8, 32, 32)).square().mean()
            with recorder.phase("backward"):
                loss.backward()
        with recorder.phase("optimizer"):
            optimizer.step()

    profile = capture_profile(Step(step), recorder, Settings(passes=PASSES, steps=2))
    assert find("frozen-backward", profile) == []
    optimizer.param_groups[0]["params"] = [first.bias, second.bias]
    assert "1 get a gradient, 0 are updated" in text(
        the("frozen-backward", capture_profile(Step(step), recorder, Settings(passes=PASSES, steps=2)))
    )


def test_gradients_that_flow_through_frozen_layers_to_the_input_are_found():
    model = convnet()
    model[0].requires_grad_(False)
    model[3].requires_grad_(False)
    inputs, labels = images()
    profile = capture(model, sgd(model[7]), cross_entropy, (inputs.requires_grad_(), labels))
    found = the("frozen-backward", profile)
    assert "input" in found.title
    assert "4x3x64x64" in text(found)
    assert "Sequential.0" in text(found)
    assert "Sequential.3" in text(found)
    assert found.stake.kind == "bound"


def test_layers_frozen_properly_are_no_finding():
    model = convnet()
    model[:4].requires_grad_(False)
    assert find("frozen-backward", capture(model, sgd(model[7]), cross_entropy, images())) == []


def test_a_frozen_residual_behind_a_trained_layer_needs_its_backward():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
            self.second.requires_grad_(False)

        def forward(self, x):
            x = self.first(x)
            return (x + self.second(x)).mean((2, 3))

    model = Block()
    assert find("frozen-backward", capture(model, sgd(model.first), cross_entropy, images())) == []


def test_a_frozen_batch_norm_that_is_written_out_is_found():
    model = nn.Sequential(nn.Conv2d(3, 32, 1), Frozen(32), nn.Conv2d(32, 32, 1), Frozen(32))
    batch = (torch.randn(4, 3, 64, 64), torch.randn(4, 32, 64, 64))
    found = the("frozen-batch-norm", capture(model, sgd(model), mse_loss, batch))
    assert found.title == "FrozenBatchNorm2d runs as mul + add over the activations"
    assert "2 modules: Sequential.1, Sequential.3" in text(found)
    counts = {fact.text: fact.count for fact in found.evidence if fact.count is not None}
    assert counts == {
        "aten::mul by (1, C, 1, 1), forward": 2,
        "aten::add by (1, C, 1, 1), forward": 2,
        "aten::mul by (1, C, 1, 1), backward": 2,
    }


def test_an_ordinary_batch_norm_and_a_gate_per_channel_are_none():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16)

        def forward(self, x):
            x = self.norm(self.conv(x))
            return x * torch.sigmoid(x.mean((2, 3), keepdim=True))

    model = Gate()
    batch = (torch.randn(1, 3, 64, 64), torch.randn(1, 16, 64, 64))
    assert find("frozen-batch-norm", capture(model, sgd(model), mse_loss, batch)) == []


# --- layouts ----------------------------------------------------------------------------------------


def pointwise() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Conv2d(16, 16, 3, padding=1) for _ in range(3)))


def test_plain_activations_are_reordered_and_channels_last_ones_are_not():
    batch = (torch.randn(8, 16, 64, 64), torch.randn(8, 16, 64, 64))
    model = pointwise()
    found = the("reorders", capture(model, sgd(model), mse_loss, batch))
    assert found.title == "activations are reordered around each layer"
    assert "channels_last" in found.action
    assert any(fact.text.startswith("abcd → ") and fact.count for fact in found.evidence)

    last = torch.channels_last
    # Gradients of mse_loss and of the pooling come back in the plain layout: a ReLU between brings them back.
    model = nn.Sequential(*pointwise(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).to(memory_format=last)
    batch = (batch[0].to(memory_format=last), torch.randn(8, 16))
    assert find("reorders", capture(model, sgd(model), mse_loss, batch)) == []


def test_copies_between_layouts_are_found():
    class Pingpong(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = pointwise()

        def forward(self, x):
            for layer in self.layers:
                x = layer(x).contiguous().contiguous(memory_format=torch.channels_last)
            return x

    model = Pingpong().to(memory_format=torch.channels_last)
    last = torch.randn(8, 16, 64, 64).to(memory_format=torch.channels_last)
    found = find("reorders", capture(model, sgd(model), mse_loss, (last, last.clone())))
    copies = next(one for one in found if one.title == "activations are copied into another layout")
    assert "8x16x64x64 in Pingpong, forward" in text(copies)
    assert copies.stake.kind == "measured"


def test_weights_that_are_repacked_for_a_tiny_batch_are_found_and_are_no_activations():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Conv2d(256, 256, 3, padding=1) for _ in range(2)))
    batch = (torch.randn(2, 256, 9, 9), torch.randn(2, 256, 9, 9))
    profile = capture(model, sgd(model), mse_loss, batch)
    found = the("weight-reorders", profile)
    repacked = [row for row in profile.primitives if row.kind == "reorder" and row.problem == "256x256x3x3"]
    assert sum(fact.count for fact in found.evidence) == sum(row.count for row in repacked)


# --- kernels ----------------------------------------------------------------------------------------


def test_code_for_any_cpu_is_found():
    model = MkldnnSums()
    profile = capture(model, sgd(model), cross_entropy, (torch.randn(8, 16, 64, 64), torch.zeros(8, dtype=torch.long)))
    found = the("slow-implementation", profile)
    assert found.title == "sum without an implementation for this CPU's instruction set"
    assert "sum undef simple:any in MkldnnSums" in text(found)
    assert next(fact.count for fact in found.evidence) == 8


def test_kernels_for_an_older_instruction_set_are_found(badly_set):
    profile = badly_set["healthy"]
    environment = an_environment(isa=AVX512, omp={"ONEDNN_MAX_CPU_ISA": "AVX2"}, **ONE_THREAD)
    found = the("slow-implementation", profile, environment)
    assert "narrower vectors" in found.title
    assert "avx2" in text(found)
    assert "unset `ONEDNN_MAX_CPU_ISA=AVX2`" in found.action
    assert found.stake.kind == "estimate"
    # On a CPU that has no wider vectors they are what there is.
    assert find("slow-implementation", profile, an_environment(isa=("avx2",), **ONE_THREAD)) == []


def test_the_reference_of_recurrent_cells_is_not_naive():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(32, 32, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0]

    model = Words()
    profile = capture(model, sgd(model), mse_loss, (torch.randn(4, 8, 32), torch.randn(4, 8, 32)))
    assert {row.implementation for row in profile.primitives if row.kind == "rnn"} & {"ref", "ref:any"}
    assert find("slow-implementation", profile) == []


def test_float32_on_a_cpu_with_bfloat16_is_found_and_autocast_is_not():
    able, unable = an_environment(isa=(*AVX512, "avx512_bf16"), **ONE_THREAD), an_environment(**ONE_THREAD)
    model = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512))
    batch = (torch.randn(512, 512), torch.randn(512, 512))
    profile = capture(model, sgd(model), mse_loss, batch)
    found = the("bfloat16", profile, able)
    assert "the CPU has avx512_bf16" in text(found)
    assert "addmm in float32" in text(found)
    products = sum(row.self_ns for row in profile.operators if row.flops)
    assert 0 < found.stake.ns <= products
    assert find("bfloat16", profile, unable) == []

    def half(output, target):
        return mse_loss(output.float(), target)

    model.forward = torch.autocast("cpu", dtype=torch.bfloat16)(model.forward)
    assert find("bfloat16", capture(model, sgd(model), half, batch), able) == []


# --- short and repeated operators --------------------------------------------------------------------


def test_a_chain_of_elementwise_operators_is_found_and_one_operator_is_not():
    batch = (torch.randn(512, 512), torch.randn(512, 512))
    model = nn.Sequential(nn.Linear(512, 512), SlowGelu())
    profile = capture(model, sgd(model), mse_loss, batch)
    found = the("elementwise-chain", profile)
    assert "512x512 in Sequential.1, forward" in text(found)
    spent = sum(
        max(row.self_ns_samples) for row in profile.operators if row.module == "Sequential.1" and row.shapes[:1]
    )
    assert 0 < found.stake.ns < spent

    model = nn.Sequential(nn.Linear(512, 512), nn.GELU())
    assert find("elementwise-chain", capture(model, sgd(model), mse_loss, batch)) == []


def test_a_step_of_very_short_operators_is_found(healthy):
    model = Recurrent()
    profile = capture(model, sgd(model), mse_loss, (torch.randn(2, 8), torch.randn(2, 8)))
    found = the("fragmented", profile)
    short = [fact for fact in found.evidence if fact.text.startswith("operators under 20 µs a call")]
    assert sum(fact.count for fact in short) >= 200
    assert find("fragmented", healthy) == []


@pytest.mark.parametrize(
    ("kind", "options", "advised", "title"),
    [
        (torch.optim.Adam, {}, "torch.optim.Adam(…, fused=True)", "the optimizer loops"),
        (torch.optim.Adam, {"foreach": True}, "torch.optim.Adam(…, fused=True)", "foreach still loops"),
        (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}, "torch.optim.SGD(…, fused=True)", "the optimizer loops"),
        (torch.optim.Adagrad, {}, "torch.optim.Adagrad(…, fused=True)", "the optimizer loops"),
        (torch.optim.RMSprop, {"centered": True}, "torch.compile(optimizer.step)", "the optimizer loops"),
    ],
)
def test_an_unfused_optimizer_is_found_and_a_fused_one_is_not(kind, options, advised, title):
    model = nn.Sequential(*(nn.Linear(192, 192) for _ in range(12)))
    batch = (torch.randn(4, 192), torch.randn(4, 192))
    passes = ("operators",)
    found = the("optimizer-loop", capture(model, kind(model.parameters(), **options), mse_loss, batch, passes))
    assert found.title.startswith(title)
    assert advised in found.action
    assert sum(fact.count or 0 for fact in found.evidence) >= 24
    if "fused" in advised:
        options = {key: value for key, value in options.items() if key != "foreach"}
        fused = kind(model.parameters(), fused=True, **options)
        assert find("optimizer-loop", capture(model, fused, mse_loss, batch, passes)) == []


def test_a_step_that_sleeps_is_found(healthy):
    model = nn.Linear(64, 64)
    batch = (torch.randn(32, 64), torch.randn(32, 64))

    def loss(output, target):
        time.sleep(0.02)
        return mse_loss(output, target)

    profile = capture(model, sgd(model), loss, batch, ("operators",))
    found = the("python-bound", profile)
    assert found.evidence[0].text == "phase range of no module, loss"
    assert found.evidence[0].time_ns >= 20e6
    assert found.stake.ns == pytest.approx(sum(row.self_ns for row in profile.python))
    assert find("python-bound", healthy) == []


def test_a_step_that_sleeps_outside_of_its_phases_is_found():
    recorder = PhaseRecorder()

    def step():
        with recorder.phase("forward"):
            torch.ones(64, 64).sum()
        time.sleep(0.02)

    profile = capture_profile(Step(step), recorder, Settings(passes=("operators",), steps=2))
    found = the("python-bound", profile)
    assert found.title.endswith("of the profiled step lies outside of what was recorded")
    assert found.stake.ns == pytest.approx(profile.ledger.unattributed_ns)
    assert found.stake.ns >= 20e6


def test_a_chain_of_a_step_without_phases_is_declined_and_one_without_backward_is_not():
    model, x = nn.Sequential(nn.Linear(512, 512), SlowGelu()), torch.randn(512, 512)

    def train():
        model.zero_grad()
        model(x).sum().backward()

    def infer():
        with torch.no_grad():
            model(x)

    missing = {one.rule: one.reason for one in advice_on(capture_step(train)).not_checked}
    assert "forward and backward cannot be told apart" in missing["elementwise-chain"]
    assert "512x512 in Sequential.1, no phase" in text(the("elementwise-chain", capture_step(infer)))


# --- the loss ---------------------------------------------------------------------------------------


def test_a_loss_that_rules_the_step_is_found(healthy):
    model = nn.Linear(16, 2000)
    batch = (torch.randn(256, 16), torch.rand(256, 2000).round())
    loss = nn.functional.binary_cross_entropy_with_logits
    profile = capture(model, sgd(model), loss, batch)
    found = the("loss-share", profile)
    assert "256x2000" in text(found)
    assert find("loss-share", healthy) == []


def test_a_loss_inside_the_model_is_told_by_its_operators():
    model = Detector(2000)
    profile = capture(model, sgd(model), None, (torch.randn(256, 16), torch.rand(256, 2000).round()))
    assert not profile.operators or "loss" not in {row.phase for row in profile.operators}
    assert "operators on tensors of the loss's shape in its module" in text(the("loss-share", profile))


def test_a_step_without_a_known_loss_is_not_checked_for_one():
    model = nn.Linear(8, 8)

    def step():
        model.zero_grad()
        model(torch.randn(4, 8)).abs().sum().backward()

    missing = {one.rule: one.reason for one in advice_on(capture_step(step)).not_checked}
    assert missing["loss-share"] == missing["loss-precision"]
    assert "needs a phase 'loss'" in missing["loss-share"]
    assert missing["optimizer-loop"] == "needs a phase named 'optimizer' in the step"
    assert missing["loader"] == "needs phases, which the step does not mark"


def test_autocast_around_a_reduction_is_found_and_before_it_is_not():
    model = nn.Linear(32, 64)
    batch = (torch.randn(16, 32), torch.randn(16, 64))
    model.forward = torch.autocast("cpu", dtype=torch.bfloat16)(model.forward)

    def divergence(output, target):
        return -(output.log_softmax(1) * target).sum()

    def inside(output, target):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return divergence(output, target)

    def outside(output, target):
        return divergence(output.float(), target)

    found = the("loss-precision", capture(model, sgd(model), inside, batch))
    assert found.title == "the loss is reduced in bfloat16"
    assert [fact.text for fact in found.evidence] == ["aten::_log_softmax of 16x64 in bfloat16"]
    assert found.stake.ns is None
    assert found.stake.share is None
    assert find("loss-precision", capture(model, sgd(model), outside, batch)) == []


def test_a_loss_that_autocast_itself_runs_in_float32_is_none():
    model = nn.Linear(32, 64)
    model.forward = torch.autocast("cpu", dtype=torch.bfloat16)(model.forward)

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def loss(output, target):
        return mse_loss(output, target)

    profile = capture(model, sgd(model), loss, (torch.randn(16, 32), torch.randn(16, 64)))
    given = {row.dtypes[0] for row in profile.operators if row.name == "aten::mse_loss"}
    assert given == {"bfloat16", "float32"}
    assert find("loss-precision", profile) == []


# --- process and machine ------------------------------------------------------------------------------


class SlowLoader:
    def __init__(self, batch, seconds):
        self.batch, self.seconds = batch, seconds

    def __iter__(self):
        while True:
            time.sleep(self.seconds)
            yield self.batch


def test_a_step_that_waits_for_its_data_is_found(healthy):
    model = nn.Linear(8, 8)
    loader = SlowLoader((torch.randn(4, 8), torch.randn(4, 8)), 0.02)
    profile = capture(model, sgd(model), mse_loss, loader, ("phases", "operators"))
    environment = an_environment(usable_cpus=8, torch_threads=8, physical_cores=8)
    found = the("loader", profile, environment)
    waited = median(next(phase.samples_ns for phase in profile.phases if phase.name == "data"))
    assert found.evidence[0].time_ns == waited
    assert found.stake.share == found.evidence[0].share == waited / median(profile.walls_ns["phases"])
    assert found.stake.of == "the steps of the phases pass"
    assert [fact.text for fact in found.evidence] == [
        "fetching a batch, the median of bare steps",
        "operators of this process in it",
    ]
    assert "num_workers=2" in found.action
    assert "set_num_threads(6)" in found.action
    assert find("loader", healthy) == []


def test_page_faults_are_found_where_memory_goes_back_to_the_kernel(badly_set, healthy):
    profile = badly_set["page_faults"]
    environment = an_environment(disturbances=("malloc returns memory to the kernel",), **ONE_THREAD)
    found = the("page-faults", profile, environment)
    assert "perfsuite launch" in found.action
    assert "perfsuite launch" in found.first
    assert advice_on(profile, environment).findings[0].rule == "page-faults"
    assert "the process was not quiet: malloc returns memory to the kernel" in text(found)
    faults = next(fact.count for fact in found.evidence if fact.text.startswith("page faults"))
    assert faults == profile.memory.page_faults >= 1000
    assert find("page-faults", healthy) == []


def test_tensors_that_glibc_always_maps_anew_are_page_faults(tmp_path):
    """By default it maps what is larger than 32 MiB (mallopt(3), DEFAULT_MMAP_THRESHOLD_MAX)."""
    profile = in_a_process(tmp_path, "large_tensors")["large_tensors"]
    (asked,) = (fact.text for fact in the("page-faults", profile).evidence if fact.text.startswith("tensors ask for"))
    mebibytes = sum(row.allocated_bytes for row in profile.operators) / 2**20
    # 4096×4096 float32, 64 MiB: forward the product and three ReLUs, backward a gradient of each and of the loss.
    assert asked == f"tensors ask for {mebibytes:.0f} MiB in a step"
    assert mebibytes == pytest.approx(9 * 64, rel=0.15)
    assert profile.memory.page_faults * 4096 > 0.5 * mebibytes * 2**20


def test_more_threads_than_cpus_are_found(healthy):
    many = an_environment(torch_threads=8, usable_cpus=4, physical_cores=2, omp={"OMP_NUM_THREADS": "8"})
    assert "8 threads on 4 usable CPUs" in text(the("threads", healthy, many))
    assert "OMP_NUM_THREADS=8" in text(the("threads", healthy, many))
    hyper = an_environment(torch_threads=4, usable_cpus=4, physical_cores=2)
    assert "4 threads on 2 physical cores" in text(the("threads", healthy, hyper))
    assert find("threads", healthy, an_environment(torch_threads=2, usable_cpus=4, physical_cores=2)) == []
    beside = replace(healthy, contended=True)
    assert "workers" in text(the("threads", beside, an_environment(torch_threads=2, physical_cores=2)))


def test_the_real_environment_shows_threads_that_were_set_too_high():
    from perfsuite.capture.torch_facts import torch_facts
    from perfsuite.environment import gather_environment

    torch.set_num_threads(len(os.sched_getaffinity(0)) + 1)
    model = nn.Linear(8, 8)
    profile = capture(model, sgd(model), mse_loss, (torch.randn(4, 8), torch.randn(4, 8)), ("operators",), 1)
    found = the("threads", profile, gather_environment(torch_facts()))
    assert found.stake.ns is None
    assert found.stake.kind == "unknown"


# --- a reference run ----------------------------------------------------------------------------------


def classifier(classes: int) -> Profile:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, classes))
    batch = (torch.randn(256, 64), torch.randint(0, classes, (256,)))
    return capture(model, sgd(model), cross_entropy, batch)


def test_three_times_the_classes_are_found_against_a_reference():
    small, large = classifier(500), classifier(1500)
    found = find("reference", large, None, small)
    loss = next(one for one in found if one.title.startswith("the loss works on tensors of another size"))
    assert "256x1500 here, on 256x500 in the reference (3×)" in text(loss)
    assert find("reference", small, None, small) == []


def slower(profile: Profile) -> Profile:
    """Each primitive a hundred times as slow: so that less work takes less time, whatever else the machine does."""
    rows = (
        replace(row, time_ns=100 * row.time_ns, time_ns_samples=tuple(100 * ns for ns in row.time_ns_samples))
        for row in profile.primitives
    )
    return replace(profile, primitives=tuple(rows))


def test_a_missing_layer_is_found_against_a_reference():
    batch = (torch.randn(4, 16, 48, 48), torch.randn(4, 16, 48, 48))
    whole, part = pointwise(), pointwise()[:1]
    reference = slower(capture(whole, sgd(whole), mse_loss, batch))
    found = find("reference", capture(part, sgd(part), mse_loss, batch), None, reference)
    primitives = next(one for one in found if one.title == "primitives differ from the reference run")
    assert "convolution forward_training: 1× here, 3× in the reference" in text(primitives)
    assert "convolution backward_data: 0× here, 2× in the reference" in text(primitives)
    assert primitives.stake.ns is None  # less work is nothing to win


def test_without_a_reference_the_rule_did_not_look(healthy):
    missing = {one.rule: one.reason for one in advice_on(healthy).not_checked}
    assert missing == {"reference": "needs a reference with a workload of this name: --against RUN"}
