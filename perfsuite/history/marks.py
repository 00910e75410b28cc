"""What changed around the code while a history was measured: a mark on its lines, and never a new line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perfsuite.analyse.diff.comparable import environment_changes
from perfsuite.analyse.diff.model import Change
from perfsuite.history.model import Commit
from perfsuite.history.shelf import Shelf
from perfsuite.records import Environment, Run

#: What belongs to the machine, and the interpreter, which a stack may pin; what a commit brings along (torch, IPEX,
#: oneDNN) is the subject of the history.
_FACTS = (
    "cpu_model", "isa", "logical_cpus", "physical_cores", "usable_cpus", "numa_nodes", "governor", "ram_bytes",
    "kernel", "allocator", "python", "torch_threads", "torch_interop_threads",
)  # fmt: skip
#: Another processor has other caches, instructions and cores: to say so once is enough.
_OF_THE_CPU = ("isa", "logical_cpus", "physical_cores", "usable_cpus", "numa_nodes", "ram_bytes", "governor")
#: Memory that a reboot takes or gives back is no other machine.
_MEMORY = 0.02


#: The commit is another by itself.
_ALWAYS = ("git_commit", "git_dirty")


@dataclass(frozen=True)
class Mark:
    """From this commit on it was measured on, or under, something else."""

    commit: Commit
    #: base is what was before.
    changes: tuple[Change, ...]


def marks(shelf: Shelf, commits: Iterable[Commit]) -> tuple[Mark, ...]:
    """Changes of the machine between commits that were measured one after the other, in their order.

    Where machines take turns, a commit is held against the last one on the same processor, so that a turn is no
    change; a processor that was not seen before is one.
    """
    found = []
    last: Environment | None = None
    by_processor: dict[str | None, Environment] = {}
    for commit in sorted(commits, key=lambda one: one.position):
        now = shelf.environment(commit)
        if now is None:
            continue
        before = by_processor.get(now.cpu_model, last)
        changes = () if before is None else _changes(before, now)
        if changes:
            found.append(Mark(commit, changes))
        last = by_processor[now.cpu_model] = now
    return tuple(found)


def environment_between(before: Environment | None, at: Environment | None) -> tuple[Change, ...]:
    """What of software and machine differs between the runs of two commits; nothing where one has none."""
    return () if before is None or at is None else besides_the_commit(_every(before, at))


def besides_the_commit(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Those of changes of an environment that do not only say that the commit is another one."""
    return tuple(one for one in changes if one.key not in _ALWAYS)


def _every(before: Environment, now: Environment) -> tuple[Change, ...]:
    return environment_changes(*(Run("", "", "complete", one) for one in (before, now)))


def _changes(before: Environment, now: Environment) -> tuple[Change, ...]:
    machine = [
        one for one in _every(before, now) if (one.key in _FACTS or one.key.startswith("omp.")) and not _is_small(one)
    ]
    if any(one.key == "cpu_model" for one in machine):
        machine = [one for one in machine if one.key not in _OF_THE_CPU]
    return tuple(machine)


def _is_small(one: Change) -> bool:
    if one.key != "ram_bytes" or not isinstance(one.base, (int, float)) or not isinstance(one.head, (int, float)):
        return False
    return abs(one.head - one.base) <= _MEMORY * one.base
