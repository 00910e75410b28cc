"""Checks of what decides how fast a core runs: governor, boost, hardware threads, heat."""

from __future__ import annotations

from perfsuite.doctor.model import Facts, Finding, Frequency, Sensor, Unread
from perfsuite.quiet import Cpus, as_list
from perfsuite.units import counted

_CPUS = "/sys/devices/system/cpu"
#: This near to its limit a processor may be slowed down before the next look at it.
NEAR_LIMIT_C = 10.0


def governor(facts: Facts) -> Finding:
    """Whether the clock of the CPUs that may be used stays where it is."""
    why = "A clock that follows the load makes the first steps after a pause slower than those that follow."
    read = facts.frequencies
    if isinstance(read, Unread):
        return Finding("governor", "unknown", _hidden(facts, read, "the clock is the host's business"), why)
    names = ", ".join(sorted({one.governor for one in read}))
    drivers = ", ".join(sorted({one.driver for one in read if one.driver is not None}))
    cpus = as_list([one.cpu for one in read])
    found = f"{names}{f' ({drivers})' if drivers else ''} on CPUs {cpus} ({_CPUS}/cpu*/cpufreq/scaling_governor)"
    if all(_fixed(one) for one in read):
        limits = sorted({one.highest for one in read if one.highest is not None})
        clocks = ", ".join(f"{limit / 1e6:.2f} GHz" for limit in limits)
        return Finding("governor", "good", f"{found}, lower and upper limit are the same, {clocks}", why)
    if names == "performance":
        return Finding("governor", "good", found, why)
    command = f"echo performance | sudo tee {_CPUS}/cpu*/cpufreq/scaling_governor"
    return Finding("governor", "warn", found, why, f"Choose the governor that asks for the highest clock: `{command}`")


def _fixed(one: Frequency) -> bool:
    return one.lowest is not None and one.lowest == one.highest


def boost(facts: Facts) -> Finding:
    """Whether the clock can rise above the nominal one."""
    why = "The clock above the nominal one depends on heat and on how many cores work: the same step differs by it."
    read = facts.boost
    if isinstance(read, Unread):
        return Finding("boost", "unknown", _hidden(facts, read, "boost is the host's business"), why)
    if not read.on:
        return Finding("boost", "good", f"off ({read.path})", why)
    mend = f"While you compare, turn it off (steps get slower, and more alike): `{read.off}`"
    return Finding("boost", "warn", f"on ({read.path})", why, mend)


def smt(facts: Facts) -> Finding:
    """Whether two of the CPUs that may be used are one core."""
    why = "Two threads on one core share its units: each is slower than alone, by as much as the other one works."
    read, cpus = facts.smt, facts.cpus
    if isinstance(read, Unread):
        return Finding("smt", "unknown", read.why, why)
    if isinstance(cpus, Unread):
        return Finding("smt", "unknown", cpus.why, why)
    source = f"{_CPUS}/cpu*/topology/thread_siblings_list"
    if read.threads == 1:
        found = f"one hardware thread a core ({source})"
        if read.control is not None:
            found += f", smt/control says {read.control}"
        if facts.virtual.machine:
            found += "; which CPUs are one core of the host cannot be seen in a virtual machine"
            return Finding("smt", "unknown", found, why)
        return Finding("smt", "good", found, why)
    found = f"{read.threads} hardware threads a core, CPUs {as_list(cpus.all)} may be used ({source})"
    shared = [core for core in cpus.cores if len(core) > 1]
    if not shared:
        return Finding("smt", "good", f"{found}; no two of these are one core", why)
    pairs = counted(len(shared), "core is", "cores are")
    command = f"echo off | sudo tee {_CPUS}/smt/control"
    mend = f"Use one CPU of each core, as perfsuite launch does, or turn it off for the whole machine: `{command}`"
    return Finding("smt", "warn", f"{found}; {pairs} there several times, {_example(cpus)}", why, mend)


def _example(cpus: Cpus) -> str:
    core = next(core for core in cpus.cores if len(core) > 1)
    return f"one as CPUs {' and '.join(map(str, core))}"


def heat(facts: Facts) -> Finding:
    """Whether the processor was slowed down because it was hot, or is about to be."""
    why = "A processor that is too hot lowers its clock until it has cooled: later steps are slower than earlier ones."
    mend = "Cool the machine, or lower its power limit, and let it rest between runs; turning boost off helps too."
    hottest = _hottest(facts.sensors)
    temperature = _said(hottest) if hottest is not None else "no temperature of a processor can be read"
    near = hottest is not None and hottest.limit is not None and hottest.limit - hottest.celsius <= NEAR_LIMIT_C
    read = facts.throttles
    if isinstance(read, Unread):
        if near:
            return Finding("heat", "warn", temperature, why, mend)
        # Far below its limit it is not slowed down now, whatever was before.
        safe = hottest is not None and hottest.limit is not None
        return Finding("heat", "good" if safe else "unknown", f"{temperature}; {read.why}", why)
    found = (
        f"slowed down {counted(read.since_boot, 'time')} since boot, {read.sampled} of them in {facts.seconds:.1f} s "
        f"({_CPUS}/cpu*/thermal_throttle); {temperature}"
    )
    if read.sampled:
        return Finding("heat", "bad", found, why, mend)
    if near or read.since_boot:
        return Finding("heat", "warn", found, why, mend)
    return Finding("heat", "good", found, why)


def _hottest(sensors: tuple[Sensor, ...]) -> Sensor | None:
    """The one nearest to its limit; without any limit the hottest."""
    limited = [one for one in sensors if one.limit is not None]
    if limited:
        return min(limited, key=lambda one: (one.limit or 0) - one.celsius)
    return max(sensors, key=lambda one: one.celsius, default=None)


def _said(sensor: Sensor) -> str:
    limit = f", limit {sensor.limit:.0f} °C" if sensor.limit is not None else ", no limit known"
    return f"{sensor.celsius:.0f} °C ({sensor.name}{limit})"


def _hidden(facts: Facts, read: Unread, business: str) -> str:
    return f"{read.why}; in a virtual machine {business}" if facts.virtual.machine else read.why
