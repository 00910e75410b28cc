"""Nights on made-up results: what is measured, what is told, and what is left of a night that is killed."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from perfsuite.cli.history_parts import Place, last_night
from perfsuite.errors import StoreError
from perfsuite.history import nightly as nights
from perfsuite.history import rounds, state
from perfsuite.history.asv_files import HistoryError
from perfsuite.history.asv_process import Asv, End, Watch, fix_machine, telling_line
from perfsuite.history.lock import BusyError, alone, measuring_alone
from perfsuite.history.model import Absent, Benchmark, Change, Commit, Finding, Night, Series, Stack
from perfsuite.history.nightly import NightOptions, Parts, exit_code, nightly
from perfsuite.history.results import load_series
from perfsuite.history.state import Known, State, as_known, untold
from tests.history_files import STEP, commits, settings, values, write_result, write_table

COMMITS = commits(4)
STACK = Stack(("torch==2.8.0",), ("torch",), "release")
LEVELS = {one.hash: 10.0 + one.position for one in COMMITS}


class KilledError(BaseException):
    """As SIGKILL: nobody catches it, and nothing runs after it but what a kernel does."""


@dataclass
class FakeAsv:
    """Writes what asv writes, in the order that it is told."""

    folder: Path
    #: Commit → in which rounds it fails (from 1), or 0 for always.
    fails: dict[str, int] = field(default_factory=dict)
    #: What to do in place of measuring, by the number of the call.
    instead: dict[int, Callable[[Sequence[Commit]], End | None]] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    published: int = 0
    discovered: int = 0

    def measure(self, due: Sequence[Commit], show: Callable[[str], object]) -> End:
        self.calls.append([one.label for one in due])
        write_table(self.folder / "results")
        special = self.instead.get(len(self.calls))
        if special is not None:
            end = special(due)
            if end is not None:
                return end
        for one in due:
            show(one.label)
            self.one(one)
        return End(2 if self.fails else 0)

    def one(self, commit: Commit) -> None:
        number = sum(commit.label in call for call in self.calls)
        bad = self.fails.get(commit.label)
        samples = [None, None] if bad in (0, number) and bad is not None else [[LEVELS[commit.hash] + number], [1.0]]
        write_result(self.folder / "results", "mill", commit.hash, {STEP: samples}, append=True)

    def discover(self, commit: Commit) -> End:
        self.discovered += 1
        write_table(self.folder / "results")
        return End(0)

    def publish(self, html_dir: Path) -> None:
        self.published += 1

    def why(self, commit: Commit) -> str | None:
        return None


@dataclass
class Scene:
    """A folder with a history, and the parts of its nights."""

    folder: Path
    asv: FakeAsv
    known: Sequence[Commit] = COMMITS
    absent: set[str] = field(default_factory=set)
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    room: int = 0

    def state(self) -> State:
        return State(self.folder / "nightly")

    def night(self, **options: Any) -> Night:
        setup = settings(self.folder)

        def stack_of(commit: Commit) -> Stack | Absent:
            return Absent("no wheel") if commit.label in self.absent else STACK

        def load(line: Sequence[Commit]) -> tuple[Sequence[Series], Sequence[str]]:
            return load_series(setup, ["mill"], line)

        def make_room(stacks: Sequence[Stack]) -> None:
            self.room += 1

        parts = Parts(
            commits=lambda: (self.known, self.notes),
            named=lambda line, name: next(one for one in line if one.label == name),
            stack_of=stack_of,
            runner=lambda log: self.asv,
            is_installed=lambda stack: False,
            make_room=make_room,
            load_series=load,
            judge=lambda series: (self.findings, ()),
            summarise=lambda night: f"{len(night.measured)} measured\n",
        )
        return nightly(
            setup, NightOptions("mill", **{"free_gib": 0.0, "beside": False, **options}), self.state(), parts
        )

    def samples(self) -> dict[str, int]:
        """Of each commit with results, how many samples its step has."""
        paths = sorted((self.folder / "results" / "mill").glob("*-perfsuite*.json"))
        label = {one.hash[:8]: one.label for one in COMMITS}
        return {label[path.name[:8]]: len(values(path)[STEP][0]) for path in paths}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, FakeAsv(tmp_path))


def finding(at: int, ratio: float = 1.1, before: int | None = None, **more: Any) -> Finding:
    sides = COMMITS[at - 1 if before is None else before], COMMITS[at]
    benchmark = Benchmark(STEP, {"workload": more.pop("workload", "lstm")})
    change = Change(benchmark, *sides, ratio, (ratio - 0.02, ratio + 0.02), 0.95, (3, 3), **more)
    return Finding(*sides, (change,))


# --- what is measured -------------------------------------------------------------------------------


def test_new_commits_in_rounds_that_alternate(scene: Scene) -> None:
    scene.absent = {"v2.1.0"}
    night = scene.night()
    assert scene.asv.calls == [
        ["v2.3.0", "v2.2.0", "v2.0.0"],
        ["v2.0.0", "v2.2.0", "v2.3.0"],
        ["v2.3.0", "v2.2.0", "v2.0.0"],
    ]
    assert scene.samples() == {"v2.0.0": 3, "v2.2.0": 3, "v2.3.0": 3}
    assert [one.label for one in night.measured] == ["v2.3.0", "v2.2.0", "v2.0.0"]
    assert night.skipped == night.notes == ()
    assert exit_code(night) == 0
    assert scene.asv.published == 1
    assert scene.state().last_night() == night
    assert scene.state().summary.read_text() == "3 measured\n"
    # Nothing is new the next night, until there is a wheel.
    scene.asv.calls.clear()
    assert scene.night().measured == ()
    assert scene.asv.calls == []
    assert scene.asv.published == 2
    scene.absent = set()
    assert [one.label for one in scene.night().measured] == ["v2.1.0"]


def test_the_newest_first_and_no_more_than_asked_for(scene: Scene) -> None:
    assert [one.label for one in scene.night(newest=2, rounds=1).measured] == ["v2.3.0", "v2.2.0"]
    assert [one.label for one in scene.night(newest=1, rounds=1).measured] == ["v2.1.0"]
    assert scene.night(newest=0).measured == ()
    assert [one.label for one in scene.night(rounds=1).measured] == ["v2.0.0"]


def test_the_neighbours_of_a_new_commit_are_measured_with_it(scene: Scene) -> None:
    scene.absent = {"v2.2.0"}
    scene.night(rounds=2)
    scene.asv.calls.clear()
    scene.absent = set()
    night = scene.night(rounds=2, beside=True)
    # Both neighbours, since both are compared with it; and the one further off not again.
    assert scene.asv.calls == [["v2.2.0", "v2.1.0", "v2.3.0"], ["v2.3.0", "v2.1.0", "v2.2.0"]]
    assert [one.label for one in night.measured] == ["v2.2.0"]
    assert scene.samples() == {"v2.0.0": 2, "v2.1.0": 4, "v2.2.0": 2, "v2.3.0": 4}
    # With nothing new there is nothing to compare.
    scene.asv.calls.clear()
    scene.night(rounds=2, beside=True)
    assert scene.asv.calls == []


def test_commits_are_measured_again_when_asked_for(scene: Scene) -> None:
    scene.night(rounds=1)
    scene.asv.calls.clear()
    night = scene.night(rounds=1, again=("v2.1.0", "v2.2.0"))
    assert scene.asv.calls == [["v2.2.0", "v2.1.0"]]
    assert [one.label for one in night.measured] == ["v2.2.0", "v2.1.0"]
    assert scene.samples() == {"v2.0.0": 1, "v2.1.0": 2, "v2.2.0": 2, "v2.3.0": 1}


def test_what_is_asked_for_again_is_measured_besides_the_newest(scene: Scene) -> None:
    scene.absent = {"v2.3.0"}
    scene.night(rounds=1)
    scene.absent = {"v2.1.0"}
    scene.asv.calls.clear()
    night = scene.night(rounds=1, newest=1, again=("v2.0.0", "v2.1.0"))
    assert scene.asv.calls == [["v2.3.0", "v2.0.0"]]
    assert night.notes == ("v2.1.0 could not be measured again: no wheel",)


def test_nothing_is_measured_for_the_sake_of_a_commit_that_failed_before(scene: Scene) -> None:
    scene.absent = {"v2.3.0"}
    scene.night(rounds=1)
    scene.absent = set()
    failures = scene.folder / "env" / "failures"
    failures.mkdir(parents=True)
    (failures / f"{COMMITS[3].hash}.json").write_text(json.dumps({"reason": "no torch==2.3", "at": "x"}))
    scene.asv.calls.clear()
    scene.night(rounds=1, beside=True)
    assert scene.asv.calls == [["v2.3.0"]]


def test_a_commit_that_fails_every_night_keeps_no_other_from_being_measured(scene: Scene) -> None:
    failures = scene.folder / "env" / "failures"
    failures.mkdir(parents=True)
    (failures / f"{COMMITS[3].hash}.json").write_text(json.dumps({"reason": "no torch==2.3", "at": "x"}))
    for label in ("v2.2.0", "v2.1.0", "v2.0.0", "v2.3.0"):
        assert [one.label for one in scene.night(rounds=1, newest=1).measured] == [label]


def test_results_of_another_machine_are_neither_taken_for_ours_nor_added_to(scene: Scene) -> None:
    write_table(scene.folder / "results")
    path = write_result(scene.folder / "results", "mill", COMMITS[1].hash, {STEP: [[1.0], [1.0]]}, claimed="barn")
    before = path.read_bytes()
    night = scene.night(rounds=1, beside=True)
    assert [(one.commit.label, one.reason) for one in night.skipped] == [
        ("v2.1.0", f"{path} is of machine 'barn': move it into that machine's folder")
    ]
    assert [one.label for one in night.measured] == ["v2.3.0", "v2.2.0", "v2.0.0"]
    assert exit_code(night) == 4
    assert path.read_bytes() == before
    scene.night(rounds=1, beside=True)
    assert set(scene.samples().values()) == {1}, "nothing is measured again for its sake"
    path.unlink()
    assert [one.label for one in scene.night(rounds=1).measured] == ["v2.1.0"]


def test_results_that_cannot_be_read_are_one_line(scene: Scene) -> None:
    (scene.folder / "results" / "mill" / "0-odd.json").mkdir(parents=True)
    with pytest.raises(HistoryError, match=r"0-odd\.json: cannot be read: Is a directory$"):
        scene.night()


def test_a_neighbour_that_fails_is_a_note_and_keeps_what_it_had(scene: Scene) -> None:
    scene.absent = {"v2.3.0"}
    scene.night(rounds=1)
    scene.absent = set()
    scene.asv = FakeAsv(scene.folder, {"v2.2.0": 0})
    night = scene.night(rounds=1, beside=True)
    assert [one.label for one in night.measured] == ["v2.3.0"]
    assert night.skipped == ()
    assert night.notes == (
        "v2.2.0 was measured before, and could not be again beside new commits: every benchmark failed, and nothing "
        "says why",
    )
    assert exit_code(night) == 0
    assert scene.samples()["v2.2.0"] == 1


def test_a_long_history_shows_its_own_noise(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "LONG", 4)
    scene.absent = {"v2.3.0"}
    scene.night(rounds=1)
    scene.absent = set()
    scene.asv.calls.clear()
    scene.night(rounds=1, beside=True)
    assert scene.asv.calls == [["v2.3.0"]]


def test_a_commit_that_fails_is_told_and_can_be_measured_again(scene: Scene) -> None:
    failures = scene.folder / "env" / "failures"
    failures.mkdir(parents=True)
    stale = failures / f"{COMMITS[2].hash}.json"
    stale.write_text(json.dumps({"reason": "of another night", "at": "x"}))

    def tell(due: Sequence[Commit]) -> None:
        (failures / f"{COMMITS[1].hash}.json").write_text(json.dumps({"reason": "no torch==2.1", "at": "x"}))

    scene.asv = FakeAsv(scene.folder, {"v2.1.0": 0, "v2.2.0": 0}, {1: tell})
    night = scene.night()
    assert [(one.commit.label, one.reason) for one in night.skipped] == [
        ("v2.2.0", "every benchmark failed, and nothing says why"),
        ("v2.1.0", "no torch==2.1"),
    ]
    assert exit_code(night) == 4
    assert scene.samples() == {"v2.0.0": 3, "v2.3.0": 3}
    # Not tried again in the same night.
    assert scene.asv.calls[1] == ["v2.0.0", "v2.3.0"]
    scene.asv = FakeAsv(scene.folder)
    assert [one.label for one in scene.night().measured] == ["v2.2.0", "v2.1.0"]
    assert set(scene.samples().values()) == {3}


def test_a_commit_that_fails_later_keeps_its_rounds_and_gets_the_others(scene: Scene) -> None:
    scene.asv = FakeAsv(scene.folder, {"v2.1.0": 2})
    night = scene.night()
    assert [(one.commit.label, one.reason) for one in night.skipped] == [
        ("v2.1.0", "after 1 of 3 rounds: every benchmark failed, and nothing says why")
    ]
    assert scene.samples()["v2.1.0"] == 1
    scene.asv = FakeAsv(scene.folder)
    night = scene.night()
    assert scene.asv.calls == [["v2.1.0"], ["v2.1.0"]]
    assert [one.label for one in night.measured] == ["v2.1.0"]
    assert scene.samples()["v2.1.0"] == 3
    assert scene.state().rounds() == {}


def test_one_benchmark_that_fails_in_a_round_keeps_what_it_had(scene: Scene) -> None:
    def part(due: Sequence[Commit]) -> None:
        for one in due:
            write_result(scene.folder / "results", "mill", one.hash, {STEP: [None, [2.0]]}, append=True)

    def second(due: Sequence[Commit]) -> End:
        part(due)
        return End(2)

    scene.asv.instead = {2: second}
    scene.known = COMMITS[:1]
    night = scene.night()
    (path,) = (scene.folder / "results" / "mill").glob("0*.json")
    assert values(path)[STEP] == [[11.0, 13.0], [1.0, 2.0, 1.0]]
    assert [one.label for one in night.measured] == ["v2.0.0"]


def test_asv_that_ends_before_a_commit(scene: Scene) -> None:
    def stops(due: Sequence[Commit]) -> End:
        scene.asv.one(due[0])
        return End(1, "OSError: [Errno 28] No space left on device")

    scene.asv.instead = {1: stops}
    night = scene.night()
    assert [one.label for one in night.measured] == ["v2.3.0"]
    assert {one.reason for one in night.skipped} == {"asv ended before it: OSError: [Errno 28] No space left on device"}
    assert exit_code(night) == 4


def test_asv_that_does_not_work_at_all(scene: Scene) -> None:
    scene.asv.instead = {1: lambda due: End(1, "UserError: no such folder")}
    with pytest.raises(HistoryError, match=r"nothing could be measured, asv run: UserError: no such folder"):
        scene.night()
    scene.asv = FakeAsv(scene.folder)
    assert len(scene.night().measured) == 4


def test_all_commits_that_cannot_be_installed_are_a_night_all_the_same(scene: Scene) -> None:
    def none(due: Sequence[Commit]) -> End:
        folder = scene.folder / "env" / "failures"
        folder.mkdir(parents=True)
        for one in due:
            (folder / f"{one.hash}.json").write_text(json.dumps({"reason": f"no wheel fits {one.label}"}))
        return End(1, "Failed to build the project and import the benchmark suite.")

    scene.asv.instead = {1: none}
    night = scene.night()
    assert [one.reason for one in night.skipped] == [f"no wheel fits v2.{k}.0" for k in (3, 2, 1, 0)]
    assert exit_code(night) == 4
    assert scene.asv.published == 0  # there is nothing to show


def test_a_branch_without_any_wheel(scene: Scene) -> None:
    scene.absent = {one.label for one in COMMITS}
    night = scene.night()
    assert "none of 4 commits of main can be installed" in night.notes
    # One stands for all of them, with the reason: most likely a typing mistake in the configuration.
    (skipped,) = night.skipped
    assert skipped.commit == COMMITS[-1]
    assert skipped.reason
    assert exit_code(night) == 4


def test_without_a_network_it_goes_on(scene: Scene) -> None:
    scene.notes = ("what is new is not known",)
    night = scene.night(rounds=1)
    assert "what is new is not known" in night.notes
    assert len(night.measured) == 4


def test_a_full_disk_is_known_before(scene: Scene) -> None:
    with pytest.raises(HistoryError, match=r"GiB free where environments are made.*--free-gib") as error:
        scene.night(free_gib=1e9)
    assert "\n" not in str(error.value)
    assert scene.room == 1
    assert scene.asv.calls == []
    # With nothing to measure nothing is needed.
    scene.night(rounds=1)
    assert scene.night(free_gib=1e9).measured == ()


def test_damaged_files_are_put_aside_and_measured_again(scene: Scene) -> None:
    scene.night(rounds=1)
    path = sorted((scene.folder / "results" / "mill").glob("0*.json"))[1]
    path.write_bytes(path.read_bytes()[:100])
    (scene.folder / "results" / "benchmarks.json").write_text("{")
    night = scene.night(rounds=1)
    assert [one.label for one in night.measured] == ["v2.1.0"]
    (note,) = night.notes
    assert path.name in note
    assert len(list((scene.folder / "nightly" / "damaged").iterdir())) == 1
    # The table alone is made anew too.
    (scene.folder / "results" / "benchmarks.json").write_text("{")
    scene.night(rounds=1)
    assert scene.asv.discovered == 1


def test_two_at_once(scene: Scene) -> None:
    with alone(scene.state().lock, "night"), pytest.raises(BusyError, match="another night is running: process"):
        scene.night()
    # Of another history, or under another name of the machine, which would be timed along with it.
    other = State(scene.folder / "other")
    with measuring_alone(other.lock, scene.folder / "env"), pytest.raises(BusyError, match=r"env/night\.lock"):
        scene.night()
    assert scene.asv.calls == []
    assert len(scene.night(rounds=1).measured) == 4


# --- killed -----------------------------------------------------------------------------------------


def test_a_night_that_is_killed_anywhere_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before or after its n-th step, for every n: what is measured in the end is what would have been."""
    write, measure_one, folder_number = state.write_atomically, FakeAsv.one, 0
    wanted = {one.label: 2 for one in COMMITS[:3]}
    for after in (False, True):
        for step in range(1, 200):
            folder_number += 1
            folder = tmp_path / str(folder_number)
            scene = Scene(folder, FakeAsv(folder), COMMITS[:3])
            left = [step]

            def tick(action: Callable[[], Any], left: list[int] = left, after: bool = after) -> Any:
                left[0] -= 1
                if left[0] == 0 and not after:
                    raise KilledError
                found = action()
                if left[0] == 0:
                    raise KilledError
                return found

            with monkeypatch.context() as patched:
                for module in (state, rounds):
                    patched.setattr(
                        module, "write_atomically", lambda path, data, tick=tick: tick(lambda: write(path, data))
                    )
                patched.setattr(FakeAsv, "one", lambda self, commit, tick=tick: tick(lambda: measure_one(self, commit)))
                # What runs after a kill is what would not: not even the end of a round.
                patched.setattr(rounds.Rounds, "_round", unprotected)
                try:
                    scene.night(rounds=2)
                    killed = False
                except KilledError:
                    killed = True
            if not killed:
                assert left[0] > 0
                break
            # asv may have been writing.
            if step % 3 == 0:
                for path in sorted((scene.folder / "results" / "mill").glob("0*.json"))[:1]:
                    path.write_bytes(path.read_bytes()[:-20])
            scene.asv.calls.clear()
            night = scene.night(rounds=2)
            assert scene.samples().keys() == wanted.keys(), step
            # asv's own save may have been the last thing: then that round counts.
            assert all(2 <= count <= 3 for count in scene.samples().values()), (step, after, scene.samples())
            assert exit_code(night) == 0
            assert scene.state().rounds() == {}
            assert scene.state().round() is None
        else:
            pytest.fail("it never came to its end")
    assert folder_number > 25


def test_what_was_put_aside_comes_back_on_a_disk_that_was_full(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.night(rounds=1)
    (path,) = (scene.folder / "results" / "mill").glob(f"{COMMITS[1].hash[:8]}-*.json")
    before = path.read_bytes()

    def cut(due: Sequence[Commit]) -> End:
        path.write_bytes(before[:100])
        return End(1, "OSError: [Errno 28] No space left on device")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    scene.asv.instead = {2: cut}
    with monkeypatch.context() as patched:
        patched.setattr(rounds, "write_atomically", full)
        with pytest.raises(StoreError, match="No space left on device; free some space"):
            scene.night(rounds=1, again=("v2.1.0",))
    assert not path.exists()
    assert scene.night(rounds=1).measured == ()
    assert path.read_bytes() == before


def unprotected(self: Any, due: Any, done: Any, runner: Any, show: Any) -> Any:
    """The round of the class, without its ``finally``."""
    self.state.begin_round({one.hash: done[one.hash] for one in due}, self.results)
    end = runner.measure(due, show)
    outcomes = {one.hash: self._settle(one.hash, done[one.hash]) for one in due}
    self.state.end_round()
    return end, outcomes


def test_an_interruption_keeps_what_was_measured(scene: Scene) -> None:
    def interrupted(due: Sequence[Commit]) -> End:
        scene.asv.one(due[0])
        raise KeyboardInterrupt

    scene.asv.instead = {2: interrupted}
    with pytest.raises(KeyboardInterrupt):
        scene.night()
    assert scene.state().rounds() == {
        COMMITS[0].hash: 2, COMMITS[1].hash: 1, COMMITS[2].hash: 1, COMMITS[3].hash: 1,
    }  # fmt: skip
    last = scene.state().last_night()
    assert last is not None
    assert last.ended is None
    scene.asv = FakeAsv(scene.folder)
    scene.night()
    assert scene.samples() == {one.label: 3 for one in COMMITS}
    assert scene.asv.calls == [["v2.3.0", "v2.2.0", "v2.1.0", "v2.0.0"], ["v2.1.0", "v2.2.0", "v2.3.0"]]


def test_what_the_last_night_did_need_not_be_known(tmp_path: Path) -> None:
    place = Place(settings(tmp_path), "mill", State(tmp_path / "nightly"))
    place.state.prepare()
    assert last_night(place) is None
    place.state.save_night(Night("a", "b"))
    assert last_night(place) == Night("a", "b")
    (tmp_path / "nightly" / "night.json").write_text('{"format": 9}')
    assert last_night(place) is None


@pytest.mark.parametrize("name", ["findings.json", "rounds.json", "round.json"])
def test_what_cannot_be_read_is_an_error_and_not_forgotten(scene: Scene, name: str) -> None:
    scene.night(rounds=1)
    path = scene.folder / "nightly" / name
    path.write_text('{"format": 1, ')
    with pytest.raises(StoreError, match=name) as error:
        scene.night()
    assert "\n" not in str(error.value)
    assert "remove it" in str(error.value)


# --- what is told -----------------------------------------------------------------------------------


def test_a_new_regression_is_told_once(scene: Scene) -> None:
    scene.findings = [finding(2), finding(3, ratio=0.8, workload="resnet18")]
    night = scene.night(rounds=1)
    assert exit_code(night) == 1
    assert len(night.new) == 2
    night = scene.night(rounds=1)
    assert exit_code(night) == 0
    assert night.new == ()
    assert len(night.findings) == 2
    scene.findings = [*scene.findings, finding(1, workload="resnet18")]
    assert exit_code(scene.night(rounds=1)) == 1
    assert [one.regression for one in scene.state().known()] == [True, False, True]


def test_what_has_recovered_is_told_and_is_no_alarm(scene: Scene) -> None:
    scene.findings = [finding(1, recovered=COMMITS[2])]
    night = scene.night(rounds=1)
    assert len(night.new) == 1
    assert exit_code(night) == 0


def test_a_regression_goes_before_a_commit_that_failed(scene: Scene) -> None:
    scene.asv.fails = {"v2.0.0": 0}
    scene.findings = [finding(3)]
    assert exit_code(scene.night()) == 1


def test_a_site_that_could_not_be_made_keeps_the_alarm(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(html_dir: Path) -> None:
        raise HistoryError("the site was not made")

    scene.findings = [finding(2)]
    monkeypatch.setattr(scene.asv, "publish", fails)
    with pytest.raises(HistoryError):
        scene.night(rounds=1)
    last = scene.state().last_night()
    assert last is not None
    assert last.ended is not None
    assert len(last.new) == 1
    assert scene.state().known() == ()
    monkeypatch.undo()
    assert exit_code(scene.night(rounds=1)) == 1
    assert exit_code(scene.night(rounds=1, publish=False)) == 0


def test_what_is_found_between_other_commits_now_is_no_second_one() -> None:
    between_releases = finding(3, before=0)
    known = [as_known(between_releases, "now")]
    assert untold([between_releases], known, COMMITS) == ()
    # Nearer now, or a little off.
    assert untold([finding(2, before=1), finding(3, before=2)], known, COMMITS) == ()
    # Another way, another benchmark, another place.
    for other in (finding(2, ratio=0.9), finding(2, workload="resnet18")):
        assert untold([other], known, COMMITS) == (other,)
    early = [as_known(finding(1), "now")]
    assert untold([finding(2)], early, COMMITS) == (finding(2),)
    # Its commits are gone: then only its key can tell.
    gone = [replace(known[0], before="x" * 40)]
    assert untold([finding(2)], gone, COMMITS) == (finding(2),)
    assert untold([between_releases], gone, COMMITS) == ()


def test_the_state_survives_a_round_trip(tmp_path: Path) -> None:
    here = State(tmp_path / "nightly")
    assert (here.known(), here.last_night(), here.rounds(), here.round()) == ((), None, {}, None)
    here.prepare()
    known = [Known("a", "b", ("x", "y"), True, 1.25, "now")]
    here.remember(known)
    assert here.known() == tuple(known)
    night = Night("a", None, COMMITS[:1], findings=(finding(2),), new=(("x", "y"),), notes=("n",))
    here.save_night(night)
    assert here.last_night() == night
    assert "lock" in (tmp_path / "nightly" / ".gitignore").read_text()
    logs = [here.new_log(f"2025-01-01T00:{minute:02}:00") for minute in range(40)]
    for log in logs:
        here.new_log("2026").parent.mkdir(exist_ok=True)
        log.write_text("")
    here.new_log("2026-01-01T00:00:00")
    assert 28 <= len(list(logs[0].parent.iterdir())) <= 30


# --- asv --------------------------------------------------------------------------------------------


def test_where_asv_is_by_its_log(tmp_path: Path) -> None:
    log, shown = tmp_path / "log", list[str]()
    log.write_text("[ 99.00%] · For x commit ffffffff:\n")
    watch = Watch(log, COMMITS, shown.append)
    with log.open("a") as file:
        file.write(f"[ 0.00%] · For stand-in commit {COMMITS[1].hash[:8]} <v2.1.0>:\n")
    watch()
    with log.open("a") as file:
        file.write("[37.50%] ··· steps.Steps.track_step\n")
    watch()
    watch()
    assert shown == ["v2.1.0, 0 %", "v2.1.0, 37 %"]
    log.unlink()
    watch()  # and the night goes on
    assert len(shown) == 2


def test_the_line_that_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("OSError: an old one\n")
    began = log.stat().st_size
    assert telling_line(log, began) is None
    with log.open("a") as file:
        file.write("[12.50%] ··· asv: setup_cache failed\nTraceback:\n  ValueError: no such scale\n· Skipping x\n")
    assert telling_line(log, began) == "ValueError: no such scale"
    assert telling_line(tmp_path / "none", 0) is None


@pytest.mark.parametrize("before", ["", "SystemExit: "], ids=["a process", "a fork"])
def test_a_workload_that_could_not_be_measured_is_why(tmp_path: Path, before: str) -> None:
    log = tmp_path / "log"
    log.write_text(
        f"· For stand-in commit {COMMITS[0].hash[:8]} <v2.0.0>:\n"
        f"[12.50%] ··· steps.Steps.track_step\n   {before}perfsuite: lstm was not measured: out of memory\n"
        f"· For stand-in commit {COMMITS[1].hash[:8]} <v2.1.0>:\n   ValueError: another\n"
    )
    asv = Asv(tmp_path / "conf", "mill", tmp_path, log)
    assert asv.why(COMMITS[0]) == "lstm was not measured: out of memory"
    assert asv.why(COMMITS[1]) == "ValueError: another"
    assert asv.why(COMMITS[2]) is None


def test_the_machine_is_told_to_asv_once_and_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file, results = tmp_path / ".asv-machine.json", tmp_path / "results"
    file.write_text(json.dumps({"barn": {"machine": "barn", "cpu": "old"}, "version": 1}))
    fix_machine(results, "mill")
    found = json.loads(file.read_text())
    assert found["barn"] == {"machine": "barn", "cpu": "old"}
    assert found["version"] == 1
    assert found["mill"] == {
        "machine": "mill",
        "os": "Linux",
        "arch": found["mill"]["arch"],
        "cpu": "",
        "num_cpu": "",
        "ram": "",
    }
    # Results that are there have their line go on.
    (results / "mill").mkdir(parents=True)
    beside = results / "mill" / "machine.json"
    beside.write_text(json.dumps({"machine": "mill", "os": "Linux 6.1", "ram": "64", "version": 1}))
    fix_machine(results, "mill")
    assert json.loads(file.read_text())["mill"] == {"machine": "mill", "os": "Linux 6.1", "ram": "64"}
    beside.write_text('{"mach')
    fix_machine(results, "mill")
    assert json.loads(beside.read_text()) == {"machine": "mill", "os": "Linux 6.1", "ram": "64", "version": 1}
    other = json.dumps({"machine": "barn", "os": "", "version": 1})
    beside.write_text(other)
    with pytest.raises(HistoryError, match="are of machine 'barn': say --machine barn, or move the folder"):
        fix_machine(results, "mill")
    assert beside.read_text() == other
    file.write_text("{")
    with pytest.raises(HistoryError, match=r"\.asv-machine\.json.*mend it or remove it"):
        fix_machine(results, "mill")


def test_the_default_place_is_beside_the_results(tmp_path: Path) -> None:
    assert nights.default_state(settings(tmp_path), "mill") == tmp_path / "nightly" / "mill"
    assert math.isfinite(NightOptions("mill").free_gib)
