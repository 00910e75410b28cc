"""Work done for layers that are not trained."""

from __future__ import annotations

import math
from collections import Counter

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import Dims, Subject, dims, grouped, named, ranked, tensor_lists, written
from perfsuite.records import Operator
from perfsuite.units import counted

#: Where ``aten::convolution_backward`` has the gradient of its output, its input and its weight.
_GRADIENT, _INPUT, _WEIGHT = 0, 1, 2
#: What updates a parameter in place: the first tensor, or list of tensors, is the parameter or its state.
_UPDATES = frozenset({"add", "sub", "addcdiv", "addcmul", "lerp"})


class FrozenBackward:
    """Backward convolutions whose gradients nobody uses."""

    name = "frozen-backward"
    needs = ("operators", "primitives", "phase backward")

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Weights that get a gradient and are not updated; gradients that flow to the input through frozen layers."""
        backward = [row for row in subject.in_phase("backward") if row.name == "aten::convolution_backward"]
        others = {row.name for row in subject.in_phase("backward") if row.name.endswith("::convolution_backward")}
        if others and not backward:
            return NotChecked(self.name, f"can read aten::convolution_backward, and this step runs {named(others)}")
        reaching = self._reaches_the_input(subject, backward)
        updated = _updated(subject)
        if backward and updated is None and not reaching:
            return NotChecked(self.name, "needs an optimizer that updates parameters in the phase 'optimizer'")
        return (*reaching, *self._not_updated(subject, backward, updated or Counter()))

    def _not_updated(self, subject: Subject, backward: list[Operator], updated: Counter[Dims]) -> tuple[Finding, ...]:
        trained = [row for row in backward if _runs(subject, row, "backward_weights")]
        gradients = _weights(subject)
        if not set(gradients) & set(updated):
            return ()  # An optimizer that flattens or reshapes what it updates: shapes say nothing.
        wasted: list[Operator] = []
        facts: list[Fact] = []
        for shape, rows in grouped(trained, lambda row: dims(row, _WEIGHT)).items():
            assert isinstance(shape, tuple)
            modules = dict.fromkeys(row.module for row in rows)
            # Modules that share a weight get one gradient between them.
            weights = min(len(modules), gradients.get(shape, len(modules)))
            spare = weights - updated[shape]
            if spare <= 0:
                continue
            # Of several layers of one shape it is not known which; the longest give the upper bound.
            by_module = grouped(rows, lambda row: row.module)
            longest = sorted(by_module.values(), key=lambda found: -sum(row.self_ns for row in found))[:spare]
            chosen = [row for found in longest for row in found]
            wasted += chosen
            facts.append(
                Fact(
                    f"weights {written(shape)}: {weights} get a gradient, {updated[shape]} are updated "
                    f"({named(modules)})",
                    time_ns=subject.cost(chosen).ns,
                )
            )
        if not wasted:
            return ()
        cost = subject.cost(wasted)
        return (
            Finding(
                self.name,
                "backward convolutions for weights that the optimizer does not update",
                tuple(sorted(facts, key=lambda fact: -(fact.time_ns or 0)))[:5],
                Stake(
                    cost.ns,
                    cost.share,
                    "bound",
                    "self time of `aten::convolution_backward` in these layers; of a layer behind a "
                    "trained one only the weight's gradient can go",
                ),
                "set `requires_grad_(False)` on these parameters instead of leaving them out of the optimizer: "
                "autograd then skips their gradients, and everything in front of the first trained layer",
                "told by the shapes that the optimizer updates; a learning rate of 0 cannot be seen, and a gradient "
                "that is used for something else (a norm, a penalty) is not waste",
            ),
        )

    def _reaches_the_input(self, subject: Subject, backward: list[Operator]) -> tuple[Finding, ...]:
        frozen = [
            row
            for row in backward
            if _runs(subject, row, "backward_data") and not _runs(subject, row, "backward_weights")
        ]
        gradients = _leaf_gradients(subject)
        inner = {dims(row, _GRADIENT) for row in backward}
        # Gradients of branches that are summed look like those of leaves, but their shape is some layer's output.
        inputs = {dims(row, _INPUT) for row in frozen} & gradients - inner - set(_updated(subject) or ())
        if not inputs:
            return ()
        cost = subject.cost(frozen)
        facts = [Fact(f"a tensor {written(shape)} that a frozen convolution reads gets a gradient") for shape in inputs]
        facts.append(
            Fact(
                f"backward_data without backward_weights in {named(row.module for row in frozen)}",
                count=sum(row.count for row in frozen),
                time_ns=cost.ns,
            )
        )
        return (
            Finding(
                self.name,
                "backward runs through frozen layers down to the network's input",
                tuple(facts),
                Stake(
                    cost.ns,
                    cost.share,
                    "bound",
                    "self time of `aten::convolution_backward` in all layers whose weights get no gradient; "
                    "those behind a trained layer need it",
                ),
                "do not let the input require a gradient (`inputs.requires_grad_(False)`, or `inputs.detach()`); run "
                "the frozen front under `torch.no_grad()`",
                "right where the gradient of the input is wanted: adversarial training, saliency, a trained generator "
                "in front",
            ),
        )


class FrozenBatchNorm:
    """A normalisation with fixed statistics that runs as a multiplication and an addition over the activation."""

    name = "frozen-batch-norm"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """mul and add of an (N, C, H, W) activation by (1, C, 1, 1) tensors in the same module."""
        rows = subject.profile.operators
        scaled = [row for row in rows if row.name in ("aten::mul", "aten::mul_") and _per_channel(row)]
        shifted = [row for row in rows if row.name in ("aten::add", "aten::add_") and _per_channel(row)]
        modules = {row.module for row in scaled} & {row.module for row in shifted} - {None}
        if not modules:
            return ()
        # scale = weight / sqrt(variance + eps), as torchvision's class computes it in every step
        folds = {row.module for row in rows if row.name == "aten::rsqrt" and _is_channel(dims(row, 0))} & modules
        involved = [row for row in (*scaled, *shifted) if row.module in modules]
        cost = subject.cost(involved)
        facts = [
            Fact(
                f"{found[0].name} by (1, C, 1, 1), {found[0].phase or 'outside phases'}",
                sum(row.count for row in found),
                spent.ns,
            )
            for found, spent in ranked(involved, lambda row: (row.name, row.phase), subject.cost)
        ]
        where = f"{counted(len(modules), 'module')}: {named(sorted(map(str, modules)))}"
        what = "FrozenBatchNorm2d" if folds else "a scale and a shift per channel"
        return (
            Finding(
                self.name,
                f"{what} runs as mul + add over the activations",
                (Fact(where), *facts),
                Stake(cost.ns, cost.share, "bound", "self time of these multiplications and additions"),
                "fold scale and shift into the convolution in front (`weight * scale`, `bias = shift`, each step: "
                "autograd flows through), or run them as one fused kernel",
                "one fused pass would remain where nothing can be folded"
                + ("" if folds else "; told by the shapes alone: it may be another layer that scales and shifts"),
            ),
        )


def _per_channel(row: Operator) -> bool:
    one, other = dims(row, 0), dims(row, 1)
    if _is_channel(one):
        one, other = other, one
    return len(one) == 4 and _is_channel(other) and one[1] == other[1] and math.prod(one) > math.prod(other)


def _is_channel(shape: Dims) -> bool:
    return len(shape) == 4 and shape[0] == shape[2] == shape[3] == 1 and shape[1] > 1


def _runs(subject: Subject, row: Operator, direction: str) -> bool:
    return any(
        primitive.direction == direction and primitive.kind in ("convolution", "deconvolution")
        for primitive in subject.primitives_of(row)
    )


def _leaf_gradients(subject: Subject) -> set[Dims]:
    """Shapes of what autograd accumulates into ``.grad``: it detaches the first gradient and adds the next ones."""
    return {dims(row, 0) for row in _accumulations(subject)}


def _weights(subject: Subject) -> Counter[Dims]:
    """How many tensors of each shape get a gradient in a step; more where several micro-batches are not told apart.

    A first gradient whose strides are not the parameter's is not detached but copied, with ``new_empty_strided``.
    """
    rows = list(subject.in_phase("backward"))
    copied = [row for row in rows if row.module is None and row.name == "aten::new_empty_strided"]
    # The gradient of the loss itself, with which each call of backward() begins.
    begun = sum(row.count for row in rows if row.module is None and row.name == "aten::ones_like")
    times: dict[Dims, float] = {}
    # Weights that no optimizer zeroes get their gradient added in each step, the others detached.
    for row in (*_accumulations(subject), *copied):
        times[dims(row, 0)] = times.get(dims(row, 0), 0.0) + row.count
    return Counter({shape: round(count / max(1.0, begun)) for shape, count in times.items()})


def _accumulations(subject: Subject) -> list[Operator]:
    return [
        row
        for row in subject.in_phase("backward")
        if row.module is None and dims(row, 0)
        if row.name == "aten::detach" or (row.name == "aten::add_" and dims(row, 0) == dims(row, 1))
    ]


def _updated(subject: Subject) -> Counter[Dims] | None:
    """How many tensors of each shape the optimizer updates in a step; None if it cannot be seen.

    The operators of one update (``mul_``, ``addcdiv_``, …) touch the same tensors, so the most by any of them counts.
    """
    by_operator: dict[str, Counter[Dims]] = {}
    for row in subject.in_phase("optimizer"):
        name = row.name.rpartition("::")[2]
        bare = name.removeprefix("_foreach_").rstrip("_")
        if not (name.startswith("_fused_") or (name.endswith("_") and bare in _UPDATES)):
            continue
        counts = by_operator.setdefault(name, Counter())
        lists = tensor_lists(row)
        # The most in a step: with accumulated gradients only every so many steps update.
        calls = max(row.counts, default=math.ceil(row.count))
        for shape in lists[0] if lists else [dims(row, 0)]:
            if shape:
                counts[shape] += calls
    if not by_operator:
        return None
    most: Counter[Dims] = Counter()
    for counts in by_operator.values():
        most |= counts
    return most
