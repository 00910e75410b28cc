"""A night in GitHub-flavoured Markdown: what is new first, the rest folded."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.history.explain import Explanation
from perfsuite.history.model import Finding, Night
from perfsuite.history.reports import attributable
from perfsuite.present.cells import MISSING
from perfsuite.present.gfm import code, details, prose, table
from perfsuite.present.history import words
from perfsuite.present.phrases import counted, short, when
from perfsuite.units import some

#: Lines of each kind; GitHub takes a megabyte as a summary and 65 536 characters as a comment, and nobody reads that.
_FINDINGS, _LINES, _SKIPPED, _NOTES = 20, 8, 30, 20
_SENTENCE = 400


def render_summary(night: Night, explanations: Sequence[Explanation] = ()) -> str:
    """What a night did and found.

    Args:
        explanations: what the runs say of its findings; one that has none is told without a cause.
    """
    fresh = [one for one in night.findings if one.key in night.new]
    known = [one for one in night.findings if one.key not in night.new]
    lines = [f"### perfsuite nightly: {words.verdict(night)}", "", f"{_did(night)}", ""]
    for finding in fresh[:_FINDINGS]:
        first = finding.changes[0]
        told = f"{code(words.commits(finding.before, finding.at))}: {code(first.benchmark.label)} {words.change(first)}"
        lines += [f"**New {prose(words.state(finding))}**, {told}", "", *_finding(finding, explanations), ""]
    if len(fresh) > _FINDINGS:
        lines += [f"And {counted(len(fresh) - _FINDINGS, 'more new finding')}: the site has them.", ""]
    if known:
        lines += [*details(f"{counted(len(known), 'finding')} of nights before", _table(known, explanations)), ""]
    if night.skipped:
        skipped = [f"- {code(one.commit.label)}: {_sentence(one.reason)}" for one in night.skipped[:_SKIPPED]]
        if len(night.skipped) > _SKIPPED:
            skipped.append(f"- and {len(night.skipped) - _SKIPPED} more")
        lines += [*details(f"{counted(len(night.skipped), 'commit')} could not be measured", skipped), ""]
    lines += [f"- Note: {_sentence(note)}" for note in night.notes[:_NOTES]]
    return "\n".join(lines).rstrip("\n") + "\n"


def _did(night: Night) -> str:
    span = when(night.began) + (f" to {when(night.ended)}" if night.ended else ", not finished")
    measured = some([code(one.label) for one in night.measured], _LINES)
    which = f" ({measured})" if measured else ""
    parts = [f"{counted(len(night.measured), 'commit')} measured{which}", f"{len(night.skipped)} skipped"]
    return f"{span}: {', '.join(parts)}, {counted(len(night.findings), 'finding')} in the history."


def _finding(finding: Finding, explanations: Sequence[Explanation]) -> list[str]:
    lines = [f"- {text}" for text in _causes(finding, explanations)]
    lines += [f"- {code(one.benchmark.label)}: {words.change(one)}" for one in finding.changes[1 : 1 + _LINES]]
    if len(finding.changes) > 1 + _LINES:
        lines.append(f"- and {counted(len(finding.changes) - 1 - _LINES, 'more line')}")
    if finding.environment:
        lines.append(f"- Environment: {_sentence(words.facts(finding.environment))}")
    return lines


def _causes(finding: Finding, explanations: Sequence[Explanation]) -> list[str]:
    mine = _mine(finding, explanations)
    return [f"{code(one.workload)}: {_sentence(words.explained(one, finding.is_regression))}" for one in mine]


def _mine(finding: Finding, explanations: Sequence[Explanation]) -> list[Explanation]:
    names = attributable(finding)
    return [one for one in explanations if one.at.hash == finding.at.hash and one.workload in names]


def _table(findings: Sequence[Finding], explanations: Sequence[Explanation]) -> list[str]:
    head = [("Commits", "left"), ("Line", "left"), ("Change", "right"), ("State", "left"), ("Likeliest cause", "left")]
    rows = [_row(one, explanations) for one in findings[:_FINDINGS]]
    left = len(findings) - _FINDINGS
    return [*table(head, rows), *(["", f"And {counted(left, 'more finding')}: the site has them."] if left > 0 else [])]


def _row(finding: Finding, explanations: Sequence[Explanation]) -> tuple[str, ...]:
    first = finding.changes[0]
    guilty = [words.contributor(one.culprit) for one in _mine(finding, explanations) if one.culprit is not None]
    return (
        code(words.commits(finding.before, finding.at)),
        " ".join(filter(None, (code(first.benchmark.label), words.others(finding)))),
        words.change(first),
        prose(words.state(finding)),
        code(guilty[0]) if guilty else MISSING,
    )


def _sentence(text: str) -> str:
    return prose(short(text, _SENTENCE))
