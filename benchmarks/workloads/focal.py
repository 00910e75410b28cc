"""torchvision's sigmoid focal loss, forward and backward, on logits like RetinaNet's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.workloads.backends import import_ipex
from benchmarks.workloads.protocol import BACKENDS, DTYPES, SCALES, SEED, check_choice
from benchmarks.workloads.vision import import_torchvision

if TYPE_CHECKING:
    import torch

#: Anchors × classes; full is one 800² image of the OpenImages RetinaNet.
SIZES = {"smoke": (4_000, 91), "standard": (30_000, 264), "full": (120_087, 264)}

#: Share of (anchor, class) pairs that are positive; in detection almost none are.
_POSITIVE = 1e-3


@dataclass(frozen=True)
class LossKernel:
    """A loss of logits and targets, both (anchors, classes)."""

    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    logits: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def build(cls, scale: str, dtype: str = "float32", backend: str = "eager") -> LossKernel:
        """The kernel on seeded logits; in bfloat16 the logits themselves are bfloat16.

        Raises:
            UsageError: an unknown scale, dtype or backend, or one that is not installed.
        """
        check_choice("scale", scale, SCALES)
        check_choice("dtype", dtype, DTYPES)
        check_choice("backend", backend, BACKENDS)
        if backend == "ipex":
            import_ipex()  # has no focal loss of its own, but overrides operators that the loss uses
        import torch

        generator = torch.Generator().manual_seed(SEED)
        # Around logit(0.01), where the head's prior puts them.
        logits = torch.randn(SIZES[scale], generator=generator) - 4.6
        targets = (torch.rand(SIZES[scale], generator=generator) < _POSITIVE).float()
        kind = getattr(torch, dtype)
        loss = torchvision_focal_loss()
        if backend == "compile":
            loss = torch.compile(loss)
        return cls(loss, logits.to(kind).requires_grad_(), targets.to(kind))

    def gradient(self) -> torch.Tensor:
        """Forward and backward; the gradient of the summed loss, shaped as the logits."""
        import torch

        # Not backward(): it would add to the last call's gradient.
        return torch.autograd.grad(self.loss(self.logits, self.targets), self.logits)[0]


def torchvision_focal_loss() -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """``torchvision.ops.sigmoid_focal_loss`` with α = 0.25, γ = 2, summed, of (logits, targets)."""
    sigmoid_focal_loss = import_torchvision().ops.sigmoid_focal_loss

    def focal_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2, reduction="sum")

    return focal_loss
