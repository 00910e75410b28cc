"""perfsuite's own report of what was recorded at a commit, compared with a commit measured before it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite import __version__
from perfsuite.analyse.report import Report, report
from perfsuite.gate.merge import merge
from perfsuite.history.explain import Explainer
from perfsuite.history.kept import Kept
from perfsuite.history.model import Commit, Finding
from perfsuite.history.values import place_of
from perfsuite.records import Profile, Run

#: So many reports may have to be made, of the newest commit and of the newest findings: each workload takes a second.
MOST = 8
#: Among so many of the newest commits, those that had a report when they were the newest keep it: a report of five
#: workloads takes two megabytes, so they make the site larger by sixty.
STAYING = 30
_NO_CEILINGS = "the history measures none: perfsuite machine does, and perfsuite report of one of the runs shows them"


@dataclass(frozen=True)
class ReportPage:
    """A commit that has a report."""

    commit: Commit
    #: What it is compared with; None where nothing before it was recorded.
    before: Commit | None
    #: Which workloads are in it; None for all that were recorded.
    workloads: tuple[str, ...] | None

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.commit.hash[:12]}.html"


def report_pages(
    commits: Sequence[Commit], findings: Sequence[Finding], explainer: Explainer, kept: Kept
) -> tuple[ReportPage, ...]:
    """Which commits have a report, the newest first.

    These are the newest with runs, of the :data:`STAYING` newest those whose report was made when they were the newest,
    and those where something was found; no more than :data:`MOST` are not made yet.

    Args:
        commits: all that were measured, in their order.
        findings: what was found.
        explainer: has the runs.
        kept: the reports that were made before.
    """
    shelf = explainer.shelf
    having = [one for one in reversed(commits) if shelf.has(one)][: STAYING + 1]
    if not having:
        return ()
    whole = [ReportPage(*pair, None) for pair in itertools.zip_longest(having[:STAYING], having[1:])]
    pages = {one.commit.hash: one for one in whole if one.commit == having[0] or kept.has(made_of(one, explainer))}
    chosen: dict[str, ReportPage] = {}
    for finding in sorted(findings, key=lambda one: (-one.at.position, -one.changes[0].size)):
        if finding.at.hash in pages or not (shelf.has(finding.at) and shelf.has(finding.before)):
            continue
        other = chosen.get(finding.at.hash)
        if other is None and len(chosen) + 1 == MOST:
            break
        known = (other.workloads or ()) if other is not None else ()
        workloads = tuple(dict.fromkeys((*known, *workloads_of(finding))))
        chosen[finding.at.hash] = ReportPage(finding.at, other.before if other else finding.before, workloads)
    return tuple(sorted((pages | chosen).values(), key=lambda one: -one.commit.position))


def made_of(page: ReportPage, explainer: Explainer) -> tuple[str, ...]:
    """What decides how its report looks: perfsuite's version, its workloads, and the runs that are read for it."""
    sides = [one for one in (page.commit, page.before) if one is not None]
    runs = (f"{one.hash} {name}" for one in sides for name in explainer.shelf.names(one))
    return (__version__, *(page.workloads or ()), *runs)


def workloads_of(finding: Finding) -> tuple[str, ...]:
    """The workloads whose benchmarks it is about, the one that leads it first."""
    return tuple(dict.fromkeys(workload for workload, _ in _places(finding)))


def attributable(finding: Finding) -> tuple[str, ...]:
    """Those of them in which something changed that operators can explain: memory at its peak says nothing of time."""
    return tuple(dict.fromkeys(workload for workload, measure in _places(finding) if measure != "peak_rss"))


def _places(finding: Finding) -> list[tuple[str, str]]:
    """Workload and measure of each of its lines."""
    places = (place_of(one.benchmark.name, one.benchmark.parameters) for one in finding.changes)
    return [place[:2] for place in places if place is not None]


def report_of(page: ReportPage, explainer: Explainer) -> Report | None:
    """What its report shows, of the processes of a side merged; None where none of its runs can be read."""
    runs = explainer.shelf.runs(page.commit)
    names = dict.fromkeys(profile.name for run in runs for profile in run.workloads)
    wanted = [name for name in names if page.workloads is None or name in page.workloads]
    if not wanted:
        return None
    if page.before is None:
        return report(_run(page.commit, runs, [_merged(runs, name) for name in wanted]), no_ceilings=_NO_CEILINGS)
    found = {name: explainer.explain(page.before, page.commit, name) for name in wanted}
    heads = [one.head if one is not None else _merged(runs, name) for name, one in found.items()]
    bases = [one.base for one in found.values() if one is not None]
    shown = _run(page.commit, runs, heads)
    if not bases:
        return report(shown, no_ceilings=_NO_CEILINGS)
    before = _run(page.before, explainer.shelf.runs(page.before), bases)
    return report(shown, before, no_ceilings=_NO_CEILINGS, force=True)


def _merged(runs: Sequence[Run], workload: str) -> Profile:
    return merge([profile for run in runs for profile in run.workloads if profile.name == workload])


def _run(commit: Commit, runs: Sequence[Run], profiles: Sequence[Profile]) -> Run:
    """One run of all that were merged, with the environment of the newest."""
    return Run(commit.label, runs[0].created, "complete", runs[0].environment, tuple(profiles))
