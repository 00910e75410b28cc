"""What findings say together: their stakes in time of the timed step, and which of them name the same operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from perfsuite.analyse.advice.finding import Fact, Finding
from perfsuite.analyse.advice.subject import Subject
from perfsuite.analyse.tables import headline

#: Which rule's finding may lie within which other's: fusing the loss is one thing, told once.
_WITHIN = {"elementwise-chain": "loss-share"}


def applied(subject: Subject, finding: Finding) -> Finding:
    """The finding with its stake in time of the step that the headline is of, never more than that.

    A stake without a share keeps its time: nothing tells how long the step was in which it was measured.
    """
    stake, profile = finding.stake, subject.profile
    timed = headline(profile)
    if timed is not None:
        step, how = timed.median_ns, "applied to the timed median"
    elif profile.ledger is not None:
        step, how = profile.ledger.wall_ns, "applied to the profiled step (none was timed)"
    else:
        return finding
    if stake.share is None:
        return finding
    # Operators of several threads can together take longer than the step.
    ns = min(1.0, stake.share) * step
    return replace(finding, stake=replace(stake, ns=ns, how=f"{stake.how}; its share of {stake.of}, {how}"))


def without_doubles(subject: Subject, findings: Sequence[Finding]) -> list[Finding]:
    """The findings; one that is mostly about operators of another says so."""
    return [_folded(subject, one, findings) for one in findings]


def _folded(subject: Subject, finding: Finding, others: Sequence[Finding]) -> Finding:
    whole = next((one for one in others if one.rule == _WITHIN.get(finding.rule)), None)
    if whole is None:
        return finding
    own, shared = (
        subject.cost(subject.profile.operators[index] for index in rows).ns
        for rows in (finding.rows, set(finding.rows) & set(whole.rows))
    )
    if shared <= own / 2:
        return finding
    said = Fact(f"of their time, in operators of the finding [{whole.rule}], of which this is a part", None, shared)
    return replace(finding, part_of=whole.rule, evidence=(said, *finding.evidence))
