"""Counts of the whole step, without what differs between the steps of a side: that is left out of both."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from perfsuite.analyse.diff.align import Pair
from perfsuite.analyse.diff.model import Entry, Total
from perfsuite.analyse.diff.primitives import isa_of, problem_of
from perfsuite.analyse.diff.rows import same_each_time
from perfsuite.records import Primitive, Profile

#: The most that the step holds of PyTorch's CPU allocator at a time; not resident memory.
PEAK = "peak_allocated_bytes"
#: Which pass counts it, where that is not the one of the operators.
_PASS = {
    "primitives": "primitives",
    "reorders": "primitives",
    "isa": "primitives",
    "dtypes": "primitives",
    "allocations": "memory",
    "allocated_bytes": "memory",
    PEAK: "memory",
}
_Unstable = tuple["Pair | None", tuple[Entry, ...]]


def totals(base: Profile, head: Profile, unstable: Iterable[_Unstable]) -> tuple[Total, ...]:
    """Every count that both sides can know; ``unstable`` is each pair of operators with what of it is not judged."""
    listed, loose = list(unstable), unsteady_problems(base, head)
    sides = (_amounts(side, _left_out(listed, name), loose) for side, name in ((base, "base"), (head, "head")))
    passes = set(base.passes) & set(head.passes)
    return tuple(total for total in _compared(*sides) if _PASS.get(total.what.partition(" ")[0], "operators") in passes)


def unsteady_problems(base: Profile, head: Profile) -> set[tuple[str, str, str]]:
    """Of primitives without an operator, the problems that a step of either side ran more often than another."""
    return {
        problem_of(one)
        for one in (*base.primitives, *head.primitives)
        if one.operator is None and not same_each_time(one.count, one.counts)
    }


def _compared(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> Iterator[Total]:
    for what in dict.fromkeys((*before, *after)):
        # A word like "isa avx2" counts executions: a side that does not have it has 0 of it.
        ours, theirs = (side.get(what, 0) for side in (before, after))
        if what == PEAK and (ours is None or theirs is None):
            continue  # A run of an older format has no curve, one merged of uneven processes none to be judged.
        yield Total(what, ours, theirs)


def _left_out(unstable: Iterable[_Unstable], side: str) -> Mapping[str, set[int]]:
    """The operators of a side, by index, of which calls, ``allocations`` or ``allocated_bytes`` are not judged."""
    found: dict[str, set[int]] = defaultdict(set)
    for pair, entries in unstable:
        row = None if pair is None else pair.base if side == "base" else pair.head
        for entry in entries:
            found[entry.what].update(row.indices if row is not None else ())
    return found


def _amounts(
    profile: Profile, left_out: Mapping[str, set[int]], loose: set[tuple[str, str, str]]
) -> dict[str, float | None]:
    rows = {index: row for index, row in enumerate(profile.operators) if index not in left_out["operator"]}
    primitives = [one for one in profile.primitives if _steady(one, left_out["operator"], loose)]

    def allocated(what: str) -> float | None:
        samples = (getattr(row, f"{what}_samples") for index, row in rows.items() if index not in left_out[what])
        return _sum(one[0] if len(set(one)) == 1 else None for one in samples)

    found: dict[str, float | None] = {
        "operators": _sum(row.count for row in rows.values()) or 0,
        "primitives": _sum(one.count for one in primitives) or 0,
        "reorders": _sum(one.count for one in primitives if one.kind == "reorder") or 0,
        "flops": _sum(row.flops for row in rows.values()),
        "bytes_moved": _sum(row.bytes_moved for row in rows.values()),
        "allocations": allocated("allocations"),
        "allocated_bytes": allocated("allocated_bytes"),
        PEAK: max(profile.allocation_curve.live_bytes, default=None) if profile.allocation_curve else None,
    }
    words: Counter[str] = Counter()
    for one in primitives:
        words[f"isa {isa_of(one.implementation) or 'not named'}"] += one.count  # type: ignore[assignment]
        words[f"dtypes {one.dtypes}"] += one.count  # type: ignore[assignment]
    return found | dict(sorted(words.items()))


def _steady(one: Primitive, unstable: set[int], loose: set[tuple[str, str, str]]) -> bool:
    return problem_of(one) not in loose if one.operator is None else one.operator not in unstable


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    total = math.fsum(known)
    return None if not known else int(total) if total == int(total) else total
