"""`perfsuite history` from end to end: real asv, real git, real pip, and wheels of a few bytes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from perfsuite.cli import history_parts, main
from perfsuite.history import measuring
from perfsuite.history.importer import Import
from perfsuite.history.lock import alone
from perfsuite.history.model import Change, Commit, Finding, Series
from perfsuite.history.nightly import default_state
from perfsuite.history.settings import read_settings
from perfsuite.history.state import State
from tests.history_repository import Project, build_wheel, installed_wheel, write_conf

ROOT = Path(__file__).parent.parent
#: Of the stand-in's releases: how long its step takes, None for one that cannot be imported.
LEVELS = {"v1.0.0": 10.0, "v1.1.0": 10.0, "v1.2.0": None, "v1.3.0": 11.0, "v1.4.0": 11.0}
BENCHMARKS = """
import os, time


class Steps:
    version = "1"
    params = (["lstm"],)
    param_names = ("workload",)

    def track_step(self, workload):
        import stand_in

        wait = os.environ.get("STAND_IN_WAIT")
        if wait:
            open(wait, "a").write(f"{os.getpid()}\\n")
            time.sleep(600)
        return {"samples": [stand_in.LEVEL, stand_in.LEVEL + 0.1, stand_in.LEVEL + 0.2], "number": 1}

    track_step.unit = "ms"
"""


@dataclass
class Scene:
    """A project with releases and wheels, and a configuration."""

    folder: Path
    project: Project
    hashes: dict[str, str]

    @property
    def config(self) -> Path:
        return self.folder / "asv.conf.json"

    @property
    def results(self) -> Path:
        return self.folder / ".asv" / "results" / "mill"

    def run(self, command: str, *arguments: object) -> Result:
        line = ["history", command, "--config", str(self.config), *map(str, arguments)]
        return CliRunner().invoke(main, line)

    def nightly(self, *arguments: object) -> Result:
        return self.run("nightly", "--machine", "mill", "--free-gib", "0", *arguments)

    def samples(self) -> dict[str, int]:
        label = {one[:8]: tag for tag, one in self.hashes.items()}
        found = {}
        for path in sorted(self.results.glob("*-*.json")):
            document = json.loads(path.read_text())
            row = dict(zip(document["result_columns"], document["results"]["steps.Steps.track_step"], strict=False))
            found[label[path.name[:8]]] = len(row["samples"][0])
        return found


def judged(place: Any, series: Sequence[Series]) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Each step of more than 5 % between neighbours."""
    found = []
    for one in series:
        for before, after in zip(one.points, one.points[1:], strict=False):
            ratio = after.value / before.value
            if not 0.95 < ratio < 1.05:
                change = Change(one.benchmark, before.commit, after.commit, ratio, (ratio, ratio), 0.95, (1, 1))
                found.append(Finding(before.commit, after.commit, (change,)))
    return tuple(found), ()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str], Path]:
    """The project, its releases, and a folder with its wheels, and with the environments that tests make of them."""
    folder = tmp_path_factory.mktemp("shared")
    project, hashes = Project(folder / "project"), {}
    for tag, level in LEVELS.items():
        text = f"LEVEL = {level}\n" if level is not None else "raise ImportError('libmissing.so: no such file')\n"
        build_wheel(folder / "wheels", "stand-in", tag[1:], {"stand_in/__init__.py": text})
        project.commit()
        hashes[tag] = project.commit(tag)
    installed_wheel(folder / "wheels", "asv_runner")
    return project, hashes, folder


@pytest.fixture
def scene(shared: tuple[Project, dict[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    project, hashes, folder = shared
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "home").mkdir()
    benchmarks = tmp_path / "here" / "benchmarks" / "history"
    benchmarks.mkdir(parents=True)
    (benchmarks / "__init__.py").write_text("")
    (benchmarks / "steps.py").write_text(BENCHMARKS)
    write_conf(
        tmp_path / "here", project.path, requirements=["stand-in=={version}"], dependency_file=None,
        wheelhouse=str(folder / "wheels"), workloads=["lstm"], top={"env_dir": str(folder / "env")},
    )  # fmt: skip
    monkeypatch.setattr(history_parts, "judged", judged)
    return Scene(tmp_path / "here", project, hashes)


def test_a_night_and_the_next(scene: Scene, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = scene.nightly("--rounds", 2, "--summary", summary)
    assert done.exit_code == 1, done.output
    assert "measured: v1.4.0, v1.3.0, v1.1.0, v1.0.0\n" in done.stdout
    assert re.search(
        r"not measured: v1\.2\.0: stand_in is installed, but cannot be imported: .*libmissing", done.stdout
    )
    assert "new: regression v1.1.0 → v1.3.0: steps.Steps.track_step(lstm) +9.9%" in done.stdout
    assert "1 new regression" in summary.read_text()
    assert scene.samples() == {"v1.0.0": 6, "v1.1.0": 6, "v1.3.0": 6, "v1.4.0": 6}
    index = json.loads((scene.folder / ".asv" / "html" / "index.json").read_text())
    assert list(index["machines"]) == ["mill"]
    assert len(index["graph_param_list"]) == 1  # all commits in one line
    assert index["params"]["ram"] == [""]
    # The next night: nothing but the commit that failed, which is tried again.
    done = scene.nightly("--rounds", 2)
    assert done.exit_code == 4
    assert "measured: " not in done.stdout.replace("not measured: ", "")
    assert "1 finding of nights before" in done.stdout
    assert scene.samples() == {"v1.0.0": 6, "v1.1.0": 6, "v1.3.0": 6, "v1.4.0": 6}
    # And it is judged without a night.
    done = scene.run("check", "--machine", "mill")
    assert (done.exit_code, done.stdout) == (
        0,
        "regression v1.1.0 → v1.3.0: steps.Steps.track_step(lstm) +9.9% (+9.9 to +9.9)\n",
    )
    State(default_state(read_settings(scene.config), "mill")).remember(())
    done = scene.run("check", "--machine", "mill")
    assert done.exit_code == 1
    assert done.stdout.startswith("new: regression")


def test_a_night_that_is_killed_leaves_no_process_and_is_gone_on_with(scene: Scene, tmp_path: Path) -> None:
    """SIGKILL in the middle of a benchmark: the next night ends what is left, and measures what is missing."""
    waits = tmp_path / "waits"
    command = [sys.executable, "-m", "perfsuite.cli", "history", "nightly", "--config", str(scene.config)]
    night = subprocess.Popen(
        [*command, "--machine", "mill", "--free-gib", "0", "--newest", "2"],
        cwd=ROOT,
        env={**os.environ, "STAND_IN_WAIT": str(waits)},
    )
    until = time.monotonic() + 60
    while not waits.exists():
        assert night.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    busy = scene.nightly()
    assert busy.exit_code == 2
    assert f"another night is running: process {night.pid} on " in busy.stderr
    assert busy.stderr.count("\n") == 1
    night.send_signal(signal.SIGKILL)
    night.wait()
    done = scene.nightly("--newest", "2", "--rounds", "2")
    assert done.exit_code == 0, done.output
    assert "measured: v1.4.0, v1.3.0\n" in done.stdout
    assert scene.samples() == {"v1.3.0": 6, "v1.4.0": 6}
    for pid in waits.read_text().split():
        assert not Path(f"/proc/{pid}").exists()


def test_ctrl_c_ends_asv_and_its_benchmarks(scene: Scene, tmp_path: Path) -> None:
    waits = tmp_path / "waits"
    command = [sys.executable, "-m", "perfsuite.cli", "history", "nightly", "--config", str(scene.config)]
    night = subprocess.Popen(
        [*command, "--machine", "mill", "--free-gib", "0", "--newest", "1"],
        cwd=ROOT,
        env={**os.environ, "STAND_IN_WAIT": str(waits)},
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 60
    while not waits.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    night.send_signal(signal.SIGINT)
    _, said = night.communicate(timeout=60)
    assert night.returncode == 130
    assert said == b"perfsuite: stopped; what was measured is kept, and the next night goes on\n"
    for pid in waits.read_text().split():
        assert not Path(f"/proc/{pid}").exists()


def test_a_clone_in_place_of_the_configured_repository(scene: Scene, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(scene.project.path), str(clone)], check=True)
    conf = json.loads(scene.config.read_text())
    conf["repo"] = "https://nowhere.invalid/stand-in.git"
    scene.config.write_text(json.dumps(conf))
    done = scene.nightly("--rounds", 1, "--newest", 1, "--repo", clone, "--no-publish")
    assert done.exit_code == 0, done.output
    assert scene.samples() == {"v1.4.0": 3}
    derived = json.loads((scene.folder / ".asv" / "nightly" / "mill" / "asv.conf.json").read_text())
    assert derived["repo"] == str(clone)
    assert not (scene.folder / ".asv" / "html").exists()
    # Without it there is no network to clone by, in one line.
    done = scene.nightly("--rounds", 1)
    assert done.exit_code == 2
    assert "cannot be cloned" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--machine", "a/b"], "--machine 'a/b': use letters"),
        (["--config", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--rounds", "0"], "--rounds"),
        (["--free-gib", "nan"], "nan is no number to work with"),
    ],
)
def test_bad_input_is_one_line(scene: Scene, arguments: list[str], said: str) -> None:
    done = scene.run("nightly", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


# --- bisect -----------------------------------------------------------------------------------------


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Measures by the wheel itself, in the environment of the commit, without training anything."""
    found: list[str] = []

    def fake(settings: Any, stacks: Any, target: Any) -> Any:
        from perfsuite.history.installer import install

        def measure(commit: Commit) -> float:
            python = install(stacks[commit.hash], settings)
            code = "import stand_in, random; print(stand_in.LEVEL * (1 + random.uniform(0, 0.004)))"
            found.append(commit.label)
            return float(subprocess.run([python, "-c", code], check=True, capture_output=True).stdout)

        return measure

    monkeypatch.setattr(measuring, "measuring", fake)
    return found


def test_the_first_bad_release_is_found(scene: Scene, measured: list[str]) -> None:
    done = scene.run("bisect", "lstm", "--machine", "mill", "--good", "v1.0.0", "--bad", "v1.4.0")
    assert done.exit_code == 3, done.output  # v1.2.0 cannot be measured
    assert "v1.2.0: not measured: stand_in is installed, but cannot be imported" in done.stderr
    assert "the first bad commit is one of these 2, oldest first:" in done.stdout
    assert f"v1.2.0 ({scene.hashes['v1.2.0'][:8]})" in done.stdout
    assert "2 commits after v1.1.0 cannot be measured, and may be it" in done.stdout
    conf = json.loads(scene.config.read_text())
    conf["perfsuite"]["releases"] = {"v1.2.0": None}
    scene.config.write_text(json.dumps(conf))
    done = scene.run("bisect", "lstm", "--machine", "mill", "--good", "v1.0.0", "--bad", "v1.4.0")
    assert done.exit_code == 0, done.output
    assert f"first bad commit: v1.3.0 ({scene.hashes['v1.3.0'][:8]})" in done.stdout
    assert re.search(r"^step of lstm: v1\.4\.0 against v1\.0\.0: \+(9|10)\.\d% \(", done.stdout)
    assert set(measured) == {"v1.0.0", "v1.1.0", "v1.3.0", "v1.4.0"}


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (("v1.4.0", "v1.0.0"), "--good v1.4.0 is not before --bad v1.0.0 on main"),
        (("nothing", "v1.0.0"), "has no commit 'nothing'"),
        (("main~1", "v1.4.0"), "cannot be measured: nothing to install"),
    ],
)
def test_ends_that_are_none(scene: Scene, ends: tuple[str, str], said: str) -> None:
    done = scene.run("bisect", "lstm", "--good", ends[0], "--bad", ends[1])
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt", "the history measures no 'gpt', but lstm, sigmoid_focal_loss"),
        ("phase(lstm, sideways)", "a step has no phase 'sideways', but forward, loss, backward, optimizer"),
    ],
)
def test_what_the_history_does_not_measure_is_known_before_anything_is_installed(
    scene: Scene, measured: list[str], name: str, said: str
) -> None:
    done = scene.run("bisect", name, "--good", "v1.0.0", "--bad", "v1.4.0")
    assert done.exit_code == 2
    assert done.stderr == f"perfsuite: error: {said}\n"
    assert measured == []


# --- import and plot --------------------------------------------------------------------------------


def test_what_becomes_of_imported_runs_is_said(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    for name in ("20250101T000000Z-aaaa", "20250102T000000Z-bbbb"):
        (runs / name).mkdir(parents=True)
    commit = Commit("a" * 40, 1, "2025-01-01T00:00:00Z", ("v1.0.0",))

    def imported(paths: Sequence[Path], *_: object, machine: str) -> tuple[Import, ...]:
        assert machine == "mill"
        first, second = (path.name for path in paths)
        return Import(first, commit, ("lstm",), 7, notes=("a doubt",)), Import(second, problem="of no commit")

    monkeypatch.setattr("perfsuite.history.importer.import_runs", imported)
    arguments = ("--machine", "mill", "--dir", runs, "20250101", "20250102")
    done = scene.run("import", *arguments)
    assert done.exit_code == 2
    assert done.stdout == "20250101T000000Z-aaaa: v1.0.0: 7 values of lstm\n    note: a doubt\n"
    assert done.stderr == "perfsuite: error: 20250102T000000Z-bbbb: of no commit\n"
    # One that is not there keeps no other out, either.
    done = scene.run("import", *arguments, "19990101")
    assert done.exit_code == 2
    assert "7 values of lstm" in done.stdout
    assert "19990101" in done.stderr
    with alone(State(default_state(read_settings(scene.config), "mill")).lock, "night"):
        assert "another night is running" in scene.run("import", *arguments).stderr


def test_a_line_is_drawn(scene: Scene, tmp_path: Path) -> None:
    assert scene.nightly("--rounds", 1, "--newest", 4, "--no-publish").exit_code == 1
    done = scene.run("plot", "lstm", "-o", tmp_path / "line.svg")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{tmp_path / 'line.svg'}: step of lstm\n"
    assert "v1.3.0" in (tmp_path / "line.svg").read_text()
    done = scene.run("plot", "retinanet", "-o", tmp_path / "no.svg")
    assert done.exit_code == 2
    assert "step of retinanet was never measured" in done.stderr
    done = scene.run("plot", "lstm", "--operators", "-o", tmp_path / "no.svg")
    assert "no operators of lstm were ever measured" in done.stderr
    done = scene.run("plot", "phase(lstm, forward)", "--operators", "-o", tmp_path / "no.svg")
    assert "--operators are those of a workload" in done.stderr
