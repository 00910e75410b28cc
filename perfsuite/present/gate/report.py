"""A gate's result as one HTML page: its verdicts, and below them what the report shows of every profiled benchmark."""

from __future__ import annotations

from dataclasses import replace

from perfsuite.analyse.report import Report, WorkloadReport, report
from perfsuite.ceilings import Ceilings
from perfsuite.gate.model import BenchmarkResult, GateResult
from perfsuite.present.gate.words import worst_first
from perfsuite.present.report import render_report
from perfsuite.records import Environment, Profile, Run

#: Where no worker came so far as to say where it runs; the page then shows nothing of it.
_UNKNOWN = Environment(None, (), 0, None, 0, None, None, 0, "", "", "", {})


def render_gate_report(result: GateResult, *, ceilings: Ceilings | None = None, no_ceilings: str | None = None) -> str:
    """The page; benchmarks without a profile on both sides are in its table alone.

    Args:
        ceilings: those of the machine, for the rooflines.
        no_ceilings: why there are none.

    Raises:
        RenderError: a figure cannot be drawn, or a template cannot show a value.
    """
    profiled = [one for one in worst_first(result) if one.base is not None and one.head is not None]
    return render_report(_looked_at(result, profiled, ceilings, no_ceilings), result)


def _looked_at(
    result: GateResult, profiled: list[BenchmarkResult], ceilings: Ceilings | None, no_ceilings: str | None
) -> Report:
    # A side whose environment is not known is taken to be like the other one: what is not known is no change.
    sides = (result.base.environment, result.head.environment)
    known = sides[1] or sides[0] or _UNKNOWN
    base = _run("base", sides[0] or known, [(one.name, one.base) for one in profiled])
    head = _run("head", sides[1] or known, [(one.name, one.head) for one in profiled])
    found = report(head, base if profiled else None, ceilings=ceilings, no_ceilings=no_ceilings, force=True)
    gated = {one.name: one for one in profiled}
    workloads = tuple(_by_the_gate(one, gated[one.profile.name]) for one in found.workloads)
    # What may be compared is the gate's to say, in its verdicts.
    diff = None if found.diff is None else replace(found.diff, reasons=())
    return replace(found, diff=diff, workloads=workloads)


def _run(side: str, environment: Environment, profiles: list[tuple[str, Profile | None]]) -> Run:
    named = tuple(replace(profile, name=name) for name, profile in profiles if profile is not None)
    return Run(side, "", "complete", environment, named)


def _by_the_gate(one: WorkloadReport, judged: BenchmarkResult) -> WorkloadReport:
    """With the gate's own comparison, whose ratio is of process pairs and not of two processes."""
    return one if judged.diff is None else replace(one, diff=judged.diff)
