"""FLOPs and bytes of one execution of a oneDNN primitive; the conventions are in :mod:`perfsuite.flops`.

The columns of the verbose line say it all: kind, direction, data types, problem, and for some kinds attributes and
algorithm.  Sizes are logical ones; a blocked layout may be padded, which is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perfsuite.flops import primitive_layers, primitive_products
from perfsuite.flops.dtypes import UnknownError
from perfsuite.flops.problem import PrimitiveLike, Problem

__all__ = ["PrimitiveLike", "primitive_bytes", "primitive_flops"]

FORMULAE = primitive_products.FORMULAE
TRAFFIC = {**primitive_products.TRAFFIC, **primitive_layers.TRAFFIC}


def primitive_flops(primitive: PrimitiveLike) -> int | None:
    """FLOPs of one execution, None where they are not known or its kind is not counted; never raises.

    benchdnn's count differs for convolutions in one point: it leaves out the taps that fall on padding.  Its count
    of a backward pass has no addition for the gradient of the bias.
    """
    return _evaluate(FORMULAE, primitive)


def primitive_bytes(primitive: PrimitiveLike) -> int | None:
    """The least bytes that one execution moves, None where they are not known; never raises.

    The workspace of a training pass counts where the verbose line gives its data type and the standard its size
    (pooling, one bit for each element of a normalisation's fused ReLU); that of rnn and lrn is the library's affair.
    """
    return _evaluate(TRAFFIC, primitive)


def _evaluate(table: Mapping[str, Callable[[Problem], int]], primitive: PrimitiveLike) -> int | None:
    formula = table.get(primitive.kind)
    if formula is None:
        return None
    try:
        return formula(Problem(primitive))
    except UnknownError:
        return None
