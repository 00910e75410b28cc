"""The rows of the ledger on both sides: how much each changed, how surely, why, and which to read first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from perfsuite.analyse.diff.align import Pair
from perfsuite.analyse.diff.model import Cause, Delta, Ledgers
from perfsuite.analyse.diff.rows import Row
from perfsuite.records import Ledger, Profile
from perfsuite.stats import shift_interval, welch_interval

#: A row that surely explains less of base's step than this does not rank as a culprit: the tables could not show it.
MATERIAL = 0.001


def delta_of(pair: Pair, causes: tuple[Cause, ...], base: Profile, head: Profile) -> Delta:
    """The row of a pair; ``causes`` is what the census saw change in it."""
    shown = pair.shown
    before = pair.base.self_ns if pair.base else 0.0
    after = pair.head.self_ns if pair.head else 0.0
    samples = _samples(pair.base, base), _samples(pair.head, head)
    there = "both" if pair.base and pair.head else "base" if pair.base else "head"
    return _delta(shown, pair.base, there, before, after, samples, causes, base)


def unattributed(base: Profile, head: Profile) -> Delta:
    """What neither operators nor Python account for, from the ledgers of both sides, which must be there."""
    before, after = (_ledger(side).unattributed_ns for side in (base, head))
    row = Row("unattributed", "unattributed", None, None, (), (), 1, after)
    return _delta(row, row, "both", before, after, (_left(base), _left(head)), (), base)


def ledgers(base: Profile, head: Profile) -> Ledgers:
    """The wall times between which the rows lie, and how much of the difference is in each kind of row."""
    before, after = _ledger(base), _ledger(head)
    return Ledgers(
        before.wall_ns,
        after.wall_ns,
        after.operators_ns - before.operators_ns,
        after.python_ns - before.python_ns,
        after.unattributed_ns - before.unattributed_ns,
    )


def ranked(rows: Iterable[Delta], base: Profile) -> tuple[tuple[Delta, ...], int]:
    """The culprit first, and how many rows surely changed by something that matters.

    First the rows with a cause in the census whose time surely changed by something that matters
    (:data:`MATERIAL`), then those that changed as surely without one: between processes times drift, counts do not.
    In both the surest change comes first.  Then what has a cause but no sure effect, then the rest, in both the
    largest change first.  Where nothing surely changed, a cause explains nothing: all rows are in order of change.
    """
    every, least = list(rows), MATERIAL * _ledger(base).wall_ns

    def matters(row: Delta) -> bool:
        return row.beyond_ns >= least and row.beyond_ns > 0

    culprits = sum(map(matters, every))

    def place(row: Delta) -> tuple[object, ...]:
        unbacked, sure = row.cause.kind == "time", matters(row)
        tier = (not sure, unbacked and culprits > 0)
        names = sorted(map(str, (row.name, row.base_name, row.module, row.base_module)))
        size = (row.beyond_ns if sure else 0.0, abs(row.delta_ns))
        return (tier, [-ns for ns in size], row.kind, names, str(row.phase), str(row.shapes))

    return tuple(sorted(every, key=place)), culprits


def _delta(
    shown: Row,
    was: Row | None,
    there: str,
    before: float,
    after: float,
    samples: tuple[Sequence[float] | None, Sequence[float] | None],
    causes: tuple[Cause, ...],
    base: Profile,
) -> Delta:
    delta = after - before
    interval, method = _interval(delta, *samples)
    wall = _ledger(base).wall_ns
    return Delta(
        kind=shown.kind,
        name=shown.name,
        module=shown.module,
        phase=shown.phase,
        shapes=shown.shapes,
        there=there,
        base_name=was.name if was is not None else None,
        base_module=was.module if was is not None else None,
        base_ns=before,
        head_ns=after,
        delta_ns=delta,
        share=delta / wall if wall else None,
        interval=interval,
        method=method,
        beyond_ns=abs(delta) if interval is None else max(0.0, _nearer(delta, interval)),
        cause=causes[0] if causes else Cause("time", before, after),
        causes=causes,
    )


def _interval(
    delta: float, base: Sequence[float] | None, head: Sequence[float] | None
) -> tuple[tuple[float, float] | None, str | None]:
    """The interval that says more, which is the one whose nearer end is farther from 0, and whose it is.

    Means tell most where noise is even; where a few steps were interrupted, only the order of the samples tells.
    """
    if base is None or head is None:
        return None, None
    welch, moses = welch_interval(base, head), shift_interval(base, head)
    if welch is None:
        return None, None
    # An interrupted step can carry the mean past all that the order allows: then the two speak of unlike things.
    if moses is not None and _nearer(-delta, moses) <= 0 and _nearer(delta, moses) > _nearer(delta, welch):
        return moses, "moses"
    return welch, "welch"


def _nearer(delta: float, interval: tuple[float, float]) -> float:
    """How far the end of an interval that is nearer to no change is on delta's side of it; below 0 on the other."""
    low, high = interval
    return low if delta > 0 else -high if delta < 0 else -math.inf


def _samples(row: Row | None, profile: Profile) -> Sequence[float] | None:
    """Times by step; a row that is not there took no time in any."""
    if row is None:
        return (0,) * profile.steps
    return row.self_ns_samples or None


def _left(profile: Profile) -> Sequence[float] | None:
    """Unattributed time by step, None where the steps were not kept."""
    walls = profile.walls_ns.get("operators", ())
    columns = [row.self_ns_samples for row in profile.operators]
    columns += [row.self_ns_samples for row in profile.python]
    if any(len(column) != len(walls) for column in columns):
        return None
    return [wall - math.fsum(parts) for wall, *parts in zip(walls, *columns, strict=True)]


def _ledger(profile: Profile) -> Ledger:
    assert profile.ledger is not None, "rows are compared only where both sides have a ledger"
    return profile.ledger
