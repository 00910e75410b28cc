"""What the commands of the history are put together from: the one place where its parts meet."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.errors import StoreError, UsageError
from perfsuite.gate.git import GitError
from perfsuite.history.model import Commit, Finding, Night, Series, Stack
from perfsuite.history.settings import HistorySettings, derived, read_settings
from perfsuite.history.state import State

if TYPE_CHECKING:
    from perfsuite.history.explain import Explainer, Explanation
    from perfsuite.history.measuring import Target
    from perfsuite.history.nightly import Parts
    from perfsuite.history.rounds import Runner

#: How many commits a night builds if nobody says; of wheels it takes all.
_BUILDS = 5


@dataclass(frozen=True)
class Place:
    """A history, seen from one machine."""

    settings: HistorySettings
    machine: str
    state: State

    @classmethod
    def of(cls, config: Path, repo: Path | None, machine: str | None, state: Path | None) -> Place:
        """By the options of a command.

        Raises:
            UsageError: the configuration or the machine's name is wrong.
        """
        from perfsuite.history.nightly import default_state

        settings = read_settings(config)
        if repo is not None:
            settings = replace(settings, repo=str(repo.absolute()))
        name = machine if machine is not None else re.sub(r"[^\w.-]+", "-", platform.node()) or "machine"
        if not re.fullmatch(r"[A-Za-z0-9_][\w.-]{0,99}", name):
            raise UsageError(f"--machine {name!r}: use letters, digits, '.', '_' and '-'")
        return cls(settings, name, State(state if state is not None else default_state(settings, name)))

    def newest(self, asked: int | None) -> int | None:
        """How many commits a night measures at most."""
        return asked if asked is not None or self.settings.source is None else _BUILDS

    def commits(self, fetch: bool) -> tuple[tuple[Commit, ...], tuple[str, ...]]:
        """Those of the branch, and a note if what is new could not be fetched.

        Raises:
            UsageError: there is no repository.
        """
        from perfsuite.history.commits import ensure_repository
        from perfsuite.history.results import branch_of

        notes: tuple[str, ...] = ()
        try:
            ensure_repository(self.settings, fetch)
        except GitError as error:
            ensure_repository(self.settings, fetch=False)
            notes = (f"what is new in {self.settings.repo} is not known ({error}), this is about what is here",)
        return tuple(branch_of(self.settings)), notes

    def load_series(
        self, commits: Sequence[Commit], machines: Collection[str] | None
    ) -> tuple[tuple[Series, ...], tuple[str, ...]]:
        """The history of these machines, of all if None."""
        from perfsuite.history.results import load_series

        return load_series(self.settings, machines, commits)

    def runner(self, log: Path) -> Runner:
        """asv, on a configuration that means the same wherever it runs, with this machine's name fixed.

        Raises:
            StoreError: the configuration cannot be written.
            HistoryError: asv's list of machines cannot be written, or the machine's results are another one's.
        """
        from perfsuite.history.asv_process import Asv, fix_machine
        from perfsuite.store.files import reason, write_atomically

        config = self.state.folder / "asv.conf.json"
        try:
            write_atomically(
                config, json.dumps(derived(self.settings, repo=self.settings.repo_path), indent=1).encode()
            )
        except OSError as error:
            raise StoreError(f"{config}: cannot be written: {reason(error)}") from error
        fix_machine(self.settings.results_dir, self.machine)
        return Asv(config, self.machine, self.state.folder, log)

    def explainer(self) -> Explainer:
        """Explains changes by the recorded runs."""
        from perfsuite.history.explain import Explainer
        from perfsuite.history.shelf import Shelf

        return Explainer(Shelf(self.settings.runs_dir))


def last_night(place: Place) -> Night | None:
    """What the last night did, as far as it came; None if there was none, or one that cannot be read."""
    try:
        return place.state.last_night()
    except StoreError:
        return None


def parts_of(place: Place) -> Parts:
    """What a night is made of.

    Raises:
        HistoryError: asv is not there.
    """
    from perfsuite.history.asv_files import asv
    from perfsuite.history.installer import is_installed, prune
    from perfsuite.history.nightly import Parts
    from perfsuite.history.wheels import stack_of

    asv("main")  # before a repository is cloned for half an hour
    settings = place.settings
    return Parts(
        commits=lambda: place.commits(fetch=True),
        named=lambda commits, name: _named(place, commits, name),
        stack_of=lambda commit: stack_of(commit, settings, settings.repo_path),
        runner=place.runner,
        is_installed=lambda stack: is_installed(stack, settings),
        make_room=lambda stacks: prune(settings, stacks),
        load_series=lambda commits: place.load_series(commits, [place.machine]),
        judge=lambda series: judged(place, series),
        summarise=lambda night: _summary(place, night),
    )


def judged(place: Place, series: Sequence[Series]) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """What changed, and what could not be judged, a line each."""
    from perfsuite.history.judge import judge

    return judge(series, place.explainer().shelf)


def explained(place: Place, before: Commit, at: Commit, workload: str) -> Explanation | None:
    """What changed in a workload from one commit to another, by its recorded runs."""
    return place.explainer().explain(before, at, workload)


def _summary(place: Place, night: Night) -> str:
    from perfsuite.history.reports import attributable
    from perfsuite.present.history.summary import render_summary

    explainer = place.explainer()
    pairs = dict.fromkeys((one.before, one.at, name) for one in night.findings for name in attributable(one))
    explanations = (explainer.explain(before, at, name) for before, at, name in pairs)
    return render_summary(night, [one for one in explanations if one is not None])


# --- bisect -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """The commits from a good one to a bad one."""

    good: Commit
    bad: Commit
    #: Those between them that can be measured, in their order.
    between: tuple[Commit, ...]
    #: What to install, by the commit's hash, the ends among them.
    stacks: Mapping[str, Stack]

    #: Positions of the commits between that cannot be measured.
    others: tuple[int, ...]

    def unmeasured(self, last_good: Commit, suspects: Sequence[Commit]) -> int:
        """How many commits after the last good one and before the last suspect cannot be measured."""
        return sum(last_good.position < one < suspects[-1].position for one in self.others) if suspects else 0


def span(place: Place, commits: Sequence[Commit], good: str, bad: str) -> Span:
    """The commits that a bisection is about.

    Raises:
        UsageError: an end is not on the branch or cannot be measured, or they are not in this order.
    """
    from perfsuite.history.wheels import stack_of

    ends = [_named(place, commits, name) for name in (good, bad)]
    if ends[0].position >= ends[1].position:
        raise UsageError(f"--good {good} is not before --bad {bad} on {place.settings.branch}")
    stacks: dict[str, Stack] = {}
    between, others = [], []
    for one in commits:
        if ends[0].position <= one.position <= ends[1].position:
            found = stack_of(one, place.settings, place.settings.repo_path)
            if isinstance(found, Stack):
                stacks[one.hash] = found
            elif one in ends:
                raise UsageError(f"{one.label} cannot be measured: {found.reason}")
            else:
                others.append(one.position)
            if one.hash in stacks and one not in ends:
                between.append(one)
    return Span(ends[0], ends[1], tuple(between), stacks, tuple(others))


def _named(place: Place, commits: Sequence[Commit], name: str) -> Commit:
    from perfsuite.history.commits import commit_at

    found = commit_at(place.settings.repo_path, name)
    for one in commits:
        if one.hash == found.hash:
            return one
    raise UsageError(f"{name} is not on {place.settings.branch}")


# --- plot -------------------------------------------------------------------------------------------


def draw_line(place: Place, series: Sequence[Series], what: Target, path: Path, column: bool) -> None:
    """The line of a benchmark.

    Raises:
        UsageError: it was never measured.
    """
    from perfsuite.history.marks import marks
    from perfsuite.history.reports import workloads_of
    from perfsuite.history.values import place_of
    from perfsuite.present.libraries import libraries

    wanted = (what.workload, what.measure, what.part)
    for one in series:
        if place_of(one.benchmark.name, one.benchmark.parameters) == wanted:
            break
    else:
        names = ", ".join(list(dict.fromkeys(each.benchmark.label for each in series))[:5]) or "nothing"
        raise UsageError(f"{what.label} was never measured; there is {names} …")
    findings, _ = judged(place, series)
    explainer = place.explainer()
    changes = [change for finding in findings for change in finding.changes]
    pairs = dict.fromkeys(
        (finding.before, finding.at)
        for finding in findings
        if any(change.benchmark == one.benchmark for change in finding.changes)
        and what.workload in workloads_of(finding)
    )
    found = [explainer.explain(before, at, what.workload) for before, at in pairs]
    with libraries("a figure"):
        from perfsuite.present.history.plots import draw_series
        from perfsuite.present.plots.style import NARROW, WIDE
    draw_series(
        one,
        changes,
        marks(explainer.shelf, [point.commit for point in one.points]),
        path,
        explanations=[each for each in found if each is not None],
        width=NARROW if column else WIDE,
    )


def draw_operators(place: Place, series: Sequence[Series], what: Target, path: Path, column: bool) -> None:
    """The operators of a workload on the machine that measured most commits.

    Raises:
        UsageError: they were never measured.
    """
    from perfsuite.history.stack import operator_stacks
    from perfsuite.present.libraries import libraries

    changes = [change for finding in judged(place, series)[0] for change in finding.changes]
    found = [one for one in operator_stacks(series, changes) if one.workload == what.workload]
    if not found:
        raise UsageError(f"no operators of {what.workload} were ever measured")
    with libraries("a figure"):
        from perfsuite.present.history.plots import stack_plot
        from perfsuite.present.plots import save
        from perfsuite.present.plots.style import NARROW, WIDE
    save(stack_plot(found[0], width=NARROW if column else WIDE), path)
