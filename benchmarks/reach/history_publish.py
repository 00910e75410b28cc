"""``asv publish`` with perfsuite's pages takes less than 10 s for 100 commits × 50 lines.

The history is made up by a seed: every commit measured in three processes, whose runs were all recorded, two operators
that became slower and a kernel upgrade.  The command is timed as a process.  One publication also makes the reports
of runs and compares as many neighbouring commits as one may; another one finds all of that.  Both are told, and the
target is for both.

``python -m benchmarks.reach.history_publish [--commits N] [--rounds N] [--keep DIR] [--json]``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.reach.common import Finding, conclude
from benchmarks.reach.made_history import BACKWARD, CONVOLUTION, MadeHistory, Plant, make_history
from perfsuite.history.explain import Explainer
from perfsuite.history.kept import FOLDER
from perfsuite.history.neighbours import FOLDER as PAIRS
from perfsuite.history.neighbours import NEW, KeptPairs, neighbours
from perfsuite.history.shelf import Shelf
from perfsuite.stats import median

SECONDS = 10.0
_ROOT = Path(__file__).resolve().parents[2]
_WORKLOADS = ("retinanet", "resnet18", "lstm", "transformer")


def main() -> int:
    options = _parse()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "history"
        made = make_history(
            folder,
            options.commits,
            plants=(
                Plant(options.commits * 2 // 5),
                Plant(options.commits * 7 // 10, "retinanet", CONVOLUTION, "RetinaNet.layer2", 1.6),
                Plant(options.commits // 5, "transformer", BACKWARD, "Net.layer1", 1.8, options.commits // 2),
            ),
            workloads=_WORKLOADS,
            rows=120,
            kernel_at=options.commits // 2,
            release_every=10,
        )
        neighbours(made.commits, Explainer(Shelf(made.runs_dir)), KeptPairs(made.runs_dir), most=options.commits)
        first, later = [], []
        for _ in range(options.rounds + 1):
            for page in (made.runs_dir / FOLDER).glob("*"):
                page.unlink()
            # Of commits anywhere in the history, so that of no two pairs the same runs are read.
            for pair in sorted((made.runs_dir / PAIRS).iterdir())[:NEW]:
                pair.unlink()
            first.append(_publish(made))
            later.append(_publish(made))
    # The first of all reads modules and fonts that nobody read since the machine started.
    findings = [
        Finding("asv publish, no report made and no new commit compared yet", "s", first[1:], high=SECONDS),
        Finding("asv publish, with the reports and comparisons of before", "s", later[1:], high=SECONDS),
    ]
    return conclude(findings, {one.what: (median(one.samples), one.unit) for one in findings}, options.json)


def _publish(made: MadeHistory) -> float:
    command = [sys.executable, "-m", "asv", "publish", "--no-pull", "--config", str(made.config)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    spent = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return spent


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument(
        "--keep", type=Path, help="folder that the history is made in, and left (default: a scratch one)"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
