"""`perfsuite calibrate`, what it keeps on disk, and that the gate takes its budget from there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from perfsuite.capture.calibration.step import PLANTED
from perfsuite.cli import main
from perfsuite.environment import gather_environment
from perfsuite.errors import CaptureError, StoreError
from perfsuite.gate import rehearse as rehearse_module
from perfsuite.gate.calibration_store import NAME, budget_of, load_calibration, save_calibration
from perfsuite.gate.model import Policy
from perfsuite.gate.rehearse import Rehearsal, _sizes, rehearse
from perfsuite.gate.session import Options, _settings
from perfsuite.gate.settings import GateSettings
from tests.samples import an_environment
from tests.test_gate_calibration import made
from tests.test_gate_simulate import a_pair


@pytest.fixture
def calibration():
    return replace(made(30), environment=gather_environment(), recommended_seconds=77.0)


def test_what_is_kept_is_read_again(tmp_path, calibration):
    path = save_calibration(tmp_path / "new", calibration)
    assert path == tmp_path / "new" / NAME
    assert load_calibration(tmp_path / "new") == calibration
    assert budget_of(tmp_path / "new", 0.03) == 77.0
    assert budget_of(tmp_path / "new", 0.01) is None


def test_none_was_made(tmp_path):
    assert load_calibration(tmp_path) is None
    assert budget_of(tmp_path, 0.03) is None


def test_one_of_another_machine_says_nothing_about_this_one(tmp_path, calibration):
    for environment in (None, an_environment(), replace(gather_environment(), usable_cpus=999)):
        save_calibration(tmp_path, replace(calibration, environment=environment))
        assert budget_of(tmp_path, 0.03) is None


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


def test_the_gate_takes_its_default_budget_from_it(tmp_path, calibration):
    save_calibration(tmp_path, calibration)
    assert _settings(GateSettings(), Options(), tmp_path).budget == 77.0
    assert _settings(GateSettings(), Options(), None).budget == Policy().seconds
    assert _settings(GateSettings(), Options(seconds=5.0), tmp_path).budget == 5.0


def test_the_command_prints_and_keeps_it(tmp_path, monkeypatch):
    asked = []

    def recorded(pairs, planted, shares, progress, seed):
        asked.append((pairs, planted, tuple(shares), seed))
        progress("recording")
        slower = {share: [a_pair(n, slower=share) for n in range(planted)] for share in shares if planted}
        return Rehearsal([a_pair(n) for n in range(pairs)], slower, an_environment(), 1.2)

    monkeypatch.setattr(rehearse_module, "rehearse", recorded)
    folder = tmp_path / "runs"
    done = CliRunner().invoke(
        main, ["calibrate", "--pairs", "16", "--planted", "4", "--dir", str(folder), "--seed", "2"]
    )
    assert done.exit_code == 0, done.output
    assert asked == [(16, 4, (0.03, 0.06), 2)]
    assert "16 process pairs of equal sides" in " ".join(done.output.split())
    assert load_calibration(folder).pairs == 16
    done = CliRunner().invoke(main, ["calibrate", "--pairs", "16", "--planted", "0", "--json", "--dir", str(folder)])
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


def test_a_plant_is_not_led_astray_by_one_wrong_measurement():
    costs = iter([0.08, 0.0799])  # the second is as slow as the first, of half as many
    (size,) = _sizes([0.04], lambda elements: next(costs)).values()
    assert 187_000 < size < 188_000  # a quarter of the guess


def test_a_plant_that_costs_nothing_is_an_error():
    with pytest.raises(CaptureError, match="is the machine busy"):
        _sizes([0.06], lambda elements: -0.001)


def test_pairs_are_really_recorded(monkeypatch):
    monkeypatch.setattr(rehearse_module, "_PROBES", 1)
    said: list[str] = []
    # The probe plants a lot, so that even a busy machine sees it.
    monkeypatch.setattr(rehearse_module, "_PROBE_ELEMENTS", 6_000_000)
    found = rehearse(2, 1, [0.5], said.append, seed=1)
    assert len(found.equal) == 2
    assert {trace.first for trace in found.equal} == {"base", "head"}
    assert {share: len(traces) for share, traces in found.planted.items()} == {0.5: 1}
    for trace in (*found.equal, *found.planted[0.5]):
        assert trace.steps >= 6
        assert trace.seconds > 0
        assert len(trace.order) == len(trace.base_ns) + len(trace.head_ns)
    assert found.environment.torch is not None
    assert found.profile_seconds > 0
    assert said[-1] == "pair 3 of 3"
    assert PLANTED.startswith("aten::")
    assert not list(Path().glob("perfsuite-calibration-*"))
