"""FLOPs against numbers worked out by hand, and against torch's own counter on real operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from perfsuite.flops import FORMULAE, operator_flops

aten = torch.ops.aten
CONVOLUTIONS = {
    "aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::convolution", "aten::_convolution",
    "aten::mkldnn_convolution", "aten::thnn_conv2d", "aten::slow_conv3d", "aten::slow_conv_dilated2d",
    "aten::slow_conv_dilated3d", "aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d",
    "aten::slow_conv_transpose2d", "aten::slow_conv_transpose3d",
}  # fmt: skip


def recorded(run: Callable[[], Any]) -> dict[str, list[int | None]]:
    """Operator → the FLOPs of each of its calls, from real profiler events."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        run()
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    found: dict[str, list[int | None]] = {}
    for event in profiler.profiler.kineto_results.events():
        flops = operator_flops(event.name(), event.shapes(), event.concrete_inputs())
        found.setdefault(event.name(), []).append(flops)
    return found


def counted(run: Callable[[], Any], operator: Any) -> int:
    """What torch's own counter makes of it."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_flop_counts()["Global"].get(operator, 0))


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, requires_grad=True)


# --- by hand ---------------------------------------------------------------------------------------

STEM = [[4, 3, 64, 64], [32, 3, 7, 7], [32], [], [], [], []]
STEM_FLOPS = 2 * 4 * 32 * (32 * 32) * 3 * (7 * 7)


@pytest.mark.parametrize(
    ("name", "shapes", "concrete", "flops"),
    [
        # 64 → 32 by stride 2, padding 3, kernel 7: (64 + 6 − 7) // 2 + 1
        ("aten::conv2d", STEM, [None, None, None, [2, 2], [3, 3], [1, 1], 1], STEM_FLOPS),
        ("aten::conv2d", STEM, [None, None, None, [2], [3], [1], 1], STEM_FLOPS),
        # oneDNN's operator takes the padding before the stride
        ("aten::mkldnn_convolution", STEM, [None, None, None, [3, 3], [2, 2], [1, 1], 1], STEM_FLOPS),
        # grouped: each output channel sees 8 of the 32 input channels
        (
            "aten::convolution",
            [[4, 32, 32, 32], [64, 8, 3, 3], [64]],
            [None, None, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 4],
            2 * 4 * 64 * 32 * 32 * 8 * 9,
        ),
        # dilated: 16 − 2·(3 − 1) − 1 + 1 = 12
        (
            "aten::conv2d",
            [[1, 5, 16, 16], [7, 5, 3, 3], []],
            [None, None, None, [1, 1], [0, 0], [2, 2], 1],
            2 * 7 * 12 * 12 * 5 * 9,
        ),
        # transposed: every input value meets [OC/g, kernel]
        (
            "aten::conv_transpose2d",
            [[4, 6, 8, 8], [6, 4, 3, 3], [8], [], [], [], [], []],
            [None, None, None, [2, 2], [1, 1], [1, 1], 2, [1, 1]],
            2 * 4 * 6 * 8 * 8 * 4 * 9,
        ),
        ("aten::conv2d", [[3, 16, 16], [32, 3, 3, 3], []], [None, None, None, [1, 1], [0, 0], [1, 1], 1],
         2 * 32 * 14 * 14 * 27),
        ("aten::conv2d", [[4, 3, 16, 16], [32, 3, 3, 3], []], [None, None, None, [1, 1], "same", [1, 1], 1],
         2 * 4 * 32 * 16 * 16 * 27),
        ("aten::conv2d", [[4, 3, 16, 16], [32, 3, 3, 3], []], [None, None, None, [1, 1], "valid", [1, 1], 1],
         2 * 4 * 32 * 14 * 14 * 27),
        # the profiler leaves a word out; with a stride it can only have been "valid"
        ("aten::conv2d", [[4, 3, 16, 16], [32, 3, 3, 3], []], [None, None, None, [2, 2], None, [1, 1], 1],
         2 * 4 * 32 * 7 * 7 * 27),
        ("aten::conv2d", [[0, 3, 16, 16], [32, 3, 3, 3], []], [None, None, None, [1, 1], [0, 0], [1, 1], 1], 0),
        ("aten::linear", [[4, 5, 16], [32, 16], [32]], [None, None, None], 2 * 20 * 16 * 32),
        ("aten::addmm_", [[2, 4], [2, 3], [3, 4], [], []], [None, None, None, 1, 1], 2 * 2 * 3 * 4),
        ("aten::mv", [[2, 3], [3]], [], 12),
        ("aten::addmv", [[2], [2, 3], [3], [], []], [], 12),
        ("aten::dot", [[3], [3]], [], 6),
        ("aten::outer", [[3], [4]], [], 12),
        ("aten::addr", [[3, 4], [3], [4]], [], 24),
        ("aten::addbmm", [[2, 4], [5, 2, 3], [5, 3, 4], [], []], [], 2 * 5 * 2 * 3 * 4),
        ("aten::mm", [[0, 3], [3, 4]], [], 0),
        ("aten::mkldnn_linear_backward", [[6, 16], [6, 32], [32, 16], []], [None, None, None, [True, False, True]],
         2 * 6 * 16 * 32 + 6 * 32),
        ("aten::mkldnn_linear_backward_input", [[], [6, 32], [32, 16]], [[6, 16], None, None], 2 * 6 * 16 * 32),
        ("aten::mkldnn_linear_backward_weights", [[6, 32], [6, 16], [32, 16], []], [None, None, None, True],
         2 * 6 * 16 * 32 + 6 * 32),
        # scores 2·L·S·E and their product with v 2·L·S·Ev, for each of 2 × 4 heads
        ("aten::_scaled_dot_product_flash_attention_for_cpu",
         [[2, 4, 8, 16], [2, 4, 12, 16], [2, 4, 12, 16], [], [], [8, 12], []], [], 2 * 8 * 8 * 12 * (16 + 16)),
        # the extension packs the weight: its plain sizes are an argument
        ("torch_ipex::convolution_forward", [[2, 3, 10, 10], [1, 3, 3, 3, 48], [33], [1], [], [], [], [], []],
         [None, None, None, None, [33, 3, 3, 3], [0, 0], [1, 1], [1, 1], True], 2 * 2 * 33 * 8 * 8 * 27),
        ("torch_ipex::convolution_forward", [[4, 32, 32, 32], [4, 1, 1, 3, 3, 16, 16], [64], [1], [], [], [], [], []],
         [None, None, None, None, [64, 8, 3, 3], [1, 1], [1, 1], [1, 1], True], 2 * 4 * 64 * 32 * 32 * 8 * 9),
        ("torch_ipex::conv_transpose", [[2, 6, 10, 10], [2, 1, 1, 3, 3, 16, 16], [8], [1], [], [], [], [], [], [], []],
         [None, None, None, None, [6, 4, 3, 3], [0, 0], [0, 0], [2, 2], [1, 1], 2, True], 2 * 2 * 6 * 100 * 4 * 9),
        ("torch_ipex::ipex_linear", [[2, 5, 7], [2, 1, 8, 32, 2], [33], [1], []], [None, None, None, None, 33],
         2 * 10 * 7 * 33),
        ("torch_ipex::linear_backward", [[2, 5, 7], [2, 1, 8, 32, 2], [33], [2, 5, 33], [], [1]],
         [None, None, None, None, [True, True, True], None], 2 * (2 * 10 * 7 * 33) + 10 * 33),
    ],
)  # fmt: skip
def test_by_hand(name: str, shapes: list[Any], concrete: list[Any], flops: int) -> None:
    assert operator_flops(name, shapes, concrete) == flops


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("wanted", [(i, w, b) for i in (False, True) for w in (False, True) for b in (False, True)])
def test_only_the_wanted_gradients_of_a_convolution_count(transposed: bool, wanted: tuple[bool, ...]) -> None:
    forward = 2 * 4 * 6 * 64 * 4 * 9 if transposed else STEM_FLOPS
    shapes = (
        [[4, 8, 16, 16], [4, 6, 8, 8], [6, 4, 3, 3]] if transposed else [[4, 32, 32, 32], [4, 3, 64, 64], [32, 3, 7, 7]]
    )
    concrete = [None, None, None, [8], [2, 2], [3, 3], [1, 1], transposed, [0, 0], 1, list(wanted)]
    expected = forward * (wanted[0] + wanted[1]) + math.prod(shapes[0]) * wanted[2]
    assert operator_flops("aten::convolution_backward", shapes + [[]] * 8, concrete) == expected
    overrideable = concrete[:3] + concrete[4:]
    assert operator_flops("aten::convolution_backward_overrideable", shapes + [[]] * 7, overrideable) == expected


@pytest.mark.parametrize(
    ("name", "shapes", "concrete"),
    [
        ("aten::relu", [[4, 4]], []),
        ("aten::einsum", [[], [], []], []),
        ("aten::lstm", [[5, 3, 8], []], []),
        ("aten::_scaled_dot_product_attention_math", [[2, 4, 8, 16]] * 3, []),
        ("aten::conv2d", STEM, []),  # strides were not recorded
        ("aten::conv2d", [[4, 3, 9, 9], [32, 3, 3, 3]], [None, None, None, [1, 1], None, [1, 1], 1]),  # same or valid?
        ("aten::conv2d", [[4, 3, 2, 2], [32, 3, 3, 3]], [None, None, None, [1, 1], [0, 0], [1, 1], 1]),
        ("aten::conv2d", [[4, 3], [32, 3, 3, 3]], [None, None, None, [1, 1], [0, 0], [1, 1], 1]),
        ("aten::convolution_backward", [[4, 32, 32, 32], [4, 3, 64, 64], [32, 3, 7, 7]], []),
        ("aten::mm", [], []),
        ("aten::mm", [[2, 3], [4, 5]], []),
        ("aten::mm", [[[2, 3], [4, 5]], [3, 4]], []),
        ("aten::matmul", [[2, 3, 4], [5, 4, 3]], []),
        ("torch_ipex::convolution_backward", [[2, 3, 10, 10], [1, 3, 3, 3, 48], [33], [2, 33, 8, 8], [], [1], []],
         [None, None, None, None, [True, True, True], None, True]),
        ("torch_ipex::convolution_forward", [], []),
    ],
)  # fmt: skip
def test_what_is_not_known_is_none_and_not_zero(name: str, shapes: list[Any], concrete: list[Any]) -> None:
    assert operator_flops(name, shapes, concrete) is None


sizes = st.recursive(st.integers(-1, 5) | st.none() | st.booleans() | st.text(max_size=2), st.lists, max_leaves=8)


@given(st.sampled_from(sorted(FORMULAE)), st.lists(sizes, max_size=11), st.lists(sizes, max_size=11))
def test_no_event_is_too_strange(name: str, shapes: list[Any], concrete: list[Any]) -> None:
    flops = operator_flops(name, shapes, concrete)
    assert flops is None or type(flops) is int


# --- real operators against torch's own counter ----------------------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    small = st.integers(1, 3)
    kernel = draw(st.tuples(*[small] * rank))
    dilation = draw(st.tuples(*[st.integers(1, 2)] * rank))
    # At least 3: padding crops what a transposed convolution makes, and something has to be left of it.
    extent = [draw(st.integers(max(3, d * (k - 1) + 1), 9)) for k, d in zip(kernel, dilation, strict=True)]
    return {
        "rank": rank,
        "batch": draw(small),
        "inputs": groups * draw(small),
        "outputs": groups * draw(small),
        "kernel": kernel,
        "extent": extent,
        "groups": groups,
        "bias": draw(st.booleans()),
        "options": {
            "stride": draw(st.tuples(*[st.integers(1, 2)] * rank)),
            "padding": draw(st.tuples(*[st.integers(0, 1)] * rank)),
            "dilation": dilation,
            "groups": groups,
        },
    }


def convolution_of(case: dict[str, Any], transposed: bool) -> tuple[Callable[[], torch.Tensor], list[torch.Tensor]]:
    rank, groups, inputs, outputs = case["rank"], case["groups"], case["inputs"], case["outputs"]
    channels = (inputs, outputs // groups) if transposed else (outputs, inputs // groups)
    tensors = [leaf(case["batch"], inputs, *case["extent"]), leaf(*channels, *case["kernel"])]
    if case["bias"]:
        tensors.append(leaf(outputs))
    function = getattr(F, f"conv_transpose{rank}d" if transposed else f"conv{rank}d")
    return lambda: function(*tensors, **case["options"]), tensors


@given(convolutions(), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_convolutions_forward(case: dict[str, Any], transposed: bool, onednn: bool) -> None:
    run, _ = convolution_of(case, transposed)
    with torch.backends.mkldnn.flags(enabled=onednn):
        # Bias additions are in neither count: see the module's note on sums of products.
        expected = counted(run, aten.convolution)
        found = recorded(run)
    checked = CONVOLUTIONS & set(found)
    assert "aten::convolution" in checked
    for name in checked:  # without oneDNN the kernel below runs once a group
        assert sum(flops or 0 for flops in found[name]) == expected, name


@given(convolutions(), st.booleans(), st.sets(st.integers(0, 2), min_size=1))
@settings(max_examples=40, deadline=None)
def test_convolutions_backward(case: dict[str, Any], transposed: bool, wanted: set[int]) -> None:
    run, tensors = convolution_of(case, transposed)
    wanted = {at for at in wanted if at < len(tensors)}
    assume(wanted)
    output = run()
    gradient = torch.randn_like(output)

    def backward() -> None:
        torch.autograd.grad(output, [tensors[at] for at in sorted(wanted)], gradient, retain_graph=True)

    (found,) = recorded(backward)["aten::convolution_backward"]
    forward = recorded(run)["aten::convolution"][0]
    assert forward is not None
    # torch's counter takes the gradient of a grouped weight for that of a full one, `groups` times too much,
    # and leaves the additions of the bias's gradient out.
    expected = counted(backward, aten.convolution_backward)
    if 1 in wanted:
        expected -= (case["groups"] - 1) * forward
    if 2 in wanted:
        expected += output.numel()
    assert found == expected


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_given_as_a_word_is_known_one_operator_further_down(padding: str) -> None:
    run = lambda: F.conv2d(leaf(4, 3, 16, 16), leaf(32, 3, 3, 3), padding=padding)  # noqa: E731
    found = recorded(run)
    assert found["aten::conv2d"] == [None]
    assert found["aten::convolution"] == [counted(run, aten.convolution)]


dims = st.integers(0, 5)


@given(dims, dims, dims, dims)
@settings(max_examples=25, deadline=None)
def test_matrix_products(b: int, m: int, k: int, n: int) -> None:
    products = {
        "mm": (lambda: torch.mm(torch.ones(m, k), torch.ones(k, n)), aten.mm),
        "addmm": (lambda: torch.addmm(torch.ones(n), torch.ones(m, k), torch.ones(k, n)), aten.addmm),
        "bmm": (lambda: torch.bmm(torch.ones(b, m, k), torch.ones(b, k, n)), aten.bmm),
        "baddbmm": (
            lambda: torch.baddbmm(torch.ones(b, m, n), torch.ones(b, m, k), torch.ones(b, k, n)),
            aten.baddbmm,
        ),
    }
    for name, (run, operator) in products.items():
        assert recorded(run)[f"aten::{name}"] == [counted(run, operator)], name


@given(
    st.lists(st.integers(1, 3), max_size=2),
    st.lists(st.booleans(), max_size=4),
    st.sampled_from(["matrix", "vector"]),
    st.sampled_from(["matrix", "vector"]),
    st.tuples(*[st.integers(1, 4)] * 3),
)
@settings(max_examples=40, deadline=None)
def test_matmul_broadcasts(batch: list[int], ones: list[bool], left: str, right: str, mkn: tuple[int, ...]) -> None:
    m, k, n = mkn
    ones = [*ones, False, False, False, False]
    lead_left = [1 if one else size for one, size in zip(ones[:2], batch, strict=False)]
    lead_right = [1 if one else size for one, size in zip(ones[2:4], batch, strict=False)]
    a = torch.ones(k) if left == "vector" else torch.ones(*lead_left, m, k)
    b = torch.ones(k) if right == "vector" else torch.ones(*lead_right, k, n)
    run = lambda: torch.matmul(a, b)  # noqa: E731
    # A sum of k products for each element of the result.
    assert recorded(run)["aten::matmul"][0] == 2 * k * run().numel()


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), *[st.integers(1, 6)] * 3, st.booleans())
@settings(max_examples=20, deadline=None)
def test_attention(batch: int, heads: int, share: int, length: int, source: int, width: int, causal: bool) -> None:
    query, key, value = (
        leaf(batch, heads * share, length, width),
        leaf(batch, heads, source, width),
        leaf(batch, heads, source, width),
    )

    def run() -> None:
        F.scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=share > 1).sum().backward()

    found = recorded(run)
    name = "aten::_scaled_dot_product_flash_attention_for_cpu"
    shapes = query.shape, key.shape, value.shape
    # torch's counter has these formulae, but does not apply them to the CPU's operator.
    assert found[name] == [sdpa_flop_count(*shapes)]
    assert found["aten::scaled_dot_product_attention"] == found[name]
    full = (batch, heads * share)  # its backward wants each key head repeated
    repeated = (*full, source, width), (*full, source, width)
    assert found[f"{name}_backward"] == [sdpa_backward_flop_count(query.shape, query.shape, *repeated)]


def test_attention_with_a_narrower_value() -> None:
    backward = operator_flops(
        "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
        [[2, 4, 8, 5], [2, 4, 8, 16], [2, 4, 12, 16], [2, 4, 12, 5], [2, 4, 8, 5], [2, 4, 8], [], [], [], []],
    )
    assert backward == 2 * 8 * 8 * 12 * (3 * 16 + 2 * 5)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_an_lstm_is_counted_by_its_layers(directions: int, bias: bool) -> None:
    model = torch.nn.LSTM(8, 16, num_layers=2, batch_first=True, bidirectional=directions == 2, bias=bias)
    found = recorded(lambda: model(leaf(3, 5, 8))[0].sum().backward())
    cells = 3 * 5
    forward = [2 * cells * 4 * 16 * (width + 16) for width in (8, 16 * directions) for _ in range(directions)]
    assert found["aten::lstm"] == [None]
    assert found["aten::mkldnn_rnn_layer"] == forward
    assert sorted(found["aten::mkldnn_rnn_layer_backward"], key=str) == sorted(
        (2 * flops + cells * 4 * 16 * bias for flops in forward), key=str
    )


def test_a_training_step_s_kernels_are_all_counted() -> None:
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 10)
    )
    found = recorded(lambda: model(torch.randn(4, 3, 8, 8)).sum().backward())
    convolution, linear = 2 * 4 * 8 * 36 * 27, 2 * 4 * 8 * 36 * 10
    assert found["aten::mkldnn_convolution"] == [convolution]
    assert found["aten::convolution_backward"] == [convolution + 4 * 8 * 36]  # nobody wants the images' gradient
    assert found["aten::addmm"] == [linear]
    assert found["aten::mm"] == [linear, linear]
