"""``--profile-dnn-compare``: the session's run is held against a stored one, by what it counts and not by its times.

One capture a side is enough for that: what differs between the steps of a side is not judged.  Times of two processes
are shown and decide nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perfsuite.errors import PerfsuiteError
from perfsuite.gate.rules import CensusRules
from perfsuite.records import Profile, Run

if TYPE_CHECKING:
    from perfsuite.analyse.diff import Wall

#: Without these there is nothing to judge.
_NEEDED = ("operators", "primitives")
OPTION = "--profile-dnn-compare"


@dataclass(frozen=True)
class Baseline:
    """The stored run, and the rules."""

    run: Run
    rules: CensusRules
    #: The file that the rules are from; None where they are the default.
    settings: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What is printed of a comparison, line by line with whether it is bad news, and whether the session fails."""

    lines: tuple[tuple[str, bool], ...]

    @property
    def failed(self) -> bool:
        """Whether a rule is broken, or could not be judged."""
        return any(bad for _, bad in self.lines)


def prepare(spec: str, directory: Path, root: Path, passes: tuple[str, ...], folder: Path | None = None) -> Baseline:
    """Load the run that ``spec`` names and the rules, before anything is measured.

    Args:
        spec: as it was asked for.
        directory: the folder of the runs.
        root: pytest's root folder, which stands for the repository's outside of git.
        passes: what this session runs.
        folder: the one that the user is in, by default ``root``: the rules are in the pyproject.toml that
            ``perfsuite gate`` would take there.

    Raises:
        pytest.UsageError: there is no such run, it is of another machine, a rule is wrong, or a pass that the
            comparison needs is not to run.
    """
    from perfsuite.analyse.diff.comparable import machine_reasons
    from perfsuite.environment import gather_environment
    from perfsuite.gate.git import working_tree
    from perfsuite.gate.settings import settings_for
    from perfsuite.store import load_run, resolve_run

    lacking = [name for name in _NEEDED if name not in passes]
    if lacking:
        raise pytest.UsageError(f"{OPTION} needs the pass {lacking[0]!r}, which --profile-dnn-passes leaves out")
    try:
        run = load_run(resolve_run(spec, directory))
        folder = folder or root
        settings, found = settings_for(folder, working_tree(folder) or root)
    except PerfsuiteError as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from error
    if not run.workloads:
        problems = "; ".join(run.problems) or "no workload was recorded in it"
        raise pytest.UsageError(f"{OPTION}: {run.id} has nothing to compare with: {problems}")
    reasons = machine_reasons(run.environment, gather_environment())
    if reasons:
        raise pytest.UsageError(f"{OPTION}: {run.id} is not of this machine: {'; '.join(reasons)}; record one here")
    # The gate of a project may take no census; whoever asks for this one gets it, by the default rules.
    return Baseline(run, settings.census or CensusRules(), found if settings.census is not None else None)


def compare(baseline: Baseline, path: Path | None) -> Outcome:
    """Judge every workload that both runs have.

    Args:
        path: the finished run of this session; None where it recorded nothing.
    """
    from perfsuite.store import load_run

    if path is None:
        return Outcome(((f"error: nothing was recorded that could be compared with {baseline.run.id}", True),))
    try:
        return Outcome(tuple(_lines(baseline, load_run(path))))
    except PerfsuiteError as error:
        return Outcome(((f"error: not compared with {baseline.run.id}: {error}", True),))


def _lines(baseline: Baseline, head: Run) -> Iterator[tuple[str, bool]]:
    from perfsuite.analyse.diff.comparable import environment_changes, machine_reasons
    from perfsuite.present.phrases import value

    base = baseline.run
    rules = "the default rules" if baseline.settings is None else f"the rules of {os.path.relpath(baseline.settings)}"
    yield f"compared with {base.id}, by what the steps count and {rules}:", False
    reasons = machine_reasons(base.environment, head.environment)
    if reasons:
        yield f"error: not comparable: {'; '.join(reasons)}", True
        return
    for change in environment_changes(base, head):
        yield f"environment: {change.key} {value(change.base)} → {value(change.head)}", False
    for problem in (*base.problems, *head.problems):
        yield f"error: {problem}", True
    before, after = ({profile.name: profile for profile in run.workloads} for run in (base, head))
    for name in (name for name in before if name in after):
        yield from _workload(before[name], after[name], baseline.rules)
    yield from _missing(before, after, base)


def _missing(before: Mapping[str, Profile], after: Mapping[str, Profile], base: Run) -> Iterator[tuple[str, bool]]:
    for name in before:
        if name not in after:
            yield f"{name}: not compared: {base.id} has it, this session did not run it", False
    for name in after:
        if name not in before:
            yield f"{name}: not compared: {base.id} does not have it", False
    if not before.keys() & after.keys():
        yield f"error: {base.id} and this session have no workload in common", True


def _workload(base: Profile, head: Profile, rules: CensusRules) -> Iterator[tuple[str, bool]]:
    from perfsuite.analyse.diff import diff_profiles
    from perfsuite.analyse.diff.comparable import workload_reasons
    from perfsuite.gate.census import judge_census
    from perfsuite.present.phrases import counted

    reasons = [*workload_reasons(base, head), *_unjudged(base, "the stored run"), *_unjudged(head, "this session")]
    if reasons:
        yield f"{head.name}: error: not comparable: {'; '.join(reasons)}", True
        return
    diff = diff_profiles(base, head)
    census = judge_census(diff, base, head, rules, captures=1)
    unsteady = f"; {counted(census.unsteady, 'row')} not steady and not judged" if census.unsteady else ""
    changes = f"; {counted(diff.census.judged, 'entry', 'entries')} changed" if diff.census.judged else ""
    verdict = "passed" if census.passed else f"FAILED {counted(len(census.failures), 'rule')}"
    yield f"{head.name}: {verdict}{changes}{unsteady}", not census.passed
    for failure in census.failures:
        yield f"  {failure.rule}: {failure.text}", True
        for line in failure.benchdnn:
            yield f"    {line}", False
    yield f"  time, advisory: {_time(diff.wall)}", False


def _unjudged(profile: Profile, side: str) -> Iterator[str]:
    lacking = [name for name in _NEEDED if name not in profile.passes]
    if lacking:
        yield f"{side} lacks the {'passes' if len(lacking) > 1 else 'pass'} {' and '.join(lacking)}"
    elif profile.ledger is None:
        yield f"{side} has no figures of the pass operators"


def _time(wall: Wall) -> str:
    from perfsuite.present.cells import format_ns
    from perfsuite.present.phrases import confidence, factor, ratio_interval

    if wall.ratio is None:
        return "not timed on both sides"
    interval = f"{confidence(wall)} interval {ratio_interval(wall)}, " if wall.interval else ""
    return (
        f"{factor(wall.ratio)} base ({format_ns(wall.base_ns, 4)} → {format_ns(wall.head_ns, 4)}), {interval}"
        "two processes: it decides nothing"
    )
