"""One distinct primitive as a driver reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from perfsuite.benchdnn.tensors import CannotWrite, Tensor, tensors
from perfsuite.onednn import Distinct

#: benchdnn's words for the prop_kind of a verbose line.
DIRECTIONS = {
    "forward_training": "FWD_D",
    "forward_inference": "FWD_I",
    "backward_data": "BWD_D",
    "backward_weights": "BWD_W",
    "backward": "BWD_DW",
    "forward_scoring": "FWD_I",
}


@dataclass(frozen=True)
class Call:
    """What is to be written; a driver adds to ``notes`` what its options cannot carry over."""

    primitive: Distinct
    notes: list[str] = field(default_factory=list)

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """Those that the primitive has."""
        return tuple(tensor for tensor in tensors(self.primitive.descriptors) if tensor.there)

    @cached_property
    def auxiliary(self) -> Mapping[str, str]:
        """``alg:softmax_accurate axis:1`` by name."""
        parts = (part.partition(":") for part in self.primitive.algorithm.split())
        return {name: value for name, _, value in parts}

    @property
    def algorithm(self) -> str:
        """The algorithm in the log's words.

        Raises:
            CannotWrite: the log names none.
        """
        return self.needed("alg")

    @property
    def direction(self) -> str:
        """benchdnn's word.

        Raises:
            CannotWrite: it has none.
        """
        word = self.primitive.direction
        if word not in DIRECTIONS:
            raise CannotWrite(f"direction {word[:40]!r} has no option")
        return DIRECTIONS[word]

    def needed(self, name: str) -> str:
        """An auxiliary value.

        Raises:
            CannotWrite: the log does not say it.
        """
        value = self.auxiliary.get(name, "")
        if not value:
            raise CannotWrite(f"the log does not say {name!r}")
        return value

    def find(self, *names: str) -> Tensor | None:
        """The first tensor of the first of these names that the primitive has; None if it has none of them."""
        return next((tensor for name in names for tensor in self.tensors if tensor.name == name), None)

    def get(self, *names: str) -> Tensor:
        """As :meth:`find`.

        Raises:
            CannotWrite: it has none of them.
        """
        tensor = self.find(*names)
        if tensor is None:
            raise CannotWrite(f"the log names no tensor {names[0]!r}")
        return tensor

    def sources(self) -> tuple[Tensor, ...]:
        """The tensors named ``src``, in order: a sum, a concat and a binary operation have several."""
        return tuple(tensor for tensor in self.tensors if tensor.name == "src")

    def dense(self, *among: Tensor | None) -> None:
        """Notes the strides of these tensors, for a driver that has no option for them."""
        for tensor in among:
            if tensor is not None and tensor.strides:
                self.notes.append(f"{tensor.name} had strides {tensor.strides}: here it is dense")


def dtype(tensor: Tensor) -> str:
    """Its data type.

    Raises:
        CannotWrite: the log does not say it (before 1.0).
    """
    if not tensor.dtype:
        raise CannotWrite(f"the log does not say the data type of {tensor.name}")
    return tensor.dtype
