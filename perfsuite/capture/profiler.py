"""Run steps under torch.profiler and hand its events out as plain records."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from perfsuite.capture.events import MEMORY_EVENT, STEP_RANGE, Event
from perfsuite.capture.stdio import StderrFilter
from perfsuite.capture.step import Step
from perfsuite.errors import CaptureError

#: What Kineto itself writes to stderr when a profile starts and stops; it is about Kineto, not the step.
_KINETO_CHATTER = re.compile(rb"(USDT|STAGE):\d{4}-|ERROR:.*gpuGetDeviceCount failed")
#: That blocks are freed which were allocated before the profile began is true of every step.
_ALLOCATOR_CHATTER = re.compile(rb"\[W\S* CPUAllocator\.cpp:\d+\] Memory block of unknown size")


#: Unrecorded calls end at either.
_SETTLING_CALLS = 10
_SETTLING_SECONDS = 0.02
#: Threads that torch starts (``torch.jit.fork``) report their allocations too, and may still be leaving their ranges
#: when the step has what it waited for: torch 2.8 and 2.13 crash if the profiler stops in that moment.
_LEAVING_SECONDS = 0.05


@dataclass(frozen=True)
class Recording:
    """Events of the recorded steps, and each step's wall time by a clock outside the profiler."""

    events: tuple[Event, ...]
    walls_ns: tuple[int, ...]


def profiler_range(name: str) -> AbstractContextManager[None]:
    """A range in the profile.

    torch's C implementation costs about half a microsecond where ``record_function`` costs five; a range
    around every module of a small step would otherwise be most of what is measured.
    """
    return _range_type()(name)


@lru_cache(maxsize=1)
def _range_type() -> Callable[[str], AbstractContextManager[None]]:
    # Looked up once: an import statement in a range around every module would cost more than the range.
    from torch._C._profiler import _RecordFunctionFast

    found: Callable[[str], AbstractContextManager[None]] = _RecordFunctionFast
    return found


def record_steps(
    step: Step,
    steps: int,
    *,
    around: Callable[[], AbstractContextManager[Any]] | None = None,
    at_edge: Callable[[bool], object] = lambda begins: None,
    shapes: bool = True,
    memory: bool = False,
) -> Recording:
    """Profile ``steps`` calls of ``step`` after an unrecorded one, or a few of a short step.

    The first calls under a profiler pay for Kineto's buffers, so they run inside the profile but outside
    every step range.  ``around`` is entered after the profiler has started and left before it stops;
    ``at_edge`` is called right before (True) and after (False) every recorded step.

    Raises:
        CaptureError: another profiler is active, or the profiler recorded no step.
    """
    from torch.profiler import ProfilerActivity, profile

    profiler = profile(
        activities=[ProfilerActivity.CPU],
        record_shapes=shapes,
        profile_memory=memory,
        # With all threads, torch 2.13 records no allocations at all.
        experimental_config=None if memory else _all_threads(),
    )
    walls: list[int] = []
    quiet = StderrFilter(_ALLOCATOR_CHATTER) if memory else _nothing()
    with _running(profiler), quiet, around() if around else _nothing():
        _settle(step)
        for _ in range(steps):
            with step.ready() as call:
                around_step = profiler_range(STEP_RANGE)
                at_edge(True)
                start = time.perf_counter_ns()
                with around_step:
                    call()
                walls.append(time.perf_counter_ns() - start)
                at_edge(False)
        if memory:
            time.sleep(_LEAVING_SECONDS)
    results = getattr(profiler.profiler, "kineto_results", None)
    events = tuple(_events(results.events())) if results is not None else ()
    if sum(event.name == STEP_RANGE for event in events) != steps:
        raise CaptureError(
            "torch.profiler lost the recorded steps; if the step runs a profiler of its own, leave it out: "
            "perfsuite profiles the step itself"
        )
    return Recording(events, tuple(walls))


def _settle(step: Step) -> None:
    began = time.monotonic()
    for _ in range(_SETTLING_CALLS):
        with step.ready() as call:
            call()
        if time.monotonic() - began > _SETTLING_SECONDS:
            return


def _all_threads() -> Any:
    """Threads that the step starts are recorded too, where torch can (2.7 on): else they would look like Python."""
    from torch._C._profiler import _ExperimentalConfig

    known = "profile_all_threads" in (_ExperimentalConfig.__init__.__doc__ or "")
    return _ExperimentalConfig(profile_all_threads=True) if known else None


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _running(profiler: Any) -> Iterator[None]:
    import torch

    # Starting a second one silently ends the first.
    if torch.autograd._profiler_enabled():  # type: ignore[attr-defined]
        raise CaptureError("another torch profiler is active; perfsuite profiles the step itself, so leave it out")
    with StderrFilter(_KINETO_CHATTER):
        profiler.start()
    try:
        yield
    finally:
        with StderrFilter(_KINETO_CHATTER):
            profiler.stop()


def _events(kineto: Sequence[Any]) -> Iterator[Event]:
    from torch._C._autograd import DeviceType

    for event in kineto:
        name = event.name()
        start = event.start_ns()
        if name == MEMORY_EVENT:
            if event.device_type() == DeviceType.CPU:  # an accelerator's memory is not what is measured here
                yield Event(name, start, start, event.start_thread_id(), bytes=event.nbytes())
            continue
        yield Event(
            name=name,
            start_ns=start,
            end_ns=start + event.duration_ns(),
            thread=event.start_thread_id(),
            scope=int(event.scope()),
            sequence=event.sequence_nr(),
            forward_thread=event.fwd_thread_id(),
            shapes=_frozen(_shapes(event)),
            concrete=_frozen(event.concrete_inputs()),
            dtypes=tuple(map(_dtype, event.dtypes())),
        )


#: The profiler names a tensor's data type in C++; its words for what is no tensor are not here.
_DTYPES = {
    "float": "float32", "double": "float64", "c10::BFloat16": "bfloat16", "c10::Half": "float16",
    "long int": "int64", "long": "int64", "int": "int32", "short int": "int16", "short": "int16",
    "signed char": "int8", "unsigned char": "uint8", "bool": "bool",
    "c10::complex<float>": "complex64", "c10::complex<double>": "complex128",
    "c10::qint8": "qint8", "c10::quint8": "quint8", "c10::qint32": "qint32",
    "c10::Float8_e4m3fn": "float8_e4m3fn", "c10::Float8_e5m2": "float8_e5m2",
}  # fmt: skip


def _dtype(name: str) -> str | None:
    return _DTYPES.get(name)


def _shapes(event: Any) -> Any:
    # Sizes of the tensors in a list are in the structured shapes only, which torch 2.8 does not have.
    structured = getattr(event, "structured_input_shapes", None)
    return event.shapes() if structured is None else structured()


def _frozen(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value
