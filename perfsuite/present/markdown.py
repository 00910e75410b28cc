"""A run, and what it is compared with, as a comment on a pull request: Markdown of GitHub, 60 lines at most."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from perfsuite.analyse.advice import Finding
from perfsuite.analyse.diff import Delta, Missing, WorkloadDiff
from perfsuite.analyse.report import Report, WorkloadReport
from perfsuite.present.cells import MISSING, fit_widths, format_ns, format_share
from perfsuite.present.gfm import code, details, html, prose, table
from perfsuite.present.phrases import (
    OVERLAP,
    SHARE,
    at_stake,
    because,
    census_entry,
    confidence,
    counted,
    culprit_of,
    delta,
    delta_share,
    factor,
    interval,
    interval_kind,
    machine,
    operator,
    parted,
    ratio_interval,
    rough_sentences,
    short,
    signed,
    value,
    when,
)

MAX_LINES = 60
#: Rows of the table, and workloads whose details are shown.
_ROWS = 12
_DETAILED = 3
#: Lines that are worth unfolding.
_LEAST = 12
_NAMES = 3
_SENTENCE = 200
#: Of a name in front of a sentence, so that the sentence has room.
_NAME = 40
#: What may stand between a piece of code and the words beside it.
_BETWEEN = re.compile(r"([),.;:]*\s*)(.*?)(\s*\(?)", re.DOTALL)
#: What :attr:`WorkloadReport.claim` may be, in the order in which a reader wants to see it.
_CLAIMS = {"slower": "slower", "faster": "faster", "unknown": "without an interval", "same": "not told apart"}


@dataclass(frozen=True)
class _Part:
    """A heading and what is listed below it, most important first; ``total`` counts what ``items`` leaves out, too."""

    heading: str
    items: Sequence[str]
    total: int


def render_markdown(report: Report) -> str:
    """A summary for a pull request: one table of the workloads, and below it what a click unfolds.

    At most 60 lines whatever the run holds: what does not fit is counted in a sentence.
    """
    ordered = _ordered(report)
    lines = [f"### perfsuite: {_title(report)}", "", _verdict(report), *_warnings(report), ""]
    if ordered:
        lines += [*_table(report, ordered[:_ROWS]), ""]
    lines += _left_out(ordered[_ROWS:])
    last = [f"<sub>{_origin(report)}</sub>"]
    room = MAX_LINES - len(lines) - len(last)
    detailed = ordered[: min(_DETAILED, room // _LEAST)]
    for number, workload in enumerate(detailed):
        # A block that needs less than its part leaves the rest to the next ones.
        block = _details(workload, room // (len(detailed) - number))
        lines += block
        room -= len(block)
    return "\n".join([*lines, *last]) + "\n"


def _ordered(report: Report) -> list[WorkloadReport]:
    """What surely changed first; without a base, as they ran."""
    claims = [*_CLAIMS, None]
    return sorted(report.workloads, key=lambda one: claims.index(one.claim))


# --- above the table --------------------------------------------------------------------------------


def _title(report: Report) -> str:
    if report.diff is None:
        return f"run {code(short(report.run.id))}"
    return f"base {code(short(report.diff.base_id))}, head {code(short(report.diff.head_id))}"


def _verdict(report: Report) -> str:
    count = counted(len(report.workloads), "workload")
    if not report.workloads and report.run.problems:
        return "**No workload could be read.**"
    if report.diff is None:
        return f"**{count}.** {_most_at_stake(report.workloads)}"
    said = Counter(one.claim for one in report.workloads)
    parts = [f"{said[claim]} {words}" for claim, words in _CLAIMS.items() if said[claim]]
    parts += [f"{said[None]} not in base"] if said[None] else []
    level = next((f"{confidence(one.diff.wall)} " for one in report.workloads if one.diff is not None), "")
    return (
        f"**{count}: {', '.join(parts) or 'none compared'}.** By the {level}interval of the ratio of median steps. "
        "It is of these two processes alone: neither a test of the code nor a gate."
    )


def _most_at_stake(workloads: Sequence[WorkloadReport]) -> str:
    found = [(finding, one) for one in workloads for finding in one.advice.top[:1] if finding.stake.share]
    if not found:
        return "No rule found anything whose cost is known."
    # By share: workloads have steps of their own.
    finding, one = max(found, key=lambda pair: (pair[0].first is not None, pair[0].stake.share or 0.0))
    return f"First: {code(short(one.profile.name))}: {at_stake(finding.stake)}: {_said(finding)}."


def _warnings(report: Report) -> list[str]:
    """What the reader must know first, a line each; every one is a paragraph."""
    lines = []
    diff = report.diff
    if diff is not None and diff.reasons:
        lines.append(f"**NOT COMPARABLE**, compared because it was forced: {_some(diff.reasons)}")
    if diff is not None and diff.environment_changes:
        changes = [f"{one.key} {value(one.base)} → {value(one.head)}" for one in diff.environment_changes]
        lines.append(f"Changed between the two: {_some(changes)}")
    if diff is not None and diff.notes:
        lines.append(f"Note: {_some(diff.notes)}")
    if diff is not None and diff.missing:
        lines.append(f"In one run alone: {_some([_alone(one) for one in diff.missing])}")
    rough = [(one.profile.name, text.rstrip(".")) for one in report.workloads for text in rough_sentences(one.profile)]
    if rough:
        said = [f"{short(name, _NAME)}: {text}" for name, text in rough]
        lines.append(f"Rough: {_some(said)}")
    for side, run in (("base", report.base), ("head" if report.base is not None else "run", report.run)):
        if run is not None and run.problems:
            lines.append(f"Of the {side}, what could not be read: {_some(run.problems)}")
    return [line for text in lines for line in ("", text)]


def _alone(one: Missing) -> str:
    there = "the other side may have it in a file that cannot be read" if one.only_in == "unknown" else one.found_in
    return f"{one.name} ({there})"


def _some(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - _NAMES} more" if len(texts) > _NAMES else ""
    return "; ".join(prose(short(text, _SENTENCE)) for text in texts[:_NAMES]) + more


# --- the table --------------------------------------------------------------------------------------


def _table(report: Report, workloads: Sequence[WorkloadReport]) -> list[str]:
    head = [("Workload", "left"), ("Median step", "right"), ("Interval", "right"), ("n", "right")]
    if report.diff is None:
        return table([*head, ("Optimise first", "left")], [(*_step(one), _finding(one)) for one in workloads])
    head = [("Workload", "left"), ("Median step of head", "right"), ("Interval", "right"), ("n", "right"),
            ("n of base", "right"), ("Head ÷ base", "right"), ("Its interval", "left"),
            ("Likeliest culprit", "left")]  # fmt: skip
    return table(head, [(*_step(one), *_compared(one)) for one in workloads])


def _step(one: WorkloadReport) -> tuple[str, str, str, str]:
    name, step = code(short(one.profile.name)), one.headline
    if step is None:
        return (name, "not timed", MISSING, "0")
    return (name, format_ns(step.median_ns, 4), f"{interval(step)} ({interval_kind(step)})", str(step.n))


def _finding(one: WorkloadReport) -> str:
    first = next(iter(one.advice.top), None)
    return "nothing found" if first is None else f"{at_stake(first.stake)}: {_said(first)}"


def _compared(one: WorkloadReport) -> tuple[str, str, str, str]:
    diff = one.diff
    if diff is None:
        return (MISSING, MISSING, "not in base", MISSING)
    return (str(diff.wall.base_n), factor(diff.wall.ratio), ratio_interval(diff.wall), _likeliest(diff))


def _likeliest(diff: WorkloadDiff) -> str:
    return culprit_of(diff) if diff.culprit is None else _culprit(diff.culprit)


def _left_out(workloads: Sequence[WorkloadReport]) -> list[str]:
    if not workloads:
        return []
    claims = Counter(one.claim for one in workloads)
    words = [f"{claims[claim]} {said}" for claim, said in _CLAIMS.items() if claims[claim]]
    about = f" ({', '.join(words)})" if words else ""
    return [f"And {counted(len(workloads), 'more workload')}{about}: `perfsuite report` shows all.", ""]


# --- details ----------------------------------------------------------------------------------------


def _details(one: WorkloadReport, room: int) -> list[str]:
    every = (_notes(one), *_changes(one.diff), _findings(one), _operators(one))
    parts = [part for part in every if part.items]
    # The block's own lines and one behind it.
    room -= len(details("", [])) + 1
    # A heading with one line below it tells less than its neighbour with three.
    parts = parts[: max(1, room // 3)]
    shares = fit_widths([len(part.items) for part in parts], room - len(parts))
    shown = [(part, part.items[:share]) for part, share in zip(parts, shares, strict=True) if share]
    if not shown:
        return []
    lines = []
    for part, items in shown:
        some = f": {len(items)} of {part.total}" if len(items) < part.total else ""
        # A list in a list: it needs no empty lines, of which there would be too many.
        lines += [f"- **{part.heading}**{some}", *(f"  - {item}" for item in items)]
    names = ", ".join(part.heading.partition(",")[0].lower() for part, _ in shown)
    return [*details(f"{html(short(one.profile.name))}: {names}", lines), ""]


def _notes(one: WorkloadReport) -> _Part:
    """What the reader must know to trust the rest, of both sides and of their comparison."""
    notes = [*(one.diff.notes if one.diff is not None else ()), *one.profile.notes]
    return _Part("Notes", [f"Note: {prose(short(note, _SENTENCE))}" for note in notes], len(notes))


def _operators(one: WorkloadReport) -> _Part:
    items = []
    for row in one.operators[:_ROWS]:
        where = f", in {code(short(row.module))}" if row.module else ""
        items.append(f"{format_ns(row.self_ns)}, {format_share(row.share)}: {code(operator(row))}{where}")
    return _Part(f"Operators, most self time first, and its share {SHARE}", items, len(one.operators))


def _findings(one: WorkloadReport) -> _Part:
    items = [f"{at_stake(finding.stake)}: {_said(finding)}: {_marked(finding.action)}"
             for finding in one.advice.findings]  # fmt: skip
    return _Part(f"Findings, in the order to mend them: {OVERLAP}", items, len(items))


def _changes(diff: WorkloadDiff | None) -> tuple[_Part, ...]:
    if diff is None:
        return ()
    rows = [_culprit(row) for row in diff.operators[: min(diff.culprits, _ROWS)]]
    census = [f"{fate}: {code(where)}: {prose(what)}" for fate, where, what in _census(diff)]
    return (
        _Part("Culprits, likeliest first, and the change of base's profiled step", rows, diff.culprits),
        _Part("Census, what takes longest first", census, diff.census.judged),
    )


def _culprit(row: Delta) -> str:
    where = f", in {code(short(row.module))}" if row.module else ""
    return f"{signed(row.delta_ns)} ({delta_share(row)}): {code(delta(row))}{where}: {prose(because(row))}"


def _census(diff: WorkloadDiff) -> list[tuple[str, str, str]]:
    return [(fate, *census_entry(entry)) for fate, entry in islice(diff.census.entries, _ROWS)]


def _said(finding: Finding) -> str:
    return _marked(finding.title)


def _marked(text: str) -> str:
    """A text of the advice with its code as code."""
    parts = parted(short(text, _SENTENCE))
    return "".join(code(part) if is_code else _spaced(part) for is_code, part in parts)


def _spaced(part: str) -> str:
    """Prose between two pieces of code, with the spaces, stops and brackets that stand next to them."""
    found = _BETWEEN.fullmatch(part)
    assert found is not None, "the expression fits every text"
    before, middle, after = found.groups()
    return f"{before}{prose(middle)}{after}"


# --- below ------------------------------------------------------------------------------------------


def _origin(report: Report) -> str:
    disturbances = report.run.environment.disturbances
    parts = [
        f"Recorded {prose(when(report.run.created))} with `pytest --profile-dnn`, {prose(report.run.status)}",
        prose(machine(report.run)),
        "steps are timed without instrumentation, operators and primitives in steps of their own",
    ]
    if disturbances:
        parts.append(f"not quiet: {_some([one.partition(': ')[0] for one in disturbances])}")
    elif disturbances is not None:
        parts.append("quiet")
    return "; ".join(parts)
