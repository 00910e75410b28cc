"""What the loss costs, and in which data type it is reduced."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from perfsuite.analyse.advice.elementwise import ELEMENTWISE
from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import Dims, Subject, largest, named, plain_name, ranked, sized
from perfsuite.records import Operator, PythonTime

#: In networks that are mostly convolutions or products the loss takes a few per cent of a step.
LOSS_SHARE = 0.10
#: Operators that only losses use.
_OF_LOSSES = re.compile(r".*loss.*|_?log_softmax.*|log_sigmoid.*|binary_cross_entropy.*|kl_div.*|.*cosine_embedding.*")
#: Operators that add many terms up, where a short mantissa loses the small ones.
_REDUCTIONS = re.compile(r"sum|mean|_?softmax|_?log_softmax|logsumexp|norm|.*loss.*|binary_cross_entropy.*|kl_div")
_LOW = ("bfloat16", "float16")
_HIGH = ("float32", "float64")


@dataclass(frozen=True)
class Loss:
    """The operators of the loss.  ``how`` says how they were told from the rest."""

    forward: tuple[Operator, ...]
    backward: tuple[Operator, ...]
    python: tuple[PythonTime, ...]
    how: str


def find_loss(subject: Subject) -> Loss | None:
    """The loss by its phase; where a model computes it itself, by the tensors that a loss operator reads."""
    profile = subject.profile
    forward = subject.in_phase("loss")
    if forward:
        python = tuple(row for row in profile.python if row.phase == "loss")
        backward = _backward(subject, forward)
        return Loss(forward, backward, python, "the phase 'loss', and what of backward works on its tensors")
    marks = [row for row in profile.operators if row.phase != "backward" and _OF_LOSSES.fullmatch(plain_name(row))]
    if not marks:
        return None
    places = {(row.module, largest(row)) for row in marks if largest(row)}
    forward = tuple(row for row in profile.operators if row.phase != "backward" and _place(row) in places)
    backward = tuple(row for row in subject.in_phase("backward") if _place(row) in places)
    return Loss(forward, backward, (), "operators on tensors of the loss's shape in its module")


def _place(row: Operator) -> tuple[str | None, Dims]:
    return (row.module, largest(row))


def _backward(subject: Subject, forward: Iterable[Operator]) -> tuple[Operator, ...]:
    places = {_place(row) for row in forward if largest(row)}
    return tuple(row for row in subject.in_phase("backward") if _place(row) in places)


class LossShare:
    """A loss that is a large part of the step."""

    name = "loss-share"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Self time of the loss, forward and backward, against the step."""
        loss = find_loss(subject)
        if loss is None:
            return NotChecked(self.name, "needs a phase 'loss', or an operator that is known to be a loss")
        rows = (*loss.forward, *loss.backward)
        whole = subject.cost(rows, loss.python)
        if whole.share is None or whole.share < LOSS_SHARE:
            return ()
        # Logits are read once and their gradient written once, whatever the loss.
        working = subject.own_work(rows)
        passes = [subject.cost([row]).ns / row.count for row in working if _full_pass(row, rows)]
        kept = 2 * min(passes, default=0.0)
        stake = whole.times(max(0.0, 1 - kept / whole.ns)) if whole.ns else whole
        facts = [Fact(f"loss forward ({loss.how})", None, subject.cost(loss.forward, loss.python).ns)]
        facts.append(Fact("loss backward", None, subject.cost(loss.backward).ns))
        facts += [
            # One that calls its out-variant is called once; where all leave the work to others, each call counts.
            Fact(
                sized(found[0].name, found[0]),
                sum(row.count for row in subject.own_work(found) or found),
                spent.ns,
            )
            for found, spent in ranked(rows, lambda row: (row.name, largest(row)), subject.cost)
        ]
        return (
            Finding(
                self.name,
                f"the loss takes {whole.share:.0%} of the profiled step",
                tuple(facts),
                Stake(
                    stake.ns,
                    stake.share,
                    "estimate",
                    "time of the loss, less two passes over its largest tensor by its cheapest operator",
                ),
                "one fused kernel for forward and backward, or `torch.compile(loss)`; do not compute it where it is "
                "ignored, nor for classes that the data does not have",
                "a large vocabulary or many anchors make it large by nature; then only fusing helps",
                rows=subject.indices(rows),
            ),
        )


def _full_pass(row: Operator, rows: Iterable[Operator]) -> bool:
    size = max((math.prod(largest(other)) for other in rows), default=0)
    name = plain_name(row)
    # Views and fills of it are no passes over what is in it.
    computes = name in ELEMENTWISE or _REDUCTIONS.fullmatch(name) or _OF_LOSSES.fullmatch(name)
    return bool(row.count and computes) and math.prod(largest(row)) == size


class LossPrecision:
    """A loss that is reduced in half precision."""

    name = "loss-precision"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Sums, means, softmaxes and losses of bfloat16 or float16 tensors in the loss."""
        loss = find_loss(subject)
        if loss is None:
            return NotChecked(self.name, "needs a phase 'loss', or an operator that is known to be a loss")
        reductions = [row for row in loss.forward if row.count and _REDUCTIONS.fullmatch(plain_name(row))]
        # Autocast runs some losses in float32 itself: they appear once with what they were given, once with the copy.
        safe = {(row.name, largest(row)) for row in reductions if _kind(row) in _HIGH}
        names = {plain_name(row) for row in reductions}
        rows = [
            row
            for row in reductions
            if _kind(row) in _LOW and (row.name, largest(row)) not in safe and f"_{plain_name(row)}" not in names
        ]
        if not rows:
            return ()
        kinds = named(row.dtypes[0] for row in rows)
        facts = tuple(
            Fact(f"{sized(row.name, row, 'of')} in {row.dtypes[0]}", row.count, subject.cost([row]).ns)
            for row in rows[:4]
        )
        return (
            Finding(
                self.name,
                f"the loss is reduced in {kinds}",
                facts,
                Stake(None, None, "unknown", "this costs accuracy and not time"),
                "leave autocast before the loss: `loss_fn(logits.float(), target)`",
                "many kernels add up in float32 inside and only round what they return",
            ),
        )


def _kind(row: Operator) -> str | None:
    """Data type of its first floating-point tensor."""
    return next((kind for kind in row.dtypes if kind in _LOW + _HIGH), None)
