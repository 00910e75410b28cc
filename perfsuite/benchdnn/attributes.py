"""The attributes column of a verbose line → benchdnn's ``--attr-*`` options."""

from __future__ import annotations

import re
from collections.abc import Callable

from perfsuite.benchdnn.tensors import CannotWrite

#: The log does not say these values.  benchdnn needs some, and any but the neutral ones keep the arithmetic.
_SCALE = "0.5"
_ZERO_POINT = "1"
_DROPOUT = "0.5:12345"
_OFFSET = "987654321"

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf"
_QUANTIZATION = {"dynamic_mx": "mx", "dynamic_fp": "dynamic_fp"}
_POST_OPS = tuple(
    map(
        re.compile,
        (
            rf"sum(?::(?:{_NUMBER})(?::-?\d+(?::\w+)?)?)?",
            r"dw:k\d+s\d+p\d+(?::\w+)?",
            r"prelu(?::\d+)?",
            rf"eltwise_\w+(?::(?:{_NUMBER})){{0,3}}",
            r"binary_(?!select\b)\w+:\w+(?::\d+(?::\w+(?::[\dx]+)?)?)?",
        ),
    )
)
#: Until 2.0 they were ``post_ops:'sum;eltwise_relu;';``.
_OLD_POST_OPS = re.compile(r"^post_ops:'([^']*)';?$")
_SELECT = re.compile(r"binary_select:(\w+)(?::(\d+)(?::(\w+))?)?")
#: Algorithms of element-wise operations that benchdnn knows; older versions had more.
ELTWISE = {
    "eltwise_abs", "eltwise_clip", "eltwise_clip_v2", "eltwise_clip_v2_use_dst_for_bwd", "eltwise_elu",
    "eltwise_elu_use_dst_for_bwd", "eltwise_exp", "eltwise_exp_use_dst_for_bwd", "eltwise_gelu_erf",
    "eltwise_gelu_tanh", "eltwise_hardsigmoid", "eltwise_hardswish", "eltwise_linear", "eltwise_log",
    "eltwise_logistic", "eltwise_logistic_use_dst_for_bwd", "eltwise_mish", "eltwise_pow", "eltwise_relu",
    "eltwise_relu_use_dst_for_bwd", "eltwise_round", "eltwise_soft_relu", "eltwise_sqrt",
    "eltwise_sqrt_use_dst_for_bwd", "eltwise_square", "eltwise_swish", "eltwise_tanh",
    "eltwise_tanh_use_dst_for_bwd",
}  # fmt: skip


def options(attributes: str, notes: list[str]) -> list[str]:
    """The options in the log's order.  What they cannot carry over is added to ``notes``.

    Raises:
        CannotWrite: an attribute that benchdnn has no option for.
    """
    found = []
    for attribute in attributes.split():
        name, _, value = _OLD_POST_OPS.sub(_as_of_now, attribute).partition(":")
        if name == "rnn_data_qparams" or name.startswith("rnn_weights_"):
            notes.append("scales of the quantized RNN are benchdnn's own")
            continue
        if name not in _WRITERS:
            raise CannotWrite(f"attribute {name[:40]!r} has no option")
        found.append(_WRITERS[name](value, notes))
    return found


def _as_of_now(post_ops: re.Match[str]) -> str:
    return "attr-post-ops:" + "+".join(filter(None, post_ops[1].split(";")))


def _plain(option: str) -> Callable[[str, list[str]], str]:
    return lambda value, notes: f"--attr-{option}={value}"


def _deterministic(value: str, notes: list[str]) -> str:
    return f"--attr-deterministic={'true' if value in ('1', 'true') else 'false'}"


def _scales(value: str, notes: list[str]) -> str:
    notes.append(f"scales of one value are {_SCALE}: the log does not say it")
    return f"--attr-scales={_quantized(value, _SCALE, 'f32')}"


def _zero_points(value: str, notes: list[str]) -> str:
    notes.append(f"zero points of one value are {_ZERO_POINT}: the log does not say it")
    return f"--attr-zero-points={_quantized(value, _ZERO_POINT, 's32')}"


def _quantized(value: str, unknown: str, default_dtype: str) -> str:
    """``ARG:MASK[:DTYPE[:GROUPS]][:host_scalar][:MODE]`` entries as benchdnn wants them.

    Before 3.0 an entry was ``ARG:MASK[:VALUE[*]]``.
    """
    return "+".join(_entry(entry, unknown, default_dtype) for entry in value.split("+"))


def _entry(entry: str, unknown: str, default_dtype: str) -> str:
    argument, _, rest = entry.partition(":")
    mask, *more = rest.split(":")
    if not mask.isdigit():
        raise CannotWrite(f"{entry[:40]!r} is no scale or zero point")
    dtype, groups, policy, known = default_dtype, "", "", unknown
    for part in more:
        if part == "host_scalar":
            policy = part
        elif part in _QUANTIZATION:
            policy = _QUANTIZATION[part]
        elif re.fullmatch(r"\d+x\d+", part):
            groups = part
        elif re.fullmatch(rf"(?:{_NUMBER})?\*?", part):
            known = part.rstrip("*") or unknown
        elif part.isidentifier():
            dtype = part
        else:
            raise CannotWrite(f"{part[:40]!r} is no part of a scale or zero point")
    parts = [argument, policy or mask]
    if (mask == "0" and not policy) or policy == "host_scalar":
        parts.append(known)
    if dtype != default_dtype or groups:
        parts.append(dtype)
    return ":".join([*parts, groups] if groups else parts)


def _post_ops(value: str, notes: list[str]) -> str:
    return "--attr-post-ops=" + "+".join(_post_op(entry, notes) for entry in _entries(value))


def _entries(value: str) -> list[str]:
    # A plus sign may also stand in an exponent, eltwise_linear:1e+06, and benchdnn would cut the number there.
    return re.split(r"\+(?!\d)", value)


def _post_op(entry: str, notes: list[str]) -> str:
    select = _SELECT.fullmatch(entry)
    if select:
        notes.append("the condition of a select post-op is not in the log")
        return "binary_select:" + ".".join(filter(None, select.groups()))
    if not any(pattern.fullmatch(entry) for pattern in _POST_OPS):
        raise CannotWrite(f"post-op {entry[:40]!r} has no option")
    name = entry.partition(":")[0]
    if name.startswith("eltwise_") and name not in ELTWISE:
        raise CannotWrite(f"benchdnn has no {name[:40]}")
    # What is chosen by oneDNN is the default.
    return entry.replace("e+", "e").removesuffix(":any")


def _dropout(value: str, notes: list[str]) -> str:
    """``TAG:SEED_DTYPE:OFFSET:HOST_SCALARS`` as ``PROBABILITY:SEED[:TAG[:OFFSET[:HOST_SCALARS]]]``."""
    notes.append("probability and seed of the dropout are not in the log")
    parts = value.split(":")
    if not value:
        return f"--attr-dropout={_DROPOUT}"
    if len(parts) == 1:
        return f"--attr-dropout={_DROPOUT}:{value}"
    # The tag is missing where the mask has one dimension.
    tag, offset, host = parts[0], parts[-2], parts[-1]
    if len(parts) != 4 or offset not in ("0", "1") or host not in ("0", "1"):
        raise CannotWrite(f"dropout {value[:40]!r} has no option")
    text = f"--attr-dropout={_DROPOUT}:{tag}:{_OFFSET if offset == '1' else '0'}"
    return f"{text}:1" if host == "1" else text


_WRITERS: dict[str, Callable[[str, list[str]], str]] = {
    "attr-scratchpad": _plain("scratchpad"),
    "attr-fpmath": _plain("fpmath"),
    "attr-acc-mode": _plain("acc-mode"),
    "attr-acc": _plain("acc-mode"),
    "attr-rounding-mode": _plain("rounding-mode"),
    "attr-precomputed-reductions": _plain("precomputed-reductions"),
    "attr-deterministic": _deterministic,
    "attr-scales": _scales,
    "attr-zero-points": _zero_points,
    "attr-post-ops": _post_ops,
    "attr-dropout": _dropout,
}
