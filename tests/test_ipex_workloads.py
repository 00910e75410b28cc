"""The workloads on the real Intel Extension for PyTorch."""

from __future__ import annotations

import pytest

from benchmarks.workloads import DTYPES, workload

pytestmark = pytest.mark.ipex


@pytest.mark.parametrize("dtype", DTYPES)
def test_resnet18_trains_with_ipex_operators(dtype: str) -> None:
    from torch.profiler import ProfilerActivity, profile

    built = workload("resnet18", dtype=dtype, backend="ipex").build()
    step = built.training_step()
    losses = [float(step()) for _ in range(4)]
    assert losses[-1] < losses[0] < 10
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        step()
    names = {event.key for event in recorded.key_averages()}
    assert "torch_ipex::convolution_backward" in names
    assert "aten::convolution_backward" not in names


def test_ipex_keeps_the_module_paths() -> None:
    plain = workload("resnet18").build().model
    optimized = workload("resnet18", backend="ipex").build().model
    assert [path for path, _ in optimized.named_modules()] == [path for path, _ in plain.named_modules()]
