"""What perfsuite knows, as frozen records; :mod:`perfsuite.codec` writes and reads them.

Times are integer nanoseconds where a clock was read and floats where they are a mean over steps; the
unit is in the name.  A value that is not known is ``None``, never 0.  All counts and times of an
:class:`Operator` or a :class:`Primitive` are *per step*: the mean over the profiled steps, because means
add up (the rows of a ledger sum to its total) and medians do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Version of the files in a run folder.  Raised whenever a key is added, removed or changes its meaning.
FORMAT = 3
#: What this version reads.  Keys that formats 1 and 2 lack have defaults that say "not known".
READABLE_FORMATS = (1, 2, 3)

#: One operator input: its sizes, or a list of sizes for a list of tensors, or ``()`` for a scalar.
Shape = tuple[Any, ...]


@dataclass(frozen=True)
class Samples:
    """Raw timings, none thrown away.

    ``rounds_ns`` is the time of each round, of ``iterations`` calls each (pytest-benchmark loops over
    functions that are too short for the clock).
    """

    rounds_ns: tuple[float, ...]
    iterations: int = 1

    @property
    def per_step_ns(self) -> tuple[float, ...]:
        """Time of one call in each round."""
        return tuple(ns / self.iterations for ns in self.rounds_ns)


@dataclass(frozen=True)
class Phase:
    """A named part of the step, timed without the profiler; one sample a step."""

    name: str
    samples_ns: tuple[int, ...]


@dataclass(frozen=True)
class Operator:
    """A framework operator as the dispatcher sees it; one row per (name, phase, module, shapes, dtypes)."""

    name: str
    phase: str | None
    module: str | None
    shapes: Shape
    count: float
    self_ns: float
    self_ns_samples: tuple[int, ...]
    total_ns: float
    #: FLOPs of all calls in a step; None where no formula is known or a nested row already carries them.
    flops: float | None = None
    #: Bytes the operator itself asked PyTorch's CPU allocator for, in a step; None if the pass did not run.
    allocated_bytes: float | None = None
    #: Indices into :attr:`Profile.primitives`.
    primitives: tuple[int, ...] = ()
    #: Data type of each input as torch names it (``float32``), None for what is no tensor; a list of tensors is None.
    dtypes: tuple[str | None, ...] = ()
    #: Calls in each profiled step.
    counts: tuple[int, ...] = ()
    #: Least bytes that all calls in a step must move between memory and core: each input read and each output
    #: written once.  None where no formula is known or a nested row already carries them.
    bytes_moved: float | None = None
    #: What was asked of PyTorch's CPU allocator, in each step of the memory pass.
    allocated_bytes_samples: tuple[int, ...] = ()
    allocations_samples: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[str, str | None, str | None, Shape, tuple[str | None, ...]]:
        """What makes the row unique within a profile."""
        return (self.name, self.phase, self.module, self.shapes, self.dtypes)


@dataclass(frozen=True)
class Primitive:
    """oneDNN executions that are alike, under one operator row.  ``direction`` is the log's own word."""

    kind: str
    implementation: str
    direction: str
    #: ``"src:f32 wei:f32 dst:f32"``: data type of each tensor that is there.
    dtypes: str
    #: ``"src:acdb wei:Acdb32a dst:acdb"``: memory format of each tensor that is there.
    layouts: str
    attributes: str
    algorithm: str
    problem: str
    count: float
    time_ns: float
    #: Index into :attr:`Profile.operators`; None if the execution could not be joined to one.
    operator: int | None = None
    #: Executions in each step of the primitive pass, and their time.
    counts: tuple[int, ...] = ()
    time_ns_samples: tuple[float, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes the row unique within a profile."""
        return (self.operator, self.kind, self.implementation, self.direction, self.dtypes, self.layouts,
                self.attributes, self.algorithm, self.problem)  # fmt: skip


@dataclass(frozen=True)
class PythonTime:
    """Measured self time of ranges that are not operators: what Python and the framework cost.

    ``kind`` is ``phase``, ``module``, ``autograd``, ``annotation``, or ``step`` for a step without phases.
    """

    kind: str
    phase: str | None
    module: str | None
    count: float
    self_ns: float
    self_ns_samples: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """One profiled step's wall time, split.  ``wall_ns`` is read from a clock outside the profiler."""

    wall_ns: float
    operators_ns: float
    python_ns: float
    unattributed_ns: float
    #: None where the primitive pass did not run.
    joined_primitives: float | None = None
    executed_primitives: float | None = None

    @property
    def joined_ratio(self) -> float | None:
        """Share of the executed primitives that are joined to an operator; None if none was executed, or unknown."""
        if self.joined_primitives is None or not self.executed_primitives:
            return None
        return self.joined_primitives / self.executed_primitives


@dataclass(frozen=True)
class Memory:
    """Resident memory around one step without instrumentation, and what that step cost the kernel."""

    start_rss_bytes: int
    #: High-water mark (VmHWM) after it was reset; None where the kernel does not let us reset it.
    peak_rss_bytes: int | None
    #: Of the same step: its wall time, the CPU time of all threads of the process in user and kernel mode, and the
    #: page faults that needed no disk (getrusage(2)).
    wall_ns: int | None = None
    user_ns: int | None = None
    system_ns: int | None = None
    page_faults: int | None = None


@dataclass(frozen=True)
class PhaseSpan:
    """When a phase ran within one step; a phase that was entered twice has two spans."""

    name: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class AllocationCurve:
    """Bytes that one step holds of PyTorch's CPU allocator, as a step function; 0 is what was held when it began.

    From ``times_ns[i]`` on, ``live_bytes[i]`` are held.  It falls below 0 where more is given back of what earlier
    steps allocated than the step has allocated itself.  Highest and lowest points are kept, others may be left out.
    """

    #: Of that step, by the profiler's clock, under the profiler.
    wall_ns: int
    #: Since the step began, from 0 to ``wall_ns``, ascending; of two equal ones the second comes after the first.
    times_ns: tuple[int, ...]
    live_bytes: tuple[int, ...]
    #: Of the same step, in order of start.
    phases: tuple[PhaseSpan, ...] = ()


@dataclass(frozen=True)
class Profile:
    """Everything recorded of one workload.  A pass that did not run leaves its part ``None`` or empty."""

    name: str
    scale: str | None = None
    dtype: str | None = None
    backend: str | None = None
    samples: Samples | None = None
    phases: tuple[Phase, ...] = ()
    operators: tuple[Operator, ...] = ()
    primitives: tuple[Primitive, ...] = ()
    python: tuple[PythonTime, ...] = ()
    ledger: Ledger | None = None
    memory: Memory | None = None
    #: None where the memory pass did not run, and in runs of formats 1 and 2.
    allocation_curve: AllocationCurve | None = None
    #: Pass → wall time of each of its steps by a clock outside the profiler.  A share of a step is taken of the
    #: pass it was measured in: steps of different passes are minutes apart, and machines drift.
    walls_ns: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    #: Pass → (its median step ÷ the timed median) − 1.
    overhead: Mapping[str, float] = field(default_factory=dict)
    passes: tuple[str, ...] = ()
    #: How many steps each profiled figure is the mean of.
    steps: int = 0
    #: How primitives were joined to operators: ``timestamps``, ``markers``, or None if that pass did not run.
    join: str | None = None
    #: Timed while other workers of the same session were running.
    contended: bool = False
    #: What the reader must know to trust the numbers, a sentence each.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Environment:
    """The machine and the software a run was recorded on."""

    cpu_model: str | None
    isa: tuple[str, ...]
    logical_cpus: int
    physical_cores: int | None
    usable_cpus: int
    numa_nodes: int | None
    governor: str | None
    ram_bytes: int
    kernel: str
    allocator: str
    python: str
    omp: Mapping[str, str]
    torch_threads: int | None = None
    torch_interop_threads: int | None = None
    torch: str | None = None
    torch_commit: str | None = None
    ipex: str | None = None
    ipex_commit: str | None = None
    #: Each copy of oneDNN in the process: version, commit, ISA as its own verbose header names them.
    onednn: tuple[Mapping[str, str], ...] = ()
    git_commit: str | None = None
    git_dirty: bool | None = None
    perfsuite: str | None = None
    #: What disturbs timings in this process, a line each (``perfsuite launch`` removes it); empty if it is quiet,
    #: None where that was not recorded.
    disturbances: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Run:
    """A saved pytest session."""

    id: str
    created: str
    status: str
    environment: Environment
    workloads: tuple[Profile, ...] = ()
    #: Files of the run that could not be read, with the reason; the rest is still here.
    problems: tuple[str, ...] = ()
