"""FLOPs and bytes of oneDNN primitives: by hand, against benchdnn's way of counting, and on real logs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.flops import primitive_bytes, primitive_flops
from perfsuite.onednn import VerboseParser
from perfsuite.onednn.parser import Execution
from perfsuite.records import Primitive

LOGS = sorted(Path(__file__).with_name("data").glob("*.log"))
F32 = "src:f32 wei:f32 dst:f32"
KINDS = (
    "convolution", "deconvolution", "matmul", "inner_product", "rnn", "batch_normalization", "layer_normalization",
    "group_normalization", "pooling", "eltwise", "softmax", "reorder", "sum", "concat", "binary", "prelu", "reduction",
    "resampling", "shuffle", "lrn",
)  # fmt: skip


def primitive(
    kind: str, problem: str, dtypes: str = F32, direction: str = "undef", *,
    layouts: str = "", attributes: str = "", algorithm: str = "",
) -> Primitive:  # fmt: skip
    return Primitive(kind, "ref", direction, dtypes, layouts, attributes, algorithm, problem, 1, 1.0)


# --- convolutions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """A 2-d convolution as benchdnn has it; a dilation of 0 is none."""

    mb: int
    ic: int
    oc: int
    i: int
    o: int
    k: int
    s: int = 1
    d: int = 0
    p: int = 0
    g: int = 1

    @property
    def text(self) -> str:
        axis = "_".join(f"i{a}{self.i}o{a}{self.o}k{a}{self.k}s{a}{self.s}d{a}{self.d}p{a}{self.p}" for a in ("h", "w"))
        return (f"g{self.g}" if self.g > 1 else "") + f"mb{self.mb}_ic{self.ic}oc{self.oc}_{axis}"

    @property
    def taps_inside(self) -> int:
        """Pairs (output position, tap) whose input position is no padding: along one axis, squared."""
        taps = product(range(self.o), range(self.k))
        inside = sum(0 <= o * self.s - self.p + k * (self.d + 1) < self.i for o, k in taps)
        return inside**2

    @property
    def benchdnn(self) -> int:
        return 2 * self.mb * self.oc * self.ic // self.g * self.taps_inside


RESNET_STEM = Shape(4, 3, 32, 64, 32, 7, s=2, p=3)
SHAPES = {
    "plain": Shape(1, 5, 7, 10, 8, 3),
    "padded": Shape(4, 64, 64, 16, 16, 3, p=1),
    "strided": RESNET_STEM,
    "grouped": Shape(4, 32, 64, 32, 32, 3, p=1, g=4),
    "dilated": Shape(1, 5, 7, 16, 12, 3, d=1),
    "depthwise": Shape(2, 32, 32, 14, 14, 3, p=1, g=32),
}


def test_a_convolution_by_hand():
    # 4 images, 32 × 32 positions, 32 channels, each a sum over 3 channels and 7 × 7 taps
    conv = primitive("convolution", RESNET_STEM.text, direction="forward_training")
    assert primitive_flops(conv) == 2 * 4 * 32 * 32 * 32 * 3 * 7 * 7
    assert primitive_bytes(conv) == 4 * (4 * 3 * 64 * 64 + 32 * 3 * 7 * 7 + 4 * 32 * 32 * 32)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("direction", ["forward_training", "forward_inference", "backward_data", "backward_weights"])
def test_a_convolution_counts_what_benchdnn_counts_and_the_taps_on_padding(shape, direction):
    ours = primitive_flops(primitive("convolution", shape.text, direction=direction))
    assert ours is not None
    # Exactly: benchdnn's count times all taps ÷ those inside the image.
    assert ours * shape.taps_inside == shape.benchdnn * (shape.o * shape.k) ** 2
    if not shape.p:
        assert ours == shape.benchdnn


def test_a_gradient_of_the_bias_is_a_sum_of_its_own():
    dtypes = "src:f32 wei:f32 bia:f32 dst:f32"
    with_bias = primitive("convolution", SHAPES["plain"].text, dtypes, "backward_weights")
    assert primitive_flops(with_bias) == SHAPES["plain"].benchdnn + 1 * 7 * 8 * 8
    forward = replace(with_bias, direction="forward_training")
    assert primitive_flops(forward) == SHAPES["plain"].benchdnn
    assert primitive_bytes(forward) == primitive_bytes(with_bias) == 4 * (500 + 315 + 7 + 448)


def test_a_convolution_in_three_dimensions_and_one():
    cube = "mb2_ic3oc4_id5od3kd3sd1dd0pd0_ih6oh4kh3sh1dh0ph0_iw7ow5kw3sw1dw0pw0"
    assert primitive_flops(primitive("convolution", cube)) == 2 * 2 * 4 * 3 * (3 * 4 * 5) * 27
    line = "mb2_ic3oc4_iw7ow5kw3sw1dw0pw0"
    assert primitive_flops(primitive("convolution", line)) == 2 * 2 * 4 * 3 * 5 * 3
    assert primitive_bytes(primitive("convolution", line)) == 4 * (2 * 3 * 7 + 4 * 3 * 3 + 2 * 4 * 5)


def test_a_deconvolution_has_the_input_as_its_positions():
    # 8 → 15 with stride 2, kernel 3, padding 1: every input value meets the whole weight
    problem = "mb2_ic6oc4_ih8oh15kh3sh2dh0ph1_iw8ow15kw3sw2dw0pw1"
    deconv = primitive("deconvolution", problem)
    assert primitive_flops(deconv) == 2 * 2 * 6 * 4 * 8 * 8 * 9
    assert primitive_bytes(deconv) == 4 * (2 * 6 * 64 + 6 * 4 * 9 + 2 * 4 * 225)


def test_mixed_data_types_and_fused_operations():
    dtypes = "src:u8 wei:s8 bia:f32 dst:bf16"
    conv = primitive("convolution", SHAPES["plain"].text, dtypes, "forward_inference")
    assert primitive_bytes(conv) == 500 + 315 + 4 * 7 + 2 * 448
    with_sum = replace(conv, attributes="attr-scratchpad:user attr-post-ops:sum+eltwise_relu")
    assert primitive_bytes(with_sum) == 500 + 315 + 4 * 7 + 2 * 2 * 448
    # a value for each channel: bit 1 of the mask
    with_binary = replace(conv, attributes="attr-post-ops:binary_add:f32:2")
    assert primitive_bytes(with_binary) == 500 + 315 + 4 * 7 + 2 * 448 + 4 * 7
    with_depthwise = replace(conv, attributes="attr-post-ops:dw:k3s1p1")
    assert primitive_bytes(with_depthwise) is None


# --- products ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "flops", "elements"),
    [
        ("10x16:16x48", 2 * 10 * 16 * 48, 160 + 768 + 480),
        ("2x20x80:2x80x12", 2 * 2 * 20 * 80 * 12, 3200 + 1920 + 480),
        ("2x20x80:1x80x12", 2 * 2 * 20 * 80 * 12, 3200 + 960 + 480),
        ("1x3x4x5:2x1x5x6", 2 * 2 * 3 * 4 * 5 * 6, 60 + 60 + 144),
        ("10x16:16x48:10x48", 2 * 10 * 16 * 48, 160 + 768 + 480),
        ("0x16:16x48", 0, 768),
    ],
)
def test_a_matrix_product(problem, flops, elements):
    product_ = primitive("matmul", problem)
    assert primitive_flops(product_) == flops
    assert primitive_bytes(product_) == 4 * elements


def test_the_bias_of_a_matrix_product_has_the_dimensions_of_its_mask():
    dtypes = "src:bf16 wei:bf16 bia:f32 dst:bf16"
    row = primitive("matmul", "10x16:16x48", dtypes, layouts="src:ab wei:ab bia:ab:f0_mask2 dst:ab")
    assert primitive_bytes(row) == 2 * (160 + 768 + 480) + 4 * 48
    whole = replace(row, layouts="src:ab wei:ab bia:ab:f0_mask3 dst:ab")
    assert primitive_bytes(whole) == 2 * (160 + 768 + 480) + 4 * 480


def test_an_inner_product():
    plain = primitive("inner_product", "mb4ic512oc1000", direction="forward_training")
    assert primitive_flops(plain) == 2 * 4 * 512 * 1000
    assert primitive_bytes(plain) == 4 * (2048 + 512000 + 4000)
    spatial = primitive("inner_product", "mb4ic64ih7iw7oc10", direction="backward_data")
    assert primitive_flops(spatial) == 2 * 4 * 64 * 49 * 10
    weights = primitive("inner_product", "mb4ic512oc1000", "src:f32 wei:f32 bia:f32 dst:f32", "backward_weights")
    assert primitive_flops(weights) == 2 * 4 * 512 * 1000 + 4000


LSTM = "l1t5mb3sic16slc8dhc16dic16"
LSTM_DTYPES = "src_layer:f32 src_iter:f32 wei_layer:f32 wei_iter:f32 bias:f32 dst_layer:f32 dst_iter:f32"
ONE_WAY = "alg:vanilla_lstm direction:unidirectional_left2right activation:undef flags:"


def test_an_lstm_by_hand():
    lstm = primitive("rnn", LSTM, LSTM_DTYPES, "forward_training", algorithm=ONE_WAY)
    # 5 steps of 3 sequences: 4 gates of 16 values from 8 inputs and from 16 states
    assert primitive_flops(lstm) == 5 * 3 * 2 * 4 * 16 * (8 + 16)
    layer, states, weights = 5 * 3 * 8, 2 * 3 * 16, 4 * 16 * (8 + 16)
    assert primitive_bytes(lstm) == 4 * (layer + states + weights + 4 * 16 + 5 * 3 * 16 + states)


def test_backward_an_lstm_meets_each_product_twice():
    gradients = " ".join(f"diff_{token}" for token in LSTM_DTYPES.split())
    forward = primitive("rnn", LSTM, LSTM_DTYPES, "forward_training", algorithm=ONE_WAY)
    backward = replace(forward, direction="backward", dtypes=f"{LSTM_DTYPES} {gradients}")
    products, moved = primitive_flops(forward), primitive_bytes(forward)
    assert products is not None
    assert moved is not None
    assert primitive_flops(backward) == 2 * products + 5 * 3 * 4 * 16
    assert primitive_bytes(backward) == 2 * moved


@pytest.mark.parametrize(
    ("cell", "gates", "bias_gates"),
    [("vanilla_rnn", 1, 1), ("vanilla_gru", 3, 3), ("lbr_gru", 3, 4), ("vanilla_augru", 3, 3), ("lbr_augru", 3, 4)],
)
def test_other_cells_and_both_directions(cell, gates, bias_gates):
    algorithm = f"alg:{cell} direction:bidirectional_concat activation:eltwise_tanh flags:"
    rnn = primitive("rnn", "l2t5mb3sic16slc16dhc16dic16", LSTM_DTYPES, "forward_training", algorithm=algorithm)
    assert primitive_flops(rnn) == 2 * 2 * 5 * 3 * 2 * gates * 16 * (16 + 16)
    weights = 2 * 2 * (gates * 16 * (16 + 16) + bias_gates * 16)
    states = 2 * 2 * 3 * 16
    assert primitive_bytes(rnn) == 4 * (5 * 3 * 16 + states + weights + 5 * 3 * 32 + states)


def test_a_projection_is_a_product_too():
    dtypes = LSTM_DTYPES.replace("bias", "wei_proj:f32 bias")
    lstm = primitive("rnn", "l1t5mb3sic12slc8dhc16dic12", dtypes, "forward_training", algorithm=ONE_WAY)
    assert primitive_flops(lstm) == 5 * 3 * 2 * (4 * 16 * (8 + 12) + 16 * 12)


# --- what moves but does not multiply ---------------------------------------------------------------

N = 2 * 8 * 4 * 4
BOTH = "data:f32 diff:f32"


@pytest.mark.parametrize(
    ("kind", "problem", "dtypes", "direction", "algorithm", "moved"),
    [
        # src, dst, mean and variance of 8 channels written, scale and shift read
        ("batch_normalization", "mb2ic8ih4iw4", "data:f32", "forward_training", "flags:CH", 4 * (2 * N + 32)),
        ("batch_normalization", "mb2ic8ih4iw4", "data:bf16", "forward_training", "flags:CH", 2 * 2 * N + 4 * 32),
        ("batch_normalization", "mb2ic8ih4iw4", "data:f32", "forward_inference", "flags:GCH", 4 * (2 * N + 32)),
        ("batch_normalization", "mb2ic8ih4iw4", "data:f32", "forward_inference", "flags:", 4 * 2 * N),
        # the mask of a fused ReLU has one bit for each element
        ("batch_normalization", "mb2ic8ih4iw4", "data:f32", "forward_training", "flags:CHR", 4 * (2 * N + 32) + N // 8),
        # src and its gradient, that of dst; statistics, scale, and the gradients of scale and shift
        ("batch_normalization", "mb2ic8ih4iw4", BOTH, "backward", "flags:CH", 4 * (3 * N + 16 + 24)),
        ("batch_normalization", "mb2ic8ih4iw4", BOTH, "backward_data", "flags:CH", 4 * (3 * N + 16 + 8)),
        ("layer_normalization", "6x16", "src:f32 dst:f32 stats:f32 scale:f32 shift:f32", "forward_training",
         "flags:CH", 4 * (2 * 96 + 2 * 6 + 32)),
        ("layer_normalization", "6x16", "src:f32 dst:f32 stats:f32 scale:f32 shift:f32 diff_src:f32 diff_scale:f32 "
         "diff_shift:f32", "backward", "flags:CH", 4 * (3 * 96 + 2 * 6 + 3 * 16)),
        ("group_normalization", "g4mb2ic8ih4iw4", "src:f32 dst:f32", "forward_training", "flags:CH",
         4 * (2 * N + 2 * 8 + 2 * 8)),
        ("pooling", "mb2ic8_ih4oh2kh2sh2dh0ph0_iw4ow2kw2sw2dw0pw0", "src:f32 dst:f32", "forward_inference", "",
         4 * (N + N // 4)),
        ("pooling", "mb2ic8_ih4oh2kh2sh2dh0ph0_iw4ow2kw2sw2dw0pw0", "src:f32 dst:f32 ws:u8", "forward_training", "",
         4 * (N + N // 4) + N // 4),
        ("pooling", "mb2ic8_ih4oh2kh2sh2dh0ph0_iw4ow2kw2sw2dw0pw0", "src:f32 dst:f32 ws:s32", "backward_data", "",
         4 * (N + 2 * (N // 4))),
        ("eltwise", "2x8x4x4", "data:f32", "forward_training", "alg:eltwise_relu alpha:0 beta:0", 8 * N),
        ("eltwise", "2x8x4x4", BOTH, "backward_data", "alg:eltwise_relu alpha:0 beta:0", 12 * N),
        ("softmax", "32x10", "src:f32 dst:f32", "forward_inference", "alg:softmax_accurate axis:1", 8 * 320),
        ("softmax", "32x10", "src:f32 dst:f32 diff_dst:f32", "backward_data", "", 12 * 320),
        ("reorder", "4x16x8x3x3", "src:f32 dst:bf16", "undef", "", 6 * 4608),
        ("reorder", "3x5", "src:f32 dst:s4", "undef", "", 4 * 15 + 8),
        ("sum", "3x4", "src:f32 src:f32 dst:f32", "undef", "", 12 * 12),
        ("binary", "2x8x4x4:1x8x1x1", "src:f32 src:f32 dst:f32", "undef", "alg:binary_add", 4 * (2 * N + 8)),
        ("concat", "2x3:2x5", "src:f32 src:f32 dst:f32", "undef", "axis:1", 4 * 32),
        ("prelu", "2x8x4x4:1x8x1x1", "data:f32 wei:f32", "forward_training", "", 4 * (2 * N + 8)),
        ("prelu", "2x8x4x4:1x8x1x1", "data:f32 wei:f32 diff:f32 diff_wei:f32", "backward", "", 4 * (3 * N + 16)),
        ("reduction", "2x8x4x4:2x8x1x1", "src:f32 dst:f32", "undef", "alg:reduction_mean p:0 eps:0", 4 * (N + 16)),
        ("resampling", "mb1ic2_ih4oh8_iw4ow8", "src:f32 dst:f32", "forward_training", "", 4 * (32 + 128)),
        ("shuffle", "2x8x4x4", "data:f32", "forward_training", "axis:1 group:2", 8 * N),
        ("lrn", "mb2ic8ih4iw4ls5beta0.75", "data:f32", "forward_inference", "alg:lrn_across_channels", 8 * N),
        ("lrn", "mb2ic8ih4iw4ls5beta0.75", BOTH, "backward_data", "alg:lrn_across_channels", 12 * N),
    ],
)  # fmt: skip
def test_bytes_by_hand(kind, problem, dtypes, direction, algorithm, moved):
    one = primitive(kind, problem, dtypes, direction, algorithm=algorithm)
    assert primitive_bytes(one) == moved
    # These kinds multiply no matrices: benchdnn quotes no operations for them, and neither do we.
    assert primitive_flops(one) is None


# --- real logs --------------------------------------------------------------------------------------


def executions(path: Path) -> list[Execution]:
    parser = VerboseParser()
    found = (parser.feed(line) for line in path.read_text().splitlines())
    return [execution for execution in found if execution is not None]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_execution_of_a_real_log_has_its_bytes_and_every_product_its_flops(path):
    found = executions(path)
    assert found
    for one in found:
        moved = primitive_bytes(one)
        assert moved is not None, one
        assert moved > 0, one
        products = one.kind in ("convolution", "deconvolution", "matmul", "inner_product", "rnn")
        assert (primitive_flops(one) is not None) == products, one


# --- properties -------------------------------------------------------------------------------------

SIZE = st.integers(1, 9)


@given(mb=SIZE, ic=SIZE, oc=SIZE, g=SIZE, size=st.integers(5, 9), k=st.integers(1, 3))
def test_groups_divide_the_work_of_a_convolution(mb, ic, oc, g, size, k):
    dense = Shape(mb, ic * g, oc * g, size, size - k + 1, k)
    flops = primitive_flops(primitive("convolution", dense.text))
    assert flops is not None
    assert primitive_flops(primitive("convolution", replace(dense, g=g).text)) == flops // g
    assert flops % g == 0


@given(mb=SIZE, ic=SIZE, oc=SIZE, size=st.integers(5, 9), k=st.integers(1, 3), s=st.integers(1, 2))
def test_the_three_directions_of_a_convolution_do_and_move_the_same(mb, ic, oc, size, k, s):
    shape = Shape(mb, ic, oc, size, (size - k) // s + 1, k, s=s)
    directions = ("forward_training", "backward_data", "backward_weights")
    all_three = [primitive("convolution", shape.text, direction=direction) for direction in directions]
    assert len({primitive_flops(one) for one in all_three}) == 1
    assert len({primitive_bytes(one) for one in all_three}) == 1
    output = 4 * mb * oc * shape.o**2
    assert all((primitive_bytes(one) or 0) >= output for one in all_three)


@given(
    kind=st.sampled_from(KINDS) | st.text(max_size=5),
    direction=st.sampled_from(("undef", "forward_training", "backward", "backward_weights", "")),
    dtypes=st.lists(st.sampled_from(("src:f32", "wei:bf16", "dst:s4", "data:f32", "diff:f32", "bia:u8", "x", ":"))),
    words=st.tuples(st.text(max_size=9), st.text(max_size=9), st.text(max_size=9)),
    problem=st.text("0123456789xmbicohkw_:.-e", max_size=30) | st.text(max_size=20)
    | st.sampled_from([s.text for s in SHAPES.values()]),
)  # fmt: skip
def test_what_cannot_be_read_is_unknown_and_never_raises(kind, direction, dtypes, words, problem):
    layouts, attributes, algorithm = words
    for flags in (algorithm, f"flags:{algorithm}", f"alg:vanilla_lstm {algorithm}"):
        one = primitive(
            kind, problem, " ".join(dtypes), direction, layouts=layouts,
            attributes=f"attr-post-ops:{attributes}", algorithm=flags,
        )  # fmt: skip
        for count in (primitive_flops(one), primitive_bytes(one)):
            assert count is None or (isinstance(count, int) and count >= 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_problem_that_says_nothing_is_unknown(kind):
    for problem in ("", "*x4:4x*", "mb", "mb2ic", "9" * 5000, "x", ":", "mb-1_ic3oc4_iw1ow1kw1"):
        assert primitive_flops(primitive(kind, problem)) is None
        assert primitive_bytes(primitive(kind, problem)) is None


def test_groups_that_do_not_divide_the_channels_are_unknown():
    assert primitive_flops(primitive("convolution", "g0mb1_ic1oc1_iw1ow1kw1")) is None
    assert primitive_flops(primitive("convolution", "g2mb1_ic3oc4_iw1ow1kw1")) is None


def test_kinds_that_perfsuite_does_not_know_are_unknown():
    assert primitive_flops(primitive("sdpa", "1x2x3x4:1x2x4x3")) is None
    assert primitive_bytes(primitive("gated_mlp", "mb1ic2oc3")) is None
