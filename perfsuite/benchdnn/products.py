"""Drivers of what multiplies by weights: convolution, matrix multiplication, recurrent networks, attention."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.benchdnn.call import Call, dtype
from perfsuite.benchdnn.tensors import CannotWrite, Tensor

#: Data types of (states, input, output) that the rnn driver knows (``driver_rnn.md``).
_RNN_TYPES = {
    "f32", "bf16", "bf16f32", "f16", "f16f32",
    "u8u8u8u8", "u8u8u8f32", "f32u8f32u8", "f32u8f32f32", "s8s8s8s8", "s8s8s8f32", "f32s8f32s8", "f32s8f32f32",
}  # fmt: skip
_RNN_DIRECTIONS = {
    "unidirectional_left2right": "left2right",
    "unidirectional_right2left": "right2left",
    "unidirectional": "left2right",
    "bidirectional_sum": "sum",
    "bidirectional_concat": "concat",
}
_RNN_ACTIVATIONS = {"eltwise_relu": "RELU", "eltwise_logistic": "LOGISTIC", "eltwise_tanh": "TANH"}

#: Directions that say that there is a bias.
_WITH_BIAS = {"FWD_D": "FWD_B", "BWD_W": "BWD_WB"}


def weights_tag(tensor: Tensor) -> str:
    """The layout asked for.  One that holds compensation is oneDNN's own choice: benchdnn cannot ask for it."""
    return "any" if tensor.compensation else tensor.asked_tag


def strided(flags: Sequence[str], tags: Sequence[str], among: Sequence[Tensor]) -> list[str]:
    """``--stag=…`` of the dense tensors and ``--strides=…`` of the others, which is one option for all of them."""
    given = [
        tensor.strides if tag != "any" and tag.islower() and tag.isalpha() else ""
        for tensor, tag in zip(among, tags, strict=True)
    ]
    options = [f"--{flag}={tag}" for flag, tag, strides in zip(flags, tags, given, strict=True) if not strides]
    return [*options, "--strides=" + ":".join(given)] if any(given) else options


def convolution(call: Call) -> list[str]:
    """``driver_conv.md``.  With a depthwise post-op the destination asked for is the one between the two."""
    src, wei, dst = call.get("src"), call.get("wei"), call.get("src_fused", "dst")
    tags = [src.asked_tag, weights_tag(wei), dst.asked_tag]
    layouts = strided(("stag", "wtag", "dtag"), tags, (src, wei, dst))
    return [*_weighted(call, src, wei, dst), f"--alg={call.algorithm.removeprefix('convolution_')}", *layouts]


def deconvolution(call: Call) -> list[str]:
    """``driver_conv.md``."""
    return [*inner_product(call), f"--alg={call.algorithm.removeprefix('deconvolution_')}"]


def inner_product(call: Call) -> list[str]:
    """``driver_ip.md``."""
    src, wei, dst = call.get("src"), call.get("wei"), call.get("dst")
    call.dense(src, wei, dst)
    layouts = [f"--stag={src.asked_tag}", f"--wtag={weights_tag(wei)}", f"--dtag={dst.asked_tag}"]
    return [*_weighted(call, src, wei, dst), *layouts]


def _weighted(call: Call, src: Tensor, wei: Tensor, dst: Tensor) -> list[str]:
    types = f"--dt={dtype(src)}:{dtype(wei)}:{dtype(dst)}"
    bias, direction = call.find("bia"), call.direction
    if bias is None:
        return [f"--dir={direction}", types]
    # --bia-dt came with 3.8.  A direction with a bias is older; before 3.8 it was of the type of the weights, or of
    # f32 where these are integers, and a depthwise post-op got one, too.
    usual = dtype(bias) == "f32" and dtype(wei) in ("f32", "s8", "u8") and not call.find("src_fused")
    if usual and direction in _WITH_BIAS:
        return [f"--dir={_WITH_BIAS[direction]}", types]
    return [f"--dir={direction}", types, f"--bia-dt={dtype(bias)}"]


def matmul(call: Call) -> list[str]:
    """``driver_matmul.md``.  A ``gemm_api`` line is a call of ``dnnl_gemm_*``, which has no driver of its own."""
    src, wei, dst, bias = call.get("src"), call.get("wei"), call.get("dst"), call.find("bia")
    options = [f"--dt={dtype(src)}:{dtype(wei)}:{dtype(dst)}"]
    if bias:
        options.append(f"--bia-dt={dtype(bias)}")
        options += [f"--bia_mask={bias.mask}"] if bias.mask else []
    tags = [src.asked_tag, weights_tag(wei), dst.asked_tag]
    options += strided(("stag", "wtag", "dtag"), tags, (src, wei, dst))
    masks = call.auxiliary.get("runtime_dims_masks")
    if call.primitive.kind == "gemm_api":
        call.notes.append("a call of dnnl_gemm, here as a matmul")
    return [*options, f"--runtime_dims_masks={masks}"] if masks else options


def rnn(call: Call) -> list[str]:
    """``driver_rnn.md``.  The layouts of a backward pass are those of its gradients."""
    backward = call.direction.startswith("BWD")
    prefix = "diff_" if backward else ""
    layouts = [call.get(f"{prefix}{name}").asked_tag for name in ("src_layer", "wei_layer", "dst_layer")]
    states = [tensor for tensor in (call.find("src_layer"), call.find("src_iter")) if tensor]
    trivial = not any(state.strides for state in states)
    if not trivial:
        call.notes.append("strides of the states are benchdnn's own")
    options = [
        f"--prop={call.direction}",
        f"--alg={call.algorithm.upper()}",
        f"--direction={_word(_RNN_DIRECTIONS, call.needed('direction'))}",
        f"--cfg={_rnn_types(call)}",
        f"--tag={':'.join(layouts)}",
        f"--trivial-strides={'true' if trivial else 'false'}",
    ]
    activation = call.auxiliary.get("activation", "undef")
    if activation not in ("undef", ""):
        options.append(f"--activation={_word(_RNN_ACTIVATIONS, activation)}")
    for tensor, flag in (("wei_peephole", "with-peephole"), ("wei_proj", "with-projection")):
        options += [f"--{flag}=true"] if call.find(tensor) else []
    flags = call.auxiliary.get("flags")
    return [*options, f"--flags={flags}"] if flags else options


def _rnn_types(call: Call) -> str:
    layer, output, bias = call.get("src_layer"), call.get("dst_layer"), call.find("bias", "bia")
    # Without initial states benchdnn makes some: of the type of the input, as the library would.
    state, last = call.find("src_iter"), call.find("dst_iter")
    if not state:
        call.notes.append("no initial states in the log: benchdnn passes some")
    kinds = [dtype(tensor or layer) for tensor in (state, layer, last or state)] + [dtype(output)]
    if len(set(kinds)) == 1 and kinds[0] in ("f32", "bf16", "f16"):
        types = kinds[0] if not bias or dtype(bias) == kinds[0] else kinds[0] + dtype(bias)
    else:
        types = "".join(kinds)
    if types not in _RNN_TYPES:
        raise CannotWrite(f"the rnn driver has no data types {types}")
    return types


def _word(words: dict[str, str], word: str) -> str:
    if word not in words:
        raise CannotWrite(f"{word[:40]!r} has no option")
    return words[word]


def sdpa(call: Call) -> list[str]:
    """``driver_sdpa.md``.  Scales and zero points of keys and values have no option there."""
    names = ("query", "key", "val", "dst")
    among = [call.get(name) for name in names]
    call.dense(*among)
    direction = "FWD_I" if call.primitive.direction == "undef" else call.direction
    options = [f"--dir={direction}", "--dt=" + ":".join(map(dtype, among))]
    mask = call.find("msk")
    if mask:
        options.append(f"--mdt={dtype(mask)}")
    kind = call.auxiliary.get("msk") or ("buffer" if mask else "")
    options += [f"--mask={kind}"] if kind else []
    scale = call.auxiliary.get("scl", "").partition(":")[0]
    options += [f"--scale={scale}"] if scale else []
    return [*options, *(f"--{name[0]}tag={tensor.asked_tag}" for name, tensor in zip(names, among, strict=True))]
