"""What lines mean that were read before, by everything in them but time and timestamp."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from perfsuite.onednn.meaning import Other
from perfsuite.onednn.reader import Found
from perfsuite.onednn.sums import Sum
from perfsuite.onednn.times import FS_PER_MS, femtoseconds

#: Bounds: bytes of remembered lines, and how many times are remembered with their text.
_MEMORY_BYTES = 12_000_000
_ENTRY_BYTES = 250
_TIMES = 1 << 16

#: A timestamp of today: thirteen digits of milliseconds since the epoch, a point, six digits.
_POINT, _END = 13, 20
_STAMP = re.compile(rb"\d{13}\.\d{6},")
_SCALE = tuple(FS_PER_MS // 10**digits for digits in range(13))


class Times(dict[bytes, int]):
    """Femtoseconds by the text of a time (with blanks behind it); a text that is no time is a KeyError."""

    def __missing__(self, text: bytes) -> int:
        whole, _, fraction = text.partition(b".")
        if whole.isdigit() and fraction.isdigit() and len(whole) < 10 and len(fraction) <= 12:
            time: int | None = int(whole + fraction) * _SCALE[len(fraction)]
        else:
            time = femtoseconds(text.rstrip(b" \t\r\n\0").decode("ascii", "replace"))
        if time is None:
            raise KeyError(text)
        if len(self) >= _TIMES:
            self.clear()
        self[text] = time
        return time


@dataclass(frozen=True)
class _Alike:
    """Records behind one lead, by what determines their meaning."""

    #: Executions: where their times go.
    executions: dict[bytes, Callable[[int], None]] = field(default_factory=dict)
    #: What is no execution: there anything may stand behind the last comma.
    others: dict[bytes, Sum] = field(default_factory=dict)


class Memory:
    """Lines that hold one record, by everything in them but time and timestamp."""

    def __init__(self) -> None:
        self._times = Times()
        #: By the lead, which is what stands before the timestamp and empty where there is none.  What determines
        #: the meaning reaches from the start or the comma behind the timestamp to the last comma.
        self._alike: dict[bytes, _Alike] = {b"": _Alike()}
        self._lead = b""
        self._sums: dict[int, Sum] = {}
        self._bytes = 0

    def take(self, lines: Iterator[bytes]) -> bytes | None:
        """Add lines as long as they are known; the first one that is not, or None at the end."""
        return self._take_stamped(lines) if self._lead else self._take_plain(lines)

    def _take_plain(self, lines: Iterator[bytes]) -> bytes | None:
        times, executions, others = self._times, self._alike[b""].executions, self._alike[b""].others
        for line in lines:
            before, _, time = line.rpartition(b",")
            add = executions.get(before)
            if add is not None:
                try:
                    time_fs = times[time]
                except KeyError:
                    return line
                add(time_fs)
            elif before in others:
                others[before].count += 1
            else:
                return line
        return None

    def _take_stamped(self, lines: Iterator[bytes]) -> bytes | None:
        lead = self._lead
        times, executions, others = self._times, self._alike[lead].executions, self._alike[lead].others
        start = len(lead)
        point, end = start + _POINT, start + _END
        for line in lines:
            before, _, time = line.rpartition(b",")
            # 46 is the point, 44 the comma.
            if not (
                len(before) > end
                and before[point] == 46
                and before[end] == 44
                and before[:start] == lead
                and before[start:end].replace(b".", b"0", 1).isdigit()
            ):
                return line
            before = before[end:]
            add = executions.get(before)
            if add is not None:
                try:
                    time_fs = times[time]
                except KeyError:
                    return line
                add(time_fs)
            elif before in others:
                others[before].count += 1
            else:
                return line
        return None

    def start_ns(self, line: bytes) -> int | None:
        """The timestamp of a line that :meth:`take` adds."""
        start = len(self._lead)
        return int(line[start : start + _END].replace(b".", b"", 1)) if start else None

    def remember(self, line: bytes, one: Sum, found: Found, also: Callable[[int], object] | None = None) -> None:
        """From now on a line that differs from ``line`` in time and timestamp only is added to ``one``.

        ``also`` is called with the femtoseconds of each of these lines that is an execution.
        """
        before = line.rpartition(b",")[0]
        lead = _lead(before)
        if bool(lead) != (found.start_ns is not None):
            return  # a timestamp of another length, or what looks like one: such lines are read one by one
        self._bytes += len(line) + _ENTRY_BYTES
        if self._bytes > _MEMORY_BYTES:
            self.forget()
            self._bytes = len(line) + _ENTRY_BYTES
        alike = self._alike.setdefault(lead, _Alike())
        key = before[len(lead) + _END :] if lead else before
        if isinstance(found.meaning, Other):
            alike.others[key] = one
        else:
            add = (one.recent_recovered if found.recovered else one.recent).append
            alike.executions[key] = add if also is None else _both(add, also)
            self._sums[id(one)] = one
        self._lead = lead

    def forget(self) -> None:
        """Remember nothing: lines may mean something else from now on."""
        self.add_recent()
        self._alike = {b"": _Alike()}
        self._lead = b""
        self._sums.clear()
        self._bytes = 0

    def add_recent(self) -> None:
        """Add up what came in since the last time."""
        for one in self._sums.values():
            one.add_recent()


def _both(add: Callable[[int], None], also: Callable[[int], object]) -> Callable[[int], None]:
    def both(time_fs: int) -> None:
        add(time_fs)
        also(time_fs)

    return both


def _lead(before: bytes) -> bytes:
    """``onednn_verbose,v1,`` of a line that has a timestamp of the usual length behind it; else nothing."""
    first = before.find(b",") + 1
    for start in (first, before.find(b",", first) + 1):
        stamp = before[start : start + _END + 1]
        if start and _STAMP.fullmatch(stamp):
            return before[:start]
    return b""
