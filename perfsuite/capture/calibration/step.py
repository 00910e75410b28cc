"""A small convolutional network: a training step of about 20 ms on two cores, in a few dozen operators."""

from __future__ import annotations

from typing import Any

#: The operator that is planted, which nothing else in the step calls.
PLANTED = "aten::erfinv"
#: The variable that says to the test how often: on how many elements.
PLANT = "PERFSUITE_PLANT_ELEMENTS"


def build(elements: int = 0) -> tuple[Any, Any, Any, Any]:
    """Model, optimizer, loss and batch, the arguments of :class:`perfsuite.TrainingStep`; always the same values.

    Args:
        elements: how many numbers :data:`PLANTED` is called on in every step; 0 leaves it out.
    """
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
    extra = torch.rand(elements) * 0.5
    entropy = nn.CrossEntropyLoss()

    def loss(output: torch.Tensor, target: torch.Tensor) -> Any:
        if elements:
            torch.erfinv(extra)
        return entropy(output, target)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    batch = torch.randn(8, 3, 64, 64), torch.randint(0, 10, (8,))
    return model, optimizer, loss, batch
