"""What differs around the workloads, what of it makes two runs incomparable, and what to bear in mind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfsuite.analyse.diff.model import Change, Value
from perfsuite.records import Environment, Profile, Run

#: What a ratio of two processes holds besides their code.
NOISE = (
    "two processes of the same code differ by up to about a per cent where they are quiet and by 10 to 25 % where they "
    "are not, as measured on two machines (docs/quiet.md)"
)
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


#: Which word of a note takes which form where the note is of both sides.
_PLURAL = {"was": "were", "is": "are", "has": "have"}

#: A sentence around a side: what stands before it, its verb, and what follows.
_Note = tuple[str, str, str]


def environment_changes(base: Run, head: Run) -> tuple[Change, ...]:
    """Every recorded fact that differs, sorted by key; of variables and copies of oneDNN one by one.

    What a copy of oneDNN says of itself is only heard by the primitive pass, so what a run without that pass lacks of
    it is no change.
    """
    before, after = dict(_facts(base.environment)), dict(_facts(head.environment))
    deaf = [facts for facts, run in ((before, base), (after, head)) if not _heard(run)]
    return tuple(
        Change(key, before.get(key), after.get(key))
        for key in sorted(set(before) | set(after))
        if before.get(key) != after.get(key)
        and not (key.startswith("onednn[") and any(facts.get(key) is None for facts in deaf))
    )


def _heard(run: Run) -> bool:
    return any("primitives" in profile.passes for profile in run.workloads)


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
    """What the workload, or how it was profiled, differs in; a pass that a side lacks is a note and no change."""
    keys = ["backend", "dtype", "scale"]
    keys += ["join"] if base.join and head.join else []
    keys += ["steps"] if base.ledger and head.ledger else []
    sides = [(key, getattr(base, key), getattr(head, key)) for key in keys]
    return tuple(Change(key, one, other) for key, one, other in sides if one != other)


def run_notes(base: Run, head: Run) -> tuple[str, ...]:
    """What the reader must know of the two runs to trust a difference of times."""
    same = ("these are the same run",) if base == head else ()
    loud = any(run.environment.disturbances != () for run in (base, head))
    return (*same, *_told(_of_run(base), _of_run(head)), *((NOISE,) if loud else ()))


def workload_notes(base: Profile, head: Profile, timed_elsewhere: bool = False) -> tuple[str, ...]:
    """The same of one workload; ``timed_elsewhere`` where the times that are compared are not the profiles'."""
    return _told(_of_workload(base, timed_elsewhere), _of_workload(head, timed_elsewhere))


def _told(base: Sequence[_Note], head: Sequence[_Note]) -> tuple[str, ...]:
    """The notes of base, then of head; one that both have is told once of both."""
    told = []
    for side, notes, other in (("base", base, head), ("head", head, base)):
        for note in notes:
            before, verb, after = note
            if note not in other:
                told.append(f"{before}{side} {verb} {after}")
            elif side == "base":
                told.append(f"{before}base and head {_PLURAL[verb]} {after}")
    return tuple(told)


def _of_run(run: Run) -> list[_Note]:
    notes: list[_Note] = []
    disturbances = run.environment.disturbances
    if disturbances is None:
        notes.append(("whether ", "was", "recorded under quiet settings is not known"))
    elif disturbances:
        notes.append(("", "was", f"not quiet: {'; '.join(disturbances)}"))
    if run.status != "complete":
        notes.append(("", "is", f"{run.status}: workloads may be missing"))
    if run.problems:
        notes.append(("", "has", f"workloads that cannot be read: {'; '.join(run.problems)}"))
    return notes


def _of_workload(profile: Profile, timed_elsewhere: bool) -> list[_Note]:
    notes: list[_Note] = []
    if profile.contended:
        notes.append(("", "was", "timed while other workers of the session ran"))
    if not timed_elsewhere and (profile.samples is None or not profile.samples.rounds_ns):
        notes.append(("", "was", "not timed"))
    if profile.ledger is None:
        notes.append(("", "has", "no operator pass: neither rows nor a census can be compared"))
    elif "primitives" not in profile.passes:
        notes.append(("", "has", "no primitive pass: implementations, layouts and reorders cannot be compared"))
    if profile.operators and not any(row.counts for row in profile.operators):
        after = "recorded in format 1, which has no counts by step: unstable rows cannot be told"
        notes.append(("", "was", after))
    return notes


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
