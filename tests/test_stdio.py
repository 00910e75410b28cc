"""Not a byte of the user's output is lost, leaked or moved, in whatever way it is captured around us."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import perfsuite
from perfsuite.capture import stdio
from perfsuite.capture.stdio import StderrFilter, StdoutCapture, c_print, drain_late, flush_c_streams
from perfsuite.errors import CaptureError

RECORD = re.compile(rb"onednn_verbose,")
ROOT = str(Path(perfsuite.__file__).parents[1])


@contextmanager
def descriptor_as(target: int, path: Path) -> Iterator[None]:
    """Point a descriptor at a file, so that what reaches it can be compared byte for byte."""
    flush_c_streams()
    saved = os.dup(target)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, target)
    os.close(file)
    try:
        yield
    finally:
        flush_c_streams()
        os.dup2(saved, target)
        os.close(saved)


def run_python(
    code: str, *, stdout: int | None = subprocess.PIPE, **kwargs: object
) -> subprocess.CompletedProcess[bytes]:
    prelude = """
        import os, re, sys, threading
        from perfsuite.capture.stdio import StdoutCapture, StderrFilter, c_print, drain_late, flush_c_streams
        RECORD = re.compile(rb"onednn_verbose,")
        """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ROOT},
        timeout=60,
        check=False,
        **kwargs,  # type: ignore[call-overload]
    )


# --- the split -------------------------------------------------------------------------------------

pieces = st.lists(
    st.one_of(
        st.tuples(st.just("user"), st.binary(max_size=40)),
        st.tuples(st.just("record"), st.text("abc,:0.", max_size=20).map(str.encode)),
    ),
    max_size=20,
)


def spell(parts: list[tuple[str, bytes]]) -> tuple[bytes, bytes, list[str]]:
    """(what is written, what the user must get, the records)"""
    written, rest, records = b"", b"", []
    for kind, text in parts:
        if kind == "record":
            written += b"onednn_verbose," + text + b"\n"
            records.append("onednn_verbose," + text.decode())
        else:
            written += text
            rest += text
    return written, rest, records


@given(pieces, st.integers(1, 50))
def test_splitting_does_not_depend_on_the_chunks(parts: list[tuple[str, bytes]], size: int) -> None:
    written, rest, records = spell(parts)
    splitter = stdio._Splitter(RECORD, None)
    found: list[str] = []
    out = b"".join(splitter.feed(written[at : at + size], found) for at in range(0, len(written), size))
    out += splitter.finish(found)
    assert out == rest
    assert found == records


def test_a_record_is_taken_out_of_the_middle_of_a_line(tmp_path: Path) -> None:
    with descriptor_as(1, tmp_path / "out"), StdoutCapture(RECORD) as capture:
        os.write(1, b"abc" + b"onednn_verbose,v1,x\n" + b"def\n")
    assert (tmp_path / "out").read_bytes() == b"abcdef\n"
    assert capture.records == ["onednn_verbose,v1,x"]


def test_an_unfinished_record_at_the_end_is_a_record(tmp_path: Path) -> None:
    with descriptor_as(1, tmp_path / "out"), StdoutCapture(RECORD) as capture:
        os.write(1, b"abc onednn_verbose,v1,x")
    assert (tmp_path / "out").read_bytes() == b"abc "
    assert capture.records == ["onednn_verbose,v1,x"]


@pytest.mark.parametrize(
    ("replay", "expected"),
    [
        (False, b"abc"),
        (True, b"aonednn_verbose,1\nbonednn_verbose,2\nc"),
        (re.compile(rb"onednn_verbose,2"), b"abonednn_verbose,2\nc"),
    ],
)
def test_records_are_replayed_in_their_place(tmp_path: Path, replay: bool | re.Pattern[bytes], expected: bytes) -> None:
    with descriptor_as(1, tmp_path / "out"), StdoutCapture(RECORD, replay_records=replay) as capture:
        os.write(1, b"aonednn_verbose,1\nbonednn_verbose,2\nc")
    assert (tmp_path / "out").read_bytes() == expected
    assert capture.records == ["onednn_verbose,1", "onednn_verbose,2"]


def test_a_pattern_that_matches_nothing_much_still_ends(tmp_path: Path) -> None:
    with descriptor_as(1, tmp_path / "out"), StdoutCapture(re.compile(rb"")) as capture:
        os.write(1, b"one\ntwo\nthree")
    assert (tmp_path / "out").read_bytes() == b""
    assert capture.records == ["one", "two", "three"]


# --- the descriptor --------------------------------------------------------------------------------


def test_what_c_holds_back_stays_on_its_side_of_the_block(tmp_path: Path) -> None:
    with descriptor_as(1, tmp_path / "out"):
        c_print("before onednn_verbose,not ours\n")
        with StdoutCapture(RECORD) as capture:
            c_print("onednn_verbose,ours\nwithin\n")
        c_print("after onednn_verbose,not ours\n")
    assert (tmp_path / "out").read_text() == ("before onednn_verbose,not ours\nwithin\nafter onednn_verbose,not ours\n")
    assert capture.records == ["onednn_verbose,ours"]


def test_megabytes_from_c_and_python_and_threads(tmp_path: Path) -> None:
    block = b"".join(b"%07d of the user's lines\n" % i for i in range(40_000))
    with descriptor_as(1, tmp_path / "out"), StdoutCapture(RECORD) as capture:
        os.write(1, block[: len(block) // 2])
        c_print("onednn_verbose,v1,spliced\n")
        c_print(block[len(block) // 2 :].decode())
        threads = [threading.Thread(target=os.write, args=(1, b"%d" % i * 100 + b"\n")) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    written = (tmp_path / "out").read_bytes()
    assert written.startswith(block)
    assert sorted(written[len(block) :].split()) == [b"%d" % i * 100 for i in range(4)]
    assert capture.records == ["onednn_verbose,v1,spliced"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_passes_and_the_descriptor_is_put_back(tmp_path: Path, error: type[BaseException]) -> None:
    capture = StdoutCapture(RECORD)

    def block() -> None:
        with capture:
            os.write(1, b"user\nonednn_verbose,v1\n")
            raise error

    with descriptor_as(1, tmp_path / "out"):
        here = os.fstat(1)
        with pytest.raises(error):
            block()
        assert os.path.samestat(here, os.fstat(1))
    assert (tmp_path / "out").read_bytes() == b"user\n"
    assert capture.records == ["onednn_verbose,v1"]


def test_nested_captures_each_get_their_own(tmp_path: Path) -> None:
    with descriptor_as(1, tmp_path / "out"), StdoutCapture(re.compile(rb"outer:")) as outer:
        os.write(1, b"1\nouter:a\n")
        with StdoutCapture(re.compile(rb"inner:")) as inner:
            os.write(1, b"2\ninner:b\nouter:c\n")
        os.write(1, b"3\n")
    assert (tmp_path / "out").read_bytes() == b"1\n2\n3\n"
    assert (outer.records, inner.records) == (["outer:a", "outer:c"], ["inner:b"])


def test_captures_do_not_use_up_descriptors(tmp_path: Path) -> None:
    with descriptor_as(1, tmp_path / "out"):
        with StdoutCapture(RECORD):
            pass
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            with StdoutCapture(RECORD):
                os.write(1, b".")
        assert len(os.listdir("/proc/self/fd")) == before
    assert (tmp_path / "out").read_bytes() == b"." * 50


def test_disk_is_given_back_after_each_capture(tmp_path: Path) -> None:
    with descriptor_as(1, tmp_path / "out"):
        with StdoutCapture(RECORD) as capture:
            os.write(1, b"x" * (8 << 20))
        held = os.fstat(capture._spool.fd).st_blocks * 512
    assert held < 1 << 20
    assert (tmp_path / "out").stat().st_size == 8 << 20


def test_a_block_that_redirects_stdout_itself_keeps_its_redirection(tmp_path: Path) -> None:
    with descriptor_as(1, tmp_path / "out"):
        with StdoutCapture(RECORD) as capture:
            os.write(1, b"before\n")
            file = os.open(tmp_path / "theirs", os.O_WRONLY | os.O_CREAT)
            os.dup2(file, 1)
            os.close(file)
        os.write(1, b"after\n")
    assert capture.displaced
    assert (tmp_path / "out").read_bytes() == b"before\n"
    assert (tmp_path / "theirs").read_bytes() == b"after\n"


def test_a_full_nonblocking_pipe_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    got = bytearray()

    def read() -> None:
        while chunk := os.read(reader, 1 << 16):
            got.extend(chunk)

    saved = os.dup(1)
    thread = threading.Thread(target=read)
    try:
        os.dup2(writer, 1)
        os.close(writer)
        with StdoutCapture(RECORD):
            os.write(1, b"0123456789" * 200_000)
            thread.start()
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    thread.join(30)
    os.close(reader)
    assert bytes(got) == b"0123456789" * 200_000


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    saved = os.dup(1)
    try:
        os.dup2(writer, 1)
        os.close(writer)
        with StdoutCapture(RECORD) as capture:
            os.write(1, b"user\nonednn_verbose,v1\n")
            os.close(reader)
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    assert capture.records == ["onednn_verbose,v1"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="NOT TESTED: output that meets a full disk; no /dev/full")
def test_a_full_disk_is_reported() -> None:
    result = run_python(
        """
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        from perfsuite.errors import CaptureError
        capture = StdoutCapture(RECORD)
        try:
            with capture:
                os.write(1, b"user\\nonednn_verbose,v1\\n")
        except CaptureError as error:
            print(error, capture.records, file=sys.stderr)
        """
    )
    assert b"could not be written on to stdout: No space left on device; it is lost" in result.stderr
    assert b"['onednn_verbose,v1']" in result.stderr


def test_no_temporary_folder_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(stdio, "_IDLE", {1: [], 2: []})
    monkeypatch.setattr(stdio.tempfile, "TemporaryFile", refuse)
    with pytest.raises(CaptureError, match="No usable temporary directory found; point TMPDIR"), StdoutCapture(RECORD):
        pass


def test_stderr_loses_only_the_noise(tmp_path: Path) -> None:
    with descriptor_as(2, tmp_path / "err"), StderrFilter(re.compile(rb"(USDT|STAGE):\d{4}-")) as noise:
        os.write(2, b"warning: mine\nUSDT:2026-11-21 08:15:33 profiler_start\nSTAGE:is a word\n")
    assert (tmp_path / "err").read_bytes() == b"warning: mine\nSTAGE:is a word\n"
    assert noise.records == ["USDT:2026-11-21 08:15:33 profiler_start"]


# --- other processes -------------------------------------------------------------------------------


def test_a_late_writer_is_heard_at_the_next_capture_and_at_the_end(tmp_path: Path) -> None:
    code = "import sys; print('ready', flush=True); [print(line, end='', flush=True) for line in sys.stdin]"
    with descriptor_as(1, tmp_path / "out"):
        with StdoutCapture(RECORD):
            child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True)
        assert child.stdin is not None
        child.stdin.write("late\nonednn_verbose,late\n")
        child.stdin.close()
        assert child.wait(30) == 0
        os.write(1, b"[")
        with StdoutCapture(RECORD):
            os.write(1, b"]\n")
        drain_late()
    out = (tmp_path / "out").read_text()
    assert out in ("ready\n[late\n]\n", "[ready\nlate\n]\n")


def test_a_forked_child_neither_repeats_nor_loses_anything() -> None:
    result = run_python(
        """
        print("before")
        with StdoutCapture(RECORD) as capture:
            print("parent 1")
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                print("child 1")
                c_print("child 2\\nonednn_verbose,child\\n")
                with StdoutCapture(re.compile(rb"mine:")) as inner:
                    c_print("mine:1\\nchild 3\\n")
                assert inner.records == ["mine:1"], inner.records
                sys.exit(0)  # unwinds through the block
            assert os.waitpid(child, 0)[1] == 0
            print("parent 2")
        print("after", capture.records)
        """
    )
    assert result.stderr == b""
    lines = result.stdout.decode().splitlines()
    assert sorted(lines[1:-1]) == ["child 1", "child 2", "child 3", "parent 1", "parent 2"]
    assert (lines[0], lines[-1]) == ("before", "after ['onednn_verbose,child']")


def test_a_child_killed_in_the_block_leaves_what_it_wrote() -> None:
    result = run_python(
        f"""
        with StdoutCapture(RECORD):
            child = os.fork()
            if child == 0:
                os.write(1, b"last words\\n")
                os.kill(os.getpid(), {int(signal.SIGKILL)})
            os.waitpid(child, 0)
        print("alive")
        """
    )
    assert result.stdout == b"last words\nalive\n"


MIXED = """
    print("python 1")
    c_print("c 1\\n")
    with StdoutCapture(RECORD) as capture:
        print("python 2")
        sys.stdout.flush()
        c_print("onednn_verbose,v1,x\\nc 2 ")
        c_print("onednn_verbose,v1,y\\n")
        c_print("c 3\\n")
    print("python 3", capture.records)
    """


def test_stdout_as_a_pipe() -> None:
    result = run_python("sys.stdout.reconfigure(line_buffering=True)\n" + textwrap.dedent(MIXED))
    assert result.stderr == b""
    assert result.stdout.decode().splitlines() == [
        "python 1",
        "c 1",
        "python 2",
        "c 2 c 3",
        "python 3 ['onednn_verbose,v1,x', 'onednn_verbose,v1,y']",
    ]


def test_stdout_as_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        run_python("sys.stdout.reconfigure(line_buffering=True)\n" + textwrap.dedent(MIXED), stdout=file.fileno())
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines[:4] == ["python 1", "c 1", "python 2", "c 2 c 3"]


def test_no_stdout_at_all() -> None:
    code = """
        import perfsuite.capture.stdio
        with StdoutCapture(RECORD) as capture:
            os.write(1, b"user\\n")
            c_print("onednn_verbose,v1\\n")
        try:
            os.fstat(1)
        except OSError:
            print("closed again", capture.records, file=sys.stderr)
        """
    result = run_python("os.close(1)\n" + textwrap.dedent(code), stdout=None)
    assert result.stderr == b"closed again ['onednn_verbose,v1']\n"


def test_c_stays_line_buffered_on_a_terminal() -> None:
    master, slave = os.openpty()
    result = run_python(
        """
        import ctypes
        libc = ctypes.CDLL(None)
        with StdoutCapture(RECORD):
            libc.printf(b"first write of C\\n")
        libc.printf(b"second\\n")
        os._exit(0)  # without flushing
        """,
        stdout=slave,
    )
    os.close(slave)
    assert result.returncode == 0
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the terminal has no writer any more
        while chunk := os.read(master, 4096):
            shown += chunk
    assert shown == b"first write of C\r\nsecond\r\n"
    os.close(master)


def test_a_thread_that_waits_for_stdin_does_not_hang_us() -> None:
    result = run_python(
        """
        import ctypes, time
        reader, writer = os.pipe()
        os.dup2(reader, 0)
        threading.Thread(target=ctypes.CDLL(None).getchar, daemon=True).start()
        time.sleep(0.2)
        with StdoutCapture(RECORD) as capture:
            c_print("onednn_verbose,v1\\nuser\\n")
        os.write(1, repr(capture.records).encode())
        os._exit(0)
        """
    )
    assert result.stdout == b"user\n['onednn_verbose,v1']"


# --- under pytest ----------------------------------------------------------------------------------

WHEN = ("before", "within", "after")
PYTEST_FILE = """
    import re, sys
    import pytest
    from perfsuite.capture.stdio import StdoutCapture, c_print

    RECORD = re.compile(rb"onednn_verbose,")

    def speak():
        print("python before")
        c_print("c before\\n")
        with StdoutCapture(RECORD) as capture:
            print("python within")
            c_print("onednn_verbose,v1,x\\nc within\\n")
        print("python after")
        c_print("c after\\n")
        assert capture.records == ["onednn_verbose,v1,x"]

    SAID = sorted(f"{who} {when}" for who in ("c", "python") for when in ("before", "within", "after"))
    """


@pytest.fixture
def scratch(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", ROOT)
    return pytester


@pytest.mark.parametrize("mode", ["fd", "sys", "no", "tee-sys"])
def test_every_capture_mode_of_pytest(scratch: pytest.Pytester, mode: str) -> None:
    scratch.makepyfile(textwrap.dedent(PYTEST_FILE) + "def test_it():\n    speak()\n    raise ValueError('stop')\n")
    result = scratch.runpytest_subprocess(f"--capture={mode}", "-p", "no:perfsuite", "-p", "no:benchmark")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ValueError: stop*"])
    said = re.findall(r"(?:c|python) (?:before|within|after)$", str(result.stdout), re.MULTILINE)
    assert sorted(set(said)) == sorted(f"{who} {when}" for who in ("c", "python") for when in WHEN)
    assert not [line for line in result.outlines if line.startswith("onednn_verbose")]


@pytest.mark.parametrize("mode", ["fd", "sys", "no", "tee-sys"])
def test_the_capture_fixtures_of_pytest(scratch: pytest.Pytester, mode: str) -> None:
    scratch.makepyfile(
        textwrap.dedent(PYTEST_FILE)
        + textwrap.dedent(
            """
            def test_capfd(capfd):
                speak()
                assert sorted(capfd.readouterr().out.splitlines()) == SAID

            def test_capsys(capsys):
                speak()
                assert capsys.readouterr().out == "python before\\npython within\\npython after\\n"

            def test_a_block_that_suspends_the_capture(capfd):
                with StdoutCapture(RECORD) as capture:
                    c_print("c 1\\n")
                    with capfd.disabled():
                        pass
                    c_print("c 2\\n")
                assert capture.displaced
                assert sorted(capfd.readouterr().out.splitlines()) == ["c 1", "c 2"]
            """
        )
    )
    result = scratch.runpytest_subprocess(f"--capture={mode}", "-p", "no:perfsuite", "-p", "no:benchmark")
    result.assert_outcomes(passed=3)
