"""How long each phase of the step takes."""

from __future__ import annotations

from perfsuite.analyse.figures.common import contended, subtitle
from perfsuite.analyse.figures.model import PhaseBar, PhaseTimes
from perfsuite.records import Phase, Profile
from perfsuite.stats import median, median_interval


def phase_times(profile: Profile) -> PhaseTimes:
    """The median of each phase and its interval, from steps without the profiler."""
    title, timed = "Phases of the step", [phase for phase in profile.phases if phase.samples_ns]
    if not timed:
        ran = "phases" in profile.passes
        why = "The step was not divided into phases." if ran else "The phase pass did not run (--profile-dnn-passes)."
        return PhaseTimes(title=title, subtitle=subtitle(profile), missing=f"No phase was timed: {why}")
    walls = profile.walls_ns.get("phases", ())
    step = median(walls) if walls else None
    bars = tuple(_bar(phase, step) for phase in timed)
    least, most = min(bar.n for bar in bars), max(bar.n for bar in bars)
    n = f"n = {least}" if least == most else f"n = {least} to {most}"
    return PhaseTimes(
        title=title, subtitle=subtitle(profile, n), notes=_notes(profile, bars), bars=bars, step_ns=step
    )  # fmt: skip


def _bar(phase: Phase, step: float | None) -> PhaseBar:
    values = phase.samples_ns
    found = median_interval(values)
    low, high = found or (min(values), max(values))
    middle = median(values)
    return PhaseBar(
        phase.name, middle, low, high, "range" if found is None else "interval", len(values),
        middle / step if step else None,
    )  # fmt: skip


def _notes(profile: Profile, bars: tuple[PhaseBar, ...]) -> tuple[str, ...]:
    kinds = {bar.kind for bar in bars}
    found = ["Medians over steps without the profiler; medians of phases need not sum to the median step."]
    if "interval" in kinds:
        found.append("Whiskers: 95% interval for the median, from order statistics, of this process.")
    if "range" in kinds:
        only = "" if kinds == {"range"} else " where n < 6"
        found.append(f"Whiskers{only}: smallest to largest; fewer than 6 samples have no 95% interval.")
    return (*found, *contended(profile))
