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
from perfsuite.gate.answers import Collected, SuspendedError
from perfsuite.gate.leftovers import OwnFolder, sweep
from perfsuite.gate.model import SIDES, PairTrace
from perfsuite.gate.pair import Pair
from perfsuite.gate.runnables import inherited, plugins_here, runnable
from perfsuite.gate.worker import Runnable, WorkerFault
from perfsuite.quiet import Settings, quiet_settings
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
    with _recorder(chance, allocator, threads, profiles=True) as recorder:
        record = recorder.record
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
    assert recorder.besides is not None  # there was a pair
    return Rehearsal(equal, planted, recorder.besides.environment, recorder.besides.profile_seconds)


def plant_sizes(shares: Sequence[float], pairs: int, seed: int | None = None) -> dict[float, int]:
    """How many elements slow the step down by each of ``shares`` here; each measurement takes ``pairs`` pairs.

    Raises:
        CaptureError: the step does not run here, or elements cost nothing that could be measured; WorkerFault: a worker
            failed.
    """
    with _recorder(random.Random(seed), profiles=False) as recorder:
        return _sizes(shares, partial(_cost, recorder.record, pairs, lambda text: None))


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


# --- pairs ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Besides:
    """What a pair says besides its times, if it is profiled."""

    environment: Environment
    #: What a profile of both sides took.
    profile_seconds: float


class _Recorder:
    """Records pairs, one after the other, and profiles the first of them if that is wanted."""

    def __init__(self, folder: Path, settings: Settings, chance: random.Random, *, profiles: bool) -> None:
        self._folder = folder
        self._settings = settings
        self._chance = chance
        self._profiles = profiles
        # No settings of a project apply to the step, so no options of the user's do.
        self._variables = {name: value for name, value in inherited(os.environ).items() if name != "PYTEST_ADDOPTS"}
        self._plugins = plugins_here()
        #: None before the first pair, and where none is profiled.
        self.besides: _Besides | None = None

    def record(self, elements: int, first: str) -> PairTrace:
        """A pair whose head has so many elements planted, and whose worker of this side is started first.

        Raises:
            CaptureError: the step does not run here; WorkerFault, SuspendedError: it came to nothing, twice.
        """
        variables = dict.fromkeys(SIDES, self._variables)
        if elements:
            variables["head"] = {**self._variables, PLANT: str(elements)}
        runnables = {
            side: runnable(side, sys.executable, self._folder, variables[side], self._settings, self._plugins)
            for side in SIDES
        }
        try:
            return self._take(runnables, first)
        except (WorkerFault, SuspendedError):
            # Once: an hour of pairs is not lost for one of them, and what fails again is no accident.
            return self._take(runnables, first)

    def _take(self, runnables: Mapping[str, Runnable], first: str) -> PairTrace:
        profiled = self._profiles and self.besides is None
        trace, besides = _pair(runnables, first, self._chance, profiled=profiled)
        self.besides = self.besides or besides
        return trace


@contextmanager
def _recorder(
    chance: random.Random, allocator: str = "auto", threads: int | None = None, *, profiles: bool
) -> Iterator[_Recorder]:
    settings = quiet_settings(
        os.environ,
        usable_cpus(),
        allocator=allocator,
        threads=threads,
        glibc=libc().startswith("glibc"),
        find_library=find_allocator,
    )
    with step_folder() as folder, on_cpus(settings.cpus):
        yield _Recorder(folder, settings, chance, profiles=profiles)


def _pair(
    runnables: Mapping[str, Runnable], first: str, chance: random.Random, *, profiled: bool
) -> tuple[PairTrace, _Besides | None]:
    began = time.monotonic()
    besides = None
    with Pair(runnables, {side: [STEP] for side in SIDES}, first, _TIMEOUT, chance) as pair:
        found = pair.collect(dict.fromkeys(SIDES, ()), ())
        pair.run({side: _nodeids(found[side]) for side in SIDES})
        ready = pair.begin()
        trace, _ = pair.time(ready)
        if profiled:
            environment, since = pair.environments()["base"], time.monotonic()
            pair.profile(ready)
            besides = _Besides(environment, time.monotonic() - since)
        pair.finish()
        pair.part()
    aside = besides.profile_seconds if besides is not None else 0.0
    return replace(trace, seconds=time.monotonic() - began - aside), besides


def _nodeids(found: Collected | WorkerFault) -> Sequence[str]:
    if isinstance(found, WorkerFault):
        raise found
    if not found.benchmarks:
        why = "; ".join(one.why for one in found.errors) or "not collected"
        raise CaptureError(f"the calibration step cannot be run: {why}")
    return [one.nodeid for one in found.benchmarks.values()]
