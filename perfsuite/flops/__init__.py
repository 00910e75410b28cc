"""FLOPs of one call of a framework operator, from the shapes that torch's profiler records.

What counts, everywhere in this package: a sum of K products is 2·K, K multiplications and K additions.  The
K-th addition is the one that brings in the bias (or the accumulator's zero), so a bias in a forward operator
costs nothing on top.  The gradient of a bias is a sum of its own, of numel(grad_output) terms, and counts one
addition for each.  Scaling (alpha, beta, softmax, dropout), activations and the gates of recurrent cells are
not counted: this is the work of convolutions and matrix products, what the peak of a machine is quoted in.

Padding counts as work, though an implementation may skip it; a causal or sparse mask is not subtracted.

``None`` means that no formula is known or that the profiler did not record what it needs.  0 means an empty
tensor, or a backward that nobody wanted anything from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfsuite.flops import convolution, products
from perfsuite.flops.call import Call, UnknownError

__all__ = ["operator_flops"]

FORMULAE = {**convolution.FORMULAE, **products.FORMULAE}


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
    formula = FORMULAE.get(name) or FORMULAE.get(name.removesuffix("_"))
    if formula is None:
        return None
    try:
        return formula(Call(shapes, concrete_inputs, forward_inputs or ()))
    except UnknownError:
        return None
