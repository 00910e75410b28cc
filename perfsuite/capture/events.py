"""Profiler events as plain records, and the tree they form.

No torch here: everything in this module is arithmetic over intervals and is tested on made-up events.

**How events nest.**  Events of one thread are sorted by start; of two that start together the longer one is
outside; of two that are equal the one of the outer kind (step, phase, module, autograd, annotation,
operator) is outside, and of two of the same kind the one the profiler listed first.  An event is the child
of the innermost earlier event that has not ended when it starts.  A child that outlasts its parent (clock
granularity) is counted up to the parent's end, so that self times never count an instant twice.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from perfsuite.records import Shape

STEP_RANGE = "perfsuite.step"
PHASE_RANGE = "perfsuite.phase:"
MODULE_RANGE = "perfsuite.module:"
MARKER_RANGE = "perfsuite.marker:"
MEMORY_EVENT = "[memory]"

#: Kinds of a range, outermost first; the order decides which of two equal intervals is outside.
KINDS = ("step", "phase", "module", "autograd", "annotation", "marker", "operator")
_RANK = {kind: rank for rank, kind in enumerate(KINDS)}

_GRAPH = re.compile(r"## Call CompiledFxGraph (\w+) ##")
_BACKWARD_SCOPE = 1
_USER_SCOPE = 7


@dataclass(frozen=True)
class Event:
    """One event of the profiler.  ``sequence`` is −1 where there is none; ``bytes`` is for memory events."""

    name: str
    start_ns: int
    end_ns: int
    thread: int
    scope: int = 0
    sequence: int = -1
    forward_thread: int = 0
    shapes: Shape = ()
    concrete: tuple[Any, ...] = ()
    bytes: int = 0
    #: Data type of each input, None for what is no tensor.
    dtypes: tuple[str | None, ...] = ()


def kind_of(event: Event) -> str:
    """Which of :data:`KINDS` the event is.

    An operator is what the dispatcher calls: a namespaced name (``aten::mm``, ``torch_ipex::…``) outside the
    autograd engine's own ranges; a compiled graph counts as one, because its kernels show nowhere else.
    Everything else (autograd nodes, ``torch.autograd.Function``, ``Optimizer.step#…``, dynamo's guards,
    ``record_function``) is a range whose self time is Python's or the framework's.
    """
    name = event.name
    if name.startswith("perfsuite."):
        if name == STEP_RANGE:
            return "step"
        for prefix, kind in ((PHASE_RANGE, "phase"), (MODULE_RANGE, "module"), (MARKER_RANGE, "marker")):
            if name.startswith(prefix):
                return kind
    if _GRAPH.fullmatch(name):
        return "operator"
    if event.scope == _USER_SCOPE:
        return "annotation"
    if event.scope == _BACKWARD_SCOPE or name.startswith(("autograd::", "torch::autograd::")):
        return "autograd"
    if "::" in name:
        return "operator"
    return "autograd" if event.sequence >= 0 else "annotation"


@dataclass
class Node:
    """An event in its place.  Indices point into :attr:`Tree.nodes`."""

    event: Event
    kind: str
    parent: int | None
    end_ns: int
    self_ns: int
    phase: str | None = None
    module: str | None = None
    #: Index of the nearest operator at or above the node.
    operator: int | None = None
    #: The nearest autograd node above that has a sequence number, as (forward thread, sequence).
    link: tuple[int, int] | None = None

    @property
    def total_ns(self) -> int:
        """Time from start to end, cut at the parent's end."""
        return self.end_ns - self.event.start_ns


@dataclass(frozen=True)
class Tree:
    """The events of one thread, nested; nodes are in order of start, parents before children."""

    nodes: tuple[Node, ...]
    starts: tuple[int, ...] = field(repr=False)

    def innermost(self, at_ns: float) -> int | None:
        """Index of the innermost node whose interval holds the instant, or None."""
        index: int | None = bisect.bisect_right(self.starts, at_ns) - 1
        if index is not None and index < 0:
            return None
        while index is not None and self.nodes[index].end_ns < at_ns:
            index = self.nodes[index].parent
        return index


def build_tree(events: Iterable[Event]) -> Tree:
    """Nest the events of one thread by the rules in the module's docstring.

    Phase, module and the link from backward to forward are handed down from ancestors; the module of a
    backward operator is then found through its sequence number (see :func:`_link_backward`).
    """
    ranked = [(e.start_ns, -e.end_ns, _RANK[kind_of(e)], i, e) for i, e in enumerate(events)]
    ranked.sort(key=lambda row: row[:4])
    nodes: list[Node] = []
    stack: list[int] = []
    for _, _, rank, _, event in ranked:
        while stack and nodes[stack[-1]].end_ns <= event.start_ns:
            stack.pop()
        parent = stack[-1] if stack else None
        end_ns = event.end_ns if parent is None else min(event.end_ns, nodes[parent].end_ns)
        node = Node(event, KINDS[rank], parent, end_ns, end_ns - event.start_ns)
        if parent is not None:
            nodes[parent].self_ns -= node.total_ns
        _inherit(node, nodes[parent] if parent is not None else None, parent, len(nodes))
        nodes.append(node)
        stack.append(len(nodes) - 1)
    _link_backward(nodes)
    return Tree(tuple(nodes), tuple(node.event.start_ns for node in nodes))


def _inherit(node: Node, parent: Node | None, parent_index: int | None, index: int) -> None:
    if parent is not None:
        node.phase, node.module, node.link = parent.phase, parent.module, parent.link
        node.operator = parent.operator
    name = node.event.name
    if node.kind == "phase":
        node.phase = name[len(PHASE_RANGE) :]
    elif node.kind == "module":
        node.module = name[len(MODULE_RANGE) :]
    elif node.kind == "operator":
        node.operator = index
    elif node.kind == "autograd" and node.event.sequence >= 0 and node.event.forward_thread:
        node.link = (node.event.forward_thread, node.event.sequence)
        # Recomputed or nested graphs run inside a backward node: the node's own link decides from here on.
        node.module = None
    elif node.kind == "autograd" and node.event.scope == _BACKWARD_SCOPE and node.event.sequence < 0:
        # AccumulateGrad belongs to a parameter, not to a forward operator.
        node.link = None


def _link_backward(nodes: Sequence[Node]) -> None:
    """Give backward nodes the module of the forward operator that made their autograd node.

    The profiler stamps a forward operator with the sequence number that the *next* autograd node will get,
    so several operators may carry one number: those that make no node (frozen layers, for instance) come
    before the one that does, and none comes after it.  The last to start is therefore the one that made it.
    """
    forward: dict[tuple[int, int], str | None] = {}
    for node in nodes:
        if node.link is not None and node.module is None:
            node.module = forward.get(node.link)
        # Checkpointing runs forward operators again inside a backward node: they make nodes of their own.
        if node.event.sequence >= 0 and not node.event.forward_thread:
            forward[node.event.thread, node.event.sequence] = node.module


def normalise_names(events: Sequence[Event]) -> list[Event]:
    """Compiled graphs named by the order in which they first run, not by their cache hash.

    The hash changes with every version of the compiler, so rows of two runs would never meet.
    """
    order: dict[str, int] = {}
    named: list[Event] = []
    for event in sorted(events, key=lambda e: e.start_ns):
        match = _GRAPH.fullmatch(event.name)
        if match is None or not _looks_like_hash(match[1]):
            named.append(event)
            continue
        number = order.setdefault(match[1], len(order))
        named.append(replace(event, name=f"## Call CompiledFxGraph {number} ##"))
    return named


def _looks_like_hash(word: str) -> bool:
    return not word.isdigit()


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events by start, outer before inner; allocations left out."""
    found = [(e.start_ns, -e.end_ns, i, e) for i, e in enumerate(events) if e.name != MEMORY_EVENT]
    return [row[3] for row in sorted(found, key=lambda row: row[:3])]


def described(events: Iterable[Event]) -> list[tuple[str, Shape, tuple[str | None, ...]]]:
    """What ran on what, in order; scalar arguments are left out: an optimizer counts its steps in one."""
    return [(e.name, e.shapes, e.dtypes) for e in in_order(events)]


def with_shapes(plain: Sequence[Event], shaped: Sequence[Event]) -> list[Event] | None:
    """The plain step's events with the shapes, data types and arguments that the same events have in the shaped step.

    Event by event in order of start.  None if the two steps did not run the same events: then nobody knows whose
    shapes are whose.
    """
    first, second = in_order(plain), in_order(shaped)
    if [e.name for e in first] != [e.name for e in second]:
        return None
    return [
        replace(a, shapes=b.shapes, concrete=b.concrete, dtypes=b.dtypes) for a, b in zip(first, second, strict=True)
    ]


def split_steps(events: Sequence[Event]) -> tuple[int, list[list[Event]]]:
    """The stepping thread, and its events step by step, each list led by its step range.

    Events outside every step range (the profiler's own start and stop) are left out.

    Raises:
        ValueError: there is no step range; the profiler recorded nothing of the step.
    """
    steps = sorted((e for e in events if e.name == STEP_RANGE), key=lambda e: e.start_ns)
    if not steps:
        raise ValueError("the profiler recorded no step")
    thread = steps[0].thread
    starts = [e.start_ns for e in steps]
    buckets: list[list[Event]] = [[] for _ in steps]
    for event in events:
        if event.thread != thread:
            continue
        at = bisect.bisect_right(starts, event.start_ns) - 1
        if at >= 0 and event.start_ns < steps[at].end_ns:
            buckets[at].append(event)
    return thread, buckets
