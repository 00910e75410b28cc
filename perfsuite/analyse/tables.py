"""What the tables show, computed from a profile.

A *share* is of the wall time of the steps of the pass that measured it (operators: ``ledger.wall_ns``; primitives
and phases: ``walls_ns``), because steps of different passes are apart in time and machines drift; it is None where
that wall time is not known.  Times of operators and primitives are means over the profiled steps, as recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from perfsuite.benchdnn.call import DIRECTIONS
from perfsuite.records import Operator, Primitive, Profile, Shape
from perfsuite.stats import mean, median, median_interval


@dataclass(frozen=True)
class Headline:
    """The timed step.  ``kind`` is ``interval`` (for the median) or ``range``, where n is too small for one."""

    median_ns: float
    low_ns: float
    high_ns: float
    kind: str
    confidence: float
    n: int


@dataclass(frozen=True)
class OperatorRow:
    """One row of :attr:`Profile.operators`, with what its primitives say."""

    #: Its index there.
    row: int
    name: str
    phase: str | None
    module: str | None
    shapes: Shape
    count: float
    self_ns: float
    total_ns: float
    share: float | None
    #: None where the primitive pass did not run.
    primitives_ns: float | None
    #: Distinct, the one that took longest first.
    implementations: tuple[str, ...]


@dataclass(frozen=True)
class ModuleRow:
    """The time in a module's own operators and its own Python, not that of the modules inside it."""

    module: str | None
    self_ns: float
    python_ns: float
    count: float
    share: float | None
    #: None where the primitive pass did not run.
    primitives_ns: float | None


@dataclass(frozen=True)
class PhaseRow:
    """A phase, or the rest outside all of them (``name`` None).

    ``wall_ns`` is the median of the steps without the profiler and ``wall_share`` its share of their median;
    the other figures are of the profiled steps.
    """

    name: str | None
    wall_ns: float | None
    wall_share: float | None
    self_ns: float
    python_ns: float
    count: float
    share: float | None
    #: None where the primitive pass did not run.
    primitives_ns: float | None


@dataclass(frozen=True)
class PrimitiveRow:
    """All executions of a kind of primitive in one direction (the log's own word)."""

    kind: str
    direction: str
    count: float
    time_ns: float
    share: float | None
    #: Of the time in all primitives; None where that is zero.
    share_of_primitives: float | None
    #: Distinct, the one that took longest first.
    implementations: tuple[str, ...]


@dataclass(frozen=True)
class LedgerShares:
    """The ledger's rows as shares of its wall time."""

    operators: float | None
    python: float | None
    unattributed: float | None


@dataclass(frozen=True)
class AllocationPeak:
    """The most that a step held of PyTorch's CPU allocator beyond what was held when it began."""

    bytes: int
    #: Since the step began.
    time_ns: int
    #: The innermost phase at that time; None outside all.
    phase: str | None


def recorded(profile: Profile, what: str) -> bool:
    """Whether ``operators`` or ``primitives`` were recorded: that there are none of them means something only then."""
    return what in profile.passes or bool(getattr(profile, what))


def headline(profile: Profile, confidence: float = 0.95) -> Headline | None:
    """The median of one step and its interval (:func:`perfsuite.stats.median_interval`); None if it was not timed."""
    values = profile.samples.per_step_ns if profile.samples is not None else ()
    if not values:
        return None
    interval = median_interval(values, confidence)
    low, high = interval or (min(values), max(values))
    kind = "range" if interval is None else "interval"
    return Headline(median(values), low, high, kind, confidence, len(values))


def top_operators(profile: Profile, n: int | None = None) -> tuple[OperatorRow, ...]:
    """The ``n`` operator rows with the most self time (all if None), most first."""
    rows = [_operator_row(profile, row) for row in range(len(profile.operators))]
    rows.sort(key=lambda row: -row.self_ns)
    return tuple(rows[:n])


def by_module(profile: Profile) -> tuple[ModuleRow, ...]:
    """Operators and Python time by ``nn.Module`` path, most time first; the path None is outside all modules."""
    operators = _operators_by(profile, "module")
    python: dict[str | None, list[float]] = defaultdict(list)
    for row in profile.python:
        python[row.module].append(row.self_ns)
    rows = [
        ModuleRow(
            module,
            self_ns=_self_ns(operators[module]),
            python_ns=sum(python[module]),
            count=sum(operator.count for operator in operators[module]),
            share=_share(profile, _self_ns(operators[module]) + sum(python[module])),
            primitives_ns=_primitives_ns(profile, operators[module]),
        )
        for module in dict.fromkeys((*operators, *python))
    ]
    return tuple(sorted(rows, key=lambda row: -(row.self_ns + row.python_ns)))


def phase_medians(profile: Profile) -> dict[str | None, float]:
    """The median time of each phase that was timed, from the steps without the profiler."""
    return {phase.name: median(phase.samples_ns) for phase in profile.phases if phase.samples_ns}


def by_phase(profile: Profile) -> tuple[PhaseRow, ...]:
    """Phases in the order in which they ran, then what ran outside them."""
    operators = _operators_by(profile, "phase")
    python: dict[str | None, list[float]] = defaultdict(list)
    for row in profile.python:
        python[row.phase].append(row.self_ns)
    walls = phase_medians(profile)
    names: list[str | None] = [phase.name for phase in profile.phases]
    names += [name for name in dict.fromkeys((*operators, *python)) if name is not None and name not in names]
    if None in operators or None in python:
        names.append(None)
    steps = profile.walls_ns.get("phases", ())
    step_ns = median(steps) if steps else 0
    return tuple(
        PhaseRow(
            name,
            wall_ns=walls.get(name),
            wall_share=walls[name] / step_ns if name in walls and step_ns else None,
            self_ns=_self_ns(operators[name]),
            python_ns=sum(python[name]),
            count=sum(operator.count for operator in operators[name]),
            share=_share(profile, _self_ns(operators[name]) + sum(python[name])),
            primitives_ns=_primitives_ns(profile, operators[name]),
        )
        for name in names
    )


def by_primitive(profile: Profile) -> tuple[PrimitiveRow, ...]:
    """Primitives by (kind, direction), joined to an operator or not, most time first."""
    groups: dict[tuple[str, str], list[Primitive]] = defaultdict(list)
    for primitive in profile.primitives:
        groups[primitive.kind, primitive.direction].append(primitive)
    total = _time_ns(profile.primitives)
    rows = [
        PrimitiveRow(
            kind,
            direction,
            count=sum(primitive.count for primitive in members),
            time_ns=_time_ns(members),
            share=_share_of_primitive_pass(profile, _time_ns(members)),
            share_of_primitives=_time_ns(members) / total if total else None,
            implementations=_implementations(members),
        )
        for (kind, direction), members in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: -row.time_ns))


def primitive_shares(profile: Profile) -> tuple[float | None, ...]:
    """Of each of :attr:`Profile.primitives`, its share of a step's wall time in the primitive pass."""
    return tuple(_share_of_primitive_pass(profile, one.time_ns) for one in profile.primitives)


def onednn_coverage(profile: Profile) -> float | None:
    """The share of a step's wall time inside oneDNN primitives, in the primitive pass; None if that did not run."""
    return _share_of_primitive_pass(profile, _time_ns(profile.primitives))


def ledger_shares(profile: Profile) -> LedgerShares | None:
    """What the profiled wall time went to; None without a ledger."""
    ledger = profile.ledger
    if ledger is None:
        return None
    return LedgerShares(
        _share(profile, ledger.operators_ns),
        _share(profile, ledger.python_ns),
        _share(profile, ledger.unattributed_ns),
    )


def allocation_peak(profile: Profile) -> AllocationPeak | None:
    """The first of the highest points of the allocation curve; None where there is none."""
    curve = profile.allocation_curve
    points = [] if curve is None else list(zip(curve.times_ns, curve.live_bytes, strict=False))
    if curve is None or not points:
        return None
    time, most = max(points, key=lambda point: point[1])
    around = [span for span in curve.phases if span.start_ns <= time < span.end_ns]
    # Of phases inside each other the innermost began last, and ends first.
    phase = max(around, key=lambda span: (span.start_ns, -span.end_ns)).name if around else None
    return AllocationPeak(most, time, phase)


def short_direction(direction: str) -> str:
    """The direction as benchdnn writes it: ``backward_weights`` is ``BWD_W``; a word it has no name for stays."""
    return "" if direction == "undef" else DIRECTIONS.get(direction, direction)


def _operator_row(profile: Profile, row: int) -> OperatorRow:
    operator = profile.operators[row]
    primitives = [profile.primitives[index] for index in operator.primitives]
    return OperatorRow(
        row,
        operator.name,
        operator.phase,
        operator.module,
        operator.shapes,
        operator.count,
        operator.self_ns,
        operator.total_ns,
        _share(profile, operator.self_ns),
        _primitives_ns(profile, [operator]),
        _implementations(primitives),
    )


def _operators_by(profile: Profile, field: str) -> dict[str | None, list[Operator]]:
    groups: dict[str | None, list[Operator]] = defaultdict(list)
    for operator in profile.operators:
        groups[getattr(operator, field)].append(operator)
    return groups


def _self_ns(operators: Iterable[Operator]) -> float:
    return sum(operator.self_ns for operator in operators)


def _time_ns(primitives: Iterable[Primitive]) -> float:
    return sum(primitive.time_ns for primitive in primitives)


def _primitives_ns(profile: Profile, operators: Iterable[Operator]) -> float | None:
    if not recorded(profile, "primitives"):
        return None
    return _time_ns(profile.primitives[index] for operator in operators for index in operator.primitives)


def _implementations(primitives: Iterable[Primitive]) -> tuple[str, ...]:
    times: dict[str, float] = defaultdict(float)
    for primitive in primitives:
        times[primitive.implementation] += primitive.time_ns
    return tuple(sorted(times, key=lambda name: -times[name]))


def _share(profile: Profile, ns: float) -> float | None:
    wall = profile.ledger.wall_ns if profile.ledger is not None else 0
    return ns / wall if wall > 0 else None


def _share_of_primitive_pass(profile: Profile, ns: float) -> float | None:
    walls = profile.walls_ns.get("primitives", ())
    return ns / mean(walls) if walls and mean(walls) > 0 else None
