"""FLOPs and bytes of oneDNN's convolutions, matrix products and recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Callable

from perfsuite.flops.dtypes import UnknownError
from perfsuite.flops.problem import Dims, Problem, broadcast, spatial

_GATES = {"rnn": 1, "lstm": 4, "gru": 3, "augru": 3}


def _convolution_sizes(problem: Problem) -> tuple[dict[str, int], dict[str, int]]:
    """The named sizes, and the elements of each tensor.  Channels are those of all groups."""
    named = problem.named()
    if not {"mb", "ic", "oc", "iw", "ow", "kw"} <= set(named) or problem.has("src_fused"):
        raise UnknownError  # a fused depthwise convolution is a second one, of which the sizes are not printed
    groups = named.setdefault("g", 1)
    if groups < 1 or named["ic"] % groups or named["oc"] % groups:
        raise UnknownError
    return named, {
        "src": named["mb"] * named["ic"] * spatial(named, "i"),
        "wei": named["oc"] * named["ic"] // groups * spatial(named, "k"),
        "bia": named["oc"],
        "dst": named["mb"] * named["oc"] * spatial(named, "o"),
    }


def _convolution_flops(problem: Problem, positions: str = "o") -> int:
    """2 · mb · positions · numel(weight), in each direction; of a deconvolution the positions are the input's."""
    named, elements = _convolution_sizes(problem)
    products = 2 * named["mb"] * spatial(named, positions) * elements["wei"]
    return products + _bias_gradient(problem, elements["dst"])


def _bias_gradient(problem: Problem, terms: int) -> int:
    """backward_weights sums the gradient of the bias where there is one."""
    return terms if problem.source.direction == "backward_weights" and problem.has("bia") else 0


def _convolution_bytes(problem: Problem) -> int:
    """src, wei, bia, dst: in a backward direction one of them stands for its gradient, all move once."""
    named, elements = _convolution_sizes(problem)
    spatial = [named[f"o{axis}"] for axis in "dhw" if f"o{axis}" in named]
    return problem.total(elements) + problem.post_op_bytes((named["mb"], named["oc"], *spatial))


def _inner_product_sizes(problem: Problem) -> tuple[int, int, int]:
    named = problem.named()
    if not {"mb", "ic", "oc"} <= set(named):
        raise UnknownError
    return named["mb"], named["ic"] * spatial(named, "i"), named["oc"]


def _inner_product_flops(problem: Problem) -> int:
    rows, k, columns = _inner_product_sizes(problem)
    return 2 * rows * k * columns + _bias_gradient(problem, rows * columns)


def _inner_product_bytes(problem: Problem) -> int:
    rows, k, columns = _inner_product_sizes(problem)
    elements = {"src": rows * k, "wei": k * columns, "bia": columns, "dst": rows * columns}
    return problem.total(elements) + problem.post_op_bytes((rows, columns))


def _matmul_sizes(problem: Problem) -> tuple[Dims, Dims, Dims]:
    """src [*, m, k], wei [*, k, n], dst [*, m, n]; batch dimensions of 1 broadcast.  Old versions print dst too."""
    src, wei, *_ = [*problem.sizes(), ()]
    if len(src) < 2 or len(src) != len(wei) or src[-1] != wei[-2]:
        raise UnknownError
    return src, wei, (*broadcast((src[:-2], wei[:-2])), src[-2], wei[-1])


def _matmul_flops(problem: Problem) -> int:
    src, _, dst = _matmul_sizes(problem)
    return 2 * math.prod(dst) * src[-1]


def _matmul_bytes(problem: Problem) -> int:
    src, wei, dst = _matmul_sizes(problem)
    elements = {"src": math.prod(src), "wei": math.prod(wei), "dst": math.prod(dst)}
    bias = problem.bias_elements(dst, dst[-1])
    return problem.total({**elements, "bia": bias}) + problem.post_op_bytes(dst)


def _rnn_cell(problem: Problem) -> tuple[dict[str, int], int, int, int]:
    """Named sizes, gates, gates of the bias, and how many directions."""
    named = problem.named()
    cell = problem.source.algorithm.split()[0] if problem.source.algorithm.split() else ""
    name = cell.removeprefix("alg:")
    gates = _GATES.get(name.rpartition("_")[2])
    if gates is None or not {"l", "t", "mb", "sic", "slc", "dhc"} <= set(named):
        raise UnknownError
    named.setdefault("dic", named["dhc"])
    directions = 2 if "direction:bidirectional" in problem.source.algorithm else 1
    return named, gates, gates + name.startswith("lbr_"), directions


def _rnn_flops(problem: Problem) -> int:
    """Each cell multiplies its input and its state by the gates' weights, and its output by a projection.

    Backward, each product is met in two gradients, and the gradient of the bias is a sum over all cells.
    """
    named, gates, bias_gates, directions = _rnn_cell(problem)
    cells = directions * named["l"] * named["t"] * named["mb"]
    products = 2 * gates * named["dhc"] * (named["sic"] + named["slc"])
    if problem.has("wei_proj"):
        products += 2 * named["dhc"] * named["dic"]
    if not problem.backward:
        return cells * products
    return cells * (2 * products + bias_gates * named["dhc"] * problem.has("diff_bias"))


def _rnn_bytes(problem: Problem) -> int:
    """The line names every tensor but an LSTM's cell states, which are as src_iter and dst_iter."""
    named, gates, bias_gates, directions = _rnn_cell(problem)
    layers = directions * named["l"]
    steps, states = named["t"] * named["mb"], layers * named["mb"]
    wide = 2 if "direction:bidirectional_concat" in problem.source.algorithm else 1
    cell = states * named["dhc"] if gates == 4 else 0
    elements = {
        "src_layer": steps * named["slc"],
        "src_iter": states * named["sic"] + cell,
        "wei_layer": layers * named["slc"] * gates * named["dhc"],
        "wei_iter": layers * named["sic"] * gates * named["dhc"],
        "wei_peephole": layers * 3 * named["dhc"],
        "wei_proj": layers * named["dhc"] * named["dic"],
        "bias": layers * bias_gates * named["dhc"],
        "dst_layer": steps * wide * named["dic"],
        "dst_iter": states * named["dic"] + cell,
    }
    return problem.total({**elements, **{f"diff_{name}": count for name, count in elements.items()}})


FORMULAE: dict[str, Callable[[Problem], int]] = {
    "convolution": _convolution_flops,
    "deconvolution": lambda problem: _convolution_flops(problem, "i"),
    "inner_product": _inner_product_flops,
    "matmul": _matmul_flops,
    "rnn": _rnn_flops,
}

TRAFFIC: dict[str, Callable[[Problem], int]] = {
    "convolution": _convolution_bytes,
    "deconvolution": _convolution_bytes,
    "inner_product": _inner_product_bytes,
    "matmul": _matmul_bytes,
    "rnn": _rnn_bytes,
}
