"""The loop of a gate: pairs of workers until every benchmark has a verdict, or its budget is spent."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.errors import UsageError
from perfsuite.gate.affinity import on_cpus
from perfsuite.gate.census import CensusRules
from perfsuite.gate.draft import Draft
from perfsuite.gate.model import BenchmarkResult, Policy
from perfsuite.gate.pair import SIDES, Collected, Listed, Pair, SuspendedError
from perfsuite.gate.worker import EndedError, Runnable, WorkerFault
from perfsuite.records import Environment

#: Pairs in a row that do not even start before the gate gives up.
_FALSE_STARTS = 2


@dataclass(frozen=True)
class Request:
    """What a gate is to compare, and how.  Mappings are by side."""

    runnables: Mapping[str, Runnable]
    #: The root of each side's tree.
    roots: Mapping[str, str]
    #: Node ids, none for all; the same for both sides, relative to the folder pytest runs in.
    wanted: Sequence[str]
    policy_of: Callable[[Listed], Policy]
    rules: CensusRules
    timeout: float = 300.0
    #: The CPUs that workers may use; None for those of this process.
    cpus: Sequence[int] | None = None
    #: No timing: the census alone.
    census_only: bool = False
    seed: int | None = None


@dataclass
class Outcome:
    """What came of it so far."""

    benchmarks: tuple[BenchmarkResult, ...] = ()
    unfinished: tuple[str, ...] = ()
    environments: Mapping[str, Environment] = field(default_factory=dict)
    #: By side, real path → SHA-256.
    loaded: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {side: {} for side in SIDES})
    interrupted: bool = False


def run(request: Request, progress: Callable[[str], object] = lambda text: None) -> Outcome:
    """Compare; on Ctrl-C what is decided is kept and the rest is unfinished.

    Raises:
        UsageError: neither side has any benchmark, or can even start.
    """
    gate = _Gate(request, progress)
    with on_cpus(request.cpus):
        try:
            gate.loop()
        except KeyboardInterrupt:
            gate.outcome.interrupted = True
    outcome = gate.outcome
    done = [draft for draft in gate.drafts if not (outcome.interrupted and draft.open)]
    outcome.benchmarks = tuple(draft.result(request.rules) for draft in done)
    outcome.unfinished = tuple(draft.name for draft in gate.drafts if draft not in done)
    return outcome


class _Gate:
    def __init__(self, request: Request, progress: Callable[[str], object]) -> None:
        self.request = request
        self.progress = progress
        self.outcome = Outcome()
        self.drafts: list[Draft] = []
        self._chance = random.Random(request.seed)
        self._block: list[str] = []
        self._false_starts = 0
        self._listed = False

    def loop(self) -> None:
        while not self._listed or any(draft.open for draft in self.drafts):
            began = time.monotonic()
            todo = [draft for draft in self.drafts if draft.open]
            measured: dict[str, float] = {}
            with Pair(self._runnables, self._paths(todo), self._first(), self.request.timeout, self._chance) as pair:
                self._visit(pair, todo, measured)
            todo = todo or self.drafts
            self._share(todo, time.monotonic() - began, measured)

    @property
    def _runnables(self) -> Mapping[str, Runnable]:
        return self.request.runnables

    def _first(self) -> str:
        """Which side starts: in blocks of two, each block in random order."""
        if not self._block:
            self._block = self._chance.choice((["base", "head"], ["head", "base"]))
        return self._block.pop()

    def _paths(self, todo: Sequence[Draft]) -> Mapping[str, Sequence[str]]:
        """What pytest is given: files of what is still to be run; before that is known, what was asked for."""
        if todo:
            return {side: list(dict.fromkeys(d.nodeids[side].partition("::")[0] for d in todo)) for side in SIDES}
        asked = list(dict.fromkeys(one.partition("::")[0] for one in self.request.wanted))
        return {side: [one for one in asked if (self._runnables[side].cwd / one).exists()] for side in SIDES}

    def _share(self, todo: Sequence[Draft], seconds: float, measured: Mapping[str, float]) -> None:
        """Give every benchmark what it took and its part of the rest; close those that cannot afford another pair."""
        if not todo:
            return
        rest = max(0.0, seconds - sum(measured.values())) / len(todo)
        for draft in todo:
            draft.spend(measured.get(draft.name, 0.0) + rest)

    # --- one pair ----------------------------------------------------------------------------------

    def _visit(self, pair: Pair, todo: Sequence[Draft], measured: dict[str, float]) -> None:
        wanted = {side: [draft.nodeids[side] for draft in todo] or list(self.request.wanted) for side in SIDES}
        found = pair.collect(wanted, self.request.roots.values())
        if not self._started(found):
            return
        if not self._listed:
            self._list(found)
            todo = [draft for draft in self.drafts if draft.open]
        current: Draft | None = None
        try:
            pair.run({side: [draft.nodeids[side] for draft in todo] for side in SIDES})
            for current in todo:
                began = time.monotonic()
                self._measure(pair, current)
                measured[current.name] = time.monotonic() - began
            current = None
            pair.part()
        except WorkerFault as fault:
            # After the last benchmark there is nothing left to lose.
            if current is not None:
                current.failed(str(fault))

    def _started(self, found: Mapping[str, Collected | WorkerFault]) -> bool:
        """Whether both sides could list what they have.

        Raises:
            UsageError: neither could.
        """
        faults = [one for one in found.values() if isinstance(one, WorkerFault)]
        if not faults:
            self._false_starts = 0
            return True
        reason = "; ".join(map(str, faults))
        self._false_starts += 1
        if self._false_starts < _FALSE_STARTS:
            return False
        if not self._listed:
            others = [one for one in found.values() if isinstance(one, Collected)]
            if not others:
                raise UsageError(reason)
            self._listed = True
            for listed in others[0].benchmarks.values():
                self.drafts.append(self._draft(listed, dict.fromkeys(SIDES, listed.nodeid), 1))
        for draft in self.drafts:
            if draft.open:
                draft.settle("incomparable", reason)
        return False

    def _list(self, found: Mapping[str, Collected | WorkerFault]) -> None:
        """What both have is compared; what only one has is missing, which is said with the reason."""
        base, head = (found[side] for side in SIDES)
        assert isinstance(base, Collected)
        assert isinstance(head, Collected)
        self._listed = True
        names = dict.fromkeys((*base.benchmarks, *head.benchmarks))
        if not names:
            why = "; ".join((*base.errors, *head.errors))
            raise UsageError(
                f"no test that uses the `profiled` fixture was found on either side{f': {why}' if why else ''}"
            )
        family = sum(name in base.benchmarks and name in head.benchmarks for name in names)
        for name in names:
            ours, theirs = base.benchmarks.get(name), head.benchmarks.get(name)
            listed = theirs or ours
            assert listed is not None
            nodeids = {"base": (ours or listed).nodeid, "head": (theirs or listed).nodeid}
            draft = self._draft(listed, nodeids, max(1, family))
            if ours is None or theirs is None:
                draft.settle(
                    "missing", _missing("base" if ours is None else "head", listed, base if ours is None else head)
                )
            self.drafts.append(draft)

    def _draft(self, listed: Listed, nodeids: Mapping[str, str], family: int) -> Draft:
        policy = self.request.policy_of(listed)
        return Draft(listed.name, nodeids, policy, family, timed=not self.request.census_only)

    # --- one benchmark in one pair -----------------------------------------------------------------

    def _measure(self, pair: Pair, draft: Draft) -> None:
        try:
            self._take(pair, draft)
        except EndedError as end:
            _ended(draft, end)
        except SuspendedError as error:
            draft.failed(str(error))
        for late in pair.finish().values():
            if not draft.settled:
                _ended(draft, late)

    def _take(self, pair: Pair, draft: Draft) -> None:
        number = len(draft.pairs) + 1
        self.progress(f"{draft.name} · pair {number} · warm-up")
        ready = pair.begin()
        draft.note(*ready.notes)
        self._keep(ready.loaded)
        foreign = _foreign(ready.loaded, self.request.roots)
        if foreign:
            draft.settle("incomparable", foreign)
            return
        if not self.outcome.environments:
            self.outcome.environments = pair.environments()
        if draft.timed:
            self.progress(f"{draft.name} · pair {number} · timing{_so_far(draft)}")
            trace, noticed = pair.time(ready)
            draft.add(trace)
            draft.note(*noticed)
        if draft.wants_profile():
            self.progress(f"{draft.name} · pair {number} · profile{_so_far(draft)}")
            began = time.monotonic()
            draft.profiles.append(pair.profile(ready))
            draft.profiling += time.monotonic() - began

    def _keep(self, loaded: Mapping[str, Mapping[str, str]]) -> None:
        known = self.outcome.loaded
        self.outcome.loaded = {side: {**known[side], **loaded[side]} for side in SIDES}


def _ended(draft: Draft, end: EndedError) -> None:
    """A test that is skipped is missing; one that fails cannot be compared."""
    reason = f"{end.side}: the test ended without calling `profiled`" if end.outcome == "passed" else str(end)
    draft.settle("missing" if end.outcome == "skipped" else "incomparable", reason)


def _missing(side: str, listed: Listed, lacking: Collected) -> str:
    file = listed.nodeid.partition("::")[0]
    errors = [error for error in lacking.errors if error.startswith(file)]
    if errors:
        return f"{side} cannot import it: {errors[0]}"
    return f"{side} has no benchmark of this name: it is {'new' if side == 'base' else 'gone, renamed or deselected'}"


def _foreign(loaded: Mapping[str, Mapping[str, str]], roots: Mapping[str, str]) -> str | None:
    """Why the sides do not each run their own code; None where they do."""
    real = {side: os.path.realpath(root) for side, root in roots.items()}
    if real["base"] == real["head"]:
        return None
    for side, other in (SIDES, SIDES[::-1]):
        own, theirs = (os.path.join(real[name], "") for name in (side, other))
        for path in loaded[side]:
            owner = max((root for root in (own, theirs) if path.startswith(root)), key=len, default=own)
            if owner == theirs:
                return (
                    f"{side} ran {os.path.relpath(path, theirs)} from {other}'s tree: it is installed from there; give "
                    f"{side} an interpreter of its own in which its code is installed, {side} python:PATH, or import "
                    "it from the folder pytest runs in"
                )
    return None


def _so_far(draft: Draft) -> str:
    judgement = draft.judgement
    if judgement is None or judgement.interval is None:
        return ""
    low, high = judgement.interval
    return f" · so far {100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %"
