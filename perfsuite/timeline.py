"""One recorded step as spans of time, for a trace: what ran when, inside what.

A profile holds sums; this is the one step behind them whose wall time is the median.  It is kept apart from the
profile, so that nothing that works on sums has to read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from perfsuite.codec import from_json, to_json
from perfsuite.errors import StoreError

#: Kinds of a span, outermost first.
KINDS = ("step", "phase", "module", "autograd", "annotation", "operator", "primitive")


@dataclass(frozen=True)
class Span:
    """Something that ran.

    ``start_ns`` is since the step began.  ``parent`` is the index of the innermost span around it, which comes
    before it in the timeline, holds its whole interval, and is on the same thread.  Thread 0 is the one that steps.
    ``details`` says what a reader wants to know of it: ``shapes`` and ``dtypes`` of an operator; the implementation,
    layouts, problem … of a primitive.
    """

    kind: str
    name: str
    start_ns: int
    duration_ns: int
    parent: int | None = None
    thread: int = 0
    phase: str | None = None
    module: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end_ns(self) -> int:
        """When it ended, since the step began."""
        return self.start_ns + self.duration_ns


@dataclass(frozen=True)
class Timeline:
    """One step of a pass; spans in order of start on each thread, thread after thread."""

    #: The pass it is from: ``primitives``, or ``operators`` where that one did not run.
    source: str
    #: Which of the pass's recorded steps, from 0, and how many there are.
    step: int
    steps: int
    #: Of this step, by a clock outside the profiler.
    wall_ns: int
    #: How primitives were joined to operators: ``timestamps`` or ``markers``; None where the pass did not look for
    #: any.  One whose start was not measured says so in its details.
    join: str | None
    spans: tuple[Span, ...]
    #: Primitives of this step that are not shown, since no operator is known that they ran in.
    left_out: int = 0


# --- as it is stored --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Columns:
    """A timeline as columns, which compress to a few bytes a span.

    Texts and details are indices into their tables; a start is counted from the span before, a parent is how many
    spans back it is, 0 for none.
    """

    source: str
    step: int
    steps: int
    wall_ns: int
    join: str | None
    left_out: int
    texts: tuple[str | None, ...]
    tables: tuple[Any, ...]
    kind: tuple[int, ...]
    name: tuple[int, ...]
    start: tuple[int, ...]
    duration: tuple[int, ...]
    parent: tuple[int, ...]
    thread: tuple[int, ...]
    phase: tuple[int, ...]
    module: tuple[int, ...]
    details: tuple[int, ...]


def to_columns(timeline: Timeline) -> dict[str, Any]:
    """The timeline as JSON values."""
    texts: dict[str | None, int] = {}
    tables: dict[str, int] = {}
    spans = timeline.spans

    def text(words: Sequence[str | None]) -> tuple[int, ...]:
        return tuple(texts.setdefault(word, len(texts)) for word in words)

    def table(span: Span) -> int:
        return tables.setdefault(json.dumps(to_json(tuple(span.details.items()))), len(tables))

    starts = [span.start_ns for span in spans]
    columns = {
        "kind": text([span.kind for span in spans]),
        "name": text([span.name for span in spans]),
        "start": (*starts[:1], *(after - before for before, after in pairwise(starts))),
        "duration": tuple(span.duration_ns for span in spans),
        "parent": tuple(0 if span.parent is None else index - span.parent for index, span in enumerate(spans)),
        "thread": tuple(span.thread for span in spans),
        "phase": text([span.phase for span in spans]),
        "module": text([span.module for span in spans]),
        "details": tuple(table(span) for span in spans),
    }
    stored: dict[str, Any] = {
        name: getattr(timeline, name) for name in ("source", "step", "steps", "wall_ns", "join", "left_out")
    }
    return {**stored, "texts": list(texts), "tables": [json.loads(one) for one in tables], **to_json(columns)}


def from_columns(data: Any, where: str = "timeline") -> Timeline:
    """The timeline that :func:`to_columns` made ``data`` of.

    Raises:
        StoreError: it is damaged or of another version; the message says where.
    """
    c = from_json(_Columns, data, where)
    number = len(c.kind)
    for name in ("name", "start", "duration", "parent", "thread", "phase", "module", "details"):
        if len(getattr(c, name)) != number:
            raise StoreError(f"{where}.{name}: {len(getattr(c, name))} values for {number} spans; the file is damaged")
    text = _looked_up(c.texts, f"{where}.texts")
    table = _looked_up(c.tables, f"{where}.tables")
    spans = tuple(
        Span(
            kind=_text(text(kind), where),
            name=_text(text(name), where),
            start_ns=start,
            duration_ns=duration,
            parent=_parent(index, back, where),
            thread=thread,
            phase=text(phase),
            module=text(module),
            details=_details(table(details), where),
        )
        for index, (kind, name, start, duration, back, thread, phase, module, details) in enumerate(
            zip(c.kind, c.name, accumulate(c.start), c.duration, c.parent, c.thread, c.phase, c.module, c.details,
                strict=True)
        )
    )  # fmt: skip
    for index, span in enumerate(spans):
        _check(span, spans, f"{where}: span {index}")
    return Timeline(c.source, c.step, c.steps, c.wall_ns, c.join, spans, c.left_out)


def _looked_up(values: Sequence[Any], where: str) -> Callable[[int], Any]:
    def look_up(index: int) -> Any:
        if not 0 <= index < len(values):
            raise StoreError(f"{where}: there is no entry {index}; the file is damaged")
        return values[index]

    return look_up


def _text(value: str | None, where: str) -> str:
    if value is None:
        raise StoreError(f"{where}: a span without a name; the file is damaged")
    return value


def _parent(index: int, back: int, where: str) -> int | None:
    if not 0 <= back <= index:
        raise StoreError(f"{where}.parent: span {index} has no span {back} before it; the file is damaged")
    return index - back if back else None


def _details(pairs: Any, where: str) -> dict[str, Any]:
    if not isinstance(pairs, tuple) or not all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        raise StoreError(f"{where}.tables: not pairs of a key and a value; the file is damaged")
    return dict(pairs)


def _check(span: Span, spans: Sequence[Span], where: str) -> None:
    if span.kind not in KINDS or span.duration_ns < 0:
        raise StoreError(f"{where} is of no known kind or lasts less than nothing; the file is damaged")
    around = None if span.parent is None else spans[span.parent]
    if around is not None and not (around.start_ns <= span.start_ns and span.end_ns <= around.end_ns):
        raise StoreError(f"{where} lies outside the span that it is said to be in; the file is damaged")
