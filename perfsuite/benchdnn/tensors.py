"""The memory_descriptors column of a verbose line, tensor by tensor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from perfsuite.errors import PerfsuiteError

#: Names of the time before 1.0, by those that came after.
_RENAMED = {"in": "src", "out": "dst", "fsrc": "src", "fwei": "wei", "fbia": "bia", "fdst": "dst", "fdata": "data"}
_DTYPE = r"(?:bf16|f16|f32|f64|f8_e5m2|f8_e4m3|e8m0|f4_e2m1|f4_e3m0|s64|s32|s8|u8|s4|u4|boolean|undef)"
_JOINED = re.compile(rf"(.+?)_({_DTYPE})")
_DTYPE_AND_TAG = re.compile(rf"({_DTYPE})_(\w+)")
_STRIDES = re.compile(r"-?\d+(?:x-?\d+)*")
_FLAG = re.compile(r"f(\d+)(?:_mask(\d+))?")


class CannotWrite(PerfsuiteError):
    """A problem that benchdnn has no command line for, or that the log does not say enough of; names the reason."""


@dataclass(frozen=True)
class Tensor:
    """One memory descriptor.  ``dtype`` and ``tag`` are empty where the log does not say them."""

    name: str
    dtype: str
    #: ``a``: the layout was left to oneDNN; ``p``: padded; ``o``, ``0``: an offset.
    properties: str
    #: ``blocked``, ``sparse``, ``opaque``, ``wino``, ``rnn_packed`` …
    kind: str
    tag: str
    #: Where they are not those of the dense layout: ``100x10x1``.
    strides: str = ""
    #: What is in the layout beside the values: ``s8s8`` and ``zp`` compensation, by their mask.
    compensation: tuple[tuple[str, str], ...] = ()
    #: Of a matrix multiplication's bias: the dimensions it has.
    mask: str = ""

    @property
    def there(self) -> bool:
        """Whether the primitive has this tensor."""
        return self.dtype != "undef" and self.tag != "undef" and self.kind != "undef"

    @property
    def known_tag(self) -> str:
        """The layout that was used.

        Raises:
            CannotWrite: it has no name that benchdnn understands.
        """
        if self.kind not in ("blocked", "any") or not self.tag or self.tag == "*":
            raise CannotWrite(f"the layout of {self.name} is {self.tag or self.kind or 'not in the log'}")
        return self.tag

    @property
    def asked_tag(self) -> str:
        """The layout that the program asked for: ``any`` where it left the choice to oneDNN."""
        return "any" if "a" in self.properties else self.known_tag


@lru_cache(maxsize=4096)
def tensors(descriptors: str) -> tuple[Tensor, ...]:
    """All tensors of the column in the log's order, absent ones too.

    Three spellings are understood: ``src:f32:a:blocked:acdb::f0`` (3.x), ``src_f32::blocked:acdb:f0`` (1.x, 2.x)
    and ``in:f32_nchw`` (0.x).
    """
    return tuple(map(_tensor, descriptors.split()))


def _tensor(text: str) -> Tensor:
    fields = text.split(":")
    joined = _JOINED.fullmatch(fields[0])
    if joined and len(fields) > 2:
        fields[0:1] = joined.groups()
    elif len(fields) <= 2:
        return _oldest(fields)
    name, dtype, properties, *layout = [*fields, "", "", ""][: max(len(fields), 5)]
    kind, tag, *rest = [*layout, "", ""][: max(len(layout), 2)]
    strides = next((part for part in rest[:1] if _STRIDES.fullmatch(part)), "")
    flag = next((match for match in map(_FLAG.fullmatch, rest) if match), None)
    return Tensor(
        name,
        dtype,
        properties,
        kind,
        tag,
        strides,
        _compensation(rest),
        mask=(flag[2] or "") if flag else "",
    )


def _oldest(fields: list[str]) -> Tensor:
    tag = fields[1] if len(fields) == 2 else ""
    typed = _DTYPE_AND_TAG.fullmatch(tag)
    dtype, tag = typed.groups() if typed else ("", tag)
    return Tensor(_RENAMED.get(fields[0], fields[0]), dtype, "", "undef" if tag == "undef" else "blocked", tag)


def _compensation(rest: list[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for part in rest:
        if part.startswith("s8m") and part[3:].isdigit():
            found.append(("s8s8_comp", part[3:]))
        elif part.startswith("zpm") and part[3:].isdigit():
            found.append(("zp_comp", part[3:]))
    return tuple(found)
