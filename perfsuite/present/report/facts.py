"""What the page says of the machine, the software and the passes: names and texts, nothing measured anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfsuite.analyse.passes import PassTimes, pass_times
from perfsuite.present.cells import MISSING, format_bytes, format_ns, format_share
from perfsuite.present.phrases import MINUS, counted, steps_range
from perfsuite.records import Environment, Profile

_NAMES = {
    "cpu_model": "CPU",
    "isa": "Instruction sets",
    "logical_cpus": "Logical CPUs",
    "physical_cores": "Physical cores",
    "usable_cpus": "Usable CPUs",
    "numa_nodes": "NUMA nodes",
    "governor": "Frequency governor",
    "ram_bytes": "Memory",
    "kernel": "Kernel",
    "allocator": "Allocator",
    "python": "Python",
    "torch_threads": "Threads of torch",
    "torch_interop_threads": "Inter-operator threads",
    "torch": "PyTorch",
    "torch_commit": "PyTorch commit",
    "ipex": "Intel Extension for PyTorch",
    "ipex_commit": "Extension commit",
    "git_commit": "Commit of the tested code",
    "git_dirty": "Uncommitted changes",
    "perfsuite": "perfsuite",
}
#: What each pass measures, for somebody who meets it for the first time.
_PASSES = {
    "timing": "the step as it is, nothing attached: the verdict, and the distribution of its samples",
    "phases": "the step with its phases timed, no profiler: the phases",
    "operators": "under PyTorch's profiler: operators, modules, Python, the ledger, the roofline, most of the advice",
    "primitives": "with oneDNN's own timing on: primitives, their implementations and layouts",
    "memory": "one bare step for resident memory and the kernel's part, then steps under the profiler for allocations, "
    "which are those timed here",
}


@dataclass(frozen=True)
class PassFact:
    """A pass over the step."""

    name: str
    what: str
    #: ``3 steps``, ``10 rounds of 50 steps``, or ``did not run``.
    steps: str
    median: str
    #: From the shortest step to the longest.
    range: str
    #: By how much its median differs from the timed one.
    overhead: str


def environment_facts(environment: Environment) -> Iterator[tuple[str, str]]:
    """Every recorded fact, a name and a text each; what is not known says so."""
    for key, name in _NAMES.items():
        yield name, _text(key, getattr(environment, key))
    for index, copy in enumerate(environment.onednn, 1):
        which = "oneDNN" if len(environment.onednn) == 1 else f"oneDNN, copy {index}"
        yield which, ", ".join(f"{key} {value}" for key, value in copy.items())
    yield from environment.omp.items()


def _text(key: str, value: object) -> str:
    if value is None or value == ():
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return format_bytes(value) if key == "ram_bytes" and isinstance(value, int) else str(value)


def pass_facts(profile: Profile) -> Iterator[PassFact]:
    """Every pass, whether it ran or not."""
    for one in pass_times(profile):
        overhead = MISSING if one.overhead is None else format_share(one.overhead, "+").replace("-", MINUS)
        yield PassFact(
            one.name, _PASSES[one.name], _clocked(one), format_ns(one.median_ns, 4), steps_range(one), overhead
        )  # fmt: skip


def _clocked(one: PassTimes) -> str:
    if not one.samples:
        return "ran" if one.ran else "did not run"
    if one.iterations == 1:
        return counted(one.samples, "step")
    return f"{counted(one.samples, 'round')} of {one.iterations} steps"
