"""Ceilings and rooflines as text and as JSON; nothing is computed here but how a number is printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from perfsuite.analyse.roofline import Coverage, OperatorPoint, Point, PrimitivePoint, Roofline
from perfsuite.analyse.tables import recorded, short_direction
from perfsuite.ceilings import FORMAT, PRODUCTS, Ceiling, Ceilings
from perfsuite.codec import to_json
from perfsuite.present.as_json import strict
from perfsuite.present.cells import MISSING, clean, format_bytes, format_count, format_ns, format_shapes, format_share
from perfsuite.present.layout import MIN_WIDTH, Column, hanging, section, stack, taken_by, to_text
from perfsuite.records import Profile

_WIDE = 120


def format_rate(rate: float | None) -> str:
    """Billions per second with three significant digits: ``187``, ``12.4``, ``0.055``."""
    return _significant(None if rate is None else rate / 1e9)


def _significant(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return MISSING
    if value >= 99.95 or value == 0:
        return f"{value:.0f}"
    return f"{value:.{2 if value >= 0.9995 and value < 9.995 else 1 if value >= 9.995 else 3}f}"


# --- the machine ------------------------------------------------------------------------------------


def render_ceilings(ceilings: Ceilings, *, width: int, color: bool) -> str:
    """What a machine can do at most."""
    width = max(width, MIN_WIDTH)
    products = [roof for roof in ceilings.roofs if roof.kind in PRODUCTS]
    levels = [roof for roof in ceilings.roofs if roof.kind not in PRODUCTS]
    threads = f"{ceilings.threads} thread{'' if ceilings.threads == 1 else 's'}"
    parts: list[RenderableType] = [
        Text(f"{clean(ceilings.environment.cpu_model or 'unknown CPU')} · {threads}", "bold")
    ]
    env = ceilings.environment
    parts.append(Text(clean(f"measured {ceilings.created} with torch {env.torch or MISSING}")))
    parts += section(
        "Products: best of several sizes; the faster kind is the peak",
        _roof_columns(products, "Data type", "GFLOP/s"),
        width,
    )
    caption = "Bandwidth: bytes as STREAM counts them, without the lines that writes fetch first"
    parts += section(caption, _roof_columns(levels, "Level", "GB/s"), width)
    parts.append(Text())
    facts = [f"an operator on one element takes {format_ns(ceilings.empty_operator_median_ns)} under the profiler"]
    facts += [f"warning: {warning}" for warning in ceilings.warnings]
    facts += [f"note: {clean(note)}" for note in ceilings.notes]
    return to_text([*parts, *(line for fact in facts for line in hanging(fact, width))], width, color)


def _roof_columns(roofs: Sequence[Ceiling], what: str, unit: str) -> list[Column]:
    names = [f"{roof.name} {roof.kind}" for roof in roofs]
    sizes = [str(roof.size) if roof.kind in PRODUCTS else format_bytes(roof.size) for roof in roofs]
    return [
        Column(what, "name", [clean(name) for name in names]),
        Column(unit, "number", [format_rate(roof.best) for roof in roofs]),
        Column("Median", "number", [format_rate(roof.median) for roof in roofs]),
        Column("95% CI", "number", [_interval(roof) for roof in roofs]),
        Column("Repeats", "number", [str(len(roof.rates)) for roof in roofs]),
        Column("Size", "number", sizes),
    ]


def _interval(roof: Ceiling) -> str:
    found = roof.interval
    return MISSING if found is None else f"{format_rate(found[0])} to {format_rate(found[1])}"


def ceilings_json(ceilings: Ceilings) -> dict[str, Any]:
    """The ceilings as strict JSON values; ``docs/roofline.md`` explains the keys."""
    value: dict[str, Any] = strict(
        {
            "format": FORMAT,
            "created": ceilings.created,
            "environment": to_json(ceilings.environment),
            "threads": ceilings.threads,
            "load_average": ceilings.load_average,
            "contended": ceilings.contended,
            "levels": [to_json(level) for level in ceilings.levels],
            "roofs": [
                {
                    "kind": roof.kind,
                    "name": roof.name,
                    "size": roof.size,
                    "best": roof.best,
                    "median": roof.median,
                    "interval": roof.interval,
                    "spread": roof.spread,
                    "noisy": roof.noisy,
                    "rates": roof.rates,
                }
                for roof in ceilings.roofs
            ],
            "empty_operator_ns": ceilings.empty_operator_ns,
            "warnings": ceilings.warnings,
            "notes": ceilings.notes,
        }
    )
    return value


# --- a profile --------------------------------------------------------------------------------------


def render_roofline(profile: Profile, found: Roofline, *, primitives: bool, top: int, width: int, color: bool) -> str:
    """One workload: its operators, or its primitives, under the roof."""
    width = max(width, MIN_WIDTH)
    parts: list[RenderableType] = [Text(clean(profile.name), "bold", overflow="fold")]
    facts = [fact for fact in (profile.scale, profile.dtype, profile.backend) if fact]
    if facts:
        parts.append(Text(clean(" · ".join(facts))))
    needed = "primitives" if primitives else "operators"
    if not recorded(profile, needed):
        parts += hanging(f"the {needed} pass did not run: record it with pytest --profile-dnn", width)
        return to_text(parts, width, color)
    if primitives:
        parts += _primitive_part(found, top, width)
        covered = _covered("time in primitives", found.primitive_coverage)
    else:
        parts += _operator_part(found, top, width)
        covered = _covered("operator self time", found.coverage)
    return to_text([*parts, Text(), *hanging(covered, width)], width, color)


def _covered(what: str, coverage: Coverage) -> str:
    return f"bytes known for {format_share(coverage.bytes)}, FLOPs for {format_share(coverage.flops)} of {what}"


def _operator_part(found: Roofline, top: int, width: int) -> list[RenderableType]:
    rows = found.operators[:top]
    called = [clean(f"{row.name} {format_shapes(row.shapes)}".rstrip()) for row in rows]
    modules = Column("Module", "path", [clean(row.module or "") for row in rows])
    caption = f"{_top(len(rows), len(found.operators))} operator rows, the longest first"
    return _part(
        caption, "Operator", called, [row.point for row in rows], [modules], width, [row.length_ns for row in rows]
    )


def _primitive_part(found: Roofline, top: int, width: int) -> list[RenderableType]:
    rows = found.primitives[:top]
    names = [clean(f"{row.kind} {short_direction(row.direction)} {row.problem}") for row in rows]
    details = [Column("Implementation", "name", [clean(row.implementation) for row in rows])]
    caption = f"{_top(len(rows), len(found.primitives))} primitive rows, the longest first"
    return _part(
        caption, "Primitive", names, [row.point for row in rows], details, width, [row.point.time_ns for row in rows]
    )


def _top(shown: int, there: int) -> str:
    return f"top {shown} of {there}" if shown < there else str(there)


def _part(
    caption: str,
    what: str,
    names: Sequence[str],
    points: Sequence[Point],
    details: Sequence[Column],
    width: int,
    times_ns: Sequence[float],
) -> list[RenderableType]:
    bounds = Column("Bound", "name", [_bound(point) for point in points])
    work = [
        Column("GFLOP", "number", [format_rate(point.flops) for point in points]),
        Column("Bytes", "number", [format_bytes(point.bytes) for point in points]),
        Column("Calls", "number", [format_count(point.count) for point in points]),
    ]
    numbers = [
        Column("Time", "number", [format_ns(ns) for ns in times_ns]),
        Column("FLOP/B", "number", [_significant(point.intensity) for point in points]),
        Column("GFLOP/s", "number", [format_rate(point.flop_rate) for point in points]),
        Column("GB/s", "number", [format_rate(point.byte_rate) for point in points]),
        Column("Of roof", "number", [format_share(point.share) for point in points]),
    ]
    if width >= _WIDE:
        numbers = [numbers[0], *work, *numbers[1:]]
    title = Column(what, "name", names)
    return section(caption, [stack(title, [bounds, *details], width - taken_by(numbers)), *numbers], width)


def _bound(point: Point) -> str:
    if point.bound is None:
        return ""
    return f"{point.bound} {point.level}" if point.level is not None and point.bound == "memory-bound" else point.bound


def roofline_json(profile: Profile, found: Roofline) -> dict[str, Any]:
    """One workload as strict JSON values; ``docs/roofline.md`` explains the keys."""
    value: dict[str, Any] = strict(
        {
            "name": profile.name,
            "coverage": to_json(found.coverage),
            "primitive_coverage": to_json(found.primitive_coverage),
            "operators": [_operator_json(row) for row in found.operators],
            "primitives": [_primitive_json(row) for row in found.primitives],
        }
    )
    return value


def _operator_json(row: OperatorPoint) -> dict[str, Any]:
    named = {"name": row.name, "phase": row.phase, "module": row.module, "shapes": row.shapes, "self_ns": row.self_ns}
    return {**named, **_point_json(row.point)}


def _primitive_json(row: PrimitivePoint) -> dict[str, Any]:
    named = {
        "kind": row.kind,
        "direction": row.direction,
        "implementation": row.implementation,
        "dtypes": row.dtypes,
        "problem": row.problem,
    }
    return {**named, **_point_json(row.point)}


def _point_json(point: Point) -> dict[str, Any]:
    return {
        "count": point.count,
        "time_ns": point.time_ns,
        "flops": point.flops,
        "bytes": point.bytes,
        "intensity": point.intensity,
        "flops_per_s": point.flop_rate,
        "bytes_per_s": point.byte_rate,
        "dtype": point.dtype,
        "level": point.level,
        "ceiling": point.ceiling,
        "share": point.share,
        "bound": point.bound,
    }
