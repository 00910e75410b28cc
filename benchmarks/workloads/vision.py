"""torchvision, also on a CPU-only torch that its C++ operators do not fit.

The extension in torchvision's registry wheels is linked against a CUDA build of torch.  Where it does
not load, torchvision fails at import because it describes the operators ``nms`` and ``qnms`` that nobody
has declared.  Declaring them first is all that training needs; evaluation also calls ``nms``.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from perfsuite.errors import UsageError

if TYPE_CHECKING:
    import torch

# Signatures as torchvision's extension declares them (the same from 0.21 to 0.28).
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
)

# A registration lives as long as its Library object.
_libraries: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """torchvision, ready to build and train detectors; may be called any number of times.

    Where torchvision works as shipped nothing is changed.

    Raises:
        UsageError: torchvision is not installed.
    """
    try:
        return _import()
    except RuntimeError as error:
        if "operator torchvision::" not in str(error) or "does not exist" not in str(error):
            raise
    _declare_operators()
    torchvision = _import()
    # torchvision.ops.nms refuses to run without the C++ extension; the operator behind it is there now.
    torchvision.ops.boxes._assert_has_ops = lambda: None
    return torchvision


def _import() -> ModuleType:
    try:
        import torchvision
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise UsageError("this workload needs torchvision: pip install 'perfsuite[vision]'") from error
    return torchvision


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    library.impl("nms", nms, "CPU")
    _libraries.append(library)


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression: a box goes if it overlaps a kept one of a higher score too much.

    Args:
        boxes: (N, 4), ``x1, y1, x2, y2``.
        scores: (N,); of equal scores the earlier box wins.
        iou_threshold: a box is suppressed where intersection over union is *greater* than this.

    Returns:
        int64 indices of the kept boxes, highest score first.
    """
    import torch

    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    order = scores.argsort(descending=True, stable=True)
    kept = []
    while order.numel():
        best, rest = order[0], order[1:]
        kept.append(best)
        order = rest[_iou_with(boxes[best], boxes[rest]) <= iou_threshold]
    return torch.stack(kept) if kept else order


def _iou_with(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of one box (4,) with others (N, 4); 0 where both have no area."""
    import torch

    corner = torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])
    intersection = corner.clamp(min=0).prod(dim=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(dim=1) - intersection
    return torch.where(union > 0, intersection / union, torch.zeros_like(union))
