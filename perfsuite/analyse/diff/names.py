"""Operators under their many names.

The *spelling* of a name leaves out what torch versions change without a meaning: overloads, numbers of autograd
nodes.  Its *family* also leaves out who implements it: the dispatcher's namespace, in-place or not, and the names
that libraries gave the same computation.
"""

from __future__ import annotations

import re
from functools import cache

_AUTOGRAD_PREFIX = re.compile(r"^(autograd::engine::evaluate_function: |struct )*(torch::autograd::(generated::)?)?")
_NODE = re.compile(r"^(\w*Backward)\d*$")
_NAMESPACE = re.compile(r"^(\w+::)+")
#: How IPEX marks its variants of torch's operators: ``torch_ipex::sum_out_cpu``.
_IPEX_SUFFIX = re.compile(r"(_out)?_cpu(?=_?$)")

#: Names of one computation, the first of which stands for all: torch's own, then oneDNN's and IPEX's of it.
_SYNONYMS = (
    ("convolution_forward_impl", "mkldnn_convolution", "convolution_overrideable", "thnn_conv2d",
     "_slow_conv2d_forward"),
    ("convolution", "convolution_forward"),
    ("convolution_backward", "convolution_backward_overrideable", "mkldnn_convolution_backward"),
    ("ConvolutionBackward", "IPEXConvolutionOpBackward", "MkldnnConvolutionBackward"),
    ("linear_backward", "ipex_linear_backward", "mkldnn_linear_backward"),
    ("addmm", "ipex_linear", "mkldnn_linear"),
    ("native_layer_norm", "fused_layer_norm"),
    ("native_batch_norm", "_native_batch_norm_legit", "_batch_norm_with_update", "batch_norm_forward"),
    ("native_batch_norm_backward", "batch_norm_backward"),
    ("frozen_batch_norm", "frozen_batch_norm_forward"),
    ("mkldnn_rnn_layer", "ipex_lstm_layer", "lstm_layer"),
    ("mkldnn_rnn_layer_backward", "ipex_lstm_layer_backward"),
    ("_fused_sgd", "sgd_fused_step"),
    ("_fused_adam", "adam_fused_step"),
    ("_fused_adamw", "adamw_fused_step"),
    ("_fused_adagrad", "adagrad_fused_step"),
    ("_fused_lamb", "lamb_fused_step"),
    ("_fused_lars", "lars_fused_step"),
)  # fmt: skip
_FAMILIES = {name: names[0] for names in _SYNONYMS for name in names}


@cache
def spelling(name: str) -> str:
    """``name`` without its overload (``aten::add.Tensor``) and, of an autograd node, its wrapping and number."""
    bare = _AUTOGRAD_PREFIX.sub("", name) if "Backward" in name else name
    bare = _NODE.sub(r"\1", bare)
    if _NAMESPACE.match(bare):
        namespace, _, rest = bare.partition("::")
        bare = f"{namespace}::{rest.split('.', 1)[0]}"
    return bare


@cache
def family(name: str) -> str:
    """What ``name`` computes, whoever implements it: ``torch_ipex::convolution_backward`` is ``convolution_backward``.

    In-place variants are in the family of the plain one.
    """
    bare = spelling(name)
    if bare.startswith("torch_ipex::"):
        bare = _IPEX_SUFFIX.sub("", bare)
    bare = _NAMESPACE.sub("", bare)
    if bare.endswith("_") and not bare.endswith("__"):
        bare = bare[:-1]
    return _FAMILIES.get(bare, bare)
