"""What a verbose record means, apart from its time: the columns before the last comma, understood."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from perfsuite.onednn.descriptors import tensors


class Call(NamedTuple):
    """A primitive's execution; the fields of :class:`perfsuite.onednn.Distinct` before count and time."""

    kind: str
    implementation: str
    direction: str
    dtypes: str
    layouts: str
    attributes: str
    algorithm: str
    problem: str
    engine: str
    descriptors: str


class Partition(NamedTuple):
    """A graph partition's execution; the fields of :class:`perfsuite.onednn.GraphExecution` before count and time."""

    engine: str
    partition_id: str
    partition_kind: str
    op_names: str
    data_formats: str
    logical_tensors: str
    fpmath_mode: str
    implementation: str
    backend: str


class Other(NamedTuple):
    """A record that is no execution: creation, dispatch, checks, header."""

    operation: str


class Malformed(NamedTuple):
    """A record that is none."""

    reason: str


Meaning: TypeAlias = Call | Partition | Other | Malformed

#: Columns of a primitive's execution where the log names none (the header is printed once per process).
CALL_COLUMNS = (
    "operation",
    "engine",
    "primitive",
    "implementation",
    "prop_kind",
    "memory_descriptors",
    "attributes",
    "auxiliary",
    "problem_desc",
    "exec_time",
)
#: Columns of a graph partition's execution; 3.2 and older had no implementation.
PARTITION_COLUMNS = ("operation", *Partition._fields, "exec_time")

#: Attributes came with 1.2, the engine with 1.0.
_OLD_CALLS = (
    tuple(column for column in CALL_COLUMNS if column != "attributes"),
    tuple(column for column in CALL_COLUMNS if column not in ("attributes", "engine")),
)
#: A record of a marker that all of them had, where the log names no columns, may be written in any of these.
_UNNAMED = (CALL_COLUMNS, *_OLD_CALLS)
_OLD_PARTITIONS = (tuple(column for column in PARTITION_COLUMNS if column != "implementation"),)
_NEEDED = {
    False: frozenset(("operation", "primitive", "prop_kind", "memory_descriptors", "problem_desc", "exec_time")),
    True: frozenset(("operation", "partition_kind", "op_names", "exec_time")),
}
_PROP_KINDS = frozenset(
    ("undef", "forward", "forward_training", "forward_inference", "forward_scoring", "backward", "backward_data",
     "backward_weights", "backward_bias")
)  # fmt: skip
#: Kinds whose problem reads ``mb2ic16ih14iw14``; that of the others reads ``2x16x14x14``.
WITH_LETTERS = frozenset(
    ("batch_normalization", "convolution", "deconvolution", "group_normalization", "inner_product", "lrn", "pooling",
     "resampling", "rnn")
)  # fmt: skip
#: What no auxiliary values look like: they read ``alg:eltwise_relu alpha:0``.
_SHAPE = re.compile(r"[\dx:]+|[^:]+", re.ASCII)
#: What printf makes of a time where the decimal point is a comma.
_DECIMAL_COMMA = re.compile(r"\d+,\d+(?:e[+-]\d+)?", re.ASCII)
#: The only primitive whose problem is written with commas of its own.
_COMMAS_IN_PROBLEM = frozenset(("sdpa",))

OPERATION = re.compile(r"(?:exec|create|create_nested|compile|info|error|warn|warning|debuginfo)(?::.*)?", re.DOTALL)
_TEMPLATE = re.compile(r"(?:prim_)?template:")


class Columns:
    """The columns of records as the log's own template lines name them.

    Each marker (``onednn_verbose,v1``, ``dnnl_verbose`` …) has templates of its own, the last one read first: a
    process may hold two copies of oneDNN of different versions, whose lines alternate.
    """

    def __init__(self) -> None:
        self._templates: dict[tuple[str, bool], tuple[tuple[str, ...], ...]] = {}

    def learn(self, marker: str, graph: bool, fields: Sequence[str]) -> tuple[str, ...] | None:
        """The columns that a template line names, without the timestamp; None if ``fields`` are none."""
        found = _TEMPLATE.match(fields[0]) if fields else None
        if found is None:
            return None
        named = tuple(c for c in (fields[0][found.end() :], *fields[1:]) if c != "timestamp")
        if not set(named) >= _NEEDED[graph] or named[-1] != "exec_time" or len(set(named)) != len(named):
            return None
        known = self._templates.get((marker, graph), ())
        # A few: a process has one or two copies of oneDNN; anything more is noise that looks like a template.
        self._templates[marker, graph] = (named, *(columns for columns in known if columns != named))[:8]
        return named

    def of(self, marker: str, graph: bool) -> tuple[tuple[str, ...], ...]:
        """What a record behind ``marker`` may be written in, the likeliest first; never empty."""
        known = self._templates.get((marker, graph))
        if known:
            return known
        if graph:
            return (PARTITION_COLUMNS, *_OLD_PARTITIONS)
        old = not marker.startswith("onednn") and ",v" not in marker
        return _UNNAMED if old else (CALL_COLUMNS,)


def is_graph(marker: str, component: str) -> bool:
    """Whether a record is about graph partitions: its component says so, or (up to 3.2) its marker."""
    return component == "graph" or "_graph_verbose" in marker


def component_and_operation(fields: list[str]) -> tuple[str, int]:
    """(component or "", index of the operation in ``fields``)."""
    return ("", 0) if not fields or OPERATION.fullmatch(fields[0]) else (fields[0], 1)


def meaning_of(marker: str, fields: list[str], columns: Columns) -> Meaning:
    """What the columns ``fields`` of a record behind ``marker`` mean.

    The last one, the time, is looked at only for the reason why a record is none.
    """
    component, at = component_and_operation(fields)
    operation = fields[at] if at < len(fields) else ""
    graph = is_graph(marker, component)
    if operation == "exec":
        return _execution(fields[at:], columns.of(marker, graph), graph)
    if graph or OPERATION.fullmatch(operation):
        return Other(f"graph {operation[:40]}".strip() if graph else operation[:40])
    return Malformed(f"unknown operation {operation[:40]!r}")


def _execution(fields: list[str], templates: Sequence[tuple[str, ...]], graph: bool) -> Meaning:
    template = next((columns for columns in templates if len(columns) == len(fields)), templates[0])
    surplus = len(fields) - len(template)
    if surplus > 0 and not graph and _COMMAS_IN_PROBLEM.intersection(fields[1:3]) and not fields[-2].isdecimal():
        at = template.index("problem_desc")
        fields = [*fields[:at], ",".join(fields[at : at + surplus + 1]), *fields[at + surplus + 1 :]]
    if len(fields) != len(template):
        return _other_columns(fields, templates, len(template))
    value = dict(zip(template, fields, strict=True))
    if template in _OLD_CALLS and (not value["problem_desc"] or value["problem_desc"].startswith("alg:")):
        # A newer record that ends too early: where a 1-D problem ends it, that would pass for the time.
        return _other_columns(fields, templates, len(CALL_COLUMNS))
    if templates == _UNNAMED and not _makes_sense(value):
        return _other_columns(fields, templates, len(CALL_COLUMNS))
    if graph and value.get("backend", "").isdecimal():
        return _other_columns(fields, templates, len(PARTITION_COLUMNS))
    if graph:
        return Partition(*(value.get(column, "") for column in Partition._fields))
    dtypes, layouts = tensors(value["memory_descriptors"])
    return Call(
        kind=value["primitive"],
        implementation=value.get("implementation", ""),
        direction=value["prop_kind"],
        dtypes=dtypes,
        layouts=layouts,
        attributes=value.get("attributes", "").strip(),
        algorithm=value.get("auxiliary", ""),
        problem=value["problem_desc"],
        engine=value.get("engine", "cpu"),
        descriptors=value["memory_descriptors"],
    )


def _makes_sense(value: Mapping[str, str]) -> bool:
    """Whether columns that only their number chose hold what their names say, so far as every version has it.

    A comma too many or too few makes a record of one version look like one of another.
    """
    problem, auxiliary = value["problem_desc"], value["auxiliary"]
    if problem.isdecimal() and (value["primitive"] in WITH_LETTERS or _SHAPE.fullmatch(auxiliary)):
        return False
    if "attributes" in value:
        return True
    return value["prop_kind"] in _PROP_KINDS and tensors(value["memory_descriptors"])[1] != ""


def _other_columns(fields: Sequence[str], templates: Sequence[Sequence[str]], expected: int) -> Malformed:
    time = ",".join(fields[-2:])
    if _DECIMAL_COMMA.fullmatch(time) and any(len(columns) < len(fields) for columns in templates):
        return Malformed(f"its time seems to have a decimal comma, {time[:40]}; run the program with LC_ALL=C")
    return Malformed(f"{len(fields)} columns where {expected} are expected")
