"""The operator rows that take longest."""

from __future__ import annotations

import math

from perfsuite.analyse.figures.common import contended, not_recorded, phase_order, slower_by, subtitle
from perfsuite.analyse.figures.common import steps as steps_of
from perfsuite.analyse.figures.model import HotspotBar, Hotspots
from perfsuite.analyse.tables import recorded, top_operators
from perfsuite.records import Profile
from perfsuite.stats import mean_interval


def hotspots(profile: Profile, top: int = 15) -> Hotspots:
    """The ``top`` operator rows by self time, and the sum of the rest."""
    title, about = "Hotspots: operators by self time", subtitle(profile, steps_of(profile.steps))
    if not recorded(profile, "operators"):
        return Hotspots(title=title, subtitle=about, missing=not_recorded("Operators were", "operator"))
    total = math.fsum(row.self_ns for row in profile.operators)
    if total <= 0:
        why = "No operator took any time." if profile.operators else "The step ran no operator."
        return Hotspots(title=title, subtitle=about, missing=why)
    rows = top_operators(profile)
    bars = tuple(
        HotspotBar(
            row.name, row.phase, row.module, row.shapes, row.count, row.self_ns, row.share,
            mean_interval(profile.operators[row.row].self_ns_samples), row.primitives_ns, row.implementations,
        )
        for row in rows[:top]
    )  # fmt: skip
    rest = rows[len(bars) :]
    shares = [row.share for row in rest if row.share is not None]
    return Hotspots(
        title=title,
        subtitle=about,
        notes=_notes(profile, bars),
        bars=bars,
        rest_rows=len(rest),
        rest_ns=math.fsum(row.self_ns for row in rest),
        rest_share=math.fsum(shares) if rest and len(shares) == len(rest) else None,
        total_ns=total,
        phases=phase_order(profile, (bar.phase for bar in bars)),
    )


def _notes(profile: Profile, bars: tuple[HotspotBar, ...]) -> tuple[str, ...]:
    found = ["Self time: without the operators that it calls; a row is an operator in a phase, a module, on shapes."]
    if any(bar.interval is not None for bar in bars):
        found.append(f"Whiskers: 95% interval for the mean of the {profile.steps} profiled steps (Student).")
    if any(bar.interval is not None and bar.interval[0] < 0 for bar in bars):
        found.append("A whisker with an arrow reaches below 0: the steps scatter too much for an interval this simple.")
    if not recorded(profile, "primitives"):
        found.append("The primitive pass did not run: what of a bar is inside oneDNN is not known.")
    elif any(bar.primitives_ns for bar in bars):
        found.append("Hatched: oneDNN's own time of the row's primitives, from other steps (the primitive pass).")
    return (*found, *slower_by(profile, "operators"), *contended(profile))
