"""A profiled call of an operator, read by position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Dims = tuple[int, ...]
Formula = Callable[["Call"], int]


class UnknownError(Exception):
    """The event does not say enough."""


class Call:
    """A profiler event's shapes and concrete inputs, read by position; anything unfit raises UnknownError."""

    def __init__(self, shapes: Sequence[Any], concrete: Sequence[Any], forward: Sequence[Any] = ()) -> None:
        self._shapes = shapes
        self._concrete = concrete
        self._forward = forward

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
