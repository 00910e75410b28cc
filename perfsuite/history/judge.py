"""From the series of a history to findings: what became slower, since which commit, and what belongs together.

What is counted is compared as it is (:mod:`perfsuite.history.counts`).  A long series of times is judged as a whole, by
the noise it has from night to night (:mod:`perfsuite.history.levels`).  A short one, of some releases, cannot show that
noise: there two neighbours are compared by processes that took turns (:mod:`perfsuite.history.processes`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from perfsuite.history.counts import by_counts
from perfsuite.history.levels import LONG, by_levels, level_change, with_recoveries
from perfsuite.history.marks import environment_between
from perfsuite.history.model import Benchmark, Change, Commit, Finding, Series
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
    # What was found of a line while it was short stays: its first nights only teach what its later ones are judged by.
    early = [Series(one.benchmark, one.points[: LONG - 1]) for one in long]
    order = {hash_: number for number, hash_ in enumerate(_places(known))}
    processes = Processes(shelf)
    neighbours, left = processes.neighbours([*short, *early], threshold)
    levels = _joined(neighbours, by_levels(long, threshold), order, threshold)
    leading = [*by_counts(counts, threshold), *levels]
    parts = [one for one in known if _measure(one) in _PARTS]
    findings = []
    for group in _groups(leading, order):
        first = group[0]
        beside = _beside(parts, group, leading, processes, threshold)
        around = environment_between(shelf.environment(first.before), shelf.environment(first.at))
        findings.append(Finding(first.before, first.at, (*group, *beside), around))
    return tuple(sorted(findings, key=lambda one: -one.at.position)), _notes(left, {one.benchmark for one in short})


def _finite(series: Series) -> Series:
    """Without points that failed; a time of nothing is none."""
    least = 0.0 if _measure(series) in COUNTS else math.ulp(0.0)
    kept = tuple(point for point in series.points if math.isfinite(point.value) and point.value >= least)
    return Series(series.benchmark, kept)


def _measure(one: Series | Change) -> str | None:
    place = place_of(one.benchmark.name, one.benchmark.parameters)
    return place[1] if place else None


def _workload(one: Series | Change) -> str | None:
    place = place_of(one.benchmark.name, one.benchmark.parameters)
    return place[0] if place else None


def _places(series: Iterable[Series]) -> Mapping[str, Commit]:
    """All commits that were measured, in their order."""
    found = {point.commit.hash: point.commit for one in series for point in one.points}
    return dict(sorted(found.items(), key=lambda item: item[1].position))


def _notes(left: Mapping[tuple[Commit, Commit], Sequence[Benchmark]], short: Collection[Benchmark]) -> tuple[str, ...]:
    counts = {pair: sum(one in short for one in several) for pair, several in left.items()}
    return tuple(
        f"{before.label} → {at.label}: {counted(lines, 'line')} not compared, since no two processes of each took "
        f"turns in one night, and fewer than {LONG} nights say nothing of the noise between nights; "
        f"perfsuite history nightly --again {before.label} --again {at.label} measures them in turns"
        for (before, at), lines in counts.items()
        if lines
    )


def _joined(
    early: Iterable[Change], late: Iterable[Change], order: Mapping[str, int], threshold: float
) -> list[Change]:
    """Changes of lines of which the first nights were judged by processes, and the others by their noise.

    What is found by both, where the one ends and the other begins, is one.
    """
    lines: dict[Benchmark, list[Change]] = defaultdict(list)
    for change in early:
        lines[change.benchmark].append(change)
    for change in [one for one in late if not any(_are_near(one, other, order) for other in lines[one.benchmark])]:
        lines[change.benchmark].append(change)
    return [change for line in lines.values() for change in with_recoveries(line, threshold)]


# --- what belongs together ----------------------------------------------------------------------------


def _groups(changes: Sequence[Change], order: Mapping[str, int]) -> list[list[Change]]:
    """Changes at about the same commit and in the same direction, those of steps first, then the largest.

    Where the line is long, the commit may be a few off; where two releases were compared, it is not.
    """
    groups: list[list[Change]] = []
    for change in sorted(changes, key=lambda one: one.at.position):
        near = next((group for group in groups if _belongs(change, group, order)), None)
        if near is None:
            groups.append([change])
        else:
            near.append(change)
    return [sorted(group, key=lambda one: (_measure(one) != "step", -one.size)) for group in groups]


def _belongs(change: Change, group: Sequence[Change], order: Mapping[str, int]) -> bool:
    """Whether it has the cause of those; what changes twice has two."""
    reach = NEAR if min(sum(group[0].points), sum(change.points)) >= LONG else 0
    return _are_near(change, group[0], order, reach) and all(one.benchmark != change.benchmark for one in group)


def _are_near(one: Change, other: Change, order: Mapping[str, int], reach: int = NEAR) -> bool:
    apart = abs(order[one.at.hash] - order[other.at.hash])
    return apart <= reach and one.is_regression == other.is_regression


def _beside(
    parts: Sequence[Series], group: Sequence[Change], leading: Sequence[Change], processes: Processes, threshold: float
) -> list[Change]:
    """Phases and operators that changed the same way as their workload did, between the same commits."""
    found: dict[str | None, list[Change]] = {}
    for change in group:
        workload = _workload(change)
        if workload is None or workload in found:
            continue
        mine = [one for one in parts if _workload(one) == workload]
        others = [one.at for one in leading if one.benchmark == change.benchmark and one.at != change.at]
        asked = (_part(one, change, others, processes, threshold, len(mine)) for one in mine)
        found[workload] = [one for one in asked if one is not None and one.is_regression == change.is_regression]
    return sorted((one for several in found.values() for one in several), key=lambda one: -one.size)


def _part(
    series: Series, known: Change, others: Sequence[Commit], processes: Processes, threshold: float, family: int
) -> Change | None:
    change = processes.between(series, known.before, known.at, threshold, family)
    if change is None and len(series.points) >= LONG:
        return level_change(series, known, others, threshold, family)
    return change
