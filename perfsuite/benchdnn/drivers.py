"""Drivers of what moves or changes values one by one, in windows or along an axis."""

from __future__ import annotations

from perfsuite.benchdnn.attributes import ELTWISE
from perfsuite.benchdnn.call import Call, dtype
from perfsuite.benchdnn.products import strided
from perfsuite.benchdnn.tensors import CannotWrite, Tensor

_LRN = {"lrn_across_channels": "ACROSS", "lrn_within_channel": "WITHIN"}


def batch_normalization(call: Call) -> list[str]:
    """``driver_bnorm.md``; the epsilon is not in the log."""
    return [*_one_tensor(call, "data", "src"), *_flags(call)]


def group_normalization(call: Call) -> list[str]:
    """``driver_gnorm.md``."""
    src, dst = call.get("src", "data"), call.get("dst", "data")
    call.dense(src, dst)
    types, tags = f"{dtype(src)}:{dtype(dst)}", f"{src.asked_tag}:{dst.asked_tag}"
    return [f"--dir={call.direction}", f"--dt={types}", f"--tag={tags}", *_flags(call)]


def layer_normalization(call: Call) -> list[str]:
    """``driver_lnorm.md``."""
    options = group_normalization(call)
    stats, scale = call.find("stats"), call.find("scale", "shift", "diff_scale", "diff_shift")
    if stats:
        options.append(f"--stat_tag={stats.asked_tag}")
    return [*options, f"--ss_dt={dtype(scale)}"] if scale else options


def _flags(call: Call) -> list[str]:
    flags = call.auxiliary.get("flags")
    return [f"--flags={flags}"] if flags else []


def pooling(call: Call) -> list[str]:
    """``driver_pool.md``: one layout, that of the tensor the program chose."""
    src, dst = call.get("src"), call.get("dst")
    call.dense(src, dst)
    chosen = next((tensor for tensor in (src, dst) if "a" not in tensor.properties), src)
    types = f"--dt={dtype(src)}:{dtype(dst)}"
    return [f"--dir={call.direction}", types, f"--tag={chosen.known_tag}", f"--alg={call.algorithm}"]


def eltwise(call: Call) -> list[str]:
    """``driver_eltwise.md``."""
    if call.algorithm not in ELTWISE:
        raise CannotWrite(f"benchdnn has no {call.algorithm[:40]}")
    # Without them benchdnn runs three values of each.
    values = [f"--{name}={call.auxiliary.get(name) or '0'}" for name in ("alpha", "beta")]
    return [*_one_tensor(call, "data", "src"), f"--alg={call.algorithm}", *values]


def lrn(call: Call) -> list[str]:
    """``driver_lrn.md``."""
    if call.algorithm not in _LRN:
        raise CannotWrite(f"benchdnn has no {call.algorithm[:40]}")
    call.notes.append("alpha and k are benchdnn's own: the log does not say them")
    return [*_one_tensor(call, "data", "src"), f"--alg={_LRN[call.algorithm]}"]


def shuffle(call: Call) -> list[str]:
    """``driver_shuffle.md``."""
    return [*_one_tensor(call, "data", "src"), f"--axis={call.needed('axis')}", f"--group={call.needed('group')}"]


def _one_tensor(call: Call, *names: str) -> list[str]:
    tensor = call.get(*names)
    call.dense(tensor)
    return [f"--dir={call.direction}", f"--dt={dtype(tensor)}", f"--tag={tensor.known_tag}"]


def softmax(call: Call) -> list[str]:
    """``driver_softmax.md``; before 2.7 the logarithm was a primitive of its own."""
    default = "softmax_log" if call.primitive.kind == "logsoftmax" else "softmax_accurate"
    src, dst = call.get("src", "data"), call.get("dst", "data")
    call.dense(src, dst)
    algorithm = f"--alg={call.auxiliary.get('alg') or default}"
    return [f"--dir={call.direction}", *_source_and_destination(src, dst), algorithm, f"--axis={call.needed('axis')}"]


def resampling(call: Call) -> list[str]:
    """``driver_resampling.md``: one layout, that of the tensor the program chose."""
    src, dst = call.get("src"), call.get("dst")
    call.dense(src, dst)
    chosen = next((tensor for tensor in (src, dst) if "a" not in tensor.properties), src)
    types = [f"--sdt={dtype(src)}", f"--ddt={dtype(dst)}"]
    algorithm = f"--alg={call.algorithm.removeprefix('resampling_')}"
    return [f"--dir={call.direction}", *types, f"--tag={chosen.known_tag}", algorithm]


def reduction(call: Call) -> list[str]:
    """``driver_reduction.md``."""
    src, dst = call.get("src"), call.get("dst")
    call.dense(src, dst)
    values = [f"--{name}={call.auxiliary[name]}" for name in ("p", "eps") if call.auxiliary.get(name)]
    return [*_source_and_destination(src, dst), f"--alg={call.algorithm.removeprefix('reduction_')}", *values]


def _source_and_destination(src: Tensor, dst: Tensor) -> list[str]:
    types = [f"--sdt={dtype(src)}", f"--ddt={dtype(dst)}"]
    return [*types, f"--stag={src.asked_tag}", f"--dtag={dst.asked_tag}"]


def reorder(call: Call) -> list[str]:
    """``driver_reorder.md``."""
    src, dst = call.get("src"), call.get("dst")
    if src.compensation:
        raise CannotWrite("the reorder driver has no source with compensation")
    tags = [src.known_tag, dst.known_tag]
    options = [f"--sdt={dtype(src)}", f"--ddt={dtype(dst)}", *strided(("stag", "dtag"), tags, (src, dst))]
    if dst.compensation:
        options.append("--oflag=" + "+".join(f"{name}:{mask}" for name, mask in dst.compensation))
    mask = call.auxiliary.get("runtime-dim-mask")
    options += [f"--runtime-dim-mask={mask}"] if mask else []
    if "2" in call.primitive.engine:
        options.append(f"--cross-engine={call.primitive.engine}")
    return options


def sum_(call: Call) -> list[str]:
    """``driver_sum.md``."""
    sources, dst = call.sources(), call.get("dst")
    call.dense(*sources, dst)
    call.notes.append("the scales are 1: the log does not say them")
    return _several(sources, dst)


def concat(call: Call) -> list[str]:
    """``driver_concat.md``: sources are of one data type."""
    sources, dst = call.sources(), call.get("dst")
    call.dense(*sources, dst)
    if len({dtype(source) for source in sources}) != 1:
        raise CannotWrite("the concat driver has one data type for all sources")
    _, *options = _several(sources, dst)
    return [f"--sdt={dtype(sources[0])}", *options, f"--axis={call.needed('axis')}"]


def binary(call: Call) -> list[str]:
    """``driver_binary.md``: two sources; a select's condition is benchdnn's own."""
    sources, dst = call.sources()[:2], call.get("dst")
    if len(sources) < 2:
        raise CannotWrite("a binary operation has two sources, the log names fewer")
    call.dense(*sources, dst)
    if call.algorithm == "binary_select":
        call.notes.append("the layout of the condition is benchdnn's own")
    return [*_several(sources, dst), f"--alg={call.algorithm.removeprefix('binary_')}"]


def prelu(call: Call) -> list[str]:
    """``driver_prelu.md``: the weights are its second source."""
    data, wei = call.get("data", "src"), call.get("wei")
    call.dense(data, wei)
    types, tags = f"{dtype(data)}:{dtype(wei)}", f"{data.asked_tag}:{wei.asked_tag}"
    return [f"--dir={call.direction}", f"--sdt={types}", f"--stag={tags}"]


def _several(sources: tuple[Tensor, ...], dst: Tensor) -> list[str]:
    types, tags = ":".join(map(dtype, sources)), ":".join(source.asked_tag for source in sources)
    return [f"--sdt={types}", f"--ddt={dtype(dst)}", f"--stag={tags}", f"--dtag={dst.asked_tag}"]
