"""Which operators explain a change of the step that the gate has measured.

The rows are those of :mod:`perfsuite.analyse.diff`, in another order.  A diff of two processes has rows with a cause in
the census first, because between two processes times drift and counts do not.  Here the sides were profiled in several
processes each, so drift is in the intervals, and a step that surely changed was changed by what surely changed most: an
operator that is new and cheap must not stand before the one that became slow.  ``tests/test_gate_attribute.py``
simulates it, with noise between processes, interrupted ones and new cheap operators.
"""

from __future__ import annotations

from collections.abc import Iterator

from perfsuite.analyse.diff import Delta, Wall, WorkloadDiff, diff_profiles
from perfsuite.gate.model import Attribution
from perfsuite.gate.reproduce import command_lines
from perfsuite.records import Operator, Primitive, Profile
from perfsuite.stats import median


def compare(
    base: Profile,
    head: Profile,
    ratio: float | None,
    interval: tuple[float, float] | None,
    confidence: float,
    pairs: int,
) -> WorkloadDiff:
    """The diff of two merged profiles with the gate's own ratio of the step.

    Args:
        base: of :func:`perfsuite.gate.merge.merge`, as ``head``.
        ratio: head ÷ base; None where the gate did not time.
        interval: of the ratio, at ``confidence``.
        pairs: how many pairs of processes the two are from.
    """
    medians = [median(side.samples.rounds_ns) if side.samples else None for side in (base, head)]
    wall = Wall(medians[0], medians[1], ratio, interval, confidence, pairs, pairs)
    return diff_profiles(base, head, confidence, wall)


def attribute(diff: WorkloadDiff, base: Profile, head: Profile, slower: bool) -> Attribution:
    """All rows of the diff, those that changed the way the step did first, and of these what changed most for sure.

    A row that may not have changed at all has its change decide.  Rows that changed the other way, or not, keep their
    order.

    Args:
        slower: whether the step became slower; else faster.
    """
    sign = 1 if slower else -1
    with_it = [row for row in diff.operators if row.delta_ns * sign > 0]
    against = [row for row in diff.operators if row.delta_ns * sign <= 0]
    # The sort is stable: rows that are equal in both keep the order of the diff.
    with_it.sort(key=lambda row: (-row.beyond_ns, -abs(row.delta_ns)))
    # Of one process a side nothing is sure; else `beyond_ns` decides that, too, so the sure ones come first.
    surely = {id(row) for row in diff.operators[: diff.culprits] if row.interval is not None}
    sure = sum(id(row) in surely for row in with_it)
    lines = command_lines(_primitives(with_it[0], base, head)) if with_it else ()
    return Attribution((*with_it, *against), sure, lines)


def _primitives(row: Delta, base: Profile, head: Profile) -> list[Primitive]:
    """What the row runs in oneDNN on head's side; on base's where head has nothing."""
    there = _of(head, row.name, row.module, row)
    return there or _of(base, row.base_name or row.name, row.base_module, row)


def _of(profile: Profile, name: str, module: str | None, row: Delta) -> list[Primitive]:
    alike = [one for one in profile.operators if (one.name, one.phase, one.module) == (name, row.phase, module)]
    # Base may have called it with other shapes; then all that the module called by this name is meant.
    exact = [one for one in alike if one.shapes == row.shapes] or alike
    return list(_run_by(exact, profile))


def _run_by(operators: list[Operator], profile: Profile) -> Iterator[Primitive]:
    for one in operators:
        yield from (profile.primitives[at] for at in one.primitives)
