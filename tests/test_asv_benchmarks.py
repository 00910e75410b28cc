"""asv's benchmarks in environments that have only what the environment of a commit has."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import apart, measure
from benchmarks.workloads import NAMES
from perfsuite.errors import UsageError
from perfsuite.history.names import OTHER, TRACKED, all_series
from perfsuite.history.values import PHASES, values_of
from perfsuite.store import list_runs, load_run, load_timeline
from tests.git_repository import Repository

asv_runner = pytest.importorskip("asv_runner")
asv_results = pytest.importorskip("asv.results")

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks" / "history"
#: Of perfsuite's own dependencies those that recording must do without.
_FACES = ("pytest", "_pytest", "pluggy", "pytest_benchmark", "click", "rich", "matplotlib", "scipy", "hypothesis")
#: What asv needs where it is itself, and its runner takes where it finds it: that loads numpy.
_ASVS = ("pympler",)


def an_environment(
    folder: Path, packages: Sequence[str], path: Path | None = None, without: Sequence[str] = ()
) -> Path:
    """A virtual environment with links to packages of this one; returns its Python.

    Args:
        packages: names of modules to link.
        path: a folder whose packages it has besides.
        without: modules that cannot be imported all the same.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in packages:
        (site / name).symlink_to(Path(sysconfig.get_path("purelib"), name))
    if path is not None:
        (site / "more.pth").write_text(f"{path}\n")
    (site / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({tuple(without)!r}))\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is on PYTHONPATH of a commit's process: links to our own packages, and nothing beside them."""
    folder = tmp_path_factory.mktemp("path")
    for name in ("perfsuite", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with asv's runner only."""
    return an_environment(tmp_path_factory.mktemp("bare") / "env", ["asv_runner"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with torch, without torchvision, what perfsuite's faces need and what asv needs."""
    site = Path(sysconfig.get_path("purelib"))
    return an_environment(tmp_path_factory.mktemp("stack") / "env", [], site, (*_FACES, *_ASVS, "torchvision"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a configuration of asv, and what asv knows of machines."""
    conf = {
        "version": 1, "project": "torch", "repo": str(tmp_path / "repository"), "branches": ["main"],
        "benchmark_dir": str(BENCHMARKS), "environment_type": "existing", "results_dir": "results",
    }  # fmt: skip
    (tmp_path / "asv.conf.json").write_text(json.dumps(conf))
    box = {"machine": "box", "os": "", "arch": "", "cpu": "", "num_cpu": "2", "ram": "1"}
    (tmp_path / ".asv-machine.json").write_text(json.dumps({"version": 1, "box": box}))
    return tmp_path


def asv(home: Path, path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PERFSUITE_", "ASV_"))}
    return subprocess.run(
        [sys.executable, "-m", "asv", *arguments],
        cwd=home,
        env={**kept, "HOME": str(home), "PYTHONPATH": str(path), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# --- what asv finds ---------------------------------------------------------------------------------


def test_asv_checks_the_benchmarks_where_nothing_but_its_runner_is_installed(home: Path, path: Path, bare: Path):
    for module in ("pytest", "numpy", "torch", "perfsuite"):
        tried = subprocess.run([bare, "-c", f"import {module}"], cwd=home, stderr=subprocess.DEVNULL, check=False)
        assert tried.returncode == 1, module
    done = asv(home, path, "check", "-E", f"existing:{bare}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No problems found" in done.stdout


def test_asv_finds_the_benchmarks_in_a_checkout_too(home: Path, bare: Path):
    done = asv(home, Path(), "check", "-E", f"existing:{bare}")
    assert done.returncode == 0, done.stdout + done.stderr


def discovered(tmp_path: Path, python: Path, path: Path, **variables: str) -> dict[str, dict[str, Any]]:
    import asv.runner

    file = tmp_path / "found.json"
    subprocess.run(
        [python, asv.runner.BENCHMARK_RUN_SCRIPT, "discover", BENCHMARKS, file],
        env={"PYTHONPATH": str(path), "PATH": os.environ["PATH"], **variables},
        cwd=tmp_path,
        check=True,
    )
    return {one["name"]: one for one in json.loads(file.read_text())}


def test_the_parameters_of_the_benchmarks(tmp_path: Path, bare: Path, path: Path):
    found = discovered(tmp_path, bare, path)
    operators = found["steps.Steps.track_operator"]
    assert operators["param_names"] == ["workload", "operator"]
    assert operators["params"] == [[repr(name) for name in NAMES], [repr(name) for name in all_series()]]
    assert found["steps.Steps.track_phase"]["param_names"] == ["workload", "phase"]
    assert found["steps.Steps.track_phase"]["params"][1] == [repr(name) for name in PHASES]
    assert found["kernels.Kernels.track_focal_loss"]["params"] == []
    assert {one["type"] for one in found.values()} == {"track"}
    # An edit of the source must not begin the history anew; another scale and another backend must.
    assert {one["version"] for one in found.values()} == {"1, smoke, auto"}
    other = discovered(tmp_path, bare, path, PERFSUITE_HISTORY_SCALE="standard", PERFSUITE_HISTORY_BACKEND="eager")
    assert {one["version"] for one in other.values()} == {"1, standard, eager"}


def test_workloads_are_chosen_by_a_variable(tmp_path: Path, bare: Path, path: Path):
    found = discovered(tmp_path, bare, path, PERFSUITE_HISTORY_WORKLOADS="lstm, resnet18")
    assert found["steps.Steps.track_step"]["params"] == [["'lstm'", "'resnet18'"]]


def test_asvs_fork_server_loads_nothing_that_must_not_be_forked(tmp_path: Path, stack: Path, path: Path):
    """It imports the benchmarks and forks for each value; a child that is forked after OpenMP began would hang."""
    code = (
        "import os, sys\n"
        "from asv_runner._aux import update_sys_path\n"
        "from asv_runner.discovery import disc_benchmarks\n"
        "update_sys_path(sys.argv[1])\n"
        "found = list(disc_benchmarks(sys.argv[1]))\n"
        "heavy = [name for name in ('torch', 'numpy', 'intel_extension_for_pytorch') if sys.modules.get(name)]\n"
        "print(len(found), heavy, len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run(
        [stack, "-c", code, BENCHMARKS],
        env={"PYTHONPATH": str(path), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "7 [] 1\n"
    for name in ("asv.conf.json", "asv.torch.conf.json"):
        assert json.loads((ROOT / name).read_text())["launch_method"] == "forkserver"


# --- what is measured -------------------------------------------------------------------------------


def test_a_workload_that_fails_costs_nobody_else(home: Path, path: Path, stack: Path):
    runs = home / "runs"
    commit = Repository(home / "repository").commit()
    done = asv(
        home, path,
        "run", "-E", f"existing:{stack}", "--set-commit-hash", commit, "--machine", "box", "--record-samples",
        "-b", "track_(step|peak_rss)|'lstm', '(rnn|add|convolution|other)'",
        ASV_COMMIT=commit, PERFSUITE_HISTORY_RUNS=str(runs), PERFSUITE_HISTORY_WORKLOADS="resnet18,lstm",
        PERFSUITE_HISTORY_SCALE="smoke",
    )  # fmt: skip
    assert "resnet18 was not measured: this workload needs torchvision" in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (file,) = (home / "results" / "box").glob(f"{commit[:8]}-*.json")
    result = asv_results.Results.load(str(file))
    step = "steps.Steps.track_step"
    resnet18, lstm = result.get_result_value(step, result.get_result_params(step))
    assert resnet18 is None
    assert lstm > 0
    samples = result.get_result_samples(step, result.get_result_params(step))[1]
    assert len(samples) >= 6

    (summary,) = list_runs(runs / commit)
    run = load_run(summary.path)
    assert run.status == "complete"
    assert run.environment.git_commit == commit
    assert "MALLOC_MMAP_THRESHOLD_" in run.environment.allocator, "it ran quietly"
    assert run.environment.torch is not None
    (profile,) = run.workloads
    assert (profile.name, profile.scale, profile.dtype, profile.backend) == ("lstm", "smoke", "float32", "eager")
    assert profile.passes == ("timing", "phases", "operators", "primitives", "memory")
    assert [ns / 1e6 for ns in profile.samples.per_step_ns] == samples
    assert load_timeline(summary.path, "lstm").wall_ns > 0

    operators = "steps.Steps.track_operator"
    params = result.get_result_params(operators)
    by_name = dict(zip(params[1], result.get_result_value(operators, params)[len(params[1]) :], strict=True))
    assert by_name["'rnn'"] > 0
    assert by_name["'other'"] > 0
    assert math.isnan(by_name["'convolution'"]), "an LSTM has none, which is no failure"
    of_peak = "steps.Steps.track_peak_rss"
    assert result.get_result_value(of_peak, result.get_result_params(of_peak))[1] > 50


def test_a_kernel_is_measured_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measure, "SECONDS", 0.02)
    stages: list[str] = []
    folder = measure.measure(measure.FOCAL_LOSS, tmp_path / "runs", run_id="mine", progress=stages.append)
    assert folder == tmp_path / "runs" / "mine"
    (profile,) = load_run(folder).workloads
    assert profile.name == "sigmoid_focal_loss"
    assert stages[:3] == ["build", "warm-up", "timing"]
    assert values_of(profile)["focal_loss"][""] == [ns / 1e6 for ns in profile.samples.per_step_ns]


def test_what_fails_leaves_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(UsageError, match="unknown workload scale"):
        measure.measure("lstm", tmp_path / "runs", scale="huge")
    assert list_runs(tmp_path / "runs") == ()
    (tmp_path / "file").write_text("")
    assert measure.main(["lstm", "--runs", str(tmp_path / "file")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("perfsuite: cannot create a run in")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["luck"], ["lstm", "--commit", "123"], ["lstm", "--scale", "huge"]])
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: list[str]):
    with pytest.raises(SystemExit) as caught:
        measure.main([*arguments, "--runs", str(tmp_path)])
    assert caught.value.code == 2
    assert list(tmp_path.iterdir()) == []


# --- what asv is told -------------------------------------------------------------------------------


MEASURED: apart.Measured = {
    "lstm": {"values": {"step": {"": [1.0, 2.0]}, "operator": {"rnn": [0.5]}, "reorders": {"": [0.0]}}},
    "resnet18": {"failed": "no luck"},
}


def test_answers():
    assert apart.answer(MEASURED, "lstm", "step") == {"samples": [1.0, 2.0], "number": 1}
    assert apart.answer(MEASURED, "lstm", "operator", "rnn") == {"samples": [0.5], "number": 1}
    assert apart.answer(MEASURED, "lstm", "reorders") == {"samples": [0.0], "number": 1}
    for nothing in (("phase", "forward"), ("operator", "matmul"), ("operator", OTHER), ("peak_rss", "")):
        assert math.isnan(apart.answer(MEASURED, "lstm", *nothing))
    assert pickle.loads(pickle.dumps(MEASURED)) == MEASURED


@pytest.mark.parametrize("what", [("step",), ("phase", "loss"), ("operator", OTHER), ("operator", "convolution")])
def test_of_a_workload_that_failed_every_benchmark_fails_in_a_line(what: tuple[str, ...]):
    with pytest.raises(SystemExit, match=r"^perfsuite: resnet18 was not measured: no luck$"):
        apart.answer(MEASURED, "resnet18", *what)
    assert math.isnan(apart.answer(MEASURED, "resnet18", "operator", "rnn")), "it would not have run in any case"


@pytest.mark.parametrize(
    ("asked", "installed", "backend"),
    [("", True, "ipex"), ("auto", False, "eager"), ("eager", True, "eager"), ("ipex", False, "ipex")],
)
def test_the_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str, installed: bool, backend: str):
    monkeypatch.setenv(apart.BACKEND, asked)
    if installed:
        (tmp_path / "intel_extension_for_pytorch.py").write_text("raise RuntimeError('must not be imported')")
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.setitem(sys.modules, "intel_extension_for_pytorch", None)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert apart.chosen_backend() == backend


@pytest.mark.parametrize(
    ("variable", "choose"),
    [
        (apart.BACKEND, apart.chosen_backend),
        (apart.WORKLOADS, apart.chosen_workloads),
        (apart.SCALE, lambda: apart.measure_apart(())),
    ],
)
def test_a_wrong_setting_is_refused_with_the_choices(monkeypatch: pytest.MonkeyPatch, variable: str, choose: Any):
    monkeypatch.setattr("perfsuite.capture.lifetime.end_with_parent", lambda: None)
    monkeypatch.setenv(variable, "luck")
    with pytest.raises(UsageError, match="'luck'; choose one of"):
        choose()


def test_all_workloads_where_nobody_chooses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(apart.WORKLOADS, raising=False)
    assert apart.chosen_workloads() == NAMES
    monkeypatch.setenv(apart.WORKLOADS, " lstm,,lstm ")
    assert apart.chosen_workloads() == ("lstm",)


@pytest.mark.parametrize(
    ("status", "said", "why"),
    [
        (2, "perfsuite: this workload needs torchvision\n", "this workload needs torchvision"),
        (1, "x.py:1: UserWarning: hm\nTraceback (most recent call last):\n  File \"x\", line 1\n    f()\n    ~^^\n"
            "RuntimeError: operator torchvision::nms does not exist\nException raised from here:\n",
            "RuntimeError: operator torchvision::nms does not exist"),
        (1, "Traceback (most recent call last):\n  File\nKeyError: 1\n\nDuring handling of the above exception, "
            "another exception occurred:\n\nTraceback (most recent call last):\n  File\nValueError: 2\n",
            "ValueError: 2"),
        (-signal.SIGILL, "", "ended by SIGILL"),
        (-signal.SIGSEGV, "terminate called\n\n", "ended by SIGSEGV after it said: terminate called"),
        (3, "", "exit status 3, and nothing was said"),
        (1, "Traceback (most recent call last):\n  File \"x\"", "File \"x\""),
    ],
)  # fmt: skip
def test_why_a_process_failed(status: int, said: str, why: str):
    assert apart.reason(status, said) == why


def test_a_workload_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr(apart, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.chdir(tmp_path)
    assert apart._measured("lstm", [])["failed"] == "it took longer than 0.005 min and was ended"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    assert "cannot be started: No such file" in apart._measured("lstm", [])["failed"]


def test_every_workload_has_a_series_for_the_operators_it_runs():
    """Those that torch itself runs; the extension's fused optimizer is no operator of these."""
    from perfsuite.capture.passes import Settings
    from perfsuite.capture.record import Timed, profile_timed

    for name in ("resnet18", "lstm", "transformer"):
        subject = measure.build(name, "smoke", "float32", "eager")
        profile = profile_timed(subject, Timed(None), Settings(("operators",), steps=1)).profile
        run = set(values_of(profile)["operator"])
        assert set(TRACKED[name]) - run == {"fused_optimizer"}, name
