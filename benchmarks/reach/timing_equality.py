"""``profiled`` times what ``benchmark`` times: their medians of the same function agree within 1 %.

Fresh processes under the quiet settings.  In each, one function is built and then timed by either fixture in turn, in
pairs whose order is drawn anew; the ratio is taken within each pair, since two processes of the same code differ by
more than two minutes of one process.  The function is a matrix product in cache by default, about the steadiest that
there is, so that a difference of the fixtures is not lost in the noise of memory; a workload's step can be asked for.

``python -m benchmarks.reach.timing_equality [--processes N] [--pairs N] [--function NAME] [--json]``
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.reach.common import QUIET, Finding, conclude, run_python
from benchmarks.workloads import NAMES, workload
from perfsuite.stats import median

TOLERANCE = 0.01

#: What is compared is two fixtures and not the machine's cores, whose waking of each other is most of the noise.
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}

_TESTS = """
import pytest
from benchmarks.reach.timing_equality import build

@pytest.fixture(scope="module")
def step():
    step = build({name!r})
    for _ in range(20):
        step()
    return step

@pytest.mark.parametrize(("pair", "fixture"), {order!r})
def test_same(request, step, pair, fixture):
    request.getfixturevalue(fixture)(step)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=20, help="pairs in each process")
    parser.add_argument("--function", choices=("matmul", *NAMES), default="matmul")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    times: dict[str, list[float]] = {"profiled": [], "benchmark": []}
    for seed in range(options.processes):
        for fixture, medians in timed_medians_ms(options.function, options.pairs, seed).items():
            times[fixture] += medians
    ratios = [one / other for one, other in zip(times["profiled"], times["benchmark"], strict=True)]
    finding = Finding("profiled ÷ benchmark", "×", ratios, low=1 - TOLERANCE, high=1 + TOLERANCE)
    return conclude([finding], {name: (median(values), "ms") for name, values in times.items()}, options.json)


def build(name: str) -> Callable[[], object]:
    """The function to time: ``matmul``, or a training step of the smoke-sized workload of that name."""
    if name != "matmul":
        return workload(name).build().training_step()
    import torch

    a = torch.ones(384, 384)
    return partial(torch.mm, a, a, out=torch.empty_like(a))


def timed_medians_ms(name: str, pairs: int, seed: int) -> dict[str, list[float]]:
    """The medians that pytest-benchmark reports in one fresh process; fixture → values by pair."""
    shuffle = random.Random(seed).shuffle
    order: list[tuple[int, str]] = []
    for pair in range(pairs):
        sides = ["profiled", "benchmark"]
        shuffle(sides)
        order += [(pair, side) for side in sides]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_same.py").write_text(_TESTS.format(name=name, order=order))
        report = folder / "report.json"
        # A session that records, so that `profiled` goes all its way; its other passes would only take time.
        options = ("--profile-dnn", "--profile-dnn-passes=timing", f"--benchmark-json={report}")
        run_python("pytest", "-q", *options, cwd=folder, environment={**QUIET, **_ONE_THREAD})
        found = json.loads(report.read_text())["benchmarks"]
    by_pair = {(b["params"]["fixture"], b["params"]["pair"]): b["stats"]["median"] * 1e3 for b in found}
    return {fixture: [by_pair[fixture, pair] for pair in range(pairs)] for fixture in ("profiled", "benchmark")}


if __name__ == "__main__":
    raise SystemExit(main())
