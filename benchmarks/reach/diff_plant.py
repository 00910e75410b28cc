"""A plant that costs 5–10 % of a step is the top row of `perfsuite diff` in at least 19 of 20 trials.

Each trial records base and head in a process of its own under the quiet settings, as users do, with
``pytest --profile-dnn``.  At a random module of ResNet18 head runs something that base does not:

- ``new``: an operator that the model has nowhere (``aten::erf``);
- ``count``: the module's own operator, more often;
- ``shape``: an operator as often, on a larger tensor.

What a plant costs is calibrated on a recorded run, and printed as it was measured.

``python -m benchmarks.reach.diff_plant [--kinds K…] [--trials N] [--json]``
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.reach.common import MISSED, QUIET, REACHED, run_python
from perfsuite.analyse.diff import diff_runs
from perfsuite.records import Operator, Profile, Run
from perfsuite.store import load_run, resolve_run

if TYPE_CHECKING:
    import torch

KINDS = ("new", "count", "shape")
#: Of a step; the plants are drawn from within it, the middle, so that what they really cost lies between 5 and 10 %.
COST = (0.06, 0.09)
TARGET = 0.95
_STEPS = 9
_MOST_CALLS = 60
_CALIBRATION = 10
#: Elements of the planted tensor: it stays in the cache, so that every call costs the same.
_ELEMENTS = 1 << 20
#: Elements of the one that base works on where head works on a larger one.
_SMALL = 1 << 10
#: Operators of modules that may run any number of times.
_REPEATED = ("aten::mkldnn_convolution", "aten::native_batch_norm")
_TEST = """
from benchmarks.reach.diff_plant import planted_workload

def test_step(profiled):
    built = planted_workload()
    profiled.step(built.model, built.optimizer, built.loss, built.batch)
"""


@dataclass(frozen=True)
class Plant:
    """What a module runs besides: ``aten::erf`` on ``elements``, ``erfs`` times, and ``forwards`` more of its own.

    With ``channels_last`` it works in that layout, between conversions from and to the plain one.
    """

    module: str
    erfs: int = 0
    elements: int = _ELEMENTS
    forwards: int = 0
    channels_last: bool = False


@dataclass(frozen=True)
class Trial:
    """A base, a head, and the row that should be on top."""

    kind: str
    base: Plant | None
    head: Plant
    operator: str

    @property
    def module(self) -> str:
        """The module's path in a profile."""
        return f"ResNet.{self.head.module}"


@dataclass(frozen=True)
class Outcome:
    """What `diff` put on top, and what the plant was measured to cost."""

    trial: Trial
    name: str
    module: str | None
    cause: str
    #: Of base's profiled step, both by their fastest steps.
    cost: float
    named: bool


# --- in the process that is recorded ----------------------------------------------------------------


def planted_workload() -> Any:
    """ResNet18 with the plant that the environment variable ``PLANT`` spells as JSON, if any."""
    from benchmarks.workloads import workload

    built = workload("resnet18").build()
    spelt = json.loads(os.environ.get("PLANT", "null"))
    if spelt is not None:
        _plant(built.model, Plant(**spelt))
    return built


def _plant(model: torch.nn.Module, plant: Plant) -> None:
    import torch

    module = model.get_submodule(plant.module)
    forward = module.forward
    tensor = torch.linspace(-2, 2, plant.elements)

    # Not a hook: those run when the module has ended.
    def planted(x: torch.Tensor) -> Any:
        with torch.no_grad():
            for _ in range(plant.erfs):
                torch.erf(tensor)
            for _ in range(plant.forwards):
                forward(x)
        if plant.channels_last:
            return forward(x.contiguous(memory_format=torch.channels_last)).contiguous()
        return forward(x)

    module.forward = planted


# --- recording --------------------------------------------------------------------------------------


def record(
    folder: Path,
    plant: Plant | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    steps: int = _STEPS,
    passes: str = "operators,primitives",
) -> Run:
    """The run of a pytest process under the quiet settings, with the plant."""
    folder.mkdir(parents=True)
    (folder / "test_planted.py").write_text(_TEST)
    run_python(
        "pytest", "test_planted.py", "-q", "-p", "no:cacheprovider", f"--rootdir={folder}", "--profile-dnn",
        f"--profile-dnn-dir={folder / 'runs'}", f"--profile-dnn-steps={steps}",
        f"--profile-dnn-passes={passes}", "--benchmark-max-time=0.3", "--benchmark-min-rounds=5",
        cwd=folder,
        environment={**QUIET, "PLANT": json.dumps(plant and asdict(plant)), **(environment or {})},
    )  # fmt: skip
    return load_run(resolve_run("latest", folder / "runs"))


class Calibration:
    """What things cost in a step, from a recorded run that has a plant in it.

    The fastest of its steps counts: what else runs on the machine slows steps and plants by unlike amounts.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        erf = sum(min(row.self_ns_samples) for row in self.profile.operators if row.name == "aten::erf")
        self.wall_ns = min(self.profile.walls_ns["operators"]) - erf
        self.erf_ns = erf / _CALIBRATION
        inside = {row.module for row in _forward(self.profile) if row.module and row.module.startswith("ResNet.")}
        self.modules = sorted(name.removeprefix("ResNet.") for name in inside)

    @classmethod
    def recorded(cls, folder: Path) -> Calibration:
        """From a run that is recorded for it."""
        (profile,) = record(folder, Plant("layer2.0.conv1", erfs=_CALIBRATION)).workloads
        return cls(profile)

    def draw(self, kind: str, rng: random.Random) -> Trial:
        """A trial of the kind at a random module, of a random cost within :data:`COST`."""
        cost_ns = rng.uniform(*COST) * self.wall_ns
        if kind == "count":
            row, forwards = rng.choice(self._repeatable(cost_ns))
            assert row.module is not None
            return Trial(kind, None, Plant(row.module.removeprefix("ResNet."), forwards=forwards), row.name)
        head = Plant(rng.choice(self.modules), erfs=round(cost_ns / self.erf_ns))
        base = replace(head, elements=_SMALL) if kind == "shape" else None
        return Trial(kind, base, head, "aten::erf")

    def _repeatable(self, cost_ns: float) -> list[tuple[Operator, int]]:
        """Operators of which a whole number of further calls costs about that much, with the number."""
        rows = [row for row in _forward(self.profile) if row.name in _REPEATED]
        found = [(row, round(cost_ns / min(row.self_ns_samples))) for row in rows]
        low, high = (share * self.wall_ns for share in COST)
        return [
            (row, calls)
            for row, calls in found
            if calls <= _MOST_CALLS and low <= calls * min(row.self_ns_samples) <= high
        ]


def _forward(profile: Profile) -> list[Operator]:
    return [row for row in profile.operators if row.phase == "forward"]


# --- judging ----------------------------------------------------------------------------------------


def judge(trial: Trial, base: Run, head: Run) -> Outcome:
    """Whether the first row names the plant's operator and module."""
    (workload,) = diff_runs(base, head).workloads
    top = workload.operators[0]
    cost = (_planted_ns(trial, head) - _planted_ns(trial, base)) / min(base.workloads[0].walls_ns["operators"])
    named = (top.name, top.module) == (trial.operator, trial.module)
    return Outcome(trial, top.name, top.module, top.cause.kind, cost, named)


def _planted_ns(trial: Trial, run: Run) -> int:
    rows = (row for row in _forward(run.workloads[0]) if (row.name, row.module) == (trial.operator, trial.module))
    return sum(min(row.self_ns_samples) for row in rows)


def run_trial(trial: Trial, folder: Path) -> Outcome:
    """Record both sides and compare them."""
    return judge(trial, record(folder / "base", trial.base), record(folder / "head", trial.head))


def main() -> int:
    options = _parse()
    rng = random.Random(options.seed)
    scores: dict[str, list[Outcome]] = {kind: [] for kind in options.kinds}
    with tempfile.TemporaryDirectory() as scratch:
        calibration = Calibration.recorded(Path(scratch) / "calibration")
        for number in range(options.trials):
            for kind, outcomes in scores.items():
                outcome = run_trial(calibration.draw(kind, rng), Path(scratch) / f"{kind}{number}")
                outcomes.append(outcome)
                if not options.json:
                    print(_line(outcome), flush=True)
    if options.json:
        print(json.dumps({kind: [asdict(outcome) for outcome in outcomes] for kind, outcomes in scores.items()}))
    else:
        for kind, outcomes in scores.items():
            print(f"{kind}: {sum(outcome.named for outcome in outcomes)} of {len(outcomes)} named by the top row")
    reached = all(sum(one.named for one in outcomes) >= TARGET * len(outcomes) for outcomes in scores.values())
    return REACHED if reached else MISSED


def _line(outcome: Outcome) -> str:
    trial = outcome.trial
    verdict = "named" if outcome.named else f"NOT named, but {outcome.name} {outcome.module}"
    cost = f"{outcome.cost * 100:+.1f} % of base"
    return f"{trial.kind}: {trial.operator} at {trial.module}, {cost}: {verdict} ({outcome.cause})"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--trials", type=int, default=20, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
