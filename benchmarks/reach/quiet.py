"""``perfsuite launch`` makes processes repeatable: two of the same code agree, and none is slower for it.

In each round a pair of fresh processes that are started plainly and a pair by ``perfsuite launch``, all building the
same small training step.  The two of a pair take turns step by step, in an order drawn anew each time, so that a
machine which drifts does so for both; the pairs follow one another, or a plain process that spins would disturb a
launched one.
Of each pair there is one log-ratio, of the two median steps: what a comparison of two builds without any difference
would have reported.

``python -m benchmarks.reach.quiet [--rounds N] [--seconds N] [--steps N] [--workload NAME] [--allocator A] [--json]``
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.reach.common import Finding, conclude, interleave
from benchmarks.workloads import NAMES, workload
from perfsuite.stats import median

#: Two processes of the same code should differ by less, and a launched one should not be slower, within the noise.
AGREEMENT_PERCENT, COST = 1.5, 1.02

_ROOT = Path(__file__).resolve().parents[2]
_WARM_UP = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120, help="no round begins after it")
    parser.add_argument("--steps", type=int, default=30, help="timed steps of each process")
    parser.add_argument("--workload", choices=NAMES, default="resnet18")
    parser.add_argument("--allocator", default="auto", help="as for perfsuite launch")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.worker:
        return serve(options.workload)
    times: dict[str, list[float]] = {"plain": [], "launched": []}
    ratios: dict[str, list[float]] = {"plain": [], "launched": []}
    launch = [sys.executable, "-m", "perfsuite.cli", "launch", "--allocator", options.allocator, "--"]
    began = time.monotonic()
    for number in range(options.rounds):
        if time.monotonic() - began > options.seconds:
            break
        for side in ("plain", "launched") if number % 2 else ("launched", "plain"):
            prefix = launch if side == "launched" else []
            one, other = medians_ms(prefix, options.workload, options.steps, seed=number)
            times[side].append(math.sqrt(one * other))
            ratios[side].append(math.log(one / other))
    differ = [100 * abs(ratio) for ratio in ratios["launched"]]
    cost = [launched / plain for launched, plain in zip(times["launched"], times["plain"], strict=True)]
    findings = [
        Finding("difference of two launched processes", "%", differ, high=AGREEMENT_PERCENT),
        Finding("launched ÷ plain step", "×", cost, high=COST),
    ]
    shown = {f"{side} step": (median(values), "ms") for side, values in times.items()}
    for side, values in ratios.items():
        # About 0: the two processes of a pair are alike, so their mean log-ratio is known.
        shown[f"{side}, standard deviation of the log-ratio"] = (100 * statistics.pstdev(values, mu=0), "%")
    return conclude(findings, shown, options.json)


def medians_ms(prefix: list[str], name: str, steps: int, seed: int) -> tuple[float, float]:
    """The median step of each of two fresh processes that take turns, ms."""
    with ExitStack() as stack:
        workers = {which: stack.enter_context(Worker(prefix, name)) for which in "ab"}
        for worker in workers.values():
            worker.step_ms()  # waits until it is warm
        values = interleave({which: worker.step_ms for which, worker in workers.items()}, steps, seed)
    return median(values["a"]), median(values["b"])


class Worker:
    """A process that steps a workload once whenever it is asked."""

    def __init__(self, prefix: list[str], name: str) -> None:
        # The plain side is one without any of the settings that the caller may have made.
        own = re.compile(r"(MALLOC|OMP|GOMP|KMP|TCMALLOC)_\w+|GLIBC_TUNABLES|LD_PRELOAD")
        variables = {key: value for key, value in os.environ.items() if not own.fullmatch(key)}
        command = [*prefix, sys.executable, "-m", "benchmarks.reach.quiet", "--worker", "--workload", name]
        self._process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def step_ms(self) -> float:
        """Time of one step.

        Raises:
            SystemExit: the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("a worker ended: run it by hand with --worker to see why")
        return float(answer)


def serve(name: str) -> int:
    """Time one step for each line of stdin."""
    step = workload(name).build().training_step()
    for _ in range(_WARM_UP):
        step()
    for _ in sys.stdin:
        start = time.perf_counter_ns()
        step()
        print((time.perf_counter_ns() - start) / 1e6, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
