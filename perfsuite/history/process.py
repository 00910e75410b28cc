"""asv as a child process: it ends with us, and what outlives us is found again.

asv puts the processes of a benchmark into groups of their own, and these may start sessions of their own, so that
neither a group nor a session holds all of them.  What they all have is a variable that asv was started with.  Nobody
else has it: whatever carries it while we hold the lock, and was not started by us, was left by a night that was killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perfsuite.gate.child import interrupts_held

#: The variable; its value is the folder of the night's state.
MARK = "PERFSUITE_NIGHT"
#: asv ends what it has started when it is interrupted; it gets so long for it.
_GRACE_SECONDS = 15.0
_LAST_SECONDS = 3.0
#: How often is looked at what the child has written.
_LOOK_SECONDS = 1.0


def run_marked(
    command: Sequence[str],
    mark: Path,
    log: Path,
    *,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    watch: Callable[[], object] = lambda: None,
) -> int:
    """Run a command to its end in a session of its own; returns what it exited with, below 0 for a signal.

    All that it prints is appended to ``log``.  If we are interrupted, it is too, and then everything that it started is
    ended before the interruption goes on.

    Args:
        command: what to run.
        mark: the folder that its processes are known by (:func:`end_marked`).
        log: where its output goes; the folder must exist.
        cwd: where it runs.
        variables: what it has in its environment beyond ours.
        watch: called about once a second.

    Raises:
        OSError: it cannot be started, or the log cannot be written.
    """
    environment = {**os.environ, **(variables or {}), MARK: _marked(mark)}
    process = None
    with open(log, "ab") as output:
        try:
            with interrupts_held():  # or there would be a child that nobody knows of
                process = subprocess.Popen(
                    command,
                    env=environment,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            _wait(process, watch)
        except BaseException:
            with interrupts_held():
                if process is not None:
                    _interrupt(process)
                end_marked(mark)
            raise
    end_marked(mark)  # what it has left behind would disturb what is measured next
    return process.returncode


def end_marked(mark: Path) -> int:
    """End all processes that were started with this mark, and theirs; returns how many there were."""
    ended: set[int] = set()
    for number, seconds in ((signal.SIGTERM, _LAST_SECONDS), (signal.SIGKILL, _LAST_SECONDS)):
        until = time.monotonic() + seconds
        told: set[int] = set()
        while pids := set(_processes(_marked(mark))):
            for pid in pids - told:  # again and again: one that is ended may have started another meanwhile
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            told |= pids
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        ended |= told
    return len(ended)


def _wait(process: subprocess.Popen[bytes], watch: Callable[[], object]) -> None:
    """Until it ends; waking up often would disturb what it measures."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:  # an old kernel, or a sandbox
        while process.poll() is None:
            time.sleep(_LOOK_SECONDS / 4)
            watch()
        return
    try:
        while process.poll() is None:
            select.select([descriptor], [], [], _LOOK_SECONDS)
            watch()
    finally:
        os.close(descriptor)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """What Ctrl-C does: asv then ends the benchmark that runs, and removes what it made for it."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _marked(mark: Path) -> str:
    return os.path.realpath(mark)


def _processes(mark: str) -> list[int]:
    """Living processes of ours that carry the mark; this one is never among them."""
    wanted = b"\0" + os.fsencode(f"{MARK}={mark}") + b"\0"
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in b"\0" + Path("/proc", name, "environ").read_bytes():
                    found.append(int(name))
    return found
