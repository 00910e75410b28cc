"""What the command does with a result, whatever it is."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from perfsuite.cli import main
from perfsuite.errors import FAULT, RenderError
from perfsuite.gate import session
from perfsuite.gate.model import GateResult, Policy
from perfsuite.gate.settings import GateSettings
from perfsuite.store.ceilings import save_ceilings
from tests import gate_results as made
from tests.page import Page
from tests.test_roofline import CEILINGS

ROOT = Path(__file__).parent.parent
#: The command in a process of its own, whose sides have run already: it says so, and waits for its input to close.
WAITING = """
import sys
from perfsuite.cli import main
from perfsuite.gate import session
from tests import gate_results as made

def compare_sides(base, head, cwd, options, progress, directory):
    progress("before")
    print("running", flush=True)
    sys.stdin.read()
    progress("after")
    return made.a_gate(made.regressed()), 1

session.compare_sides = compare_sides
main()
"""


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
    assert done.stderr == "perfsuite: error: --markdown and --json name the same file, out: give each its own\n"
    assert (tmp_path / "out").read_text() == "before"


def test_a_file_that_cannot_be_written_costs_no_other(
    gated: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(result: GateResult, **_: object) -> str:
        raise RenderError("it cannot be drawn")

    monkeypatch.setattr("perfsuite.present.gate.report.render_gate_report", full)
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


@pytest.mark.parametrize(("option", "beginning"), [("json", "{"), ("markdown", "<!-- "), ("junit", "<?xml")])
def test_one_output_can_go_down_a_pipe(
    gated: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, beginning: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = gated(made.a_gate(made.regressed()), f"--{option}", "-")
    assert done.exit_code == 1
    assert done.stdout.startswith(beginning)
    assert "exit code 1" in done.stderr
    assert list(tmp_path.iterdir()) == []
    if option == "json":
        assert json.loads(done.stdout)["verdict"] == "regressed"


def test_two_outputs_cannot(gated: Callable[..., Result]) -> None:
    done = gated(made.a_gate(made.regressed()), "--json", "-", "--junit", "-")
    assert done.exit_code == 2
    assert done.stderr == "perfsuite: error: --junit and --json both go to standard output: give one a file\n"


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


# --- the ceilings of the report ---------------------------------------------------------------------


def test_the_report_says_why_it_has_no_ceilings(gated: Callable[..., Result], tmp_path: Path) -> None:
    done = gated(made.a_gate(made.regressed()), "--report", tmp_path / "page.html", "--dir", tmp_path / "runs")
    assert done.exit_code == 1
    said = "There are no ceilings of this machine: measure them on the machine of the run with: perfsuite machine"
    assert said in Page((tmp_path / "page.html").read_text()).text


def test_the_report_has_the_ceilings_of_the_folder_of_the_runs(
    gated: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(
        "perfsuite.present.gate.report.render_gate_report", lambda result, **named: asked.append(named) or "page"
    )
    save_ceilings(tmp_path / "runs", CEILINGS)

    def page(**sides: object) -> dict[str, object]:
        result = made.a_gate(made.regressed(), **sides)
        assert gated(result, "--report", tmp_path / "page.html", "--dir", tmp_path / "runs").exit_code == 1
        return asked.pop()

    assert page() == {"ceilings": CEILINGS, "no_ceilings": None}
    # Where head did not come so far, base is asked; those of another number of threads are not its own.
    base = replace(made.BASE, environment=replace(CEILINGS.environment, torch_threads=1))
    found = page(base=base, head=replace(made.HEAD, environment=None))
    assert found["ceilings"] is None
    assert "are of another machine" in str(found["no_ceilings"])


def test_without_any_environment_there_is_nothing_to_say_of_ceilings(
    gated: Callable[..., Result], tmp_path: Path
) -> None:
    nothing = {"base": replace(made.BASE, environment=None), "head": replace(made.HEAD, environment=None)}
    assert gated(made.a_gate(made.missing(), **nothing), "--report", tmp_path / "page.html").exit_code == 4
    assert "ceilings" not in Page((tmp_path / "page.html").read_text()).text


# --- nobody reads, somebody interrupts --------------------------------------------------------------


def started(*arguments: object, stdout: int, stderr: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WAITING, "gate", "--base", ".", *map(str, arguments)]
    # Buffered as it is for users: text that waits in a buffer is what can fail when the interpreter ends.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, text=True
    )


@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
def test_a_reader_that_died_does_not_let_a_regression_pass(tmp_path: Path, both: bool) -> None:
    """`perfsuite gate | tee log` with a tee that is gone."""
    reader, writer = os.pipe()
    process = started("--markdown", tmp_path / "out", stdout=writer, stderr=writer if both else subprocess.PIPE)
    os.close(writer)
    assert os.read(reader, 100) == b"running\n"
    os.close(reader)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert "regressed" in (tmp_path / "out").read_text()


def test_a_terminal_that_is_closed_costs_no_file(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = started("--markdown", tmp_path / "out", stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    assert b"before" in os.read(ours, 1000)
    os.close(ours)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "exit code 1" in said
    assert "regressed" in (tmp_path / "out").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_after_the_sides_ran_costs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def ran(*_: object) -> tuple[GateResult, int]:
        signal.raise_signal(number)
        return made.a_gate(made.regressed()), 1

    monkeypatch.setattr(session, "compare_sides", ran)
    files = [word for name in ("json", "junit") for word in (f"--{name}", str(tmp_path / name))]
    before = signal.signal(number, signal.default_int_handler)  # whatever pytest was started with
    try:
        done = CliRunner().invoke(main, ["gate", "--base", "git:main", *files])
    finally:
        signal.signal(number, before)
    assert done.exit_code == 130
    assert json.loads((tmp_path / "json").read_text())["verdict"] == "regressed"
    assert "<failure" in (tmp_path / "junit").read_text()
    assert "regressed" in done.stdout


# --- options ----------------------------------------------------------------------------------------


def test_fewer_pairs_than_any_verdict_needs_are_refused(gated: Callable[..., Result]) -> None:
    least = Policy().min_pairs
    assert gated(made.a_gate(made.unchanged()), "--max-pairs", least).exit_code == 0
    done = gated(made.a_gate(made.unchanged()), "--max-pairs", least - 1)
    assert done.exit_code == 2
    assert f"--max-pairs': {least - 1} is less than the {least} pairs that a verdict needs" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_help_says_where_a_default_comes_from_and_which_it_is() -> None:
    helps = {one.name: str(one.help) for one in main.commands["gate"].params if isinstance(one, click.Option)}
    defaults = GateSettings()
    for name, default in (
        ("threshold", f"{defaults.threshold * 100:g}"),
        ("max_pairs", defaults.max_pairs),
        ("inconclusive", defaults.inconclusive),
        ("allocator", defaults.allocator),
        ("timeout", f"{defaults.timeout:g}"),
    ):
        assert helps[name].endswith(f"default: the project's, or {default}."), name
    assert f"default: the project's, or {Policy().seconds:g}, or more if a calibration asks for it." in helps["budget"]
    assert "default: the project's, or OMP_NUM_THREADS, or one per physical core." in helps["threads"]


# --- what nobody expected -----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("how\ncome"), MemoryError(), OSError(5, "Input/output error")], ids=repr)
def test_a_fault_of_perfsuite_is_no_verdict(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails(*_: object) -> tuple[GateResult, int]:
        raise error

    monkeypatch.setattr(session, "compare_sides", fails)
    done = CliRunner().invoke(main, ["gate", "--base", "git:main"])
    assert done.exit_code == FAULT
    assert done.stdout == ""
    *traceback, last = done.stderr.splitlines()
    assert traceback[0] == "Traceback (most recent call last):"
    assert "in fails" in done.stderr
    assert last.startswith(f"perfsuite: this is a fault of perfsuite: {type(error).__name__}")
    assert last.endswith("; please report it")


def test_no_verdict_has_its_code() -> None:
    every = [made.a_gate(one) for one in (made.regressed(), made.missing(), made.incomparable(), made.inconclusive())]
    codes = {one.exit_code() for one in (*every, made.every_kind(), made.identical(), made.interrupted())}
    assert FAULT not in {*codes, *range(5)}


@pytest.mark.parametrize("command", [["gate", "--base", "."], ["calibrate"]], ids=lambda command: command[0])
def test_a_folder_that_does_not_exist_any_more_is_one_line(tmp_path: Path, command: list[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from perfsuite.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == ("perfsuite: error: the folder you are in does not exist any more: change to one that does\n")
