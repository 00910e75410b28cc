"""Data types by their names, torch's and oneDNN's: how large, and what an operator makes of several."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any


class UnknownError(Exception):
    """The event does not say enough."""


#: torch's names.
_SIZES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
    "complex128": 16, "complex64": 8, "qint8": 1, "quint8": 1, "qint32": 4,
}  # fmt: skip

#: Bits of oneDNN's.
_BITS = {
    "f64": 64, "f32": 32, "f16": 16, "bf16": 16, "f8_e5m2": 8, "f8_e4m3": 8, "e8m0": 8, "f4_e2m1": 4, "f4_e3m0": 4,
    "s64": 64, "s32": 32, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "boolean": 8,
}  # fmt: skip

#: c10/core/ScalarType.h
_NUMBERS = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64",
    9: "complex64", 10: "complex128", 11: "bool", 15: "bfloat16", 23: "float8_e5m2", 24: "float8_e4m3fn",
}  # fmt: skip

#: Roles of the tensors that are multiplied, in the two directions, or hold the sums.
_ROLES = ("src", "wei", "dst")
_WHOLE = ("s8", "u8", "s4", "u4", "s32", "s64", "boolean")
#: ``attr-fpmath:MODE[:APPLY_TO_INT]``: what float32 may be rounded to before it is multiplied.
_MATH_MODE = re.compile(r"(?:^| )attr-fpmath:(bf16|f16|tf32|any)\b")
#: Implementations that round: kernels of an instruction set with bfloat16 (or AMX, whose tiles multiply no float32),
#: and Arm's Compute Library, whose names say no instruction set.  The others take the permission and go on in float32.
_ROUNDS = re.compile(r"(?:_|:)(?:bf16|amx)(?:_|\+|$)")
_ARM = re.compile(r"(?:^|[:+_])acl(?:$|[:+])")

_INTEGERS = ("uint8", "int8", "int16", "int32", "int64")


def size_of(dtype: str) -> int:
    """Bytes of one element of a torch data type."""
    if dtype not in _SIZES:
        raise UnknownError
    return _SIZES[dtype]


def onednn_bytes(dtype: str, elements: int) -> int:
    """Bytes of ``elements`` values of a oneDNN data type; those of 4 bits are packed in pairs."""
    if dtype not in _BITS:
        raise UnknownError
    return math.ceil(elements * _BITS[dtype] / 8)


def compute_dtype(dtypes: str, attributes: str, implementation: str) -> str | None:
    """The data type, in oneDNN's words, that a primitive multiplies in; None where its tensors' types are not known.

    Of source, weights and destination two are factors, which two depends on the direction, and the third may be wider
    or narrower: most votes count, and the source's among equals.  float32 is rounded to bfloat16 or another type on
    the way where the attributes permit it (``attr-fpmath:bf16``) *and* the implementation does it: on a CPU without
    AMX oneDNN 3.12 runs such a convolution as ``jit:avx512_core``, in float32.

    Args:
        dtypes: :attr:`perfsuite.records.Primitive.dtypes`, ``"src:f32 wei:f32 dst:f32"``.
        attributes: as the log has them, ``"attr-scratchpad:user attr-fpmath:bf16"``.
        implementation: ``"brg_matmul:avx512_core_amx"``.
    """
    pairs = [(name, dtype) for name, _, dtype in (word.rpartition(":") for word in dtypes.split())]
    by_role: dict[str, str] = {}
    for name, dtype in pairs:
        if name[:3] in _ROLES and dtype in _BITS:
            by_role.setdefault(name[:3], dtype)
    source = by_role.get("src") or next((dtype for _, dtype in pairs if dtype in _BITS), None)
    if source is None or source in _WHOLE:
        return source
    votes = Counter(dtype for dtype in by_role.values() if dtype not in _WHOLE)
    most = max(votes.values(), default=0)
    found = source if votes[source] == most or not votes else next(one for one in votes if votes[one] == most)
    if found != "f32" or "wei" not in by_role:
        return found
    permitted = _MATH_MODE.search(attributes)
    mode = permitted[1] if permitted is not None else None
    if _ROUNDS.search(implementation) or (mode is not None and _ARM.search(implementation)):
        return "bf16" if mode in (None, "any") else mode
    return found


def of_number(number: Any) -> str:
    """The data type that torch numbers so."""
    if type(number) is not int or number not in _NUMBERS:
        raise UnknownError
    return _NUMBERS[number]


def category(dtype: str) -> int:
    """0 bool, 1 integer, 2 floating point, 3 complex: the order in which torch promotes."""
    if dtype == "bool":
        return 0
    if dtype in _INTEGERS:
        return 1
    if dtype in _SIZES and dtype.startswith("q"):
        raise UnknownError
    return 3 if dtype.startswith("complex") else 2


def promote(dtypes: Iterable[str]) -> str:
    """What torch computes in, of tensors of these data types (``torch.promote_types``)."""
    found = set(dtypes)
    if not found:
        raise UnknownError
    highest = max(category(dtype) for dtype in found)
    if highest == 3 and "float64" in found:
        return "complex128"
    among = {dtype for dtype in found if category(dtype) == highest}
    if len(among) == 1:
        return among.pop()
    if highest == 1 and "uint8" in among:
        # An unsigned byte and a signed integer meet in the smallest signed one that holds both.
        return max((among - {"uint8"}) | {"int16"}, key=_INTEGERS.index)
    if among == {"float16", "bfloat16"}:
        return "float32"
    return max(among, key=size_of)
