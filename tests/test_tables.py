from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsuite.analyse.tables import (
    AllocationPeak,
    allocation_peak,
    by_module,
    by_phase,
    by_primitive,
    headline,
    ledger_shares,
    onednn_coverage,
    short_direction,
    top_operators,
)
from perfsuite.records import AllocationCurve, Ledger, Operator, Phase, PhaseSpan, Primitive, Profile, Samples
from tests.samples import a_primitive, a_profile

PROFILE = a_profile()


def test_operators_are_ranked_by_self_time() -> None:
    rows = top_operators(PROFILE, 2)
    assert [(row.name, row.share) for row in rows] == [
        ("aten::convolution_backward", 0.4),
        ("aten::mkldnn_convolution", 0.3),
    ]
    assert rows[1].implementations == ("brg_conv_fwd:avx512_core", "jit:uni")
    assert (rows[0].primitives_ns, rows[1].primitives_ns) == (28_000, 22_000)
    assert len(top_operators(PROFILE)) == len(top_operators(PROFILE, 99)) == 3


def test_an_implementation_counts_once_and_by_all_its_time() -> None:
    primitives = (
        a_primitive("reorder", "undef", 3.0, 0, implementation="one"),
        a_primitive("reorder", "undef", 2.0, 0, implementation="other", problem="a"),
        a_primitive("reorder", "undef", 2.0, 0, implementation="other", problem="b"),
    )
    operator = Operator("o", None, None, (), 1.0, 9.0, (9,), 9.0, primitives=(0, 1, 2))
    (row,) = top_operators(Profile("p", operators=(operator,), primitives=primitives))
    assert row.implementations == ("other", "one")


def test_modules_hold_their_operators_and_their_python() -> None:
    module, outside = by_module(PROFILE)
    assert (module.module, module.self_ns, module.python_ns, module.count) == ("net.conv1", 70_000, 4_000, 2)
    assert (module.share, module.primitives_ns) == (0.74, 50_000)
    assert (outside.module, outside.self_ns, outside.python_ns, outside.share) == (None, 5_000, 16_000, 0.21)


def test_phases_keep_their_order_and_the_rest_comes_last() -> None:
    rows = by_phase(PROFILE)
    assert [row.name for row in rows] == ["forward", "backward", "optimizer", None]
    # The steps of their pass are of 100 µs.
    assert [row.wall_ns for row in rows] == [41_000, 50_000, 8_000, None]
    assert [row.wall_share for row in rows] == [0.41, 0.5, 0.08, None]
    assert [(row.self_ns, row.python_ns) for row in rows] == [(30_000, 4_000), (40_000, 0), (5_000, 0), (0, 16_000)]


def test_a_phase_that_only_the_profiler_saw_is_there_and_one_without_samples_has_no_time() -> None:
    operator = Operator("o", "loss", None, (), 1.0, 9.0, (9,), 9.0)
    rows = by_phase(Profile("p", phases=(Phase("data", ()),), operators=(operator,)))
    assert [(row.name, row.wall_ns, row.wall_share, row.self_ns, row.share) for row in rows] == [
        ("data", None, None, 0, None),
        ("loss", None, None, 9, None),
    ]


def test_primitives_are_grouped_by_kind_and_direction() -> None:
    rows = by_primitive(PROFILE)
    assert [(row.kind, row.direction, row.time_ns, row.share, row.share_of_primitives) for row in rows] == [
        ("convolution", "forward_training", 20_000, 0.2, 0.4),
        ("convolution", "backward_data", 16_000, 0.16, 0.32),
        ("convolution", "backward_weights", 12_000, 0.12, 0.24),
        ("reorder", "undef", 2_000, 0.02, 0.04),
    ]


def test_an_unjoined_primitive_counts_too() -> None:
    profile = a_profile(primitives=(*PROFILE.primitives, a_primitive("reorder", "undef", 10_000.0, None, count=3.0)))
    reorder = next(row for row in by_primitive(profile) if row.kind == "reorder")
    assert (reorder.time_ns, reorder.count) == (12_000, 4)
    assert onednn_coverage(profile) == 0.6


def test_coverage_is_none_where_it_was_not_measured_and_zero_where_nothing_ran() -> None:
    assert onednn_coverage(PROFILE) == 0.5
    assert onednn_coverage(a_profile(primitives=(), operators=())) == 0
    for walls in ({}, {"primitives": ()}, {"primitives": (0, 0)}, {"phases": (9,), "operators": (9,)}):
        profile = a_profile(walls_ns=walls)
        assert onednn_coverage(profile) is None
        assert {row.share for row in by_primitive(profile)} == {None}
        assert [row.share_of_primitives for row in by_primitive(profile)] == [0.4, 0.32, 0.24, 0.04]


def test_a_share_is_of_the_steps_of_the_pass_that_measured_it() -> None:
    # By its own steps: mean 200 µs for the primitives, median 50 µs for the phases; the ledger stays at 100 µs.
    walls = {"phases": (50_000, 500_000, 40_000), "operators": (7, 7), "primitives": (100_000, 300_000)}
    profile = a_profile(walls_ns=walls)
    assert onednn_coverage(profile) == 0.25
    assert [row.share for row in by_primitive(profile)] == [0.1, 0.08, 0.06, 0.01]
    assert [row.wall_share for row in by_phase(profile)] == [0.82, 1.0, 0.16, None]
    for by in (top_operators, by_module):
        assert [row.share for row in by(profile)] == [row.share for row in by(PROFILE)]
    assert [row.share for row in by_phase(profile)] == [row.share for row in by_phase(PROFILE)]
    assert ledger_shares(profile) == ledger_shares(PROFILE)


@pytest.mark.parametrize("walls", [{}, {"phases": ()}, {"phases": (0,)}, {"operators": (9,), "primitives": (9,)}])
def test_a_phase_without_the_steps_around_it_has_a_time_and_no_share(walls: dict[str, tuple[int, ...]]) -> None:
    rows = by_phase(a_profile(walls_ns=walls))
    assert [(row.wall_ns, row.wall_share) for row in rows] == [
        (41_000, None), (50_000, None), (8_000, None), (None, None),
    ]  # fmt: skip


def test_phases_need_no_timed_median_for_their_shares() -> None:
    assert [row.wall_share for row in by_phase(a_profile(samples=None))] == [0.41, 0.5, 0.08, None]


def test_without_a_ledger_nothing_of_the_operator_pass_has_a_share() -> None:
    bare = a_profile(ledger=None)
    rows = (*top_operators(bare), *by_module(bare), *by_phase(bare))
    assert {row.share for row in rows} == {None}
    assert onednn_coverage(bare) == 0.5, "the primitive pass has a wall time of its own"
    assert ledger_shares(bare) is None
    empty = a_profile(ledger=Ledger(0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    assert {row.share for row in top_operators(empty)} == {None}


def test_the_ledgers_shares_are_of_its_wall_time() -> None:
    shares = ledger_shares(PROFILE)
    assert shares is not None
    assert (shares.operators, shares.python, shares.unattributed) == (0.75, 0.2, 0.05)


def test_the_headline_is_the_median_of_one_call_with_its_interval() -> None:
    step = headline(PROFILE)
    assert step is not None
    # 11 rounds of two calls: the interval runs from the 2nd to the 10th.
    assert dataclasses.astuple(step) == (100_000, 92_000, 108_000, "interval", 0.95, 11)


def test_the_headline_of_few_samples_is_a_range_and_of_none_nothing() -> None:
    step = headline(Profile("p", samples=Samples((3.0, 1.0, 2.0))))
    assert step is not None
    assert (step.median_ns, step.low_ns, step.high_ns, step.kind, step.n) == (2, 1, 3, "range", 3)
    assert headline(Profile("p")) is None
    assert headline(Profile("p", samples=Samples(()))) is None


@pytest.mark.parametrize(
    ("word", "short"),
    [
        ("forward_training", "FWD_D"), ("forward_inference", "FWD_I"), ("backward_data", "BWD_D"),
        ("backward_weights", "BWD_W"), ("backward", "BWD_DW"), ("undef", ""), ("sideways", "sideways"), ("", ""),
    ],
)  # fmt: skip
def test_directions_have_benchdnns_names(word: str, short: str) -> None:
    assert short_direction(word) == short


_times = st.floats(0, 1e9)
_operators = st.builds(
    Operator,
    name=st.sampled_from("ab"),
    phase=st.sampled_from(["forward", "backward", None]),
    module=st.sampled_from(["m", "n", None]),
    shapes=st.just(()),
    count=st.floats(0, 100),
    self_ns=_times,
    self_ns_samples=st.just(()),
    total_ns=_times,
)
_primitives = st.builds(
    lambda kind, direction, time: a_primitive(kind, direction, time, None),
    st.sampled_from(["convolution", "reorder"]),
    st.sampled_from(["forward_training", "backward_data"]),
    _times,
)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_operators, max_size=8), st.lists(_primitives, max_size=8))
def test_no_grouping_loses_or_invents_time(operators: list[Operator], primitives: list[Primitive]) -> None:
    profile = Profile("p", operators=tuple(operators), primitives=tuple(primitives), python=PROFILE.python)
    total = math.fsum(operator.self_ns for operator in operators)
    for rows in (top_operators(profile), by_module(profile), by_phase(profile)):
        assert _same(math.fsum(row.self_ns for row in rows), total)
        assert _same(math.fsum(row.count for row in rows), math.fsum(operator.count for operator in operators))
    for grouped in (by_module(profile), by_phase(profile)):
        assert _same(math.fsum(row.python_ns for row in grouped), 20_000)
    inside = by_primitive(profile)
    assert _same(math.fsum(row.time_ns for row in inside), math.fsum(p.time_ns for p in primitives))
    shares = [row.share_of_primitives for row in inside if row.share_of_primitives is not None]
    assert not shares or _same(math.fsum(shares), 1)


def test_time_in_primitives_is_not_known_where_their_pass_did_not_run() -> None:
    without = a_profile(primitives=(), passes=("timing", "operators"))
    without = dataclasses.replace(
        without, operators=tuple(dataclasses.replace(row, primitives=()) for row in without.operators)
    )
    assert {row.primitives_ns for row in (*by_module(without), *by_phase(without))} == {None}
    assert None not in {row.primitives_ns for row in by_module(a_profile())}


def test_the_allocation_peak_is_the_first_of_the_highest_and_in_the_innermost_phase() -> None:
    spans = (PhaseSpan("outer", 0, 50), PhaseSpan("inner", 10, 30), PhaseSpan("later", 60, 90))
    curve = AllocationCurve(100, (0, 20, 40, 60, 95, 100), (0, 7, 3, 7, 2, 2), spans)

    def peak(**changes: object) -> AllocationPeak | None:
        return allocation_peak(Profile("p", allocation_curve=dataclasses.replace(curve, **changes)))  # type: ignore[arg-type]

    assert peak() == AllocationPeak(7, 20, "inner")
    assert peak(live_bytes=(0, 1, 8, 7, 2, 2)) == AllocationPeak(8, 40, "outer")
    assert peak(live_bytes=(0, 1, 8, 9, 2, 2)) == AllocationPeak(9, 60, "later"), "a phase holds its first instant"
    assert peak(live_bytes=(0, 1, 8, 7, 9, 2)) == AllocationPeak(9, 95, None)
    assert peak(live_bytes=(0, -1, -8, -7, -9, -2)) == AllocationPeak(0, 0, "outer")
    assert allocation_peak(Profile("p")) is None
