"""``perfsuite diff`` and ``perfsuite advise`` of two recorded RetinaNet runs take less than 2 s each.

Records the runs, unless they are given, and times the commands as processes, in random order.

``python -m benchmarks.reach.diff_speed [--runs DIR] [--scale S] [--rounds N] [--json]``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.reach.common import QUIET, Finding, conclude, interleave, run_python
from benchmarks.workloads import SCALES
from perfsuite.stats import median

TARGET_S = 2.0
_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = [sys.executable, "-c", "from perfsuite.cli import main; main()"]


def main() -> int:
    options = _parse()
    with tempfile.TemporaryDirectory() as scratch:
        runs = options.runs or Path(scratch) / "runs"
        if options.runs is None:
            for _ in range(2):
                record(runs, options.scale)
        times = interleave({name: _timed(name, runs) for name in _commands(runs)}, options.rounds)
    findings = [Finding(f"perfsuite {name}", "s", values, high=TARGET_S) for name, values in times.items()]
    return conclude(findings, {name: (median(values), "s") for name, values in times.items()}, options.json)


def record(runs: Path, scale: str) -> None:
    """Record RetinaNet's step once, in a process of its own."""
    run_python(
        "pytest", "benchmarks/test_training.py", "-q", "-k", "retinanet", f"--workload-scale={scale}",
        "-p", "no:cacheprovider", "--profile-dnn", f"--profile-dnn-dir={runs}", "--benchmark-max-time=0.1",
        cwd=_ROOT,
        environment=QUIET,
    )  # fmt: skip


def _commands(runs: Path) -> dict[str, list[str]]:
    """Name → arguments; ``advise`` is left out where this version does not have it."""
    latest, before, where = "latest", "latest~1", f"--dir={runs}"
    commands = {
        "diff": ["diff", before, latest, where],
        "diff --json": ["diff", before, latest, where, "--json"],
        "advise": ["advise", latest, "--against", before, where],
    }
    known = subprocess.run([*_COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    return {name: arguments for name, arguments in commands.items() if f"  {arguments[0]} " in known}


def _timed(name: str, runs: Path) -> Callable[[], float]:
    arguments = _commands(runs)[name]

    def once() -> float:
        start = time.perf_counter()
        done = subprocess.run([*_COMMAND, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"perfsuite {' '.join(arguments)}: status {done.returncode}\n{done.stderr}")
        return time.perf_counter() - start

    return once


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, help="folder with two RetinaNet runs (default: record them)")
    parser.add_argument("--scale", choices=SCALES, default="standard")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
