"""What a comparison of two runs says, as frozen records.  Base comes before head everywhere; delta is head − base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from perfsuite.records import Memory, Shape

#: A side of a change: a number, words, or None where there is nothing on that side or it is not known.
Value = float | str | None


#: Of entries that cost the same, what is about primitives comes first: it is what nothing else shows.
_LISTED = (
    "implementation", "primitive", "executions", "isa", "layout", "reorder", "operator", "name", "dtype", "shape",
    "count",
)  # fmt: skip
_FOLLOWS = ("module", "phase", "flops", "bytes_moved", "allocations", "allocated_bytes")


@dataclass(frozen=True)
class Change:
    """A fact about the machine, the software or a workload that differs."""

    key: str
    base: Value
    head: Value


@dataclass(frozen=True)
class Cause:
    """Why a row's time differs: what the census saw change, or ``time`` (both in ns) where it saw nothing.

    ``kind`` is ``implementation``, ``layout``, ``reorder``, ``dtype``, ``count``, ``shape`` or ``time``.
    """

    kind: str
    base: Value
    head: Value
    #: Kind and direction of the primitive it is about, None where it is about the operator.
    primitive: str | None = None


@dataclass(frozen=True)
class Place:
    """Where in the step: the operator, as head names it (base where head has none); all None is nowhere known."""

    name: str | None
    module: str | None
    phase: str | None
    shapes: Shape


@dataclass(frozen=True)
class Entry:
    """A line of the census diff.

    ``what`` is ``operator``, ``name``, ``module``, ``phase``, ``shape``, ``dtype``, ``count``, ``primitive``,
    ``implementation``, ``isa``, ``layout``, ``reorder``, ``attributes``, ``algorithm``, ``problem``, ``executions``,
    ``flops``, ``bytes_moved``, ``allocations`` or ``allocated_bytes``.
    """

    what: str
    where: Place
    base: Value
    head: Value
    #: Kind and direction of the primitive it is about (``convolution backward_weights``), and its shape.
    primitive: str | None = None
    problem: str | None = None
    #: Time by step of the row or the primitives it is about, on the side where they take longer, in ns.
    cost_ns: float = 0.0
    #: Of a ``primitive`` that was added or removed, how many executions of it base and head have.
    counts: tuple[float, float] | None = None

    @property
    def rank(self) -> tuple[bool, float, bool, int]:
        """Where it stands in a listing: what cost most first; what only follows from other entries comes last."""
        position = _LISTED.index(self.what) if self.what in _LISTED else len(_LISTED)
        return (self.what in _FOLLOWS, -self.cost_ns, self.primitive == "reorder", position)


@dataclass(frozen=True)
class Total:
    """A count of all in the step that is not unstable, by ``what``: ``operators``, ``reorders``, ``isa avx2``, …"""

    what: str
    base: float | None
    head: float | None


@dataclass(frozen=True)
class Census:
    """The counts that carry no noise.  ``unstable`` differ between steps of one side, so they are not judged."""

    totals: tuple[Total, ...] = ()
    added: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()
    changed: tuple[Entry, ...] = ()
    unstable: tuple[Entry, ...] = ()

    @property
    def entries(self) -> Iterator[tuple[str, Entry]]:
        """``added``, ``removed`` or ``changed``, and the entry: all that was judged, by :attr:`Entry.rank`."""
        fates = (("changed", self.changed), ("added", self.added), ("removed", self.removed))
        every = [(fate, entry) for fate, entries in fates for entry in entries]
        yield from sorted(every, key=lambda one: one[1].rank)

    @property
    def judged(self) -> int:
        """How many entries there are."""
        return len(self.changed) + len(self.added) + len(self.removed)

    @property
    def tally(self) -> Mapping[str, Mapping[str, int]]:
        """How many entries there are, by fate and then by what they are about."""
        found: dict[str, Counter[str]] = {}
        for fate, entry in self.entries:
            found.setdefault(fate, Counter())[entry.what] += 1
        return found


@dataclass(frozen=True)
class Wall:
    """The timed step: medians, their ratio head ÷ base and its interval, of these two processes."""

    base_ns: float | None
    head_ns: float | None
    ratio: float | None
    interval: tuple[float, float] | None
    confidence: float
    base_n: int
    head_n: int

    @property
    def claim(self) -> str:
        """Whether head's steps were ``slower`` or ``faster`` than base's: the interval of the ratio does not hold 1.

        ``same`` where it does, ``unknown`` without one.  It is a statement about two processes: their code is one of
        many reasons.
        """
        if self.interval is None:
            return "unknown"
        low, high = self.interval
        return "slower" if low > 1 else "faster" if high < 1 else "same"


@dataclass(frozen=True)
class Delta:
    """A row of the ledger on both sides.

    ``kind`` is ``operator``, ``python`` (``name`` is then the kind of range) or ``unattributed``.
    """

    kind: str
    name: str
    module: str | None
    phase: str | None
    shapes: Shape
    #: ``both``, or the only side that has it: ``base`` or ``head``.
    there: str
    #: What base calls it; None where base does not have it.
    base_name: str | None
    base_module: str | None
    base_ns: float
    head_ns: float
    delta_ns: float
    #: delta ÷ base's profiled wall time.
    share: float | None
    #: Of the change, from the profiled steps of each side; None where a side has fewer than two.
    interval: tuple[float, float] | None
    #: Whose it is: ``welch``, of the means, or ``moses``, by the order of the samples
    #: (:func:`perfsuite.stats.shift_interval`), whichever says more; None without any.
    method: str | None
    #: What the change surely is at least: the end of the interval nearer to 0, 0 if it holds 0, and ``|delta|`` itself
    #: without any.
    beyond_ns: float
    #: The first of ``causes``, or ``time``; it explains nothing where the row is not :attr:`changed`.
    cause: Cause
    #: All that the census saw change in it, the first of which is the cause.
    causes: tuple[Cause, ...]

    @property
    def changed(self) -> bool:
        """Whether its time or the census differs at all."""
        return self.delta_ns != 0 or bool(self.causes)


@dataclass(frozen=True)
class Ledgers:
    """The profiled wall times that the rows add up to: Σ ``delta_ns`` = ``head_ns`` − ``base_ns``."""

    base_ns: float
    head_ns: float
    operators_ns: float
    python_ns: float
    unattributed_ns: float


@dataclass(frozen=True)
class WorkloadDiff:
    """One workload on both sides."""

    name: str
    changes: tuple[Change, ...]
    wall: Wall
    #: None where a side has no operator pass; there are no operators and there is no census then.
    ledger: Ledgers | None
    operators: tuple[Delta, ...]
    census: Census
    notes: tuple[str, ...]
    #: How many rows, at the head of ``operators``, surely changed by what matters
    #: (:mod:`perfsuite.analyse.diff.deltas`).
    culprits: int = 0
    #: Of one bare step of each side: resident memory and what the kernel did.  None where that pass did not run.
    base_memory: Memory | None = None
    head_memory: Memory | None = None

    @property
    def culprit(self) -> Delta | None:
        """The likeliest: of the rows that surely changed the first that changed as the timed step did.

        A row that got faster slows nothing down.  Where the timed step surely did neither, the first of all; None
        where no row surely changed, or none that way.
        """
        sign = {"slower": 1, "faster": -1}.get(self.wall.claim, 0)
        return next((row for row in self.operators[: self.culprits] if row.delta_ns * sign >= 0), None)


@dataclass(frozen=True)
class Missing:
    """A workload that was found in one side alone (``base`` or ``head``).

    ``only_in`` is that side, or ``unknown`` where the other one has files that cannot be read: the workload may be in
    one of them.
    """

    name: str
    only_in: str
    found_in: str


@dataclass(frozen=True)
class RunDiff:
    """Two runs.  ``reasons`` say why they are not comparable; a comparison that has some was forced."""

    base_id: str
    head_id: str
    reasons: tuple[str, ...]
    environment_changes: tuple[Change, ...]
    notes: tuple[str, ...]
    missing: tuple[Missing, ...]
    workloads: tuple[WorkloadDiff, ...]

    @property
    def comparable(self) -> bool:
        """Whether nothing speaks against comparing the two."""
        return not self.reasons
