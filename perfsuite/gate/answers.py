"""What a pair of workers has to say of what it runs, and why it may have nothing to say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.errors import PerfsuiteError
from perfsuite.gate.messages import Listed, Uncollected
from perfsuite.gate.model import SIDES
from perfsuite.gate.turns import Plan
from perfsuite.gate.worker import EndedError


@dataclass(frozen=True)
class Collected:
    """What a side has, by name, and what of it could not be collected."""

    benchmarks: Mapping[str, Listed]
    errors: tuple[Uncollected, ...] = ()


@dataclass(frozen=True)
class Ready:
    """Both sides of a benchmark are warm."""

    plan: Plan
    #: Seconds that a step takes.
    step_seconds: float
    #: Real path → SHA-256 of the repository's files that each side has loaded.
    loaded: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...]
    #: How long the machine had been suspended when the warm-up began.
    suspended_ns: int = 0
    #: Of the modules whose names were asked for: name → real path of what each side has loaded outside of both trees.
    elsewhere: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {side: {} for side in SIDES})
    #: Compiled extensions that each side has loaded from outside of the trees, of environments and of the system.
    extensions: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict.fromkeys(SIDES, ()))


class SuspendedError(PerfsuiteError):
    """The machine was suspended while a pair was timed."""


class SkippedError(PerfsuiteError):
    """Both sides skip the benchmark; the text says why."""


def skipped_by_both(ends: Iterable[EndedError]) -> SkippedError:
    """What both sides say of a benchmark that they skip."""
    return SkippedError("; ".join(dict.fromkeys(end.why for end in ends if end.why)) or "no reason given")
