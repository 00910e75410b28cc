"""Whole gates, from the command line, with real workers on a real repository.  None asserts how long anything takes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from perfsuite.environment import usable_cpus
from perfsuite.errors import UsageError
from perfsuite.gate import session
from perfsuite.gate.child import interrupts_held
from perfsuite.gate.leftovers import OwnFolder
from perfsuite.gate.session import Options, compare_sides
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.spec import parse_spec
from perfsuite.gate.trees import Trees

#: A step that sleeps: nothing is computed, so tests at the same time do not matter much.
SLEEPER = """\
import time

def test_sleep(profiled):
    profiled(time.sleep, {seconds})
"""
COMMAND = [sys.executable, "-c", "from perfsuite.cli import main; main()", "gate"]


def git(repo: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=repo, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path):
    """A repository with one commit; worktrees of a gate go to a folder of their own, which must be empty afterwards."""
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    (repo / "test_it.py").write_text(SLEEPER.format(seconds=0.004))
    (repo / "README.md").write_text("one\n")
    commit(repo, "one")
    (tmp_path / "tmp").mkdir()
    yield repo
    assert [path.name for path in (tmp_path / "tmp").iterdir() if path.name.startswith("perfsuite-")] == []
    assert git(repo, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert workers_of(tmp_path) == []


def commit(repo: Path, message: str) -> None:
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", message)


def workers_of(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = process.info["cmdline"] or []
        where = process.info["cwd"] or ""
        if where.startswith(str(folder)) and any("--profile-dnn-worker" in word for word in words):
            found.append(process.pid)
    return found


def environment(repo: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(repo.parent / "tmp")}


def gate(repo: Path, *arguments: str, cwd: Path | None = None, **variables: str) -> tuple[int, str, dict]:
    out = repo.parent / "out.json"
    done = subprocess.run(
        [*COMMAND, *arguments, "--json", str(out), "--seed", "1"],
        cwd=cwd or repo,
        env={**environment(repo), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    saved = json.loads(out.read_text()) if out.exists() else {}
    return done.returncode, done.stdout + done.stderr, saved


def test_a_slowdown_fails_the_gate_and_every_file_is_written(repo):
    (repo / "test_it.py").write_text(SLEEPER.format(seconds=0.008))
    files = {name: repo.parent / f"out.{name}" for name in ("markdown", "junit", "report.html")}
    options = [word for name, path in files.items() for word in (f"--{name.partition('.')[0]}", str(path))]
    code, said, saved = gate(repo, "--base", "git:HEAD", "--head", ".", "--max-pairs", "6", *options)
    assert code == 1, said
    (one,) = saved["benchmarks"]
    assert (saved["verdict"], one["verdict"], one["name"]) == ("regressed", "regressed", "test_it.py::test_sleep")
    low, high = one["interval"]
    assert 1.03 < low <= one["ratio"] <= high
    assert one["process_pairs"] >= 4
    assert one["pairs"] > one["process_pairs"]
    assert saved["format"] == 1
    assert "regressed" in said
    assert "test_it.py::test_sleep" in files["markdown"].read_text()
    assert ElementTree.parse(files["junit"]).getroot().find(".//failure") is not None
    assert "regressed" in files["report.html"].read_text()


def test_a_commit_of_documentation_is_not_run(repo):
    (repo / "README.md").write_text("two\n")
    (repo / "docs").mkdir()
    (repo / "docs" / "page.rst").write_text("page\n")
    commit(repo, "docs")
    code, said, saved = gate(repo, "--base", "git:HEAD~1")
    assert code == 0, said
    assert saved["identical"] is True
    assert saved["verdict"] == "unchanged"
    assert "Nothing that could change a time differs" in said


def test_with_no_shortcut_it_is_run_all_the_same(repo):
    code, said, saved = gate(repo, "--base", "git:HEAD", "--no-shortcut", "--census-only")
    assert code == 0, said
    assert saved["identical"] is False
    assert [line for line in said.splitlines() if line.startswith("perfsuite: ")] == [
        "perfsuite: test_it.py::test_sleep: begins",
        "perfsuite: test_it.py::test_sleep: its census is taken (1 of 1 done)",
    ]
    (one,) = saved["benchmarks"]
    assert (one["verdict"], one["process_pairs"]) == (None, 0)


def test_what_only_one_side_has_is_missing(repo):
    text = SLEEPER.format(seconds=0.004)
    (repo / "test_it.py").write_text(text.replace("test_sleep", "test_renamed"))
    (repo / "test_skip.py").write_text(
        "import pytest\n@pytest.mark.skip(reason='not today')\n" + text.partition("\n\n")[2]
    )
    commit(repo, "rename")
    code, said, saved = gate(repo, "--base", "git:HEAD~1", "--census-only")
    assert code == 4, said
    reasons = {one["name"]: (one["verdict"], one["reasons"]) for one in saved["benchmarks"]}
    assert reasons == {
        "test_it.py::test_sleep": (
            "missing",
            ["head has no benchmark of this name: it is gone, renamed or deselected"],
        ),
        "test_it.py::test_renamed": ("missing", ["base has no benchmark of this name: it is new"]),
        "test_skip.py::test_sleep": ("missing", ["base has no benchmark of this name: it is new"]),
    }


@pytest.mark.parametrize(
    ("text", "verdict", "why"),
    [
        (
            "import pytest\ndef test_sleep(profiled):\n    pytest.skip('not today')\n",
            "missing",
            "head: skipped: not today",
        ),
        (
            "def test_sleep(profiled):\n    raise ValueError('broken')\n",
            "incomparable",
            "head: failed: ValueError: broken",
        ),
        ("import absent_package\n", "missing", "head cannot import it: test_it.py: ModuleNotFoundError"),
        ("def test_sleep(profiled):\n    pass\n", "incomparable", "head: the test ended without calling `profiled`"),
        (
            "import os, signal\ndef test_sleep(profiled):\n    profiled(os.kill, os.getpid(), signal.SIGKILL)\n",
            "incomparable",
            "head's worker was killed by SIGKILL",
        ),
    ],
    ids=["skipped", "failed", "import", "unused", "killed"],
)
def test_a_side_that_cannot_run_the_benchmark(repo, text, verdict, why):
    (repo / "test_it.py").write_text(text)
    code, said, saved = gate(repo, "--base", "git:HEAD", "--census-only")
    assert code == 4, said
    (one,) = saved["benchmarks"]
    assert one["verdict"] == verdict
    assert one["reasons"][0].startswith(why)
    assert why in " ".join(said.split())


def test_a_base_that_does_not_even_start(repo):
    (repo / "conftest.py").write_text("import absent_package\n")
    commit(repo, "broken")
    (repo / "conftest.py").unlink()
    code, said, saved = gate(repo, "--base", "git:HEAD", "--census-only")
    assert code == 4, said
    (one,) = saved["benchmarks"]
    assert one["verdict"] == "incomparable"
    assert "base's worker ended with exit code 4" in one["reasons"][0]
    assert "absent_package" in one["reasons"][0]


def test_each_side_imports_its_own_package_though_it_is_installed_from_the_working_tree(repo, tmp_path):
    (repo / "src" / "pace").mkdir(parents=True)
    (repo / "src" / "pace" / "__init__.py").write_text("SECONDS = 0.004\n")
    (repo / "test_it.py").write_text(
        "import time, pace\ndef test_sleep(profiled):\n    profiled(time.sleep, pace.SECONDS)\n"
    )
    commit(repo, "package")
    (repo / "src" / "pace" / "__init__.py").write_text("SECONDS = 0.005\n")
    python, _ = an_environment(tmp_path / "venv", str(repo / "src"))
    code, said, saved = gate(repo, "--base", f"git:HEAD,{python}", "--head", f".,{python}", "--census-only")
    assert code == 0, said
    modules = [saved["sides"][side]["modules"]["src/pace/__init__.py"] for side in ("base", "head")]
    assert modules[0] != modules[1]


def an_environment(venv: Path, *paths: str) -> tuple[str, Path]:
    """A virtual environment that has what this one has, and more folders: its SPEC, and where packages go."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    own = [path for path in sys.path if path.endswith("site-packages")]
    (site / "paths.pth").write_text("\n".join([*paths, *own, str(Path(__file__).parent.parent)]) + "\n")
    return f"python:{venv / 'bin' / 'python'}", site


@pytest.mark.parametrize("where", ["", "repo/.venv"], ids=["outside", "in the repository"])
def test_a_package_that_both_sides_run_from_where_it_is_installed(repo, tmp_path, where):
    (repo / "src" / "pace").mkdir(parents=True)
    (repo / "src" / "pace" / "__init__.py").write_text("")
    (repo / "src" / "pace" / "core.py").write_text("SECONDS = 0.004\n")
    (repo / "test_it.py").write_text(
        "import time, pace.core\ndef test_sleep(profiled):\n    profiled(time.sleep, pace.core.SECONDS)\n"
    )
    (repo / ".gitignore").write_text(".venv\n__pycache__\n")
    commit(repo, "package")
    python, site = an_environment(tmp_path / (where or "venv"))
    shutil.copytree(repo / "src" / "pace", site / "pace")
    (repo / "src" / "pace" / "core.py").write_text("SECONDS = 0.008\n")
    code, said, saved = gate(repo, "--base", f"git:HEAD,{python}", "--head", f".,{python}", "--census-only")
    assert code == 4, said
    (one,) = saved["benchmarks"]
    assert one["verdict"] == "incomparable"
    assert f"both sides ran src/pace/core.py from {site.resolve() / 'pace' / 'core.py'}" in one["reasons"][0]
    # Each side with an interpreter in which its own is installed can be compared.
    other, site = an_environment(tmp_path / "other")
    shutil.copytree(repo / "src" / "pace", site / "pace")
    code, said, _ = gate(repo, "--base", f"git:HEAD,{python}", "--head", f".,{other}", "--census-only")
    assert code == 0, said


@pytest.mark.parametrize(
    "named",
    [
        (),
        ("./speed/",),
        ("{repo}/tests/speed/test_here.py::test_sleep",),
        ("..",),
    ],
    ids=str,
)
def test_in_a_folder_of_the_repository(repo, named):
    (repo / "tests" / "speed").mkdir(parents=True)
    (repo / "pytest.ini").write_text("[pytest]\n")
    (repo / "pyproject.toml").write_text('[tool.perfsuite.gate]\nbenchmarks = ["tests/speed/"]\n')
    git(repo, "mv", "test_it.py", "tests/speed/test_here.py")
    (repo / "tests" / "test_other.py").write_text(SLEEPER.format(seconds=0.004))
    commit(repo, "move")
    arguments = [one.format(repo=repo) for one in named]
    code, said, saved = gate(
        repo, "--base", "git:HEAD", "--no-shortcut", "--census-only", *arguments, cwd=repo / "tests"
    )
    assert code == 0, said
    names = [one["name"] for one in saved["benchmarks"]]
    others = ["tests/test_other.py::test_sleep"] if named == ("..",) else []
    assert sorted(names) == ["tests/speed/test_here.py::test_sleep", *others]
    assert all(one["census"] is not None for one in saved["benchmarks"])


def test_a_side_that_has_none_of_the_files_named_runs_nothing_else(repo):
    (repo / "test_new.py").write_text(SLEEPER.format(seconds=0.004))
    code, said, saved = gate(repo, "--base", "git:HEAD", "--census-only", "test_new.py")
    assert code == 4, said
    (one,) = saved["benchmarks"]
    assert (one["name"], one["reasons"]) == (
        "test_new.py::test_sleep",
        ["base has no benchmark of this name: it is new"],
    )


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ("--ff --benchmark-skip --collect-only", {}),
        ("--lf --lfnf=none --benchmark-only --benchmark-disable", {}),
        ("-p no:cacheprovider", {}),
        ("--junitxml=out.xml --basetemp=base --log-file=out.log", {}),
        ("", {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
    ],
    ids=["skip", "only", "no cache", "files", "no autoload"],
)
def test_options_of_the_project(repo, options, variables):
    (repo / "pytest.ini").write_text(f"[pytest]\naddopts = {options}\n")
    commit(repo, "options")
    code, said, saved = gate(repo, "--base", "git:HEAD", "--no-shortcut", "--census-only", **variables)
    assert code == 0, said
    assert [one["name"] for one in saved["benchmarks"]] == ["test_it.py::test_sleep"]
    assert not [name for name in (".pytest_cache", "out.xml", "base", "out.log") if (repo / name).exists()]
    assert not list((repo.parent / "tmp").glob("perfsuite*"))


def test_markers_that_end_or_repeat_a_test_do_not_count(repo):
    (repo / "test_it.py").write_text(
        "import time\nimport pytest\npytestmark = pytest.mark.timeout(1)\n"
        "@pytest.mark.flaky(reruns=3)\n@pytest.mark.other\n"
        "def test_sleep(profiled, request):\n"
        "    assert [mark.name for mark in request.node.iter_markers()] == ['other']\n    profiled(time.sleep, 0.004)\n"
    )
    code, said, saved = gate(repo, "--base", ".", "--no-shortcut", "--census-only")
    assert code == 0, said
    assert len(saved["benchmarks"]) == 1


def test_an_option_that_pytest_does_not_know_is_named(repo):
    (repo / "pytest.ini").write_text("[pytest]\naddopts = --speed\n")
    commit(repo, "options")
    code, said, _ = gate(repo, "--base", "git:HEAD", "--no-shortcut", "--census-only")
    assert code == 2
    assert "error: unrecognized arguments: --speed" in said


def test_each_side_has_its_own_cpus(repo):
    (repo / "test_it.py").write_text(
        "import os, time\ndef test_sleep(profiled):\n"
        "    assert len(os.sched_getaffinity(0)) == int(os.environ['EXPECTED'])\n    profiled(time.sleep, 0.004)\n"
    )
    cores = len(usable_cpus().cores)
    if cores < 2:
        pytest.skip("NOT TESTED: this process may use one physical core only")
    head = ".,env:OMP_NUM_THREADS=1,env:EXPECTED=1"
    variables = {"OMP_NUM_THREADS": str(cores)}
    code, said, saved = gate(repo, "--base", f".,env:EXPECTED={cores}", "--head", head, "--census-only", **variables)
    assert code == 0, said
    assert [one.partition(":")[0] for one in saved["settings"] if "CPUs" in one] == ["base", "head"]


def test_an_instruction_set_that_is_lost_is_caught_without_a_clock(repo):
    (repo / "test_it.py").write_text(
        "import torch\n"
        "def test_convolution(profiled):\n"
        "    layer, image = torch.nn.Conv2d(16, 16, 3), torch.rand(2, 16, 32, 32)\n"
        "    profiled(layer, image)\n"
    )
    flags = Path("/proc/cpuinfo").read_text()
    if "avx512" not in flags:
        pytest.skip("NOT TESTED: this CPU has no instruction set above AVX2 to lose")
    code, said, saved = gate(repo, "--base", ".", "--head", ".,env:ONEDNN_MAX_CPU_ISA=AVX2", "--census-only")
    assert code == 1, said
    (one,) = saved["benchmarks"]
    assert one["verdict"] is None
    assert saved["verdict"] == "regressed"
    assert "isa" in {failure["rule"] for failure in one["census_failures"]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_what_stops_it_leaves_nothing_behind(repo, number):
    (repo / "test_it.py").write_text(SLEEPER.format(seconds=0.005))
    out = repo.parent / "out.json"
    # A shell that runs tests in the background has its children ignore SIGINT, and nohup SIGHUP.
    reset = "import signal as s; s.signal(s.SIGINT, s.default_int_handler); s.signal(s.SIGHUP, s.SIG_DFL); "
    process = subprocess.Popen(
        [sys.executable, "-c", reset + COMMAND[2], "gate", "--base", "git:HEAD", "--json", str(out)],
        cwd=repo,
        env=environment(repo),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while len(workers_of(repo.parent)) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert json.loads(out.read_text())["benchmarks"] == []


def test_a_gate_that_was_killed_is_cleaned_up_after_by_the_next(repo):
    (repo / "test_it.py").write_text(SLEEPER.format(seconds=0.005))
    process = subprocess.Popen(
        [*COMMAND, "--base", "git:HEAD"],
        cwd=repo,
        env=environment(repo),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(workers_of(repo.parent)) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while workers_of(repo.parent):
        assert time.monotonic() < deadline, "workers outlived their gate"
        time.sleep(0.1)
    assert any((repo.parent / "tmp").iterdir())
    git(repo, "checkout", "-q", ".")
    assert gate(repo, "--base", "git:HEAD")[0] == 0


def test_the_settings_are_those_of_the_folder_that_the_user_is_in(repo):
    (repo / "sub" / "deep").mkdir(parents=True)
    (repo / "pyproject.toml").write_text("[tool.perfsuite.gate]\nthreshold = 7\nbenchmarks = ['absent.py']\n")
    (repo / "sub" / "pyproject.toml").write_text("[tool.perfsuite.gate]\nthreshold = 9\nbenchmarks = ['test_sub.py']\n")
    (repo / "sub" / "test_sub.py").write_text(SLEEPER.format(seconds=0.004))
    (repo / "sub" / "deep" / "data").write_text("1\n")
    commit(repo, "two")
    code, said, saved = gate(repo, "--base", "git:HEAD", "--no-shortcut", "--census-only", cwd=repo / "sub" / "deep")
    assert code == 0, said
    assert (saved["settings_file"], saved["threshold"]) == ("sub/pyproject.toml", 0.09)
    assert (saved["verdict"], len(saved["benchmarks"])) == (None, 1)
    assert "configured by sub/pyproject.toml" in said
    assert "the census passes, nothing was timed, exit code 0" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "git:nowhere"], "no such commit 'nowhere'"),
        (["--base", "nonsense"], "SPEC 'nonsense'"),
        (["--base", "python:/nowhere/python"], "/nowhere/python"),
        (
            ["--base", "git:HEAD", "--no-shortcut", "tests/absent.py"],
            "neither side has a file or folder tests/absent.py",
        ),
        (["--base", "git:HEAD", "--threshold", "-1"], "--threshold"),
        (["--base", "git:HEAD", "--json", "/nowhere/out.json"], "/nowhere"),
        ([], "--base"),
    ],
    ids=["commit", "spec", "python", "file", "threshold", "target", "no base"],
)
def test_bad_input_is_one_line(repo, arguments, said):
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=repo, env=environment(repo), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_outside_of_git_two_environments_can_be_compared(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    (tmp_path / "tmp").mkdir()
    (folder / "test_it.py").write_text(SLEEPER.format(seconds=0.004))
    if subprocess.run(["git", "rev-parse"], cwd=folder, capture_output=True, check=False).returncode == 0:
        pytest.skip(f"NOT TESTED: the temporary folder {tempfile.gettempdir()} is in a git repository")
    code, said, _ = gate(folder, "--base", ".", "--head", "env:PACE=1", "--census-only")
    assert code == 0, said
    assert shutil.which("git")


def test_ctrl_c_before_the_sides_are_open_is_told_as_well(repo, monkeypatch):
    def interrupt(self, spec):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trees, "open", interrupt)
    result, code = compare_sides("git:HEAD", ".", repo, Options())
    assert code == 130
    assert result.interrupted
    assert (result.base.spec, result.head.spec, result.benchmarks) == ("git:HEAD", ".", ())


def test_it_says_why_the_sides_are_not_identical(repo):
    (repo / "notes.txt").write_text("a stray file\n")
    code, said, saved = gate(repo, "--base", "git:HEAD", "--census-only")
    assert code == 0, said
    assert saved["notes"] == ["base and head are not identical: files differ: notes.txt (which git does not track)"]


SKIPPED = {
    "skip": "import pytest\ndef test_skipped(profiled):\n    pytest.skip('no CUDA here')\n",
    "mark": (
        "import time, pytest\n@pytest.mark.skipif(True, reason='no CUDA here')\n"
        "def test_skipped(profiled):\n    profiled(time.sleep, 0.004)\n"
    ),
    "xfail": (
        "import pytest\n@pytest.mark.xfail(reason='known')\n"
        "def test_skipped(profiled):\n    raise ValueError('no CUDA here')\n"
    ),
    "not run": (
        "import time, pytest\n@pytest.mark.xfail(run=False, reason='no CUDA here')\n"
        "def test_skipped(profiled):\n    profiled(time.sleep, 0.004)\n"
    ),
}


@pytest.mark.parametrize("text", SKIPPED.values(), ids=SKIPPED)
def test_what_both_sides_skip_does_not_fail_the_gate(repo, text):
    (repo / "test_skipped.py").write_text(text)
    commit(repo, "skipped")
    code, said, saved = gate(repo, "--base", "git:HEAD", "--no-shortcut", "--census-only")
    assert code == 0, said
    assert [one["name"] for one in saved["benchmarks"]] == ["test_it.py::test_sleep"]
    (note,) = saved["notes"]
    assert note.startswith("test_skipped.py::test_skipped is skipped on both sides: ")
    assert "no CUDA here" in note
    code, said, _ = gate(repo, "--base", "git:HEAD", "--no-shortcut", "--census-only", "test_skipped.py")
    assert code == 2
    assert "there is nothing to compare: test_skipped.py::test_skipped is skipped on both sides" in said


def test_a_file_that_neither_side_can_import_is_not_left_out(repo):
    (repo / "test_broken.py").write_text("import absent_package\n")
    commit(repo, "broken")
    (repo / "test_new.py").write_text("import another_absent_package\n")
    code, said, saved = gate(repo, "--base", "git:HEAD", "--census-only")
    assert code == 4, said
    verdicts = {one["name"]: (one["verdict"], *one["reasons"]) for one in saved["benchmarks"]}
    assert verdicts == {
        "test_it.py::test_sleep": (None,),
        "test_broken.py": (
            "incomparable",
            "neither side can import it: ModuleNotFoundError: No module named 'absent_package'",
        ),
    }
    assert (
        "head cannot import test_new.py: ModuleNotFoundError: No module named 'another_absent_package'"
        in saved["notes"]
    )


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        (
            "test_it.py::test_typo",
            "test_it.py::test_typo: neither side has a test of this name that uses the `profiled`",
        ),
        ("data", "data: neither side has a test in it that uses the `profiled` fixture"),
    ],
)
def test_an_argument_that_names_nothing_is_one_line(repo, argument, said):
    (repo / "data").mkdir()
    (repo / "data" / "file").write_text("1\n")
    arguments = ["--base", "git:HEAD", "--no-shortcut", "--census-only", "test_it.py::test_sleep", argument]
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=repo, env=environment(repo), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_argument_outside_of_the_repository_is_one_line(repo):
    code, said, _ = gate(repo, "--base", "git:HEAD", "--no-shortcut", "../elsewhere/test_x.py")
    assert code == 2
    where = repo.parent / "elsewhere" / "test_x.py"
    assert f"{where} is outside of the repository {repo}; both sides are versions of that repository" in said


def test_a_file_that_changes_while_the_gate_runs(repo):
    (repo / "pace.py").write_text("SECONDS = 0.004\n")
    # As an editor would meanwhile: the processes of the next pair load another module.
    (repo / "test_it.py").write_text(
        "import time, pathlib, pace\ndef test_sleep(profiled):\n    profiled(time.sleep, pace.SECONDS)\n"
        "    pathlib.Path(pace.__file__).write_text('SECONDS = 0.0041\\n')\n"
    )
    commit(repo, "pace")
    code, said, saved = gate(repo, "--base", ".", "--head", ".,env:X=1", "--census-only")
    git(repo, "checkout", "-q", ".")
    assert code == 4, said
    (one,) = saved["benchmarks"]
    assert one["verdict"] == "incomparable"
    assert "base's files changed while the gate ran: pace.py" in one["reasons"][0]


def test_an_environment_in_the_repository_that_is_no_venv(repo):
    (repo / "env" / "conda-meta").mkdir(parents=True)
    (repo / "env" / "lib").mkdir()
    (repo / "env" / "lib" / "tool.py").write_text("X = 1\n")
    (repo / ".gitignore").write_text("env\n__pycache__\n")
    (repo / "test_it.py").write_text("import tool, time\ndef test_sleep(profiled):\n    profiled(time.sleep, 0.004)\n")
    commit(repo, "tool")
    code, said, saved = gate(
        repo, "--base", "git:HEAD", "--no-shortcut", "--census-only", PYTHONPATH=str(repo / "env" / "lib")
    )
    assert code == 0, said
    assert all(list(saved["sides"][side]["modules"]) == ["test_it.py"] for side in ("base", "head"))


def test_the_number_of_threads_of_a_side_goes_before_the_projects(repo):
    (repo / "pyproject.toml").write_text("[tool.perfsuite.gate]\nthreads = 2\n")
    (repo / "test_it.py").write_text(
        "import os, time\ndef test_sleep(profiled):\n"
        "    assert os.environ['OMP_NUM_THREADS'] == os.environ.get('EXPECTED', '2')\n    profiled(time.sleep, 0.004)\n"
    )
    head = ".,env:OMP_NUM_THREADS=1,env:EXPECTED=1"
    code, said, saved = gate(repo, "--base", ".", "--head", head, "--census-only")
    assert code == 0, said
    assert "base: OMP_NUM_THREADS=2" in saved["settings"]
    assert "kept OMP_NUM_THREADS=1" in saved["settings"]
    code, said, _ = gate(repo, "--base", ".", "--head", head, "--census-only", "--threads", "2")
    assert code == 2
    assert f"--threads 2, but SPEC {head!r} sets OMP_NUM_THREADS: leave one of them out" in said


def test_the_allocator_that_a_side_preloads_goes_before_the_projects():
    settings = GateSettings(allocator="glibc", threads=1)
    spec = parse_spec("env:LD_PRELOAD=/x/libjemalloc.so.2")
    found = session._quiet(spec, dict(spec.variables), settings, Options())
    assert "LD_PRELOAD=/x/libjemalloc.so.2" in found.kept
    with pytest.raises(UsageError, match="--allocator glibc, but LD_PRELOAD brings"):
        session._quiet(spec, dict(spec.variables), settings, Options(allocator="glibc"))


def test_each_side_compiles_extensions_in_a_folder_of_its_own_that_lasts(repo):
    # As torch does, which waits for a lock that another process has left.
    (repo / "test_it.py").write_text(
        "import os, pathlib, time\n"
        "def test_sleep(profiled):\n"
        "    folder = pathlib.Path(os.environ['TORCH_EXTENSIONS_DIR'], 'fast')\n"
        "    folder.mkdir(parents=True, exist_ok=True)\n"
        "    assert not (folder / 'lock').exists()\n"
        "    (folder / 'lock').touch()\n"
        "    with open(folder / 'sides', 'a') as file:\n"
        "        file.write(os.getcwd() + '\\n')\n"
        "    lines = (folder / 'sides').read_text().splitlines()\n"
        "    assert set(lines) == {os.getcwd()}\n"
        "    print(len(lines), file=open(os.environ['COUNTED'], 'a'))\n"
        "    profiled(time.sleep, 0.004)\n"
    )
    commit(repo, "extension")
    counted = repo.parent / "counted"
    code, said, saved = gate(
        repo, "--base", "git:HEAD", "--no-shortcut", "--census-only", COUNTED=str(counted), TORCH_EXTENSIONS_DIR="/one"
    )
    assert code == 0, said
    assert sorted(counted.read_text().split()) == ["1", "1", "2", "2"]
    assert "TORCH_EXTENSIONS_DIR=(of each side's own)" in saved["settings"]


def test_a_marker_without_the_passes_of_a_census_leaves_nothing_for_the_census_alone(repo):
    text = SLEEPER.format(seconds=0.004)
    marked = text.replace("def test_sleep", "import pytest\n@pytest.mark.profiled(passes='timing')\ndef test_sleep")
    (repo / "test_it.py").write_text(marked)
    commit(repo, "marker")
    code, said, _ = gate(repo, "--base", "git:HEAD", "--no-shortcut", "--census-only")
    assert code == 2
    assert "there is nothing to compare: test_it.py::test_sleep is not looked at: its marker's passes leave" in said


# --- interrupts at the wrong moment -------------------------------------------------------------------


@pytest.fixture
def ctrl_c():
    """SIGINT as in a terminal, however these tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("held", [False, True], ids=["alone", "within the command"])
def test_ctrl_c_while_worktrees_are_removed_keeps_everything(repo, monkeypatch, ctrl_c, held):
    monkeypatch.setenv("TMPDIR", str(repo.parent / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    remove = OwnFolder.remove

    def interrupted(self, common=None):
        if common is not None:
            ctrl_c()
        return remove(self, common)

    monkeypatch.setattr(OwnFolder, "remove", interrupted)
    found = []

    def compared():
        found.append(compare_sides("git:HEAD", ".", repo, Options(census_only=True, shortcut=False)))

    def command():
        with interrupts_held():
            compared()

    if held:
        with pytest.raises(KeyboardInterrupt):
            command()
    else:
        compared()
    ((result, code),) = found
    assert code == 0
    assert not result.interrupted
    assert [one.name for one in result.benchmarks] == ["test_it.py::test_sleep"]
    assert result.benchmarks[0].census is not None


def test_an_early_ctrl_c_tells_what_is_known(repo, monkeypatch, ctrl_c):
    (repo / "pyproject.toml").write_text("[tool.perfsuite.gate]\nthreshold = 7\n")

    def interrupted(*arguments):
        ctrl_c()

    monkeypatch.setattr(session, "probe", interrupted)
    result, code = compare_sides(".", "env:X=1", repo, Options())
    assert code == 130
    assert (result.threshold, result.settings_file) == (0.07, "pyproject.toml")
    assert result.head.variables == {"X": "1"}
    monkeypatch.undo()
    monkeypatch.setattr(Trees, "__init__", interrupted)
    result, code = compare_sides(".", ".", repo, Options(threshold=0.01))
    assert (code, result.threshold) == (130, 0.01)


def test_a_conftest_can_clean_up_behind_itself(repo, monkeypatch):
    monkeypatch.setattr("perfsuite.gate.pair.GRACE_SECONDS", 30.0)  # a busy machine may take more than one
    (repo / "conftest.py").write_text("import atexit, pathlib\natexit.register(pathlib.Path('ended').touch)\n")
    (repo / ".gitignore").write_text("ended\n__pycache__\n")
    commit(repo, "conftest")
    code, said, _ = gate(repo, "--base", ".", "--head", "env:X=1", "--census-only")
    assert code == 0, said
    assert (repo / "ended").exists()
