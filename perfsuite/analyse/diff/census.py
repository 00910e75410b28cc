"""The census diff: what the step runs, counted, on both sides.  Nothing here is a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from perfsuite.analyse.diff.align import Pair
from perfsuite.analyse.diff.model import Cause, Census, Entry, Place, Value
from perfsuite.analyse.diff.primitives import compare_primitives, label_of, problem_of
from perfsuite.analyse.diff.rows import Row
from perfsuite.analyse.diff.totals import totals, unsteady_problems
from perfsuite.records import Primitive, Profile, Shape

#: What the census saw → the kind of cause it is, the one that explains the others first: another operator is called in
#: another way, other data types make other implementations, and those other layouts.
CAUSES = {
    "name": "implementation",
    "dtype": "dtype",
    "shape": "shape",
    "problem": "shape",
    "operator": "count",
    "count": "count",
    "executions": "count",
    "primitive": "count",
    "implementation": "implementation",
    "attributes": "implementation",
    "algorithm": "implementation",
    "layout": "layout",
    "reorder": "reorder",
}
_ORDER = {what: position for position, what in enumerate(CAUSES)}


@dataclass(frozen=True)
class Judged:
    """What the census says of one pair, or of no pair: entries, and what is unstable and so not judged."""

    pair: Pair | None
    entries: tuple[Entry, ...] = ()
    unstable: tuple[Entry, ...] = ()

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The entries that can explain a time, the first cause first."""
        backed = [entry for entry in self.entries if entry.what in CAUSES]
        # How a reorder is implemented explains less than anything about the primitives that compute.
        backed.sort(key=lambda entry: (entry.primitive == "reorder", _ORDER[entry.what], -entry.cost_ns))
        return tuple(map(_cause, backed))


def _cause(entry: Entry) -> Cause:
    # Of a primitive that is gone its implementation is no cause: what is left may run with the same.
    base, head = entry.counts or (entry.base, entry.head)
    return Cause(CAUSES[entry.what], base, head, entry.primitive)


def judge(pair: Pair) -> Judged:
    """What was added, removed or changed in a pair of operators."""
    base, head = pair.base, pair.head
    where = _place(pair.shown)
    if any(row is not None and not row.stable for row in (base, head)):
        return Judged(pair, unstable=(Entry("operator", where, _counts(base), _counts(head), cost_ns=_cost(pair)),))
    found = _alone(pair, where) if base is None or head is None else _changes(base, head, where)
    unstable = _unstable_allocations(base, head, where)
    return Judged(pair, *(tuple(_priced(entries, _cost(pair))) for entries in (found, unstable)))


def _cost(pair: Pair) -> float:
    return max(row.self_ns for row in (pair.base, pair.head) if row is not None)


def _priced(entries: Iterable[Entry], cost: float) -> Iterator[Entry]:
    """With the cost of the row, where an entry is about the row and not about its primitives."""
    return (entry if entry.primitive is not None else replace(entry, cost_ns=cost) for entry in entries)


def _alone(pair: Pair, where: Place) -> Iterator[Entry]:
    before, after = (row.count if row is not None else None for row in (pair.base, pair.head))
    yield Entry("operator", where, before, after)
    ours, theirs = (row.primitives if row is not None else () for row in (pair.base, pair.head))
    yield from _primitive_changes(ours, theirs, where)


def _changes(base: Row, head: Row, where: Place) -> Iterator[Entry]:
    differing: list[tuple[str, Value, Value]] = [
        ("module", base.module, head.module),
        ("phase", base.phase, head.phase),
        ("count", base.count, head.count),
    ]
    if base.spelling != head.spelling:
        # Another operator is called with other arguments: their shapes and types say nothing more.
        differing.append(("name", base.name, head.name))
    else:
        differing.append(("shape", sizes(base.tensors), sizes(head.tensors)))
        if base.dtypes and head.dtypes:
            differing.append(("dtype", _tensor_types(base), _tensor_types(head)))
    yield from (Entry(what, where, one, other) for what, one, other in differing if one != other)
    yield from _primitive_changes(base.primitives, head.primitives, where)
    amounts: tuple[tuple[str, Value, Value], ...] = (
        ("flops", base.flops, head.flops),
        ("bytes_moved", base.bytes_moved, head.bytes_moved),
        ("allocations", _settled(base.allocations), _settled(head.allocations)),
        ("allocated_bytes", _settled(base.allocated_bytes), _settled(head.allocated_bytes)),
    )
    for what, one, other in amounts:
        # What one side does not know has not changed.
        if one is not None and other is not None and one != other:
            yield Entry(what, where, one, other)


def _primitive_changes(base: Sequence[Primitive], head: Sequence[Primitive], where: Place) -> Iterator[Entry]:
    for found in compare_primitives(base, head):
        yield Entry(
            found.what, where, found.base, found.head, found.primitive, found.problem, found.cost_ns, found.counts
        )


def _unstable_allocations(base: Row | None, head: Row | None, where: Place) -> Iterator[Entry]:
    for what in ("allocations", "allocated_bytes"):
        before, after = (getattr(row, what) if row is not None else () for row in (base, head))
        if len(set(before)) > 1 or len(set(after)) > 1:
            yield Entry(what, where, _listed(before), _listed(after))


def census(judged: Iterable[Judged], base: Profile, head: Profile) -> Census:
    """The census of a workload from what was found in its pairs, with its totals."""
    operators = list(judged)
    found = [*operators, _unjoined(base, head)]
    entries = [entry for one in found for entry in one.entries]
    whole_rows = ("operator", "primitive", "reorder")
    added = [entry for entry in entries if entry.base is None and entry.what in whole_rows]
    removed = [entry for entry in entries if entry.head is None and entry.what in whole_rows]
    alone = {id(entry) for entry in (*added, *removed)}
    return Census(
        totals(base, head, ((one.pair, one.unstable) for one in operators)),
        _sorted(added),
        _sorted(removed),
        _sorted(entry for entry in entries if id(entry) not in alone),
        _sorted(entry for one in found for entry in one.unstable),
    )


def _unjoined(base: Profile, head: Profile) -> Judged:
    """Primitives that no operator could be found for, compared as one heap but for what is unstable in it."""
    if not all("primitives" in side.passes for side in (base, head)):
        return Judged(None)
    nowhere, unsteady = Place(None, None, None, ()), unsteady_problems(base, head)
    ours, theirs = ([one for one in side.primitives if one.operator is None] for side in (base, head))
    unstable = []
    for key in sorted(unsteady):
        sides = [[one for one in side if problem_of(one) == key] for side in (ours, theirs)]
        before, after = (_executions(side) for side in sides)
        cost = max(math.fsum(one.time_ns for one in side) for side in sides)
        unstable.append(Entry("executions", nowhere, before, after, label_of(*key[:2]), key[2], cost))
    ours, theirs = ([one for one in side if problem_of(one) not in unsteady] for side in (ours, theirs))
    return Judged(None, tuple(_primitive_changes(ours, theirs, nowhere)), tuple(unstable))


def sizes(shapes: Shape) -> str:
    """``4x64x56x56, 64x64x3x3``; a list of tensors in brackets."""
    return ", ".join(_size(shape) for shape in shapes)


def _size(shape: object) -> str:
    if not isinstance(shape, tuple):
        return str(shape)
    if any(isinstance(part, tuple) for part in shape):
        return f"[{sizes(shape)}]"
    return "x".join(map(str, shape))


def _tensor_types(row: Row) -> str:
    return ", ".join(dtype for dtype in row.dtypes if dtype is not None)


def _place(row: Row) -> Place:
    return Place(row.name, row.module, row.phase, row.shapes)


def _counts(row: Row | None) -> Value:
    """Calls in each step, or where those are alike, what a primitive that is not did."""
    return None if row is None else _each_step(row.count, [row.counts, *(one.counts for one in row.primitives)])


def _executions(primitives: Sequence[Primitive]) -> Value:
    count = math.fsum(one.count for one in primitives)
    return _each_step(count, [one.counts for one in primitives]) if primitives else None


def _each_step(count: float, counts: Iterable[tuple[int, ...]]) -> Value:
    return next((_listed(steps) for steps in counts if len(set(steps)) > 1), f"{count:g}")


def _listed(values: Iterable[int]) -> str | None:
    return ", ".join(map(str, values)) or None


def _settled(samples: tuple[int, ...]) -> int | None:
    """The value of every sample; None where they differ or there is none."""
    return samples[0] if len(set(samples)) == 1 else None


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.rank, repr(entry))))
