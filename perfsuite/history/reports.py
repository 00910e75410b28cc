"""perfsuite's own report of what was recorded at a commit, compared with a commit measured before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.analyse.report import Report, report
from perfsuite.gate.merge import merge
from perfsuite.history.explain import Explainer
from perfsuite.history.model import Commit, Finding
from perfsuite.history.values import place_of
from perfsuite.records import Profile, Run

#: So many commits have a report, the newest of all and those of the newest findings: each workload takes a second.
MOST = 8
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
    commits: Sequence[Commit], findings: Sequence[Finding], explainer: Explainer
) -> tuple[ReportPage, ...]:
    """Which commits have a report: the newest with runs, and those where something was found, the newest first.

    Args:
        commits: all that were measured, in their order.
    """
    shelf = explainer.shelf
    # From the newest on, and no further than it takes: of a commit that is not looked at no folder is read.
    having = (one for one in reversed(commits) if shelf.has(one))
    newest = next(having, None)
    if newest is None:
        return ()
    pages = {newest.hash: ReportPage(newest, next(having, None), None)}
    for finding in sorted(findings, key=lambda one: -one.at.position):
        if len(pages) == MOST and finding.at.hash not in pages:
            break
        if finding.at.hash == newest.hash or not (shelf.has(finding.at) and shelf.has(finding.before)):
            continue
        other = pages.get(finding.at.hash)
        known = (other.workloads or ()) if other is not None else ()
        workloads = tuple(dict.fromkeys((*known, *workloads_of(finding))))
        pages[finding.at.hash] = ReportPage(finding.at, other.before if other else finding.before, workloads)
    return tuple(sorted(pages.values(), key=lambda one: -one.commit.position))


def workloads_of(finding: Finding) -> tuple[str, ...]:
    """The workloads whose benchmarks it is about, the one that leads it first."""
    places = (place_of(one.benchmark.name, one.benchmark.parameters) for one in finding.changes)
    return tuple(dict.fromkeys(place[0] for place in places if place is not None))


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


def run_ids(page: ReportPage, explainer: Explainer) -> tuple[str, ...]:
    """The runs that its report is made of."""
    sides = [one for one in (page.commit, page.before) if one is not None]
    return tuple(f"{one.hash} {name}" for one in sides for name in explainer.shelf.names(one))


def _merged(runs: Sequence[Run], workload: str) -> Profile:
    return merge([profile for run in runs for profile in run.workloads if profile.name == workload])


def _run(commit: Commit, runs: Sequence[Run], profiles: Sequence[Profile]) -> Run:
    """One run of all that were merged, with the environment of the newest."""
    return Run(commit.label, runs[0].created, "complete", runs[0].environment, tuple(profiles))
