"""What a machine can do at most, as frozen records: the roofs of a roofline.

Rates are in units per second (FLOP/s, bytes/s).  Bytes are counted as STREAM counts them: each array once for each
time the loop reads or writes it; the line that a write fetches first is not counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfsuite.codec import to_json
from perfsuite.records import Environment
from perfsuite.stats import median, median_interval

#: Version of a file of ceilings.  Raised whenever a key is added, removed or changes its meaning.
FORMAT = 1
#: What is measured to find the peak of a data type; libraries differ in which of them they are fastest in.
PRODUCTS = ("matmul", "convolution")
#: From it on, the best repeat and the median of the repeats are too far apart to be called one number.
NOISY_SPREAD = 0.1
#: More running processes than this before a measurement, besides our own, took part of what was measured.
CONTENDED_LOAD = 0.5
#: A data type with less than this share of float32's peak is computed by conversion.
EMULATED = 0.5
#: An operator whose call takes less than so many empty operators is mostly the framework's own cost.
OVERHEAD_CALLS = 2.0


@dataclass(frozen=True)
class Ceiling:
    """One measured roof, with every repeat of the size that was best.

    ``name`` is a data type (``float32``) for a product, a level (``L1``, ``DRAM``) for a bandwidth.
    """

    #: One of :data:`PRODUCTS`, or ``copy`` or ``triad``.
    kind: str
    name: str
    #: Of a matrix product the number of rows, of a convolution its channels, of a bandwidth the bytes of all arrays of
    #: all threads.
    size: int
    rates: tuple[float, ...]

    @property
    def best(self) -> float:
        """The roof: the fastest repeat, since whatever disturbs a repeat only makes it slower."""
        return max(self.rates)

    @property
    def median(self) -> float:
        return median(self.rates)

    @property
    def interval(self) -> tuple[float, float] | None:
        """For the median, at 95 %; None of fewer than six repeats."""
        return median_interval(self.rates)

    @property
    def spread(self) -> float:
        """How far the median lies below the best, as a share of the best."""
        return 1 - self.median / self.best

    @property
    def noisy(self) -> bool:
        return self.spread > NOISY_SPREAD


@dataclass(frozen=True)
class CacheLevel:
    """A level of the memory hierarchy.  ``bytes`` is what all threads together have of it; None for DRAM."""

    name: str
    bytes: int | None


@dataclass(frozen=True)
class Ceilings:
    """All roofs of one machine at one number of threads."""

    created: str
    environment: Environment
    threads: int
    #: Running processes over the last minute, as the kernel counted before the measurement; None where it does not say.
    load_average: float | None
    #: Nearest first, DRAM last.
    levels: tuple[CacheLevel, ...]
    roofs: tuple[Ceiling, ...]
    #: What the profiler shows for an operator on one element, a repeat each.
    empty_operator_ns: tuple[float, ...]
    #: What could not be measured, and what the reader must know of the rest, a sentence each.
    notes: tuple[str, ...] = ()

    @property
    def contended(self) -> bool:
        return self.load_average is not None and self.load_average > CONTENDED_LOAD

    def peak(self, dtype: str) -> Ceiling | None:
        """The faster of matrix product and convolution in this data type."""
        return self._fastest(PRODUCTS, dtype)

    def bandwidth(self, level: str) -> Ceiling | None:
        """The faster of copy and triad in this level."""
        return self._fastest(("copy", "triad"), level)

    def emulated(self, dtype: str) -> bool:
        """Whether the processor or the library has nothing fast for this data type and converts: no hardware limit."""
        full, peak = self.peak("float32"), self.peak(dtype)
        return full is not None and peak is not None and peak.best < EMULATED * full.best

    def level_of(self, working_set: float) -> str:
        """The nearest level that holds so many bytes."""
        return next((lv.name for lv in self.levels if lv.bytes is not None and working_set <= lv.bytes), "DRAM")

    @property
    def empty_operator_median_ns(self) -> float:
        return median(self.empty_operator_ns)

    @property
    def overhead_ns(self) -> float:
        """A call that takes less than this spends it on being called."""
        return OVERHEAD_CALLS * self.empty_operator_median_ns

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the numbers may be too low, a sentence each; empty if nothing was seen."""
        found = []
        if self.contended:
            found.append(
                f"contended: {self.load_average} processes were running before the measurement; measure again on an "
                "idle machine with: perfsuite machine --remeasure"
            )
        noisy = [f"{roof.name} {roof.kind} {roof.spread:.0%}" for roof in self.roofs if roof.noisy]
        if noisy:
            found.append(f"noisy: the median lies below the best by {', '.join(noisy)}")
        return tuple(found)

    def _fastest(self, kinds: tuple[str, ...], name: str) -> Ceiling | None:
        found = [roof for roof in self.roofs if roof.kind in kinds and roof.name == name]
        return max(found, key=lambda roof: roof.best, default=None)


def fingerprint_facts(environment: Environment, threads: int | None) -> dict[str, Any]:
    """What ceilings depend on; runs and ceilings that agree in it belong together.

    Not in it: what changes from process to process without changing what the machine can do (git, allocator, variables
    such as ONEDNN_VERBOSE), and limits that a user set on purpose, whose cost is what a roofline should show.
    """
    ours = [copy for copy in environment.onednn if copy.get("built_into", "torch") == "torch"]
    return {
        "cpu model": environment.cpu_model,
        "isa": list(environment.isa),
        "logical cpus": environment.logical_cpus,
        "usable cpus": environment.usable_cpus,
        "numa nodes": environment.numa_nodes,
        "governor": environment.governor,
        "torch": environment.torch,
        "torch commit": environment.torch_commit,
        "oneDNN": [f"{copy.get('version')} {copy.get('commit')}" for copy in ours],
        "threads": threads,
    }


def fingerprint(facts: Mapping[str, Any]) -> str:
    """A short name for the facts; equal facts have equal names."""
    return hashlib.sha256(json.dumps(to_json(facts), sort_keys=True).encode()).hexdigest()[:16]
