"""Lines of a verbose log → what each marker in them stands for.

This is the one definition of what a line means.  :class:`perfsuite.onednn.VerboseParser` counts what comes out
of it, and :func:`perfsuite.onednn.tally` remembers what came out of it for lines that are alike.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import NamedTuple

from perfsuite.onednn.header import MARKER, names_a_copy
from perfsuite.onednn.meaning import (
    Call,
    Columns,
    Malformed,
    Meaning,
    Other,
    Partition,
    component_and_operation,
    is_graph,
    meaning_of,
)
from perfsuite.onednn.times import before_other_output, femtoseconds, is_whole

CUT_OFF = "cut off by another record on the same line"

_LEAD = re.compile(r"(\w+?_verbose)(?:,(v\d{1,9}))?,(?:(\d{1,18})(?:\.(\d{1,18}))?,)?", re.ASCII)
#: What may follow a record without being other output.
_BLANK = " \t\r\n\0"
_INFO = Other("info")
_TEXT_SHOWN = 200
#: Versions of the format that are understood; up to 3.2 records named none.
_KNOWN_VERSIONS = (None, "v1")
#: Bounds on what is remembered: characters of meanings, header lines, halves that wait for the next line.
_MEMORY_CHARACTERS = 4_000_000
_HEADER_LINES = 1000
_HALVES = 8
_HALF_CHARACTERS = 65_536


@dataclass(frozen=True)
class Rejected:
    """A record that could not be read: its line (from 1), why, and its end (:func:`perfsuite.onednn.reader.end_of`)."""

    line: int
    reason: str
    text: str


class Found(NamedTuple):
    """A record that was read.  ``time_fs`` is 0 for :class:`Other`."""

    meaning: Call | Partition | Other
    time_fs: int = 0
    start_ns: int | None = None
    #: Read although other output or another record stood in the way.
    recovered: bool = False
    #: The record was reported as rejected before its other half was there.
    instead_of: Rejected | None = None
    #: A line of the header that was not there before.
    header: bool = False
    #: All of the line but its time and timestamp determine everything but ``time_fs`` and ``start_ns``.
    repeatable: bool = False
    #: Length of the other output before the record.
    behind: int = 0
    #: The version of the format that an execution names, where it is an unknown one.
    unknown_format: str | None = None


class Reader:
    """Reads lines in order.  Its memory does not grow with the log."""

    def __init__(self) -> None:
        #: Header lines in order, from the marker on; of a copy of oneDNN that prints its header twice, the first.
        self.header: list[str] = []
        #: Columns of a primitive's line as the last template line names them, without the timestamp.
        self.template: tuple[str, ...] | None = None
        #: Raised whenever columns may mean something else than before.
        self.generation = 0
        self._columns = Columns()
        self._meanings: dict[tuple[str, str], Meaning] = {}
        self._characters = 0
        self._copies: set[str] = set()
        self._repeated_header = False
        self._halves: list[tuple[str, Rejected]] = []

    @property
    def expects_other_half(self) -> bool:
        """Whether the next line may complete a record of the last one."""
        return bool(self._halves)

    def read(self, line: str, number: int, goes_on: bool = False) -> list[Found | Rejected]:
        """What each marker in ``line`` stands for, in order; ``goes_on``: the next one is more of the same line.

        Where a record was cut in two by another one and ``line`` holds its other half, a :class:`Found` comes
        first that takes the place of the :class:`Rejected` that the line before gave.
        """
        starts = [match.start() for match in MARKER.finditer(line)]
        halves, self._halves = self._halves, []
        outcomes: list[Found | Rejected] = []
        if halves and not (starts and starts[0] == 0):
            outcomes += self._completed(halves, line[: starts[0]] if starts else line)
        for start, end in itertools.pairwise([*starts, len(line)]):
            followed = goes_on or end < len(line)
            outcome = self._record(line[start:end], number, followed)
            if isinstance(outcome, Found) and (start > 0 or followed):
                alone = len(starts) == 1 and not goes_on
                outcome = outcome._replace(recovered=True, repeatable=outcome.repeatable and alone, behind=start)
            outcomes.append(outcome)
        return outcomes

    def _completed(self, halves: list[tuple[str, Rejected]], text: str) -> list[Found | Rejected]:
        """The one of ``halves`` that ``text`` makes a whole, well-formed execution."""
        text = text.rstrip("\r\n")
        if len(text) > _HALF_CHARACTERS:
            return []
        whole = []
        for half, rejected in halves:
            outcome = self._read(half + text, learn=False)
            if isinstance(outcome, Found) and not isinstance(outcome.meaning, Other) and not outcome.recovered:
                whole.append(outcome._replace(recovered=True, instead_of=rejected, repeatable=False))
        return [*whole] if len(whole) == 1 else []

    def _record(self, record: str, number: int, followed: bool) -> Found | Rejected:
        outcome = self._read(record)
        if followed and not (isinstance(outcome, Found) and self._ended(record, outcome)):
            rejected = Rejected(number, CUT_OFF, end_of(record))
            if len(record) <= _HALF_CHARACTERS:
                self._halves = [*self._halves[1 - _HALVES :], (record, rejected)]
            return rejected
        if isinstance(outcome, str):
            return Rejected(number, outcome, end_of(record))
        return outcome

    @staticmethod
    def _ended(record: str, found: Found) -> bool:
        if isinstance(found.meaning, Other) or found.recovered or record[-1] in _BLANK:
            return True
        # Where another record follows at once, digits of this one's time may be missing.  What is longer than a
        # record can be was cut where a piece of the line ends, and digits may follow.
        return len(record) <= _HALF_CHARACTERS and is_whole(record.rpartition(",")[2])

    def _read(self, record: str, learn: bool = True) -> Found | str:
        """What ``record``, which begins with its marker, says, or why it cannot be read; ``learn`` from a header."""
        lead = _LEAD.match(record)
        if lead is None:
            return "no record behind the marker"
        marker = lead[1] if lead[2] is None else f"{lead[1]},{lead[2]}"
        unknown = None if lead[2] in _KNOWN_VERSIONS else lead[2]
        start_ns = None if lead[3] is None else _nanoseconds(lead[3], lead[4] or "")
        text = record[lead.end() :].rstrip(_BLANK)
        before, _, last = text.rpartition(",")
        meaning = self._meanings.get((marker, before))
        if meaning is None:
            meaning = self._understood(marker, before, text)
            if meaning is _INFO:
                return Found(_INFO, header=learn and self._info(marker, record.rstrip("\r\n"), text))
        if isinstance(meaning, Other):
            return Found(meaning, 0, start_ns, repeatable=(marker, before) in self._meanings)
        if not isinstance(meaning, Malformed):
            time = femtoseconds(last)
            if time is not None:
                repeatable = (marker, before) in self._meanings
                return Found(meaning, time, start_ns, repeatable=repeatable, unknown_format=unknown)
        found = self._before_other_output(marker, text, start_ns)
        if found is not None:
            return found._replace(unknown_format=unknown)
        time_is_none = f"{last[:40]!r} is not a time in milliseconds"
        reason = meaning.reason if isinstance(meaning, Malformed) else time_is_none
        return reason if unknown is None else f"{reason}, in format {unknown}, which is not known"

    def _understood(self, marker: str, before: str, text: str) -> Meaning:
        fields = text.split(",")
        _, at = component_and_operation(fields)
        if fields[at : at + 1] == ["info"]:
            return _INFO
        meaning = meaning_of(marker, fields, self._columns)
        if len(fields) > at + 1 and not isinstance(meaning, Malformed):
            self._characters += 2 * len(before) + 1000
            if self._characters > _MEMORY_CHARACTERS:
                self._meanings.clear()
                self._characters = 2 * len(before) + 1000
            self._meanings[marker, before] = meaning
        return meaning

    def _before_other_output(self, marker: str, text: str, start_ns: int | None) -> Found | None:
        """The execution that ``text`` begins with, where other output follows its time."""
        component, at = component_and_operation(text.split(",", 2)[:2])
        for columns in self._columns.of(marker, is_graph(marker, component)):
            *fields, last = text.split(",", at + len(columns) - 1)
            milliseconds = before_other_output(last)
            time = None if milliseconds is None else femtoseconds(milliseconds)
            if time is None:
                continue
            meaning = meaning_of(marker, [*fields, ""], self._columns)
            if isinstance(meaning, (Call, Partition)):
                return Found(meaning, time, start_ns, recovered=True)
        return None

    def _info(self, marker: str, record: str, text: str) -> bool:
        """Learn from a header line; whether it is new."""
        fields = text.split(",")
        component, at = component_and_operation(fields)
        about = fields[at + 1 :]
        library = ",".join(about)
        if names_a_copy(library):
            self._repeated_header = library in self._copies or len(self._copies) >= _HEADER_LINES
            if not self._repeated_header:
                self._copies.add(library)
        graph = is_graph(marker, component)
        before = self._columns.of(marker, graph)
        named = self._columns.learn(marker, graph, about)
        if named is not None and not graph:
            self.template = named
        if self._columns.of(marker, graph) != before:
            self.generation += 1
            self._meanings.clear()
            self._characters = 0
        new = not self._repeated_header and len(self.header) < _HEADER_LINES
        if new:
            self.header.append(record[:_HALF_CHARACTERS])
        return new


def end_of(record: str) -> str:
    """The last characters of ``record``, which show where it broke off; behind ``…`` if that is not all of it."""
    text = record.rstrip(_BLANK)
    return text if len(text) <= _TEXT_SHOWN else f"…{text[1 - _TEXT_SHOWN :]}"


def _nanoseconds(whole: str, fraction: str) -> int:
    # In a double, epoch milliseconds are only good to about 240 ns: the digits are taken as they stand.
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0")[:6])
