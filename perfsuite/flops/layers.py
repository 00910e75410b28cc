"""Bytes of softmax, normalisations, pooling and resizing, forward and backward."""

from __future__ import annotations

import math
from functools import partial

from perfsuite.flops.call import Call, Dims, Formula, UnknownError
from perfsuite.flops.dtypes import size_of


def _softmax(call: Call) -> int:
    """self, dim, half_to_float."""
    return call.bytes(0) + call.numel(0) * (4 if call.has(2) and call.value(2) is True else call.itemsize(0))


def _softmax_backward(call: Call) -> int:
    """grad_output, output, dim, input_dtype."""
    return call.bytes(0, 1) + call.numel(0) * size_of(call.wanted_dtype(3, call.dtype(0)))


def _log_sigmoid(call: Call) -> int:
    """The result, and exp(−|x|) of each element for the backward pass."""
    return 3 * call.numel(0) * call.itemsize(0)


# --- normalisation ----------------------------------------------------------------------------------


def _statistic_size(call: Call, input_: int, weight: int) -> int:
    """Bytes of one statistic: of the input's data type, or float32 where the weights are of a wider one."""
    mixed = call.is_tensor(weight) and call.dtype(weight) != call.dtype(input_)
    return 4 if mixed else call.itemsize(input_)


def _batch_norm(call: Call, training: int = 5) -> int:
    """input, weight, bias, running_mean, running_var, training.

    In training the running statistics are read and written, and the batch's mean and 1/σ are results.
    """
    moved = 2 * call.bytes(0) + call.bytes(1, 2, 3, 4)
    if not call.value(training):
        return moved
    channels = call.tensor(0)[1]
    return moved + call.bytes(3, 4) + 2 * channels * _statistic_size(call, 0, 1)


def _batch_norm_without_running(call: Call) -> int:
    """input, weight, bias, training: statistics of the batch only."""
    channels = call.tensor(0)[1]
    return 2 * call.bytes(0) + call.bytes(1, 2) + 2 * channels * _statistic_size(call, 0, 1)


def _legit_batch_norm(call: Call) -> int:
    """Two overloads of one name: with running statistics there are tensors at 3 and 4."""
    return _batch_norm(call) if call.is_tensor(3) else _batch_norm_without_running(call)


def _batch_norm_backward(call: Call) -> int:
    """grad_out, input, weight, running_mean, running_var, save_mean, save_invstd, train, eps, output_mask."""
    statistics = call.bytes(5, 6) if call.value(7) else call.bytes(3, 4)
    wanted = call.mask(9, 3)
    weights = call.bytes(2) * (wanted[1] + wanted[2])
    return call.bytes(0, 1, 2) + statistics + call.bytes(1) * wanted[0] + weights


def _layer_norm(call: Call) -> int:
    """input, normalized_shape, weight, bias: mean and 1/σ of each row are results."""
    normalised = call.value(1)
    if not isinstance(normalised, (list, tuple)):
        raise UnknownError
    rows = math.prod(call.tensor(0)[: len(call.tensor(0)) - len(normalised)])
    return 2 * call.bytes(0) + call.bytes(2, 3) + 2 * rows * _statistic_size(call, 0, 2)


def _layer_norm_backward(call: Call) -> int:
    """grad_out, input, normalized_shape, mean, rstd, weight, bias, output_mask."""
    wanted = call.mask(7, 3)
    results = call.bytes(1) * wanted[0] + call.bytes(5) * wanted[1] + call.bytes(6) * wanted[2]
    return call.bytes(0, 1, 3, 4, 5) + results


def _group_norm(call: Call) -> int:
    """input, weight, bias, N, C, HxW, group: mean and 1/σ of each group are results."""
    groups = call.integer(3) * call.integer(6)
    return 2 * call.bytes(0) + call.bytes(1, 2) + 2 * groups * _statistic_size(call, 0, 1)


def _group_norm_backward(call: Call) -> int:
    """grad_out, input, mean, rstd, weight, N, C, HxW, group, output_mask."""
    wanted = call.mask(9, 3)
    weights = call.integer(6) * (call.itemsize(4) if call.is_tensor(4) else call.itemsize(1))
    return call.bytes(0, 1, 2, 3, 4) + call.bytes(1) * wanted[0] + weights * (wanted[1] + wanted[2])


# --- pooling and resizing ---------------------------------------------------------------------------


def _pooled(call: Call, rank: int, *, dilated: bool) -> Dims:
    """Sizes after pooling: self, kernel_size 1, stride 2 (empty: the kernel's), padding 3[, dilation 4], ceil_mode.

    With ceil_mode a last window may hang over the end, if it begins inside the input or its left padding.
    """
    dims = call.tensor(0, rank + 1, rank + 2)
    kernel = call.integers(1, rank)
    stride = call.integers(2, rank) if call.has(2) and call.value(2) != () and call.value(2) != [] else kernel
    padding = call.integers(3, rank)
    dilation = call.integers(4, rank) if dilated else (1,) * rank
    ceil = bool(call.value(5 if dilated else 4))
    sizes = []
    for size, k, s, p, d in zip(dims[-rank:], kernel, stride, padding, dilation, strict=True):
        if s < 1:
            raise UnknownError
        free = size + 2 * p - d * (k - 1) - 1
        out = (free + (s - 1 if ceil else 0)) // s + 1
        if ceil and (out - 1) * s >= size + p:
            out -= 1
        if out < 1:
            raise UnknownError
        sizes.append(out)
    return (*dims[:-rank], *sizes)


def _max_pool(call: Call, rank: int) -> int:
    """The maxima and their int64 indices."""
    return call.bytes(0) + math.prod(_pooled(call, rank, dilated=True)) * (call.itemsize(0) + 8)


def _max_pool_backward(call: Call) -> int:
    """grad_output 0 … indices 7: each value is added to the place its index names; filling with zeros is a call of
    its own."""
    return 2 * call.bytes(0) + call.bytes(7)


def _average_pool(call: Call, rank: int) -> int:
    return call.bytes(0) + math.prod(_pooled(call, rank, dilated=False)) * call.itemsize(0)


def _resized(call: Call, rank: int) -> int:
    """self, output_size: upsampling and adaptive pooling."""
    dims = call.tensor(0, rank + 1, rank + 2)
    return call.bytes(0) + math.prod((*dims[:-rank], *call.integers(1, rank))) * call.itemsize(0)


def _resized_backward(call: Call, rank: int) -> int:
    """grad_output, output_size, input_size."""
    return call.bytes(0) + math.prod(call.integers(2, rank + 2)) * call.itemsize(0)


def _like_second(call: Call) -> int:
    """grad_output, self: the result has self's sizes, whose values are not needed."""
    return call.bytes(0) + call.bytes(1)


def _by_rank() -> dict[str, Formula]:
    found: dict[str, Formula] = {}
    for rank in (1, 2, 3):
        found |= {
            f"aten::max_pool{rank}d_with_indices": partial(_max_pool, rank=rank),
            f"aten::avg_pool{rank}d": partial(_average_pool, rank=rank),
            f"aten::max_pool{rank}d_with_indices_backward": _max_pool_backward,
            f"aten::avg_pool{rank}d_backward": _like_second,
            f"aten::_adaptive_avg_pool{rank}d_backward": _like_second,
        }
        for name in ("upsample_nearest", "_upsample_nearest_exact", "_adaptive_avg_pool"):
            found[f"aten::{name}{rank}d"] = partial(_resized, rank=rank)
    for name, rank in (("linear1d", 1), ("bilinear2d", 2), ("bicubic2d", 2), ("trilinear3d", 3)):
        found[f"aten::upsample_{name}"] = partial(_resized, rank=rank)
    for name, rank in (
        ("nearest1d", 1), ("nearest2d", 2), ("nearest3d", 3), ("linear1d", 1), ("bilinear2d", 2), ("bicubic2d", 2),
        ("trilinear3d", 3),
    ):  # fmt: skip
        found[f"aten::upsample_{name}_backward"] = partial(_resized_backward, rank=rank)
    return found


TRAFFIC: dict[str, Formula] = {
    **_by_rank(),
    **dict.fromkeys(("aten::_softmax", "aten::_log_softmax"), _softmax),
    **dict.fromkeys(("aten::_softmax_backward_data", "aten::_log_softmax_backward_data"), _softmax_backward),
    "aten::log_sigmoid_forward": _log_sigmoid,
    "aten::native_batch_norm": _batch_norm,
    "aten::_native_batch_norm_legit": _legit_batch_norm,
    "aten::native_batch_norm_backward": _batch_norm_backward,
    "aten::native_layer_norm": _layer_norm,
    "aten::native_layer_norm_backward": _layer_norm_backward,
    "aten::native_group_norm": _group_norm,
    "aten::native_group_norm_backward": _group_norm_backward,
}
