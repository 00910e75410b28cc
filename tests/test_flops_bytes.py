"""Bytes of operators: by hand, and against the real tensors of real operators in a real profile."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.capture.operators import nest, operator_rows
from perfsuite.capture.profiler import record_steps
from perfsuite.capture.step import Step
from perfsuite.flops import FORMULAE, TRAFFIC, operator_bytes, operator_flops, prepares
from perfsuite.flops.dtypes import promote, size_of
from perfsuite.records import Operator

F32, BF16, I64 = torch.float32, torch.bfloat16, torch.int64


def rows_of(call: Callable[[], Any]) -> list[Operator]:
    """Operator rows of one profiled call."""
    return list(operator_rows(nest(record_steps(Step(call), 1))))


def moved_by(call: Callable[[], Any]) -> dict[str, float]:
    """Operator → bytes of all its calls, of those that carry any."""
    found: dict[str, float] = {}
    for row in rows_of(call):
        if row.bytes_moved:
            found[row.name] = found.get(row.name, 0) + row.bytes_moved
    return found


def size(*tensors: torch.Tensor) -> int:
    return sum(tensor.numel() * tensor.itemsize for tensor in tensors)


def rand(*shape: int, dtype: torch.dtype = F32, grad: bool = False) -> torch.Tensor:
    return torch.rand(*shape).to(dtype).requires_grad_(grad)


# --- real operators ---------------------------------------------------------------------------------

X, Y, ROW = rand(64, 48), rand(64, 48), rand(48)
IMAGE, KERNEL, BIAS = rand(2, 8, 12, 12), rand(16, 8, 3, 3), rand(16)
INDEX = torch.randint(0, 64, (10,))

CASES: dict[str, tuple[Callable[[], Any], str, Callable[[], int]]] = {
    "add": (lambda: X + Y, "aten::add", lambda: size(X, Y, X)),
    "broadcast": (lambda: X * ROW, "aten::mul", lambda: size(X, ROW, X)),
    "in place": (lambda: X.add_(Y), "aten::add_", lambda: size(X, Y, X)),
    # torch makes a tensor of one float64 of it
    "a number": (lambda: X * 2.0, "aten::mul", lambda: size(X, X) + 8),
    "mixed types": (lambda: X + Y.to(BF16), "aten::add", lambda: size(X, X) + 64 * 48 * 2),
    "comparison": (lambda: X > Y, "aten::gt", lambda: size(X, Y) + 64 * 48),
    "copy": (lambda: X.copy_(Y), "aten::copy_", lambda: size(X, Y)),
    "conversion": (lambda: X.to(BF16), "aten::copy_", lambda: size(X) + 64 * 48 * 2),
    "clone": (X.clone, "aten::copy_", lambda: size(X, X)),
    "fill": (lambda: X.fill_(0.5), "aten::fill_", lambda: size(X)),
    "sum of a dimension": (lambda: X.sum(0), "aten::sum", lambda: size(X, ROW)),
    "largest": (lambda: X.amax(1), "aten::amax", lambda: size(X) + 64 * 4),
    "largest and where": (lambda: X.max(1), "aten::max", lambda: size(X) + 64 * (4 + 8)),
    "softmax": (lambda: F.softmax(X, 1), "aten::_softmax", lambda: size(X, X)),
    "mm": (lambda: torch.mm(X, Y.t()), "aten::mm", lambda: size(X, Y) + 64 * 64 * 4),
    "addmm": (lambda: F.linear(X, Y, rand(64)), "aten::addmm", lambda: size(X, Y) + 64 * 4 + 64 * 64 * 4),
    "convolution": (lambda: F.conv2d(IMAGE, KERNEL, BIAS), "aten::mkldnn_convolution",
                    lambda: size(IMAGE, KERNEL, BIAS) + 2 * 16 * 10 * 10 * 4),
    "embedding": (lambda: F.embedding(INDEX, X), "aten::index_select", lambda: 10 * 8 + 2 * 10 * 48 * 4),
    "where": (lambda: torch.where(X > 0.5, X, Y), "aten::where", lambda: 64 * 48 + size(X, Y, X)),
    "pooling": (lambda: F.max_pool2d(IMAGE, 2), "aten::max_pool2d_with_indices",
                lambda: size(IMAGE) + 2 * 8 * 36 * (4 + 8)),
    "layer norm": (lambda: F.layer_norm(X, (48,), ROW, ROW), "aten::native_layer_norm",
                   lambda: size(X, X, ROW, ROW) + 2 * 64 * 4),
    "upsample": (lambda: F.interpolate(IMAGE, scale_factor=2), "aten::upsample_nearest2d",
                 lambda: size(IMAGE) * 5),
}  # fmt: skip


@pytest.mark.parametrize(("call", "name", "expected"), CASES.values(), ids=CASES)
def test_bytes_are_those_of_the_real_tensors(call, name, expected):
    assert moved_by(call)[name] == expected()


def test_backward_operators_carry_the_bytes_of_the_real_gradients():
    x, w, gamma, beta = (
        rand(2, 8, 12, 12, grad=True),
        rand(16, 8, 3, 3, grad=True),
        rand(16, grad=True),
        rand(16, grad=True),
    )

    def step() -> None:
        y = F.batch_norm(F.conv2d(x, w), torch.zeros(16), torch.ones(16), gamma, beta, training=True)
        F.log_softmax(F.relu(y).flatten(1), 1).sum().backward()

    moved = moved_by(step)
    y = torch.zeros(2, 16, 10, 10)
    # the output's gradient read; input and weight read and their gradients written
    assert moved["aten::convolution_backward"] == size(y) + 2 * size(x, w)
    # the input, both gradients, two saved statistics, the weight, and the gradients of weight and bias
    assert moved["aten::native_batch_norm_backward"] == 3 * size(y) + 5 * size(gamma)
    assert moved["aten::native_batch_norm"] == 2 * size(y) + 8 * size(gamma)
    assert moved["aten::threshold_backward"] == 3 * size(y)
    assert moved["aten::_log_softmax_backward_data"] == 3 * size(y)


def test_a_masked_gradient_moves_no_bytes():
    w = rand(16, 8, 3, 3, grad=True)
    moved = moved_by(lambda: F.conv2d(IMAGE, w).sum().backward())
    assert moved["aten::convolution_backward"] == 2 * 16 * 10 * 10 * 4 + size(IMAGE, w)


def test_losses_and_embeddings_touch_what_their_indices_name():
    logits, target = rand(10, 50, grad=True), torch.randint(0, 50, (10,))
    moved = moved_by(lambda: F.cross_entropy(logits, target).backward())
    assert moved["aten::nll_loss_forward"] == size(target) + 10 * 4 + 2 * 4
    # the loss's gradient, the targets, the sum of the weights; ten elements written into zeros
    assert moved["aten::nll_loss_backward"] == 4 + size(target) + 4 + 10 * 4
    table = rand(64, 48, grad=True)
    moved = moved_by(lambda: F.embedding(INDEX, table).sum().backward())
    assert moved["aten::embedding_dense_backward"] == size(INDEX) + 3 * 10 * 48 * 4
    assert moved.get("aten::zero_", 0) + moved.get("aten::fill_", 0) >= size(table)


# --- which of the nested operators carries them -----------------------------------------------------


def test_an_operator_whose_work_is_done_below_it_carries_nothing():
    for call, outer, inner in (
        (lambda: X.mean(0), "aten::mean", "aten::sum"),
        (lambda: torch.relu(X), "aten::relu", "aten::clamp_min"),
        (X.clone, "aten::clone", "aten::copy_"),
        (lambda: F.embedding(INDEX, X), "aten::embedding", "aten::index_select"),
        (lambda: torch.matmul(X, Y.t()), "aten::matmul", "aten::mm"),
        (lambda: F.conv2d(IMAGE, KERNEL), "aten::convolution", "aten::mkldnn_convolution"),
    ):
        moved = moved_by(call)
        assert outer not in moved
        assert moved[inner] > 0


def test_under_autocast_the_operator_that_computes_carries_them():
    linear = torch.nn.Linear(48, 64)
    with torch.autocast("cpu", dtype=BF16):
        moved = moved_by(lambda: linear(X))
    assert "aten::linear" not in moved
    assert moved["aten::addmm"] == 2 * (64 * 48 + 64 * 48 + 64 + 64 * 64)


def test_preparation_below_an_operator_takes_nothing_from_it():
    transposed = rand(2, 16, 10, 10).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    w = rand(16, 8, 3, 3, grad=True)
    moved = moved_by(lambda: F.conv2d(IMAGE, w).backward(transposed))
    assert moved["aten::convolution_backward"] == size(transposed) + size(IMAGE, w)
    assert moved_by(X.sum)["aten::sum"] == size(X) + 4
    # the number becomes a tensor of one element, which is converted by a copy
    assert moved_by(lambda: X.mul_(0.5))["aten::mul_"] == 2 * size(X) + 8


def test_a_column_of_bytes_adds_up_over_calls_and_views_move_nothing():
    rows = rows_of(lambda: [X.t().add(Y.t()) for _ in range(5)])
    adding = [row for row in rows if row.name == "aten::add" and row.bytes_moved]
    assert sum(row.bytes_moved or 0 for row in adding) == 5 * size(X, Y, X)
    assert {row.bytes_moved for row in rows if row.name == "aten::as_strided"} == {0}


# --- by hand ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shapes", "dtypes", "concrete", "moved"),
    [
        ("aten::add", [(2, 1), (1, 3), ()], ("float32", "float64", None), (), 2 * 4 + 3 * 8 + 6 * 8),
        ("aten::add", [(4,), (), ()], ("int32", None, None), (None, 1.5, 1), 4 * 4 + 4 * 4),
        ("aten::div", [(4,), (4,)], ("int64", "int64"), (), 64 + 16),
        ("aten::mul", [(4,), ()], ("float16", "float64"), (), 8 + 8 + 8),
        ("aten::sum", [(8, 4), (), (), ()], ("int32", None, None, None), (None, (0,), False, None), 128 + 4 * 8),
        ("aten::sum", [(8, 4), ()], ("bfloat16", None), (None, 6), 64 + 4),
        ("aten::mean", [(8, 4), (), (), ()], ("float32", None, None, None), (None, (-1, 0), False, None), 128 + 4),
        ("aten::_to_copy", [(8,), ()], ("float32", None), (None, 15), 32 + 16),
        ("aten::bmm", [(2, 3, 4), (2, 4, 5)], ("bfloat16", "bfloat16"), (), 2 * (24 + 40 + 30)),
        ("aten::gather", [(8, 4), (), (2, 4), ()], ("float32", None, "int64", None), (None, 0, None, False), 64 + 64),
        ("aten::avg_pool2d", [(1, 2, 5, 5), (), (), (), (), (), ()], ("float32", *[None] * 6),
         (None, (2, 2), (), (0, 0), True, True, None), 4 * (50 + 2 * 9)),
        ("aten::smooth_l1_loss", [(8,), (8,), (), ()], ("float32", "float32", None, None), (None, None, 1, 1.0), 68),
        ("aten::convolution", [(1, 6, 8, 8), (6, 4, 3, 3), (8,), *[()] * 6], ("float32",) * 3 + (None,) * 6,
         (None, None, None, (2, 2), (1, 1), (1, 1), True, (1, 1), 2), 4 * (384 + 216 + 8 + 8 * 16 * 16)),
        ("torch_ipex::convolution_forward", [(2, 3, 10, 10), (1, 3, 3, 3, 48), (33,), (1,), *[()] * 5],
         ("float32", "float32", "float32", None, *[None] * 5),
         (None, None, None, None, (33, 3, 3, 3), (0, 0), (1, 1), (1, 1), True),
         4 * (600 + 33 * 27 + 33 + 2 * 33 * 64)),
        ("torch_ipex::sgd_fused_step", [(8,), (8,), (8,), (0,), (), ()], ("float32",) * 4 + (None, None), (), 4 * 40),
        # a list of tensors has no data type
        ("aten::cat", [((4, 4), (4, 4)), ()], (None, None), (None, 0), None),
        ("aten::_foreach_add_", [((4,),), ((4,),), ()], (None, None, None), (), None),
        ("aten::no_such_operator", [(4,)], ("float32",), (), None),
        ("aten::add", [(4,), (5,)], ("float32", "float32"), (), None),
        ("aten::convolution_backward", [], (), (), None),
    ],
)  # fmt: skip
def test_bytes_by_hand(name, shapes, dtypes, concrete, moved):
    assert operator_bytes(name, shapes, dtypes, concrete) == moved


def test_a_packed_weight_of_the_extension_is_known_from_its_forward_call():
    shapes = [(2, 3, 10, 10), (1, 3, 3, 3, 48), (33,), (2, 33, 8, 8), ()]
    dtypes = ("float32", "float32", "float32", "float32", None)
    forward = (None, None, None, None, (33, 3, 3, 3), (0, 0), (1, 1), (1, 1), True)
    mask = (None, None, None, None, (False, True, True))
    weights = 33 * 27
    found = operator_bytes("torch_ipex::convolution_backward", shapes, dtypes, mask, forward)
    assert found == 4 * (2 * 33 * 64 + 600 + weights + 33)


# --- properties -------------------------------------------------------------------------------------

NAMES = sorted({*TRAFFIC, *FORMULAE})
DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
ARGUMENT = st.tuples(
    st.lists(st.integers(0, 5), max_size=5).map(tuple) | st.just((None,)) | st.just(((1, 2), (3,))),
    st.sampled_from((*DTYPES, None, None, "opaque")),
    st.none() | st.integers(-3, 9) | st.booleans() | st.floats() | st.text(max_size=4)
    | st.lists(st.integers(-3, 5) | st.booleans(), max_size=4).map(tuple),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(NAMES), st.lists(ARGUMENT, max_size=11))
def test_nonsense_is_unknown_and_never_raises(name, arguments):
    shapes, dtypes, concrete = zip(*arguments, strict=True) if arguments else ((), (), ())
    moved = operator_bytes(name, shapes, dtypes, concrete, concrete)
    for found in (moved, operator_flops(name, shapes, concrete, concrete)):
        assert found is None or (isinstance(found, int) and found >= 0)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.sampled_from(DTYPES), st.sampled_from(DTYPES))
def test_an_elementwise_operator_moves_at_least_its_result(dims, first, second):
    found = operator_bytes("aten::add", [tuple(dims), tuple(dims), ()], (first, second, None), (None, None, 1))
    result = math.prod(dims) * size_of(promote((first, second)))
    assert found == result + math.prod(dims) * (size_of(first) + size_of(second))


@given(st.sets(st.sampled_from(DTYPES), min_size=1, max_size=2))
def test_data_types_are_promoted_as_torch_does(dtypes):
    a, *b = [getattr(torch, name) for name in dtypes]
    expected = torch.promote_types(a, b[0] if b else a)
    assert f"torch.{promote(dtypes)}" == str(expected)


def test_preparing_operators_are_copies_fills_and_views():
    assert prepares("aten::copy_")
    assert prepares("aten::zero_")
    assert prepares("aten::view")
    assert not prepares("aten::mul_")
    assert not prepares("aten::index_select")
