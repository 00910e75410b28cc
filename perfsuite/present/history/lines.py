"""A history in a terminal: what a night did, what there is, and what a bisection found, in plain lines."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.gate.model import Judgement
from perfsuite.history.bisect import BAD, GOOD, INCONCLUSIVE, SPARE, Bisection, Decision
from perfsuite.history.explain import Explanation
from perfsuite.history.model import Finding, Night
from perfsuite.present.cells import clean
from perfsuite.present.history import words
from perfsuite.units import counted

#: Lines of a finding's parts, and of operators.
_PARTS, _OPERATORS = 5, 8


def render_night(night: Night) -> str:
    """What it measured, what it could not, and what it found: the new first."""
    lines = [words.verdict(night)]
    if night.measured:
        lines.append(f"measured: {', '.join(one.label for one in night.measured)}")
    elif not night.skipped:
        lines.append("nothing new to measure")
    lines += [f"not measured: {one.commit.label}: {one.reason}" for one in night.skipped]
    fresh = [one for one in night.findings if one.key in night.new]
    lines += render_findings(fresh, "new: ")
    older = len(night.findings) - len(fresh)
    if older:
        lines.append(f"{counted(older, 'finding')} of nights before")
    lines += [f"note: {note}" for note in night.notes]
    return _text(lines)


def render_check(findings: Sequence[Finding], new: Sequence[Finding], notes: Sequence[str]) -> str:
    """All findings, the newest first; those that no night has told are marked."""
    keys = {one.key for one in new}
    lines = []
    for one in sorted(findings, key=lambda one: -one.at.position):
        lines += render_findings([one], "new: " if one.key in keys else "")
    lines += [f"note: {note}" for note in notes]
    return _text(lines or ["no change in the history"])


def render_findings(findings: Sequence[Finding], mark: str = "") -> list[str]:
    """A line for each, and one for each of its parts."""
    lines = []
    for one in findings:
        lines.append(f"{mark}{words.state(one)} {words.headline(one)}")
        lines += [f"    {part.benchmark.label} {words.change(part)}" for part in one.changes[1 : 1 + _PARTS]]
        if len(one.changes) > 1 + _PARTS:
            lines.append(f"    and {counted(len(one.changes) - 1 - _PARTS, 'more line')}")
        lines += [f"    environment: {words.fact(each)}" for each in one.environment]
    return lines


def render_decision(decision: Decision) -> str:
    """``v2.7.0: bad, +6.1% (+3.9 to +8.3) to the good end in 6 pairs``."""
    if decision.judgement is None:
        return _text([f"{decision.commit.label}: {decision.verdict}: {decision.reason}"])
    said = f"{decision.commit.label}: {decision.verdict}, {_ratio(decision.judgement)} to the good end"
    return _text([f"{said} in {_pairs(decision.judgement)}"])


def render_bisection(found: Bisection, between: int, explanation: Explanation | None = None) -> str:
    """What was found, and what it rests on.

    Args:
        found: the bisection.
        between: how many commits between the last good one and the first bad one cannot be measured.
        explanation: what changed from the one to the other.
    """
    ends = f"{found.bad.label} against {found.good.label}: {_ratio(found.whole)}"
    lines = [f"{found.benchmark}: {ends} in {_pairs(found.whole)}"]
    first = found.first_bad
    if not found.suspects:
        lines.append(f"inconclusive: that {found.bad.label} is slower is not sure")
    elif first is None:
        lines.append(f"inconclusive: the first bad commit is one of these {len(found.suspects)}, oldest first:")
        lines += [f"    {words.label(one)} {one.date}" for one in found.suspects]
        lines += _why_not(found)
    else:
        lines.append(f"first bad commit: {words.label(first)} {first.date}")
        lines += _step(found)
    if between:
        lines.append(
            f"note: {counted(between, 'commit')} after {found.last_good.label} cannot be measured, and may be it"
        )
    lines += _operators(explanation)
    lines.append(f"{counted(found.processes, 'process', 'processes')}, all decisions right with {found.confidence:.0%}")
    return _text(lines)


def _step(found: Bisection) -> list[str]:
    if found.step is None:
        return []
    lines = [f"    {_ratio(found.step)} against {found.last_good.label}"]
    if found.step.verdict != "regressed":
        lines.append("    by itself it is not surely slower than the commit before: the slowdown comes in small parts")
    elif found.part is not None and found.part < 0.75:
        lines.append(f"    that is {found.part:.0%} of the whole slowdown, the rest is elsewhere")
    return lines


def _why_not(found: Bisection) -> list[str]:
    if found.decisions:
        undecided = [one for one in found.decisions if one.verdict not in (GOOD, BAD)]
        lines = [f"    {render_decision(one).rstrip()}" for one in undecided]
        if sum(one.verdict == INCONCLUSIVE for one in undecided) > SPARE:
            lines.append("    more would need fewer disturbances on this machine, or more pairs (--max-pairs)")
        return lines
    return ["    how much slower is not known well enough to halve it: more pairs (--max-pairs), or a quieter machine"]


def _operators(explanation: Explanation | None) -> list[str]:
    if explanation is None:
        return []
    lines = [f"what changed: {words.explained(explanation, True)}"]
    for one in explanation.contributors[: max(1, min(explanation.sure, _OPERATORS))]:
        lines.append(f"    {words.contributor(one)}: {words.share(one)} of the change, {words.because(one)}")
    lines += [f"    {words.fact(one)}" for one in explanation.environment]
    return lines


def _ratio(judgement: Judgement) -> str:
    if judgement.ratio is None or judgement.interval is None:
        return "not known"
    low, high = (words.ratio(end).removesuffix("%") for end in judgement.interval)
    return f"{words.ratio(judgement.ratio)} ({low} to {high})"


def _pairs(judgement: Judgement) -> str:
    """``12 pairs, 1 of them too far from the others to count``."""
    aside = len(judgement.strays)
    said = counted(judgement.process_pairs, "pair")
    return f"{said}, {aside} of them too far from the others to count" if aside else said


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{clean(line)}\n" for line in lines)
