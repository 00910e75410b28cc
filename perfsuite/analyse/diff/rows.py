"""The rows of a ledger in the form in which two of them are compared."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from perfsuite.analyse.diff.names import family, spelling
from perfsuite.records import Operator, Primitive, Profile, PythonTime, Shape


@dataclass(frozen=True)
class Row:
    """An operator, or a range of Python time, with its primitives; per step, as in the records."""

    kind: str
    name: str
    phase: str | None
    module: str | None
    shapes: Shape
    dtypes: tuple[str | None, ...]
    count: float
    self_ns: float
    counts: tuple[int, ...] = ()
    self_ns_samples: tuple[int, ...] = ()
    flops: float | None = None
    bytes_moved: float | None = None
    allocations: tuple[int, ...] = ()
    allocated_bytes: tuple[int, ...] = ()
    primitives: tuple[Primitive, ...] = ()
    #: Which operators of the profile it stands for.
    indices: tuple[int, ...] = ()

    @cached_property
    def spelling(self) -> str:
        """See :func:`perfsuite.analyse.diff.names.spelling`."""
        return spelling(self.name) if self.kind == "operator" else self.name

    @cached_property
    def family(self) -> str:
        """See :func:`perfsuite.analyse.diff.names.family`."""
        return family(self.name) if self.kind == "operator" else self.name

    @cached_property
    def tensors(self) -> Shape:
        """The shapes of its inputs that are tensors, or lists of them."""
        return tuple(shape for shape in self.shapes if shape)

    @cached_property
    def order(self) -> str:
        """Unique within a profile, and the same wherever the row stands in it."""
        return repr((self.kind, self.name, self.phase, self.module, self.shapes, self.dtypes))

    @cached_property
    def stable(self) -> bool:
        """Whether every profiled step ran it, and its primitives, alike.

        Runs of format 1 have only means: a whole number is taken for the same number each time.
        """
        return same_each_time(self.count, self.counts) and all(
            same_each_time(primitive.count, primitive.counts) for primitive in self.primitives
        )


def rows_of(profile: Profile, modules: bool = True, primitives: bool = True) -> tuple[Row, ...]:
    """Operators and Python time; without ``modules``, those that differ by the module alone are one row."""
    known = profile.primitives if primitives else None
    rows = _folded([_operator(row, index, known) for index, row in enumerate(profile.operators)])
    rows += [_python(row) for row in profile.python]
    if modules:
        return tuple(rows)
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.kind, row.name, row.phase, row.shapes, row.dtypes].append(row)
    return tuple(_merged(group) for group in groups.values())


def has_modules(profile: Profile) -> bool:
    """Whether anything is known to belong to a module; under ``torch.compile`` nothing is."""
    modules = [row.module for row in profile.operators] + [row.module for row in profile.python]
    return any(module is not None for module in modules)


def _operator(row: Operator, index: int, primitives: tuple[Primitive, ...] | None) -> Row:
    return Row(
        "operator",
        row.name,
        row.phase,
        row.module,
        row.shapes,
        row.dtypes,
        row.count,
        row.self_ns,
        row.counts,
        row.self_ns_samples,
        row.flops,
        row.bytes_moved,
        row.allocations_samples,
        row.allocated_bytes_samples,
        tuple(primitives[at] for at in row.primitives) if primitives is not None else (),
        (index,),
    )


def _folded(rows: Sequence[Row]) -> list[Row]:
    """Without the rows in which an operator calls itself by its own name, as IPEX's do: they go into the outer one.

    Only the outer call's inputs are recorded, so a row without any input, beside one row of the same operator and
    module that ran as often, is its inside.
    """
    beside: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        beside[row.name, row.phase, row.module].append(row)
    found = []
    for group in beside.values():
        inner = [row for row in group if not row.shapes]
        outer = [row for row in group if row.shapes]
        if len(inner) == len(outer) == 1 and (inner[0].count, inner[0].counts) == (outer[0].count, outer[0].counts):
            whole = _merged([*outer, *inner])
            found.append(replace(whole, module=outer[0].module, count=outer[0].count, counts=outer[0].counts))
        else:
            found += group
    return found


def _python(row: PythonTime) -> Row:
    return Row("python", row.kind, row.phase, row.module, (), (), row.count, row.self_ns, (), row.self_ns_samples)


def _merged(rows: Sequence[Row]) -> Row:
    first = rows[0]
    return Row(
        first.kind,
        first.name,
        first.phase,
        None,
        first.shapes,
        first.dtypes,
        math.fsum(row.count for row in rows),
        math.fsum(row.self_ns for row in rows),
        _added(row.counts for row in rows),
        _added(row.self_ns_samples for row in rows),
        _known(row.flops for row in rows),
        _known(row.bytes_moved for row in rows),
        _added(row.allocations for row in rows),
        _added(row.allocated_bytes for row in rows),
        tuple(primitive for row in rows for primitive in row.primitives),
        tuple(index for row in rows for index in row.indices),
    )


def _added(samples: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Sums by step; () where one is not known or they are not of the same steps."""
    columns = list(samples)
    if len({len(column) for column in columns}) != 1:
        return ()
    return tuple(map(sum, zip(*columns, strict=True)))


def _known(values: Iterable[float | None]) -> float | None:
    """The sum of those that are known; None where none is, as rows without a formula are left out everywhere."""
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


def same_each_time(count: float, counts: tuple[int, ...]) -> bool:
    """Whether every step did it equally often, at least once; without counts by step, whether the mean is whole."""
    if not counts:
        return count > 0 and float(count).is_integer()
    return counts[0] > 0 and len(set(counts)) == 1
