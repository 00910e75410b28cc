from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings

import perfsuite
from perfsuite import __version__, store
from perfsuite.cli import main
from perfsuite.errors import FAULT, UsageError
from perfsuite.present.as_json import show_json
from perfsuite.records import Profile, Run, Samples
from perfsuite.store import create_run, list_runs
from tests.samples import NAME, a_profile, an_environment, profiles

ROOT = Path(__file__).parent.parent
#: What the console script does.
COMMAND = [sys.executable, "-c", "from perfsuite.cli import main; main()"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    directory = tmp_path / ".perfsuite"
    record(directory)
    return directory


def record(directory: Path, *profiles: Profile, **named: str) -> Path:
    run = create_run(directory, an_environment(), **named)
    for profile in profiles or (a_profile(),):
        run.write(profile)
    run.finish()
    return run.path


def invoke(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def shell(*args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    # Buffered as it is for users: text that waits in a buffer is what can fail when the interpreter ends.
    variables = {key: value for key, value in options.pop("env", os.environ).items() if key != "PYTHONUNBUFFERED"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": variables, **options}
    return subprocess.run([*COMMAND, *map(str, args)], cwd=ROOT, text=True, check=False, timeout=60, **options)


def assert_one_line_error(result: Result, *parts: str) -> None:
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("perfsuite: error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


# --- show -------------------------------------------------------------------------------------------


def test_show_is_the_latest_run_by_default(runs: Path) -> None:
    newest = record(runs, Profile("the newest"))
    result = invoke("show", "--dir", runs)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"run {newest.name}\n")
    assert "the newest" in result.stdout
    assert invoke("show", "latest", "--dir", runs).stdout == result.stdout
    assert invoke("show", newest, "--dir", runs / "elsewhere").stdout == result.stdout


def test_show_tables_at_80_columns_without_escape_codes(runs: Path) -> None:
    text = invoke("show", "--dir", runs).stdout
    assert f"\n{NAME}\n" in text
    assert "aten::convolution_backward" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("by", "there", "absent"),
    [
        ("operator", "aten::add_", "BWD_W"),
        ("primitive", "BWD_W", "aten::"),
        ("module", "net.conv1", "aten::"),
        ("phase", "optimizer", "aten::"),
    ],
)
def test_show_by(runs: Path, by: str, there: str, absent: str) -> None:
    text = invoke("show", "--by", by, "--dir", runs).stdout
    assert there in text
    assert absent not in text


def test_show_top(runs: Path) -> None:
    assert "aten::add_" not in invoke("show", "--top", "2", "--dir", runs).stdout
    assert "aten::add_" in invoke("show", "--top", "3", "--dir", runs).stdout


def test_show_an_empty_run(tmp_path: Path) -> None:
    create_run(tmp_path, an_environment()).finish()
    assert "no workload was recorded in it" in invoke("show", "--dir", tmp_path).stdout
    assert json.loads(invoke("show", "--json", "--dir", tmp_path).stdout)["workloads"] == []


# --- json -------------------------------------------------------------------------------------------


def test_json_has_exactly_the_documented_keys(runs: Path) -> None:
    shown = json.loads(invoke("show", "--json", "--dir", runs).stdout)
    assert list(shown) == ["format", "id", "created", "status", "environment", "workloads", "problems"]
    (workload,) = shown["workloads"]
    assert list(workload) == [
        "name", "scale", "dtype", "backend", "iterations", "samples_ns", "phases", "operators", "primitives", "python",
        "ledger", "peak_rss_bytes", "start_rss_bytes", "usage", "allocation_curve", "walls_ns", "overhead", "passes",
        "steps", "join", "contended", "notes",
    ]  # fmt: skip
    assert list(workload["phases"][0]) == ["name", "wall_ns", "samples_ns"]
    assert list(workload["operators"][0]) == [
        "name", "phase", "module", "shapes", "count", "self_ns", "self_ns_samples", "total_ns", "flops",
        "allocated_bytes", "primitives", "dtypes", "counts", "bytes_moved", "allocated_bytes_samples",
        "allocations_samples",
    ]  # fmt: skip
    assert list(workload["primitives"][0]) == [
        "kind", "implementation", "direction", "dtypes", "layouts", "attributes", "algorithm", "problem", "count",
        "time_ns", "operator", "counts", "time_ns_samples",
    ]  # fmt: skip
    assert list(workload["python"][0]) == ["kind", "phase", "module", "count", "self_ns", "self_ns_samples"]
    assert list(workload["allocation_curve"]) == ["wall_ns", "times_ns", "live_bytes", "phases"]
    assert list(workload["allocation_curve"]["phases"][0]) == ["name", "start_ns", "end_ns"]
    assert list(workload["ledger"]) == [
        "wall_ns", "operators_ns", "python_ns", "unattributed_ns", "joined_primitives", "executed_primitives",
        "joined_ratio",
    ]  # fmt: skip


def every_key(data: Any) -> set[str]:
    if isinstance(data, list):
        return {key for item in data for key in every_key(item)}
    if not isinstance(data, dict):
        return set()
    return {*data, *(key for item in data.values() for key in every_key(item))}


def test_every_key_is_documented(runs: Path) -> None:
    shown = json.loads(invoke("show", "--json", "--dir", runs).stdout)
    (workload,) = shown["workloads"]
    shown["environment"]["omp"] = workload["walls_ns"] = workload["overhead"] = {}  # Their keys are data.
    text = (ROOT / "docs" / "json.md").read_text()
    assert not {key for key in every_key(shown) if f"`{key}`" not in text}


def test_json_values_are_those_of_the_records(runs: Path) -> None:
    shown = json.loads(invoke("show", "--json", "--dir", runs).stdout)
    (workload,) = shown["workloads"]
    assert (shown["format"], shown["status"], shown["problems"]) == (3, "complete", [])
    assert shown["environment"]["onednn"] == [{"version": "v3.12.0", "commit": "80afa710"}]
    assert workload["iterations"] == 2
    assert workload["samples_ns"] == [ns // 2 for ns in range(180_000, 220_001, 4_000)]
    assert workload["phases"][0] == {"name": "forward", "wall_ns": 41_000, "samples_ns": [40_000, 42_000]}
    convolution = workload["operators"][1]
    assert (convolution["shapes"], convolution["count"], convolution["primitives"]) == ([[4, 3]], 1, [0, 1])
    assert [workload["primitives"][i]["operator"] for i in convolution["primitives"]] == [1, 1]
    assert workload["primitives"][3]["direction"] == "backward_weights", "the log's own word"
    assert workload["ledger"]["joined_ratio"] == 1
    assert workload["walls_ns"] == {name: [100_000, 100_000] for name in ("phases", "operators", "primitives")}
    assert workload["allocation_curve"]["live_bytes"] == [0, 2**20, 3 * 2**20, 2**21, -(2**20), 0, 0]
    assert workload["allocation_curve"]["phases"][1] == {"name": "backward", "start_ns": 42_000, "end_ns": 92_000}
    assert workload["overhead"] == {"operators": 0.041, "primitives": 0.12}


def test_json_writes_whole_numbers_as_ints_and_no_nan() -> None:
    samples = Samples((float("nan"), float("inf"), 3.0, 2.5, 1e300))
    run = Run("r", "2026-11-21T08:10:09.000001+00:00", "complete", an_environment(), (Profile("p", samples=samples),))
    text = json.dumps(show_json(run), allow_nan=False)
    assert '"samples_ns": [null, null, 3, 2.5, 1e+300]' in text


def test_json_of_a_pass_that_did_not_run_is_null() -> None:
    run = Run("r", "2026-11-21T08:10:09.000001+00:00", "interrupted", an_environment(), (Profile("p"),), ("broken",))
    shown = show_json(run)
    workload = shown["workloads"][0]
    assert shown["problems"] == ["broken"]
    for key in ("iterations", "ledger", "peak_rss_bytes", "start_rss_bytes", "join", "scale"):
        assert workload[key] is None
    for key in ("samples_ns", "phases", "operators", "primitives", "python", "passes", "notes"):
        assert workload[key] == []
    assert workload["walls_ns"] == workload["overhead"] == {}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(profiles)
def test_json_of_any_profile_is_strict(profile: Profile) -> None:
    run = Run("r", "now", "complete", an_environment(), (profile,))
    text = json.dumps(show_json(run), allow_nan=False)
    assert len(json.loads(text)["workloads"][0]["operators"]) == len(profile.operators)


# --- damage and errors ------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--by", "operator"), ("--json",)])
def test_what_can_be_read_is_shown_and_the_rest_is_an_error(runs: Path, options: tuple[str, ...]) -> None:
    run = record(runs, a_profile(), Profile("lost"))
    (lost,) = (run / "workloads").glob("lost-*")
    lost.write_bytes(lost.read_bytes()[:40])
    result = invoke("show", *options, "--dir", runs)
    assert result.exit_code == 2
    assert "aten::add_" in result.stdout
    assert result.stderr.startswith("perfsuite: error: ")
    assert f"{lost}: damaged" in result.stderr
    assert result.stderr.count("\n") == 1
    if options == ("--json",):
        assert len(json.loads(result.stdout)["problems"]) == 1


def test_errors_are_one_line(runs: Path, tmp_path: Path) -> None:
    assert_one_line_error(invoke("show", "nope", "--dir", runs), "no run 'nope'")
    assert_one_line_error(invoke("show", "--dir", tmp_path / "absent"), "no runs in", "pytest --profile-dnn")
    assert_one_line_error(invoke("show", "--top", "0", "--dir", runs), "--top")
    assert_one_line_error(invoke("show", "--by", "colour", "--dir", runs), "'colour'")
    assert_one_line_error(invoke("show", "a", "b", "--dir", runs))
    assert_one_line_error(invoke("bogus"), "'bogus'")
    assert_one_line_error(invoke("--bogus"), "--bogus")
    assert_one_line_error(invoke("prune", "--dir", runs), "--keep")
    assert_one_line_error(invoke("prune", "--keep", "-1", "--dir", runs), "--keep")
    (tmp_path / "file").touch()
    assert_one_line_error(invoke("list", "--dir", tmp_path / "file"), "cannot read")
    assert_one_line_error(invoke("show", "\x1b[31m\n", "--dir", runs), r"\x1b")


def test_a_newer_run_says_to_upgrade(runs: Path) -> None:
    manifest = list_runs(runs)[0].path / "run.json"
    manifest.write_text(manifest.read_text().replace('"format": 3', '"format": 4'))
    assert_one_line_error(invoke("show", "--dir", runs), "newer perfsuite (format 4, this one reads 3)", "upgrade")


def test_ctrl_c_is_130(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "load_run", interrupted)
    result = invoke("show", "--dir", runs)
    assert (result.exit_code, result.stdout) == (130, "")


def test_a_real_ctrl_c_is_130(runs: Path) -> None:
    code = (
        "import os, signal; from perfsuite import cli, store\n"
        "store.load_run = lambda path: os.kill(os.getpid(), signal.SIGINT)\n"
        "cli.main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, "show", "--dir", str(runs)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 130
    assert "Traceback" not in process.stderr


# --- list, prune, version ---------------------------------------------------------------------------


def test_list_and_prune(runs: Path) -> None:
    old = list_runs(runs)[0].id
    new = record(runs).name
    listed = invoke("list", "--dir", runs)
    assert re.search(rf"{new} .* complete +1 .*\n{old} ", listed.stdout)
    assert invoke("prune", "--keep", "1", "--dir", runs).stdout == f"removed {old}\n"
    assert invoke("prune", "--keep", "1", "--dir", runs).stdout == "nothing to remove\n"
    assert [run.id for run in list_runs(runs)] == [new]


def test_list_shows_the_good_beside_the_broken(runs: Path) -> None:
    good, bad = list_runs(runs)[0], record(runs)
    (bad / "run.json").write_text("{")
    result = invoke("list", "--dir", runs)
    assert result.exit_code == 0
    assert good.id in result.stdout
    assert "unreadable" in result.stdout


def test_list_of_nothing_says_how_to_record(tmp_path: Path) -> None:
    result = invoke("list", "--dir", tmp_path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "pytest --profile-dnn" in result.stderr


def test_version_and_help() -> None:
    assert invoke("--version").stdout == f"perfsuite, version {__version__}\n"
    for args in ((), ("--help",), ("-h",)):
        result = invoke(*args)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "Usage:" in result.stdout


# --- as a process -----------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [("show",), ("show", "--json"), ("show", "--by", "module"), ("list",)])
def test_nothing_loads_torch(runs: Path, args: tuple[str, ...]) -> None:
    code = (
        "import sys; from perfsuite.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print([m for m in ('torch', 'numpy', 'scipy', 'matplotlib', 'pytest') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args, "--dir", str(runs)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_the_console_script_is_the_same_command(runs: Path) -> None:
    script = Path(sys.executable).with_name("perfsuite")
    done = subprocess.run([script, "show", "--dir", runs], capture_output=True, text=True, check=True)
    assert done.stdout == shell("show", "--dir", runs).stdout
    assert NAME in done.stdout


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    record(tmp_path, *(a_profile(f"workload {i}") for i in range(200)))
    process = subprocess.Popen(
        [*COMMAND, "show", "--dir", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"run ")
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0
    process.stderr.close()


@pytest.mark.parametrize("args", [("show",), ("show", "--json"), ("list",), ("prune", "--keep", "9"), ("--help",)])
def test_a_reader_that_is_gone_is_no_error(runs: Path, args: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = shell(*args, *(() if args == ("--help",) else ("--dir", runs)), stdout=writer)
    os.close(writer)
    assert done.stderr == ""


@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
def test_a_reader_that_is_gone_changes_no_exit_code(runs: Path, both: bool) -> None:
    """As `| tee log` does that has died: what could not be read of a run is still said by the code."""
    (path,) = runs.glob("*/workloads/*.json.gz")
    path.write_bytes(b"")
    reader, writer = os.pipe()
    os.close(reader)
    done = shell("show", "--dir", runs, stdout=writer, stderr=writer if both else subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 2


def test_an_output_that_is_full_is_one_clear_line(runs: Path) -> None:
    with open("/dev/full", "w") as full:
        done = shell("show", "--dir", runs, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "perfsuite: error: cannot write the output: No space left on device\n"


def test_an_output_without_unicode_still_gets_the_numbers(runs: Path) -> None:
    done = shell("show", "--dir", runs, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "aten::convolution_backward" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"])
def test_a_pipe_gets_no_escape_codes(runs: Path, variable: str) -> None:
    assert "\x1b" not in shell("show", "--dir", runs, env={**os.environ, variable: "1"}).stdout


def test_a_terminal_gets_its_width_and_color(runs: Path) -> None:
    text = on_a_terminal(["show", "--dir", str(runs)], columns=120)
    assert "\x1b[1m" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert re.search(r"aten::mkldnn_convolution .* net\.conv1", plain), "a wide terminal has a line an operator"
    assert "\x1b" not in on_a_terminal(["show", "--dir", str(runs)], columns=120, NO_COLOR="1")


def on_a_terminal(args: list[str], columns: int, **variables: str) -> str:
    """What the command prints on a real pseudo-terminal."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
    environment = {**inherited, "TERM": "xterm", **variables}
    process = subprocess.Popen([*COMMAND, *args], cwd=ROOT, stdout=theirs, env=environment)
    os.close(theirs)
    read = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says EIO when the other end is closed.
            break
        if not part:
            break
        read += part
    os.close(ours)
    assert process.wait(60) == 0
    return read.decode()


def test_a_path_that_is_no_run_is_said_to_be_none(runs: Path, tmp_path: Path) -> None:
    result = invoke("show", tmp_path, "--dir", runs)
    assert result.exit_code == 2
    assert f"{tmp_path} is not a run" in result.stderr


def test_the_manifest_itself_names_its_run(runs: Path) -> None:
    (manifest,) = runs.glob("*/run.json")
    assert invoke("show", manifest, "--dir", runs).exit_code == 0


def test_a_closed_stdout_is_one_line(runs: Path) -> None:
    command = f"exec {sys.executable} -m perfsuite.cli show --dir {runs} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("perfsuite: error: cannot write the output")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["show", "advise", "roofline"])
def test_a_run_of_which_nothing_can_be_read_is_not_called_empty(runs: Path, command: str) -> None:
    (path,) = runs.glob("*/workloads/*.json.gz")
    path.write_bytes(b"")
    result = invoke(command, "--dir", runs)
    assert result.exit_code == 2
    assert "no workload of it could be read" in result.stdout
    assert path.name in result.stderr


@pytest.mark.parametrize("spec", [None, -1, 2.5, b"latest", ["latest"]])
def test_load_run_says_what_it_takes(runs: Path, spec: Any) -> None:
    with pytest.raises(UsageError, match=r"load_run: expected a path, an id or 'latest', found "):
        perfsuite.load_run(spec, runs)
    with pytest.raises(UsageError, match="load_run: expected the path of a folder as directory, found "):
        perfsuite.load_run("latest", spec)


# --- what nobody expected -----------------------------------------------------------------------------


def test_a_fault_of_perfsuite_has_a_code_of_its_own(runs: Path) -> None:
    code = "from perfsuite import cli, store\nstore.load_run = lambda path: 1 / 0\ncli.main()"
    command = [sys.executable, "-c", code, "show", "--dir", str(runs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (FAULT, "")
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    said = "perfsuite: this is a fault of perfsuite: ZeroDivisionError: division by zero; please report it"
    assert done.stderr.splitlines()[-1] == said


def test_nothing_below_the_command_line_catches_whatever_comes() -> None:
    catching = re.compile(r"\bexcept(\s*:|[^:\n]*\bException\b)")
    found = [path for path in (ROOT / "perfsuite").rglob("*.py") if catching.search(path.read_text())]
    assert [path.name for path in found] == ["face.py"]


def test_an_output_in_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code = "import os; os.rmdir(os.getcwd())\nfrom perfsuite.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "-o", "page.html"],
        cwd=tmp_path / "gone", env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "perfsuite: error: cannot write page.html: there is no folder .\n"
