"""oneDNN's problem descriptions, as its verbose output prints them, taken apart."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from perfsuite.flops.dtypes import UnknownError, onednn_bytes

Dims = tuple[int, ...]

# Longer numbers are no sizes, and Python refuses to read those of thousands of digits.
_NUMBER = r"\d{1,18}"
_SIZES = re.compile(rf"{_NUMBER}(?:x{_NUMBER})*")
_NAMED = re.compile(rf"([a-z]+)(-?{_NUMBER}(?:\.\d+)?(?:e[+-]?\d+)?)_?", re.IGNORECASE)
_MASK = re.compile(r"(?:^| )bia:\S*_mask(\d{1,9})")
_POST_OPS = re.compile(r"(?:^| )(?:attr-post-ops:|post_ops:)(\S+)")


class PrimitiveLike(Protocol):
    """What FLOPs and bytes are read from: a primitive of a profile, or a distinct one of a log."""

    @property
    def kind(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def dtypes(self) -> str: ...
    @property
    def layouts(self) -> str: ...
    @property
    def attributes(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def problem(self) -> str: ...


@dataclass(frozen=True)
class Problem:
    """A primitive's columns, read by name; anything unfit raises UnknownError."""

    source: PrimitiveLike

    @property
    def backward(self) -> bool:
        return self.source.direction.startswith("backward")

    @property
    def training(self) -> bool:
        return self.source.direction == "forward_training"

    @property
    def tensors(self) -> tuple[tuple[str, str], ...]:
        """(name, data type) of each tensor that is there."""
        pairs = [token.rpartition(":") for token in self.source.dtypes.split()]
        return tuple((name, dtype) for name, _, dtype in pairs)

    def has(self, name: str) -> bool:
        return any(found == name for found, _ in self.tensors)

    def flags(self) -> str:
        """A normalisation's flags: G global statistics, C scale, H shift, R fused ReLU, A with an addition, M RMS."""
        found = re.search(r"flags:(\w*)", self.source.algorithm)
        if found is None:
            raise UnknownError
        return found[1]

    def named(self) -> dict[str, int]:
        """Sizes with names: ``mb4_ic64oc32_ih16oh16kh1…``."""
        found = {}
        at = 0
        text = self.source.problem
        while at < len(text):
            match = _NAMED.match(text, at)
            if match is None or (match[2].startswith("-") and not match[1].startswith("p")):
                raise UnknownError  # only a padding may be negative
            if match[2].lstrip("-").isdigit():
                found[match[1]] = int(match[2])
            at = match.end()
        if not found:
            raise UnknownError
        return found

    def sizes(self) -> list[Dims]:
        """Tensors' sizes: ``2x20x80:2x80x12``."""
        return [_sizes(part) for part in self.source.problem.split(":")]

    def one(self) -> Dims:
        """The sizes where there is one tensor."""
        found = self.sizes()
        if len(found) != 1:
            raise UnknownError
        return found[0]

    def shaped(self) -> Dims:
        """One tensor's sizes in either spelling: ``8x64x7x7``, or ``mb8ic64ih7iw7`` in that order."""
        text = self.source.problem
        if _SIZES.fullmatch(text.removeprefix("x")):
            return _sizes(text.removeprefix("x"))
        named = self.named()
        return tuple(named[key] for key in ("mb", "ic", "id", "ih", "iw") if key in named)

    def total(self, elements: Mapping[str, int]) -> int:
        """Bytes of all tensors that are there; ``elements`` of those that may be.

        Raises:
            UnknownError: there is none, or one whose elements nobody knows.
        """
        if not self.tensors or any(name not in elements for name, _ in self.tensors):
            raise UnknownError
        return sum(onednn_bytes(dtype, elements[name]) for name, dtype in self.tensors)

    def bytes(self, name: str, elements: int) -> int:
        """Bytes of so many elements of the tensor's data type; 0 if the tensor is not there."""
        return next((onednn_bytes(dtype, elements) for found, dtype in self.tensors if found == name), 0)

    def bias_elements(self, dst: Dims, otherwise: int) -> int:
        """Elements of a matmul's bias: those dimensions of the result that its mask names."""
        found = _MASK.search(self.source.layouts)
        return otherwise if found is None else masked(dst, int(found[1]))

    def post_op_bytes(self, dst: Dims) -> int:
        """What fused operations read besides: a sum the destination's old values, a binary operation its tensor."""
        found = _POST_OPS.search(self.source.attributes)
        moved = 0
        for operation in found[1].split("+") if found else ():
            name, *details = operation.split(":")
            if name == "sum":
                moved += self.bytes("dst", math.prod(dst))
            elif name.startswith("binary_"):
                if len(details) < 2 or not re.fullmatch(r"\d{1,9}", details[1]):
                    raise UnknownError
                moved += onednn_bytes(details[0], masked(dst, int(details[1])))
            elif not name.startswith("eltwise_"):
                raise UnknownError
        return moved


def spatial(named: Mapping[str, int], prefix: str) -> int:
    """The product of the sizes along depth, height and width; one that is not named is 1."""
    return math.prod(named.get(f"{prefix}{axis}", 1) for axis in "dhw")


def masked(dims: Dims, mask: int) -> int:
    """Elements of a tensor that has the dimensions whose bits are set in ``mask``."""
    return math.prod(size for d, size in enumerate(dims) if mask >> d & 1)


def broadcast(shapes: Iterable[Dims]) -> Dims:
    """The sizes that tensors of equal rank broadcast to."""
    shapes = list(shapes)
    if not shapes or len({len(dims) for dims in shapes}) != 1:
        raise UnknownError
    found = []
    for sizes in zip(*shapes, strict=True):
        wide = set(sizes) - {1}
        if len(wide) > 1:
            raise UnknownError
        found.append(wide.pop() if wide else 1)
    return tuple(found)


def _sizes(text: str) -> Dims:
    if not _SIZES.fullmatch(text):
        raise UnknownError
    return tuple(int(size) for size in text.split("x"))
