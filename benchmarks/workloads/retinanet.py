"""RetinaNet-ResNeXt50 as MLPerf Training defines it for OpenImages, from torchvision's own model classes.

ResNeXt50-32x4d with frozen batch norm, its stem and first stage frozen; feature pyramid P3–P7 of 256
channels; 9 anchors per cell (120 087 at 800²); 264 classes; Adam.  Images and boxes are synthetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.workloads.protocol import SEED, Built, seeded
from benchmarks.workloads.vision import import_torchvision

if TYPE_CHECKING:
    import torch

CLASSES = 264
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Size:
    #: Height and width in pixels, a multiple of 32 so that nothing is padded.
    pixels: int
    images: int


SIZES = {"smoke": Size(128, 2), "standard": Size(512, 2), "full": Size(800, 2)}


def build(scale: str) -> Built:
    """RetinaNet at a scale; the model returns its own losses, so ``loss`` is None."""
    import torch

    size = SIZES[scale]
    with seeded():
        model = _model(size.pixels).train()
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trainable, lr=LEARNING_RATE)
    return Built(model, optimizer, loss=None, batch=synthetic_batch(size))


def _model(pixels: int) -> torch.nn.Module:
    import_torchvision()
    from torchvision.models.detection import RetinaNet
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    backbone = resnet_fpn_backbone(
        backbone_name="resnext50_32x4d",
        weights=None,
        trainable_layers=3,  # layer2 to layer4: stem and layer1 stay frozen
        returned_layers=[2, 3, 4],  # P3 to P5; the extra block adds P6 and P7
        extra_blocks=LastLevelP6P7(256, 256),
    )
    # min_size = max_size = the images' own size: the model's transform then scales by 1.  Anchors
    # (32–512 × {1, 2^⅓, 2^⅔} × aspects 0.5/1/2), the matcher's 0.5/0.4, the head's prior of 0.01 and the focal
    # loss's α = 0.25, γ = 2 are torchvision's defaults; tests/test_workloads.py holds them to that.
    return RetinaNet(backbone, CLASSES, min_size=pixels, max_size=pixels)


def synthetic_batch(size: Size) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Random images (3, pixels, pixels) in [0, 1) and 4 to 12 boxes on each, the same every time.

    Sides are log-uniform from 1/16 to 3/4 of the image, so every pyramid level gets its objects.
    """
    import torch

    generator = torch.Generator().manual_seed(SEED)
    images = [torch.rand(3, size.pixels, size.pixels, generator=generator) for _ in range(size.images)]
    return images, [_objects(size.pixels, generator) for _ in range(size.images)]


def _objects(pixels: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    import torch

    number = int(torch.randint(4, 13, (), generator=generator))
    sides = pixels / 16 * 12.0 ** torch.rand(number, 2, generator=generator)
    corners = torch.rand(number, 2, generator=generator) * (pixels - sides)
    return {
        "boxes": torch.cat([corners, corners + sides], dim=1),
        "labels": torch.randint(0, CLASSES, (number,), generator=generator),
    }
