"""One workload, measured in separate passes over the same step.

No pass carries another's instrumentation: the timed samples come from steps that run as they would without
perfsuite, phases from steps that only read a clock, operators from steps under the profiler, primitives from
steps under the profiler with oneDNN's verbose output on, peak memory from a bare step again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from perfsuite.capture import memory, operators, primitives
from perfsuite.capture.allocation_curve import allocation_curve
from perfsuite.capture.events import PHASE_RANGE
from perfsuite.capture.modules import ModulePaths, module_ranges
from perfsuite.capture.operators import Steps
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.primitives import Join
from perfsuite.capture.profiler import profiler_range, record_steps
from perfsuite.capture.step import Step
from perfsuite.capture.timeline import timeline_of
from perfsuite.capture.verbose import VerboseCapture, capture_verbose, timestamps_available, verbose_header
from perfsuite.errors import CaptureError
from perfsuite.passes import PASSES
from perfsuite.records import AllocationCurve, Memory, Operator, Phase, Primitive, Profile, Samples
from perfsuite.stats import mean, median
from perfsuite.timeline import Timeline

_PHASE_SECONDS = 1.0
_PHASE_STEPS = 30
#: Steps whose shapes are compared, to find out whether they are the same each time.
_SHAPED_STEPS = 3


@dataclass(frozen=True)
class Settings:
    """What to capture.  ``steps`` is how many steps each profiled figure is the mean of."""

    passes: tuple[str, ...] = PASSES
    steps: int = 5
    backend: str | None = None

    def wants(self, name: str) -> bool:
        """Whether the pass runs; joining primitives needs the operators they are joined to."""
        return name in self.passes or (name == "operators" and "primitives" in self.passes)


@dataclass
class _Draft:
    """The profile while its passes run."""

    phases: tuple[Phase, ...] = ()
    steps: Steps | None = None
    rows: tuple[Operator, ...] = ()
    primitives: tuple[Primitive, ...] = ()
    join: Join | None = None
    timeline: Timeline | None = None
    memory: Memory | None = None
    curve: AllocationCurve | None = None

    def __post_init__(self) -> None:
        self.walls: dict[str, tuple[int, ...]] = {}
        self.notes: list[str] = []


def capture_profile(
    step: Step,
    recorder: PhaseRecorder,
    settings: Settings,
    samples: Samples | None = None,
    progress: Callable[[str], object] = lambda stage: None,
    keep: Callable[[Timeline], object] = lambda timeline: None,
) -> Profile:
    """Run the passes over the step and assemble the profile (its name and origin are the caller's to add).

    ``keep`` is given the timeline of one step, where a pass ran that sees operators.

    Raises:
        CaptureError: a pass could not measure; UsageError: the step was set up wrongly.  Whatever the step
            itself raises passes through, with every redirection and setting undone.
    """
    draft = _Draft()
    if settings.wants("memory"):
        # Before the profiler passes, whose own buffers would be part of it.
        progress("memory")
        draft.memory = memory.measure_memory(step)
        if draft.memory.peak_rss_bytes is None:
            draft.notes.append("peak RSS is unknown: /proc/self/clear_refs cannot be written here")
    if settings.wants("phases"):
        progress("phases")
        _phase_pass(draft, step, recorder, settings)
    backend = settings.backend
    if settings.wants("operators"):
        progress("operators")
        compiled = _runs_compiled(step, recorder) if backend is None else backend == "compile"
        _operator_pass(draft, step, recorder, settings, hooks=not compiled)
        backend = backend or _backend(draft.rows, compiled)
        if settings.wants("primitives"):
            progress("primitives")
            _primitive_pass(draft, step, recorder, settings, hooks=not compiled)
        if settings.wants("memory"):
            progress("allocations")
            _allocation_pass(draft, step, recorder, hooks=not compiled)
    if draft.steps is not None:
        keep(draft.timeline or timeline_of(draft.steps, "operators"))
    return _assemble(draft, settings, samples, backend)


# --- the passes ------------------------------------------------------------------------------------


def _phase_pass(draft: _Draft, step: Step, recorder: PhaseRecorder, settings: Settings) -> None:
    times: list[dict[str, int]] = []
    walls: list[int] = []
    began = time.monotonic()
    with recorder.clocked():
        while len(walls) < settings.steps or (len(walls) < _PHASE_STEPS and time.monotonic() - began < _PHASE_SECONDS):
            with step.ready() as call:
                recorder.take()  # what set-up may have marked is not the step's
                start = time.perf_counter_ns()
                call()
                walls.append(time.perf_counter_ns() - start)
            times.append(recorder.take())
            if len(times) == settings.steps and not any(times):
                return  # a step without phases has nothing to time here
    names = list(dict.fromkeys(name for one in times for name in one))
    draft.phases = tuple(Phase(name, tuple(one.get(name, 0) for one in times)) for name in names)
    draft.walls["phases"] = tuple(walls)
    for name in names:
        entered = sum(name in one for one in times)
        if entered < len(times):
            draft.notes.append(f"phase {name!r} ran in {entered} of {len(times)} steps; in the others its time is 0")


def _operator_pass(draft: _Draft, step: Step, recorder: PhaseRecorder, settings: Settings, hooks: bool) -> None:
    with _instrumented(recorder, hooks):
        # Where it also records shapes, the profiler's memory falls between the step's own, whose tensors then lie on
        # fresh pages: a step of many short operators takes twice as long.  Times and shapes come from separate steps.
        recording = record_steps(step, settings.steps, shapes=False)
        shaped = operators.shapes_from(recording, record_steps(step, _SHAPED_STEPS))
        if shaped is None:
            shaped = recording = record_steps(step, settings.steps)
            draft.notes.append(
                "the step does not run the same operators on the same shapes each time, so they were timed while their "
                "shapes were recorded, which can slow them down (see the overhead)"
            )
    draft.steps = operators.nest(shaped)
    draft.rows = operators.operator_rows(draft.steps)
    draft.walls["operators"] = recording.walls_ns
    beside = operators.busy_ns(draft.steps.elsewhere) / settings.steps
    if beside > 0:
        draft.notes.append(
            f"operators on other threads were busy for {beside / 1e6:.3g} ms per step beside the stepping "
            "thread; they are not in the ledger"
        )


def _primitive_pass(draft: _Draft, step: Step, recorder: PhaseRecorder, settings: Settings, hooks: bool) -> None:
    try:
        by_time = timestamps_available()
    except CaptureError as error:  # this build, or this process, cannot show primitives: the rest still can be
        draft.notes.append(f"primitives were not recorded: {error}")
        return
    if not by_time and not hooks:
        draft.notes.append(
            "primitives were not recorded: under torch.compile they can be joined by timestamps only, and oneDNN "
            "was used before ONEDNN_VERBOSE_TIMESTAMP=1 was set; set it in the shell"
        )
        return
    captured: list[VerboseCapture] = []

    @contextmanager
    def listening() -> Iterator[None]:
        with capture_verbose() as verbose, ExitStack() as stack:
            if not by_time:
                stack.enter_context(primitives.markers())
            yield
        captured.append(verbose)

    with _instrumented(recorder, hooks):
        recording = record_steps(step, settings.steps, around=listening, at_edge=primitives.step_edges())
    steps = operators.nest(recording)
    join = primitives.join_by_time if by_time else primitives.join_by_markers
    draft.join = join(steps, captured[0].lines, verbose_header())
    draft.timeline = timeline_of(steps, "primitives", draft.join)
    before = len(draft.rows)
    draft.rows, draft.primitives = primitives.attach_primitives(draft.rows, draft.join, settings.steps)
    draft.walls["primitives"] = recording.walls_ns
    if captured[0].incomplete:
        draft.notes.append(
            "primitives may be missing: the step switched oneDNN's verbose output off or redirected stdout meanwhile"
        )
    if draft.join.rejected:
        draft.notes.append(
            f"{draft.join.rejected} lines of oneDNN's verbose output could not be read; they are counted as not joined"
        )
    if draft.join.graphs:
        draft.notes.append(f"{draft.join.graphs} executions of oneDNN graph partitions are not among the primitives")
    if len(draft.rows) > before:
        draft.notes.append(
            f"{len(draft.rows) - before} operator rows with primitives ran in the primitive pass only (count 0): "
            "the step is not the same each time"
        )


def _allocation_pass(draft: _Draft, step: Step, recorder: PhaseRecorder, hooks: bool) -> None:
    with _instrumented(recorder, hooks):
        # Twice: what differs between two steps of one process is no property of the code.
        recording = record_steps(step, 2, memory=True)
    draft.curve = allocation_curve(recording.events)
    allocated = operators.allocations(operators.nest(recording))
    draft.walls["memory"] = recording.walls_ns
    draft.rows = tuple(_with_allocations(row, allocated.get(row.key)) for row in draft.rows)


def _with_allocations(row: Operator, found: operators.Allocations | None) -> Operator:
    if found is None:  # it did not run in these steps, so it is not known to have allocated nothing
        return row
    return replace(
        row,
        allocated_bytes=operators.whole(mean(found.bytes)),
        allocated_bytes_samples=tuple(found.bytes),
        allocations_samples=tuple(found.counts),
    )


# --- what the passes share -------------------------------------------------------------------------


@contextmanager
def _instrumented(recorder: PhaseRecorder, hooks: bool) -> Iterator[None]:
    ranges: AbstractContextManager[Any] = recorder.ranges(lambda name: profiler_range(PHASE_RANGE + name))
    with ranges, ExitStack() as stack:
        if hooks:
            stack.enter_context(module_ranges(ModulePaths()))
        yield


def _runs_compiled(step: Step, recorder: PhaseRecorder) -> bool:
    dynamo = sys.modules.get("torch._dynamo.utils")
    if dynamo is None or not dynamo.counters["frames"]:
        return False  # nothing was compiled in this process
    # Found out without module hooks, because installing them would itself change what a compiled step runs.
    with _instrumented(recorder, hooks=False):
        return operators.nest(record_steps(step, 1)).compiled


def _backend(rows: tuple[Operator, ...], compiled: bool) -> str:
    if compiled:
        return "compile"
    return "ipex" if any(row.name.startswith("torch_ipex::") for row in rows) else "eager"


def _assemble(draft: _Draft, settings: Settings, samples: Samples | None, backend: str | None) -> Profile:
    joined = executed = None
    if draft.join is not None:
        executed = (len(draft.join.pairs) + draft.join.rejected) / settings.steps
        joined = sum(key is not None for _, key in draft.join.pairs) / settings.steps
    return Profile(
        name="",
        backend=backend,
        samples=samples,
        phases=draft.phases,
        operators=draft.rows,
        primitives=draft.primitives,
        python=operators.python_rows(draft.steps) if draft.steps else (),
        ledger=operators.ledger(draft.steps, joined, executed) if draft.steps else None,
        memory=draft.memory,
        allocation_curve=draft.curve,
        walls_ns=draft.walls,
        overhead=_overheads(draft, samples),
        passes=tuple(n for n in PASSES if settings.wants(n) and (n != "primitives" or draft.join is not None)),
        steps=settings.steps,
        join=draft.join.method if draft.join else None,
        notes=tuple(draft.notes),
    )


def _overheads(draft: _Draft, samples: Samples | None) -> dict[str, float]:
    if samples is None or not samples.rounds_ns:
        return {}
    timed = median(samples.per_step_ns)
    if timed <= 0:
        return {}
    return {name: median(walls) / timed - 1 for name, walls in draft.walls.items() if walls}


def infer_dtype(model: Any) -> str | None:
    """The data type of the model's floating-point parameters (``float32``), None if mixed or unknown."""
    parameters = getattr(model, "parameters", None)
    if parameters is None:
        return None
    kinds = {str(p.dtype).removeprefix("torch.") for p in parameters() if p.is_floating_point()}
    return kinds.pop() if len(kinds) == 1 else None


def measure_pass(name: str, step: Callable[[], object]) -> int:
    """Wall time of one step under one pass's instrumentation, ns; for benchmarks of the overhead.

    ``name`` is ``timing``, ``operators`` or ``primitives``; the profiler runs its unrecorded call first.

    Raises:
        KeyError: there is no such pass.
    """
    recorder = PhaseRecorder()
    one = Step(step)
    if name == "timing":
        start = time.perf_counter_ns()
        step()
        return time.perf_counter_ns() - start
    around = {"operators": None, "primitives": capture_verbose}[name]
    with _instrumented(recorder, hooks=True):
        return int(mean(record_steps(one, 1, around=around, shapes=around is not None).walls_ns))
