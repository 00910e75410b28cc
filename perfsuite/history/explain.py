"""What explains a change between two commits: the runs that were recorded at both, compared.

Where there are runs that took turns it is these, or nights would be compared.  Those of a side are merged with the
process as the unit, and the ledgers of both sides are subtracted: what the profiled step took longer is exactly the sum
of what its rows took longer.  Rows of one operator, in all modules and under all its names, are one contributor, whose
share of the whole is what people ask for.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfsuite.analyse.diff import MATERIAL, Cause, Delta, WorkloadDiff, diff_profiles
from perfsuite.analyse.diff.comparable import environment_changes, machine_reasons, workload_reasons
from perfsuite.analyse.diff.model import Change
from perfsuite.gate.merge import merge
from perfsuite.history.model import Commit
from perfsuite.history.names import tracked_name
from perfsuite.history.processes import Sides, runs_in_turns
from perfsuite.history.share import share_interval
from perfsuite.history.shelf import Shelf
from perfsuite.records import Profile, Run
from perfsuite.stats import welch_interval

CONFIDENCE = 0.95
#: A module that holds this much of a contributor's change is where it happened.
_PLACE = 0.8
#: A row with less of its contributor's change than this does not lend it its cause.
_TELLING = 0.1
#: Kind of a row of the ledger, and what it is called.
_Key = tuple[str, str]


@dataclass(frozen=True)
class Contributor:
    """An operator in the whole step, a kind of Python range, or what is unattributed: what it took longer or less."""

    #: ``operator``, ``python`` or ``unattributed``.
    kind: str
    #: Of an operator the name that it has on either side (:func:`perfsuite.history.names.tracked_name`).
    name: str
    #: The deepest module that nearly all of the change is in; None if there is none.
    module: str | None
    #: None if its rows are of several.
    phase: str | None
    base_ns: float
    head_ns: float
    delta_ns: float
    #: Of the change, between processes; None with fewer than two a side.
    interval: tuple[float, float] | None
    #: Of the change of the profiled step; None where that did not surely change.
    share: float | None
    share_interval: tuple[float, float] | None
    #: What the census saw change in the row that changed most, or ``time``.
    cause: Cause
    #: What changed most first.
    rows: tuple[Delta, ...]

    @property
    def beyond_ns(self) -> float:
        """What the change surely is at least; 0 where that is not known."""
        if self.interval is None:
            return 0.0
        low, high = self.interval
        return max(0.0, low if self.delta_ns > 0 else -high)


@dataclass(frozen=True)
class Explanation:
    """What changed between two commits in one workload, and what explains it."""

    workload: str
    before: Commit
    at: Commit
    #: Of the merged profiles.
    base: Profile
    head: Profile
    diff: WorkloadDiff
    #: Change of the profiled step, and its interval between processes; None where it was not profiled, or by too few.
    delta_ns: float | None
    interval: tuple[float, float] | None
    confidence: float
    #: Those that changed as the step did, the surest first, then the others; empty where times say nothing.
    contributors: tuple[Contributor, ...]
    #: How many at their head surely changed, by what matters (:data:`perfsuite.analyse.diff.MATERIAL`).
    sure: int
    environment: tuple[Change, ...]
    #: Why times of the two sides say nothing about the code; counts still do.
    reasons: tuple[str, ...]
    #: Ids of the runs of either side, the newest first.
    runs: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def slower(self) -> bool | None:
        """Whether the profiled step took longer; None where that is not known, or it did neither."""
        return self.delta_ns > 0 if self.delta_ns else None

    @property
    def ratio(self) -> float | None:
        """Of the profiled step, head ÷ base."""
        ledger = self.diff.ledger
        return ledger.head_ns / ledger.base_ns if ledger is not None and ledger.base_ns and not self.reasons else None

    @property
    def culprit(self) -> Contributor | None:
        """The first contributor, if it surely changed."""
        return self.contributors[0] if self.sure else None


def explain(
    runs_dir: Path, before: Commit, at: Commit, workload: str, *, confidence: float = CONFIDENCE
) -> Explanation | None:
    """What explains the change of a workload from one commit to another, by the runs below ``runs_dir``.

    Returns:
        None where a side has no run of the workload that can be read.
    """
    shelf = Shelf(runs_dir)
    return explain_runs(before, at, workload, shelf.runs(before), shelf.runs(at), confidence)


class Explainer:
    """Explanations from one folder of runs, each made once."""

    def __init__(self, shelf: Shelf) -> None:
        """``shelf`` is where the runs are."""
        self.shelf = shelf
        self._made: dict[tuple[str, str, str], Explanation | None] = {}

    def explain(self, before: Commit, at: Commit, workload: str) -> Explanation | None:
        """As :func:`explain`."""
        key = (before.hash, at.hash, workload)
        if key not in self._made:
            self._made[key] = explain_runs(before, at, workload, self.shelf.runs(before), self.shelf.runs(at))
        return self._made[key]


def explain_runs(
    before: Commit,
    at: Commit,
    workload: str,
    base: Sequence[Run],
    head: Sequence[Run],
    confidence: float = CONFIDENCE,
) -> Explanation | None:
    """As :func:`explain`, of runs that are loaded, the newest of a side first.

    Where no two of each side took turns, and a side has runs of several machines, those of the machine that both sides
    have most runs of are compared.
    """
    having = [tuple(run for run in runs if _profile(run, workload) is not None) for runs in (base, head)]
    if not all(having):
        return None
    turns = runs_in_turns(before, at, *having)
    (ours, theirs), reasons = _comparable(*having) if turns is None else (turns, ())
    merged = [merge([one for run in side if (one := _profile(run, workload)) is not None]) for side in (ours, theirs)]
    reasons += workload_reasons(*merged)
    diff = diff_profiles(merged[0], merged[1], confidence)
    sides = [_side(one) for one in merged]
    whole = _interval(sides[0].whole, sides[1].whole, confidence)
    delta = None if diff.ledger is None or reasons else diff.ledger.head_ns - diff.ledger.base_ns
    found: tuple[Contributor, ...] = ()
    sure = 0
    if delta is not None:
        every = _contributors(diff, delta, sides[0], sides[1], whole, confidence)
        found, sure = _ordered(every, delta, diff)
    return Explanation(
        workload, before, at, merged[0], merged[1], diff, delta, None if delta is None else whole, confidence, found,
        sure, environment_changes(ours[0], theirs[0]), reasons, (_ids(ours), _ids(theirs)),
    )  # fmt: skip


# --- which runs -------------------------------------------------------------------------------------


def _profile(run: Run, workload: str) -> Profile | None:
    return next((one for one in run.workloads if one.name == workload), None)


def _ids(runs: Sequence[Run]) -> tuple[str, ...]:
    return tuple(run.id for run in runs)


def _comparable(base: tuple[Run, ...], head: tuple[Run, ...]) -> tuple[Sides, tuple[str, ...]]:
    """The runs of one machine on either side, as many as can be; of the newest ones why there is no such machine."""
    best: Sides | None = None
    for anchor in head:
        ours, theirs = (_like(anchor, side) for side in (base, head))
        if ours and (best is None or min(len(ours), len(theirs)) > min(map(len, best))):
            best = ours, theirs
    if best is not None:
        return best, ()
    return (base[:1], head[:1]), machine_reasons(base[0].environment, head[0].environment)


def _like(anchor: Run, runs: tuple[Run, ...]) -> tuple[Run, ...]:
    return tuple(run for run in runs if not machine_reasons(run.environment, anchor.environment))


# --- what each took in each process -----------------------------------------------------------------


@dataclass(frozen=True)
class _Side:
    """Times by process: of the step, and of each contributor in it."""

    whole: tuple[float, ...]
    parts: Mapping[_Key, tuple[float, ...]]

    def part(self, key: _Key) -> tuple[float, ...]:
        """What is not there took no time."""
        return self.parts.get(key, (0.0,) * len(self.whole))


def _side(profile: Profile) -> _Side:
    """Of a merged profile, whose samples are means of processes; without any where the step's were not kept."""
    whole = tuple(map(float, profile.walls_ns.get("operators", ())))
    columns: dict[_Key, list[tuple[int, ...]]] = defaultdict(list)
    for operator in profile.operators:
        columns["operator", tracked_name(operator.name)].append(operator.self_ns_samples)
    for python in profile.python:
        columns["python", python.kind].append(python.self_ns_samples)
    every = [column for rows in columns.values() for column in rows]
    if not whole or any(len(column) != len(whole) for column in every):
        return _Side((), {})
    parts = {key: tuple(math.fsum(values) for values in zip(*rows, strict=True)) for key, rows in columns.items()}
    spent = [math.fsum(values) for values in zip(*every, strict=True)] if every else [0.0] * len(whole)
    parts["unattributed", "unattributed"] = tuple(all_ - part for all_, part in zip(whole, spent, strict=True))
    return _Side(whole, parts)


def _interval(base: Sequence[float], head: Sequence[float], confidence: float) -> tuple[float, float] | None:
    return welch_interval(base, head, confidence)


# --- contributors -----------------------------------------------------------------------------------


def _contributors(
    diff: WorkloadDiff,
    delta: float,
    base: _Side,
    head: _Side,
    whole: tuple[float, float] | None,
    confidence: float,
) -> list[Contributor]:
    grouped: dict[_Key, list[Delta]] = defaultdict(list)
    for row in diff.operators:
        grouped[row.kind, tracked_name(row.name) if row.kind == "operator" else row.name].append(row)
    # A share of a change that may be none could be anything.
    steady = delta != 0 and (whole is None or whole[0] > 0 or whole[1] < 0)
    found = []
    for key, rows in grouped.items():
        rows.sort(key=lambda row: (-abs(row.delta_ns), str(row.module), row.name))
        change = math.fsum(row.delta_ns for row in rows)
        share = change / delta if steady else None
        ours, theirs = base.part(key), head.part(key)
        around = None if share is None else share_interval(ours, base.whole, theirs, head.whole, confidence)
        found.append(
            Contributor(
                key[0], key[1], _place(rows, change), _only({row.phase for row in rows}),
                math.fsum(row.base_ns for row in rows), math.fsum(row.head_ns for row in rows), change,
                _interval(ours, theirs, confidence), share, around, _cause(rows, change), tuple(rows),
            )
        )  # fmt: skip
    return found


def _ordered(every: Sequence[Contributor], delta: float, diff: WorkloadDiff) -> tuple[tuple[Contributor, ...], int]:
    """With the step first, the surest change before all; how many of them surely changed by what matters."""
    assert diff.ledger is not None, "there are contributors only where there is a ledger"
    least = MATERIAL * diff.ledger.base_ns
    along = [one for one in every if one.delta_ns * delta > 0]
    against = [one for one in every if one.delta_ns * delta <= 0]
    along.sort(key=lambda one: (-one.beyond_ns, -abs(one.delta_ns), one.name))
    against.sort(key=lambda one: (-abs(one.delta_ns), one.name))
    sure = sum(one.beyond_ns >= least and one.beyond_ns > 0 for one in along)
    return (*along, *against), sure


def _only(values: set[str | None]) -> str | None:
    return next(iter(values)) if len(values) == 1 else None


def _cause(rows: Sequence[Delta], change: float) -> Cause:
    """Of the row that changed most among those in which the census saw something, if it changed enough to matter."""
    for row in rows:
        if row.causes and row.delta_ns * change > 0 and abs(row.delta_ns) >= _TELLING * abs(change):
            return row.cause
    return Cause("time", math.fsum(row.base_ns for row in rows), math.fsum(row.head_ns for row in rows))


def _place(rows: Sequence[Delta], change: float) -> str | None:
    """The deepest module in which :data:`_PLACE` of what changed that way did."""
    moved = [row for row in rows if row.delta_ns * change > 0]
    total = math.fsum(abs(row.delta_ns) for row in moved)
    inside: dict[str, float] = defaultdict(float)
    for row in moved:
        names = row.module.split(".") if row.module else []
        for depth in range(1, len(names) + 1):
            inside[".".join(names[:depth])] += abs(row.delta_ns)
    enough = [name for name, ns in inside.items() if ns >= _PLACE * total > 0]
    return max(enough, key=lambda name: name.count("."), default=None)
