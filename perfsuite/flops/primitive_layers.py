"""Bytes of oneDNN's other primitives: normalisation, pooling, element by element, reorders."""

from __future__ import annotations

import math
from collections.abc import Callable

from perfsuite.flops.dtypes import UnknownError, onednn_bytes
from perfsuite.flops.problem import Dims, Problem, broadcast, spatial

# --- normalisation ----------------------------------------------------------------------------------


def _batch_norm_bytes(problem: Problem) -> int:
    """``data`` is src and dst (backward: src), ``diff`` both gradients; statistics and weights are f32."""
    dims, flags = problem.shaped(), problem.flags()
    if len(dims) < 2:
        raise UnknownError
    data = "data" if problem.has("data") else "src"
    n, channels = math.prod(dims), dims[1]
    if problem.backward:
        weights = ("C" in flags) + (("C" in flags) + ("H" in flags)) * (problem.source.direction == "backward")
        moved = problem.bytes(data, n) + (2 + ("A" in flags)) * problem.bytes("diff", n)
    else:
        weights = ("C" in flags) + ("H" in flags)
        moved = (2 + ("A" in flags)) * problem.bytes(data, n)
    statistics = 2 if problem.backward or problem.training or "G" in flags else 0
    workspace = math.ceil(n / 8) if ("R" in flags or "A" in flags) and (problem.training or problem.backward) else 0
    return _some(moved) + 4 * channels * (weights + statistics) + workspace


def _layer_norm_bytes(problem: Problem) -> int:
    """src, dst (backward: its gradient) and each weight are named; mean and variance of each row are ``stats``."""
    dims = problem.shaped()
    if not dims:
        raise UnknownError
    n, rows, last = math.prod(dims), math.prod(dims[:-1]), dims[-1]
    statistics = rows * (1 if "M" in problem.flags() else 2)
    elements = {"src": n, "data": 2 * n, "dst": n, "stats": statistics, "diff_src": n, "diff": 2 * n}
    elements |= {"scale": last, "diff_scale": last, "diff_shift": last, "shift": 0 if problem.backward else last}
    return problem.total(elements)


def _group_norm_bytes(problem: Problem) -> int:
    """src, dst (backward: its gradient), diff_src; statistics of each group and weights are f32."""
    named, flags = problem.named(), problem.flags()
    if not {"g", "mb", "ic"} <= set(named):
        raise UnknownError
    n, channels = named["mb"] * named["ic"] * spatial(named, "i"), named["ic"]
    weights = ("C" in flags) + ("H" in flags)
    if problem.backward:
        weights = ("C" in flags) + weights * (problem.source.direction == "backward")
    statistics = 2 * named["mb"] * named["g"] if problem.backward or problem.training or "G" in flags else 0
    return problem.total({"src": n, "dst": n, "diff_src": n}) + 4 * (channels * weights + statistics)


# --- the rest ---------------------------------------------------------------------------------------


def _pooling_bytes(problem: Problem) -> int:
    """src, dst, and the indices of a maximum where they are kept; backward src and dst are gradients."""
    named = problem.named()
    if not {"mb", "ic", "iw", "ow"} <= set(named):
        raise UnknownError
    images = named["mb"] * named["ic"]
    src, dst = images * spatial(named, "i"), images * spatial(named, "o")
    return problem.total({"src": src, "dst": dst, "ws": dst})


def _resampling_bytes(problem: Problem) -> int:
    named = problem.named()
    if not {"mb", "ic", "iw", "ow"} <= set(named):
        raise UnknownError
    images = named["mb"] * named["ic"]
    src, dst = images * spatial(named, "i"), images * spatial(named, "o")
    sizes = [named[f"o{axis}"] for axis in "dhw" if f"o{axis}" in named]
    return problem.total({"src": src, "dst": dst}) + problem.post_op_bytes((named["mb"], named["ic"], *sizes))


def _data_bytes(problem: Problem) -> int:
    """``data`` is src and dst; backward it is what the derivative is taken at, and ``diff`` both gradients."""
    n = math.prod(problem.shaped())
    if problem.backward and problem.has("diff"):
        return _some(problem.bytes("data", n)) + 2 * problem.bytes("diff", n)
    return 2 * _some(problem.bytes("data", n))


def _eltwise_bytes(problem: Problem) -> int:
    if problem.has("data"):
        extra = 0 if problem.backward else problem.post_op_bytes(problem.shaped())
        return _data_bytes(problem) + extra
    return _tensorwise_bytes(problem)


def _tensorwise_bytes(problem: Problem) -> int:
    """Tensors of one size, each moved once: softmax, reorder, sum."""
    if problem.has("data"):
        return _data_bytes(problem)
    dims = problem.one()
    n = math.prod(dims)
    return problem.total(dict.fromkeys(("src", "dst", "in", "out", "diff_src", "diff_dst"), n)) + (
        problem.post_op_bytes(dims)
    )


def _several_bytes(problem: Problem, dst: Callable[[list[Dims]], int]) -> int:
    """Sources of their own sizes, in order, and one destination."""
    shapes = problem.sizes()
    sources = [dtype for name, dtype in problem.tensors if name == "src"]
    if len(sources) != len(shapes) or not problem.has("dst"):
        raise UnknownError
    moved = problem.bytes("dst", dst(shapes))
    for dtype, dims in zip(sources, shapes, strict=True):
        moved += onednn_bytes(dtype, math.prod(dims))
    return moved


def _binary_bytes(problem: Problem) -> int:
    shapes = problem.sizes()
    dst = broadcast(shapes)
    return _several_bytes(problem, lambda _: math.prod(dst)) + problem.post_op_bytes(dst)


def _concat_bytes(problem: Problem) -> int:
    return _several_bytes(problem, lambda shapes: sum(map(math.prod, shapes)))


def _prelu_bytes(problem: Problem) -> int:
    """data and wei read; forward the result is as data, backward ``diff`` is both gradients of it."""
    shapes = problem.sizes()
    if len(shapes) != 2:
        raise UnknownError
    n, weights = math.prod(shapes[0]), math.prod(shapes[1])
    results = 0 if problem.backward else problem.bytes("data", n)
    elements = {"data": n, "src": n, "wei": weights, "diff": 2 * n, "diff_wei": weights}
    return problem.total(elements) + results


def _reduction_bytes(problem: Problem) -> int:
    shapes = problem.sizes()
    if len(shapes) != 2:
        raise UnknownError
    src, dst = shapes
    return problem.total({"src": math.prod(src), "dst": math.prod(dst)}) + problem.post_op_bytes(dst)


def _some(moved: int) -> int:
    if not moved:
        raise UnknownError
    return moved


TRAFFIC: dict[str, Callable[[Problem], int]] = {
    "batch_normalization": _batch_norm_bytes,
    "layer_normalization": _layer_norm_bytes,
    "group_normalization": _group_norm_bytes,
    "pooling": _pooling_bytes,
    "resampling": _resampling_bytes,
    "eltwise": _eltwise_bytes,
    "lrn": _data_bytes,
    "shuffle": _data_bytes,
    "softmax": _tensorwise_bytes,
    "reorder": _tensorwise_bytes,
    "sum": _tensorwise_bytes,
    "binary": _binary_bytes,
    "concat": _concat_bytes,
    "prelu": _prelu_bytes,
    "reduction": _reduction_bytes,
}
