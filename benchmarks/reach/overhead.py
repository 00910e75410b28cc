"""What the passes cost: operators at most 10 % over an uninstrumented step, primitives at most 25 %.

Fresh processes under the quiet settings; in each the three kinds of step alternate in random order, and
every round gives one ratio of each pass to the plain step beside it.

``python -m benchmarks.reach.overhead [--scale S] [--processes N] [--rounds N] [--json]``
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.reach.common import QUIET, Finding, conclude, interleave, run_python
from benchmarks.workloads import NAMES, SCALES, workload
from perfsuite.stats import median

#: Pass → its most expensive allowed step over the plain one.
TARGETS = {"operators": 1.10, "primitives": 1.25}

_WARM_UP_STEPS = 3


def main() -> int:
    options = _parse()
    if options.worker:
        Path(options.worker).write_text(json.dumps(measure(options.workload, options.scale, options.rounds)))
        return 0
    times: dict[str, list[float]] = {name: [] for name in ("timing", *TARGETS)}
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "times.json"
        arguments = [
            f"--workload={options.workload}",
            f"--scale={options.scale}",
            f"--rounds={options.rounds}",
            f"--worker={answer}",
        ]
        for _ in range(options.processes):
            run_python("benchmarks.reach.overhead", *arguments, cwd=Path(scratch), environment=QUIET)
            for name, values in json.loads(answer.read_text()).items():
                times[name].extend(values)
    findings = [
        Finding(f"{name} pass ÷ plain step", "×", _ratios(times[name], times["timing"]), high=target)
        for name, target in TARGETS.items()
    ]
    return conclude(findings, {name: (median(values), "ms") for name, values in times.items()}, options.json)


def measure(name: str, scale: str, rounds: int) -> dict[str, list[float]]:
    """Step times by pass, ms, one of each pass a round.  For a process of its own."""
    import os

    # oneDNN reads it at its first use; the primitive pass joins by these times.
    os.environ["ONEDNN_VERBOSE_TIMESTAMP"] = "1"
    from perfsuite.capture.passes import measure_pass

    step = workload(name, scale=scale).build().training_step()
    for _ in range(_WARM_UP_STEPS):
        step()
    sides = {kind: lambda kind=kind: measure_pass(kind, step) / 1e6 for kind in ("timing", *TARGETS)}
    interleave(sides, rounds=1)  # the profiler sets itself up at its first use
    return interleave(sides, rounds)


def _ratios(instrumented: list[float], plain: list[float]) -> list[float]:
    return [one / other for one, other in zip(instrumented, plain, strict=True)]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", choices=NAMES, default="retinanet")
    parser.add_argument("--scale", choices=SCALES, default="standard")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=6, help="rounds in each process")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", metavar="FILE", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
