"""Capture at the file-descriptor level what C code prints, and hand every other byte on.

oneDNN writes its verbose lines to the C library's stdout, Kineto writes to stderr; neither goes through
``sys.stdout``.  Within a capture the descriptor points at an unlinked file.  At its end the descriptor is put
back, the records that were looked for are taken out of the file, and the rest is written to where it was
going, byte for byte and in order.

What a capture cannot do: show output while the block runs, be used by two threads at once, tell ``isatty``
that there is a terminal, or save what was written if the process is killed within the block.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import sys
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from perfsuite.capture.c_streams import c_print, flush_c_streams, keep_line_buffered, pending_bytes, punch_hole
from perfsuite.errors import CaptureError

__all__ = ["StderrFilter", "StdoutCapture", "c_print", "drain_late", "flush_c_streams"]

_CHUNK_BYTES = 1 << 20
_STREAM_NAMES = {1: "stdout", 2: "stderr"}


class _Capture:
    """Points a file descriptor at a file for the length of a block; see the subclasses."""

    def __init__(self, target: int, record: re.Pattern[bytes], replay: re.Pattern[bytes] | None = None) -> None:
        #: Records in order, each from its marker to the end of its line, without the line break.
        self.records: list[str] = []
        #: Something in the block pointed the descriptor elsewhere: later records are not here but there.
        self.displaced = False
        self._target = target
        self._splitter = _Splitter(record, replay)
        self._saved: int | None = None
        self._inheritable = True
        self._pid = 0
        self._spool: _Spool

    def __enter__(self) -> Any:
        drain_late()
        self._pid = os.getpid()
        _flush(self._target)
        self._spool = _take_spool(self._target)
        try:
            self._inheritable = os.get_inheritable(self._target)
            self._saved = fcntl.fcntl(self._target, fcntl.F_DUPFD_CLOEXEC, 3)
        except OSError:  # the process was started without this descriptor: there is nowhere to hand bytes on to
            self._saved = None
        if self._target == 1 and self._saved is not None and os.isatty(self._saved):
            keep_line_buffered()
        self._spool.splitter = self._splitter
        os.dup2(self._spool.fd, self._target)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if os.getpid() != self._pid:
            # A forked child that leaves the block: its parent owns the file and will hand on what is in it.
            _flush(self._target)
            return
        try:
            _flush(self._target)
        finally:
            self._restore()
        try:
            self._spool.hand_on(self._saved, self.records)
        except OSError as failure:
            if error is None:
                raise _undeliverable(self._target, failure) from failure
        finally:
            if self._saved is not None:
                os.close(self._saved)
            _IDLE[self._target].append(self._spool)

    def _restore(self) -> None:
        if not self._spool.is_open_as(self._target):
            self.displaced = True
        elif self._saved is None:
            os.close(self._target)
        else:
            os.dup2(self._saved, self._target, self._inheritable)


class StdoutCapture(_Capture):
    """Takes records out of what is written to file descriptor 1 within the block.

    Args:
        record: what a record begins with.  It is looked for anywhere in a line and must not match a line
            break; a record reaches from there to the end of the line, so that ``abc`` + record + ``def`` is
            handed on as ``abcdef``.
        replay_records: hand the records on as well, all of them or those that match a pattern.

    Python's own ``sys.stdout`` is captured where it writes to descriptor 1.  Under pytest it does not, and its
    output then takes its usual way without waiting for the end of the block.

    Raises (on leaving, if the block did not raise):
        CaptureError: the output cannot be handed on (disk full).  A closed pipe is no error.
    """

    def __init__(self, record: re.Pattern[bytes], replay_records: bool | re.Pattern[bytes] = False) -> None:
        replay = (record if replay_records else None) if isinstance(replay_records, bool) else replay_records
        super().__init__(1, record, replay)

    def __enter__(self) -> StdoutCapture:
        super().__enter__()
        return self


class StderrFilter(_Capture):
    """Drops from file descriptor 2 what matches ``noise`` up to the end of the line, for a short block.

    What was dropped is in :attr:`records`.
    """

    def __init__(self, noise: re.Pattern[bytes]) -> None:
        super().__init__(2, noise)

    def __enter__(self) -> StderrFilter:
        super().__enter__()
        return self


def drain_late() -> None:
    """Hand on what was written into past captures after they ended.

    A process that was started within a block keeps the descriptor it inherited.  Every capture calls this
    when it begins; call it once more at the end.
    """
    for target, spools in _IDLE.items():
        for spool in spools:
            try:
                spool.hand_on(target, [])
            except OSError as failure:
                raise _undeliverable(target, failure) from failure


def _undeliverable(target: int, failure: OSError) -> CaptureError:
    return CaptureError(
        f"captured output could not be written on to {_STREAM_NAMES[target]}: {failure.strerror}; it is lost"
    )


# --- the file that stands in for the descriptor ----------------------------------------------------


class _Spool:
    """An unlinked file that writers append to and that is read once, from front to back."""

    def __init__(self) -> None:
        # Not below 3: where descriptor 1 is closed, a new file would become it.
        with tempfile.TemporaryFile(buffering=0) as file:
            self.fd = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
        # Children that opened it anew (/dev/stdout) have an offset of their own: append, never overwrite.
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) | os.O_APPEND)
        self.splitter: _Splitter
        self._read_to = 0
        self._undelivered = bytearray()

    def is_open_as(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.fstat(self.fd))
        except OSError:
            return False

    def hand_on(self, fd: int | None, records: list[str]) -> None:
        """Read what is new: records into ``records``, the rest to ``fd``.

        If that is interrupted (Ctrl-C), what is left is handed on the next time.
        """
        self._deliver(fd)
        for chunk in self._chunks():
            self._undelivered += self.splitter.feed(chunk, records)
            self._deliver(fd)
        self._undelivered += self.splitter.finish(records)
        self._deliver(fd)

    def _chunks(self) -> Iterator[bytes]:
        # Up to the size of now: a child that never stops writing must not keep us here.
        end = os.fstat(self.fd).st_size
        start = self._read_to
        while self._read_to < end:
            chunk = os.pread(self.fd, min(_CHUNK_BYTES, end - self._read_to), self._read_to)
            self._read_to += len(chunk)
            yield chunk
        if end > start:
            punch_hole(self.fd, end)

    def _deliver(self, fd: int | None) -> None:
        try:
            while self._undelivered and fd is not None:
                try:
                    written = os.write(fd, self._undelivered)
                except BlockingIOError:
                    _wait_writable(fd)
                else:
                    del self._undelivered[:written]
        except OSError as failure:
            self._undelivered.clear()
            if failure.errno not in (errno.EPIPE, errno.EBADF):  # nobody is there to read it
                raise
        if fd is None:
            self._undelivered.clear()


#: Spools that no capture is using, by the descriptor they stand in for.  They stay open for late writers and
#: are used again, so that there are only ever as many as captures were nested.
_IDLE: dict[int, list[_Spool]] = {1: [], 2: []}


def _take_spool(target: int) -> _Spool:
    if _IDLE[target]:
        return _IDLE[target].pop()
    try:
        return _Spool()
    except OSError as error:
        raise CaptureError(
            f"no temporary file to capture output in: {error.strerror}; point TMPDIR at a writable folder"
        ) from error


def _leave_spools_to_the_parent() -> None:
    for spools in _IDLE.values():
        for spool in spools:
            os.close(spool.fd)
        spools.clear()


os.register_at_fork(after_in_child=_leave_spools_to_the_parent)


class _Splitter:
    """Takes records out of a stream of bytes; the same whatever the chunks it comes in."""

    def __init__(self, record: re.Pattern[bytes], replay: re.Pattern[bytes] | None) -> None:
        self._record = record
        self._replay = replay
        self._line = bytearray()  # the unfinished last line

    def feed(self, chunk: bytes, records: list[str]) -> bytes:
        """What of ``chunk``'s complete lines is no record; records are appended to ``records``."""
        complete = chunk.rfind(b"\n") + 1
        if not complete:
            self._line += chunk
            return b""
        text = bytes(self._line) + chunk[:complete]
        self._line = bytearray(chunk[complete:])
        return self._split(text, records)

    def finish(self, records: list[str]) -> bytes:
        """The same for the last line, which has no line break."""
        text, self._line = bytes(self._line), bytearray()
        return self._split(text, records)

    def _split(self, text: bytes, records: list[str]) -> bytes:
        rest: list[bytes] = []
        position = 0
        while position < len(text) and (match := self._record.search(text, position)):
            end = text.find(b"\n", match.start()) + 1 or len(text)
            record = text[match.start() : end]
            rest.append(text[position : match.start()])
            if self._replay is not None and self._replay.match(record):
                rest.append(record)
            records.append(record.rstrip(b"\r\n").decode(errors="replace"))
            position = end
        return b"".join([*rest, text[position:]]) if rest else text


# --- descriptors ------------------------------------------------------------------------------------


def _flush(target: int) -> None:
    name = _STREAM_NAMES[target]
    for stream in (getattr(sys, name), getattr(sys, f"__{name}__")):
        flush = getattr(stream, "flush", None)
        if flush is not None:
            try:
                flush()
            except (OSError, ValueError):
                # Closed, or nobody reads: what it holds stays in its own buffer, and its owner will hear of it.
                continue
    try:
        if not os.get_blocking(target) and pending_bytes(name):
            # C's flush drops what does not fit; a writable pipe has room for at least C's buffer (PIPE_BUF).
            _wait_writable(target)
    except OSError:
        return  # closed: C has nowhere to flush to either
    flush_c_streams()


def _wait_writable(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()
