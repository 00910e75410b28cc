"""One training step of each workload."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.workloads import NAMES, workload


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.profiled(name=name)) for name in NAMES])
def test_training_step(name: str, settings: dict[str, str], profiled: Any) -> None:
    built = workload(name, **settings).build()
    loss = profiled.step(built.model, built.optimizer, built.loss, built.batch)
    assert math.isfinite(float(loss))
