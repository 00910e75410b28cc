"""What the command does with a result, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perfsuite.cli import main
from perfsuite.errors import RenderError
from perfsuite.gate import session
from perfsuite.gate.model import GateResult
from tests import gate_results as made


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command on a result that is there already."""

    def called(result: GateResult, *arguments: object) -> Result:
        monkeypatch.setattr(session, "compare_sides", lambda *_: (result, result.exit_code()))
        return CliRunner().invoke(main, ["gate", "--base", "git:main", *map(str, arguments)])

    return called


@pytest.mark.parametrize("other", ["out", "./out", "sub/../out", "link"])
def test_two_outputs_in_one_file_are_refused(
    gated: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("out")
    (tmp_path / "out").write_text("before")
    done = gated(made.every_kind(), "--json", "out", "--markdown", other)
    assert done.exit_code == 2
    assert (
        done.stderr == f"perfsuite: error: --json and --markdown name the same file, {Path(other)}: give each its own\n"
    )
    assert (tmp_path / "out").read_text() == "before"


def test_a_file_that_cannot_be_written_costs_no_other(
    gated: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(result: GateResult) -> str:
        raise RenderError("it cannot be drawn")

    monkeypatch.setattr("perfsuite.cli.gate._as_page", full)
    files = {name: tmp_path / name for name in ("json", "markdown", "junit", "report")}
    options = [word for name, path in files.items() for word in (f"--{name}", path)]
    done = gated(made.a_gate(made.regressed()), *options)
    assert done.exit_code == 2
    assert done.stderr == f"perfsuite: error: --report {files['report']}: it cannot be drawn\n"
    assert done.stdout.rstrip().endswith("regressed, exit code 2: a file that was asked for could not be written")
    assert not files["report"].exists()
    assert json.loads(files["json"].read_text())["exit_code"] == 2
    assert "regressed" in files["markdown"].read_text()
    assert "<failure" in files["junit"].read_text()


def test_a_folder_that_went_away_meanwhile(
    gated: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    path = tmp_path / "gone" / "out.json"

    def ran(*_: object) -> tuple[GateResult, int]:
        path.parent.rmdir()
        return made.a_gate(made.unchanged()), 0

    monkeypatch.setattr(session, "compare_sides", ran)
    arguments = ["gate", "--base", "git:main", "--json", str(path), "--markdown", str(tmp_path / "out.md")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert str(path) in done.stderr
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "out.md").exists()
    assert "unchanged, exit code 2" in done.stdout


def test_without_trouble_the_code_is_the_verdicts(gated: Callable[..., Result], tmp_path: Path) -> None:
    done = gated(made.interrupted(), "--json", tmp_path / "out")
    assert done.exit_code == json.loads((tmp_path / "out").read_text())["exit_code"] == 130
    assert gated(made.a_gate(made.regressed())).exit_code == 1
    assert gated(made.a_gate(made.unchanged())).exit_code == 0
