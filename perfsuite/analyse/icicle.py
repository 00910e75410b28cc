"""A profiled step as nested boxes: step → phase → module path → operator → primitive, each as wide as its time.

What is drawn is self time, which adds up: a box is as wide as all that is in it, and the boxes of the step close to the
ledger's wall time.  Primitives are from another pass than the operator around them; see :attr:`Node.scaled`.  What
could not be joined to an operator is in no box, because nobody knows whose it is: the notes count it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import fsum

from perfsuite.analyse.tables import recorded, short_direction
from perfsuite.records import Profile
from perfsuite.units import counted, format_count, format_ns

OUTSIDE_PHASES = "(outside phases)"
OUTSIDE_MODULES = "(outside modules)"
UNATTRIBUTED = "(unattributed)"
#: Module paths have a handful of names; what is beyond this stays one name, because each level is a row of the picture.
_DEEPEST = 32


@dataclass(frozen=True)
class Node:
    """A box.  ``start`` and ``width`` are fractions of the step; a child lies within its parent."""

    label: str
    #: ``step``, ``phase``, ``module``, ``operator``, ``python``, ``primitive`` or ``unattributed``.
    kind: str
    #: Index into :attr:`Icicle.nodes`, before this one; None for the step.
    parent: int | None
    #: As measured, by the pass that measured it.
    ns: float
    start: float
    width: float
    #: Index into :attr:`Profile.operators`, of an operator and of the primitives in it.
    row: int | None = None
    #: Index into :attr:`Profile.primitives`.
    primitive: int | None = None
    #: Drawn narrower than its ``ns``: by the primitive pass the primitives of this operator took longer than the
    #: operator itself did in its own pass, minutes apart.
    scaled: bool = False


@dataclass(frozen=True)
class Icicle:
    """The step's boxes in preorder, longest sibling first but phases in the order in which they ran."""

    title: str
    nodes: tuple[Node, ...]
    #: Why there is nothing to draw; None where there is something.
    missing: str | None = None
    notes: tuple[str, ...] = ()


def icicle(profile: Profile) -> Icicle:
    """The boxes of a profile; a record without any, and with the reason, where no time of a step was recorded."""
    title = "The step, by module, operator and primitive"
    step = _tree(profile)
    step_ns = max(step.ns, step.extent_ns)
    if step_ns <= 0:
        missing = "No time of an operator or of Python was recorded, so there is nothing to draw."
        return Icicle(title, (), missing)
    nodes: list[Node] = []
    _place(step, _Place(None, 0.0, 1.0), step_ns, nodes)
    return Icicle(title, tuple(nodes), None, tuple(_notes(profile, nodes)))


@dataclass(frozen=True)
class _Place:
    """Where a box is drawn; ``shrunk`` is below 1 where it and its siblings would not fit otherwise."""

    parent: int | None
    start: float
    end: float
    shrunk: float = 1.0


@dataclass
class _Box:
    """A box that is still being filled; ``own_ns`` is None where only what is inside it has a time."""

    label: str
    kind: str
    own_ns: float | None = None
    row: int | None = None
    primitive: int | None = None
    children: list[_Box] = field(default_factory=list)
    inside: dict[tuple[str, str], _Box] = field(default_factory=dict)
    ns: float = 0.0
    #: How much of the step is drawn: ``ns``, but nothing for a time below 0 (two clocks were subtracted).
    extent_ns: float = 0.0

    def child(self, label: str, kind: str) -> _Box:
        """The phase or module of this name in it, made where it is new."""
        found = self.inside.get((kind, label))
        if found is None:
            found = self.inside[kind, label] = _Box(label, kind)
            self.children.append(found)
        return found

    def close(self) -> None:
        """Sum up what is inside, longest first."""
        for child in self.children:
            child.close()
        if self.kind != "step":
            self.children.sort(key=lambda child: -child.ns)
        if self.own_ns is None:
            self.ns = fsum(child.ns for child in self.children)
            self.extent_ns = fsum(child.extent_ns for child in self.children)
        else:
            self.ns, self.extent_ns = self.own_ns, max(self.own_ns, 0.0)


def _tree(profile: Profile) -> _Box:
    step = _Box("step", "step")
    for name in _phases(profile):
        step.child(name, "phase")
    joined = _joined(profile)
    for index, operator in enumerate(profile.operators):
        box = _Box(
            operator.name, "operator", operator.self_ns, row=index, children=_primitives(profile, joined[index], index)
        )
        _room(step, operator.phase, operator.module).children.append(box)
    for time in profile.python:
        _room(step, time.phase, time.module).children.append(_Box(f"Python ({time.kind})", "python", time.self_ns))
    step.children = [child for child in step.children if child.children]
    step.close()
    if profile.ledger is not None:
        rest = _Box(UNATTRIBUTED, "unattributed", profile.ledger.wall_ns - step.ns)
        rest.close()
        step.children.append(rest)
        step.ns = profile.ledger.wall_ns
        step.extent_ns += rest.extent_ns
    return step


def _phases(profile: Profile) -> Iterable[str]:
    """In the order in which they ran, those that only rows name after them, what is outside all of them last."""
    rows = [*(row.phase for row in profile.operators), *(row.phase for row in profile.python)]
    named = dict.fromkeys([*(phase.name for phase in profile.phases), *(name for name in rows if name is not None)])
    return [*named, OUTSIDE_PHASES]


def _room(step: _Box, phase: str | None, module: str | None) -> _Box:
    """Where the rows of a phase and module belong."""
    box = step.child(OUTSIDE_PHASES if phase is None else phase, "phase")
    for part in (OUTSIDE_MODULES,) if module is None else module.split(".", _DEEPEST):
        box = box.child(part, "module")
    return box


def _joined(profile: Profile) -> dict[int | None, list[int]]:
    """Primitives by the operator they ran in, None for those that could not be joined: they are nobody's children."""
    within: dict[int | None, list[int]] = defaultdict(list)
    for index, primitive in enumerate(profile.primitives):
        known = primitive.operator is not None and 0 <= primitive.operator < len(profile.operators)
        within[primitive.operator if known else None].append(index)
    return within


def _primitives(profile: Profile, indices: Sequence[int], row: int) -> list[_Box]:
    boxes = []
    for index in indices:
        one = profile.primitives[index]
        words = (one.kind, short_direction(one.direction), one.implementation)
        label = " ".join(filter(None, words))
        boxes.append(_Box(label, "primitive", one.time_ns, row=row, primitive=index))
    return boxes


def _place(box: _Box, at: _Place, step_ns: float, nodes: list[Node]) -> None:
    """Append the box, and in it what it holds."""
    index = len(nodes)
    nodes.append(
        Node(box.label, box.kind, at.parent, box.ns, at.start, at.end - at.start, box.row, box.primitive, at.shrunk < 1)
    )
    inside_ns = fsum(child.extent_ns for child in box.children)
    shrunk = 1.0 if inside_ns <= box.extent_ns else box.extent_ns / inside_ns
    start = at.start
    for child in box.children:
        # Sums of fractions end a bit after the parent's own end, in the last digit.
        end = min(at.end, start + child.extent_ns * shrunk / step_ns)
        _place(child, _Place(index, start, end, shrunk), step_ns, nodes)
        start = end


def _notes(profile: Profile, nodes: Sequence[Node]) -> Iterable[str]:
    yield (
        "A box is as wide as the self time of everything in it, mean of the profiled steps; an operator lies beside "
        "those it calls."
    )
    if not recorded(profile, "primitives"):
        yield "The primitives pass did not run, so operators show no primitives."
        return
    scaled = len({node.parent for node in nodes if node.scaled})
    if scaled:
        yield (
            f"In {counted(scaled, 'operator')} the primitives took longer in their pass than the operator did in its: "
            "they are drawn narrower, to fit; the times said are those measured."
        )
    lost = [profile.primitives[index] for index in _joined(profile)[None]]
    if lost:
        runs, time = fsum(one.count for one in lost), format_ns(fsum(one.time_ns for one in lost))
        yield (
            f"{counted(len(lost), 'primitive')} could not be joined to an operator and lie in no box: "
            f"{format_count(runs)} {'execution' if runs == 1 else 'executions'} and {time} of a step, by oneDNN's own "
            "clock."
        )
