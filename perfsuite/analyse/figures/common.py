"""What several figures say alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perfsuite.records import Profile
from perfsuite.units import counted, format_share


def subtitle(profile: Profile, *more: str) -> str:
    """``retinanet · standard · float32 · eager``, and ``more``."""
    known = (profile.name, profile.scale, profile.dtype, profile.backend, *more)
    return " · ".join(part for part in known if part)


def steps(count: int) -> str:
    """``mean of 5 steps``; nothing where it is not known how many."""
    return "" if not count else f"{'' if count == 1 else 'mean of '}{counted(count, 'step')}"


def slower_by(profile: Profile, which: str) -> Iterator[str]:
    """How much longer than the timed steps those of a pass took, a sentence; nothing where that is not known."""
    overhead = profile.overhead.get(which)
    if overhead is not None:
        direction = "longer" if overhead >= 0 else "less"
        yield f"A step of this pass took {format_share(abs(overhead))} {direction} than a timed one."


def contended(profile: Profile) -> Iterator[str]:
    """A sentence where other workers of the same session disturbed the timing."""
    if profile.contended:
        yield "Timed while other workers of the same session were running."


def not_recorded(what: str, which: str) -> str:
    """Why there is no figure: a pass did not run."""
    return f"{what} not recorded: the {which} pass did not run (--profile-dnn-passes)."


def phase_order(profile: Profile, found: Iterable[str | None]) -> tuple[str | None, ...]:
    """The phases as they ran, then those in ``found`` that were not timed, and None last if it is among them.

    All that were timed, whether found or not: then a phase has one colour in all figures of a profile.
    """
    there = dict.fromkeys(found)
    timed = [phase.name for phase in profile.phases if phase.samples_ns]
    others = [name for name in there if name is not None and name not in timed]
    return (*timed, *others, *((None,) if None in there else ()))
