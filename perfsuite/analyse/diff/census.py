"""The census diff: what the step runs, counted, on both sides.  Nothing here is a time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from perfsuite.analyse.diff.align import Pair
from perfsuite.analyse.diff.model import Cause, Census, Entry, Place, Total, Value
from perfsuite.analyse.diff.primitives import compare_primitives, isa_of
from perfsuite.analyse.diff.rows import Row
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
    "implementation": "implementation",
    "primitive": "implementation",
    "attributes": "implementation",
    "algorithm": "implementation",
    "layout": "layout",
    "reorder": "reorder",
}
_ORDER = {what: position for position, what in enumerate(CAUSES)}
#: In a listing what is about primitives comes first: it is what nothing else shows.
_LISTED = ("implementation", "primitive", "isa", "layout", "reorder", "operator", "dtype", "shape", "count")


@dataclass(frozen=True)
class Judged:
    """What the census says of one pair: entries, or that it is unstable and so not judged."""

    entries: tuple[Entry, ...] = ()
    unstable: tuple[Entry, ...] = ()

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The entries that can explain a time, the first cause first."""
        backed = [entry for entry in self.entries if entry.what in CAUSES]
        # How a reorder is implemented explains less than anything about the primitives that compute.
        backed.sort(key=lambda entry: (entry.primitive == "reorder", _ORDER[entry.what]))
        return tuple(Cause(CAUSES[entry.what], entry.base, entry.head) for entry in backed)


def judge(pair: Pair) -> Judged:
    """What was added, removed or changed in a pair of operators."""
    where = _place(pair.shown)
    if any(row is not None and not row.stable for row in (pair.base, pair.head)):
        return Judged(unstable=(Entry("operator", where, _counts(pair.base), _counts(pair.head)),))
    if pair.base is None or pair.head is None:
        return Judged(tuple(_alone(pair, where)))
    entries = tuple(_changes(pair.base, pair.head, where))
    return Judged(entries, tuple(_unstable_allocations(pair.base, pair.head, where)))


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
        yield Entry(found.what, where, found.base, found.head, found.primitive, found.problem)


def _unstable_allocations(base: Row, head: Row, where: Place) -> Iterator[Entry]:
    for what in ("allocations", "allocated_bytes"):
        before, after = (getattr(row, what) for row in (base, head))
        if len(set(before)) > 1 or len(set(after)) > 1:
            yield Entry(what, where, _listed(before), _listed(after))


def census(judged: Iterable[Judged], base: Profile, head: Profile) -> Census:
    """The census of a workload from what was found in its pairs, with its totals."""
    found = list(judged)
    entries = [entry for one in found for entry in one.entries] + list(_unjoined(base, head))
    whole_rows = ("operator", "primitive", "reorder")
    added = [entry for entry in entries if entry.base is None and entry.what in whole_rows]
    removed = [entry for entry in entries if entry.head is None and entry.what in whole_rows]
    alone = {id(entry) for entry in (*added, *removed)}
    return Census(
        tuple(_totals(base, head)),
        _sorted(added),
        _sorted(removed),
        _sorted(entry for entry in entries if id(entry) not in alone),
        _sorted(entry for one in found for entry in one.unstable),
    )


def _unjoined(base: Profile, head: Profile) -> Iterator[Entry]:
    """Primitives that no operator could be found for, compared as one heap."""
    ours, theirs = ([one for one in side.primitives if one.operator is None] for side in (base, head))
    if all("primitives" in side.passes for side in (base, head)):
        yield from _primitive_changes(ours, theirs, Place(None, None, None, ()))


def _totals(base: Profile, head: Profile) -> Iterator[Total]:
    before, after = _amounts(base), _amounts(head)
    for what in dict.fromkeys((*before, *after)):
        # A word like "isa avx2" counts executions: a side that does not have it has 0 of it, if it has the pass.
        ours, theirs = (
            side.get(what, 0 if " " in what and side["primitives"] is not None else None) for side in (before, after)
        )
        yield Total(what, ours, theirs)


def _amounts(profile: Profile) -> dict[str, float | None]:
    rows, recorded = profile.operators, "primitives" in profile.passes
    found: dict[str, float | None] = {
        "operators": _sum(row.count for row in rows),
        "primitives": _sum(one.count for one in profile.primitives) if recorded else None,
        "reorders": _sum(one.count for one in profile.primitives if one.kind == "reorder") if recorded else None,
        "flops": _sum(row.flops for row in rows if row.flops is not None) or None,
        "bytes_moved": _sum(row.bytes_moved for row in rows if row.bytes_moved is not None) or None,
        "allocations": _sampled(row.allocations_samples for row in rows),
        "allocated_bytes": _sampled(row.allocated_bytes_samples for row in rows),
    }
    words: Counter[str] = Counter()
    for one in profile.primitives:
        words[f"isa {isa_of(one.implementation) or 'not named'}"] += one.count  # type: ignore[assignment]
        words[f"dtypes {one.dtypes}"] += one.count  # type: ignore[assignment]
    return found | dict(sorted(words.items()))


def _sum(values: Iterable[float]) -> float:
    total = math.fsum(values)
    return int(total) if total == int(total) else total


def _sampled(samples: Iterable[tuple[int, ...]]) -> float | None:
    known = [sum(one) / len(one) for one in samples if one]
    return _sum(known) if known else None


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
    if row is None:
        return None
    unsteady = [row.counts, *(one.counts for one in row.primitives)]
    return next((_listed(counts) for counts in unsteady if len(set(counts)) > 1), f"{row.count:g}")


def _listed(values: Iterable[int]) -> str | None:
    return ", ".join(map(str, values)) or None


def _settled(samples: tuple[int, ...]) -> int | None:
    """The value of every sample; None where they differ or there is none."""
    return samples[0] if len(set(samples)) == 1 else None


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    def place(entry: Entry) -> tuple[object, ...]:
        position = _LISTED.index(entry.what) if entry.what in _LISTED else len(_LISTED)
        return (entry.primitive == "reorder", position, repr(entry))

    return tuple(sorted(entries, key=place))
