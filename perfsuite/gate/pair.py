"""A pair of workers, base and head, that take turns."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfsuite.codec import from_json
from perfsuite.errors import PerfsuiteError
from perfsuite.gate.model import PairTrace
from perfsuite.gate.turns import Plan, order_turns, plan_turns
from perfsuite.gate.worker import EndedError, Runnable, Worker, WorkerFault, suspended_ns
from perfsuite.records import Environment, Profile

SIDES = ("base", "head")
#: Of a profile: steps in each pass.
_PROFILED_STEPS = 3
#: A step may take this many times what the warm-up made of it before it counts as hung, and at least this long.
_PATIENCE, _LEAST_PATIENCE_SECONDS = 50.0, 60.0
#: A process that grows by this share and this much from its first turns to its last ones may leak.
_GROWTH_SHARE, _GROWTH_BYTES = 0.01, 8 << 20


@dataclass(frozen=True)
class Listed:
    """A benchmark that a side has."""

    nodeid: str
    name: str
    group: str | None
    #: Per cent, as its marker has it.
    threshold: float | None
    #: The absolute path of its file, within the side's tree.
    path: str = ""


@dataclass(frozen=True)
class Collected:
    """What a side has, and why files of it could not be collected."""

    benchmarks: Mapping[str, Listed]
    errors: tuple[str, ...]


@dataclass(frozen=True)
class Ready:
    """Both sides of a benchmark are warm."""

    plan: Plan
    #: Seconds that a step takes.
    step_seconds: float
    #: Real path → SHA-256 of the repository's files that each side has loaded.
    loaded: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...]
    #: How long the machine had been suspended when the warm-up began.
    suspended_ns: int = 0
    #: Of the modules whose names were asked for: name → real path of what each side has loaded outside of both trees.
    elsewhere: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {side: {} for side in SIDES})


class SuspendedError(PerfsuiteError):
    """The machine was suspended while a pair was timed."""


class Pair:
    """Two workers, from their start to their end."""

    def __init__(
        self,
        runnables: Mapping[str, Runnable],
        paths: Mapping[str, Sequence[str] | None],
        first: str,
        timeout: float,
        chance: random.Random,
    ) -> None:
        """Start both, which import at the same time.

        Args:
            runnables: by side.
            paths: what pytest is given on each side; None for a side that has nothing, and is not started.
            first: which side is started, and warms up, first.
            timeout: what the start and what a warm-up may take, in seconds.
            chance: decides the order of turns.
        """
        self.first = first
        self._timeout = timeout
        self._chance = chance
        self._workers: dict[str, Worker] = {}
        try:
            for side in self.order:
                given = paths[side]
                if given is not None:
                    self._workers[side] = Worker(runnables[side], given)
        except BaseException:
            self.close()
            raise

    @property
    def order(self) -> tuple[str, str]:
        """The sides, the one that comes first first."""
        return SIDES if self.first == "base" else (SIDES[1], SIDES[0])

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End both."""
        for worker in self._workers.values():
            worker.close()

    # --- what there is -----------------------------------------------------------------------------

    def collect(
        self, wanted: Mapping[str, Sequence[str]], roots: Iterable[str], names: Iterable[str] = ()
    ) -> Mapping[str, Collected | WorkerFault]:
        """What each side has of what is wanted, or why it cannot say.

        Args:
            wanted: by side, ``/path``, ``/path::class`` or ``/path::test``; none means all.
            roots: the folders whose modules are of interest.
            names: modules that are, too, should they come from elsewhere.
        """
        folders = [str(root) for root in roots]
        interesting = list(names)
        found: dict[str, Collected | WorkerFault] = {
            side: Collected({}, ()) for side in SIDES if side not in self._workers
        }
        for side, worker in self._workers.items():
            try:
                worker.greet(self._timeout)
                worker.tell("collect", wanted=list(wanted[side]), roots=folders, names=interesting)
            except WorkerFault as fault:
                found[side] = fault
        for side, worker in self._workers.items():
            if side not in found:
                try:
                    found[side] = _collected(worker.expect("collected", self._timeout))
                except WorkerFault as fault:
                    found[side] = fault
        return found

    def run(self, nodeids: Mapping[str, Sequence[str]]) -> None:
        """Let each side run these, in this order.

        Raises:
            WorkerFault: a worker is gone.
        """
        for side, worker in self._workers.items():
            worker.tell("run", nodeids=list(nodeids[side]))

    # --- a benchmark -------------------------------------------------------------------------------

    def begin(self) -> Ready:
        """Build the next benchmark and warm it up, one side after the other.

        Raises:
            WorkerFault: a worker failed; EndedError: the test ended before it was warm.
        """
        asleep = suspended_ns()
        for worker in self._workers.values():
            worker.expect("waiting", self._timeout)
        answers = {side: self._workers[side].ask("begin", "ready", self._timeout) for side in self.order}
        warm_up = [answers[side]["warm_up_ns"] for side in SIDES]
        plan = plan_turns(warm_up, all(answers[side]["repeatable"] for side in SIDES))
        notes = tuple(
            f"{side}'s step had not settled after {len(answers[side]['warm_up_ns'])} calls of warm-up"
            for side in SIDES
            if not answers[side]["settled"]
        )
        step = max(calls[-1] for calls in warm_up) / 1e9 * plan.iterations
        loaded, elsewhere = ({side: answers[side][what] for side in SIDES} for what in ("loaded", "elsewhere"))
        return Ready(plan, step, loaded, notes, asleep, elsewhere)

    def time(self, ready: Ready) -> tuple[PairTrace, tuple[str, ...]]:
        """Let the sides take turns, and what was noticed of their memory.

        Raises:
            WorkerFault: a worker failed; SuspendedError: the times mean nothing.
        """
        began = time.monotonic()
        plan = ready.plan
        order = order_turns(plan.turns, self._chance)
        turns: dict[str, list[tuple[float, ...]]] = {side: [] for side in SIDES}
        memory: dict[str, list[int]] = {side: [] for side in SIDES}
        for letter in order:
            side = SIDES["bh".index(letter)]
            answer = self._step(side, ready)
            turns[side].append(tuple(ns / plan.iterations for ns in answer["ns"][plan.dropped :]))
            memory[side].append(answer["rss_bytes"])
        _check_awake(ready)
        trace = PairTrace(tuple(turns["base"]), tuple(turns["head"]), order, self.first, time.monotonic() - began)
        return trace, tuple(filter(None, (_growth(side, memory[side]) for side in SIDES)))

    def _step(self, side: str, ready: Ready) -> Mapping[str, Any]:
        plan = ready.plan
        count = plan.dropped + plan.steps
        patience = max(_LEAST_PATIENCE_SECONDS, _PATIENCE * count * ready.step_seconds)
        worker = self._workers[side]
        answer = worker.ask("step", "steps", patience, count=count, iterations=plan.iterations)
        times = answer.get("ns")
        if not isinstance(times, list) or len(times) != count or not all(_is_time(ns) for ns in times):
            raise WorkerFault(side, "answered a turn with something else than its times")
        return answer

    def profile(self, ready: Ready) -> Mapping[str, Profile]:
        """A profile of each side.

        Raises:
            WorkerFault: a worker failed; EndedError: a pass could not measure, which fails the test; SuspendedError:
                its times mean nothing.
        """
        patience = self._timeout + 100 * ready.step_seconds
        answers = {
            side: self._workers[side].ask("profile", "profile", patience, steps=_PROFILED_STEPS) for side in self.order
        }
        _check_awake(ready)
        return {side: from_json(Profile, answers[side]["profile"]) for side in SIDES}

    def environments(self) -> Mapping[str, Environment]:
        """What each side runs on.

        Raises:
            WorkerFault: a worker failed.
        """
        return {
            side: from_json(
                Environment, self._workers[side].ask("environment", "environment", self._timeout)["environment"]
            )
            for side in SIDES
        }

    def finish(self) -> Mapping[str, EndedError]:
        """End the benchmark wherever it stands on either side; what did not pass after all, by side.

        Raises:
            WorkerFault: a worker failed.
        """
        busy = [worker for worker in self._workers.values() if worker.begun is not None]
        ends = {}
        for worker in busy:
            begun = worker.begun
            worker.tell("finish" if begun else "skip")
            end = worker.expect_end(self._timeout)
            if begun and end.outcome != "passed":
                ends[worker.side] = end
        return ends

    def part(self) -> None:
        """Wait until both have nothing more to run.

        Raises:
            WorkerFault: a worker failed.
        """
        for worker in self._workers.values():
            worker.expect("bye", self._timeout)


def _collected(message: Mapping[str, Any]) -> Collected:
    listed = [Listed(**one) for one in message["benchmarks"]]
    return Collected({one.name: one for one in listed}, tuple(message["errors"]))


def _check_awake(ready: Ready) -> None:
    if suspended_ns() - ready.suspended_ns > 1_000_000:
        raise SuspendedError("the machine was suspended meanwhile")


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _growth(side: str, rss_bytes: Sequence[int]) -> str | None:
    """A sentence where every one of the last turns found the process larger than any of the first ones did."""
    third = len(rss_bytes) // 3
    if not third:
        return None
    before, after = max(rss_bytes[:third]), min(rss_bytes[-third:])
    if after - before > max(_GROWTH_BYTES, _GROWTH_SHARE * before):
        grown = (rss_bytes[-1] - rss_bytes[0]) / 2**20
        return f"{side}'s process grew by {grown:.0f} MiB while it was timed: it may leak memory"
    return None
