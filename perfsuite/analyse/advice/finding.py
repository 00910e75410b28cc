"""What a rule hands out: findings with their evidence, or why it could not look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from perfsuite.analyse.advice.subject import Subject


@dataclass(frozen=True)
class Fact:
    """One piece of evidence.  ``count`` and ``time_ns`` are per step; None where the fact has none."""

    text: str
    count: float | None = None
    time_ns: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Stake:
    """The time that would vanish at most, and its share of the step it was measured in; None where not known.

    ``how`` says where it comes from: measured, estimated or an upper bound, and of what.
    """

    ns: float | None
    share: float | None
    how: str


@dataclass(frozen=True)
class Finding:
    """Something to mend: what was seen, what it costs at most, what to do, and why it might not be so."""

    rule: str
    title: str
    evidence: tuple[Fact, ...]
    stake: Stake
    action: str
    caveat: str


@dataclass(frozen=True)
class NotChecked:
    """The rule could not look; ``reason`` says what it needs."""

    rule: str
    reason: str


@dataclass(frozen=True)
class Advice:
    """What all rules say of one workload: findings by stake, and which rules found nothing or could not look."""

    workload: str
    findings: tuple[Finding, ...]
    silent: tuple[str, ...]
    not_checked: tuple[NotChecked, ...]


class Rule(Protocol):
    """One thing to look for."""

    @property
    def name(self) -> str:
        """Its id."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Passes and phases without which it cannot look: :meth:`Subject.lacks`."""
        ...

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """What it finds; nothing if the profile is healthy in this respect."""
        ...
