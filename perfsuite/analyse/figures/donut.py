"""Where the time inside primitives goes, by (primitive, direction), as the paper's figure 2 shows it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from perfsuite.analyse.figures.common import contended, not_recorded, slower_by, steps, subtitle
from perfsuite.analyse.figures.model import Donut, Wedge
from perfsuite.analyse.tables import by_primitive, onednn_coverage, recorded, short_direction
from perfsuite.records import Operator, Profile

#: A wedge below this is too thin to be seen, so it joins the rest.
_THIN = 0.005


def donut(profile: Profile, top: int = 8) -> Donut:
    """Shares of the time inside primitives; of operators' self time where no primitive ran.

    Args:
        top: how many wedges to show by name; the others, and those too thin to be seen, are summed.
    """
    if not recorded(profile, "primitives"):
        title, why = "Time in oneDNN primitives", not_recorded("oneDNN primitives were", "primitive")
        return Donut(title=title, subtitle=subtitle(profile), missing=why)
    return _of_primitives(profile, top) if profile.primitives else _of_operators(profile, top)


def _of_primitives(profile: Profile, top: int) -> Donut:
    title, about = "Time in oneDNN primitives", subtitle(profile, steps(profile.steps))
    rows = [(r.kind, short_direction(r.direction), r.time_ns, r.share, r.count) for r in by_primitive(profile)]
    wedges = _merged(_grouped(rows), top)
    if not wedges:
        return Donut(title=title, subtitle=about, missing="Primitives ran, but the log gives no time for any of them.")
    notes = [
        "oneDNN's own times of its executions, in the primitive pass; a direction is written as benchdnn writes it.",
        *slower_by(profile, "primitives"),
        *contended(profile),
    ]
    total = math.fsum(wedge.time_ns for wedge in wedges)
    return Donut(
        title=title, subtitle=about, notes=tuple(notes),
        wedges=wedges, total_ns=total, share_of_step=onednn_coverage(profile),
    )  # fmt: skip


def _of_operators(profile: Profile, top: int) -> Donut:
    title = "No oneDNN primitive ran: time in operators"
    about = subtitle(profile, steps(profile.steps))
    if not profile.operators:
        why = "No oneDNN primitive ran, and no operator was recorded."
        return Donut(title=title, subtitle=about, of="operators", missing=why)
    wall = profile.ledger.wall_ns if profile.ledger is not None else 0.0
    rows = [_operator_row(operator, wall) for operator in profile.operators]
    wedges = _merged(_grouped(rows), top)
    if not wedges:
        return Donut(title=title, subtitle=about, of="operators", missing="No operator took any time.")
    total = math.fsum(wedge.time_ns for wedge in wedges)
    notes = [
        "The primitive pass saw no execution of a oneDNN primitive, so this shows operators, by self time and phase.",
        *slower_by(profile, "operators"),
        *contended(profile),
    ]
    return Donut(
        title=title, subtitle=about, notes=tuple(notes), of="operators",
        wedges=wedges, total_ns=total, share_of_step=total / wall if wall else None,
    )  # fmt: skip


_Row = tuple[str, str, float, "float | None", float]


def _operator_row(operator: Operator, wall: float) -> _Row:
    share = operator.self_ns / wall if wall else None
    return operator.name, operator.phase or "", operator.self_ns, share, operator.count


def _grouped(rows: Sequence[_Row]) -> list[Wedge]:
    """One wedge for each name and part that took any time; two of the log's words can be one of benchdnn's."""
    groups: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        groups[row[:2]].append(row)
    total = math.fsum(row[2] for row in rows)
    wedges = [_wedge(name, part, members, total) for (name, part), members in groups.items()]
    return sorted((wedge for wedge in wedges if wedge.time_ns > 0), key=lambda wedge: -wedge.time_ns)


def _wedge(name: str, part: str, rows: Sequence[_Row], total: float) -> Wedge:
    time = math.fsum(row[2] for row in rows)
    shares = [row[3] for row in rows if row[3] is not None]
    return Wedge(
        name,
        part,
        time,
        share=time / total if total else 0.0,
        share_of_step=math.fsum(shares) if len(shares) == len(rows) else None,
        count=math.fsum(row[4] for row in rows),
    )


def _merged(wedges: Sequence[Wedge], top: int) -> tuple[Wedge, ...]:
    shown = [wedge for wedge in wedges[:top] if wedge.share >= _THIN]
    rest = wedges[len(shown) :]
    if len(rest) < 2:
        # One alone is as well shown by its name.
        return tuple(wedges)
    shares = [wedge.share_of_step for wedge in rest if wedge.share_of_step is not None]
    other = Wedge(
        "other",
        "",
        math.fsum(wedge.time_ns for wedge in rest),
        math.fsum(wedge.share for wedge in rest),
        math.fsum(shares) if len(shares) == len(rest) else None,
        math.fsum(wedge.count for wedge in rest),
        merged=len(rest),
    )
    return (*shown, other)
