"""FLOPs and bytes of convolutions; the conventions are in :mod:`perfsuite.flops`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from perfsuite.flops.call import Call, Dims, Formula, UnknownError


def _convolution(input_: Dims, weight: Dims, outputs: Dims, transposed: bool = False) -> int:
    """2 · N · positions · numel(weight).

    Each of the N · prod(outputs) output positions is, for each of OC output channels, a sum over IC/g input
    channels and the kernel's taps; the weight is [OC, IC/g, *kernel].  A transposed convolution does the same
    the other way round: each input position times the whole weight [IC, OC/g, *kernel] is added to the
    output, so there the positions are the input's.
    """
    spatial = input_[2:] if transposed else outputs
    return 2 * input_[0] * math.prod(spatial) * math.prod(weight)


def _batched(input_: Dims, weight: Dims) -> Dims:
    """The input with its batch dimension: conv2d takes [C, H, W] too."""
    if len(input_) == len(weight) - 1:
        return (1, *input_)
    if len(input_) != len(weight):
        raise UnknownError
    return input_


def _output_sizes(input_: Dims, kernel: Dims, stride: Dims, padding: Dims, dilation: Dims) -> Dims:
    """⌊(size + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1 for each spatial dimension."""
    sizes = zip(input_[2:], kernel, stride, padding, dilation, strict=True)
    outputs = tuple((size + 2 * p - d * (k - 1) - 1) // s + 1 if s > 0 else 0 for size, k, s, p, d in sizes)
    if min(outputs) < 1:  # torch refuses a kernel that is larger than the padded input
        raise UnknownError
    return outputs


def _forward(call: Call, **positions: Any) -> int:
    """A convolution whose arguments stand at the given positions; input at 0, weight at 1."""
    return _convolution(*_geometry(call, **positions))


def _geometry(
    call: Call, *, stride: int, padding: int, dilation: int | None, weight: Dims | None = None
) -> tuple[Dims, Dims, Dims]:
    """Sizes of the input, of the weight, and of the output's spatial dimensions."""
    weight = weight or call.tensor(1, 3, 4, 5)
    input_ = _batched(call.tensor(0), weight)
    rank = len(weight) - 2
    strides = call.integers(stride, rank)
    dilations = (1,) * rank if dilation is None else call.integers(dilation, rank)
    pads = _padding(call, padding, strides)
    if pads == "same":  # only ever with stride 1, where it keeps the size
        return input_, weight, input_[2:]
    widths = (0,) * rank if pads == "valid" else call.integers(padding, rank)
    return input_, weight, _output_sizes(input_, weight[2:], strides, widths, dilations)


def _padding(call: Call, position: int, strides: Dims) -> str | None:
    """The word where padding was given as one (the profiler may leave it out), else None.

    torch refuses ``same`` with a stride, so where the argument is missing a stride still means ``valid``.
    """
    try:
        padding = call.value(position)
    except UnknownError:
        if max(strides) > 1:
            return "valid"
        raise
    return padding if padding in ("same", "valid") else None


def _convolution_forward(call: Call) -> int:
    """aten::convolution: …, stride 3, padding 4, dilation 5, transposed 6."""
    if call.value(6):
        return _transposed_forward(call)
    return _forward(call, stride=3, padding=4, dilation=5)


def _transposed_forward(call: Call) -> int:
    weight = call.tensor(1, 3, 4, 5)
    return _convolution(_batched(call.tensor(0), weight), weight, (), transposed=True)


def _backward(grad_output: Dims, input_: Dims, weight: Dims, wanted: tuple[bool, ...], transposed: bool) -> int:
    """As much as the forward for each of the input's and the weight's gradient that is wanted.

    Every product of the forward, x·w into y, is met once again in each: dy·w into dx, and dy·x into dw.
    """
    products = _convolution(input_, weight, grad_output[2:], transposed)
    return products * (wanted[0] + wanted[1]) + math.prod(grad_output) * wanted[2]


def _convolution_backward(call: Call) -> int:
    """grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed 7, …, output_mask 10."""
    weight = call.tensor(2, 3, 4, 5)
    grad_output, input_ = call.tensor(0, len(weight)), call.tensor(1, len(weight))
    return _backward(grad_output, input_, weight, call.mask(10, 3), bool(call.value(7)))


def _overrideable_backward(call: Call) -> int:
    """As aten::convolution_backward, without bias_sizes: transposed 6, output_mask 9."""
    weight = call.tensor(2, 3, 4, 5)
    grad_output, input_ = call.tensor(0, len(weight)), call.tensor(1, len(weight))
    return _backward(grad_output, input_, weight, call.mask(9, 3), bool(call.value(6)))


def _slow_conv2d_backward(call: Call) -> int:
    """grad_output, self, weight, kernel_size, stride, padding, output_mask 6."""
    return _backward(call.tensor(0, 4), call.tensor(1, 4), call.tensor(2, 4), call.mask(6, 3), False)


def _ipex_convolution(call: Call) -> int:
    """The weight's tensor is packed and may be padded; its plain sizes are argument 4."""
    weight = call.integers(4, len(call.tensor(0, 3, 4, 5)))
    return _forward(call, padding=5, stride=6, dilation=7, weight=weight)


def _ipex_backward(call: Call) -> int:
    """input, packed weight, bias, grad_output 3, output_mask (input, weight, bias) 4; the plain weight's sizes
    are the forward call's argument 4."""
    grad_output = call.tensor(3, 3, 4, 5)
    weight = call.forward.integers(4, len(grad_output))
    return _backward(grad_output, call.tensor(0, len(grad_output)), weight, call.mask(4, 3), transposed=False)


def _ipex_transposed(call: Call) -> int:
    weight = call.integers(4, len(call.tensor(0, 3, 4, 5)))
    return _convolution(call.tensor(0, 3, 4, 5), weight, (), transposed=True)


# --- bytes ------------------------------------------------------------------------------------------


def _forward_bytes(call: Call, *, bias: int = 2, **positions: Any) -> int:
    """Input, weight and bias read, output written."""
    input_, weight, outputs = _geometry(call, **positions)
    weights = math.prod(weight) * call.itemsize(1)  # not those of the tensor, which may be packed
    output = input_[0] * weight[0] * math.prod(outputs) * call.itemsize(0)
    return call.bytes(0, bias) + weights + output


def _convolution_bytes(call: Call) -> int:
    """aten::convolution: …, stride 3, padding 4, dilation 5, transposed 6, output_padding 7, groups 8."""
    if not call.value(6):
        return _forward_bytes(call, stride=3, padding=4, dilation=5)
    return _transposed_bytes(call, stride=3, padding=4, dilation=5, output_padding=7, groups=8)


def _transposed_bytes(
    call: Call, *, stride: int, padding: int, dilation: int, output_padding: int, groups: int | None, bias: int = 2
) -> int:
    """The output is as large as the input that a convolution would make this input of."""
    weight = call.tensor(1, 3, 4, 5)
    input_ = _batched(call.tensor(0), weight)
    rank = len(weight) - 2
    arguments: list[Dims] = [call.integers(position, rank) for position in (stride, padding, dilation, output_padding)]
    outputs: list[int] = [
        (size - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for size, k, s, p, d, extra in zip(input_[2:], weight[2:], *arguments, strict=True)
    ]
    channels = weight[1] * (1 if groups is None else call.integer(groups))
    return call.bytes(0, 1, bias) + input_[0] * channels * math.prod(outputs) * call.itemsize(0)


def _backward_bytes(call: Call, grad_output: int, input_: int, weights: int, mask: int) -> int:
    """grad_output is read for each gradient that is wanted once: an operator that makes two reads it once.

    The input is read for the weight's gradient and the weight for the input's; each gradient is as large as its
    tensor, the bias's as the channels.  ``weights`` are the bytes of the plain weight.
    """
    wanted = call.mask(mask, 3)
    if not any(wanted):
        return 0
    of_input = call.bytes(input_)
    bias = call.tensor(grad_output, 3, 4, 5)[1] * call.itemsize(grad_output)
    both = (of_input + weights) * (wanted[0] + wanted[1])
    return call.bytes(grad_output) + both + bias * wanted[2]


def _aten_backward_bytes(call: Call, mask: int) -> int:
    return _backward_bytes(call, 0, 1, call.bytes(2), mask)


def _ipex_backward_bytes(call: Call) -> int:
    plain = call.forward.integers(4, len(call.tensor(3, 3, 4, 5)))
    return _backward_bytes(call, 3, 0, math.prod(plain) * call.itemsize(1), 4)


def _ipex_forward_bytes(call: Call) -> int:
    weight = call.integers(4, len(call.tensor(0, 3, 4, 5)))
    return _forward_bytes(call, padding=5, stride=6, dilation=7, weight=weight)


TRAFFIC: dict[str, Formula] = {
    **dict.fromkeys(
        ("aten::convolution", "aten::_convolution", "aten::convolution_overrideable"),
        _convolution_bytes,
    ),
    "aten::mkldnn_convolution": partial(_forward_bytes, padding=3, stride=4, dilation=5),
    **dict.fromkeys(
        ("aten::thnn_conv2d", "aten::_slow_conv2d_forward", "aten::slow_conv3d", "aten::slow_conv3d_forward"),
        partial(_forward_bytes, stride=4, padding=5, dilation=None, bias=3),
    ),
    **dict.fromkeys(
        ("aten::slow_conv_dilated2d", "aten::slow_conv_dilated3d"),
        partial(_forward_bytes, stride=4, padding=5, dilation=6, bias=3),
    ),
    **dict.fromkeys(
        ("aten::slow_conv_transpose2d", "aten::slow_conv_transpose3d"),
        partial(_transposed_bytes, stride=4, padding=5, output_padding=6, dilation=7, groups=None, bias=3),
    ),
    "aten::convolution_backward": partial(_aten_backward_bytes, mask=10),
    "aten::convolution_backward_overrideable": partial(_aten_backward_bytes, mask=9),
    "aten::_slow_conv2d_backward": partial(_aten_backward_bytes, mask=6),
    "torch_ipex::convolution_forward": _ipex_forward_bytes,
    "torch_ipex::convolution_backward": _ipex_backward_bytes,
}

FORMULAE: dict[str, Formula] = {
    **dict.fromkeys(
        ("aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::_convolution_mode"),
        lambda call: _forward(call, stride=3, padding=4, dilation=5),
    ),
    **dict.fromkeys(
        ("aten::convolution", "aten::_convolution", "aten::convolution_overrideable"),
        _convolution_forward,
    ),
    # The padding stands before the stride.
    "aten::mkldnn_convolution": lambda call: _forward(call, padding=3, stride=4, dilation=5),
    # self, weight, kernel_size, bias, stride, padding
    **dict.fromkeys(
        ("aten::thnn_conv2d", "aten::_slow_conv2d_forward", "aten::slow_conv3d", "aten::slow_conv3d_forward"),
        lambda call: _forward(call, stride=4, padding=5, dilation=None),
    ),
    **dict.fromkeys(
        ("aten::slow_conv_dilated2d", "aten::slow_conv_dilated3d"),
        lambda call: _forward(call, stride=4, padding=5, dilation=6),
    ),
    **dict.fromkeys(
        (
            "aten::conv_transpose1d",
            "aten::conv_transpose2d",
            "aten::conv_transpose3d",
            "aten::slow_conv_transpose2d",
            "aten::slow_conv_transpose3d",
        ),
        _transposed_forward,
    ),
    "aten::convolution_backward": _convolution_backward,
    "aten::convolution_backward_overrideable": _overrideable_backward,
    "aten::_slow_conv2d_backward": _slow_conv2d_backward,
    "torch_ipex::convolution_forward": _ipex_convolution,
    "torch_ipex::convolution_backward": _ipex_backward,
    "torch_ipex::conv_transpose": _ipex_transposed,
}
