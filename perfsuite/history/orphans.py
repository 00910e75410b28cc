"""Installers that outlived whoever started them: they would write into an environment that is being made anew."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

#: The variable that all processes of an installation inherit; its value is the environment's folder.
MARK = "PERFSUITE_INSTALLING"
_SECONDS = 10.0


def end_orphans(folder: Path) -> None:
    """End all processes that install into a folder.

    To be called by who holds the folder's lock and has started none: then they are of a process that was killed.
    """
    until = time.monotonic() + _SECONDS
    while (found := _processes(folder)) and time.monotonic() < until:
        for process in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def _processes(folder: Path) -> list[int]:
    wanted = b"\0" + os.fsencode(f"{MARK}={folder}") + b"\0"
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                if wanted in b"\0" + Path("/proc", name, "environ").read_bytes():
                    found.append(int(name))
    return found
