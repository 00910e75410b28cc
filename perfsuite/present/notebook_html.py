"""Runs, workloads, comparisons and advice as a small table of HTML for a notebook.

Colours are the notebook's own, so that it reads in the dark and in the light.  Every text goes through
:class:`markupsafe.Markup`, which escapes what is put into it.  ``text`` is what a terminal shows; a click unfolds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from perfsuite.analyse import tables
from perfsuite.analyse.advice import Advice
from perfsuite.analyse.diff import RunDiff, WorkloadDiff
from perfsuite.present.cells import clean, format_count, format_ns, format_share, shorten_left
from perfsuite.present.phrases import (
    BASIS,
    OVERLAP,
    because,
    changed_rows,
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
    short,
    signed,
    stake_share,
    stake_time,
    when,
)
from perfsuite.records import Profile, Run

_TOP = 10
_MODULE = 44
_BORDER = "1px solid rgba(128,128,128,.35)"
_CELL = f"padding:2px 12px 2px 0;border:0;border-bottom:{_BORDER};background:none;color:inherit"


def run_html(run: Run, text: str) -> str:
    """A row for each workload: how long its step takes, and the operator that takes most of it."""
    head = [("Workload", "left"), ("Median step", "right"), ("Interval", "right"), ("", "right"), ("n", "right"),
            ("Most self time", "left"), ("Share", "right")]  # fmt: skip
    rows = []
    for profile in run.workloads:
        top = next(iter(tables.top_operators(profile, 1)), None)
        most = (operator(top), format_share(top.share)) if top is not None else ("no operators recorded", "")
        rows.append((short(profile.name), *_step(profile), *most))
    about = [f"run {short(run.id)} · {when(run.created)} · {short(run.status)}", machine(run)]
    about += [f"cannot be read: {short(problem, 200)}" for problem in run.problems]
    return _page(about, head, rows, text)


def profile_html(profile: Profile, text: str) -> str:
    """The operators with the most self time."""
    rows = tables.top_operators(profile, _TOP)
    head = [("Self", "right"), ("Share", "right"), ("Calls", "right"), ("Operator", "left"), ("Phase", "left"),
            ("Module", "left"), ("Primitives", "left")]  # fmt: skip
    cells = [
        (
            format_ns(row.self_ns),
            format_share(row.share),
            format_count(row.count),
            operator(row),
            short(row.phase or ""),
            _module(row.module),
            short(", ".join(row.implementations[:3])),
        )
        for row in rows
    ]
    median, spread, kind, n = _step(profile)
    timed = "not timed" if not n else f"median step {median}, {spread} ({kind}, n = {n})"
    facts = [fact for fact in (profile.scale, profile.dtype, profile.backend) if fact]
    shown = f"top {len(rows)} of {len(profile.operators)} operator rows by self time"
    shown = shown if rows else "no operators recorded"
    return _page([short(profile.name, 200), " · ".join([*map(short, facts), timed]), shown], head, cells, text)


def run_diff_html(diff: RunDiff, text: str) -> str:
    """A row for each workload: head's step by base's, and what most likely made the difference."""
    head = [("Workload", "left"), ("Base", "right"), ("Head", "right"), ("Head ÷ base", "right"),
            ("Interval", "left"), ("Likeliest culprit", "left"), ("Change", "right"), ("Why", "left")]  # fmt: skip
    rows = []
    for one in diff.workloads:
        first = one.culprit
        why = (signed(first.delta_ns), because(first)) if first is not None else ("", "")
        culprit = (culprit_of(one), *why)
        sides = (format_ns(one.wall.base_ns, 4), format_ns(one.wall.head_ns, 4))
        rows.append((short(one.name), *sides, factor(one.wall.ratio), ratio_interval(one.wall), *culprit))
    about = [f"base {short(diff.base_id)}, head {short(diff.head_id)}: two processes"]
    about += [f"NOT COMPARABLE: {short(reason, 200)}" for reason in diff.reasons]
    return _page(about, head, rows, text)


def workload_diff_html(diff: WorkloadDiff, text: str) -> str:
    """The rows of the ledger that explain the difference, the likeliest culprit first."""
    head = [("Change", "right"), ("Of base", "right"), ("Row", "left"), ("Module", "left"), ("Why", "left")]
    rows = [
        (signed(row.delta_ns), delta_share(row), delta(row), _module(row.module), because(row))
        for row in diff.operators[:_TOP]
    ]
    wall = diff.wall
    sides = f"{format_ns(wall.base_ns, 4)} → {format_ns(wall.head_ns, 4)}"
    step = f"step: head is {factor(wall.ratio)} base ({sides}), {ratio_interval(wall)}"
    found = changed_rows(diff) if diff.operators else "no operators recorded on both sides"
    return _page([short(diff.name, 200), f"{step} · n = {wall.base_n} and {wall.head_n}", found], head, rows, text)


def advice_html(advice: Advice, text: str) -> str:
    """The findings in their order."""
    head = [("At stake", "right"), ("Share", "left"), ("Finding", "left"), ("Do", "left")]
    rows = []
    for finding in advice.findings:
        title, action = (_marked(text) for text in (finding.title, finding.action))
        rows.append((stake_time(finding.stake), stake_share(finding.stake), title, action))
    said = (
        f"{counted(len(rows), 'finding')}: {f'{OVERLAP}; ' if len(rows) > 1 else ''}{BASIS}"
        if rows
        else "nothing found"
    )
    if advice.not_checked:
        said += f"; {counted(len(advice.not_checked), 'rule')} could not look"
    return _page([short(advice.workload, 200), said], head, rows, text)


def _step(profile: Profile) -> tuple[str, str, str, str]:
    step = tables.headline(profile)
    if step is None:
        return ("not timed", "", "", "")
    return (format_ns(step.median_ns, 4), interval(step), interval_kind(step), str(step.n))


def _marked(text: str) -> Markup:
    """A text of the advice with its code as code."""
    parts = (Markup("<code>{}</code>" if code else "{}").format(part) for code, part in parted(short(text, 300)))
    return Markup("").join(parts)


def _module(path: str | None) -> str:
    return shorten_left(clean((path or "")[-4 * _MODULE :]), _MODULE)


def _page(about: Iterable[str], head: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], text: str) -> str:
    first, *others = about
    parts = [Markup("<div><b>{}</b></div>").format(first)]
    parts += [Markup("<div>{}</div>").format(line) for line in others]
    if rows:
        parts.append(_table(head, rows))
    parts.append(
        Markup(
            "<details><summary>as in the terminal</summary>"
            '<pre style="background:none;color:inherit;overflow-x:auto;white-space:pre">{}</pre></details>'
        ).format(text)
    )
    return str(Markup('<div style="font-variant-numeric:tabular-nums">{}</div>').format(Markup("").join(parts)))


def _table(head: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> Markup:
    aligns = [align for _, align in head]
    names = _cells("th", [name for name, _ in head], aligns)
    body = Markup("").join(Markup("<tr>{}</tr>").format(_cells("td", row, aligns)) for row in rows)
    return Markup(
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:6px 0">'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(names, body)


def _cells(tag: str, texts: Sequence[str], aligns: Sequence[str]) -> Markup:
    # A number and its unit stay together.
    wraps = {"left": "normal", "right": "nowrap"}
    # <bdi>: letters that run from right to left must not turn the row around.
    return Markup("").join(
        Markup('<{} style="text-align:{};white-space:{};{}"><bdi>{}</bdi></{}>').format(
            tag, align, wraps[align], _CELL, text, tag
        )
        for text, align in zip(texts, aligns, strict=True)
    )
