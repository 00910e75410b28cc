"""What a figure shows, as rows for a table: as many as a reader takes in, and a sentence where there are more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from perfsuite.analyse.figures.model import MemoryFigure, RooflineDot, RooflineFigure, SamplesFigure

_T = TypeVar("_T")
#: A table beside a figure needs no more.
MOST = 100


@dataclass(frozen=True)
class Rows(Generic[_T]):
    """Rows of a table; ``said`` is how they were chosen, a sentence, and None where all are there."""

    rows: tuple[_T, ...]
    said: str | None = None


@dataclass(frozen=True)
class CurvePoint:
    """What the step held from this time on."""

    time_ns: int
    live_bytes: int


@dataclass(frozen=True)
class Round:
    """A timed round of a side: its number from 1 on, and the time of one step in it."""

    side: str
    number: int
    ns: float


def dot_rows(record: RooflineFigure, most: int = MOST) -> Rows[RooflineDot]:
    """The first ``most`` dots: they took longest."""
    return _first(record.dots, most, "rows, which took longest,")


def round_rows(record: SamplesFigure, most: int = MOST) -> Rows[Round]:
    """The first ``most`` rounds of each side, in the order in which they ran."""
    found = [
        _first([Round(one.name, number, ns) for number, ns in enumerate(one.values_ns, 1)], most, "rounds")
        for one in record.series
    ]
    said = dict.fromkeys(one.said for one in found if one.said is not None)
    return Rows(tuple(row for one in found for row in one.rows), " ".join(said) or None)


def curve_rows(record: MemoryFigure, most: int = MOST) -> Rows[CurvePoint]:
    """At most ``most`` points at equal distances, and the peak."""
    points = [CurvePoint(*pair) for pair in zip(record.times_ns, record.live_bytes, strict=True)]
    every = -(-len(points) // most)
    if every <= 1:
        return Rows(tuple(points))
    # The curve may pass through the time of the peak more than once; only one of these is the peak.
    peak = points.index(CurvePoint(record.peak_ns or 0, record.peak_bytes or 0)) if record.peak_ns is not None else None
    kept = tuple(point for at, point in enumerate(points) if at % every == 0 or at == peak)
    if len(kept) == len(points):
        return Rows(kept)
    return Rows(kept, f"One of {every} points of the curve's {len(points)}, and the peak.")


def _first(values: Sequence[_T], most: int, what: str) -> Rows[_T]:
    there = len(values)
    said = f"The first {most} {what} of {there}." if there > most else None
    return Rows(tuple(values[:most]), said)
