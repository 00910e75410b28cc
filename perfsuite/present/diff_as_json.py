"""The JSON of ``perfsuite diff --json``, format 1; ``docs/diff.md`` explains every key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfsuite.analyse.diff import Cause, Census, Change, Delta, Entry, RunDiff, Wall, WorkloadDiff
from perfsuite.present.as_json import strict
from perfsuite.records import Memory

FORMAT = 1


def diff_json(diff: RunDiff) -> dict[str, Any]:
    """A comparison as strict JSON values; of a single workload its parts stand at the top as well."""
    workloads = [_workload(workload) for workload in diff.workloads]
    document = {
        "format": FORMAT,
        "base": diff.base_id,
        "head": diff.head_id,
        "comparable": diff.comparable,
        "reasons": list(diff.reasons),
        "environment_changes": _changes(diff.environment_changes),
        "notes": list(diff.notes),
        "missing": [{"name": one.name, "only_in": one.only_in, "found_in": one.found_in} for one in diff.missing],
        "workloads": workloads,
    }
    if len(workloads) == 1:
        document |= {key: workloads[0][key] for key in ("wall", "operators", "census")}
    found: dict[str, Any] = strict(document)
    return found


def _workload(workload: WorkloadDiff) -> dict[str, Any]:
    ledger = workload.ledger
    return {
        "name": workload.name,
        "changes": _changes(workload.changes),
        "notes": list(workload.notes),
        "wall": _wall(workload.wall),
        "ledger": None
        if ledger is None
        else {
            "base_ns": ledger.base_ns,
            "head_ns": ledger.head_ns,
            "operators_ns": ledger.operators_ns,
            "python_ns": ledger.python_ns,
            "unattributed_ns": ledger.unattributed_ns,
        },
        "memory": {"base": _memory(workload.base_memory), "head": _memory(workload.head_memory)},
        "culprits": workload.culprits,
        "operators": rows_json(workload.operators),
        "census": census_json(workload.census),
    }


def rows_json(rows: Sequence[Delta]) -> list[dict[str, Any]]:
    """``operators[]``; not strict yet."""
    return [_delta(row) for row in rows]


def census_json(census: Census) -> dict[str, Any]:
    """``census``; not strict yet."""
    return {
        "totals": [{"what": total.what, "base": total.base, "head": total.head} for total in census.totals],
        "added": entries_json(census.added),
        "removed": entries_json(census.removed),
        "changed": entries_json(census.changed),
        "unstable": entries_json(census.unstable),
    }


def _wall(wall: Wall) -> dict[str, Any]:
    return {
        "base_ns": wall.base_ns,
        "head_ns": wall.head_ns,
        "ratio": wall.ratio,
        "interval": wall.interval,
        "confidence": wall.confidence,
        "base_n": wall.base_n,
        "head_n": wall.head_n,
    }


def _memory(memory: Memory | None) -> dict[str, Any] | None:
    if memory is None:
        return None
    return {
        "start_rss_bytes": memory.start_rss_bytes,
        "peak_rss_bytes": memory.peak_rss_bytes,
        "wall_ns": memory.wall_ns,
        "user_ns": memory.user_ns,
        "system_ns": memory.system_ns,
        "page_faults": memory.page_faults,
    }


def _delta(row: Delta) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": row.name,
        "module": row.module,
        "phase": row.phase,
        "shapes": row.shapes,
        "there": row.there,
        "base_name": row.base_name,
        "base_module": row.base_module,
        "base_ns": row.base_ns,
        "head_ns": row.head_ns,
        "delta_ns": row.delta_ns,
        "share": row.share,
        "interval": row.interval,
        "method": row.method,
        "beyond_ns": row.beyond_ns,
        "cause": _cause(row.cause) if row.changed else None,
        "causes": [_cause(cause) for cause in row.causes],
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {"kind": cause.kind, "base": cause.base, "head": cause.head, "primitive": cause.primitive}


def _changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [{"key": change.key, "base": change.base, "head": change.head} for change in changes]


def entries_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The entries of a census; not strict yet."""
    return [
        {
            "what": entry.what,
            "name": entry.where.name,
            "module": entry.where.module,
            "phase": entry.where.phase,
            "shapes": entry.where.shapes,
            "primitive": entry.primitive,
            "problem": entry.problem,
            "base": entry.base,
            "head": entry.head,
            "counts": entry.counts,
            "cost_ns": entry.cost_ns,
        }
        for entry in entries
    ]
