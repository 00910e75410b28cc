"""Everything that a report shows of a run, as one record: the page and the summary in Markdown take it from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.analyse import figures, tables
from perfsuite.analyse.advice import Advice, Subject, advise
from perfsuite.analyse.diff import RunDiff, WorkloadDiff, diff_runs
from perfsuite.analyse.icicle import Icicle, icicle
from perfsuite.analyse.roofline import Point, Roofline, roofline
from perfsuite.ceilings import Ceilings
from perfsuite.errors import NotComparableError
from perfsuite.records import Profile, Run


@dataclass(frozen=True)
class Figures:
    """What is drawn of a workload; ``waterfall`` is None without a base."""

    donut: figures.Donut
    hotspots: figures.Hotspots
    phases: figures.PhaseTimes
    roofline: figures.RooflineFigure
    samples: figures.SamplesFigure
    memory: figures.MemoryFigure
    waterfall: figures.Waterfall | None


@dataclass(frozen=True)
class WorkloadReport:
    """One workload of the run, and what it is compared with."""

    profile: Profile
    #: The workload of this name in the base; None without a base, or where that lacks it.
    base: Profile | None
    headline: tables.Headline | None
    ledger: tables.LedgerShares | None
    phases: tuple[tables.PhaseRow, ...]
    primitives: tuple[tables.PrimitiveRow, ...]
    #: Most self time first, as in :func:`perfsuite.analyse.tables.top_operators`.
    operators: tuple[tables.OperatorRow, ...]
    #: What each of these reached.
    points: tuple[Point, ...]
    modules: tuple[tables.ModuleRow, ...]
    #: Share of the step that all primitives took; None where that pass did not run.
    onednn: float | None
    #: The same of each of ``profile.primitives``.
    primitive_shares: tuple[float | None, ...]
    roofline: Roofline
    advice: Advice
    icicle: Icicle
    figures: Figures
    diff: WorkloadDiff | None

    @property
    def rows(self) -> tuple[int, ...]:
        """Of each of ``operators``, its index in ``profile.operators``."""
        return tuple(one.row for one in self.operators)

    @property
    def claim(self) -> str | None:
        """What the timed steps of both sides allow to say (:attr:`Wall.claim`); None without a base."""
        return None if self.diff is None else self.diff.wall.claim


@dataclass(frozen=True)
class Report:
    """A run, and its comparison with ``base`` if there is one."""

    run: Run
    base: Run | None
    diff: RunDiff | None
    ceilings: Ceilings | None
    #: Why there are no ceilings, and how to get them.
    no_ceilings: str | None
    workloads: tuple[WorkloadReport, ...]


def report(
    run: Run,
    base: Run | None = None,
    *,
    profiles: Sequence[Profile] | None = None,
    ceilings: Ceilings | None = None,
    no_ceilings: str | None = None,
    force: bool = False,
) -> Report:
    """Look at a run from all sides.

    Args:
        base: the run to compare with; its workloads are matched by name, and it is the reference of the advice.
        profiles: the workloads of ``run`` to show; all of them if None.
        force: compare what is not comparable, too; the report says so.

    Raises:
        NotComparableError: the runs are not comparable, and ``force`` is not set.
        UsageError: they have none of these workloads in common.
    """
    shown = tuple(run.workloads if profiles is None else profiles)
    diff = None if base is None else _diff(base, run, shown, force)
    compared = {one.name: one for one in diff.workloads} if diff is not None else {}
    before = {profile.name: profile for profile in base.workloads} if base is not None else {}
    return Report(
        run,
        base,
        diff,
        ceilings,
        no_ceilings,
        tuple(
            _workload(profile, run, base, before.get(profile.name), compared.get(profile.name), ceilings)
            for profile in shown
        ),
    )


def _diff(base: Run, head: Run, shown: Sequence[Profile], force: bool) -> RunDiff:
    only = shown[0].name if len(shown) == 1 and len(head.workloads) > 1 else None
    found = diff_runs(base, head, only)
    if found.reasons and not force:
        raise NotComparableError(found.reasons)
    return found


def _workload(
    profile: Profile,
    run: Run,
    base_run: Run | None,
    base: Profile | None,
    diff: WorkloadDiff | None,
    ceilings: Ceilings | None,
) -> WorkloadReport:
    found = roofline(profile, ceilings)
    points = {one.row: one.point for one in found.operators}
    operators = tables.top_operators(profile)
    subject = Subject(profile, run.environment, base, base_run.environment if base_run is not None else None)
    return WorkloadReport(
        profile,
        base,
        tables.headline(profile),
        tables.ledger_shares(profile),
        tables.by_phase(profile),
        tables.by_primitive(profile),
        operators,
        tuple(points[one.row] for one in operators),
        tables.by_module(profile),
        tables.onednn_coverage(profile) if tables.recorded(profile, "primitives") else None,
        tables.primitive_shares(profile),
        found,
        advise(subject),
        icicle(profile),
        Figures(
            figures.donut(profile),
            figures.hotspots(profile),
            figures.phase_times(profile),
            figures.roofline_figure(profile, ceilings),
            figures.samples(profile, base),
            figures.memory(profile),
            None if diff is None else figures.waterfall(diff, head=profile),
        ),
        diff,
    )
