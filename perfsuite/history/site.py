"""All that the pages of a history show, as one record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.history.explain import Explainer, Explanation
from perfsuite.history.figure import SeriesFigure, series_figure
from perfsuite.history.marks import Mark, marks
from perfsuite.history.model import Benchmark, Change, Commit, Finding, Series
from perfsuite.history.neighbours import Neighbours
from perfsuite.history.reports import ReportPage, attributable
from perfsuite.history.results import unquoted
from perfsuite.history.stack import StackFigure, operator_stacks
from perfsuite.history.values import SINGLE, place_of

#: So many findings have a figure and an explanation, and so many stacks are drawn; the others are in tables.
FINDINGS, STACKS = 10, 8


@dataclass(frozen=True)
class Told:
    """A finding, and what the runs of its two commits say about it."""

    finding: Finding
    #: The line of the benchmark that leads it; None of one that has no figure here.
    figure: SeriesFigure | None = None
    #: Of each workload that it is about and that was recorded on both sides.
    explanations: tuple[Explanation, ...] = ()
    #: Which sides have no run that could explain it.
    unrecorded: tuple[Commit, ...] = ()
    #: The file of the report in which its commit is compared with the one before; None if there is none.
    report: str | None = None


@dataclass(frozen=True)
class Jump:
    """What asv's own step detection holds to be a regression; commits by their hashes."""

    #: As :attr:`perfsuite.history.model.Benchmark.label`.
    label: str
    #: The last commit before it; None where that is the one before ``at``.
    before: str | None
    at: str
    before_value: float
    value: float


@dataclass(frozen=True)
class Dissent:
    """A regression that only one of the two detections has: ``asv`` or ``perfsuite``."""

    by: str
    label: str
    #: The last commit before it, if known, and the first with it.
    before: Commit | None
    at: Commit | None
    ratio: float


@dataclass(frozen=True)
class Site:
    """A history as its pages show it."""

    project: str
    #: All that were measured, in their order.
    commits: tuple[Commit, ...]
    machines: tuple[str, ...]
    #: The newest first.
    findings: tuple[Told, ...]
    stacks: tuple[StackFigure, ...]
    #: How many there are that are not among ``stacks``.
    more_stacks: int
    #: Every line: those of findings first.
    gallery: tuple[SeriesFigure, ...]
    marks: tuple[Mark, ...]
    reports: tuple[ReportPage, ...]
    dissents: tuple[Dissent, ...]
    #: Each recorded commit and the one recorded before it, the newest first.
    neighbours: tuple[Neighbours, ...] = ()
    #: Workload → the benchmark of its step.
    steps: Mapping[str, Benchmark] = field(default_factory=dict)
    #: Label of a benchmark → what follows ``index.html#`` in the address of asv's graph of it.
    graphs: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def site_of(
    project: str,
    series: Sequence[Series],
    findings: Sequence[Finding],
    explainer: Explainer,
    *,
    reports: Sequence[ReportPage] = (),
    neighbours: Sequence[Neighbours] = (),
    jumps: Sequence[Jump] = (),
    graphs: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Site:
    """Choose what is shown, and gather what belongs to it.

    Args:
        explainer: has the runs.
        reports: those that there are.
        neighbours: what :func:`perfsuite.history.neighbours.neighbours` says of the recorded commits.
        jumps: what asv's own page of regressions shows.
        graphs: see :attr:`Site.graphs`.
        notes: what the reader must know of the series and findings, a line each.
    """
    commits = commits_of(series)
    changes = [change for finding in findings for change in finding.changes]
    found_marks = marks(explainer.shelf, commits)
    newest_first = sorted(findings, key=lambda one: (-one.at.position, -one.changes[0].size))
    lines = {one.benchmark.label: one for one in series}
    files = {page.commit.hash: page.name for page in reports}
    told = []
    for number, finding in enumerate(newest_first):
        line = lines.get(finding.changes[0].benchmark.label)
        full = number < FINDINGS
        told.append(_told(finding, line if full else None, changes, found_marks, explainer, files, full))
    stacks = operator_stacks(series, changes)
    explanations = [one for each in told for one in each.explanations]
    gallery = [series_figure(one, changes, found_marks, explanations) for one in series]
    return Site(
        project=project,
        commits=commits,
        machines=tuple(dict.fromkeys(point.machine for one in series for point in one.points)),
        findings=tuple(told),
        stacks=stacks[:STACKS],
        more_stacks=max(0, len(stacks) - STACKS),
        gallery=tuple(sorted(gallery, key=lambda one: not one.turns)),
        marks=found_marks,
        reports=tuple(reports),
        dissents=tuple(dissents(jumps, changes, commits)),
        neighbours=tuple(neighbours),
        steps=_steps(series),
        graphs=graphs or {},
        notes=tuple(dict.fromkeys((*notes, *explainer.shelf.problems))),
    )


def label_of(name: str, parameters: Sequence[str]) -> str:
    """As :attr:`Benchmark.label`, of values that asv wrote with ``repr``."""
    return Benchmark(name, {str(at): one for at, one in enumerate(map(unquoted, parameters))}).label


def commits_of(series: Sequence[Series]) -> tuple[Commit, ...]:
    """All that were measured, in their order."""
    found = {point.commit.hash: point.commit for one in series for point in one.points}
    return tuple(sorted(found.values(), key=lambda one: one.position))


def _steps(series: Sequence[Series]) -> dict[str, Benchmark]:
    found: dict[str, Benchmark] = {}
    for one in series:
        workload, measure, _ = place_of(one.benchmark.name, one.benchmark.parameters) or ("", "", "")
        if measure == "step" or measure in SINGLE:
            found.setdefault(workload, one.benchmark)
    return found


def _told(
    finding: Finding,
    line: Series | None,
    changes: Sequence[Change],
    found_marks: Sequence[Mark],
    explainer: Explainer,
    files: Mapping[str, str],
    full: bool,
) -> Told:
    if not full:
        return Told(finding, report=files.get(finding.at.hash))
    found = [explainer.explain(finding.before, finding.at, name) for name in attributable(finding)]
    explanations = tuple(one for one in found if one is not None)
    figure = None if line is None else series_figure(line, changes, found_marks, explanations)
    missing = tuple(one for one in (finding.before, finding.at) if not explainer.shelf.has(one))
    return Told(finding, figure, explanations, missing, files.get(finding.at.hash))


def dissents(jumps: Sequence[Jump], changes: Sequence[Change], commits: Sequence[Commit]) -> list[Dissent]:
    """Regressions that one of the two has and the other has not, on the same line and between the same commits.

    One that has recovered is none for asv, which only looks at whether the last value is worse than the best.
    """
    places = {commit.hash: commit for commit in commits}
    slower = [one for one in changes if one.is_regression]
    found = []
    for jump in jumps:
        before, at = places.get(jump.before or ""), places.get(jump.at)
        if not any(_same(jump.label, before, at, one) for one in slower):
            ratio = jump.value / jump.before_value if jump.before_value else math.inf
            found.append(Dissent("asv", jump.label, before, at, ratio))
    for one in slower:
        met = (_same(jump.label, places.get(jump.before or ""), places.get(jump.at), one) for jump in jumps)
        if one.recovered is None and not any(met):
            found.append(Dissent("perfsuite", one.benchmark.label, one.before, one.at, one.ratio))
    # Of several machines asv has a graph each.
    return list({(one.by, one.label, one.at): one for one in found}.values())


def _same(label: str, before: Commit | None, at: Commit | None, change: Change) -> bool:
    """Whether the stretches of commits in which the two place it have one in common, or touch."""
    if at is None or label != change.benchmark.label:
        return False
    after = at.position - 1 if before is None else before.position
    return after <= change.at.position and change.before.position <= at.position
