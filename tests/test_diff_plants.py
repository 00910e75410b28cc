"""What was planted in a real model is what the diff names.

Runs are recorded by pytest processes of their own under the quiet settings; ``benchmarks/reach/diff_plant.py`` keeps
the score over many trials.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.reach.diff_plant import COST, KINDS, Calibration, Plant, Trial, judge, record
from perfsuite.analyse.diff import Entry, WorkloadDiff, diff_runs
from perfsuite.records import Run

MODULE = "layer2.1.conv1"
CONVOLUTIONS = {"aten::mkldnn_convolution", "aten::convolution_backward"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plants")


@pytest.fixture(scope="module")
def base(folder: Path) -> Run:
    return record(folder / "base")


@pytest.fixture(scope="module")
def calibration(folder: Path) -> Calibration:
    return Calibration(folder / "calibration")


def compare(base: Run, head: Run) -> WorkloadDiff:
    (workload,) = diff_runs(base, head).workloads
    return workload


def of_convolutions(entries: tuple[Entry, ...], what: str) -> list[Entry]:
    return [entry for entry in entries if entry.what == what and (entry.primitive or "").startswith("convolution")]


def test_a_lowered_isa_is_named_with_implementation_module_and_shape(base: Run, folder: Path) -> None:
    head = record(folder / "isa", environment={"ONEDNN_MAX_CPU_ISA": "SSE41"})
    diff = diff_runs(base, head)
    changes = {change.key: change.head for change in diff.environment_changes}
    assert changes["omp.ONEDNN_MAX_CPU_ISA"] == "SSE41"
    (workload,) = diff.workloads
    found = of_convolutions(workload.census.changed, "implementation")
    forward = {entry.where.module: entry for entry in found if entry.primitive == "convolution forward_training"}
    assert len(forward) == 20
    entry = forward["ResNet.layer1.0.conv1"]
    assert entry.where.shapes[:2] == ((4, 64, 16, 16), (64, 64, 3, 3))
    assert entry.problem == "mb4_ic64oc64_ih16oh16kh3sh1dh0ph1_iw16ow16kw3sw1dw0pw1"
    assert "sse41" in str(entry.head)
    assert "sse41" not in str(entry.base)
    top = workload.operators[0]
    assert top.name in CONVOLUTIONS
    assert top.cause.kind == "implementation"
    assert top.delta_ns > 0


def test_one_convolution_in_another_layout_is_named_alone(base: Run, folder: Path) -> None:
    head = record(folder / "layout", Plant(MODULE, channels_last=True))
    census = compare(base, head).census
    for what in ("implementation", "layout"):
        found = of_convolutions(census.changed, what)
        assert {entry.where.module for entry in found} == {f"ResNet.{MODULE}"}, what
        assert {entry.where.name for entry in found} <= CONVOLUTIONS
    (forward,) = (e for e in of_convolutions(census.changed, "layout") if e.where.phase == "forward")
    assert forward.where.shapes[:2] == ((4, 128, 8, 8), (128, 128, 3, 3))
    assert ("src:acdb" in str(forward.head), "src:acdb" in str(forward.base)) == (True, False)
    added = {(entry.where.name, entry.where.module) for entry in census.added if entry.what == "operator"}
    assert ("aten::contiguous", f"ResNet.{MODULE}") in added


def test_two_recordings_of_the_same_have_the_same_census(base: Run, folder: Path) -> None:
    workload = compare(base, record(folder / "again"))
    assert (workload.census.added, workload.census.removed, workload.census.changed) == ((), (), ())
    assert {row.cause.kind for row in workload.operators} == {"time"}
    assert all(total.base == total.head for total in workload.census.totals)


@pytest.mark.parametrize("kind", KINDS)
def test_an_operator_that_costs_some_of_the_step_is_the_top_row(
    kind: str, base: Run, calibration: Calibration, folder: Path
) -> None:
    trial = calibration.draw(kind, random.Random(3))
    before = base if trial.base is None else record(folder / "small", trial.base)
    outcome = judge(trial, before, record(folder / kind, trial.head))
    assert outcome.named, outcome
    assert outcome.cause == ("shape" if kind == "shape" else "count")
    # What else runs on the machine makes plants cost more or less than they should; nothing at all they never do.
    assert outcome.cost > COST[0] / 6


def test_a_trial_that_another_row_tops_is_not_named(base: Run, calibration: Calibration) -> None:
    (planted,) = (row for row in calibration.profile.operators if row.name == "aten::erf")
    assert planted.module == "ResNet.layer2.0.conv1"
    head = Run("head", base.created, "complete", base.environment, (calibration.profile,))
    assert judge(Trial("new", None, Plant("layer2.0.conv1", erfs=1), "aten::erf"), base, head).named
    assert not judge(Trial("new", None, Plant("layer4.1.bn2", erfs=1), "aten::erf"), base, head).named
