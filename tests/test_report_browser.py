"""The report in a real browser: what a reader sees, clicks and types, and that nothing is asked of any host."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reach.synthetic import large_profile
from perfsuite.analyse.icicle import icicle
from perfsuite.analyse.report import report
from perfsuite.present import cells
from perfsuite.present.report import page as page_module
from perfsuite.present.report.page import ROWS, render_report
from perfsuite.present.roofline import format_rate
from perfsuite.records import Operator, Profile, PythonTime, Run, Samples
from tests.browser import opened_page, opened_window, started_or_skipped
from tests.samples import a_primitive, a_profile, an_environment

MORE, MOST = 200, 2000
SCRIPT = "<script>alert('a name')</script><img src=x onerror=alert(1)>"
QUOTES = """'"></td></title><b>&lt;&amp;"""
RTL = "שלום \u202egnp.exe\u202c مرحبا"
LONG = (tuple(range(1000, 2300)),)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started_or_skipped() as started:
        yield started


@pytest.fixture(scope="module")
def window(browser) -> Iterator[Any]:
    """For pages that leave nothing behind in it."""
    with opened_window(browser) as opened:
        yield opened


@pytest.fixture(scope="module")
def write(tmp_path_factory) -> Callable[..., Path]:
    """Writes the report of a run with these workloads, once for the same ones."""
    folder = tmp_path_factory.mktemp("reports")
    written: dict[tuple[int, ...], Path] = {}
    kept = []  # so that no id is given twice

    def write(*profiles: Profile, **environment: object) -> Path:
        key = (*map(id, profiles), *map(id, environment.values()))
        if key not in written:
            kept.append((profiles, environment))
            run = Run("a-run", "2026-11-21T10:00:00+00:00", "complete", an_environment(**environment), profiles)
            written[key] = folder / f"{len(written)}.html"
            written[key].write_text(render_report(report(run)), encoding="utf-8")
        return written[key]

    return write


SMALL, LARGE = large_profile(ROWS, "small"), large_profile(700, "large")


@pytest.fixture
def small(window, write):
    """A page whose operators are all in the document at once."""
    with opened_page(window, write(SMALL)) as page:
        yield page


@pytest.fixture(scope="module")
def untouched(window, write):
    """The same, for tests that change nothing in it."""
    with opened_page(window, write(SMALL)) as page:
        yield page


@pytest.fixture
def large(window, write):
    with opened_page(window, write(LARGE)) as page:
        yield page


def data_of(page) -> dict[str, Any]:
    return json.loads(page.locator("#perfsuite-data").text_content())["workloads"][0]


def rows(page) -> list[int]:
    return page.eval_on_selector_all(
        "table.operators tr[data-row]", "found => found.map((one) => Number(one.dataset.row))"
    )


def column(page, key: str) -> list[Any]:
    """The values of a column as the page has them, texts resolved."""
    data = data_of(page)
    values = data["operators"][key]
    if key in ("name", "phase", "module", "shapes", "dtypes", "bound"):
        return [None if index < 0 else data["strings"][index] for index in values]
    return values


def sort_by(page, key: str) -> None:
    page.click(f"table.operators th[data-key={key}] button")


def plain(text: str | None) -> str:
    return (text or "").replace("\u00a0", " ")


def count_line(page) -> str:
    return plain(page.text_content(".row-count"))


def active(page) -> str:
    """The label of the box that keys act on."""
    return page.get_attribute(".icicle .active", "aria-label").split(",")[0]


def crumbs(page) -> list[str]:
    return page.locator(".crumbs button").all_text_contents()


def in_view(page, selector: str) -> None:
    """Scroll to it, and let the page hear of that: scrolling hides tooltips."""
    page.locator(selector).first.scroll_into_view_if_needed()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_no_script_writes_markup():
    for script in Path(page_module.__file__).parent.glob("static/*.js"):
        text = script.read_text(encoding="utf-8")
        assert '"use strict";' in text
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)


# --- numbers ----------------------------------------------------------------------------------------


def numbers() -> list[float]:
    draw = random.Random(5)
    spread = [draw.choice((1, -1)) * draw.random() * 10 ** draw.randint(-6, 24) for _ in range(3000)]
    ties = [whole + part for whole in (0, 1, 2, 9, 10, 99, 999, 1000) for part in (0.5, 0.25, 0.125, 0.375, 0.0625)]
    edges = [0.0, -0.0, 0.4, -0.4, 999.4, 999.5, 999.6, 999_499.9, 999_500.0, 1e9, 1023.5, 1024.0, 1e21, 1e30, 5e-324]
    shares = [n / 2000 for n in range(-50, 2001, 7)]
    return [*spread, *ties, *(-tie for tie in ties), *(tie * 1e6 for tie in ties), *edges, *shares]


@pytest.mark.parametrize(
    ("name", "of_cells"),
    [
        ("ns", cells.format_ns), ("bytes", cells.format_bytes), ("share", cells.format_share),
        ("count", cells.format_count), ("rate", format_rate),
    ],
)  # fmt: skip
def test_numbers_read_in_the_page_as_they_do_in_a_terminal(untouched, name, of_cells):
    values = [value for value in numbers() if name != "rate" or value >= 0]
    found = untouched.evaluate(f"(values) => values.map((value) => perfsuite.format.{name}(value))", values)
    assert [plain(text) for text in found] == [of_cells(value) for value in values]
    unknown = untouched.evaluate(
        f"() => [null, NaN, Infinity, -Infinity].map((value) => perfsuite.format.{name}(value))"
    )
    assert unknown == [of_cells(value) for value in (None, math.nan, math.inf, -math.inf)] == [cells.MISSING] * 4


# --- the table --------------------------------------------------------------------------------------


def test_the_first_rows_are_the_hottest_and_say_what_the_server_would(small, browser, write):
    assert rows(small) == list(range(ROWS))
    cells_of = "() => [...document.querySelectorAll('table.operators tbody tr')].map((r) => r.innerText)"
    by_script = small.evaluate(cells_of)
    with opened_window(browser, java_script_enabled=False) as window, opened_page(window, write(SMALL)) as page:
        # Scripts that are off do not keep the tests from asking.
        by_server = page.locator("table.operators tbody tr").all_inner_texts()
    words = [[plain(text).split() for text in texts] for texts in (by_script, by_server)]
    assert words[0] == words[1]
    assert len(words[1]) == ROWS


def test_numbers_sort_both_ways_stably_with_the_unknown_last(small):
    for key in ("count", "flop_rate", "share", "total_ns", "primitives_ns"):
        values = column(small, key)
        known = [row for row in range(ROWS) if values[row] is not None]
        unknown = [row for row in range(ROWS) if values[row] is None]
        assert bool(unknown) == (key == "flop_rate")
        sort_by(small, key)
        assert rows(small) == sorted(known, key=lambda row: -values[row]) + unknown
        assert small.get_attribute(f"th[data-key={key}]", "aria-sort") == "descending"
        sort_by(small, key)
        assert rows(small) == sorted(known, key=lambda row: values[row]) + unknown
        assert small.get_attribute(f"th[data-key={key}]", "aria-sort") == "ascending"
        assert small.locator("th[aria-sort]").count() == 1


def test_texts_sort_from_a_to_z_first(small):
    for key in ("name", "phase", "bound"):
        values = column(small, key)
        sort_by(small, key)
        assert [values[row] for row in rows(small)] == sorted(values, key=lambda text: (text is None, text or ""))
        assert small.get_attribute(f"th[data-key={key}]", "aria-sort") == "ascending"


def test_filters_leave_what_fits_and_say_how_much_that_is(small):
    data, names, phases = data_of(small), column(small, "name"), column(small, "phase")
    inside = column(small, "primitives_ns")
    wall = data["icicle"]["ns"][0]

    def check(expected: list[int]) -> None:
        assert rows(small) == expected
        spent = sum(data["operators"]["self_ns"][row] for row in expected)
        assert count_line(small) == (
            f"{len(expected)} of {ROWS} rows, {cells.format_ns(spent)} of {cells.format_ns(wall)} "
            f"({cells.format_share(spent / wall)})"
        )

    check(list(range(ROWS)))
    small.fill(".filter-text", "ADD_")
    check([row for row in range(ROWS) if names[row] == "aten::add_"])
    small.fill(".filter-text", "brg_conv backward")
    spoken = [f"{name} {phase}" for name, phase in zip(names, phases, strict=True)]
    check([row for row in range(ROWS) if "backward" in spoken[row] and inside[row]])
    small.fill(".filter-text", "")
    small.select_option(".filter-phase", "optimizer")
    check([row for row in range(ROWS) if row % 3 == 2])
    small.select_option(".filter-primitive", "(none)")
    check([row for row in range(ROWS) if row % 3 == 2 and not inside[row]])
    small.select_option(".filter-primitive", "reorder")
    check([row for row in range(ROWS) if row % 3 == 2 and inside[row]])
    small.fill(".filter-text", "no such operator")
    check([])
    assert small.inner_text("table.operators tbody").startswith("No row fits")
    small.fill(".filter-text", "")
    small.select_option(".filter-primitive", "")
    assert "No row fits" not in small.inner_text("table.operators tbody")


def test_a_module_means_itself_and_what_is_in_it(window, write):
    paths = ("net", "net.a", "net.a.b", "net.ab", None, "other")
    operators = tuple(Operator("aten::mm", "forward", path, (), 1, 100 - i, (), 100) for i, path in enumerate(paths))
    with opened_page(window, write(a_profile(operators=operators, primitives=()))) as page:
        page.fill(".filter-module", "net.a")
        assert rows(page) == [1, 2]
        page.fill(".filter-module", "net")
        assert rows(page) == [0, 1, 2, 3]
        page.fill(".filter-module", "(outside)")
        assert rows(page) == [4]


def test_half_a_module_path_is_enough_where_it_is_typed(large):
    large.fill(".filter-module", "Net.sta")
    assert count_line(large).startswith("467 of 700 rows")
    large.fill(".filter-module", "Net.stage3")
    assert "Net.stage3.block3" in large.locator("datalist option").evaluate_all("all => all.map((one) => one.value)")
    modules = column(large, "module")
    assert {modules[row].split(".")[1] for row in rows(large)} == {"stage3"}


def test_a_module_is_found_by_any_name_in_its_path_however_it_is_typed(window, write):
    paths = ("Net.body.cls_logits", "Net.BODY", "Net.bodyguard", "Net.head.0", "net.body", None)
    operators = tuple(Operator("aten::mm", "forward", path, (), 1, 100 - i, (), 100) for i, path in enumerate(paths))
    with opened_page(window, write(a_profile(operators=operators, primitives=()))) as page:
        for typed, expected in {
            "cls_logits": [0],
            "CLS_LOG": [0],
            "body": [0, 1, 4],
            "guard": [2],
            "net.body": [4],
            "NET.body": [0, 1, 4],
            " head.0 ": [3],
            "nothing": [],
        }.items():
            page.fill(".filter-module", typed)
            assert rows(page) == expected, typed
        page.fill(".filter-module", "body")
        hash_ = page.evaluate("location.hash")
    with opened_page(window, write(a_profile(operators=operators, primitives=())), hash_) as page:
        assert rows(page) == [0, 1, 4]


def test_phases_are_told_apart_by_every_character_of_their_names(window, write):
    names = (" a ", "a", "", " ", "(outside)", None, "-", "=", "=-")
    operators = tuple(Operator("aten::mm", name, None, (), 1, 100 - i, (), 100) for i, name in enumerate(names))
    profile = a_profile(operators=operators, primitives=(), phases=())
    with opened_page(window, write(profile)) as page:
        values = page.locator(".filter-phase option").evaluate_all("all => all.map((one) => one.value)")
        assert len(values) == len(set(values)) == 1 + len(names)
        hashes = []
        for row in range(len(names)):
            page.select_option(".filter-phase", index=row + 1)
            assert rows(page) == [row], names[row]
            hashes.append(page.evaluate("location.hash"))
        page.select_option(".filter-phase", "")
        assert rows(page) == list(range(len(names)))
    for row, hash_ in enumerate(hashes):
        with opened_page(window, write(profile), hash_) as page:
            assert rows(page) == [row], names[row]


def test_only_the_first_rows_are_in_the_document_until_more_are_asked_for(large):
    assert rows(large) == list(range(ROWS))
    for shown in (ROWS + MORE, ROWS + 2 * MORE, ROWS + 3 * MORE, 700):
        large.click(".more")
        assert rows(large) == list(range(shown))
    assert not large.is_visible(".more")
    # The button that had the focus is gone: it goes on to the first row that is new.
    assert large.evaluate("document.activeElement.closest('tr')?.dataset.row") == str(ROWS + 3 * MORE)
    sort_by(large, "count")
    assert len(rows(large)) == ROWS
    assert large.is_visible(".more")


def test_no_more_rows_are_shown_than_a_page_bears(window, write):
    with opened_page(window, write(large_profile(MOST + 100))) as page:
        while page.is_visible(".more"):
            page.click(".more")
        assert len(rows(page)) == MOST
        assert "first 2 000 of 2 100 rows: filter" in plain(page.inner_text(".capped"))
        assert page.evaluate("document.activeElement.className") == "expand"
        page.fill(".filter-text", "aten::add_")
        assert page.text_content(".capped") == ""


def test_a_row_opens_to_the_primitives_of_its_operator(small):
    button = small.locator("tr[data-row='0'] .expand")
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    detail = plain(small.locator("tr.detail").inner_text())
    for text in ("brg_conv_fwd:avx512_core", "src:acdb wei:Acdb64a dst:acdb", "alg:convolution_direct", "mb8_ic16oc64"):
        assert text in detail
    assert "100 ms (100 000 000 ns)" in detail
    assert small.locator("tr.detail table.primitives tbody tr").count() == 2
    button.click()
    assert small.locator("tr.detail").count() == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_what_a_row_opens_to_moves_no_column_and_is_in_view(browser, write, width):
    with (
        opened_window(browser, viewport={"width": width, "height": 800}) as window,
        opened_page(window, write(SMALL)) as page,
    ):
        heads = "all => all.map((head) => head.getBoundingClientRect().left)"
        before = page.eval_on_selector_all("table.operators > thead th", heads)
        page.click("tr[data-row='0'] .expand")
        assert page.eval_on_selector_all("table.operators > thead th", heads) == pytest.approx(before, abs=1)
        box = page.locator("tr.detail .inner").bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width


def test_an_operator_without_primitives_says_so(small):
    row = column(small, "primitives_ns").index(0)
    # The arrow stands for primitives; the rest of a row is in what the dots open.
    signs = [small.locator(f"tr[data-row='{one}'] .expand.plain").count() for one in (row, 0)]
    assert signs == [1, 0]
    small.click(f"tr[data-row='{row}'] .expand")
    assert "executed no oneDNN primitive" in small.inner_text("tr.detail")


def test_the_table_is_worked_with_the_keyboard_alone(small):
    small.focus("th[data-key=count] button")
    small.keyboard.press("Enter")
    assert small.get_attribute("th[data-key=count]", "aria-sort") == "descending"
    small.keyboard.press("Space")
    assert small.get_attribute("th[data-key=count]", "aria-sort") == "ascending"
    first, second, *_ = rows(small)
    small.focus(f"tr[data-row='{first}'] .expand")
    small.keyboard.press("Enter")
    small.keyboard.press("ArrowDown")
    focused = "document.activeElement.closest('tr').dataset.row"
    assert small.evaluate(focused) == str(second)
    small.keyboard.press("Space")
    assert small.locator("tr.detail").count() == 2
    small.keyboard.press("Escape")
    small.keyboard.press("ArrowUp")
    assert small.evaluate(focused) == str(first)
    assert small.locator("tr.detail").count() == 1


def test_a_link_keeps_what_is_looked_at(window, write, small):
    small.fill(".filter-text", "conv & more=?#")
    small.fill(".filter-text", "convolution")
    sort_by(small, "count")
    sort_by(small, "count")
    expected, hash_ = rows(small), small.evaluate("location.hash")
    assert "convolution" in hash_
    with opened_page(window, write(SMALL), hash_) as page:
        assert rows(page) == expected
        assert page.input_value(".filter-text") == "convolution"
        page.fill(".filter-text", "")
        sort_by(page, "self_ns")
        assert page.evaluate("location.hash") == ""


@pytest.mark.parametrize("nonsense", ["#w7?text=a", "#w0?sort=-nothing&other=1", "#%E0%A4%A", "#w0?text=%E0%A4%A"])
def test_a_link_that_means_nothing_harms_nothing(window, write, nonsense):
    with opened_page(window, write(SMALL), nonsense) as page:
        assert page.get_attribute("th[data-key=self_ns]", "aria-sort") == "descending"


# --- the icicle -------------------------------------------------------------------------------------


def test_the_icicle_draws_every_box_that_is_wide_enough_and_sums_up_the_rest(large):
    width = large.evaluate("document.querySelector('.icicle svg').getBoundingClientRect().width")
    nodes = icicle(LARGE).nodes
    wide = {i for i, node in enumerate(nodes) if node.width * math.floor(width) >= 1.01}
    narrow = {i for i, node in enumerate(nodes) if node.width * math.floor(width) < 0.99}
    drawn = set(large.eval_on_selector_all(".icicle [data-node]", "all => all.map((one) => Number(one.dataset.node))"))
    assert wide <= drawn
    assert not drawn & narrow
    assert narrow
    assert large.locator(".icicle [data-rest]").count() > 0


def test_a_click_zooms_in_and_a_crumb_zooms_out(small):
    assert crumbs(small) == ["step"]
    small.locator(".icicle [data-node]", has_text="forward").first.click()
    assert crumbs(small) == ["step", "forward"]
    whole = small.locator(".icicle svg").bounding_box()["width"]
    assert small.locator(".icicle rect.phase").bounding_box()["width"] == pytest.approx(whole, abs=3)
    small.locator(".icicle rect.operator").first.click()
    assert crumbs(small)[-1] == "aten::mkldnn_convolution"
    small.locator(".crumbs button").first.click()
    assert crumbs(small) == ["step"]


def test_the_icicle_is_walked_and_zoomed_with_the_keyboard_alone(small):
    small.focus(".icicle svg")
    assert active(small) == "step"
    small.keyboard.press("ArrowDown")
    assert active(small) == "forward"
    small.keyboard.press("ArrowRight")
    assert active(small) == "backward"
    small.keyboard.press("ArrowLeft")
    small.keyboard.press("ArrowLeft")
    assert active(small) == "forward"
    small.keyboard.press("Enter")
    assert crumbs(small) == ["step", "forward"]
    small.keyboard.press("ArrowDown")
    assert active(small) == "Net"
    small.keyboard.press("Space")
    assert crumbs(small) == ["step", "forward", "Net"]
    assert plain(small.text_content(".icicle-status")).startswith("Net · module in forward · ")
    assert small.evaluate("document.activeElement.tagName") == "svg"
    for expected in (["step", "forward"], ["step"], ["step"]):
        small.keyboard.press("Escape")
        assert crumbs(small) == expected
    small.keyboard.press("ArrowDown")
    small.keyboard.press("Home")
    assert active(small) == "step"


def test_what_is_too_narrow_to_draw_is_reached_with_keys_and_said_once(large):
    large.focus(".icicle svg")
    large.keyboard.press("ArrowDown")
    large.keyboard.press("ArrowDown")
    while not large.locator(".icicle .active[data-rest]").count():
        before = large.get_attribute(".icicle svg", "aria-activedescendant")
        large.keyboard.press("ArrowDown")
        if large.get_attribute(".icicle svg", "aria-activedescendant") == before:
            large.keyboard.press("ArrowRight")
        assert large.get_attribute(".icicle svg", "aria-activedescendant") != before
    spoken = large.locator(".icicle .active")
    assert spoken.get_attribute("id") == large.get_attribute(".icicle svg", "aria-activedescendant")
    assert "too narrow to draw" in spoken.get_attribute("aria-label")
    assert "too narrow to draw" in large.inner_text(".icicle-status")
    inside = large.get_attribute(".icicle .active", "data-rest")
    large.keyboard.press("Enter")
    assert large.get_attribute(".icicle .active", "data-node") == inside
    # The active box is spoken as such: a region that is live would say it a second time.
    assert plain(large.text_content(".icicle-status [aria-live]")) == ""
    large.fill(".icicle-search", "conv")
    assert "match" in large.text_content(".icicle-status [aria-live]")


def test_hovering_a_box_says_the_exact_figure(small):
    in_view(small, ".icicle")
    small.hover(".icicle rect.operator >> nth=0")
    assert small.is_visible(".tooltip")
    tip = plain(small.inner_text(".tooltip"))
    node = next(node for node in icicle(SMALL).nodes if node.kind == "operator")
    share = cells.format_share(node.ns / SMALL.ledger.wall_ns)
    assert tip.splitlines()[0] == node.label
    assert f"100 ms (100 000 000 ns), {share} of the step" in tip
    assert "8x16x56x56" in tip
    assert "brg_conv_fwd:avx512_core" in tip
    small.hover(".icicle rect.primitive >> nth=0")
    assert "oneDNN's own time, from the primitives pass" in small.inner_text(".tooltip")
    small.mouse.move(2, 2)
    assert not small.is_visible(".tooltip")


def test_highlighting_sums_each_time_once(small):
    nodes = icicle(SMALL).nodes
    small.fill(".icicle-search", "stage3")
    modules = [node for node in nodes if node.kind == "module" and node.label == "stage3"]
    expected = cells.format_ns(sum(node.ns for node in modules))
    assert plain(small.text_content(".icicle-status")).startswith(f"{len(modules)} matches, {expected} of ")
    small.fill(".icicle-search", "Net.stage3.block3")
    assert plain(small.text_content(".icicle-status")).startswith("1 match, 76.9 ms of ")
    assert small.locator(".icicle .match").count() > 0
    assert small.locator(".icicle .dim").count() > 0
    small.fill(".icicle-search", "optimizer")
    spans = "all => all.map((one) => [one.getBoundingClientRect().left, one.getBoundingClientRect().right])"
    ((left, right),) = small.eval_on_selector_all(".icicle .match rect", spans)
    dimmed = small.eval_on_selector_all(".icicle .dim rect", spans)
    assert dimmed
    assert not [box for box in dimmed if left - 1 <= box[0] and box[1] <= right + 1]
    small.fill(".icicle-search", "")
    assert small.locator(".icicle .match, .icicle .dim").count() == 0


def test_a_box_leads_to_its_rows_of_the_table(small):
    small.locator(".icicle rect.operator").first.click()
    small.click(".to-table")
    assert rows(small) == [0]
    assert small.evaluate("document.activeElement.closest('tr').dataset.row") == "0"
    assert small.locator("tr.detail").count() == 1
    small.locator(".crumbs button", has_text="Net").click()
    small.click(".to-table")
    modules, phases = column(small, "module"), column(small, "phase")
    # The box is of one phase, so its rows are too.
    assert small.locator(".filter-phase").input_value() == "forward"
    assert rows(small) == [row for row in range(ROWS) if modules[row] and phases[row] == "forward"]
    assert "phase=forward" in small.evaluate("location.hash")


def test_the_icicle_fits_a_window_that_changes(small):
    small.set_viewport_size({"width": 700, "height": 800})
    small.wait_for_function("""() => {
        const svg = document.querySelector('.icicle svg');
        return Math.abs(svg.viewBox.baseVal.width - svg.getBoundingClientRect().width) <= 1;
    }""")
    assert small.locator(".icicle svg").bounding_box()["width"] < 700


def test_labels_end_within_their_boxes(large):
    beyond = large.eval_on_selector_all(
        ".icicle [data-node]",
        """all => all.filter((one) => {
        const [rect, text] = [one.querySelector('rect'), one.querySelector('text')];
        return text && text.getBBox().x + text.getBBox().width > rect.getBBox().x + rect.getBBox().width;
    }).length""",
    )
    assert beyond == 0
    assert large.locator(".icicle text").count() > 5


def test_a_box_without_operators_leads_to_no_table(window, write):
    profile = replace(a_profile(), python=(PythonTime("module", "forward", "only", 1, 2e4),))
    with opened_page(window, write(profile)) as page:
        for name, leads in (("only", False), ("net", True)):
            page.locator(f".icicle .module[aria-label^='{name},']").first.click()
            assert crumbs(page)[-1] == name
            assert page.is_visible(".to-table") == leads
            page.locator(".crumbs button").first.click()


def test_nothing_moves_for_those_who_do_not_want_it(browser, write):
    with opened_window(browser, reduced_motion="reduce") as window, opened_page(window, write(SMALL)) as page:
        page.locator(".icicle rect.phase").first.click()
        page.click("#theme")
        assert page.evaluate("document.getAnimations().length") == 0


# --- tooltips of the figures ------------------------------------------------------------------------


def test_a_mark_of_a_figure_says_its_figure_on_hover_and_on_focus(browser, window, write):
    with opened_window(browser, java_script_enabled=False) as plainer, opened_page(plainer, write(SMALL)) as page:
        titles = page.locator("figure svg [tabindex] > title").all_text_contents()
    assert titles
    with opened_page(window, write(SMALL)) as page:
        assert page.locator("figure svg title").count() == 0
        mark = page.locator("figure svg [tabindex]").first
        in_view(page, "figure svg [tabindex]")
        assert mark.get_attribute("aria-label")
        mark.hover(force=True)
        assert page.is_visible(".tooltip")
        assert page.inner_text(".tooltip").split() == titles[0].split()
        page.keyboard.press("Escape")
        assert not page.is_visible(".tooltip")
        page.mouse.move(1, 1)
        mark.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        assert page.is_visible(".tooltip")
        assert page.inner_text(".tooltip").split() == titles[0].split()


def test_a_figure_is_one_stop_and_arrows_go_from_mark_to_mark(small):
    figures = small.locator("figure svg.figure:visible").all()
    assert figures
    for figure in figures:
        marks = figure.locator("[tabindex]")
        assert figure.locator("[tabindex='0']").count() == min(marks.count(), 1)
    marks = max((figure.locator("[tabindex]") for figure in figures), key=lambda found: found.count())
    assert marks.count() > 2
    label = "document.activeElement.getAttribute('aria-label')"
    said = [mark.get_attribute("aria-label") for mark in marks.all()]
    marks.first.focus()
    for key, at in (("ArrowLeft", 0), ("ArrowRight", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", -1), ("Home", 0)):
        small.keyboard.press(key)
        assert small.evaluate(label) == said[at]
    small.keyboard.press("ArrowRight")
    assert [mark.get_attribute("tabindex") for mark in marks.all()][:3] == ["-1", "0", "-1"]
    small.keyboard.press("Tab")
    assert small.evaluate(label) not in said


def test_a_finger_gets_the_tooltip_too(browser, write):
    with opened_window(browser, has_touch=True) as window, opened_page(window, write(SMALL)) as page:
        mark = page.locator("figure svg [tabindex]").first
        in_view(page, "figure svg [tabindex]")
        mark.tap(force=True)
        assert page.is_visible(".tooltip")
        page.locator("h1, h2").first.tap()
        assert not page.is_visible(".tooltip")


# --- themes, paper, small screens -------------------------------------------------------------------


def luminance(color: str) -> float:
    """WCAG 2.2's relative luminance of a computed colour."""
    values = [float(value) for value in re.findall(r"[\d.]+", color.partition("(")[2])][:3]
    parts = values if color.startswith("color(srgb") else [value / 255 for value in values]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


PAIRS = """() => {
    const style = (one) => getComputedStyle(one);
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            if (style(at).backgroundColor !== 'rgba(0, 0, 0, 0)') return style(at).backgroundColor;
        }
        return style(document.documentElement).backgroundColor;
    };
    const texts = [...document.querySelectorAll('body, h2, h3, p, td, th, th button, dt, dd, li, summary, label, bdi')];
    const pairs = texts.map((one) => [one.tagName + '.' + one.className, style(one).color, behind(one)]);
    for (const node of document.querySelectorAll('.icicle [data-node]')) {
        const [rect, text] = [node.querySelector('rect'), node.querySelector('text')];
        if (text) pairs.push(['icicle ' + rect.getAttribute('class'), style(text).fill, style(rect).fill]);
    }
    return pairs;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(browser, write, scheme):
    with opened_window(browser, color_scheme=scheme) as window, opened_page(window, write(SMALL)) as page:
        page.click("tr[data-row='0'] .expand")
        pairs = page.evaluate(PAIRS)
        kinds = {name for name, *_ in pairs if name.startswith("icicle ")}
        assert kinds >= {"icicle step", "icicle phase", "icicle module", "icicle operator", "icicle primitive"}
        faint = {(name, *colors) for name, *colors in pairs if contrast(*colors) < 4.5}
        assert not faint
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) > 0.5) == (scheme == "light")


def paper(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_theme_is_chosen_and_remembered(browser, write):
    with opened_window(browser, color_scheme="light") as window, opened_page(window, write(SMALL)) as page:
        shown = []
        for _ in range(4):
            shown.append((page.inner_text("#theme"), luminance(paper(page)) < 0.5))
            page.click("#theme")
        assert shown == [("Theme: auto", False), ("Theme: dark", True), ("Theme: light", False), ("Theme: auto", False)]
        assert page.get_attribute("html", "data-theme") == "dark"
        page.reload()
        assert page.inner_text("#theme") == "Theme: dark"
        assert luminance(paper(page)) < 0.5


def test_a_browser_that_refuses_storage_still_changes_the_theme(window, write):
    with opened_page(window, write(SMALL)) as page:
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('refused'); } });"
        )
        page.reload()
        page.click("#theme")
        assert page.get_attribute("html", "data-theme") == "dark"


@pytest.mark.parametrize("width", [390, 820])
def test_a_small_screen_scrolls_down_only(browser, write, width):
    hostile = hostile_profile()
    for profile in (SMALL, hostile):
        with (
            opened_window(browser, viewport={"width": width, "height": 844}) as window,
            opened_page(window, write(profile)) as page,
        ):
            for button in page.locator(".expand").all()[:3]:
                button.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.locator(".icicle rect.phase").first.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_letters_twice_as_large_still_scroll_down_only(browser, write):
    with (
        opened_window(browser, viewport={"width": 390, "height": 844}) as window,
        opened_page(window, write(SMALL)) as page,
    ):
        page.add_style_tag(content="html { font-size: 200% }")
        frame = page.locator(".ledger .scroll").bounding_box()
        assert frame["x"] + frame["width"] <= 390
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("size", [100, 125])
def test_the_narrowest_screen_shows_a_name_and_what_it_costs(browser, write, size):
    operators = tuple(
        replace(one, name="aten::" + "m" * 60, module="net." + "m" * 60, self_ns=8.88e8, phase="forward")
        for one in a_profile().operators
    )
    with (
        opened_window(browser, viewport={"width": 320, "height": 700}) as window,
        opened_page(window, write(replace(a_profile(), operators=operators))) as page,
    ):
        page.add_style_tag(content=f"html {{ font-size: {size}% }}")
        frame = page.locator(".hotspots .scroll").bounding_box()
        ends = page.locator("tr[data-row] td:nth-child(4)").evaluate_all(
            """all => all.map((one) => one.getBoundingClientRect().right -
            parseFloat(getComputedStyle(one).paddingRight))"""
        )
        assert max(ends) <= frame["x"] + frame["width"]
        assert page.locator("bdi.name").first.bounding_box()["width"] > 80


def test_a_very_long_phase_widens_no_table(window, write):
    long = "phase " + "x" * 5000
    operators = tuple(replace(one, phase=long) for one in a_profile().operators)
    with opened_page(window, write(replace(a_profile(), operators=operators))) as page:
        cell = page.locator("tr[data-row='0'] td.phase").bounding_box()
        assert cell["width"] < 200
        assert cell["height"] < 100
        page.click("tr[data-row='0'] .expand")
        assert long in page.inner_text("tr.detail")


def test_paper_gets_what_is_folded_and_folds_it_again(small):
    small.emulate_media(media="print", color_scheme="dark")
    assert luminance(paper(small)) > 0.9
    folded = small.locator("details:not([open])").count()
    assert folded > 0
    small.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    # Tables of data stay with the page.
    assert small.locator("details:not([open], .data)").count() == 0
    assert not any(one.is_visible() for one in small.locator("details.data").all())
    assert small.locator("#environment dl").is_visible()
    assert small.locator("table.operators tbody tr").first.is_visible()
    assert not small.is_visible("#theme")
    small.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert small.locator("details:not([open])").count() == folded
    assert small.pdf().startswith(b"%PDF")


def test_paper_ends_after_the_first_rows_in_the_order_of_the_moment(large):
    large.click(".more")
    sort_by(large, "count")
    large.click(".more")
    ordered = rows(large)
    for row in ordered[:2]:
        large.click(f"tr[data-row='{row}'] .expand")
    assert large.locator("tr.detail table.primitives tbody tr").count() > 0
    large.emulate_media(media="print")
    printed = [row for row in ordered if large.locator(f"tr[data-row='{row}']").is_visible()]
    assert printed == ordered[:ROWS]
    assert large.locator("table.primitives tbody tr").first.is_visible()
    assert plain(large.inner_text(".printed")) == f"Printed are the first {ROWS} of 700 rows; the page itself has all."
    large.emulate_media(media="screen")
    large.fill(".filter-text", "aten::add_")
    fit = len([name for name in column(large, "name") if name == "aten::add_"])
    assert plain(large.text_content(".printed")) == (
        f"Printed are the first {ROWS} of {fit} rows that fit the filter; the page itself has all."
    )


def test_without_scripts_the_page_still_reads(browser, write):
    with opened_window(browser, java_script_enabled=False) as window, opened_page(window, write(LARGE)) as page:
        assert page.locator("table.operators tbody tr").count() == ROWS
        assert page.locator("table.operators tbody tr").first.is_visible()
        assert page.locator("figure svg").first.is_visible()
        for useless in (".toolbar", ".more", "#theme", ".expand >> nth=0"):
            assert not page.is_visible(useless)


# --- what nobody wished for -------------------------------------------------------------------------


def hostile_profile() -> Profile:
    operators = (
        Operator(SCRIPT, "forward", f"net.{QUOTES}", LONG, 1, 5e4, (50000,), 5e4, primitives=(0,)),
        Operator(RTL, QUOTES, RTL, ((3,),), 1, 2e4, (20000,), 2e4),
        Operator("\x1b[31m\0\u2028red", SCRIPT, None, (), 1, 1e4, (10000,), 1e4),
    )
    primitive = a_primitive(SCRIPT, QUOTES, 4e4, 0, implementation=f"{SCRIPT}{RTL}", problem="x" * 5000)
    return a_profile(f"tests/test_x.py::test[{SCRIPT}{QUOTES}{RTL}]", operators=operators, primitives=(primitive,))


def test_hostile_names_are_text(window, write):
    page_of = write(hostile_profile(), cpu_model=SCRIPT, allocator=QUOTES, kernel=RTL)
    with opened_page(window, page_of) as page:
        assert page.locator("bdi.name").first.inner_text() == SCRIPT
        assert page.locator("tr[data-row='0'] .module").inner_text() == f"net.{QUOTES}"
        for button in page.locator(".expand").all():
            button.click()
        shapes = cells.format_shapes(LONG)
        assert len(shapes) > 5000
        details = page.locator("tr.detail").all_inner_texts()
        assert shapes in details[0]
        assert SCRIPT + cells.clean(RTL) in details[0]
        in_view(page, ".icicle")
        page.hover(".icicle rect.operator >> nth=0")
        assert page.inner_text(".tooltip").startswith(SCRIPT)
        page.fill(".filter-text", QUOTES)
        assert rows(page)
        page.fill(".icicle-search", "<script>")
        assert "match" in page.text_content(".icicle-status")
        assert page.locator("img, b, td script").count() == 0
        assert SCRIPT in page.title() or SCRIPT in page.inner_text("h2")


def alone() -> tuple[Operator, ...]:
    """The sample's operators, joined to nothing."""
    return tuple(replace(operator, primitives=()) for operator in a_profile().operators)


@pytest.mark.parametrize(
    "profile",
    [
        Profile("nothing"),
        a_profile(operators=(), primitives=(), python=(), ledger=None, phases=()),
        a_profile(operators=alone(), primitives=(), passes=("timing", "operators"), join=None),
        a_profile(ledger=None),
        a_profile(samples=Samples((1e5,)), memory=None),
        a_profile(samples=None, phases=(), notes=()),
        a_profile(operators=alone(), primitives=(a_primitive("matmul", "undef", 7.0, None),)),
    ],
    ids=["nothing", "no rows", "no primitives pass", "no ledger", "one sample", "not timed", "not joined"],
)  # fmt: skip
def test_what_is_missing_is_said_and_breaks_nothing(window, write, profile):
    with opened_page(window, write(profile)) as page:
        assert profile.name in page.inner_text("h1")
        if not profile.operators:
            assert page.locator(".missing").count() > 0
        for button in page.locator(".expand").all():
            button.click()
        if profile.operators and not profile.primitives:
            assert "pass did not run" in page.locator("tr.detail").first.inner_text()
        assert "undefined" not in page.inner_text("body")
        assert "NaN" not in page.inner_text("body")


def test_every_workload_has_its_own_table_and_icicle(window, write):
    with opened_page(window, write(SMALL, a_profile(), Profile("nothing"))) as page:
        second = page.locator("#w1")
        second.locator(".filter-text").fill("aten::add_")
        assert second.locator("tr[data-row]").count() == 1
        assert page.locator("#w0 tr[data-row]").count() == ROWS
        second.locator(".icicle rect.phase").first.click()
        assert second.locator(".crumbs button").all_text_contents() == ["step", "forward"]
        assert page.locator("#w0 .crumbs button").all_text_contents() == ["step"]
        ids = page.eval_on_selector_all("[id]", "all => all.map((one) => one.id)")
        assert len(ids) == len(set(ids))


def test_of_very_many_workloads_each_is_made_when_it_comes_into_view(window, write):
    file = write(*(a_profile(f"workload {number}") for number in range(10)))
    made = "() => document.querySelectorAll('section.workload .icicle svg').length"
    with opened_page(window, file) as page:
        assert page.evaluate(made) < 10
        page.locator("#w9").scroll_into_view_if_needed()
        page.wait_for_function("() => document.querySelector('#w9 .icicle svg')")
        assert page.evaluate(made) < 10
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(made) == 10
    with opened_page(window, file, "#w7?text=aten::add_") as page:
        assert page.locator("#w7 tr[data-row]").count() == 1
