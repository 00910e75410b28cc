"""Checks of what else takes time from a process: other processes, a hypervisor, a quota, far memory, a slow clock."""

from __future__ import annotations

import math
import re

from perfsuite.doctor.model import Busy, Facts, Finding, Group, Unread
from perfsuite.doctor.parse import Ticks
from perfsuite.quiet import as_list, first_number
from perfsuite.units import counted

#: CPUs' worth of time that others used: a CPU that is half taken is one that every parallel region waits for.
LOAD_WARN, LOAD_BAD = 0.1, 0.5
#: A process below it is not named.
_NAMED = 0.02
_SHOWN = 5
#: Of the time that programs wanted, what the hypervisor gave to others.
STEAL_WARN, STEAL_BAD = 0.01, 0.05
#: Ticks are coarse: less wanted time than this says nothing, and single ticks of steal say nothing either.
_WANTED, _STEAL_TICKS = 20, 2
#: Of a group's periods, how many were throttled.
THROTTLED_WARN = 0.01
#: Clocks that a program reads without a system call; the others need one, or a slow device.
_FAST = re.compile(r"tsc|arch_sys_counter|kvm-clock|hyperv_clocksource_tsc_page")
_COARSE = re.compile(r".*jiffies.*")


def load(facts: Facts) -> Finding:
    """Whether something else computes on the CPUs that may be used, now or in the last minute."""
    why = "An operator waits for its slowest thread: one CPU that is taken delays every parallel region."
    ran, averages = facts.ran, facts.averages
    if isinstance(ran, Unread):
        return Finding("load", "unknown", ran.why, why)
    found = f"others used {ran:.2f} CPUs for {facts.seconds:.1f} s (/proc/stat){_who(facts, ran)}"
    if isinstance(averages, Unread):
        found += f"; {averages.why}"
        earlier = False
    else:
        found += f"; load {averages[0]:.2f}, {averages[1]:.2f}, {averages[2]:.2f} over 1, 5, 15 minutes (/proc/loadavg)"
        online = 1 if isinstance(facts.cpu_time, Unread) else facts.cpu_time.online
        earlier = averages[0] >= max(1.0, online / 2)
    if ran >= LOAD_WARN:
        unnamed = "Find out what runs (in a container: on its host) and stop it"
        what = "Stop what is named above" if _busy(facts) else unnamed
        mend = f"{what}, or wait until it has ended; choose CPUs that it does not use with --cpus."
        return Finding("load", "bad" if ran >= LOAD_BAD else "warn", found, why, mend)
    if earlier:
        mend = "It is quiet now and was not in the last minute: look again with a longer --seconds."
        return Finding("load", "warn", found, why, mend)
    return Finding("load", "good", found, why)


def _who(facts: Facts, ran: float) -> str:
    if isinstance(facts.processes, Unread):
        return f", {facts.processes.why}"
    busy = _busy(facts)
    if not busy:
        return ", by processes that ended meanwhile or cannot be seen from here" if ran >= LOAD_WARN else ""
    more = f", {len(busy) - _SHOWN} more" if len(busy) > _SHOWN else ""
    return f": {', '.join(map(_named, busy[:_SHOWN]))}{more}"


def _busy(facts: Facts) -> list[Busy]:
    """The processes that can be named."""
    return [] if isinstance(facts.processes, Unread) else [one for one in facts.processes if one.cpus >= _NAMED]


def _named(one: Busy) -> str:
    return f"{one.name} (process {one.pid}) {one.cpus:.2f}"


def steal(facts: Facts) -> Finding:
    """How much of the time that programs wanted went to other virtual machines."""
    why = "Time that the hypervisor gives to others passes on every clock while this machine stands still."
    mend = "Move to a dedicated host or an instance with CPUs of its own; compare interleaved, never with stored times."
    read = facts.cpu_time
    if isinstance(read, Unread):
        return Finding("steal", "unknown", read.why, why)
    boot, now = _stolen(read.since_boot), _stolen(read.sampled)
    found = f"{_in_words(boot)} of the wanted CPU time since boot"
    telling = read.sampled.busy + read.sampled.steal >= _WANTED
    if telling:
        found += f", {_in_words(now)} in {facts.seconds:.1f} s (/proc/stat)"
    else:
        found += f" (/proc/stat); the CPUs had too little to do in {facts.seconds:.1f} s to say anything of now"
    counts = now is not None and telling and read.sampled.steal >= _STEAL_TICKS
    if counts and now is not None and now >= STEAL_WARN:
        return Finding("steal", "bad" if now >= STEAL_BAD else "warn", found, why, mend)
    if boot is None:
        return Finding("steal", "unknown", found, why)
    if boot >= STEAL_WARN:
        return Finding("steal", "warn", found, why, mend)
    if read.since_boot.steal == 0 and facts.virtual.machine is not False:
        return Finding("steal", "unknown", f"{found}; not every hypervisor reports it", why)
    return Finding("steal", "good", found, why)


def _stolen(ticks: Ticks) -> float | None:
    wanted = ticks.busy + ticks.steal
    return ticks.steal / wanted if wanted else None


def _in_words(share: float | None) -> str:
    return "an unknown part" if share is None else f"{share * 100:.2f}%"


def quota(facts: Facts) -> Finding:
    """Whether a control group stops the process when it has used its time."""
    why = "When the CPU time of a period is used up, all threads stand still until the next period begins."
    groups, cpus = facts.groups, facts.cpus
    if isinstance(groups, Unread):
        return Finding("quota", "unknown", groups.why, why)
    if isinstance(cpus, Unread):
        return Finding("quota", "unknown", cpus.why, why)
    limits = [group for group in groups if group.quota is not None]
    if not limits:
        return Finding("quota", "good", f"no limit in {groups[0].folder} and above, as far as it can be seen", why)
    tightest = min(limits, key=lambda group: group.quota or 0.0)
    allowed = tightest.quota or 0.0
    number = first_number(facts.software.variables.get("OMP_NUM_THREADS")) or len(cpus.all)
    threads = min(number, len(cpus.all))
    found = f"{allowed:g} CPUs of time for {counted(number, 'thread')} on {counted(len(cpus.all), 'CPU')}"
    found += f" ({tightest.folder}){_throttled(tightest, facts.seconds)}"
    fitting = max(1, math.floor(allowed))
    mend = (
        f"Raise the CPU limit of the container, or use fewer threads: `perfsuite launch --threads {fitting} -- COMMAND`"
    )
    if allowed < threads or any(group.sampled for group in limits):
        return Finding("quota", "bad", found, why, mend)
    if allowed < len(cpus.all) or any(_often(group) for group in limits):
        return Finding("quota", "warn", found, why, mend)
    return Finding("quota", "good", found, why)


def _throttled(group: Group, seconds: float) -> str:
    if group.periods is None or group.throttled is None:
        return ", which does not count what it throttled"
    said = f", throttled in {group.throttled} of {group.periods} periods"
    return f"{said}, {group.sampled} of them in {seconds:.1f} s" if group.sampled is not None else said


def _often(group: Group) -> bool:
    return bool(group.periods and group.throttled and group.throttled / group.periods >= THROTTLED_WARN)


def numa(facts: Facts) -> Finding:
    """Whether the CPUs that may be used are near the same memory."""
    why = "Memory of another node is slower, and where a page lies is decided by the thread that touched it first."
    nodes, cpus = facts.nodes, facts.cpus
    if isinstance(nodes, Unread):
        return Finding("numa", "unknown", nodes.why, why)
    if isinstance(cpus, Unread):
        return Finding("numa", "unknown", cpus.why, why)
    source = "/sys/devices/system/node"
    if len(nodes) == 1:
        found = f"one node ({source})"
        if facts.virtual.machine:
            found += "; on which of the host's the memory lies cannot be seen in a virtual machine"
            return Finding("numa", "unknown", found, why)
        return Finding("numa", "good", found, why)
    spread = [node for node in nodes if set(node.cpus) & set(cpus.all)]
    numbers = as_list([node.number for node in spread])
    found = f"{len(nodes)} nodes, CPUs {as_list(cpus.all)} may be used, which are on {numbers} ({source})"
    if len(spread) <= 1:
        return Finding("numa", "good", found, why)
    first = as_list(sorted(set(spread[0].cpus) & set(cpus.all)))
    command = f"perfsuite launch --cpus {first} -- COMMAND"
    mend = f"Stay on the CPUs of one node, or bind memory with numactl as well: `{command}`"
    return Finding("numa", "warn", found, why, mend)


def virtual(facts: Facts) -> Finding:
    """Whether a hypervisor is below the kernel, and hides what the other checks look for."""
    why = "Neighbours on the host share its caches, memory bandwidth and power, and nothing in here shows that."
    source = facts.virtual.source
    if facts.virtual.machine is None:
        return Finding("virtual machine", "unknown", source, why)
    if not facts.virtual.machine:
        return Finding(
            "virtual machine", "good", f"none: {source}", "Nothing below the kernel takes or hides anything."
        )
    hidden = "hidden: the host's clock and boost, which CPUs are one core, heat, and whose memory it is"
    mend = "From inside nothing does: take a dedicated host, and compare interleaved, never with stored times."
    return Finding("virtual machine", "warn", f"yes: {source}; {hidden}", why, mend)


def clock(facts: Facts) -> Finding:
    """Whether reading the time is cheap and fine."""
    why = "A clock that needs the kernel or a slow device is dear to read, and short operators pay for each reading."
    read = facts.clock
    if isinstance(read, Unread):
        return Finding("clock", "unknown", read.why, why)
    folder = "/sys/devices/system/clocksource/clocksource0"
    found = f"{read.current} ({folder}/current_clocksource)"
    if _FAST.fullmatch(read.current):
        return Finding("clock", "good", found, why)
    better = next((name for name in read.available if _FAST.fullmatch(name)), None)
    if better is not None:
        mend = f"Choose {better}: `echo {better} | sudo tee {folder}/current_clocksource`"
    else:
        mend = (
            "No better one is offered here; why the kernel gave up tsc is said by: `sudo dmesg | grep -i clocksource`"
        )
    return Finding("clock", "bad" if _COARSE.fullmatch(read.current) else "warn", found, why, mend)
