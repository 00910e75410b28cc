"""One workload recorded from beginning to end: warmed up, timed, profiled.

pytest's fixture times with pytest-benchmark and hands over what it found (:func:`profile_timed`); elsewhere
:func:`record` does it all, and needs neither pytest nor anything else that perfsuite's faces need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from perfsuite.capture.health import loss_note, thread_count, threads_note
from perfsuite.capture.passes import Settings, capture_profile, infer_dtype
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.step import Step
from perfsuite.capture.timing import WarmUp, time_steps, warm_up
from perfsuite.records import Profile, Samples
from perfsuite.timeline import Timeline


@dataclass(frozen=True)
class Subject:
    """What is recorded, and what it is called in the run."""

    name: str
    step: Step
    #: Where the step reports its phases.
    recorder: PhaseRecorder
    #: Whose parameters tell the data type, where ``dtype`` does not.
    model: Any = None
    scale: str | None = None
    dtype: str | None = None
    #: Timed while other workers of the same session ran.
    contended: bool = False


@dataclass(frozen=True)
class Timed:
    """How the step went before it is profiled."""

    #: None where it was not timed.
    samples: Samples | None
    #: What the last call returned.
    result: Any = None
    #: None where the step was not warmed up, or not by perfsuite.
    warmed: WarmUp | None = None
    #: torch's thread count before the first call; None if torch was not loaded.
    threads: int | None = None
    #: How the samples came about, a sentence each; nothing is wrong with them.
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """A finished profile, and what comes with it."""

    profile: Profile
    #: Of one step; None where no pass ran that sees operators.
    timeline: Timeline | None
    #: Those of the profile's notes that make its figures suspect.
    suspicions: tuple[str, ...]


def profile_timed(
    subject: Subject, timed: Timed, settings: Settings, progress: Callable[[str], object] = lambda stage: None
) -> Recorded:
    """Run the passes over a step that was timed already, and put together what is known of it.

    Raises:
        CaptureError: a pass could not measure; UsageError: the step was set up wrongly.  Whatever the step itself
            raises passes through.
    """
    timelines: list[Timeline] = []
    profile = capture_profile(subject.step, subject.recorder, settings, timed.samples, progress, timelines.append)
    found = (loss_note(timed.result), threads_note(timed.threads, thread_count()))
    suspicions = (*filter(None, found), *profile.notes)
    named = replace(
        profile,
        name=subject.name,
        scale=subject.scale,
        dtype=subject.dtype or infer_dtype(subject.model),
        contended=subject.contended,
        notes=(*_unsettled(timed.warmed), *_beside(timed.warmed), *timed.remarks, *suspicions),
    )
    return Recorded(named, timelines[0] if timelines else None, suspicions)


def record(
    subject: Subject,
    settings: Settings,
    *,
    seconds: float = 1.0,
    progress: Callable[[str], object] = lambda stage: None,
) -> Recorded:
    """Warm the step up until it is stable, time it for ``seconds`` and run the passes.

    Raises:
        As :func:`profile_timed`.
    """
    threads = thread_count()
    progress("warm-up")
    warmed = warm_up(subject.step)
    progress("timing")
    samples = time_steps(subject.step, max_seconds=seconds)
    # The timed calls keep nothing of what they return: it would be garbage to collect.
    with subject.step.ready() as call:
        result = call()
    return profile_timed(subject, Timed(samples, result, warmed, threads), settings, progress)


def _unsettled(warmed: WarmUp | None) -> tuple[str, ...]:
    if warmed is None or warmed.settled:
        return ()
    spent = sum(warmed.calls_ns) / 1e9
    return (f"the step had not settled when its warm-up ended after {len(warmed.calls_ns)} calls ({spent:.1f} s)",)


def _beside(warmed: WarmUp | None) -> tuple[str, ...]:
    if warmed is None or not warmed.busy:
        return ()
    return (f"processes that it has started worked beside it when it was timed: {', '.join(warmed.busy)}",)
