"""A history as long as one likes, made up by a seed: a repository, what asv would have measured, and recorded runs."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perfsuite.history.model import Commit
from perfsuite.history.names import series_of
from perfsuite.records import Environment, Ledger, Operator, Primitive, Profile, PythonTime, Samples
from perfsuite.stats import mean
from perfsuite.store import create_run

#: A commit in so many seconds.
_EVERY = 86_400
_FIRST = 1_750_000_000
_STEPS = 3
#: Operator, module, phase, milliseconds in a step.
Row = tuple[str, str, str, float]
CONVOLUTION, BACKWARD = "aten::mkldnn_convolution", "aten::convolution_backward"


@dataclass(frozen=True)
class Plant:
    """From commit ``at`` on an operator in a module takes ``factor`` times as long, by another implementation."""

    at: int
    workload: str = "resnet18"
    operator: str = BACKWARD
    module: str = "ResNet.layer3"
    factor: float = 1.5
    #: From which commit on it is as before; None for ever.
    until: int | None = None


@dataclass(frozen=True)
class MadeHistory:
    """Where it is, and what is in it."""

    folder: Path
    config: Path
    commits: tuple[Commit, ...]

    @property
    def runs_dir(self) -> Path:
        return self.folder / "runs"

    @property
    def html_dir(self) -> Path:
        return self.folder / "html"


def make_history(
    folder: Path,
    commits: int = 20,
    *,
    plants: Sequence[Plant] = (),
    workloads: Sequence[str] = ("resnet18", "lstm"),
    machines: Sequence[str] = ("runner",),
    noise: float = 0.005,
    rows: int = 40,
    recorded: Sequence[int] | None = None,
    kernel_at: int | None = None,
    release_every: int = 5,
    seed: int = 1,
) -> MadeHistory:
    """A history in ``folder``, that asv can publish.

    Args:
        folder: is made.
        commits: how many, all on one branch.
        plants: what became slower.
        workloads: which there are.
        machines: each measured every commit; every second one is 7 % slower.
        noise: standard deviation of a process, as a share.
        rows: operators of a step beside those that matter.
        recorded: commits with runs, of the first machine; all if None.
        kernel_at: the commit before which the kernel was upgraded.
        release_every: how many commits a release has.
        seed: of all that is drawn.
    """
    draw = random.Random(seed)
    made = _repository(folder / "repository", commits, release_every)
    config = folder / "asv.conf.json"
    folder.joinpath("results").mkdir(parents=True)
    config.write_text(json.dumps(_configuration(folder), indent=1))
    steps = {name: _rows(name, rows, draw) for name in workloads}
    table = dict(_benchmarks(workloads, steps))
    (folder / "results" / "benchmarks.json").write_text(json.dumps({**table, "version": 2}))
    wanted = range(commits) if recorded is None else recorded
    for number, machine in enumerate(machines):
        _machine(folder / "results" / machine, machine)
        for at, commit in enumerate(made):
            speed = 1.07 if number % 2 else 1.0
            sides = {name: _processes(name, steps[name], plants, at, speed, noise, draw) for name in workloads}
            _results(folder / "results" / machine, machine, commit, at, table, sides)
            if number == 0 and at in wanted:
                _record(folder / "runs" / commit.hash, sides, _environment(at, kernel_at))
    return MadeHistory(folder, config, made)


# --- the repository ---------------------------------------------------------------------------------


def _repository(path: Path, count: int, release_every: int) -> tuple[Commit, ...]:
    path.mkdir(parents=True)
    _git(path, "init", "-q", "-b", "main")
    lines = []
    for at in range(count):
        when, message = f"{_FIRST + at * _EVERY} +0000", f"Change {at}\n"
        lines += ["commit refs/heads/main", f"mark :{at + 1}", f"committer a <a@b> {when}"]
        lines += [f"data {len(message)}\n{message}", f"from :{at}"] if at else [f"data {len(message)}\n{message}"]
        lines += [f"M 100644 inline file\ndata {len(str(at))}\n{at}"]
        if at % release_every == 0:
            lines += [f"reset refs/tags/v2.{at // release_every}.0", f"from :{at + 1}"]
    _git(path, "fast-import", "--quiet", text="\n".join(lines) + "\n")
    hashes = _git(path, "rev-list", "--reverse", "--first-parent", "main").split()
    tags = {at: (f"v2.{at // release_every}.0",) for at in range(0, count, release_every)}
    return tuple(Commit(one, at, str(_FIRST + at * _EVERY), tags.get(at, ())) for at, one in enumerate(hashes))


def _git(path: Path, *arguments: str, text: str | None = None) -> str:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    variables |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-C", str(path), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, env=variables).stdout


# --- asv's files ------------------------------------------------------------------------------------


def _configuration(folder: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "project": "a-project",
        "repo": str(folder / "repository"),
        "branches": ["main"],
        "environment_type": "perfsuite",
        "plugins": [".perfsuite.asv_plugin"],
        "benchmark_dir": "benchmarks",
        "env_dir": "env",
        "results_dir": "results",
        "html_dir": "html",
        "show_commit_url": "https://example.invalid/commit/",
        "perfsuite": {"imports": ["a_module"], "runs_dir": "runs"},
    }


def _benchmarks(workloads: Sequence[str], steps: dict[str, list[Row]]) -> Iterator[tuple[str, dict[str, Any]]]:
    operators = sorted({series_of(row[0], name) for name in workloads for row in steps[name]})
    every: dict[str, tuple[str, dict[str, list[str]]]] = {
        "track_step": ("ms", {"workload": list(workloads)}),
        "track_phase": ("ms", {"workload": list(workloads), "phase": ["forward", "backward"]}),
        "track_operator": ("ms", {"workload": list(workloads), "operator": operators}),
        "track_reorders": ("calls", {"workload": list(workloads)}),
        "track_peak_rss": ("MiB", {"workload": list(workloads)}),
    }
    for name, (unit, parameters) in every.items():
        yield f"steps.Steps.{name}", {
            "code": "", "name": f"steps.Steps.{name}", "param_names": list(parameters),
            "params": [[repr(one) for one in values] for values in parameters.values()],
            "timeout": 60.0, "type": "track", "unit": unit, "version": "1",
        }  # fmt: skip


def _machine(folder: Path, name: str) -> None:
    folder.mkdir()
    facts = {"machine": name, "arch": "x86_64", "cpu": "", "kernel": "", "num_cpu": "2", "os": "", "ram": ""}
    (folder / "machine.json").write_text(json.dumps({**facts, "version": 1}))


def _results(
    folder: Path, machine: str, commit: Commit, at: int, table: dict[str, Any], sides: dict[str, list[Profile]]
) -> None:
    found = {}
    for name, described in table.items():
        values, samples = [], []
        for combination in itertools.product(*described["params"]):
            workload, *parts = (one.strip("'") for one in combination)
            taken = _samples(name.rpartition(".")[2], sides[workload], workload, parts)
            values.append(sorted(taken)[len(taken) // 2] if taken else None)
            samples.append(taken or None)
        found[name] = [values, described["params"], "1", 1000 * (_FIRST + at * _EVERY), 1.0, samples]
    document = {
        "commit_hash": commit.hash, "env_name": "perfsuite", "date": 1000 * (_FIRST + at * _EVERY),
        "params": {"machine": machine, "python": "3.11"}, "python": "3.11", "requirements": {}, "env_vars": {},
        "result_columns": ["result", "params", "version", "started_at", "duration", "samples"],
        "results": found, "durations": {}, "version": 2,
    }  # fmt: skip
    (folder / f"{commit.hash[:8]}-perfsuite.json").write_text(json.dumps(document))


def _samples(name: str, processes: list[Profile], workload: str, parts: list[str]) -> list[float]:
    """What the processes measured, in the benchmark's unit."""
    found: list[float] = []
    for one in processes:
        if name == "track_step" and one.samples is not None:
            found += [ns / 1e6 for ns in one.samples.rounds_ns]
        elif name == "track_phase":
            found.append(sum(row.self_ns for row in one.operators if row.phase == parts[0]) / 1e6)
        elif name == "track_operator":
            mine = [row.self_ns for row in one.operators if series_of(row.name, workload) == parts[0]]
            found += [sum(mine) / 1e6] if mine else []
        elif name == "track_reorders":
            found.append(float(sum(one.count for one in one.primitives if one.kind == "reorder")))
        elif name == "track_peak_rss":
            found.append(512.0)
    return found


# --- what was recorded ------------------------------------------------------------------------------


def _rows(workload: str, count: int, draw: random.Random) -> list[Row]:
    """Convolutions of four layers, products, and what is cheap."""
    name = {"resnet18": "ResNet", "retinanet": "RetinaNet"}.get(workload, "Net")
    found: list[Row] = []
    for layer, ms in enumerate((2.0, 2.5, 4.0, 3.0), 1):
        found += [(CONVOLUTION, f"{name}.layer{layer}.0.conv1", "forward", ms)]
        found += [(BACKWARD, f"{name}.layer{layer}.0.conv1", "backward", 1.6 * ms)]
    for number in range(count):
        kind = ("aten::add_", "aten::relu_", "aten::threshold_backward", "aten::addmm", "aten::mul")[number % 5]
        phase = ("forward", "backward")[number % 2]
        found.append((kind, f"{name}.block{number % 9}.part{number}", phase, draw.uniform(0.02, 0.2)))
    return found


def _processes(
    workload: str, rows: list[Row], plants: Sequence[Plant], at: int, speed: float, noise: float, draw: random.Random
) -> list[Profile]:
    planted = [one for one in plants if one.workload == workload and one.at <= at and (one.until or at + 1) > at]
    return [_process(workload, rows, planted, speed * draw.gauss(1, noise), noise, draw) for _ in range(3)]


def _process(
    workload: str, rows: list[Row], planted: Sequence[Plant], speed: float, noise: float, draw: random.Random
) -> Profile:
    operators, primitives = [], []
    for number, (name, module, phase, ms) in enumerate(rows):
        here = [one for one in planted if one.operator == name and module.startswith(one.module)]
        took = ms * speed * 1e6
        for one in here:
            took *= one.factor
        times = tuple(round(took * draw.gauss(1, noise)) for _ in range(_STEPS))
        executes = name in (CONVOLUTION, BACKWARD)
        implementation = "ref:any" if here else "jit:avx512_core"
        mine = (len(primitives),) if executes else ()
        if executes:
            primitives.append(_primitive(number, implementation, took * 0.9))
        operators.append(
            Operator(
                name, phase, module, ((8, 64 + number, 28, 28),), 1.0, mean(times), times, mean(times),
                primitives=mine, dtypes=("float32",), counts=(1,) * _STEPS, flops=ms * 2e7,
                bytes_moved=ms * 4e6,
            )
        )  # fmt: skip
    spent = [sum(row.self_ns_samples[step] for row in operators) for step in range(_STEPS)]
    python = PythonTime("module", "forward", None, 1.0, 4e5, (400_000,) * _STEPS)
    walls = tuple(one + 400_000 + 50_000 for one in spent)
    return Profile(
        workload, scale="smoke", dtype="float32", backend="eager",
        samples=Samples(tuple(mean(walls) * 0.97 * draw.gauss(1, noise) for _ in range(10))),
        operators=tuple(operators), primitives=tuple(primitives), python=(python,),
        ledger=Ledger(mean(walls), mean(spent), 4e5, 5e4, len(primitives), len(primitives)),
        walls_ns={"operators": walls, "primitives": walls}, passes=("timing", "operators", "primitives"),
        steps=_STEPS, join="timestamps",
    )  # fmt: skip


def _primitive(operator: int, implementation: str, time_ns: float) -> Primitive:
    return Primitive(
        "convolution", implementation, "forward_training", "src:f32 wei:f32 dst:f32", "src:acdb wei:any dst:acdb", "",
        "alg:convolution_direct", f"mb8_ic{64 + operator}oc64_ih28", 1.0, time_ns, operator, (1,) * _STEPS,
        (time_ns,) * _STEPS,
    )  # fmt: skip


def _environment(at: int, kernel_at: int | None) -> Environment:
    kernel = "Linux 6.8" if kernel_at is not None and at >= kernel_at else "Linux 6.1"
    return Environment(
        "A CPU", ("avx2", "avx512f", "fma"), 2, 2, 2, 1, None, 2**33, kernel, "glibc 2.36", "CPython 3.11.7",
        {"OMP_NUM_THREADS": "2"}, torch_threads=2, torch="2.8.0" if at % 2 == 0 else "2.8.1", disturbances=(),
    )  # fmt: skip


def _record(folder: Path, sides: dict[str, list[Profile]], environment: Environment) -> None:
    """A run for each process, with all workloads in it."""
    for process in range(3):
        with create_run(folder, environment, run_id=f"20260101T00000{process}Z-abc{process}") as run:
            for profiles in sides.values():
                run.write(replace(profiles[process]))
            run.finish()
