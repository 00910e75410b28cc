"""Frozen records ↔ JSON values.

A decoder is put together once for each type, from its annotations, and then only called: a run has thousands of
rows of two dozen fields, and looking at annotations for each of them took most of the time that loading took.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Any, TypeVar, Union

from perfsuite.errors import StoreError

T = TypeVar("T")
_Decoder = Callable[[Any], Any]
_INFINITE = ("inf", "-inf")


def to_json(record: Any) -> Any:
    """A record as JSON values: dataclasses become objects, tuples become arrays, an infinite number its name."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_json(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, (tuple, list)):
        return [to_json(item) for item in record]
    if isinstance(record, float) and math.isinf(record):
        return str(record)  # JSON has no such number
    return record


def from_json(kind: type[T], data: Any, where: str = "") -> T:
    """The record of type ``kind`` that ``data`` spells.

    Raises:
        StoreError: an unknown or missing key, or a value of the wrong type; the message names its path.
    """
    try:
        return typing.cast(T, _decoder(typing.cast(Hashable, kind))(data))
    except _Misfit as misfit:
        path = "".join(reversed(misfit.path))
        raise StoreError(f"{where or kind.__name__}{path}: {misfit}") from None


class _Misfit(Exception):
    """What is wrong; ``path`` grows from the inside out on its way up, so that nothing is spent on it before."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: list[str] = []

    def at(self, place: str) -> _Misfit:
        self.path.append(place)
        return self


@cache
def _decoder(kind: Any) -> _Decoder:
    if kind is Any:
        return _freeze
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        kinds = [arg for arg in typing.get_args(kind) if arg is not type(None)]
        inner = _decoder(kinds[0]) if len(kinds) == 1 else _either(kinds)
        return _optional(inner) if type(None) in typing.get_args(kind) else inner
    if origin is tuple:
        return _array(typing.get_args(kind)[0])
    if origin is Mapping:
        return _mapping(_decoder(typing.get_args(kind)[1]))
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast(type, kind))
    return _scalar(kind)


def _optional(inner: _Decoder) -> _Decoder:
    return lambda data: None if data is None else inner(data)


def _array(item: Any) -> _Decoder:
    decode = _decoder(item)

    def array(data: Any) -> Any:
        """The items as a tuple; what does not fit says at which place."""
        if not isinstance(data, list):
            raise _wrong("an array", data)
        decoded = []
        for value in data:
            try:
                decoded.append(decode(value))
            except _Misfit as misfit:
                raise misfit.at(f"[{len(decoded)}]") from None
        return tuple(decoded)

    return array


def _mapping(decode: _Decoder) -> _Decoder:
    def mapping(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _wrong("an object", data)
        return {key: _within(f".{key}", decode, value) for key, value in data.items()}

    return mapping


def _record(kind: type) -> _Decoder:
    fields = dataclasses.fields(kind)
    hints = typing.get_type_hints(kind)
    decoders = {f.name: _decoder(hints[f.name]) for f in fields}
    required = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]

    def record(data: Any) -> Any:
        """The object as a record: its keys are fields, and each field that has no default must be among them."""
        if not isinstance(data, dict):
            raise _wrong("an object", data)
        values = {}
        for name, value in data.items():
            decode = decoders.get(name)
            if decode is None:
                unknown = min(set(data) - set(decoders))
                raise _Misfit(f"unknown key {unknown!r}; it was written by another version of perfsuite")
            try:
                values[name] = decode(value)
            except _Misfit as misfit:
                raise misfit.at(f".{name}") from None
        for name in required:
            if name not in values:
                raise _Misfit(f"key {name!r} is missing; the file is damaged")
        return kind(**values)

    return record


def _within(place: str, decode: _Decoder, value: Any) -> Any:
    try:
        return decode(value)
    except _Misfit as misfit:
        raise misfit.at(place) from None


def _scalar(kind: type) -> _Decoder:
    # bool is an int to Python, but a count that reads `true` is a damaged file.
    allowed: tuple[type, ...] = (float, int) if kind is float else (kind,)

    def scalar(data: Any) -> Any:
        """The value; an infinite number by its name, as JSON has none."""
        if type(data) not in allowed:
            if kind is float and data in _INFINITE:
                return float(data)
            raise _wrong(kind.__name__, data)
        return data

    return scalar


def _either(kinds: list[type]) -> _Decoder:
    """Of scalars; where text may stand as well, the name of an infinite number is text."""
    allowed = {*kinds, *([int] if float in kinds else [])}
    expected = " or ".join(kind.__name__ for kind in kinds)

    def either(data: Any) -> Any:
        if type(data) not in allowed:
            raise _wrong(expected, data)
        return data

    return either


def _freeze(data: Any) -> Any:
    return tuple(_freeze(item) for item in data) if isinstance(data, list) else data


def _wrong(expected: str, data: Any) -> _Misfit:
    return _Misfit(f"expected {expected}, found {json.dumps(data, default=str)[:60]}")
