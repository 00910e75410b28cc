"""The roofline of a profile: how fast each operator and each primitive ran, and what the machine would allow.

Definitions (Williams, Waterman, Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009):
*arithmetic intensity* is FLOPs ÷ bytes, and the *ceiling* at an intensity is min(peak, bandwidth × intensity).  The
peak is that of the data type; the bandwidth is that of the nearest level of the memory hierarchy that holds all bytes
of one call at once, since the operator before may have left them there.

The time of an operator is its total time, from start to end, with what it calls to prepare its memory; bytes and
FLOPs are those of the least work, so a share is a lower bound of how well the hardware was used.

*Bound*, in this order:

- ``overhead-bound``: one call of an operator takes less than two empty ones
  (:attr:`perfsuite.ceilings.Ceilings.overhead_ns`); a primitive's time is oneDNN's own and holds none of it;
- ``compute-bound`` / ``memory-bound``: which part of the ceiling is the lower one at this intensity;
- where FLOPs are not counted the intensity says nothing, so it has to be seen: ``memory-bound`` if at least a quarter
  of DRAM's bandwidth was reached (a random number for each element is far below that, an addition above);
- None where bytes are not known, where there are none, without ceilings, and where none of these explains the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.ceilings import Ceilings
from perfsuite.flops import primitive_bytes, primitive_flops
from perfsuite.flops.dtypes import compute_dtype
from perfsuite.records import Primitive, Profile, Shape

#: Share of the bandwidth that what has no FLOPs must reach to be called memory-bound.
_EVIDENCE = 0.25
#: oneDNN's names for the data types that have a peak.
_ONEDNN_TO_TORCH = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "s8": "int8", "u8": "int8"}
_HAVE_PEAKS = ("float32", "bfloat16", "float16", "int8")


@dataclass(frozen=True)
class Point:
    """One dot under the roof.  Work and time are per step; rates are per second; None is not known."""

    flops: float | None
    bytes: float | None
    count: float
    time_ns: float
    #: FLOPs per byte.
    intensity: float | None
    flop_rate: float | None
    byte_rate: float | None
    dtype: str | None
    #: The level whose bandwidth is meant, and what the machine reaches at this intensity, FLOP/s; bytes/s where
    #: FLOPs are not counted.
    level: str | None
    ceiling: float | None
    #: Achieved ÷ ceiling.  Above 1 the ceiling was measured under worse conditions, or less moved than was counted.
    share: float | None
    bound: str | None
    #: The data type, or the level, whose roof :attr:`ceiling` is.
    roof: str | None = None
    #: Why there is no bound, a few words; None where there is one.
    unbound: str | None = None

    @property
    def bound_by(self) -> str:
        """:func:`bound_by` of this point."""
        return bound_by(self.bound, self.roof)


@dataclass(frozen=True)
class OperatorPoint:
    """A row of :attr:`Profile.operators`, and its index there."""

    name: str
    phase: str | None
    module: str | None
    shapes: Shape
    self_ns: float
    point: Point
    row: int

    @property
    def length_ns(self) -> float:
        """What the row is ranked by and shown with: all its time where its work is known, else its self time.

        The extension's convolutions (IPEX) spend theirs below them.
        """
        known = self.point.flops is not None or self.point.bytes is not None
        return self.point.time_ns if known else self.self_ns


@dataclass(frozen=True)
class PrimitivePoint:
    """A row of :attr:`Profile.primitives`."""

    kind: str
    direction: str
    implementation: str
    dtypes: str
    problem: str
    point: Point


@dataclass(frozen=True)
class Coverage:
    """Of the time of all rows, the share of those whose FLOPs, or bytes, are known; None where there is no time.

    Of operators it is self time, which adds up to the step.
    """

    flops: float | None
    bytes: float | None


@dataclass(frozen=True)
class Roofline:
    """Every operator and every primitive, the longest first."""

    operators: tuple[OperatorPoint, ...]
    primitives: tuple[PrimitivePoint, ...]
    coverage: Coverage
    #: The same of the time in primitives.
    primitive_coverage: Coverage


def bound_by(bound: str | None, roof: str | None) -> str:
    """``memory-bound L2``, ``compute-bound float32``, ``overhead-bound``: the bound, and the roof it is held against.

    Empty where there is no bound; :attr:`Point.unbound` then says why.
    """
    return " ".join(word for word in (bound, roof if bound != "overhead-bound" else None) if bound and word)


def roofline(profile: Profile, ceilings: Ceilings | None) -> Roofline:
    """The roofline of a workload; without ceilings only what was done and how fast."""
    operators = [_operator_point(row, profile, ceilings) for row in range(len(profile.operators))]
    primitives = [_primitive_point(primitive, ceilings) for primitive in profile.primitives]
    return Roofline(
        tuple(sorted(operators, key=lambda row: -row.length_ns)),
        tuple(sorted(primitives, key=lambda row: -row.point.time_ns)),
        _coverage([row.point for row in operators], [row.self_ns for row in operators]),
        _coverage([row.point for row in primitives], [row.point.time_ns for row in primitives]),
    )


def _operator_point(row: int, profile: Profile, ceilings: Ceilings | None) -> OperatorPoint:
    operator = profile.operators[row]
    dtype = _computed_in([profile.primitives[index] for index in operator.primitives])
    dtype = dtype or next((dtype for dtype in operator.dtypes if dtype in _HAVE_PEAKS), None)
    point = _point(
        operator.flops, operator.bytes_moved, operator.count, operator.total_ns, dtype, ceilings, called=True
    )
    return OperatorPoint(operator.name, operator.phase, operator.module, operator.shapes, operator.self_ns, point, row)


def _computed_in(primitives: Sequence[Primitive]) -> str | None:
    """What the products among the primitives multiply in; None if there are none, or they differ.

    Inputs in float32 may be multiplied in bfloat16, if the user permits that.
    """
    found = {
        compute_dtype(one.dtypes, one.attributes, one.implementation)
        for one in primitives
        if primitive_flops(one) is not None
    }
    return _ONEDNN_TO_TORCH.get(found.pop() or "") if len(found) == 1 else None


def _primitive_point(primitive: Primitive, ceilings: Ceilings | None) -> PrimitivePoint:
    flops, moved = primitive_flops(primitive), primitive_bytes(primitive)
    dtype = compute_dtype(primitive.dtypes, primitive.attributes, primitive.implementation)
    point = _point(
        None if flops is None else flops * primitive.count,
        None if moved is None else moved * primitive.count,
        primitive.count,
        primitive.time_ns,
        _ONEDNN_TO_TORCH.get(dtype or ""),
        ceilings,
    )
    return PrimitivePoint(
        primitive.kind, primitive.direction, primitive.implementation, primitive.dtypes, primitive.problem, point
    )


def _point(
    flops: float | None,
    moved: float | None,
    count: float,
    time_ns: float,
    dtype: str | None,
    ceilings: Ceilings | None,
    called: bool = False,
) -> Point:
    flop_rate, byte_rate = _rate(flops, time_ns), _rate(moved, time_ns)
    intensity = flops / moved if flops is not None and moved else None
    level = ceilings.level_of(moved / count) if ceilings is not None and moved and count else None
    ceiling = compute = None
    if ceilings is not None:
        peak, bandwidth = _peak(ceilings, dtype), _bandwidth(ceilings, level)
        ceiling, compute = _ceiling(flops, intensity, peak, bandwidth)
        if flops is None and not _seen_at_the_memory(ceilings, byte_rate, bandwidth):
            compute = None
    achieved = byte_rate if flops is None else flop_rate
    bound = _bound(moved, time_ns / count if called and count else None, ceiling, compute, ceilings)
    return Point(
        flops,
        moved,
        count,
        time_ns,
        intensity,
        flop_rate,
        byte_rate,
        dtype,
        level,
        ceiling,
        share=achieved / ceiling if achieved is not None and ceiling else None,
        bound=bound,
        roof=None if ceiling is None else dtype if compute else level,
        unbound=None if bound is not None else _unbound(flops, moved, dtype, ceiling, ceilings),
    )


def _rate(amount: float | None, time_ns: float) -> float | None:
    return amount / time_ns * 1e9 if amount is not None and time_ns > 0 else None


def _peak(ceilings: Ceilings, dtype: str | None) -> float | None:
    roof = ceilings.peak(dtype) if dtype is not None else None
    return None if roof is None else roof.best


def _bandwidth(ceilings: Ceilings, level: str | None) -> float | None:
    roof = ceilings.bandwidth(level) if level is not None else None
    return None if roof is None else roof.best


def _seen_at_the_memory(ceilings: Ceilings, byte_rate: float | None, bandwidth: float | None) -> bool:
    """Data that would fit a near level may still have come from DRAM: the slower of the two decides."""
    roofs = [rate for rate in (bandwidth, _bandwidth(ceilings, "DRAM")) if rate is not None]
    return byte_rate is not None and bool(roofs) and byte_rate >= _EVIDENCE * min(roofs)


def _ceiling(
    flops: float | None, intensity: float | None, peak: float | None, bandwidth: float | None
) -> tuple[float | None, bool | None]:
    """The ceiling, and whether the peak is the lower part of it."""
    if flops is None:
        return bandwidth, (False if bandwidth is not None else None)
    if peak is None or bandwidth is None or intensity is None:
        return None, None
    return min(peak, bandwidth * intensity), peak <= bandwidth * intensity


def _bound(
    moved: float | None,
    call_ns: float | None,
    ceiling: float | None,
    compute: bool | None,
    ceilings: Ceilings | None,
) -> str | None:
    if ceilings is None or moved is None:
        return None
    if call_ns is not None and call_ns < ceilings.overhead_ns:
        return "overhead-bound"
    if ceiling is None or compute is None or not moved:
        return None
    return "compute-bound" if compute else "memory-bound"


def _unbound(
    flops: float | None, moved: float | None, dtype: str | None, ceiling: float | None, ceilings: Ceilings | None
) -> str:
    """Why nothing is said of what bounds it."""
    if ceilings is None:
        return "the machine was not measured"
    if moved is None:
        return "how many bytes it moves is not known"
    if not moved:
        return "it moves nothing"
    if ceiling is None:
        return "no bandwidth was measured" if flops is None else f"no peak was measured for {dtype or 'its data type'}"
    return f"far below every roof: it reaches less than {_EVIDENCE:.0%} of the memory's bandwidth"


def _coverage(points: Sequence[Point], times: Sequence[float]) -> Coverage:
    total = sum(times)
    if not total:
        return Coverage(None, None)
    flops = sum(time for point, time in zip(points, times, strict=True) if point.flops is not None)
    moved = sum(time for point, time in zip(points, times, strict=True) if point.bytes is not None)
    return Coverage(flops / total, moved / total)
