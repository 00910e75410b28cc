"""``--profile-dnn-compare``: whole sessions on real torch, and each way in which a comparison can come to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from perfsuite.environment import gather_environment
from perfsuite.gate.rules import CensusRules
from perfsuite.passes import PASSES
from perfsuite.pytest_compare import Baseline, compare, prepare
from perfsuite.pytest_settings import read_session
from perfsuite.records import Environment, Profile, Run
from perfsuite.store import create_run, list_runs, load_run
from tests.diff_profiles import op, primitive, profile
from tests.git_repository import Repository

FAST = ("--benchmark-max-time=0.05", "--benchmark-min-rounds=3", "-p", "no:cacheprovider", "--profile-dnn-top=1")
STEP = """
    import torch

    def test_step(profiled):
        torch.manual_seed(0)
        torch.set_num_threads(1)
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(16, 16, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        profiled.step(model, optimizer, lambda output, _: output.square().mean(), (torch.ones(2, 3, 16, 16), None))
"""


# --- whole sessions ---------------------------------------------------------------------------------


class Project:
    """A scratch project; each session of it is a process of its own, as a user's is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "test_it.py").write_text(textwrap.dedent(STEP))

    def session(self, *args: str, **variables: str) -> tuple[int, str]:
        """Exit code, and what was printed."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *FAST, *args],
            cwd=self.path, env={**os.environ, **variables}, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    @property
    def runs(self) -> list[str]:
        """Newest first."""
        return [run.id for run in list_runs(self.path / ".perfsuite")]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """With one run recorded."""
    made = Project(tmp_path_factory.mktemp("project"))
    code, printed = made.session("--profile-dnn")
    assert code == 0, printed
    return made


def test_the_same_code_passes_against_the_newest_run_before_it(project):
    before = project.runs[0]
    code, printed = project.session("--profile-dnn", "--profile-dnn-compare=latest")
    assert code == 0, printed
    assert f"compared with {before}, by what the steps count and the default rules:" in printed
    assert "test_it.py::test_step: passed\n" in printed
    assert "time, advisory: " in printed
    assert "two processes: it decides nothing" in printed
    assert project.runs[1] == before  # the run itself is stored as ever


def test_a_lower_instruction_set_fails_and_is_said(project):
    """Whatever the machine's own is, it is above SSE 4.1."""
    base = project.runs[-1]
    code, printed = project.session("--profile-dnn", f"--profile-dnn-compare={base}", ONEDNN_MAX_CPU_ISA="SSE41")
    assert code == 1, printed
    assert "environment: omp.ONEDNN_MAX_CPU_ISA – → SSE41" in printed
    assert "test_it.py::test_step: FAILED " in printed
    assert "to sse41, a lower instruction set: convolution" in printed
    assert "    benchdnn --conv " in printed
    assert "1 passed" in printed  # the test itself did


def test_rules_are_those_of_pyproject_and_the_ini_option_names_the_run(project):
    base = project.runs[-1]
    (project.path / "pyproject.toml").write_text(
        f'[tool.pytest.ini_options]\nprofile_dnn = true\nprofile_dnn_compare = "{base}"\n'
        '[tool.perfsuite.gate.census]\nisa = "off"\nimplementation = "off"\nreorders = "off"\n'
    )
    try:
        code, printed = project.session(ONEDNN_MAX_CPU_ISA="SSE41")
        assert code == 0, printed
        assert "test_it.py::test_step: passed; " in printed
        assert "by what the steps count and the rules of pyproject.toml:" in printed
    finally:
        (project.path / "pyproject.toml").unlink()


@pytest.mark.parametrize(
    ("args", "ini", "run"),
    [
        ([], "latest", "latest"),
        (["--profile-dnn-compare=20261121"], "latest", "20261121"),
        (["--profile-dnn-compare=false"], "latest", None),
        ([], "false", None),
        ([], "", None),
    ],
)
def test_the_command_line_wins_over_the_ini_option(pytester, args, ini, run):
    pytester.makeini(f"[pytest]\nprofile_dnn_compare = {ini}\n")
    assert read_session(pytester.parseconfig("--profile-dnn", *args)).compare == run


# --- before anything is measured --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--profile-dnn-compare=latest"], "--profile-dnn-compare needs --profile-dnn"),
        (
            ["--profile-dnn", "--profile-dnn-compare=latest"],
            "--profile-dnn-compare: no runs in *.perfsuite: record one",
        ),
        (["--profile-dnn", "--profile-dnn-compare=nope"], "--profile-dnn-compare: no run 'nope', and no runs in *"),
        (["--profile-dnn", "--profile-dnn-compare="], "--profile-dnn-compare: expected a path, an id or `latest`"),
        (
            ["--profile-dnn", "--profile-dnn-compare=latest", "--profile-dnn-passes=timing,operators"],
            "--profile-dnn-compare needs the pass 'primitives', which --profile-dnn-passes leaves out",
        ),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_measured(pytester, args, said):
    pytester.makepyfile("def test_it(): open('measured', 'w')")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}*"])
    assert not (pytester.path / "measured").exists()


def test_a_listing_needs_no_run(pytester):
    pytester.makepyfile("def test_it(profiled): pass")
    result = pytester.runpytest_subprocess("--profile-dnn", "--profile-dnn-compare=latest", "--collect-only", "-q")
    assert result.ret == 0


def stored(folder: Path, environment: Environment, *profiles: Profile) -> str:
    writer = create_run(folder, environment)
    for one in profiles:
        writer.write(one)
    writer.finish("complete", environment)
    return writer.path.name


def test_a_run_of_another_machine_is_refused(tmp_path):
    here = gather_environment()
    run = stored(tmp_path, replace(here, cpu_model="Another CPU", usable_cpus=999), profile([op("aten::add")]))
    with pytest.raises(
        pytest.UsageError, match=f"{run} is not of this machine: CPU model: Another CPU and .*usable CPUs"
    ):
        prepare("latest", tmp_path, tmp_path, PASSES)


def test_a_run_without_workloads_is_refused(tmp_path):
    run = stored(tmp_path, gather_environment())
    with pytest.raises(pytest.UsageError, match=f"{run} has nothing to compare with: no workload was recorded in it"):
        prepare(run, tmp_path, tmp_path, PASSES)


def test_a_wrong_rule_is_refused(tmp_path):
    stored(tmp_path / "runs", gather_environment(), profile([op("aten::add")]))
    (tmp_path / "pyproject.toml").write_text('[tool.perfsuite.gate.census]\nisa = "avx2"\n')
    with pytest.raises(
        pytest.UsageError, match=r"--profile-dnn-compare: pyproject\.toml: .*census\].*isa: expected one"
    ):
        prepare("latest", tmp_path / "runs", tmp_path, PASSES)


def test_the_rules_are_those_that_a_gate_would_take_there(tmp_path):
    stored(tmp_path / "runs", gather_environment(), profile([op("aten::add")]))
    repository = Repository(tmp_path / "repo")
    folder = repository.path / "sub" / "tests"
    folder.mkdir(parents=True)
    rules = '[tool.perfsuite.gate.census]\nisa = "{}"\n'
    (tmp_path / "pyproject.toml").write_text(rules.format("wrong"))  # above the repository
    runs, rootdir = tmp_path / "runs", folder
    assert prepare("latest", runs, rootdir, PASSES, folder).rules == CensusRules()
    (repository.path / "pyproject.toml").write_text(rules.format("off"))
    assert prepare("latest", runs, rootdir, PASSES, folder).rules == CensusRules(isa="off")
    (repository.path / "sub" / "pyproject.toml").write_text(rules.format("any"))
    assert prepare("latest", runs, rootdir, PASSES, folder).rules == CensusRules(isa="any")
    assert prepare("latest", runs, rootdir, PASSES, repository.path).rules == CensusRules(isa="off")
    # The gate of a project may take no census; who asks for this one gets it.
    (repository.path / "pyproject.toml").write_text("[tool.perfsuite.gate]\ncensus = false\n")
    assert prepare("latest", runs, rootdir, PASSES, repository.path).rules == CensusRules()
    assert prepare("latest", runs, rootdir, PASSES, repository.path).settings is None


# --- after the session ------------------------------------------------------------------------------


@pytest.fixture
def outcome(tmp_path):
    """Compares stored profiles as a session does: base's with this session's."""

    def compared(base, head, *, change=None, rules=None):
        here = gather_environment()
        ids = [stored(tmp_path / str(at), here, *side) for at, side in enumerate((base, head))]
        runs = [load_run(tmp_path / str(at) / name) for at, name in enumerate(ids)]
        baseline: Run = replace(runs[0], environment=replace(runs[0].environment, **(change or {})))
        return compare(Baseline(baseline, rules or CensusRules()), tmp_path / "1" / ids[1])

    return compared


def named(name: str, implementation: str = "jit:avx512_core", **more) -> Profile:
    one = profile([op("aten::mkldnn_convolution", "Net.conv")], [(0, primitive(implementation))], **more)
    return replace(one, name=name)


def test_workloads_that_a_side_lacks_are_named_and_fail_nothing(outcome):
    found = outcome([named("both"), named("old")], [named("both"), named("new")])
    texts = [text for text, _ in found.lines]
    assert not found.failed
    assert any(text.startswith("old: not compared: ") and "this session did not run it" in text for text in texts)
    assert any(text.startswith("new: not compared: ") and "does not have it" in text for text in texts)


def test_a_comparison_of_nothing_does_not_pass(outcome):
    assert outcome([named("old")], [named("new")]).lines[-1][0].endswith("have no workload in common")
    assert outcome([named("old")], [named("new")]).failed
    run = Run("20261121T101112Z-abcdef", "", "complete", gather_environment())
    nothing = compare(Baseline(run, CensusRules()), None)
    assert nothing.failed
    assert nothing.lines[0][0] == "error: nothing was recorded that could be compared with 20261121T101112Z-abcdef"


def test_what_only_torch_knows_of_the_machine_is_judged_after_the_session(outcome):
    found = outcome([named("a")], [named("a")], change={"isa": ("something", "else")})
    assert found.failed
    assert found.lines[-1][0].startswith("error: not comparable: instruction sets: ")


def test_another_data_type_under_the_same_name_is_another_workload(outcome):
    found = outcome([named("a", dtype="float32"), named("b")], [named("a", dtype="bfloat16"), named("b")])
    texts = [text for text, bad in found.lines if bad]
    assert texts == ["a: error: not comparable: a: data type float32 and bfloat16"]


def test_a_workload_whose_passes_cannot_tell_does_not_pass(outcome):
    found = outcome([named("a")], [named("a", passes=("timing", "operators"))])
    assert [text for text, bad in found.lines if bad] == [
        "a: error: not comparable: this session lacks the pass primitives"
    ]
    found = outcome([named("b", passes=("timing",))], [named("b")])
    assert [text for text, bad in found.lines if bad] == [
        "b: error: not comparable: the stored run lacks the passes operators and primitives"
    ]
    found = outcome([named("c")], [replace(named("c"), ledger=None)])
    assert [text for text, bad in found.lines if bad] == [
        "c: error: not comparable: this session has no figures of the pass operators"
    ]


def test_a_failure_is_told_with_its_place(outcome):
    found = outcome([named("a")], [named("a", "ref:any")])
    bad = [text for text, is_bad in found.lines if is_bad]
    assert bad[0] == "a: FAILED 1 rule; 2 entries changed"
    assert bad[1].startswith("  implementation: 1 execution a step went from jit:avx512_core to ref:any, ")
    assert "(Net.conv, forward)" in bad[1]


def test_a_run_that_cannot_be_read_back_does_not_pass(tmp_path):
    run = Run("20261121T101112Z-abcdef", "", "complete", gather_environment())
    found = compare(Baseline(run, CensusRules()), tmp_path / "gone")
    assert found.failed
    assert "error: not compared with 20261121T101112Z-abcdef: " in found.lines[0][0]
