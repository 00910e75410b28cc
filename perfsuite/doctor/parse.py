"""What the kernel's text files say.

Every function takes the text of one file, and raises ValueError where it is not such a text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Ticks:
    """Time of a CPU in ticks of the kernel's clock: working, with nothing to do, and taken away by the hypervisor."""

    busy: int
    idle: int
    steal: int

    def since(self, earlier: Ticks) -> Ticks:
        """What was added since; a counter that ran backwards, as that of idle time may, counts as still."""
        return Ticks(
            max(0, self.busy - earlier.busy), max(0, self.idle - earlier.idle), max(0, self.steal - earlier.steal)
        )


@dataclass(frozen=True)
class ProcessTicks:
    """One line of ``/proc/<pid>/stat``: who it is, and the ticks that it ran in user and kernel mode."""

    pid: int
    name: str
    ticks: int
    started: int
    cpu: int


def cpu_list(text: str) -> tuple[int, ...]:
    """The CPUs or nodes that ``0-3,8`` names, in order; none of an empty line (a node that has only memory)."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        ends = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part)
        if ends is None:
            raise ValueError(f"no list of CPUs: {text!r}")
        found.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    return tuple(sorted(found))


def allowed_cpus(text: str) -> tuple[int, ...]:
    """The CPUs that a process may use, of ``/proc/<pid>/status``."""
    found = re.search(r"^Cpus_allowed_list:\s*(\S+)$", text, re.MULTILINE)
    cpus = cpu_list(found[1]) if found else ()
    if not cpus:
        raise ValueError("no line Cpus_allowed_list")
    return cpus


def cpu_times(text: str) -> Mapping[int, Ticks]:
    """Time of each CPU that is online since boot, of ``/proc/stat``; time of guests is in the time of users already."""
    found = {}
    for number, rest in re.findall(r"^cpu([0-9]+) (.*)$", text, re.MULTILINE):
        values = [int(value) for value in rest.split()]
        if len(values) < 8:
            raise ValueError(f"a line of {len(values)} times")
        user, nice, system, idle, waiting, interrupts, soft, steal = values[:8]
        found[int(number)] = Ticks(user + nice + system + interrupts + soft, idle + waiting, steal)
    if not found:
        raise ValueError("no line of a CPU")
    return found


def process(text: str) -> ProcessTicks:
    """``/proc/<pid>/stat``; a name may hold spaces and brackets of its own."""
    found = re.fullmatch(r"([0-9]+) \((.*)\) (.*)", text.strip(), re.DOTALL)
    fields = found[3].split() if found else []
    if found is None or len(fields) < 37:
        raise ValueError("no line of a process")
    # Numbered as in proc(5), where the state behind the name is field 3.
    user, system, started, cpu = (int(fields[number - 3]) for number in (14, 15, 22, 39))
    return ProcessTicks(int(found[1]), found[2], user + system, started, cpu)


def load_averages(text: str) -> tuple[float, float, float]:
    """Of ``/proc/loadavg``: tasks that ran or waited, over 1, 5 and 15 minutes."""
    one, five, fifteen = (float(value) for value in text.split()[:3])
    if not all(math.isfinite(value) for value in (one, five, fifteen)):
        raise ValueError("not finite")
    return one, five, fifteen


def sizes(text: str) -> Mapping[str, int]:
    """Bytes by their names, of ``/proc/meminfo``."""
    found = {name: int(number) << 10 for name, number in re.findall(r"^(\w+):\s+([0-9]+) kB$", text, re.MULTILINE)}
    if not found:
        raise ValueError("no line of a size")
    return found


def counters(text: str) -> Mapping[str, int]:
    """Lines of a name and a whole number: ``/proc/vmstat``, ``cpu.stat`` of a control group."""
    found = {name: int(number) for name, number in re.findall(r"^([\w.]+) ([0-9]+)$", text, re.MULTILINE)}
    if not found:
        raise ValueError("no line of a counter")
    return found


def choice(text: str) -> str:
    """The one in brackets: ``always [madvise] never``."""
    found = re.search(r"\[([\w+]+)\]", text)
    if found is None:
        raise ValueError("nothing in brackets")
    return found[1]


def flags(text: str) -> frozenset[str] | None:
    """The features of the first CPU of ``/proc/cpuinfo``; None on an architecture that lists none as ``flags``."""
    found = re.search(r"^flags[ \t]*:[ \t]*(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else None


def word(text: str) -> str:
    """The only word or line of a file."""
    if not text.strip() or "\n" in text.strip():
        raise ValueError("not one line")
    return text.strip()


def number(text: str) -> int:
    """The only whole number of a file."""
    return int(text)


def switch(text: str) -> bool:
    """``1`` or ``0``."""
    if text.strip() not in ("0", "1"):
        raise ValueError("neither 0 nor 1")
    return text.strip() == "1"


# --- control groups ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mount:
    """A hierarchy of control groups that is mounted: which group of it (``root``) is seen at which folder."""

    root: str
    folder: str
    kind: str
    options: tuple[str, ...]


def own_groups(text: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """The controllers and the path of each group that a process is in, of ``/proc/<pid>/cgroup``.

    Version 2 has no controllers there.
    """
    found = re.findall(r"^[0-9]+:([^:\n]*):(/.*)$", text, re.MULTILINE)
    if not found:
        raise ValueError("no line of a group")
    return tuple((tuple(filter(None, controllers.split(","))), path) for controllers, path in found)


def group_mounts(text: str) -> tuple[Mount, ...]:
    """The hierarchies of control groups among ``/proc/<pid>/mountinfo``; there may be none."""
    found = []
    for line in text.splitlines():
        mounted, dash, source = line.partition(" - ")
        fields, kind = mounted.split(" "), source.split(" ")
        if dash and len(fields) >= 6 and len(kind) == 3 and kind[0] in ("cgroup", "cgroup2"):
            found.append(Mount(_plain(fields[3]), _plain(fields[4]), kind[0], tuple(kind[2].split(","))))
    return tuple(found)


def _plain(path: str) -> str:
    """A path of mountinfo, which writes spaces as ``\\040``."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found[1], 8)), path)


def quota_v2(text: str) -> float | None:
    """CPUs' worth of time, of ``cpu.max``: ``150000 100000`` is 1.5 of them, ``max 100000`` is no limit."""
    found = re.fullmatch(r"(max|[0-9]+) ([0-9]+)\s*", text)
    if found is None or int(found[2]) == 0:
        raise ValueError("no quota")
    return None if found[1] == "max" else int(found[1]) / int(found[2])


def quota_v1(quota: str, period: str) -> float | None:
    """CPUs' worth of time, of ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``; a quota of -1 is no limit."""
    if int(quota) < 0:
        return None
    if int(period) <= 0:
        raise ValueError("no period")
    return int(quota) / int(period)
