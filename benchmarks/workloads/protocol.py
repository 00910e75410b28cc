"""What a workload is: a name and its settings, built once and stepped many times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfsuite.errors import UsageError

if TYPE_CHECKING:
    import torch

    from perfsuite.capture.training_step import TrainingStep

SCALES = ("smoke", "standard", "full")
DTYPES = ("float32", "bfloat16")
BACKENDS = ("eager", "compile", "ipex")

#: Seed of every workload's weights and data.
SEED = 20260301


@dataclass(frozen=True)
class Built:
    """A workload ready to step: the arguments of ``profiled.step``, in its order."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    #: ``loss(model(inputs), target)``; None if the model, called as ``model(inputs, target)``, returns its losses.
    loss: Callable[[Any, Any], torch.Tensor] | None
    #: ``(inputs, target)``
    batch: tuple[Any, Any]

    def training_step(self) -> TrainingStep:
        """A callable that trains one step and returns its loss."""
        from perfsuite.capture.training_step import TrainingStep

        return TrainingStep(self.model, self.optimizer, self.loss, self.batch)


@dataclass(frozen=True)
class Workload:
    """A model family with its settings.  Get one with :func:`benchmarks.workloads.workload`.

    Raises:
        UsageError: scale, dtype or backend is not one of :data:`SCALES`, :data:`DTYPES`, :data:`BACKENDS`.
    """

    name: str
    #: Builds the family's float32 eager model at a scale.
    builder: Callable[[str], Built] = field(repr=False)
    scale: str = "smoke"
    dtype: str = "float32"
    backend: str = "eager"

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, SCALES)
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("backend", self.backend, BACKENDS)

    def build(self) -> Built:
        """Model, optimizer, loss and batch; the same weights and data every time.

        Raises:
            UsageError: the backend or torchvision is needed and not installed; the message names the extra.
        """
        from benchmarks.workloads.backends import prepare

        return prepare(self.builder(self.scale), self.dtype, self.backend)


def check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise a UsageError that lists the choices unless ``value`` is one of them."""
    if value not in choices:
        raise UsageError(f"unknown workload {what} {value!r}; choose one of: {', '.join(choices)}")


@contextmanager
def seeded(seed: int = SEED) -> Iterator[None]:
    """Weights made within the block are the same every time; the caller's random state is as it was after it."""
    import torch

    # devices=[]: a CUDA build would otherwise initialise CUDA to save its state.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
