"""From nested events to the rows of a profile: operators, Python time, and the ledger they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from perfsuite.capture.events import (
    MEMORY_EVENT,
    Event,
    Node,
    Tree,
    build_tree,
    described,
    kind_of,
    normalise_names,
    split_steps,
    with_shapes,
)
from perfsuite.capture.profiler import Recording
from perfsuite.flops import operator_bytes, operator_flops, prepares
from perfsuite.records import Ledger, Operator, PythonTime, Shape
from perfsuite.stats import mean

OperatorKey = tuple[str, "str | None", "str | None", Shape, "tuple[str | None, ...]"]


@dataclass(frozen=True)
class Steps:
    """The recorded steps as trees, one each, of the stepping thread."""

    trees: tuple[Tree, ...]
    walls_ns: tuple[int, ...]
    #: Allocations and frees of the stepping thread, step by step.
    memory: tuple[tuple[Event, ...], ...]
    #: Operators of all other threads within the recorded steps, for what runs beside them.
    elsewhere: tuple[Event, ...]

    @property
    def compiled(self) -> bool:
        """Whether a step ran a torch.compile region."""
        return any(
            node.event.name.startswith(("Torch-Compiled Region", "## Call CompiledFxGraph"))
            for tree in self.trees
            for node in tree.nodes
        )


def nest(recording: Recording) -> Steps:
    """The recording's events, step by step and nested.

    Raises:
        ValueError: the recording holds no step.
    """
    events = normalise_names(recording.events)
    thread, steps = split_steps(events)
    memory = tuple(tuple(e for e in step if e.name == MEMORY_EVENT) for step in steps)
    trees = tuple(build_tree(e for e in step if e.name != MEMORY_EVENT) for step in steps)
    spans = [(step[0].start_ns, step[0].end_ns) for step in steps]
    elsewhere = tuple(
        e
        for e in events
        if e.thread != thread
        and kind_of(e) == "operator"
        and any(start <= e.start_ns and e.end_ns <= end for start, end in spans)
    )
    return Steps(trees, recording.walls_ns, memory, elsewhere)


def shapes_from(plain: Recording, shaped: Recording) -> Recording | None:
    """``plain`` with the shapes of ``shaped``.

    None if a step ran other events than that, or the steps of ``shaped`` had other shapes than each other: then nobody
    knows which shapes the plain steps had.
    """
    _, (model, *others) = split_steps(normalise_names(shaped.events))
    if any(described(other) != described(model) for other in others):
        return None
    thread, steps = split_steps(normalise_names(plain.events))
    merged = [with_shapes(step, model) for step in steps]
    found = [step for step in merged if step is not None]
    if len(found) < len(merged):
        return None
    return Recording((*chain(*found), *(e for e in plain.events if e.thread != thread)), plain.walls_ns)


def operator_key(node: Node) -> OperatorKey:
    """What makes an operator row unique: (name, phase, module, shapes, dtypes)."""
    return (node.event.name, node.phase, node.module, node.event.shapes, node.event.dtypes)


def operator_row(key: OperatorKey, **values: Any) -> Operator:
    """The row of this key."""
    name, phase, module, shapes, dtypes = key
    return Operator(name, phase, module, shapes, dtypes=dtypes, **values)


@dataclass
class _Sum:
    steps: int
    total_ns: int = 0
    counts: list[int] = field(default_factory=list)
    self_ns: list[int] = field(default_factory=list)
    flops: int | None = None
    moved: int | None = None

    def __post_init__(self) -> None:
        self.counts = [0] * self.steps
        self.self_ns = [0] * self.steps


def operator_rows(steps: Steps) -> tuple[Operator, ...]:
    """One row per key, most self time first; counts and times per step.

    FLOPs are given to the innermost operator whose formula is known (``aten::mkldnn_convolution``, not also
    to the ``aten::conv2d`` around it), so that a column of FLOPs adds up as a column of self times does.
    Bytes are given likewise, by the rule of :func:`_own_bytes`.
    Operators that were called within themselves (recursion) count their total time once.
    """
    number = len(steps.trees)
    sums: dict[OperatorKey, _Sum] = {}
    for index, tree in enumerate(steps.trees):
        flops, moved = _innermost_flops(tree), _own_bytes(tree)
        for at, node in enumerate(tree.nodes):
            if node.kind != "operator":
                continue
            key = operator_key(node)
            row = sums.get(key) or sums.setdefault(key, _Sum(number))
            row.counts[index] += 1
            row.self_ns[index] += node.self_ns
            row.total_ns += 0 if _inside_itself(tree, node) else node.total_ns
            if at in flops:
                row.flops = (row.flops or 0) + flops[at]
            if at in moved:
                row.moved = (row.moved or 0) + moved[at]
    rows = [
        operator_row(
            key,
            count=whole(sum(row.counts) / number),
            counts=tuple(row.counts),
            self_ns=mean(row.self_ns),
            self_ns_samples=tuple(row.self_ns),
            total_ns=row.total_ns / number,
            flops=None if row.flops is None else whole(row.flops / number),
            bytes_moved=None if row.moved is None else whole(row.moved / number),
        )
        for key, row in sums.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.self_ns, row.name, str(row.key))))


def whole(value: float) -> float:
    """The value as an int if it is one: a count of 3 per step should not read 3.0."""
    return int(value) if value == int(value) else value


def _inside_itself(tree: Tree, node: Node) -> bool:
    parent = node.parent
    while parent is not None:
        above = tree.nodes[parent]
        if above.kind == "operator" and operator_key(above) == operator_key(node):
            return True
        parent = above.parent
    return False


def _forward_events(tree: Tree) -> dict[tuple[int, int], Event]:
    """By (thread, sequence number): the forward call that a backward operator belongs to."""
    return {(n.event.thread, n.event.sequence): n.event for n in tree.nodes if n.link is None and n.event.concrete}


def _own_bytes(tree: Tree) -> dict[int, int]:
    """Bytes by node index; a node is left out if the operators below it do its work.

    They do it if together they move as many elements as it does: ``aten::mean`` is a sum and a division, and
    under autocast an operator calls itself with a smaller data type.  Copies, fills and views below an operator do
    not count in that: they prepare its memory, so they have their own bytes and it keeps its own (``aten::sum`` fills
    its result with zeros first, ``aten::convolution_backward`` makes its gradient contiguous), unless it is itself
    one of them (``aten::clone`` is a ``copy_``).
    """
    found: dict[int, int] = {}
    below = [[0, 0] for _ in tree.nodes]  # bytes if all were float32: of all operators, and without preparation
    forward = _forward_events(tree)
    for index in range(len(tree.nodes) - 1, -1, -1):  # children come after their parents
        node, (every, worked) = tree.nodes[index], below[index]
        event = node.event
        if node.kind == "operator":
            made_by = forward.get(node.link) if node.link else None
            concrete = made_by.concrete if made_by else None
            own = operator_bytes(event.name, event.shapes, event.dtypes, event.concrete, concrete)
            alike = tuple(None if dtype is None else "float32" for dtype in event.dtypes)
            plain = operator_bytes(event.name, event.shapes, alike, event.concrete, concrete) or 0
            preparing = prepares(event.name)
            others = every if preparing else worked
            if own is not None and (plain > others or not others):
                found[index] = own
                every, worked = every + plain, worked + (0 if preparing else plain)
        if node.parent is not None:
            below[node.parent][0] += every
            below[node.parent][1] += worked
    return found


def _innermost_flops(tree: Tree) -> dict[int, int]:
    """FLOPs by node index; a node is left out if one below it has them."""
    found: dict[int, int] = {}
    covered: set[int] = set()
    forward = _forward_events(tree)
    for index in range(len(tree.nodes) - 1, -1, -1):  # children come after their parents
        node = tree.nodes[index]
        has = index in covered
        if node.kind == "operator" and not has:
            event = node.event
            made_by = forward.get(node.link) if node.link else None
            flops = operator_flops(event.name, event.shapes, event.concrete, made_by.concrete if made_by else None)
            if flops is not None:
                found[index] = flops
                has = True
        if has and node.parent is not None:
            covered.add(node.parent)
    return found


def _is_python(steps: Steps) -> Callable[[Node], bool]:
    """Whether a node's self time is Python's or the framework's.

    The range around the step counts only where the step marks no phases and is one itself.  Where it does, what
    lies outside all of them was claimed by nobody and is left unattributed.
    """
    phased = any(node.kind == "phase" for tree in steps.trees for node in tree.nodes)
    return lambda node: node.kind != "operator" and not (phased and node.kind == "step")


def python_rows(steps: Steps) -> tuple[PythonTime, ...]:
    """Measured self time of ranges that are not operators, per step, by (kind, phase, module)."""
    counts = _is_python(steps)
    number = len(steps.trees)
    sums: dict[tuple[str, str | None, str | None], _Sum] = {}
    for index, tree in enumerate(steps.trees):
        for node in tree.nodes:
            if counts(node):
                key = ("annotation" if node.kind == "marker" else node.kind, node.phase, node.module)
                row = sums.get(key) or sums.setdefault(key, _Sum(number))
                row.counts[index] += 1
                row.self_ns[index] += node.self_ns
    rows = [
        PythonTime(*key, whole(sum(row.counts) / number), mean(row.self_ns), tuple(row.self_ns))
        for key, row in sums.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.self_ns, row.kind, str(row.module))))


def ledger(steps: Steps, joined: float | None = None, executed: float | None = None) -> Ledger:
    """The wall time of a profiled step, split into what was measured and what is left.

    ``operators_ns`` and ``python_ns`` come from the profiler's clock, ``wall_ns`` from another one around
    the step; ``unattributed_ns`` is their difference: what lies outside all phases, and what the profiler did not
    see.  It may be a little below 0 by the clocks' granularity.  ``joined`` and ``executed`` are per step.
    """
    counts = _is_python(steps)
    number = len(steps.trees)
    operators = sum(n.self_ns for tree in steps.trees for n in tree.nodes if n.kind == "operator") / number
    python = sum(n.self_ns for tree in steps.trees for n in tree.nodes if counts(n)) / number
    wall = mean(steps.walls_ns)
    left = wall - operators - python
    return Ledger(wall, operators, python, left, _whole_or_none(joined), _whole_or_none(executed))


def _whole_or_none(value: float | None) -> float | None:
    return None if value is None else whole(value)


@dataclass
class Allocations:
    """What an operator row itself asked PyTorch's CPU allocator for in each step; frees are not counted."""

    counts: list[int]
    bytes: list[int]


def allocations(steps: Steps) -> dict[OperatorKey, Allocations]:
    """The allocations of each operator row that ran, by its key."""
    number = len(steps.trees)
    found = {
        operator_key(node): Allocations([0] * number, [0] * number)
        for tree in steps.trees
        for node in tree.nodes
        if node.kind == "operator"
    }
    for index, (tree, events) in enumerate(zip(steps.trees, steps.memory, strict=True)):
        for event in events:
            at = tree.innermost(event.start_ns) if event.bytes > 0 else None
            owner = tree.nodes[at].operator if at is not None else None
            if owner is not None:
                row = found[operator_key(tree.nodes[owner])]
                row.counts[index] += 1
                row.bytes[index] += event.bytes
    return found


def busy_ns(events: Iterable[Event]) -> int:
    """Length of the union of the events' intervals, ns."""
    total = 0
    reached: int | None = None
    for event in sorted(events, key=lambda e: e.start_ns):
        start = event.start_ns if reached is None else max(event.start_ns, reached)
        if event.end_ns > start:
            total += event.end_ns - start
        reached = event.end_ns if reached is None else max(reached, event.end_ns)
    return total
