"""The figures of a history: numbers first, then what is drawn, the gallery, the badge and the summary."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.analyse.diff.model import Change as Fact
from perfsuite.errors import UsageError
from perfsuite.history.figure import series_figure
from perfsuite.history.marks import Mark
from perfsuite.history.model import Benchmark, Change, Commit, Finding, Night, Point, Series, Skipped
from perfsuite.history.stack import operator_stacks
from perfsuite.present.history import words
from perfsuite.present.history.badge import BAD, GOOD, TITLE, UNKNOWN, render_badge
from perfsuite.present.history.page import draw_gallery, render_gallery
from perfsuite.present.history.plots import draw_series, series_plot, series_tips, stack_plot, stack_tips
from perfsuite.present.history.spark import sparkline
from perfsuite.present.history.summary import render_summary
from perfsuite.present.plots import inline_svg, style
from tests import page as pages
from tests.hostile import HOSTILE
from tests.test_history_explain import AT, BEFORE, explained, sides
from tests.test_plots import _WORST as WORST
from tests.test_plots import marks as artists
from tests.test_plots import texts

STEP = Benchmark("steps.Steps.track_step", {"workload": "resnet18"}, "ms")


def a_commit(position: int, *tags: str) -> Commit:
    return Commit(f"{position:040x}", position, "2026-01-01T00:00:00+00:00", tags)


COMMITS = tuple(a_commit(at, *([f"v2.{at // 5}.0"] if at % 5 == 0 else [])) for at in range(20))


def a_series(levels, benchmark=STEP, machines=("runner",), samples=True, seed=3) -> Series:
    """``levels`` by commit; every second machine is 7 % slower."""
    draw = random.Random(seed)
    points = []
    for commit, level in zip(COMMITS, levels, strict=False):
        for number, machine in enumerate(machines):
            value = level * (1.07 if number % 2 else 1.0)
            taken = tuple(value * draw.gauss(1, 0.01) for _ in range(12)) if samples else ()
            points.append(Point(commit, machine, value, taken))
    return Series(benchmark, tuple(points))


def a_change(at: int, ratio: float, recovered: int | None = None, benchmark: Benchmark = STEP) -> Change:
    back = None if recovered is None else COMMITS[recovered]
    return Change(
        benchmark, COMMITS[at - 1], COMMITS[at], ratio, (ratio - 0.02, ratio + 0.02), 0.99, (at, 20 - at), back
    )


SLOWER = a_series([100.0] * 8 + [110.0] * 12, machines=("runner", "other"))
KERNEL = Mark(COMMITS[5], (Fact("kernel", "6.1", "6.8"),))


# --- numbers ----------------------------------------------------------------------------------------


def test_levels_are_medians_between_changes_by_machine():
    found = series_figure(SLOWER, [a_change(8, 1.1), a_change(8, 9.9, benchmark=replace(STEP, name="x.track_step"))])
    levels = {(one.machine, one.first, one.last): one.value for one in found.levels}
    assert levels == {
        (0, 0, 7): 100.0, (1, 0, 7): pytest.approx(107.0), (0, 8, 19): 110.0, (1, 8, 19): pytest.approx(117.7),
    }  # fmt: skip
    (turn,) = found.turns
    assert (turn.x, turn.until) == (8, 19)
    assert [(one.low, one.high) for one in turn.spans] == [
        (pytest.approx(108), pytest.approx(112)), (pytest.approx(107 * 1.08), pytest.approx(107 * 1.12)),
    ]  # fmt: skip


def test_a_level_ends_where_a_change_is_undone():
    found = series_figure(a_series([100.0] * 5 + [130.0] * 5 + [100.0] * 10), [a_change(5, 1.3, recovered=10)])
    assert [(one.first, one.last, one.value) for one in found.levels] == [(0, 4, 100), (5, 9, 130), (10, 19, 100)]
    assert found.turns[0].until == 9


def test_points_have_the_interval_of_their_samples_or_their_range_or_none():
    many, few = a_series([100.0] * 3), a_series([100.0] * 3)
    few = Series(STEP, tuple(replace(one, samples=(99.0, 102.0)) for one in few.points))
    assert {dot.kind for dot in series_figure(many).dots} == {"interval"}
    assert {(dot.kind, dot.low, dot.high, dot.n) for dot in series_figure(few).dots} == {("range", 99.0, 102.0, 2)}
    assert {dot.low for dot in series_figure(a_series([100.0] * 3, samples=False)).dots} == {None}
    assert any("no interval" in note for note in series_figure(few).notes)


def test_what_is_not_finite_is_told_and_not_drawn():
    bad = Series(STEP, (*SLOWER.points, Point(a_commit(30), "runner", float("nan"))))
    found = series_figure(bad)
    assert len(found.dots) == len(SLOWER.points)
    assert "1 point without a finite value not shown." in found.notes
    assert series_figure(Series(STEP, ())).missing == "Nothing was measured."


def test_marks_between_the_first_and_the_last_commit_have_letters_in_their_order():
    outside = Mark(a_commit(99), KERNEL.changes)
    later = Mark(COMMITS[9], (Fact("governor", "powersave", "performance"),))
    found = series_figure(SLOWER, [], [later, outside, KERNEL])
    assert [(one.letter, one.x) for one in found.marks] == [("a", 5), ("b", 9)]


def test_the_guilty_operator_is_named_at_a_change_the_same_way_only():
    explanation = explained(*sides(1.2))
    slower = Change(STEP, BEFORE, AT, 1.1, (1.08, 1.12), 0.99, (2, 18))
    series = a_series([100.0] * 2 + [110.0] * 18)
    assert series_figure(series, [slower], (), [explanation]).turns[0].culprit == explanation.culprit
    faster = replace(slower, ratio=0.9, interval=(0.88, 0.92))
    assert series_figure(series, [faster], (), [explanation]).turns[0].culprit is None
    memory = Benchmark("steps.Steps.track_peak_rss", {"workload": "resnet18"}, "MiB")
    of_memory = replace(slower, benchmark=memory)
    assert series_figure(replace(series, benchmark=memory), [of_memory], (), [explanation]).turns[0].culprit is None


def an_operator(name: str) -> Benchmark:
    return Benchmark("steps.Steps.track_operator", {"workload": "resnet18", "operator": name}, "ms")


def operators(count: int = 10, commits: int = 20) -> list[Series]:
    names = ["convolution", "other", *(f"op{at}" for at in range(count - 2))]
    found = [a_series([100.0 / (at + 1)] * commits, an_operator(name)) for at, name in enumerate(names)]
    return [a_series([310.0] * commits), *found]


def test_the_stack_has_the_longest_operators_and_the_sum_of_all_others():
    (found,) = operator_stacks(operators(), [a_change(8, 1.1)])
    assert [band.name for band in found.bands] == ["convolution", *(f"op{at}" for at in range(6)), "other"]
    assert found.bands[-1].merged == 3
    total = sum(100.0 / (at + 1) for at in range(10))
    assert sum(band.values[0] for band in found.bands) == pytest.approx(total)
    assert found.steps == (310.0,) * 20
    assert found.turns == ((8, 1.1),)


def test_what_was_not_measured_is_none_in_a_stack():
    short = a_series([5.0] * 3, an_operator("x"))
    (found,) = operator_stacks([*operators(2), short])
    band = next(band for band in found.bands if band.name == "x")
    assert band.values == (5.0,) * 3 + (None,) * 17


# --- drawn ------------------------------------------------------------------------------------------


def test_points_are_drawn_at_their_commit_and_machines_by_shape():
    record = series_figure(SLOWER, [a_change(8, 1.1)], [KERNEL])
    figure = series_plot(record)
    dots = artists(figure, "series-dots-")
    assert [dots[f"series-dots-{at}"].get_marker() for at in range(2)] == ["o", "s"]
    assert [round(x) for x in dots["series-dots-0"].get_xdata()] == list(range(20))
    assert list(dots["series-dots-0"].get_ydata()) == [100.0] * 8 + [110.0] * 12
    assert artists(figure, "series-turn-")["series-turn-0"].get_xdata() == [7.5, 7.5]
    written = texts(figure)
    assert {"+10.0%", "runner", "other", "a", "v2.0.0", "v2.3.0"} <= set(written)
    assert any("kernel 6.1 → 6.8" in text for text in written)
    assert set(series_tips(record)) == {"series-dots-0", "series-dots-1", "series-turn-0"}


@pytest.mark.parametrize("width", [style.NARROW, style.WIDE])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_names_of_commits_do_not_touch_and_stay_in_the_figure(width, count):
    figure = series_plot(series_figure(a_series([100.0] * count)), width=width)
    figure.draw_without_rendering()
    axes = next(axes for axes in figure.axes if axes.axison)
    boxes = [tick.get_window_extent() for tick in axes.get_xticklabels()]
    assert boxes
    assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))
    assert boxes[-1].x1 <= figure.bbox.x1


def test_words_of_changes_next_to_each_other_do_not_overlap():
    changes = [a_change(at, 1.1) for at in (8, 9, 10)]
    figure = series_plot(series_figure(SLOWER, changes))
    figure.draw_without_rendering()
    boxes = [one.get_window_extent() for one in figure.findobj(mpl.text.Text) if one.get_text() == "+10.0%"]
    assert len(boxes) == 3
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[at + 1 :])


@pytest.mark.parametrize("commits", [3, 20])
def test_bars_of_a_stack_are_as_high_as_the_operators(commits):
    (record,) = operator_stacks(operators(4, commits))
    figure = stack_plot(record)
    found = artists(figure, "stack-0-")
    assert len(found) == commits
    assert {bar.get_height() for bar in found.values()} == {100.0}
    assert artists(figure, "stack-1-")["stack-1-0"].get_y() == 100.0
    assert len(artists(figure, "stack-step")) == 1
    tips = stack_tips(record)
    assert tips["stack-0-0"] == "convolution at v2.0.0: 100 ms"
    ET.fromstring(inline_svg(figure, tips, "p-"))


def test_many_commits_are_areas():
    many = [Series(one.benchmark, tuple(
        Point(a_commit(at), "runner", one.points[0].value) for at in range(60))) for one in operators(4)]  # fmt: skip
    (record,) = operator_stacks(many)
    figure = stack_plot(record)
    assert set(artists(figure, "stack-")) == {"stack-0", "stack-1", "stack-2", "stack-3", "stack-step"}
    assert set(stack_tips(record)) == {"stack-0", "stack-1", "stack-2", "stack-3", "stack-step"}


def test_colours_in_a_page_are_the_pages():
    record = series_figure(SLOWER, [a_change(8, 1.1)], [KERNEL])
    text = inline_svg(series_plot(record), series_tips(record), "p-")
    assert "#" not in text.replace('href="#', "").replace("url(#", "")


def test_a_file_is_written_in_the_format_of_its_name(tmp_path):
    for name, start in (("x.png", b"\x89PNG"), ("x.svg", b"<?xml"), ("x.pdf", b"%PDF")):
        drawn = draw_series(SLOWER, [a_change(8, 1.1)], [KERNEL], tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
        assert len(drawn.turns) == 1
    with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf"):
        draw_series(SLOWER, [], [], tmp_path / "x.jpg")


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_hostile_names_are_shown_as_text(index):
    text = HOSTILE[index]
    benchmark = Benchmark(text, {"workload": text}, text)
    commits = [Commit("0" * 39 + str(at), at, "", (text,)) for at in range(2)]
    points = tuple(Point(one, text, 1.0 + at) for at, one in enumerate(commits))
    change = Change(benchmark, *commits, 2.0, (1.9, 2.1), 0.99, (1, 1))
    record = series_figure(Series(benchmark, points), [change], [Mark(commits[1], (Fact(text, text, text),))])
    if text in WORST:
        ET.fromstring(inline_svg(series_plot(record), series_tips(record), "p-"))
    found = pages.Page(render_gallery([record], text))
    assert {one.tag for one in found.elements} <= pages.HTML | pages.SVG | {"circle"}
    assert not any(name.startswith("on") for one in found.elements for name in one.attributes)
    finding = Finding(*commits, (change,), (Fact(text, text, text),))
    night = Night(
        "2026-01-01T00:00:00", None, (commits[1],), (Skipped(commits[0], text),), (finding,), (finding.key,), (text,)
    )
    assert "\x1b" not in render_summary(night)
    ET.fromstring(render_badge(night, text or "x"))


@given(st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=20))
@settings(max_examples=15, deadline=None)
def test_any_values_can_be_drawn(values):
    record = series_figure(a_series(values))
    ET.fromstring(inline_svg(series_plot(record), series_tips(record), "p-"))
    ET.fromstring(sparkline(record))


def test_a_count_that_was_0_has_a_change_without_a_ratio():
    change = replace(a_change(8, 1.1), ratio=math.inf, interval=(math.inf, math.inf))
    record = series_figure(a_series([0.0] * 8 + [3.0] * 12, samples=False), [change])
    assert record.turns[0].spans == ()
    ET.fromstring(inline_svg(series_plot(record), series_tips(record), "p-"))
    ET.fromstring(sparkline(record))
    night = a_night(Finding(COMMITS[7], COMMITS[8], (change,)))
    assert "regression" in render_summary(night)


# --- the gallery, the badge and the summary ---------------------------------------------------------


def test_the_gallery_has_every_line_those_that_changed_first(tmp_path):
    other = a_series([5.0] * 20, Benchmark("steps.Steps.track_step", {"workload": "lstm"}, "ms"))
    draw_gallery([other, SLOWER], [a_change(8, 1.1)], [KERNEL], tmp_path / "gallery.html", project="a project")
    found = pages.Page((tmp_path / "gallery.html").read_text(encoding="utf-8"))
    titles = [one.text for one in found.all("p", "title")]
    assert titles == ["steps.Steps.track_step(resnet18)", "steps.Steps.track_step(lstm)"]
    assert [one.text for one in found.all("strong")] == ["+10.0% (+8.0 to +12.0)"]
    assert len(found.all("svg")) == 2
    assert not found.all("script")


def a_night(*findings: Finding, new=(), **more) -> Night:
    values = {"ended": "2026-01-02T03:00:00", "measured": (COMMITS[19],), **more}
    return Night("2026-01-02T01:00:00", findings=findings, new=tuple(one.key for one in new), **values)


REGRESSED = Finding(COMMITS[7], COMMITS[8], (a_change(8, 1.1),), (Fact("torch", "2.7.0", "2.8.0"),))
UNDONE = Finding(COMMITS[4], COMMITS[5], (a_change(5, 1.3, recovered=10),))
IMPROVED = Finding(COMMITS[11], COMMITS[12], (a_change(12, 0.8),))


@pytest.mark.parametrize(
    ("night", "said", "color"),
    [
        (a_night(), "no regression", GOOD),
        (a_night(IMPROVED, UNDONE, new=[IMPROVED]), "no regression", GOOD),
        (a_night(REGRESSED), "1 regression, none new", BAD),
        (a_night(REGRESSED, new=[REGRESSED]), "1 new regression", BAD),
        (a_night(ended=None), "not finished", UNKNOWN),
    ],
)
def test_the_badge_says_how_the_night_went(night, said, color):
    root = ET.fromstring(render_badge(night))
    assert root.get("aria-label") == f"training time: {said}"
    assert [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")] == ["training time", said]
    assert color in render_badge(night)


@pytest.mark.parametrize("color", [TITLE, GOOD, BAD, UNKNOWN])
def test_white_can_be_read_on_a_badge(color):
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    luminance = sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_the_summary_tells_what_is_new_with_its_cause_first():
    explanation = replace(explained(*sides(1.2, implementation="ref:any")), before=COMMITS[7], at=COMMITS[8])
    skipped = Skipped(COMMITS[1], "no wheel for this commit")
    night = a_night(UNDONE, REGRESSED, new=[REGRESSED], skipped=(skipped,), notes=("a note",))
    text = render_summary(night, [explanation])
    assert text.startswith("### perfsuite nightly: 1 new regression\n")
    new, _, rest = text.partition("<details>")
    assert "+10.0% (+8.0 to +12.0)" in new
    assert "from convolution_backward at" in words.explained(explanation, True)
    assert "convolution_backward" in new
    assert "ResNet.layer3" in new
    assert "`jit:avx512_core` → ref:any" in new
    assert "torch 2.7.0 → 2.8.0" in new
    assert "undone at v2.2.0" in rest
    assert "no wheel for this commit" in rest
    assert "- Note: a note" in rest


def test_a_profile_that_went_the_other_way_explains_nothing():
    explanation = explained(*sides(1.2))
    assert "changed the other way" in words.explained(explanation, slower=False)
    assert "so nothing is attributed" in words.explained(explanation, slower=False)
    unsure = replace(explanation, interval=(-1.0, 2.0))
    assert "did not surely change" in words.explained(unsure, slower=False)
    assert "from convolution_backward at ResNet.layer3" in words.explained(explanation, slower=True)
