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
from tests.diff_profiles import op, profile
from tests.samples import an_environment

MODULE = "layer2.1.conv1"
CONVOLUTIONS = {"aten::mkldnn_convolution", "aten::convolution_backward"}
#: Two steps tell what is unstable.
BRIEF = {"steps": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plants")


@pytest.fixture(scope="module")
def base(folder: Path) -> Run:
    return record(folder / "base", **BRIEF, passes="operators,primitives,memory")


@pytest.fixture(scope="module")
def planted(base: Run, folder: Path) -> WorkloadDiff:
    """One module in another layout, with an operator that the model has nowhere."""
    return compare(base, record(folder / "planted", Plant(MODULE, erfs=3, channels_last=True), **BRIEF))


def compare(base: Run, head: Run) -> WorkloadDiff:
    (workload,) = diff_runs(base, head).workloads
    return workload


def of_convolutions(entries: tuple[Entry, ...], what: str) -> list[Entry]:
    return [entry for entry in entries if entry.what == what and (entry.primitive or "").startswith("convolution")]


def test_a_lowered_isa_is_named_with_implementation_module_and_shape(base: Run, folder: Path) -> None:
    head = record(folder / "isa", environment={"ONEDNN_MAX_CPU_ISA": "SSE41"}, **BRIEF)
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
    rows = [row for row in workload.operators if row.name == "aten::mkldnn_convolution"]
    assert len(rows) == 20
    assert {(row.phase, row.cause.kind) for row in rows} == {("forward", "implementation")}


def test_one_convolution_in_another_layout_is_named_alone(planted: WorkloadDiff) -> None:
    census = planted.census
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
    workload = compare(base, record(folder / "again", **BRIEF, passes="operators,primitives,memory"))
    assert (workload.census.added, workload.census.removed, workload.census.changed) == ((), (), ())
    assert {row.cause.kind for row in workload.operators} == {"time"}
    totals = {total.what: (total.base, total.head) for total in workload.census.totals}
    assert all(before == after for before, after in totals.values())
    assert all(totals[what][0] for what in ("operators", "primitives", "reorders", "allocations", "allocated_bytes"))


def test_an_operator_that_is_new_has_a_row_with_its_cause(planted: WorkloadDiff) -> None:
    (row,) = (row for row in planted.operators if row.name == "aten::erf")
    assert (row.module, row.phase, row.there, row.base_name) == (f"ResNet.{MODULE}", "forward", "head", None)
    assert (row.cause.kind, row.cause.base, row.cause.head) == ("count", None, 3)


# --- the score --------------------------------------------------------------------------------------

ERF = op("aten::erf", "ResNet.layer1", times=(500, 500, 500), counts=(10, 10, 10))
CONV = op("aten::mkldnn_convolution", "ResNet.layer2", times=(100, 100, 100))
REST = op("aten::mul", "ResNet.layer3", times=(9000, 9000, 9000))


def run(*operators) -> Run:
    return Run("run", "2026-01-01T00:00:00+00:00", "complete", an_environment(), (profile(operators),))


@pytest.mark.parametrize("kind", KINDS)
def test_a_plant_is_drawn_to_cost_what_it_should(kind: str) -> None:
    calibration = Calibration(profile([ERF, CONV, REST], rest=(0, 0, 0)))
    assert (calibration.wall_ns, calibration.erf_ns) == (9100, 50)
    trial = calibration.draw(kind, random.Random(3))
    calls, each_ns = (trial.head.forwards, 100) if kind == "count" else (trial.head.erfs, 50)
    assert COST[0] * 9100 - each_ns <= calls * each_ns <= COST[1] * 9100 + each_ns
    assert trial.operator == ("aten::mkldnn_convolution" if kind == "count" else "aten::erf")
    assert (trial.base is not None) == (kind == "shape")


def test_a_trial_that_another_row_tops_is_not_named() -> None:
    base, head = run(CONV, REST), run(CONV, REST, ERF)
    outcome = judge(Trial("new", None, Plant("layer1", erfs=10), "aten::erf"), base, head)
    assert outcome.named
    assert outcome.cost == pytest.approx(500 / 9105)
    assert not judge(Trial("new", None, Plant("layer2", erfs=10), "aten::erf"), base, head).named
