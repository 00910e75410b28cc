"""Profiles of one workload from several processes of one side → one profile, with the process as the unit.

Steps of one process resemble each other more than two processes of the same code do.  So each time sample of the merged
profile is one process's mean, and an interval from them is about processes.  Counts are those of all steps of all
processes: what differs between two processes of one side is as unsteady as what differs between two steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar

from perfsuite.records import (
    AllocationCurve,
    Ledger,
    Memory,
    Operator,
    Phase,
    Primitive,
    Profile,
    PythonTime,
    Samples,
)
from perfsuite.stats import mean, median
from perfsuite.units import format_bytes

_Row = TypeVar("_Row", Operator, Primitive, PythonTime)


def merge(profiles: Sequence[Profile]) -> Profile:
    """One profile of all processes; ``steps`` is how many they are.

    Means are means over processes, so the rows add up to the ledger as they do in each process.  A row that a process
    does not have took no time there and was called 0 times in each of its steps, which makes it unsteady.  The memory
    is that of the process with the median peak.  There is an allocation curve where all processes reached the same
    peak, and none where they did not: a peak that is not steady must not be judged.

    Raises:
        ValueError: there are no profiles, or they are of several workloads.
    """
    names = {profile.name for profile in profiles}
    if len(names) != 1:
        raise ValueError(f"profiles of one workload are merged, not of {sorted(names)}")
    first = profiles[0]
    operators, primitives = _operators_and_primitives(profiles)
    ranges = _aligned([[((row.kind, row.phase, row.module), row) for row in profile.python] for profile in profiles])
    curve, uneven = _curve([profile.allocation_curve for profile in profiles])
    return replace(
        first,
        samples=_samples(profiles),
        phases=_phases(profiles),
        operators=operators,
        primitives=primitives,
        python=tuple(_python(rows) for rows in ranges.values()),
        ledger=_ledger([profile.ledger for profile in profiles]),
        memory=_memory([profile.memory for profile in profiles if profile.memory is not None]),
        allocation_curve=curve,
        walls_ns={
            name: tuple(round(mean(profile.walls_ns[name])) for profile in profiles)
            for name in first.walls_ns
            if all(profile.walls_ns.get(name) for profile in profiles)
        },
        overhead={
            name: mean([profile.overhead[name] for profile in profiles])
            for name in first.overhead
            if all(name in profile.overhead for profile in profiles)
        },
        passes=tuple(name for name in first.passes if all(name in profile.passes for profile in profiles)),
        steps=len(profiles),
        join=first.join if all(profile.join == first.join for profile in profiles) else None,
        contended=any(profile.contended for profile in profiles),
        notes=tuple(dict.fromkeys([*(note for profile in profiles for note in profile.notes), *uneven])),
    )


# --- rows -------------------------------------------------------------------------------------------


def _operators_and_primitives(profiles: Sequence[Profile]) -> tuple[tuple[Operator, ...], tuple[Primitive, ...]]:
    rows = _aligned([[(row.key, row) for row in profile.operators] for profile in profiles])
    place = {key: index for index, (key, nth) in reversed(list(enumerate(rows)))}
    executed = _aligned(
        [[((_operator_of(profile, one), one.key[1:]), one) for one in profile.primitives] for profile in profiles]
    )
    steps = [_length(one.counts for one in profile.primitives) or profile.steps for profile in profiles]
    primitives: list[Primitive] = []
    under: dict[int | None, list[int]] = {}
    for ((operator, _), _), found in executed.items():
        index = None if operator is None else place[operator]
        under.setdefault(index, []).append(len(primitives))
        primitives.append(_primitive(found, index, steps))
    calls = [_length(row.counts for row in profile.operators) or profile.steps for profile in profiles]
    held = [_length(row.allocations_samples for row in profile.operators) for profile in profiles]
    operators = tuple(
        _operator(found, tuple(under.get(index, ())), calls, held) for index, found in enumerate(rows.values())
    )
    return operators, tuple(primitives)


def _operator_of(profile: Profile, one: Primitive) -> Hashable:
    return None if one.operator is None else profile.operators[one.operator].key


def _aligned(columns: Sequence[Iterable[tuple[Hashable, _Row]]]) -> dict[tuple[Any, int], list[_Row | None]]:
    """(key, how many rows of that key came before) → the row in each process, in the order they first appear."""
    found: dict[tuple[Any, int], list[_Row | None]] = {}
    for process, rows in enumerate(columns):
        seen: Counter[Hashable] = Counter()
        for key, row in rows:
            found.setdefault((key, seen[key]), [None] * len(columns))[process] = row
            seen[key] += 1
    return found


def _operator(
    found: Sequence[Operator | None], primitives: tuple[int, ...], calls: Sequence[int], held: Sequence[int]
) -> Operator:
    return replace(
        _any(found),
        count=_mean(found, lambda row: row.count),
        self_ns=_mean(found, lambda row: row.self_ns),
        self_ns_samples=_each(found, lambda row: row.self_ns),
        total_ns=_mean(found, lambda row: row.total_ns),
        flops=_known_mean(found, lambda row: row.flops),
        allocated_bytes=_known_mean(found, lambda row: row.allocated_bytes),
        primitives=primitives,
        counts=_steps(found, lambda row: row.counts, calls),
        bytes_moved=_known_mean(found, lambda row: row.bytes_moved),
        allocated_bytes_samples=_steps(found, lambda row: row.allocated_bytes_samples, held),
        allocations_samples=_steps(found, lambda row: row.allocations_samples, held),
    )


def _primitive(found: Sequence[Primitive | None], operator: int | None, steps: Sequence[int]) -> Primitive:
    return replace(
        _any(found),
        count=_mean(found, lambda row: row.count),
        time_ns=_mean(found, lambda row: row.time_ns),
        operator=operator,
        counts=_steps(found, lambda row: row.counts, steps),
        time_ns_samples=tuple(row.time_ns if row is not None else 0.0 for row in found),
    )


def _python(found: Sequence[PythonTime | None]) -> PythonTime:
    return replace(
        _any(found),
        count=_mean(found, lambda row: row.count),
        self_ns=_mean(found, lambda row: row.self_ns),
        self_ns_samples=_each(found, lambda row: row.self_ns),
    )


def _any(found: Sequence[_Row | None]) -> _Row:
    return next(row for row in found if row is not None)


def _mean(found: Sequence[_Row | None], value: Callable[[_Row], float]) -> float:
    return _exact_mean([value(row) if row is not None else 0.0 for row in found])


def _known_mean(found: Sequence[_Row | None], value: Callable[[_Row], float | None]) -> float | None:
    """As :func:`_mean`; None where a process that has the row does not know it."""
    values = [value(row) if row is not None else 0.0 for row in found]
    known = [one for one in values if one is not None]
    return _exact_mean(known) if len(known) == len(values) else None


def _exact_mean(values: Sequence[float]) -> float:
    # Of equal values it is that value, whatever their number: the census compares it for equality.
    return values[0] if len(set(values)) == 1 else mean(values)


def _each(found: Sequence[_Row | None], value: Callable[[_Row], float]) -> tuple[int, ...]:
    return tuple(round(value(row)) if row is not None else 0 for row in found)


def _steps(
    found: Sequence[_Row | None], samples: Callable[[_Row], tuple[int, ...]], lengths: Sequence[int]
) -> tuple[int, ...]:
    """The samples of all steps, 0 in each of a process without the row; () where a process did not keep them."""
    columns = [samples(row) if row is not None else (0,) * length for row, length in zip(found, lengths, strict=True)]
    kept = all(column or row is None for column, row in zip(columns, found, strict=True))
    return tuple(chain.from_iterable(columns)) if kept else ()


def _length(columns: Iterable[tuple[int, ...]]) -> int:
    return max(map(len, columns), default=0)


# --- the rest ---------------------------------------------------------------------------------------


def _samples(profiles: Sequence[Profile]) -> Samples | None:
    """The median step of each process; None where one was not timed."""
    timed = [profile.samples.per_step_ns for profile in profiles if profile.samples and profile.samples.rounds_ns]
    return Samples(tuple(map(median, timed))) if len(timed) == len(profiles) else None


def _phases(profiles: Sequence[Profile]) -> tuple[Phase, ...]:
    """Of the phases that all processes have, one mean of each process."""
    sides = [{phase.name: phase.samples_ns for phase in profile.phases if phase.samples_ns} for profile in profiles]
    names = [name for name in sides[0] if all(name in side for side in sides)]
    return tuple(Phase(name, tuple(round(mean(side[name])) for side in sides)) for name in names)


def _ledger(ledgers: Sequence[Ledger | None]) -> Ledger | None:
    known = [ledger for ledger in ledgers if ledger is not None]
    if len(known) != len(ledgers):
        return None
    joined = [one.joined_primitives for one in known if one.joined_primitives is not None]
    executed = [one.executed_primitives for one in known if one.executed_primitives is not None]
    return Ledger(
        mean([one.wall_ns for one in known]),
        mean([one.operators_ns for one in known]),
        mean([one.python_ns for one in known]),
        mean([one.unattributed_ns for one in known]),
        mean(joined) if len(joined) == len(known) else None,
        mean(executed) if len(executed) == len(known) else None,
    )


def _memory(memories: Sequence[Memory]) -> Memory | None:
    if not memories:
        return None
    ordered = sorted(memories, key=lambda one: one.peak_rss_bytes or one.start_rss_bytes)
    return ordered[(len(ordered) - 1) // 2]


def _curve(curves: Sequence[AllocationCurve | None]) -> tuple[AllocationCurve | None, tuple[str, ...]]:
    """The first process's curve if all reached the same peak; else none, and a note that says so."""
    known = [curve for curve in curves if curve is not None and curve.live_bytes]
    if len(known) != len(curves):
        return None, ()
    peaks = sorted({max(curve.live_bytes) for curve in known})
    if len(peaks) == 1:
        return known[0], ()
    between = f"{format_bytes(peaks[0])} and {format_bytes(peaks[-1])}"
    return None, (f"processes of the same side reached peaks of PyTorch's allocator between {between}: not judged",)
