"""What the kernel says of processors, nodes, temperatures and the virtual machine around them."""

from __future__ import annotations

import re

from perfsuite.doctor.files import Files, of
from perfsuite.doctor.model import Boost, Clock, Frequency, Node, Sensor, Smt, Unread, Virtual
from perfsuite.doctor.parse import cpu_list, flags, number, switch, word
from perfsuite.quiet import Cpus

_CPUS = "/sys/devices/system/cpu"
_CLOCK = "/sys/devices/system/clocksource/clocksource0"
#: Drivers of hwmon whose temperatures are a processor's, and thermal zones of it.
_DRIVERS = re.compile(r"coretemp|k10temp|k8temp|zenpower|cpu_thermal|scpi_sensors|soc_thermal|xgene.*")
_ZONES = re.compile(r"x86_pkg_temp|.*cpu.*|.*soc.*", re.IGNORECASE)
#: What virtual machines call themselves where the processor's flags do not tell.
_MAKERS = re.compile(
    r"KVM|QEMU|VMware|VirtualBox|Xen|Bochs|Parallels|Virtual Machine|Google Compute Engine|Firecracker", re.IGNORECASE
)


def frequencies(files: Files, cpus: Cpus | Unread) -> tuple[Frequency, ...] | Unread:
    """Governor and limits of the clock of each CPU that may be used."""
    if isinstance(cpus, Unread):
        return cpus
    found = []
    for cpu in cpus.all:
        folder = f"{_CPUS}/cpu{cpu}/cpufreq"
        governor = files.read(f"{folder}/scaling_governor", word)
        if isinstance(governor, Unread):
            return governor
        limits = [of(files.read(f"{folder}/scaling_{end}_freq", number)) for end in ("min", "max")]
        found.append(Frequency(cpu, governor, of(files.read(f"{folder}/scaling_driver", word)), *limits))
    return tuple(found)


def boost(files: Files, cpus: Cpus | Unread) -> Boost | Unread:
    """Turbo: Intel's own driver has the switch inverted, others one for all CPUs, the newest one for each."""
    path = f"{_CPUS}/intel_pstate/no_turbo"
    off = files.read(path, switch)
    if not isinstance(off, Unread):
        return Boost(not off, path, f"echo 1 | sudo tee {path}")
    path = f"{_CPUS}/cpufreq/boost"
    on = files.read(path, switch)
    if not isinstance(on, Unread):
        return Boost(on, path, f"echo 0 | sudo tee {path}")
    every = f"{_CPUS}/cpu*/cpufreq/boost"
    single = (
        [] if isinstance(cpus, Unread) else [files.read(f"{_CPUS}/cpu{cpu}/cpufreq/boost", switch) for cpu in cpus.all]
    )
    known = [value for value in single if not isinstance(value, Unread)]
    if known and len(known) == len(single):
        return Boost(any(known), every, f"echo 0 | sudo tee {every}")
    return Unread(f"neither {_CPUS}/intel_pstate/no_turbo nor {_CPUS}/cpufreq/boost can be read")


def smt(files: Files, cpus: Cpus | Unread) -> Smt | Unread:
    """How many hardware threads the cores of the CPUs that may be used have."""
    if isinstance(cpus, Unread):
        return cpus
    most = 1
    for cpu in cpus.all:
        siblings = files.read(f"{_CPUS}/cpu{cpu}/topology/thread_siblings_list", cpu_list)
        if isinstance(siblings, Unread):
            return siblings
        most = max(most, len(siblings))
    return Smt(most, of(files.read(f"{_CPUS}/smt/control", word)))


def nodes(files: Files) -> tuple[Node, ...] | Unread:
    """The nodes of memory."""
    folder = "/sys/devices/system/node"
    found = []
    for path in files.matching(folder, "node[0-9]+"):
        cpus = files.read(f"{path}/cpulist", cpu_list)
        if isinstance(cpus, Unread):
            return cpus
        found.append(Node(int(path.rpartition("node")[2]), cpus))
    return tuple(found) if found else Unread(f"{folder}: no node can be seen")


def clock(files: Files) -> Clock | Unread:
    """The clock that ``time.perf_counter`` reads."""
    current = files.read(f"{_CLOCK}/current_clocksource", word)
    available = of(files.read(f"{_CLOCK}/available_clocksource", word)) or ""
    return current if isinstance(current, Unread) else Clock(current, tuple(available.split()))


# --- heat -------------------------------------------------------------------------------------------


def throttles(files: Files, cpus: Cpus | Unread) -> int | Unread:
    """How often cores and packages were slowed down for their heat; each core is counted once."""
    if isinstance(cpus, Unread):
        return cpus
    cores = [files.read(f"{_CPUS}/cpu{cpu}/thermal_throttle/core_throttle_count", number) for cpu in cpus.firsts]
    missing = next((core for core in cores if isinstance(core, Unread)), None)
    if missing is not None:
        return missing
    # Each CPU counts what happened to its package; where packages cannot be told, all CPUs are of one.
    packages: dict[int | None, int] = {}
    for cpu in cpus.firsts:
        package = of(files.read(f"{_CPUS}/cpu{cpu}/topology/physical_package_id", number))
        count = of(files.read(f"{_CPUS}/cpu{cpu}/thermal_throttle/package_throttle_count", number)) or 0
        packages[package] = max(packages.get(package, 0), count)
    return sum(core for core in cores if not isinstance(core, Unread)) + sum(packages.values())


def sensors(files: Files) -> tuple[Sensor, ...]:
    """Temperatures of processors; there are none on most virtual machines."""
    found = []
    for folder in files.matching("/sys/class/hwmon", "hwmon[0-9]+"):
        driver = of(files.read(f"{folder}/name", word)) or ""
        if _DRIVERS.fullmatch(driver):
            for path in files.matching(folder, "temp[0-9]+_input"):
                stem = path.removesuffix("_input")
                label = of(files.read(f"{stem}_label", word))
                limits = [of(files.read(f"{stem}_{kind}", number)) for kind in ("crit", "max")]
                found += _sensor(files, path, f"{driver} {label}" if label else driver, limits)
    for folder in files.matching("/sys/class/thermal", "thermal_zone[0-9]+"):
        zone = of(files.read(f"{folder}/type", word)) or ""
        if _ZONES.fullmatch(zone):
            found += _sensor(files, f"{folder}/temp", zone, _trips(files, folder))
    return tuple(found)


def _trips(files: Files, folder: str) -> list[int | None]:
    """The temperatures at which the kernel slows a zone down, or switches the machine off."""
    found = []
    for path in files.matching(folder, "trip_point_[0-9]+_type"):
        if of(files.read(path, word)) in ("passive", "hot", "critical"):
            found.append(of(files.read(path.replace("_type", "_temp"), number)))
    return found


def _sensor(files: Files, path: str, name: str, limits: list[int | None]) -> list[Sensor]:
    now = of(files.read(path, number))
    # Thousandths of a degree; one that is not connected reads 0 or far below, and a limit that is not set reads 0.
    known = [limit / 1000 for limit in limits if limit is not None and limit > 0]
    return [Sensor(name, now / 1000, min(known, default=None))] if now is not None and now > 0 else []


# --- virtual machines -------------------------------------------------------------------------------


def virtual(files: Files) -> Virtual:
    """Whether a hypervisor is below the kernel."""
    features = files.read("/proc/cpuinfo", flags)
    if isinstance(features, Unread):
        return Virtual(None, features.why)
    maker = [of(files.read(f"/sys/class/dmi/id/{name}", word)) for name in ("sys_vendor", "product_name")]
    called = " ".join(filter(None, maker))
    if features is not None:
        known = f", {called} in /sys/class/dmi/id" if called else ""
        has = "hypervisor" in features
        return Virtual(has, f"/proc/cpuinfo: {'' if has else 'no '}flag hypervisor{known if has else ''}")
    kind = of(files.read("/sys/hypervisor/type", word))
    if kind is not None:
        return Virtual(True, f"/sys/hypervisor/type: {kind}")
    if _MAKERS.search(called):
        return Virtual(True, f"/sys/class/dmi/id: {called}")
    return Virtual(None, "/proc/cpuinfo: this architecture has no flag of it")
