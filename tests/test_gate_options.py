"""What the command line and the settings say reaches what it is about; no process is started."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from perfsuite.cli import main
from perfsuite.environment import usable_cpus
from perfsuite.gate import session
from perfsuite.gate.extensions import VARIABLE
from perfsuite.gate.messages import Listed
from perfsuite.gate.model import SIDES, BenchmarkResult, Judgement, Policy
from perfsuite.gate.probe import Probe
from perfsuite.gate.request import Outcome, Request
from perfsuite.gate.rules import CensusRules
from perfsuite.gate.session import Options, compare_sides
from perfsuite.protocol import PROTOCOL
from tests import gate_results as made

EVERYTHING = Options(
    node_ids=("tests/a.py", "tests/b.py::c"),
    threshold=0.05,
    seconds=12.5,
    max_pairs=9,
    inconclusive="pass",
    census_only=True,
    shortcut=False,
    allocator="glibc",
    threads=3,
    cpus=(0, 1, 2, 8),
    timeout=45.0,
    seed=7,
)
NOTHING = Options()
SAID = {
    "threshold": ("--threshold", "5"),
    "seconds": ("--budget", "12.5"),
    "max_pairs": ("--max-pairs", "9"),
    "inconclusive": ("--inconclusive", "pass"),
    "census_only": ("--census-only",),
    "no_census": ("--no-census",),
    "shortcut": ("--no-shortcut",),
    "allocator": ("--allocator", "glibc"),
    "threads": ("--threads", "3"),
    "cpus": ("--cpus", "0-2,8"),
    "timeout": ("--timeout", "45"),
    "seed": ("--seed", "7"),
}


# --- from the command line ------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, ...]]:
    """What the command asks for."""

    def called(*arguments: str) -> tuple[Any, ...]:
        found: list[tuple[Any, ...]] = []
        result = made.a_gate(made.unchanged())
        monkeypatch.setattr(session, "compare_sides", lambda *given: found.append(given) or (result, 0))
        done = CliRunner().invoke(main, ["gate", *arguments])
        assert (done.exit_code, len(found)) == (0, 1), done.output
        return found[0]

    return called


def test_without_options_nothing_is_said(asked: Callable[..., tuple[Any, ...]]) -> None:
    base, head, cwd, options, _, directory = asked("--base", "git:main")
    assert (base, head, cwd, directory) == ("git:main", ".", Path.cwd(), Path(".perfsuite"))
    assert options == NOTHING


@pytest.mark.parametrize("name", SAID)
def test_each_option_says_its_own_and_nothing_else(asked: Callable[..., tuple[Any, ...]], name: str) -> None:
    options = asked("--base", ".", *SAID[name])[3]
    expected = True if name == "no_census" else getattr(EVERYTHING, name)
    assert options == replace(NOTHING, **{name: expected})


def test_every_option_can_be_said_at_once(asked: Callable[..., tuple[Any, ...]]) -> None:
    words = [word for name, said in SAID.items() if name != "no_census" for word in said]
    options = asked("--base", ".", "--head", "env:X=1", "--dir", "runs", *words, "tests/a.py", "tests/b.py::c")
    assert options[:2] == (".", "env:X=1")
    assert options[3] == EVERYTHING
    assert options[5] == Path("runs")


def test_every_option_is_looked_at() -> None:
    assert {one.name for one in dataclasses.fields(Options)} == {*SAID, "node_ids"}


def test_neither_times_nor_a_census_is_nothing() -> None:
    done = CliRunner().invoke(main, ["gate", "--base", ".", "--census-only", "--no-census"])
    assert done.exit_code == 2
    assert done.stderr.startswith("perfsuite: error: --census-only and --no-census: nothing would be left to compare")
    assert done.stderr.count("\n") == 1


# --- to the loop ----------------------------------------------------------------------------------------


@pytest.fixture
def requested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Request, Any, int]]:
    """What the loop is asked for, in a folder whose pyproject.toml has this table, and what comes of it."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.setattr(session, "find_allocator", lambda family: f"/x/lib{family}.so")
    monkeypatch.setattr(session, "probe", lambda *_: Probe("/x/python", "CPython 3.11", "/x", "1", PROTOCOL))

    def called(
        table: str = "", options: Options = NOTHING, outcome: Outcome | None = None, head: str = "env:X=1"
    ) -> tuple[Request, Any, int]:
        found: list[Request] = []

        def run(request: Request, progress: object) -> Outcome:
            found.append(request)
            assert all(Path(path).parent.is_dir() for path in request.extensions)
            return outcome or Outcome()

        monkeypatch.setattr(session, "run", run)
        (tmp_path / "project" / "pyproject.toml").write_text(f"[tool.perfsuite.gate]\n{table}")
        result, code = compare_sides(".", head, tmp_path / "project", options)
        assert not list((tmp_path / "tmp").iterdir())
        return found[0], result, code

    return called


def policy_of(request: Request) -> Policy:
    return request.policy_of(Listed("test_it.py::test_a", "test_it.py::test_a", None, None))


def test_by_default_it_is_asked_for_the_defaults(requested: Callable[..., tuple[Request, Any, int]]) -> None:
    request, result, code = requested()
    assert policy_of(request) == Policy()
    assert (request.timeout, request.census_only, request.seed, request.rules) == (300.0, False, None, CensusRules())
    assert (result.threshold, code) == (Policy().threshold, 0)


@pytest.mark.parametrize("where", ["command line", "pyproject.toml"])
def test_what_is_said_reaches_the_loop(requested: Callable[..., tuple[Request, Any, int]], where: str) -> None:
    options = Options(threshold=0.05, seconds=12.5, max_pairs=9, timeout=45.0, allocator="jemalloc", threads=1)
    table = "threshold = 5\nbudget = 12.5\nmax_pairs = 9\ntimeout = 45\nallocator = 'jemalloc'\nthreads = 1\n"
    if where == "command line":
        request, result, _ = requested("threshold = 8\nbudget = 99\ntimeout = 9\nthreads = 2\n", options)
    else:
        request, result, _ = requested(table)
    # Whoever sets a budget means it, also for steps so long that few pairs fit into it.
    assert policy_of(request) == Policy(threshold=0.05, seconds=12.5, max_pairs=9, least_pairs=0)
    assert (request.timeout, result.threshold) == (45.0, 0.05)
    for side in SIDES:
        assert request.runnables[side].variables["OMP_NUM_THREADS"] == "1"
        assert len(request.runnables[side].cpus or ()) == 1
        assert request.runnables[side].variables["LD_PRELOAD"] == "/x/libjemalloc.so"


def test_cpus_and_the_seed_reach_it_as_well(requested: Callable[..., tuple[Request, Any, int]]) -> None:
    last = usable_cpus().cores[-1][-1]
    request, result, _ = requested("", Options(cpus=(last,), seed=7))
    assert (request.cpus, request.seed) == ([last], 7)
    assert [request.runnables[side].cpus for side in SIDES] == [(last,), (last,)]
    assert f"CPUs {last}" in result.settings


@pytest.mark.parametrize(
    ("table", "options", "rules"),
    [
        ("", Options(no_census=True), None),
        ("census = false\n", NOTHING, None),
        ("census = true\n", NOTHING, CensusRules()),
        ("[tool.perfsuite.gate.census]\nisa = 'off'\n", NOTHING, CensusRules(isa="off")),
        ("[tool.perfsuite.gate.census]\nisa = 'off'\n", Options(no_census=True), None),
        # What is asked for in so many words is done.
        ("census = false\n", Options(census_only=True), CensusRules()),
        ("[tool.perfsuite.gate.census]\nisa = 'off'\n", Options(census_only=True), CensusRules(isa="off")),
    ],
)
def test_whether_a_census_is_taken(
    requested: Callable[..., tuple[Request, Any, int]], table: str, options: Options, rules: CensusRules | None
) -> None:
    request, result, _ = requested(table, options)
    assert request.rules == rules
    by = "--no-census" if options.no_census else "pyproject.toml"
    said = f"no census is taken ({by}): verdicts are by time alone, and no change is explained"
    assert (said in result.notes) == (rules is None)


@pytest.mark.parametrize(
    ("table", "options", "code"),
    [
        ("", NOTHING, 3),
        ("inconclusive = 'pass'\n", NOTHING, 0),
        ("inconclusive = 'fail'\n", NOTHING, 3),
        ("inconclusive = 'fail'\n", Options(inconclusive="pass"), 0),
        ("inconclusive = 'pass'\n", Options(inconclusive="fail"), 3),
    ],
)
def test_what_becomes_of_what_is_not_decided(
    requested: Callable[..., tuple[Request, Any, int]], table: str, options: Options, code: int
) -> None:
    open_one = BenchmarkResult("test_a", "inconclusive", Policy(), Judgement("inconclusive"))
    assert requested(table, options, Outcome((open_one,)))[2] == code
    # What is worse fails in any case.
    assert requested(table, options, Outcome((open_one, made.regressed())))[2] == 1
    assert requested(table, options, Outcome((open_one, made.incomparable())))[2] == 4


def test_each_side_compiles_its_extensions_in_a_folder_of_its_own(
    requested: Callable[..., tuple[Request, Any, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/one/for/both")
    request, result, _ = requested()
    folders = [request.runnables[side].variables[VARIABLE] for side in SIDES]
    assert len(set(folders)) == 2
    assert list(request.extensions) == folders
    assert not any(folder.startswith("/one/for/both") for folder in folders)
    assert f"{VARIABLE}=(of each side's own)" in result.settings
    request, result, _ = requested(head=f"env:{VARIABLE}=/mine")
    assert request.runnables["head"].variables[VARIABLE] == "/mine"
    assert list(request.extensions) == [request.runnables["base"].variables[VARIABLE]]
    assert f"base: {VARIABLE}=(of its own)" in result.settings
    assert os.environ[VARIABLE] == "/one/for/both"
