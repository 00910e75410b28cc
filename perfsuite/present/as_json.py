"""The JSON of ``perfsuite show --json``, format 3; ``docs/json.md`` explains every key."""

from __future__ import annotations

import math
from typing import Any

from perfsuite.analyse.tables import phase_medians
from perfsuite.codec import to_json
from perfsuite.records import FORMAT, AllocationCurve, Ledger, Memory, Operator, Primitive, Profile, Run

#: Above it a float no longer holds every whole number, and writing digits it does not have would be false precision.
_EXACT = 2**53


def show_json(run: Run) -> dict[str, Any]:
    """A run as strict JSON values: whole numbers are ints, and what is not a number is None."""
    return {
        "format": FORMAT,
        "id": run.id,
        "created": run.created,
        "status": run.status,
        "environment": strict(to_json(run.environment)),
        "workloads": [strict(_workload(profile)) for profile in run.workloads],
        "problems": list(run.problems),
    }


def _workload(profile: Profile) -> dict[str, Any]:
    medians = phase_medians(profile)
    samples, memory = profile.samples, profile.memory
    return {
        "name": profile.name,
        "scale": profile.scale,
        "dtype": profile.dtype,
        "backend": profile.backend,
        "iterations": samples.iterations if samples else None,
        "samples_ns": samples.per_step_ns if samples else [],
        "phases": [
            {"name": phase.name, "wall_ns": medians.get(phase.name), "samples_ns": phase.samples_ns}
            for phase in profile.phases
        ],
        "operators": [_operator(operator) for operator in profile.operators],
        "primitives": [_primitive(primitive) for primitive in profile.primitives],
        "python": [to_json(row) for row in profile.python],
        "ledger": _ledger(profile.ledger),
        "peak_rss_bytes": memory.peak_rss_bytes if memory else None,
        "start_rss_bytes": memory.start_rss_bytes if memory else None,
        "usage": _usage(memory),
        "allocation_curve": _allocation_curve(profile.allocation_curve),
        "walls_ns": profile.walls_ns,
        "overhead": profile.overhead,
        "passes": profile.passes,
        "steps": profile.steps,
        "join": profile.join,
        "contended": profile.contended,
        "notes": profile.notes,
    }


# Written out key by key: a field added to a record must not change a documented format by itself.


def _operator(operator: Operator) -> dict[str, Any]:
    return {
        "name": operator.name,
        "phase": operator.phase,
        "module": operator.module,
        "shapes": operator.shapes,
        "count": operator.count,
        "self_ns": operator.self_ns,
        "self_ns_samples": operator.self_ns_samples,
        "total_ns": operator.total_ns,
        "flops": operator.flops,
        "allocated_bytes": operator.allocated_bytes,
        "primitives": operator.primitives,
        "dtypes": operator.dtypes,
        "counts": operator.counts,
        "bytes_moved": operator.bytes_moved,
        "allocated_bytes_samples": operator.allocated_bytes_samples,
        "allocations_samples": operator.allocations_samples,
    }


def _primitive(primitive: Primitive) -> dict[str, Any]:
    return {
        "kind": primitive.kind,
        "implementation": primitive.implementation,
        "direction": primitive.direction,
        "dtypes": primitive.dtypes,
        "layouts": primitive.layouts,
        "attributes": primitive.attributes,
        "algorithm": primitive.algorithm,
        "problem": primitive.problem,
        "count": primitive.count,
        "time_ns": primitive.time_ns,
        "operator": primitive.operator,
        "counts": primitive.counts,
        "time_ns_samples": primitive.time_ns_samples,
    }


def _usage(memory: Memory | None) -> dict[str, Any] | None:
    if memory is None or memory.wall_ns is None:
        return None
    return {
        "wall_ns": memory.wall_ns,
        "user_ns": memory.user_ns,
        "system_ns": memory.system_ns,
        "page_faults": memory.page_faults,
    }


def _allocation_curve(curve: AllocationCurve | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    return {
        "wall_ns": curve.wall_ns,
        "times_ns": curve.times_ns,
        "live_bytes": curve.live_bytes,
        "phases": [{"name": one.name, "start_ns": one.start_ns, "end_ns": one.end_ns} for one in curve.phases],
    }


def _ledger(ledger: Ledger | None) -> dict[str, Any] | None:
    if ledger is None:
        return None
    return {
        "wall_ns": ledger.wall_ns,
        "operators_ns": ledger.operators_ns,
        "python_ns": ledger.python_ns,
        "unattributed_ns": ledger.unattributed_ns,
        "joined_primitives": ledger.joined_primitives,
        "executed_primitives": ledger.executed_primitives,
        "joined_ratio": ledger.joined_ratio,
    }


def strict(value: Any) -> Any:
    """``value`` without what strict JSON lacks: NaN and infinities are None, and whole numbers are ints."""
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    return value
