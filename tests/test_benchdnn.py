"""Exact command lines; the records are of real logs, or of benchdnn's own, or written in the same form."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.benchdnn import CannotWrite, Problem, command, problems
from perfsuite.benchdnn.tensors import Tensor, tensors
from perfsuite.onednn import Distinct, tally

USER = "attr-scratchpad:user"
COMMON = "--reset --allow-enum-tags-only=0 --engine=cpu "


def primitives(*records: str) -> tuple[Distinct, ...]:
    """What a log of these records holds; each is what follows the engine, without the time."""
    lines = [f"onednn_verbose,v1,primitive,exec,cpu,{record},0.5\n" for record in records]
    counted = tally(io.BytesIO("".join(lines).encode()))
    assert counted.executions == len(records), counted.rejects
    return counted.primitives


def written(record: str) -> str:
    (primitive,) = primitives(record)
    return command(primitive)[0].replace(COMMON, "")


def refused(record: str) -> str:
    (primitive,) = primitives(record)
    with pytest.raises(CannotWrite) as error:
        command(primitive)
    return str(error.value)


def matmul(attributes: str, *, src: str = "src:f32::blocked:ab::f0", problem: str = "8x4:4x6") -> str:
    return (
        f"matmul,brg_matmul:avx512_core,undef,{src} wei:f32::blocked:ab::f0 dst:f32::blocked:ab::f0,"
        f"{attributes},,{problem}"
    )


# --- one line of each driver ------------------------------------------------------------------------

CASES = {
    "conv": (
        "convolution,brg_conv_fwd:avx512_core,forward_training,src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb32a::f0 "
        "bia:f32:a:blocked:a::f0 dst:f32::blocked:acdb::f0,attr-scratchpad:user,alg:convolution_direct,"
        "mb4_ic3oc32_ih64oh32kh7sh2dh0ph3_iw64ow32kw7sw2dw0pw3",
        "--conv --dir=FWD_B --dt=f32:f32:f32 --alg=direct --stag=acdb --wtag=any --dtag=acdb "
        "--attr-scratchpad=user mb4_ic3oc32_ih64oh32kh7sh2dh0ph3_iw64ow32kw7sw2dw0pw3",
    ),
    "conv grouped, backward by data": (
        "convolution,jit:avx512_core,backward_data,src:f32:a:blocked:aBcd4b::f0 wei:f32:a:blocked:aBCde4b4c::f0 "
        "bia:undef::undef::: dst:f32:a:blocked:aBcd4b::f0,attr-scratchpad:user,alg:convolution_direct,"
        "g4mb2_ic16oc32_ih14oh7kh3sh2dh0ph1_iw14ow7kw3sw2dw0pw1",
        "--conv --dir=BWD_D --dt=f32:f32:f32 --alg=direct --stag=any --wtag=any --dtag=any --attr-scratchpad=user "
        "g4mb2_ic16oc32_ih14oh7kh3sh2dh0ph1_iw14ow7kw3sw2dw0pw1",
    ),
    "conv of 8-bit integers": (
        "convolution,brg_conv_fwd:avx512_core_vnni,forward_inference,src:u8::blocked:acdb::f0 "
        "wei:s8:ap:blocked:AcdB16a4b::f8:zpm1 bia:f32:a:blocked:a::f0 dst:u8::blocked:acdb::f0,attr-scratchpad:user "
        "attr-scales:src0:0:f32+dst:0:f32+wei:1:f32 attr-zero-points:src0:0:s32 attr-post-ops:eltwise_relu,"
        "alg:convolution_direct,mb2_ic3oc16_ih8oh8kh3sh1dh0ph1_iw8ow8kw3sw1dw0pw1",
        "--conv --dir=FWD_I --dt=u8:s8:u8 --bia-dt=f32 --alg=direct --stag=acdb --wtag=any --dtag=acdb "
        "--attr-scratchpad=user --attr-scales=src0:0:0.5+dst:0:0.5+wei:1 --attr-zero-points=src0:0:1 "
        "--attr-post-ops=eltwise_relu mb2_ic3oc16_ih8oh8kh3sh1dh0ph1_iw8ow8kw3sw1dw0pw1",
    ),
    "conv with a depthwise one behind it": (
        "convolution,ref_fused_convolution:any,forward_inference,src:f32:a:blocked:abcd::f0 "
        "wei:f32:a:blocked:abcd::f0 bia:undef::undef::: src_fused:bf16:a:blocked:abcd::f0 "
        "wei_fused:f32::blocked:abcde::f0 bia_fused:undef::undef::: "
        "dst:f32::blocked:abcd::f0,attr-post-ops:dw:k3s1p1,alg:convolution_direct,"
        "mb2_ic64oc128_ih56oh56kh1sh1dh0ph0_iw56ow56kw1sw1dw0pw0",
        "--conv --dir=FWD_I --dt=f32:f32:bf16 --alg=direct --stag=any --wtag=any --dtag=any --attr-post-ops=dw:k3s1p1 "
        "mb2_ic64oc128_ih56oh56kh1sh1dh0ph0_iw56ow56kw1sw1dw0pw0",
    ),
    "conv of a source with strides": (
        "convolution,ref:any,backward_weights,src:f32::blocked:acdb:6272x1x448x32:f0 wei:f32:a:blocked:abcd::f0 "
        "bia:undef::undef::: dst:f32:a:blocked:acdb::f0,,alg:convolution_auto,mb2_ic16oc32_ih14oh14kh1sh1dh0ph0",
        "--conv --dir=BWD_W --dt=f32:f32:f32 --alg=auto --wtag=any --dtag=any --strides=6272x1x448x32:: "
        "mb2_ic16oc32_ih14oh14kh1sh1dh0ph0",
    ),
    "deconv": (
        "deconvolution,brg_deconv:avx512_core_bf16,forward_training,src:bf16:a:blocked:acdb::f0 "
        "wei:bf16:ap:blocked:AcdB16a2b::f0 bia:bf16:a:blocked:a::f0 dst:bf16:a:blocked:acdb::f0,attr-scratchpad:user,"
        "alg:deconvolution_direct,mb2_ic16oc8_ih9oh18kh4sh2dh0ph1_iw9ow18kw4sw2dw0pw1",
        "--deconv --dir=FWD_D --dt=bf16:bf16:bf16 --bia-dt=bf16 --stag=any --wtag=any --dtag=any --alg=direct "
        "--attr-scratchpad=user mb2_ic16oc8_ih9oh18kh4sh2dh0ph1_iw9ow18kw4sw2dw0pw1",
    ),
    "matmul": (
        "matmul,brg_matmul:avx512_core_bf16,undef,src:bf16::blocked:ab::f0 wei:bf16::blocked:ba::f0 "
        "dst:bf16::blocked:ab::f0,attr-scratchpad:user attr-post-ops:sum,,33x65:65x17",
        "--matmul --dt=bf16:bf16:bf16 --stag=ab --wtag=ba --dtag=ab --attr-scratchpad=user --attr-post-ops=sum "
        "33x65:65x17",
    ),
    "matmul with a bias, of 8-bit integers": (
        "matmul,brg_matmul:avx512_core_vnni,undef,src:u8:a:blocked:ab::f0 wei:s8:p:blocked:AB16a64b4a::f8:zpm2 "
        "bia:f32:a:blocked:ab::f0_mask2 dst:u8:a:blocked:ab::f0,attr-scratchpad:user "
        "attr-scales:src0:0:f32+dst:0:f32+wei:2:f32 attr-zero-points:src0:0:s32+dst:0:s32 attr-post-ops:eltwise_relu,,"
        "4x16:16x8",
        "--matmul --dt=u8:s8:u8 --bia-dt=f32 --bia_mask=2 --stag=any --wtag=any --dtag=any --attr-scratchpad=user "
        "--attr-scales=src0:0:0.5+dst:0:0.5+wei:2 --attr-zero-points=src0:0:1+dst:0:1 --attr-post-ops=eltwise_relu "
        "4x16:16x8",
    ),
    "matmul with strides": (
        "matmul,gemm:jit:f32,undef,src:f32::blocked:ab:8x1:f0 wei:f32:a:blocked:ab::f0 dst:f32::blocked:ab:8x1:f0,,,"
        "4x6:6x5",
        "--matmul --dt=f32:f32:f32 --wtag=any --strides=8x1::8x1 4x6:6x5",
    ),
    "matmul of dimensions known late": (
        "matmul,gemm:jit:f32,undef,src:f32::blocked:ab::f0 wei:f32::blocked:ab::f0 dst:f32::blocked:ab::f0,,"
        "runtime_dims_masks:1:0,8x4:4x6",
        "--matmul --dt=f32:f32:f32 --stag=ab --wtag=ab --dtag=ab --runtime_dims_masks=1:0 8x4:4x6",
    ),
    "ip": (
        "inner_product,brg_matmul:avx512_core,forward_inference,src:f32::blocked:ab::f0 wei:f32::blocked:ab::f0 "
        "bia:undef::undef::: dst:f32::blocked:ab::f0,attr-scratchpad:user attr-post-ops:binary_add:f32:3:ab,,"
        "mb4ic16oc8",
        "--ip --dir=FWD_I --dt=f32:f32:f32 --stag=ab --wtag=ab --dtag=ab --attr-scratchpad=user "
        "--attr-post-ops=binary_add:f32:3:ab mb4ic16oc8",
    ),
    "bnorm": (
        "batch_normalization,ncsp_bnorm:any,backward,data:f32::blocked:abcd::f0 diff:f32::blocked:abcd::f0,"
        "attr-scratchpad:user,flags:CH,mb2ic16ih14iw14",
        "--bnorm --dir=BWD_DW --dt=f32 --tag=abcd --flags=CH --attr-scratchpad=user mb2ic16ih14iw14",
    ),
    "bnorm without flags": (
        "batch_normalization,ncsp_bnorm:any,forward_training,data:f32::blocked:abcd::f0,,flags:,mb2ic16ih14iw14",
        "--bnorm --dir=FWD_D --dt=f32 --tag=abcd mb2ic16ih14iw14",
    ),
    "lnorm": (
        "layer_normalization,ref:any,forward_training,src:f32::blocked:acdb::f0 dst:bf16:a:blocked:acdb::f0 "
        "stats:f32::blocked:acb::f0 scale:f32::blocked:a::f0 shift:f32::blocked:a::f0,"
        "attr-post-ops:binary_add:f32:8:any,flags:CHM,6x2x128x1024",
        "--lnorm --dir=FWD_D --dt=f32:bf16 --tag=acdb:any --flags=CHM --stat_tag=acb --ss_dt=f32 "
        "--attr-post-ops=binary_add:f32:8 6x2x128x1024",
    ),
    "lnorm, backward": (
        "layer_normalization,simple:any,backward_data,src:f32::blocked:ab::f0 dst:f32:a:blocked:ab::f0 "
        "stats:f32::blocked:a::f0 diff_src:f32::blocked:ab::f0,,flags:,15x3",
        "--lnorm --dir=BWD_D --dt=f32:f32 --tag=ab:any --stat_tag=a 15x3",
    ),
    "gnorm": (
        "group_normalization,ncsp_gnorm:any,forward_inference,src:bf16::blocked:acdb::f0 dst:u8::blocked:acdb::f0,"
        "attr-scales:dst:0:f32,flags:CH,g2mb2ic30ih1iw1",
        "--gnorm --dir=FWD_I --dt=bf16:u8 --tag=acdb:acdb --flags=CH --attr-scales=dst:0:0.5 g2mb2ic30ih1iw1",
    ),
    "pool": (
        "pooling,jit:avx512_core,forward_training,src:f32::blocked:abcd::f0 dst:f32:a:blocked:abcd::f0 "
        "ws:u8::blocked:abcd::f0,attr-scratchpad:user,alg:pooling_max,mb2ic16_ih14oh7kh3sh2dh0ph1_iw14ow7kw3sw2dw0pw1",
        "--pool --dir=FWD_D --dt=f32:f32 --tag=abcd --alg=pooling_max --attr-scratchpad=user "
        "mb2ic16_ih14oh7kh3sh2dh0ph1_iw14ow7kw3sw2dw0pw1",
    ),
    "eltwise": (
        "eltwise,jit:avx512_core_bf16,backward_data,data:f32::blocked:abcd::f0 diff:f32::blocked:abcd::f0,"
        "attr-scratchpad:user,alg:eltwise_relu alpha:0.1 beta:0,2x16x14x14",
        "--eltwise --dir=BWD_D --dt=f32 --tag=abcd --alg=eltwise_relu --alpha=0.1 --beta=0 --attr-scratchpad=user "
        "2x16x14x14",
    ),
    "softmax": (
        "softmax,jit:avx512_core_bf16,forward_training,src:bf16::blocked:abcd::f0 dst:f32:a:blocked:abcd::f0,"
        "attr-scratchpad:user,alg:softmax_accurate axis:1,2x16x14x14",
        "--softmax --dir=FWD_D --sdt=bf16 --ddt=f32 --stag=abcd --dtag=any --alg=softmax_accurate --axis=1 "
        "--attr-scratchpad=user 2x16x14x14",
    ),
    "logsoftmax, before 2.7": (
        "logsoftmax,jit:avx512_core,forward_training,data_f32::blocked:ab:f0 diff_undef::undef::f0,,axis:1,32x1000",
        "--softmax --dir=FWD_D --sdt=f32 --ddt=f32 --stag=ab --dtag=ab --alg=softmax_log --axis=1 32x1000",
    ),
    "reorder": (
        "reorder,jit:uni,undef,src:f32::blocked:abdec::f0 dst:bf16:p:blocked:aBCde16c16b::f0,attr-scratchpad:user,,"
        "4x16x8x3x3",
        "--reorder --sdt=f32 --ddt=bf16 --stag=abdec --dtag=aBCde16c16b --attr-scratchpad=user 4x16x8x3x3",
    ),
    "reorder with compensation": (
        "reorder,simple:any,undef,src:f32::blocked:abc::f0 dst:s8::blocked:cba::f9:s8m1:zpm3,,,32x32x3",
        "--reorder --sdt=f32 --ddt=s8 --stag=abc --dtag=cba --oflag=s8s8_comp:1+zp_comp:3 32x32x3",
    ),
    "reorder of dimensions known late": (
        "reorder,simple:any,undef,src:f32::blocked:ab::f0 dst:f32::blocked:ba::f0,,runtime-dim-mask:1,8x4",
        "--reorder --sdt=f32 --ddt=f32 --stag=ab --dtag=ba --runtime-dim-mask=1 8x4",
    ),
    "reorder from strides": (
        "reorder,simple:any,undef,src:f32::blocked:ab:16x1:f0 dst:f32::blocked:ba::f0,,,8x4",
        "--reorder --sdt=f32 --ddt=f32 --dtag=ba --strides=16x1: 8x4",
    ),
    "rnn": (
        "rnn,brgemm:avx512_core_bf16,forward_inference,src_layer:bf16::blocked:abc::f0 src_iter:bf16::blocked:abcd::f0 "
        "wei_layer:bf16:a:blocked:abdEC32e2c::f0 wei_iter:bf16:a:blocked:abdEC32e2c::f0 bias:f32::blocked:abcd::f0 "
        "dst_layer:bf16::blocked:abc::f0 dst_iter:bf16::blocked:abcd::f0,attr-scratchpad:user,alg:vanilla_lstm "
        "direction:unidirectional_left2right activation:undef flags:,l1t5mb3sic32slc16dhc32dic32",
        "--rnn --prop=FWD_I --alg=VANILLA_LSTM --direction=left2right --cfg=bf16f32 --tag=abc:any:abc "
        "--trivial-strides=true --attr-scratchpad=user l1t5mb3sic32slc16dhc32dic32",
    ),
    "rnn, backward": (
        "rnn,ref,backward,src_layer:f32::blocked:abc::f0 src_iter:f32::blocked:abcd::f0 "
        "wei_layer:f32:a:blocked:abdec::f0 wei_iter:f32:a:blocked:abdec::f0 bias:f32::blocked:abcd::f0 "
        "dst_layer:f32::blocked:abc::f0 dst_iter:f32::blocked:abcd::f0 diff_src_layer:f32::blocked:bac::f0 "
        "diff_src_iter:f32::blocked:abcd::f0 "
        "diff_wei_layer:f32:a:blocked:abcde::f0 diff_wei_iter:f32:a:blocked:abcde::f0 diff_bias:f32::blocked:abcd::f0 "
        "diff_dst_layer:f32::blocked:bac::f0 diff_dst_iter:f32::blocked:abcd::f0,,alg:lbr_gru "
        "direction:bidirectional_concat activation:undef flags:O,l1t5mb3sic32slc16dhc32dic32",
        "--rnn --prop=BWD_DW --alg=LBR_GRU --direction=concat --cfg=f32 --tag=bac:any:bac --trivial-strides=true "
        "--flags=O l1t5mb3sic32slc16dhc32dic32",
    ),
    "rnn with a projection and strides": (
        "rnn,ref,forward_training,src_layer:f32::blocked:abc:48x16x1:f0 src_iter:f32::blocked:abcd::f0 "
        "wei_layer:f32:a:blocked:abcde::f0 wei_iter:f32:a:blocked:abcde::f0 wei_peephole:f32::blocked:abcd::f0 "
        "wei_proj:f32:a:blocked:abcd::f0 bias:f32:a:blocked:abcd::f0 dst_layer:f32::blocked:abc::f0 "
        "dst_iter:f32::blocked:abcd::f0,,alg:vanilla_lstm direction:unidirectional_right2left activation:undef flags:,"
        "l1t3mb12sic16slc16dhc16dic16",
        "--rnn --prop=FWD_D --alg=VANILLA_LSTM --direction=right2left --cfg=f32 --tag=abc:any:abc "
        "--trivial-strides=false --with-peephole=true --with-projection=true l1t3mb12sic16slc16dhc16dic16",
    ),
    "rnn of 8-bit integers": (
        "rnn,brgemm:avx512_core_vnni,forward_inference,src_layer:u8::blocked:abc::f0 src_iter:f32::blocked:abcd::f0 "
        "wei_layer:s8:a:blocked:abcde::f0 wei_iter:s8:a:blocked:abcde::f0 bias:f32:a:blocked:abcd::f0 "
        "dst_layer:u8::blocked:abc::f0 dst_iter:f32::blocked:abcd::f0,rnn_data_qparams:2:1;,alg:vanilla_rnn "
        "direction:bidirectional_sum activation:eltwise_tanh flags:,l1t3mb12sic16slc16dhc16dic16",
        "--rnn --prop=FWD_I --alg=VANILLA_RNN --direction=sum --cfg=f32u8f32u8 --tag=abc:any:abc "
        "--trivial-strides=true --activation=TANH l1t3mb12sic16slc16dhc16dic16",
    ),
    "sum": (
        "sum,ref:any,undef,src:f32::blocked:abcd::f0 src:u8::blocked:acdb::f0 dst:s8:a:blocked:abcd::f0,,,4x16x8x10",
        "--sum --sdt=f32:u8 --ddt=s8 --stag=abcd:acdb --dtag=any 4x16x8x10",
    ),
    "concat": (
        "concat,ref:any,undef,src:u8::blocked:acdeb::f0 src:u8::blocked:acdeb::f0 dst:u8::blocked:acdeb::f0,"
        "attr-scales:msrc0:0:f32+msrc1:0:f32,axis:1,6x48x3x4x5:6x31x3x4x5",
        "--concat --sdt=u8 --ddt=u8 --stag=acdeb:acdeb --dtag=acdeb --axis=1 --attr-scales=msrc0:0:0.5+msrc1:0:0.5 "
        "6x48x3x4x5:6x31x3x4x5",
    ),
    "binary": (
        "binary,jit:uni,undef,src:bf16::blocked:abcd::f0 src:f32:a:blocked:abcd::f0 dst:bf16:a:blocked:abcd::f0,"
        "attr-scratchpad:user,alg:binary_mul,2x16x14x14:1x16x1x1",
        "--binary --sdt=bf16:f32 --ddt=bf16 --stag=abcd:any --dtag=any --alg=mul --attr-scratchpad=user "
        "2x16x14x14:1x16x1x1",
    ),
    "binary with a condition": (
        "binary,ref:any,undef,src:f32::blocked:abcd::f0 src:f32:a:blocked:abcd::f0 src:s8::blocked:abcd::f0 "
        "dst:f32:a:blocked:abcd::f0,,alg:binary_select,3x5x6x9:3x5x6x9:3x5x6x9",
        "--binary --sdt=f32:f32 --ddt=f32 --stag=abcd:any --dtag=any --alg=select 3x5x6x9:3x5x6x9",
    ),
    "prelu": (
        "prelu,jit_uni,backward,data:f32::blocked:abcd::f0 wei:f32:a:blocked:abcd::f0 diff:f32::blocked:abcd::f0 "
        "diff_wei:f32:a:blocked:abcd::f0,attr-scratchpad:user,,2x16x4x4:1x16x1x1",
        "--prelu --dir=BWD_DW --sdt=f32:f32 --stag=abcd:any --attr-scratchpad=user 2x16x4x4:1x16x1x1",
    ),
    "reduction": (
        "reduction,ref:any,undef,src:bf16::blocked:acdb::f0 dst:f32::blocked:abcd::f0,,alg:reduction_norm_lp_max p:2 "
        "eps:0.5,32x17x2x3:32x17x1x1",
        "--reduction --sdt=bf16 --ddt=f32 --stag=acdb --dtag=abcd --alg=norm_lp_max --p=2 --eps=0.5 "
        "32x17x2x3:32x17x1x1",
    ),
    "resampling": (
        "resampling,simple:any,backward_data,src:f16:a:blocked:acdeb::f0 dst:f16::blocked:acdeb::f0,,"
        "alg:resampling_linear,mb2ic9_id3od2_ih8oh5_iw6ow12",
        "--resampling --dir=BWD_D --sdt=f16 --ddt=f16 --tag=acdeb --alg=linear mb2ic9_id3od2_ih8oh5_iw6ow12",
    ),
    "shuffle": (
        "shuffle,ref:any,backward_data,data:u8:a:blocked:abcd::f0,,axis:2 group:4,3x16x36x9",
        "--shuffle --dir=BWD_D --dt=u8 --tag=abcd --axis=2 --group=4 3x16x36x9",
    ),
    "lrn": (
        "lrn,ref:any,forward_training,data:f16::blocked:acdb::f0,,alg:lrn_across_channels,mb2ic64ih1iw1ls5beta0.75",
        "--lrn --dir=FWD_D --dt=f16 --tag=acdb --alg=ACROSS mb2ic64ih1iw1ls5beta0.75",
    ),
    "sdpa": (
        "sdpa,ocl:micro:any,forward_inference,query:f16::blocked:abcd::f0 key:f16::blocked:abdc::f0 "
        "val:f16::blocked:abcd::f0 msk:f16::blocked:abcd::f0 dst:f16::blocked:abcd::f0,,"
        "alg:softmax_accurate_inf_as_zero msk:buffer_2d scl:mul:f16:host,1x2x16x8:1x2x8x16:1x2x16x8",
        "--sdpa --dir=FWD_I --dt=f16:f16:f16:f16 --mdt=f16 --mask=buffer_2d --scale=mul --qtag=abcd --ktag=abdc "
        "--vtag=abcd --dtag=abcd 1x2x16x8:1x2x8x16:1x2x16x8",
    ),
    "a call of dnnl_gemm": (
        "gemm_api,,undef,src_s8::blocked:ab:f0 wei_s8::blocked:ab:f0 dst_s32::blocked:ab:f0,,,32x64:64x32",
        "--matmul --dt=s8:s8:s32 --stag=ab --wtag=ab --dtag=ab 32x64:64x32",
    ),
}


@pytest.mark.parametrize(("record", "line"), CASES.values(), ids=CASES)
def test_the_command_line_of(record: str, line: str) -> None:
    assert written(record) == line


def biased(kind: str, direction: str, types: tuple[str, str, str], extra: str = "") -> list[str]:
    """What tells benchdnn of the bias, for tensors of these types (weights, bias, the rest)."""
    wei, bias, rest = types
    record = (
        f"{kind},x,{direction},src:{rest}::blocked:ab::f0 wei:{wei}::blocked:ab::f0 bia:{bias}::blocked:a::f0 {extra}"
        f"dst:{rest}::blocked:ab::f0,,alg:{kind}_direct,mb4ic16oc8"
    )
    return [word for word in written(record).split() if word.startswith(("--dir", "--bia"))]


@pytest.mark.parametrize("kind", ["convolution", "deconvolution", "inner_product"])
def test_a_bias_is_written_so_that_most_versions_run_it(kind: str) -> None:
    float32 = ("f32", "f32", "f32")
    assert biased(kind, "forward_training", float32) == ["--dir=FWD_B"]
    assert biased(kind, "backward_weights", float32) == ["--dir=BWD_WB"]
    assert biased(kind, "forward_training", ("s8", "f32", "u8")) == ["--dir=FWD_B"]
    # FWD_B would mean another prop_kind, or before 3.8 another type.
    assert biased(kind, "forward_inference", float32) == ["--dir=FWD_I", "--bia-dt=f32"]
    assert biased(kind, "forward_training", ("bf16", "f32", "bf16")) == ["--dir=FWD_D", "--bia-dt=f32"]
    assert biased(kind, "forward_training", ("bf16", "bf16", "bf16")) == ["--dir=FWD_D", "--bia-dt=bf16"]
    assert biased(kind, "backward_weights", ("f64", "f32", "f64")) == ["--dir=BWD_W", "--bia-dt=f32"]


def test_a_bias_is_not_passed_on_to_a_depthwise_post_op() -> None:
    fused = "src_fused:f32::blocked:ab::f0 "
    assert biased("convolution", "forward_training", ("f32", "f32", "f32"), fused) == ["--dir=FWD_D", "--bia-dt=f32"]


def test_every_line_resets_what_the_one_before_it_set() -> None:
    (primitive,) = primitives(CASES["bnorm"][0])
    assert command(primitive)[0].startswith(f"--bnorm {COMMON}--dir=")


def test_an_old_log_is_read_too() -> None:
    # 1.x and 2.x name the tensors before their type.
    record = (
        "convolution,jit:avx512_core,forward_training,src_f32::blocked:aBcd16b:f0 wei_f32:a:blocked:ABcd16b16a:f0 "
        "bia_undef::undef::f0 dst_f32:a:blocked:aBcd16b:f0,,alg:convolution_direct,mb2_ic16oc16_ih7oh7kh1sh1dh0ph0"
    )
    assert written(record) == (
        "--conv --dir=FWD_D --dt=f32:f32:f32 --alg=direct --stag=aBcd16b --wtag=any --dtag=any "
        "mb2_ic16oc16_ih7oh7kh1sh1dh0ph0"
    )


@pytest.mark.parametrize("problem", ["a1" * 50_000 + "!", "1x" * 50_000, "a1e1" * 50_000 + "-", "1" * 100_000 + "a"])
def test_a_long_problem_is_refused_at_once(problem: str) -> None:
    # A pattern that goes back and forth would take hours.
    for kind in ("eltwise", "pool", "matmul"):
        record, _ = CASES[kind]
        assert "cannot be a problem" in refused(record.rpartition(",")[0] + "," + problem)


def test_post_ops_and_matmuls_of_2_0() -> None:
    post_ops = matmul("post_ops:'sum:0.5;eltwise_relu;';", problem="m8n4k16")
    assert written(post_ops).endswith("--attr-post-ops=sum:0.5+eltwise_relu 8x16:16x4")
    assert written(matmul("", problem="b3m8n4k16")).endswith(" 3x8x16:3x16x4")
    assert written(matmul("", problem="8x16:16x4:8x4")).endswith(" 8x16:16x4")


def test_the_oldest_log_is_read_where_it_says_enough() -> None:
    text = b"mkldnn_verbose,exec,reorder,jit:uni,undef,in:f32_nchw out:f32_nChw16c,num:1,2x16x7x7,0.46\n"
    (primitive,) = tally(io.BytesIO(text)).primitives
    line = command(primitive)[0]
    assert line == f"--reorder {COMMON}--sdt=f32 --ddt=f32 --stag=nchw --dtag=nChw16c 2x16x7x7"


def test_a_reorder_between_engines_runs_on_the_gpu() -> None:
    record = b"onednn_verbose,v1,primitive,exec,cpu2gpu,reorder,ocl:any,undef,src:f32::blocked:ab::f0 dst:f32::blocked:ab::f0,,,8x4,1\n"  # noqa: E501
    (primitive,) = tally(io.BytesIO(record)).primitives
    assert command(primitive)[0] == (
        "--reorder --reset --allow-enum-tags-only=0 --engine=gpu --sdt=f32 --ddt=f32 --stag=ab --dtag=ab "
        "--cross-engine=cpu2gpu 8x4"
    )


# --- attributes -------------------------------------------------------------------------------------

ATTRIBUTES = {
    "attr-fpmath:bf16:true": "--attr-fpmath=bf16:true",
    "attr-acc-mode:any": "--attr-acc-mode=any",
    "attr-deterministic:1": "--attr-deterministic=true",
    "attr-rounding-mode:dst:stochastic": "--attr-rounding-mode=dst:stochastic",
    "attr-scales:src0:0:bf16": "--attr-scales=src0:0:0.5:bf16",
    "attr-scales:wei:3:f32:32x1": "--attr-scales=wei:3:f32:32x1",
    "attr-scales:src0:0:f32:host_scalar": "--attr-scales=src0:host_scalar:0.5",
    "attr-scales:dst:3:e8m0:1x32:dynamic_mx": "--attr-scales=dst:mx:e8m0:1x32",
    "attr-scales:dst:3:f8_e4m3:1x16:dynamic_fp": "--attr-scales=dst:dynamic_fp:f8_e4m3:1x16",
    "attr-scales:src0:0:0.25+wei:2:*": "--attr-scales=src0:0:0.25+wei:2",
    "attr-zero-points:src0:0:s32+wei:3:u4:32x1": "--attr-zero-points=src0:0:1+wei:3:u4:32x1",
    "attr-precomputed-reductions:src:3:s32:1x32": "--attr-precomputed-reductions=src:3:s32:1x32",
    "attr-dropout": "--attr-dropout=0.5:12345",
    "attr-dropout:undef": "--attr-dropout=0.5:12345:undef",
    "attr-dropout:any:s64:0:0": "--attr-dropout=0.5:12345:any:0",
    "attr-dropout:ab:s64:1:1": "--attr-dropout=0.5:12345:ab:987654321:1",
    "attr-post-ops:sum:0.5:3:u8": "--attr-post-ops=sum:0.5:3:u8",
    "attr-post-ops:eltwise_clip:-1:2": "--attr-post-ops=eltwise_clip:-1:2",
    "attr-post-ops:eltwise_linear:1e+06:-1e-05+sum": "--attr-post-ops=eltwise_linear:1e06:-1e-05+sum",
    "attr-post-ops:dw:k3s2p1:s8+eltwise_relu": "--attr-post-ops=dw:k3s2p1:s8+eltwise_relu",
    "attr-post-ops:prelu:2+binary_add:f32:2:any": "--attr-post-ops=prelu:2+binary_add:f32:2",
    "attr-post-ops:binary_mul:bf16:31:abdEc32e+sum": "--attr-post-ops=binary_mul:bf16:31:abdEc32e+sum",
    "attr-post-ops:binary_sub:f32:3:ab:16x1": "--attr-post-ops=binary_sub:f32:3:ab:16x1",
    "attr-post-ops:binary_select:f32:3:ab": "--attr-post-ops=binary_select:f32.3.ab",
}


@pytest.mark.parametrize(("attribute", "option"), ATTRIBUTES.items(), ids=ATTRIBUTES)
def test_the_option_of(attribute: str, option: str) -> None:
    assert written(matmul(f"{USER} {attribute}")).split()[5:-1] == ["--attr-scratchpad=user", option]


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("attr-oscale:2", "'attr-oscale' has no option"),
        ("attr-post-ops:'sum;eltwise_relu'", "has no option"),
        ("attr-post-ops:eltwise_bounded_relu:6", "benchdnn has no eltwise_bounded_relu"),
        ("attr-scales:src0", "'src0' is no scale or zero point"),
        ("attr-scales:src0:0:f32:?", "no part of a scale"),
        ("attr-dropout:a:b:c", "has no option"),
        ("attr-fpmath:bf16$(reboot)", "cannot be an option"),
    ],
)
def test_an_attribute_that_has_no_option_is_a_reason(attribute: str, reason: str) -> None:
    assert reason in refused(matmul(attribute))


def test_what_the_line_cannot_carry_over_is_noted() -> None:
    (primitive,) = primitives(matmul("attr-scales:src0:0:f32+dst:0:f32 attr-dropout:any:s64:0:0"))
    assert command(primitive)[1] == (
        "scales of one value are 0.5: the log does not say it",
        "probability and seed of the dropout are not in the log",
    )
    (primitive,) = primitives(CASES["eltwise"][0].replace("data:f32::blocked:abcd:", "data:f32::blocked:abcd:9x9x9x9"))
    assert command(primitive)[1] == ("data had strides 9x9x9x9: here it is dense",)
    (primitive,) = primitives(CASES["conv"][0])
    assert command(primitive)[1] == ()


# --- what cannot be written -------------------------------------------------------------------------

REFUSED = {
    "warp,ref,undef,src:f32::blocked:ab::f0,,,8x4": "benchdnn has no driver for 'warp'",
    matmul("", src="src:f32::sparse:csr::f0"): "the layout of src is csr",
    matmul("", src="src:f32::opaque:::f0"): "the layout of src is opaque",
    matmul("", src="src:f32::blocked:*::f0"): "the layout of src is *",
    matmul("", problem="*x4:4x6"): "a dimension is not known before execution",
    matmul("", problem="--batch=/etc/passwd"): "cannot be a problem",
    matmul("", problem="8x4:4x6;reboot"): "cannot be a problem",
    matmul("", problem="mb8ic4"): "cannot be a problem",
    CASES["pool"][0].replace("mb2ic16", "2x16"): "cannot be a problem",
    matmul("", src="src:f32::blocked:a$b::f0"): "cannot be an option",
    CASES["conv"][0].replace("forward_training", "sideways"): "direction 'sideways' has no option",
    CASES["conv"][0].replace("wei:", "weights:"): "the log names no tensor 'wei'",
    CASES["shuffle"][0].replace("group:4", ""): "the log does not say 'group'",
    CASES["eltwise"][0].replace("eltwise_relu", "eltwise_logsigmoid"): "benchdnn has no eltwise_logsigmoid",
    CASES["concat"][0].replace("src:u8", "src:s8", 1): "one data type for all sources",
    CASES["rnn"][0].replace("dst_layer:bf16", "dst_layer:f32"): "the rnn driver has no data types bf16bf16bf16f32",
    CASES["rnn"][0].replace("unidirectional_left2right", "outwards"): "'outwards' has no option",
    CASES["reorder"][0].replace("abdec::f0", "abdec::f8:zpm1"): "no source with compensation",
    CASES["lrn"][0].replace("across_channels", "diagonal"): "benchdnn has no lrn_diagonal",
    CASES["binary"][0].replace("src:f32:a:blocked:abcd::f0 ", ""): "the log names fewer",
}


@pytest.mark.parametrize(("record", "reason"), REFUSED.items(), ids=REFUSED.values())
def test_the_reason_is_named(record: str, reason: str) -> None:
    assert reason in refused(record)


def test_the_oldest_log_does_not_say_the_types() -> None:
    text = b"mkldnn_verbose,exec,softmax,jit,forward_training,fdata:nchw,axis:1,2x16x7x7,0.46\n"
    (primitive,) = tally(io.BytesIO(text)).primitives
    with pytest.raises(CannotWrite, match="the data type of data"):
        command(primitive)


_columns = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [part for record, _ in CASES.values() for part in record.split(",")]
)


@given(st.sampled_from([record.split(",")[0] for record, _ in CASES.values()]), st.tuples(*[_columns] * 5))
def test_no_text_of_a_log_becomes_more_than_one_problem(kind: str, texts: tuple[str, ...]) -> None:
    descriptors, attributes, algorithm, problem, direction = texts
    primitive = Distinct(kind, "x", direction, "", "", attributes, algorithm, problem, "cpu", descriptors, 1, 1.0)
    try:
        line, _ = command(primitive)
    except CannotWrite:
        return
    driver, *options, last = line.split(" ")
    assert re.fullmatch(r"--[a-z]+", driver)
    assert all(re.fullmatch(r"--[\w-]+=[\w.:+-]*|--reset", option, re.ASCII) for option in options)
    assert re.fullmatch(r"[a-z0-9][\w.:+-]*", last, re.ASCII)


# --- distinct problems ------------------------------------------------------------------------------


def test_what_benchdnn_is_not_told_does_not_split_a_problem() -> None:
    conv, _ = CASES["conv"]
    other = conv.replace("brg_conv_fwd", "jit").replace("Acdb32a", "Acdb16a")
    bnorm, _ = CASES["bnorm"]
    first, second = problems(primitives(conv, conv, other, bnorm))
    assert (first.count, first.time_ms, first.implementations) == (
        3,
        1.5,
        ("brg_conv_fwd:avx512_core", "jit:avx512_core"),
    )
    assert (second.count, second.time_ms, second.kind) == (1, 0.5, "batch_normalization")


def test_one_that_cannot_be_written_is_a_problem_with_a_reason() -> None:
    warp = "warp,ref,undef,src:f32::blocked:ab::f0,,,8x4"
    assert problems(primitives(warp, warp, warp.replace("8x4", "9x4"))) == (
        Problem(None, "benchdnn has no driver for 'warp'", "warp", "8x4", ("ref",), (), 2, 1.0),
        Problem(None, "benchdnn has no driver for 'warp'", "warp", "9x4", ("ref",), (), 1, 0.5),
    )


@given(st.lists(st.sampled_from([record for record, _ in CASES.values()]), max_size=30))
def test_no_execution_is_lost(records: list[str]) -> None:
    found = problems(primitives(*records))
    assert sum(problem.count for problem in found) == len(records)
    assert sum(problem.time_ms for problem in found) == pytest.approx(0.5 * len(records))
    assert [problem.time_ms for problem in found] == sorted((problem.time_ms for problem in found), reverse=True)
    assert len({problem.command for problem in found}) == len(found)


# --- memory descriptors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tensor"),
    [
        ("src:f32::blocked:acdb::f0", Tensor("src", "f32", "", "blocked", "acdb")),
        ("dst:s8:p:blocked:Acb4b::f8:zpm1", Tensor("dst", "s8", "p", "blocked", "Acb4b", "", (("zp_comp", "1"),))),
        ("src_f32:p:blocked:abcd:100x10x1:f0", Tensor("src", "f32", "p", "blocked", "abcd", "100x10x1")),
        ("diff_wei_layer:f32:a:blocked:abcde::f0", Tensor("diff_wei_layer", "f32", "a", "blocked", "abcde")),
        ("bia:f32::blocked:ab::f0_mask2", Tensor("bia", "f32", "", "blocked", "ab", "", (), "2")),
        ("fsrc:nChw16c", Tensor("src", "", "", "blocked", "nChw16c")),
        ("in:f32_nchw", Tensor("src", "f32", "", "blocked", "nchw")),
        ("src:f32::sparse:csr::f0", Tensor("src", "f32", "", "sparse", "csr")),
    ],
)  # fmt: skip
def test_a_memory_descriptor_is_read(text: str, tensor: Tensor) -> None:
    assert tensors(text) == (tensor,)
    assert tensor.there


@pytest.mark.parametrize("text", ["bia:undef::undef:::", "bia_undef::undef::f0", "fbia:undef"])
def test_an_absent_tensor_is_not_there(text: str) -> None:
    (tensor,) = tensors(text)
    assert not tensor.there


@given(st.text(max_size=200))
def test_any_text_is_read_as_tensors(text: str) -> None:
    assert len(tensors(text)) == len(text.split())
