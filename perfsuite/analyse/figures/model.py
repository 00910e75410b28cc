"""What a figure shows, as frozen records: a plot draws them and computes nothing.

Each has a title, a subtitle that says of which workload, the notes that say how the numbers were obtained, and
``missing``: a sentence for the reader where there is nothing to draw.  Names are as recorded; the plot shortens them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from perfsuite.analyse.diff.model import Cause
from perfsuite.records import PhaseSpan, Shape


@dataclass(frozen=True, kw_only=True)
class FigureRecord:
    """What all figures have."""

    title: str
    #: Workload, scale, data type, and how many samples or steps.
    subtitle: str = ""
    #: Why there is nothing to draw; None where there is something.
    missing: str | None = None
    notes: tuple[str, ...] = ()


# --- donut ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wedge:
    """All primitives of a kind and direction, all operators of a name and phase, or the rest."""

    name: str
    #: The direction in benchdnn's words (``BWD_W``), of an operator its phase; empty where there is none.
    part: str
    time_ns: float
    #: Of the whole ring.
    share: float
    #: Of the wall time of the pass that measured it; None where that is not known.
    share_of_step: float | None
    #: Executions, or calls, in a step.
    count: float
    #: How many wedges were merged into it; 1 for all but the rest.
    merged: int = 1


@dataclass(frozen=True, kw_only=True)
class Donut(FigureRecord):
    """Where the time inside primitives goes; where none ran, the self time of operators."""

    #: ``primitives`` or ``operators``.
    of: str = "primitives"
    #: The longest first, the rest last.
    wedges: tuple[Wedge, ...] = ()
    #: In a step; the wedges sum to it.
    total_ns: float | None = None
    share_of_step: float | None = None


# --- hotspots ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HotspotBar:
    """One operator row."""

    name: str
    phase: str | None
    module: str | None
    shapes: Shape
    count: float
    self_ns: float
    #: Of the profiled step; None without a ledger.
    share: float | None
    #: 95 %, for the mean of the profiled steps; None of fewer than two.  Of steps that scatter it may begin below 0.
    interval: tuple[float, float] | None
    #: oneDNN's own time, from the primitive pass; None where that did not run.
    primitives_ns: float | None
    implementations: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Hotspots(FigureRecord):
    """Operator rows by self time, the longest first; with the rest they sum to ``total_ns``."""

    bars: tuple[HotspotBar, ...] = ()
    rest_rows: int = 0
    rest_ns: float = 0.0
    rest_share: float | None = None
    total_ns: float = 0.0
    #: All of the profile, in the order in which the step runs them; None, for outside all phases, last.
    phases: tuple[str | None, ...] = ()


# --- phases -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PhaseBar:
    """The median of a phase.  ``kind`` is ``interval`` (95 %, for the median) or ``range``, where n is too small."""

    name: str
    median_ns: float
    low_ns: float
    high_ns: float
    kind: str
    n: int
    #: Of the median of the same steps; None where that is not known.
    share: float | None


@dataclass(frozen=True, kw_only=True)
class PhaseTimes(FigureRecord):
    """The phases in the order in which they ran."""

    bars: tuple[PhaseBar, ...] = ()
    #: The median step of the same pass.
    step_ns: float | None = None


# --- roofline ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Roof:
    """A peak (``kind`` ``peak``, ``name`` a data type, FLOP/s) or a bandwidth (``bandwidth``, a level, bytes/s)."""

    kind: str
    name: str
    rate: float
    #: Whether a point that is shown is held against it.
    used: bool
    #: By conversion, because the processor or the library has nothing faster: no limit of the hardware.
    emulated: bool = False

    @property
    def drawn(self) -> bool:
        """The peak of a data type that nothing here computes in would be a line that bounds nothing."""
        return self.kind == "bandwidth" or self.used


@dataclass(frozen=True)
class RooflineDot:
    """An operator row whose FLOPs and bytes are known."""

    name: str
    phase: str | None
    module: str | None
    shapes: Shape
    #: FLOPs per byte, and FLOP/s.
    intensity: float
    flop_rate: float
    #: All of its time in a step, from start to end.
    time_ns: float
    dtype: str | None
    level: str | None
    #: FLOP/s that the machine reaches at this intensity, and the share of it that was reached.
    ceiling: float | None
    share: float | None
    bound: str | None
    #: The data type or the level whose roof the ceiling is.
    roof: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """Operator rows that have no dot, and why."""

    why: str
    rows: int
    self_ns: float
    #: Of the self time of all operators; None where there is none.
    share: float | None
    #: The names with the most of this self time, most first, with their share of that of all operators.
    mostly: tuple[tuple[str, float | None], ...] = ()


@dataclass(frozen=True, kw_only=True)
class RooflineFigure(FigureRecord):
    """Dots, the longest first, under the machine's roofs; no roofs where the machine was not measured."""

    dots: tuple[RooflineDot, ...] = ()
    roofs: tuple[Roof, ...] = ()
    #: As in :class:`Hotspots`.
    phases: tuple[str | None, ...] = ()
    #: Of the self time of all operators, that of the rows shown; None where there is none.
    shown_share: float | None = None
    left_out: tuple[LeftOut, ...] = ()
    #: Others were using the machine while its ceilings were measured, so they may be too low.
    contended: bool = False


# --- waterfall --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WaterfallStep:
    """One bar between start and end."""

    name: str
    delta_ns: float
    #: ``operator``, ``python``, ``unattributed``, ``rest``, or whatever the one who makes it calls it.
    kind: str = "step"
    #: Of the change.
    interval: tuple[float, float] | None = None
    module: str | None = None
    phase: str | None = None
    shapes: Shape = ()
    cause: Cause | None = None
    #: A line of its own, where there is no cause.
    detail: str = ""
    #: Whether its time surely changed by something that matters.
    sure: bool = False


@dataclass(frozen=True, kw_only=True)
class Waterfall(FigureRecord):
    """From one time to another: the steps sum to the difference."""

    start_name: str = "base"
    start_ns: float = 0.0
    steps: tuple[WaterfallStep, ...] = ()
    end_name: str = "head"
    end_ns: float = 0.0

    @property
    def levels_ns(self) -> tuple[float, ...]:
        """Where each step begins; the last is where the last one ends."""
        return tuple(accumulate((step.delta_ns for step in self.steps), initial=self.start_ns))

    @property
    def shares(self) -> tuple[float | None, ...]:
        """Each step as a share of the start; None where that is 0."""
        return tuple(step.delta_ns / self.start_ns if self.start_ns else None for step in self.steps)


# --- samples ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """The timed rounds of one side, in the order in which they ran."""

    name: str
    #: Time of one step in each round.
    values_ns: tuple[float, ...]
    median_ns: float
    low_ns: float
    high_ns: float
    #: ``interval`` (95 %, for the median) or ``range``, where n is too small for one.
    kind: str
    #: Steps in a round.
    iterations: int
    #: What to draw: (number of the round from 1 on, time).  Of very many rounds the extremes of each stretch.
    points: tuple[tuple[int, float], ...]
    #: (time, share of the rounds that took no longer), ascending; of very many rounds a selection.
    steps: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class SamplesFigure(FigureRecord):
    """One side, or base and head."""

    series: tuple[Series, ...] = ()


# --- memory -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MemoryFigure(FigureRecord):
    """What the step holds of PyTorch's CPU allocator; 0 is what was held when it began."""

    times_ns: tuple[int, ...] = ()
    live_bytes: tuple[int, ...] = ()
    wall_ns: int | None = None
    phases: tuple[PhaseSpan, ...] = ()
    peak_bytes: int | None = None
    peak_ns: int | None = None
    #: None outside all phases.
    peak_phase: str | None = None
    #: Resident memory before a bare step and its high-water mark in it; None where that is not known.
    start_rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
