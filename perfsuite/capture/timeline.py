"""One recorded step, the one whose wall time is the median, as the spans of a trace.

Operators and ranges are the nodes of the step's tree.  Each primitive that was joined to an operator becomes a span
inside it: where it was by its own time stamp, or, where primitives were joined by markers and have no start, one
after another from the operator's start.  The profiler's clock and oneDNN's agree to about a microsecond, so a primitive
can stick out of its operator by that much: it is cut to the operator's own time, and its full time is kept beside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from perfsuite.capture.events import MODULE_RANGE, PHASE_RANGE, Event, Node, Tree, build_tree
from perfsuite.capture.operators import Steps
from perfsuite.capture.primitives import Join
from perfsuite.onednn import Execution
from perfsuite.timeline import Span, Timeline

#: A stretch of time, (start, end) in ns.
Stretch = tuple[int, int]


def timeline_of(steps: Steps, source: str, join: Join | None = None) -> Timeline:
    """The timeline of the step with the median wall time (the shorter of two middle ones).

    Args:
        steps: the recorded steps of the pass ``source``.
        join: its executions; None where the pass did not listen to oneDNN.
    """
    order = sorted(range(len(steps.trees)), key=lambda at: (steps.walls_ns[at], at))
    index = order[(len(order) - 1) // 2]
    tree = steps.trees[index]
    inside, left_out = _executions(join, index)
    began, ended = tree.nodes[0].event.start_ns, tree.nodes[0].end_ns
    spans = _spans(tree, began, 0, inside)
    for thread, events in enumerate(_threads(steps.elsewhere, began, ended), 1):
        spans += _spans(build_tree(events), began, thread, {}, offset=len(spans))
    return Timeline(
        source=source,
        step=index,
        steps=len(steps.trees),
        wall_ns=steps.walls_ns[index],
        join=join.method if join is not None else None,
        spans=tuple(spans),
        left_out=left_out,
    )


def _executions(join: Join | None, step: int) -> tuple[dict[int, list[Execution]], int]:
    """The executions of the step below the index of their operator's node, and how many have none."""
    inside: dict[int, list[Execution]] = defaultdict(list)
    left_out = 0
    if join is not None:
        for (execution, _), at, node in zip(join.pairs, join.steps, join.nodes, strict=True):
            if at == step and node is not None:
                inside[node].append(execution)
            elif at == step:
                left_out += 1
    return inside, left_out


def _threads(events: Sequence[Event], began: int, ended: int) -> list[list[Event]]:
    """What other threads ran within the step, a list each, in the order in which they began."""
    found: dict[int, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda e: e.start_ns):
        if began <= event.start_ns and event.end_ns <= ended:
            found[event.thread].append(event)
    return list(found.values())


def _spans(tree: Tree, began: int, thread: int, inside: Mapping[int, list[Execution]], offset: int = 0) -> list[Span]:
    """Spans of one thread, parents before children; markers, which are ours, are left out."""
    children: dict[int | None, list[int]] = defaultdict(list)
    for index, node in enumerate(tree.nodes):
        children[node.parent].append(index)
    spans: list[Span] = []

    # Not recursive: modules and autograd nodes nest deeper than Python's stack likes.  What waits is a node with the
    # index of the span around it, or a primitive's span that is ready; of two that start together the one that has
    # no length comes first.
    waiting: list[tuple[int | Span, int | None]] = [(index, None) for index in reversed(children[None])]
    while waiting:
        item, parent = waiting.pop()
        if isinstance(item, Span):
            spans.append(item)
            continue
        node = tree.nodes[item]
        if node.kind != "marker":
            spans.append(_span(node, began, thread, parent))
            parent = offset + len(spans) - 1
        below: list[tuple[int, int, int | Span]] = [
            (tree.nodes[child].event.start_ns - began, tree.nodes[child].end_ns - began, child)
            for child in children[item]
        ]
        if item in inside:
            free = _free(node, [tree.nodes[child] for child in children[item]])
            placed = _placed(inside[item], free, node, began, thread, parent)
            below += [(span.start_ns, span.end_ns, span) for span in placed]
        below.sort(key=lambda row: row[:2])
        waiting += [(ready, parent) for *_, ready in reversed(below)]
    return spans


def _span(node: Node, began: int, thread: int, parent: int | None) -> Span:
    event = node.event
    names = {"step": "step", "phase": event.name[len(PHASE_RANGE) :], "module": event.name[len(MODULE_RANGE) :]}
    details: dict[str, Any] = {}
    if event.shapes:
        details["shapes"] = event.shapes
    if any(event.dtypes):
        details["dtypes"] = event.dtypes
    return Span(
        kind=node.kind,
        name=names.get(node.kind, event.name),
        start_ns=event.start_ns - began,
        duration_ns=node.total_ns,
        parent=parent,
        thread=thread,
        phase=node.phase,
        module=node.module,
        details=details if node.kind == "operator" else {},
    )


def _free(node: Node, children: Sequence[Node]) -> list[Stretch]:
    """The stretches of the node in which none of its children ran."""
    stretches = []
    reached = node.event.start_ns
    for child in children:
        stretches.append((reached, child.event.start_ns))
        reached = child.end_ns
    stretches.append((reached, node.end_ns))
    return [(start, end) for start, end in stretches if start < end]


def _placed(
    executions: Sequence[Execution], free: list[Stretch], node: Node, began: int, thread: int, parent: int | None
) -> list[Span]:
    """The executions as spans that overlap neither each other nor what the operator called."""
    spans = []
    for execution in executions:
        start, end = _take(free, execution.start_ns, round(execution.time_ns), node)
        details = _details(execution)
        if execution.start_ns is None:
            details["start"] = "not measured"
        if end - start < round(execution.time_ns):
            details["time_ns"] = round(execution.time_ns)
        spans.append(
            Span(
                kind="primitive",
                name=_name(execution),
                start_ns=start - began,
                duration_ns=end - start,
                parent=parent,
                thread=thread,
                phase=node.phase,
                module=node.module,
                details=details,
            )
        )
    return spans


def _take(free: list[Stretch], wanted: int | None, length: int, node: Node) -> Stretch:
    """Take the wanted stretch out of the free ones, as much of it as one of them holds.

    Without a wanted start it is the first that holds it all, else the longest.
    """
    if not free:
        return node.event.start_ns, node.event.start_ns
    if wanted is None:
        at = next((i for i, (start, end) in enumerate(free) if end - start >= length), None)
        if at is None:
            at = max(range(len(free)), key=lambda i: free[i][1] - free[i][0])
        taken = (free[at][0], min(free[at][1], free[at][0] + length))
        free[: at + 1] = [(taken[1], free[at][1])]  # the next one comes later
    else:
        middle = wanted + length // 2
        at = min(range(len(free)), key=lambda i: max(free[i][0] - middle, middle - free[i][1], 0))
        low, high = free[at]
        start = min(max(wanted, low), high)
        taken = (start, max(start, min(wanted + length, high)))
        free[at : at + 1] = [(low, taken[0]), (taken[1], high)]
    free[:] = [(start, end) for start, end in free if start < end]
    return taken


def _name(execution: Execution) -> str:
    directed = execution.direction not in ("", "undef")
    return f"{execution.kind} {execution.direction}" if directed else execution.kind


def _details(execution: Execution) -> dict[str, Any]:
    said = ("implementation", "problem", "dtypes", "layouts", "algorithm", "attributes")
    return {key: getattr(execution, key) for key in said if getattr(execution, key)}
