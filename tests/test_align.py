from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.analyse.diff.align import align
from perfsuite.analyse.diff.modules import module_map
from perfsuite.analyse.diff.names import family, spelling
from perfsuite.analyse.diff.rows import Row, rows_of
from perfsuite.records import Operator
from tests.diff_profiles import closing_profiles, op, profile, python, shuffled

CONV, IPEX_CONV = "aten::mkldnn_convolution", "torch_ipex::convolution_forward_impl"
Names = set[tuple[str | None, str | None]]


def rows(*operators: Operator) -> tuple[Row, ...]:
    return rows_of(profile(operators))


def pairs(base: tuple[Row, ...], head: tuple[Row, ...]) -> set[tuple[str | None, str | None]]:
    """Each pair as (where it is in base, where it is in head): name @ module and shapes."""
    return {(told(pair.base), told(pair.head)) for pair in align(base, head)}


def told(row: Row | None) -> str | None:
    return row and f"{row.name} @{row.module} {row.shapes} {row.dtypes[:1]}"


def alone(base: tuple[Row, ...], head: tuple[Row, ...]) -> int:
    return sum(None in pair for pair in pairs(base, head))


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("aten::convolution_backward", "torch_ipex::convolution_backward"),
        (CONV, IPEX_CONV),
        ("aten::add", "aten::add_"),
        ("aten::add.Tensor", "aten::add.out"),
        ("aten::sum", "torch_ipex::sum_out_cpu"),
        ("aten::index_select", "torch_ipex::index_select_cpu_"),
        ("aten::mkldnn_rnn_layer_backward", "torch_ipex::ipex_lstm_layer_backward"),
        ("aten::mkldnn_rnn_layer", "torch_ipex::cpu::ipex_lstm_layer"),
        ("aten::_fused_adam_", "torch_ipex::adam_fused_step"),
        ("ConvolutionBackward0", "torch::autograd::generated::ConvolutionBackward1"),
        ("autograd::engine::evaluate_function: ConvolutionBackward0", "IPEXConvolutionOpBackward"),
    ],
)
def test_names_of_one_computation_are_one_family(one: str, other: str) -> None:
    assert family(one) == family(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("aten::mul", "aten::div"),
        ("aten::convolution", CONV),
        ("aten::convolution_backward", CONV),
        ("aten::__and__", "aten::__or__"),
        ("aten::native_batch_norm", "aten::batch_norm"),
    ],
)
def test_other_computations_are_other_families(one: str, other: str) -> None:
    assert family(one) != family(other)


def test_the_spelling_keeps_who_implements_it() -> None:
    assert spelling("aten::add.Tensor") == "aten::add"
    assert spelling("aten::add_") != spelling("aten::add")
    assert spelling(CONV) != spelling(IPEX_CONV)
    assert spelling("AddBackward0") == spelling("AddBackward1")
    assert spelling("## Call CompiledFxGraph 0 ##") != spelling("## Call CompiledFxGraph 1 ##")


# --- rows -------------------------------------------------------------------------------------------


def test_what_differs_in_one_thing_is_still_one_row() -> None:
    weights = ((4, 8), (8, 8))
    base = rows(op(CONV, "Net.a", weights), op("aten::relu", "Net.b"), op("aten::mul", "Net.c"))
    head = rows(
        op(IPEX_CONV, "Net.a", weights),
        op("aten::relu", "Net.b", ((4, 16),)),
        op("aten::mul", "Net.c", dtypes=("bfloat16",)),
    )
    assert alone(base, head) == 0
    assert {(p.base.module, p.head.module) for p in align(base, head) if p.base and p.head} == {
        ("Net.a", "Net.a"), ("Net.b", "Net.b"), ("Net.c", "Net.c"),
    }  # fmt: skip


def test_an_operator_that_is_new_stays_alone() -> None:
    base = rows(op("aten::relu", "Net.a"), op("aten::relu", "Net.b"))
    head = rows(op("aten::relu", "Net.a"), op("aten::relu", "Net.b"), op("aten::erf", "Net.b", ((99,),)))
    assert [told(pair.head) for pair in align(base, head) if pair.base is None] == [told(head[2])]


def test_the_same_shape_is_preferred_to_the_nearest() -> None:
    base = rows(op("aten::add", "Net.a", ((4, 8),)), op("aten::add", "Net.a", ((4, 9),)))
    head = rows(op("aten::add", "Net.a", ((4, 9),)), op("aten::add", "Net.a", ((4, 90),)))
    assert {(p.base.shapes, p.head.shapes) for p in align(base, head) if p.base and p.head} == {
        (((4, 9),), ((4, 9),)), (((4, 8),), ((4, 90),)),
    }  # fmt: skip


def test_an_operator_of_another_family_is_not_the_same_one_even_in_its_place() -> None:
    assert alone(rows(op("aten::relu", "Net.a")), rows(op("aten::gelu", "Net.a"))) == 2
    fused, parts = (
        rows(op("torch_ipex::linear_relu", "Net.a")),
        rows(op("aten::addmm", "Net.a"), op("aten::relu", "Net.a")),
    )
    assert alone(fused, parts) == 3


def test_outside_all_modules_another_shape_has_at_least_as_many_dimensions() -> None:
    base = rows(op("aten::add_", None, ((8, 8, 3, 3),)), op("aten::add_", None, ((8,),)))
    head = rows(op("aten::add_", None, ((9,),)), op("aten::add_", None, ((7, 8, 3, 3),)))
    assert {(p.base.shapes, p.head.shapes) for p in align(base, head) if p.base and p.head} == {
        (((8, 8, 3, 3),), ((7, 8, 3, 3),)), (((8,),), ((9,),)),
    }  # fmt: skip
    assert alone(rows(op("aten::add_", None, ((8,),))), rows(op("aten::add_", None, ((8, 8),)))) == 2
    lists = [rows(op("aten::_foreach_add_", None, (tuple((4,) for _ in range(n)),))) for n in (2, 3)]
    assert alone(*lists) == 0


def test_ipex_calls_its_backward_by_the_same_name_twice_and_it_is_one_row() -> None:
    inner = op("torch_ipex::convolution_backward", "Net.a", (), times=(900, 900, 900))
    outer = op("torch_ipex::convolution_backward", "Net.a", ((4, 8), (8, 9)), times=(10, 10, 10))
    base = rows(op("aten::convolution_backward", "Net.a", ((4, 8), (4, 9))))
    (pair,) = align(base, rows(inner, outer))
    assert pair.head is not None
    assert (pair.head.self_ns, pair.head.count, pair.head.self_ns_samples) == (910, 1, (910, 910, 910))


def test_rows_of_unlike_counts_are_not_taken_for_one_inside_the_other() -> None:
    inner = op("torch_ipex::step", None, (), counts=(2, 2, 2))
    assert len(rows(inner, op("torch_ipex::step", None, ((4,),)), op("torch_ipex::step", None, ((5,),)))) == 3
    assert len(rows(inner, op("torch_ipex::step", None, ((4,),)))) == 2


# --- modules ----------------------------------------------------------------------------------------


def layers(prefix: str, *names: str) -> tuple[Row, ...]:
    return rows(*(op(CONV, f"{prefix}{name}", ((4, 8),)) for name in names))


def test_a_wrapped_model_keeps_its_modules() -> None:
    names = ("layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer10.0.conv1")
    base, head = layers("ResNet.", *names), layers("Wrapper.ResNet.", *names)
    assert module_map(base, head) == {f"ResNet.{name}": f"Wrapper.ResNet.{name}" for name in names}
    assert alone(base, head) == 0


def test_renamed_layers_of_one_shape_are_paired_in_order() -> None:
    base, head = layers("Net.", "conv9", "conv10", "conv11"), layers("Net.", "stem.x", "stem.y", "stem.z")
    assert module_map(base, head) == {"Net.conv9": "Net.stem.x", "Net.conv10": "Net.stem.y", "Net.conv11": "Net.stem.z"}


def test_renamed_layers_are_told_by_what_they_run() -> None:
    base = rows(op(CONV, "Net.a.conv", ((1, 2),)), op(CONV, "Net.b.conv", ((3, 4),)))
    head = rows(op(CONV, "Net.x.conv", ((3, 4),)), op(CONV, "Net.y.conv", ((1, 2),)))
    assert module_map(base, head) == {"Net.a.conv": "Net.y.conv", "Net.b.conv": "Net.x.conv"}


def test_exchanged_names_are_seen_through() -> None:
    base = rows(op(CONV, "Net.a", ((1, 2),)), op(CONV, "Net.b", ((3, 4),)))
    head = rows(op(CONV, "Net.b", ((1, 2),)), op(CONV, "Net.a", ((3, 4),)))
    assert module_map(base, head) == {"Net.a": "Net.b", "Net.b": "Net.a"}


def test_wider_layers_are_not_taken_for_their_neighbours() -> None:
    base = rows(*(op(CONV, f"Net.conv{i}", ((2**i,),)) for i in range(4)))
    head = rows(*(op(CONV, f"Net.conv{i}", ((2 ** (i + 1),),)) for i in range(4)))
    assert module_map(base, head) == {f"Net.conv{i}": f"Net.conv{i}" for i in range(4)}
    assert all(p.base and p.head and p.base.module == p.head.module for p in align(base, head))


def test_a_plant_in_a_renamed_module_does_not_move_it() -> None:
    base = rows(*(op(CONV, f"Net.{name}.conv") for name in "abc"))
    head = rows(*(op(CONV, f"Model.{name}.conv") for name in "abc"), op("aten::erf", "Model.b.conv", ((7,),)))
    assert module_map(base, head) == {f"Net.{name}.conv": f"Model.{name}.conv" for name in "abc"}
    assert [pair.head and pair.head.name for pair in align(base, head) if pair.base is None] == ["aten::erf"]


def test_python_time_is_aligned_with_its_module() -> None:
    base = rows_of(profile([op(CONV, "Net.a")], ranges=[python("Net.a")]))
    head = rows_of(profile([op(CONV, "W.Net.a")], ranges=[python("W.Net.a")]))
    assert alone(base, head) == 0


# --- any rows ---------------------------------------------------------------------------------------


@given(closing_profiles())
def test_a_run_is_aligned_with_itself_row_by_row(one) -> None:
    mine = rows_of(one)
    assert all(pair.base is pair.head for pair in align(mine, mine))


@given(closing_profiles(), closing_profiles())
def test_every_row_is_in_exactly_one_pair(one, other) -> None:
    base, head = rows_of(one), rows_of(other)
    found = align(base, head)
    assert sorted(pair.base.order for pair in found if pair.base) == sorted(row.order for row in base)
    assert sorted(pair.head.order for pair in found if pair.head) == sorted(row.order for row in head)
    assert all(pair.base is not None or pair.head is not None for pair in found)


@given(closing_profiles(), closing_profiles())
def test_the_other_way_round_pairs_the_same(one, other) -> None:
    base, head = rows_of(one), rows_of(other)
    assert pairs(base, head) == {(b, a) for a, b in pairs(head, base)}


@given(closing_profiles(), closing_profiles(), st.data())
def test_the_order_of_the_rows_changes_nothing(one, other, data) -> None:
    order = data.draw(st.permutations(range(len(one.operators))))
    assert pairs(rows_of(shuffled(one, order)), rows_of(other)) == pairs(rows_of(one), rows_of(other))
