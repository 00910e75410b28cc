"""What the page's scripts work on: each workload as columns, every text once.

``[s]`` is an index into ``strings``, −1 where there is none; other values that are not known are null::

    {"workloads": [{"id": "w0", "strings": [...],
      "operators": {"name": [s], "phase": [s], "module": [s], "shapes": [s], "dtypes": [s], "count": [n],
                    "self_ns": [n], "total_ns": [n], "share": [n], "primitives_ns": [n], "flop_rate": [n],
                    "byte_rate": [n], "bound": [s], "unbound": [s], "ceiling_share": [n]},  most self time first
      "primitives": {"operator": [row or -1], "kind": [s], "direction": [s], "implementation": [s], "dtypes": [s],
                     "layouts": [s], "attributes": [s], "algorithm": [s], "problem": [s], "count": [n],
                     "time_ns": [n], "share": [n]},
      "icicle": {"parent": [node or -1], "label": [s], "kind": [s], "ns": [n], "start": [fraction of the step],
                 "width": [fraction], "row": [row or -1], "primitive": [index or -1], "scaled": [0 or 1]}}]}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from perfsuite.analyse.report import Report, WorkloadReport
from perfsuite.analyse.tables import short_direction
from perfsuite.present.cells import clean, format_shapes
from perfsuite.records import Primitive

Column = list[Any]
#: Characters with which a text could end the element it stands in, or begin another.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_TEXTS = ("kind", "implementation", "dtypes", "layouts", "attributes", "algorithm", "problem")


class _Strings:
    """Every text once, in the order of first use; a text from a log is harmless in it."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}
        self.texts: list[str] = []

    def index(self, text: str | None, *, name: bool = False) -> int:
        """Where it is; −1 for none and for an empty one, which only as a ``name`` is something else than none."""
        if text is None or not (text or name):
            return -1
        found = self._indices.get(text)
        if found is None:
            found = self._indices[text] = len(self.texts)
            self.texts.append(text if text.isprintable() else clean(text))
        return found

    def column(self, texts: Iterable[str | None], *, name: bool = False) -> Column:
        return [self.index(text, name=name) for text in texts]


def page_data(report: Report) -> dict[str, Any]:
    """The data of all workloads of a report, as strict JSON values."""
    return {"workloads": [_workload(f"w{index}", one) for index, one in enumerate(report.workloads)]}


def as_script(data: dict[str, Any]) -> Markup:
    """JSON that can stand in a ``<script>`` element: no text in it can end that."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for char, escape in _UNSAFE.items():
        text = text.replace(char, escape)
    return Markup(text)


def written_dtypes(dtypes: Iterable[str | None]) -> str:
    """The data types of the tensors among an operator's inputs."""
    return " ".join(dtype for dtype in dtypes if dtype)


def _workload(name: str, one: WorkloadReport) -> dict[str, Any]:
    strings = _Strings()
    return {
        "id": name,
        "operators": _operators(one, strings),
        "primitives": _primitives(one, strings),
        "icicle": _icicle(one, strings),
        "strings": strings.texts,
    }


def _operators(one: WorkloadReport, strings: _Strings) -> dict[str, Column]:
    rows, points = one.operators, one.points
    return {
        "name": strings.column(row.name for row in rows),
        "phase": strings.column((row.phase for row in rows), name=True),
        "module": strings.column((row.module for row in rows), name=True),
        "shapes": strings.column(format_shapes(row.shapes) for row in rows),
        "dtypes": strings.column(written_dtypes(one.profile.operators[row].dtypes) for row in one.rows),
        "count": _numbers((row.count for row in rows), 3),
        "self_ns": _numbers((row.self_ns for row in rows), 1),
        "total_ns": _numbers((row.total_ns for row in rows), 1),
        "share": _numbers((row.share for row in rows), 6),
        "primitives_ns": _numbers((row.primitives_ns for row in rows), 1),
        "flop_rate": _numbers((point.flop_rate for point in points), 0),
        "byte_rate": _numbers((point.byte_rate for point in points), 0),
        "bound": strings.column(point.bound_by for point in points),
        "unbound": strings.column(point.unbound for point in points),
        "ceiling_share": _numbers((point.share for point in points), 6),
    }


def _primitives(one: WorkloadReport, strings: _Strings) -> dict[str, Column]:
    shown = {row: index for index, row in enumerate(one.rows)}
    rows: tuple[Primitive, ...] = one.profile.primitives
    texts = {name: strings.column(getattr(row, name) for row in rows) for name in _TEXTS}
    return {
        **texts,
        "operator": [-1 if row.operator is None else shown.get(row.operator, -1) for row in rows],
        "direction": strings.column(short_direction(row.direction) for row in rows),
        "count": _numbers((row.count for row in rows), 3),
        "time_ns": _numbers((row.time_ns for row in rows), 1),
        "share": _numbers(one.primitive_shares, 6),
    }


def _icicle(one: WorkloadReport, strings: _Strings) -> dict[str, Column]:
    shown = {row: index for index, row in enumerate(one.rows)}
    nodes = one.icicle.nodes
    return {
        "parent": [-1 if node.parent is None else node.parent for node in nodes],
        "label": strings.column(node.label for node in nodes),
        "kind": strings.column(node.kind for node in nodes),
        "ns": _numbers((node.ns for node in nodes), 1),
        "start": _numbers((node.start for node in nodes), 7),
        "width": _numbers((node.width for node in nodes), 7),
        "row": [-1 if node.row is None else shown.get(node.row, -1) for node in nodes],
        "primitive": [-1 if node.primitive is None else node.primitive for node in nodes],
        "scaled": [int(node.scaled) for node in nodes],
    }


def _numbers(values: Iterable[float | None], digits: int) -> Column:
    return [_number(value, digits) for value in values]


def _number(value: float | None, digits: int) -> float | int | None:
    """Rounded to what can be told apart on the page; whole numbers as such, which is shorter."""
    if value is None or not math.isfinite(value):
        return None
    rounded = round(value, digits)
    return int(rounded) if rounded == int(rounded) else rounded
