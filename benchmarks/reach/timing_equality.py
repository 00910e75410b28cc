"""``profiled`` times what ``benchmark`` times: their medians of the same training step agree within 1 %.

Pairs of fresh processes under the quiet settings, either side first by chance; the ratio is taken in each
pair, since two processes of the same code differ by more than two rounds of one process.

``python -m benchmarks.reach.timing_equality [--pairs N] [--workload NAME] [--json]``
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.reach.common import QUIET, Finding, conclude, interleave, run_python
from benchmarks.workloads import NAMES
from perfsuite.stats import median

TOLERANCE = 0.01

_TESTS = """
import pytest
from benchmarks.workloads import workload

@pytest.fixture
def step():
    step = workload({name!r}).build().training_step()
    for _ in range(20):
        step()
    return step

def test_benchmark(benchmark, step):
    benchmark(step)

def test_profiled(profiled, step):
    profiled(step)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--workload", choices=NAMES, default="resnet18")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_same.py").write_text(_TESTS.format(name=options.workload))
        sides = {
            "profiled": lambda: timed_median_ms(folder, "test_profiled"),
            "benchmark": lambda: timed_median_ms(folder, "test_benchmark"),
        }
        times = interleave(sides, options.pairs)
    ratios = [one / other for one, other in zip(times["profiled"], times["benchmark"], strict=True)]
    finding = Finding("profiled ÷ benchmark", "×", ratios, low=1 - TOLERANCE, high=1 + TOLERANCE)
    return conclude([finding], {name: (median(values), "ms") for name, values in times.items()}, options.json)


def timed_median_ms(folder: Path, test: str) -> float:
    """The median that pytest-benchmark reports of ``test`` in a fresh process."""
    report = folder / "report.json"
    run_python("pytest", "-q", f"test_same.py::{test}", f"--benchmark-json={report}", cwd=folder, environment=QUIET)
    (benchmark,) = json.loads(report.read_text())["benchmarks"]
    return float(benchmark["stats"]["median"]) * 1e3


if __name__ == "__main__":
    raise SystemExit(main())
