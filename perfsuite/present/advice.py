"""Advice as text and as the JSON of ``perfsuite advise --json``, format 2; ``docs/advise.md`` explains both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from perfsuite.analyse.advice import Advice, Fact, Finding
from perfsuite.present.cells import clean, format_count, format_ns, format_share
from perfsuite.present.layout import MIN_WIDTH, hanging, to_text
from perfsuite.present.phrases import BASIS, STAKES, at_stake, stake_kind

#: Version of the JSON.
FORMAT = 2


def render_advice(advice: Advice, *, width: int, color: bool) -> str:
    """Findings of one workload in their order, then which rules found nothing and which could not look."""
    width = max(width, MIN_WIDTH)
    parts: list[RenderableType] = [Text(clean(advice.workload), "bold", overflow="fold")]
    for number, finding in enumerate(advice.findings, 1):
        parts += [Text(), *_finding(number, finding, width)]
    if not advice.findings:
        parts.append(Text("nothing found"))
    parts.append(Text())
    if advice.findings:
        parts += hanging(STAKES if len(advice.findings) > 1 else BASIS, width)
    if advice.silent:
        parts += hanging(
            f"looked and found nothing from {format_share(advice.least_share)} of the step: {', '.join(advice.silent)}",
            width,
        )
    for missing in advice.not_checked:
        parts += hanging(f"not checked: {missing.rule}: {clean(missing.reason)}", width)
    return to_text(parts, width, color)


def _finding(number: int, finding: Finding, width: int) -> list[RenderableType]:
    stake = finding.stake
    lines = [f"at stake: {at_stake(stake)} ({stake_kind(stake)}: {clean(stake.how)})"]
    if finding.first is not None:
        lines.append(f"why first: {clean(finding.first)}")
    lines += [*map(_fact, finding.evidence), f"do: {clean(finding.action)}", f"but: {clean(finding.caveat)}"]
    head = [Text(part, "bold") for part in _wrapped(f"{number}. {clean(finding.title)} [{finding.rule}]", width)]
    return [*head, *(Text(f"  {part}") for line in lines for part in _wrapped(line, width - 2))]


def _wrapped(line: str, width: int) -> list[str]:
    return [str(part) for part in hanging(line, width)]


def _fact(fact: Fact) -> str:
    numbers = [
        f"{format_count(fact.count)}×" if fact.count is not None else "",
        format_ns(fact.time_ns) if fact.time_ns is not None else "",
        format_share(fact.share) if fact.share is not None else "",
    ]
    tail = ", ".join(filter(None, numbers))
    return f"- {clean(fact.text)}" + (f": {tail}" if tail else "")


def advice_json(run: str, against: str | None, advice: Sequence[Advice]) -> dict[str, Any]:
    """Strict JSON values: what is not known is None."""
    return {"format": FORMAT, "run": run, "against": against, "workloads": [_workload(one) for one in advice]}


def _workload(advice: Advice) -> dict[str, Any]:
    return {
        "name": advice.workload,
        "findings": [
            {
                "rule": finding.rule,
                "title": finding.title,
                "evidence": [
                    {
                        "text": fact.text,
                        "count": _number(fact.count),
                        "time_ns": _number(fact.time_ns),
                        "share": _number(fact.share),
                    }
                    for fact in finding.evidence
                ],
                "stake_ns": _number(finding.stake.ns),
                "share": _number(finding.stake.share),
                "share_of": finding.stake.of,
                "stake_kind": finding.stake.kind,
                "stake_how": finding.stake.how,
                "action": finding.action,
                "caveat": finding.caveat,
                "first": finding.first,
                "part_of": finding.part_of,
            }
            for finding in advice.findings
        ],
        "silent": list(advice.silent),
        "not_checked": [{"rule": missing.rule, "reason": missing.reason} for missing in advice.not_checked],
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
