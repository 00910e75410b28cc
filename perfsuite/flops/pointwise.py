"""Bytes of operators that make each element of their result from one element of each input, and of reductions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from perfsuite.flops.call import Call, Dims, Formula, UnknownError, is_int
from perfsuite.flops.dtypes import category, promote, size_of
from perfsuite.flops.products import broadcast

_UNARY = """abs neg sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh
    erf erfc erfinv sigmoid relu relu6 gelu silu mish hardtanh hardswish hardsigmoid leaky_relu elu
    softplus threshold sgn sign ceil floor round trunc frac square clamp clamp_min clamp_max logit nan_to_num positive
    tril triu flip roll celu selu hardshrink softshrink"""
_BINARY = """add sub rsub mul div true_divide pow remainder fmod maximum minimum fmax fmin atan2 hypot lerp addcmul
    addcdiv bitwise_and bitwise_or bitwise_xor bitwise_not floor_divide xlogy copysign _prelu_kernel
    threshold_backward sigmoid_backward tanh_backward gelu_backward silu_backward mish_backward hardtanh_backward
    hardswish_backward hardsigmoid_backward leaky_relu_backward elu_backward softplus_backward logit_backward
    log_sigmoid_backward native_dropout_backward mse_loss_backward smooth_l1_loss_backward huber_loss_backward
    binary_cross_entropy_backward"""
_TRUTH = "eq ne lt le gt ge logical_and logical_or logical_xor logical_not isnan isinf isfinite isneginf isposinf"
#: The result is floating point even where the inputs are integers.
_FLOATS = frozenset(("div", "true_divide", "sqrt", "rsqrt", "exp", "log", "sigmoid", "tanh", "reciprocal", "erf"))
#: ``other`` or ``grad_output`` first; then ``self``, ``target``, a weight, and a reduction that shapes the result.
_LOSSES = {"mse_loss": 2, "smooth_l1_loss": 2, "huber_loss": 2, "binary_cross_entropy": 3}

#: ``dim`` of a reduction stands at 1 unless it is named here.
_DIM_AT = {"norm": 2, "linalg_vector_norm": 2}


def _computed_dtype(call: Call, positions: list[int]) -> str:
    """The result's data type: tensors without dimensions and Python's numbers only count if of a higher category."""
    dimensioned = [call.dtype(p) for p in positions if call.sizes(p)]
    others = [call.dtype(p) for p in positions if not call.sizes(p)]
    if not dimensioned:
        return promote(others)
    found = promote(dimensioned)
    if others and category(promote(others)) > category(found):
        return promote(others)
    return found


def _written(call: Call, positions: list[int], dtype: str) -> int:
    """Bytes of the result: the first argument's in place, else of the sizes that the inputs broadcast to."""
    if call.in_place:
        return call.bytes(0)
    dims: Dims = ()
    for position in positions:
        dims = broadcast(dims, call.sizes(position))
    return math.prod(dims) * size_of(dtype)


def _tensors(call: Call) -> list[int]:
    positions = [p for p in range(len(call)) if call.is_tensor(p)]
    if not positions:
        raise UnknownError
    return positions


def _pointwise(call: Call, result: str | None = None, floats: bool = False) -> int:
    """Each tensor read, the result written."""
    positions = _tensors(call)
    dtype = result or _computed_dtype(call, positions)
    if result is None and category(dtype) < 2 and (floats or _meets_a_float(call)):
        dtype = "float32"
    return call.bytes(*positions) + _written(call, positions, dtype)


def _meets_a_float(call: Call) -> bool:
    """Whether one of the arguments is a Python float: of integers it makes torch's default floating-point type."""
    return any(call.has(p) and isinstance(call.value(p), float) for p in range(len(call)))


def _where(call: Call) -> int:
    """condition, self, other: the condition has no part in the result's data type."""
    positions = _tensors(call)
    if len(positions) < 2:
        raise UnknownError
    return call.bytes(*positions) + _written(call, positions, _computed_dtype(call, positions[1:]))


def _masked_fill(call: Call) -> int:
    """self, mask, value: the result is of self's data type."""
    return call.bytes(0, 1, 2) + _written(call, [0, 1], call.dtype(0))


def _sgd_step(call: Call) -> int:
    """param, grad, momentum and lower halves of split weights where there are any: all but grad are written too."""
    return 2 * call.bytes(0, 2, 3) + call.numel(1) * call.itemsize(1)


def _loss(call: Call, reduction: int) -> int:
    """The result is one element, or without a reduction (0) one for each of the inputs."""
    positions = _tensors(call)
    dtype = _computed_dtype(call, positions)
    reduced = not call.has(reduction) or call.integer(reduction) != 0
    return call.bytes(*positions) + (size_of(dtype) if reduced else _written(call, positions, dtype))


# --- reductions -------------------------------------------------------------------------------------


def kept(dims: Dims, reduced: Any) -> Dims:
    """The sizes that are left of ``dims``; ``reduced`` is a dimension, a list of them, or empty for all."""
    wanted = reduced if isinstance(reduced, (list, tuple)) else (reduced,)
    if not all(is_int(d) and -len(dims) <= d < len(dims) for d in wanted):
        raise UnknownError
    gone = {d % len(dims) for d in wanted} or set(range(len(dims)))
    return tuple(size for d, size in enumerate(dims) if d not in gone)


def _outputs(call: Call, dim: int) -> int:
    """How many elements a reduction leaves.  An overload with one or two arguments (self, dtype) reduces all."""
    if len(call) <= 2 or not call.sizes(0) or not call.has(dim):
        return 1
    return math.prod(kept(call.sizes(0), call.value(dim)))


def _reduction(call: Call, name: str) -> int:
    """self read once, the result written; its data type is an argument, int64 for sums of integers, or self's."""
    own = call.dtype(0)
    if name in ("sum", "prod", "nansum", "count_nonzero") and category(own) < 2:
        own = "int64"
    if name in ("all", "any"):
        own = "bool"
    if name in ("argmax", "argmin", "count_nonzero"):
        own = "int64"
    last = len(call) - 1
    asked = own
    if name in ("sum", "mean", "nansum", "prod", "linalg_vector_norm") and last > 0:
        asked = call.wanted_dtype(last, own)
    return call.bytes(0) + _outputs(call, _DIM_AT.get(name, 1)) * size_of(asked)


def _extremum(call: Call) -> int:
    """max, min: of all elements, along a dimension with the indices, or of two tensors."""
    if len(call) > 1 and call.is_tensor(1):
        return _pointwise(call)
    outputs = _outputs(call, 1)
    return call.bytes(0) + outputs * (call.itemsize(0) + (8 if len(call) > 1 else 0))


def _topk(call: Call) -> int:
    """self, k, dim: values and their indices."""
    dims = call.sizes(0)
    rows = math.prod(kept(dims, call.integer(2))) if dims else 1
    return call.bytes(0) + rows * call.integer(1) * (call.itemsize(0) + 8)


def _cumulative(call: Call) -> int:
    """As many sums or products as elements, of integers in int64; dtype is the last argument."""
    dtype = call.wanted_dtype(2, "int64" if category(call.dtype(0)) < 2 else call.dtype(0))
    return call.bytes(0) + call.numel(0) * size_of(dtype)


def _sort(call: Call) -> int:
    """All values and their indices."""
    return 2 * call.bytes(0) + 8 * call.numel(0)


def _table() -> dict[str, Formula]:
    found: dict[str, Formula] = {}
    for name in (*_UNARY.split(), *_BINARY.split()):
        found[f"aten::{name}"] = partial(_pointwise, floats=name in _FLOATS)
    for name in _TRUTH.split():
        found[f"aten::{name}"] = partial(_pointwise, result="bool")
    for name, position in _LOSSES.items():
        found[f"aten::{name}"] = partial(_loss, reduction=position)
    for name in (
        "sum", "mean", "nansum", "prod", "amax", "amin", "argmax", "argmin", "all", "any", "norm", "var", "std",
        "linalg_vector_norm", "logsumexp", "count_nonzero",
    ):  # fmt: skip
        found[f"aten::{name}"] = partial(_reduction, name=name)
    return found


TRAFFIC: dict[str, Formula] = {
    **_table(),
    "torch_ipex::sgd_fused_step": _sgd_step,
    "aten::where": _where,
    "aten::masked_fill": _masked_fill,
    **dict.fromkeys(("aten::max", "aten::min"), _extremum),
    "aten::topk": _topk,
    **dict.fromkeys(("aten::cumsum", "aten::cumprod"), _cumulative),
    "aten::sort": _sort,
}
