"""All checks over the same facts, and which of them turn out better for what ``perfsuite launch`` starts."""

from __future__ import annotations

from dataclasses import replace

from perfsuite.doctor.checks import CHECKS
from perfsuite.doctor.model import STATUSES, Diagnosis, Facts, Finding, Unread
from perfsuite.quiet import quiet_settings

#: From worse to better; what is not known is no better than what is known to be somewhat off.
_RANK = {"bad": 0, "warn": 1, "unknown": 1, "good": 2}


def diagnose(facts: Facts) -> Diagnosis:
    """The findings of every check, the worst first, each kind in the order of the checks."""
    findings = [check(facts) for check in CHECKS]
    return Diagnosis(
        findings=tuple(sorted(findings, key=lambda finding: STATUSES.index(finding.status))),
        seconds=facts.seconds,
        launch=_better(findings, facts),
    )


def _better(findings: list[Finding], facts: Facts) -> tuple[str, ...]:
    if isinstance(facts.cpus, Unread):
        return ()
    software = facts.software
    settings = quiet_settings(software.variables, facts.cpus, glibc=software.glibc)
    launched = replace(
        facts,
        cpus=facts.cpus.within(settings.cpus),
        software=replace(software, variables={**software.variables, **settings.variables}),
    )
    after = [check(launched) for check in CHECKS]
    return tuple(now.check for now, then in zip(findings, after, strict=True) if _RANK[then.status] > _RANK[now.status])
