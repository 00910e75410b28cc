"""A comparison of two runs as text for a terminal or a pipe."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from itertools import islice

from rich.console import RenderableType
from rich.text import Text

from perfsuite.analyse.diff import Cause, Census, Change, Delta, Entry, RunDiff, Wall, WorkloadDiff
from perfsuite.present.cells import (
    MISSING,
    clean,
    format_bytes,
    format_count,
    format_ns,
    format_shapes,
    format_share,
    shorten_left,
    shorten_right,
)
from perfsuite.present.layout import MIN_WIDTH, Column, hanging, section, taken_by, to_text


def render_diff(diff: RunDiff, *, top: int, width: int, color: bool) -> str:
    """What differs around the runs, then each workload: its step, the rows that explain it, and the census.

    Args:
        top: how many rows, and how many lines of the census, to show of each workload.
    """
    width = max(width, MIN_WIDTH)
    parts: list[RenderableType] = [Text(f"base {clean(diff.base_id)}, head {clean(diff.head_id)}", "bold")]
    if diff.reasons:
        parts += [Text("NOT COMPARABLE, compared because it was forced:", "bold red")]
        parts += _hung((f"  {clean(reason)}" for reason in diff.reasons), width)
    parts += _hung(_changed("environment", diff.environment_changes), width)
    parts += _hung((f"note: {clean(note)}" for note in diff.notes), width)
    parts += _hung((f"only in {one.only_in}: {clean(one.name)}" for one in diff.missing), width)
    for workload in diff.workloads:
        parts += [Text(), *_workload(workload, top, width)]
    return to_text(parts, width, color)


def _workload(workload: WorkloadDiff, top: int, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(clean(workload.name), "bold", overflow="fold")]
    parts += _hung(_changed("workload", workload.changes), width)
    parts += _hung([_step(workload.wall), *_ledger(workload)], width)
    parts += _hung((f"note: {clean(note)}" for note in workload.notes), width)
    if workload.operators:
        parts += _rows(workload.operators, top, width)
    if workload.ledger is not None:
        parts += _census(workload.census, top, width)
    return parts


# --- lines ------------------------------------------------------------------------------------------


def _hung(lines: Iterable[str], width: int) -> list[RenderableType]:
    return [part for line in lines for part in hanging(line, width)]


def _changed(what: str, changes: Iterable[Change]) -> list[str]:
    return [f"{what}: {clean(one.key)} {_value(one.base)} → {_value(one.head)}" for one in changes]


def _step(wall: Wall) -> str:
    if wall.base_ns is None or wall.head_ns is None or wall.ratio is None:
        return "step: not timed on both sides"
    line = f"step: head is {wall.ratio:.3g}× base ({format_ns(wall.base_ns, 4)} → {format_ns(wall.head_ns, 4)}), "
    if wall.interval is None:
        return f"{line}too few samples for an interval (n = {wall.base_n} and {wall.head_n})"
    low, high = wall.interval
    percent = f"{wall.confidence * 100:.0f} %"
    return (
        f"{line}{percent} interval {low:.3f} to {high:.3f}, of these two processes (n = {wall.base_n}, {wall.head_n})"
    )


def _ledger(workload: WorkloadDiff) -> list[str]:
    ledger = workload.ledger
    if ledger is None:
        return []
    return [
        f"profiled step: {format_ns(ledger.base_ns)} → {format_ns(ledger.head_ns)}: operators "
        f"{_signed(ledger.operators_ns)}, Python {_signed(ledger.python_ns)}, unattributed "
        f"{_signed(ledger.unattributed_ns)}"
    ]


def _signed(ns: float) -> str:
    return f"+{format_ns(ns)}" if ns > 0 else format_ns(ns)


def _value(value: float | str | None) -> str:
    if value is None:
        return MISSING
    if isinstance(value, str):
        return clean(value)
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}"


# --- rows -------------------------------------------------------------------------------------------


def _rows(every: tuple[Delta, ...], top: int, width: int) -> list[RenderableType]:
    rows = every[:top]
    numbers = [
        Column("Change", "number", [_signed(row.delta_ns) for row in rows]),
        Column("95%", "number", [f"± {format_ns(row.margin_ns)}" for row in rows]),
        Column("Of base", "number", [format_share(row.share, "+") for row in rows]),
    ]
    room = width - taken_by(numbers)
    names = Column("Row, where, and what the census saw", "stack", [_lines(row, room) for row in rows])
    shown = f"top {len(rows)} of {len(every)} rows" if len(rows) < len(every) else f"{len(rows)} rows"
    return section(f"{shown} of the ledger, the likeliest culprit first: self time by step", [*numbers, names], width)


def _lines(row: Delta, width: int) -> str:
    where = clean(" ".join(word for word in (row.module, row.phase) if word))
    lines = [shorten_right(_named(row), width), *([shorten_left(where, width)] if where else [])]
    if row.there == "both" and row.base_module != row.module:
        lines.append(shorten_left(clean(f"in base {row.base_module or 'outside all modules'}"), width))
    return "\n".join([*lines, *_folded(_because(row.cause), width)])


def _named(row: Delta) -> str:
    if row.kind == "unattributed":
        return "(unattributed)"
    if row.kind == "python":
        return f"(Python: {clean(row.name)})"
    return clean(f"{row.name} {format_shapes(row.shapes)}".rstrip())


def _because(cause: Cause) -> str:
    if cause.kind == "time":
        return "time alone"
    return f"{cause.kind} {_value(cause.base)} → {_value(cause.head)}"


# --- the census -------------------------------------------------------------------------------------


def _census(census: Census, top: int, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(), Text("Census: what the step runs, counted", "italic")]
    moved = [total for total in census.totals if total.base != total.head]
    totals = [f"{clean(one.what)} {_amount(one.what, one.base)} → {_amount(one.what, one.head)}" for one in moved]
    parts += _hung(["by step: " + ("; ".join(totals) if totals else "all totals are the same")], width)
    parts += _hung((f"{fate}: {_counted(whats)}" for fate, whats in census.tally.items()), width)
    if census.unstable:
        parts += _hung(
            [f"unstable, so not judged: {len(census.unstable)}, such as {_where(census.unstable[0])}"], width
        )
    entries = list(islice(census.entries, top))
    if not entries:
        return parts
    fates = Column("", "number", [fate for fate, _ in entries])
    cells = [_entry_lines(entry, width - taken_by([fates])) for _, entry in entries]
    shown = f"first {len(entries)} of {census.judged} entries"
    return [*parts, *section(shown, [fates, Column("Where, and what", "stack", cells)], width)]


def _entry_lines(entry: Entry, width: int) -> str:
    lines = [shorten_right(_where(entry), width)]
    if entry.where.module:
        lines.append(shorten_left(clean(entry.where.module), width))
    return "\n".join([*lines, *_folded(_change(entry), width)])


def _folded(text: str, width: int) -> list[str]:
    """The lines of a text of which every word counts."""
    lines = textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
    # Wide characters take two cells each, which textwrap does not know.
    return [shorten_right(line, width) for line in lines]


def _amount(what: str, value: float | None) -> str:
    return format_bytes(value) if "bytes" in what else format_count(value) if what != "flops" else _value(value)


def _counted(whats: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {what.replace('_', ' ')}" for what, count in whats.items())


def _where(entry: Entry) -> str:
    return clean(f"{entry.where.name or '(not joined)'} {entry.problem or format_shapes(entry.where.shapes)}".rstrip())


def _change(entry: Entry) -> str:
    about = clean(f"{entry.primitive}: " if entry.primitive else "")
    return f"{about}{clean(entry.what.replace('_', ' '))} {_value(entry.base)} → {_value(entry.head)}"
