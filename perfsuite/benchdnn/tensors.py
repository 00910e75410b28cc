"""The memory_descriptors column of a verbose line, tensor by tensor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from perfsuite.errors import PerfsuiteError
from perfsuite.onednn.descriptors import Descriptor, descriptor

#: Names of the time before 1.0, by those that came after.
_RENAMED = {"in": "src", "out": "dst"}
_STRIDES = re.compile(r"-?\d+(?:x-?\d+)*")
_FLAG = re.compile(r"f(\d+)(?:_mask(\d+))?")


class CannotWrite(PerfsuiteError):
    """A problem that benchdnn has no command line for, or that the log does not say enough of; names the reason."""


@dataclass(frozen=True)
class Tensor:
    """One memory descriptor.  ``dtype`` and ``tag`` are empty where the log does not say them."""

    name: str
    dtype: str
    #: ``properties`` and ``kind`` as in :class:`perfsuite.onednn.descriptors.Descriptor`.
    properties: str
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
    """All tensors of the column in the log's order, absent ones too."""
    return tuple(_tensor(descriptor(text)) for text in descriptors.split())


def _tensor(read: Descriptor) -> Tensor:
    strides = next((part for part in read.rest[:1] if _STRIDES.fullmatch(part)), "")
    flag = next((match for match in map(_FLAG.fullmatch, read.rest) if match), None)
    return Tensor(
        _RENAMED.get(read.name, read.name),
        read.dtype,
        read.properties,
        read.kind,
        read.tag,
        strides,
        _compensation(read.rest),
        mask=(flag[2] or "") if flag else "",
    )


def _compensation(rest: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = []
    for part in rest:
        if part.startswith("s8m") and part[3:].isdigit():
            found.append(("s8s8_comp", part[3:]))
        elif part.startswith("zpm") and part[3:].isdigit():
            found.append(("zp_comp", part[3:]))
    return tuple(found)
