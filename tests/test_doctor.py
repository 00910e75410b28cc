from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.cli import main
from perfsuite.doctor import (
    STATUSES,
    Diagnosis,
    Facts,
    Finding,
    OpenMP,
    Software,
    Unread,
    diagnose,
    loaded_runtimes,
    parse,
    read_facts,
)
from perfsuite.doctor.checks import CHECKS
from perfsuite.doctor.openmp import preloaded, runtimes
from perfsuite.errors import UsageError
from perfsuite.present.doctor import diagnosis_json, render_diagnosis
from perfsuite.quiet import GLIBC, SPIN_BRIEFLY, Cpus, as_list
from tests.hostile import HOSTILE

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-c", "from perfsuite.cli import main; main()"]
CPU = "sys/devices/system/cpu"
GROUP = "sys/fs/cgroup"
#: The process that looks, in the made-up hosts.
OWN = 100
HZ = 100
QUIET = Software({**GLIBC, **SPIN_BRIEFLY, "OMP_NUM_THREADS": "4"}, "glibc 2.36", True, {})
PLAIN = Software({}, "glibc 2.36", True, {"jemalloc": "/usr/lib/libjemalloc.so.2"})
ONE_RUNTIME = OpenMP(("torch",), ("/site/torch/lib/libgomp.so.1",))


def stat_of(pid: int, name: str, ticks: int, cpu: int = 0, started: int = 7) -> str:
    values = ["S", *["0"] * 49]
    values[11], values[12], values[19], values[36] = str(ticks - ticks // 3), str(ticks // 3), str(started), str(cpu)
    return f"{pid} ({name}) {' '.join(values)}\n"


def times_of(*cpus: tuple[int, int, int]) -> str:
    """``/proc/stat`` of CPUs with busy, idle and stolen ticks."""
    lines = [f"cpu{n} {busy} 0 0 {idle} 0 0 0 {steal} 5 5" for n, (busy, idle, steal) in enumerate(cpus)]
    return "\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *lines, "intr 1 2 3", "ctxt 5", ""])


class Host:
    """A made-up host: four cores of a processor in the house, with nothing to do and nothing to complain of."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1000.0
        self.meanwhile: Callable[[], None] = lambda: None
        self.idle = [(50_000, 100_000, 0)] * 4
        self.put("proc/self/status", "Name:\tpython\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n")
        self.put("proc/stat", times_of(*self.idle))
        self.put("proc/loadavg", "0.10 0.20 0.30 1/89 15369\n")
        self.put("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse avx2\n")
        self.put("proc/meminfo", "MemTotal:       16000 kB\nSwapTotal:      8192 kB\nSwapFree:       8192 kB\n")
        self.put("proc/vmstat", "nr_free_pages 5\npswpin 10\npswpout 20\n")
        self.put("proc/self/cgroup", "0::/user.slice/me\n")
        self.put("proc/self/mountinfo", f"31 23 0:28 / /{GROUP} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n")
        self.put(f"{GROUP}/user.slice/me/cpu.max", "max 100000\n")
        self.put(f"{GROUP}/user.slice/cpu.max", "max 100000\n")
        for pid, name in ((1, "init"), (OWN, "perfsuite")):
            self.process(pid, name, 10)
        for cpu in range(4):
            self.put(f"{CPU}/cpu{cpu}/topology/thread_siblings_list", f"{cpu}\n")
            self.put(f"{CPU}/cpu{cpu}/cpufreq/scaling_governor", "performance\n")
            self.put(f"{CPU}/cpu{cpu}/cpufreq/scaling_driver", "acpi-cpufreq\n")
            self.put(f"{CPU}/cpu{cpu}/thermal_throttle/core_throttle_count", "0\n")
            self.put(f"{CPU}/cpu{cpu}/thermal_throttle/package_throttle_count", "0\n")
        self.put(f"{CPU}/cpufreq/boost", "0\n")
        self.put(f"{CPU}/smt/control", "off\n")
        self.put("sys/devices/system/node/node0/cpulist", "0-3\n")
        self.put("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
        self.put("sys/kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise [madvise] never\n")
        self.put("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n")
        self.put("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm \n")

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def drop(self, path: str) -> None:
        where = self.root / path
        shutil.rmtree(where) if where.is_dir() else where.unlink()

    def process(self, pid: int, name: str, ticks: int, **facts: int) -> None:
        self.put(f"proc/{pid}/stat", stat_of(pid, name, ticks, **facts))

    def virtual(self) -> None:
        self.put("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor avx2\n")

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()

    def facts(self, software: Software = QUIET, openmp: OpenMP | Unread = ONE_RUNTIME, seconds: float = 1.0) -> Facts:
        return read_facts(
            self.root,
            software=software,
            openmp=openmp,
            seconds=seconds,
            sleep=self.wait,
            clock=lambda: self.now,
            ticks_per_second=HZ,
            own=OWN,
        )

    def find(self, check: str, **given: object) -> Finding:
        (found,) = (one for one in diagnose(self.facts(**given)).findings if one.check == check)  # type: ignore[arg-type]
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


# --- all checks -------------------------------------------------------------------------------------


def test_a_quiet_host_is_good_throughout(host: Host) -> None:
    diagnosis = diagnose(host.facts())
    assert {one.check: one.found for one in diagnosis.findings if one.status != "good"} == {}
    assert len(diagnosis.findings) == len(CHECKS)
    assert [one.mend for one in diagnosis.findings] == [None] * len(CHECKS)
    assert diagnosis.launch == ()
    assert diagnosis.seconds == 1.0


def test_of_a_host_that_says_nothing_nothing_is_good(tmp_path: Path) -> None:
    software = Software({}, "libc", False, {})
    nothing = Unread("torch is not installed")
    facts = read_facts(tmp_path, software=software, openmp=nothing, sleep=lambda seconds: None, own=OWN)
    diagnosis = diagnose(facts)
    statuses = {one.check: one.status for one in diagnosis.findings}
    # What a C library without a name does with memory is known.
    assert statuses.pop("allocator") == "warn"
    assert set(statuses.values()) == {"unknown"}
    assert all(
        "No such file" in one.found or "can" in one.found
        for one in diagnosis.findings
        if one.check in statuses and one.check not in ("openmp", "heat", "numa")
    )
    assert diagnosis.launch == ()


def test_each_unreadable_fact_makes_its_check_unknown_and_no_other(host: Host) -> None:
    facts = host.facts()
    checks_of = {
        "cpus": {"smt", "quota", "numa", "threads"},
        "frequencies": {"governor"},
        "boost": {"boost"},
        "smt": {"smt"},
        "cpu_time": {"steal"},
        "ran": {"load"},
        "averages": set(),
        "processes": set(),
        "groups": {"quota"},
        "nodes": {"numa"},
        "huge_pages": {"huge pages"},
        "swap": {"swap"},
        "throttles": {"heat"},
        "clock": {"clock"},
        "openmp": {"openmp"},
    }
    may_be_unread = {field.name for field in fields(Facts) if "Unread" in str(field.type)}
    assert may_be_unread == set(checks_of)
    for name, checks in checks_of.items():
        findings = diagnose(replace(facts, **{name: Unread("/a/file: Permission denied")})).findings
        unknown = {one.check: one.found for one in findings if one.status == "unknown"}
        assert set(unknown) == checks
        assert all("/a/file: Permission denied" in found for found in unknown.values())


def test_the_worst_comes_first(host: Host) -> None:
    host.virtual()
    host.meanwhile = lambda: host.put("proc/vmstat", "pswpin 11\npswpout 20\n")
    findings = diagnose(host.facts(PLAIN)).findings
    order = [STATUSES.index(one.status) for one in findings]
    assert order == sorted(order)
    assert {one.status for one in findings} == set(STATUSES)
    assert findings[0].check == "swap"


def test_what_launch_mends_is_what_turns_out_better(host: Host) -> None:
    for core, cpus in enumerate(("0,2", "1,3")):
        host.put(f"{CPU}/cpu{core}/topology/thread_siblings_list", f"{cpus}\n")
        host.put(f"{CPU}/cpu{core + 2}/topology/thread_siblings_list", f"{cpus}\n")
    host.put(f"{GROUP}/user.slice/me/cpu.max", "200000 100000\n")
    diagnosis = diagnose(host.facts(PLAIN))
    # One thread a core: the quota of two CPUs then suffices.
    assert set(diagnosis.launch) == {"smt", "allocator", "threads", "quota"}
    assert {one.check for one in diagnosis.findings if one.status != "good"} == set(diagnosis.launch)


# --- one by one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "part"),
    [
        ({"cpu0": "powersave"}, "warn", "performance, powersave"),
        ({f"cpu{n}": "schedutil" for n in range(4)}, "warn", "schedutil (acpi-cpufreq) on CPUs 0-3"),
    ],
)
def test_a_governor_that_follows_the_load(host: Host, changes: Mapping[str, str], status: str, part: str) -> None:
    for cpu, governor in changes.items():
        host.put(f"{CPU}/{cpu}/cpufreq/scaling_governor", f"{governor}\n")
    found = host.find("governor")
    assert found.status == status
    assert part in found.found
    assert "`echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor`" in str(found.mend)


def test_a_clock_between_equal_limits_is_fixed_whatever_the_governor(host: Host) -> None:
    for cpu in range(4):
        host.put(f"{CPU}/cpu{cpu}/cpufreq/scaling_governor", "powersave\n")
        for end in ("min", "max"):
            host.put(f"{CPU}/cpu{cpu}/cpufreq/scaling_{end}_freq", "2400000\n")
    assert host.find("governor").status == "good"
    assert "2.40 GHz" in host.find("governor").found
    host.put(f"{CPU}/cpu3/cpufreq/scaling_min_freq", "800000\n")
    assert host.find("governor").status == "warn"


def test_only_the_cpus_that_may_be_used_count(host: Host) -> None:
    host.put(f"{CPU}/cpu3/cpufreq/scaling_governor", "powersave\n")
    host.put("proc/self/status", "Cpus_allowed_list:\t0-2\n")
    host.meanwhile = lambda: (
        host.put("proc/stat", times_of(*host.idle[:3], (50_100, 100_000, 0))),
        host.process(55, "burn", 100, cpu=3),
    )
    assert host.find("governor").status == "good"
    assert host.find("load").status == "good"


@pytest.mark.parametrize(
    ("path", "text", "status", "command"),
    [
        (f"{CPU}/intel_pstate/no_turbo", "0", "warn", f"echo 1 | sudo tee /{CPU}/intel_pstate/no_turbo"),
        (f"{CPU}/intel_pstate/no_turbo", "1", "good", None),
        (f"{CPU}/cpufreq/boost", "1", "warn", f"echo 0 | sudo tee /{CPU}/cpufreq/boost"),
        (f"{CPU}/cpufreq/boost", "0", "good", None),
        (f"{CPU}/cpufreq/boost", "?", "unknown", None),
    ],
)
def test_boost(host: Host, path: str, text: str, status: str, command: str | None) -> None:
    host.put(path, f"{text}\n")
    found = host.find("boost")
    assert found.status == status
    assert found.mend is None if command is None else command in str(found.mend)


def test_boost_of_each_cpu(host: Host) -> None:
    host.drop(f"{CPU}/cpufreq")
    for cpu in range(4):
        host.put(f"{CPU}/cpu{cpu}/cpufreq/boost", "0\n")
    assert host.find("boost").status == "good"
    host.put(f"{CPU}/cpu2/cpufreq/boost", "1\n")
    assert host.find("boost").status == "warn"
    host.drop(f"{CPU}/cpu2/cpufreq/boost")
    assert host.find("boost").status == "unknown"


def test_hardware_threads_count_where_two_of_one_core_may_be_used(host: Host) -> None:
    for cpu in range(4):
        host.put(f"{CPU}/cpu{cpu}/topology/thread_siblings_list", f"{cpu % 2},{cpu % 2 + 2}\n")
    host.put(f"{CPU}/smt/control", "on\n")
    found = host.find("smt")
    assert found.status == "warn"
    assert "one as CPUs 0 and 2" in found.found
    host.put("proc/self/status", "Cpus_allowed_list:\t0,3\n")
    assert host.find("smt").status == "good"


def test_a_virtual_machine_hides_the_host(host: Host) -> None:
    host.virtual()
    host.put("sys/class/dmi/id/sys_vendor", "QEMU\n")
    found = host.find("virtual machine")
    assert found.status == "warn"
    assert "flag hypervisor" in found.found
    assert "QEMU" in found.found
    statuses = {one.check: one.status for one in diagnose(host.facts()).findings}
    assert {check for check, status in statuses.items() if status == "unknown"} == {"smt", "numa", "steal"}


@pytest.mark.parametrize(
    ("path", "text", "status"),
    [
        ("sys/class/dmi/id/sys_vendor", "QEMU", "warn"),
        ("sys/hypervisor/type", "xen", "warn"),
        ("sys/class/dmi/id/sys_vendor", "Ampere", "unknown"),
    ],
)
def test_where_no_flag_tells_of_a_virtual_machine(host: Host, path: str, text: str, status: str) -> None:
    host.put("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd\n")
    host.put(path, f"{text}\n")
    assert host.find("virtual machine").status == status


@pytest.mark.parametrize(
    ("boot", "sampled", "status", "part"),
    [
        ((1000, 0), (100, 0), "good", "0.00% in 1.0 s"),
        ((1000, 5), (100, 0), "good", "0.50% of the wanted CPU time since boot"),
        ((1000, 20), (100, 0), "warn", "1.96%"),
        ((1000, 5), (97, 3), "warn", "3.00% in 1.0 s"),
        ((1000, 5), (90, 10), "bad", "10.00% in 1.0 s"),
        # A single tick of a hundredth of a second is no share of anything.
        ((1000, 1), (30, 1), "good", "since boot"),
        ((1000, 5), (3, 2), "good", "too little to do"),
    ],
)
def test_steal(host: Host, boot: tuple[int, int], sampled: tuple[int, int], status: str, part: str) -> None:
    rest = [(0, 1000, 0)] * 3
    # What is said of the time since boot includes the sample.
    host.put("proc/stat", times_of((boot[0] - sampled[0], 0, boot[1] - min(boot[1], sampled[1])), *rest))
    after = (boot[0], 0, boot[1] - min(boot[1], sampled[1]) + sampled[1])
    host.meanwhile = lambda: host.put("proc/stat", times_of(after, *rest))
    found = host.find("steal")
    assert (found.status, part in found.found) == (status, True), found.found


def test_no_steal_at_all_in_a_virtual_machine_may_just_not_be_told(host: Host) -> None:
    host.virtual()
    assert host.find("steal").status == "unknown"
    host.put("proc/stat", times_of((50_000, 100_000, 3), *host.idle[1:]))
    assert host.find("steal").status == "good"


def test_counters_that_run_backwards_are_still(host: Host) -> None:
    host.meanwhile = lambda: host.put("proc/stat", times_of(*[(49_000, 90_000, 0)] * 4))
    assert host.find("load").status == "good"
    assert "others used 0.00 CPUs" in host.find("load").found


@pytest.mark.parametrize(("ticks", "status"), [(0, "good"), (9, "good"), (10, "warn"), (49, "warn"), (50, "bad")])
def test_load(host: Host, ticks: int, status: str) -> None:
    host.process(55, "burn (a) lot", 1000, cpu=2)

    def burn() -> None:
        host.put("proc/stat", times_of(*host.idle[:2], (50_000 + ticks, 100_000, 0), host.idle[3]))
        host.process(55, "burn (a) lot", 1000 + ticks, cpu=2)
        host.process(OWN, "perfsuite", 10 + ticks)

    host.meanwhile = burn
    found = host.find("load")
    assert found.status == status
    assert f"others used {ticks / HZ:.2f} CPUs for 1.0 s" in found.found
    assert ("burn (a) lot (process 55)" in found.found) == (ticks > 1)
    assert ("Stop what is named above, or wait " in str(found.mend)) == (status != "good")
    assert "process 100" not in found.found


def test_a_longer_sample_is_counted_as_long(host: Host) -> None:
    host.meanwhile = lambda: host.put("proc/stat", times_of((50_050, 100_000, 0), *host.idle[1:]))
    found = host.find("load", seconds=10.0)
    assert found.status == "good"
    assert "others used 0.05 CPUs for 10.0 s" in found.found


def test_a_number_that_was_given_to_another_process(host: Host) -> None:
    host.process(55, "old", 9000)
    host.meanwhile = lambda: host.process(55, "new", 30, started=8)
    (busy,) = host.facts().processes  # type: ignore[misc]
    assert (busy.name, busy.cpus) == ("new", 0.3)


def test_time_of_processes_that_cannot_be_seen_is_load_as_well(host: Host) -> None:
    host.meanwhile = lambda: host.put("proc/stat", times_of((50_080, 100_000, 0), *host.idle[1:]))
    found = host.find("load")
    assert found.status == "bad"
    assert "cannot be seen" in found.found
    assert str(found.mend).startswith("Find out what runs (in a container: on its host) and stop it, or wait ")
    # Where no process can be seen at all it is the same.
    facts = replace(host.facts(), ran=0.8, processes=Unread("/proc: no process can be seen"))
    (found,) = (one for one in diagnose(facts).findings if one.check == "load")
    assert "named above" not in str(found.mend)


@pytest.mark.parametrize(("average", "status"), [("1.99", "good"), ("2.00", "warn")])
def test_a_minute_that_was_busy(host: Host, average: str, status: str) -> None:
    host.put("proc/loadavg", f"{average} 0.20 0.30 1/89 15369\n")
    assert host.find("load").status == status


# --- control groups ---------------------------------------------------------------------------------


def stat_v2(periods: int, throttled: int) -> str:
    return f"usage_usec 5\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec 99\n"


@pytest.mark.parametrize(
    ("quota", "threads", "counts", "status", "part"),
    [
        ("150000 100000", "4", (100, 0, 0), "bad", "1.5 CPUs of time for 4 threads on 4 CPUs"),
        ("150000 100000", "1", (100, 0, 0), "warn", "throttled in 0 of 100 periods"),
        ("400000 100000", "4", (100, 0, 0), "good", "4 CPUs of time"),
        ("400000 100000", "4", (100, 1, 0), "warn", "throttled in 1 of 100 periods"),
        ("400000 100000", "4", (1000, 1, 0), "good", "throttled in 1 of 1000 periods"),
        ("400000 100000", "1", (1000, 1, 1), "bad", "1 of them in 1.0 s"),
        ("max 100000", "4", (0, 0, 0), "good", "no limit in /sys/fs/cgroup/user.slice/me and above"),
        ("-", "4", (0, 0, 0), "unknown", "cpu.max: not understood"),
    ],
)
def test_quota(host: Host, quota: str, threads: str, counts: tuple[int, int, int], status: str, part: str) -> None:
    periods, throttled, sampled = counts
    host.put(f"{GROUP}/user.slice/me/cpu.max", f"{quota}\n")
    host.put(f"{GROUP}/user.slice/me/cpu.stat", stat_v2(periods, throttled - sampled))
    host.meanwhile = lambda: host.put(f"{GROUP}/user.slice/me/cpu.stat", stat_v2(periods, throttled))
    found = host.find("quota", software=replace(QUIET, variables={**QUIET.variables, "OMP_NUM_THREADS": threads}))
    assert (found.status, part in found.found) == (status, True), found.found


def test_the_tightest_limit_on_the_way_up_decides(host: Host) -> None:
    host.put(f"{GROUP}/user.slice/me/cpu.max", "400000 100000\n")
    host.put(f"{GROUP}/user.slice/cpu.max", "200000 100000\n")
    found = host.find("quota")
    assert found.status == "bad"
    assert "2 CPUs of time for 4 threads on 4 CPUs (/sys/fs/cgroup/user.slice)" in found.found
    assert "which does not count what it throttled" in found.found
    assert "`perfsuite launch --threads 2 -- COMMAND`" in str(found.mend)


def put_v1(host: Host, own: str, root: str, folders: Mapping[str, int]) -> None:
    """Version 1, mounted at a folder with a space in its name, as mountinfo writes it."""
    host.put("proc/self/cgroup", f"9:name=systemd:/\n2:cpu,cpuacct:{own}\n0::/\n")
    lines = [
        rf"32 31 0:29 {root} /{GROUP}/c\040pu rw,relatime - cgroup cgroup rw,cpu,cpuacct",
        f"33 31 0:30 / /{GROUP}/unified rw - cgroup2 cgroup2 rw",
    ]
    host.put("proc/self/mountinfo", "\n".join([*lines, ""]))
    for folder, quota in folders.items():
        host.put(f"{GROUP}/c pu{folder}/cpu.cfs_quota_us", f"{quota}\n")
        host.put(f"{GROUP}/c pu{folder}/cpu.cfs_period_us", "100000\n")
        host.put(f"{GROUP}/c pu{folder}/cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 5\n")


def test_version_1_of_the_groups(host: Host) -> None:
    put_v1(host, "/docker/abc", "/", {"/docker/abc": -1, "/docker": 250_000})
    found = host.find("quota")
    assert found.status == "bad"
    assert "2.5 CPUs of time" in found.found
    assert f"(/{GROUP}/c pu/docker), throttled in 4 of 10 periods, 0 of them in 1.0 s" in found.found


@pytest.mark.parametrize(("own", "root"), [("/docker/abc", "/docker/abc"), ("/docker/abc", "/"), ("/../..", "/")])
def test_a_container_that_sees_only_its_own_group(host: Host, own: str, root: str) -> None:
    put_v1(host, own, root, {"": 300_000})
    assert "3 CPUs of time" in host.find("quota").found


def test_groups_that_are_not_mounted_are_not_known(host: Host) -> None:
    host.put("proc/self/mountinfo", "31 23 0:28 / /sys rw - sysfs sysfs rw\n")
    assert host.find("quota").status == "unknown"
    host.drop("proc/self/cgroup")
    assert "No such file" in host.find("quota").found


# --- memory and heat --------------------------------------------------------------------------------


def test_nodes_count_where_cpus_of_several_may_be_used(host: Host) -> None:
    host.put("sys/devices/system/node/node0/cpulist", "0-1\n")
    host.put("sys/devices/system/node/node1/cpulist", "2-3\n")
    host.put("sys/devices/system/node/node2/cpulist", "\n")  # memory only
    found = host.find("numa")
    assert found.status == "warn"
    assert "3 nodes, CPUs 0-3 may be used, which are on 0-1" in found.found
    assert "`perfsuite launch --cpus 0-1 -- COMMAND`" in str(found.mend)
    host.put("proc/self/status", "Cpus_allowed_list:\t2-3\n")
    assert host.find("numa").status == "good"


@pytest.mark.parametrize(
    ("enabled", "status"), [("[always] madvise never", "warn"), ("always madvise [never]", "good"), ("?", "unknown")]
)
def test_huge_pages(host: Host, enabled: str, status: str) -> None:
    host.put("sys/kernel/mm/transparent_hugepage/enabled", f"{enabled}\n")
    assert host.find("huge pages").status == status


@pytest.mark.parametrize(
    ("total", "free", "moved", "status"),
    [(0, 0, 0, "good"), (8192, 8192, 0, "good"), (8192, 8191, 0, "warn"), (8192, 8191, 2, "bad")],
)
def test_swap(host: Host, total: int, free: int, moved: int, status: str) -> None:
    host.put("proc/meminfo", f"MemTotal: 9 kB\nSwapTotal:  {total} kB\nSwapFree:  {free} kB\n")
    host.meanwhile = lambda: host.put("proc/vmstat", f"pswpin {10 + moved}\npswpout 20\n")
    assert host.find("swap").status == status


def test_throttling(host: Host) -> None:
    count = f"{CPU}/cpu1/thermal_throttle/core_throttle_count"
    host.meanwhile = lambda: host.put(count, "3\n")
    found = host.find("heat")
    assert found.status == "bad"
    assert "slowed down 3 times since boot, 3 of them in 1.0 s" in found.found
    assert host.find("heat").status == "warn"


def test_each_package_counts_and_each_once(host: Host) -> None:
    for cpu, (package, count) in enumerate([(0, 5), (0, 5), (1, 3), (1, 3)]):
        host.put(f"{CPU}/cpu{cpu}/topology/physical_package_id", f"{package}\n")
        host.put(f"{CPU}/cpu{cpu}/thermal_throttle/package_throttle_count", f"{count}\n")
    host.put(f"{CPU}/cpu1/thermal_throttle/core_throttle_count", "2\n")
    assert "slowed down 10 times since boot" in host.find("heat").found
    for cpu in range(4):
        host.drop(f"{CPU}/cpu{cpu}/topology/physical_package_id")
    assert "slowed down 7 times since boot" in host.find("heat").found


def put_sensor(host: Host, name: str, now: int, limit: int | None) -> None:
    host.put("sys/class/hwmon/hwmon0/name", f"{name}\n")
    host.put("sys/class/hwmon/hwmon0/temp1_input", f"{now}\n")
    host.put("sys/class/hwmon/hwmon0/temp1_label", "Tctl\n")
    if limit is not None:
        host.put("sys/class/hwmon/hwmon0/temp1_crit", f"{limit}\n")


@pytest.mark.parametrize(
    ("name", "now", "limit", "status"),
    [
        ("k10temp", 50_000, 95_000, "good"),
        ("k10temp", 85_000, 95_000, "warn"),
        ("k10temp", 50_000, None, "unknown"),
        ("nvme", 84_000, 85_000, "unknown"),
        ("k10temp", -1, 95_000, "unknown"),
    ],
)
def test_temperatures_where_throttling_is_not_counted(
    host: Host, name: str, now: int, limit: int | None, status: str
) -> None:
    for cpu in range(4):
        host.drop(f"{CPU}/cpu{cpu}/thermal_throttle")
    put_sensor(host, name, now, limit)
    found = host.find("heat")
    assert found.status == status, found.found
    if name == "k10temp" and now > 0:
        assert f"{now // 1000} °C (k10temp Tctl" in found.found


def test_a_thermal_zone_has_its_limit_as_a_trip_point(host: Host) -> None:
    zone = "sys/class/thermal/thermal_zone1"
    for name, text in {
        "type": "x86_pkg_temp",
        "temp": "91000",
        "trip_point_0_type": "active",
        "trip_point_0_temp": "40000",
        "trip_point_1_type": "passive",
        "trip_point_1_temp": "100000",
    }.items():
        host.put(f"{zone}/{name}", f"{text}\n")
    found = host.find("heat")
    assert found.status == "warn"
    assert "91 °C (x86_pkg_temp, limit 100 °C)" in found.found


@pytest.mark.parametrize(
    ("current", "available", "status", "part"),
    [
        ("kvm-clock", "kvm-clock tsc", "good", None),
        ("arch_sys_counter", "arch_sys_counter", "good", None),
        ("hpet", "tsc hpet acpi_pm", "warn", "echo tsc | sudo tee"),
        ("acpi_pm", "hpet acpi_pm", "warn", "dmesg"),
        ("refined-jiffies", "refined-jiffies", "bad", "dmesg"),
    ],
)
def test_clock(host: Host, current: str, available: str, status: str, part: str | None) -> None:
    folder = "sys/devices/system/clocksource/clocksource0"
    host.put(f"{folder}/current_clocksource", f"{current}\n")
    host.put(f"{folder}/available_clocksource", f"{available} \n")
    found = host.find("clock")
    assert found.status == status
    assert found.mend is None if part is None else part in str(found.mend)


# --- the process ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("software", "status"),
    [
        (PLAIN, "warn"),
        (QUIET, "good"),
        (Software({}, "jemalloc (libjemalloc.so.2)", True, {}), "warn"),
        (Software({}, "mimalloc (libmimalloc.so.2)", True, {}), "good"),
        (Software({}, "something else", True, {}), "unknown"),
    ],
)
def test_allocator(host: Host, software: Software, status: str) -> None:
    assert host.find("allocator", software=software).status == status


def test_other_allocators_that_are_there_are_named(host: Host) -> None:
    assert "jemalloc is at /usr/lib/libjemalloc.so.2" in host.find("allocator", software=PLAIN).found


@pytest.mark.parametrize(
    ("variables", "status", "part"),
    [
        ({"OMP_NUM_THREADS": "4"}, "warn", "idle OpenMP threads spin"),
        ({"OMP_NUM_THREADS": "4", **SPIN_BRIEFLY}, "good", "CPUs 0-3 on 4 cores"),
        ({"OMP_NUM_THREADS": "8", **SPIN_BRIEFLY}, "warn", "8 threads share 4 physical cores"),
        ({"OMP_NUM_THREADS": "2", **SPIN_BRIEFLY}, "warn", "2 threads wander over 4 CPUs"),
    ],
)
def test_threads(host: Host, variables: Mapping[str, str], status: str, part: str) -> None:
    found = host.find("threads", software=replace(PLAIN, variables=variables))
    assert (found.status, part in found.found, "kernel:" in found.found) == (status, True, False)


@pytest.mark.parametrize(
    ("read", "status"),
    [
        (ONE_RUNTIME, "good"),
        (OpenMP(("torch",), ()), "good"),
        (OpenMP(("a", "b"), ("/a/libgomp.so.1", "/b/libiomp5.so")), "bad"),
        (OpenMP(("a", "b"), ("/a/libgomp.so.1", "/b/libiomp5.so"), ("/b/libiomp5.so",)), "warn"),
        (Unread("torch is not installed"), "unknown"),
    ],
)
def test_openmp(host: Host, read: OpenMP | Unread, status: str) -> None:
    found = host.find("openmp", openmp=read)
    assert found.status == status
    assert all(path in found.found for path in getattr(read, "runtimes", ()))


MAPS = """\
7f1-7f2 r--p 00000000 fe:00 12 /usr/lib/libgomp.so.1.0.0
7f2-7f3 r-xp 00001000 fe:00 12 /usr/lib/libgomp.so.1.0.0
7f3-7f4 r-xp 00001000 fe:00 13 /a b/libgomp-a34b3233.so.1
7f4-7f5 r-xp 00001000 fe:00 14 /x/libiomp5.so
7f5-7f6 r-xp 00001000 fe:00 14 /y/libiomp5.so
7f6-7f7 r-xp 00001000 fe:00 15 /x/libomp.so.5
7f7-7f8 r-xp 00001000 fe:00 16 /x/libomptarget.so
7f8-7f9 r-xp 00001000 fe:00 17 /x/libgomp-plugin-nvptx.so.1
7f9-7fa rw-p 00000000 00:00 0 [heap]
7fa-7fb rw-p 00000000 00:00 0
"""


def test_runtimes_are_files_and_not_names() -> None:
    found = runtimes(MAPS)
    assert found == ("/a b/libgomp-a34b3233.so.1", "/usr/lib/libgomp.so.1.0.0", "/x/libiomp5.so", "/x/libomp.so.5")
    assert preloaded(found, {"LD_PRELOAD": "/other/libiomp5.so:/x/libjemalloc.so.2"}) == ("/x/libiomp5.so",)
    assert preloaded(found, {}) == ()


def put_module(folder: Path, name: str, code: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    return {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"}


def a_runtime() -> Path:
    """The OpenMP runtime that torch brings."""
    read = loaded_runtimes()
    assert isinstance(read, OpenMP)
    assert len(read.runtimes) == 1, read.runtimes
    return Path(read.runtimes[0])


def test_a_second_runtime_in_a_real_process_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "libgomp-abc123.so.1", tmp_path / "libiomp5.so"
    runtime = a_runtime()
    for copy in (first, second):
        shutil.copy(runtime, copy)
    code = f"import ctypes\nprint('\\n7f1-7f2')\nfor path in {[str(first), str(second)]}: ctypes.CDLL(path)\n"
    variables = put_module(tmp_path, "brings_two", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    read = loaded_runtimes(["brings_two"], variables=variables)
    assert read == OpenMP(("brings_two",), (str(first), str(second)))
    assert "brings_two" not in sys.modules


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("raise RuntimeError('no such thing')", "failed with exit code 1: RuntimeError: no such thing"),
        ("import os; os.abort()", "ended by signal 6"),
        ("import os; os._exit(0)", "failed with exit code 0: it said nothing"),
        ("import subprocess, time; subprocess.Popen(['sleep', '20.125']); time.sleep(20)", "took longer than 0.5 s"),
    ],
)
def test_a_module_that_cannot_be_imported_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, part: str
) -> None:
    variables = put_module(tmp_path, "bad_module", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = time.monotonic()
    read = loaded_runtimes(["bad_module"], variables=variables, timeout=0.5 if "sleep" in code else 30)
    assert isinstance(read, Unread)
    assert part in read.why
    # Not held up by what the module has started, which has the same stdout; and that is not left behind.
    assert time.monotonic() - before < 15
    # What was killed may take a moment to go, but must be gone long before it would have ended by itself.
    while b"sleep\x0020.125\x00" in command_lines() and time.monotonic() - before < 15:
        time.sleep(0.05)
    assert b"sleep\x0020.125\x00" not in command_lines()


def command_lines() -> list[bytes]:
    """Of all processes that run now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return found


@pytest.mark.parametrize("name", ["no_such_module_anywhere", "", "-c", "os;x", "no_such.thing"])
def test_a_module_that_is_not_there_is_a_wrong_call(name: str) -> None:
    with pytest.raises(UsageError, match="no module of this name is installed"):
        loaded_runtimes([name])


def test_the_working_directory_is_not_imported_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert isinstance(loaded_runtimes(["json"]), OpenMP)


# --- parsers ----------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 300)))
def test_lists_of_cpus_read_back(cpus: set[int]) -> None:
    assert parse.cpu_list(as_list(sorted(cpus)) + "\n") == tuple(sorted(cpus))


@given(
    st.integers(1, 2**22),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n\x0b\x0c"), max_size=15),
    st.integers(0, 2**40),
    st.integers(0, 1023),
)
def test_processes_read_back_whatever_their_names(pid: int, name: str, ticks: int, cpu: int) -> None:
    found = parse.process(stat_of(pid, name, ticks, cpu=cpu, started=42))
    assert found == parse.ProcessTicks(pid, name, ticks, 42, cpu)


@given(st.lists(st.tuples(*[st.integers(0, 2**50)] * 3), min_size=1, max_size=9))
def test_times_read_back(times: list[tuple[int, int, int]]) -> None:
    assert list(parse.cpu_times(times_of(*times)).values()) == [parse.Ticks(*one) for one in times]


@given(st.integers(1, 10**7), st.integers(1, 10**6))
def test_quotas_read_back(quota: int, period: int) -> None:
    assert parse.quota_v2(f"{quota} {period}\n") == parse.quota_v1(f"{quota}\n", f"{period}\n") == quota / period
    assert parse.quota_v2(f"max {period}\n") is parse.quota_v1("-1\n", f"{period}\n") is None


PARSERS = [
    parse.allowed_cpus, parse.choice, parse.counters, parse.cpu_list, parse.cpu_times, parse.flags, parse.group_mounts,
    parse.load_averages, parse.number, parse.own_groups, parse.process, parse.quota_v2, parse.sizes, parse.switch,
    parse.word, lambda text: parse.quota_v1(text, text), runtimes,
]  # fmt: skip


@given(st.text() | st.text("0123456789 -,:/()[]cpu\nmax\t"))
def test_what_is_no_such_text_is_a_value_error_and_nothing_else(text: str) -> None:
    refused = 0
    for read in PARSERS:
        try:
            read(text)
        except ValueError:
            refused += 1
    assert refused > 0  # no text is all of these


SOME_FILES = [
    "proc/self/status", "proc/stat", "proc/loadavg", "proc/cpuinfo", "proc/meminfo", "proc/vmstat", "proc/self/cgroup",
    "proc/self/mountinfo", "proc/1/stat", f"{CPU}/cpu0/topology/thread_siblings_list", f"{CPU}/cpufreq/boost",
    f"{CPU}/cpu0/cpufreq/scaling_governor", f"{CPU}/cpu0/thermal_throttle/core_throttle_count",
    "sys/devices/system/node/node0/cpulist", f"{GROUP}/cpu.max",
]  # fmt: skip
SOME_TEXTS = [b"", b"0\n", b"Cpus_allowed_list:\t0\n", b"cpu0 1 2 3 4 5 6 7 8\n"]


@given(st.dictionaries(st.sampled_from(SOME_FILES), st.binary(max_size=60) | st.sampled_from(SOME_TEXTS)))
@settings(max_examples=40, deadline=None)
def test_any_host_gets_a_diagnosis(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("host")
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text)
    diagnosis = diagnose(read_facts(root, software=PLAIN, openmp=ONE_RUNTIME, sleep=lambda seconds: None))
    assert len(diagnosis.findings) == len(CHECKS)
    text = render_diagnosis(diagnosis, width=80, color=False)
    assert all(one.check in text for one in diagnosis.findings)
    shutil.rmtree(root)


# --- output -----------------------------------------------------------------------------------------


def a_diagnosis(text: str = "x") -> Diagnosis:
    findings = [Finding(f"{status} {text}", status, text, text, f"{text}: `{text}`") for status in STATUSES]
    return Diagnosis(tuple(findings), 1.0, (f"bad {text}",))


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_lines_fit_but_commands_which_are_there_to_be_copied(host: Host, width: int) -> None:
    host.put(f"{CPU}/cpu0/cpufreq/scaling_governor", "powersave\n")
    host.virtual()
    text = render_diagnosis(diagnose(host.facts(PLAIN)), width=width, color=False)
    command = "    echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    assert command in text.splitlines()
    assert [line for line in text.splitlines() if len(line) > max(width, 60) and not line.startswith("    ")] == []
    assert "mends: allocator, threads" in " ".join(text.split())


def test_text_of_the_host_cannot_harm_a_terminal() -> None:
    for hostile in HOSTILE:
        text = render_diagnosis(a_diagnosis(hostile), width=80, color=False)
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text) is None


def test_colour_is_only_where_it_is_asked_for() -> None:
    assert "\x1b[" in render_diagnosis(a_diagnosis(), width=80, color=True)
    assert "\x1b[" not in render_diagnosis(a_diagnosis(), width=80, color=False)


def test_json_says_all_that_was_found(host: Host) -> None:
    diagnosis = diagnose(host.facts(PLAIN))
    value = json.loads(json.dumps(diagnosis_json(diagnosis), allow_nan=False))
    assert value["format"] == 1
    assert tuple(Finding(**one) for one in value["findings"]) == diagnosis.findings
    assert value["launch"] == ["allocator", "threads"]
    assert value["counts"] == {"bad": 0, "warn": 2, "unknown": 0, "good": len(CHECKS) - 2}
    assert set(value) == {"format", "perfsuite", "seconds", "counts", "findings", "launch"}
    page = (ROOT / "docs" / "doctor.md").read_text()
    assert all(f"| `{key}` |" in page for key in value)


def test_the_page_has_every_check() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    findings = diagnose(read_facts(Path("/nowhere"), software=PLAIN, openmp=ONE_RUNTIME, sleep=lambda _: None)).findings
    assert set(re.findall(r"^### (.+)$", page, re.MULTILINE)) == {one.check for one in findings}


# --- the command ------------------------------------------------------------------------------------


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "doctor", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_looks_at_this_machine() -> None:
    done = doctor("--seconds", "0.5", "--json")
    value = json.loads(done.stdout)
    assert done.returncode == (1 if value["counts"]["bad"] else 0)
    found = {one["check"]: one for one in value["findings"]}
    assert len(found) == len(CHECKS) == sum(value["counts"].values())
    assert "/proc/stat" in found["load"]["found"]
    assert found["openmp"]["status"] == "good"
    assert "torch" in found["openmp"]["found"]
    assert value["seconds"] >= 0.5
    strict = doctor("--no-import", "--seconds", "0.5", "--strict", MALLOC_TRIM_THRESHOLD_="0")
    assert strict.returncode == 1
    assert re.search("^warn +allocator$", strict.stdout, re.MULTILINE)


def test_what_launch_starts_has_nothing_left_for_it_to_mend() -> None:
    plain = {name: value for name, value in os.environ.items() if not re.match(r"(MALLOC|GLIBC|OMP|GOMP|KMP)_", name)}
    command = [*COMMAND, "launch", "--", *COMMAND, "doctor", "--no-import", "--seconds", "0.5", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False, timeout=60)
    value = json.loads(done.stdout)
    assert value["launch"] == []
    statuses = {one["check"]: one["status"] for one in value["findings"]}
    assert (statuses["threads"], statuses["openmp"]) == ("good", "unknown")


def test_a_process_that_computes_is_bad_and_named() -> None:
    # As many as there are CPUs, so that one runs whatever else does.
    code = "import sys\nprint(flush=True)\nwhile True: pass"
    burners = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in os.sched_getaffinity(0)]
    try:
        for one in burners:
            assert one.stdout is not None
            one.stdout.readline()
        done = doctor("--no-import", "--seconds", "1")
        busy = read_facts(software=PLAIN, openmp=ONE_RUNTIME).processes
    finally:
        for one in burners:
            one.kill()
            one.communicate()
    assert done.returncode == 1
    assert re.search(r"^bad +load$", done.stdout, re.MULTILINE)
    assert re.search(r"\(process \d+\)", " ".join(done.stdout.split()))
    assert not isinstance(busy, Unread)
    assert {one.pid for one in burners} & {one.pid for one in busy}


def test_the_command_itself_loads_no_torch() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom perfsuite.cli import main\n"
        "CliRunner().invoke(main, ['doctor', '--seconds', '0.5', '--import', 'json'])\nsys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--import", "no_such_module_anywhere"), "--import no_such_module_anywhere: no module of this name"),
        (("--import", "json", "--no-import"), "exclude each other"),
        (("--seconds", "0"), "not in the range"),
        (("--seconds", "nan"), "nan"),
    ],
)
def test_wrong_calls_are_one_line(arguments: tuple[str, ...], part: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert part in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("statuses", "strict", "code"),
    [
        (("good", "unknown"), True, 0),
        (("warn", "good"), False, 0),
        (("warn", "good"), True, 1),
        (("bad", "warn"), False, 1),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, statuses: tuple[str, ...], strict: bool, code: int) -> None:
    findings = tuple(Finding("x", status, "", "") for status in statuses)  # type: ignore[arg-type]
    monkeypatch.setattr("perfsuite.doctor.diagnose", lambda facts: Diagnosis(findings, 1.0, ()))
    assert invoke("--no-import", "--seconds", "0.5", *(["--strict"] if strict else [])).exit_code == code


def test_cores_that_cannot_be_told_are_one_each(host: Host) -> None:
    for cpu in range(4):
        host.drop(f"{CPU}/cpu{cpu}/topology")
    assert host.facts().cpus == Cpus(((0,), (1,), (2,), (3,)))
    assert host.find("smt").status == "unknown"


def test_a_reader_that_is_gone_changes_no_exit_code() -> None:
    """As in `perfsuite doctor 2>&1 | tee log && …` with a tee that died."""
    code = (
        "import perfsuite.doctor as d\nfrom perfsuite.cli import main\n"
        "d.diagnose = lambda facts: d.Diagnosis((d.Finding('x', 'bad', '', ''),), 1.0, ())\nmain()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", code, "doctor", "--no-import", "--seconds", "0.5"]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, cwd=ROOT, env=variables, stdout=writer, stderr=writer, check=False, timeout=60)
    os.close(writer)
    assert done.returncode == 1
