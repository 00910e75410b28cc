"""From base to head: which rows of the ledger make the difference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from perfsuite.analyse.diff.deltas import MATERIAL
from perfsuite.analyse.diff.model import Delta, WorkloadDiff
from perfsuite.analyse.figures.common import steps as steps_of
from perfsuite.analyse.figures.common import subtitle
from perfsuite.analyse.figures.model import Waterfall, WaterfallStep
from perfsuite.records import Profile
from perfsuite.units import counted, format_share

#: Rows that miss the difference of the walls by less than this share of the larger wall miss it by rounding.
_ROUNDING = 1e-9


def waterfall(diff: WorkloadDiff, top: int = 10, head: Profile | None = None) -> Waterfall:
    """Base's profiled wall time, a bar for each of the ``top`` changed rows in the diff's order, the rest, head's.

    The bars sum to head − base.

    Args:
        head: the profile of head, of which the subtitle then says the scale and the data type.
    """
    title = "From base to head: profiled step"
    about = diff.name if head is None else subtitle(head, steps_of(head.steps))
    if diff.ledger is None:
        why = "A side has no operator pass, so there are no rows that could explain the difference."
        return Waterfall(title=title, subtitle=about, missing=why)
    rows = [row for row in diff.operators if row.kind != "unattributed" and row.changed]
    # An unchanged row moves nothing; one that cost nothing on either side has a cause, but no bar to carry it.
    moved = [row for row in rows if row.delta_ns]
    culprits = {id(row) for row in diff.operators[: diff.culprits]}
    steps = [_step(row, id(row) in culprits) for row in moved[:top]]
    steps += _rest(moved[top:])
    steps += [_unattributed(row, id(row) in culprits) for row in diff.operators if row.kind == "unattributed"]
    left = diff.ledger.head_ns - diff.ledger.base_ns - math.fsum(step.delta_ns for step in steps)
    if abs(left) > _ROUNDING * max(abs(diff.ledger.base_ns), abs(diff.ledger.head_ns)):
        steps.append(WaterfallStep("in no row", left, "rest", detail="a ledger that does not close"))
    return Waterfall(
        title=title,
        subtitle=about,
        notes=tuple(_notes(diff, steps)),
        start_ns=diff.ledger.base_ns,
        steps=tuple(steps),
        end_ns=diff.ledger.head_ns,
    )


def _step(row: Delta, sure: bool) -> WaterfallStep:
    return WaterfallStep(
        f"Python: {row.name}" if row.kind == "python" else row.name,
        row.delta_ns,
        row.kind,
        row.interval,
        row.module,
        row.phase,
        row.shapes,
        row.cause,
        sure=sure,
    )


def _unattributed(row: Delta, sure: bool) -> WaterfallStep:
    return WaterfallStep("unattributed", row.delta_ns, "unattributed", row.interval, sure=sure)


def _rest(rows: Sequence[Delta]) -> Iterator[WaterfallStep]:
    """What is left of the operators, and of Python's ranges."""
    for kind, one in (("operator", "other row"), ("python", "other Python range")):
        deltas = [row.delta_ns for row in rows if row.kind == kind]
        if deltas:
            shown_as = "rest" if kind == "operator" else "python"
            yield WaterfallStep(counted(len(deltas), one), math.fsum(deltas), shown_as)


def _notes(diff: WorkloadDiff, steps: Sequence[WaterfallStep]) -> Iterator[str]:
    yield "Means over the profiled steps of each side: the bars sum to head − base."
    if any(step.interval is not None for step in steps):
        yield "Whiskers: 95% interval of each change, from the profiled steps of both sides."
    else:
        yield "No intervals: a side has fewer than two profiled steps."
    if not diff.culprits:
        yield f"No row changed by more than {format_share(MATERIAL)} of the step beyond its interval."
    # Notes of a comparison are parts of a list there, and sentences here.
    yield from (f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in diff.notes)
