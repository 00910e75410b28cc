from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from perfsuite.analyse.diff import Census, Entry, diff_profiles
from perfsuite.analyse.diff.primitives import compare_primitives, isa_of
from perfsuite.records import Operator, Primitive, Profile
from tests.diff_profiles import closing_profiles, op, primitive, profile

CONV = op("aten::mkldnn_convolution", "Net.conv")


def census(base: Profile, head: Profile) -> Census:
    return diff_profiles(base, head).census


def with_primitives(*primitives: Primitive, row: Operator = CONV) -> Profile:
    return profile([row], [(0, one) for one in primitives])


def told(entries: tuple[Entry, ...]) -> list[tuple[object, ...]]:
    return [(entry.what, entry.where.module, entry.base, entry.head) for entry in entries]


@pytest.mark.parametrize(
    ("implementation", "isa"),
    [
        ("brg_conv_fwd:avx512_core", "avx512_core"),
        ("brgconv:avx512_core_bf16", "avx512_core_bf16"),
        ("brg_matmul:avx10_1_512_amx", "avx10_1_512_amx"),
        ("jit:avx2_vnni_2", "avx2_vnni_2"),
        ("jit:sse41", "sse41"),
        ("jit_sve:sve_256", "sve_256"),
        ("ref:any", "ref"),
        ("jit:uni", None),
        ("x64:gemm:jit", None),
    ],
)
def test_the_isa_is_read_off_the_implementations_name(implementation: str, isa: str | None) -> None:
    assert isa_of(implementation) == isa


def test_a_lost_implementation_is_named_with_its_module_and_shape() -> None:
    fast, slow = primitive("brg_conv_fwd:avx512_core"), primitive("ref:any")
    found = census(with_primitives(fast), with_primitives(slow))
    assert told(found.changed) == [
        ("implementation", "Net.conv", "brg_conv_fwd:avx512_core", "ref:any"),
        ("isa", "Net.conv", "avx512_core", "ref"),
    ]
    assert {(entry.where.shapes, entry.primitive, entry.problem) for entry in found.changed} == {
        (((4, 8),), "convolution forward_training", "mb4_ic3oc32")
    }
    assert (found.added, found.removed, found.unstable) == ((), (), ())
    totals = {total.what: (total.base, total.head) for total in found.totals}
    assert (totals["isa avx512_core"], totals["isa ref"]) == ((1, 0), (0, 1))


def test_layouts_and_data_types_of_primitives() -> None:
    base = primitive("jit:uni", "src:abcd dst:abcd", dtypes="src:f32 dst:f32")
    head = primitive("jit:uni", "src:acdb dst:acdb", dtypes="src:bf16 dst:bf16")
    assert told(census(with_primitives(base), with_primitives(head)).changed) == [
        ("layout", "Net.conv", "src:abcd dst:abcd", "src:acdb dst:acdb"),
        ("dtype", "Net.conv", "src:f32 dst:f32", "src:bf16 dst:bf16"),
    ]


def test_reorders_are_told_by_what_they_turn_into_what() -> None:
    conv = primitive("jit:uni")
    into = primitive("jit:blk", "src:abcd dst:aBcd16b", kind="reorder", dtypes="src:f32 dst:bf16")
    back = primitive("jit:blk", "src:aBcd16b dst:abcd", kind="reorder")
    none, both = with_primitives(conv), with_primitives(conv, into, back)
    assert told(census(none, both).added) == [
        ("reorder", "Net.conv", None, "aBcd16b→abcd, f32:abcd→bf16:aBcd16b"),
    ]
    assert told(census(both, none).removed) == [("reorder", "Net.conv", "aBcd16b→abcd, f32:abcd→bf16:aBcd16b", None)]
    assert told(census(with_primitives(conv, into), both).added) == [("reorder", "Net.conv", None, "aBcd16b→abcd")]
    slower = primitive("ref:any", "src:aBcd16b dst:abcd", kind="reorder")
    assert told(census(both, with_primitives(conv, into, slower)).changed) == [
        ("implementation", "Net.conv", "jit:blk", "ref:any")
    ]


def test_more_executions_of_the_same_are_a_count_and_nothing_else() -> None:
    one = primitive("jit:uni")
    twice = primitive("jit:uni", count=2.0, counts=(2, 2, 2))
    (change,) = census(with_primitives(one), with_primitives(twice)).changed
    assert (change.what, change.base, change.head) == ("executions", 1, 2)


def test_a_primitive_that_appears_or_goes() -> None:
    found = census(with_primitives(), with_primitives(primitive("brg:avx2", kind="matmul")))
    assert told(found.added) == [("primitive", "Net.conv", None, "brg:avx2")]
    assert found.changed == ()


def test_operators_shapes_counts_types_flops_and_allocations() -> None:
    base = profile(
        [
            op("aten::mul", "Net.a", flops=10.0, allocations_samples=(1, 1), allocated_bytes_samples=(64, 64)),
            op("aten::relu", "Net.b"),
            op("aten::div", "Net.c"),
        ]
    )
    head = profile(
        [
            op("aten::mul", "Net.a", flops=20.0, allocations_samples=(2, 2), allocated_bytes_samples=(64, 96)),
            op("aten::relu", "Net.b", ((9, 9),), dtypes=("bfloat16",), counts=(3, 3, 3)),
            op("aten::erf", "Net.d", ((7,),)),
        ]
    )
    found = census(base, head)
    assert told(found.added) == [("operator", "Net.d", None, 1)]
    assert told(found.removed) == [("operator", "Net.c", 1, None)]
    assert sorted(told(found.changed), key=str) == [
        ("allocations", "Net.a", 1, 2),
        ("count", "Net.b", 1, 3),
        ("dtype", "Net.b", "float32", "bfloat16"),
        ("flops", "Net.a", 10.0, 20.0),
        ("shape", "Net.b", "4x8", "9x9"),
    ]
    assert told(found.unstable) == [("allocated_bytes", "Net.a", "64, 64", "64, 96")]


def test_what_one_side_does_not_know_has_not_changed() -> None:
    known = profile([op("aten::mul", flops=10.0, bytes_moved=4.0, allocations_samples=(1, 1))])
    assert told(census(known, profile([op("aten::mul", dtypes=())])).changed) == []


def test_rows_that_differ_within_a_side_are_listed_and_not_judged() -> None:
    steady = profile([op("aten::mul", "Net.a", ((4, 8),)), op("aten::add", "Net.b")])
    shaky = profile([op("aten::mul", "Net.a", ((4, 9),), counts=(1, 2, 1)), op("aten::erf", "Net.b", counts=(0, 1, 1))])
    diff = diff_profiles(steady, shaky)
    assert set(told(diff.census.unstable)) == {
        ("operator", "Net.a", "1", "1, 2, 1"),
        ("operator", "Net.b", "1", "0, 1, 1"),
    }
    assert (diff.census.added, diff.census.removed, diff.census.changed) == ((), (), ())
    assert {row.cause.kind for row in diff.operators} == {"time"}


def test_primitives_that_alternate_make_their_operator_unstable() -> None:
    turns = [primitive("jit:a", counts=(1, 0, 1), count=2 / 3), primitive("jit:b", counts=(0, 1, 0), count=1 / 3)]
    found = census(with_primitives(primitive("jit:a")), with_primitives(*turns))
    assert told(found.unstable) == [("operator", "Net.conv", "1", "1, 0, 1")]
    assert found.changed == ()


def test_of_format_1_a_whole_number_is_taken_for_the_same_each_time() -> None:
    whole, part = op("aten::mul", counts=(2, 2, 2)), op("aten::mul", counts=(1, 2, 2))
    old = [
        Operator(row.name, row.phase, row.module, row.shapes, row.count, 1.0, (1, 1, 1), 1.0) for row in (whole, part)
    ]
    new = profile([op("aten::mul")])
    diff = diff_profiles(profile([old[0]]), new)
    assert told(diff.census.changed) == [("count", None, 2, 1)]
    assert "format 1" in diff.notes[0]
    assert told(census(profile([old[1]]), new).unstable) == [("operator", None, "1.66667", "1")]


def test_primitives_that_were_not_joined_are_compared_as_one_heap() -> None:
    base, head = (replace(profile([CONV]), primitives=(primitive(name),)) for name in ("jit:avx2", "ref:any"))
    (change, isa) = census(base, head).changed
    assert (change.where.name, change.base, change.head) == (None, "jit:avx2", "ref:any")
    assert isa.what == "isa"


def test_without_a_primitive_pass_nothing_was_lost() -> None:
    diff = diff_profiles(with_primitives(primitive("jit:uni")), profile([CONV], passes=("operators",)))
    assert (diff.census.changed, diff.census.removed) == ((), ())
    assert {total.what: total.head for total in diff.census.totals}["primitives"] is None
    assert any("no primitive pass" in note for note in diff.notes)


@given(closing_profiles())
def test_a_run_has_the_census_of_itself(one: Profile) -> None:
    found = census(one, one)
    assert (found.added, found.removed, found.changed) == ((), (), ())
    assert all(total.base == total.head for total in found.totals)


@given(closing_profiles(), closing_profiles())
def test_the_other_way_round_is_the_mirror(one: Profile, other: Profile) -> None:
    there, back = census(one, other), census(other, one)

    def sides(entries: tuple[Entry, ...], swap: bool = False) -> list[str]:
        return sorted(str((e.what, e.primitive, *((e.head, e.base) if swap else (e.base, e.head)))) for e in entries)

    assert sides(there.added) == sides(back.removed, swap=True)
    assert sides(there.changed) == sides(back.changed, swap=True)
    assert sides(there.unstable) == sides(back.unstable, swap=True)
    assert len(there.totals) == len(back.totals)


@given(closing_profiles())
def test_findings_come_in_one_order_whatever_the_primitives(one: Profile) -> None:
    there = list(compare_primitives((), one.primitives))
    assert list(compare_primitives((), one.primitives[::-1])) == there
