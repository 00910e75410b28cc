from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from junitparser import Error, Failure, JUnitXml, Skipped

from perfsuite.gate.model import GateResult
from perfsuite.present.gate.junit import render_junit
from tests import gate_results as made
from tests.hostile import HOSTILE, hostile_text
from tests.test_present_gate import hostile

#: Of the schema that Jenkins' xUnit plugin and pytest hold JUnit files against: each element's attributes, and the
#: elements in it.
SCHEMA: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": (set(), {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time"}, {"properties", "testcase"}),
    "testcase": (
        {"classname", "name", "time"},
        {"properties", "failure", "error", "skipped", "system-out"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}


def parsed(result: GateResult) -> ElementTree.Element:
    """The file, which keeps to the schema and to what XML allows."""
    root = ElementTree.fromstring(render_junit(result).encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = SCHEMA[element.tag]
        assert set(element.attrib) == attributes
        assert {child.tag for child in element} <= children
        if "time" in element.attrib:
            assert re.fullmatch(r"\d+\.\d{3}", element.attrib["time"])
        if element.tag == "testcase":
            outcomes = [child.tag for child in element if child.tag in ("failure", "error", "skipped")]
            assert len(outcomes) <= 1
            order = ["properties", "failure", "error", "skipped", "system-out"]
            tags = [child.tag for child in element]
            assert tags == sorted(tags, key=order.index)
    (suite,) = root
    for name, path in (("tests", "testcase"), ("failures", ".//failure"), ("errors", ".//error"),
                       ("skipped", ".//skipped")):  # fmt: skip
        assert int(suite.attrib[name]) == len(suite.findall(path))
    return suite


def outcomes(result: GateResult) -> dict[str, list[type]]:
    """What a reader that others wrote finds: of each case the kinds of its results."""
    parsed(result)
    found = JUnitXml.fromstring(render_junit(result).encode())
    return {case.name: [type(one) for one in case.result] for suite in found for case in suite}


def test_each_verdict_has_its_outcome() -> None:
    assert outcomes(made.every_kind()) == {
        "test_step[transformer]": [],
        "test_step[resnet18]": [Failure],
        "test_step[lstm]": [],
        "test_step[retinanet]": [Skipped],
        "test_step[gone]": [Error],
        "test_step[foreign]": [Error],
        "test_step[focal]": [Failure],
    }


def test_a_failure_says_what_and_why() -> None:
    suite = parsed(made.every_kind())
    regressed, census = suite.findall("testcase/failure")
    assert regressed.attrib["type"] == "regressed"
    assert regressed.attrib["message"].startswith("regressed: +6.2% (+4.8 to +7.6), surely slower")
    assert "aten::mkldnn_convolution 4x8 in Net.layer1.conv2: implementation" in (regressed.text or "")
    assert f"run alone: {made.BENCHDNN}" in (regressed.text or "")
    assert census.attrib["type"] == "census"
    assert f"run alone, implementation: {made.BENCHDNN}" in (census.text or "")
    assert "census fails, implementation: convolution" in census.attrib["message"]
    (skipped,) = suite.findall("testcase/skipped")
    assert "7 further process pairs would decide" in skipped.attrib["message"]
    gone, foreign = suite.findall("testcase/error")
    assert gone.attrib == {"type": "missing", "message": "missing: only base has this benchmark: renamed or removed"}
    assert foreign.attrib["type"] == "incomparable"


def test_both_a_slow_step_and_a_census_that_fails_are_one_failure() -> None:
    one = replace(made.regressed(), census=made.census_failed().census)
    (failure,) = parsed(made.a_gate(one)).findall("testcase/failure")
    assert failure.attrib["type"] == "regressed and census"
    assert "census fails, implementation" in failure.attrib["message"]


def test_times_ratios_and_intervals_are_there_for_programs() -> None:
    (case,) = parsed(made.a_gate(made.regressed())).findall("testcase")
    assert (case.attrib["classname"], case.attrib["time"]) == ("tests.bench.test_training", "41.400")
    properties = {one.attrib["name"]: one.attrib["value"] for one in case.findall("properties/property")}
    assert properties["verdict"] == "regressed"
    assert [float(properties[name]) for name in ("ratio", "interval_low", "interval_high", "threshold")] == [
        1.062, 1.062 - 0.0135, 1.062 + 0.0135, 0.03,
    ]  # fmt: skip
    (case,) = parsed(made.a_gate(made.missing())).findall("testcase")
    assert "ratio" not in {one.attrib["name"] for one in case.findall("properties/property")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tests/test_x.py::test_a", ("tests.test_x", "test_a")),
        ("tests/test_x.py::TestA::test_b[a::b/c.py]", ("tests.test_x.TestA", "test_b[a::b/c.py]")),
        ("resnet18", ("perfsuite.gate", "resnet18")),
        ("a[b::c]", ("perfsuite.gate", "a[b::c]")),
    ],
)
def test_names_are_those_of_pytest(name: str, expected: tuple[str, str]) -> None:
    (case,) = parsed(made.a_gate(made.unchanged(name))).findall("testcase")
    assert (case.attrib["classname"], case.attrib["name"]) == expected


def test_a_gate_with_nothing_to_run_is_one_case_that_passes() -> None:
    assert outcomes(made.identical()) == {"gate": []}
    assert "nothing was run" in (parsed(made.identical()).findtext("testcase/system-out") or "")


def test_what_was_not_finished_is_an_error_and_no_pass() -> None:
    found = outcomes(made.interrupted())
    assert found == {"test_step[transformer]": [], "test_step[b]": [Error], "test_step[c]": [Error]}
    # Neither is a gate that was stopped before it knew its benchmarks.
    assert outcomes(made.a_gate(interrupted=True)) == {"gate": [Error]}


@pytest.mark.parametrize("evil", [*HOSTILE, "\x00\x01\x0b\ufffe\uffff", "]]>", "\x85"], ids=str.__len__)
def test_hostile_names_are_text(evil: str) -> None:
    assert len(parsed(hostile(evil)).findall("testcase")) == 3
    assert [Error] in outcomes(hostile(evil)).values()


@settings(max_examples=60, deadline=None)
@given(hostile_text)
def test_so_is_any_text(text: str) -> None:
    assert len(parsed(hostile(text)).findall("testcase")) == 3
