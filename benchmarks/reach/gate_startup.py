"""Where the seconds of a gate's pair of processes go: starting, warming up, timing, profiling, ending.

Pairs of the step that ``perfsuite calibrate`` has, both sides equal, one after the other; beside them a plain
``python -m pytest`` that collects the same file and imports torch, which is what any start of a worker costs at least.

``python -m benchmarks.reach.gate_startup [--pairs N] [--json]``; nothing else should run.  ``--write`` also writes the
table to ``docs/images/gate-startup.md``, which the documentation shows.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.reach.common import Finding, conclude
from benchmarks.reach.pages import IMAGES, origin, taken
from perfsuite.environment import libc, usable_cpus
from perfsuite.gate.affinity import on_cpus
from perfsuite.gate.answers import Collected
from perfsuite.gate.model import SIDES
from perfsuite.gate.pair import Pair
from perfsuite.gate.rehearse import STEP, step_folder
from perfsuite.gate.runnables import inherited, plugins_here, runnable
from perfsuite.quiet import Settings, quiet_settings
from perfsuite.stats import median

PAGE = IMAGES / "gate-startup.md"
_TIMEOUT = 300.0
_PLAIN = "a plain start with torch"
#: What both workers together may take until their tests are listed, in starts of a plain pytest with torch: they start
#: at the same time, on as many cores as one of them would use alone for a part of it.
TARGET = 2.0


def main() -> int:
    """Print the median of each part, and the start in plain starts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"write the table to {PAGE.name} in docs/images")
    arguments = parser.parse_args()
    if arguments.pairs < 1:
        parser.error("--pairs: at least one")
    parts: dict[str, list[float]] = {}
    plain: list[float] = []
    settings = quiet_settings(os.environ, usable_cpus(), glibc=libc().startswith("glibc"))
    # As for the pairs of `perfsuite calibrate`: no options of the user's count.
    variables = {name: value for name, value in inherited(os.environ).items() if name != "PYTEST_ADDOPTS"}
    with step_folder() as folder, on_cpus(settings.cpus):
        for number in range(arguments.pairs + 1):
            seconds = a_plain_start(folder, {**variables, **settings.variables})
            took = a_pair(folder, variables, settings, SIDES[number % 2])
            if number:  # the first one fills caches
                plain.append(seconds)
                for name, part in took.items():
                    parts.setdefault(name, []).append(part)
    ratios = [start / one for start, one in zip(parts["start and import"], plain, strict=True)]
    finding = Finding("both workers start in, of a plain start with torch", "x", ratios, high=TARGET)
    figures = {_PLAIN: median(plain), **{name: median(values) for name, values in parts.items()}}
    if arguments.write:
        PAGE.write_text(page(figures, finding, origin()))
    return conclude([finding], {name: (seconds, "s") for name, seconds in figures.items()}, arguments.json)


def page(figures: Mapping[str, float], finding: Finding, run: Mapping[str, Any]) -> str:
    """A Markdown table of the median seconds of each part, and how they were obtained."""
    rows = [f"| {name} | {seconds:.2f} |" for name, seconds in figures.items() if name != _PLAIN]
    plain = f"One plain pytest that imports torch starts in {figures[_PLAIN]:.2f} s"
    if finding.interval is not None:
        low, high = finding.interval
        plain += f"; both workers together in {median(finding.samples):.2f} ({low:.2f}–{high:.2f}) of that"
    how = taken("pairs", [run] * len(finding.samples), [f"torch {version('torch')}"])
    return "\n".join(["| Part of a pair | Seconds, median |", "|---|---|", *rows, "", f"{plain}. {how}", ""])


def a_plain_start(folder: Path, variables: dict[str, str]) -> float:
    """Seconds of a pytest that collects the step's file and imports torch."""
    code = "import pytest, sys, torch; sys.exit(pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider']))"
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def a_pair(folder: Path, variables: dict[str, str], settings: Settings, first: str) -> dict[str, float]:
    """Seconds of each part of one pair, in the order of time."""
    sides = {side: runnable(side, sys.executable, folder, variables, settings, plugins_here()) for side in SIDES}
    took: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        began = time.monotonic()
        result = call()
        took[name] = took.get(name, 0.0) + time.monotonic() - began
        return result

    start = "start and import"
    pair = timed(start, lambda: Pair(sides, {side: [STEP] for side in SIDES}, first, _TIMEOUT, random.Random()))
    try:
        found = timed(start, lambda: pair.collect(dict.fromkeys(SIDES, ()), ()))
        nodeids = {}
        for side, one in found.items():
            assert isinstance(one, Collected), one
            nodeids[side] = [listed.nodeid for listed in one.benchmarks.values()]
        pair.run(nodeids)
        ready = timed("build and warm up", pair.begin)
        timed("take turns", lambda: pair.time(ready))
        timed("profile (in the first pairs)", lambda: pair.profile(ready))
        timed("end", pair.finish)
        timed("end", pair.part)
    finally:
        timed("end", pair.close)
    return took


if __name__ == "__main__":
    sys.exit(main())
