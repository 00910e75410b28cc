"""What machine and software a run was recorded on.

Everything is read, nothing is changed; what cannot be read is None.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfsuite import __version__
from perfsuite.quiet import FAMILIES, Cpus, disturbances
from perfsuite.records import Environment

#: x86 flags that decide which kernels a deep-learning library picks.
_ISA = re.compile(r"avx|avx2|fma|f16c|avx_\w+|avx512\w*|avx10\w*|amx_\w+")
_THREAD_VARIABLES = re.compile(
    r"(OMP|GOMP|KMP|MKL|ONEDNN|DNNL|OPENBLAS)_\w+|TORCH\w*THREAD\w*|ATEN_CPU_CAPABILITY|LRU_CACHE_CAPACITY"
)
_ALLOCATOR_VARIABLES = re.compile(r"MALLOC_\w+|GLIBC_TUNABLES|TCMALLOC_\w+|MIMALLOC_\w+")
_GIT_TIMEOUT_S = 5.0


def gather_environment(torch_facts: Mapping[str, Any] | None = None, cwd: Path | None = None) -> Environment:
    """The machine, its settings and the software, as far as they can be read.

    Args:
        torch_facts: fields of :class:`Environment` that only torch knows; None where torch was not loaded.
        cwd: where to look for a git repository, the working directory by default.
    """
    import psutil

    cpuinfo = _read(Path("/proc/cpuinfo")) or ""
    cpus = usable_cpus()
    usable = list(cpus.all)
    allocator = _allocator()
    commit, dirty = _git(cwd or Path())
    return Environment(
        cpu_model=_cpu_model(cpuinfo),
        isa=_isa(cpuinfo),
        logical_cpus=psutil.cpu_count(logical=True) or len(usable),
        physical_cores=psutil.cpu_count(logical=False),
        usable_cpus=len(usable),
        numa_nodes=_numa_nodes(Path("/sys/devices/system/node")),
        governor=_governor(Path("/sys/devices/system/cpu"), usable),
        ram_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        allocator=allocator,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        omp=_matching(os.environ, _THREAD_VARIABLES),
        git_commit=commit,
        git_dirty=dirty,
        perfsuite=__version__,
        disturbances=disturbances(
            initial_environment(), allocator, cpus, (torch_facts or {}).get("torch_threads"), cpu_quota()
        ),
        **(torch_facts or {}),
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _field(cpuinfo: str, name: str) -> str | None:
    """The first value of a ``name : value`` line."""
    found = re.search(rf"^{name}[ \t]*:[ \t]*(.*)$", cpuinfo, re.MULTILINE)
    return found.group(1).strip() or None if found else None


def _cpu_model(cpuinfo: str) -> str | None:
    model = _field(cpuinfo, "model name")
    if model is not None:
        return model
    # 64-bit Arm prints numbers only; they name the core as exactly as a marketing name would.
    implementer, part = _field(cpuinfo, "CPU implementer"), _field(cpuinfo, "CPU part")
    return f"Arm implementer {implementer} part {part}" if implementer and part else None


def _isa(cpuinfo: str) -> tuple[str, ...]:
    flags = _field(cpuinfo, "flags")
    if flags is not None:
        return tuple(sorted({flag for flag in flags.split() if _ISA.fullmatch(flag)}))
    return tuple(sorted(set((_field(cpuinfo, "Features") or "").split())))


def _numa_nodes(nodes: Path) -> int | None:
    return len(list(nodes.glob("node[0-9]*"))) or None


def _governor(cpus: Path, usable: list[int]) -> str | None:
    """The frequency governor of the CPUs we may use, all of them if they differ."""
    found = {_read(cpus / f"cpu{cpu}" / "cpufreq" / "scaling_governor") for cpu in usable}
    return ",".join(sorted(text.strip() for text in found if text)) or None


def usable_cpus(devices: Path = Path("/sys/devices/system/cpu")) -> Cpus:
    """The CPUs that this process may use, by physical core; where cores cannot be told, each is one."""
    usable = set(os.sched_getaffinity(0))
    # OpenMP may have bound the thread that asks to one of them.
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # it has ended
            usable |= os.sched_getaffinity(int(thread))
    cores: dict[str, list[int]] = {}
    for cpu in sorted(usable):
        siblings = _read(devices / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu)
        cores.setdefault(siblings.strip(), []).append(cpu)
    return Cpus(tuple(map(tuple, cores.values())))


def cpu_quota(group: Path = Path("/sys/fs/cgroup")) -> float | None:
    """How many CPUs' worth of time the control group may use; None if that is not limited or not known."""
    text = _read(group / "cpu.max")
    if text is None:  # version 1
        text = f"{_read(group / 'cpu' / 'cpu.cfs_quota_us')} {_read(group / 'cpu' / 'cpu.cfs_period_us')}"
    found = re.fullmatch(r"(\d+)\s+(\d+)\s*", text)
    return int(found[1]) / int(found[2]) if found and int(found[2]) else None


def huge_pages(setting: Path = Path("/sys/kernel/mm/transparent_hugepage/enabled")) -> str | None:
    """The kernel's word on transparent huge pages: ``always``, ``madvise`` or ``never``."""
    found = re.search(r"\[(\w+)\]", _read(setting) or "")
    return found[1] if found else None


def _matching(variables: Mapping[str, str], pattern: re.Pattern[str]) -> dict[str, str]:
    return {name: variables[name] for name in sorted(variables) if pattern.fullmatch(name)}


# --- the allocator ----------------------------------------------------------------------------------


def _allocator() -> str:
    """The library that ``malloc`` really comes from, and the settings it was started with."""
    maps = _read(Path("/proc/self/maps")) or ""
    library = _library_at(maps, _address_of_malloc()) or ""
    # A program that takes malloc's address itself hides the library; then go by what is loaded.
    where = library if _family(library) or _is_libc(library) else maps
    name = _family(where) or libc()
    settings = _matching(initial_environment(), _ALLOCATOR_VARIABLES)
    if not settings:
        return name
    return f"{name} ({', '.join(f'{key}={value}' for key, value in settings.items())})"


def _address_of_malloc() -> int | None:
    try:
        return ctypes.cast(ctypes.CDLL(None).malloc, ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None


def _library_at(maps: str, address: int | None) -> str | None:
    """The file that is mapped at ``address``, by the text of ``/proc/<pid>/maps``."""
    for line in maps.splitlines() if address is not None else ():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ +(/.*)", line)
        if found and int(found[1], 16) <= address < int(found[2], 16):  # type: ignore[operator]
            return found[3]
    return None


def _is_libc(library: str) -> bool:
    return re.match(r"(libc|ld-musl)\b", os.path.basename(library)) is not None


def _family(text: str) -> str | None:
    """Which allocator's shared library ``text`` names, with the file's name since that holds its version."""
    found = re.search(rf"/([^/\s]*(?:{'|'.join(FAMILIES)})[^/\s]*\.so[^/\s]*)", text)
    if found is None:
        return None
    family = next(name for name in FAMILIES if name in found[1])
    return f"{family} ({found[1]})"


def libc() -> str:
    """The C library: ``glibc 2.36``, or ``libc`` for one that does not say."""
    try:
        # "glibc 2.36"; the C library that Python was built against could be another one.
        return os.confstr("CS_GNU_LIBC_VERSION") or "libc"
    except (ValueError, OSError):
        return "libc"


def find_allocator(family: str) -> str | None:
    """The shared library of an allocator, where the loader would find it; the newest version of the plainest name."""
    for folder in _library_folders():
        for stem in (f"lib{family}", f"lib{family}_minimal"):
            found = sorted(folder.glob(f"{stem}.so*"), key=lambda path: (len(path.name), path.name))
            if found:
                return str(found[-1])
    return None


def _library_folders() -> list[Path]:
    """Where the loader looks: ``LD_LIBRARY_PATH``, this Python's own prefix, the system's folders."""
    named = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    machine = f"{platform.machine()}-linux-gnu"
    usual = [f"/usr/local/lib/{machine}", "/usr/local/lib", f"/usr/lib/{machine}", f"/lib/{machine}"]
    return [
        Path(folder) for folder in (*named, f"{sys.prefix}/lib", *usual, "/usr/lib64", "/lib64", "/usr/lib", "/lib")
    ]


def initial_environment() -> Mapping[str, str]:
    """The variables that the process was started with: an allocator reads them once, before Python runs."""
    text = _read(Path("/proc/self/environ"))
    if text is None:
        return os.environ
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)


# --- git --------------------------------------------------------------------------------------------


def _git(cwd: Path) -> tuple[str | None, bool | None]:
    """The commit that is checked out and whether tracked files differ from it; None where git cannot say."""
    commit = _run_git(cwd, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None, None
    status = _run_git(cwd, "status", "--porcelain", "--untracked-files=no")
    return commit, None if status is None else bool(status)


def _run_git(cwd: Path, *arguments: str) -> str | None:
    # A hook's GIT_DIR would answer for another repository than the one around cwd.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # Looking must not take the index lock from the user's own git, nor run a program that a repository names.
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(cwd), *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
