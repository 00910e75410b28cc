"""Steps found and false alarms in series of nights, by perfsuite, asv and Otava: a table for the docs.

Made-up series of 60 nights, a thousand of each noise, on the logarithm around 0: ``gauss`` 2 %; ``heavy``, Student's t
with 3 degrees of freedom scaled to a standard deviation of 5 %; ``machines``, 2 % on one of two machines at random each
night, which differ by 7 %; ``correlated``, AR(1) with ρ = 0.7 and a stationary deviation of 2 %; ``season``, a sine of
3 % and a period of 30 nights, whose phase is random, plus 2 %.  Of each series there is one without a step and one that
is 10 % slower from a night on, drawn from the 15th to the 50th (counted from 0).

Each method gets a night after the other, as it would.  A *false alarm* is any slowdown reported in a series without a
step.  A step is *found* if the first slowdown that is reported comes not before it and at most five nights after it
arrived, and is placed within two nights of it; one that is reported earlier is *early*, a false alarm too.

- perfsuite: :func:`perfsuite.changes.find_steps`, which knows which machine a night was on.
- asv: its step detection and its regressions, as ``asv publish`` runs them, threshold 5 %; the machines are two series
  there, each with its own nights.
- Otava: E-divisive with its defaults, in an environment of its own (``build/otava``), of the machines each by itself
  as well; only increases count.

``python -m benchmarks.reach.change_detection [--series N] [--methods M…] [--noises N…] [--write]``
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reach.common import MISSED, REACHED, UNSETTLED
from benchmarks.reach.pages import IMAGES, origin
from perfsuite.gate.calibration import proportion_at_most

NIGHTS, FIRST, LAST = 60, 15, 50
STEP = math.log(1.1)
WITHIN, NEAR = 5, 2
#: The release of Otava that is measured, and where its environment is made.
REQUIREMENT = "apache-otava==0.8.0"
OTAVA = Path(__file__).resolve().parents[2] / "build" / "otava"
PAGE = IMAGES / "change-detection.md"
Array = Any


@dataclass(frozen=True)
class Case:
    """A series, the machine of each night, and where its step is; None without one."""

    logs: Array
    machines: tuple[str, ...]
    step: int | None


def _gauss(random: Any) -> Array:
    return 0.02 * random.standard_normal(NIGHTS)


def _heavy(random: Any) -> Array:
    return 0.05 / math.sqrt(3) * random.standard_t(3, NIGHTS)


def _correlated(random: Any) -> Array:
    values = [0.02 * random.standard_normal()]
    for _ in range(NIGHTS - 1):
        values.append(0.7 * values[-1] + 0.02 * math.sqrt(1 - 0.7**2) * random.standard_normal())
    return np.array(values)


def _season(random: Any) -> Array:
    return _gauss(random) + 0.03 * np.sin(2 * np.pi * (np.arange(NIGHTS) / 30 + random.random()))


#: Noise → how it is drawn, and the share of steps that is to be found.
NOISES: dict[str, tuple[Callable[[Any], Array], float]] = {
    "gauss": (_gauss, 0.90),
    "heavy": (_heavy, 0.75),
    "machines": (_gauss, 0.90),
    "correlated": (_correlated, 0.90),
    "season": (_season, 0.90),
}
FALSE_ALARMS = 0.01
#: None of those with which the constants of perfsuite.changes were chosen (1 and its neighbours).
SEED = 2026


def cases(noise: str, count: int, seed: int) -> tuple[list[Case], list[Case]]:
    """So many series without a step, and as many with one."""
    random = np.random.default_rng([seed, list(NOISES).index(noise)])
    draw = NOISES[noise][0]
    found: tuple[list[Case], list[Case]] = ([], [])
    for stepped in (False, True):
        for _ in range(count):
            logs, machines = draw(random), ("a",) * NIGHTS
            if noise == "machines":
                other = random.random(NIGHTS) < 0.5
                logs = logs + math.log(1.07) * other
                machines = tuple("ab"[int(one)] for one in other)
            step = int(random.integers(FIRST, LAST + 1)) if stepped else None
            if step is not None:
                logs = logs + STEP * (np.arange(NIGHTS) >= step)
            found[stepped].append(Case(logs, machines, step))
    return found


@dataclass(frozen=True)
class Alarm:
    """A slowdown: the night after which it was first reported, the first night it is placed at, and its interval."""

    night: int
    place: int
    #: Of its ratio, by all nights; None where the method has none.
    interval: tuple[float, float] | None = None


# --- the methods -------------------------------------------------------------------------------------


def perfsuite_alarms(many: Sequence[Case]) -> list[Alarm | None]:
    from perfsuite.changes import find_steps

    found = find_steps([np.exp(one.logs).tolist() for one in many], [one.machines for one in many])
    return [
        min(
            (Alarm(step.found, step.at, step.interval) for step in steps if step.ratio > 1),
            key=lambda alarm: (alarm.night, alarm.place),
            default=None,
        )
        for steps in found
    ]


def asv_alarms(many: Sequence[Case]) -> list[Alarm | None]:
    return [_by_machine(one, _asv_one) for one in many]


def otava_alarms(many: Sequence[Case]) -> list[Alarm | None]:
    question = json.dumps([[np.exp(one.logs).tolist(), list(one.machines)] for one in many])
    program = Path(__file__).with_name("otava_peer.py")
    done = subprocess.run([str(_otava()), str(program)], input=question, stdout=subprocess.PIPE, text=True, check=True)
    return [Alarm(*one) if one is not None else None for one in json.loads(done.stdout)]


def _by_machine(case: Case, method: Callable[[Sequence[float]], int | None]) -> Alarm | None:
    """The first alarm, looking after every night at the series of that night's machine."""
    for night in range(2, NIGHTS):
        places = [place for place in range(night + 1) if case.machines[place] == case.machines[night]]
        at = method([float(np.exp(case.logs[place])) for place in places])
        if at is not None:
            return Alarm(night, places[at])
    return None


def _asv_one(values: Sequence[float]) -> int | None:
    from asv.step_detect import detect_regressions, detect_steps

    _, _, regressions = detect_regressions(detect_steps(list(values)), threshold=0.05)
    if not regressions:
        return None
    # The last one is the newest; it has the last commit before it and the first one after it.
    return int(regressions[-1][1])


def _otava() -> Path:
    """An interpreter that has Otava; it is made when there is none.  Two processes may make it at once."""
    python = OTAVA / "bin" / "python"
    OTAVA.parent.mkdir(parents=True, exist_ok=True)
    with open(OTAVA.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = OTAVA / "installed"
        if not done.exists():
            print(f"installing {REQUIREMENT} in {OTAVA}", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(OTAVA)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", REQUIREMENT], check=True)
            done.write_text(f"{REQUIREMENT}\n")
    return python


METHODS = {"perfsuite": perfsuite_alarms, "asv": asv_alarms, "Otava": otava_alarms}


# --- the table ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """What a method does on a noise."""

    series: int
    false_alarms: int
    found: int
    early: int
    #: Of the steps found, how many have an interval that holds the true ratio; None where there are no intervals.
    covered: int | None = None

    @property
    def text(self) -> str:
        low, high = self.interval(self.false_alarms)
        return (
            f"{100 * self.false_alarms / self.series:.1f} % ({100 * low:.1f}–{100 * high:.1f}), "
            f"{100 * self.found / self.series:.1f} %"
        )

    def interval(self, hits: int) -> tuple[float, float]:
        """Two-sided 95 % (Clopper and Pearson)."""
        return (
            1 - proportion_at_most(self.series - hits, self.series, 0.975),
            proportion_at_most(hits, self.series, 0.975),
        )


def cell(method: str, noise: str, count: int, seed: int) -> Cell:
    """Both kinds of series, looked at night by night."""
    without, with_step = cases(noise, count, seed)
    alarms = METHODS[method](without)
    found = early = covered = 0
    for case, alarm in zip(with_step, METHODS[method](with_step), strict=True):
        assert case.step is not None
        if alarm is not None:
            early += alarm.night < case.step
            if case.step <= alarm.night <= case.step + WITHIN and abs(alarm.place - case.step) <= NEAR:
                found += 1
                low, high = alarm.interval or (math.inf, 0.0)
                covered += low <= math.exp(STEP) <= high
    has = method == "perfsuite"
    return Cell(count, sum(one is not None for one in alarms), found, early, covered if has else None)


def _cell(arguments: tuple[str, str, int, int]) -> tuple[str, str, Cell, float]:
    began = time.monotonic()
    method, noise, count, seed = arguments
    return method, noise, cell(method, noise, count, seed), time.monotonic() - began


def _caption(ours: Mapping[str, Cell], arguments: argparse.Namespace) -> str:
    """How often perfsuite's intervals hold the step, and what the table was made with."""
    covered = ", ".join(
        f"{noise} {100 * (one.covered or 0) / one.found:.1f} %" for noise, one in ours.items() if one.found
    )
    told = f"Of the steps that perfsuite found, its 95 % interval holds the true ratio: {covered}. " if covered else ""
    peers = [f"asv {version('asv')}"] * ("asv" in arguments.methods) + [REQUIREMENT] * ("Otava" in arguments.methods)
    commit = (origin()["commit"] or "no commit")[:12]
    return (
        f"{told}{arguments.series} series of each kind, seed {arguments.seed}, {', '.join((*peers, f'at {commit}'))}."
    )


def main() -> int:
    """Print the table; REACHED if perfsuite reaches every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"write the table to {PAGE.name} in docs/images")
    arguments = parser.parse_args()
    jobs = [
        (method, noise, arguments.series, arguments.seed) for method in arguments.methods for noise in arguments.noises
    ]
    cells: dict[tuple[str, str], Cell] = {}
    with Pool(arguments.processes) as pool:
        for method, noise, one, seconds in pool.imap_unordered(_cell, jobs):
            cells[method, noise] = one
            print(
                f"{method}, {noise}: {one.text}, early {one.early}, covered {one.covered}, {seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    lines = [f"| | {' | '.join(arguments.methods)} |", f"|---|{'---|' * len(arguments.methods)}"]
    for noise in arguments.noises:
        lines.append(f"| {noise} | {' | '.join(cells[method, noise].text for method in arguments.methods)} |")
    lines += ["", _caption({noise: cells[one, noise] for one, noise in cells if one == "perfsuite"}, arguments)]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if arguments.write:
        PAGE.write_text(text)
    if "perfsuite" not in arguments.methods or len(arguments.noises) < len(NOISES):
        return UNSETTLED
    ours = {noise: cells["perfsuite", noise] for noise in arguments.noises}
    good = all(
        one.false_alarms / one.series <= FALSE_ALARMS and one.found / one.series >= NOISES[noise][1]
        for noise, one in ours.items()
    )
    return REACHED if good else MISSED


if __name__ == "__main__":
    sys.exit(main())
