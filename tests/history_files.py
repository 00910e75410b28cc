"""Result files for the tests of the history, written by asv's own classes."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from asv.results import Results
from asv.runner import BenchmarkResult

from perfsuite.history.model import Commit
from perfsuite.history.settings import HistorySettings

STEP, REORDERS = "steps.Steps.track_step", "steps.Steps.track_reorders"
WORKLOADS = ["'lstm'", "'resnet18'"]


def commits(count: int) -> tuple[Commit, ...]:
    return tuple(
        Commit(f"{place + 1:08x}" * 5, place, f"2025-01-{place + 1:02}T12:00:00Z", (f"v2.{place}.0",))
        for place in range(count)
    )


def settings(folder: Path, **more: Any) -> HistorySettings:
    """What the modules of results and nights look at."""
    found = {
        "project": "stand-in",
        "branch": "main",
        "results_dir": folder / "results",
        "env_dir": folder / "env",
        "html_dir": folder / "html",
        **more,
    }
    return cast(HistorySettings, SimpleNamespace(**found))


def benchmark(name: str, params: Sequence[Sequence[str]] = (WORKLOADS,), version: str = "1") -> dict[str, Any]:
    names = ["workload", "part"][: len(params)]
    return {"name": name, "params": [*map(list, params)], "param_names": names, "unit": "ms", "version": version}


TABLE = {STEP: benchmark(STEP), REORDERS: benchmark(REORDERS)}


def write_table(results: Path, table: Mapping[str, Any] = TABLE) -> None:
    results.mkdir(parents=True, exist_ok=True)
    (results / "benchmarks.json").write_text(json.dumps({**table, "version": 2}))


def write_result(
    results: Path,
    machine: str,
    commit: str,
    samples: Mapping[str, Sequence[Sequence[float] | float | None]],
    *,
    table: Mapping[str, Any] = TABLE,
    env: str = "perfsuite-py3.11",
    claimed: str | None = None,
    append: bool = False,
) -> Path:
    """A result of asv's; of each benchmark by combinations of parameters: samples, NaN for skipped, None for failed."""
    folder = results / machine
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "machine.json").exists():
        (folder / "machine.json").write_text(json.dumps({"machine": machine, "version": 1}))
    params = {"machine": claimed or machine, "os": "Linux"}
    found = Results(params, {}, commit, 1_700_000_000_000, "3.11", env, {})
    found._filename = f"{machine}/{commit[:8]}-{env}.json"
    if append:
        found.load_data(str(results))
    for name, several in samples.items():
        count = math.prod(map(len, table[name]["params"])) if name in table else len(several)
        assert len(several) == count
        outcome = BenchmarkResult(
            result=[True if isinstance(one, (list, tuple)) else one for one in several],
            samples=[list(one) if isinstance(one, (list, tuple)) else None for one in several],
            number=[1 if isinstance(one, (list, tuple)) else None for one in several],
            errcode=0,
            stderr="",
            profile=None,
        )
        described = table.get(name) or benchmark(name, (tuple(map(str, range(len(several)))),))
        found.add_result(described, outcome, record_samples=True, append_samples=append)
    found.save(str(results))
    return folder / f"{commit[:8]}-{env}.json"


def values(path: Path) -> dict[str, list[Any]]:
    """Benchmark → samples by combinations of parameters."""
    found = Results.load(str(path))
    return {name: list(found.get_result_samples(name, TABLE[name]["params"])) for name in found.get_all_result_keys()}


def combinations(name: str) -> list[tuple[str, ...]]:
    return list(itertools.product(*TABLE[name]["params"]))
