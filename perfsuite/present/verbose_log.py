"""A oneDNN log as text: totals and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len, chop_cells
from rich.console import RenderableType
from rich.text import Text

from perfsuite.analyse.tables import short_direction
from perfsuite.analyse.verbose_log import GRAPH_COLUMNS, Row, group, group_graphs
from perfsuite.onednn import Rejected, Tally
from perfsuite.present.cells import clean, format_ns, format_share, shorten_left, shorten_right
from perfsuite.present.layout import MIN_WIDTH, Column, hanging, section, taken_by, to_text

#: Rejected records that are shown; all are counted.
_EXAMPLES = 5
_INDENT = "  "
#: Of one value in a cell.
_LINES = 6
_UNTERMINATED = "the log ends without a line feed, so the time of its last record may be cut off"
_CAPTIONS = {"op_names": "Operations", "partition_kind": "Partition", "dtypes": "Data types"}


def render_log(tally: Tally, *, top: int, width: int, color: bool) -> str:
    """Totals, then where the time went: by primitive and direction, by implementation, by shape.

    Args:
        top: rows in a table.
    """
    width = max(width, MIN_WIDTH)
    parts = _facts(tally, width)
    for by in (("kind", "direction"), ("kind", "direction", "implementation"), ("kind", "direction", "problem")):
        parts += _table(f"By {_list(by)}", by, group(tally.primitives, by), top, width)
    return to_text([*parts, *_graphs(tally, top, width), *_rejects(tally, width)], width, color)


def render_log_by(tally: Tally, by: Sequence[str], *, top: int, width: int, color: bool) -> str:
    """Totals and one table, of the primitives grouped by the columns ``by``; ``top`` rows of it."""
    width = max(width, MIN_WIDTH)
    table = _table(f"By {_list(by)}", by, group(tally.primitives, by), top, width)
    return to_text([*_facts(tally, width), *table, *_rejects(tally, width)], width, color)


def nothing_executed(name: str) -> str:
    """What to tell someone whose log has no execution in it."""
    return (
        f"{clean(name)}: no oneDNN primitive was executed in it; run the program with ONEDNN_VERBOSE=1 in its "
        "environment and keep its standard output"
    )


def some_rejected(name: str, tally: Tally) -> str:
    """One line for standard error about the records that could not be read."""
    first = tally.rejects[0] if tally.rejects else None
    where = f"; the first is line {first.line}: {clean(first.reason)}" if first else ""
    records, count = ("1 record", "counts") if tally.rejected == 1 else (f"{tally.rejected} records", "count")
    return f"{clean(name)}: {records} of oneDNN could not be read and {count} nowhere{where}"


def cut_off(name: str) -> str:
    """One line for standard error about a log whose last time may be cut (:attr:`Tally.unterminated`)."""
    return f"{clean(name)}: {_UNTERMINATED}; it counts as it stands"


def unknown_formats(tally: Tally) -> str:
    """The records in a version of the format that is not known (:attr:`Tally.unknown_formats`), where there are any."""
    (first, count), *more = tally.unknown_formats.items()
    others = "".join(f", {count} of {clean(version)}" for version, count in more)
    records = "1 record" if count == 1 else f"{count} records"
    return f"{records} of format {clean(first)}{others}, which this version of perfsuite does not know; read as v1"


# --- parts ------------------------------------------------------------------------------------------


def _facts(tally: Tally, width: int) -> list[RenderableType]:
    lines = [
        f"{tally.lines} lines · {tally.executions} executions in {_time(tally.time_ms)} · {tally.recovered} recovered "
        f"from other output · {tally.rejected} rejected"
    ]
    if tally.graph_executions:
        lines.append(f"graph: {tally.graph_executions} executions in {_time(tally.graph_time_ms)}, not added to these")
    if tally.ignored:
        ignored = ", ".join(f"{clean(operation)} {count}" for operation, count in sorted(tally.ignored.items()))
        lines.append(f"not executions: {ignored}")
    if tally.unterminated:
        lines.append(_UNTERMINATED)
    if tally.unknown_formats:
        lines.append(unknown_formats(tally))
    titles: list[RenderableType] = [Text(_copy(copy), "bold", overflow="fold") for copy in tally.copies]
    return [*titles, *(part for line in lines for part in hanging(line, width))]


def _copy(facts: Mapping[str, str]) -> str:
    commit, threads = facts.get("commit"), facts.get("threads")
    items = [
        f"oneDNN {facts['version']}" if "version" in facts else "oneDNN",
        f"commit {commit[:10]}" if commit and commit != "N/A" else None,
        facts.get("isa"),
        f"{threads} thread{'' if threads == '1' else 's'}" if threads else None,
    ]
    return " · ".join(clean(item) for item in items if item)


def _table(caption: str, by: Sequence[str], rows: Sequence[Row], top: int, width: int) -> list[RenderableType]:
    if not rows:
        return []
    shown = rows[:top]
    names = [Column(_caption(name), "name", _cells(name, i, shown)) for i, name in enumerate(by)]
    numbers = [
        Column("Time", "number", [_time(row.time_ms) for row in shown]),
        Column("Share", "number", [format_share(row.share) for row in shown]),
        Column("Calls", "number", [str(row.count) for row in shown]),
        Column("A call", "number", [_time(row.mean_ms) for row in shown]),
    ]
    room = width - taken_by(numbers)
    texts = names if taken_by(names) <= room else [_below_each_other(names, room)]
    count = f"top {len(shown)} of {len(rows)}" if len(shown) < len(rows) else str(len(rows))
    return section(f"{caption}: {count}", [*texts, *numbers], width)


def _cells(name: str, index: int, rows: Sequence[Row]) -> list[str]:
    values = [row.key[index] for row in rows]
    return [clean(short_direction(value) if name == "direction" else value) for value in values]


def _below_each_other(names: Sequence[Column], width: int) -> Column:
    """One column: kind and direction on the first line of a cell, what is long on lines of its own."""
    brief = [column for column in names if column.header in ("Primitive", "Direction")] or [names[0]]
    details = [column for column in names if column not in brief]
    cells = []
    for i in range(len(names[0].cells)):
        first = " ".join(filter(None, (column.cells[i] for column in brief)))
        wrapped = (line for column in details for line in _wrapped(column.cells[i], width - len(_INDENT)))
        cells.append("\n".join([shorten_right(first, width), *(_INDENT + line for line in wrapped)]))
    return Column(" ".join(column.header for column in brief), "stack", cells)


def _wrapped(text: str, width: int, lines: int = _LINES) -> Iterator[str]:
    """``text`` in lines of ``width`` cells, broken behind a space or else behind a ``_``; ``lines`` at most."""
    for _ in range(lines - 1):
        if cell_len(text) <= width:
            break
        line = chop_cells(text[:width], width)[0]
        breaks = (1 + line.rfind(mark) for mark in " _")
        line = line[: next((at for at in breaks if at > width // 3), width)]
        text = text[len(line) :]
        yield line.rstrip()
    if text:
        yield shorten_right(text, width)


def _graphs(tally: Tally, top: int, width: int) -> list[RenderableType]:
    caption = "Graph partitions, timed around the primitives inside them"
    return _table(caption, GRAPH_COLUMNS, group_graphs(tally.graphs), top, width)


def _rejects(tally: Tally, width: int) -> list[RenderableType]:
    if not tally.rejected:
        return []
    shown = tally.rejects[:_EXAMPLES]
    numbers = Column("Line", "number", [str(reject.line) for reject in shown])
    room = width - taken_by([numbers])
    reasons = Column("Reason, and the end of the record", "stack", [_reject(reject, room) for reject in shown])
    return section(f"Rejected: the first {len(shown)} of {tally.rejected}", [numbers, reasons], width) if shown else []


def _reject(reject: Rejected, width: int) -> str:
    """The whole reason, and on a line of its own the end of the record: all of them begin alike."""
    reason = clean(reject.reason)
    end = shorten_left(clean(reject.text), width - len(_INDENT))
    return "\n".join([*_wrapped(reason, width, lines=len(reason)), *([_INDENT + end] if end else [])])


def _caption(column: str) -> str:
    return "Primitive" if column == "kind" else _CAPTIONS.get(column, column.capitalize())


def _list(by: Sequence[str]) -> str:
    return ", ".join("primitive" if name == "kind" else name for name in by)


def _time(ms: float | None) -> str:
    return format_ns(None if ms is None else ms * 1e6)
