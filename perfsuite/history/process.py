"""asv as a child process: it ends with us, and what outlives us is found again.

asv puts the processes of a benchmark into groups of their own, and these may start sessions of their own, so that
neither a group nor a session holds all of them.  What they all have is a variable that asv was started with
(:mod:`perfsuite.history.marked`): whatever has it while we hold the lock was left by a night that was killed.
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
from perfsuite.history import marked

#: The variable; its value is the folder of the night's state.
MARK = "PERFSUITE_NIGHT"
#: asv ends what it has started when it is interrupted; it gets so long for it.
_GRACE_SECONDS = 15.0
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
    environment = {**os.environ, **(variables or {}), MARK: _value(mark)}
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
    return marked.end_marked(MARK, _value(mark))


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


def _value(mark: Path) -> str:
    return os.path.realpath(mark)
