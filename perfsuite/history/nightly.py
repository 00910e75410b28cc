"""A night: new commits measured, the history judged, what is new told, the site made.

What a night is made of comes as :class:`Parts`, so that tests have nights of seconds.  A night that is killed is gone
on with by the next one: every file is replaced as a whole, what is known is written down last, and a round that was not
ended is put right first (:mod:`perfsuite.history.rounds`).
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.history.asv_files import HistoryError, result_files
from perfsuite.history.levels import LONG
from perfsuite.history.lock import measuring_alone
from perfsuite.history.model import Absent, Commit, Finding, Night, Series, Skipped, Stack
from perfsuite.history.process import end_marked
from perfsuite.history.results import read_benchmarks
from perfsuite.history.rounds import Outcome, Rounds, Runner
from perfsuite.history.state import State, as_known, untold
from perfsuite.store.files import write_text

if TYPE_CHECKING:
    from perfsuite.history.settings import HistorySettings

#: What a night exits with, of several the first of 2 (an error), 1, 4, 0.
REGRESSED, UNMEASURED = 1, 4


@dataclass(frozen=True)
class NightOptions:
    """What is asked of a night."""

    machine: str
    #: How many processes measure each commit.
    rounds: int = 3
    #: At most so many commits, the newest; None for all.
    newest: int | None = None
    #: What must be free where the environments are.
    free_gib: float = 8.0
    publish: bool = True
    #: Whether the neighbours of new commits are measured again with them while the history is short.
    beside: bool = True
    #: What people call the commits that are measured again, whatever there is of them.
    again: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """What a night is made of."""

    #: The commits of the branch in their order, and what must be known of them: that there was no network.
    commits: Callable[[], tuple[Sequence[Commit], Sequence[str]]]
    #: The commit of a name, or a UsageError.
    named: Callable[[Sequence[Commit], str], Commit]
    stack_of: Callable[[Commit], Stack | Absent]
    #: asv, which writes into this log.
    runner: Callable[[Path], Runner]
    is_installed: Callable[[Stack], bool]
    #: Removes environments that are not needed, but these.
    make_room: Callable[[Sequence[Stack]], object]
    #: Of one machine, by the commits of the branch.
    load_series: Callable[[Sequence[Commit]], tuple[Sequence[Series], Sequence[str]]]
    #: The findings, and what could not be judged.
    judge: Callable[[Sequence[Series]], tuple[Sequence[Finding], Sequence[str]]]
    #: The summary in Markdown.
    summarise: Callable[[Night], str]


def nightly(
    settings: HistorySettings,
    options: NightOptions,
    state: State,
    parts: Parts,
    progress: Callable[[str], object] = lambda text: None,
) -> Night:
    """Measure what is new, judge, tell and publish.

    Raises:
        BusyError: another night is at it, of this history or of one with the same environments.
        HistoryError: asv does not work, or the site could not be made; what was measured and judged is kept, and a
            regression that could not be published counts as new again the next time.
        PerfsuiteError: the configuration is wrong, the disk is full, a file of the state is damaged.
        KeyboardInterrupt: after everything that was started has been ended; the next night goes on.
    """
    state.prepare()
    with measuring_alone(state.lock, settings.env_dir):
        return _Night(settings, options, state, parts, progress).run()


def exit_code(night: Night) -> int:
    """1 if a regression is new and has not been mended yet, 4 if some commit could not be measured, else 0."""
    if any(map(is_open, new_findings(night))):
        return REGRESSED
    return UNMEASURED if night.skipped else 0


def is_open(finding: Finding) -> bool:
    """Whether it is a regression that nothing has mended yet."""
    return finding.is_regression and finding.changes[0].recovered is None


def new_findings(night: Night) -> tuple[Finding, ...]:
    """The findings that no night before had."""
    return tuple(one for one in night.findings if one.key in night.new)


class _Night:
    """One night, step by step."""

    def __init__(
        self,
        settings: HistorySettings,
        options: NightOptions,
        state: State,
        parts: Parts,
        progress: Callable[[str], object],
    ) -> None:
        self.settings = settings
        self.options = options
        self.state = state
        self.parts = parts
        self.progress = progress
        self.night = Night(_now(), None)
        self.notes: list[str] = []
        self.rounds = Rounds(
            state, settings.results_dir / options.machine, settings.env_dir / "failures", options.rounds
        )

    def run(self) -> Night:
        """All of it."""
        left = end_marked(self.state.folder)
        if left:
            self.notes.append(f"a night that was killed had left {left} processes, which were ended")
        known = self.state.known()  # before hours of measuring: a file that cannot be read
        self.rounds.recover()
        self.state.save_night(self.night)
        self.progress("looking for new commits")
        commits, notes = self.parts.commits()
        self.notes += notes
        runner = self.parts.runner(self.state.new_log(self.night.began))
        outcome = self._measure(commits, runner)
        self.notes += [*self.rounds.notes, *outcome.notes]
        self._mend_benchmarks(commits, runner)
        self.progress("judging")
        series, notes = self.parts.load_series(commits)
        self.notes += notes
        found, notes = self.parts.judge(series)
        findings = tuple(found)
        self.notes += notes
        new = untold(findings, known, commits)
        self.night = replace(
            self.night,
            ended=_now(),
            measured=tuple(outcome.measured),
            skipped=tuple(outcome.skipped),
            findings=findings,
            new=tuple(one.key for one in new),
            notes=tuple(dict.fromkeys(self.notes)),
        )
        self.state.save_night(self.night)  # the publisher may want it
        write_text(self.state.summary, self.parts.summarise(self.night))
        if self.options.publish and series:
            self.progress("making the site")
            runner.publish(self.settings.html_dir)
        # Last: what is told twice is a nuisance, what is never told is lost.
        self.state.remember((*known, *(as_known(one, str(self.night.ended)) for one in new)))
        return self.night

    def _measure(self, commits: Sequence[Commit], runner: Runner) -> Outcome:
        wanted, stacks, skipped = self._select(commits)
        if not wanted:
            return Outcome(skipped=skipped)
        self._check_disk(stacks)
        beside = self._beside(commits, wanted) if self.options.beside else []
        outcome = self.rounds.measure([*wanted, *beside], runner, self.progress)
        return _of_new(outcome, beside)

    def _select(self, commits: Sequence[Commit]) -> tuple[list[Commit], list[Stack], list[Skipped]]:
        """What is to be measured, the newest first, what it takes, and what is missed.

        A commit without a wheel is as usual and not told, but where there is none for any it is: in most cases the
        configuration names tags or wheels that there are not.
        """
        again = {self.parts.named(commits, name).hash for name in self.options.again}
        measured = self.rounds.measured() - again
        wanted: dict[Commit, Stack] = {}
        new = 0
        absent: list[Skipped] = []
        failed = self._failed()
        # What could not be installed the last time is chosen last, or it would take the places of others every night.
        for one in sorted(commits, key=lambda one: (one.hash in failed, -one.position)):
            asked = one.hash in again
            if one.hash in measured or (new == self.options.newest and not asked):
                continue
            stack = self.parts.stack_of(one)
            if not isinstance(stack, Absent):
                wanted[one] = stack
                new += not asked
            elif asked:
                self.notes.append(f"{one.label} could not be measured again: {stack.reason}")
            else:
                absent.append(Skipped(one, stack.reason))
        skipped = []
        if absent and not wanted and not measured:
            self.notes.append(f"none of {len(absent)} commits of {self.settings.branch} can be installed")
            skipped = absent[:1]
        return sorted(wanted, key=lambda one: -one.position), list(wanted.values()), skipped

    def _beside(self, commits: Sequence[Commit], wanted: Sequence[Commit]) -> list[Commit]:
        """Neighbours of new commits that were measured in other nights, to be measured again with them.

        From night to night a machine may differ by more than a commit does: two commits are compared by processes that
        took turns, until the history is so long that it shows how much its nights differ.
        """
        measured = self.rounds.measured()
        # One that could not be installed the last time most likely cannot be now: nothing is measured for its sake.
        left = self._failed() | self.rounds.foreign(wanted).keys()
        hopeful = [one for one in wanted if one.hash not in left]
        known = [one for one in commits if one.hash in measured or one in hopeful]
        if len(known) >= LONG:
            return []
        neighbours = []
        for one, other in itertools.pairwise(known):
            if (one in hopeful) != (other in hopeful):
                neighbours.append(one if other in hopeful else other)
        return [one for one in dict.fromkeys(neighbours) if isinstance(self.parts.stack_of(one), Stack)]

    def _failed(self) -> set[str]:
        """Commits that could not be installed when that was tried last; their hashes."""
        return {path.stem for path in self.rounds.failures.glob("*.json")}

    def _check_disk(self, stacks: Sequence[Stack]) -> None:
        """There must be room for an environment, or what is not needed goes.

        Raises:
            HistoryError: even so there is not.
        """
        if self._free_gib() >= self.options.free_gib or all(map(self.parts.is_installed, stacks)):
            return
        self.parts.make_room(stacks)
        free = self._free_gib()
        if free < self.options.free_gib:
            raise HistoryError(
                f"{free:.1f} GiB free where environments are made, in {self.settings.env_dir}, and "
                f"{self.options.free_gib:g} are needed: free some space, lower `disk_gib`, or say --free-gib"
            )

    def _free_gib(self) -> float:
        folder = self.settings.env_dir
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return shutil.disk_usage(folder).free / 2**30

    def _mend_benchmarks(self, commits: Sequence[Commit], runner: Runner) -> None:
        """asv's table of benchmarks is written anew where a night was killed while asv wrote it.

        Raises:
            HistoryError: there are results, and it cannot be.
        """
        if not result_files(self.rounds.results):
            return
        try:
            read_benchmarks(self.settings.results_dir)
        except HistoryError:
            for one in reversed(commits):
                if isinstance(self.parts.stack_of(one), Stack):
                    self.progress("listing the benchmarks")
                    end = runner.discover(one)
                    if end.code:
                        raise HistoryError(f"asv cannot list the benchmarks: {end.said}") from None
                    return
            raise


def _of_new(outcome: Outcome, beside: Sequence[Commit]) -> Outcome:
    """The outcome of the new commits; of one that was only measured again a failure is a note."""
    notes = [
        f"{one.commit.label} was measured before, and could not be again beside new commits: {one.reason}"
        for one in outcome.skipped
        if one.commit in beside
    ]
    return Outcome(
        [one for one in outcome.measured if one not in beside],
        [one for one in outcome.skipped if one.commit not in beside],
        [*outcome.notes, *notes],
    )


def default_state(settings: HistorySettings, machine: str) -> Path:
    """Where a machine's nights keep what they know, if nobody says where."""
    return Path(os.path.abspath(settings.results_dir)).parent / "nightly" / machine


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
