"""The operators whose time is kept commit by commit, under names that outlive who implements them.

A history goes over many builds: torch's own operators, the extension's of the same computation, oneDNN's names for it.
The *tracked* name of an operator is what it computes, so that a series goes on where only the implementation changed.
Of each workload the operators with a noticeable share of the step have a series each, and all the others have one
together, so that the series of a workload add up to the time of all operators in its profiled step.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

#: The series of all operators that have none of their own.
OTHER = "other"

#: Tracked name → the families (:func:`perfsuite.analyse.diff.names.family`) that are one: implementations, and the
#: operators around them that only choose one.
_GROUPS = {
    "convolution": ("convolution_forward_impl", "convolution", "_convolution", "conv1d", "conv2d", "conv3d"),
    "batch_norm": ("native_batch_norm", "batch_norm", "_batch_norm_impl_index"),
    "batch_norm_backward": ("native_batch_norm_backward", "_batch_norm_impl_index_backward"),
    "rnn": ("mkldnn_rnn_layer", "lstm", "ipex_lstm"),
    "rnn_backward": ("mkldnn_rnn_layer_backward",),
    "layer_norm": ("native_layer_norm", "layer_norm"),
    "layer_norm_backward": ("native_layer_norm_backward",),
    # The products of matrices: which of them a linear layer takes depends on the shape of its input and on the version.
    "matmul": ("addmm", "mm", "bmm", "baddbmm", "linear", "matmul", "linear_backward"),
    "softmax": ("_softmax", "softmax", "_safe_softmax"),
    "log_softmax": ("_log_softmax", "log_softmax"),
    "log_softmax_backward": ("_log_softmax_backward_data",),
    "max_pool2d": ("max_pool2d_with_indices", "max_pool2d"),
    "relu": ("relu", "clamp_min"),
    "relu_backward": ("threshold_backward",),
    "dropout": ("bernoulli", "native_dropout", "dropout"),
    "log_sigmoid": ("log_sigmoid_forward", "log_sigmoid"),
    "index_put": ("_index_put_impl", "index_put"),
    "copy": ("copy", "_to_copy", "clone", "contiguous", "to"),
    "fill": ("fill", "zero", "zeros_like", "ones_like", "new_zeros", "zeros"),
    "fused_optimizer": (
        "_fused_sgd", "_fused_adam", "_fused_adamw", "_fused_adagrad", "_fused_lamb", "_fused_lars",
    ),
}  # fmt: skip
_TRACKED = {family: name for name, families in _GROUPS.items() for family in families}

#: Workload → the tracked names that have a series of their own: what took a per cent of the operators' time in one of
#: smoke and standard, on stock torch 2.13 or under the extension 2.8.
TRACKED = {
    "retinanet": (
        "convolution", "convolution_backward", "relu", "relu_backward", "mul", "add", "sub", "div", "sqrt", "pow",
        "neg", "sigmoid", "log_sigmoid", "index", "index_put", "cat", "copy", "fill", "lerp", "addcmul", "addcdiv",
        "fused_optimizer",
    ),
    "resnet18": (
        "convolution", "convolution_backward", "batch_norm", "batch_norm_backward", "relu", "relu_backward",
        "max_pool2d", "matmul", "add", "mul", "copy", "fill", "fused_optimizer",
    ),
    "lstm": (
        "rnn", "rnn_backward", "matmul", "dropout", "log_softmax", "log_softmax_backward", "add", "mul", "copy", "fill",
        "fused_optimizer",
    ),
    "transformer": (
        "matmul", "softmax", "layer_norm", "layer_norm_backward", "dropout", "relu", "relu_backward", "mul", "add",
        "div", "sqrt", "lerp", "addcdiv", "addcmul", "sum", "copy", "fill", "fused_optimizer",
    ),
}  # fmt: skip


@cache
def tracked_name(operator: str) -> str:
    """What the operator computes: ``convolution`` for ``aten::mkldnn_convolution`` and for
    ``torch_ipex::convolution_forward_impl``; in-place variants and overloads have the name of the plain one.
    """
    # Here, because asv loads this module for each value it asks for, and then no operator is named.
    from perfsuite.analyse.diff.names import family

    known = family(operator)
    return _TRACKED.get(known, known)


def series_of(operator: str, workload: str) -> str:
    """The series that the operator's time belongs to in the workload: its tracked name, or :data:`OTHER`.

    A workload without a line in :data:`TRACKED` has only the one of all operators.
    """
    name = tracked_name(operator)
    return name if has_series(workload, name) else OTHER


def has_series(workload: str, series: str) -> bool:
    """Whether operators of the workload can be in the series."""
    return series == OTHER or series in TRACKED.get(workload, ())


def all_series(workloads: Iterable[str] = TRACKED) -> tuple[str, ...]:
    """Every series of operators that one of the workloads has, in the order of :data:`TRACKED`; :data:`OTHER` last."""
    return (*dict.fromkeys(name for workload in workloads for name in TRACKED.get(workload, ())), OTHER)
