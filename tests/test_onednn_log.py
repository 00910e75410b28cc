"""Logs as they lie about: what can be opened, and where a damaged one breaks off."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.errors import PerfsuiteError, StoreError, UsageError
from perfsuite.onednn import Tally, open_log, tally
from tests.verbose_text import LOGS, RECORD, markers

SAMPLE = LOGS[0]
WHOLE = tally([SAMPLE.read_bytes()])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


def read(path: Path, content: bytes) -> Tally:
    path.write_bytes(content)
    with open_log(path) as stream:
        return tally(stream)


def test_plain_and_gzip_files_are_read_alike(log: Path) -> None:
    data = SAMPLE.read_bytes()
    half = len(data) // 2
    members = gzip.compress(data[:half]) + gzip.compress(data[half:]) + bytes(50)
    assert read(log, data) == read(log, gzip.compress(data)) == read(log, members) == WHOLE


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, pack: type[bytes]) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(pack(SAMPLE.read_bytes())))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert tally(open_log("-")) == WHOLE


def test_a_pipe_that_gives_a_little_at_a_time(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.fork()
    if writer == 0:  # the pipe's other end; it runs nothing of the test's
        with pipe.open("wb", buffering=0) as stream:
            data = SAMPLE.read_bytes()
            for start in range(0, len(data), 777):
                stream.write(data[start : start + 777])
        os._exit(0)
    assert tally(open_log(pipe)) == WHOLE
    assert os.waitpid(writer, 0)[1] == 0


@given(st.floats(0, 1, exclude_max=True))
def test_a_gzip_file_that_breaks_off_keeps_what_was_read_and_says_where(share: float) -> None:
    data = SAMPLE.read_bytes()
    packed = gzip.compress(data, 1)
    packed = packed[: 20 + int(share * (len(packed) - 20))]
    found = tally(io.BufferedReader(gzip.GzipFile(fileobj=io.BytesIO(packed))))  # type: ignore[arg-type]
    assert found.rejected >= 1
    assert "cannot be read beyond this line: Compressed file ended" in found.rejects[-1].reason
    assert {reject.line for reject in found.rejects} <= {found.lines, found.lines + 1}
    assert found.executions == tally(data.splitlines(True)[: found.rejects[-1].line - 1]).executions
    assert found.marked == found.executions + sum(found.ignored.values()) + found.rejected
    assert found.marked <= markers(data) + 1


def test_where_a_truncated_gzip_file_breaks_off(log: Path) -> None:
    lines = b"".join(f"{RECORD[:-4]}{n}\n".encode() for n in range(50_000))
    packed = gzip.compress(lines)
    found = read(log, packed[: len(packed) // 2])
    (reject,) = found.rejects
    assert 10_000 < reject.line < 40_000
    assert found.executions == reject.line - 1
    assert found.time_ms == sum(range(reject.line - 1))
    assert found.marked == reject.line
    assert reject.text == "" or reject.text[:70] == RECORD[: len(reject.text)][:70]


def test_a_damaged_gzip_file(log: Path) -> None:
    packed = bytearray(gzip.compress(b"".join(path.read_bytes() for path in LOGS) * 20))
    packed[len(packed) // 2] ^= 0xFF
    found = read(log, bytes(packed))
    assert found.executions > 0
    assert "cannot be read beyond this line" in found.rejects[-1].reason
    assert "\n" not in found.rejects[-1].reason


def test_a_gzip_file_with_something_else_behind_it(log: Path) -> None:
    found = read(log, gzip.compress(f"{RECORD}\n".encode()) + b"plain text")
    assert (found.executions, found.lines, found.rejected) == (1, 1, 1)
    assert found.rejects[0].line == 2


def test_a_gzip_header_and_nothing_else(log: Path) -> None:
    found = read(log, gzip.compress(b"x")[:12])
    assert (found.marked, found.rejected, found.rejects[0].line) == (1, 1, 1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x7fELF\x02\x01\x01\x00\x00", "is a binary file, not the text that ONEDNN_VERBOSE=1 prints"),
        (gzip.compress(b"\x7fELF\x02\x01\x01\x00\x00"), "is a binary file"),
        (b"PK\x03\x04rest", "is a zip archive"),
        (b"\xfd7zXZ\x00rest", "is compressed with xz"),
        (b"\x28\xb5\x2f\xfdrest", "is compressed with zstd"),
        (b"BZh91AY", "is compressed with bzip2"),
        (RECORD.encode("utf-16"), "is UTF-16 text"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(log: Path, content: bytes, problem: str) -> None:
    log.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        open_log(log)
    assert str(caught.value).startswith(f"{log}: {problem}")
    assert "\n" not in str(caught.value)


def test_a_log_with_binary_in_it_is_a_log(log: Path) -> None:
    found = read(log, bytes(range(256)) * 30 + f"\n{RECORD}\n".encode() + bytes(1000))
    assert (found.executions, found.rejected) == (1, 0)
    assert read(log, b"").marked == 0
    assert read(log, bytes(1000)).marked == 0


def test_missing_unreadable_and_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"gone\.log: there is no such log$"):
        open_log(tmp_path / "gone.log")
    with pytest.raises(UsageError, match=r"is a folder; name the log in it$"):
        open_log(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be read: Not a directory$"):
        open_log(tmp_path / "file" / "run.log")


def test_standard_input_that_is_a_folder_or_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x7fELF\x00")))
    with pytest.raises(PerfsuiteError, match=r"^standard input: is a binary file"):
        open_log("-")
