"""Bytes of operators that only move elements: copies, fills, concatenations, look-ups; and of those that move none."""

from __future__ import annotations

import math

from perfsuite.flops.call import Call, Formula, UnknownError
from perfsuite.flops.dtypes import size_of

#: Views, allocations and bookkeeping: they touch no element.
_NOTHING = """view _unsafe_view reshape _reshape_alias as_strided as_strided_ transpose t permute expand expand_as
    select slice narrow split split_with_sizes chunk unbind squeeze unsqueeze flatten unflatten detach detach_ alias
    view_as view_as_real view_as_complex movedim swapaxes diagonal unfold resolve_conj resolve_neg lift_fresh
    empty empty_like empty_strided new_empty new_empty_strided resize_ resize_as_ set_ result_type
    cudnn_is_acceptable is_same_size is_floating_point is_complex numel size stride"""


def _nothing(call: Call) -> int:
    return 0


def _copy(call: Call) -> int:
    """copy_(self, src): src read, self written."""
    return call.numel(0) * call.itemsize(0) + call.numel(1) * call.itemsize(1)


def _clone(call: Call) -> int:
    return 2 * call.numel(0) * call.itemsize(0)


def _to_copy(call: Call) -> int:
    """self, dtype 1."""
    return call.bytes(0) + call.numel(0) * size_of(call.wanted_dtype(1, call.dtype(0)))


def _fill(call: Call) -> int:
    """self is written, its old values are not read."""
    return call.numel(0) * call.itemsize(0)


def _picked(call: Call, table: int, picked: int, index: int) -> int:
    """The indices, and ``picked`` elements of the table read and written."""
    return call.bytes(index) + 2 * picked * call.itemsize(table)


def _embedding(call: Call) -> int:
    """weight [V, D], indices: a row for each index."""
    return _picked(call, 0, call.numel(1) * call.tensor(0, 2)[1], 1)


def _index_select(call: Call) -> int:
    """self, dim, index [n]."""
    dims, at = call.tensor(0), call.integer(1)
    if not -len(dims) <= at < len(dims):
        raise UnknownError
    rest = math.prod(size for d, size in enumerate(dims) if d != at % len(dims))
    return _picked(call, 0, rest * call.numel(2), 2)


def _gather(call: Call) -> int:
    """self, dim, index: as many as there are indices."""
    return _picked(call, 0, call.numel(2), 2)


def _embedding_dense_backward(call: Call) -> int:
    """grad_output [*, D], indices: each row is added to the place its index names, which is read and written.

    Filling the whole gradient with zeros is a call of its own.
    """
    return 3 * call.bytes(0) + call.bytes(1)


def _scatter_add(call: Call) -> int:
    """self, dim, index, src: self is read and written where the indices point."""
    return call.bytes(2, 3) + 2 * call.numel(2) * call.itemsize(0)


def _scatter(call: Call) -> int:
    """self, dim, index, src or value."""
    return call.bytes(2, 3) + call.numel(2) * call.itemsize(0)


def _index_add(call: Call) -> int:
    """self, dim, index, source: as many elements of self as source has are read and written."""
    return call.bytes(2, 3) + 2 * call.numel(3) * call.itemsize(0)


def _nll_loss(call: Call) -> int:
    """self [N, C, …], target, weight, reduction: one element of self for each target; the loss and the weights' sum."""
    targets = call.numel(1)
    reduced = call.integer(3) != 0
    return call.bytes(1, 2) + call.itemsize(0) * (targets + (1 if reduced else targets) + 1)


def _nll_loss_backward(call: Call) -> int:
    """grad_output, self, target, weight, reduction, ignore_index, total_weight: one element for each target is
    written; filling the rest with zeros is a call of its own."""
    return call.bytes(0, 2, 3, 6) + call.numel(2) * call.itemsize(1)


TRAFFIC: dict[str, Formula] = {
    **dict.fromkeys((f"aten::{name}" for name in _NOTHING.split()), _nothing),
    "aten::copy_": _copy,
    "aten::clone": _clone,
    "aten::_to_copy": _to_copy,
    **dict.fromkeys(
        (f"aten::{name}_" for name in ("fill", "zero", "bernoulli", "normal", "uniform", "random", "exponential")),
        _fill,
    ),
    "aten::embedding": _embedding,
    "aten::index_select": _index_select,
    "aten::gather": _gather,
    "aten::embedding_dense_backward": _embedding_dense_backward,
    "aten::scatter_add": _scatter_add,
    "aten::scatter_add_": _scatter_add,
    "aten::scatter_": _scatter,
    **dict.fromkeys(("aten::index_add", "aten::index_add_"), _index_add),
    **dict.fromkeys(("aten::nll_loss_forward", "aten::nll_loss2d_forward"), _nll_loss),
    **dict.fromkeys(("aten::nll_loss_backward", "aten::nll_loss2d_backward"), _nll_loss_backward),
}

#: What prepares memory for another operator: it takes nothing away from the one that calls it.
PREPARING = frozenset(name for name in TRAFFIC if TRAFFIC[name] in (_nothing, _copy, _clone, _to_copy, _fill))
