"""The lock of a night, and the processes that it starts."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from perfsuite.errors import StoreError
from perfsuite.history.lock import BusyError, alone
from perfsuite.history.process import MARK, end_marked, run_marked

ROOT = Path(__file__).parent.parent
HOLDER = """
import sys, time
from pathlib import Path
from perfsuite.history.lock import alone
with alone(Path(sys.argv[1]), "night"):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_one_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "lock"
    process = holder(path)
    try:
        with pytest.raises(BusyError) as error, alone(path, "night"):
            pytest.fail("two hold it")
    finally:
        process.kill()
        process.wait()
    text = str(error.value)
    assert text.startswith("another night is running: process ")
    assert f"process {process.pid} on {os.uname().nodename}, since 20" in text
    assert "\n" not in text
    assert error.value.exit_code == 2


def test_a_killed_holder_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(path)
    process.kill()
    process.wait()
    assert json.loads(path.read_text())["pid"] == process.pid
    with alone(path, "night"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
        with pytest.raises(BusyError), alone(path, "night"):
            pytest.fail("two hold it")
    with alone(path, "night"):
        pass


def test_a_child_does_not_inherit_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with alone(path, "night"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with alone(path, "night"):
            assert child.poll() is None
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", '{"pid": 4194304000, "host": "' + os.uname().nodename + '", "since": "x"}']
)
def test_who_it_is_may_not_be_known_yet(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    with alone(path, "night"):
        path.write_text(text)
        with pytest.raises(BusyError, match="not written down its name yet"), alone(path, "night"):
            pytest.fail("two hold it")


def test_a_full_disk_keeps_nobody_from_holding_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with (
        alone(tmp_path / "lock", "night"),
        pytest.raises(BusyError, match="not written down its name yet"),
        alone(tmp_path / "lock", "night"),
    ):
        pytest.fail("two hold it")


def test_a_place_without_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot lock") as error, alone(tmp_path / "file" / "lock", "night"):
        pytest.fail("it cannot be held")
    assert "\n" not in str(error.value)


# --- processes --------------------------------------------------------------------------------------

#: Starts a process in another session, as a benchmark may, writes its id down and waits.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open(sys.argv[1], "w").write(str(child.pid))
print("started", flush=True)
time.sleep(float(sys.argv[2]))
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_a_command_leaves_is_ended_with_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-u", "-c", PARENT, str(tmp_path / "pid"), "0"]
    assert run_marked(command, tmp_path, log, cwd=tmp_path) == 0
    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert run_marked([sys.executable, "-c", "import sys; print('x'); sys.exit(3)"], tmp_path, log, cwd=tmp_path) == 3
    assert log.read_text() == "started\nx\n"


def test_an_interruption_ends_all_of_it(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def watch() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise StopError

    command = [sys.executable, "-u", "-c", PARENT, str(tmp_path / "pid"), "600"]
    with pytest.raises(StopError):
        run_marked(command, tmp_path, tmp_path / "log", cwd=tmp_path, watch=watch)
    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert "KeyboardInterrupt" in (tmp_path / "log").read_text()  # it had the chance to clean up


def test_what_a_killed_night_left_is_found_by_its_mark(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from perfsuite.history.process import run_marked;"
        "run_marked(sys.argv[2:], Path(sys.argv[1]), Path(sys.argv[1], 'log'), cwd=Path(sys.argv[1]))"
    )
    parent = [sys.executable, "-u", "-c", PARENT, str(tmp_path / "pid"), "600"]
    night = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), *parent], cwd=ROOT)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    night.send_signal(signal.SIGKILL)
    night.wait()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, MARK: "/other"})
    try:
        assert end_marked(tmp_path) == 2
        assert not is_alive(int((tmp_path / "pid").read_text()))
        assert end_marked(tmp_path) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_marked([str(tmp_path / "no")], tmp_path, tmp_path / "log", cwd=tmp_path)
