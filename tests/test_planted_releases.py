"""The project with a planted regression: its commits, and that what is planted is in the step from one commit on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from benchmarks.releases import planted
from benchmarks.releases.stand_in import git
from perfsuite.history.commits import branch_commits
from perfsuite.history.model import Stack
from perfsuite.history.settings import read_settings
from perfsuite.history.wheels import stack_of

ROOT = Path(__file__).parents[1]
STEP = """
import smoothing_startup
import torch

from benchmarks.workloads.vision import import_torchvision

model = import_torchvision().models.resnet18(weights=None)
with torch.profiler.profile() as profile:
    model(torch.rand(2, 3, 64, 64))
print(sum(one.count for one in profile.key_averages() if one.key == "aten::erfinv"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("planted") / "here"
    assert planted.main([str(path)]) == 0
    return path


def test_its_commits_are_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    found = branch_commits(folder / "project", "main")
    assert [one.tags for one in found] == [() if tag is None else (tag,) for _, tag in planted.COMMITS]
    assert [one.hash for one in found] == planted.make_project(tmp_path / "again")


def test_every_commit_is_built_from_its_source(folder: Path) -> None:
    settings = read_settings(folder / "asv.conf.json")
    stacks = [stack_of(one, settings, settings.repo_path) for one in branch_commits(settings.repo_path, "main")]
    assert all(isinstance(one, Stack) and one.origin == "source" and one.build for one in stacks)
    assert settings.benchmark_dir == planted.HISTORY


@pytest.mark.parametrize(("commit", "count"), [(planted.CULPRIT - 1, 0), (planted.CULPRIT, 1)])
def test_the_operator_is_in_the_step_from_the_culprit_on(folder: Path, tmp_path: Path, commit: int, count: int) -> None:
    hashes = git(folder / "project", "rev-list", "--reverse", "main").split()
    git(tmp_path, "clone", "--quiet", str(folder / "project"), "clone")
    git(tmp_path / "clone", "checkout", "--quiet", hashes[commit])
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "clone"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", STEP], env=variables, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert int(done.stdout.split()[-1]) == count


def test_it_installs_what_python_reads_at_its_start(folder: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(folder / "project"), "clone")
    words = [sys.executable, "setup.py", "--quiet", "install_data", "--install-dir", str(tmp_path)]
    subprocess.run(words, cwd=tmp_path / "clone", check=True, capture_output=True)
    beside = os.path.relpath(sysconfig.get_path("purelib"), sys.prefix)
    assert (tmp_path / beside / "smoothing.pth").read_text() == "import smoothing_startup\n"


def test_a_folder_that_is_there_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((folder / "asv.conf.json").read_text())
    assert planted.main([str(folder)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert json.loads((folder / "asv.conf.json").read_text()) == before
