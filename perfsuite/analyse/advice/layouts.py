"""Time spent on bringing tensors from one memory layout to another."""

from __future__ import annotations

import math
from collections.abc import Iterable

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import PRIMITIVES_STEP, Cost, Subject, dims, named, ranked, written
from perfsuite.records import Operator, Primitive

#: A step in channels_last keeps some reorders that no choice of layout removes (2.4 % of a RetinaNet step); below
#: this there is nothing to win.
ACTIVATIONS_SHARE = 0.03
#: Weights change in every step, so those in a blocked layout are repacked in every step; it is only worth a word
#: where batches are so small that it shows.
WEIGHTS_SHARE = 0.05
#: Part of the reorders that starts in the rarer layout, from which on the model counts as mixed.
MIXED = 0.1
#: Where operators have their weight.
_WEIGHT_AT = {
    "mkldnn_convolution": 1, "convolution": 1, "convolution_backward": 2, "mkldnn_linear": 1, "linear": 1, "addmm": 2,
}  # fmt: skip
_PLAIN = ("abc", "abcd", "abcde")
_CHANNELS_LAST = ("acb", "acdb", "acdeb")


class Reorders:
    """Activations that are brought into another layout between layers."""

    name = "reorders"
    needs = ("operators", "primitives")

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """oneDNN's reorders of activations, and copies that ``contiguous`` makes of images."""
        return (*self._primitives(subject), *self._copies(subject))

    def _primitives(self, subject: Subject) -> tuple[Finding, ...]:
        rows = [row for row in _reorders(subject) if not _is_weight(subject, row)]
        cost = subject.primitive_cost(rows)
        if not _at_least(cost, ACTIVATIONS_SHARE):
            return ()
        plain, last = _starting_in(subject, rows)
        if min(plain, last) >= MIXED * cost.ns:
            title = "activations go back and forth between plain and channels_last layouts"
            action = (
                "bring model and inputs into one layout (`model.to(memory_format=torch.channels_last)`, the same for "
                "the images), and look for an operator in between that returns a plain tensor"
            )
        elif last > plain:
            title = "activations are reordered although they are in channels_last"
            action = (
                "look at the implementations of the layers below: oneDNN wants a blocked layout there; another number "
                "of channels or groups, or a newer oneDNN, may have one for channels_last"
            )
        else:
            title = "activations are reordered around each layer"
            action = (
                "use channels_last for model and images: `model.to(memory_format=torch.channels_last)`; "
                "`images = images.to(memory_format=torch.channels_last)`"
            )
        return (
            Finding(
                self.name,
                title,
                _facts(subject, rows),
                Stake(cost.ns, cost.share, "bound", "oneDNN's own time of these reorders", PRIMITIVES_STEP),
                action,
                "the kernels of another layout may themselves be slower or faster: measure the step, not the reorders",
            ),
        )

    def _copies(self, subject: Subject) -> tuple[Finding, ...]:
        rows = subject.profile.operators
        asked = {
            (row.phase, row.module, dims(row, 0)): row.count
            for row in rows
            if row.name == "aten::contiguous" and len(dims(row, 0)) in (4, 5) and row.phase not in ("optimizer", "data")
        }
        made = []
        for row in rows:
            wanted = asked.get((row.phase, row.module, dims(row, 0)), 0)
            # Copies of the same tensor for another reason are not to be counted with them.
            if row.name == "aten::copy_" and 0 < row.count <= wanted and dims(row, 0) == dims(row, 1):
                made.append(row)
        cost = subject.cost(made)
        if not _at_least(cost, ACTIVATIONS_SHARE):
            return ()
        facts = tuple(
            Fact(f"contiguous() copies {written(dims(row, 0))} in {row.module or 'no module'}, {row.phase}", row.count,
                 row.self_ns)
            for row in made[:4]
        )  # fmt: skip
        return (
            Finding(
                self.name,
                "activations are copied into another layout",
                facts,
                Stake(cost.ns, cost.share, "measured", "self time of the copies that `aten::contiguous` makes"),
                "keep one layout from the images on (`torch.channels_last` for model and images), and avoid "
                "`permute()` and `view()` between layers",
                "a copy after `permute()` is needed if the next operator cannot take strides",
            ),
        )


class WeightReorders:
    """Weights and their gradients that are repacked in every step."""

    name = "weight-reorders"
    needs = ("operators", "primitives")

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """oneDNN's reorders of weights, where they are a visible part of the step."""
        rows = [row for row in _reorders(subject) if _is_weight(subject, row)]
        cost = subject.primitive_cost(rows)
        if not _at_least(cost, WEIGHTS_SHARE):
            return ()
        return (
            Finding(
                self.name,
                "weights and their gradients are repacked in every step",
                _facts(subject, rows),
                Stake(cost.ns, cost.share, "bound", "oneDNN's own time of these reorders", PRIMITIVES_STEP),
                "larger batches spread it over more images; frozen weights can be kept packed; Intel's extension "
                "keeps trained ones packed (`ipex.optimize(weights_prepack=True)`)",
                "trained weights change in every step, so stock PyTorch cannot keep them packed",
            ),
        )


def _reorders(subject: Subject) -> list[Primitive]:
    """Reorders that change the layout; those that only change the data type are not about layouts."""
    return [row for row in subject.profile.primitives if row.kind == "reorder" and len(set(_layouts(row))) == 2]


def _layouts(primitive: Primitive) -> tuple[str, ...]:
    return tuple(part.partition(":")[2] for part in primitive.layouts.split() if part.startswith(("src:", "dst:")))


def _starting_in(subject: Subject, rows: Iterable[Primitive]) -> tuple[float, float]:
    """Time of reorders that begin in a plain layout, and in channels_last.

    From channels_last to plain is left out: so a kernel that works in channels_last returns its result to a model
    that is plain.
    """
    plain = [row for row in rows if _layouts(row)[0] in _PLAIN]
    last = [row for row in rows if _layouts(row)[0] in _CHANNELS_LAST and _layouts(row)[1] not in _PLAIN]
    return subject.primitive_cost(plain).ns, subject.primitive_cost(last).ns


def _is_weight(subject: Subject, primitive: Primitive) -> bool:
    """Whether it reorders a weight or its gradient, by the number of its elements."""
    operator = subject.operator_of(primitive)
    sizes = [int(size) for size in primitive.problem.split("x") if size.isdigit()]
    if operator is None or len(sizes) < 2:
        return True
    name = operator.name.rpartition("::")[2]
    if "rnn" in name:
        return math.prod(sizes) != math.prod(dims(operator, 0))
    weight = dims(operator, _WEIGHT_AT[name]) if name in _WEIGHT_AT else ()
    if not weight:
        # Images have four dimensions or more; what a matrix product was given is not known to be an activation.
        return len(sizes) < 4
    return math.prod(sizes) == math.prod(weight)


def _facts(subject: Subject, rows: Iterable[Primitive]) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            f"{' → '.join(_layouts(found[0]))} in {named(_module(subject, row) for row in found)}",
            sum(row.count for row in found),
            spent.ns,
        )
        for found, spent in ranked(rows, _layouts, subject.primitive_cost)
    )


def _module(subject: Subject, primitive: Primitive) -> str | None:
    operator: Operator | None = subject.operator_of(primitive)
    return None if operator is None else operator.module or operator.name


def _at_least(cost: Cost, share: float) -> bool:
    return cost.share is not None and cost.share >= share
