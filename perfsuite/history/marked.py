"""Processes that are known by a variable in their environment, whoever's children they have become.

What a process has started inherits its variables, also in a group or a session of its own and when its parent is gone.
So whatever has the value that only we give, and was not started by us, was left by one of us that was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

#: How long a process has to clean up behind itself, and how long one that is killed may take to be gone.
_SECONDS = 3.0
_LOOK_SECONDS = 0.02


def marked(variable: str, value: str) -> list[int]:
    """Living processes of ours whose environment began with this value; this one is never among them."""
    wanted = b"\0" + os.fsencode(f"{variable}={value}") + b"\0"
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                if wanted in b"\0" + Path("/proc", name, "environ").read_bytes():
                    found.append(int(name))
    return found


def end_marked(variable: str, value: str) -> int:
    """End them, first with the chance to clean up behind themselves; returns how many there were.

    To be called by who has started none, or wants none of them any more.
    """
    ended: set[int] = set()
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + _SECONDS
        told: set[int] = set()
        while pids := set(marked(variable, value)):
            for pid in pids - told:  # again and again: one that is ended may have started another meanwhile
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            told |= pids
            if time.monotonic() > until:
                break
            time.sleep(_LOOK_SECONDS)
        ended |= told
    return len(ended)
