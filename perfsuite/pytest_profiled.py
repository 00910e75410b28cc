"""The ``profiled`` fixture: pytest-benchmark's timing first, then the passes of the profile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from perfsuite.capture.health import thread_count
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.step import Step
from perfsuite.capture.timing import WarmUp, time_steps, warm_up
from perfsuite.capture.training_step import TrainingStep
from perfsuite.errors import CaptureError, PerfsuiteWarning, UsageError
from perfsuite.pytest_settings import MarkerSettings, read_marker
from perfsuite.records import Profile, Samples
from perfsuite.stats import MEDIAN_INTERVAL_SAMPLES, median

if TYPE_CHECKING:
    from perfsuite.pytest_session import Session
    from perfsuite.pytest_worker import WorkerSession
    from perfsuite.timeline import Timeline

#: The fewest rounds of pytest-benchmark where nobody says how many.
_DEFAULT_ROUNDS = 5


class Profiled:
    """Use it once in a test: ``profiled(fn, …)``, ``profiled.pedantic(…)`` or ``profiled.step(…)``."""

    def __init__(
        self, benchmark: Any, item: pytest.Item, session: Session | None, worker: WorkerSession | None = None
    ) -> None:
        self._benchmark = benchmark
        self._item = item
        self._session = session
        self._worker = worker
        self._recorder = PhaseRecorder()
        self._used: str | None = None

    def __call__(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Time ``fn(*args, **kwargs)`` as ``benchmark`` does, after warming up, and profile it.

        Returns:
            What ``fn`` returned to ``benchmark``.

        Raises:
            UsageError: ``profiled`` or ``benchmark`` was used before in this test.
        """
        with self._claimed("profiled(...)"):
            return self._measure(Step(fn, args, kwargs), partial(self._benchmark, fn, *args, **kwargs))

    def pedantic(
        self,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        setup: Callable[[], Any] | None = None,
        teardown: Callable[..., Any] | None = None,
        rounds: int = 1,
        warmup_rounds: int | None = None,
        iterations: int = 1,
    ) -> Any:
        """Time exactly ``rounds`` rounds, each after ``setup`` and before ``teardown``, and profile.

        ``warmup_rounds`` is None for a warm-up until stable, or the number of rounds.  All else is as in
        ``benchmark.pedantic``.
        """
        timed = partial(
            self._benchmark.pedantic,
            target,
            args=args,
            kwargs=kwargs,
            setup=setup,
            teardown=teardown,
            rounds=rounds,
            warmup_rounds=warmup_rounds or 0,
            iterations=iterations,
        )
        with self._claimed("profiled.pedantic(...)"):
            step = Step(target, args, kwargs or {}, setup, teardown)
            return self._measure(step, timed, warm=warmup_rounds is None, cold=warmup_rounds == 0)

    def step(self, model: Any, optimizer: Any, loss: Callable[[Any, Any], Any] | None, batch: Any) -> Any:
        """Time and profile a training step with the phases data, forward, loss, backward and optimizer.

        The arguments are those of :class:`perfsuite.TrainingStep`.

        Returns:
            The loss of the last timed step.
        """
        with self._claimed("profiled.step(...)"):
            one = TrainingStep(model, optimizer, loss, batch, phase=self.phase)
            return self._measure(Step(one), partial(self._benchmark, one), model=model)

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Mark a phase of a step of your own: ``with profiled.phase("forward"): …``.

        While the step is timed this does nothing.  Of nested phases each has the time outside the inner ones.
        """
        return self._recorder.phase(name)

    # --- one measurement ---------------------------------------------------------------------------

    @contextmanager
    def _claimed(self, use: str) -> Iterator[None]:
        if self._used:
            raise UsageError(f"{self._item.nodeid}: {use} after {self._used}; `profiled` can be used once in a test")
        if self._benchmark._mode:
            raise UsageError(f"{self._item.nodeid}: {use} after {self._benchmark._mode}; use one of them in a test")
        self._used = use
        try:
            yield
        except BaseException:
            if not self._benchmark._mode:
                # Or pytest-benchmark would add the warning that it was not used, which is beside the point.
                self._benchmark._mode, self._benchmark.has_error = use, True
            raise
        finally:
            self._show(None)

    def _measure(
        self, step: Step, timed: Callable[[], Any], *, warm: bool = True, cold: bool = False, model: Any = None
    ) -> Any:
        marker = read_marker(self._item)
        if self._worker is not None:
            # Or pytest-benchmark would warn that it was not used.
            self._benchmark._mode, self._benchmark.has_error = "a gate's worker", True
            return self._worker.serve(self._item.nodeid, step, self._recorder, marker, model, cold=cold)
        session = self._session
        if session is not None:
            _require_torch()
            session.claim(marker.name or self._item.nodeid, self._item.nodeid)
        threads = thread_count()
        warmed = self._warm_up(step) if warm and (session is not None or self._benchmark.enabled) else None
        if session is not None and self._benchmark._min_rounds == _DEFAULT_ROUNDS:
            # One more, or the median of a slow step would have no interval.
            self._benchmark._min_rounds = MEDIAN_INTERVAL_SAMPLES
        self._show("timing")
        result = timed()
        if session is not None:
            profile, timeline = self._profile(step, self._samples(), warmed, marker, model, result, threads)
            session.save(profile, timeline)
            if self._benchmark.enabled:
                self._benchmark.extra_info["perfsuite"] = summary(profile)
        return result

    def _warm_up(self, step: Step) -> WarmUp:
        self._show("warm-up")
        return warm_up(step)

    def _samples(self) -> Samples | None:
        metadata = self._benchmark.stats
        if metadata is None:
            return None
        # pytest-benchmark keeps seconds per iteration; a round is what the clock really saw.
        iterations = int(metadata.iterations)
        return Samples(tuple(round(s * 1e9 * iterations) for s in metadata.stats.data), iterations)

    def _profile(
        self,
        step: Step,
        samples: Samples | None,
        warmed: WarmUp | None,
        marker: MarkerSettings,
        model: Any,
        result: Any,
        threads: int | None,
    ) -> tuple[Profile, Timeline | None]:
        from perfsuite.capture.passes import Settings
        from perfsuite.capture.record import Subject, Timed, profile_timed

        session = self._session
        assert session is not None
        remarks: tuple[str, ...] = ()
        if samples is None and session.worker_input is not None and not _disabled_by_user(self._item.config):
            samples = time_steps(step)
            remarks = ("timed by perfsuite, because pytest-benchmark does not time under pytest-xdist",)
        elif samples is None:
            remarks = ("pytest-benchmark is disabled: there are no timed samples, and no overhead of the passes",)
        settings = Settings(
            passes=marker.passes or session.settings.passes,
            steps=marker.steps or session.settings.steps,
            backend=marker.backend,
        )
        name = marker.name or self._item.nodeid
        subject = Subject(name, step, self._recorder, model, marker.scale, marker.dtype, session.contended)
        timed = Timed(samples, result, warmed, threads, remarks)
        recorded = profile_timed(subject, timed, settings, self._show)
        for note in recorded.suspicions:
            self._item.warn(PerfsuiteWarning(f"perfsuite: {note}"))
        return recorded.profile, recorded.timeline

    def _show(self, stage: str | None) -> None:
        if self._session is not None:
            self._session.progress(self._item.nodeid, stage)


def summary(profile: Profile) -> dict[str, Any]:
    """What pytest-benchmark's own JSON carries of a profile, under ``extra_info["perfsuite"]``."""
    ledger = profile.ledger
    return {
        "name": profile.name,
        "phases_ns": {phase.name: median(phase.samples_ns) for phase in profile.phases},
        "ledger": dataclasses.asdict(ledger) if ledger is not None else None,
        "top_operators": [{"name": row.name, "self_ns": row.self_ns} for row in profile.operators[:5]],
        "peak_rss_bytes": profile.memory.peak_rss_bytes if profile.memory is not None else None,
        "overhead": dict(profile.overhead),
    }


def _disabled_by_user(config: pytest.Config) -> bool:
    return bool(config.getoption("benchmark_disable", False))


def _require_torch() -> None:
    if find_spec("torch") is None:
        raise CaptureError(
            "--profile-dnn needs PyTorch, which is not installed here: pip install torch (2.6 or newer); "
            "without --profile-dnn `profiled` times and needs no torch"
        )
