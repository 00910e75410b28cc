"""FLOPs and bytes of matrix products and of the layers made of them; the conventions are in :mod:`perfsuite.flops`."""

from __future__ import annotations

import math

from perfsuite.flops.call import Call, Dims, Formula, UnknownError


def _mm(call: Call, first: int = 0) -> int:
    """[m, k] × [k, n]: m·n sums of k products."""
    (m, k), (k2, n) = call.tensor(first, 2), call.tensor(first + 1, 2)
    _same(k, k2)
    return 2 * m * k * n


def _bmm(call: Call, first: int = 0) -> int:
    """b products of [m, k] × [k, n]."""
    (b, m, k), (b2, k2, n) = call.tensor(first, 3), call.tensor(first + 1, 3)
    _same(b, b2)
    _same(k, k2)
    return 2 * b * m * k * n


def _mv(call: Call, first: int = 0) -> int:
    """[m, k] × [k]."""
    (m, k), (k2,) = call.tensor(first, 2), call.tensor(first + 1, 1)
    _same(k, k2)
    return 2 * m * k


def _dot(call: Call) -> int:
    """[k] · [k]."""
    (k,), (k2,) = call.tensor(0, 1), call.tensor(1, 1)
    _same(k, k2)
    return 2 * k


def _outer(call: Call) -> int:
    """[m] ⊗ [n]: one multiplication each; nothing is summed."""
    (m,), (n,) = call.tensor(0, 1), call.tensor(1, 1)
    return m * n


def _addr(call: Call) -> int:
    """[m, n] + [m] ⊗ [n]: one multiplication and one addition each."""
    (m,), (n,) = call.tensor(1, 1), call.tensor(2, 1)
    return 2 * m * n


def _matmul(call: Call) -> int:
    """numpy's rules: a 1-d operand gets a dimension of 1 for the product, leading dimensions broadcast."""
    left, right = call.tensor(0), call.tensor(1)
    if len(left) == 1:
        left = (1, *left)
    if len(right) == 1:
        right = (*right, 1)
    _same(left[-1], right[-2])
    return 2 * math.prod(broadcast(left[:-2], right[:-2])) * left[-2] * left[-1] * right[-1]


def broadcast(left: Dims, right: Dims) -> Dims:
    rank = max(len(left), len(right))
    pairs = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    sizes = []
    for a, b in pairs:
        if a != b and 1 not in (a, b):
            raise UnknownError
        sizes.append(b if a == 1 else a)
    return tuple(sizes)


def _linear(call: Call) -> int:
    """[*, k] × [n, k]ᵀ; the weight may be [k]."""
    input_, weight = call.tensor(0), call.tensor(1, 1, 2)
    _same(input_[-1], weight[-1])
    return 2 * math.prod(input_) * math.prod(weight[:-1])


def _linear_backward(call: Call) -> int:
    """aten::linear_backward, aten::mkldnn_linear_backward: self, grad_output, weight, output_mask 3."""
    input_, grad_output = call.tensor(0), call.tensor(1)
    return _linear_gradients(input_, grad_output, call.mask(3, 3))


def _linear_gradients(input_: Dims, grad_output: Dims, wanted: tuple[bool, ...]) -> int:
    """As much as the forward for each of the input's and the weight's gradient; the bias's sums grad_output."""
    products = 2 * math.prod(input_) * grad_output[-1]
    return products * (wanted[0] + wanted[1]) + math.prod(grad_output) * wanted[2]


def _mkldnn_linear_backward_input(call: Call) -> int:
    """input_size, grad_output [*, n], weight [n, k]."""
    grad_output, weight = call.tensor(1), call.tensor(2, 2)
    _same(grad_output[-1], weight[0])
    return 2 * math.prod(grad_output) * weight[1]


def _mkldnn_linear_backward_weights(call: Call) -> int:
    """grad_output [*, n], input [*, k], weight [n, k], bias_defined 3."""
    return _linear_gradients(call.tensor(1), call.tensor(0), (False, True, bool(call.value(3))))


def _ipex_linear(call: Call, out_features: int = 4) -> int:
    """The weight is packed; its rows are argument ``out_features``."""
    return 2 * math.prod(call.tensor(0)) * call.integer(out_features)


def _ipex_linear_backward(call: Call) -> int:
    """input, packed weight, bias, grad_output, output_mask 4."""
    return _linear_gradients(call.tensor(0), call.tensor(3), call.mask(4, 3))


def _attention(query: Dims, key: Dims, value: Dims) -> int:
    """scores = q·kᵀ, [B, H, L, E] × [B, H, E, S]; then scores·v, [B, H, L, S] × [B, H, S, Ev].

    With grouped queries each key head serves several query heads: H is the query's.
    """
    _at_least_matrices(query, key, value)
    *batch, length, width = query
    _same(width, key[-1])
    _same(key[-2], value[-2])
    return 2 * math.prod(batch) * length * key[-2] * (width + value[-1])


def _attention_forward(call: Call) -> int:
    return _attention(call.tensor(0), call.tensor(1), call.tensor(2))


def _attention_backward(call: Call) -> int:
    """grad_output, query, key, value, …: five products, since the scores are not kept but computed again.

    scores = q·kᵀ, dq = dS·k and dk = dSᵀ·q run over E; dP = dO·vᵀ and dv = Pᵀ·dO over Ev.
    """
    query, key, value = call.tensor(1), call.tensor(2), call.tensor(3)
    _at_least_matrices(query, key, value)
    *batch, length, width = query
    _same(width, key[-1])
    return 2 * math.prod(batch) * length * key[-2] * (3 * width + 2 * value[-1])


def _rnn_layer(call: Call) -> int:
    """input [T, N, I] (or packed [ΣT, I]), weights [G·H, I] and [G·H, H], G gates: each cell times both."""
    input_, from_input, from_state = call.tensor(0, 2, 3), call.tensor(1, 2), call.tensor(2, 2)
    _same(input_[-1], from_input[1])
    _same(from_input[0], from_state[0])
    return 2 * math.prod(input_[:-1]) * (math.prod(from_input) + math.prod(from_state))


def _rnn_layer_backward(call: Call) -> int:
    """Gradients of the inputs and of both weights, always all of them; and of the bias (17), G·H for each cell."""
    cells = math.prod(call.tensor(0, 2, 3)[:-1])
    return 2 * _rnn_layer(call) + cells * call.tensor(1, 2)[0] * bool(call.value(17))


def _at_least_matrices(*tensors: Dims) -> None:
    if min(map(len, tensors)) < 2:
        raise UnknownError


def _same(a: int, b: int) -> None:
    if a != b:
        raise UnknownError


# --- bytes ------------------------------------------------------------------------------------------


def _read_all(call: Call) -> int:
    return call.bytes(*range(len(call)))


def _product_bytes(call: Call, first: int, *outputs: tuple[int, int]) -> int:
    """Both operands (and what is added to them) read, the product written; ``outputs`` are (argument, dimension)."""
    elements = math.prod(call.tensor(position)[dimension] for position, dimension in outputs)
    return call.bytes(*range(first + 2)) + elements * call.itemsize(first)


def _matmul_bytes(call: Call) -> int:
    """The product has as many elements as FLOPs ÷ (2·k)."""
    k = call.tensor(0)[-1]
    elements = _matmul(call) // (2 * k) if k else 0
    return call.bytes(0, 1) + elements * call.itemsize(0)


def _linear_bytes(call: Call) -> int:
    """input [*, k], weight [n, k], bias [n]."""
    return call.bytes(0, 1, 2) + math.prod(call.tensor(0)[:-1]) * math.prod(call.tensor(1)[:-1]) * call.itemsize(0)


def _ipex_linear_bytes(call: Call) -> int:
    """The weight is packed: its plain size is [out_features, k]."""
    input_, outputs = call.tensor(0), call.integer(4)
    weights = input_[-1] * outputs * call.itemsize(1)
    return call.bytes(0, 2) + weights + math.prod(input_[:-1]) * outputs * call.itemsize(0)


def _ipex_linear_backward_bytes(call: Call) -> int:
    """grad_output read once; input and weight read, or written as gradients, as the mask says."""
    wanted = call.mask(4, 3)
    outputs = call.tensor(3)[-1]
    weights = call.tensor(0)[-1] * outputs * call.itemsize(1)
    both = (call.bytes(0) + weights) * (wanted[0] + wanted[1])
    return (call.bytes(3) + both + outputs * call.itemsize(3) * wanted[2]) if any(wanted) else 0


def _rnn_bytes(call: Call) -> int:
    """input, four weights, hx 5, cx 6 read; the output [T, N, H] and the last states written.

    The workspace for the backward pass is left out: its size is the library's affair.
    """
    cells = math.prod(call.tensor(0, 2, 3)[:-1])
    return call.bytes(*range(7)) + cells * call.tensor(2, 2)[1] * call.itemsize(0) + call.bytes(5, 6)


def _rnn_backward_bytes(call: Call) -> int:
    """All tensors read, the workspace too; gradients of input 0, weights 1 to 4 and states 5 and 6 written."""
    return _read_all(call) + call.bytes(*range(7))


def _attention_bytes(call: Call) -> int:
    """query, key, value and mask read; the output and a float32 for each query row written."""
    query, value = call.tensor(0, 4), call.tensor(2, 4)
    rows = math.prod(query[:-1])
    return _read_all(call) + rows * (value[-1] * call.itemsize(0) + 4)


def _attention_backward_bytes(call: Call) -> int:
    """grad_out, query 1, key 2, value 3, out, logsumexp read; gradients of 1 to 3 written."""
    return _read_all(call) + call.bytes(1, 2, 3)


TRAFFIC: dict[str, Formula] = {
    "aten::mm": lambda call: _product_bytes(call, 0, (0, 0), (1, 1)),
    **dict.fromkeys(("aten::addmm", "aten::_addmm_activation"), lambda call: _product_bytes(call, 1, (1, 0), (2, 1))),
    "aten::bmm": lambda call: _product_bytes(call, 0, (0, 0), (0, 1), (1, 2)),
    "aten::baddbmm": lambda call: _product_bytes(call, 1, (1, 0), (1, 1), (2, 2)),
    "aten::addbmm": lambda call: _product_bytes(call, 1, (1, 1), (2, 2)),
    "aten::mv": lambda call: _product_bytes(call, 0, (0, 0)),
    "aten::addmv": lambda call: _product_bytes(call, 1, (1, 0)),
    **dict.fromkeys(("aten::dot", "aten::vdot"), lambda call: _product_bytes(call, 0)),
    **dict.fromkeys(("aten::outer", "aten::ger"), lambda call: _product_bytes(call, 0, (0, 0), (1, 0))),
    "aten::addr": lambda call: _product_bytes(call, 1, (1, 0), (2, 0)),
    "aten::matmul": _matmul_bytes,
    **dict.fromkeys(("aten::linear", "aten::mkldnn_linear"), _linear_bytes),
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention_bytes,
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward_bytes,
    "aten::mkldnn_rnn_layer": _rnn_bytes,
    "aten::mkldnn_rnn_layer_backward": _rnn_backward_bytes,
    **dict.fromkeys(("torch_ipex::ipex_linear", "torch_ipex::ipex_MKLSGEMM"), _ipex_linear_bytes),
    "torch_ipex::linear_backward": _ipex_linear_backward_bytes,
}

FORMULAE: dict[str, Formula] = {
    "aten::mm": _mm,
    "aten::addmm": lambda call: _mm(call, 1),
    "aten::_addmm_activation": lambda call: _mm(call, 1),
    "aten::bmm": _bmm,
    "aten::baddbmm": lambda call: _bmm(call, 1),
    "aten::addbmm": lambda call: _bmm(call, 1),
    "aten::mv": _mv,
    "aten::addmv": lambda call: _mv(call, 1),
    **dict.fromkeys(("aten::dot", "aten::vdot"), _dot),
    **dict.fromkeys(("aten::outer", "aten::ger"), _outer),
    "aten::addr": _addr,
    "aten::matmul": _matmul,
    **dict.fromkeys(("aten::linear", "aten::mkldnn_linear"), _linear),
    **dict.fromkeys(("aten::linear_backward", "aten::mkldnn_linear_backward"), _linear_backward),
    "aten::mkldnn_linear_backward_input": _mkldnn_linear_backward_input,
    "aten::mkldnn_linear_backward_weights": _mkldnn_linear_backward_weights,
    **dict.fromkeys(
        ("aten::scaled_dot_product_attention", "aten::_scaled_dot_product_flash_attention_for_cpu"),
        _attention_forward,
    ),
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
    "aten::mkldnn_rnn_layer": _rnn_layer,
    "aten::mkldnn_rnn_layer_backward": _rnn_layer_backward,
    **dict.fromkeys(("torch_ipex::ipex_linear", "torch_ipex::ipex_MKLSGEMM"), _ipex_linear),
    "torch_ipex::ipex_linear_eltwise": lambda call: _ipex_linear(call, 5),
    "torch_ipex::linear_backward": _ipex_linear_backward,
}
