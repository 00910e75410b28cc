"""Join each oneDNN execution to the operator that ran it, and sum alike ones into rows.

Two joins that know nothing of each other:

* **timestamps**: a verbose line carries when its execution started, on the clock of the profiler's events;
  the operator is the innermost one whose interval holds the execution's middle.  (The middle, because a
  start can fall a granule before the operator's own.)
* **markers**: a dispatch mode prints a begin and an end line around each operator into the same stream as
  the verbose lines, and opens a profiler range of the same number; lines between the two belong to it.

The first needs nothing but ``ONEDNN_VERBOSE_TIMESTAMP`` and is used wherever lines carry a time; the second
also works without, but not under ``torch.compile``, which runs the eager graph when a dispatch mode is on.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from perfsuite.capture.events import MARKER_RANGE, Event, Tree, build_tree
from perfsuite.capture.operators import OperatorKey, Steps, operator_key, operator_row, whole
from perfsuite.capture.profiler import profiler_range
from perfsuite.capture.stdio import c_print
from perfsuite.capture.verbose import MARKER_PREFIX
from perfsuite.onednn import Execution, VerboseParser
from perfsuite.records import Operator, Primitive
from perfsuite.stats import mean

_MARKER_LINE = re.compile(MARKER_PREFIX + r"(begin|end|step-begin|step-end),(\d+)\s*$")


@dataclass(frozen=True)
class Join:
    """Each execution of the recorded steps with the key of its operator row, or None if it has none."""

    pairs: tuple[tuple[Execution, OperatorKey | None], ...]
    #: The recorded step of each pair, from 0.
    steps: tuple[int, ...]
    #: The node of the step's tree that each pair ran in, at its operator or below; None as for the key.
    nodes: tuple[int | None, ...]
    #: Verbose lines of the recorded steps that could not be read; each may have been an execution.
    rejected: int
    #: Executions of whole graph partitions, whose lines name no primitive.
    graphs: int
    method: str


def step_edges() -> Callable[[bool], None]:
    """What prints the lines that bracket each recorded step; for ``record_steps(at_edge=…)``.

    Which executions belong to a step is then known from the stream itself, whatever the clocks say.
    """
    number = 0

    def at_edge(begins: bool) -> None:
        nonlocal number
        c_print(f"{MARKER_PREFIX}step-{'begin' if begins else 'end'},{number}\n")
        number += 0 if begins else 1

    return at_edge


def join_by_time(steps: Steps, lines: Iterable[str], header: Iterable[str] = ()) -> Join:
    """Join by timestamps the executions between the lines of :func:`step_edges`.

    An execution is not joined if at its middle no operator was running, or operators were on *another* thread as
    well (either could have run it), or its line has no time.
    """
    others = _trees_by_thread(steps.elsewhere)

    def owner(line: Line) -> int | None:
        middle = _middle_ns(line.execution)
        if middle is None or line.step >= len(steps.trees):
            return None
        if any(tree.innermost(middle) is not None for tree in others):
            return None
        return steps.trees[line.step].innermost(middle)

    return _join(steps, lines, header, owner, "timestamps")


def join_by_markers(steps: Steps, lines: Iterable[str], header: Iterable[str] = ()) -> Join:
    """Join by marker lines; ``steps`` must be the recording made under :func:`markers` with these lines.

    A marker names the operator that the dispatch mode saw; the operator of the row is the one with the most
    self time inside its range, which is where the kernel runs (``aten::mkldnn_convolution`` inside
    ``aten::convolution``).
    """
    owners = _operators_of_markers(steps)

    def owner(line: Line) -> int | None:
        step, node = owners.get(line.marker or "", (None, None))
        return node if step == line.step else None

    return _join(steps, lines, header, owner, "markers")


@dataclass(frozen=True)
class Line:
    """An execution, the recorded step it belongs to, and the innermost marker that is open."""

    execution: Execution
    step: int
    marker: str | None


def _join(
    steps: Steps, lines: Iterable[str], header: Iterable[str], owner: Callable[[Line], int | None], method: str
) -> Join:
    parser = VerboseParser()
    for text in header:
        parser.feed(text)
    pairs: list[tuple[Execution, OperatorKey | None]] = []
    at_step: list[int] = []
    nodes: list[int | None] = []
    open_markers: list[str] = []
    step: int | None = None
    rejected = graphs = 0
    for text in lines:
        match = _MARKER_LINE.search(text)
        if match is None:
            before = len(parser.rejected), parser.graph_executions
            execution = parser.feed(text)
            if step is None:
                continue
            rejected += len(parser.rejected) - before[0]
            graphs += parser.graph_executions - before[1]
            if execution is not None:
                line = Line(execution, step, open_markers[-1] if open_markers else None)
                node = owner(line)
                key = None if node is None else _key_at(steps.trees[step], node)
                pairs.append((execution, key))
                at_step.append(step)
                nodes.append(None if key is None else node)
        elif match[1] == "begin":
            open_markers.append(match[2])
        elif match[1] == "end":
            if open_markers and open_markers[-1] == match[2]:
                open_markers.pop()
        else:
            step = int(match[2]) if match[1] == "step-begin" else None
    return Join(tuple(pairs), tuple(at_step), tuple(nodes), rejected, graphs, method)


def _middle_ns(execution: Execution) -> float | None:
    return None if execution.start_ns is None else execution.start_ns + execution.time_ns / 2


def _trees_by_thread(events: Iterable[Event]) -> list[Tree]:
    threads: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        threads[event.thread].append(event)
    return [build_tree(found) for found in threads.values()]


def _key_at(tree: Tree, index: int) -> OperatorKey | None:
    """The key of the nearest operator at or above a node."""
    owner = tree.nodes[index].operator
    return operator_key(tree.nodes[owner]) if owner is not None else None


def _operators_of_markers(steps: Steps) -> dict[str, tuple[int, int]]:
    """Marker → its step and the node of its operator."""
    owners: dict[str, tuple[int, int]] = {}
    for step, tree in enumerate(steps.trees):
        best: dict[int, int] = {}  # marker node → operator node with the most self time below it
        nearest: list[int | None] = []
        for index, node in enumerate(tree.nodes):
            above = nearest[node.parent] if node.parent is not None else None
            nearest.append(index if node.kind == "marker" else above)
            if node.kind == "operator" and above is not None:
                champion = best.get(above)
                if champion is None or node.self_ns > tree.nodes[champion].self_ns:
                    best[above] = index
        for marker, operator in best.items():
            owners[tree.nodes[marker].event.name[len(MARKER_RANGE) :]] = (step, operator)
    return owners


@contextmanager
def markers() -> Iterator[None]:
    """Within the block each operator below autograd is bracketed by marker lines and a profiler range."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Markers(TorchDispatchMode):  # type: ignore[no-untyped-call]
        number = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.number += 1
            number = self.number
            c_print(f"{MARKER_PREFIX}begin,{number}\n")
            try:
                with profiler_range(f"{MARKER_RANGE}{number}"):
                    return func(*args, **(kwargs or {}))
            finally:
                c_print(f"{MARKER_PREFIX}end,{number}\n")

    with Markers():  # type: ignore[no-untyped-call]
        yield


def attach_primitives(
    operators: Sequence[Operator], join: Join, steps: int
) -> tuple[tuple[Operator, ...], tuple[Primitive, ...]]:
    """Operator rows with the indices of their primitives, and the primitive rows, most time first.

    An operator that ran in the primitive pass but not in the operator pass (a step that is not the same
    each time) gets a row of its own with count 0, so that its primitives are not lost.
    """
    rows = list(operators)
    index_of = {row.key: index for index, row in enumerate(rows)}
    sums: dict[tuple[Any, ...], list[list[float]]] = defaultdict(lambda: [[] for _ in range(steps)])
    for (execution, key), step in zip(join.pairs, join.steps, strict=True):
        owner = None
        if key is not None:
            if key not in index_of:
                index_of[key] = len(rows)
                rows.append(_absent(key, steps))
            owner = index_of[key]
        sums[_primitive_key(execution, owner)][step].append(execution.time_ns)
    primitives = sorted(
        (_primitive(key, times) for key, times in sums.items()),
        key=lambda row: (-row.time_ns, str(row.key)),
    )
    below: dict[int, list[int]] = defaultdict(list)
    for index, primitive in enumerate(primitives):
        if primitive.operator is not None:
            below[primitive.operator].append(index)
    linked = [replace(row, primitives=tuple(below[i])) if i in below else row for i, row in enumerate(rows)]
    return tuple(linked), tuple(primitives)


def _absent(key: OperatorKey, steps: int) -> Operator:
    return operator_row(key, count=0, counts=(0,) * steps, self_ns=0, self_ns_samples=(0,) * steps, total_ns=0)


def _primitive_key(execution: Execution, owner: int | None) -> tuple[Any, ...]:
    e = execution
    return (e.kind, e.implementation, e.direction, e.dtypes, e.layouts, e.attributes, e.algorithm, e.problem, owner)


def _primitive(key: tuple[Any, ...], times: list[list[float]]) -> Primitive:
    counts, sums = tuple(map(len, times)), tuple(map(math.fsum, times))
    kind, implementation, direction, dtypes, layouts, attributes, algorithm, problem, owner = key
    return Primitive(
        kind, implementation, direction, dtypes, layouts, attributes, algorithm, problem,
        count=whole(mean(counts)), time_ns=mean(sums), operator=owner, counts=counts, time_ns_samples=sums,
    )  # fmt: skip
