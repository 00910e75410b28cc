"""Releases held against each other: made-up processes in, tables out that say no more than the intervals do."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.releases.stand_in import RELEASES, make_repository
from perfsuite.errors import PerfsuiteError, StoreError, UsageError
from perfsuite.history.archive import Archive, archive_of, read_archive, write_archive
from perfsuite.history.commits import branch_commits
from perfsuite.history.comparison import Comparison, compare, is_sure
from perfsuite.history.model import Point, Series, Stack
from perfsuite.history.settings import read_settings
from perfsuite.history.wheels import stack_of
from perfsuite.present.history.comparison import render_counts, render_machine, render_parts, render_times
from perfsuite.records import Profile
from perfsuite.store import create_run
from tests.history_runs import REORDERS, FakeShelf, a_process, commit
from tests.samples import an_environment
from tests.test_docs import load

ROOT = Path(__file__).parent.parent
NOISE = (0.0, 0.004, -0.004, 0.0)
#: Of each release in milliseconds: the step, its backward convolution, and an optimizer that only the last one has.
STEPS = ((100.0, 60.0, None), (110.0, 70.0, None), (110.0, 65.0, 4.0))
PAIRS = ((0, 1), (1, 2), (0, 2))


def a_step(step: float, convolution: float, optimizer: float | None) -> Profile:
    profile = a_process(step, convolution_ms=convolution)
    if optimizer is None:
        return profile
    (row,) = profile.operators
    fused = replace(row, name="aten::_fused_adam_", self_ns_samples=(round(optimizer * 1e6),))
    return replace(profile, operators=(row, fused))


def in_turns() -> FakeShelf:
    shelf = FakeShelf()
    for noise in NOISE:
        factor = math.exp(noise)
        for at, (step, convolution, optimizer) in enumerate(STEPS):
            fused = None if optimizer is None else optimizer * factor
            shelf.record(at, a_step(step * factor, convolution * factor, fused), torch=f"2.{at}.0")
    return shelf


def archived(shelf: FakeShelf, releases: int = len(STEPS)) -> Archive:
    return archive_of("mill", [commit(at) for at in range(releases)], shelf)


def held(archive: Archive, pairs=PAIRS) -> Comparison:
    return compare("mill", archive.series(), archive, [(commit(one), commit(other)) for one, other in pairs])


# --- the file ---------------------------------------------------------------------------------------


def test_an_archive_is_what_was_recorded(tmp_path: Path):
    shelf = in_turns()
    archive = archived(shelf)
    path = tmp_path / "releases.json.gz"
    write_archive(archive, path)
    first = path.read_bytes()
    assert read_archive(path) == archive
    write_archive(read_archive(path), path)
    assert path.read_bytes() == first
    assert [one.torch for one in archive.environments] == ["2.0.0", "2.1.0", "2.2.0"], "each once"
    for at in range(len(STEPS)):
        for kept, made in zip(archive.recorded(commit(at)), shelf.recorded(commit(at)), strict=True):
            assert kept.began == made.began
            kept_step, made_step = (one.values["resnet18"]["step"][""][0] for one in (kept, made))
            assert kept_step == pytest.approx(made_step, rel=1e-5)
    # A commit of which nothing was recorded is none of it.
    assert archived(shelf, 5).commits == archive.commits


def test_its_series_have_the_names_of_the_benchmarks():
    shelf = in_turns()
    shelf.record(0, a_process(7.0, name="sigmoid_focal_loss"))
    found = {one.benchmark.label: one for one in archived(shelf).series()}
    assert set(found) == {
        "steps.Steps.track_step(resnet18)",
        "steps.Steps.track_operator(resnet18, convolution_backward)",
        "steps.Steps.track_operator(resnet18, fused_optimizer)",
        "kernels.Kernels.track_focal_loss",
    }
    steps = found["steps.Steps.track_step(resnet18)"]
    assert [point.commit for point in steps.points] == [commit(at) for at in range(3)]
    assert [len(point.samples) for point in steps.points] == [len(NOISE)] * 3
    assert len(found["kernels.Kernels.track_focal_loss"].points) == 1


def test_a_damaged_archive_is_one_line(tmp_path: Path):
    path = tmp_path / "releases.json.gz"
    with pytest.raises(StoreError, match=r"releases.json.gz: cannot be read: "):
        read_archive(path)
    write_archive(archived(in_turns()), path)
    whole = path.read_bytes()
    value = json.loads(gzip.decompress(whole))
    damaged = {
        "not a whole gzip file": whole[:-20],
        "not valid JSON": gzip.compress(b"{"),
        "format 9, this perfsuite reads 1": gzip.compress(json.dumps({**value, "format": 9}).encode()),
        r"processes\[0\]: its commit or its environment is not in the file": gzip.compress(
            json.dumps({**value, "environments": value["environments"][:0]}).encode()
        ),
    }
    for why, data in damaged.items():
        path.write_bytes(data)
        with pytest.raises(StoreError, match=why) as error:
            read_archive(path)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)


# --- what is found ----------------------------------------------------------------------------------


def test_only_what_the_intervals_support_is_a_change():
    found = held(archived(in_turns()))
    (row,) = found.times
    assert row.levels == pytest.approx([100, 110, 110], rel=1e-5)
    slower, same, whole = row.changes
    assert None not in (slower, same, whole)
    assert slower.ratio == pytest.approx(1.1, rel=1e-4)
    assert slower.interval[0] < 1.1 < slower.interval[1]
    assert [is_sure(one) for one in (slower, same, whole)] == [True, False, True]
    assert [(one.slower, one.faster, one.undecided, one.left) for one in found.tally()] == [
        (1, 0, 0, 0), (0, 0, 1, 0), (1, 0, 0, 0),
    ]  # fmt: skip
    assert found.processes == (4, 4, 4)


def test_all_comparisons_share_the_probability_of_an_error():
    archive = archived(in_turns())
    (alone,) = held(archive, PAIRS[:1]).times[0].changes
    among = held(archive).times[0].changes[0]
    assert None not in (alone, among)
    assert among.interval[0] < alone.interval[0] < alone.interval[1] < among.interval[1]


def test_what_did_not_take_turns_is_not_compared():
    shelf = in_turns()
    shelf.sleep(24)
    for _ in range(3):
        shelf.record(3, a_step(200.0, 120.0, None))
    found = held(archived(shelf, 4), [(0, 3)])
    assert found.times[0].changes == (None,)
    assert found.tally()[0].left == 1
    assert found.parts == ()
    assert "of 1 step 1 not compared" in render_times(found)


def test_the_operators_of_a_step_that_changed():
    first, second = held(archived(in_turns())).parts
    assert (first.step.before, first.step.at) == (commit(0), commit(1))
    (convolution,) = first.parts
    assert convolution.name == "convolution_backward"
    assert convolution.delta == pytest.approx(10, rel=1e-4)
    assert is_sure(convolution.change)
    # One that only one side has is said with its time, and has no ratio.
    assert [(one.name, one.before is None, one.change is None) for one in second.parts] == [
        ("convolution_backward", False, False),
        ("fused_optimizer", True, True),
    ]


def test_a_count_that_differs_between_processes_is_not_told():
    points = (Point(commit(0), "mill", 3.0, (3.0, 3.0)), Point(commit(1), "mill", 4.0, (3.0, 5.0)))
    archive = archived(in_turns())
    found = compare("mill", [*archive.series(), Series(REORDERS, points)], archive, [(commit(0), commit(1))])
    (row,) = found.counts
    assert row.levels == (3.0, None, None)
    assert "| reorders in a step of `resnet18` | 3 calls | – | – |" in render_counts(found)


# --- the tables -------------------------------------------------------------------------------------


def test_the_tables_say_what_was_found():
    found = held(archived(in_turns()))
    times = render_times(found)
    assert "- `v0` → `v1`: of 1 step 1 surely slower\n" in times
    assert "- `v1` → `v2`: of 1 step 1 not told apart\n" in times
    (changes,) = [line for line in times.splitlines() if line.startswith("| step of `resnet18`") and "%" in line]
    cells = changes.strip("|").split("|")
    assert cells[1].strip().startswith("**+10.0% (+")
    assert cells[2].strip().startswith("not sure (−")
    parts = render_parts(found)
    assert "| `convolution_backward` | 60 ms | 70 ms | +10 ms | +16.7% (" in parts
    assert "| `fused_optimizer` | – | 4 ms | +4 ms | on one side only |" in parts
    assert "**`v1` → `v2`**\n\nNo step surely changed.\n" in parts
    machine = render_machine(found)
    assert machine.startswith("Measured on A CPU, 4 of 4 CPUs, ")
    assert "| `v2` | `2.2.0` | – | `v3.12.0` | 4 |" in machine


def test_a_pipe_in_a_name_breaks_no_table():
    archive = archived(in_turns())
    odd = replace(archive, environments=tuple(replace(one, torch="2|0") for one in archive.environments))
    for line in render_machine(held(odd)).splitlines()[2:]:
        assert line.count("|") == 6


# --- the page's own program ---------------------------------------------------------------------------


def test_the_page_is_made_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    releases = load("releases.py")
    monkeypatch.setattr(releases, "PAIRS", (("v0", "v1"), ("v1", "v2"), ("v0", "v9")))
    data, images = tmp_path / "data", tmp_path / "images"
    data.mkdir()
    images.mkdir()
    arguments = ["--data", str(data), "--images", str(images)]
    assert releases.main(arguments) == PerfsuiteError.exit_code
    assert "expected one releases-MACHINE.json.gz, found none" in capsys.readouterr().err
    write_archive(archived(in_turns()), data / "releases-mill.json.gz")
    assert releases.main(arguments) == 0
    assert {path.name for path in images.iterdir()} == set(releases.PARTS)
    assert "12 processes of 3 releases" in capsys.readouterr().out
    page = (ROOT / "docs" / "history" / "ipex-2.6-to-2.8.md").read_text()
    for name in releases.PARTS:
        assert f"{{include}} ../images/{name}" in page
    monkeypatch.setattr(releases, "PAIRS", (("v8", "v9"),))
    assert releases.main(arguments) == UsageError.exit_code
    assert "of none of the pairs both releases were measured, only v0, v1, v2" in capsys.readouterr().err


def test_what_was_recorded_is_kept_with_its_releases(tmp_path: Path):
    releases = load("releases.py")
    make_repository(tmp_path / "repository")
    document = json.loads(releases.CONFIG.read_text())
    document |= {"repo": "repository", "results_dir": "results", "env_dir": "env", "html_dir": "html"}
    document["perfsuite"]["runs_dir"] = "runs"
    config = tmp_path / "asv.conf.json"
    config.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"nothing was recorded in .*runs"):
        releases.keep(config, "mill", tmp_path)
    commits = branch_commits(tmp_path / "repository", "main")
    for one in commits[1:3]:
        with create_run(tmp_path / "runs" / one.hash, an_environment(git_commit=one.hash)) as run:
            run.write(a_process(10.0))
            run.finish()
    path = releases.keep(config, "mill", tmp_path)
    assert path.name == "releases-mill.json.gz"
    kept = read_archive(path)
    assert [one.label for one in kept.commits] == ["v2.7.0+cpu", "v2.8.0+cpu"]
    assert [(one.commit, one.values["resnet18"]["step"][""]) for one in kept.processes] == [
        (one.hash, (10.0,)) for one in kept.commits
    ]
    about = an_environment(git_commit=commits[0].hash, cpu_model="Another CPU")
    with create_run(tmp_path / "runs" / commits[0].hash, about) as run:
        run.write(a_process(10.0))
        run.finish()
    with pytest.raises(UsageError, match="are of several machines: CPU model: "):
        releases.keep(config, "mill", tmp_path)


def test_the_stand_in_is_the_same_each_time_and_names_what_to_install(tmp_path: Path):
    releases = load("releases.py")
    for name in ("one", "other"):
        make_repository(tmp_path / name)
    commits = branch_commits(tmp_path / "one", "main")
    assert commits == branch_commits(tmp_path / "other", "main")
    assert [one.tags for one in commits] == [(one.tag,) for one in RELEASES]
    assert {tag for pair in releases.PAIRS for tag in pair} <= {one.tag for one in RELEASES}
    settings = read_settings(releases.CONFIG)
    assert settings.benchmark_dir == ROOT / "benchmarks" / "history"
    found = [stack_of(one, settings, tmp_path / "one") for one in commits]
    extension, *_, newest = found
    assert all(isinstance(one, Stack) for one in found)
    own = ("torch==2.6.0", "torchvision==0.21.0", "intel-extension-for-pytorch==2.6.0", "setuptools<81")
    assert extension.requirements == (*own, "numpy", "psutil")
    assert newest.requirements == ("torch==2.13.0", "torchvision==0.28.*", "setuptools<81", "numpy", "psutil")
    # What is installed for them is found again by the history of PyTorch, whose requirements are the same.
    torch = read_settings(ROOT / "asv.torch.conf.json")
    assert torch.env_dir == settings.env_dir
    assert [one.format(version="2.13.0", torchvision="0.28.*") for one in torch.requirements] == [
        *settings.releases["torch-2.13.0"]
    ]
