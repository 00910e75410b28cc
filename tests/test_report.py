from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files

import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsuite.analyse.diff import Wall
from perfsuite.analyse.report import Report, report
from perfsuite.errors import RenderError, UsageError
from perfsuite.present.cells import clean
from perfsuite.present.report import page as page_module
from perfsuite.present.report import render_report
from perfsuite.present.report.data import as_script, page_data
from perfsuite.present.report.page import ROWS, SCRIPTS
from perfsuite.present.report.theme import DARK, LIGHT, theme_css
from perfsuite.records import Ledger, Memory, Operator, Profile, Run, Samples
from tests.hostile import hostile_text
from tests.page import Page, assert_headings_in_order, assert_sound
from tests.samples import a_primitive, a_profile, an_environment

CREATED = "2026-11-21T10:39:53.123456+00:00"
HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)' x=\"",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; <!-- --> ]]>",
    "x" * 5000,
    "\u202eevil \u05d0\u05d1\u05d2 \u200f",
    "lone \ud800 surrogate",
    "controls \x00\x1b[31m\r\n\t\x7f\u2028",
]
#: Nothing of it can be drawn.
BARE = Profile("nothing")


def a_run(*profiles: Profile, **changes: object) -> Run:
    values = {
        "id": "20261121T103953Z-bff376",
        "created": CREATED,
        "status": "complete",
        "environment": an_environment(),
    }
    return Run(**{**values, "workloads": profiles or (a_profile(),), **changes})  # type: ignore[arg-type]


def looked_at(*profiles: Profile, **changes: object) -> Report:
    return report(a_run(*profiles, **changes), no_ceilings="measure them")


@lru_cache
def the_page() -> Page:
    """Drawing it takes half a second, and most tests only read it."""
    return rendered(a_profile())


def rendered(*profiles: Profile, **changes: object) -> Page:
    page = Page(render_report(looked_at(*profiles, **changes)))
    assert_sound(page)
    assert_headings_in_order(page)
    return page


def compared(base: Profile, head: Profile, **changes: object) -> Page:
    found = report(a_run(head), a_run(base, id="base", **changes))
    page = Page(render_report(found))
    assert_sound(page)
    assert_headings_in_order(page)
    return page


# --- what is in it ----------------------------------------------------------------------------------


def test_the_sections_come_in_order() -> None:
    page = the_page()
    kinds = [
        "first", "ledger", "phases", "donut", "icicle", "hotspots", "roofline", "memory", "advice", "samples", "method",
    ]  # fmt: skip
    assert sections(page) == kinds
    # Who compares wants to know what changed before what else could be mended.
    assert sections(compared(a_profile(), a_profile())) == ["changed", "census", *kinds]


def sections(page: Page) -> list[str]:
    return [one.attributes["id"].removeprefix("w0-") for one in page.all("section") if "section" in one.inside]


def test_the_verdict_is_the_median_with_its_interval() -> None:
    text = the_page().text
    assert re.search(
        r"100\.0 µs median step 95% interval of the median \S+ µs to \S+ µs, n = 11", text.replace("\xa0", " ")
    )


def test_one_sample_is_a_range_and_says_so() -> None:
    text = rendered(a_profile(samples=Samples((200_000.0,), 2))).text
    assert "n = 1: the 95% interval of a median needs 6" in text


def with_findings() -> Profile:
    """A tenth of the step lies between its phases."""
    operators = (Operator("aten::mm", None, "net.fc", (), 1.0, 9e4, (9, 9), 9e4),)
    return Profile("busy", operators=operators, ledger=Ledger(1e5, 9e4, 0.0, 1e4), passes=("operators",), steps=1)


def test_what_to_optimise_first_is_the_largest_finding_with_stake_evidence_and_action() -> None:
    found = looked_at(with_findings())
    finding = found.workloads[0].advice.findings[0]
    first = Page(render_report(found)).by_id("w0-first").text.replace("\xa0", " ")
    assert finding.title in first
    assert finding.evidence[0].text in first
    assert finding.stake.how in first
    assert finding.action.replace("`", "").casefold() in first.casefold()
    assert finding.caveat.casefold() in first.casefold()
    at = [first.index(one.title) for one in found.workloads[0].advice.findings[:3]]
    assert at == sorted(at)


def test_code_in_an_advice_is_code_and_only_words_get_a_capital() -> None:
    found = looked_at(with_findings())
    first = found.workloads[0].advice.findings[0]
    texts = {"title": "`torch.compile` the <b>`", "action": "torch.compile it", "caveat": "use `a<b>` or `c`"}
    advice = replace(found.workloads[0].advice, findings=(replace(first, **texts),))
    page = Page(render_report(replace(found, workloads=(replace(found.workloads[0], advice=advice),))))
    assert_sound(page)
    assert {"torch.compile", "a<b>", "c"} <= {one.text for one in page.all("code")}
    section = page.by_id("w0-first").text
    # A backtick without a partner is one.
    for said in ("torch.compile the <b>`", "torch.compile it", "Use a<b> or c"):
        assert said in section


def test_what_distorts_the_rest_is_said_and_led_to_from_the_top() -> None:
    found = looked_at(with_findings())
    first = found.workloads[0].advice.findings[0]
    advice = replace(found.workloads[0].advice, findings=(replace(first, first="it distorts `all`"), first))
    environment = an_environment(disturbances=("glibc returns memory: preload another one",))
    changed = replace(found, workloads=(replace(found.workloads[0], advice=advice),))
    page = Page(render_report(replace(changed, run=replace(found.run, environment=environment))))
    assert_sound(page)
    assert "It distorts all" in page.by_id("w0-mend-first").text
    assert [one.text for one in page.all("a") if one.attributes.get("href") == "#w0-mend-first"] == ["Mend this first"]


def test_steps_that_scatter_are_said_beside_the_verdict() -> None:
    calm = a_profile(walls_ns={"operators": (100, 110), "primitives": (100, 101)})
    wild = replace(calm, walls_ns={"operators": (100_000, 131_000), "primitives": (100, 101), "memory": (1, 9)})
    assert not rendered(calm).all("p", "warning")
    (warning,) = rendered(wild).all("p", "warning")
    assert (
        warning.text.replace("\xa0", " ") == "The profiled steps took 100 µs to 131 µs each: shares of them are rough."
    )


def test_without_findings_the_longest_operator_is_named() -> None:
    quiet = replace(with_findings(), ledger=Ledger(1e5, 9e4, 1e4, 0.0))
    first = rendered(quiet).by_id("w0-first").text
    assert "found anything" in first
    assert "aten::mm in net.fc" in first
    assert "90.0%" in first


def test_the_ledger_closes_and_says_what_of_the_step_is_in_primitives() -> None:
    ledger = the_page().by_id("w0-ledger").text.replace("\xa0", " ")
    for part in (
        "75.0 µs 75.0%",
        "20.0 µs 20.0%",
        "5.00 µs 5.0%",
        "100 µs 100%",
        "50.0% of that pass’s step",
        "4 of 4",
    ):
        assert part in ledger


def test_all_rules_are_accounted_for() -> None:
    found = looked_at(with_findings())
    advice = found.workloads[0].advice
    text = Page(render_report(found)).by_id("w0-advice").text
    assert advice.not_checked
    for one in advice.not_checked:
        assert f"{one.rule} {one.reason}" in text
    for rule in (*advice.silent, *(finding.rule for finding in advice.findings)):
        assert rule in text


def test_the_environment_is_there_in_full_with_what_disturbs() -> None:
    environment = an_environment(disturbances=("glibc returns memory: preload another one",))
    text = rendered(BARE, environment=environment).text
    assert "Not recorded quietly: glibc returns memory." in text
    assert "glibc returns memory: preload another one" in text
    for part in ("A CPU", "avx2 fma", "8.00 GiB", "OMP_NUM_THREADS", "version v3.12.0, commit 80afa710"):
        assert part in text.replace("\xa0", " ")


def test_how_it_was_measured_lists_passes_overheads_and_notes() -> None:
    method = the_page().by_id("w0-method").text
    assert "+12.0%" in method
    assert "Shortest to longest" in method
    # What must be known to trust the numbers stands beside them.
    assert "The first note." in the_page().all("div", "verdict")[0].text
    assert "did not run" in rendered(BARE).by_id("w0-method").text


def test_what_could_not_be_read_is_said() -> None:
    assert "workloads/x.json.gz: damaged" in rendered(BARE, problems=("workloads/x.json.gz: damaged",)).text
    assert "interrupted: workloads may be missing" in rendered(BARE, status="interrupted").text


def test_several_workloads_make_one_page_with_an_overview() -> None:
    page = rendered(replace(BARE, name="one"), replace(BARE, name="two"))
    assert [one.attributes["id"] for one in page.all("section", "workload")] == ["w0", "w1"]
    (overview,) = page.all("section", "overview")
    assert "one" in overview.text
    assert "two" in overview.text
    assert [workload["id"] for workload in page.data["workloads"]] == ["w0", "w1"]


def test_a_run_without_workloads_says_so() -> None:
    page = rendered(workloads=())
    assert "No workload was recorded in this run." in page.text
    assert page.data == {"workloads": []}


def test_a_run_of_which_nothing_could_be_read_is_not_called_empty() -> None:
    page = rendered(workloads=(), problems=("workloads/x.json.gz: damaged",))
    assert page.all("h1")[0].text == "No workload could be read"
    assert "None of this run’s workloads could be read" in page.text
    assert "No workload was recorded" not in page.text
    # It is said before the list of sections, which would otherwise look like all there is.
    assert page.text.index("workloads/x.json.gz: damaged") < page.text.index("Environment")


@pytest.mark.parametrize("wall", [0.0, -5e3])
def test_a_wall_time_that_none_can_be_is_remarked_and_nothing_is_a_share_of_it(wall: float) -> None:
    page = rendered(a_profile(ledger=Ledger(wall, 7.5e4, 2e4, 5e3)))
    ledger, first = (page.by_id(f"w0-{one}").text.replace("\xa0", " ") for one in ("ledger", "first"))
    assert "a clock went wrong" in ledger
    assert "close on" not in ledger
    legend = page.all("table", "legend")[0].text
    assert "%" not in legend
    assert "of a profiled step" not in first


def test_very_many_rounds_do_not_weigh_a_page_down_and_it_says_what_is_drawn() -> None:
    page = rendered(a_profile(samples=Samples(tuple(1e5 + 7 * at % 5000 for at in range(3000)))))
    (figure,) = page.all("figure", "samples")
    marks = [one for one in page.all("use") if "w0-samples" in str(one.attributes)]
    # Twice, once for a phone, and the ticks of the axes.
    assert 2 * 200 < len(marks) < 2 * (300 + 40)
    assert "the fastest and the slowest of each of 150 stretches" in figure.text


def test_a_name_that_is_empty_is_not_no_name() -> None:
    operators = tuple(Operator("aten::mm", phase, phase, (), 1.0, 5e3, (), 5e3) for phase in ("", None, " a "))
    (workload,) = page_data(looked_at(a_profile(operators=operators, primitives=())))["workloads"]
    for key in ("phase", "module"):
        column = workload["operators"][key]
        assert [None if index < 0 else workload["strings"][index] for index in column] == ["", None, " a "]


# --- what is missing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "section", "said"),
    [
        ({"primitives": (), "join": "markers"}, "ledger", "No oneDNN primitive was executed."),
        ({"primitives": (), "join": "markers"}, "donut", "operators"),
        ({"primitives": (), "join": None, "passes": ("operators",)}, "ledger", "close on the profiled step’s wall"),
        ({"ledger": None}, "ledger", "The operators pass did not run"),
        ({"operators": (), "ledger": None, "primitives": (), "passes": ()}, "hotspots", "pass did not run"),
        ({"operators": (), "primitives": (), "passes": ("operators",)}, "hotspots", "saw no operator"),
        ({"memory": None}, "memory", "resident memory is not known"),
        ({"samples": None}, "samples", "No step was timed."),
    ],
)  # fmt: skip
def test_what_was_not_recorded_is_said_in_a_sentence(changes: dict[str, object], section: str, said: str) -> None:
    profile = a_profile(**changes)
    if "operators" in changes:
        profile = replace(profile, primitives=())
    elif "primitives" in changes:
        profile = replace(profile, operators=tuple(replace(one, primitives=()) for one in profile.operators))
    assert said in rendered(profile).by_id(f"w0-{section}").text


def test_nothing_at_all_is_a_page_of_sentences() -> None:
    page = rendered(BARE)
    assert page.all("svg") == []
    assert "The step was not timed" in page.text
    for section in ("ledger", "phases", "donut", "icicle", "hotspots", "roofline", "memory", "samples"):
        text = page.by_id(f"w0-{section}").text
        assert any(one.text and one.text in text for one in page.all("p", "missing")), section
    assert "There are no ceilings of this machine: measure them" in page.text


def test_unknown_flops_and_shares_are_dashes() -> None:
    profile = a_profile(operators=(Operator("aten::x", None, None, (), 1.0, 5e3, (), 5e3),), primitives=(), ledger=None)
    (row,) = [one for one in rendered(profile).all("tr") if "data-row" in one.attributes]
    assert row.text.split()[-3:] == ["–", "–", "–"]


# --- compared ---------------------------------------------------------------------------------------


def timed(factor: float) -> Profile:
    return a_profile(samples=Samples(tuple(factor * (100_000.0 + ns) for ns in range(0, 4000, 100))))


@pytest.mark.parametrize(
    ("interval", "said"),
    [((1.01, 1.2), "slower"), ((0.8, 0.99), "faster"), ((0.99, 1.01), "same"), ((1.0, 1.2), "same"), (None, "unknown")],
)
def test_a_claim_is_about_the_interval(interval: tuple[float, float] | None, said: str) -> None:
    assert Wall(1.0, 1.0, 1.0, interval, 0.95, 5, 5).claim == said


@pytest.mark.parametrize(
    ("factor", "said"),
    [(1.2, "head’s steps were slower"), (0.8, "head’s steps were faster"), (1.0, "no difference between")],
)
def test_a_comparison_says_what_it_can_claim(factor: float, said: str) -> None:
    page = compared(timed(1.0), timed(factor))
    verdict = page.all("div", "verdict")[0].text.replace("\xa0", " ")
    assert said in verdict
    assert "not a gate" in verdict
    assert f"{factor:#.3g}×" in verdict
    assert page.by_id("w0-changed").text
    assert "Nothing that was counted differs." in page.by_id("w0-census").text


def test_what_the_census_saw_change_is_listed() -> None:
    base = a_profile()
    changed = (*base.primitives[:2], replace(base.primitives[2], implementation="ref:any"), base.primitives[3])
    page = compared(base, a_profile(primitives=changed))
    assert "jit:avx512_core" in page.by_id("w0-census").text
    assert "ref:any" in page.by_id("w0-census").text


def test_a_base_without_the_workload_and_few_samples_are_said() -> None:
    found = report(a_run(replace(BARE, name="one"), replace(BARE, name="two")), a_run(replace(BARE, name="one")))
    page = Page(render_report(found))
    assert_sound(page)
    assert "The base has no workload of this name" in page.by_id("w1").text
    once = replace(BARE, samples=Samples((1e5,)))
    few = compared(once, once)
    assert "too few samples for an interval" in few.text
    assert "not timed on both sides" in compared(BARE, BARE).text
    assert "A side has no operators pass" in compared(BARE, BARE).text


def test_rows_that_surely_changed_stand_apart_from_the_others() -> None:
    operators = tuple(
        Operator(f"aten::o{i}", None, None, (), 1.0, 1e5 - i, (99_990 - i, 100_010 - i), 1e5) for i in range(40)
    )
    slower = tuple(
        replace(one, self_ns=2e5, self_ns_samples=(199_990, 200_010)) if i < changed else one
        for changed in (20,)
        for i, one in enumerate(operators)
    )
    ledger = Ledger(4e6, 4e6, 0.0, 0.0)
    base = a_profile(operators=operators, primitives=(), ledger=ledger, python=())
    few = a_profile(operators=(*slower[:3], *operators[3:]), primitives=(), ledger=ledger, python=())
    many = a_profile(operators=slower, primitives=(), ledger=ledger, python=())
    assert [one.text for one in compared(base, few).all("th") if one.attributes.get("scope") == "rowgroup"] == [
        "Beyond their interval", "The largest others: within their interval, or too small to matter",
    ]  # fmt: skip
    assert [one.text for one in compared(base, many).all("th") if one.attributes.get("scope") == "rowgroup"] == [
        "Beyond their interval: the first 15 of 20"
    ]


def test_page_faults_that_tell_two_runs_apart_are_explained() -> None:
    loud = Memory(2**20, 2**21, 10**9, 7 * 10**8, 3 * 10**8, 1_000_000)
    quiet = Memory(2**20, 2**21, 10**9, 10**9, 0, 1)
    said = "In a page fault the kernel brings in a fresh page of memory"
    assert said in compared(a_profile(memory=loud), a_profile(memory=quiet)).all("div", "verdict")[0].text
    assert said not in compared(a_profile(memory=quiet), a_profile(memory=quiet)).text


def test_what_cannot_be_shown_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no such\ncolour")

    monkeypatch.setattr(page_module, "draw", broken)
    with pytest.raises(RenderError, match=r"ValueError: no such colour.*the run is whole"):
        render_report(looked_at())
    monkeypatch.undo()
    monkeypatch.setitem(
        page_module.templates().globals, "environment_facts", lambda _: jinja2.StrictUndefined(name="nothing")
    )
    with pytest.raises(RenderError, match="nothing"):
        render_report(looked_at())


def test_incomparable_runs_are_refused_and_forced_with_the_reason() -> None:
    head, base = a_run(BARE), a_run(BARE, id="base", environment=an_environment(cpu_model="Another"))
    with pytest.raises(UsageError, match="CPU model: Another and A CPU"):
        report(head, base)
    page = Page(render_report(report(head, base, force=True)))
    assert "not comparable, and were compared because it was forced" in page.text
    assert "CPU model: Another and A CPU" in page.text


# --- safety -----------------------------------------------------------------------------------------


def hostile_profile(text: str) -> Profile:
    operators = (
        Operator(text, text, text, ((4, 3), (text,)), 1.0, 4e4, (40000, 40000), 4.1e4, 1e6, 64.0, (0,), (text,)),
        Operator("aten::mm", "forward", f"net.{text}", ((4, 3),), 1.0, 3e4, (30000,) * 2, 3e4, 1e6, 64.0),
    )  # fmt: skip
    primitive = a_primitive(text, text, 1e4, 0, implementation=text, dtypes=text, layouts=text, attributes=text,
                            algorithm=text, problem=text)  # fmt: skip
    profile = a_profile(f"test[{text}]", operators=operators, primitives=(primitive,), notes=(text,), scale=text,
                        dtype=text, backend=text, join=text)  # fmt: skip
    return replace(profile, phases=tuple(replace(phase, name=f"{phase.name} {text}") for phase in profile.phases))


@pytest.mark.parametrize(
    "text", HOSTILE, ids=["script", "image", "quote", "template", "long", "rtl", "surrogate", "control"]
)
def test_a_hostile_name_is_text_wherever_it_stands(text: str) -> None:
    environment = an_environment(
        cpu_model=text, torch=text, allocator=text, omp={text: text}, disturbances=(f"{text}: {text}",),
        onednn=({"version": text, text: text},),
    )  # fmt: skip
    run = a_run(hostile_profile(text), environment=environment, problems=(text,), id=text, status=text)
    base = a_run(hostile_profile(text), id=f"base {text}", environment=replace(environment, kernel=text))
    page = Page(render_report(report(run, base, no_ceilings=text)).encode().decode())
    assert_sound(page)
    plain = Page(render_report(report(a_run(hostile_profile("plain")), a_run(hostile_profile("plain"), id="b"))))
    assert {one.tag for one in page.elements} <= {one.tag for one in plain.elements} | {
        "details",
        "summary",
        "div",
        "strong",
    }
    shown = re.sub(r"\s+", " ", page.text)
    visible = "".join(char for char in text if char.isascii() and char.isprintable()).strip()
    assert visible.split()[0] in shown
    assert not any(char in page.text for char in "\u202e\u200f\x00\x1b\x7f\u2028")
    assert clean(text) in page.data["workloads"][0]["strings"]


@given(hostile_text, hostile_text)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_name_makes_a_sound_page(name: str, module: str) -> None:
    profile = a_profile(
        f"test[{name}]", operators=(Operator(name, None, module, (), 1.0, 5e3, (), 5e3),), primitives=()
    )
    assert_sound(Page(render_report(looked_at(replace(profile, phases=()))).encode().decode()))


def test_the_page_allows_itself_nothing_but_what_is_in_it() -> None:
    page = the_page()
    (policy,) = [one for one in page.all("meta") if one.attributes.get("http-equiv") == "Content-Security-Policy"]
    (script,) = [one for one in page.all("script") if one.attributes.get("type") is None]
    digest = base64.b64encode(hashlib.sha256("".join(script.texts).encode()).digest()).decode()
    assert policy.attributes["content"] == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    styles = "".join(text for style in page.all("style") for text in style.texts)
    assert not re.search(r"@import|url\(", styles)
    assert not any("src" in one.attributes for one in page.all("script"))


def test_nothing_of_the_projects_own_ends_its_element() -> None:
    folder = files("perfsuite.present.report")
    for name in ("report.css", *(f"static/{script}" for script in SCRIPTS)):
        text = folder.joinpath(name).read_text(encoding="utf-8")
        assert text
        assert not re.search(r"</(script|style)|<!--", text, re.IGNORECASE), name


# --- the data ---------------------------------------------------------------------------------------


def test_the_data_are_columns_of_the_records_most_self_time_first() -> None:
    profile = a_profile()
    (workload,) = page_data(looked_at(profile))["workloads"]
    strings, operators, primitives = workload["strings"], workload["operators"], workload["primitives"]
    for columns in (operators, primitives, workload["icicle"]):
        assert len({len(column) for column in columns.values()}) == 1
    assert len(set(strings)) == len(strings)
    assert [strings[index] for index in operators["name"]] == [
        "aten::convolution_backward", "aten::mkldnn_convolution", "aten::add_",
    ]  # fmt: skip
    assert operators["self_ns"] == [40000, 30000, 5000]
    assert operators["module"][2] == -1
    assert [strings[index] for index in operators["shapes"]] == ["4x8", "4x3", "8"]
    # Primitives keep their order; the operators that they name have another one.
    assert primitives["operator"] == [1, 1, 0, 0]
    assert [strings[index] for index in primitives["direction"] if index >= 0] == ["FWD_D", "BWD_D", "BWD_W"]
    assert primitives["share"] == [0.02, 0.2, 0.16, 0.12]


def test_the_icicles_rows_are_those_of_the_table() -> None:
    (workload,) = page_data(looked_at())["workloads"]
    strings, icicle = workload["strings"], workload["icicle"]
    for label, kind, row, primitive in zip(
        *(icicle[key] for key in ("label", "kind", "row", "primitive")), strict=True
    ):
        if strings[kind] == "operator":
            assert strings[label] == strings[workload["operators"]["name"][row]]
        if strings[kind] == "primitive":
            assert workload["primitives"]["operator"][primitive] == row


def test_numbers_that_are_none_are_null() -> None:
    wild = a_profile(
        operators=(Operator("aten::x", None, None, (), float("nan"), 5e3, (), float("inf")),), primitives=()
    )
    (workload,) = page_data(looked_at(replace(wild, ledger=None)))["workloads"]
    assert workload["operators"]["count"] == [None]
    assert workload["operators"]["total_ns"] == [None]
    assert workload["operators"]["share"] == [None]


@given(st.lists(st.text(st.characters()), max_size=5))
def test_no_text_ends_the_script_that_it_stands_in(texts: list[str]) -> None:
    value = {"strings": [*texts, "</script>", "<!--"]}
    assert not set("<>&") & set(as_script(value))
    assert json.loads(as_script(value)) == value


def test_a_run_of_the_size_of_retinanet_stays_below_3_mb() -> None:
    modules = [f"RetinaNet.backbone.body.layer{i % 4}.{i % 7}.conv{i % 3}.{i}" for i in range(500)]
    operators = tuple(
        Operator(f"aten::operator_{i % 60}", ("forward", "backward", "optimizer")[i % 3], modules[i % 500],
                 ((2, 256, 100 + i % 50, 100), (256, 256, 3, 3), (256,)), 1.0 + i / 7, 1e6 / (i + 1),
                 (1000,) * 5, 2e6 / (i + 1), 1e9 / (i + 1), 1e6 / (i + 3), (i,) if i < 1200 else (), ("float32",) * 3)
        for i in range(3200)
    )  # fmt: skip
    primitives = tuple(
        a_primitive("convolution", "backward_weights", 1e5 / (i + 1), i, problem=f"mb2_ic256oc256_ih{i}oh100kh3sh1dh0",
                    layouts=f"src:a:blocked:acdb::f0 wei:a:blocked:Acdb{i % 64}a::f0 dst:a:blocked:acdb::f0")
        for i in range(1200)
    )  # fmt: skip
    profile = a_profile("retinanet", operators=operators, primitives=primitives)
    assert len(render_report(looked_at(profile)).encode()) < 3_000_000


def test_the_first_rows_are_in_the_page_itself() -> None:
    operators = tuple(Operator(f"aten::o{i}", None, None, (), 1.0, 1e5 - i, (), 1e5) for i in range(ROWS + 30))
    page = rendered(a_profile(operators=operators, primitives=()))
    rows = [one for one in page.all("tr") if "data-row" in one.attributes]
    assert len(rows) == ROWS
    # Nobody else knows how many: scripts are told, and so is who prints it.
    assert page.all("div", "hotspots")[0].attributes["data-rows"] == str(ROWS)
    assert page.all("p", "printed")[0].text.startswith(f"Printed are the first {ROWS} of {ROWS + 30} rows")
    assert "aten::o0" in rows[0].text
    assert len(page.data["workloads"][0]["operators"]["name"]) == ROWS + 30


# --- colours ----------------------------------------------------------------------------------------


def luminance(color: str) -> float:
    """WCAG 2.2's relative luminance of ``#rrggbb``."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["--ink", "--muted", "--accent"])
@pytest.mark.parametrize("ground", ["--paper", "--surface", "--warning"])
def test_text_can_be_read_in_both_themes(colors: dict[str, str], text: str, ground: str) -> None:
    light, dark = sorted((luminance(colors[text]), luminance(colors[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_both_themes_declare_the_same_variables_and_the_style_uses_no_other() -> None:
    assert set(LIGHT) == set(DARK)
    style = files("perfsuite.present.report").joinpath("report.css").read_text(encoding="utf-8")
    own = set(re.findall(r"(--[a-z0-9-]+):", style)) | {"--part"}
    assert set(re.findall(r"var\((--[a-z0-9-]+)", style)) <= set(LIGHT) | own
    assert theme_css().count(":root { color-scheme: light") == 1
    assert theme_css().count("{ color-scheme: dark") == 2
