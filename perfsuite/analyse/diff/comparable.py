"""What differs around the workloads, what of it makes two runs incomparable, and what to bear in mind."""

from __future__ import annotations

from collections.abc import Iterator

from perfsuite.analyse.diff.model import Change, Value
from perfsuite.records import Environment, Profile, Run

#: Another of these is another machine, or another part of it: times then say nothing about the code.
_MACHINE = {
    "cpu_model": "CPU model",
    "isa": "instruction sets",
    "logical_cpus": "logical CPUs",
    "usable_cpus": "usable CPUs",
    "torch_threads": "torch threads",
}
_PLAIN = (
    "cpu_model", "logical_cpus", "physical_cores", "usable_cpus", "numa_nodes", "governor", "ram_bytes", "kernel",
    "allocator", "python", "torch_threads", "torch_interop_threads", "torch", "torch_commit", "ipex", "ipex_commit",
    "git_commit", "git_dirty", "perfsuite",
)  # fmt: skip
#: Another of these is another workload under the same name.
_WORKLOAD = {"dtype": "data type", "scale": "scale"}


def environment_changes(base: Environment, head: Environment) -> tuple[Change, ...]:
    """Every recorded fact that differs, sorted by key; of variables and copies of oneDNN one by one."""
    before, after = dict(_facts(base)), dict(_facts(head))
    keys = sorted(set(before) | set(after))
    return tuple(Change(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key))


def machine_reasons(base: Environment, head: Environment) -> tuple[str, ...]:
    """Why times of the two cannot be compared; what one side does not know is no reason."""
    reasons = []
    for key, words in _MACHINE.items():
        before, after = getattr(base, key), getattr(head, key)
        if before not in (None, ()) and after not in (None, ()) and before != after:
            reasons.append(f"{words}: {_side(before, after)} and {_side(after, before)}")
    return tuple(reasons)


def workload_reasons(base: Profile, head: Profile) -> tuple[str, ...]:
    """Why the two are not the same workload though they have one name."""
    return tuple(
        f"{base.name}: {words} {getattr(base, key)} and {getattr(head, key)}"
        for key, words in _WORKLOAD.items()
        if None not in (getattr(base, key), getattr(head, key)) and getattr(base, key) != getattr(head, key)
    )


def workload_changes(base: Profile, head: Profile) -> tuple[Change, ...]:
    """What the workload, or how it was profiled, differs in."""
    keys = ("backend", "dtype", "scale", "join", "steps")
    sides = [(key, getattr(base, key), getattr(head, key)) for key in keys]
    return tuple(Change(key, one, other) for key, one, other in sides if one != other)


def run_notes(base: Run, head: Run) -> tuple[str, ...]:
    """What the reader must know of the two runs to trust a difference of times."""
    notes = []
    for side, run in (("base", base), ("head", head)):
        disturbances = run.environment.disturbances
        if disturbances is None:
            notes.append(
                f"whether {side} was recorded under quiet settings is not known; without them two processes of the "
                "same code can differ by 10 to 25 %"
            )
        elif disturbances:
            notes.append(
                f"{side} was not quiet, and without quiet settings two processes of the same code can differ by "
                f"10 to 25 %: {'; '.join(disturbances)}"
            )
        if run.status != "complete":
            notes.append(f"{side} is {run.status}: it may lack workloads")
        notes += [f"{side}: {problem}" for problem in run.problems]
    return tuple(notes)


def workload_notes(base: Profile, head: Profile) -> tuple[str, ...]:
    """The same of one workload."""
    notes = []
    for side, profile in (("base", base), ("head", head)):
        if profile.contended:
            notes.append(f"{side} was timed while other workers of its session ran")
        if profile.samples is None or not profile.samples.rounds_ns:
            notes.append(f"{side} was not timed")
        if profile.ledger is None:
            notes.append(f"{side} has no operator pass: neither rows nor a census can be compared")
        elif "primitives" not in profile.passes:
            notes.append(f"{side} has no primitive pass: implementations, layouts and reorders cannot be compared")
        if profile.operators and not any(row.counts for row in profile.operators):
            notes.append(f"{side} was recorded in format 1, which has no counts by step: unstable rows cannot be told")
    return tuple(notes)


def _facts(environment: Environment) -> Iterator[tuple[str, Value]]:
    for key in _PLAIN:
        yield key, getattr(environment, key)
    yield "isa", " ".join(environment.isa)
    yield from ((f"omp.{name}", value) for name, value in environment.omp.items())
    for index, copy in enumerate(environment.onednn):
        yield from ((f"onednn[{index}].{name}", value) for name, value in copy.items())


def _side(value: object, other: object) -> str:
    """The value; of a list, what the other side lacks."""
    if isinstance(value, tuple) and isinstance(other, tuple):
        return f"{len(value)} ({' '.join(sorted(set(value) - set(other))) or 'no other'})"
    return str(value)
