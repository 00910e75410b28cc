"""The JSON of ``perfsuite gate --json``, format 1; ``docs/gate-ci.md`` explains every key."""

from __future__ import annotations

from typing import Any

from perfsuite.gate.model import BenchmarkResult, Failure, GateResult, PairTrace, Policy, Side
from perfsuite.present.as_json import strict
from perfsuite.present.diff_as_json import census_json, entries_json, rows_json
from perfsuite.present.gate.words import overall

FORMAT = 1


def gate_json(result: GateResult, *, raw: bool = False, code: int | None = None) -> dict[str, Any]:
    """A gate's result as strict JSON values.

    Args:
        raw: every timed step of every process pair, too.
        code: what the command exits with; by default as if inconclusive does not pass.
    """
    document: dict[str, Any] = strict(
        {
            "format": FORMAT,
            "verdict": overall(result),
            "threshold": result.threshold,
            "base": result.base.spec,
            "head": result.head.spec,
            "benchmarks": [_benchmark(one, raw) for one in result.benchmarks],
            "exit_code": result.exit_code() if code is None else code,
            "identical": result.identical,
            "interrupted": result.interrupted,
            "unfinished": list(result.unfinished),
            "seconds": result.seconds,
            "notes": list(result.notes),
            "settings": list(result.settings),
            "settings_file": result.settings_file,
            "sides": {"base": _side(result.base), "head": _side(result.head)},
        }
    )
    return document


# Written out key by key: a field added to a record must not change a documented format by itself.


def _benchmark(one: BenchmarkResult, raw: bool) -> dict[str, Any]:
    found, attribution, census = one.judgement, one.attribution, one.census
    return {
        "name": one.name,
        "verdict": one.verdict,
        "ratio": found.ratio if found is not None else None,
        "interval": found.interval if found is not None else None,
        "pairs": one.step_pairs,
        "process_pairs": one.process_pairs,
        "minimal_detectable": found.minimal_detectable if found is not None else None,
        "seconds": one.seconds,
        "attribution": rows_json(attribution.rows) if attribution is not None else [],
        "census": census_json(one.diff.census) if one.diff is not None and one.diff.ledger is not None else None,
        "attribution_sure": attribution.sure if attribution is not None else None,
        "benchdnn": list(attribution.benchdnn) if attribution is not None else [],
        "census_failures": [_failure(failure) for failure in census.failures] if census is not None else None,
        "census_unsteady": census.unsteady if census is not None else None,
        "census_captures": census.captures if census is not None else None,
        "further_pairs": found.further_pairs if found is not None else None,
        "spread": found.spread if found is not None else None,
        "strays": [number for number, _ in one.strays],
        "policy": _policy(one.policy),
        "reasons": list(one.reasons),
        "notes": list(one.notes),
        "traces": [_trace(trace, raw) for trace in one.pairs],
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "threshold": policy.threshold,
        "confidence": policy.confidence,
        "min_pairs": policy.min_pairs,
        "max_pairs": policy.max_pairs,
        "least_pairs": policy.least_pairs,
        "seconds": policy.seconds,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "rule": failure.rule,
        "text": failure.text,
        "entry": entries_json([failure.entry])[0] if failure.entry is not None else None,
        "benchdnn": list(failure.benchdnn),
    }


def _trace(trace: PairTrace, raw: bool) -> dict[str, Any]:
    steps = {"base_ns": trace.base_ns, "head_ns": trace.head_ns} if raw else {}
    return {
        "base_median_ns": trace.base_median_ns,
        "head_median_ns": trace.head_median_ns,
        "log_ratio": trace.log_ratio,
        "order": trace.order,
        "first": trace.first,
        "steps": trace.steps,
        "seconds": trace.seconds,
        **steps,
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "spec": side.spec,
        "commit": side.commit,
        "dirty": side.dirty,
        "python": side.python or None,
        "python_version": side.python_version,
        "packages": dict(side.packages),
        "variables": dict(side.variables),
        "modules": dict(side.modules),
    }
