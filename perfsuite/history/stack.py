"""The operators of a step over the commits of a history, as numbers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.analyse.figures import FigureRecord
from perfsuite.history.figure import index_of, span_of
from perfsuite.history.model import Change, Commit, Series
from perfsuite.history.names import OTHER
from perfsuite.history.values import UNITS, place_of

#: So many operators have a colour and a hatch of their own.
BANDS = 7


@dataclass(frozen=True)
class Band:
    """Self time of an operator at each commit; None where it was not measured, or did not run."""

    name: str
    values: tuple[float | None, ...]
    #: How many series it is the sum of.
    merged: int = 1
    #: Whether it is all that has no band of its own.
    rest: bool = False


@dataclass(frozen=True, kw_only=True)
class StackFigure(FigureRecord):
    """The operators of a workload's step on one machine, commit by commit."""

    workload: str
    machine: str
    unit: str = UNITS["operator"]
    commits: tuple[Commit, ...] = ()
    #: The longest first, the rest last.
    bands: tuple[Band, ...] = ()
    #: The timed step, without the profiler; None where it was not measured.
    steps: tuple[float | None, ...] = ()
    #: Where the workload's step changed, and by how much: number of the first commit, ratio.
    turns: tuple[tuple[int, float], ...] = ()
    #: The largest of the sums and of the timed steps.
    high: float = 1.0


@dataclass
class _Columns:
    """Commit's hash → value, of a workload on a machine."""

    operators: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    steps: dict[str, float] = field(default_factory=dict)


def operator_stacks(series: Sequence[Series], changes: Sequence[Change] = ()) -> tuple[StackFigure, ...]:
    """A figure for each workload on each machine that its operators were tracked on, most commits first."""
    found: dict[tuple[str, str], _Columns] = defaultdict(_Columns)
    commits: dict[str, Commit] = {}
    for one in series:
        workload, measure, part = place_of(one.benchmark.name, one.benchmark.parameters) or ("", "", "")
        if measure not in ("step", "operator"):
            continue
        for point in one.points:
            if math.isfinite(point.value):
                commits[point.commit.hash] = point.commit
                here = found[workload, point.machine]
                (here.operators[part] if measure == "operator" else here.steps)[point.commit.hash] = point.value
    stacks = [_stack(*key, columns, commits, changes) for key, columns in found.items() if columns.operators]
    order = {name: at for at, name in enumerate(dict.fromkeys(one.workload for one in stacks))}
    return tuple(sorted(stacks, key=lambda one: (order[one.workload], -len(one.commits), one.machine)))


def _stack(
    workload: str, machine: str, columns: _Columns, known: Mapping[str, Commit], changes: Sequence[Change]
) -> StackFigure:
    hashes = {name for column in columns.operators.values() for name in column}
    commits = tuple(sorted((known[name] for name in hashes), key=lambda one: one.position))
    bands = _bands(columns.operators, commits)
    timed = tuple(columns.steps.get(one.hash) for one in commits)
    sums = [_total(column) for column in zip(*(band.values for band in bands), strict=True)]
    return StackFigure(
        title=f"Operators of {workload}",
        subtitle=span_of(commits, (machine,)),
        notes=(
            "Self time of each operator, in the pass that profiles the step; what Python takes is not in it. The timed "
            "step is measured without the profiler, so the two need not meet.",
        ),
        workload=workload,
        machine=machine,
        commits=commits,
        bands=bands,
        steps=timed,
        turns=tuple(sorted(_turns(workload, commits, changes))),
        high=max([*sums, *filter(None, timed)], default=0.0) or 1.0,
    )


def _turns(workload: str, commits: Sequence[Commit], changes: Sequence[Change]) -> set[tuple[int, float]]:
    """Changes of the workload's timed step."""
    found = set()
    for one in changes:
        x = index_of(one.at, commits)
        if place_of(one.benchmark.name, one.benchmark.parameters) == (workload, "step", "") and x is not None:
            found.add((x, one.ratio))
    return found


def _bands(by_operator: Mapping[str, Mapping[str, float]], commits: Sequence[Commit]) -> tuple[Band, ...]:
    columns = {name: tuple(column.get(one.hash) for one in commits) for name, column in by_operator.items()}
    timed = sorted((name for name in columns if _total(columns[name]) > 0), key=lambda name: -_total(columns[name]))
    shown = [name for name in timed if name != OTHER][:BANDS]
    rest = [name for name in timed if name not in shown]
    bands = [Band(name, columns[name]) for name in shown]
    if rest:
        sums = (_known_sum(values) for values in zip(*(columns[name] for name in rest), strict=True))
        bands.append(Band(OTHER, tuple(sums), len(rest), rest=True))
    return tuple(bands)


def _total(values: Sequence[float | None]) -> float:
    return math.fsum(filter(None, values))


def _known_sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None
