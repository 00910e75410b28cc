from __future__ import annotations

import os
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest

from perfsuite import store
from perfsuite.records import Profile
from tests.page import Page, assert_sound
from tests.samples import NAME, a_profile, an_environment
from tests.test_cli import assert_one_line_error, invoke, record, shell

#: Nothing of it is drawn, which takes time.
BARE = Profile("bare")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_is_named_after_the_run_and_lies_in_the_current_folder(here: Path) -> None:
    run = record(here / "runs", a_profile())
    result = invoke("report", "--dir", here / "runs")
    assert (result.exit_code, result.stderr) == (0, "")
    path = here / f"perfsuite-{run.name}.html"
    assert result.stdout.startswith(f"{path.name}: ")
    page = Page(path.read_text(encoding="utf-8"))
    assert_sound(page)
    assert NAME in page.text
    assert "perfsuite machine" in page.by_id("w0-roofline").text


def test_an_id_is_no_path(here: Path) -> None:
    run = record(here / "runs", BARE)
    manifest = run / "run.json"
    manifest.write_text(manifest.read_text().replace(run.name, "../../elsewhere"))
    assert invoke("report", run, "--dir", here / "runs").exit_code == 0
    assert [path.name for path in here.glob("*.html")] == ["perfsuite-..-..-elsewhere.html"]


def test_output_replaces_a_file_keeps_a_link_and_goes_to_stdout(here: Path) -> None:
    record(here / "runs", BARE)
    (here / "real.html").write_text("old")
    (here / "link.html").symlink_to("real.html")
    assert invoke("report", "-o", "link.html", "--dir", "runs").exit_code == 0
    assert (here / "link.html").is_symlink()
    written = (here / "real.html").read_text(encoding="utf-8")
    assert written.startswith("<!doctype html>")
    assert invoke("report", "-o", "-", "--dir", "runs").stdout == written


def test_a_page_that_cannot_be_written_is_one_line(here: Path) -> None:
    record(here / "runs", BARE)
    assert_one_line_error(invoke("report", "-o", "no/folder/x.html", "--dir", "runs"), "cannot write no/folder/x.html")


def test_workloads_are_chosen_by_name(here: Path) -> None:
    record(here / "runs", Profile("one"), Profile("two"))
    text = Page(invoke("report", "-o", "-", "--dir", "runs").stdout).text
    assert "2 workloads" in text
    only = Page(invoke("report", "--workload", "tw", "-o", "-", "--dir", "runs").stdout)
    assert [one.text for one in only.all("h1")] == ["two"]
    assert_one_line_error(invoke("report", "--workload", "three", "--dir", "runs"), "three", "one, two")


def test_base_is_compared_with(here: Path) -> None:
    record(here / "runs", Profile("one"))
    record(here / "runs", Profile("one"), Profile("two"))
    result = invoke("report", "latest", "latest~1", "-o", "-", "--dir", "runs")
    assert result.exit_code == 0
    assert "compared with base" in Page(result.stdout).text
    assert "only in head: two" in Page(result.stdout).text.lower()
    one = Page(invoke("report", "latest", "latest~1", "--workload", "one", "-o", "-", "--dir", "runs").stdout)
    assert "only in head" not in one.text.lower()
    assert_one_line_error(invoke("report", "latest", "nothing", "--dir", "runs"), "no run 'nothing'")
    assert_one_line_error(
        invoke("report", "latest", "latest~1", "--workload", "two", "--dir", "runs"), "no workload 'two' is in both"
    )


def test_an_incomparable_base_is_refused_with_the_reason(here: Path) -> None:
    record(here / "runs", BARE)
    other = store.create_run(here / "runs", an_environment(cpu_model="Another CPU"))
    other.write(BARE)
    other.finish()
    result = invoke("report", "latest", "latest~1", "-o", "x.html", "--dir", "runs")
    assert_one_line_error(result, "not comparable: CPU model", "--force")
    assert not (here / "x.html").exists()
    forced = invoke("report", "latest", "latest~1", "--force", "-o", "-", "--dir", "runs")
    assert forced.exit_code == 0
    assert "compared because it was forced" in Page(forced.stdout).text


def test_a_part_that_cannot_be_read_is_said_and_the_rest_shown(here: Path) -> None:
    run = record(here / "runs", Profile("whole"), Profile("cut"))
    (cut,) = (run / "workloads").glob("cut-*")
    cut.write_bytes(cut.read_bytes()[:20])
    result = invoke("report", "-o", "-", "--dir", "runs")
    assert result.exit_code == 2
    assert cut.name in result.stderr
    page = Page(result.stdout)
    assert "whole" in page.text
    assert "Part of the run could not be read" in page.text
    assert cut.name in page.text


def test_markdown_goes_to_stdout_or_a_file(here: Path) -> None:
    record(here / "runs", a_profile("net"))
    text = invoke("report", "--markdown", "--dir", "runs").stdout
    assert "net" in text
    assert "<!doctype" not in text
    assert not list(here.glob("*.html"))
    assert invoke("report", "--markdown", "-o", "comment.md", "--dir", "runs").exit_code == 0
    assert (here / "comment.md").read_text(encoding="utf-8") == text


def test_open_shows_the_file_that_was_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(here / "runs", BARE)
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: not shown.append(url))
    assert invoke("report", "--open", "-o", "x y.html", "--dir", "runs").exit_code == 0
    assert shown == [(here / "x y.html").as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    missing = invoke("report", "--open", "-o", "x.html", "--dir", "runs")
    assert missing.exit_code == 2
    assert "no browser was found; open x.html yourself" in missing.stderr
    assert (here / "x.html").exists()


@pytest.mark.parametrize("with_it", [["--markdown"], ["-o", "-"]])
def test_open_needs_a_page(here: Path, with_it: list[str]) -> None:
    record(here / "runs", BARE)
    assert_one_line_error(invoke("report", "--open", *with_it, "--dir", "runs"), "--open shows the page")


def test_it_loads_no_torch_and_lone_surrogates_are_escaped(here: Path) -> None:
    record(here / "runs", Profile("lone \ud800"))
    code = (
        "import sys; from perfsuite.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'pandas', 'IPython') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "-o", "x.html", "--dir", "runs"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "lone \\ud800" in (here / "x.html").read_text(encoding="utf-8")


def test_a_closed_pipe_is_no_error(here: Path) -> None:
    record(here / "runs", BARE)
    done = shell("report", "-o", "-", "--dir", here / "runs")
    assert done.returncode == 0
    assert done.stdout.rstrip().endswith("</html>")


# --- stdout, names and libraries that are not as they should be ---------------------------------------


@pytest.mark.parametrize("what", [["-o", "-"], ["--markdown"]])
def test_what_goes_to_stdout_is_utf_8_whatever_the_locale(here: Path, what: list[str]) -> None:
    record(here / "runs", Profile("naïve · 模型"))
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-c", "from perfsuite.cli import main; main()", "report", "--dir", "runs", *what]
    done = subprocess.run(command, capture_output=True, env=env, check=True)
    assert "naïve · 模型" in done.stdout.decode("utf-8")


def test_base_must_be_another_run(here: Path) -> None:
    run = record(here / "runs", BARE)
    for output in (["-o", "x.html"], ["--markdown"], ["--force", "-o", "x.html"]):
        result = invoke("report", "latest", run, *output, "--dir", "runs")
        assert_one_line_error(result, f"base and head are the same run, {run.name}")
    assert not (here / "x.html").exists()


@pytest.mark.parametrize("command", ["report", "trace", "plot"])
@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("", "-o: expected the name of a file, found ''"),
        ("there.svg/", "cannot write there.svg/: that is the name of a folder"),
        ("folder.svg", "cannot write folder.svg: it is a folder"),
        ("circle.svg", "cannot write circle.svg: Too many levels of symbolic links"),
        ("there.svg/x.svg", "cannot write there.svg/x.svg: Not a directory"),
        ("no/x.svg", "cannot write no/x.svg: there is no folder no"),
        ("nowhere.svg", "cannot write nowhere.svg: there is no folder"),
    ],
)
def test_where_nothing_can_be_written_is_said_before_anything_is_loaded(
    here: Path, command: str, output: str, said: str
) -> None:
    (here / "there.svg").write_text("mine")
    (here / "folder.svg").mkdir()
    (here / "circle.svg").symlink_to("circle.svg")
    (here / "nowhere.svg").symlink_to("no/such/x.svg")
    before = sorted(path.name for path in here.iterdir())
    kind = ["--kind", "donut"] if command == "plot" else []
    assert_one_line_error(invoke(command, "no-such-run", *kind, "-o", output), said)
    assert (here / "there.svg").read_text() == "mine"
    assert (here / "circle.svg").is_symlink()
    assert sorted(path.name for path in here.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("jinja2", "raise ModuleNotFoundError('no such thing')"),
        ("matplotlib", "raise ValueError('numpy.dtype size changed')"),
        ("matplotlib", ""),
    ],
)
def test_a_library_that_cannot_be_loaded_is_one_line(here: Path, name: str, broken: str) -> None:
    record(here / "runs", BARE)
    (here / "first" / name).mkdir(parents=True)
    (here / "first" / name / "__init__.py").write_text(broken)
    env = {**os.environ, "PYTHONPATH": str(here / "first")}
    plot = ["plot", "--kind", "phases", "-o", "x.svg"]
    for arguments in [["report", "-o", "x.html"], *([plot] if name == "matplotlib" else [])]:
        command = [sys.executable, "-c", "from perfsuite.cli import main; main()", *arguments, "--dir", "runs"]
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("perfsuite: error: a ")
        assert "needs Jinja2 and matplotlib, which cannot be loaded" in done.stderr
        assert done.stderr.count("\n") == 1
        assert not list(here.glob("x.*"))


def test_what_matplotlib_thinks_of_its_folders_is_not_said(here: Path) -> None:
    record(here / "runs", BARE)
    (here / "matplotlibrc").write_text("no.such.key: 1\n")
    env = {**os.environ, "MPLCONFIGDIR": "/dev/null/none", "TMPDIR": str(here)}
    for arguments in (["report", "-o", "x.html"], ["plot", "--kind", "phases", "-o", "x.svg"]):
        command = [sys.executable, "-c", "from perfsuite.cli import main; main()", *arguments, "--dir", "runs"]
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
        assert "matplotlib" not in done.stderr.lower()
        assert done.stdout.startswith("x.")


def test_a_run_of_which_nothing_can_be_read_is_not_called_empty(here: Path) -> None:
    run = record(here / "runs", BARE)
    for path in (run / "workloads").iterdir():
        path.write_bytes(b"")
    result = invoke("report", "--markdown", "--dir", "runs")
    assert result.exit_code == 2
    assert "**No workload could be read.**" in result.stdout
    assert "0 workloads" not in result.stdout
    assert "No rule found anything" not in result.stdout
