"""Runs brought into a history without ``asv run``; asv's own classes say what is in its files."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from perfsuite.errors import UsageError
from perfsuite.history.importer import Import, commit_of, import_runs
from perfsuite.history.model import Commit
from perfsuite.history.results import load_series
from perfsuite.history.settings import HistorySettings, derived, parse_settings
from perfsuite.passes import PASSES
from perfsuite.records import Profile, Samples
from perfsuite.store import create_run, list_runs
from tests.samples import a_profile, an_environment

asv_results = pytest.importorskip("asv.results")
asv_environments = pytest.importorskip("asv.environment")
asv_config = pytest.importorskip("asv.config")

ROOT = Path(__file__).parent.parent
OLD = Commit("1" * 40, 10, "2025-05-01T00:00:00+00:00", ("v2.7.0", "v2.7.0+cpu"))
NEW = Commit("2" * 40, 20, "2025-08-01T00:00:00+00:00", ("v2.8.0",))
TIP = Commit("3" * 40, 30, "2025-09-01T00:00:00+00:00")
COMMITS = (OLD, NEW, TIP)
MACHINE = "box"
STEP = "steps.Steps.track_step"


def settings_in(folder: Path, **ours: Any) -> HistorySettings:
    return parse_settings(
        {
            "version": 1, "project": "torch", "repo": str(folder), "branches": ["main"],
            "environment_type": "existing", "benchmark_dir": str(ROOT / "benchmarks" / "history"),
            "results_dir": "results", "env_dir": "env", "html_dir": "html",
            "perfsuite": {"imports": ["torch"], "runs_dir": "runs", "workloads": ["resnet18", "lstm"],
                          "tag_pattern": r"v(?P<version>\d+\.\d+\.\d+)(\+cpu)?", **ours},
        },
        folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """asv's table of benchmarks, as the first import makes it."""
    settings = settings_in(tmp_path_factory.mktemp("table"))
    (done,) = import_runs([settings.folder / "none"], settings, COMMITS, machine=MACHINE)
    assert "no run at" in (done.problem or "")
    return (settings.results_dir / "benchmarks.json").read_bytes()


@pytest.fixture
def settings(tmp_path: Path, table: bytes) -> HistorySettings:
    found = settings_in(tmp_path)
    found.results_dir.mkdir()
    (found.results_dir / "benchmarks.json").write_bytes(table)
    return found


def a_workload(name: str = "lstm", *ms: float, **changes: Any) -> Profile:
    samples = Samples(tuple(one * 1e6 for one in ms or (10.0, 11.0, 12.0)))
    return a_profile(name, samples=samples, passes=PASSES, **changes)


def a_run(folder: Path, *profiles: Profile, **environment: Any) -> Path:
    about = {"torch": "2.8.0+cpu", "git_commit": None, "git_dirty": None, "disturbances": (), **environment}
    with create_run(folder / "recorded", an_environment(**about)) as run:
        for profile in profiles or (a_workload(),):
            run.write(profile)
        run.finish()
    return run.path


def bring(runs: Sequence[Path], settings: HistorySettings) -> tuple[Import, ...]:
    return import_runs(runs, settings, COMMITS, machine=MACHINE)


def result_file(settings: HistorySettings) -> Path:
    (path,) = [path for path in (settings.results_dir / MACHINE).glob("*.json") if path.name != "machine.json"]
    return path


def saved(settings: HistorySettings) -> Any:
    return asv_results.Results.load(str(result_file(settings)), machine_name=MACHINE)


def values(settings: HistorySettings) -> dict[str, tuple[float, tuple[float, ...]]]:
    series, notes = load_series(settings, commits=COMMITS)
    assert all("gone.time_it" in note for note in notes), "a benchmark of asv that is no more"
    return {one.benchmark.label: (one.points[0].value, one.points[0].samples) for one in series}


# --- what is imported -------------------------------------------------------------------------------


def test_a_run_is_in_the_history_as_if_asv_had_measured_it(tmp_path: Path, settings: HistorySettings):
    path = a_run(tmp_path, a_workload("lstm"), a_workload("resnet18", 30.0, 31.0))
    (done,) = bring([path], settings)
    assert done == Import(path.name, NEW, ("lstm", "resnet18"), done.values)
    found = values(settings)
    assert len(found) == done.values
    assert found["steps.Steps.track_step(lstm)"] == (11.0, (10.0, 11.0, 12.0))
    assert found["steps.Steps.track_step(resnet18)"] == (30.5, (30.0, 31.0))
    assert found["steps.Steps.track_phase(lstm, forward)"] == (0.041, (0.04, 0.042))
    assert found["steps.Steps.track_operator(resnet18, convolution)"] == (0.03, (0.029, 0.031))
    # An LSTM's convolutions are in the rest.
    assert found["steps.Steps.track_operator(lstm, other)"] == (0.07, (0.068, 0.072))
    assert "steps.Steps.track_operator(lstm, convolution)" not in found
    result = saved(settings)
    assert result.commit_hash == NEW.hash
    assert datetime.fromtimestamp(result.date / 1000, timezone.utc).isoformat() == NEW.date
    assert result.params["machine"] == MACHINE
    assert json.loads((settings.results_dir / MACHINE / "machine.json").read_bytes())["machine"] == MACHINE
    (kept,) = list_runs(settings.runs_dir / NEW.hash)
    assert (kept.id, kept.workloads, kept.problem) == (path.name, 2, None)


def test_the_file_is_the_one_that_asv_would_write(tmp_path: Path, table: bytes):
    settings = settings_in(tmp_path)
    document = {**settings.document, "environment_type": "perfsuite", "plugins": [".perfsuite.asv_plugin"]}
    settings = parse_settings(document, tmp_path)
    settings.results_dir.mkdir()
    (settings.results_dir / "benchmarks.json").write_bytes(table)
    (done,) = bring([a_run(tmp_path)], settings)
    assert done.problem is None
    (environment,) = asv_environments.get_environments(asv_config.Config.from_json(derived(settings)), [])
    assert result_file(settings).name == f"{NEW.hash[:8]}-{environment.name}.json"
    assert saved(settings).params["python"] == environment.python


def test_a_run_is_imported_once(tmp_path: Path, settings: HistorySettings):
    path = a_run(tmp_path)
    (first,) = bring([path], settings)
    before = result_file(settings).read_bytes()
    (second,) = bring([path], settings)
    assert first.values > 0
    assert second == replace(first, values=0)
    assert result_file(settings).read_bytes() == before
    (from_the_history,) = bring([settings.runs_dir / NEW.hash / path.name], settings)
    assert from_the_history.values == 0


def test_what_was_measured_stays_and_samples_are_added(tmp_path: Path, settings: HistorySettings):
    bring([a_run(tmp_path, a_workload("lstm", 10.0, 12.0))], settings)
    before = values(settings)
    bring([a_run(tmp_path, a_workload("lstm", 20.0, 22.0, phases=()), a_workload("resnet18"))], settings)
    after = values(settings)
    assert after["steps.Steps.track_step(lstm)"] == (16.0, (10.0, 12.0, 20.0, 22.0))
    label = "steps.Steps.track_phase(lstm, forward)"
    assert after[label] == before[label], "the second run had no phases"
    assert after["steps.Steps.track_step(resnet18)"][0] == 11.0
    assert set(before) < set(after)
    assert len(list_runs(settings.runs_dir / NEW.hash)) == 2


def a_result_of_asv(settings: HistorySettings, **columns: Any) -> Path:
    """A file as asv leaves it, of a benchmark that is no more and of one without samples."""
    bring([a_run(settings.folder, a_workload("resnet18"))], settings)
    path = result_file(settings)
    data = json.loads(path.read_bytes())
    at = {name: place for place, name in enumerate(data["result_columns"])}
    row = data["results"][STEP] + [None] * (len(at) - len(data["results"][STEP]))
    data["results"]["gone.time_it"] = [[1.5], [], "9"]
    for name, value in columns.items():
        row[at[name]] = value
    data["results"][STEP] = row
    data["durations"] = {"<build>": 60.0}
    path.write_text(json.dumps(data))
    return path


def test_nothing_that_asv_wrote_is_lost(tmp_path: Path, settings: HistorySettings):
    path = a_result_of_asv(settings, result=[11.0, 33.0], samples=None, duration=7.5)
    (done,) = bring([a_run(tmp_path, a_workload("lstm"))], settings)
    result = saved(settings)
    lists = json.loads((settings.results_dir / "benchmarks.json").read_bytes())[STEP]["params"]
    assert lists == [["'resnet18'", "'lstm'"]]
    # The value of lstm has no samples that others could be added to.
    assert result.get_result_value(STEP, lists) == [11.0, 33.0]
    assert result.get_result_value("gone.time_it", []) == [1.5]
    assert result.duration["<build>"] == 60.0
    assert result.duration[STEP] == 7.5
    assert done.values > 0, "its phases and operators"
    assert json.loads(path.read_bytes())["results"]["gone.time_it"][0] == [1.5]


def test_a_failure_gives_way_to_a_value(tmp_path: Path, settings: HistorySettings):
    a_result_of_asv(settings, result=[11.0, None], samples=[[10.0, 11.0, 12.0], None])
    bring([a_run(tmp_path, a_workload("lstm", 5.0))], settings)
    assert values(settings)["steps.Steps.track_step(lstm)"] == (5.0, (5.0,))
    assert values(settings)["steps.Steps.track_step(resnet18)"] == (11.0, (10.0, 11.0, 12.0))


def test_results_of_another_version_of_a_benchmark_stay(tmp_path: Path, settings: HistorySettings):
    path = a_result_of_asv(settings, version="0")
    before = json.loads(path.read_bytes())["results"][STEP]
    (done,) = bring([a_run(tmp_path, a_workload("lstm"))], settings)
    assert done.notes == (f"{STEP}: v2.8.0 has results of another version of it, which stay",)
    after = json.loads(path.read_bytes())["results"][STEP]
    assert after == before[: len(after)]
    assert not any(before[len(after) :])


def test_a_file_that_is_cut_off_is_left_as_it_is(tmp_path: Path, settings: HistorySettings):
    path = a_result_of_asv(settings)
    path.write_bytes(path.read_bytes()[:-20])
    before = path.read_bytes()
    (done,) = bring([a_run(tmp_path, a_workload("lstm"))], settings)
    assert "remove" in (done.problem or "")
    assert path.name in (done.problem or "")
    assert path.read_bytes() == before


def test_one_run_that_cannot_be_imported_keeps_no_other_out(tmp_path: Path, settings: HistorySettings):
    good = a_run(tmp_path, a_workload("lstm"))
    bad = a_run(tmp_path, a_workload("lstm"), torch="1.2.3")
    done = bring([bad, tmp_path / "nothing", good], settings)
    assert [one.problem is None for one in done] == [False, False, True]
    assert done[0] == Import(bad.name, problem=done[0].problem)


def test_runs_of_several_commits(tmp_path: Path, settings: HistorySettings):
    done = bring([a_run(tmp_path, torch="2.7.0+cpu"), a_run(tmp_path, torch="2.8.0")], settings)
    assert [one.commit for one in done] == [OLD, NEW]
    series, notes = load_series(settings, commits=COMMITS)
    assert notes == ()
    (steps,) = [one for one in series if one.benchmark.name == STEP]
    assert [point.commit for point in steps.points] == [OLD, NEW]


# --- what is not ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scale": "full"}, "its scale is full, the history's is smoke"),
        ({"dtype": "bfloat16"}, "its dtype is bfloat16, the history's is float32"),
        ({"backend": "compile"}, "its backend is compile, the history's is eager"),
        ({"contended": True}, "it was timed while other workers of its session ran"),
        ({"samples": None}, "it was not timed"),
    ],
)
def test_what_the_history_does_not_measure_is_left_out(
    tmp_path: Path, settings: HistorySettings, changes: dict[str, Any], why: str
):
    odd = replace(a_workload("lstm"), **changes)
    (done,) = bring([a_run(tmp_path, odd, a_workload("resnet18"))], settings)
    assert done.notes == (f"lstm: {why}",)
    assert done.workloads == ("resnet18",)
    (nothing,) = bring([a_run(tmp_path, odd)], settings)
    assert nothing.problem == f"lstm: {why}"


def test_a_run_of_the_extension_is_one_of_its_backend(tmp_path: Path, table: bytes):
    settings = settings_in(tmp_path, imports=["intel_extension_for_pytorch"])
    settings.results_dir.mkdir()
    (settings.results_dir / "benchmarks.json").write_bytes(table)
    plain = a_run(tmp_path, a_workload("lstm"), ipex="2.8.0+cpu")
    (done,) = bring([plain], settings)
    assert done.problem == "lstm: its backend is eager, the history's is ipex"
    (done,) = bring([a_run(tmp_path, a_workload("lstm", backend="ipex"), ipex="2.8.0+cpu")], settings)
    assert done.commit == NEW
    assert done.problem is None


def test_a_run_of_another_machine_is_refused(tmp_path: Path, settings: HistorySettings):
    bring([a_run(tmp_path)], settings)
    (done,) = bring([a_run(tmp_path, cpu_model="Another CPU", torch="2.7.0")], settings)
    assert done.problem == ("recorded on another machine than all of the history: CPU model: A CPU and Another CPU")
    assert not (settings.runs_dir / OLD.hash).exists()


def test_a_run_that_was_not_quiet_is_doubted(tmp_path: Path, settings: HistorySettings):
    loud, unknown = a_run(tmp_path, disturbances=("threads spin: do something",)), a_run(tmp_path, disturbances=None)
    done = bring([loud, unknown], settings)
    assert done[0].notes == ("recorded where it was not quiet: threads spin: do something",)
    assert done[1].notes == ("whether it was recorded under quiet settings is not known",)


def test_a_run_that_is_being_recorded_waits(tmp_path: Path, settings: HistorySettings):
    with create_run(tmp_path / "recorded", an_environment(torch="2.8.0")) as run:
        run.write(a_workload())
        (done,) = bring([run.path], settings)
    assert done.problem == f"{run.path}: it is still being recorded"


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_a_machine_has_the_name_of_a_folder(settings: HistorySettings, name: str):
    with pytest.raises(UsageError, match="machine"):
        import_runs([], settings, COMMITS, machine=name)


# --- of which commit a run is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "commit"),
    [
        ({"git_commit": "3" * 40, "torch": "2.8.0"}, TIP),
        ({"git_commit": "3" * 40, "git_dirty": False}, TIP),
        ({"git_commit": "9" * 40, "git_dirty": True, "torch": "2.8.0+cpu"}, NEW),
        ({"torch": "2.9.0a0", "torch_commit": "3" * 40}, TIP),
        ({"torch": "2.9.0a0", "torch_commit": "3" * 9}, TIP),
        ({"torch": "2.7.0"}, OLD),
        ({"torch": "2.7.0+cpu"}, OLD),
    ],
)
def test_the_commit_of_a_run(tmp_path: Path, environment: dict[str, Any], commit: Commit):
    about = an_environment(**{"git_commit": None, "git_dirty": None, **environment})
    assert commit_of(about, settings_in(tmp_path), COMMITS) == commit


def test_of_two_tags_of_a_version_the_one_of_the_build_counts(tmp_path: Path):
    plain, cpu = replace(OLD, tags=("v2.8.0+cpu",)), replace(TIP, tags=("v2.8.0",))
    for version, commit in (("2.8.0+cpu", plain), ("2.8.0", cpu), ("2.8.0+xpu", cpu)):
        about = an_environment(git_commit=None, torch=version)
        assert commit_of(about, settings_in(tmp_path), (plain, cpu)) == commit


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"git_commit": "3" * 40, "git_dirty": True}, "uncommitted changes on top of 33333333"),
        ({"git_commit": "9" * 40, "torch": "2.9.0"}, f"cannot be told: it says checkout {'9' * 40}, version 2.9.0"),
        ({"torch": None}, "cannot be told: it says nothing of it"),
        ({"torch": "2.9.0a0", "torch_commit": "333"}, "build 333, version 2.9.0a0"),
    ],
)
def test_a_run_of_no_commit_is_refused_with_what_it_says(tmp_path: Path, environment: dict[str, Any], said: str):
    about = an_environment(**{"git_commit": None, "git_dirty": None, **environment})
    with pytest.raises(UsageError, match=said):
        commit_of(about, settings_in(tmp_path), COMMITS)


def test_the_table_has_every_benchmark_with_its_unit(table: bytes):
    found = json.loads(table)
    assert found.pop("version") == 2
    assert {name: one["unit"] for name, one in found.items()} == {
        "kernels.Kernels.track_focal_loss": "ms",
        "steps.Steps.track_operator": "ms",
        "steps.Steps.track_outside_onednn": "%",
        "steps.Steps.track_peak_rss": "MiB",
        "steps.Steps.track_phase": "ms",
        "steps.Steps.track_reorders": "calls",
        "steps.Steps.track_step": "ms",
    }
    assert {one["version"] for one in found.values()} == {"1, smoke, auto"}
    assert math.prod(map(len, found["steps.Steps.track_phase"]["params"])) == 2 * 4
