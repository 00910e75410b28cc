"""ResNet18 (torchvision) on ImageNet-like images: SGD with momentum, cross entropy over 1000 classes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.workloads.protocol import SEED, Built, seeded
from benchmarks.workloads.vision import import_torchvision

CLASSES = 1000


@dataclass(frozen=True)
class Size:
    pixels: int
    images: int


SIZES = {"smoke": Size(64, 4), "standard": Size(224, 16), "full": Size(224, 64)}


def build(scale: str) -> Built:
    """ResNet18 at a scale; a batch is images (N, 3, H, W) and labels (N,)."""
    import torch

    size = SIZES[scale]
    with seeded():
        model = import_torchvision().models.resnet18(weights=None, num_classes=CLASSES).train()
    # The reference recipe's 0.1 is for 256 images; the linear scaling rule (arXiv 1706.02677) for fewer.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * size.images / 256, momentum=0.9, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randn(size.images, 3, size.pixels, size.pixels, generator=generator)
    labels = torch.randint(0, CLASSES, (size.images,), generator=generator)
    return Built(model, optimizer, torch.nn.functional.cross_entropy, (images, labels))
