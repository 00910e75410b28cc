"""Operators under the machine's ceilings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from perfsuite.analyse.figures.common import contended, not_recorded, phase_order, slower_by, subtitle
from perfsuite.analyse.figures.common import steps as counted
from perfsuite.analyse.figures.model import Roof, RooflineDot, RooflineFigure
from perfsuite.analyse.roofline import OperatorPoint, roofline
from perfsuite.analyse.tables import recorded
from perfsuite.ceilings import PRODUCTS, Ceilings
from perfsuite.records import Profile


def roofline_figure(profile: Profile, ceilings: Ceilings | None, top: int = 300) -> RooflineFigure:
    """The ``top`` longest operator rows whose FLOPs and bytes are known; without ceilings the dots alone."""
    title, about = "Roofline of the operators", subtitle(profile, counted(profile.steps))
    if not recorded(profile, "operators"):
        return RooflineFigure(title=title, subtitle=about, missing=not_recorded("Operators were", "operator"))
    rows = roofline(profile, ceilings).operators
    known = [(row, dot) for row in rows if (dot := _dot(row)) is not None]
    if not known:
        why = "No operator row has both known FLOPs and known bytes, so none has a place in a roofline."
        return RooflineFigure(title=title, subtitle=about, missing=why)
    dots = tuple(dot for _, dot in known[:top])
    total = math.fsum(row.self_ns for row in rows)
    shown = math.fsum(row.self_ns for row, _ in known[:top])
    return RooflineFigure(
        title=title,
        subtitle=about,
        notes=(*_notes(rows, known, top, ceilings), *slower_by(profile, "operators"), *contended(profile)),
        dots=dots,
        roofs=() if ceilings is None else tuple(_roofs(ceilings, dots)),
        phases=phase_order(profile, (dot.phase for dot in dots)),
        shown_share=shown / total if total else None,
    )


def _dot(row: OperatorPoint) -> RooflineDot | None:
    point = row.point
    # A logarithm has no place for 0.
    if not point.intensity or not point.flop_rate:
        return None
    return RooflineDot(
        row.name, row.phase, row.module, row.shapes, point.intensity, point.flop_rate, point.time_ns,
        point.dtype, point.level, point.ceiling, point.share, point.bound,
    )  # fmt: skip


def _roofs(ceilings: Ceilings, dots: Sequence[RooflineDot]) -> Iterator[Roof]:
    """Peaks, then bandwidths: of each the faster of the two ways to measure it."""
    dtypes, levels = {dot.dtype for dot in dots}, {dot.level for dot in dots}
    for name in dict.fromkeys(roof.name for roof in ceilings.roofs if roof.kind in PRODUCTS):
        peak = ceilings.peak(name)
        if peak is not None:
            yield Roof("peak", name, peak.best, name in dtypes)
    for level in ceilings.levels:
        bandwidth = ceilings.bandwidth(level.name)
        if bandwidth is not None:
            yield Roof("bandwidth", level.name, bandwidth.best, level.name in levels)


_Known = Sequence[tuple[OperatorPoint, RooflineDot]]


def _notes(rows: Sequence[OperatorPoint], known: _Known, top: int, ceilings: Ceilings | None) -> Iterator[str]:
    total = math.fsum(row.self_ns for row in rows)
    shown, beyond = known[:top], known[top:]
    there = len(rows) - len(known)
    if total:
        yield f"Shown: {_rows(len(shown))} with {_share(shown, total)} of the operators' self time."
        without = 1 - math.fsum(row.self_ns for row, _ in known) / total
        if there:
            yield f"Left out: {_rows(there)}, {max(without, 0.0):.1%} of it, whose FLOPs or bytes are not known or 0."
        if beyond:
            yield f"Left out as shorter: {_rows(len(beyond))}, {_share(beyond, total)} of it."
    yield "FLOPs are those of products only; bytes are the least that must move; time is the operator's total time."
    if ceilings is None:
        yield "No roofs: the machine was not measured; measure it with: perfsuite machine"
    else:
        yield "Roofs are the best rates that perfsuite machine measured on this machine."
        yield from (f"The ceilings: {warning}." for warning in ceilings.warnings)


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _share(rows: _Known, total: float) -> str:
    return f"{math.fsum(row.self_ns for row, _ in rows) / total:.1%}"
