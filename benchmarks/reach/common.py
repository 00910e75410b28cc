"""Interleaving, the quiet settings, and the answer, for the scripts of this folder."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.quiet import GLIBC, SPIN_BRIEFLY
from perfsuite.stats import median, median_interval

_ROOT = Path(__file__).resolve().parents[2]

#: For processes that step a workload.  The repository is importable.  glibc's malloc keeps what is freed
#: instead of returning it to the kernel, whose page faults are the largest noise of a training step.  Idle
#: OpenMP threads soon sleep instead of spinning beside the timed process.
QUIET = {
    "PYTHONPATH": str(_ROOT),
    **GLIBC,
    **SPIN_BRIEFLY,
}

REACHED, MISSED, UNSETTLED = 0, 1, 3


@dataclass(frozen=True)
class Finding:
    """Samples of one quantity that should lie within [``low``, ``high``]; None leaves that side open.

    What is counted and not sampled, such as the size of a file, is ``exact``: its one value needs no interval.
    """

    what: str
    unit: str
    samples: Sequence[float]
    high: float
    low: float | None = None
    exact: bool = False

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% interval of the median, None with fewer than 6 samples; of an exact value itself, twice."""
        if self.exact:
            (value,) = self.samples
            return value, value
        return median_interval(self.samples)

    @property
    def outcome(self) -> int:
        """REACHED if the whole interval is within the target, MISSED if all of it is outside, else UNSETTLED."""
        if self.interval is None:
            return UNSETTLED
        lower, upper = self.interval
        if upper <= self.high and (self.low is None or lower >= self.low):
            return REACHED
        return MISSED if lower > self.high or (self.low is not None and upper < self.low) else UNSETTLED

    def as_json(self) -> dict[str, Any]:
        """The finding with its evidence."""
        return {
            "what": self.what,
            "unit": self.unit,
            "median": median(self.samples),
            "interval": self.interval,
            "target": [self.low, self.high],
            "outcome": _WORDS[self.outcome],
            "samples": list(self.samples),
            "exact": self.exact,
        }

    def __str__(self) -> str:
        target = f"≤ {self.high:g}" if self.low is None else f"{self.low:g} to {self.high:g}"
        found = f"{self.what}: {median(self.samples):.4g} {self.unit}"
        return f"{found} ({self._certainty}), target {target}: {_WORDS[self.outcome]}"

    @property
    def _certainty(self) -> str:
        if self.exact:
            return "exact"
        interval = "too few samples" if self.interval is None else "{:.4g} to {:.4g}".format(*self.interval)
        return f"95% interval {interval}, {len(self.samples)} samples"


_WORDS = {REACHED: "reached", MISSED: "missed", UNSETTLED: "not settled"}


def interleave(sides: Mapping[str, Callable[[], float]], rounds: int, seed: int = 0) -> dict[str, list[float]]:
    """One value of every side a round, in an order drawn anew each round; side → values by round."""
    order = list(sides)
    shuffle = random.Random(seed).shuffle
    values: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            values[name].append(sides[name]())
    return values


def conclude(findings: Sequence[Finding], medians: Mapping[str, tuple[float, str]], as_json: bool) -> int:
    """Print each side's median (value, unit) and the findings; the exit status is the worst outcome."""
    if as_json:
        sides = {name: {"median": value, "unit": unit} for name, (value, unit) in medians.items()}
        print(json.dumps({"sides": sides, "findings": [finding.as_json() for finding in findings]}))
    else:
        for name, (value, unit) in medians.items():
            print(f"{name}: median {value:.4g} {unit}")
        print(*findings, sep="\n")
    outcomes = {finding.outcome for finding in findings}
    return next((outcome for outcome in (MISSED, UNSETTLED) if outcome in outcomes), REACHED)


def run_python(*arguments: str, cwd: Path, environment: Mapping[str, str] | None = None, expect: int = 0) -> None:
    """Run this interpreter as ``python -m …`` with ``environment`` added; its output is shown if it fails.

    Raises:
        SystemExit: its status is not ``expect``.
    """
    # Options of the calling shell would make both sides something else than what is described.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env={**inherited, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode != expect:
        sys.exit(f"{' '.join(command)}: status {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
