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
from perfsuite.gate.installed import Changed
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
    #: What to run, as absolute paths within each side's tree, ``::`` and a name after some; none for all.
    wanted: Mapping[str, Sequence[str]]
    policy_of: Callable[[Listed], Policy]
    rules: CensusRules
    timeout: float = 300.0
    #: The CPUs that workers of either side may use; None for those of this process.
    cpus: Sequence[int] | None = None
    #: No timing: the census alone.
    census_only: bool = False
    seed: int | None = None
    #: What differs between the trees.
    changed: Changed = field(default_factory=Changed)


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
        #: By benchmark, what profiles took in the pair that runs.
        self._profiling: dict[str, float] = {}
        self._false_starts = 0
        self._listed = False
        #: By side, node id → where that is, as in :attr:`Request.wanted`.
        self._places: Mapping[str, dict[str, str]] = {side: {} for side in SIDES}

    def loop(self) -> None:
        while not self._listed or any(draft.open for draft in self.drafts):
            began = time.monotonic()
            todo = [draft for draft in self.drafts if draft.open]
            measured: dict[str, float] = {}
            self._profiling = {}
            with Pair(self._runnables, self._paths(todo), self._first(), self.request.timeout, self._chance) as pair:
                self._visit(pair, todo, measured)
            self._share(time.monotonic() - began, measured)

    @property
    def _runnables(self) -> Mapping[str, Runnable]:
        return self.request.runnables

    def _first(self) -> str:
        """Which side starts: in blocks of two, each block in random order."""
        if not self._block:
            self._block = self._chance.choice((["base", "head"], ["head", "base"]))
        return self._block.pop()

    def _wanted(self, todo: Sequence[Draft]) -> Mapping[str, Sequence[str]]:
        """What is still to be run; before that is known, what was asked for."""
        if todo:
            return {side: [self._places[side][draft.nodeids[side]] for draft in todo] for side in SIDES}
        return self.request.wanted

    def _paths(self, todo: Sequence[Draft]) -> Mapping[str, Sequence[str] | None]:
        """What pytest is given: files and folders; None for a side that has none of them."""
        found: dict[str, Sequence[str] | None] = {}
        for side, wanted in self._wanted(todo).items():
            asked = list(dict.fromkeys(one.partition("::")[0] for one in wanted))
            there = [one for one in asked if todo or os.path.exists(one)]
            # Given no path, pytest would collect everything.
            found[side] = None if asked and not there else there
        return found

    def _share(self, seconds: float, measured: Mapping[str, float]) -> None:
        """Give every benchmark that ran what it took and its part of the rest."""
        rest = max(0.0, seconds - sum(measured.values())) / max(1, len(measured))
        for draft in self.drafts:
            if draft.name in measured:
                draft.spend(measured[draft.name] + rest, self._profiling.get(draft.name, 0.0))

    # --- one pair ----------------------------------------------------------------------------------

    def _visit(self, pair: Pair, todo: Sequence[Draft], measured: dict[str, float]) -> None:
        found = pair.collect(self._wanted(todo), self.request.roots.values(), self.request.changed.names)
        if not self._started(found):
            return
        if not self._listed:
            self._list(found)
            todo = [draft for draft in self.drafts if draft.open]
        current: Draft | None = None
        timed = 0
        try:
            pair.run({side: self._nodeids(side, found[side], todo) for side in SIDES})
            for current in todo:
                timed, began = len(current.pairs), time.monotonic()
                try:
                    self._measure(pair, current)
                finally:
                    measured[current.name] = time.monotonic() - began
            current = None
            pair.part()
        except WorkerFault as fault:
            # After the last benchmark there is nothing left to lose.
            if current is not None:
                current.failed(str(fault), timed=len(current.pairs) > timed)

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
            for draft in self.drafts:
                if draft.open:
                    draft.note(f"a pair did not start: {reason}")
            return False
        if not self._listed:
            others = [one for one in found.values() if isinstance(one, Collected)]
            if not others or not others[0].benchmarks:
                raise UsageError(reason)
            self._listed = True
            for listed in others[0].benchmarks.values():
                self.drafts.append(self._draft(listed, dict.fromkeys(SIDES, listed.nodeid), 1))
        for draft in self.drafts:
            if draft.open:
                draft.settle("incomparable", reason)
        return False

    def _nodeids(self, side: str, found: Collected | WorkerFault, todo: Sequence[Draft]) -> Sequence[str]:
        """The benchmarks' names for pytest in this pair: another rootdir, which the paths decide, makes other ones."""
        assert isinstance(found, Collected)
        there = {_place(one): one.nodeid for one in found.benchmarks.values()}
        nodeids = [draft.nodeids[side] for draft in todo]
        return [there.get(self._places[side][nodeid], nodeid) for nodeid in nodeids]

    def _list(self, found: Mapping[str, Collected | WorkerFault]) -> None:
        """What both have is compared; what only one has is missing, which is said with the reason."""
        base, head = (found[side] for side in SIDES)
        assert isinstance(base, Collected)
        assert isinstance(head, Collected)
        self._listed = True
        for side, listed_here in zip(SIDES, (base, head), strict=True):
            self._places[side].update((one.nodeid, _place(one)) for one in listed_here.benchmarks.values())
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
            elif ours.threshold != theirs.threshold:
                was, now = ("none" if one.threshold is None else f"{one.threshold:g} %" for one in (ours, theirs))
                draft.notes.append(f"its marker's threshold is {was} on base and {now} on head; head's counts")
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
            draft.suspended(str(error))
        for late in pair.finish().values():
            if not draft.settled:
                _ended(draft, late)

    def _take(self, pair: Pair, draft: Draft) -> None:
        number = len(draft.pairs) + 1
        self.progress(f"{draft.name} · pair {number} · warm-up")
        ready = pair.begin()
        draft.note(*ready.notes)
        self._keep(ready.loaded)
        foreign = _foreign(ready.loaded, self.request.roots) or self.request.changed.shared(
            ready.elsewhere["base"], ready.elsewhere["head"]
        )
        if foreign:
            draft.settle("incomparable", foreign)
            return
        if not self.outcome.environments:
            self.outcome.environments = pair.environments()
        if draft.timed and not draft.decided:
            self.progress(f"{draft.name} · pair {number} · timing{_so_far(draft)}")
            trace, noticed = pair.time(ready)
            draft.add(trace)
            draft.note(*noticed)
        if draft.wants_profile():
            self.progress(f"{draft.name} · pair {number} · profile{_so_far(draft)}")
            began = time.monotonic()
            try:
                draft.profiles.append(pair.profile(ready))
            finally:
                self._profiling[draft.name] = time.monotonic() - began

    def _keep(self, loaded: Mapping[str, Mapping[str, str]]) -> None:
        known = self.outcome.loaded
        self.outcome.loaded = {side: {**known[side], **loaded[side]} for side in SIDES}


def _ended(draft: Draft, end: EndedError) -> None:
    """A test that is skipped is missing; one that fails cannot be compared."""
    reason = f"{end.side}: the test ended without calling `profiled`" if end.outcome == "passed" else str(end)
    draft.settle("missing" if end.outcome == "skipped" else "incomparable", reason)


def _place(listed: Listed) -> str:
    """Where a benchmark is, whatever pytest calls it."""
    return f"{listed.path}::{listed.nodeid.partition('::')[2]}"


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
