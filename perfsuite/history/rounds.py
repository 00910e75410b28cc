"""Measuring commits in rounds, any of which may be the last thing that happens.

Each round is one call of asv, which measures every commit once and adds the samples to those of the rounds before: so
commits take turns, as they do with ``asv run --interleave-rounds``, and between two rounds it is known what each commit
has.  With one call for all rounds that would have to be guessed from asv's log, and a commit that cannot be installed
would be tried again in each of them.

A commit that a night left with fewer rounds than asked for gets those that it lacks, and what it has stays: its samples
are as good as others', a process that ran on another day is one more process, and to measure it anew would throw away
hours of a machine for nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from perfsuite.errors import StoreError
from perfsuite.gate.child import interrupts_held
from perfsuite.history.asv_files import (
    DamagedError,
    HistoryError,
    contents,
    failed,
    has_values,
    keep_values,
    machine_of,
    parse,
    read,
    result_files,
)
from perfsuite.history.asv_process import End
from perfsuite.history.model import Commit, Skipped
from perfsuite.history.state import State
from perfsuite.store.files import reason, write_atomically

#: ``asv run`` ends so where every benchmark ran, and where some failed.
_RAN = (0, 2)


class Runner(Protocol):
    """asv, see :class:`perfsuite.history.asv_process.Asv`."""

    def measure(self, commits: Sequence[Commit], show: Callable[[str], object]) -> End:
        """One round."""

    def discover(self, commit: Commit) -> End:
        """The table of benchmarks."""

    def publish(self, html_dir: Path) -> None:
        """The site."""

    def why(self, commit: Commit) -> str | None:
        """What the log says of why nothing of a commit could be measured."""


@dataclass
class Outcome:
    """What came of some rounds."""

    measured: list[Commit] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Rounds:
    """The rounds of one machine."""

    def __init__(self, state: State, results: Path, failures: Path, wanted: int) -> None:
        """``results`` is the machine's folder, ``failures`` where the environment writes why it could not be made."""
        self.state = state
        self.results = results
        self.failures = failures
        self.wanted = wanted
        #: What the reader must know, a line each.
        self.notes: list[str] = []

    def recover(self) -> None:
        """Take over what a night that was killed has left: the round it was in, and files that are cut off."""
        unfinished = self.state.round()
        if unfinished is not None:
            for commit, done in unfinished.before.items():
                self._settle(commit, done)
            self.state.end_round()
        for path in result_files(self.results):
            try:
                parse(read(path))
            except DamagedError as error:
                self._put_aside(path, error)
        # Of a file that is gone the rounds are, too.
        here = self._with_values()
        rounds = self.state.rounds()
        if not rounds.keys() <= here:
            self.state.set_rounds({commit: done for commit, done in rounds.items() if commit in here})

    def measured(self) -> set[str]:
        """Commits that have all their rounds, or were measured by somebody else; their hashes."""
        return self._with_values() - set(self.lacking())

    def _with_values(self) -> set[str]:
        known = self._documents()
        return {str(one["commit_hash"]) for _, one in known if has_values(one) and not self._is_foreign(one)}

    def _documents(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in result_files(self.results):
            yield path, parse(read(path))

    def _is_foreign(self, document: Mapping[str, Any]) -> bool:
        return machine_of(document) not in (None, self.results.name)

    def foreign(self, commits: Sequence[Commit]) -> dict[str, str]:
        """Why commits are not measured that have results of another machine: asv would add to these, as if they were
        this one's, and shows nothing of them."""
        wanted = {one.hash for one in commits}
        return {
            str(one["commit_hash"]): f"{path} is of machine {machine_of(one)!r}: move it into that machine's folder"
            for path, one in self._documents()
            if one["commit_hash"] in wanted and self._is_foreign(one)
        }

    def lacking(self) -> dict[str, int]:
        """Commits that were begun and lack rounds, and how many they have."""
        return {commit: done for commit, done in self.state.rounds().items() if done < self.wanted}

    def measure(self, commits: Sequence[Commit], runner: Runner, progress: Callable[[str], object]) -> Outcome:
        """Give each commit the rounds that it lacks.

        Raises:
            HistoryError: asv does not work at all.
            StoreError: the disk is full, or a file cannot be written.
        """
        lacking = self.lacking()
        done = {one.hash: lacking.get(one.hash, 0) for one in commits}
        given_up = self.foreign(commits)
        for number in range(self.wanted):
            due = [one for one in commits if done[one.hash] < self.wanted and one.hash not in given_up]
            if not due:
                break
            if number % 2:  # the other way round: who is late in one round is early in the next
                due.reverse()
            label = f"round {number + 1}"
            progress(f"{label}: {len(due)} commits")
            end, outcomes = self._round(due, done, runner, _labelled(progress, label))
            for one in due:
                if outcomes[one.hash]:
                    done[one.hash] += 1
                else:
                    given_up[one.hash] = self._why(one, outcomes[one.hash], end, runner)
            if not number and end.code not in _RAN and not any(outcomes.values()) and not self._told(due):
                raise HistoryError(f"nothing could be measured, asv run: {end.said or f'exit code {end.code}'}")
        return self._outcome(commits, done, given_up)

    def _round(
        self, due: Sequence[Commit], done: dict[str, int], runner: Runner, show: Callable[[str], object]
    ) -> tuple[End, dict[str, bool | None]]:
        """Whether each commit was measured; False for one that failed, None for one that asv did not come to."""
        for one in due:
            with contextlib.suppress(FileNotFoundError):
                (self.failures / f"{one.hash}.json").unlink()  # of another night
        self.state.begin_round({one.hash: done[one.hash] for one in due}, self.results)
        outcomes: dict[str, bool | None] = {}
        try:
            end = runner.measure(due, show)
        finally:
            with interrupts_held():
                for one in due:
                    outcomes[one.hash] = self._settle(one.hash, done[one.hash])
                self.state.end_round()
        return end, outcomes

    def _settle(self, commit: str, done: int) -> bool | None:
        """Put a commit's files right after a round, and its rounds; as :meth:`_round`.  Twice does no harm."""
        before = self.state.before(commit)
        found: bool | None = None
        here = contents(self.results, commit)
        for name in before.keys() - here.keys():  # cut off, put aside, and then we were killed, or the disk was full
            self._restore(self.results / name, before[name])
        for name, data in here.items():
            had = before.get(name)
            if data == had:
                continue
            path = self.results / name
            try:
                document = parse(data)
            except DamagedError as error:
                self._put_aside(path, error)
                self._restore(path, had)
                self._set_rounds(commit, done)
                continue
            if not has_values(document):
                self._restore(path, had)
                found = found or False
                continue
            found = True
            self._keep(path, had, document)
        if found:
            self._set_rounds(commit, done + 1)
        return found

    def _set_rounds(self, commit: str, done: int) -> None:
        rounds = {**self.state.rounds(), commit: done}
        self.state.set_rounds({one: count for one, count in rounds.items() if 0 < count < self.wanted})

    def _keep(self, path: Path, had: bytes | None, document: dict[str, object]) -> None:
        """Give back what this round has taken out of the file."""
        if had is None:
            return
        with contextlib.suppress(DamagedError):
            kept = keep_values(parse(had), document)
            if kept is not None:
                self._write(path, kept[0])

    def _restore(self, path: Path, had: bytes | None) -> None:
        if had is None:
            path.unlink(missing_ok=True)
        else:
            self._write(path, had)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_atomically(path, data)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {reason(error)}; free some space") from error

    def _put_aside(self, path: Path, error: DamagedError) -> None:
        where = self.state.put_aside(path)
        self.notes.append(f"{path.name} was damaged ({error}) and is in {where.parent} now")

    # --- why not --------------------------------------------------------------------------------

    def _told(self, commits: Sequence[Commit]) -> bool:
        """Whether the environment said of each commit why it could not be installed."""
        return all(self._failure(one) is not None for one in commits)

    def _failure(self, commit: Commit) -> str | None:
        try:
            return str(json.loads((self.failures / f"{commit.hash}.json").read_bytes())["reason"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _why(self, commit: Commit, outcome: bool | None, end: End, runner: Runner) -> str:
        told = self._failure(commit)
        if told is None and outcome is None:
            return f"asv ended before it: {end.said or f'exit code {end.code}'}"
        return told or runner.why(commit) or "every benchmark failed, and nothing says why"

    def _outcome(self, commits: Sequence[Commit], done: dict[str, int], given_up: dict[str, str]) -> Outcome:
        found = Outcome()
        for one in commits:
            if one.hash not in given_up:
                found.measured.append(one)
            else:
                after = f"after {done[one.hash]} of {self.wanted} rounds: " if done[one.hash] else ""
                found.skipped.append(Skipped(one, after + given_up[one.hash]))
            names = sorted({name for data in contents(self.results, one.hash).values() for name in failed(parse(data))})
            if names:
                more = f" and {len(names) - 1} more benchmarks" if len(names) > 1 else ""
                found.notes.append(f"{one.label}: {names[0]}{more} failed for some or all parameters")
        return found


def _labelled(progress: Callable[[str], object], label: str) -> Callable[[str], object]:
    return lambda text: progress(f"{label}: {text}")
