"""The numbers of runs, kept beside them so that judging need not read the runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from perfsuite.history import recorded as kept
from perfsuite.history.model import Commit
from perfsuite.history.shelf import Shelf
from perfsuite.history.values import values_of
from perfsuite.records import Profile, Run
from perfsuite.store import create_run
from perfsuite.store.reader import read_manifest
from tests.history_runs import a_process
from tests.samples import a_profile, an_environment, profiles

COMMIT = Commit("c" * 40, 0, "2026-01-01T00:00:00+00:00", ("v1",))


def store(runs_dir: Path, *profiles: Profile) -> Path:
    """A finished run of the commit; returns its folder."""
    with create_run(runs_dir / COMMIT.hash, an_environment()) as run:
        for profile in profiles:
            run.write(profile)
        run.finish()
        return run.path


def plain(found: kept.Recorded) -> object:
    return json.loads(json.dumps(found.values))


def test_a_run_is_read_for_its_numbers_only_once(tmp_path: Path):
    path = store(tmp_path, a_profile("resnet18"), a_process(20.0, name="lstm"))
    shelf = Shelf(tmp_path)
    (found,) = shelf.recorded(COMMIT)
    assert plain(found) == {"resnet18": values_of(a_profile("resnet18")), "lstm": values_of(a_process(20.0))}
    assert found.created == read_manifest(path).created
    assert found.environment == an_environment()
    for file in (path / "workloads").iterdir():
        file.unlink()
    again = Shelf(tmp_path)
    assert again.recorded(COMMIT) == (found,)
    assert again.problems == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(profiles)
def test_any_numbers_are_found_as_they_were_kept(tmp_path_factory: pytest.TempPathFactory, profile: Profile):
    folder = tmp_path_factory.mktemp("runs")
    path = store(folder)
    manifest = read_manifest(path)
    found = kept.recorded(Run(manifest.id, manifest.created, "complete", manifest.environment, (profile,)))
    kept.keep(folder, path, found)
    assert kept.find(folder, path, manifest) == found


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "values": 3}', "\x00"])
def test_what_was_kept_and_is_damaged_is_made_anew(tmp_path: Path, text: str):
    store(tmp_path, a_process(20.0))
    (found,) = Shelf(tmp_path).recorded(COMMIT)
    (file,) = (tmp_path / kept.FOLDER / COMMIT.hash).iterdir()
    whole = file.read_text()
    file.write_text(text)
    assert Shelf(tmp_path).recorded(COMMIT) == (found,)
    assert file.read_text() == whole


def test_another_run_in_the_place_of_one_is_not_taken_for_it(tmp_path: Path):
    path = store(tmp_path, a_process(20.0))
    (before,) = Shelf(tmp_path).recorded(COMMIT)
    manifest = json.loads((path / "run.json").read_text())
    manifest["created"] = "2020-01-01T00:00:00+00:00"
    (path / "run.json").write_text(json.dumps(manifest))
    (after,) = Shelf(tmp_path).recorded(COMMIT)
    assert after.began < before.began


def test_a_run_that_is_damaged_is_told_each_time_and_the_others_count(tmp_path: Path):
    path = store(tmp_path, a_process(20.0), a_process(30.0, name="lstm"))
    store(tmp_path, a_process(21.0))
    lost = next(file for file in (path / "workloads").iterdir() if "lstm" in file.name)
    lost.write_bytes(b"{")
    for _ in range(2):
        shelf = Shelf(tmp_path)
        assert sorted(sorted(one.values) for one in shelf.recorded(COMMIT)) == [["resnet18"], ["resnet18"]]
        assert any("lstm" in line for line in shelf.problems)
    (path / "run.json").write_text("{")
    shelf = Shelf(tmp_path)
    assert len(shelf.recorded(COMMIT)) == 1
    assert any(str(path) in line for line in shelf.problems)


def test_where_nothing_can_be_kept_the_run_is_read_each_time(tmp_path: Path):
    store(tmp_path, a_process(20.0))
    (tmp_path / kept.FOLDER).write_text("in the way")
    assert len(Shelf(tmp_path).recorded(COMMIT)) == 1
    assert Shelf(tmp_path).problems == []
