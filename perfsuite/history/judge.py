"""From the series of a history to findings: what became slower, since which commit, and what belongs together.

What is counted is compared as it is (:mod:`perfsuite.history.counts`).  A long series of times is judged as a whole, by
the noise it has from night to night (:mod:`perfsuite.history.levels`).  A short one, of some releases, cannot show that
noise: there two neighbours are compared by processes that took turns (:mod:`perfsuite.history.processes`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from perfsuite.history.counts import by_counts
from perfsuite.history.levels import LONG, by_levels, level_change
from perfsuite.history.marks import environment_between
from perfsuite.history.model import Change, Commit, Finding, Series
from perfsuite.history.processes import Processes, Runs
from perfsuite.history.values import COUNTS, place_of
from perfsuite.units import counted

#: The smallest change that is reported, as a share.
THRESHOLD = 0.03
#: Nights by which the places of changes that have one cause may differ.
NEAR = 2
#: What is judged by itself; the parts of a step only explain what happened to it.
LEADING = ("step", "focal_loss", "peak_rss", *COUNTS)
_PARTS = ("phase", "operator", "outside_onednn")


def judge(
    series: Sequence[Series], shelf: Runs, threshold: float = THRESHOLD
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """The findings of a history, the newest first, and what could not be judged, a line each.

    Args:
        series: of all benchmarks.
        shelf: the runs that were recorded along with them (:class:`perfsuite.history.shelf.Shelf`).
        threshold: the smallest change that is reported, as a share.
    """
    known = [one for series_ in series if (one := _finite(series_)).points]
    counts = [one for one in known if _measure(one) in COUNTS]
    timed = [one for one in known if _measure(one) in LEADING and one not in counts]
    long = [one for one in timed if len(one.points) >= LONG]
    short = [one for one in timed if 1 < len(one.points) < LONG]
    places = _places(known)
    processes = Processes(shelf)
    neighbours, left = processes.neighbours(short, threshold)
    leading = [*by_counts(counts, threshold), *by_levels(long, threshold), *neighbours]
    parts = [one for one in known if _measure(one) in _PARTS]
    order = {hash_: number for number, hash_ in enumerate(places)}
    findings = []
    for group in _groups(leading, order):
        first = group[0]
        beside = _beside(parts, first, processes, threshold)
        around = environment_between(shelf.environment(first.before), shelf.environment(first.at))
        findings.append(Finding(first.before, first.at, (*group, *beside), around))
    return tuple(sorted(findings, key=lambda one: -one.at.position)), _notes(left)


def _finite(series: Series) -> Series:
    """Without points that failed; a time of nothing is none."""
    least = 0.0 if _measure(series) in COUNTS else math.ulp(0.0)
    kept = tuple(point for point in series.points if math.isfinite(point.value) and point.value >= least)
    return Series(series.benchmark, kept)


def _measure(series: Series) -> str | None:
    place = place_of(series.benchmark.name, series.benchmark.parameters)
    return place[1] if place else None


def _places(series: Iterable[Series]) -> Mapping[str, Commit]:
    """All commits that were measured, in their order."""
    found = {point.commit.hash: point.commit for one in series for point in one.points}
    return dict(sorted(found.items(), key=lambda item: item[1].position))


def _notes(left: Mapping[tuple[Commit, Commit], int]) -> tuple[str, ...]:
    return tuple(
        f"{before.label} → {at.label}: {counted(lines, 'line')} not compared, since no two processes of each took turns "
        f"in one night, and fewer than {LONG} nights say nothing of the noise between nights; "
        f"perfsuite history nightly --again {before.label} --again {at.label} measures them in turns"
        for (before, at), lines in left.items()
    )


# --- what belongs together ----------------------------------------------------------------------------


def _groups(changes: Sequence[Change], order: Mapping[str, int]) -> list[list[Change]]:
    """Changes at about the same commit and in the same direction, those of steps first, then the largest.

    Where the line is long, the commit may be a few off; where two releases were compared, it is not.
    """
    groups: list[list[Change]] = []
    for change in sorted(changes, key=lambda one: one.at.position):
        near = next((group for group in groups if _belong(group[0], change, order)), None)
        if near is None:
            groups.append([change])
        else:
            near.append(change)
    return [sorted(group, key=lambda one: (not _is_step(one), -one.size)) for group in groups]


def _belong(one: Change, other: Change, order: Mapping[str, int]) -> bool:
    reach = NEAR if min(sum(one.points), sum(other.points)) >= LONG else 0
    apart = abs(order[one.at.hash] - order[other.at.hash])
    return apart <= reach and one.is_regression == other.is_regression


def _is_step(change: Change) -> bool:
    place = place_of(change.benchmark.name, change.benchmark.parameters)
    return place is not None and place[1] == "step"


def _beside(parts: Sequence[Series], first: Change, processes: Processes, threshold: float) -> list[Change]:
    """Phases and operators of the same workload that changed the same way between the same commits."""
    place = place_of(first.benchmark.name, first.benchmark.parameters)
    mine = [one for one in parts if place is not None and _workload(one) == place[0]]
    found = []
    for one in mine:
        change = processes.between(one, first.before, first.at, threshold, len(mine))
        if change is None and len(one.points) >= LONG:
            change = level_change(one, first, threshold, len(mine))
        if change is not None and change.is_regression == first.is_regression:
            found.append(change)
    return sorted(found, key=lambda one: -one.size)


def _workload(series: Series) -> str | None:
    place = place_of(series.benchmark.name, series.benchmark.parameters)
    return place[0] if place else None
