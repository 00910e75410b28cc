"""Wait for processes that this one has started and that are at work: a step that is timed beside them is slow.

They come unasked: importing IPEX starts torch's pool of compilers, whose processes import torch for seconds of CPU
time, and ``torch.compile`` starts the same pool.  On two cores steps took up to a hundred times as long meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

#: How long a child is watched to find out whether it works, and from which share of a CPU on it does.
WINDOW_SECONDS = 0.2
BUSY = 0.1
#: One that still works then is meant to: a server, or a loader that reads ahead.
MOST_SECONDS = 10.0

#: What a process is, and the CPU time in seconds that it and all that it has waited for have used; by process id.
Used = Mapping[int, tuple[str, float]]


def used_by_children() -> dict[int, tuple[str, float]]:
    """Of all processes that descend from this one, zombies left out."""
    import psutil

    found = {}
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found[child.pid] = (_called(child.cmdline()) or child.name(), float(sum(child.cpu_times()[:4])))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has ended meanwhile, or become somebody else's
    return found


def await_children(
    read: Callable[[], Used] = used_by_children,
    sleep: Callable[[float], object] = time.sleep,
    most_seconds: float = MOST_SECONDS,
) -> tuple[str, ...]:
    """Wait until no child works any more, but no longer than ``most_seconds``.

    Args:
        read: gives what the children have used so far.
        sleep: waits so many seconds.
        most_seconds: how long is waited at most.

    Returns:
        What those are that still work, sorted; nothing where all rest, which without children takes no time.
    """
    before = read()
    waited = 0.0
    while before:
        sleep(WINDOW_SECONDS)
        waited += WINDOW_SECONDS
        now = read()
        least = BUSY * WINDOW_SECONDS
        # One that is new may have begun to work at any moment: it is watched for a window as well.
        busy = {pid: name for pid, (name, used) in now.items() if used - before.get(pid, ("", -1.0))[1] >= least}
        if not busy:
            return ()
        if waited >= most_seconds:
            return tuple(sorted(set(busy.values())))
        before = now
    return ()


def _called(words: list[str]) -> str:
    """What a command line runs, short: of an interpreter the script or the module."""
    names = [os.path.basename(word.rstrip("/")) for word in words[:1]]
    rest = words[1:]
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
        rest = rest[1:]
    if rest[:1] == ["-m"]:
        rest = rest[1:]
    if rest and rest[0] != "-c":
        script = rest[0]
        if os.path.basename(script) == "__main__.py":
            script = os.path.dirname(script)
        names.append(os.path.basename(script))
    return " ".join(names)
