"""What makes the times of a process repeatable, and what stands in the way of that.

Pure functions: what the machine looks like is read in :mod:`perfsuite.environment`.  What was measured is in
``docs/quiet.md``; the disturbances that count are memory that goes back to the kernel at every free and returns as
page faults, OpenMP threads that spin while they wait, and more threads or CPUs than physical cores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from perfsuite.errors import UsageError

ALLOCATORS = ("auto", "glibc", "tcmalloc", "jemalloc")
#: Other allocators whose library may be preloaded; mimalloc keeps what is freed for itself.
FAMILIES = ("tcmalloc", "jemalloc", "mimalloc")

#: glibc: no block gets a mapping of its own, the heap's end is given back late and grows in large steps.
GLIBC = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
#: The same as tunables, and what an allocation of the size of a tensor must stay below.
_TUNABLES = {"MALLOC_MMAP_THRESHOLD_": "mmap_threshold", "MALLOC_TRIM_THRESHOLD_": "trim_threshold"}
_LARGE = 1 << 30
#: The others give freed pages back after a while, jemalloc large ones at once, unless they are told to keep them.
JEMALLOC = {"MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"}
TCMALLOC = {"TCMALLOC_RELEASE_RATE": "0"}
_PRELOADED = re.compile(rf"[^\s:]*(?:{'|'.join(FAMILIES)})[^\s:]*")
#: Settings that bind threads one by one, which is the user's own to decide: shown, not set.
_BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
#: How long a thread that waits spins before it sleeps: about a millisecond, by GNU's OpenMP in turns of its loop, by
#: Intel's and LLVM's in milliseconds.  Not at all (OMP_WAIT_POLICY=passive) would have to wake the threads for every
#: operator: a step of ResNet18 of 32 ms then takes 53.
SPIN_BRIEFLY = {"GOMP_SPINCOUNT": "100000", "KMP_BLOCKTIME": "1"}
_SPIN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


@dataclass(frozen=True)
class Cpus:
    """The CPUs that a process may use, grouped by physical core; each group and the groups in order."""

    cores: tuple[tuple[int, ...], ...]

    @property
    def all(self) -> tuple[int, ...]:
        """Every CPU, in order."""
        return tuple(sorted(cpu for core in self.cores for cpu in core))

    @property
    def firsts(self) -> tuple[int, ...]:
        """One CPU of each physical core."""
        return tuple(core[0] for core in self.cores)

    def within(self, chosen: Sequence[int]) -> Cpus:
        """Only the chosen ones.

        Raises:
            UsageError: one of them may not be used.
        """
        absent = sorted(set(chosen) - set(self.all))
        if absent or not chosen:
            raise UsageError(
                f"CPU {absent[0] if absent else 'list'} cannot be used: this process may use {as_list(self.all)}"
            )
        groups = (tuple(cpu for cpu in core if cpu in chosen) for core in self.cores)
        return Cpus(tuple(group for group in groups if group))


@dataclass(frozen=True)
class Settings:
    """How to start a quiet process: variables to add, the CPUs to run on, and what the user's own settings keep."""

    variables: Mapping[str, str]
    cpus: tuple[int, ...]
    #: The user's settings that stand in place of ours, ``NAME=value``.
    kept: tuple[str, ...] = ()


def quiet_settings(
    variables: Mapping[str, str],
    cpus: Cpus,
    *,
    allocator: str = "auto",
    threads: int | None = None,
    chosen: Sequence[int] | None = None,
    glibc: bool = True,
    find_library: Callable[[str], str | None] = lambda family: None,
) -> Settings:
    """The settings for a process that would start with ``variables`` on ``cpus``.

    A variable that the user has set is never changed; what is asked for here (``allocator``, ``threads``, ``chosen``)
    goes before it, because it was said later.

    Args:
        allocator: one of :data:`ALLOCATORS`; ``auto`` keeps an allocator that is preloaded, else tunes glibc's, which
            needs nothing installed.
        threads: OpenMP threads; by default ``OMP_NUM_THREADS``, else one a physical core.
        chosen: the CPUs to run on; by default as many as there are threads, each on a core of its own if they suffice.
        glibc: whether the C library is glibc.
        find_library: the path of an allocator's shared library by its family.

    Raises:
        UsageError: the CPUs may not be used, or the allocator is not there or another one is preloaded already.
    """
    kept: list[str] = []
    found: dict[str, str] = {}
    _add(found, kept, variables, _allocator_variables(variables, allocator, glibc, find_library))
    if _PRELOADED.search(variables.get("LD_PRELOAD", "")):
        kept.append(f"LD_PRELOAD={variables['LD_PRELOAD']}")
    if "glibc.malloc." in variables.get("GLIBC_TUNABLES", ""):
        kept.append(f"GLIBC_TUNABLES={variables['GLIBC_TUNABLES']}")
    asked = threads or first_number(variables.get("OMP_NUM_THREADS"))
    number, mask = _threads_and_cpus(cpus, asked, chosen)
    if threads is not None:
        found["OMP_NUM_THREADS"] = str(threads)
    else:
        _add(found, kept, variables, {"OMP_NUM_THREADS": str(number)})
    own = [f"{name}={variables[name]}" for name in _SPIN if name in variables]
    kept += own
    kept += [f"{name}={variables[name]}" for name in _BINDING if name in variables]
    if not own:
        found |= SPIN_BRIEFLY
    return Settings(found, mask, tuple(kept))


def preloaded_allocator(variables: Mapping[str, str]) -> str | None:
    """The family of the allocator that ``LD_PRELOAD`` brings; None if it brings none."""
    preloaded = _PRELOADED.search(variables.get("LD_PRELOAD", ""))
    return next(name for name in FAMILIES if name in preloaded[0]) if preloaded else None


def _add(found: dict[str, str], kept: list[str], own: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for name, value in wanted.items():
        if name in own and name != "LD_PRELOAD":  # which is added to
            kept.append(f"{name}={own[name]}")
        else:
            found[name] = value


def _allocator_variables(
    variables: Mapping[str, str], allocator: str, glibc: bool, find_library: Callable[[str], str | None]
) -> dict[str, str]:
    preloaded = _PRELOADED.search(variables.get("LD_PRELOAD", ""))
    family = preloaded_allocator(variables)
    if allocator == "auto":
        allocator = family or ("glibc" if glibc else "")
    elif preloaded and allocator != family:
        raise UsageError(f"--allocator {allocator}, but LD_PRELOAD brings {preloaded[0]}: leave one of the two out")
    if allocator == "glibc":
        if not glibc:
            raise UsageError("--allocator glibc: the C library here is another one")
        tuned = "glibc.malloc." in variables.get("GLIBC_TUNABLES", "")
        return {} if tuned else dict(GLIBC)
    settings = dict({"jemalloc": JEMALLOC, "tcmalloc": TCMALLOC}.get(allocator, {}))
    if allocator and allocator != family:
        library = find_library(allocator)
        if library is None:
            raise UsageError(
                f"--allocator {allocator}: its library was not found; install it, or use --allocator glibc, which "
                "needs nothing"
            )
        settings["LD_PRELOAD"] = ":".join(filter(None, (library, variables.get("LD_PRELOAD"))))
    return settings


def _threads_and_cpus(cpus: Cpus, asked: int | None, chosen: Sequence[int] | None) -> tuple[int, tuple[int, ...]]:
    if chosen is not None:
        within = cpus.within(chosen)
        return asked or len(within.cores), within.all
    number = asked or len(cpus.cores)
    return number, cpus.firsts[:number] if number <= len(cpus.cores) else cpus.all


# --- why a process is not quiet ---------------------------------------------------------------------


def disturbances(
    variables: Mapping[str, str],
    allocator: str,
    cpus: Cpus,
    threads: int | None = None,
    quota: float | None = None,
) -> tuple[str, ...]:
    """Why times of this process are not repeatable, a sentence each: what it is, a colon, and what to do.

    Args:
        variables: what the process was started with; the C library and OpenMP read them once, before Python runs.
        allocator: what :func:`perfsuite.environment.gather_environment` says of it: ``glibc 2.36 (…)``.
        cpus: the CPUs that the process may use.
        threads: how many threads compute; by default ``OMP_NUM_THREADS``, else one a CPU.
        quota: CPUs' worth of time that the control group may use; None if it is not limited.
    """
    number = threads or first_number(variables.get("OMP_NUM_THREADS")) or len(cpus.all)
    found = [_memory(variables, allocator), _spinning(variables, number), _placement(variables, cpus, number)]
    if quota is not None and quota < min(number, len(cpus.all)):
        found.append(
            f"{number} threads have {quota:g} CPUs of time: raise the container's CPU limit, or use fewer threads"
        )
    return tuple(filter(None, found))


def _memory(variables: Mapping[str, str], allocator: str) -> str | None:
    family = re.split(r"[ (]", allocator, maxsplit=1)[0]
    if family == "glibc" and not _keeps(variables):
        names = ", ".join(GLIBC)
        return f"glibc returns freed tensors to the kernel: use perfsuite launch, or set {names}"
    if family == "jemalloc" and not re.search(r"dirty_decay_ms:(-1|\d{5,})", variables.get("MALLOC_CONF", "")):
        what_to_do = f"use perfsuite launch, or set MALLOC_CONF={JEMALLOC['MALLOC_CONF']}"
        return f"jemalloc returns freed pages to the kernel: {what_to_do}"
    if family == "tcmalloc" and variables.get("TCMALLOC_RELEASE_RATE", "").strip() != "0":
        return "tcmalloc returns some freed pages to the kernel: use perfsuite launch, or set TCMALLOC_RELEASE_RATE=0"
    if family == "libc":
        return "this C library returns freed tensors to the kernel: preload tcmalloc or jemalloc"
    return None


def _keeps(variables: Mapping[str, str]) -> bool:
    """Whether glibc's malloc is told to keep blocks of the size of tensors."""
    tunables = dict(re.findall(r"glibc\.malloc\.(\w+)=(\w+)", variables.get("GLIBC_TUNABLES", "")))
    limits = {name: variables.get(name, tunables.get(short)) for name, short in _TUNABLES.items()}
    large = {name: (as_number(limit) or 0) >= _LARGE for name, limit in limits.items()}
    mappings = variables.get("MALLOC_MMAP_MAX_", tunables.get("mmap_max"))
    return large["MALLOC_TRIM_THRESHOLD_"] and (large["MALLOC_MMAP_THRESHOLD_"] or as_number(mappings) == 0)


def _spinning(variables: Mapping[str, str], threads: int) -> str | None:
    passive = variables.get("OMP_WAIT_POLICY", "").strip().lower() == "passive"
    limits = [(as_number(variables.get(name, "").strip()), int(most)) for name, most in SPIN_BRIEFLY.items()]
    if threads < 2 or passive or any(limit is not None and limit <= most for limit, most in limits):
        return None
    wanted = " ".join(f"{name}={value}" for name, value in SPIN_BRIEFLY.items())
    return f"idle OpenMP threads spin: use perfsuite launch, or set {wanted}"


def _placement(variables: Mapping[str, str], cpus: Cpus, threads: int) -> str | None:
    cores, every = len(cpus.cores), len(cpus.all)
    if threads > cores:
        where = f"{cores} physical core{'s' if cores > 1 else ''}"
        return (
            f"{threads} threads share {where}: use perfsuite launch --threads {cores}, or set OMP_NUM_THREADS={cores}"
        )
    bound = variables.get("OMP_PROC_BIND", "false").strip().lower() != "false"
    pinned = bound or "GOMP_CPU_AFFINITY" in variables or "KMP_AFFINITY" in variables
    if threads < every and not pinned:
        some = f"{threads} thread{'s wander' if threads > 1 else ' wanders'}"
        mask = as_list(cpus.firsts[:threads])
        return f"{some} over {every} CPUs: use perfsuite launch, or taskset -c {mask}"
    return None


# --- numbers and lists ------------------------------------------------------------------------------


def first_number(text: str | None) -> int | None:
    """The first of ``OMP_NUM_THREADS``'s comma-separated numbers; None if it is no positive number."""
    number = as_number((text or "").split(",")[0].strip())
    return number or None


def as_number(text: str | None) -> int | None:
    """A whole number as glibc reads it, decimal, octal or hexadecimal; None if it is none."""
    if text is None or not re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]{1,20}", text):
        return None
    if text.lower().startswith("0x"):
        return int(text, 16)
    octal = text.startswith("0") and set(text) <= set("01234567")
    return int(text, 8) if octal else int(text)


def as_list(cpus: Sequence[int]) -> str:
    """CPUs as taskset writes them: ``0-3,8``."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def from_list(text: str) -> tuple[int, ...]:
    """The CPUs that ``0-3,8`` names, in order.

    Raises:
        UsageError: it is no such list.
    """
    found: set[int] = set()
    for part in text.split(","):
        ends = re.fullmatch(r"\s*([0-9]{1,6})(?:-([0-9]{1,6}))?\s*", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if first > last:
            raise UsageError(f"CPU list {text!r}: write it as taskset does, for example 0-3,8")
        found.update(range(first, last + 1))
    return tuple(sorted(found))
