"""Small real models that do one thing wrong, and how tests of advice capture them.

``python -m tests.advice_models FILE NAME …`` captures some in a process of its own, for settings that are read once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import mse_loss

from perfsuite.capture.passes import Settings, capture_profile
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.step import Step
from perfsuite.capture.training_step import TrainingStep
from perfsuite.codec import to_json
from perfsuite.records import Profile

#: Phases take a second of steps and memory two more: only where a test is about them.
PASSES = ("operators", "primitives")
EVERY_PASS = ("phases", "operators", "primitives", "memory")


def capture(
    model: nn.Module,
    optimizer: Any,
    loss: Any,
    batch: Any,
    passes: tuple[str, ...] = PASSES,
    steps: int = 3,
    warm_up: int = 2,
) -> Profile:
    """The profile of this training step."""
    recorder = PhaseRecorder()
    step = TrainingStep(model, optimizer, loss, batch, phase=recorder.phase)
    for _ in range(warm_up):
        step()
    return capture_profile(Step(step), recorder, Settings(passes=passes, steps=steps))


def capture_step(step: Callable[[], object]) -> Profile:
    """The profile of any callable, which marks no phases."""
    return capture_profile(Step(step), PhaseRecorder(), Settings(passes=EVERY_PASS, steps=1))


def convnet(channels: int = 32, classes: int = 10) -> nn.Sequential:
    """Two convolutions, batch norm, and a classifier."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, classes),
    )


def images(number: int = 4, pixels: int = 64, classes: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images and labels."""
    return torch.randn(number, 3, pixels, pixels), torch.randint(0, classes, (number,))


def healthy() -> Profile:
    """A convnet as it should be: channels_last, fused SGD."""
    model = convnet().to(memory_format=torch.channels_last)
    inputs, labels = images(8)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
    inputs = inputs.to(memory_format=torch.channels_last)
    return capture(model, optimizer, nn.CrossEntropyLoss(), (inputs, labels), EVERY_PASS, steps=5, warm_up=6)


class Frozen(nn.Module):
    """Batch norm with fixed statistics, computed as torchvision's FrozenBatchNorm2d does."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x × scale + shift."""
        scale = self.weight.reshape(1, -1, 1, 1) * (self.variance.reshape(1, -1, 1, 1) + 1e-5).rsqrt()
        return x * scale + (0.1 - scale)


class SlowGelu(nn.Module):
    """GELU written out, eight passes over the tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tanh approximation."""
        return 0.5 * x * (1 + torch.tanh(0.79788456 * (x + 0.044715 * x * x * x)))


class Recurrent(nn.Module):
    """A recurrent cell in a Python loop."""

    def __init__(self, steps: int = 60) -> None:
        super().__init__()
        self.steps = steps
        self.cell = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The state after all steps."""
        for _ in range(self.steps):
            x = torch.tanh(self.cell(x))
        return x


class MkldnnSums(nn.Module):
    """Additions of tensors in oneDNN's own layout, for which it has only a simple kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of x (N, C, H, W), added to itself a few times."""
        inner = x.detach().to_mkldnn()
        for _ in range(8):
            inner = inner + inner
        return self.scale(inner.to_dense().mean((2, 3))[:, :4])


class Detector(nn.Module):
    """A model that returns its own loss, as detectors do."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(16, classes)

    def forward(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The summed loss of each class."""
        logits = self.head(x)
        return nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")


def page_faults() -> Profile:
    """Large tensors and hardly any work on them."""
    model = nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.ReLU(), nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), 0.01, fused=True)
    batch = (torch.randn(4096, 256), torch.randn(4096, 1024))
    return capture(model, optimizer, mse_loss, batch, passes=("operators", "memory"), steps=1)


def large_tensors() -> Profile:
    """Tensors of 64 MiB."""
    model = nn.Sequential(nn.Linear(64, 4096), nn.ReLU(), nn.ReLU(), nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), 0.01, fused=True)
    batch = (torch.randn(4096, 64), torch.randn(4096, 4096))
    return capture(model, optimizer, mse_loss, batch, passes=("operators", "memory"), steps=1, warm_up=1)


IN_A_PROCESS: dict[str, Callable[[], Profile]] = {
    "healthy": healthy,
    "page_faults": page_faults,
    "large_tensors": large_tensors,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    captured = {name: to_json(IN_A_PROCESS[name]()) for name in sys.argv[2:]}
    Path(sys.argv[1]).write_text(json.dumps(captured))
