"""One training step of each workload: the whole, its phases and its operators."""

from __future__ import annotations

from typing import Any

from benchmarks.apart import PATIENCE_SECONDS, Measured, answer, chosen_workloads, measure_apart, version
from perfsuite.history.names import all_series
from perfsuite.history.values import PHASES, UNITS

_NAMES = chosen_workloads()


class Steps:
    """Values of one recording of each workload, which is made once for all of them."""

    version = version()
    params = (_NAMES,)
    param_names = ("workload",)

    def setup_cache(self) -> Measured:
        return measure_apart(_NAMES)

    setup_cache.timeout = PATIENCE_SECONDS  # type: ignore[attr-defined]

    def track_step(self, measured: Measured, workload: str) -> Any:
        return answer(measured, workload, "step")

    def track_phase(self, measured: Measured, workload: str, phase: str) -> Any:
        return answer(measured, workload, "phase", phase)

    def track_operator(self, measured: Measured, workload: str, operator: str) -> Any:
        return answer(measured, workload, "operator", operator)

    def track_outside_onednn(self, measured: Measured, workload: str) -> Any:
        return answer(measured, workload, "outside_onednn")

    def track_reorders(self, measured: Measured, workload: str) -> Any:
        return answer(measured, workload, "reorders")

    def track_peak_rss(self, measured: Measured, workload: str) -> Any:
        return answer(measured, workload, "peak_rss")

    track_step.unit = UNITS["step"]  # type: ignore[attr-defined]
    track_phase.unit = UNITS["phase"]  # type: ignore[attr-defined]
    track_phase.params = (_NAMES, PHASES)  # type: ignore[attr-defined]
    track_phase.param_names = ("workload", "phase")  # type: ignore[attr-defined]
    track_operator.unit = UNITS["operator"]  # type: ignore[attr-defined]
    track_operator.params = (_NAMES, all_series(_NAMES))  # type: ignore[attr-defined]
    track_operator.param_names = ("workload", "operator")  # type: ignore[attr-defined]
    track_outside_onednn.unit = UNITS["outside_onednn"]  # type: ignore[attr-defined]
    track_reorders.unit = UNITS["reorders"]  # type: ignore[attr-defined]
    track_peak_rss.unit = UNITS["peak_rss"]  # type: ignore[attr-defined]
