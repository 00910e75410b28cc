"""Short-lived children that leave nothing behind, however they or the gate end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

_GRACE_SECONDS = 5.0
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Hold:
    """Interrupts that wait."""

    def __init__(self) -> None:
        #: By signal, the handler that it found.
        self.before: dict[int, Any] = {}
        self.arrived: list[int] = []

    def note(self, number: int, frame: FrameType | None) -> None:
        self.arrived.append(number)


#: Those of the main thread that are on, the outermost first.
_HOLDS: list[_Hold] = []


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP wait for the end of the block, which must not be left half done, and then act.

    Within another block of this kind they wait for the end of that one.  Elsewhere than in the main thread, which is
    the only one that is interrupted, this does nothing.
    """
    hold = _Hold()
    if _in_main_thread():
        for number in _INTERRUPTS:
            if signal.getsignal(number) is not None:  # set by a library in C: nobody could put it back
                hold.before[number] = signal.signal(number, hold.note)
        _HOLDS.append(hold)
    try:
        yield
    finally:
        if hold in _HOLDS:
            _HOLDS.remove(hold)
        for known, handler in hold.before.items():
            signal.signal(known, handler)
        if hold.arrived:
            signal.raise_signal(hold.arrived[0])


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A part of :func:`interrupts_held` in which interrupts act at once, those that have been waiting as well."""
    within: dict[int, Any] = {}
    try:
        if _HOLDS and _in_main_thread():
            waiting = [number for hold in _HOLDS for number in hold.arrived]
            for hold in _HOLDS:
                hold.arrived.clear()
            for known, handler in _HOLDS[0].before.items():
                within[known] = signal.signal(known, handler)
            if waiting:
                signal.raise_signal(waiting[0])
        yield
    finally:
        for number, handler in within.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def run_child(
    command: Sequence[str],
    environment: Mapping[str, str],
    seconds: float,
    *,
    cwd: Path | None = None,
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end; with it end all processes that it started and that are still in its session.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took longer than ``seconds``, and was ended.
    """
    process = None
    try:
        with interrupts_held():  # or there would be a child that nobody knows of
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # the terminal's Ctrl-C is for us, and a child may have children of its own
            )
        printed, said = process.communicate(stdin, timeout=seconds)
        return subprocess.CompletedProcess(command, process.returncode, printed, said)
    except BaseException:
        if process is not None:
            end_session(process)
        raise


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and its children; first with the chance to clean up behind themselves."""
    with interrupts_held():
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
