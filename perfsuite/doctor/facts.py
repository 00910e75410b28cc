"""Reads what the checks go by: once, and what needs sampling at both ends of an interval."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from perfsuite.doctor import hardware
from perfsuite.doctor.files import Files, of
from perfsuite.doctor.groups import Places, find_groups, read_groups, throttled
from perfsuite.doctor.model import (
    Busy,
    CpuTime,
    Facts,
    HugePages,
    OpenMP,
    Software,
    Swap,
    Throttles,
    Unread,
)
from perfsuite.doctor.parse import (
    ProcessTicks,
    Ticks,
    allowed_cpus,
    choice,
    counters,
    cpu_list,
    cpu_times,
    load_averages,
    process,
    sizes,
)
from perfsuite.quiet import Cpus

_CPUS = "/sys/devices/system/cpu"


def read_facts(
    root: Path = Path("/"),
    *,
    software: Software,
    openmp: OpenMP | Unread,
    seconds: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    ticks_per_second: int | None = None,
    own: int | None = None,
) -> Facts:
    """The facts of the host whose ``/proc`` and ``/sys`` are below ``root``.

    Args:
        root: a folder in place of ``/``.
        software: what a process that is started from here would have.
        openmp: the runtimes that one had after it imported modules.
        seconds: how long to sample.
        sleep: waits that long.
        clock: says how long it was, in seconds.
        ticks_per_second: of the kernel's clock, by default this machine's.
        own: the id of the process that looks, which is not counted.
    """
    files = Files(root)
    rate = ticks_per_second or os.sysconf("SC_CLK_TCK")
    allowed = files.read("/proc/self/status", allowed_cpus)
    cpus = allowed if isinstance(allowed, Unread) else _by_core(files, allowed)
    places = find_groups(files)
    before = _sample(files, clock, cpus, places, processes_first=True)
    sleep(seconds)
    after = _sample(files, clock, cpus, places, processes_first=False)
    elapsed = after.at - before.at
    cpu_time = _cpu_time(before, after, cpus)
    return Facts(
        seconds=elapsed,
        cpus=cpus,
        frequencies=hardware.frequencies(files, cpus),
        boost=hardware.boost(files, cpus),
        smt=hardware.smt(files, cpus),
        cpu_time=cpu_time,
        ran=_ran(cpu_time, rate * elapsed),
        averages=files.read("/proc/loadavg", load_averages),
        processes=_busy(before, after, rate, cpus, os.getpid() if own is None else own),
        groups=read_groups(files, places, before.throttled),
        nodes=hardware.nodes(files),
        huge_pages=_huge_pages(files),
        swap=_swap(files, before, after),
        throttles=_throttles(before.throttles, after.throttles),
        sensors=hardware.sensors(files),
        virtual=hardware.virtual(files),
        clock=hardware.clock(files),
        software=software,
        openmp=openmp,
    )


def _by_core(files: Files, allowed: tuple[int, ...]) -> Cpus:
    """The CPUs by physical core; where cores cannot be told, each is one."""
    cores: dict[tuple[int, ...], list[int]] = {}
    for cpu in allowed:
        siblings = of(files.read(f"{_CPUS}/cpu{cpu}/topology/thread_siblings_list", cpu_list)) or (cpu,)
        cores.setdefault(siblings, []).append(cpu)
    return Cpus(tuple(map(tuple, cores.values())))


# --- samples ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sample:
    """What is counted, at one moment; processes at one of their own, since reading thousands of them takes a while."""

    at: float
    times: Mapping[int, Ticks] | Unread
    pages: Mapping[str, int] | Unread
    throttled: dict[str, int]
    throttles: int | Unread
    processes_at: float
    processes: Mapping[tuple[int, int], ProcessTicks]


def _sample(
    files: Files, clock: Callable[[], float], cpus: Cpus | Unread, places: Places | Unread, *, processes_first: bool
) -> _Sample:
    # What this program does itself is outside the interval of the CPUs' time.
    early = (clock(), _processes(files)) if processes_first else None
    rest = (files.read("/proc/vmstat", counters), throttled(files, places), hardware.throttles(files, cpus))
    times, at = files.read("/proc/stat", cpu_times), clock()
    processes_at, processes = early or (clock(), _processes(files))
    return _Sample(at, times, *rest, processes_at, processes)


def _processes(files: Files) -> dict[tuple[int, int], ProcessTicks]:
    """Those that can be seen; one that ended meanwhile is none."""
    read = (of(files.read(f"{folder}/stat", process)) for folder in files.matching("/proc", "[0-9]+"))
    return {(found.pid, found.started): found for found in read if found is not None}


def _cpu_time(before: _Sample, after: _Sample, cpus: Cpus | Unread) -> CpuTime | Unread:
    if isinstance(cpus, Unread):
        return cpus
    if isinstance(before.times, Unread):
        return before.times
    if isinstance(after.times, Unread):
        return after.times
    # A CPU can go offline in between.
    used = [cpu for cpu in cpus.all if cpu in before.times and cpu in after.times]
    if not used:
        return Unread("/proc/stat: no line of a CPU that this process may use")
    boot = [after.times[cpu] for cpu in used]
    sampled = [after.times[cpu].since(before.times[cpu]) for cpu in used]
    return CpuTime(_sum(boot), _sum(sampled), len(after.times))


def _sum(times: list[Ticks]) -> Ticks:
    return Ticks(sum(one.busy for one in times), sum(one.idle for one in times), sum(one.steal for one in times))


def _ran(cpu_time: CpuTime | Unread, ticks: float) -> float | Unread:
    """How many CPUs' worth of time programs got."""
    if isinstance(cpu_time, Unread):
        return cpu_time
    return cpu_time.sampled.busy / ticks if ticks > 0 else Unread("the sample has no length")


def _busy(before: _Sample, after: _Sample, rate: int, cpus: Cpus | Unread, own: int) -> tuple[Busy, ...] | Unread:
    if isinstance(cpus, Unread):
        return cpus
    if not after.processes:
        return Unread("/proc: no process can be seen")
    elapsed = after.processes_at - before.processes_at
    if elapsed <= 0:
        return Unread("the sample has no length")
    found = []
    for key, now in after.processes.items():
        earlier = before.processes.get(key)
        # One that has begun meanwhile has run all its time since.
        ticks = now.ticks - (earlier.ticks if earlier is not None else 0)
        if ticks > 0 and now.pid != own and now.cpu in cpus.all:
            found.append(Busy(now.pid, now.name, ticks / rate / elapsed))
    return tuple(sorted(found, key=lambda one: (-one.cpus, one.pid)))


def _throttles(before: int | Unread, after: int | Unread) -> Throttles | Unread:
    if isinstance(before, Unread):
        return before
    return after if isinstance(after, Unread) else Throttles(after, max(0, after - before))


# --- memory -----------------------------------------------------------------------------------------


def _huge_pages(files: Files) -> HugePages | Unread:
    folder = "/sys/kernel/mm/transparent_hugepage"
    enabled = files.read(f"{folder}/enabled", choice)
    return enabled if isinstance(enabled, Unread) else HugePages(enabled, of(files.read(f"{folder}/defrag", choice)))


def _swap(files: Files, before: _Sample, after: _Sample) -> Swap | Unread:
    memory = files.read("/proc/meminfo", sizes)
    if isinstance(memory, Unread):
        return memory
    total, free = memory.get("SwapTotal"), memory.get("SwapFree")
    if total is None or free is None:
        return Unread("/proc/meminfo: no line SwapTotal and SwapFree")
    if total == 0:
        return Swap(0, 0, 0)
    if isinstance(before.pages, Unread):
        return before.pages
    if isinstance(after.pages, Unread):
        return after.pages
    moved = 0
    for name in ("pswpin", "pswpout"):
        if name not in before.pages or name not in after.pages:
            return Unread(f"/proc/vmstat: no line {name}")
        moved += max(0, after.pages[name] - before.pages[name])
    return Swap(total, max(0, total - free), moved)
