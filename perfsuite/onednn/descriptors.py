"""The memory_descriptors column: data types and layouts of a primitive's tensors, in any of its spellings."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_DTYPES = "f64|f32|bf16|f16|f8_e5m2|f8_e4m3|e8m0|f4_e2m1|f4_e3m0|s64|s32|s8|u8|s4|u4|boolean|undef"
_NAME_AND_DTYPE = re.compile(rf"(.+?)_({_DTYPES})")
_DTYPE_AND_TAG = re.compile(rf"({_DTYPES})_(\w+)")
_OLD_NAME = re.compile(r"^f(?=src|wei|bia|dst|data|diff|ws)")


class Descriptor(NamedTuple):
    """One memory descriptor; a part that the log does not say is empty."""

    name: str
    dtype: str
    #: ``a``: the layout was left to oneDNN; ``p``: padded; ``o``, ``0``: an offset.
    properties: str
    #: ``blocked``, ``sparse``, ``opaque``, ``wino``, ``rnn_packed``, ``undef`` …
    kind: str
    tag: str
    #: What is behind the tag: strides, where they are not those of the dense layout, and extra flags.
    rest: tuple[str, ...] = ()


def descriptor(text: str) -> Descriptor:
    """One memory descriptor in any of its spellings.

    These are ``src:f32:a:blocked:acdb::f0`` (3.x), ``src_f32::blocked:acdb:f0`` (1.x, 2.x), ``in:f32_nchw`` and
    ``fsrc:nChw16c`` (0.x).
    """
    fields = text.split(":")
    joined = _NAME_AND_DTYPE.fullmatch(fields[0])
    if joined and len(fields) > 2:
        fields[0:1] = joined.groups()
    elif len(fields) <= 2:
        return _oldest(fields[0], fields[-1] if len(fields) == 2 else "")
    name, dtype, properties, kind, tag, *rest = [*fields, "", ""][: max(len(fields), 5)]
    return Descriptor(name, dtype, properties, kind, tag, tuple(rest))


def _oldest(name: str, tag: str) -> Descriptor:
    typed = _DTYPE_AND_TAG.fullmatch(tag)
    dtype, tag = typed.groups() if typed else ("", tag)
    kind = "blocked" if tag not in ("", "undef") else tag
    return Descriptor(_OLD_NAME.sub("", name), dtype, "", kind, tag)


def tensors(descriptors: str) -> tuple[str, str]:
    """Data types and layouts of a memory_descriptors column; absent tensors (``undef``) are dropped."""
    dtypes, layouts = [], []
    for text in descriptors.split():
        name, dtype, layout = (_known if len(text) < _LONGEST_KNOWN else _tensor)(text)
        if dtype == "undef" or layout == "undef":
            continue
        if dtype:
            dtypes.append(f"{name}:{dtype}")
        if layout:
            layouts.append(f"{name}:{layout}")
    return " ".join(dtypes), " ".join(layouts)


def _tensor(text: str) -> tuple[str, str, str]:
    """(name, data type, layout) of one memory descriptor."""
    name, dtype, _, kind, tag, rest = descriptor(text)
    # f0 says that there are no extra flags.  What else is there (strides, compensation) is part of the layout.
    return name, dtype, ":".join([tag or kind, *(part for part in rest if part and part != "f0")])


#: Shapes differ more often than the descriptors of their tensors.
_known = lru_cache(maxsize=4096)(_tensor)
_LONGEST_KNOWN = 200
