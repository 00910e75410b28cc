"""`perfsuite calibrate`, what it keeps on disk, and that the gate takes its budget from there."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from perfsuite.capture.calibration.step import PLANT, PLANTED
from perfsuite.cli import main
from perfsuite.environment import gather_environment
from perfsuite.errors import CaptureError, StoreError
from perfsuite.gate import rehearse as rehearse_module
from perfsuite.gate import session
from perfsuite.gate.answers import SuspendedError
from perfsuite.gate.calibration_store import NAME, budget_of, load_calibration, save_calibration
from perfsuite.gate.messages import Listed
from perfsuite.gate.model import Policy
from perfsuite.gate.rehearse import Rehearsal, _Besides, _sizes, plant_sizes, rehearse
from perfsuite.gate.request import Outcome
from perfsuite.gate.worker import WorkerFault
from tests.samples import an_environment
from tests.test_gate_calibration import made
from tests.test_gate_simulate import a_pair


@pytest.fixture
def calibration():
    return replace(made(30), environment=gather_environment(), recommended_seconds=120.0)


def test_what_is_kept_is_read_again(tmp_path, calibration):
    path = save_calibration(tmp_path / "new", calibration)
    assert path == tmp_path / "new" / NAME
    assert load_calibration(tmp_path / "new") == calibration
    assert budget_of(tmp_path / "new", 0.03, 0.95) == 120.0
    assert budget_of(tmp_path / "new", 0.01, 0.95) is None
    assert budget_of(tmp_path / "new", 0.03, 0.99) is None


@pytest.mark.parametrize("seconds", [None, 24.0, Policy().seconds])
def test_a_budget_is_never_below_the_default(tmp_path, calibration, seconds):
    """A gate that knows stops earlier by itself, and one of many benchmarks needs more pairs than were calibrated."""
    save_calibration(tmp_path, replace(calibration, recommended_seconds=seconds))
    assert budget_of(tmp_path, 0.03, 0.95) is None


def test_none_was_made(tmp_path):
    assert load_calibration(tmp_path) is None
    assert budget_of(tmp_path, 0.03, 0.95) is None


def test_one_of_another_machine_says_nothing_about_this_one(tmp_path, calibration):
    for environment in (None, an_environment(), replace(gather_environment(), usable_cpus=999)):
        save_calibration(tmp_path, replace(calibration, environment=environment))
        assert budget_of(tmp_path, 0.03, 0.95) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 99}', '{"format": 1}', '{"format": 1, "pairs": "many"}', "\0" * 50]
)
def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(StoreError, match="make a new one with: perfsuite calibrate") as caught:
        load_calibration(tmp_path)
    assert str(tmp_path / NAME) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path, calibration):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        save_calibration(tmp_path / "file", calibration)


def test_a_folder_that_cannot_hold_it_is_said_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(rehearse_module, "rehearse", lambda *arguments: pytest.fail("something was measured"))
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["calibrate", "--dir", str(tmp_path / "file")])
    assert done.exit_code == 2
    assert "cannot be a folder" in done.stderr


def test_the_gate_takes_its_default_budget_from_it_and_says_so(tmp_path, calibration, monkeypatch):
    runs, project = tmp_path / "runs", tmp_path / "project"
    save_calibration(runs, calibration)
    project.mkdir()

    def planned(**options) -> tuple[Policy, list[str]]:
        asked = []
        monkeypatch.setattr(session, "run", lambda request, progress: asked.append(request) or Outcome())
        result, _ = session.compare_sides(".", "env:X=1", project, session.Options(**options), directory=runs)
        policy = asked[0].policy_of(Listed("test_it.py::test_a", "test_it.py::test_a", None, None))
        return policy, [note for note in result.notes if "budget" in note]

    assert planned() == (Policy(seconds=120.0), [f"budget 120 s a benchmark, from {runs / NAME}"])
    # What somebody set is meant, also for steps so long that few pairs fit into it; one for another threshold is not.
    assert planned(seconds=5.0) == (Policy(seconds=5.0, least_pairs=0), [])
    assert planned(threshold=0.01) == (Policy(threshold=0.01), [])
    (project / "pyproject.toml").write_text("[tool.perfsuite.gate]\nconfidence = 99\n")
    assert planned() == (Policy(confidence=0.99), [])
    (project / "pyproject.toml").write_text("[tool.perfsuite.gate]\nbudget = 90\n")
    assert planned() == (Policy(seconds=90.0, least_pairs=0), [])


def test_the_command_prints_and_keeps_it(tmp_path, monkeypatch):
    asked = []

    def recorded(pairs, planted, shares, progress, seed, allocator, threads):
        asked.append((pairs, planted, tuple(shares), seed, allocator, threads))
        progress("recording")
        slower = {share: [a_pair(n, slower=share) for n in range(planted)] for share in shares if planted}
        return Rehearsal([a_pair(n) for n in range(pairs)], slower, an_environment(), 1.2)

    monkeypatch.setattr(rehearse_module, "rehearse", recorded)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs"
    done = CliRunner().invoke(
        main, ["calibrate", "--pairs", "16", "--planted", "4", "--dir", str(folder), "--seed", "2"]
    )
    assert done.exit_code == 0, done.output
    assert asked == [(16, 4, (0.03, 0.06), 2, "auto", None)]
    assert "16 process pairs of equal sides" in " ".join(done.output.split())
    assert load_calibration(folder).pairs == 16
    Path("pyproject.toml").write_text(
        "[tool.perfsuite.gate]\nthreshold = 5\nconfidence = 99.99\nmax_pairs = 12\nallocator = 'glibc'\nthreads = 1\n"
    )
    done = CliRunner().invoke(main, ["calibrate", "--pairs", "16", "--planted", "0", "--json", "--dir", str(folder)])
    assert asked[1:] == [(16, 0, (0.05, 0.1), None, "glibc", 1)]
    policy = load_calibration(folder).policy
    assert (policy.threshold, policy.max_pairs) == (0.05, 12)
    assert policy.confidence == pytest.approx(0.9999)
    assert [plan.pairs for plan in load_calibration(folder).plans] == [8, 10, 12]
    assert json.loads(done.stdout)["pairs"] == 16
    assert json.loads((folder / NAME).read_text())["pairs"] == 16


@pytest.mark.parametrize(
    "options", [["--pairs", "7"], ["--planted", "2"], ["--threshold", "nan"], ["--threshold", "0"]], ids=" ".join
)
def test_bad_options(options):
    done = CliRunner().invoke(main, ["calibrate", *options])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("fixed", [0.0, 0.01, 0.02])
def test_a_plant_is_corrected_where_its_cost_is_not_proportional(fixed):
    sizes = _sizes([0.03, 0.06, 0.2], lambda elements: fixed + elements * 5e-8)
    for share, size in sizes.items():
        assert fixed + size * 5e-8 == pytest.approx(share, rel=1e-4)
    # Less than any plant costs is the smallest one.
    assert _sizes([fixed / 2], lambda elements: fixed + elements * 5e-8) == {fixed / 2: 1}


@pytest.mark.parametrize("cost", [lambda elements: -0.001, lambda elements: 0.01, lambda elements: 1e5 / elements])
def test_a_plant_that_costs_nothing_is_an_error(cost):
    with pytest.raises(CaptureError, match="is the machine busy"):
        _sizes([0.06], cost)


def test_pairs_are_really_recorded(monkeypatch):
    monkeypatch.setattr(rehearse_module, "_PROBE_PAIRS", 1)
    said: list[str] = []
    costs: list[float] = []

    def sizes(shares, cost):
        """Measures really, and does not go by it: on a busy machine one pair may say anything."""
        costs.append(cost(1_000_000))
        return dict.fromkeys(shares, 1_000_000)

    monkeypatch.setattr(rehearse_module, "_sizes", sizes)
    found = rehearse(2, 1, [0.5], said.append, seed=1)
    assert len(found.equal) == 2
    assert {trace.first for trace in found.equal} == {"base", "head"}
    assert {share: len(traces) for share, traces in found.planted.items()} == {0.5: 1}
    for trace in (*found.equal, *found.planted[0.5]):
        assert trace.steps >= 3  # on a busy machine each is a turn of its own
        assert trace.seconds > 0
        assert len(trace.order) == len(trace.base_ns) + len(trace.head_ns)
    assert found.environment.torch is not None
    assert found.profile_seconds > 0
    assert said[-1] == "pair 3 of 3"
    assert len(costs) == 1
    assert math.isfinite(costs[0])
    assert PLANTED.startswith("aten::")
    assert not list(Path().glob("perfsuite-calibration-*"))


@pytest.mark.parametrize("fault", [WorkerFault("head", "was killed by SIGKILL"), SuspendedError("the machine slept")])
def test_one_fault_costs_one_pair(monkeypatch, fault):
    tried = []

    def recorded(runnables, first, chance, profiled):
        tried.append((first, profiled))
        if len(tried) in (1, 4):
            raise fault
        return a_pair(len(tried)), _Besides(an_environment(), len(tried)) if profiled else None

    monkeypatch.setattr(rehearse_module, "_pair", recorded)
    found = rehearse(4, 0, [])
    assert len(found.equal) == 4
    assert [first for first, _ in tried] == ["base", "base", "head", "base", "base", "head"]
    # Until one has been.
    assert [profiled for _, profiled in tried] == [True, True, False, False, False, False]
    assert (found.environment, found.profile_seconds) == (an_environment(), 2)

    def failed(runnables, first, chance, profiled):
        tried.append((first, profiled))
        raise fault

    tried.clear()
    monkeypatch.setattr(rehearse_module, "_pair", failed)
    with pytest.raises(type(fault)):
        rehearse(4, 0, [])
    assert len(tried) == 2


def test_nobody_asks_what_else_a_pair_says_that_sizes_a_plant(monkeypatch):
    asked = []

    def recorded(runnables, first, chance, profiled):
        elements = int(runnables["head"].variables[PLANT])
        asked.append((elements, first, profiled))
        return a_pair(len(asked), slower=elements * 5e-8, spread=0.0, start=0.0), None

    monkeypatch.setattr(rehearse_module, "_pair", recorded)
    sizes = plant_sizes([0.06], 2)
    few, many = rehearse_module._PROBES
    assert asked == [(few, "base", False), (few, "head", False), (many, "base", False), (many, "head", False)]
    # The steps have a noise of their own.
    assert sizes == {0.06: pytest.approx(0.06 / 5e-8, rel=0.3)}


def test_the_users_options_of_pytest_do_not_count(monkeypatch):
    started = []

    def recorded(runnables, first, chance, profiled):
        started.extend(runnables.values())
        return a_pair(1), _Besides(an_environment(), 1.0)

    monkeypatch.setattr(rehearse_module, "_pair", recorded)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-n4 -k nothing")
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    rehearse(1, 0, [])
    for one in started:
        assert not {"PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"} & set(one.variables)
        assert "-n0" in one.options
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    started.clear()
    rehearse(1, 0, [])
    assert all("perfsuite.pytest_plugin" in one.options for one in started)
