"""A pair of workers, base and head, that take turns."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from perfsuite.gate.answers import Collected, Ready, SuspendedError, skipped_by_both
from perfsuite.gate.child import interrupts_held
from perfsuite.gate.growth import growth
from perfsuite.gate.messages import (
    CollectedMessage,
    EnvironmentMessage,
    Listed,
    ProfileMessage,
    ReadyMessage,
    StepsMessage,
    WaitingMessage,
)
from perfsuite.gate.model import SIDES, PairTrace
from perfsuite.gate.turns import order_turns, plan_turns
from perfsuite.gate.worker import GRACE_SECONDS, EndedError, Runnable, Worker, WorkerFault, suspended_ns
from perfsuite.records import Environment, Profile

#: Of a profile: steps in each pass.
_PROFILED_STEPS = 3
#: A step may take this many times what the warm-up made of it before it counts as hung, and at least this long.
_PATIENCE, _LEAST_PATIENCE_SECONDS = 50.0, 60.0
#: What no step can take: some thirty years.
_ENDLESS_NS = 1e18
_COLD = "the test asks for cold steps (warmup_rounds=0), which a gate does not time: it warms up on both sides"


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

        Raises:
            WorkerFault: one cannot be started.
        """
        self.first = first
        self._timeout = timeout
        self._chance = chance
        self._workers: dict[str, Worker] = {}
        #: By side, the node ids that it was told to run and has not come to yet.
        self._todo: Mapping[str, deque[str]] = {side: deque() for side in SIDES}
        try:
            for side in self.order:
                given = paths[side]
                if given is not None:
                    with interrupts_held():  # or there would be a process that nobody knows of
                        self._workers[side] = Worker(runnables[side], given, timeout)
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
        """End both; interrupts wait until that is done."""
        with interrupts_held():
            until = time.monotonic() + GRACE_SECONDS
            for worker in self._workers.values():
                worker.close(max(0.0, until - time.monotonic()))

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
        found: dict[str, Collected | WorkerFault] = {side: Collected({}) for side in SIDES if side not in self._workers}
        for side, worker in self._workers.items():
            try:
                worker.greet(self._timeout)
                worker.tell("collect", wanted=list(wanted[side]), roots=folders, names=interesting)
            except WorkerFault as fault:
                found[side] = fault
        for side, worker in self._workers.items():
            if side not in found:
                try:
                    message = worker.read(CollectedMessage, worker.expect("collected", self._timeout))
                    found[side] = Collected(_by_name(message.benchmarks), message.errors)
                except WorkerFault as fault:
                    found[side] = fault
        return found

    def run(self, nodeids: Mapping[str, Sequence[str]]) -> None:
        """Let each side run these, in this order: those in the same place are one benchmark.

        Raises:
            WorkerFault: a worker is gone.
        """
        for side, worker in self._workers.items():
            worker.tell("run", nodeids=list(nodeids[side]))
            self._todo[side].extend(nodeids[side])

    # --- a benchmark -------------------------------------------------------------------------------

    def begin(self) -> Ready:
        """Build the next benchmark and warm it up, one side after the other.

        Raises:
            WorkerFault: a worker failed, or came to another benchmark; EndedError: the test ended before it was warm;
                SkippedError: it did so on both sides, because both skip it.
        """
        asleep = suspended_ns()
        nodeids = {side: self._come_to(side) for side in self._workers}
        warm = self._warm(nodeids)
        warm_up = [warm[side].warm_up_ns for side in SIDES]
        plan = plan_turns(warm_up, all(warm[side].repeatable for side in SIDES))
        notes = [
            f"{side}'s step had not settled after {len(warm[side].warm_up_ns)} calls of warm-up"
            for side in SIDES
            if not warm[side].settled
        ]
        if any(warm[side].cold for side in SIDES):
            notes.append(_COLD)
        step = max(calls[-1] for calls in warm_up) / 1e9 * plan.iterations
        loaded = {side: warm[side].loaded for side in SIDES}
        elsewhere = {side: warm[side].elsewhere for side in SIDES}
        extensions = {side: warm[side].extensions for side in SIDES}
        return Ready(plan, step, loaded, tuple(notes), asleep, elsewhere, extensions)

    def _come_to(self, side: str) -> str:
        """Which benchmark a side has come to, which must be the one that the other has come to."""
        worker = self._workers[side]
        nodeid = worker.read(WaitingMessage, worker.expect("waiting", self._timeout)).nodeid
        wanted = self._todo[side].popleft() if self._todo[side] else None
        if nodeid != wanted:
            raise WorkerFault(side, f"went on to {nodeid} where {wanted or 'nothing more'} was to follow")
        return nodeid

    def _warm(self, nodeids: Mapping[str, str]) -> Mapping[str, ReadyMessage]:
        warm, skipped = {}, []
        for side in self.order:
            worker = self._workers[side]
            try:
                ready = worker.read(ReadyMessage, worker.ask("begin", "ready", self._timeout))
            except EndedError as end:
                # What one side skips may be skipped by the other as well: then it says nothing about the change.
                if end.outcome != "skipped":
                    raise
                skipped.append(end)
                continue
            if ready.nodeid != nodeids[side]:
                raise WorkerFault(side, f"built {ready.nodeid} where {nodeids[side]} was to be built")
            if not ready.warm_up_ns or not all(map(_is_time, ready.warm_up_ns)):
                raise WorkerFault(side, "warmed up and says nothing, or nonsense, of how long that took")
            warm[side] = ready
        if len(skipped) == len(SIDES):
            raise skipped_by_both(skipped)
        if skipped:
            raise skipped[0]
        return warm

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
            turns[side].append(tuple(ns / plan.iterations for ns in answer.ns[plan.dropped :]))
            memory[side].append(answer.rss_bytes)
        _check_awake(ready)
        trace = PairTrace(tuple(turns["base"]), tuple(turns["head"]), order, self.first, time.monotonic() - began)
        return trace, tuple(filter(None, (growth(side, memory[side]) for side in SIDES)))

    def _step(self, side: str, ready: Ready) -> StepsMessage:
        plan = ready.plan
        count = plan.dropped + plan.steps
        patience = max(_LEAST_PATIENCE_SECONDS, _PATIENCE * count * ready.step_seconds)
        worker = self._workers[side]
        answer = worker.read(
            StepsMessage, worker.ask("step", "steps", patience, count=count, iterations=plan.iterations)
        )
        if len(answer.ns) != count or not all(map(_is_time, answer.ns)):
            raise WorkerFault(side, "answered a turn with something else than its times")
        return answer

    def profile(self, ready: Ready) -> Mapping[str, Profile]:
        """A profile of each side.

        Raises:
            WorkerFault: a worker failed; EndedError: a pass could not measure, which fails the test; SuspendedError:
                its times mean nothing.
        """
        patience = self._timeout + 100 * ready.step_seconds
        found = {}
        for side in self.order:
            worker = self._workers[side]
            answer = worker.ask("profile", "profile", patience, steps=_PROFILED_STEPS)
            found[side] = worker.read(ProfileMessage, answer).profile
        _check_awake(ready)
        return found

    def environments(self) -> Mapping[str, Environment]:
        """What each side runs on.

        Raises:
            WorkerFault: a worker failed.
        """
        found = {}
        for side in SIDES:
            worker = self._workers[side]
            answer = worker.ask("environment", "environment", self._timeout)
            found[side] = worker.read(EnvironmentMessage, answer).environment
        return found

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


def _by_name(listed: Iterable[Listed]) -> Mapping[str, Listed]:
    found: dict[str, Listed] = {}
    for one in listed:
        # Two tests whose markers give them one name: the second is called as pytest calls it, and not left out.
        name = one.nodeid if one.name in found else one.name
        found[name] = replace(one, name=name)
    return found


def _check_awake(ready: Ready) -> None:
    if suspended_ns() - ready.suspended_ns > 1_000_000:
        raise SuspendedError("the machine was suspended meanwhile")


def _is_time(value: float) -> bool:
    return 0 < value < _ENDLESS_NS
