"""Measure what this machine can do at most: products, bandwidth of each level, the cost of an operator.

Everything runs through torch's own operators and threads, so that a roof is one that an operator could reach:
``torch.mm``, ``conv2d``, ``copy_`` (a = b) and ``add`` with a factor (a = b + s·c, STREAM's triad).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from perfsuite.capture.caches import cache_levels
from perfsuite.capture.events import split_steps
from perfsuite.capture.profiler import record_steps
from perfsuite.capture.step import Step
from perfsuite.capture.torch_facts import torch_facts
from perfsuite.ceilings import EMULATED, CacheLevel, Ceiling, Ceilings
from perfsuite.environment import gather_environment
from perfsuite.errors import UsageError
from perfsuite.stats import median

DTYPES = ("float32", "bfloat16", "float16", "int8")
_SIZES = (256, 512, 1024, 2048, 4096, 8192)
#: Batch, channels, height and width, kernel: the bulk of a ResNet and of a detector's head.
_CONVOLUTIONS = ((8, 256, 28, 3), (8, 512, 14, 3), (8, 1024, 14, 1))
#: A larger product is not tried where the fewest repeats of it would take longer.
_LONGEST_SIZE_S = 1.5
_REPEATS = 40
_FEWEST_REPEATS = 3
#: Repeats of one size end after so long, if there are the fewest.
_SECONDS_A_SIZE = 0.6
#: A repeat of a bandwidth is as many calls as fill this: short, so that some repeats are not interrupted at all.
_SECONDS_A_REPEAT = 0.0005
#: Bytes that one call moves for each thread in a cache, so that starting the threads does not count.
_BYTES_A_CALL = 32 * 2**20
#: DRAM: the arrays together are this many times the last cache, STREAM's rule.
_BEYOND_LAST_CACHE = 4
_CPUS = Path("/sys/devices/system/cpu")
#: Floats in a cache line: how far apart the windows of an array begin.
_SHIFT = 16
_WINDOWS = 8
#: Floats between the parts of two threads.
_APART = 2048 + _SHIFT
_MAX_FOLDS = 4
_CALLS = 100
_EMPTY = "aten::add_"
#: Variables that keep the libraries from doing their best; ceilings measured under them are none.
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY", "MKL_CBWR")


def measure_ceilings(threads: int | None = None, report: Callable[[str], object] = lambda what: None) -> Ceilings:
    """Measure this machine with so many threads of torch (by default as many as it is set to); 5 to 20 s.

    The number of threads is put back afterwards.

    Args:
        report: told what is measured next.

    Raises:
        UsageError: ``threads`` is below 1 or above the CPUs that this process may use.
        CaptureError: another torch profiler is active.
    """
    load = _load_average()  # before we are most of it ourselves
    with torch_threads(threads) as count:
        levels, told = cache_levels(_CPUS, sorted(os.sched_getaffinity(0)), count)
        notes = [] if told else ["the kernel does not describe the caches, their sizes are assumed"]
        notes += [f"measured with {name}={os.environ[name]}" for name in _LIMITS if os.environ.get(name)]
        report("the cost of an operator")
        empty = _empty_operator_ns()
        roofs: list[Ceiling] = []
        for dtype in DTYPES:
            report(f"products in {dtype}")
            measured = _matmul(dtype)
            if isinstance(measured, str):
                notes.append(f"{dtype}: no matrix product, {measured}")
            else:
                roofs.append(measured)
            convolved = _convolution(dtype)
            roofs += [convolved] if convolved is not None else []
        notes += _emulated(roofs)
        for level in levels:
            report(f"bandwidth of {level.name}")
            roofs += [_bandwidth(kind, level, levels, count) for kind in ("copy", "triad")]
        return Ceilings(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            environment=gather_environment(torch_facts()),
            threads=count,
            load_average=load,
            levels=levels,
            roofs=tuple(roofs),
            empty_operator_ns=empty,
            notes=tuple(notes),
        )


@contextmanager
def torch_threads(threads: int | None) -> Iterator[int]:
    """torch computes with so many threads inside, as before after; yields the number.

    Raises:
        UsageError: ``threads`` is below 1 or above the CPUs that this process may use.
    """
    import torch

    usable = len(os.sched_getaffinity(0))
    before = torch.get_num_threads()
    if threads is not None and not 1 <= threads <= usable:
        raise UsageError(f"threads: {threads} is not between 1 and the {usable} CPUs that this process may use")
    torch.set_num_threads(before if threads is None else threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _load_average() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _rates(call: Callable[[], object], amount: float, at_least_s: float = 0.0) -> tuple[float, ...]:
    """``amount`` per second in each repeat; a repeat is as many calls as take ``at_least_s``."""
    call()  # pages, caches, the library's own choice of a kernel
    start = time.perf_counter()
    call()
    once = max(time.perf_counter() - start, 1e-9)
    loops = max(1, round(at_least_s / once))
    rates: list[float] = []
    began = time.perf_counter()
    while len(rates) < _REPEATS:
        start = time.perf_counter()
        for _ in range(loops):
            call()
        rates.append(amount * loops / (time.perf_counter() - start))
        if len(rates) >= _FEWEST_REPEATS and time.perf_counter() - began > _SECONDS_A_SIZE:
            break
    return tuple(rates)


# --- matrix products --------------------------------------------------------------------------------


def _matmul(dtype: str) -> Ceiling | str:
    """The best of several sizes, 2·n³ FLOPs each; or why there is none."""
    import torch

    found: list[Ceiling] = []
    for n in _SIZES:
        try:
            if dtype == "int8":
                a = torch.randint(-8, 8, (n, n), dtype=torch.int8)
                call = _int8_product(a)
            else:
                a = torch.rand(n, n).to(getattr(torch, dtype))
                call = _product(a)
            rates = _rates(call, 2 * n**3)
        except (RuntimeError, AttributeError) as error:  # how torch says that it has no such kernel
            return (str(error).splitlines() or ["not available"])[0]
        found.append(Ceiling("matmul", dtype, n, rates))
        next_call = 8 * 2 * n**3 / found[-1].best
        if next_call * (_FEWEST_REPEATS + 2) > _LONGEST_SIZE_S:
            break
    return max(found, key=lambda roof: roof.best)


def _product(a: Any) -> Callable[[], object]:
    import torch

    out = torch.empty_like(a)
    return lambda: torch.mm(a, a, out=out)


def _convolution(dtype: str) -> Ceiling | None:
    """The best of several convolutions; None for what torch has none of.

    Matrix products are another library's (MKL's) than convolutions (oneDNN's) in float32, and each is slow on some
    processors: on an AMD one convolutions reach more than twice the rate of ``torch.mm``.
    """
    import torch

    if dtype == "int8":
        return None
    found: list[Ceiling] = []
    for batch, channels, side, kernel in _CONVOLUTIONS:
        x = torch.rand(batch, channels, side, side).to(getattr(torch, dtype), memory_format=torch.channels_last)
        weight = torch.rand(channels, channels, kernel, kernel).to(x.dtype)
        flops = 2 * batch * (channels * side * kernel) ** 2
        try:
            rates = _rates(_convolved(x, weight), flops)
        except RuntimeError:  # how torch says that it has no such kernel
            return None
        found.append(Ceiling("convolution", dtype, channels, rates))
        if flops / found[-1].best * (_FEWEST_REPEATS + 2) > _LONGEST_SIZE_S:
            break
    return max(found, key=lambda roof: roof.best)


def _convolved(x: Any, weight: Any) -> Callable[[], object]:
    import torch

    def call() -> object:
        with torch.no_grad():
            return torch.nn.functional.conv2d(x, weight, padding="same")

    return call


def _int8_product(a: Any) -> Callable[[], object]:
    """8-bit integers into 32-bit sums."""
    import torch

    return lambda: torch._int_mm(a, a)


def _emulated(roofs: list[Ceiling]) -> list[str]:
    best: dict[str, float] = {}
    for roof in roofs:
        best[roof.name] = max(roof.best, best.get(roof.name, 0.0))
    full = best.get("float32")
    return [
        f"{name}: {rate / full:.2f} of float32's rate, so this CPU or library computes it by conversion"
        for name, rate in best.items()
        if full is not None and rate < EMULATED * full
    ]


# --- bandwidth --------------------------------------------------------------------------------------


def _bandwidth(kind: str, level: CacheLevel, levels: tuple[CacheLevel, ...], threads: int) -> Ceiling:
    """Copy or triad with arrays that together are half of the level, or four times the last cache for DRAM."""
    arrays = 2 if kind == "copy" else 3
    if level.bytes is None:
        last = max((lv.bytes for lv in levels if lv.bytes is not None), default=0)
        total = _fitting(max(_BEYOND_LAST_CACHE * last, 2**26) * arrays)
    else:
        total = level.bytes // 2
    length = total // (arrays * threads * 4)
    call, moved, size = _loop(kind, threads, length, level.bytes is not None)
    return Ceiling(kind, level.name, size, _rates(call, moved, _SECONDS_A_REPEAT))


def _fitting(size: int) -> int:
    import psutil

    return min(size, int(psutil.virtual_memory().available) // 4)


def _loop(kind: str, threads: int, length: int, repeat: bool) -> tuple[Callable[[], object], int, int]:
    """A call of the loop, the bytes it moves, and the bytes of its arrays; each thread has ``length`` floats of each.

    In a cache one pass takes less than starting the threads.  So each thread passes over many windows of its part of
    the array, shifted by a cache line each, within one call: to torch they are more dimensions of a tensor whose
    elements happen to overlap.
    """
    import torch

    arrays = 2 if kind == "copy" else 3
    shifts: list[int] = []
    while repeat and len(shifts) < _MAX_FOLDS and length * 4 * arrays * _WINDOWS ** len(shifts) < _BYTES_A_CALL:
        # Each by another distance: of equal strides torch would mix the order, and threads share a window.
        wider = [_SHIFT * (len(shifts) + 1), *shifts]
        if _reach(wider) > length // 2:
            break
        shifts = wider
    window = length - _reach(shifts)
    # Threads must not write into each other's lines, nor into those that are fetched ahead.
    part = -(-length // _SHIFT) * _SHIFT + _APART
    shape = (threads, *([_WINDOWS] * len(shifts)), window)
    strides = (part, *shifts, 1)
    tensors = [torch.zeros(threads * part).as_strided(shape, strides) for _ in range(arrays)]
    moved = math.prod(shape) * 4 * arrays
    size = threads * length * 4 * arrays
    if kind == "copy":
        target, source = tensors
        return lambda: target.copy_(source), moved, size
    target, first, second = tensors
    return lambda: torch.add(first, second, alpha=0.5, out=target), moved, size


def _reach(shifts: list[int]) -> int:
    """How many floats the last window begins behind the first."""
    return sum(shift * (_WINDOWS - 1) for shift in shifts)


# --- an operator that does nothing ------------------------------------------------------------------


def _empty_operator_ns() -> tuple[float, ...]:
    """What the profiler shows for ``add_`` on one element: the median over the calls of a step, for each step.

    Raises:
        CaptureError: another torch profiler is active.
    """
    import torch

    one, other = torch.zeros(1), torch.zeros(1)

    def call() -> None:
        for _ in range(_CALLS):
            one.add_(other)

    _, steps = split_steps(record_steps(Step(call), _REPEATS, shapes=False).events)
    return tuple(float(median([e.end_ns - e.start_ns for e in step if e.name == _EMPTY])) for step in steps)
