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


FOLLOWS = ("module", "phase", "flops", "bytes_moved", "allocations", "allocated_bytes")
BRG, REF = "brg_conv_fwd:avx512_core", "ref:any"


def named(entries: tuple[Entry, ...]) -> list[tuple[object, ...]]:
    return [(entry.what, entry.problem, entry.base, entry.head) for entry in entries if entry.what != "isa"]


@pytest.mark.parametrize("joined", [True, False])
def test_implementations_that_change_places_between_problems_are_told_problem_by_problem(joined: bool) -> None:
    def side(big: str, small: str) -> Profile:
        both = (primitive(big, problem="mb4_ic512"), primitive(small, problem="mb4_ic16"))
        return with_primitives(*both) if joined else replace(profile([CONV]), primitives=both)

    diff = diff_profiles(side(BRG, REF), side(REF, BRG))
    assert set(named(diff.census.changed)) == {
        ("implementation", "mb4_ic16", REF, BRG), ("implementation", "mb4_ic512", BRG, REF),
    }  # fmt: skip
    assert {row.cause.kind for row in diff.operators if row.name == CONV.name} == {
        "implementation" if joined else "time"
    }


def test_implementations_that_change_places_within_a_problem_are_told_one_by_one() -> None:
    def side(float32: str, bfloat16: str) -> Profile:
        types = (("f32", float32), ("bf16", bfloat16))
        return with_primitives(*(primitive(name, dtypes=f"src:{dtype}") for dtype, name in types))

    found = census(side(BRG, REF), side(REF, BRG))
    assert {entry[2:] for entry in named(found.changed)} == {(BRG, REF), (REF, BRG)}


def test_multiplicities_are_kept_where_counts_differ() -> None:
    def side(brg: int, ref: int) -> Profile:
        counted = ((BRG, brg), (REF, ref))
        return with_primitives(*(primitive(name, count=float(n), counts=(n,) * 3) for name, n in counted if n))

    def told_of(base: Profile, head: Profile) -> list[tuple[object, ...]]:
        return [entry[:1] + entry[2:] for entry in named(census(base, head).changed)]

    assert told_of(side(3, 1), side(1, 4)) == [
        ("implementation", f"{BRG} ×2", f"{REF} ×2"), ("executions", 4, 5),
    ]  # fmt: skip
    assert told_of(side(1, 0), side(1, 2)) == [("implementation", None, f"{REF} ×2"), ("executions", 1, 3)]


def test_reorders_that_change_places_between_problems_are_told() -> None:
    def side(big: str, small: str) -> Profile:
        sizes = (("64x512", big), ("4x16", small))
        return with_primitives(*(primitive(name, problem=size, kind="reorder") for size, name in sizes))

    found = census(side("jit:blk", "ref:any"), side("ref:any", "jit:blk"))
    assert set(named(found.changed)) == {
        ("implementation", "4x16", "ref:any", "jit:blk"), ("implementation", "64x512", "jit:blk", "ref:any"),
    }  # fmt: skip


def test_another_problem_is_paired_with_the_nearest_and_what_is_left_is_new() -> None:
    base = with_primitives(*(primitive(BRG, problem=problem) for problem in ("mb4_ic16", "mb4_ic512")))
    head = with_primitives(*(primitive(BRG, problem=f"mb8_ic{n}") for n in (16, 500, 90_000)))
    found = census(base, head)
    assert named(found.changed) == [
        ("problem", "mb8_ic16", "mb4_ic16", "mb8_ic16"), ("problem", "mb8_ic500", "mb4_ic512", "mb8_ic500"),
    ]  # fmt: skip
    assert named(found.added) == [("primitive", "mb8_ic90000", None, BRG)]


def test_of_primitives_that_were_not_joined_only_those_that_differ_are_named() -> None:
    def side(second: str) -> Profile:
        names = (("p0", BRG), ("p1", second), ("p2", BRG))
        return replace(profile([CONV]), primitives=tuple(primitive(name, problem=problem) for problem, name in names))

    assert {(entry.what, entry.problem, entry.base, entry.head) for entry in census(side(BRG), side(REF)).changed} == {
        ("implementation", "p1", BRG, REF),
        ("isa", "p1", "avx512_core", "ref"),
    }


def test_primitives_that_were_not_joined_and_differ_within_a_side_are_not_judged() -> None:
    def side(*primitives: Primitive) -> Profile:
        return replace(profile([CONV]), primitives=primitives)

    steady = primitive(BRG, problem="p1")
    base = side(steady, primitive(BRG, counts=(1, 2, 1), count=4 / 3))
    found = census(base, side(steady, primitive(BRG)))
    assert (found.added, found.removed, found.changed) == ((), (), ())
    (entry,) = found.unstable
    assert (entry.what, entry.where.name, entry.primitive, entry.problem, entry.base, entry.head) == (
        "executions", None, "convolution forward_training", "mb4_ic3oc32", "1, 2, 1", "1",
    )  # fmt: skip
    assert census(base, side(steady)).unstable[0].head is None
    assert {total.what: (total.base, total.head) for total in found.totals}["primitives"] == (1, 1)


def test_totals_leave_out_what_is_unstable_on_either_side() -> None:
    steady = op("aten::add", "Net.b", allocations_samples=(5, 5), flops=7.0)
    shaky = op("aten::mul", "Net.a", counts=(1, 2, 1), flops=9.0)
    alternating = op("aten::div", "Net.c", allocations_samples=(1, 3), allocated_bytes_samples=(64, 64))
    base = profile([steady, shaky, alternating], [(1, primitive(BRG)), (0, primitive(REF))])
    calm = replace(alternating, allocations_samples=(1, 1))
    head = profile([steady, replace(shaky, counts=(1, 1, 1), count=1.0), calm], [(0, primitive(REF))])
    found = census(base, head)
    assert {total.what: total.base for total in found.totals} == {
        "operators": 2, "primitives": 1, "reorders": 0, "flops": 7, "bytes_moved": None, "allocations": 5,
        "allocated_bytes": 64, "isa ref": 1, "dtypes src:f32 dst:f32": 1,
    }  # fmt: skip
    assert all(total.base == total.head for total in found.totals)
    assert set(told(found.unstable)) == {
        ("operator", "Net.a", "1, 2, 1", "1"), ("allocations", "Net.c", "1, 3", "1, 1"),
    }  # fmt: skip


def test_unstable_allocations_of_an_operator_that_is_new_are_listed() -> None:
    found = census(profile([]), profile([op("aten::erf", allocations_samples=(1, 3))]))
    assert told(found.unstable) == [("allocations", None, None, "1, 3")]
    assert {total.what: total.head for total in found.totals}["allocations"] is None


def test_a_known_nothing_is_not_unknown() -> None:
    base, head = profile([op("aten::mul", flops=0.0)]), profile([op("aten::mul", flops=100.0)])
    assert {total.what: (total.base, total.head) for total in census(base, head).totals}["flops"] == (0, 100)


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
    shaky = profile([op("aten::mul", "Net.a", ((4, 9),), counts=(1, 2, 1)), op("aten::add", "Net.b", counts=(0, 1, 1))])
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
    # Nor is what only one side can know told as a change of the whole step.
    assert [total.what for total in diff.census.totals] == ["operators", "flops", "bytes_moved"]
    assert any("no primitive pass" in note for note in diff.notes)


def test_what_takes_longest_is_listed_first_whatever_became_of_it() -> None:
    costly = primitive("jit:avx512_core", direction="backward_data", time_ns=9e5)
    base = profile(
        [op("aten::detach", "Net.x"), op(CONV.name, "Net.conv", times=(10**6,) * 3, allocations_samples=(1, 1))],
        [(1, costly), (1, primitive("jit:avx512_core", direction="backward_weights"))],
    )
    head = profile(
        [
            op("aten::detach", "Net.x", counts=(5, 5, 5)),
            op("aten::erf", times=(2000,) * 3),
            op(CONV.name, "Net.conv", times=(10**5,) * 3, allocations_samples=(0, 0)),
        ],
        [(2, primitive("jit:avx512_core", direction="backward_weights"))],
    )
    listed = [(fate, entry.what, entry.where.name, entry.cost_ns) for fate, entry in census(base, head).entries]
    assert listed == [
        ("removed", "primitive", CONV.name, 9e5), ("added", "operator", "aten::erf", 2000),
        ("changed", "count", "aten::detach", 1000), ("changed", "allocations", CONV.name, 1e6),
    ]  # fmt: skip


def test_what_changed_costs_what_its_executions_take() -> None:
    base = with_primitives(primitive(BRG, count=4.0, counts=(4, 4, 4), time_ns=400.0))
    head = with_primitives(primitive(BRG, count=3.0, counts=(3, 3, 3), time_ns=300.0), primitive(REF, time_ns=700.0))
    assert {(entry.what, entry.cost_ns) for entry in census(base, head).changed} == {
        ("implementation", 700), ("isa", 700),
    }  # fmt: skip
    assert {entry.cost_ns for entry in census(head, base).changed} == {700}


@given(closing_profiles(), closing_profiles())
def test_no_entry_costs_more_than_the_step_took(base: Profile, head: Profile) -> None:
    costs = [entry.cost_ns for _, entry in census(base, head).entries if entry.what not in FOLLOWS]
    assert costs == sorted(costs, reverse=True)
    times = [one.self_ns for side in (base, head) for one in side.operators]
    assert all(0 <= cost <= sum(times) + 500 * 6 for cost in costs)


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
