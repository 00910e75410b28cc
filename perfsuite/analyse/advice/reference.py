"""What differs from a reference run: the paper's search for discrepancies."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.losses import find_loss
from perfsuite.analyse.advice.subject import PRIMITIVES_STEP, Cost, Dims, Subject, largest, plain_name, written
from perfsuite.records import Operator, Profile

#: Counts that differ by less can come from steps that are not alike.
RATIO = 1.5
#: A kind of work below this share of both steps is not worth a word.
VISIBLE = 0.02


@dataclass(frozen=True)
class _Work:
    count: float
    cost: Cost
    #: Of the largest tensor of each call together; None where no call has a tensor of known sizes.
    elements: float | None


class Reference:
    """Kinds of work that a reference run has and this one has not, or has far more or less of."""

    name = "reference"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Primitives by kind and direction, operators by name and phase, and the tensors of the loss."""
        if subject.against is None:
            return NotChecked(self.name, "needs a reference with a workload of this name: --against RUN")
        other = Subject(subject.against, subject.against_environment or subject.environment)
        missing = other.lacks("operators")
        if missing is not None:
            return NotChecked(self.name, f"{missing} in the reference run")
        same_machine = _machine(subject) == _machine(other)
        findings = []
        if subject.lacks("primitives") is None and other.lacks("primitives") is None:
            findings += self._compare("primitives", _primitives(subject), _primitives(other), same_machine)
        findings += self._compare("operators", _operators(subject), _operators(other), same_machine)
        findings += self._loss(subject, other, same_machine)
        settings = _settings(subject.profile, other.profile)
        return tuple(replace(one, evidence=(*settings, *one.evidence)) for one in findings)

    def _compare(
        self, what: str, here: Mapping[str, _Work], there: Mapping[str, _Work], same_machine: bool
    ) -> list[Finding]:
        nothing = _Work(0, Cost(0.0, 0.0), None)
        facts, stakes = [], []
        for name in dict.fromkeys((*here, *there)):
            ours, theirs = here.get(name, nothing), there.get(name, nothing)
            share = max(ours.cost.share or 0, theirs.cost.share or 0)
            size = _size(ours.elements, theirs.elements)
            if share < VISIBLE or not (_differ(ours.count, theirs.count) or size):
                continue
            text = f"{name}: {ours.count:g}× here, {theirs.count:g}× in the reference"
            facts.append(
                Fact(text if _differ(ours.count, theirs.count) else text + size, None, ours.cost.ns, ours.cost.share)
            )
            # What is missing here does not pay for what is new: they may have nothing to do with each other.
            stakes.append(max(0.0, ours.cost.ns - theirs.cost.ns))
        if not facts:
            return []
        facts.sort(key=lambda fact: -(fact.time_ns or 0))
        more = math.fsum(stakes)
        wall = next((w.cost.ns / w.cost.share for w in here.values() if w.cost.share), None)
        stake = _stake(
            Cost(more, more / wall if wall else None),
            same_machine,
            "time of those that take longer here, less their time in the reference",
            PRIMITIVES_STEP if what == "primitives" else "the profiled step",
        )
        return [
            Finding(
                self.name,
                f"{what} differ from the reference run",
                tuple(facts[:6]),
                stake,
                "find out which of the two is meant: another batch, image size or number of classes, layers that are "
                "frozen or compiled on one side only, a layer that is not there",
                "a difference is not a fault: both runs may be right for what they do",
            )
        ]

    def _loss(self, subject: Subject, other: Subject, same_machine: bool) -> tuple[Finding, ...]:
        ours, theirs = find_loss(subject), find_loss(other)
        if ours is None or theirs is None:
            return ()
        pairs = _changed_shapes(subject, other)
        if not pairs:
            return ()
        here = subject.cost((*ours.forward, *ours.backward), ours.python)
        there = other.cost((*theirs.forward, *theirs.backward), theirs.python)
        more = here.ns - there.ns
        longer = Cost(more, None if here.share is None else more / here.ns * here.share if here.ns else 0.0)
        facts = [
            Fact(f"{name} works on {written(mine)} here, on {written(its)} in the reference "
                 f"({math.prod(mine) / math.prod(its):.2g}×)")
            for name, (mine, its) in list(pairs.items())[:4]
        ]  # fmt: skip
        facts.append(Fact("time of the loss here", None, here.ns, here.share))
        facts.append(Fact("time of the loss in the reference", None, there.ns, there.share))
        return (
            Finding(
                self.name,
                "the loss works on tensors of another size than in the reference",
                tuple(facts),
                _stake(longer, same_machine, "time of the loss here less that in the reference", "the profiled step"),
                "compare the data: the number of classes (the last size), of anchors or tokens, the batch",
                "a loss grows with classes and anchors by nature",
            ),
        )


def _settings(here: Profile, there: Profile) -> list[Fact]:
    """What the workloads say of themselves, where they differ: then most else does too."""
    pairs = ((name, getattr(here, name), getattr(there, name)) for name in ("scale", "dtype", "backend"))
    return [Fact(f"{name}: {mine} here, {its} in the reference") for name, mine, its in pairs if mine != its]


def _stake(more: Cost, same_machine: bool, how: str, of: str) -> Stake:
    if not same_machine:
        return Stake(None, None, "unknown", "the reference was recorded on another machine or with other threads")
    if more.ns <= 0:
        why = "nothing is known to be lost: they take no longer here than in the reference"
        return Stake(None, None, "unknown", why)
    return Stake(more.ns, more.share, "measured", how, of)


def _size(ours: float | None, theirs: float | None) -> str:
    """How the number of elements differs; empty if it does not, or is not known."""
    if ours is None or theirs is None or not _differ(ours, theirs):
        return ""
    if not theirs:
        return f", on {ours:g} elements, none in the reference"
    return f", on {ours / theirs:.2g}× the elements" if ours else f", on no elements, {theirs:g} in the reference"


def _differ(one: float, other: float) -> bool:
    low, high = sorted((one, other))
    return high > 0 and (low == 0 or high / low >= RATIO)


def _machine(subject: Subject) -> tuple[str | None, int | None]:
    return subject.environment.cpu_model, subject.environment.torch_threads


def _primitives(subject: Subject) -> dict[str, _Work]:
    groups = defaultdict(list)
    for row in subject.profile.primitives:
        groups[f"{row.kind} {row.direction}".removesuffix(" undef")].append(row)
    return {
        name: _Work(sum(row.count for row in rows), subject.primitive_cost(rows), None) for name, rows in groups.items()
    }


def _operators(subject: Subject) -> dict[str, _Work]:
    groups = defaultdict(list)
    for row in subject.profile.operators:
        groups[f"{row.name} in {row.phase or 'no phase'}"].append(row)
    return {
        name: _Work(
            sum(row.count for row in rows),
            subject.cost(rows),
            _elements(rows),
        )
        for name, rows in groups.items()
    }


def _elements(rows: list[Operator]) -> float | None:
    sizes = [row.count * math.prod(shape) for row in rows if (shape := largest(row))]
    return math.fsum(sizes) if sizes else None


def _changed_shapes(subject: Subject, other: Subject) -> dict[str, tuple[Dims, Dims]]:
    """Operators of both losses whose largest tensor has as many dimensions but another size."""
    here, there = _loss_shapes(subject), _loss_shapes(other)
    return {
        f"aten::{name}": (here[name], there[name])
        for name in here
        if name in there
        and len(here[name]) == len(there[name])
        and _differ(math.prod(here[name]), math.prod(there[name]))
    }


def _loss_shapes(subject: Subject) -> dict[str, Dims]:
    loss = find_loss(subject)
    found: dict[str, Dims] = {}
    for row in loss.forward if loss is not None else ():
        name, shape = plain_name(row), largest(row)
        if shape and math.prod(shape) > math.prod(found.get(name, (0,))):
            found[name] = shape
    return found


def common_workloads(here: tuple[Profile, ...], there: tuple[Profile, ...]) -> tuple[str, ...]:
    """Names of the workloads that both have."""
    return tuple(profile.name for profile in here if profile.name in {other.name for other in there})
