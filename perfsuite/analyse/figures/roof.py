"""Operators under the machine's ceilings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from perfsuite.analyse.figures.common import contended, not_recorded, phase_order, slower_by, subtitle
from perfsuite.analyse.figures.common import steps as steps_of
from perfsuite.analyse.figures.model import LeftOut, Roof, RooflineDot, RooflineFigure
from perfsuite.analyse.roofline import OperatorPoint, roofline
from perfsuite.analyse.tables import recorded
from perfsuite.ceilings import PRODUCTS, Ceilings
from perfsuite.records import Profile
from perfsuite.units import counted, format_share

#: How many operators a reason names.
_NAMED = 4
_LONGEST = 60


def roofline_figure(profile: Profile, ceilings: Ceilings | None, top: int = 300) -> RooflineFigure:
    """The ``top`` longest operator rows whose FLOPs and bytes are known; without ceilings the dots alone."""
    title, about = "Roofline of the operators", subtitle(profile, steps_of(profile.steps))
    if not recorded(profile, "operators"):
        return RooflineFigure(title=title, subtitle=about, missing=not_recorded("Operators were", "operator"))
    rows = roofline(profile, ceilings).operators
    known = [(row, dot) for row in rows if (dot := _dot(row)) is not None]
    if not known:
        why = "No operator row has both known FLOPs and known bytes, so none has a place in a roofline."
        return RooflineFigure(title=title, subtitle=about, missing=why)
    dots = tuple(dot for _, dot in known[:top])
    shown = math.fsum(row.self_ns for row, _ in known[:top])
    left_out = tuple(_left_out(rows, known[top:]))
    total = math.fsum(row.self_ns for row in rows)
    share = shown / total if total else None
    return RooflineFigure(
        title=title,
        subtitle=about,
        notes=(*_notes(dots, share, left_out, ceilings), *slower_by(profile, "operators"), *contended(profile)),
        dots=dots,
        roofs=() if ceilings is None else tuple(_roofs(ceilings, dots)),
        phases=phase_order(profile, (dot.phase for dot in dots)),
        shown_share=share,
        left_out=left_out,
        contended=ceilings is not None and ceilings.contended,
    )


def _dot(row: OperatorPoint) -> RooflineDot | None:
    point = row.point
    # A logarithm has no place for 0.
    if not point.intensity or not point.flop_rate:
        return None
    return RooflineDot(
        row.name, row.phase, row.module, row.shapes, point.intensity, point.flop_rate, point.time_ns,
        point.dtype, point.level, point.ceiling, point.share, point.bound, point.roof,
    )  # fmt: skip


def _roofs(ceilings: Ceilings, dots: Sequence[RooflineDot]) -> Iterator[Roof]:
    """Peaks, then bandwidths: of each the faster of the two ways to measure it."""
    dtypes, levels = {dot.dtype for dot in dots}, {dot.level for dot in dots}
    for name in dict.fromkeys(roof.name for roof in ceilings.roofs if roof.kind in PRODUCTS):
        peak = ceilings.peak(name)
        if peak is not None:
            yield Roof("peak", name, peak.best, name in dtypes, ceilings.emulated(name))
    for level in ceilings.levels:
        bandwidth = ceilings.bandwidth(level.name)
        if bandwidth is not None:
            yield Roof("bandwidth", level.name, bandwidth.best, level.name in levels)


# --- what has no dot --------------------------------------------------------------------------------


def _left_out(rows: Sequence[OperatorPoint], beyond: Sequence[tuple[OperatorPoint, RooflineDot]]) -> Iterator[LeftOut]:
    """The rows without a dot by the reason, the one with the most time first."""
    total = math.fsum(row.self_ns for row in rows)
    by_reason: dict[str, list[OperatorPoint]] = defaultdict(list)
    for row in rows:
        if (why := _no_place(row)) is not None:
            by_reason[why].append(row)
    if beyond:
        by_reason["shorter than those shown"] = [row for row, _ in beyond]
    found = [_group(why, members, total) for why, members in by_reason.items()]
    yield from sorted(found, key=lambda one: -one.self_ns)


def _no_place(row: OperatorPoint) -> str | None:
    point = row.point
    if not point.flops:
        return "which have no FLOPs, since only those of products are counted"
    if not point.bytes:
        return "of which the bytes are not known"
    return None if point.flop_rate else "which took no time"


def _group(why: str, rows: Sequence[OperatorPoint], total: float) -> LeftOut:
    names: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        names[row.name].append(row.self_ns)
    times = {name: math.fsum(values) for name, values in names.items()}
    longest = sorted(times, key=lambda name: -times[name])[:_NAMED]
    own = math.fsum(times.values())
    return LeftOut(
        why, len(rows), own, own / total if total else None,
        tuple((name, times[name] / total if total else None) for name in longest),
    )  # fmt: skip


# --- notes ------------------------------------------------------------------------------------------


def _notes(
    dots: Sequence[RooflineDot], shown: float | None, left_out: Sequence[LeftOut], ceilings: Ceilings | None
) -> Iterator[str]:
    if ceilings is not None:
        # First, since it concerns every line and every share.
        yield from (f"The ceilings are {warning}." for warning in ceilings.warnings)
    yield f"Shown: {counted(len(dots), 'row')} with {format_share(shown)} of the operators' self time."
    yield from map(_left, left_out)
    yield "FLOPs are those of products only; bytes are the least that must move; time is the operator's total time."
    if ceilings is None:
        yield "No roofs: the machine was not measured; measure it with: perfsuite machine"
        return
    yield (
        "Roofs are the best rates that perfsuite machine measured on this machine; of peaks those of the data types "
        "that occur here."
    )
    above = sum(dot.share is not None and dot.share > 1 for dot in dots)
    if above:
        yield (
            f"{counted(above, 'row')} above the ceiling: less moved than was counted, because it was still in a nearer "
            "cache, or the ceiling was measured under worse conditions than the step."
        )
    slow = sorted({dot.dtype for dot in dots if dot.dtype is not None and ceilings.emulated(dot.dtype)})
    if slow:
        yield f"{', '.join(slow)} is computed by conversion here: its peak is no limit of the hardware."


def _left(one: LeftOut) -> str:
    # A name from a log can be of any length.
    names = ", ".join(f"{name[:_LONGEST]} {format_share(share)}" for name, share in one.mostly)
    mostly = "mostly " if len(one.mostly) == _NAMED else ""
    return f"Left out: {counted(one.rows, 'row')} with {format_share(one.share)} of it, {one.why}: {mostly}{names}."
