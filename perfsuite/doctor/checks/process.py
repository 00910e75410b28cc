"""Checks of what a process that is started from here would have: memory, threads, OpenMP."""

from __future__ import annotations

import os

from perfsuite.doctor.model import Facts, Finding, Unread
from perfsuite.quiet import FAMILIES, Cpus, as_list, disturbances
from perfsuite.units import counted, format_bytes

_HUGE = "/sys/kernel/mm/transparent_hugepage"


def allocator(facts: Facts) -> Finding:
    """Whether the allocator keeps the memory of freed tensors."""
    why = "Freed tensors that go back to the kernel return as page faults; their cost differs from process to process."
    software = facts.software
    others = ", ".join(f"{family} is at {path}" for family, path in software.allocators.items())
    found = f"{software.allocator} (variables of this process); {others or 'no other allocator is installed'}"
    # A process with one thread on one CPU is disturbed by nothing but its memory.
    left = disturbances(software.variables, software.allocator, Cpus(((0,),)), 1)
    if left:
        what, _, mend = left[0].partition(": ")
        return Finding("allocator", "warn", f"{what}: {found}", why, _sentence(mend))
    # For these it is known what keeps them quiet.
    if software.allocator.startswith(("glibc", *FAMILIES)):
        return Finding("allocator", "good", found, why)
    return Finding("allocator", "unknown", found, why)


def threads(facts: Facts) -> Finding:
    """Whether OpenMP's threads fit the cores, stay where they are, and sleep while they wait."""
    why = "Threads that spin take the CPU from those that work, and threads that move or share a core lose its caches."
    cpus, variables = facts.cpus, facts.software.variables
    if isinstance(cpus, Unread):
        return Finding("threads", "unknown", cpus.why, why)
    names = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_PROC_BIND")
    said = [f"{name}={variables[name]}" for name in names if name in variables]
    where = f"CPUs {as_list(cpus.all)} on {counted(len(cpus.cores), 'core')}"
    found = f"{where} (/proc/self/status); {' '.join(said) or 'no variable says how many threads, or how they wait'}"
    memory = disturbances(variables, facts.software.allocator, Cpus(((0,),)), 1)
    left = [one.partition(": ") for one in disturbances(variables, facts.software.allocator, cpus) if one not in memory]
    if not left:
        return Finding("threads", "good", found, why)
    what = "; ".join(one[0] for one in left)
    mend = "; ".join(dict.fromkeys(one[2] for one in left))
    return Finding("threads", "warn", f"{what}: {found}", why, _sentence(mend))


def openmp(facts: Facts) -> Finding:
    """Whether a process loads more than one OpenMP runtime."""
    why = "Two runtimes have two pools of threads, and those of the one wait on the CPUs that the other's work on."
    read = facts.openmp
    if isinstance(read, Unread):
        return Finding("openmp", "unknown", read.why, why)
    after = f"after importing {', '.join(read.modules)}"
    found = f"{counted(len(read.runtimes), 'runtime')} {after}"
    if read.runtimes:
        found += f": {', '.join(read.runtimes)}"
    if len(read.runtimes) < 2:
        return Finding("openmp", "good", found, why)
    if read.preloaded:
        names = ", ".join(map(os.path.basename, read.preloaded))
        found += f"; LD_PRELOAD brings {names}, which the others' users may then call too"
        mend = "Leave it if that is what you meant, else start without LD_PRELOAD."
        return Finding("openmp", "warn", found, why, mend)
    mend = (
        "Install packages that were built with the same runtime (all from one channel), or import them in processes of "
        "their own; with Intel's runtime first in LD_PRELOAD, programs built for GNU's call that."
    )
    return Finding("openmp", "bad", found, why, mend)


def huge_pages(facts: Facts) -> Finding:
    """Whether memory comes in huge pages without being asked for."""
    why = "Whether an allocation finds a huge page free depends on what ran before, and making room for one takes time."
    read = facts.huge_pages
    if isinstance(read, Unread):
        return Finding("huge pages", "unknown", read.why, why)
    found = f"{read.enabled} ({_HUGE}/enabled)"
    if read.defrag is not None:
        found += f", room is made for them: {read.defrag} ({_HUGE}/defrag)"
    if read.enabled != "always":
        return Finding("huge pages", "good", found, why)
    command = f"echo madvise | sudo tee {_HUGE}/enabled"
    mend = f"While you compare, give them only to programs that ask (steps may get slower): `{command}`"
    return Finding("huge pages", "warn", found, why, mend)


def swap(facts: Facts) -> Finding:
    """Whether memory is on a disk, or moves there."""
    why = "The step that needs a page which was moved out waits until it has been read back, from a disk perhaps."
    read = facts.swap
    if isinstance(read, Unread):
        return Finding("swap", "unknown", read.why, why)
    if read.total == 0:
        return Finding("swap", "good", "there is none (/proc/meminfo)", why)
    found = (
        f"{format_bytes(read.used)} of {format_bytes(read.total)} in use (/proc/meminfo), "
        f"{counted(read.moved, 'page')} moved in {facts.seconds:.1f} s (/proc/vmstat)"
    )
    if read.moved:
        return Finding("swap", "bad", found, why, "End what takes the memory, or use a smaller batch.")
    if read.used:
        mend = "If that much memory is free, bring everything back: `sudo swapoff -a && sudo swapon -a`"
        return Finding("swap", "warn", found, why, mend)
    return Finding("swap", "good", found, why)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
