"""The records of figures: that every number in them is one of the profile's, and that they add up."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.analyse import figures
from perfsuite.analyse.diff import diff_profiles
from perfsuite.analyse.roofline import bound_by, roofline
from perfsuite.ceilings import CacheLevel, Ceiling, Ceilings
from perfsuite.records import AllocationCurve, Phase, PhaseSpan, Profile, Samples
from perfsuite.stats import mean_interval
from tests.diff_profiles import closing_profiles, op, primitive, profile
from tests.samples import a_primitive, a_profile, an_environment

EVERY = (
    figures.donut, figures.hotspots, figures.phase_times, figures.samples, figures.memory,
    lambda one: figures.roofline_figure(one, None),
)  # fmt: skip


def ceilings() -> Ceilings:
    """A machine of 100 GFLOP/s in float32, 10 GB/s from DRAM and 100 GB/s from L2."""
    return Ceilings(
        created="2026-11-21T00:00:00+00:00",
        environment=an_environment(),
        threads=2,
        load_average=0.0,
        levels=(CacheLevel("L2", 2**20), CacheLevel("DRAM", None)),
        roofs=(
            Ceiling("matmul", "float32", 1024, (9e10,)),
            Ceiling("convolution", "float32", 256, (1e11,)),
            Ceiling("matmul", "bfloat16", 1024, (4e11,)),
            Ceiling("copy", "L2", 2**20, (1e11,)),
            Ceiling("copy", "DRAM", 2**28, (1e10,)),
        ),
        empty_operator_ns=(500.0,),
    )


def with_curve() -> Profile:
    spans = (PhaseSpan("forward", 0, 600), PhaseSpan("backward", 600, 1000))
    return a_profile(allocation_curve=AllocationCurve(1000, (100, 500, 900), (2**20, 3 * 2**20, -(2**19)), spans))


# --- donut ------------------------------------------------------------------------------------------


def test_a_donut_has_a_wedge_for_each_kind_and_direction_in_benchdnns_words():
    found = figures.donut(a_profile())
    assert [(wedge.name, wedge.part, wedge.time_ns, wedge.share) for wedge in found.wedges] == [
        ("convolution", "FWD_D", 20_000.0, 0.4),
        ("convolution", "BWD_D", 16_000.0, 0.32),
        ("convolution", "BWD_W", 12_000.0, 0.24),
        ("reorder", "", 2_000.0, 0.04),
    ]
    assert (found.of, found.total_ns, found.share_of_step) == ("primitives", 50_000.0, 0.5)
    assert found.wedges[0].share_of_step == 0.2
    assert found.missing is None


def test_what_is_beyond_the_top_or_too_thin_is_summed_as_other():
    kinds = [a_primitive(f"kind{index}", "undef", 1000.0, None) for index in range(5)]
    thin = [a_primitive(f"thin{index}", "undef", 2.0, None, count=3.0) for index in range(4)]
    found = figures.donut(a_profile(operators=(), primitives=(*kinds, *thin)), top=4)
    assert [wedge.name for wedge in found.wedges] == ["kind0", "kind1", "kind2", "kind3", "other"]
    other = found.wedges[-1]
    assert (other.merged, other.time_ns, other.count) == (5, 1008.0, 13.0)
    found = figures.donut(a_profile(operators=(), primitives=(*kinds, *thin)), top=20)
    assert (len(found.wedges), found.wedges[-1].merged) == (6, 4)


def test_one_wedge_alone_is_not_called_other():
    kinds = [a_primitive(f"kind{index}", "undef", 1000.0, None) for index in range(3)]
    found = figures.donut(a_profile(operators=(), primitives=tuple(kinds)), top=2)
    assert [wedge.name for wedge in found.wedges] == ["kind0", "kind1", "kind2"]


def test_where_no_primitive_ran_the_donut_shows_operators_and_says_so():
    found = figures.donut(a_profile(primitives=()))
    assert (found.of, found.total_ns) == ("operators", 75_000.0)
    assert [(wedge.name, wedge.part) for wedge in found.wedges] == [
        ("aten::convolution_backward", "backward"),
        ("aten::mkldnn_convolution", "forward"),
        ("aten::add_", "optimizer"),
    ]
    assert found.share_of_step == 0.75
    assert "No oneDNN primitive ran" in found.title
    assert "operators" in found.notes[0]


def test_a_pass_that_did_not_run_is_not_a_zero():
    found = figures.donut(a_profile(primitives=(), passes=("timing", "operators")))
    assert found.missing is not None
    assert "not recorded" in found.missing
    assert found.wedges == ()
    assert found.total_ns is None


@given(closing_profiles(), st.integers(1, 9))
def test_wedges_sum_to_the_whole(one, top):
    found = figures.donut(one, top)
    if found.missing is not None:
        return
    whole = one.primitives if found.of == "primitives" else one.operators
    total = math.fsum(row.time_ns if found.of == "primitives" else row.self_ns for row in whole)
    assert found.total_ns == pytest.approx(total)
    assert math.fsum(wedge.share for wedge in found.wedges) == pytest.approx(1)
    named = [wedge for wedge in found.wedges if wedge.merged == 1]
    assert [wedge.time_ns for wedge in named] == sorted((wedge.time_ns for wedge in named), reverse=True)


# --- hotspots ---------------------------------------------------------------------------------------


def test_hotspots_and_the_rest_sum_to_all_self_time():
    found = figures.hotspots(a_profile(), top=2)
    assert [(bar.name, bar.self_ns, bar.share, bar.primitives_ns) for bar in found.bars] == [
        ("aten::convolution_backward", 4e4, 0.4, 28_000.0),
        ("aten::mkldnn_convolution", 3e4, 0.3, 22_000.0),
    ]
    assert (found.rest_rows, found.rest_ns, found.rest_share, found.total_ns) == (1, 5000.0, 0.05, 75_000.0)


def test_the_interval_of_a_row_is_of_its_steps():
    (first, *_) = figures.hotspots(a_profile(), top=2).bars
    assert first.interval == mean_interval((39000, 41000))


def test_what_is_in_onednn_is_not_known_without_the_primitive_pass():
    bars = figures.hotspots(profile([op("aten::add")], passes=("operators",))).bars
    assert {bar.primitives_ns for bar in bars} == {None}


@given(closing_profiles(), st.integers(1, 20))
def test_hotspots_add_up(one, top):
    found = figures.hotspots(one, top)
    if found.missing is None:
        assert math.fsum([*(bar.self_ns for bar in found.bars), found.rest_ns]) == pytest.approx(found.total_ns)
        assert len(found.bars) + found.rest_rows == len(one.operators)
        assert {bar.phase for bar in found.bars} <= set(found.phases)


# --- phases -----------------------------------------------------------------------------------------


def test_phases_are_medians_with_a_range_where_there_are_too_few_for_an_interval():
    found = figures.phase_times(a_profile(phases=(Phase("forward", (4, 2)), Phase("backward", tuple(range(1, 10))))))
    assert [(bar.name, bar.median_ns, bar.low_ns, bar.high_ns, bar.kind, bar.n) for bar in found.bars] == [
        ("forward", 3, 2, 4, "range", 2),
        ("backward", 5, 2, 8, "interval", 9),
    ]
    assert "n = 2 to 9" in found.subtitle
    assert any("fewer than 6" in note for note in found.notes)


# --- roofline ---------------------------------------------------------------------------------------


def rows_with_work() -> Profile:
    fast = op("aten::mm", times=(1000, 1000, 1000), flops=50_000.0, bytes_moved=1000.0)
    slow = op("aten::add", times=(3000, 3000, 3000), bytes_moved=1000.0)
    return profile([fast, slow])


def test_a_roofline_shows_rows_with_known_work_and_says_how_much_is_left_out():
    found = figures.roofline_figure(rows_with_work(), ceilings())
    (dot,) = found.dots
    assert (dot.name, dot.intensity, dot.flop_rate, dot.level) == ("aten::mm", 50.0, 5e10, "L2")
    assert found.shown_share == 0.25
    (left,) = found.left_out
    assert (left.rows, left.self_ns, left.share, left.mostly) == (1, 3000, 0.75, (("aten::add", 0.75),))
    assert (
        "Left out: 1 row with 75.0% of it, which have no FLOPs, since only those of products are counted: "
        "aten::add 75.0%." in found.notes
    )
    assert [(roof.kind, roof.name, roof.rate, roof.used, roof.drawn) for roof in found.roofs] == [
        ("peak", "float32", 1e11, True, True), ("peak", "bfloat16", 4e11, False, False),
        ("bandwidth", "L2", 1e11, True, True), ("bandwidth", "DRAM", 1e10, False, True),
    ]  # fmt: skip
    assert not found.contended


def test_every_row_without_a_dot_is_left_out_for_one_reason():
    rows = [op(f"aten::mm{index}", times=(100 * index,) * 3, flops=1e3, bytes_moved=1e3) for index in range(1, 6)]
    lost = [op("aten::lost", times=(7000,) * 3, flops=1e3), op("aten::none", times=(10,) * 3, flops=0.0)]
    found = figures.roofline_figure(profile([*rows, *lost]), ceilings(), top=3)
    assert [(one.why.split(",")[0], one.rows) for one in found.left_out] == [
        ("of which the bytes are not known", 1), ("shorter than those shown", 2), ("which have no FLOPs", 1),
    ]  # fmt: skip
    assert len(found.dots) + sum(one.rows for one in found.left_out) == 7
    shares = [found.shown_share, *(one.share for one in found.left_out)]
    assert math.fsum(share or 0.0 for share in shares) == pytest.approx(1)


def test_a_dot_says_which_roof_it_is_held_against():
    fast, near = op("aten::mm", flops=5e4, bytes_moved=1e3), op("aten::mv", flops=100.0, bytes_moved=1e3)
    dots = figures.roofline_figure(profile([fast, near]), ceilings()).dots
    assert {(dot.name, bound_by(dot.bound, dot.roof)) for dot in dots} == {
        ("aten::mm", "compute-bound float32"), ("aten::mv", "memory-bound L2"),
    }  # fmt: skip
    assert (bound_by("overhead-bound", "float32"), bound_by(None, "L2")) == ("overhead-bound", "")


def test_a_row_without_a_bound_says_why():
    rows = [op("aten::lost"), op("aten::view", bytes_moved=0.0), op("aten::rand", bytes_moved=100.0)]
    rows += [replace(op("aten::mm", flops=1e4, bytes_moved=1e3), dtypes=("float64",)), op("aten::mv", flops=1e4)]
    long = [replace(row, total_ns=1e6) for row in rows]
    found = {row.name: row.point.unbound for row in roofline(profile(long), ceilings()).operators}
    assert found == {
        "aten::lost": "how many bytes it moves is not known",
        "aten::view": "it moves nothing",
        "aten::rand": "far below every roof: it reaches less than 25% of the memory's bandwidth",
        "aten::mm": "no peak was measured for its data type",
        "aten::mv": "how many bytes it moves is not known",
    }
    bound = roofline(rows_with_work(), ceilings()).operators[1].point
    assert (bound.bound_by, bound.unbound) == ("compute-bound float32", None)


def test_doubts_about_the_ceilings_come_first():
    busy = replace(ceilings(), load_average=3.0)
    found = figures.roofline_figure(rows_with_work(), busy)
    assert found.contended
    assert found.notes[0].startswith("The ceilings are contended: 3.0 processes")


def test_a_data_type_that_is_converted_is_no_limit_of_the_hardware():
    machine = replace(ceilings(), roofs=(*ceilings().roofs, Ceiling("matmul", "float16", 256, (4e10,))))
    row = replace(op("aten::mm", flops=50_000.0, bytes_moved=1000.0), dtypes=("float16",))
    found = figures.roofline_figure(profile([row]), machine)
    assert [(roof.name, roof.emulated, roof.drawn) for roof in found.roofs if roof.kind == "peak"] == [
        ("float32", False, False), ("bfloat16", False, False), ("float16", True, True),
    ]  # fmt: skip
    assert "float16 is computed by conversion here: its peak is no limit of the hardware." in found.notes


def test_rows_above_their_ceiling_are_explained():
    row = op("aten::mm", times=(1000,) * 3, flops=200_000.0, bytes_moved=1000.0)
    found = figures.roofline_figure(profile([row]), ceilings())
    assert [dot.share for dot in found.dots] == [2.0]
    assert any(note.startswith("1 row above the ceiling: less moved") for note in found.notes)


def test_a_roofline_without_ceilings_says_how_to_measure_them():
    found = figures.roofline_figure(rows_with_work(), None)
    assert (len(found.dots), found.roofs) == (1, ())
    assert any("perfsuite machine" in note for note in found.notes)


def test_a_roofline_of_nothing_known_is_a_sentence():
    found = figures.roofline_figure(profile([op("aten::add")]), ceilings())
    assert found.missing is not None
    assert found.dots == ()


# --- waterfall --------------------------------------------------------------------------------------


def test_a_waterfall_names_the_rows_in_the_diffs_order():
    base = profile([op("aten::conv"), op("aten::add", times=(10, 10, 10))], [(0, primitive("jit:avx512"))])
    slower = op("aten::conv", times=(9000, 9010, 8990))
    head = profile([slower, op("aten::add", times=(12, 12, 12))], [(0, primitive("ref:any"))])
    found = figures.waterfall(diff_profiles(base, head), top=1)
    assert [step.name for step in found.steps] == ["aten::conv", "1 other row", "unattributed"]
    first = found.steps[0]
    assert first.cause is not None
    assert (first.cause.kind, first.cause.base, first.cause.head) == ("implementation", "jit:avx512", "ref:any")
    assert (first.delta_ns, first.sure) == (8000, True)
    assert (found.start_ns, found.end_ns) == (1015, 9017)


@given(closing_profiles(), closing_profiles(), st.integers(1, 12))
def test_a_waterfall_closes(base, head, top):
    found = figures.waterfall(diff_profiles(base, head), top)
    scale = max(abs(found.start_ns), abs(found.end_ns), 1.0)
    total = math.fsum([found.start_ns, *(step.delta_ns for step in found.steps)])
    assert total == pytest.approx(found.end_ns, abs=1e-9 * scale)
    assert all(step.name != "in no row" for step in found.steps)


def test_a_ledger_that_does_not_close_has_a_step_that_says_so():
    base = profile([op("aten::conv")])
    assert base.ledger is not None
    broken = replace(base, ledger=replace(base.ledger, wall_ns=base.ledger.wall_ns + 500))
    found = figures.waterfall(diff_profiles(base, broken))
    assert (found.steps[-1].name, found.steps[-1].delta_ns) == ("in no row", 500)


def test_a_side_without_operators_has_no_waterfall():
    found = figures.waterfall(diff_profiles(a_profile(ledger=None), a_profile()))
    assert found.missing is not None
    assert found.steps == ()


def test_levels_and_shares_of_a_waterfall():
    steps = (figures.WaterfallStep("a", -30.0), figures.WaterfallStep("b", 10.0))
    found = figures.Waterfall(title="x", start_ns=100.0, steps=steps, end_ns=80.0)
    assert (found.levels_ns, found.shares) == ((100.0, 70.0, 80.0), (-0.3, 0.1))
    assert figures.Waterfall(title="x", steps=steps).shares == (None, None)


# --- samples ----------------------------------------------------------------------------------------


def test_samples_are_all_there_in_run_order():
    found = figures.samples(a_profile(samples=Samples((30.0, 10.0, 20.0), 10)))
    (one,) = found.series
    assert one.points == ((1, 3.0), (2, 1.0), (3, 2.0))
    assert one.steps == ((1.0, 1 / 3), (2.0, 2 / 3), (3.0, 1.0))
    assert (one.median_ns, one.low_ns, one.high_ns, one.kind, one.iterations) == (2.0, 1.0, 3.0, "range", 10)
    assert any("10 steps" in note for note in found.notes)


def test_two_sides_are_not_called_pairs():
    found = figures.samples(a_profile(), a_profile(samples=None))
    assert [one.name for one in found.series] == ["head"]
    assert "Base was not timed." in found.notes
    both = figures.samples(a_profile(), a_profile())
    assert [one.name for one in both.series] == ["base", "head"]
    assert any("not pairs" in note for note in both.notes)


@given(st.integers(0, 2**32), st.integers(1001, 5000))
def test_very_many_rounds_keep_their_extremes(seed, n):
    chance = random.Random(seed)
    values = [10 ** chance.uniform(-9, 12) for _ in range(n)]
    (one,) = figures.samples(a_profile(samples=Samples(tuple(values)))).series
    drawn = [ns for _, ns in one.points]
    assert len(drawn) <= 1000
    assert (min(drawn), max(drawn)) == (min(values), max(values))
    assert [number for number, _ in one.points] == sorted(number for number, _ in one.points)
    assert len(one.steps) <= 1001
    assert one.steps[0][0] == min(values)
    assert one.steps[-1] == (max(values), 1.0)
    assert all(sum(value <= ns for value in values) >= share * len(values) - 1e-6 for ns, share in one.steps[::100])


# --- memory -----------------------------------------------------------------------------------------


def test_memory_marks_the_peak_and_its_phase():
    found = figures.memory(with_curve())
    assert (found.peak_bytes, found.peak_ns, found.peak_phase) == (3 * 2**20, 500, "forward")
    assert (found.start_rss_bytes, found.peak_rss_bytes) == (10 * 2**20, 25 * 2**20)
    assert len(found.phases) == 2


def test_memory_without_a_curve_still_knows_what_was_resident():
    found = figures.memory(a_profile(allocation_curve=None))
    assert found.missing is not None
    assert found.start_rss_bytes == 10 * 2**20
    assert "did not run" in str(figures.memory(a_profile(allocation_curve=None, memory=None, passes=())).missing)


def test_a_step_that_holds_nothing_is_a_sentence():
    flat = a_profile(allocation_curve=AllocationCurve(1000, (100, 200), (0, 0), ()))
    found = figures.memory(flat)
    assert found.missing == "At no time did the step hold more or less of PyTorch's CPU allocator than when it began."
    assert found.peak_bytes is None


# --- rows of tables ---------------------------------------------------------------------------------


def test_few_rows_are_all_there():
    assert figures.curve_rows(figures.memory(with_curve())) == figures.Rows(
        (figures.CurvePoint(100, 2**20), figures.CurvePoint(500, 3 * 2**20), figures.CurvePoint(900, -(2**19)))
    )
    found = figures.round_rows(figures.samples(a_profile(samples=Samples((3.0, 1.0)))))
    assert found == figures.Rows((figures.Round("run", 1, 3.0), figures.Round("run", 2, 1.0)))


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=400).filter(any), st.integers(2, 50))
def test_a_curve_is_thinned_to_its_peak_and_what_lies_around(held, most):
    curve = AllocationCurve(len(held), tuple(range(len(held))), tuple(held))
    record = figures.memory(a_profile(allocation_curve=curve))
    found = figures.curve_rows(record, most)
    assert len(found.rows) <= most + 1
    assert max(point.live_bytes for point in found.rows) == record.peak_bytes
    assert [point.time_ns for point in found.rows] == sorted({point.time_ns for point in found.rows})
    assert (found.said is None) == (len(found.rows) == len(held))


def test_of_many_rows_the_first_are_said_to_be_the_first():
    record = figures.samples(a_profile(samples=Samples(tuple(range(1, 301)))), a_profile(samples=Samples((1.0,))))
    found = figures.round_rows(record, most=2)
    assert [(row.side, row.number) for row in found.rows] == [("base", 1), ("head", 1), ("head", 2)]
    assert found.said == "The first 2 rounds of 300."
    dots = figures.dot_rows(figures.roofline_figure(rows_with_work(), ceilings()), most=1)
    assert (len(dots.rows), dots.said) == (1, None)


# --- all --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(len(EVERY)))
def test_nothing_recorded_is_a_sentence_in_every_figure(index):
    found = EVERY[index](Profile("net"))
    assert found.missing
    assert found.missing.endswith((".", ")."))
    assert found.title
    assert found.subtitle == "net"


@given(closing_profiles())
def test_every_figure_can_be_made_of_any_profile(one):
    for make in EVERY:
        found = make(one)
        assert found.title
        assert found.missing is None or found.missing
