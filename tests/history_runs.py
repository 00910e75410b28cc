"""Series and runs of made-up histories, for the tests of what is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from perfsuite.history.model import Benchmark, Commit, Point, Series
from perfsuite.history.recorded import Recorded, recorded
from perfsuite.records import Environment, Operator, Phase, Profile, Run, Samples
from tests.samples import an_environment

STEP = Benchmark("steps.Steps.track_step", {"workload": "resnet18"}, "ms")
OTHER_STEP = Benchmark("steps.Steps.track_step", {"workload": "lstm"}, "ms")
REORDERS = Benchmark("steps.Steps.track_reorders", {"workload": "resnet18"}, "calls")
BACKWARD = Benchmark("steps.Steps.track_phase", {"workload": "resnet18", "phase": "backward"}, "ms")
FORWARD = Benchmark("steps.Steps.track_phase", {"workload": "resnet18", "phase": "forward"}, "ms")
CONVOLUTION = Benchmark(
    "steps.Steps.track_operator", {"workload": "resnet18", "operator": "convolution_backward"}, "ms"
)
NIGHT = datetime(2026, 1, 10, 22, tzinfo=timezone.utc)


def commit(position: int) -> Commit:
    """One commit in ten of the branch is measured."""
    return Commit(
        f"{position:040x}", 10 * position, f"2026-01-{position % 28 + 1:02}T00:00:00+00:00", (f"v{position}",)
    )


def line(benchmark: Benchmark, values: Sequence[float], machines: Sequence[str] | None = None) -> Series:
    """A point a commit."""
    named = machines or ["mill"] * len(values)
    points = (Point(commit(at), machine, value) for at, (value, machine) in enumerate(zip(values, named, strict=True)))
    return Series(benchmark, tuple(points))


def a_process(
    step_ms: float | Sequence[float], *, backward_ms: float = 0.0, convolution_ms: float = 0.0, name: str = "resnet18"
) -> Profile:
    """What one process recorded of a workload; what takes no time was not recorded."""
    steps = step_ms if isinstance(step_ms, Sequence) else [step_ms]
    operators = ()
    if convolution_ms:
        operators = (
            Operator(
                "aten::convolution_backward",
                "backward",
                None,
                (),
                1,
                1.0,
                (round(convolution_ms * 1e6),),
                0.0,
                counts=(1,),
            ),
        )
    phases = (Phase("backward", (round(backward_ms * 1e6),)),) if backward_ms else ()
    return Profile(name, samples=Samples(tuple(one * 1e6 for one in steps)), phases=phases, operators=operators)


@dataclass
class FakeShelf:
    """Runs in the order in which they were recorded, ten minutes apart unless said otherwise."""

    by_commit: dict[str, list[Run]] = field(default_factory=dict)
    now: datetime = NIGHT

    def record(self, at: int, profile: Profile, **environment: object) -> None:
        self.now += timedelta(minutes=10)
        runs = self.by_commit.setdefault(commit(at).hash, [])
        made = an_environment(**{"git_commit": commit(at).hash, **environment})
        runs.insert(0, Run(f"run-{len(runs)}", self.now.isoformat(), "complete", made, (profile,)))

    def sleep(self, hours: float) -> None:
        self.now += timedelta(hours=hours)

    def environment(self, of: Commit) -> Environment | None:
        runs = self.runs(of)
        return runs[0].environment if runs else None

    def recorded(self, of: Commit) -> Sequence[Recorded]:
        return [recorded(run) for run in self.runs(of)]

    def runs(self, of: Commit) -> Sequence[Run]:
        return self.by_commit.get(of.hash, [])


def in_turns(levels: Mapping[int, float], rounds: int = 3, noise: Sequence[float] = (0.0, 0.004, -0.004)) -> FakeShelf:
    """Commits that took turns in one night; ``noise`` is added to the logarithm, process by process."""
    shelf = FakeShelf()
    for number in range(rounds):
        for at, level in levels.items():
            shelf.record(at, a_process(level * math.exp(noise[number % len(noise)])))
    return shelf


def renamed(profile: Profile, name: str) -> Profile:
    return replace(profile, name=name)
