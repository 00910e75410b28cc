"""A comparison of two runs as text for a terminal or a pipe."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from itertools import islice

from rich.console import RenderableType
from rich.text import Text

from perfsuite.analyse.diff import Census, Change, Delta, Entry, Missing, RunDiff, Wall, WorkloadDiff
from perfsuite.present.cells import (
    MISSING,
    clean,
    format_bytes,
    format_count,
    format_ns,
    shorten_left,
    shorten_right,
)
from perfsuite.present.layout import MIN_WIDTH, Column, hanging, section, taken_by, to_text
from perfsuite.present.phrases import (
    NO_ROW,
    because,
    confidence,
    counted,
    delta,
    delta_share,
    entry_change,
    entry_where,
    factor,
    signed,
    value,
)
from perfsuite.units import format_grouped


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
    parts += _hung(map(_only, diff.missing), width)
    for workload in diff.workloads:
        parts += [Text(), *_workload(workload, top, width)]
    return to_text(parts, width, color)


def _workload(workload: WorkloadDiff, top: int, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(clean(workload.name), "bold", overflow="fold")]
    parts += _hung(_changed("workload", workload.changes), width)
    parts += _hung([_step(workload.wall), *_ledger(workload), *_kernel(workload)], width)
    parts += _hung((f"note: {clean(note)}" for note in workload.notes), width)
    if workload.operators:
        parts += _rows(workload, top, width)
    if workload.ledger is not None:
        parts += _census(workload.census, top, width)
    return parts


# --- lines ------------------------------------------------------------------------------------------


def _hung(lines: Iterable[str], width: int) -> list[RenderableType]:
    return [part for line in lines for part in hanging(line, width)]


def _changed(what: str, changes: Iterable[Change]) -> list[str]:
    return [f"{what}: {clean(one.key)} {value(one.base, None)} → {value(one.head, None)}" for one in changes]


def _only(one: Missing) -> str:
    if one.only_in == "unknown":
        return f"in {one.found_in}, on the other side missing or in a file that cannot be read: {clean(one.name)}"
    return f"only in {one.only_in}: {clean(one.name)}"


def _step(wall: Wall) -> str:
    if wall.base_ns is None or wall.head_ns is None or wall.ratio is None:
        return "step: not timed on both sides"
    line = f"step: head is {factor(wall.ratio)} base ({format_ns(wall.base_ns, 4)} → {format_ns(wall.head_ns, 4)}), "
    if wall.interval is None:
        return f"{line}too few samples for an interval (n = {wall.base_n} and {wall.head_n})"
    low, high = wall.interval
    return (
        f"{line}{confidence(wall)} interval {low:.3f} to {high:.3f}, of these two processes "
        f"(n = {wall.base_n}, {wall.head_n})"
    )


def _ledger(workload: WorkloadDiff) -> list[str]:
    ledger = workload.ledger
    if ledger is None:
        return []
    return [
        f"profiled step: {format_ns(ledger.base_ns)} → {format_ns(ledger.head_ns)}: operators "
        f"{signed(ledger.operators_ns)}, Python {signed(ledger.python_ns)}, unattributed "
        f"{signed(ledger.unattributed_ns)}"
    ]


def _kernel(workload: WorkloadDiff) -> list[str]:
    """What both sides know of one bare step; nothing where a side knows nothing."""
    base, head = workload.base_memory, workload.head_memory
    if base is None or head is None:
        return []
    parts = []
    if None not in (base.page_faults, head.page_faults, base.system_ns, head.system_ns):
        parts.append(
            f"kernel: {counted(base.page_faults or 0, 'page fault')}, {format_ns(base.system_ns)} system time → "
            f"{format_grouped(head.page_faults)}, {format_ns(head.system_ns)} (one bare step)"
        )
    if base.peak_rss_bytes is not None and head.peak_rss_bytes is not None:
        peaks = f"{format_bytes(base.peak_rss_bytes)} → {format_bytes(head.peak_rss_bytes)}"
        parts.append(f"memory: {peaks} resident at most (the same step)" if parts else f"memory: {peaks} resident")
    return parts


# --- rows -------------------------------------------------------------------------------------------


def _rows(workload: WorkloadDiff, top: int, width: int) -> list[RenderableType]:
    every, rows = workload.operators, workload.operators[:top]
    numbers = [
        Column("Change", "number", [signed(row.delta_ns) for row in rows]),
        Column("At least", "number", [_at_least(row) for row in rows]),
        Column("Of base", "number", [delta_share(row) for row in rows]),
    ]
    room = width - taken_by(numbers)
    names = Column("Row, where, and what the census saw", "stack", [row_lines(row, room) for row in rows])
    shown = f"top {len(rows)} of {len(every)} rows" if len(rows) < len(every) else f"{len(rows)} rows"
    order = "the likeliest culprit first" if workload.culprits else "the largest change first"
    table = section(f"{shown} of the ledger, {order}: self time by step", [*numbers, names], width)
    if workload.culprits:
        return table
    return [*_hung([NO_ROW], width), *table]


def _at_least(row: Delta) -> str:
    if row.interval is None:
        return MISSING
    return signed(row.beyond_ns if row.delta_ns > 0 else -row.beyond_ns) if row.beyond_ns else format_ns(0)


def row_lines(row: Delta, width: int) -> str:
    """The row, its place and what the census saw, in lines of at most ``width`` cells."""
    where = clean(" ".join(word for word in (row.module, row.phase) if word))
    lines = [shorten_right(delta(row, None), width), *([shorten_left(where, width)] if where else [])]
    if row.there == "both" and row.base_module != row.module:
        lines.append(shorten_left(clean(f"in base {row.base_module or 'outside all modules'}"), width))
    return "\n".join([*lines, *_folded(because(row, None), width)])


# --- the census -------------------------------------------------------------------------------------


def _census(census: Census, top: int, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(), Text("Census: what the step runs, counted", "italic")]
    moved = [one for one in census.totals if None not in (one.base, one.head) and one.base != one.head]
    totals = [f"{clean(one.what)} {_amount(one.what, one.base)} → {_amount(one.what, one.head)}" for one in moved]
    parts += _hung(["by step: " + ("; ".join(totals) if totals else "all totals are the same")], width)
    parts += _hung((f"{fate}: {_counted(whats)}" for fate, whats in census.tally.items()), width)
    if census.unstable:
        parts += _hung(
            [f"unstable, so not judged: {len(census.unstable)}, such as {entry_where(census.unstable[0])}"], width
        )
    entries = list(islice(census.entries, top))
    if not entries:
        return parts
    fates = Column("", "number", [fate for fate, _ in entries])
    cells = [_entry_lines(entry, width - taken_by([fates])) for _, entry in entries]
    first = (
        f"first {len(entries)} of {census.judged} entries"
        if len(entries) < census.judged
        else f"{len(entries)} entries"
    )
    shown = f"{first}, what takes longest first"
    return [*parts, *section(shown, [fates, Column("Where, and what", "stack", cells)], width)]


def _entry_lines(entry: Entry, width: int) -> str:
    lines = [shorten_right(entry_where(entry), width)]
    if entry.where.module:
        lines.append(shorten_left(clean(entry.where.module), width))
    return "\n".join([*lines, *_folded(entry_change(entry), width)])


def _folded(text: str, width: int) -> list[str]:
    """The lines of a text of which every word counts."""
    lines = textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
    # Wide characters take two cells each, which textwrap does not know.
    return [shorten_right(line, width) for line in lines]


def _amount(what: str, count: float | None) -> str:
    return format_bytes(count) if "bytes" in what else format_count(count) if what != "flops" else value(count)


def _counted(whats: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {what.replace('_', ' ')}" for what, count in whats.items())
