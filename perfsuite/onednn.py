"""oneDNN verbose text → execution records.  Needs no torch.

A verbose line is a comma-separated record behind a marker.  Its columns are named by the ``template:`` line
that newer versions print in their header; the parser goes by that line where there is one and by the number
of columns where there is none.  Formats that are understood, oldest first:

``mkldnn_verbose,exec,reorder,jit:uni,undef,in:f32_nchw out:f32_nChw16c,num:1,2x16x7x7,0.46``
``dnnl_verbose,exec,cpu,reorder,jit:uni,undef,src_f32::blocked:abcd:f0 dst_f32::blocked:aBcd8b:f0,,,2x16x7x7,0.02``
``onednn_verbose,primitive,exec,cpu,…``
``onednn_verbose,v1,primitive,exec,cpu,…,src:f32::blocked:acdb::f0 dst:f32::blocked:Acdb32a::f0,…``
``onednn_verbose,v1,1795228878423.041992,primitive,exec,cpu,…`` (with ``ONEDNN_VERBOSE_TIMESTAMP=1``)
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

MARKER = re.compile(r"(?:onednn|dnnl|mkldnn)_verbose,")

#: Columns of a primitive's execution where the log names none (the header is printed once per process).
DEFAULT_TEMPLATE = (
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
#: Columns that older versions did not have: attributes came with 1.2, the engine with 1.0.
_WITHOUT_TEMPLATE = {
    len(DEFAULT_TEMPLATE): DEFAULT_TEMPLATE,
    9: tuple(column for column in DEFAULT_TEMPLATE if column != "attributes"),
    8: tuple(column for column in DEFAULT_TEMPLATE if column not in ("attributes", "engine")),
}
_NEEDED = frozenset(("operation", "primitive", "prop_kind", "memory_descriptors", "problem_desc", "exec_time"))
#: The only primitive whose problem is written with commas of its own.
_COMMAS_IN_PROBLEM = frozenset(("sdpa",))

_VERSION = re.compile(r"v\d{1,9}")
_TIMESTAMP = re.compile(r"(\d{1,18})(?:\.(\d{1,18}))?")
_MILLISECONDS = re.compile(r"\d{1,30}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,3})?")
_OPERATION = re.compile(r"(?:exec|create|create_nested|info|error|warn)(?::.*)?")
_DTYPES = "f64|f32|bf16|f16|f8_e5m2|f8_e4m3|e8m0|f4_e2m1|f4_e3m0|s64|s32|s8|u8|s4|u4|boolean|undef"
_NAME_AND_DTYPE = re.compile(rf"(.+?)_({_DTYPES})")
_DTYPE_AND_TAG = re.compile(rf"({_DTYPES})_(\w+)")
_LIBRARY = re.compile(r"(?:oneDNN|DNNL|.*MKL-DNN) v([\w.+-]+)(?: \((?:commit|Git Hash) ([^)]*)\))?(?:,(.*))?")


@dataclass(frozen=True)
class Execution:
    """One execution of a oneDNN primitive, in the log's own words.

    ``dtypes`` reads ``"src:f32 wei:f32 dst:f32"`` and ``layouts`` ``"src:acdb wei:Acdb32a dst:acdb"``: the
    tensors that are there, in the log's order.  ``start_ns`` is since the epoch, None where the log has no
    timestamps.  ``direction`` is the prop_kind (``forward_training``, ``backward_weights``, ``undef`` …).
    """

    kind: str
    implementation: str
    direction: str
    dtypes: str
    layouts: str
    attributes: str
    algorithm: str
    problem: str
    time_ns: float
    start_ns: int | None
    engine: str


class VerboseParser:
    """Reads verbose text a line at a time and never raises on what the text says.

    Every line that holds a marker is counted once or more: as an execution, as a graph execution, as a header
    line, in :attr:`ignored` (by operation: creation, dispatch, checks), or in :attr:`rejected` with the reason.
    """

    def __init__(self) -> None:
        #: Header lines in order, from the marker on; of a copy of oneDNN that prints its header twice, the first.
        self.header: list[str] = []
        #: Columns of a primitive's line as the log names them, without the timestamp; None before it does.
        self.template: tuple[str, ...] | None = None
        self.lines = 0
        self.executions = 0
        self.graph_executions = 0
        self.ignored: Counter[str] = Counter()
        #: (line number from 1, what is wrong with it)
        self.rejected: list[tuple[int, str]] = []
        self._copies: set[str] = set()
        self._repeated_header = False

    def feed(self, line: str) -> Execution | None:
        """The execution that ``line`` records, or None if it records none (see the counters for why).

        The record may stand behind other output.  Where a second record follows on the same line, the last
        one counts and what it cut off is rejected.
        """
        self.lines += 1
        starts = [match.start() for match in MARKER.finditer(line)]
        if not starts:
            return None
        for _ in starts[:-1]:
            self._reject("cut off by another record on the same line")
        return self._record(line[starts[-1] :].rstrip("\r\n"))

    def _record(self, record: str) -> Execution | None:
        fields = record.split(",")[1:]
        if _VERSION.fullmatch(fields[0]):
            del fields[0]
        timestamp = _TIMESTAMP.fullmatch(fields[0]) if fields else None
        if timestamp:
            del fields[0]
        component = ""
        if fields and not _OPERATION.fullmatch(fields[0]):
            component = fields.pop(0)
        operation = fields[0] if fields else ""
        if operation == "info":
            self._info(record, component, fields[1:])
        elif component == "graph":
            self._graph(operation)
        elif operation == "exec":
            return self._execution(fields, None if timestamp is None else _nanoseconds(timestamp))
        elif _OPERATION.fullmatch(operation):
            self.ignored[operation[:40]] += 1
        else:
            self._reject(f"unknown operation {operation[:40]!r}")
        return None

    def _info(self, record: str, component: str, fields: list[str]) -> None:
        version_line = ",".join(fields)
        if _LIBRARY.fullmatch(version_line):
            self._repeated_header = version_line in self._copies
            self._copies.add(version_line)
        if self._repeated_header:
            self.ignored["info"] += 1
        else:
            self.header.append(record)
        if component != "graph" and fields and fields[0].startswith("template:"):
            columns = [fields[0].removeprefix("template:"), *fields[1:]]
            named = tuple(column for column in columns if column != "timestamp")
            if set(named) >= _NEEDED and named[-1] == "exec_time":
                self.template = named

    def _graph(self, operation: str) -> None:
        if operation == "exec":
            self.graph_executions += 1
        else:
            self.ignored[f"graph {operation[:40]}".strip()] += 1

    def _execution(self, fields: list[str], start_ns: int | None) -> Execution | None:
        template = self.template or _WITHOUT_TEMPLATE.get(len(fields), DEFAULT_TEMPLATE)
        surplus = len(fields) - len(template)
        if surplus > 0 and _COMMAS_IN_PROBLEM.intersection(fields[1:3]):
            at = template.index("problem_desc")
            fields[at : at + surplus + 1] = [",".join(fields[at : at + surplus + 1])]
        if len(fields) != len(template):
            self._reject(f"{len(fields)} columns where {len(template)} are expected")
            return None
        value = dict(zip(template, fields, strict=True))
        time_ns = _duration(value["exec_time"])
        if time_ns is None:
            self._reject(f"{value['exec_time'][:40]!r} is not a time in milliseconds")
            return None
        dtypes, layouts = _tensors(value["memory_descriptors"])
        self.executions += 1
        return Execution(
            kind=value["primitive"],
            implementation=value.get("implementation", ""),
            direction=value["prop_kind"],
            dtypes=dtypes,
            layouts=layouts,
            attributes=value.get("attributes", "").strip(),
            algorithm=value.get("auxiliary", ""),
            problem=value["problem_desc"],
            time_ns=time_ns,
            start_ns=start_ns,
            engine=value.get("engine", "cpu"),
        )

    def _reject(self, reason: str) -> None:
        self.rejected.append((self.lines, reason))


def header_facts(header: Iterable[str]) -> tuple[dict[str, str], ...]:
    """What the header lines say of each copy of oneDNN: ``version``, ``commit``, ``isa``, ``threads``.

    A fact that the header does not state has no key.  Lines that are no header lines are passed over.
    """
    copies: list[dict[str, str]] = []
    for line in header:
        marker = MARKER.search(line)
        _, found, text = line[marker.end() :].rstrip("\r\n").partition("info,") if marker else ("", "", "")
        if not found:
            continue
        library = _LIBRARY.fullmatch(text)
        if library:
            named = zip(("version", "commit", "isa"), library.groups(), strict=True)
            copies.append({fact: value for fact, value in named if value})
        elif copies and text.startswith("cpu,isa:"):
            copies[-1]["isa"] = text.removeprefix("cpu,isa:")
        elif copies and (threads := re.match(r"cpu,.*nthr:(\d+)", text)):
            copies[-1]["threads"] = threads[1]
    return tuple(copies)


def _nanoseconds(timestamp: re.Match[str]) -> int:
    # In a double, epoch milliseconds are only good to about 240 ns: the digits are taken as they stand.
    whole, fraction = timestamp.groups()
    return int(whole) * 1_000_000 + int((fraction or "").ljust(6, "0")[:6])


def _duration(milliseconds: str) -> float | None:
    if not _MILLISECONDS.fullmatch(milliseconds):
        return None
    # Decimal: 0.258789 ms is 258789 ns, not 258789.00000000003.
    time_ns = float(Decimal(milliseconds) * 1_000_000)
    return time_ns if math.isfinite(time_ns) else None


@lru_cache(maxsize=4096)  # a training step repeats its few dozen descriptors thousands of times
def _tensors(descriptors: str) -> tuple[str, str]:
    """Data types and layouts of a memory_descriptors column; absent tensors (``undef``) are dropped."""
    dtypes, layouts = [], []
    for descriptor in descriptors.split():
        name, dtype, layout = _tensor(descriptor)
        if dtype == "undef" or layout == "undef":
            continue
        if dtype:
            dtypes.append(f"{name}:{dtype}")
        if layout:
            layouts.append(f"{name}:{layout}")
    return " ".join(dtypes), " ".join(layouts)


def _tensor(descriptor: str) -> tuple[str, str, str]:
    """(name, data type, layout) of one memory descriptor, in any of its three spellings."""
    fields = descriptor.split(":")
    joined = _NAME_AND_DTYPE.fullmatch(fields[0])
    if joined and len(fields) > 2:  # src_f32:p:blocked:abcd[:strides]:f0
        fields[0:1] = joined.groups()
    elif len(fields) <= 2:  # fsrc:nChw16c, in:f32_nchw (before 1.0)
        name, tag = fields[0], fields[-1] if len(fields) == 2 else ""
        typed = _DTYPE_AND_TAG.fullmatch(tag)
        if typed:
            return name, typed[1], typed[2]
        return re.sub(r"^f(?=src|wei|bia|dst|data|diff|ws)", "", name), "", tag
    # name : data type : properties : format kind : tag [: strides] : extra flags
    name, dtype, _, *layout = [*fields, "", ""][: max(len(fields), 4)]
    kind, tag, *rest = [*layout, "", ""][: max(len(layout), 2)]
    # f0 says that there are no extra flags.  What else is there (strides, compensation) is part of the layout.
    return name, dtype, ":".join([tag or kind, *(part for part in rest if part and part != "f0")])
