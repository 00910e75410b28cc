"""Verbose logs as they lie about (plain, gzip, standard input), in pieces of bounded size."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from perfsuite.errors import PerfsuiteError, StoreError, UsageError
from perfsuite.onednn.header import MARKER

#: A line longer than this is read in pieces.  At least two chunks.
LONGEST_LINE = 1 << 20

_CHUNK = 1 << 18
_MARKER = re.compile(MARKER.pattern.encode())
_LONGEST_MARKER = len("onednn_graph_verbose,")
_GZIP = b"\x1f\x8b"
_UNREADABLE = {
    b"\xfd7zXZ\x00": "is compressed with xz; unpack it first: xz -dc FILE | …",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first: zstd -dc FILE | …",
    b"BZh": "is compressed with bzip2; unpack it first: bzip2 -dc FILE | …",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"\xff\xfe": "is UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8 FILE",
    b"\xfe\xff": "is UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8 FILE",
}


@dataclass(frozen=True)
class Block:
    """Consecutive lines without their line feeds."""

    lines: list[bytes]
    #: The last of them goes on in the next block: it is longer than LONGEST_LINE.
    goes_on: bool = False
    #: The last of them is the log's last and has no line feed.
    unterminated: bool = False
    #: Why the log cannot be read beyond the last line, which is incomplete; None if it can.
    broken: str | None = None


def open_log(path: Path | Literal["-"]) -> BinaryIO:
    """A log to read bytes from: a plain file, a gzip file (told by its content), or ``"-"``, standard input.

    Raises:
        UsageError: ``path`` is a folder, or what it holds is no text.
        StoreError: it is missing or cannot be read.
    """
    where = "standard input" if path == "-" else str(path)
    try:
        if path == "-" and sys.stdin is None:
            raise UsageError("-: standard input is closed")
        opened = sys.stdin.buffer if path == "-" else path.open("rb", buffering=_CHUNK)
        try:
            return _text(_peekable(opened), where)
        except BaseException:
            if path != "-":
                opened.close()
            raise
    except FileNotFoundError as error:
        raise StoreError(f"{where}: there is no such log") from error
    except IsADirectoryError as error:
        raise UsageError(f"{where}: is a folder; name the log in it") from error
    except OSError as error:
        raise StoreError(f"{where}: cannot be read: {error.strerror or error}") from error


def _peekable(stream: BinaryIO) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream))


def _text(file: io.BufferedReader, where: str) -> BinaryIO:
    if file.peek(2)[:2] == _GZIP:
        unpacked = gzip.GzipFile(fileobj=file)
        try:
            start = unpacked.peek(_CHUNK)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return cast(BinaryIO, unpacked)  # the tally says where it breaks off
        _check_text(start, where)
        return cast(BinaryIO, unpacked)
    _check_text(file.peek(_CHUNK), where)
    return file


def _check_text(start: bytes, where: str) -> None:
    """
    Raises:
        UsageError: ``start`` is the start of no text.
    """
    for magic, problem in _UNREADABLE.items():
        if start.startswith(magic):
            raise UsageError(f"{where}: {problem}")
    # A killed or copied log may hold blocks of NUL: one that has a marker is a log.
    if b"\0" in start and not _MARKER.search(start) and len(start.translate(None, b"\0")) > 0:
        raise UsageError(f"{where}: is a binary file, not the text that ONEDNN_VERBOSE=1 prints")


def blocks(stream: BinaryIO | Iterable[bytes]) -> Iterator[Block]:
    """The lines of ``stream`` in order.

    How the bytes are cut into chunks makes no difference.  The last block is the only one whose ``broken`` may be
    set: a compressed file that is damaged or ends too early, or a device that fails.
    """
    parts: list[bytes] = []
    waiting = 0
    chunks = _chunks(stream)
    rest = b""
    broken: str | None = None
    while True:
        try:
            chunk = next(chunks, None)
        except (EOFError, OSError, zlib.error, PerfsuiteError) as error:
            chunk, broken = None, f"the log cannot be read beyond this line: {' '.join(str(error).split())}"
        if chunk is not None:
            parts.append(chunk)
            waiting += len(chunk)
            if waiting < _CHUNK:
                continue
        lines = b"".join([rest, *parts]).split(b"\n")
        parts, waiting = [], 0
        # Only the first can be too long: it began earlier, and what came since is shorter than LONGEST_LINE.
        for piece in _pieces(lines):
            yield Block([piece], goes_on=True)
        rest = lines.pop()
        if chunk is None:
            break
        if lines:
            yield Block(lines)
    if rest or broken:
        lines.append(rest)
    if lines:
        yield Block(lines, unterminated=bool(rest), broken=broken)


def _chunks(stream: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of at most _CHUNK."""
    if isinstance(stream, (io.BufferedIOBase, io.RawIOBase)):
        # read1 hands over what there is before it raises; read would lose it.
        read = stream.read1 if isinstance(stream, io.BufferedIOBase) else stream.read
        while chunk := read(_CHUNK):
            yield chunk
        return
    for chunk in stream:
        for start in range(0, len(chunk), _CHUNK):
            yield chunk[start : start + _CHUNK]


def _pieces(lines: list[bytes]) -> Iterator[bytes]:
    """Take what is too long off the front of ``lines[0]``; no piece ends within a marker or, if it can be, a record."""
    line = lines[0]
    done = 0
    while len(line) - done > LONGEST_LINE:
        end = done + LONGEST_LINE
        starts = [match.start() for match in _MARKER.finditer(line, done + 1, end)]
        cut = starts[-1] if starts else end - _LONGEST_MARKER
        yield line[done:cut]
        done = cut
    lines[0] = line[done:]
