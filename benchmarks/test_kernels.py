"""Kernels on their own, forward and backward."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.workloads.focal import LossKernel


@pytest.mark.profiled(name="sigmoid_focal_loss")
def test_sigmoid_focal_loss(settings: dict[str, str], profiled: Any) -> None:
    gradient = profiled(LossKernel.build(**settings).gradient)
    assert gradient.isfinite().all()
    assert gradient.count_nonzero() > 0
