"""Where the time in a oneDNN log went: distinct primitives, grouped by any of their columns.

A *share* is of the time of all rows that were grouped, so shares add up to 1; graph partitions are timed around the
primitives inside them and are never added to those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from perfsuite.errors import UsageError
from perfsuite.onednn import Distinct, GraphExecution

#: What primitives can be grouped by.
COLUMNS = (
    "kind", "direction", "implementation", "dtypes", "layouts", "attributes", "algorithm", "problem", "engine",
)  # fmt: skip
#: What graph partitions are told apart by.
GRAPH_COLUMNS = ("partition_kind", "op_names", "backend", "engine")


@dataclass(frozen=True)
class Row:
    """Executions that agree in the columns they were grouped by."""

    #: The value of each of those columns, in the log's own words.
    key: tuple[str, ...]
    count: int
    time_ms: float
    #: Of the time of all rows; None where that is zero.
    share: float | None
    #: Time of one call; None where there was none.
    mean_ms: float | None


def columns(text: str) -> tuple[str, ...]:
    """The columns that ``kind,direction`` names; one that is named twice counts once.

    Raises:
        UsageError: there is no such column.
    """
    named = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in named:
        if name not in COLUMNS:
            raise UsageError(f"no column {name!r} to group by; there are {', '.join(COLUMNS)}")
    return named


def group(primitives: Iterable[Distinct], by: Sequence[str]) -> tuple[Row, ...]:
    """Primitives by the columns ``by`` (some of :data:`COLUMNS`), most time first, then most calls, then by name."""
    return _rows(primitives, lambda primitive: tuple(getattr(primitive, name) for name in by))


def group_graphs(graphs: Iterable[GraphExecution]) -> tuple[Row, ...]:
    """Graph partitions by :data:`GRAPH_COLUMNS`, most time first; shares are of the time in graph partitions."""
    return _rows(graphs, lambda graph: tuple(getattr(graph, name) for name in GRAPH_COLUMNS))


def _rows(timed: Iterable[Distinct | GraphExecution], key_of: Callable[..., tuple[str, ...]]) -> tuple[Row, ...]:
    groups: dict[tuple[str, ...], list[Distinct | GraphExecution]] = {}
    for one in timed:
        groups.setdefault(key_of(one), []).append(one)
    sums = {key: math.fsum(one.time_ms for one in members) for key, members in groups.items()}
    total = math.fsum(sums.values())
    rows = [
        _row(key, sum(one.count for one in members), sums[key], total) for key, members in groups.items()
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (-row.time_ms, -row.count, row.key)))


def _row(key: tuple[str, ...], count: int, time_ms: float, total_ms: float) -> Row:
    share = time_ms / total_ms if total_ms else None
    return Row(key, count, time_ms, share, mean_ms=time_ms / count if count else None)
