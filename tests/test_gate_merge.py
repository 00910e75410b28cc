"""Profiles of several processes as one: what adds up goes on adding up, and what is unsteady is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.analyse.diff import diff_profiles
from perfsuite.gate.merge import merge
from perfsuite.records import AllocationCurve, Memory, Phase, Samples
from tests.diff_profiles import closing_profiles, op, primitive, profile, python


def a_curve(peak: int) -> AllocationCurve:
    return AllocationCurve(100, (0, 50, 100), (0, peak, 0))


@settings(max_examples=60, deadline=None)
@given(st.lists(closing_profiles(), min_size=1, max_size=3))
def test_the_merged_rows_add_up_to_the_merged_ledger(profiles):
    merged = merge(profiles)
    n = len(profiles)
    rows = [*merged.operators, *merged.python]
    assert sum(row.self_ns for row in rows) + merged.ledger.unattributed_ns == pytest.approx(merged.ledger.wall_ns)
    assert merged.steps == n
    assert all(len(row.self_ns_samples) == n for row in rows)
    # So is each process by itself, but for half a nanosecond a row.
    for at, one in enumerate(profiles):
        left = merged.walls_ns["operators"][at] - sum(row.self_ns_samples[at] for row in rows)
        assert left == pytest.approx(one.ledger.unattributed_ns, abs=(len(rows) + 1) / 2 + 1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(closing_profiles(), min_size=1, max_size=3))
def test_primitives_stay_under_their_operator(profiles):
    merged = merge(profiles)
    for index, row in enumerate(merged.operators):
        assert all(merged.primitives[at].operator == index for at in row.primitives)
    for side in profiles:
        for one in side.primitives:
            key = side.operators[one.operator].key
            row = next(row for row in merged.operators if row.key == key)
            assert one.key[1:] in [merged.primitives[at].key[1:] for at in row.primitives]
    executed = sum(sum(one.counts) for side in profiles for one in side.primitives)
    assert sum(sum(one.counts) for one in merged.primitives) == executed


@settings(max_examples=40, deadline=None)
@given(closing_profiles(), st.integers(1, 3), st.integers(1, 3))
def test_the_same_code_in_any_number_of_processes_has_the_same_census(one, here, there):
    census = diff_profiles(merge([one] * here), merge([one] * there)).census
    assert census.judged == 0
    assert all(total.base == total.head for total in census.totals)


def test_a_single_process_has_no_interval():
    base = profile([op("aten::add", times=(1000, 1010, 990))])
    head = profile([op("aten::add", times=(2000, 2010, 1990))])
    diff = diff_profiles(merge([base]), merge([head]))
    row = next(row for row in diff.operators if row.name == "aten::add")
    assert row.delta_ns == pytest.approx(1000)
    assert row.interval is None


def test_the_interval_is_of_processes_and_not_of_steps():
    """Steps of a process agree to a nanosecond, the two processes differ by 500: the interval must hold that."""
    quick, slow = (profile([op("aten::add", times=(t, t + 1, t - 1))]) for t in (1000, 1500))
    row = diff_profiles(merge([quick, slow]), merge([slow, quick])).operators[0]
    low, high = row.interval
    assert low < -500 < 500 < high


def test_what_differs_between_processes_is_unsteady_though_each_is_steady():
    once = profile([op("aten::add"), op("aten::mul", counts=(1, 1, 1))])
    twice = profile([op("aten::add"), op("aten::mul", counts=(2, 2, 2))])
    merged = merge([once, twice])
    assert merged.operators[1].counts == (1, 1, 1, 2, 2, 2)
    assert merged.operators[1].count == 1.5
    census = diff_profiles(merged, merge([once, once])).census
    assert census.judged == 0
    assert [entry.where.name for entry in census.unstable] == ["aten::mul"]


def test_a_row_that_a_process_lacks_took_no_time_there_and_is_unsteady():
    both = profile([op("aten::add"), op("aten::mul", times=(600, 600, 600), allocations_samples=(2, 2))])
    one = profile([op("aten::add")])
    row = merge([both, one]).operators[1]
    assert (row.count, row.self_ns, row.self_ns_samples) == (0.5, 300, (600, 0))
    assert row.counts == (1, 1, 1, 0, 0, 0)


def test_primitives_are_matched_by_their_operators_key_whatever_its_place():
    rows = [op("aten::conv", "net.a"), op("aten::conv", "net.b")]
    here = profile(rows, [(0, primitive("jit:avx2")), (1, primitive("ref:any"))])
    there = profile(rows[::-1], [(0, primitive("ref:any")), (1, primitive("jit:avx2"))])
    merged = merge([here, there])
    found = {merged.operators[one.operator].module: one for one in merged.primitives}
    assert {module: one.implementation for module, one in found.items()} == {"net.a": "jit:avx2", "net.b": "ref:any"}
    assert all(one.counts == (1,) * 6 and one.time_ns_samples == (500.0, 500.0) for one in merged.primitives)


def test_a_primitive_outside_of_all_operators_stays_there():
    lone = replace(primitive("jit:avx2"), operator=None)
    one = replace(profile([op("aten::add")]), primitives=(lone,))
    (merged,) = merge([one, one]).primitives
    assert merged.operator is None
    assert merged.counts == (1,) * 6


def test_times_of_every_kind_are_one_a_process():
    one, other = (
        profile(
            [op("aten::add", times=(t, t, t + 30))],
            ranges=[python("net", times=(t, t, t))],
            samples=Samples((t, t, 5 * t)),
            phases=(Phase("forward", (t, t + 2)),),
        )
        for t in (1000, 3000)
    )
    merged = merge([one, other])
    assert merged.operators[0].self_ns_samples == (1010, 3010)
    assert merged.python[0].self_ns_samples == (1000, 3000)
    assert merged.samples == Samples((1000, 3000))
    assert merged.phases == (Phase("forward", (1001, 3001)),)
    assert merged.walls_ns["operators"] == (2015, 6015)
    assert merge([one, replace(other, samples=None)]).samples is None


def test_flops_stay_what_they_are_in_any_number_of_processes():
    """A mean of three equal numbers must not differ from them in the last bit: it would be a change of the census."""
    odd = 0.1 + 2**53
    one = profile([op("aten::mm", flops=odd, bytes_moved=odd / 3)])
    merged = merge([one] * 3)
    assert merged.operators[0].flops == odd
    assert merged.operators[0].bytes_moved == odd / 3


def test_a_peak_that_all_processes_reach_is_kept_and_compared():
    base, head = (replace(profile([op("aten::add")]), allocation_curve=a_curve(peak)) for peak in (1000, 2000))
    totals = {total.what: total for total in diff_profiles(merge([base, base]), merge([head])).census.totals}
    assert (totals["peak_allocated_bytes"].base, totals["peak_allocated_bytes"].head) == (1000, 2000)


def test_a_peak_on_which_processes_disagree_is_not_judged():
    base, head = (replace(profile([op("aten::add")]), allocation_curve=a_curve(peak)) for peak in (1000, 2000))
    merged = merge([base, head])
    assert merged.allocation_curve is None
    assert "peaks of PyTorch's allocator between 1000 B and 1.95 KiB" in merged.notes[-1]
    assert "peak_allocated_bytes" not in {total.what for total in diff_profiles(merged, head).census.totals}


def test_the_memory_is_of_the_process_with_the_median_peak():
    sizes = [replace(profile([op("aten::add")]), memory=Memory(5, peak)) for peak in (30, 10, 20)]
    assert merge(sizes).memory == Memory(5, 20)


def test_passes_are_those_of_all_processes():
    whole = profile([op("aten::add")])
    less = replace(whole, passes=("timing", "operators"))
    assert merge([whole, less]).passes == ("timing", "operators")


def test_profiles_of_two_workloads_are_refused():
    one = profile([op("aten::add")])
    with pytest.raises(ValueError, match=r"\['net', 'other'\]"):
        merge([one, replace(one, name="other")])
    with pytest.raises(ValueError, match="not of"):
        merge([])


def test_a_peak_without_the_memory_pass_of_both_sides_is_not_compared():
    whole = replace(profile([op("aten::add")]), allocation_curve=a_curve(1000))
    less = replace(whole, passes=("timing", "operators", "primitives"))
    without = replace(whole, allocation_curve=None)
    for base, head in ((whole, less), (less, whole), (whole, without), (without, whole)):
        assert "peak_allocated_bytes" not in {total.what for total in diff_profiles(base, head).census.totals}
