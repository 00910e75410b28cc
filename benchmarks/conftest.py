"""Options that choose what the benchmarks run: ``pytest benchmarks --workload-scale standard``."""

from __future__ import annotations

import pytest

from benchmarks.workloads import BACKENDS, DTYPES, SCALES


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("workloads")
    group.addoption("--workload-scale", choices=SCALES, default="smoke", help="size of the workloads (default: smoke)")
    group.addoption("--workload-dtype", choices=DTYPES, default="float32", help="default: float32")
    group.addoption("--workload-backend", choices=BACKENDS, default="eager", help="default: eager")


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """``scale``, ``dtype`` and ``backend`` of the options; ``profiled`` records them with the measurement."""
    chosen = {key: request.config.getoption(f"--workload-{key}") for key in ("scale", "dtype", "backend")}
    request.node.add_marker(pytest.mark.profiled(**chosen))
    return chosen
