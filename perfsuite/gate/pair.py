"""A pair of workers, base and head, that take turns."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
#: A process that has grown by this share and this much between its first and its last turn leaks.
_GROWTH_SHARE, _GROWTH_BYTES = 0.1, 64 << 20


@dataclass(frozen=True)
class Listed:
    """A benchmark that a side has."""

    nodeid: str
    name: str
    group: str | None
    #: Per cent, as its marker has it.
    threshold: float | None


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


class SuspendedError(PerfsuiteError):
    """The machine was suspended while a pair was timed."""


class Pair:
    """Two workers, from their start to their end."""

    def __init__(
        self,
        runnables: Mapping[str, Runnable],
        paths: Mapping[str, Sequence[str]],
        first: str,
        timeout: float,
        chance: random.Random,
    ) -> None:
        """Start both, which import at the same time.

        Args:
            runnables: by side.
            paths: what pytest is given on each side.
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
                self._workers[side] = Worker(runnables[side], paths[side])
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
        self, wanted: Mapping[str, Sequence[str]], roots: Iterable[str]
    ) -> Mapping[str, Collected | WorkerFault]:
        """What each side has of the wanted node ids, of which none means all; or why it cannot say."""
        folders = [str(root) for root in roots]
        found: dict[str, Collected | WorkerFault] = {}
        for side, worker in self._workers.items():
            try:
                worker.greet(self._timeout)
                worker.tell("collect", wanted=list(wanted[side]), roots=folders)
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
        return Ready(plan, step, {side: answers[side]["loaded"] for side in SIDES}, notes)

    def time(self, ready: Ready) -> tuple[PairTrace, tuple[str, ...]]:
        """Let the sides take turns, and what was noticed of their memory.

        Raises:
            WorkerFault: a worker failed; SuspendedError: the times mean nothing.
        """
        began, asleep = time.monotonic(), suspended_ns()
        plan = ready.plan
        order = order_turns(plan.turns, self._chance)
        turns: dict[str, list[tuple[float, ...]]] = {side: [] for side in SIDES}
        memory: dict[str, list[int]] = {side: [] for side in SIDES}
        for letter in order:
            side = SIDES["bh".index(letter)]
            answer = self._step(side, ready)
            turns[side].append(tuple(ns / plan.iterations for ns in answer["ns"][plan.dropped :]))
            memory[side].append(answer["rss_bytes"])
        if suspended_ns() - asleep > 1_000_000:
            raise SuspendedError("the machine was suspended while it was timed")
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
            WorkerFault: a worker failed; EndedError: a pass could not measure, which fails the test.
        """
        patience = self._timeout + 100 * ready.step_seconds
        answers = {
            side: self._workers[side].ask("profile", "profile", patience, steps=_PROFILED_STEPS) for side in self.order
        }
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


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _growth(side: str, rss_bytes: Sequence[int]) -> str | None:
    """A sentence where a process grew from turn to turn, without the first half of them, which may still fill up."""
    half = rss_bytes[len(rss_bytes) // 2]
    grown = rss_bytes[-1] - half
    if grown > _GROWTH_BYTES and grown > _GROWTH_SHARE * half:
        return f"{side}'s process grew by {grown / 2**20:.0f} MiB while it was timed: it may leak memory"
    return None
