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
from pathlib import Path

from perfsuite.capture import calibration
from perfsuite.capture.calibration.step import PLANT
from perfsuite.environment import libc, usable_cpus
from perfsuite.errors import CaptureError
from perfsuite.gate.affinity import on_cpus
from perfsuite.gate.model import PairTrace
from perfsuite.gate.pair import SIDES, Collected, Pair
from perfsuite.gate.worker import Runnable
from perfsuite.quiet import quiet_settings
from perfsuite.records import Environment

STEP = "test_calibration_step.py"
_TIMEOUT = 300.0
#: Elements of the first plant, which shows how many make how much: some 10 to 20 % of the step, far more than pairs
#: differ by.
_PROBE_ELEMENTS = 3_000_000
_PROBES = 3


@contextmanager
def step_folder() -> Iterator[Path]:
    """A folder that holds the step and nothing else; no settings of a project apply there."""
    with tempfile.TemporaryDirectory(prefix="perfsuite-calibration-") as folder:
        shutil.copy(Path(calibration.__file__).with_name(STEP), folder)
        yield Path(folder)


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
) -> Rehearsal:
    """Record ``pairs`` pairs of equal sides and ``planted_pairs`` of each planted slowdown, mixed in time.

    Raises:
        CaptureError: the step does not run here; WorkerFault: a worker failed.
    """
    chance = random.Random(seed)
    settings = quiet_settings(os.environ, usable_cpus(), glibc=libc().startswith("glibc"))
    variables = {**os.environ, **settings.variables}
    first_pair: list[tuple[Environment, float]] = []
    with step_folder() as folder, on_cpus(settings.cpus):

        def one(elements: int, first: str) -> PairTrace:
            own = {**variables, PLANT: str(elements)} if elements else variables
            sides = {"base": variables, "head": own}
            runnables = {side: Runnable(side, sys.executable, folder, sides[side]) for side in SIDES}
            return _record(runnables, first, chance, first_pair)

        elements = {}
        if shares and planted_pairs:
            progress("finding out what the planted operator costs")
            ratio = math.exp(sum(one(_PROBE_ELEMENTS, SIDES[n % 2]).log_ratio for n in range(_PROBES)) / _PROBES)
            if not ratio > 1:
                raise CaptureError("the planted operator costs nothing that can be measured here: is the machine busy?")
            elements = {share: max(1, round(_PROBE_ELEMENTS * share / (ratio - 1))) for share in shares}
        equal: list[PairTrace] = []
        planted: dict[float, list[PairTrace]] = {share: [] for share in elements}
        # Mixed, so that a machine that changes with the hour changes for all of them.
        todo = [None] * pairs + [share for share in elements for _ in range(planted_pairs)]
        chance.shuffle(todo)
        for number, share in enumerate(todo, 1):
            progress(f"pair {number} of {len(todo)}")
            kept = equal if share is None else planted[share]
            # Of each kind, as in a gate: who starts first alternates.
            kept.append(one(0 if share is None else elements[share], SIDES[len(kept) % 2]))
    return Rehearsal(equal, planted, *first_pair[0])


def _record(
    runnables: Mapping[str, Runnable], first: str, chance: random.Random, first_pair: list[tuple[Environment, float]]
) -> PairTrace:
    began = time.monotonic()
    with Pair(runnables, {side: [STEP] for side in SIDES}, first, _TIMEOUT, chance) as pair:
        found = pair.collect(dict.fromkeys(SIDES, ()), ())
        for side in SIDES:
            listed = found[side]
            if not isinstance(listed, Collected):
                raise listed
            if not listed.benchmarks:
                raise CaptureError(f"the calibration step cannot be run: {'; '.join(listed.errors) or 'not collected'}")
        pair.run({side: [one.nodeid for one in found[side].benchmarks.values()] for side in SIDES})  # type: ignore[union-attr]
        ready = pair.begin()
        trace, _ = pair.time(ready)
        aside = 0.0
        if not first_pair:
            environment, profiled = pair.environments()["base"], time.monotonic()
            pair.profile(ready)
            aside = time.monotonic() - profiled
            first_pair.append((environment, aside))
        pair.finish()
        pair.part()
    return replace(trace, seconds=time.monotonic() - began - aside)
