"""Process pairs of perfsuite's own step on this host, equal ones and slowed ones, one after the other."""

from __future__ import annotations

import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from perfsuite.capture import calibration
from perfsuite.capture.calibration.step import PLANT
from perfsuite.environment import find_allocator, libc, usable_cpus
from perfsuite.errors import CaptureError
from perfsuite.gate.affinity import on_cpus
from perfsuite.gate.leftovers import OwnFolder, sweep
from perfsuite.gate.model import PairTrace
from perfsuite.gate.pair import SIDES, Collected, Pair, SuspendedError
from perfsuite.gate.runnables import inherited, plugins_here, runnable
from perfsuite.gate.worker import Runnable, WorkerFault
from perfsuite.quiet import quiet_settings
from perfsuite.records import Environment
from perfsuite.stats import median

#: Records a pair whose head has so many elements planted, and whose worker of this side is started first.
_Record = Callable[[int, str], PairTrace]
STEP = "test_calibration_step.py"
_TIMEOUT = 300.0
#: Elements of the two plants that show how many make how much: some 2 and 10 % of the step.
_PROBES = 400_000, 2_400_000
#: Pairs that each of them is measured with.
_PROBE_PAIRS = 4


@contextmanager
def step_folder() -> Iterator[Path]:
    """A folder that holds the step and nothing else; no settings of a project apply there."""
    sweep(Path(tempfile.gettempdir()), None)
    folder = OwnFolder("calibration")
    try:
        shutil.copy(Path(calibration.__file__).with_name(STEP), folder.path)
        yield folder.path
    finally:
        folder.remove()


@dataclass(frozen=True)
class Rehearsal:
    """What was recorded, in the order of time."""

    equal: Sequence[PairTrace]
    #: By the share that was aimed at.
    planted: Mapping[float, Sequence[PairTrace]]
    environment: Environment
    #: What a profile of both sides took, which a gate takes of some pairs; not among the seconds of the traces.
    profile_seconds: float


def rehearse(
    pairs: int,
    planted_pairs: int,
    shares: Sequence[float],
    progress: Callable[[str], object] = lambda text: None,
    seed: int | None = None,
    allocator: str = "auto",
    threads: int | None = None,
) -> Rehearsal:
    """Record ``pairs`` pairs of equal sides and ``planted_pairs`` of each planted slowdown, mixed in time.

    Args:
        pairs: how many.
        planted_pairs: and of each slowdown.
        shares: the slowdowns.
        progress: called with a line that says what runs.
        seed: of every order.
        allocator: of the workers, as :func:`perfsuite.quiet.quiet_settings` has it.
        threads: as there.

    Raises:
        CaptureError: the step does not run here; WorkerFault: a worker failed, twice in a row.
    """
    chance = random.Random(seed)
    first_pair: list[tuple[Environment, float]] = []
    with _recorder(chance, first_pair, allocator, threads) as record:
        elements = _sizes(shares, partial(_cost, record, _PROBE_PAIRS, progress)) if shares and planted_pairs else {}
        equal: list[PairTrace] = []
        planted: dict[float, list[PairTrace]] = {share: [] for share in elements}
        # Mixed, so that a machine that changes with the hour changes for all of them.
        todo = [None] * pairs + [share for share in elements for _ in range(planted_pairs)]
        chance.shuffle(todo)
        for number, share in enumerate(todo, 1):
            progress(f"pair {number} of {len(todo)}")
            kept = equal if share is None else planted[share]
            # Of each kind, as in a gate: who starts first alternates.
            kept.append(record(0 if share is None else elements[share], SIDES[len(kept) % 2]))
    return Rehearsal(equal, planted, *first_pair[0])


def plant_sizes(shares: Sequence[float], pairs: int, seed: int | None = None) -> dict[float, int]:
    """How many elements slow the step down by each of ``shares`` here; each measurement takes ``pairs`` pairs.

    Raises:
        CaptureError: the step does not run here, or elements cost nothing that could be measured; WorkerFault: a worker
            failed.
    """
    with _recorder(random.Random(seed), None) as record:
        return _sizes(shares, partial(_cost, record, pairs, lambda text: None))


def _sizes(shares: Sequence[float], cost: Callable[[int], float]) -> dict[float, int]:
    """By the straight line through two plants that lie well apart.

    The cost is not proportional to the elements: any of them wakes a thread and empties caches.
    """
    few, many = _PROBES
    least, most = cost(few), cost(many)
    if not most > max(least, 0.0):
        raise CaptureError("the planted operator costs nothing that can be measured here: is the machine busy?")
    slope = (most - least) / (many - few)
    return {share: max(1, round(few + (share - least) / slope)) for share in shares}


def _cost(record: _Record, pairs: int, progress: Callable[[str], object], elements: int) -> float:
    progress("finding out what the planted operator costs")
    # The median: a process that is slow for as long as it lives says nothing about the plant.
    return math.expm1(median([record(elements, SIDES[number % 2]).log_ratio for number in range(pairs)]))


@contextmanager
def _recorder(
    chance: random.Random,
    first_pair: list[tuple[Environment, float]] | None,
    allocator: str = "auto",
    threads: int | None = None,
) -> Iterator[_Record]:
    settings = quiet_settings(
        os.environ,
        usable_cpus(),
        allocator=allocator,
        threads=threads,
        glibc=libc().startswith("glibc"),
        find_library=find_allocator,
    )
    # No settings of a project apply to the step, so no options of the user's do.
    variables = {name: value for name, value in inherited(os.environ).items() if name != "PYTEST_ADDOPTS"}
    plugins = plugins_here()
    with step_folder() as folder, on_cpus(settings.cpus):

        def record(elements: int, first: str) -> PairTrace:
            sides = {"base": variables, "head": {**variables, PLANT: str(elements)} if elements else variables}
            runnables = {side: runnable(side, sys.executable, folder, sides[side], settings, plugins) for side in SIDES}
            try:
                return _pair(runnables, first, chance, first_pair)
            except (WorkerFault, SuspendedError):
                # Once: an hour of pairs is not lost for one of them, and what fails again is no accident.
                return _pair(runnables, first, chance, first_pair)

        yield record


def _pair(
    runnables: Mapping[str, Runnable],
    first: str,
    chance: random.Random,
    first_pair: list[tuple[Environment, float]] | None,
) -> PairTrace:
    began = time.monotonic()
    with Pair(runnables, {side: [STEP] for side in SIDES}, first, _TIMEOUT, chance) as pair:
        found = pair.collect(dict.fromkeys(SIDES, ()), ())
        pair.run({side: _nodeids(found[side]) for side in SIDES})
        ready = pair.begin()
        trace, _ = pair.time(ready)
        aside = 0.0
        if first_pair is not None and not first_pair:  # who wants to know is told once
            environment, profiled = pair.environments()["base"], time.monotonic()
            pair.profile(ready)
            aside = time.monotonic() - profiled
            first_pair.append((environment, aside))
        pair.finish()
        pair.part()
    return replace(trace, seconds=time.monotonic() - began - aside)


def _nodeids(found: Collected | WorkerFault) -> Sequence[str]:
    if isinstance(found, WorkerFault):
        raise found
    if not found.benchmarks:
        why = "; ".join(one.why for one in found.errors) or "not collected"
        raise CaptureError(f"the calibration step cannot be run: {why}")
    return [one.nodeid for one in found.benchmarks.values()]
