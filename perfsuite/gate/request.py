"""What a gate is to compare, and what came of it so far."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.gate.installed import Changed
from perfsuite.gate.messages import Listed
from perfsuite.gate.model import SIDES, BenchmarkResult, Policy
from perfsuite.gate.rules import CensusRules
from perfsuite.gate.worker import Runnable
from perfsuite.records import Environment
from perfsuite.units import some

#: Files that are named where there may be many.
_NAMED = 3


@dataclass(frozen=True)
class Request:
    """What a gate is to compare, and how.  Mappings are by side."""

    runnables: Mapping[str, Runnable]
    #: The root of each side's tree.
    roots: Mapping[str, str]
    #: What to run, as absolute paths within each side's tree, ``::`` and a name after some; none for all.
    wanted: Mapping[str, Sequence[str]]
    policy_of: Callable[[Listed], Policy]
    #: None where no census is taken, and nothing is profiled.
    rules: CensusRules | None
    timeout: float = 300.0
    #: The CPUs that workers of either side may use; None for those of this process.
    cpus: Sequence[int] | None = None
    #: No timing: the census alone.
    census_only: bool = False
    seed: int | None = None
    #: What differs between the trees.
    changed: Changed = field(default_factory=Changed)
    #: The folders in which the sides compile their extensions, where these are the gate's own.
    extensions: Sequence[str] = ()


@dataclass
class Outcome:
    """What came of it so far."""

    benchmarks: tuple[BenchmarkResult, ...] = ()
    unfinished: tuple[str, ...] = ()
    environments: Mapping[str, Environment] = field(default_factory=dict)
    #: By side, real path → SHA-256 when a worker first loaded it.
    loaded: Mapping[str, dict[str, str]] = field(default_factory=lambda: {side: {} for side in SIDES})
    #: What is to be said besides of no benchmark that there is.
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False

    def note(self, sentence: str) -> None:
        """Keep what has not been said before."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def changed_since(self, loaded: Mapping[str, Mapping[str, str]], roots: Mapping[str, str]) -> str | None:
        """Keep which files the sides run; a sentence where one is not what it was in an earlier process.

        Args:
            loaded: by side, real path → SHA-256.
            roots: by side, the root of its tree, to which the sentence is relative.
        """
        sentences = []
        for side in SIDES:
            known, root = self.loaded[side], os.path.realpath(roots[side])
            changed = [path for path, digest in loaded[side].items() if known.setdefault(path, digest) != digest]
            if changed:
                named = some([os.path.relpath(path, root) for path in sorted(changed)], _NAMED)
                sentences.append(f"{side}'s files changed while the gate ran: {named}")
        return "; ".join(sentences) or None
