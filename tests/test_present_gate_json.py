from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from hypothesis import given, settings

from perfsuite.analyse.diff import RunDiff
from perfsuite.gate.model import GateResult, Judgement
from perfsuite.present.diff_as_json import diff_json
from perfsuite.present.gate.as_json import gate_json
from tests import gate_results as made
from tests.hostile import hostile_text
from tests.test_present_gate import hostile

#: As the format was promised, in this order; further keys follow.
TOP = ["format", "verdict", "threshold", "base", "head", "benchmarks"]
BENCHMARK = [
    "name", "verdict", "ratio", "interval", "pairs", "process_pairs", "minimal_detectable", "seconds", "attribution",
    "census",
]  # fmt: skip


def strict(result: GateResult, **more: Any) -> dict[str, Any]:
    """What a program reads that takes no NaN."""
    text = json.dumps(gate_json(result, **more), allow_nan=False)
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_keys_are_those_that_were_promised() -> None:
    found = strict(made.every_kind())
    assert list(found)[: len(TOP)] == TOP
    assert found["format"] == 1
    assert (found["verdict"], found["threshold"], found["base"], found["head"]) == ("regressed", 0.03, "git:main", ".")
    for one in found["benchmarks"]:
        assert list(one)[: len(BENCHMARK)] == BENCHMARK
    assert [one["verdict"] for one in found["benchmarks"]] == [
        "unchanged", "regressed", "improved", "inconclusive", "missing", "incomparable", "unchanged",
    ]  # fmt: skip


def test_a_regression_has_numbers_pairs_and_traces() -> None:
    one = strict(made.a_gate(made.regressed()))["benchmarks"][0]
    assert one["ratio"] == 1.062
    assert one["interval"] == [1.062 - 0.0135, 1.062 + 0.0135]
    # Six process pairs, two turns of three steps a side each.
    assert (one["pairs"], one["process_pairs"], len(one["traces"])) == (36, 6, 6)
    trace = one["traces"][0]
    assert math.isclose(trace["log_ratio"], math.log(trace["head_median_ns"] / trace["base_median_ns"]))
    assert "base_ns" not in trace
    assert one["minimal_detectable"] == 0.045
    assert one["policy"]["threshold"] == 0.03


def test_pairs_that_are_set_aside_are_numbered_from_one() -> None:
    (one,) = gate_json(made.a_gate(made.with_a_stray()))["benchmarks"]
    assert (one["strays"], one["process_pairs"], len(one["traces"])) == ([6], 8, 8)
    (other,) = gate_json(made.a_gate(made.unchanged()))["benchmarks"]
    assert other["strays"] == []


def test_raw_steps_are_there_on_demand() -> None:
    result = made.a_gate(made.regressed())
    trace = strict(result, raw=True)["benchmarks"][0]["traces"][0]
    assert trace["base_ns"] == [list(turn) for turn in result.benchmarks[0].pairs[0].base_ns]
    assert [len(turn) for turn in trace["head_ns"]] == [3, 3]


def test_attribution_and_census_have_the_shapes_of_diff() -> None:
    benchmark = made.regressed()
    assert benchmark.diff is not None
    (diff,) = diff_json(RunDiff("base", "head", (), (), (), (), (benchmark.diff,)))["workloads"]
    one = gate_json(made.a_gate(benchmark))["benchmarks"][0]
    assert one["attribution"] == diff["operators"]
    assert one["census"] == diff["census"]
    assert one["census"]["changed"]
    failed = gate_json(made.a_gate(made.census_failed()))["benchmarks"][0]
    (failure,) = failed["census_failures"]
    assert failure["entry"] in failed["census"]["changed"]


def test_what_is_not_known_is_null() -> None:
    one = strict(made.a_gate(made.missing()))["benchmarks"][0]
    for key in ("ratio", "interval", "minimal_detectable", "census", "census_failures", "spread", "attribution_sure"):
        assert one[key] is None
    assert (one["attribution"], one["traces"], one["pairs"], one["process_pairs"]) == ([], [], 0, 0)
    assert one["reasons"] == ["only base has this benchmark: renamed or removed"]
    assert strict(made.a_gate(made.census_only()))["benchmarks"][0]["verdict"] is None
    counted = replace(made.census_only(), census=None)
    assert strict(made.a_gate(counted))["verdict"] is None
    assert strict(made.a_gate(made.census_only()))["verdict"] == "regressed"
    assert strict(made.a_gate(counted))["settings_file"] is None
    assert strict(made.a_gate(counted, settings_file="a/pyproject.toml"))["settings_file"] == "a/pyproject.toml"


def test_no_census_is_not_an_empty_one() -> None:
    one = made.regressed()
    assert one.diff is not None
    unprofiled = replace(one, diff=replace(one.diff, ledger=None))
    assert strict(made.a_gate(unprofiled))["benchmarks"][0]["census"] is None


def test_no_number_is_nan() -> None:
    odd = Judgement("inconclusive", math.nan, (0.0, math.inf), 2, math.inf, None, math.nan)
    one = strict(made.a_gate(replace(made.inconclusive(), judgement=odd)))["benchmarks"][0]
    assert (one["ratio"], one["interval"], one["minimal_detectable"], one["spread"]) == (None, [0, None], None, None)


def test_identical_and_interrupted_gates() -> None:
    found = strict(made.identical())
    assert (found["identical"], found["verdict"], found["benchmarks"], found["exit_code"]) == (True, "unchanged", [], 0)
    found = strict(made.interrupted())
    assert (found["verdict"], found["exit_code"], len(found["unfinished"]), found["interrupted"]) == (
        None,
        130,
        2,
        True,
    )
    assert strict(made.a_gate(made.inconclusive()), code=0)["exit_code"] == 0


def test_both_sides_are_described() -> None:
    sides = strict(made.every_kind())["sides"]
    assert sides["base"]["commit"] == "0123456789abcdef0123"
    assert sides["head"]["dirty"] is True
    assert sides["head"]["packages"]["torch"] == "2.13.0"
    assert sides["head"]["modules"] == {"net/model.py": "ab" * 32}


@settings(max_examples=30, deadline=None)
@given(hostile_text)
def test_names_come_back_as_they_are(text: str) -> None:
    found = strict(hostile(text))
    assert found["benchmarks"][0]["name"] == text
    assert found["benchmarks"][0]["attribution"][0]["module"] == text
    assert found["base"] == text
