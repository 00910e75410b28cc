"""A profiled call of an operator, read by position."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from perfsuite.flops.dtypes import UnknownError, of_number, size_of

__all__ = ["Call", "Dims", "Formula", "UnknownError", "is_int"]

Dims = tuple[int, ...]
Formula = Callable[["Call"], int]


class Call:
    """A profiler event's shapes, data types and concrete inputs, read by position; anything unfit raises UnknownError.

    ``in_place`` says that the operator's name ends in an underscore: the result is the first argument.
    """

    def __init__(
        self,
        shapes: Sequence[Any],
        concrete: Sequence[Any],
        forward: Sequence[Any] = (),
        dtypes: Sequence[str | None] = (),
        in_place: bool = False,
    ) -> None:
        self._shapes = shapes
        self._concrete = concrete
        self._forward = forward
        self._dtypes = dtypes
        self.in_place = in_place

    def __len__(self) -> int:
        """How many arguments there are."""
        return len(self._shapes)

    @property
    def forward(self) -> Call:
        """The forward call that this backward belongs to; its tensors are not known."""
        return Call((), self._forward)

    def tensor(self, position: int, *ranks: int) -> Dims:
        """Sizes of the tensor at ``position``, of one of the given ranks (any rank from 1 if none is given)."""
        dims = self._shapes[position] if position < len(self._shapes) else ()
        if not isinstance(dims, (list, tuple)) or not dims or not all(is_int(size) for size in dims):
            raise UnknownError
        if ranks and len(dims) not in ranks:
            raise UnknownError
        return tuple(dims)

    def is_tensor(self, position: int) -> bool:
        """Whether a tensor stands there: an optional one that is absent has no data type."""
        return self._dtype(position) is not None

    def dtype(self, position: int) -> str:
        found = self._dtype(position)
        if found is None:
            raise UnknownError
        return found

    def _dtype(self, position: int) -> str | None:
        return self._dtypes[position] if position < len(self._dtypes) else None

    def sizes(self, position: int) -> Dims:
        """Sizes of the tensor at ``position``, of any rank: a tensor without dimensions has one element."""
        self.dtype(position)
        dims = self._shapes[position] if position < len(self._shapes) else ()
        if not isinstance(dims, (list, tuple)) or not all(is_int(size) for size in dims):
            raise UnknownError
        return tuple(dims)

    def numel(self, position: int) -> int:
        return math.prod(self.sizes(position))

    def itemsize(self, position: int) -> int:
        return size_of(self.dtype(position))

    def bytes(self, *positions: int) -> int:
        """Bytes of the tensors that stand there; an absent one has none."""
        return sum(self.numel(p) * self.itemsize(p) for p in positions if self.is_tensor(p))

    def has(self, position: int) -> bool:
        """Whether the argument was recorded with a value that is not None."""
        return position < len(self._concrete) and self._concrete[position] is not None

    def wanted_dtype(self, position: int, otherwise: str) -> str:
        """The data type that a ``dtype`` argument asks for: the profiler records torch's number of it."""
        return of_number(self._concrete[position]) if self.has(position) else otherwise

    def value(self, position: int) -> Any:
        """The scalar or list argument at ``position``; what was not recorded is unknown."""
        value = self._concrete[position] if position < len(self._concrete) else None
        if value is None:
            raise UnknownError
        return value

    def integer(self, position: int) -> int:
        value = self.value(position)
        if not is_int(value):
            raise UnknownError
        return int(value)

    def integers(self, position: int, count: int) -> Dims:
        """A list of ``count`` integers; a list of one stands for all, as in torch's own arguments."""
        value = self.value(position)
        if not isinstance(value, (list, tuple)) or not all(is_int(item) for item in value):
            raise UnknownError
        if len(value) == 1:
            return tuple(value) * count
        if len(value) != count:
            raise UnknownError
        return tuple(value)

    def mask(self, position: int, count: int) -> tuple[bool, ...]:
        value = self.value(position)
        if not isinstance(value, (list, tuple)) or len(value) != count:
            raise UnknownError
        return tuple(bool(item) for item in value)


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
