"""Which data type a primitive multiplies in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.flops.dtypes import compute_dtype
from perfsuite.onednn import VerboseParser

LOGS = sorted(Path(__file__).with_name("data").glob("*.log"))
F32 = "src:f32 wei:f32 dst:f32"
BF16 = "attr-scratchpad:user attr-fpmath:bf16"


@pytest.mark.parametrize(
    ("dtypes", "found"),
    [
        (F32, "f32"),
        ("src:bf16 wei:bf16 dst:f32", "bf16"),  # forward, a wider result
        ("src:f32 wei:bf16 dst:bf16", "bf16"),  # backward_data: the source is the result
        ("src:bf16 wei:f32 bia:f32 dst:bf16", "bf16"),  # backward_weights
        ("src:u8 wei:s8 bia:f32 dst:f32", "u8"),
        ("src:f32 wei:s8 dst:f32", "f32"),  # weights are unpacked first
        ("src:bf16 wei:s4 dst:f32", "bf16"),
        ("src:f8_e5m2 wei:f8_e4m3 dst:f32", "f8_e5m2"),
        ("src_layer:bf16 src_iter:bf16 wei_layer:bf16 wei_iter:bf16 bias:f32 dst_layer:bf16", "bf16"),
        ("src:f32 dst:bf16", "f32"),
        ("data:f16 diff:f16", "f16"),
        ("", None),
        ("src:new_type", None),
    ],
)
def test_most_of_source_weights_and_destination_count(dtypes, found):
    assert compute_dtype(dtypes, "", "jit:avx512_core") == found


@pytest.mark.parametrize(
    ("attributes", "implementation", "found"),
    [
        (BF16, "brg_matmul:avx512_core_amx", "bf16"),
        (BF16, "brgconv:avx10_1_512_amx", "bf16"),
        (BF16, "brg_matmul:avx10_2_amx_2", "bf16"),
        ("attr-fpmath:bf16:true", "brg_matmul:avx512_core_amx", "bf16"),
        ("attr-fpmath:any", "brg_matmul:avx512_core_amx", "bf16"),
        ("attr-fpmath:tf32", "brg_matmul:avx10_2_amx_2", "tf32"),
        ("", "brg_conv_fwd:avx512_core_bf16", "bf16"),
        ("", "brg_conv_bwd:avx512_core_bf16+jit:avx512_core", "bf16"),
        (BF16, "gemm:acl", "bf16"),
        ("", "gemm:acl", "f32"),
        # What oneDNN 3.12 writes on a CPU with avx512_bf16 and without AMX: permitted, and not done.
        (BF16, "jit:avx512_core", "f32"),
        (BF16, "brg_matmul:avx512_core", "f32"),
        (BF16, "ref", "f32"),
        (BF16, "x64:gemm:jit", "f32"),
        ("attr-fpmath:strict", "jit:avx512_core", "f32"),
    ],
)
def test_float32_is_rounded_where_it_may_be_and_the_implementation_does(attributes, implementation, found):
    assert compute_dtype(F32, attributes, implementation) == found


def test_a_math_mode_does_not_change_other_types_nor_what_multiplies_nothing():
    assert compute_dtype("src:f16 wei:f16 dst:f32", BF16, "brg_matmul:avx512_core_amx_fp16") == "f16"
    assert compute_dtype("src:f32 dst:bf16", "", "jit:avx512_core_bf16") == "f32"


def test_real_executions_have_one_of_their_own_types():
    seen = set()
    for log in LOGS:
        parser = VerboseParser()
        for one in filter(None, map(parser.feed, log.read_text().splitlines())):
            if one.kind in ("convolution", "matmul", "rnn", "inner_product"):
                found = compute_dtype(one.dtypes, one.attributes, one.implementation)
                assert found in {word.rpartition(":")[2] for word in one.dtypes.split()}
                seen.add(found)
    assert seen >= {"f32", "bf16"}


@given(st.text(), st.text(), st.text())
def test_any_text_gives_a_type_or_none(dtypes, attributes, implementation):
    found = compute_dtype(dtypes, attributes, implementation)
    assert found is None or found in dtypes or found in ("bf16", "f16", "tf32")
