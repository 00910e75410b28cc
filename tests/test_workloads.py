"""The workloads are the ones they are said to be, and can be built again."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.workloads import DTYPES, NAMES, Built, retinanet, workload
from benchmarks.workloads.backends import autocast_forward
from benchmarks.workloads.focal import LossKernel
from benchmarks.workloads.vision import import_torchvision, nms
from perfsuite.errors import UsageError

# --- every workload -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss(name: str, dtype: str) -> None:
    built = workload(name, dtype=dtype).build()
    step = built.training_step()
    losses = [float(step()) for _ in range(4)]
    assert torch.tensor(losses).isfinite().all()
    assert losses[-1] < losses[0]
    # Mixed precision keeps float32 parameters, and so float32 gradients and optimizer state.
    assert {p.dtype for p in built.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_batch_are_the_same_every_time(name: str) -> None:
    first = workload(name).build()
    torch.rand(3)  # another state of the caller's generator must not matter
    second = workload(name).build()
    assert_same(first.batch, second.batch)
    assert_same(dict(first.model.state_dict()), dict(second.model.state_dict()))


@pytest.mark.parametrize("name", NAMES)
def test_building_leaves_the_random_state_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    workload(name).build()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_keeps_the_module_paths(name: str) -> None:
    plain, mixed = workload(name).build().model, workload(name, dtype="bfloat16").build().model
    assert [path for path, _ in mixed.named_modules()] == [path for path, _ in plain.named_modules()]
    assert isinstance(mixed, torch.nn.Module)
    assert type(mixed).__name__ == type(plain).__name__


@pytest.mark.parametrize("name", ["resnet18", "lstm", "transformer"])
def test_bfloat16_computes_in_bfloat16(name: str) -> None:
    built = workload(name, dtype="bfloat16").build()
    output = built.model(built.batch[0])
    assert output.dtype == torch.bfloat16
    assert built.loss is not None
    assert built.loss(output, built.batch[1]).isfinite()


def test_an_autocast_copy_runs_its_own_weights() -> None:
    model = torch.nn.Linear(2, 2)
    autocast_forward(model)
    twin = copy.deepcopy(model)
    torch.nn.init.zeros_(twin.weight)
    torch.nn.init.zeros_(twin.bias)
    assert twin(torch.ones(1, 2)).count_nonzero() == 0
    assert model(torch.ones(1, 2)).count_nonzero() > 0


def test_compile_steps() -> None:
    built = workload("lstm", backend="compile").build()
    assert type(built.model).__name__ == "OptimizedModule"
    step = built.training_step()
    losses = [float(step()) for _ in range(4)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "vgg"}, "unknown workload name 'vgg'; choose one of: retinanet, resnet18, lstm, transformer"),
        ({"scale": "huge"}, "unknown workload scale 'huge'; choose one of: smoke, standard, full"),
        ({"dtype": "float16"}, "unknown workload dtype 'float16'; choose one of: float32, bfloat16"),
        ({"backend": "onnx"}, "unknown workload backend 'onnx'; choose one of: eager, compile, ipex"),
    ],
)
def test_an_unknown_setting_is_one_clear_line(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        workload(**{"name": "lstm", **arguments})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "backend", "module", "extra"),
    [("lstm", "ipex", "intel_extension_for_pytorch", "ipex"), ("resnet18", "eager", "torchvision", "vision")],
)
def test_a_missing_package_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, backend: str, module: str, extra: str
) -> None:
    class Missing:
        @staticmethod
        def find_spec(wanted: str, path: Any = None, target: Any = None) -> None:
            if wanted == module:
                raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)

    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])
    with pytest.raises(UsageError, match=rf"pip install 'perfsuite\[{extra}\]'"):
        workload(name, backend=backend).build()


def test_importing_the_benchmarks_loads_no_torch() -> None:
    code = (
        "import sys, benchmarks.workloads, benchmarks.workloads.focal, benchmarks.workloads.backends,"
        " benchmarks.conftest, benchmarks.test_training, benchmarks.test_kernels, benchmarks.reach.overhead;"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- RetinaNet ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def detector() -> Built:
    return workload("retinanet").build()


def anchors_of(model: Any, pixels: int) -> torch.Tensor:
    """Anchors (N, 4) of one image, from the model's own generator and the sizes of the pyramid P3–P7."""
    from torchvision.models.detection.image_list import ImageList

    levels = [torch.empty(1, 256, -(-pixels // stride), -(-pixels // stride)) for stride in (8, 16, 32, 64, 128)]
    images = ImageList(torch.empty(1, 3, pixels, pixels), [(pixels, pixels)])
    (anchors,) = model.anchor_generator(images, levels)
    return anchors


def test_retinanet_has_mlperfs_anchors(detector: Built) -> None:
    model: Any = detector.model
    assert model.anchor_generator.num_anchors_per_location() == [9] * 5
    assert len(anchors_of(model, 800)) == 120_087
    assert [sizes[0] for sizes in model.anchor_generator.sizes] == [32, 64, 128, 256, 512]
    assert set(model.anchor_generator.aspect_ratios) == {(0.5, 1.0, 2.0)}


def test_retinanets_pyramid_is_p3_to_p7_of_256_channels(detector: Built) -> None:
    features = detector.model.backbone(torch.zeros(1, 3, 128, 128))
    assert [tuple(level.shape[1:]) for level in features.values()] == [
        (256, 16, 16), (256, 8, 8), (256, 4, 4), (256, 2, 2), (256, 1, 1)
    ]  # fmt: skip


def test_retinanet_has_264_classes_and_mlperfs_settings(detector: Built) -> None:
    model: Any = detector.model
    head = model.head.classification_head
    assert head.cls_logits.out_channels == 9 * 264
    assert torch.sigmoid(head.cls_logits.bias.detach()).mean() == pytest.approx(0.01)
    convolutions = [m for m in head.conv.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.kernel_size for c in convolutions] == [(3, 3)] * 4
    matcher = model.proposal_matcher
    assert (matcher.high_threshold, matcher.low_threshold) == (0.5, 0.4)
    assert isinstance(detector.optimizer, torch.optim.Adam)
    assert detector.optimizer.param_groups[0]["lr"] == 1e-4
    grouped = model.backbone.body.layer4[0].conv2
    assert (grouped.groups, grouped.out_channels) == (32, 1024)


def test_retinanets_stem_and_first_stage_are_frozen(detector: Built) -> None:
    frozen = {path for path, p in detector.model.named_parameters() if not p.requires_grad}
    expected = {
        path
        for path, _ in detector.model.named_parameters()
        if path.startswith(("backbone.body.conv1.", "backbone.body.layer1."))
    }
    assert frozen == expected
    assert len(frozen) == 1 + 3 * 3 + 1
    updated = {id(p) for group in detector.optimizer.param_groups for p in group["params"]}
    assert updated == {id(p) for p in detector.model.parameters() if p.requires_grad}


def test_retinanets_backbone_norms_are_all_frozen(detector: Built) -> None:
    kinds = [type(m).__name__ for m in detector.model.modules() if re.search(r"Norm(\dd)?$", type(m).__name__)]
    assert set(kinds) == {"FrozenBatchNorm2d"}
    assert len(kinds) == 1 + 3 * (3 + 4 + 6 + 3) + 4  # stem, three in each block, one beside each stage's first


@pytest.mark.parametrize("scale", ["smoke", "standard", "full"])
def test_retinanets_boxes_are_valid_and_give_foreground(detector: Built, scale: str) -> None:
    size = retinanet.SIZES[scale]
    images, targets = retinanet.synthetic_batch(size)
    anchors = anchors_of(detector.model, size.pixels)
    assert [tuple(image.shape) for image in images] == [(3, size.pixels, size.pixels)] * size.images
    for target in targets:
        boxes, labels = target["boxes"], target["labels"]
        assert len(boxes) == len(labels) >= 4
        assert (boxes >= 0).all()
        assert (boxes <= size.pixels).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= size.pixels / 16 - 1e-3).all()
        assert 0 <= int(labels.min()) <= int(labels.max()) < 264
        assert len({tuple(box) for box in boxes.tolist()}) == len(boxes)
        matched = detector.model.proposal_matcher(box_iou(boxes, anchors))
        assert int((matched >= 0).sum()) >= len(boxes)


def test_retinanets_images_are_not_resized(detector: Built) -> None:
    images, targets = detector.batch
    transformed, moved = detector.model.transform(images, targets)
    assert transformed.tensors.shape[-2:] == images[0].shape[-2:]
    assert_same([t["boxes"] for t in moved], [t["boxes"] for t in targets])


def test_retinanet_detects_in_evaluation(detector: Built) -> None:
    model = copy.deepcopy(detector.model).eval()
    model.score_thresh = 0.0  # untrained scores are all near the prior
    with torch.no_grad():
        detections = model(detector.batch[0])
    assert all(0 < len(found["boxes"]) <= 300 for found in detections)


def box_iou(boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    return import_torchvision().ops.box_iou(boxes, anchors)


# --- the kernel benchmark -------------------------------------------------------------------------------


def test_the_focal_kernels_gradient_matches_finite_differences() -> None:
    kernel = LossKernel.build("smoke")
    gradient = kernel.gradient()
    assert gradient.shape == kernel.logits.shape == (4_000, 91)
    row, column = (int(i) for i in kernel.targets.nonzero()[0])  # a positive: its gradient is far from 0
    for point in ((row, column), (0, 0)):
        logit = kernel.logits.detach()[point].double().reshape(1)
        target = kernel.targets[point].double().reshape(1)
        step = 1e-4
        slope = (kernel.loss(logit + step, target) - kernel.loss(logit - step, target)) / (2 * step)
        assert float(gradient[point]) == pytest.approx(float(slope), rel=1e-3)


def test_the_focal_kernel_does_not_accumulate() -> None:
    kernel = LossKernel.build("smoke", "bfloat16")
    first = kernel.gradient()
    assert first.dtype == torch.bfloat16
    assert torch.equal(kernel.gradient(), first)


# --- torchvision's operators ----------------------------------------------------------------------------


def test_importing_torchvision_again_is_harmless() -> None:
    assert import_torchvision() is import_torchvision()
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    kept = import_torchvision().ops.nms(boxes, torch.tensor([0.1, 0.9, 0.5]), 0.5)
    assert kept.tolist() == [1, 2]


coordinate = st.integers(0, 12)
box = st.tuples(coordinate, coordinate, st.integers(0, 8), st.integers(0, 8))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(box, st.integers(0, 20)), max_size=25), st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]))
def test_nms_matches_brute_force(scored: list[tuple[tuple[int, int, int, int], int]], threshold: float) -> None:
    boxes = [(x, y, x + w, y + h) for (x, y, w, h), _ in scored]
    scores = [score for _, score in scored]
    kept = nms(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(scores).float(), threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == brute_force_nms(boxes, scores, threshold)


def test_nms_of_no_boxes() -> None:
    assert nms(torch.empty(0, 4), torch.empty(0), 0.5).tolist() == []


def brute_force_nms(boxes: list[tuple[int, int, int, int]], scores: list[int], threshold: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(overlap(boxes[i], boxes[k]) <= threshold for k in kept):
            kept.append(i)
    return kept


def overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over union by counting unit cells."""
    cells_a, cells_b = cells(a), cells(b)
    union = len(cells_a | cells_b)
    return len(cells_a & cells_b) / union if union else 0.0


def cells(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}


def assert_same(first: Any, second: Any) -> None:
    """Equal tensors, however they are nested in lists, tuples and dictionaries."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        assert_same(list(first.values()), list(second.values()))
    else:
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
