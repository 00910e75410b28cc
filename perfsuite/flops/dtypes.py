"""Data types by their names, torch's and oneDNN's: how large, and what an operator makes of several."""

from __future__ import annotations

import math
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
