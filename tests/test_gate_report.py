"""The gate's page, read by a parser of HTML: what a browser does with such a page is tested on the report's."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest

from perfsuite.gate.model import GateResult
from perfsuite.present.gate.report import render_gate_report
from tests import gate_results as made
from tests.hostile import HOSTILE
from tests.page import Page, assert_headings_in_order, assert_sound
from tests.test_present_gate import hostile


@lru_cache
def every_kind() -> Page:
    """Drawing it takes seconds, and most tests only read it."""
    return rendered(made.every_kind())


def rendered(result: GateResult) -> Page:
    page = Page(render_gate_report(result, no_ceilings="measure them"))
    assert_sound(page)
    assert_headings_in_order(page)
    return page


def text_of(page: Page) -> str:
    return page.by_id("gate").text.replace("\xa0", " ")


def verdicts(page: Page) -> list[list[str]]:
    """The cells of the table of verdicts."""
    cells = [one for one in page.elements if one.tag in ("th", "td")]
    (table,) = page.all("table", "verdicts")
    start = page.elements.index(table)
    inside = [one for one in cells if page.elements.index(one) > start][7:]
    rows = [inside[i : i + 7] for i in range(0, len(inside), 7)]
    return [[cell.text for cell in row] for row in rows]


def test_the_verdicts_come_first_the_worst_of_them_on_top() -> None:
    page = every_kind()
    (title,) = page.all("h1")
    assert title.text == "Gate: regressed"
    rows = verdicts(page)[:7]
    assert [row[1] for row in rows] == [
        "regressed", "unchanged", "incomparable", "missing", "inconclusive", "improved", "unchanged",
    ]  # fmt: skip
    assert rows[0][2:] == ["+6.2% (+4.8 to +7.6)", "3%", "6", "41.4 s", "passes"]
    assert rows[1][6] == "1 failure"
    ids = [one.attributes["id"] for one in page.elements if one.tag == "section" and "id" in one.attributes]
    assert ids.index("gate") < ids.index("w0")


def test_it_says_what_the_terminal_says() -> None:
    text = text_of(every_kind())
    for said in (
        "git:main, commit 0123456789ab",
        "torch 2.13.0",
        "OMP_WAIT_POLICY=passive",
        "The machine was busy: load 3.1",
        "Regressed: +6.2% (+4.8 to +7.6), surely slower by more than the threshold of 3% after 6 process pairs",
        "aten::mkldnn_convolution 4x8",
        "Net.layer1.conv2 forward",
        "brg_conv_fwd:avx512_core → ref:any",
        made.BENCHDNN,
        "Run the primitives of the first row alone with benchdnn, as head has them:",
        "Run this primitive alone with benchdnn, as base and as head had it:",
        "The census fails, implementation: convolution forward_training in Net.layer1.conv2",
        "1 count not judged",
        "Missing: only base has this benchmark: renamed or removed",
        "Incomparable: base loaded net/model.py from head's tree: set PYTHONPATH=src",
        "7 further process pairs would decide",
    ):
        assert said in text, said


def test_each_profiled_benchmark_is_compared_and_linked() -> None:
    page = every_kind()
    linked = [one.attributes["href"] for one in page.all("a") if "th" in one.inside and "section" in one.inside]
    assert {"#w0", "#w1", "#w2", "#w3", "#w4"} <= set(linked)
    assert "#w5" not in linked
    # The clock's verdict is the gate's, not that of two processes.
    first = page.by_id("w0").text
    assert "Regressed: +6.2%" in first
    assert "These two processes" not in page.text
    assert "In these two processes" not in page.text
    assert "not a gate" not in page.text
    assert page.by_id("w0-changed").text
    assert "not comparable" not in page.text


def test_equal_environments_are_said_to_be() -> None:
    assert "Nothing of the environment differs" in every_kind().text


def test_environments_that_differ_are_compared_all_the_same() -> None:
    assert made.HEAD.environment is not None
    head = replace(made.HEAD, environment=replace(made.HEAD.environment, torch_threads=1, omp={"A": "1"}))
    page = rendered(made.a_gate(made.regressed(), head=head))
    assert "of the environment differ between base and head" in page.text
    assert "forced" not in page.text


@pytest.mark.parametrize("known", ["base", "head", "neither"])
def test_an_environment_that_is_not_known_is_not_made_up(known: str) -> None:
    nothing = {"base": replace(made.BASE, environment=None), "head": replace(made.HEAD, environment=None)}
    nothing.pop(known, None)
    page = rendered(made.a_gate(made.regressed(), **nothing))
    assert "of the environment differ" not in page.text
    assert "0 CPUs" not in page.text
    assert bool([one for one in page.elements if one.attributes.get("id") == "environment"]) == (known != "neither")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (made.a_gate(made.missing(), made.incomparable()), "No benchmark was profiled on both sides"),
        (made.identical(), "Nothing that could change a time differs between base and head, so nothing was run."),
        (made.a_gate(unfinished=("tests/test_x.py::test_a",)), "The gate was stopped before these had a verdict"),
    ],
)
def test_without_any_profile_there_is_the_table_alone(result: GateResult, said: str) -> None:
    page = rendered(result)
    assert said in page.text
    assert page.data == {"workloads": []}
    assert len(page.all("table", "verdicts")) == bool(result.benchmarks)


def test_a_profile_on_one_side_alone_is_in_the_table() -> None:
    page = rendered(made.a_gate(replace(made.regressed(), base=None, diff=None)))
    assert page.data == {"workloads": []}
    assert verdicts(page)[0][1] == "regressed"


def test_a_benchmark_without_a_comparison_of_the_gates_own_is_still_shown() -> None:
    page = rendered(made.a_gate(replace(made.unchanged(), diff=None, census=None, verdict=None, judgement=None)))
    assert verdicts(page)[0][1] == "not timed"
    assert page.by_id("w0-changed").text


def test_nothing_of_a_gate_is_in_a_report_without_one() -> None:
    from perfsuite.analyse.report import report
    from perfsuite.present.report import render_report
    from tests.test_report import a_run

    page = Page(render_report(report(a_run(), no_ceilings="measure them")))
    assert_sound(page)
    assert "gate" not in [one.attributes.get("id") for one in page.elements]


@pytest.mark.parametrize("evil", HOSTILE[:12] + HOSTILE[-12:], ids=str)
def test_hostile_names_are_text(evil: str) -> None:
    result = hostile(evil)
    # Its profiles are drawn elsewhere: here it is the gate's own part.
    page = rendered(replace(result, benchmarks=tuple(replace(one, base=None) for one in result.benchmarks)))
    assert [row[1] for row in verdicts(page)[:2]] == ["regressed", "missing"]


def test_hostile_names_of_profiled_benchmarks() -> None:
    page = rendered(hostile("</script><img src=x onerror=alert(1)> \u202e {{ 7 * 7 }}"))
    assert [row[1] for row in verdicts(page)[:2]] == ["regressed", "missing"]
    assert all(part in verdicts(page)[0][0] for part in ("</script>", "onerror=alert(1)", "{{ 7 * 7 }}"))
