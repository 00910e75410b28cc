"""The environment in real asv runs: a stand-in project with releases, tiny wheels, real git and pip, no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perfsuite import asv_plugin
from perfsuite.history.children import benchmark_variables, link_packages
from perfsuite.history.failures import failures
from perfsuite.history.installer import InstallError
from perfsuite.history.model import Stack
from perfsuite.history.settings import HistorySettings, derived, read_settings
from tests.history_repository import Project, build_wheel, installed_wheel, write_conf

ROOT = Path(__file__).parent.parent
MACHINE = {"arch": "x", "cpu": "x", "machine": "desk", "num_cpu": "2", "os": "x", "ram": "1"}
#: Writes down what its process finds, and measures the version that is installed.
BENCHMARK = """
import json, os, subprocess, sys

import stand_in


def track_version():
    import perfsuite
    here = {
        "version": stand_in.VERSION,
        "torch": __import__("torch").VERSION,
        "perfsuite": perfsuite.__path__[0],
        "path": sys.path,
        "variables": dict(os.environ),
        "child": subprocess.check_output([sys.executable, "-c", "import perfsuite, sys; print(sys.prefix)"], text=True),
        "parent": open(f"/proc/{os.getppid()}/cmdline").read().split("\\0"),
    }
    runs = os.environ["PERFSUITE_HISTORY_RUNS"]
    os.makedirs(runs, exist_ok=True)
    with open(os.path.join(runs, os.environ["ASV_COMMIT"] + ".json"), "w") as file:
        json.dump(here, file)
    return {"samples": [stand_in.VERSION], "number": 1}


track_version.unit = "unit"
"""


@dataclass
class History:
    """A folder with a configuration, and the project beside it."""

    folder: Path
    project: Project
    wheels: Path
    commits: Mapping[str, str]

    @property
    def conf(self) -> Path:
        return self.folder / "asv.conf.json"

    @property
    def settings(self) -> HistorySettings:
        return read_settings(self.conf)

    def asv(self, *arguments: str, code: int = 0, conf: str = "asv.conf.json") -> str:
        """What asv prints; without a network, and with all sorts of things of the caller's in its environment."""
        stray = self.folder / "stray"
        stray.mkdir(exist_ok=True)
        (stray / "stand_in.py").write_text("raise ImportError('this is the caller's own')")
        variables = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "ASV"))},
            "HOME": str(self.folder),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{stray}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "LC_ALL": "C.UTF-8",
        }
        command = [sys.executable, "-m", "asv", *arguments, "--config", str(self.folder / conf)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=self.folder, check=False)
        printed = done.stdout + done.stderr
        assert done.returncode == code, printed
        return printed

    def run(self, *names: str, code: int = 0, rounds: int = 1) -> str:
        """Measure commits in the order of their names."""
        hashes = self.folder / "hashes"
        hashes.write_text("\n".join(self.commits[name] for name in names))
        options = ["--machine", "desk", "--record-samples", "--interleave-rounds", "-a", f"rounds={rounds}"]
        return self.asv("run", f"HASHFILE:{hashes}", *options, code=code)

    def values(self) -> dict[str, Any]:
        """Name of the commit → the benchmark's value, of each result file."""
        from asv.results import Results

        found = {}
        for path in (self.folder / ".asv/results/desk").glob("*-*.json"):
            result = Results.load(str(path))
            (name,) = (name for name, commit in self.commits.items() if commit == result.commit_hash)
            found[name] = result.get_result_value("simple.track_version", [])[0]
        return found

    def seen(self, name: str) -> dict[str, Any]:
        """What the benchmark found around it."""
        found: dict[str, Any] = json.loads((self.folder / f".asv/runs/{self.commits[name]}.json").read_text())
        return found


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Releases of which v3 breaks on import, and v4 has no wheel yet."""
    base = tmp_path_factory.mktemp("asv")
    wheels = base / "wheels"
    installed_wheel(wheels, "asv_runner")
    for version in ("2.7.0", "2.8.0"):
        build_wheel(wheels, "torch", version, {"torch.py": f"VERSION = {version!r}\n"})
    for version in ("1.0", "2.0", "3.0"):
        code = f"VERSION = {version}\n" if version != "3.0" else "import pkg_resources_of_old\n"
        build_wheel(wheels, "stand-in", version, {"stand_in.py": code})
    project = Project(base / "project")
    commits = {
        "v1": project.commit("v1.0", torch="2.7.0+cpu"),
        "between": project.commit(),
        "v2": project.commit("v2.0", torch="2.8.0+cpu"),
        "v3": project.commit("v3.0!"),
        "v4": project.commit("v4.0"),
        "head": project.commit(),
    }
    folder = base / "conf"
    write_conf(folder, project.path, scale="standard", workloads=["lstm", "resnet18"])
    (folder / "benchmarks/history").mkdir(parents=True)
    for package in ("benchmarks", "benchmarks/history"):
        (folder / package / "__init__.py").write_text("")
    (folder / "benchmarks/history/simple.py").write_text(BENCHMARK)
    # What asv would install into every environment, because it is in its working folder.
    (folder / "pyproject.toml").write_text('[build-system]\nrequires = ["not-there-at-all"]\n')
    (folder / ".asv-machine.json").write_text(json.dumps({"desk": MACHINE, "version": 1}))
    return History(folder, project, wheels, commits)


@pytest.fixture(scope="module")
def night(history: History) -> str:
    """What asv prints of a run over all releases, in two rounds, the newest first."""
    return history.run("v4", "v3", "v2", "between", "v1", code=2, rounds=2)


def test_each_commit_is_measured_with_its_own_stack(history: History, night: str) -> None:
    values = history.values()
    assert (values["v1"], values["v2"]) == (1.0, 2.0)
    assert [history.seen(name)["torch"] for name in ("v1", "v2")] == ["2.7.0", "2.8.0"]
    assert "not-there-at-all" not in night


def test_what_cannot_be_measured_is_said_once_and_the_rest_goes_on(history: History, night: str) -> None:
    values = history.values()
    assert [values[name] for name in ("v3", "v4", "between")] == [None, None, None]
    reasons = failures(history.settings)
    assert set(reasons) >= {history.commits[name] for name in ("v3", "v4", "between")}
    assert reasons[history.commits["between"]] == "nothing to install: no release tag"
    assert "No matching distribution found for stand-in==4.0" in reasons[history.commits["v4"]]
    assert (
        "cannot be imported: ModuleNotFoundError: No module named 'pkg_resources_of_old'"
        in (reasons[history.commits["v3"]])
    )
    for name in ("v3.0", "v4.0"):
        assert night.count(f"{name} cannot be measured: ") == 1, "not in each round"
    assert history.commits["v1"] not in reasons


def test_all_commits_are_in_one_environment(history: History, night: str) -> None:
    files = {path.name.split("-", 1)[1] for path in (history.folder / ".asv/results/desk").glob("*-*.json")}
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert files == {f"perfsuite-py{running}.json"}


def test_benchmarks_find_our_packages_and_nothing_of_the_callers(history: History, night: str) -> None:
    seen = history.seen("v1")
    settings = history.settings
    folder = settings.env_dir / "path"
    assert Path(seen["perfsuite"]).parent == folder
    assert (folder / "perfsuite").resolve() == ROOT / "perfsuite"
    assert (folder / "benchmarks").resolve() == history.folder / "benchmarks"
    variables = seen["variables"]
    assert variables["PERFSUITE_HISTORY_RUNS"] == str(settings.runs_dir)
    assert variables["PERFSUITE_HISTORY_SCALE"] == "standard"
    assert variables["PERFSUITE_HISTORY_WORKLOADS"] == "lstm,resnet18"
    assert variables["PYTHONPATH"] == str(folder)
    assert variables["ASV_COMMIT"] == history.commits["v1"]
    assert variables["ASV_CONF_DIR"] == str(history.folder)
    assert variables["ASV_ENV_DIR"] == variables["VIRTUAL_ENV"] == seen["child"].strip()
    assert not any("stray" in entry or entry == str(ROOT) for entry in seen["path"])
    assert not any("site-packages" in entry and seen["child"].strip() not in entry for entry in seen["path"])
    assert variables["PATH"].startswith(f"{variables['VIRTUAL_ENV']}/bin:")


def test_a_later_night_installs_nothing_again(history: History, night: str) -> None:
    logs = {path: path.stat().st_mtime_ns for path in (history.settings.env_dir / "stacks").glob("*.log")}
    for path in (history.folder / ".asv/results/desk").glob("*-*.json"):
        path.unlink()
    printed = history.run("v2", "v1", rounds=2)
    assert "cannot be measured" not in printed
    assert history.values() == {"v1": 1.0, "v2": 2.0}
    assert {path: path.stat().st_mtime_ns for path in logs} == logs


def test_a_fork_server_measures_each_commit_with_its_own_stack_too(history: History, night: str) -> None:
    before = history.conf.read_text()
    history.conf.write_text(json.dumps({**json.loads(before), "launch_method": "forkserver"}))
    for path in (*(history.folder / ".asv/results/desk").glob("*-*.json"), *history.settings.runs_dir.glob("*.json")):
        path.unlink()
    try:
        printed = history.run("v2", "v1", rounds=2)
    finally:
        history.conf.write_text(before)
    assert "Traceback" not in printed
    assert history.values() == {"v1": 1.0, "v2": 2.0}
    for name, torch in (("v1", "2.7.0"), ("v2", "2.8.0")):
        seen = history.seen(name)
        assert "run_server" in seen["parent"]
        assert seen["torch"] == torch
        assert seen["variables"]["ASV_COMMIT"] == history.commits[name]
        assert seen["variables"]["PYTHONPATH"] == str(history.settings.env_dir / "path")


def test_a_release_is_measured_as_soon_as_it_has_a_wheel(history: History, night: str) -> None:
    build_wheel(history.wheels, "stand-in", "4.0", {"stand_in.py": "VERSION = 4.0\n"})
    printed = history.run("v4")
    assert "cannot be measured" not in printed
    assert history.values()["v4"] == 4.0
    assert history.commits["v4"] not in failures(history.settings)


def test_the_first_commit_need_not_be_one_that_can_be_installed(history: History, night: str) -> None:
    """Benchmarks are discovered with whatever can be."""
    assert "Failed: trying different commit/environment" in night
    printed = history.run("v3", code=1)
    assert "Last error: " in printed
    assert "Failed to build the project and import the benchmark suite" in printed


def test_asv_goes_over_its_budget_for_no_more_than_one(history: History, night: str) -> None:
    stacks = history.settings.env_dir / "stacks"
    before = history.conf.read_text()
    build_wheel(history.wheels, "torch", "2.6.0", {"torch.py": "VERSION = '2.6.0'\n"})
    extra = {"releases": {"v1.0": ["torch==2.6.0", "stand-in==1.0"]}, "disk_gib": 1e-6}
    conf = json.loads(before)
    history.conf.write_text(json.dumps({**conf, "perfsuite": {**conf["perfsuite"], **extra}}))
    try:
        history.run("v1")
    finally:
        history.conf.write_text(before)
    assert history.seen("v1")["torch"] == "2.6.0"
    assert [path.name for path in stacks.iterdir() if path.is_dir()] == [Path(history.seen("v1")["child"].strip()).name]


def test_asv_checks_the_benchmarks_with_a_release_in_place_of_the_branch(history: History, night: str) -> None:
    """Of its own accord asv checks with the branch's last commit only, which is rarely a release."""
    assert "cannot be measured: nothing to install" in history.asv("check", code=1)
    (history.folder / "check.json").write_text(json.dumps(derived(history.settings, branches=["v2.0"])))
    assert "No problems found" in history.asv("check", conf="check.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"perfsuite": {"import": ["x"]}}, "asv.conf.json: perfsuite: unknown key 'import'; did you mean 'imports'?"),
        ({"perfsuite": None}, 'asv.conf.json: it has no object "perfsuite"'),
    ],
)
def test_a_wrong_configuration_is_one_line(history: History, change: Mapping[str, Any], said: str) -> None:
    before = history.conf.read_text()
    history.conf.write_text(json.dumps({**json.loads(before), **change}))
    try:
        printed = history.run("v1", code=1)
    finally:
        history.conf.write_text(before)
    assert said in printed
    assert "Traceback" not in printed


def test_an_environment_that_cannot_be_removed_keeps_no_commit_from_being_measured(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(*_: object) -> None:
        raise InstallError("/old cannot be removed: Permission denied")

    monkeypatch.setattr(asv_plugin, "prune", refuses)
    asv_plugin.StackEnvironment._prune(SimpleNamespace(_settings=None), Stack((), (), "release"))
    assert caplog.messages == ["/old cannot be removed: Permission denied"]


# --- without asv ------------------------------------------------------------------------------------


def test_the_folder_of_links_is_mended(tmp_path: Path) -> None:
    settings = read_settings(write_conf(tmp_path / "conf", "repo"))
    folder = link_packages(settings)
    assert (folder / "perfsuite").resolve() == ROOT / "perfsuite"
    # Without benchmarks beside the configuration those of this package count.
    assert (folder / "benchmarks").resolve() == ROOT / "benchmarks"
    (folder / "perfsuite").unlink()
    (folder / "perfsuite").symlink_to(tmp_path)
    (folder / "leftover").symlink_to(tmp_path)
    assert link_packages(settings) == folder
    assert (folder / "perfsuite").resolve() == ROOT / "perfsuite"
    assert {path.name for path in folder.iterdir()} <= {"perfsuite", "benchmarks", "kernels"}


def test_the_callers_variables_stay_but_for_those_of_another_interpreter(tmp_path: Path) -> None:
    settings = read_settings(write_conf(tmp_path / "conf", "repo"))
    inherited = {"PYTHONPATH": "/mine", "PYTHONHOME": "/mine", "ASV_PYTHONPATH": "/mine", "OMP_NUM_THREADS": "2"}
    found = benchmark_variables(settings, tmp_path / "venv/bin/python", {**inherited, "PATH": "/bin"})
    assert found["OMP_NUM_THREADS"] == "2"
    assert "PYTHONHOME" not in found
    assert found["PYTHONPATH"] == found["ASV_PYTHONPATH"] == str(settings.env_dir / "path")
    assert found["PATH"] == f"{tmp_path}/venv/bin:/bin"
    assert found["PERFSUITE_HISTORY_WORKLOADS"] == ""
