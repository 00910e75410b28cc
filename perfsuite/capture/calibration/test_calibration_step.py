"""A small convolutional network: about 20 ms on two cores, in a few dozen operators.

``PERFSUITE_PLANT_ELEMENTS`` adds one operator that nothing else calls, ``aten::erfinv`` over so many elements: a
slowdown whose size and whose culprit are known.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

PLANT = "PERFSUITE_PLANT_ELEMENTS"
PLANTED = "aten::erfinv"
NAME = "calibration step"


@pytest.mark.profiled(name=NAME)
def test_calibration_step(profiled: Any) -> None:
    """The step."""
    import torch
    from torch import nn

    def stage(channels: int, features: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels, features, 3, stride=stride, padding=1),
            nn.BatchNorm2d(features),
            nn.ReLU(),
        ]

    torch.manual_seed(0)
    model = nn.Sequential(
        *stage(3, 64, 2),
        *stage(64, 64, 1),
        *stage(64, 128, 2),
        *stage(128, 128, 1),
        *stage(128, 128, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    elements = int(os.environ.get(PLANT, "0"))
    extra = torch.rand(elements) * 0.5
    entropy = nn.CrossEntropyLoss()

    def loss(output: torch.Tensor, target: torch.Tensor) -> Any:
        if elements:
            torch.erfinv(extra)
        return entropy(output, target)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    batch = torch.randn(8, 3, 64, 64), torch.randint(0, 10, (8,))
    profiled.step(model, optimizer, loss, batch)
