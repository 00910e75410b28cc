"""The memory_descriptors column: data types and layouts of a primitive's tensors, in any of its spellings."""

from __future__ import annotations

import re
from functools import lru_cache

_DTYPES = "f64|f32|bf16|f16|f8_e5m2|f8_e4m3|e8m0|f4_e2m1|f4_e3m0|s64|s32|s8|u8|s4|u4|boolean|undef"
_NAME_AND_DTYPE = re.compile(rf"(.+?)_({_DTYPES})")
_DTYPE_AND_TAG = re.compile(rf"({_DTYPES})_(\w+)")


def tensors(descriptors: str) -> tuple[str, str]:
    """Data types and layouts of a memory_descriptors column; absent tensors (``undef``) are dropped."""
    dtypes, layouts = [], []
    for descriptor in descriptors.split():
        name, dtype, layout = (_known if len(descriptor) < _LONGEST_KNOWN else _tensor)(descriptor)
        if dtype == "undef" or layout == "undef":
            continue
        if dtype:
            dtypes.append(f"{name}:{dtype}")
        if layout:
            layouts.append(f"{name}:{layout}")
    return " ".join(dtypes), " ".join(layouts)


def _tensor(descriptor: str) -> tuple[str, str, str]:
    """(name, data type, layout) of one memory descriptor, in any of its three spellings."""
    fields = descriptor.split(":")
    joined = _NAME_AND_DTYPE.fullmatch(fields[0])
    if joined and len(fields) > 2:  # src_f32:p:blocked:abcd[:strides]:f0
        fields[0:1] = joined.groups()
    elif len(fields) <= 2:  # fsrc:nChw16c, in:f32_nchw (before 1.0)
        name, tag = fields[0], fields[-1] if len(fields) == 2 else ""
        typed = _DTYPE_AND_TAG.fullmatch(tag)
        if typed:
            return name, typed[1], typed[2]
        return re.sub(r"^f(?=src|wei|bia|dst|data|diff|ws)", "", name), "", tag
    # name : data type : properties : format kind : tag [: strides] : extra flags
    name, dtype, _, *layout = [*fields, "", ""][: max(len(fields), 4)]
    kind, tag, *rest = [*layout, "", ""][: max(len(layout), 2)]
    # f0 says that there are no extra flags.  What else is there (strides, compensation) is part of the layout.
    return name, dtype, ":".join([tag or kind, *(part for part in rest if part and part != "f0")])


#: Shapes differ more often than the descriptors of their tensors.
_known = lru_cache(maxsize=4096)(_tensor)
_LONGEST_KNOWN = 200
