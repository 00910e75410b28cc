"""What the history knows, as frozen records.

A ratio is after ÷ before, a share is a fraction, and the values of a benchmark are in its own unit: milliseconds,
bytes, counts.  Lower is better everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfsuite.analyse.diff.model import Change as Fact


@dataclass(frozen=True)
class Commit:
    """A commit of the project whose history is kept."""

    #: All forty digits.
    hash: str
    #: Commits before it along the branch, by first parents: the order of a series.
    position: int
    #: When it was made, ISO 8601 in UTC.
    date: str
    #: Names of the tags on it, the shortest first.
    tags: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What people call it: its tag, or eight digits."""
        return self.tags[0] if self.tags else self.hash[:8]


@dataclass(frozen=True)
class Stack:
    """What is installed to measure a commit."""

    #: Requirements as pip takes them, in order: ``torch==2.8.0``, or the path of a wheel.
    requirements: tuple[str, ...]
    #: Modules that must be importable afterwards; the first is the project's own.
    imports: tuple[str, ...]
    #: How the requirements were found: ``wheel map``, ``wheelhouse``, ``release v2.8.0``, ``source``.
    origin: str
    #: The interpreter to make the environment with; None for the one that runs.
    python: str | None = None
    #: Commands that build the project from a checkout before the requirements count; none for wheels.
    build: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Absent:
    """Why a commit cannot be measured now; it may be later."""

    reason: str


@dataclass(frozen=True)
class Benchmark:
    """One line of the history: a benchmark of asv with one combination of its parameters."""

    #: asv's name: ``steps.Steps.track_step``.
    name: str
    #: Parameter → value, as asv names them (without the quotes of its reprs).
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    unit: str = "unit"

    @property
    def label(self) -> str:
        """``steps.Steps.track_step(retinanet)``."""
        return f"{self.name}({', '.join(self.parameters.values())})" if self.parameters else self.name


@dataclass(frozen=True)
class Point:
    """One benchmark at one commit on one machine."""

    commit: Commit
    machine: str
    #: The benchmark's own value, the median of its samples where it has some.
    value: float
    #: What was measured, as it was kept; empty where asv kept none.
    samples: tuple[float, ...] = ()
    #: When it was measured, ISO 8601 in UTC; None if not known.
    measured: str | None = None


@dataclass(frozen=True)
class Series:
    """The history of one benchmark: its points in the order of commits, of one commit by machine."""

    benchmark: Benchmark
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Change:
    """The level of a series is another from a commit on."""

    benchmark: Benchmark
    #: The last commit that was measured on the old level, and the first on the new one.
    before: Commit
    at: Commit
    #: New level ÷ old one, infinite where a count was none, and the interval of it, which of counts is the ratio alone.
    ratio: float
    interval: tuple[float, float]
    #: Of the interval; 1 of counts.
    confidence: float
    #: How many points there were on either side.
    points: tuple[int, int]
    #: From which commit on the old level is back; None as long as it is not.
    recovered: Commit | None = None

    @property
    def is_regression(self) -> bool:
        """Whether it became slower, or more."""
        return self.ratio > 1

    @property
    def counted(self) -> bool:
        """Whether it is of counts that do not vary, so that the ratio is all there is to know."""
        return self.confidence == 1

    @property
    def size(self) -> float:
        """How large it is, in either direction: ``|log ratio|``, infinite to or from a count of none."""
        return abs(math.log(self.ratio)) if 0 < self.ratio < math.inf else math.inf


@dataclass(frozen=True)
class Finding:
    """Changes that have one cause: of several benchmarks and operators, between the same commits."""

    before: Commit
    at: Commit
    #: The largest first; those of whole steps before those of their parts.
    changes: tuple[Change, ...]
    #: What of software and machine differs between the measurements of the two commits.
    environment: tuple[Fact, ...] = ()

    @property
    def is_regression(self) -> bool:
        """Whether the change that leads it is one."""
        return self.changes[0].is_regression

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same finding tomorrow."""
        return (self.at.hash, self.changes[0].benchmark.label)


@dataclass(frozen=True)
class Skipped:
    """A commit that a night could not measure, and why."""

    commit: Commit
    reason: str


@dataclass(frozen=True)
class Night:
    """What a night did."""

    began: str
    ended: str | None
    measured: tuple[Commit, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    findings: tuple[Finding, ...] = ()
    #: Keys of the findings that no night before this one had.
    new: tuple[tuple[str, str], ...] = ()
    #: What the reader must know, a line each.
    notes: tuple[str, ...] = ()
