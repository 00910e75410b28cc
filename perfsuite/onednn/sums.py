"""Sums over executions that are alike, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

from perfsuite.onednn.meaning import Call, Other, Partition
from perfsuite.onednn.times import FS_PER_MS

#: Stands for what is no longer told apart in a log of too many different problems.
OTHERS = "(others)"

#: What distinct executions may take: a log of dynamic shapes can hold any number.
_MEMORY_BYTES = 56 << 20
_ROW_BYTES = 600
_FOLDED_ROWS = 1000
_OPERATIONS = 1000


@dataclass(frozen=True, slots=True)
class Distinct:
    """Executions that are alike in everything but their time; see :class:`perfsuite.onednn.Execution`."""

    kind: str
    implementation: str
    direction: str
    dtypes: str
    layouts: str
    attributes: str
    algorithm: str
    problem: str
    engine: str
    #: The raw memory_descriptors column.
    descriptors: str
    count: int
    time_ms: float


@dataclass(frozen=True, slots=True)
class GraphExecution:
    """Executions of a graph partition that are alike in everything but their time, in the log's own words."""

    engine: str
    partition_id: str
    partition_kind: str
    op_names: str
    data_formats: str
    logical_tensors: str
    fpmath_mode: str
    implementation: str
    backend: str
    count: int
    time_ms: float


class Sum:
    """Count and time of records that mean the same."""

    __slots__ = ("count", "recent", "recent_recovered", "recovered", "time_fs")

    def __init__(self) -> None:
        self.count = 0
        self.time_fs = 0
        #: How many of them were read although something stood in the way.
        self.recovered = 0
        #: Times that are not added yet, and those of records that something stood in the way of.
        self.recent: list[int] = []
        self.recent_recovered: list[int] = []

    def add_recent(self) -> None:
        """Add up what came in since the last time."""
        self.recovered += len(self.recent_recovered)
        for recent in (self.recent, self.recent_recovered):
            if recent:
                self.count += len(recent)
                self.time_fs += sum(recent)
                recent.clear()


class Sums:
    """One :class:`Sum` per meaning.  Past a bound new meanings share one by kind and direction, then one for all."""

    def __init__(self) -> None:
        self._sums: dict[Call | Partition | Other, Sum] = {}
        self._bytes = 0
        self._folded: set[Call | Partition | Other] = set()
        self._operations = 0
        self._strings: dict[str, str] = {}

    def of(self, meaning: Call | Partition | Other) -> Sum:
        """The sum that executions of ``meaning`` are added to."""
        found = self._sums.get(meaning)
        if found is None:
            meaning = self._admitted(meaning)
            found = self._sums.get(meaning)
            if found is None:
                found = self._sums[meaning] = Sum()
        return found

    def primitives(self) -> tuple[Distinct, ...]:
        """The primitives' sums, most time first."""
        found = [(key, self._sums[key]) for key in self._sums if isinstance(key, Call)]
        found.sort(key=lambda row: (-row[1].time_fs, -row[1].count, row[0]))
        return tuple(Distinct(*key, count=one.count, time_ms=one.time_fs / FS_PER_MS) for key, one in found)

    def graphs(self) -> tuple[GraphExecution, ...]:
        """The graph partitions' sums, most time first."""
        found = [(key, self._sums[key]) for key in self._sums if isinstance(key, Partition)]
        found.sort(key=lambda row: (-row[1].time_fs, -row[1].count, row[0]))
        return tuple(GraphExecution(*key, count=one.count, time_ms=one.time_fs / FS_PER_MS) for key, one in found)

    def ignored(self) -> dict[str, int]:
        """Operation → count of the records that are no executions."""
        return {key.operation: one.count for key, one in self._sums.items() if isinstance(key, Other)}

    def total(self, kind: type[Call] | type[Partition]) -> tuple[int, float, int]:
        """(count, milliseconds, how many recovered) over all executions of ``kind``; the time is rounded once."""
        found = [one for key, one in self._sums.items() if isinstance(key, kind)]
        time_fs = sum(one.time_fs for one in found)
        return sum(one.count for one in found), time_fs / FS_PER_MS, sum(one.recovered for one in found)

    def _admitted(self, meaning: Call | Partition | Other) -> Call | Partition | Other:
        if isinstance(meaning, Other):
            self._operations += 1
            return meaning if self._operations <= _OPERATIONS else Other(OTHERS)
        if self._bytes < _MEMORY_BYTES:
            self._bytes += _ROW_BYTES
            return type(meaning)(*map(self._shared, meaning))
        folded = _folded(meaning, "kind")
        if folded not in self._folded and len(self._folded) >= _FOLDED_ROWS:
            return _folded(meaning, "")
        self._folded.add(folded)
        return folded

    def _shared(self, text: str) -> str:
        """One string for all that are equal: rows differ in one or two columns."""
        kept = self._strings.get(text)
        if kept is None:
            self._bytes += 2 * len(text) + 100
            kept = self._strings[text] = text
        return kept


def _folded(meaning: Call | Partition, by: str) -> Call | Partition:
    """What stands for ``meaning`` and others: of its kind and direction, or of any kind."""
    if isinstance(meaning, Partition):
        kind = meaning.partition_kind[:100] if by else OTHERS
        return Partition("", "", kind, OTHERS, "", "", "", "", "")
    kind, direction = (meaning.kind[:100], meaning.direction[:100]) if by else (OTHERS, "")
    return Call(kind, "", direction, "", "", "", "", OTHERS, "", "")
