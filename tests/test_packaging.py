"""What a user gets from the wheel, in a project that is not ours."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from perfsuite.present.history.assets import COPIES, copies

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    (found,) = folder.glob("perfsuite-*.whl")
    return found


def files_of(page: str) -> set[Path]:
    """What a page is made of beside code: style sheets, scripts, templates, copies of libraries with their licences."""
    folder = ROOT / "perfsuite" / "present" / page
    return {p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}


def test_the_wheel_holds_the_package_its_types_and_its_plugin_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = [n for n in names if n.endswith("entry_points.txt")]
        text = archive.read(entry_points).decode()
    assert "perfsuite/py.typed" in names
    assert {n.split("/")[0].split("-")[0] for n in names} == {"perfsuite"}
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "perfsuite").rglob("*.py")}
    pages = {kind: files_of(kind) for kind in ("report", "history")}
    assert all({".css", ".js", ".j2"} <= {p.suffix for p in found} for found in pages.values())
    assert {p.name for p in pages["history"]} >= {*COPIES.values(), "jquery.LICENSE.txt", "history.css", "asv.js"}
    assert modules | {str(p.relative_to(ROOT)) for found in pages.values() for p in found} <= set(names)
    assert "[pytest11]\nperfsuite = perfsuite.pytest_plugin" in text
    assert "perfsuite = perfsuite.cli:main" in text
    assert any(n.endswith("LICENSE") for n in names)


def test_a_project_elsewhere_that_installs_the_wheel_can_use_it(wheel, tmp_path):
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_mine.py").write_text(
        "import perfsuite, torch\n"
        "def test_step(profiled):\n"
        f"    assert perfsuite.__file__.startswith({str(site)!r})\n"
        "    model = torch.nn.Linear(4, 2)\n"
        "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "    batch = (torch.ones(3, 4), torch.zeros(3, 2))\n"
        "    profiled.step(model, optimizer, torch.nn.functional.mse_loss, batch)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "pytest", "--profile-dnn", "--benchmark-max-time=0.05"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    show = [sys.executable, "-m", "perfsuite.cli", "show", "--by", "phase"]
    shown = subprocess.run(show, cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert "backward" in shown.stdout
    report = [sys.executable, "-m", "perfsuite.cli", "report", "-o", "page.html"]
    subprocess.run(report, cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert "test_mine.py::test_step" in (project / "page.html").read_text(encoding="utf-8")
    # What asv's pages load is found there, too.
    code = "from perfsuite.present.history.assets import copies; print(*(name for name, _ in copies()))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [name for name, _ in copies()]
