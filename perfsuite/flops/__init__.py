"""FLOPs and least bytes of one call of a framework operator, and of one execution of a oneDNN primitive.

**What counts as a FLOP**, everywhere in this package: a sum of K products is 2·K, K multiplications and K additions.
The K-th addition is the one that brings in the bias (or the accumulator's zero), so a bias in a forward operator
costs nothing on top.  The gradient of a bias is a sum of its own, of numel(grad_output) terms, and counts one
addition for each.  Scaling (alpha, beta, softmax, dropout), activations and the gates of recurrent cells are
not counted: this is the work of convolutions and matrix products, what the peak of a machine is quoted in.

Padding counts as work, though an implementation may skip it; a causal or sparse mask is not subtracted.

Operators and primitives of other kinds (element by element, normalisation, pooling, reorder, reduction, softmax) have
no count: an exponential is one operation to one library and twenty to another, benchdnn quotes none for them either,
and it is the memory's roof that they meet.

**What counts as a byte**: each input is read once and each output is written once, in its own data type.  It is the
least that has to move: a cache that is too small, a workspace or scratchpad of the library's own choosing, and the line
that a write fetches first come on top.  Shapes carry no strides, so an expanded tensor counts as if it were dense.

``None`` means that no formula is known or that the profiler did not record what it needs.  0 means an empty
tensor, a backward that nobody wanted anything from, or (bytes) an operator that moves nothing, as a view does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfsuite.flops import convolution, layers, moves, pointwise, products
from perfsuite.flops.call import Call, Formula, UnknownError
from perfsuite.flops.primitives import PrimitiveLike, primitive_bytes, primitive_flops

__all__ = [
    "PrimitiveLike",
    "operator_bytes",
    "operator_flops",
    "prepares",
    "primitive_bytes",
    "primitive_flops",
]

FORMULAE = {**convolution.FORMULAE, **products.FORMULAE}
TRAFFIC = {**pointwise.TRAFFIC, **layers.TRAFFIC, **moves.TRAFFIC, **products.TRAFFIC, **convolution.TRAFFIC}


def operator_flops(
    name: str,
    shapes: Sequence[Any],
    concrete_inputs: Sequence[Any] = (),
    forward_inputs: Sequence[Any] | None = None,
) -> int | None:
    """FLOPs of one call of the operator ``name``; what counts is written at the top of this package.

    A call that does its work in nested operators (``aten::linear`` → ``aten::addmm``) has the FLOPs of the
    whole, so those of a parent and of its children must not be added up.

    Args:
        name: as the profiler gives it, ``aten::convolution_backward``; in-place variants (``addmm_``) are the
            same operator.
        shapes: ``event.shapes()``: a list of sizes for each argument, empty where it is no tensor.
        concrete_inputs: ``event.concrete_inputs()``: the value of each argument that is no tensor.
        forward_inputs: for a backward operator, ``concrete_inputs`` of the forward operator it belongs to,
            which some operators say more in.

    Returns:
        The count, or None where it cannot be known exactly.
    """
    return _evaluate(_found(FORMULAE, name), Call(shapes, concrete_inputs, forward_inputs or ()))


def operator_bytes(
    name: str,
    shapes: Sequence[Any],
    dtypes: Sequence[str | None],
    concrete_inputs: Sequence[Any] = (),
    forward_inputs: Sequence[Any] | None = None,
) -> int | None:
    """The least bytes that one call of the operator ``name`` moves; what counts is written at the top of this package.

    As with :func:`operator_flops` they are those of the whole call.  What an operator writes only because another
    one filled it before (the gradient of an embedding) is counted where it is touched.

    Args:
        dtypes: torch's name of the data type of each argument, None for what is no tensor.  Lists of tensors have
            none, so operators on them (``aten::cat``, ``_foreach_*``, fused optimizers) are not known.

    Returns:
        The count, or None where it cannot be known.
    """
    call = Call(shapes, concrete_inputs, forward_inputs or (), dtypes, in_place=name.endswith("_"))
    return _evaluate(_found(TRAFFIC, name), call)


def prepares(name: str) -> bool:
    """Whether the operator only makes memory ready (a copy, a fill, a view) and leaves the work to its caller."""
    return name in moves.PREPARING


def _found(table: dict[str, Formula], name: str) -> Formula | None:
    return table.get(name) or table.get(name.removesuffix("_"))


def _evaluate(formula: Formula | None, call: Call) -> int | None:
    if formula is None:
        return None
    try:
        found = formula(call)
    except (UnknownError, IndexError):  # IndexError: a tensor with fewer dimensions than the operator can have
        return None
    return found if found >= 0 else None  # of sizes that no call can have
