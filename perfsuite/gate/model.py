"""What a gate decides by and what it says, as frozen records.

Base comes before head everywhere, a ratio is head ÷ base, and a share is a fraction: a threshold of 3 % is 0.03.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfsuite.analyse.diff import Delta, Entry, WorkloadDiff
from perfsuite.errors import INTERRUPTED
from perfsuite.gate.estimate import paired_log_ratio
from perfsuite.records import Environment, Profile
from perfsuite.stats import median

#: Every verdict on a benchmark, the worst first.
VERDICTS = ("regressed", "incomparable", "missing", "inconclusive", "improved", "unchanged")
#: Both sides of every comparison, in the order in which they are told.
SIDES = ("base", "head")


@dataclass(frozen=True)
class Policy:
    """How one benchmark is judged."""

    #: What a change must surely exceed to be one.
    threshold: float = 0.03
    #: That all intervals of a gate, at every look, hold what they are for.
    confidence: float = 0.95
    min_pairs: int = 4
    max_pairs: int = 20
    #: What a benchmark may take: no pair begins that would not end within it, as long as pairs took so far.
    seconds: float = 90.0
    #: So many pairs are taken all the same: a long step would have no verdict else.
    least_pairs: int = 8


@dataclass(frozen=True)
class PairTrace:
    """One benchmark in one pair of processes: every step that counts, by turns.

    The first sixth of each turn, at least one step, wakes threads and fills caches; where steps are short it is not
    among them (:func:`perfsuite.gate.turns.plan_turns`).
    """

    base_ns: tuple[tuple[float, ...], ...]
    head_ns: tuple[tuple[float, ...], ...]
    #: Whose turn it was, in the order of time: ``bhhbbh`` (``b`` base, ``h`` head).
    order: str
    #: Which side's worker was started first, ``base`` or ``head``: it makes a difference of its own, so it alternates.
    first: str
    #: What the benchmark took in this pair, its part of the start-up among it.
    seconds: float

    @property
    def base_median_ns(self) -> float:
        """The median of base's timed steps."""
        return median([ns for turn in self.base_ns for ns in turn])

    @property
    def head_median_ns(self) -> float:
        """The median of head's timed steps."""
        return median([ns for turn in self.head_ns for ns in turn])

    @property
    def log_ratio(self) -> float:
        """log(head ÷ base), see :func:`perfsuite.gate.estimate.paired_log_ratio`: all that a pair has to say."""
        return paired_log_ratio(self.base_ns, self.head_ns)

    @property
    def steps(self) -> int:
        """How many steps of each side were timed (of the side with fewer)."""
        return min(sum(map(len, self.base_ns)), sum(map(len, self.head_ns)))


@dataclass(frozen=True)
class Judgement:
    """What the times of one benchmark say so far."""

    #: ``regressed``, ``improved``, ``unchanged`` or ``inconclusive``.
    verdict: str
    #: The estimate and its interval, of head ÷ base; None before two pairs.
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    process_pairs: int = 0
    #: The smallest slowdown that this many pairs, as noisy as these, would call regressed in 80 % of cases.
    minimal_detectable: float | None = None
    #: How many more pairs would decide if estimate and noise stay the same; None where no number would.
    further_pairs: int | None = None
    #: Standard deviation of the log-ratio between pairs that were started in the same order.
    spread: float | None = None
    #: Which pairs, counted from 0, were too far from all others to count.
    strays: tuple[int, ...] = ()

    @property
    def decided(self) -> bool:
        """Whether no further pair is needed."""
        return self.verdict != "inconclusive"


@dataclass(frozen=True)
class Failure:
    """A rule of the census that head breaks."""

    #: ``implementation``, ``isa``, ``dtype``, ``layout``, ``reorders``, ``operators``, ``flops``, ``bytes``,
    #: ``allocations`` or ``peak``.
    rule: str
    #: One sentence: what, where, from what to what.
    text: str
    #: The line of the census it is about; None where it is about a total.
    entry: Entry | None = None
    #: Command lines of benchdnn that reproduce the primitive on base's and on head's side, where it is about one.
    benchdnn: tuple[str, ...] = ()


@dataclass(frozen=True)
class CensusVerdict:
    """What the rules say of the census of :attr:`BenchmarkResult.diff`."""

    failures: tuple[Failure, ...] = ()
    #: Changes that no rule forbids are in the diff; these were not judged because a side itself is not steady.
    unsteady: int = 0
    #: How many profiled processes a side it is from.
    captures: int = 0

    @property
    def passed(self) -> bool:
        """Whether no rule is broken."""
        return not self.failures


@dataclass(frozen=True)
class Attribution:
    """The operators that explain a change of the step, the likeliest first."""

    rows: tuple[Delta, ...]
    #: How many rows, at the head of them, surely changed the way the step did.
    sure: int
    #: Command lines of benchdnn for the first row's primitives on head's side.
    benchdnn: tuple[str, ...] = ()


@dataclass(frozen=True)
class BenchmarkResult:
    """One benchmark, judged."""

    name: str
    #: One of :data:`VERDICTS`, by time; None where the gate did not time (``--census-only``).
    verdict: str | None
    policy: Policy
    judgement: Judgement | None = None
    pairs: tuple[PairTrace, ...] = ()
    #: All that the benchmark took, census included.
    seconds: float = 0.0
    #: Why it is missing or incomparable, and what became of pairs that are not among ``pairs``.
    reasons: tuple[str, ...] = ()
    #: What the reader must know to trust the figures.
    notes: tuple[str, ...] = ()
    #: Both sides' profiles merged over processes, and compared; None where none could be taken.
    base: Profile | None = None
    head: Profile | None = None
    diff: WorkloadDiff | None = None
    census: CensusVerdict | None = None
    attribution: Attribution | None = None

    @property
    def failed_census(self) -> bool:
        """Whether the census breaks a rule, whatever the clock says."""
        return self.census is not None and not self.census.passed

    @property
    def process_pairs(self) -> int:
        """How many pairs of processes its times are from."""
        return self.judgement.process_pairs if self.judgement is not None else len(self.pairs)

    @property
    def strays(self) -> tuple[tuple[int, float], ...]:
        """The pairs that are set aside, counted from 1, and by which share head took longer in each."""
        found = self.judgement.strays if self.judgement is not None else ()
        return tuple((place + 1, math.expm1(self.pairs[place].log_ratio)) for place in found)

    @property
    def step_pairs(self) -> int:
        """How many pairs of timed steps, over all pairs of processes."""
        return sum(trace.steps for trace in self.pairs)


@dataclass(frozen=True)
class Side:
    """Which code ran on a side, with which interpreter."""

    #: As it was asked for: ``git:main,env:X=1``.
    spec: str
    #: The commit of its tree, None outside of git; and whether files differ from it.
    commit: str | None = None
    dirty: bool | None = None
    python: str = ""
    #: The interpreter's version, and the version of each distribution installed for it.
    python_version: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    #: What ``env:`` sets.
    variables: Mapping[str, str] = field(default_factory=dict)
    #: What was recorded in a worker; None where none came so far.
    environment: Environment | None = None
    #: Modules and compiled extensions of the repository that its workers loaded: path within the tree → SHA-256.
    modules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GateResult:
    """A gate that ran."""

    base: Side
    head: Side
    #: The threshold where nothing else is said.
    threshold: float
    benchmarks: tuple[BenchmarkResult, ...] = ()
    #: Nothing that could change a time differs, so nothing was run.
    identical: bool = False
    #: Benchmarks without a verdict because the gate was stopped.
    unfinished: tuple[str, ...] = ()
    #: Ctrl-C, or the end of a CI job.
    interrupted: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    #: What the workers were started with, a ``NAME=value`` each, and the CPUs they ran on.
    settings: tuple[str, ...] = ()
    #: The pyproject.toml whose ``[tool.perfsuite.gate]`` counted, relative to the root of the tree; None for none.
    settings_file: str | None = None

    @property
    def verdict(self) -> str | None:
        """The worst of all benchmarks; a census that fails counts as ``regressed``.  None where nothing was timed."""
        found = {one.verdict for one in self.benchmarks} | {"regressed" for one in self.benchmarks if one.failed_census}
        nothing = None if self.benchmarks else "unchanged"
        return next((verdict for verdict in VERDICTS if verdict in found), nothing)

    @property
    def stopped(self) -> bool:
        """Whether the gate could not finish."""
        return self.interrupted or bool(self.unfinished)

    def exit_code(self, inconclusive: int = 3) -> int:
        """130 stopped; else 1 regressed, 4 missing or incomparable, ``inconclusive`` (3), or 0, in this order."""
        if self.stopped:
            return INTERRUPTED
        codes = {"regressed": 1, "incomparable": 4, "missing": 4, "inconclusive": inconclusive}
        return codes.get(self.verdict or "", 0)
