"""The whole capture on the real Intel Extension for PyTorch, in the environment of ``make test-ipex``."""

from __future__ import annotations

import pytest

from perfsuite.store import load_run

pytestmark = pytest.mark.ipex

SOURCE = """
    import intel_extension_for_pytorch as ipex
    import torch

    def test_step(profiled):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
            torch.nn.Conv2d(16, 32, 3, groups=4), torch.nn.Flatten(), torch.nn.Linear(32 * 28 * 28, 4),
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        model, optimizer = ipex.optimize(model, optimizer=optimizer, dtype=torch.float32)
        batch = (torch.randn(2, 3, 32, 32), torch.randint(0, 4, (2,)))
        profiled.step(model, optimizer, torch.nn.functional.cross_entropy, batch)
"""


@pytest.fixture
def profile(pytester):
    pytester.makepyfile(test_it=SOURCE)
    result = pytester.runpytest_subprocess("--profile-dnn", "--benchmark-max-time=0.05")
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    assert "onednn_verbose" not in result.stdout.str()
    assert "USDT" not in result.stderr.str()
    (folder,) = [p for p in (pytester.path / ".perfsuite").iterdir() if p.is_dir()]
    run = load_run(folder)
    return run, run.workloads[0]


def test_operators_primitives_and_flops_of_ipex(profile):
    run, workload = profile
    assert workload.backend == "ipex"
    names = {row.name for row in workload.operators}
    assert {"torch_ipex::convolution_forward_impl", "torch_ipex::convolution_backward"} <= names
    assert workload.ledger.executed_primitives > 0
    assert workload.ledger.joined_ratio >= 0.995
    owners = {workload.operators[p.operator].name for p in workload.primitives if p.operator is not None}
    assert {"torch_ipex::convolution_forward_impl", "torch_ipex::convolution_backward"} <= owners
    assert {c["built_into"] for c in run.environment.onednn} == {"torch", "intel_extension_for_pytorch"}
    assert run.environment.ipex.startswith("2.")
    # first: 2·2·30²·(16·3·9); second: 2·2·28²·(32·4·9); the first one's input needs no gradient
    first, second = 2 * 2 * 900 * 16 * 27, 2 * 2 * 784 * 32 * 36
    bias = 2 * 900 * 16 + 2 * 784 * 32
    forward = sum(row.flops or 0 for row in workload.operators if row.name == "torch_ipex::convolution_forward")
    backward = sum(row.flops or 0 for row in workload.operators if row.name == "torch_ipex::convolution_backward")
    assert forward == first + second
    assert backward == first + 2 * second + bias


def test_the_ledger_closes_on_ipex(profile):
    _, workload = profile
    ledger = workload.ledger
    assert ledger.operators_ns + ledger.python_ns == pytest.approx(ledger.wall_ns, rel=0.05)
    modules = {row.module for row in workload.operators if row.name == "torch_ipex::convolution_backward"}
    assert modules == {"Sequential.0", "Sequential.3"}
