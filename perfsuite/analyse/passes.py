"""The passes over a step: how long its steps took in each, and in which they scattered too much to trust a share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.passes import PASSES
from perfsuite.records import Profile
from perfsuite.stats import mean, median

#: Those of whose steps something is said to be a share.
_SHARED = ("phases", "operators", "primitives")
#: Of whose steps the mean is said; of phases it is the median.
_MEANS = ("operators", "primitives")
#: Where a pass's longest step exceeds its shortest by more than this, shares of its steps are rough.
ROUGH = 0.15
#: Where the mean step of a pass takes this many times the timed one, it is another step than the one that was timed.
UNLIKE = 2.0


@dataclass(frozen=True)
class PassTimes:
    """A pass: ``samples`` were clocked, of ``iterations`` steps each; times are of one step, None without samples."""

    name: str
    ran: bool
    samples: int = 0
    iterations: int = 1
    median_ns: float | None = None
    shortest_ns: float | None = None
    longest_ns: float | None = None
    #: Its median ÷ the timed one − 1; None where the profile does not say.
    overhead: float | None = None

    @property
    def spread(self) -> float | None:
        """By how much the longest step exceeds the shortest, as a fraction of that; None with fewer than two."""
        if self.samples < 2 or not self.shortest_ns or self.longest_ns is None:
            return None
        return self.longest_ns / self.shortest_ns - 1


@dataclass(frozen=True)
class Stray:
    """A pass whose mean step, of which all its figures are, stands neither for its own steps nor for the timed one."""

    name: str
    mean_ns: float
    #: How many times the median of the pass's own steps that is, and the median of the timed ones.
    of_median: float
    of_timed: float | None


def pass_times(profile: Profile) -> tuple[PassTimes, ...]:
    """Every pass, whether it ran or not."""
    return tuple(_times(profile, name) for name in PASSES)


def rough_passes(profile: Profile) -> tuple[PassTimes, ...]:
    """The passes of whose steps shares are said though their :attr:`~PassTimes.spread` is above :data:`ROUGH`."""
    return tuple(
        one for one in pass_times(profile) if one.name in _SHARED and one.spread is not None and one.spread > ROUGH
    )


def stray_passes(profile: Profile) -> tuple[Stray, ...]:
    """The passes of whose steps the mean is said though it is far from their median (:data:`ROUGH`), or from the timed
    one (:data:`UNLIKE`)."""
    timed = _middle(profile, "timing")
    found = []
    for name in _MEANS:
        own = _middle(profile, name)
        if own is None:
            continue
        average = mean(_steps_ns(profile, name))
        one = Stray(name, average, average / own, None if timed is None else average / timed)
        if one.of_median > 1 + ROUGH or (one.of_timed or 0.0) > UNLIKE:
            found.append(one)
    return tuple(found)


def _middle(profile: Profile, name: str) -> float | None:
    """The median step of a pass; None without one that took time."""
    steps = _steps_ns(profile, name)
    middle = median(steps) if steps else 0.0
    return middle if middle > 0 else None


def _times(profile: Profile, name: str) -> PassTimes:
    steps = _steps_ns(profile, name)
    overhead = profile.overhead.get(name)
    if not steps:
        return PassTimes(name, name in profile.passes, overhead=overhead)
    iterations = profile.samples.iterations if name == "timing" and profile.samples is not None else 1
    return PassTimes(name, True, len(steps), iterations, median(steps), min(steps), max(steps), overhead)


def _steps_ns(profile: Profile, name: str) -> Sequence[float]:
    if name == "timing":
        return profile.samples.per_step_ns if profile.samples is not None else ()
    return profile.walls_ns.get(name, ())
