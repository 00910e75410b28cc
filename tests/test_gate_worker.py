"""A worker's faults: each is one error that says whose, what and why, and leaves no process behind."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from perfsuite.gate.affinity import AffinityError, on_cpus
from perfsuite.gate.printed import Printed
from perfsuite.gate.worker import EndedError, Runnable, Worker, WorkerFault
from perfsuite.protocol import PROTOCOL
from perfsuite.records import FORMAT

#: Stands in for an interpreter: it is called as one, and may say whatever a broken worker may say.
PREAMBLE = f"""\
#!{sys.executable}
import json, os, signal, subprocess, sys, time
fd = int(next(a for a in sys.argv if a.startswith("--profile-dnn-worker=")).partition("=")[2])
def say(**message):
    os.write(fd, json.dumps(message).encode() + b"\\n")
def hello(**more):
    say(**{{"type": "hello", "protocol": {PROTOCOL}, "perfsuite": "0.0.9", "records": {FORMAT}, **more}})
"""


@pytest.fixture
def start(tmp_path):
    workers = []

    def started(body: str) -> Worker:
        script = tmp_path / "python"
        script.write_text(PREAMBLE + textwrap.dedent(body))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        worker = Worker(Runnable("head", str(script), tmp_path, os.environ), [])
        workers.append(worker)
        return worker

    yield started
    for worker in workers:
        worker.close()
        assert not psutil.pid_exists(worker.pid)


def fault(call, *arguments, **named) -> str:
    with pytest.raises(WorkerFault) as caught:
        call(*arguments, **named)
    assert caught.value.side == "head"
    text = str(caught.value)
    assert text.startswith("head's worker ")
    assert "\n" not in text
    return text


def test_an_interpreter_that_does_not_exist(tmp_path):
    said = fault(Worker, Runnable("head", str(tmp_path / "nothing"), tmp_path, os.environ), [])
    assert "cannot be started" in said
    assert "No such file" in said


def test_it_is_asked_and_answers(start):
    worker = start("""
        hello()
        request = json.loads(os.read(fd, 10_000))
        say(type="steps", ns=[request["count"]])
        time.sleep(60)
    """)
    worker.greet(30)
    assert worker.ask("step", "steps", 30, count=7)["ns"] == [7]


def test_killed(start):
    worker = start("""
        hello()
        os.read(fd, 10_000)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    worker.greet(30)
    said = fault(worker.ask, "step", "steps", 30, count=1)
    assert "was killed by SIGKILL while it was timed, as the kernel does when memory runs out" in said


def test_killed_by_a_fault_of_its_own(start):
    worker = start("os.kill(os.getpid(), signal.SIGSEGV)")
    said = fault(worker.greet, 30)
    assert "was killed by SIGSEGV" in said
    assert "memory runs out" not in said


def test_it_ended_and_said_why(start):
    worker = start("""
        print("some noise", "ERROR: file or directory not found: tests/x.py", "more noise", sep="\\n")
        sys.exit(4)
    """)
    said = fault(worker.greet, 30)
    assert (
        "ended with exit code 4 while pytest was starting; it said: ERROR: file or directory not found: tests/x.py"
        in said
    )


def test_what_pytest_prints_of_itself_is_nothing_that_it_said(start):
    worker = start("""
        print("=== test session starts ===", "platform linux -- Python", "rootdir: x", "plugins: y", "collected 1 item")
        print("", "tests/test_a.py ..F [ 50%]", "tests/test_b.py", sep="\\n", end="", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert fault(worker.greet, 30).endswith("when memory runs out")


def test_hung(start):
    worker = start("""
        hello()
        print("thinking")
        sys.stdout.flush()
        time.sleep(600)
    """)
    worker.greet(30)
    assert "was given up: no answer within 0.3 s while it was timed; it said: thinking" in fault(
        worker.ask, "step", "steps", 0.3, count=1
    )


@pytest.mark.parametrize("garbage", ["b'hello\\n'", "os.urandom(5000) + b'\\n'", "b'{\"type\": 3}\\n'", "b'[]\\n'"])
def test_garbage(start, garbage):
    worker = start(f"os.write(fd, {garbage}); time.sleep(60)")
    assert "was given up: not a message" in fault(worker.greet, 30)


def test_another_message_than_expected(start):
    worker = start("say(type='bye'); time.sleep(60)")
    assert "said 'bye' where 'hello' was expected" in fault(worker.greet, 30)


def test_another_message_comes_with_what_was_printed(start):
    worker = start("print('what now', flush=True); time.sleep(0.5); say(type='bye'); time.sleep(60)")
    assert "said 'bye' where 'hello' was expected; it said: what now" in fault(worker.greet, 30)


def test_pytest_that_stops_before_it_lists_anything(start):
    worker = start("""
        say(type="bye")
        print("ERROR: usage: python [options]", "python: error: unrecognized arguments: --speed", sep="\\n")
        print("  inifile: x")
    """)
    said = fault(worker.expect, "collected", 30)
    assert "stopped before it had listed its tests; it said: python: error: unrecognized arguments: --speed" in said


def test_one_that_prints_without_end_fills_nothing_and_its_last_words_are_kept(start):
    worker = start("""
        for number in range(200_000):
            print("noise", number)
        print("ERROR: at last", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert "when memory runs out; it said: ERROR: at last" in fault(worker.greet, 60)
    assert len(worker._printed._kept) == 64 << 10


def test_one_whose_child_prints_on_can_be_closed(start):
    worker = start("""
        loop = "import time\\nwhile True: print('x' * 10000, flush=True); time.sleep(0.01)"
        child = subprocess.Popen([sys.executable, "-c", loop], start_new_session=True)
        hello(child=child.pid)
        time.sleep(600)
    """)
    child = worker.expect("hello", 30)["child"]
    worker.close()
    # Nobody reads it any more.
    deadline = time.monotonic() + 30
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_runs_on_its_own_cpus(tmp_path):
    mine = sorted(os.sched_getaffinity(0))
    script = tmp_path / "python"
    script.write_text(PREAMBLE + "say(type='hello', cpus=list(os.sched_getaffinity(0)))\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    for cpus, expected in ((mine[:1], mine[:1]), (None, mine)):
        worker = Worker(Runnable("head", str(script), tmp_path, os.environ, cpus=cpus), [])
        try:
            assert sorted(worker.expect("hello", 30)["cpus"]) == expected
        finally:
            worker.close()
        assert sorted(os.sched_getaffinity(0)) == mine


def test_a_socket_that_is_closed_while_the_process_runs_on(start, monkeypatch):
    monkeypatch.setattr("perfsuite.gate.worker._FAREWELL_SECONDS", 0.2)
    worker = start("os.close(fd); time.sleep(60)")
    assert "closed its socket but runs on" in fault(worker.greet, 30)


def test_the_end_of_a_benchmark_is_no_fault(start):
    worker = start("say(type='ended', outcome='failed', why='ValueError: x'); time.sleep(60)")
    with pytest.raises(EndedError) as caught:
        worker.expect("ready", 30)
    assert (caught.value.side, caught.value.outcome, caught.value.why) == ("head", "failed", "ValueError: x")


def test_what_it_started_ends_with_it(start):
    worker = start("""
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        hello(child=child.pid)
        time.sleep(600)
    """)
    child = worker.expect("hello", 30)["child"]
    assert psutil.pid_exists(child)
    worker.close()
    deadline = time.monotonic() + 30
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child of the worker still runs"
        time.sleep(0.05)


def test_what_it_prints_is_not_in_the_way(start):
    worker = start("""
        print("x" * 1_000_000)
        hello()
        time.sleep(60)
    """)
    worker.greet(30)
    # A pipe that nobody empties takes 64 KiB; the last words may still be on their way.
    assert set(worker._printed.tail(100, ended=False).strip()) == {"x"}


def test_a_real_worker_ends_when_its_gate_is_killed(tmp_path):
    (tmp_path / "test_slow.py").write_text("import time\ndef test_slow(profiled):\n    profiled(time.sleep, 600)\n")
    gate = tmp_path / "gate.py"
    gate.write_text(
        textwrap.dedent(f"""
        import os, sys
        from pathlib import Path
        from perfsuite.gate.worker import Runnable, Worker
        worker = Worker(Runnable("base", sys.executable, Path({str(tmp_path)!r}), os.environ), ["test_slow.py"])
        worker.greet(60)
        listed = worker.ask("collect", "collected", 60, wanted=[], roots=[], names=[])
        nodeids = [one["nodeid"] for one in listed["benchmarks"]]
        worker.ask("run", "waiting", 60, nodeids=nodeids)
        worker.tell("begin")
        print(worker.pid, flush=True)
        worker.expect("ready", 600)
        """)
    )
    process = subprocess.Popen([sys.executable, str(gate)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert psutil.pid_exists(pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker outlived its gate"
        time.sleep(0.05)


def test_one_that_has_said_good_bye_may_do_what_it_registered_for_its_end(start, tmp_path):
    worker = start("""
        import atexit, pathlib
        hello()
        os.read(fd, 10_000)
        atexit.register(os.close, fd)
        atexit.register(lambda: (time.sleep(0.05), pathlib.Path("ended").touch()))
        say(type="bye")
    """)
    worker.greet(30)
    worker.tell("run")
    worker.expect("bye", 30)
    worker.close(30)  # which takes no longer than that does
    assert (tmp_path / "ended").exists()


def test_one_that_stays_is_not_waited_for(start):
    worker = start("hello(); say(type='bye'); time.sleep(600)")
    worker.greet(30)
    worker.expect("bye", 30)
    worker.close()
    assert not psutil.pid_exists(worker.pid)


def test_one_that_does_not_read_is_given_up(tmp_path):
    script = tmp_path / "slow"
    script.write_text(PREAMBLE + "hello()\ntime.sleep(600)\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    worker = Worker(Runnable("head", str(script), tmp_path, os.environ), [], patience=0.3)
    try:
        worker.greet(30)
        said = fault(worker.tell, "collect", names=["x" * 1000] * 10_000)
        assert "was given up: 'collect' was not read within 0.3 s" in said
    finally:
        worker.close()


def test_a_signal_comes_first_and_then_where_it_came(start):
    worker = start("""
        import faulthandler
        faulthandler.enable()
        print("tests/test_it.py ", end="", flush=True)
        faulthandler._sigsegv()
    """)
    said = fault(worker.greet, 60)
    assert said.startswith("head's worker was killed by SIGSEGV while pytest was starting; it said: Fatal Python error")
    assert "Extension modules" not in said
    assert ", File " in said


@pytest.mark.parametrize(("code", "said"), [(139, " 139, as a shell says of SIGSEGV while"), (255, " 255 while")])
def test_an_exit_code_that_a_shell_makes_of_a_signal(start, code, said):
    worker = start(f"sys.exit({code})")
    assert f"ended with exit code{said} pytest was starting" in fault(worker.greet, 30)


def test_a_death_is_noticed_though_a_child_keeps_the_connection_open(start):
    worker = start("""
        hello()
        os.read(fd, 10_000)
        if os.fork() == 0:
            time.sleep(600)
        say(type="steps", ns=[7])
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    worker.greet(30)
    # What it had said is read all the same.
    assert worker.ask("step", "steps", 30, count=1)["ns"] == [7]
    said = fault(worker.expect, "steps", 30)
    assert said.startswith("head's worker was killed by SIGKILL while it was timed")


# --- what the system refuses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["perfsuite.gate.printed.os.pipe", "perfsuite.gate.worker.socket.socketpair"], ids=["pipe", "socketpair"]
)
def test_too_many_open_files_are_one_line_and_leave_nothing(tmp_path, monkeypatch, name):
    def refused(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patch:
        patch.setattr(name, refused)
        said = fault(Worker, Runnable("head", sys.executable, tmp_path, os.environ), [])
    assert said == "head's worker cannot be started: Too many open files; ulimit -n raises the limit"
    assert os.listdir("/proc/self/fd") == before
    assert list(tmp_path.iterdir()) == []


def test_the_second_pipe_that_is_refused_costs_the_first(monkeypatch):
    really, asked = os.pipe, []

    def once():
        asked.append(1)
        if len(asked) > 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return really()

    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", once)
        with pytest.raises(OSError, match="Too many open files"):
            Printed()
    assert os.listdir("/proc/self/fd") == before


def test_a_folder_that_is_gone_is_named(tmp_path):
    said = fault(Worker, Runnable("head", sys.executable, tmp_path / "gone", os.environ), [])
    assert said == f"head's worker cannot be started: {tmp_path / 'gone'}: No such file or directory"


def test_cpus_that_may_not_be_used_are_one_line(tmp_path):
    absent = max(os.sched_getaffinity(0)) + 1000
    refused = rf"^cannot run on CPUs {absent}: Invalid argument; this process may use "
    with pytest.raises(AffinityError, match=refused), on_cpus([absent]):
        pytest.fail("it ran")
    said = fault(Worker, Runnable("head", sys.executable, tmp_path, os.environ, cpus=[absent]), [])
    assert said.startswith(f"head's worker cannot be started: cannot run on CPUs {absent}: Invalid argument")


def test_cpus_that_are_taken_away_meanwhile_take_nothing_else_away(monkeypatch):
    def refused(*_):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    with on_cpus(sorted(os.sched_getaffinity(0))):
        done = True
        monkeypatch.setattr(os, "sched_setaffinity", refused)
    assert done
