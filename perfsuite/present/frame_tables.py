"""The tables that :func:`perfsuite.to_dataframe` makes: their columns and rows, without pandas.

A column has the name of the record's field, unit included, and a pandas dtype that can hold what is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, TypeVar, get_type_hints

from perfsuite.analyse import tables
from perfsuite.analyse.diff import Cause, Delta, Entry, Place, Total, Wall, WorkloadDiff
from perfsuite.records import Ledger, Memory, Operator, Primitive, Profile, PythonTime

Source = TypeVar("Source")
Row = tuple[Any, ...]

_DTYPES: Mapping[Any, str] = {
    str: "string",
    str | None: "string",
    int: "Int64",
    int | None: "Int64",
    float: "Float64",
    float | None: "Float64",
    bool: "boolean",
}


@dataclass(frozen=True)
class Column:
    """``dtype`` is one of pandas; ``object`` holds tuples, and what is a number here and words there."""

    name: str
    dtype: str


@dataclass(frozen=True)
class Table(Generic[Source]):
    """Rows of a profile or of a comparison."""

    columns: tuple[Column, ...]
    rows: Callable[[Source], Iterable[Row]]
    #: Whether what the rows are made of was recorded: that there are none of them means something only then.
    recorded: Callable[[Source], bool]


def _columns(record: type, *, prefix: str = "", without: tuple[str, ...] = ()) -> tuple[Column, ...]:
    hints = get_type_hints(record)
    return tuple(
        Column(prefix + field.name, _DTYPES.get(hints[field.name], "object"))
        for field in fields(record)
        if field.name not in without
    )


def _values(record: Any, record_type: type, without: tuple[str, ...] = ()) -> Row:
    """The record's fields, or as many Nones where there is no record."""
    names = [field.name for field in fields(record_type) if field.name not in without]
    return tuple(None if record is None else getattr(record, name) for name in names)


# --- a profile --------------------------------------------------------------------------------------


def _operators(profile: Profile) -> Iterator[Row]:
    for row in tables.top_operators(profile):
        derived = (row.share, row.primitives_ns, row.implementations)
        yield (row.row, *_values(profile.operators[row.row], Operator), *derived)


def _records(what: str, record: type) -> Table[Profile]:
    return Table(
        _columns(record),
        lambda profile: (_values(row, record) for row in getattr(profile, what)),
        # Ranges of Python come from the pass of the operators.
        lambda profile: tables.recorded(profile, "operators" if what == "python" else what),
    )


def _rows_of(record: type, rows: Callable[[Profile], Iterable[Any]], needs: str) -> Table[Profile]:
    return Table(
        _columns(record),
        lambda profile: (_values(row, record) for row in rows(profile)),
        lambda profile: tables.recorded(profile, needs),
    )


def _samples(profile: Profile) -> Iterator[Row]:
    if profile.samples is not None:
        for number, ns in enumerate(profile.samples.per_step_ns):
            yield (number, ns, profile.samples.iterations)


def _phase_samples(profile: Profile) -> Iterator[Row]:
    for phase in profile.phases:
        for number, ns in enumerate(phase.samples_ns):
            yield (phase.name, number, ns)


def _curve(profile: Profile) -> Iterator[Row]:
    if profile.allocation_curve is not None:
        yield from zip(profile.allocation_curve.times_ns, profile.allocation_curve.live_bytes, strict=True)


def _has_phases(profile: Profile) -> bool:
    return "phases" in profile.passes or bool(profile.phases)


PROFILE_TABLES: Mapping[str, Table[Profile]] = {
    "operators": Table(
        (
            Column("operator", "Int64"),
            *_columns(Operator),
            Column("share", "Float64"),
            Column("primitives_ns", "Float64"),
            Column("implementations", "object"),
        ),
        _operators,
        lambda profile: tables.recorded(profile, "operators"),
    ),
    "primitives": _records("primitives", Primitive),
    "primitive_kinds": _rows_of(tables.PrimitiveRow, tables.by_primitive, "primitives"),
    "modules": _rows_of(tables.ModuleRow, tables.by_module, "operators"),
    "phases": Table(
        _columns(tables.PhaseRow),
        lambda profile: (_values(row, tables.PhaseRow) for row in tables.by_phase(profile)),
        lambda profile: _has_phases(profile) or tables.recorded(profile, "operators"),
    ),
    "python": _records("python", PythonTime),
    "samples": Table(
        (Column("round", "Int64"), Column("step_ns", "Float64"), Column("iterations", "Int64")),
        _samples,
        lambda profile: profile.samples is not None,
    ),
    "phase_samples": Table(
        (Column("phase", "string"), Column("step", "Int64"), Column("wall_ns", "Int64")),
        _phase_samples,
        _has_phases,
    ),
    "allocations": Table(
        (Column("time_ns", "Int64"), Column("live_bytes", "Int64")),
        _curve,
        lambda profile: profile.allocation_curve is not None,
    ),
    "steps": Table(
        (
            *(Column(name, "string") for name in ("scale", "dtype", "backend")),
            *_columns(tables.Headline),
            *_columns(Ledger, prefix="ledger_"),
            *_columns(Memory, prefix="memory_"),
            Column("contended", "boolean"),
        ),
        lambda profile: [
            (
                *(profile.scale, profile.dtype, profile.backend),
                *_values(tables.headline(profile), tables.Headline),
                *_values(profile.ledger, Ledger),
                *_values(profile.memory, Memory),
                profile.contended,
            )
        ],
        # A row with nothing in it says so itself.
        lambda profile: True,
    ),
}


# --- a comparison -----------------------------------------------------------------------------------

_CAUSE = _columns(Cause, prefix="cause_")


def _deltas(diff: WorkloadDiff) -> Iterator[Row]:
    for number, row in enumerate(diff.operators):
        low, high = row.interval or (None, None)
        own = _values(row, Delta, ("interval", "cause", "causes"))
        causes = tuple(asdict(cause) for cause in row.causes)
        yield (*own, low, high, *_values(row.cause, Cause), causes, number < diff.culprits)


def _entries(diff: WorkloadDiff) -> Iterator[Row]:
    unstable = (("unstable", entry) for entry in diff.census.unstable)
    for fate, entry in (*diff.census.entries, *unstable):
        yield (fate, *_values(entry, Entry, ("where", "counts")), *_values(entry.where, Place), entry.counts)


def _wall(diff: WorkloadDiff) -> Iterator[Row]:
    low, high = diff.wall.interval or (None, None)
    yield (*_values(diff.wall, Wall, ("interval",)), low, high)


def _has_ledger(diff: WorkloadDiff) -> bool:
    return diff.ledger is not None


DIFF_TABLES: Mapping[str, Table[WorkloadDiff]] = {
    "operators": Table(
        (
            *_columns(Delta, without=("interval", "cause", "causes")),
            Column("interval_low_ns", "Float64"),
            Column("interval_high_ns", "Float64"),
            *_CAUSE,
            Column("causes", "object"),
            Column("culprit", "boolean"),
        ),
        _deltas,
        _has_ledger,
    ),
    "census": Table(
        (
            Column("fate", "string"),
            *_columns(Entry, without=("where", "counts")),
            *_columns(Place, prefix="where_"),
            Column("counts", "object"),
        ),
        _entries,
        _has_ledger,
    ),
    "totals": Table(_columns(Total), lambda diff: (_values(total, Total) for total in diff.census.totals), _has_ledger),
    "steps": Table(
        (
            *_columns(Wall, without=("interval",)),
            Column("interval_low", "Float64"),
            Column("interval_high", "Float64"),
        ),
        _wall,
        lambda diff: True,
    ),
}
