"""The loop of a gate: pairs of workers until every benchmark has a verdict, or its budget is spent."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence

from perfsuite.errors import UsageError
from perfsuite.gate.affinity import on_cpus
from perfsuite.gate.answers import Collected, Ready, SkippedError, SuspendedError, skipped_by_both
from perfsuite.gate.child import interruptible
from perfsuite.gate.draft import Draft
from perfsuite.gate.extensions import release, shared
from perfsuite.gate.listing import check_named, error_at, list_benchmarks
from perfsuite.gate.loaded import foreign
from perfsuite.gate.model import SIDES
from perfsuite.gate.pair import Pair
from perfsuite.gate.progress import Progress, Silence, Told, so_far
from perfsuite.gate.request import Outcome, Request
from perfsuite.gate.worker import EndedError, WorkerFault

#: Pairs in a row that do not even start before the gate gives up what was to run in them.
_FALSE_STARTS = 3


def run(request: Request, progress: Progress | None = None) -> Outcome:
    """Compare; on Ctrl-C what is decided is kept and the rest is unfinished.

    Within :func:`perfsuite.gate.child.interrupts_held` that is all that an interrupt can do: one that comes while the
    outcome is put together waits.

    Raises:
        UsageError: neither side has any benchmark, or can even start; an argument names nothing; both sides skip all.
    """
    gate = _Gate(request, progress or Silence())
    with on_cpus(request.cpus):
        try:
            with interruptible():
                gate.loop()
        except KeyboardInterrupt:
            gate.outcome.interrupted = True
    return gate.concluded()


class _Gate:
    def __init__(self, request: Request, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self._told = Told(progress)
        self.outcome = Outcome()
        self.drafts: list[Draft] = []
        self._chance = random.Random(request.seed)
        self._block: list[str] = []
        #: By benchmark, what profiles took in the pair that runs.
        self._profiling: dict[str, float] = {}
        self._false_starts = 0
        self._listed = False

    def loop(self) -> None:
        """Run pairs until no benchmark needs another one."""
        while not self._listed or self._todo():
            began = time.monotonic()
            todo = self._todo()
            measured: dict[str, float] = {}
            self._profiling = {}
            runnables, timeout = self.request.runnables, self.request.timeout
            release(self.request.extensions)
            try:
                with Pair(runnables, self._paths(todo), self._first(), timeout, self._chance) as pair:
                    self._visit(pair, todo, measured)
            except WorkerFault as fault:  # a process could not even be started
                self._not_started(str(fault), {})
            self._share(time.monotonic() - began, measured)
            self._told.decided(self.drafts)

    def concluded(self) -> Outcome:
        """What the drafts come to; those that an interruption left without a verdict are unfinished."""
        outcome = self.outcome
        if not self.drafts and not outcome.interrupted:
            raise UsageError(f"there is nothing to compare: {'; '.join(outcome.notes)}")
        done = [draft.finished or not outcome.interrupted for draft in self.drafts]
        drafts = list(zip(self.drafts, done, strict=True))
        outcome.benchmarks = tuple(draft.result(self.request.rules) for draft, is_done in drafts if is_done)
        outcome.unfinished = tuple(draft.name for draft, is_done in drafts if not is_done)
        return outcome

    def _todo(self) -> list[Draft]:
        return [draft for draft in self.drafts if draft.open]

    def _first(self) -> str:
        """Which side starts: in blocks of two, each block in random order."""
        if not self._block:
            self._block = self._chance.choice((["base", "head"], ["head", "base"]))
        return self._block.pop()

    def _wanted(self, todo: Sequence[Draft]) -> Mapping[str, Sequence[str]]:
        """What is still to be run; before that is known, what was asked for."""
        if todo:
            return {side: [draft.places[side] for draft in todo] for side in SIDES}
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
        answers = pair.collect(self._wanted(todo), self.request.roots.values(), self.request.changed.names)
        faults = [one for one in answers.values() if isinstance(one, WorkerFault)]
        found = {side: one for side, one in answers.items() if isinstance(one, Collected)}
        if faults:
            self._not_started("; ".join(map(str, faults)), found)
            return
        if not self._listed:
            self._list(found)
            todo = self._todo()
        todo, nodeids = self._there(todo, found, measured)
        try:
            pair.run(nodeids)
        except WorkerFault as fault:
            self._not_started(str(fault), found)
            return
        self._false_starts = 0
        self._measure_all(pair, todo, measured)

    def _list(self, found: Mapping[str, Collected]) -> None:
        request = self.request
        check_named(found, request.wanted, request.roots["head"])
        timed, census = not request.census_only, request.rules is not None
        self.drafts, notes = list_benchmarks(found, request.policy_of, timed=timed, census=census)
        self.outcome.notes += notes
        self._listed = True

    def _not_started(self, reason: str, found: Mapping[str, Collected]) -> None:
        """A side could not list what it has, or was gone before it could run it.

        Raises:
            UsageError: none ever could.
        """
        self._false_starts += 1
        if self._false_starts < _FALSE_STARTS:
            for draft in self._todo():
                draft.note(f"a pair did not start: {reason}")
            return
        reason = f"{reason} ({self._false_starts} starts in a row failed)"
        if not self._listed:
            only = next((one for one in found.values() if one.benchmarks), None)
            if only is None:
                raise UsageError(reason)
            self._listed = True
            timed = not self.request.census_only
            for listed in only.benchmarks.values():
                self.drafts.append(Draft(listed.name, {}, self.request.policy_of(listed), 1, timed))
        for draft in self._todo():
            draft.settle("incomparable", reason)

    def _there(
        self, todo: Sequence[Draft], found: Mapping[str, Collected], measured: dict[str, float]
    ) -> tuple[Sequence[Draft], Mapping[str, Sequence[str]]]:
        """What both sides still have, and what pytest calls it in this pair: another rootdir makes other names.

        What a side has lost is left out on both, or the one after it would be timed against it.
        """
        nodeids = {side: {one.place: one.nodeid for one in found[side].benchmarks.values()} for side in SIDES}
        there = []
        for draft in todo:
            lost = next((side for side in SIDES if draft.places[side] not in nodeids[side]), None)
            if lost is None:
                there.append(draft)
                continue
            error = error_at(found[lost], draft.places[lost].partition("::")[0])
            why = f"cannot import it any more: {error.why}" if error is not None else "does not have it any more"
            draft.failed(f"{lost} {why}")
            measured[draft.name] = 0.0
        return there, {side: [nodeids[side][draft.places[side]] for draft in there] for side in SIDES}

    def _measure_all(self, pair: Pair, todo: Sequence[Draft], measured: dict[str, float]) -> None:
        for draft in todo:
            timed, began = len(draft.pairs), time.monotonic()
            try:
                self._measure(pair, draft)
                draft.succeeded()
            except WorkerFault as fault:
                draft.failed(str(fault), timed=len(draft.pairs) > timed)
                return
            finally:
                measured[draft.name] = time.monotonic() - began
        try:
            pair.part()
        except WorkerFault:
            return  # after the last benchmark there is nothing left to lose

    # --- one benchmark in one pair -----------------------------------------------------------------

    def _measure(self, pair: Pair, draft: Draft) -> None:
        before = len(draft.pairs)
        draft.profiling = False
        self._told.begins(draft)
        try:
            self._take(pair, draft)
        except SkippedError as skipped:
            self._skip(draft, skipped)
        except EndedError as end:
            _ended(draft, end)
        except SuspendedError as error:
            draft.suspended(str(error), timed=len(draft.pairs) > before)
        late = pair.finish()
        if len(late) == len(SIDES) and all(one.outcome == "skipped" for one in late.values()):
            self._skip(draft, skipped_by_both(late.values()))
            return
        for one in late.values():
            if not draft.settled:
                _ended(draft, one)

    def _take(self, pair: Pair, draft: Draft) -> None:
        number = len(draft.pairs) + 1
        self.progress(f"{draft.name} · pair {number} · warm-up")
        ready = pair.begin()
        draft.note(*ready.notes)
        not_its_own = self._not_its_own(ready)
        if not_its_own:
            draft.settle("incomparable", not_its_own)
            return
        if not self.outcome.environments:
            self.outcome.environments = pair.environments()
        if draft.wants_times:
            self.progress(f"{draft.name} · pair {number} · timing{so_far(draft)}")
            trace, noticed = pair.time(ready)
            draft.add(trace)
            draft.note(*noticed)
        if draft.wants_profile():
            self.progress(f"{draft.name} · pair {number} · profile{so_far(draft)}")
            began = time.monotonic()
            draft.profiling = True
            try:
                draft.profiled(pair.profile(ready))
            finally:
                self._profiling[draft.name] = time.monotonic() - began

    def _not_its_own(self, ready: Ready) -> str | None:
        """Why the sides do not each run their own code, the same as before; None if they do, as far as this shows."""
        request = self.request
        cannot, note = shared(ready.extensions, request.roots)
        if note is not None:
            self.outcome.note(note)
        return (
            self.outcome.changed_since(ready.loaded, request.roots)
            or foreign(ready.loaded, request.roots)
            or request.changed.shared(ready.elsewhere["base"], ready.elsewhere["head"])
            or cannot
        )

    def _skip(self, draft: Draft, why: SkippedError) -> None:
        """A benchmark that neither side runs is none: as long as that is so, nothing about it can change."""
        if draft.settled:
            return
        if draft.decided:
            draft.settle("missing", f"both sides skip it: {why}")
            return
        self.drafts.remove(draft)
        self.outcome.notes.append(f"{draft.name} is skipped on both sides: {why}")
        for other in self.drafts:
            # Fewer share the probability of an error; that says nothing of times, so it may be found out at any time.
            other.family = max(1, other.family - 1)


def _ended(draft: Draft, end: EndedError) -> None:
    """A test that is skipped is missing; one that fails cannot be compared, except by times that were taken before."""
    if draft.profiling and draft.timed:
        draft.unprofiled(str(end))
        return
    reason = f"{end.side}: the test ended without calling `profiled`" if end.outcome == "passed" else str(end)
    draft.settle("missing" if end.outcome == "skipped" else "incomparable", reason)
