"""A training step with its five phases, the same way for every model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from perfsuite.capture.phases import NOTHING
from perfsuite.errors import UsageError

PHASES = ("data", "forward", "loss", "backward", "optimizer")


class TrainingStep:
    """One step of training, callable: fetch a batch, forward, loss, backward, update.

    Args:
        model: called as ``model(inputs)``, or as ``model(inputs, target)`` if ``loss`` is None.
        optimizer: has ``step()`` and ``zero_grad()``; both are the phase ``optimizer``.
        loss: called as ``loss(model(inputs), target)``.  None for models that return their own losses
            (torchvision's detectors): a tensor, or a mapping or sequence of tensors, which are summed;
            computing them is then part of the phase ``forward``.
        batch: one ``(inputs, target)`` tuple, or an iterable of such pairs (a list, a DataLoader), which is
            started again when it is exhausted.  A list that begins with a tensor is one batch, as
            PyTorch's default collate function makes them.
        phase: opens a phase by its name; by default phases are not recorded.

    Raises:
        UsageError: an argument is not what it must be, the iterable is empty, or it cannot start again.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        optimizer: Any,
        loss: Callable[[Any, Any], Any] | None,
        batch: Any,
        *,
        phase: Callable[[str], AbstractContextManager[None]] | None = None,
    ) -> None:
        if not callable(model):
            raise UsageError(f"model: expected a callable such as nn.Module, found {type(model).__name__}")
        for method in ("step", "zero_grad"):
            if not callable(getattr(optimizer, method, None)):
                raise UsageError(f"optimizer: {type(optimizer).__name__} has no {method}()")
        if loss is not None and not callable(loss):
            raise UsageError(f"loss: expected a callable or None, found {type(loss).__name__}")
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        #: The loss of the latest step, a scalar tensor; None before the first.
        self.last_loss: Any = None
        self._batches = _batches(batch)
        self._phase = phase or (lambda name: NOTHING)

    def __call__(self) -> Any:
        """Run one step and return its loss (a scalar tensor, with its graph freed)."""
        phase = self._phase
        with phase("data"):
            inputs, target = next(self._batches)
        if self.loss is None:
            with phase("forward"):
                loss = sum_losses(self.model(inputs, target))
        else:
            with phase("forward"):
                output = self.model(inputs)
            with phase("loss"):
                loss = self.loss(output, target)
        with phase("backward"):
            loss.backward()
        with phase("optimizer"):
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.last_loss = loss.detach()
        return self.last_loss


def sum_losses(losses: Any) -> Any:
    """One scalar from what a model returned as its losses: a tensor, or a mapping or sequence of tensors.

    Raises:
        UsageError: it is none of these, or holds no loss (a detector in evaluation mode returns detections).
    """
    if hasattr(losses, "backward"):
        return losses
    values = list(losses.values()) if isinstance(losses, Mapping) else losses
    if not isinstance(values, Sequence) or not values or not all(hasattr(v, "backward") for v in values):
        raise UsageError(
            f"loss=None: the model returned {type(losses).__name__} without losses; "
            "pass a loss function, or call model.train() first"
        )
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _batches(batch: Any) -> Iterator[tuple[Any, Any]]:
    """Batches for ever."""
    if _is_tensor(batch) or not isinstance(batch, Iterable):
        raise UsageError(
            f"batch: expected one (inputs, target) tuple or an iterable of them, found {type(batch).__name__}"
        )
    if isinstance(batch, tuple) or (isinstance(batch, list) and batch and _is_tensor(batch[0])):
        return _repeat(_pair(batch))
    return _cycle(batch)


def _repeat(pair: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
    while True:
        yield pair


def _cycle(batches: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    seen = 0
    while True:
        before = seen
        for item in batches:
            seen += 1
            yield _pair(item)
        if seen == before:
            if seen:
                raise UsageError(
                    f"batch: the iterable ended after {seen} batches and cannot start again; "
                    "pass a list or a DataLoader, not a generator"
                )
            raise UsageError("batch: the iterable is empty")


def _pair(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        what = f"{type(item).__name__} of {len(item)}" if isinstance(item, (tuple, list)) else type(item).__name__
        raise UsageError(f"batch: expected (inputs, target), found {what}")
    return item[0], item[1]


def _is_tensor(value: Any) -> bool:
    # No torch import: a step can be built (and refused) before torch is there.
    return hasattr(value, "detach") and hasattr(value, "shape")
