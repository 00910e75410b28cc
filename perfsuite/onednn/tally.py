"""A whole log → what ran, how often, how long, and what could not be read.

Lines of a log repeat: a training step executes its few hundred primitives again and again, and only the time (and
the timestamp) differs.  So what everything before the last comma means is remembered, and a line that is alike
costs a look-up and an addition.  What a line means the first time is for :mod:`perfsuite.onednn.reader` to say.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import length_hint
from typing import BinaryIO

from perfsuite.onednn.execution import Execution
from perfsuite.onednn.header import MARKER, header_facts
from perfsuite.onednn.log import Block, blocks
from perfsuite.onednn.meaning import Call, Partition
from perfsuite.onednn.memory import Memory
from perfsuite.onednn.reader import Found, Reader, Rejected, end_of
from perfsuite.onednn.sums import OTHERS, Distinct, GraphExecution, Sum, Sums
from perfsuite.onednn.times import femtoseconds, may_be_cut

#: How many rejected records are kept; all are counted.
REJECTS_KEPT = 2000

#: How many unknown versions of the format are told apart.
_FORMATS = 100

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
    #: The log ends without a line feed, within a record whose time may be cut off; it counts as it stands.
    unterminated: bool
    #: Version → how many executions and graph executions name it, of versions of the format that are not known.
    #: They are read as ``v1``, where they fit, and are among the others above.
    unknown_formats: Mapping[str, int]


def tally(stream: BinaryIO | Iterable[bytes], on_execution: Callable[[Execution], object] | None = None) -> Tally:
    """Read all of ``stream``, bytes of a log cut anywhere, in memory that does not grow with it.

    ``on_execution`` is called with every execution in the log's order, which takes several times as long as none.
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
        self._unterminated = False
        #: The line that is being read.
        self._line = b""
        #: Other output before the last record.
        self._before = ""
        self._rejected = 0
        self._rejects: list[Rejected] = []
        self._unknown_formats: Counter[str] = Counter()

    def add(self, block: Block) -> None:
        """Count the lines of the next block."""
        lines = block.lines
        # The number of the first line, from 1; a line that goes on is counted once.
        first = self._lines + (0 if self._goes_on else 1)
        self._lines = first + len(lines) - 1
        self._goes_on = block.goes_on
        # Its end is not that of a line, so what it says is not what an equal line says.
        last = lines.pop() if block.goes_on or block.unterminated or block.broken is not None else None
        self._quickly(lines, first)
        if last is not None and block.broken is not None:
            self._break(last, self._lines, block.broken)
            self._lines -= not last
        elif last is not None:
            outcome = self._slowly(last, self._lines, block.goes_on)
            self._unterminated = block.unterminated and _may_be_cut(last, outcome)
        self._waiting += len(lines)
        if self._waiting >= _ADD_EVERY:
            self._memory.add_recent()
            self._waiting = 0

    def _quickly(self, lines: list[bytes], first: int) -> None:
        remaining: Iterator[bytes] = iter(lines)
        noted = remaining if self._on_execution is None else self._noting(remaining)
        beyond = first + len(lines)
        while True:
            waits = self._reader.expects_other_half
            line = next(remaining, None) if waits else self._memory.take(noted)
            if line is None:
                return
            number = beyond - length_hint(remaining) - 1
            self._slowly(line, number, goes_on=False)

    def _noting(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        for self._line in lines:
            yield self._line

    def _slowly(self, line: bytes, number: int, goes_on: bool) -> Found | Rejected | None:
        """Read one line; the last thing it says."""
        if b"_verbose," not in line and not self._reader.expects_other_half:
            return None
        outcome: Found | Rejected | None = None
        text = line.decode("utf-8", "replace")
        for outcome in self._reader.read(text, number, goes_on):
            if isinstance(outcome, Rejected):
                self._reject(outcome)
            else:
                one = self._count(outcome)
                if outcome.repeatable and self._usual(text[: outcome.behind]):
                    self._memory.remember(line, one, outcome, self._handing_over(outcome))
        if self._reader.generation != self._generation:
            self._generation = self._reader.generation
            self._memory.forget()
        return outcome

    def _handing_over(self, found: Found) -> Callable[[int], object] | None:
        """What to call with the time of a line that says what ``found`` does."""
        on_execution, meaning, version = self._on_execution, found.meaning, self._format(found)
        hand_over: Callable[[int], object] | None = None
        if on_execution is not None and isinstance(meaning, Call):

            def hand_over(time_fs: int) -> object:
                return on_execution(Execution.of(meaning, time_fs, self._memory.start_ns(self._line)))

        if version is None:
            return hand_over

        def count_and_hand_over(time_fs: int) -> None:
            self._unknown_formats[version] += 1
            if hand_over is not None:
                hand_over(time_fs)

        return count_and_hand_over

    def _format(self, found: Found) -> str | None:
        """What an execution of an unknown format is counted by; None for what needs no such count."""
        known = self._unknown_formats
        version = found.unknown_format
        return version if version is None or version in known or len(known) < _FORMATS else OTHERS

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
        version = self._format(found)
        if version is not None:
            self._unknown_formats[version] += 1
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
        for start, end in itertools.pairwise([*starts, len(text)]):
            self._reject(Rejected(number, reason, end_of(text[start:end])))

    def result(self) -> Tally:
        """What all blocks so far add up to."""
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
            unterminated=self._unterminated,
            unknown_formats=dict(sorted(self._unknown_formats.items())),
        )


def _may_be_cut(line: bytes, outcome: Found | Rejected | None) -> bool:
    """Whether the time of the last thing that ``line`` says reaches to its end and may go on there."""
    if not isinstance(outcome, Found) or not isinstance(outcome.meaning, (Call, Partition)):
        return False
    if outcome.instead_of is not None:
        return line == line.rstrip(b" \t\r\n\0")
    time = line.rpartition(b",")[2].decode("utf-8", "replace")
    return femtoseconds(time) == outcome.time_fs and may_be_cut(time)
