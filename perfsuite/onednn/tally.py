"""A whole log → what ran, how often, how long, and what could not be read.

Lines of a log repeat: a training step executes its few hundred primitives again and again, and only the time (and
the timestamp) differs.  So what everything before the last comma means is remembered, and a line that is alike
costs a look-up and an addition.  What a line means the first time is for :mod:`perfsuite.onednn.reader` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import length_hint
from typing import BinaryIO

from perfsuite.onednn.execution import Execution
from perfsuite.onednn.header import MARKER, header_facts
from perfsuite.onednn.log import Block, blocks
from perfsuite.onednn.meaning import Call, Partition
from perfsuite.onednn.memory import Memory
from perfsuite.onednn.reader import Found, Reader, Rejected
from perfsuite.onednn.sums import Distinct, GraphExecution, Sum, Sums

#: How many rejected records are kept; all are counted.
REJECTS_KEPT = 2000

#: Lines between two additions of what came in.
_ADD_EVERY = 65_536


@dataclass(frozen=True)
class Tally:
    """What a log says.

    ``marked == executions + graph_executions + sum(ignored.values()) + rejected``: every marker is accounted for.
    A log that breaks off in the middle (a damaged gzip file) counts as one marker and one rejection more where no
    marker stands on its last, incomplete line.
    """

    #: Most time first.
    primitives: tuple[Distinct, ...]
    #: Most time first.
    graphs: tuple[GraphExecution, ...]
    lines: int
    marked: int
    executions: int
    graph_executions: int
    #: Of all executions: the exact sum, rounded once.
    time_ms: float
    #: Of all graph executions, which contain executions: never added to ``time_ms``.
    graph_time_ms: float
    #: Executions read although other output or another record stood in the way.
    recovered: int
    #: How many records could not be read; ``rejects`` holds the first ``REJECTS_KEPT`` of them.
    rejected: int
    rejects: tuple[Rejected, ...]
    #: Records that are no executions, by operation (``create:cache_hit``, ``exec:check``, ``info`` …).
    ignored: Mapping[str, int]
    #: What each copy of oneDNN says of itself, see :func:`perfsuite.onednn.header_facts`.
    copies: tuple[Mapping[str, str], ...]


def tally(stream: BinaryIO | Iterable[bytes], on_execution: Callable[[Execution], object] | None = None) -> Tally:
    """Read all of ``stream``, bytes of a log cut anywhere, in memory that does not grow with it.

    ``on_execution`` is called with every execution in the log's order, which takes several times as long.
    """
    tallier = _Tallier(on_execution)
    for block in blocks(stream):
        tallier.add(block)
    return tallier.result()


class _Tallier:
    def __init__(self, on_execution: Callable[[Execution], object] | None) -> None:
        self._on_execution = on_execution
        self._reader = Reader()
        self._sums = Sums()
        self._memory = Memory()
        self._generation = 0
        self._lines = 0
        self._waiting = 0
        self._goes_on = False
        #: Other output before the last record.
        self._before = ""
        self._rejected = 0
        self._rejects: list[Rejected] = []

    def add(self, block: Block) -> None:
        lines = block.lines
        # The number of the first line, from 1; a line that goes on is counted once.
        first = self._lines + (0 if self._goes_on else 1)
        self._lines = first + len(lines) - 1
        self._goes_on = block.goes_on
        broken = lines.pop() if block.broken is not None else None
        if self._on_execution is None:
            self._quickly(lines, first)
        else:
            for number, line in enumerate(lines, first):
                self._slowly(line, number, self._goes_on and number == self._lines)
        if broken is not None:
            self._break(broken, self._lines, block.broken or "")
            self._lines -= not broken
        self._waiting += len(lines)
        if self._waiting >= _ADD_EVERY:
            self._memory.add_recent()
            self._waiting = 0

    def _quickly(self, lines: list[bytes], first: int) -> None:
        remaining: Iterator[bytes] = iter(lines)
        beyond = first + len(lines)
        while True:
            waits = self._reader.expects_other_half
            line = next(remaining, None) if waits else self._memory.take(remaining)
            if line is None:
                return
            number = beyond - length_hint(remaining) - 1
            self._slowly(line, number, self._goes_on and not length_hint(remaining))

    def _slowly(self, line: bytes, number: int, goes_on: bool) -> None:
        if b"_verbose," not in line and not self._reader.expects_other_half:
            return
        text = line.decode("utf-8", "replace")
        for outcome in self._reader.read(text, number, goes_on):
            if isinstance(outcome, Rejected):
                self._reject(outcome)
            else:
                one = self._count(outcome)
                if outcome.repeatable and self._usual(text[: outcome.behind]):
                    self._memory.remember(line, one, outcome)
        if self._reader.generation != self._generation:
            self._generation = self._reader.generation
            self._memory.forget()

    def _usual(self, before: str) -> bool:
        """Whether a line may come again: ``before`` its record is nothing, or what a launcher puts on every line."""
        usual = not before or before == self._before
        self._before = before
        return usual

    def _count(self, found: Found) -> Sum:
        if found.instead_of is not None:
            self._rejected -= 1
            if found.instead_of in self._rejects:
                self._rejects.remove(found.instead_of)
        one = self._sums.of(found.meaning)
        one.count += 1
        one.time_fs += found.time_fs
        one.recovered += found.recovered
        if self._on_execution is not None and isinstance(found.meaning, Call):
            self._on_execution(Execution.of(found.meaning, found.time_fs, found.start_ns))
        return one

    def _reject(self, rejected: Rejected) -> None:
        self._rejected += 1
        if len(self._rejects) < REJECTS_KEPT:
            self._rejects.append(rejected)

    def _break(self, line: bytes, number: int, reason: str) -> None:
        """The log breaks off within ``line``: what stands on it may be cut off, too."""
        text = line.decode("utf-8", "replace")
        starts = [match.start() for match in MARKER.finditer(text)] or [0]
        for start in starts:
            self._reject(Rejected(number, reason, text[start : start + 200]))

    def result(self) -> Tally:
        self._memory.add_recent()
        executions, time_ms, recovered = self._sums.total(Call)
        graph_executions, graph_time_ms, graphs_recovered = self._sums.total(Partition)
        ignored = self._sums.ignored()
        return Tally(
            primitives=self._sums.primitives(),
            graphs=self._sums.graphs(),
            lines=self._lines,
            marked=executions + graph_executions + sum(ignored.values()) + self._rejected,
            executions=executions,
            graph_executions=graph_executions,
            time_ms=time_ms,
            graph_time_ms=graph_time_ms,
            recovered=recovered + graphs_recovered,
            rejected=self._rejected,
            rejects=tuple(self._rejects),
            ignored=ignored,
            copies=header_facts(self._reader.header),
        )
