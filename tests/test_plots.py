"""Figures are checked by what is in them: angles, lengths and texts of matplotlib's artists, and the SVG's elements."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from perfsuite.analyse import figures
from perfsuite.analyse.diff import diff_profiles
from perfsuite.ceilings import Ceiling
from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.present import plots
from perfsuite.present.cells import clean
from perfsuite.present.plots import layout, style, words
from perfsuite.records import AllocationCurve, Ledger, Phase, PhaseSpan, Profile, Samples
from tests.diff_profiles import closing_profiles, op, profile
from tests.hostile import HOSTILE, hostile_text
from tests.samples import a_primitive, a_profile
from tests.test_figures import ceilings, rows_with_work, with_curve


def records(one: Profile) -> list[figures.FigureRecord]:
    """Every figure of a profile."""
    return [
        figures.donut(one),
        figures.hotspots(one),
        figures.phase_times(one),
        figures.roofline_figure(one, None),
        figures.roofline_figure(one, ceilings()),
        figures.waterfall(diff_profiles(one, one)),
        figures.samples(one),
        figures.samples(one, one),
        figures.memory(one),
    ]


def marks(figure: Figure, prefix: str) -> dict[str, object]:
    """The artists with a name that begins so."""
    found = figure.findobj(lambda artist: (artist.get_gid() or "").startswith(prefix))
    return {artist.get_gid(): artist for artist in found}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


# --- the data ---------------------------------------------------------------------------------------


def test_the_wedges_of_a_donut_have_the_angles_of_their_shares():
    record = figures.donut(a_profile())
    found = marks(plots.donut(record), "donut-")
    angles = [found[f"donut-{index}"].theta2 - found[f"donut-{index}"].theta1 for index in range(4)]
    assert angles == pytest.approx([360 * share for share in (0.4, 0.32, 0.24, 0.04)])
    assert found["donut-0"].theta2 == 90
    assert found["donut-3"].theta1 == pytest.approx(-270)


def test_a_donut_says_each_share_and_the_whole():
    written = texts(plots.donut(figures.donut(a_profile())))
    assert "convolution BWD_W" in written
    assert "24.0% · 12.0 µs" in written
    assert "50.0 µs" in written
    assert "50.0% of step" in written


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=9))
@settings(max_examples=20, deadline=None)
def test_labels_of_a_donut_do_not_overlap(times):
    kinds = [a_primitive(f"kind{index}", "undef", 1e6 * ns, None) for index, ns in enumerate(times)]
    record = figures.donut(a_profile(operators=(), primitives=tuple(kinds)))
    figure = plots.donut(record)
    names = [text for text in figure.findobj(mpl.text.Text) if text.get_text().startswith(("kind", "other"))]
    assert len(names) == len(record.wedges)
    for side in ("left", "right"):
        heights = sorted(text.get_position()[1] for text in names if text.get_ha() == side)
        assert all(after - before > 20 for before, after in pairwise(heights))


def test_hotspot_bars_are_as_long_as_the_times_and_the_rest_is_cut_where_it_would_dwarf_them():
    rows = [op(f"aten::op{index}", times=(1000 * index,) * 3) for index in range(1, 40)]
    record = figures.hotspots(profile(rows), top=3)
    found = marks(plots.hotspots(record), "hotspots-")
    assert [found[f"hotspots-{index}"].get_width() for index in range(3)] == [39.0, 38.0, 37.0]  # µs
    rest = found["hotspots-3"]
    assert rest.get_width() == pytest.approx(39.0 * 1.15)
    assert rest.get_width() == rest.axes.get_xlim()[1]
    assert "36 other rows" in texts(rest.figure)
    assert "bar cut" in texts(rest.figure)


def test_an_interval_that_begins_below_0_ends_there_with_an_arrow():
    (bar,) = figures.hotspots(profile([op("aten::mm", times=(1, 1, 7000))])).bars
    assert bar.interval is not None
    assert bar.interval[0] < 0
    figure = plots.hotspots(figures.hotspots(profile([op("aten::mm", times=(1, 1, 7000))])))
    (arrow,) = [line for line in figure.findobj(mpl.lines.Line2D) if line.get_marker() == mpl.markers.CARETLEFT]
    assert arrow.get_xdata() == [0]
    assert any("below 0" in text for text in texts(figure))
    steady = plots.hotspots(figures.hotspots(profile([op("aten::mm", times=(5, 6, 7))])))
    assert not [line for line in steady.findobj(mpl.lines.Line2D) if line.get_marker() == mpl.markers.CARETLEFT]


def test_shapes_that_do_not_fit_behind_the_name_have_a_line_of_their_own():
    shapes = ((2, 2376, 64, 64), (2, 256, 64, 64), (2376, 256, 3, 3))
    figure = plots.hotspots(figures.hotspots(profile([op("aten::convolution_backward", "net.head", shapes)])))
    assert "2x2376x64x64 2x256x64x64 2376x256x3x3" in texts(figure)
    assert "aten::convolution_backward" in texts(figure)


def test_what_is_in_onednn_is_hatched_inside_the_bar():
    figure = plots.hotspots(figures.hotspots(a_profile()))
    bars = [patch for patch in figure.findobj(mpl.patches.Rectangle) if patch.get_hatch() and patch.get_width() > 20]
    assert sorted(patch.get_width() for patch in bars) == [22.0, 28.0]


def test_phase_bars_are_the_medians():
    record = figures.phase_times(a_profile(phases=(Phase("forward", (40_000, 42_000)), Phase("backward", (50_000,)))))
    found = marks(plots.phase_times(record), "phases-")
    assert [found["phases-0"].get_width(), found["phases-1"].get_width()] == [41.0, 50.0]
    assert found["phases-0"].axes.get_xlim()[0] == 0


def test_dots_of_a_roofline_are_at_their_intensity_and_rate():
    figure = plots.roofline(figures.roofline_figure(rows_with_work(), ceilings()))
    (dot,) = marks(figure, "roofline-").values()
    assert dot.get_xydata().tolist() == [[50.0, 5e10]]
    assert (dot.axes.get_xscale(), dot.axes.get_yscale()) == ("log", "log")
    roofs = marks(figure, "roof-")
    assert roofs["roof-0"].get_ydata().tolist() == [1e11, 1e11]  # float32
    assert set(roofs) == {"roof-0", "roof-2", "roof-3"}  # nothing computes in bfloat16
    xs, ys = roofs["roof-3"].get_data()  # DRAM
    assert [y / x for x, y in zip(xs, ys, strict=True)] == pytest.approx([1e10, 1e10])
    (low, high), (bottom, top) = dot.axes.get_xlim(), dot.axes.get_ylim()
    assert low < 50 < high
    assert bottom < 5e10
    assert 1e11 < top < 4e11


def roofline_of_two_types() -> figures.RooflineFigure:
    """float32, and float16 with a very low peak."""
    slow = Ceiling("matmul", "float16", 256, (1e8,))
    machine = replace(ceilings(), roofs=(*ceilings().roofs, slow), load_average=2.0)
    half = replace(op("aten::bmm", flops=50_000.0, bytes_moved=1000.0), dtypes=("float16",))
    return figures.roofline_figure(profile([*rows_with_work().operators, half]), machine)


def test_labels_of_a_roofline_stay_in_their_column():
    figure = plots.roofline(roofline_of_two_types())
    (canvas,) = [axes for axes in figure.axes if not axes.axison]
    heights = sorted(text.get_position()[1] for text in canvas.texts if text.get_position()[0] > 100)
    assert len(heights) == 2 + 2 + 1 + 1  # peaks, bandwidths, the bound, and what the area is
    assert heights[0] > 0
    assert all(after - before > 10 for before, after in pairwise(heights))


def test_texts_of_a_narrow_roofline_do_not_touch():
    figure = plots.roofline(roofline_of_two_types(), width=style.NARROW)
    figure.draw_without_rendering()
    axes = next(axes for axes in figure.axes if axes.axison)
    canvas = next(axes for axes in figure.axes if not axes.axison)
    boxes = [text.get_window_extent() for text in (*canvas.texts, axes.xaxis.label)]
    assert len(boxes) == 2 + 2 + 1 + 1 + 1 + 1  # peaks, bandwidths, the bound, the area, the warning, and the axis
    for at, box in enumerate(boxes):
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[at + 1 :])


def test_a_roofline_says_that_its_ceilings_are_in_doubt():
    assert "Measured on a busy machine: the roofs may be too low." in texts(plots.roofline(roofline_of_two_types()))
    calm = figures.roofline_figure(rows_with_work(), ceilings())
    assert not [text for text in texts(plots.roofline(calm)) if "busy" in text]


def test_a_roof_of_whole_numbers_is_not_of_floating_point_operations():
    machine = replace(ceilings(), roofs=(*ceilings().roofs, Ceiling("matmul", "int8", 256, (2e12,))))
    row = replace(op("aten::_int_mm", flops=50_000.0, bytes_moved=1000.0), dtypes=("int8",))
    record = figures.roofline_figure(profile([row]), machine)
    found = plots.tips(record)
    assert found["roof-2"] == "int8 2.00 TOP/s"
    assert "50.0 GOP/s (2.5% of 2.00 TOP/s), 50 FLOP/byte, compute-bound int8" in found["roofline-0"]
    assert "int8 2.00 TOP/s" in texts(plots.roofline(record))


@given(closing_profiles(), closing_profiles())
@settings(max_examples=10, deadline=None)
def test_waterfall_bars_go_from_base_to_head(base, head):
    record = figures.waterfall(diff_profiles(base, head))
    found = marks(plots.waterfall(record), "waterfall-")
    count = len(record.steps)
    assert len(found) == count + 2
    level = found["waterfall-0"].get_width()
    for index in range(1, count + 1):
        bar = found[f"waterfall-{index}"]
        assert bar.get_x() == pytest.approx(level, abs=1e-6)
        level = bar.get_x() + bar.get_width()
    assert level == pytest.approx(found[f"waterfall-{count + 1}"].get_width(), rel=1e-6, abs=1e-6)


def test_a_plain_waterfall_needs_no_diff():
    record = figures.Waterfall(
        title="What made RetinaNet faster", start_name="before", start_ns=100e6, end_name="after", end_ns=60e6,
        steps=(
            figures.WaterfallStep("channels_last", -30e6),
            figures.WaterfallStep("fused", -10e6, detail="one kernel"),
        ),
    )  # fmt: skip
    figure = plots.waterfall(record)
    found = marks(figure, "waterfall-")
    assert [found[f"waterfall-{index}"].get_width() for index in range(4)] == [100.0, -30.0, -10.0, 60.0]
    assert {"before", "after", "channels_last", "one kernel", "−30.0 ms  −30.0%"} <= set(texts(figure))


def test_samples_are_drawn_in_run_order():
    record = figures.samples(a_profile(samples=Samples((3e6, 1e6, 2e6))), a_profile(samples=Samples((5e6, 4e6))))
    found = marks(plots.samples(record), "samples-")
    assert found["samples-rounds-0"].get_xydata().tolist() == [[1, 5], [2, 4]]  # base
    assert found["samples-rounds-1"].get_xydata().tolist() == [[1, 3], [2, 1], [3, 2]]
    assert found["samples-median-1"].get_ydata() == [2.0, 2.0]
    limits = {found[name].axes.get_ylim() for name in found}
    assert len(limits) == 1
    assert 0 < limits.pop()[0] < 1
    (begins,) = [text for text in texts(plots.samples(record)) if "axis from" in text]
    assert begins == "time of one step (ms)\naxis from 760 µs on"


def test_an_axis_that_begins_at_0_says_nothing():
    record = figures.samples(a_profile(samples=Samples((1.0, 5e6))))
    figure = plots.samples(record)
    assert marks(figure, "samples-")["samples-median-0"].axes.get_ylim()[0] == 0
    assert not [text for text in texts(figure) if "axis from" in text]


def test_the_memory_curve_is_a_step_line_with_its_peak_marked():
    figure = plots.memory(figures.memory(with_curve()))
    found = marks(figure, "memory-")
    assert found["memory-0"].get_drawstyle() == "steps-post"
    assert found["memory-peak"].get_xydata().tolist() == [[0.5, 3.0]]  # µs, MiB
    assert "peak 3.00 MiB" in texts(figure)
    assert found["memory-0"].axes.get_ylim()[0] < -0.5
    assert {"memory-phase-0", "memory-phase-1"} <= set(found)


# --- nothing, little, extreme -----------------------------------------------------------------------


def test_where_there_is_nothing_the_sentence_is_drawn():
    for record in records(Profile("net")):
        assert record.missing
        figure = plots.draw(record)
        written = " ".join(texts(figure))
        assert record.missing.split(";")[0].split(":")[0][:30] in written
        assert not [axes for axes in figure.axes if axes.axison]
        assert plots.tips(record) == {}


@pytest.mark.parametrize("ns", [1e-9, 1.0, 999.9999, 1e12])
@pytest.mark.parametrize("width", [style.NARROW, style.WIDE])
def test_single_rows_and_samples_of_any_size_are_drawn(ns, width):
    row = replace(op("aten::mm", flops=1e9, bytes_moved=1e6), self_ns=ns, total_ns=ns, self_ns_samples=())
    curve = AllocationCurve(max(1, int(ns)), (0,), (max(1, int(ns)),), (PhaseSpan("forward", 0, 1),))
    one = Profile(
        "net", operators=(row,), primitives=(a_primitive("reorder", "undef", ns, None),),
        ledger=Ledger(ns, ns, 0.0, 0.0), samples=Samples((ns,)), phases=(Phase("forward", (int(ns),)),),
        passes=("operators", "primitives"), steps=1, allocation_curve=curve,
    )  # fmt: skip
    for number, record in enumerate(records(one)):
        assert record.missing is None, record.title
        figure = plots.draw(record, width=width)
        plots.inline_svg(figure, plots.tips(record), f"{number}-")
        for axes in figure.axes:
            assert all(map(math.isfinite, (*axes.get_xlim(), *axes.get_ylim())))


@given(closing_profiles())
@settings(max_examples=5, deadline=None)
def test_any_profile_can_be_drawn(one):
    for record in records(one):
        figure = plots.draw(record)
        found = plots.tips(record)
        assert set(marks(figure, "")) >= set(found)
        ET.fromstring(plots.inline_svg(figure, found, "p-"))


# --- hostile names ----------------------------------------------------------------------------------


def hostile(text: str) -> Profile:
    """A profile in which every name is ``text``."""
    row = op(text, text, phase=text, flops=1e6, bytes_moved=1e3)
    one = profile([row, op("b")], phases=(Phase(text, (1, 2)),), dtype=text, scale=text)
    curve = AllocationCurve(10, (1, 2), (5, -3), (PhaseSpan(text, 0, 5),))
    primitives = (a_primitive(text, text, 5.0, None),)
    return replace(one, name=text, allocation_curve=curve, primitives=primitives)


#: What has broken things most often goes through every figure, the rest through one.
_WORST = ("<script>alert(1)</script>", "$x$", "\x1b[31m", "\u05e9\u05dc\u05d5\u05dd 12", "", "x" * 5000)
_ELEMENTS = {"svg", "g", "path", "use", "text", "title", "defs", "clipPath", "rect", "pattern", "tspan"}


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_hostile_names_are_shown_as_text(index):
    text = HOSTILE[index]
    one = hostile(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for record in records(one) if text in _WORST else [figures.donut(one)]:
            figure = plots.draw(record)
            root = ET.fromstring(plots.inline_svg(figure, plots.tips(record), "p-"))
            assert {element.tag for element in root.iter()} <= _ELEMENTS
            if text in _WORST:
                plots.image(figure, "png")
    if 0 < len(text) < 10 and not text.isspace():
        assert any(clean(text) in written for written in texts(plots.donut(figures.donut(one))))


def test_a_dollar_is_no_formula():
    page = plots.inline_svg(plots.donut(figures.donut(hostile("$x^2$"))), {}, "p-")
    assert "$x^2$" in page


@given(hostile_text, st.floats(8, 300))
@settings(deadline=None)
def test_cut_texts_fit(text, room):
    for fit in (words.fit_left, words.fit_right):
        cut = fit(text, room)
        assert words.width_of(cut) <= room or cut == "…"
        assert clean(cut) == cut
    full = clean(text)
    if len(text) <= 400 and words.width_of(full) <= room:
        assert words.fit_left(text, room) == full == words.fit_right(text, room)


# --- labels -----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(1, 20)), max_size=12))
def test_spread_labels_do_not_overlap_and_keep_their_order(wanted):
    targets, sizes = [target for target, _ in wanted], [size for _, size in wanted]
    low, high = 0.0, 300.0
    found = layout.spread(targets, sizes, low, high)
    order = sorted(range(len(targets)), key=lambda index: targets[index])
    for before, after in pairwise(order):
        assert found[after] - found[before] >= (sizes[after] + sizes[before]) / 2 - 1e-6
    assert all(
        low - 1e-6 <= at - size / 2 and at + size / 2 <= high + 1e-6 for at, size in zip(found, sizes, strict=True)
    )


def test_spread_leaves_alone_what_has_room():
    assert layout.spread([50, 10], [10, 10], 0, 100) == [50, 10]
    assert layout.spread([50, 52], [10, 10], 0, 100) == [46, 56]


# --- matplotlib's state -----------------------------------------------------------------------------


def test_the_users_settings_are_neither_read_nor_changed():
    record = figures.hotspots(a_profile())
    plain = plots.image(plots.hotspots(record), "svg")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "axes.spines.top": True}):
        before = dict(mpl.rcParams)
        assert plots.image(plots.hotspots(record), "svg") == plain
        assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("backend", ["nonsense", "module://nowhere", "TkAgg"])
def test_drawing_needs_no_pyplot_no_display_and_no_torch(backend, tmp_path):
    code = (
        "import sys\n"
        "from perfsuite.analyse import figures\n"
        "from perfsuite.present import plots\n"
        "from tests.samples import a_profile\n"
        "from pathlib import Path\n"
        f"plots.save(plots.donut(figures.donut(a_profile())), Path({str(tmp_path / 'x.png')!r}))\n"
        "print([m for m in ('matplotlib.pyplot', 'torch', 'tkinter', 'scipy') if m in sys.modules])\n"
    )
    environment = {"MPLBACKEND": backend, "MPLCONFIGDIR": str(tmp_path / "config"), "PATH": ""}
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert printed.stdout == "[]\n"
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_figure_is_the_same_bytes(kind, start):
    first, second = (plots.image(plots.waterfall(figures.waterfall(diff_profiles(a_profile(), a_profile()))), kind)
                     for _ in range(2))  # fmt: skip
    assert first == second
    assert first.startswith(start)
    assert b"CreationDate" not in first
    assert b"dc:date" not in first


def test_vector_files_hold_text():
    figure = plots.donut(figures.donut(a_profile()))
    assert b"convolution BWD_W" in plots.image(figure, "svg")
    assert b"/Type3" not in plots.image(figure, "pdf")
    assert b"/FontFile2" in plots.image(figure, "pdf")


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / "x.svg"
    path.write_text("old")
    with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf"):
        plots.save(plots.donut(figures.donut(a_profile())), tmp_path / "x.jpg")
    with pytest.raises(PerfsuiteError, match="cannot write"):
        plots.save(plots.donut(figures.donut(a_profile())), tmp_path / "no" / "x.svg")
    assert path.read_text() == "old"
    plots.save(plots.donut(figures.donut(a_profile())), path)
    assert path.read_bytes().startswith(b"<?xml")
    assert [file.name for file in tmp_path.iterdir()] == ["x.svg"]


# --- svg for a page ---------------------------------------------------------------------------------


def inline(record: figures.FigureRecord, prefix: str = "w0-") -> tuple[str, ET.Element]:
    page = plots.inline_svg(plots.draw(record), plots.tips(record), prefix)
    return page, ET.fromstring(page)


@pytest.mark.parametrize("index", range(9))
def test_a_figure_is_one_tab_stop_and_every_mark_says_what_it_is(index):
    record = records(with_curve())[index]
    _, root = inline(record)
    found = {element.get("id"): element for element in root.iter("g") if element.get("tabindex")}
    assert [mark.get("tabindex") for mark in found.values()] == ["0", *["-1"] * (len(found) - 1)][: len(found)]
    assert set(found) == {f"w0-{name}" for name in plots.tips(record)}
    for name, tip in plots.tips(record).items():
        mark = found[f"w0-{name}"]
        assert (mark.get("role"), mark.get("aria-label"), mark.findtext("title")) == ("img", tip, tip)
    assert root.get("role") == "group"
    assert root.findtext("title") == root.get("aria-label")
    assert record.title in (root.get("aria-label") or "")


def test_ids_are_prefixed_and_every_reference_leads_somewhere():
    for record in records(with_curve()):
        page, root = inline(record, "x7-")
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        assert all(str(one).startswith("x7-") for one in ids)
        targets = {part.split(")")[0] for part in page.split("url(#")[1:]}
        targets |= {str(element.get("href"))[1:] for element in root.iter("use")}
        assert targets <= set(ids)


def test_colours_are_the_pages():
    for record in records(with_curve()):
        page, _ = inline(record)
        assert "#" not in page.replace('href="#', "").replace("url(#", ""), "a colour that no theme can change"
        used = {part.split(")")[0] for part in page.split("var(")[1:]}
        assert used <= set(style.CSS_NAMES.values())
        assert "--ink" in used
        assert "font-family" not in page
        assert "<style" not in page
        assert "metadata" not in page


def test_light_and_dark_define_every_variable():
    assert set(style.LIGHT) == set(style.DARK) == set(style.CSS_NAMES.values())


def test_a_roofline_of_300_rows_is_small():
    rows = [
        op(f"aten::convolution{index}", f"RetinaNet.backbone.body.layer{index}.conv", ((2, 256, 64, 64),) * 2,
           times=(1000 + 37 * index,) * 3, flops=1e6 * (index + 1), bytes_moved=1e4)
        for index in range(400)
    ]  # fmt: skip
    page, _ = inline(figures.roofline_figure(profile(rows), ceilings()))
    assert page.count("tabindex") == 300 + 3
    assert len(page) < 180_000
