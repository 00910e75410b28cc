"""What a census entry's words say of a primitive: whether its code is a reference one, how wide its tensors are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from perfsuite.analyse.diff.model import Value

_TIMES = re.compile(r"(.*) ×([0-9.e+]+)", re.DOTALL)
#: oneDNN's names of instruction sets, each family from the lowest on; AVX10 is another name of what AVX-512 had.
_FAMILIES = (
    "sse41 avx avx2 avx2_vnni avx2_vnni_2 avx512,avx512_common avx512_core avx512_core_vnni avx512_core_bf16 "
    "avx512_core_fp16,avx10_1_512 avx512_core_amx,avx10_1_512_amx avx512_core_amx_fp16,avx10_1_512_amx_fp16 "
    "avx10_2,avx10_2_512 avx10_2_512_amx_2",
    "asimd,neon sve,sve_128 sve_256 sve_512",
)
_LEVELS = {
    name: (family, level)
    for family, levels in enumerate(_FAMILIES)
    for level, names in enumerate(levels.split())
    for name in names.split(",")
}
#: Below every family: reference code needs nothing of the CPU.
_REFERENCE = (-1, -1)
#: Pooling one output at a time, in a loop for any shape: what remains where no generated code takes the problem.
_GENERIC = ("simple_nchw:any", "simple_nhwc:any")
#: Two convolutions one after the other, whose own names follow.
_WRAPPER = "ref_fused_convolution:any"
#: Bits of a data type, as torch and as oneDNN name it.
_BITS = {
    "complex128": 128, "complex64": 64, "float64": 64, "float32": 32, "bfloat16": 16, "float16": 16, "int64": 64,
    "int32": 32, "int16": 16, "int8": 8, "uint8": 8, "float8_e4m3fn": 8, "float8_e5m2": 8,
    "f64": 64, "f32": 32, "bf16": 16, "f16": 16, "f8_e5m2": 8, "f8_e4m3": 8, "e8m0": 8, "f4_e2m1": 4, "f4_e3m0": 4,
    "s64": 64, "s32": 32, "s8": 8, "u8": 8, "s4": 4, "u4": 4,
}  # fmt: skip
#: Letters alone, or of a library before 1.0 words like ``nchw``; a blocked one has sizes in it: ``aBcd16b``.
_PLAIN = re.compile(r"[a-z]+")


def words(value: Value) -> Mapping[str, float]:
    """``jit:uni ×2, jit:blk`` as the census writes it → how often each; nothing for None."""
    found: Counter[str] = Counter()
    for text in str(value).split(", ") if value is not None else ():
        times = _TIMES.fullmatch(text)
        name, count = (times[1], float(times[2])) if times else (text, 1.0)
        found[name] += count  # type: ignore[assignment]
    return found


def is_reference(implementation: str) -> bool:
    """Whether oneDNN runs it where it has nothing better: ``ref:any``, ``gemm:ref``, ``simple_nchw:any``.

    ``any`` alone says only that a compiler made the code and no generator: ``simple:any`` (sums, concatenations,
    reorders, layer normalization) and ``ncsp_bnorm:any`` (batch normalization of plain layouts) are vectorized by it
    and are what oneDNN means to run.  A wrapper is what it wraps: ``conv:any+jit:avx2``.
    """
    own = implementation.removeprefix(_WRAPPER)
    return "ref" in re.split(r"[:_+]", own) or own in _GENERIC


def is_lower(base: Iterable[str], head: Iterable[str]) -> bool:
    """Whether executions moved from the instruction sets ``base`` to lower ones, or to reference code.

    Sets of unlike families, and what is no name of one, are not compared.
    """
    before, after = (_levels(side) for side in (base, head))
    for family, levels in before.items():
        others = after.get(family, []) + after.get(_REFERENCE[0], [])
        if others and (min(others) < min(levels) or max(others) < max(levels)):
            return True
    return False


def _levels(names: Iterable[str]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for name in names:
        place = _REFERENCE if name == "ref" else _LEVELS.get(name)
        if place is not None:
            found.setdefault(place[0], []).append(place[1])
    return found


def is_wider(base: Value, head: Value) -> bool:
    """Whether a tensor has a wider data type: ``src:bf16 wei:bf16`` → ``src:f32 wei:f32``; also lists of torch's names.

    Tensors are compared by name, those without one by their place; where the two sides do not have the same tensors,
    the widest of each.
    """
    before, after = _bits(base), _bits(head)
    if before.keys() != after.keys():
        return bool(before) and max(after.values(), default=0) > max(before.values())
    return any(after[tensor] > bits for tensor, bits in before.items())


def _bits(value: Value) -> dict[str | int, int]:
    found: dict[str | int, int] = {}
    for place, text in enumerate(str(value).split(", ") if value is not None else ()):
        for part in text.split():
            name, _, dtype = part.rpartition(":")
            if dtype in _BITS:
                tensor = name or place
                found[tensor] = max(found.get(tensor, 0), _BITS[dtype])
    return found


def is_plainer(base: Iterable[str], head: Iterable[str]) -> bool:
    """Whether a tensor went from a blocked layout (``src:aBcd16b``) to a plain one (``src:acdb``)."""
    before, after = (_plain(side) for side in (base, head))
    return any(not plain and after.get(tensor, False) for tensor, plain in before.items())


def _plain(layouts: Iterable[str]) -> dict[str, bool]:
    """Of each tensor, whether any primitive has it in a plain layout."""
    found: dict[str, bool] = {}
    for text in layouts:
        for part in text.split():
            tensor, _, tag = part.partition(":")
            plain = _PLAIN.fullmatch(tag.partition(":")[0]) is not None
            found[tensor] = found.get(tensor, False) or plain
    return found
