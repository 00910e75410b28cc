"""What the whole is for: a release that became slower is told, with its operator, and nothing else is.

Real git, pip and asv, a fresh clone, wheels of a few bytes, and the judge, the explanations and the site as they are;
only what a process measures is made up, from what the installed release says of itself.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perfsuite.cli import main
from perfsuite.store import list_runs
from tests import page as pages
from tests.history_repository import Project, build_wheel, installed_wheel, write_conf

#: How long a convolution of the third layer takes: 1.5 times makes the step a tenth slower.
RELEASES = {"v1.0.0": 1.0, "v1.1.0": 1.0, "v1.2.0": 1.5, "v1.3.0": 1.5}
MENDED = "v1.4.0"
BENCHMARKS = """
import os
import random
from pathlib import Path


class Steps:
    version = "1"

    def setup_cache(self):
        import stand_in

        from benchmarks.reach import made_history as made
        from perfsuite.history.values import values_of
        from perfsuite.store import create_run

        folder = Path(os.environ["PERFSUITE_HISTORY_RUNS"], os.environ["ASV_COMMIT"])
        draw = random.Random(f"{stand_in.VERSION} {len(list(folder.glob('*')))}")
        plants = [made.Plant(0, factor=stand_in.FACTOR)] if stand_in.FACTOR != 1 else []
        rows = made._rows("resnet18", 10, random.Random(1))
        profile = made._process("resnet18", rows, plants, draw.gauss(1, 0.004), 0.004, draw)
        with create_run(folder, made._environment(0, None)) as run:
            run.write(profile)
            run.finish()
        return values_of(profile)

    def track_step(self, measured, workload):
        return {"samples": measured["step"][""], "number": 1}

    def track_operator(self, measured, workload, operator):
        return {"samples": measured["operator"][operator], "number": 1}

    track_step.unit = track_operator.unit = "ms"
    track_step.params, track_step.param_names = [["resnet18"]], ["workload"]
    track_operator.params = [["resnet18"], ["convolution", "convolution_backward"]]
    track_operator.param_names = ["workload", "operator"]
"""


class Scene:
    """The project, its wheels, a clone of it, and a configuration that knows only where the project was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = Project(folder / "project")
        self.hashes: dict[str, str] = {}
        self.config = write_conf(
            folder / "here", "https://nowhere.invalid/stand-in.git", requirements=["stand-in=={version}"],
            dependency_file=None, wheelhouse=str(folder / "wheels"), workloads=["resnet18"],
        )  # fmt: skip
        benchmarks = folder / "here" / "benchmarks" / "history"
        benchmarks.mkdir(parents=True)
        (benchmarks / "__init__.py").write_text("")
        (benchmarks / "steps.py").write_text(BENCHMARKS)
        installed_wheel(folder / "wheels", "asv_runner")

    def release(self, tag: str, factor: float) -> None:
        text = f"VERSION, FACTOR = {tag[1:]!r}, {factor}\n"
        build_wheel(self.folder / "wheels", "stand-in", tag[1:], {"stand_in/__init__.py": text})
        self.project.commit()
        self.hashes[tag] = self.project.commit(tag)

    def clone(self, name: str) -> Path:
        path = self.folder / name
        subprocess.run(["git", "clone", "-q", str(self.project.path), str(path)], check=True)
        return path

    def run(self, command: str, *arguments: object) -> Result:
        line = ["history", command, "--config", str(self.config), "--machine", "mill", *map(str, arguments)]
        return CliRunner().invoke(main, line)

    def operators(self) -> pages.Page:
        path = self.config.parent / ".asv" / "html" / "operators" / "index.html"
        return pages.Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "home").mkdir()
    return Scene(tmp_path)


def test_a_release_that_became_slower_is_told_with_its_operator(scene: Scene) -> None:
    for tag, factor in RELEASES.items():
        scene.release(tag, factor)
    clone = scene.clone("clone")
    done = scene.run("nightly", "--free-gib", 0, "--repo", clone)
    assert done.exit_code == 1, done.output
    told = re.search(r"^new: regression (.*): steps\.Steps\.track_step\(resnet18\) \+(\d+\.\d)%", done.stdout, re.M)
    assert told is not None, done.stdout
    assert told[1] == "v1.1.0 → v1.2.0"
    assert float(told[2]) == pytest.approx(10, abs=1.5)
    assert done.stdout.count("new: ") == 1, "and nothing else"
    (finding,) = scene.operators().all("article", "finding")
    assert "v1.1.0 → v1.2.0 regression" in finding.text
    assert "track_operator(resnet18, convolution_backward)" in finding.text
    assert "track_operator(resnet18, convolution)" not in finding.text
    (because,) = scene.operators().all("p", "because")
    assert "from convolution_backward at ResNet.layer3.0.conv1: implementation of convolution" in because.text
    assert "jit:avx512_core → ref:any" in because.text
    # It has been told, and is judged alike without a night.
    done = scene.run("check", "--repo", clone)
    assert done.exit_code == 0
    assert done.stdout.startswith("regression v1.1.0 → v1.2.0: steps.Steps.track_step(resnet18) +")

    # A release mends it: its neighbour is measured again with it, and the regression stays in the record.
    scene.release(MENDED, 1.0)
    done = scene.run("nightly", "--free-gib", 0, "--repo", scene.clone("later"))
    assert done.exit_code == 0, done.output
    assert f"measured: {MENDED}\n" in done.stdout
    mended, regression = scene.operators().all("article", "finding")
    assert f"v1.3.0 → {MENDED} improvement" in mended.text
    assert f"undone at {MENDED}" in regression.text
    runs = scene.config.parent / ".asv" / "runs"
    assert {tag: len(list_runs(runs / one)) for tag, one in scene.hashes.items()} == {
        "v1.0.0": 3, "v1.1.0": 3, "v1.2.0": 3, "v1.3.0": 6, "v1.4.0": 3,
    }  # fmt: skip
