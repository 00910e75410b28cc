"""Kernels on their own, forward and backward."""

from __future__ import annotations

from typing import Any

from benchmarks.apart import PATIENCE_SECONDS, Measured, answer, measure_apart, version
from perfsuite.history.values import SINGLE, UNITS


class Kernels:
    """Values of one recording of each kernel."""

    version = version()

    def setup_cache(self) -> Measured:
        return measure_apart(tuple(SINGLE.values()))

    setup_cache.timeout = PATIENCE_SECONDS  # type: ignore[attr-defined]

    def track_focal_loss(self, measured: Measured) -> Any:
        return answer(measured, SINGLE["focal_loss"], "focal_loss")

    track_focal_loss.unit = UNITS["focal_loss"]  # type: ignore[attr-defined]
