"""What a rule hands out: findings with their evidence, or why it could not look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from perfsuite.analyse.advice.subject import Subject

#: Two processes of the same code differ by up to a per cent even in quiet surroundings: less could not be seen.
LEAST_SHARE = 0.01
#: ``bound``: no more than this can vanish.  ``measured``: this vanishes.  ``estimate``: about this does, by a model.
StakeKind = Literal["bound", "measured", "estimate", "unknown"]


@dataclass(frozen=True)
class Fact:
    """One piece of evidence; None where the fact has none.

    ``count`` and ``time_ns`` are per step, means of the profiled steps as in the tables unless ``text`` says otherwise.
    """

    text: str
    count: float | None = None
    time_ns: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Stake:
    """What would vanish if the finding was mended; None where that is not known.

    A rule hands out time as its pass measured it.  :func:`advise` makes ``ns`` comparable with the headline: the share
    times the median timed step, or times the profiled step where none was timed.
    """

    ns: float | None
    #: Of the step ``of``.
    share: float | None
    kind: StakeKind
    #: Of what it is a bound, a measurement or an estimate; :func:`advise` adds which step the share is applied to.
    how: str
    #: The step that ``share`` is a part of: that of the pass that measured it.
    of: str = "the profiled step"


@dataclass(frozen=True)
class Finding:
    """Something to mend: what was seen, what it costs, what to do, and why it might not be so."""

    rule: str
    title: str
    evidence: tuple[Fact, ...]
    stake: Stake
    action: str
    caveat: str
    #: Why it is to be mended before the others are read; None where it distorts nothing else.
    first: str | None = None
    #: The rule of the finding that most of its time also belongs to; None where it stands for itself.
    part_of: str | None = None
    #: Indices into ``profile.operators`` of what it is about, where another finding may be about the same.
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class NotChecked:
    """The rule could not look; ``reason`` says what it needs."""

    rule: str
    reason: str


@dataclass(frozen=True)
class Advice:
    """What all rules say of one workload: findings in the order to mend them, :func:`advise`, and who found nothing."""

    workload: str
    findings: tuple[Finding, ...]
    silent: tuple[str, ...]
    not_checked: tuple[NotChecked, ...]
    #: Share of the step below which a finding is not told.
    least_share: float = LEAST_SHARE

    @property
    def top(self) -> tuple[Finding, ...]:
        """The findings that stand for themselves, in their order: those that are a part of another one left out."""
        return tuple(finding for finding in self.findings if finding.part_of is None)


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
