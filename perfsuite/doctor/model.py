"""What is known of a host, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from perfsuite.doctor.parse import Ticks
from perfsuite.quiet import Cpus

Status = Literal["good", "warn", "bad", "unknown"]
#: The worst first.
STATUSES: tuple[Status, ...] = ("bad", "warn", "unknown", "good")


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    ``found`` is what was read and from where, ``why`` what it does to times, ``mend`` what mends it: a sentence with
    commands between backticks, None where nothing does or nothing has to.
    """

    check: str
    status: Status
    found: str
    why: str
    mend: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All findings, the worst first, and the checks that turn out better in what ``perfsuite launch`` starts."""

    findings: tuple[Finding, ...]
    #: How long was sampled, in seconds.
    seconds: float
    launch: tuple[str, ...]

    def count(self, status: Status) -> int:
        """How many findings are of this status."""
        return sum(finding.status == status for finding in self.findings)


@dataclass(frozen=True)
class Unread:
    """A fact that could not be read, and why: ``/proc/stat: Permission denied``."""

    why: str


# --- facts ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frequency:
    """Who decides the clock of one CPU, and within which limits (kHz)."""

    cpu: int
    governor: str
    driver: str | None = None
    lowest: int | None = None
    highest: int | None = None


@dataclass(frozen=True)
class Boost:
    """Whether a CPU may run above its nominal clock, by the file that says so, and what turns it off there."""

    on: bool
    path: str
    off: str


@dataclass(frozen=True)
class Smt:
    """Hardware threads: how many a core has, and the kernel's own word on them (``on``, ``off``, ``notsupported``)."""

    threads: int
    control: str | None


@dataclass(frozen=True)
class CpuTime:
    """Time of the CPUs that may be used, since boot and in the sample, and how many CPUs are online at all."""

    since_boot: Ticks
    sampled: Ticks
    online: int


@dataclass(frozen=True)
class Busy:
    """A process that computed while sampled, on a CPU that may be used; ``cpus`` is how many CPUs' worth of time."""

    pid: int
    name: str
    cpus: float


@dataclass(frozen=True)
class Group:
    """A control group that this process is in, or one above it.

    ``quota`` is in CPUs' worth of time, None without a limit; periods and throttled ones are counted since the group
    exists, None where that is not counted.
    """

    folder: str
    quota: float | None
    periods: int | None
    throttled: int | None
    #: Periods that were throttled in the sample.
    sampled: int | None


@dataclass(frozen=True)
class Node:
    """A node of memory and the CPUs that are near it."""

    number: int
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class HugePages:
    """When memory comes in huge pages, and when the kernel makes room for one while a program waits."""

    enabled: str
    defrag: str | None


@dataclass(frozen=True)
class Swap:
    """Swap space in bytes, and the pages that were moved in and out in the sample."""

    total: int
    used: int
    moved: int


@dataclass(frozen=True)
class Throttles:
    """How often CPUs were slowed down because they were hot, since boot and in the sample."""

    since_boot: int
    sampled: int


@dataclass(frozen=True)
class Sensor:
    """A temperature of a processor and what it must stay below, in °C."""

    name: str
    celsius: float
    limit: float | None


@dataclass(frozen=True)
class Virtual:
    """Whether this is a virtual machine, None if nothing says so or otherwise, and what said it."""

    machine: bool | None
    source: str


@dataclass(frozen=True)
class Clock:
    """The clock that the kernel uses, and those that it could."""

    current: str
    available: tuple[str, ...]


@dataclass(frozen=True)
class Software:
    """What a process that is started from here would have."""

    #: What it would be started with.
    variables: Mapping[str, str]
    #: ``glibc 2.36``, as in an environment of :mod:`perfsuite.records`.
    allocator: str
    glibc: bool
    #: The libraries of other allocators that the loader would find, by family.
    allocators: Mapping[str, str]


@dataclass(frozen=True)
class OpenMP:
    """The OpenMP runtimes that a process has loaded after it imported these modules, by their files."""

    modules: tuple[str, ...]
    runtimes: tuple[str, ...]
    #: Of these, the ones that a variable brought before any program asked for one.
    preloaded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All that the checks go by; what could not be read says why."""

    #: How long was sampled, in seconds.
    seconds: float
    cpus: Cpus | Unread
    frequencies: tuple[Frequency, ...] | Unread
    boost: Boost | Unread
    smt: Smt | Unread
    #: CPU time, and how many CPUs' worth of it others used on the CPUs that may be used.
    cpu_time: CpuTime | Unread
    ran: float | Unread
    averages: tuple[float, float, float] | Unread
    #: The busiest first.
    processes: tuple[Busy, ...] | Unread
    groups: tuple[Group, ...] | Unread
    nodes: tuple[Node, ...] | Unread
    huge_pages: HugePages | Unread
    swap: Swap | Unread
    throttles: Throttles | Unread
    sensors: tuple[Sensor, ...]
    virtual: Virtual
    clock: Clock | Unread
    software: Software
    openmp: OpenMP | Unread
