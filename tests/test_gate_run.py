"""The loop of a gate, with pairs whose times and faults are written down; real workers are in test_gate_session.py."""

from __future__ import annotations

import math
import random
import re
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate import draft as draft_module
from perfsuite.gate import run as run_module
from perfsuite.gate.answers import Collected, Ready, SkippedError, SuspendedError
from perfsuite.gate.census import CensusRules
from perfsuite.gate.child import interrupts_held
from perfsuite.gate.installed import changed
from perfsuite.gate.messages import Listed, Uncollected
from perfsuite.gate.model import SIDES, PairTrace, Policy
from perfsuite.gate.request import Outcome, Request
from perfsuite.gate.run import run
from perfsuite.gate.turns import Plan
from perfsuite.gate.worker import EndedError, Runnable, WorkerFault
from tests.diff_profiles import op, profile
from tests.samples import an_environment

POLICY = Policy(max_pairs=12, seconds=1e9)


def listed(*names: str) -> Collected:
    return Collected({name: Listed(f"test_a.py::{name}", name, None, None, "/tree/test_a.py") for name in names}, ())


def broken(nodeid: str, why: str = "ImportError: no", root: str = "/tree") -> Uncollected:
    return Uncollected(nodeid, f"{root}/{nodeid}", why)


class Script:
    """What pairs do: by benchmark, the log-ratio that a pair measures, and what goes wrong in which pair."""

    def __init__(self, names=("one",), ratio: Callable[[str, int], float] = lambda name, pair: 0.0) -> None:
        self.sides: dict[str, Collected | WorkerFault] = dict.fromkeys(SIDES, listed(*names))
        self.ratio = ratio
        self.loaded = {"base": {"/b/a.py": "1"}, "head": {"/h/a.py": "1"}}
        self.elsewhere: dict[str, dict[str, str]] = {side: {} for side in SIDES}
        self.extensions: dict[str, list[str]] = {side: [] for side in SIDES}
        #: (stage, benchmark, number of the pair) → what is raised.
        self.faults: dict[tuple[str, str, int], BaseException] = {}
        #: How sides end that were begun, where they do not pass.
        self.late: dict[str, EndedError] = {}
        self.starts: Callable[[int], object] = lambda number: self.sides
        self.pairs: list[FakePair] = []


class FakePair:
    def __init__(self, script: Script, first: str, paths) -> None:
        self.script, self.first, self.paths = script, first, paths
        self.number = len(script.pairs) + 1
        self.did: list[tuple[str, str]] = []
        self.closed = False
        script.pairs.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def collect(self, wanted, roots, names):
        self.wanted, self.asked_names = wanted, names
        return self.script.starts(self.number)

    def run(self, nodeids):
        fault = self.script.faults.get(("run", "", self.number))
        if fault is not None:
            raise fault
        self.nodeids = nodeids
        self.names = [one.partition("::")[2] for one in nodeids["head"]]
        self.at = iter(self.names)

    def _stage(self, stage):
        self.did.append((stage, self.name))
        fault = self.script.faults.get((stage, self.name, self.number))
        if fault is not None:
            raise fault

    def begin(self):
        self.name = next(self.at)
        self._stage("begin")
        loaded = self.script.loaded if isinstance(self.script.loaded, dict) else self.script.loaded(self.number)
        besides = {"elsewhere": self.script.elsewhere, "extensions": self.script.extensions}
        return Ready(Plan(2, 2, 1), 0.02, loaded, (), **besides)

    def environments(self):
        return dict.fromkeys(SIDES, an_environment())

    def time(self, ready):
        self._stage("time")
        ratio = math.exp(self.script.ratio(self.name, self.number))
        turns = ((1e7, 1e7), (1e7, 1e7))
        head = tuple(tuple(ns * ratio for ns in turn) for turn in turns)
        return PairTrace(turns, head, "bhhb", self.first, 1.0), ()

    def profile(self, ready):
        self._stage("profile")
        return {side: profile([op("aten::mm")]) for side in SIDES}

    def finish(self):
        self._stage("finish")
        return self.script.late

    def part(self):
        fault = self.script.faults.get(("part", "", self.number))
        if fault is not None:
            raise fault


@pytest.fixture
def play(monkeypatch):
    def played(script: Script, policy: Policy = POLICY, progress=None, **more) -> Outcome:
        monkeypatch.setattr(
            run_module, "Pair", lambda runnables, paths, first, timeout, chance: FakePair(script, first, paths)
        )
        request = Request(
            {side: Runnable(side, "python", Path(), {}) for side in SIDES},
            **{
                "roots": {"base": "/b", "head": "/h"},
                "wanted": dict.fromkeys(SIDES, ()),
                "policy_of": lambda listed: policy,
                "rules": CensusRules(),
                "seed": 1,
                **more,
            },
        )
        return run(request, progress)

    return played


def noisy(effect: float = 0.0, spread: float = 0.01, seed: int = 3) -> Callable[[str, int], float]:
    chance = random.Random(seed)
    return lambda name, pair: math.log1p(effect) + chance.gauss(0, spread)


def mixed(name: str, pair: int, seed: int = 9) -> float:
    """By name: ``fast`` hardly differs, anything else differs a lot from pair to pair."""
    return random.Random(f"{seed} {name} {pair}").gauss(0, 0.003 if name == "fast" else 0.3)


def only(outcome: Outcome):
    (one,) = outcome.benchmarks
    return one


def test_equal_sides_are_unchanged(play):
    script = Script(ratio=noisy())
    one = only(play(script))
    assert one.verdict == "unchanged"
    assert len(one.pairs) == len(script.pairs) == one.judgement.process_pairs
    assert len(script.pairs) < POLICY.max_pairs
    assert all(pair.closed for pair in script.pairs)


def test_a_slowdown_is_found_and_explained(play):
    one = only(play(Script(ratio=noisy(0.08))))
    assert one.verdict == "regressed"
    low, high = one.judgement.interval
    assert 1.03 < low < 1.08 < high
    assert one.attribution is not None
    assert one.diff is not None
    assert one.diff.wall.interval == one.judgement.interval


def test_a_speedup_is_an_improvement(play):
    assert only(play(Script(ratio=noisy(-0.08)))).verdict == "improved"


def test_noise_is_inconclusive_and_says_what_it_could_have_seen(play):
    one = only(play(Script(ratio=noisy(spread=0.3)), replace(POLICY, max_pairs=6)))
    assert one.verdict == "inconclusive"
    assert len(one.pairs) == 6
    assert one.judgement.minimal_detectable > 0.1
    assert one.judgement.further_pairs is None or one.judgement.further_pairs > 0


def test_which_side_starts_alternates(play):
    script = Script(ratio=noisy(spread=0.3))
    play(script)
    firsts = [pair.first for pair in script.pairs]
    assert all(set(firsts[at : at + 2]) == set(SIDES) for at in range(0, len(firsts) - 1, 2))


def test_the_first_two_pairs_are_profiled_and_later_ones_only_where_there_may_be_something(play):
    script = Script(ratio=noisy())
    play(script)
    profiled = [pair.number for pair in script.pairs if ("profile", "one") in pair.did]
    assert profiled == [1, 2]
    script = Script(ratio=noisy(0.08))
    play(script)
    profiled = [pair.number for pair in script.pairs if ("profile", "one") in pair.did]
    assert profiled == [1, 2, 3, 4]


def test_what_is_decided_late_is_explained_by_further_pairs_that_are_not_timed(play):
    chance = random.Random(2)
    script = Script(ratio=lambda name, pair: chance.gauss(0.055, 0.0001))
    for number in (3, 4):
        script.faults["profile", "one", number] = SuspendedError("the machine was suspended meanwhile")
    one = only(play(script))
    assert one.verdict == "regressed"
    assert one.census.captures == 3
    timed = [pair.number for pair in script.pairs if ("time", "one") in pair.did]
    assert len(timed) == len(one.pairs) < len(script.pairs)


def test_what_is_decided_is_not_run_again(play):
    script = Script(("fast", "noisy"), mixed)
    outcome = play(script)
    verdicts = {one.name: one.verdict for one in outcome.benchmarks}
    assert verdicts == {"fast": "unchanged", "noisy": "inconclusive"}
    assert script.pairs[-1].names == ["noisy"]
    assert script.pairs[-1].paths["base"] == ["/tree/test_a.py"]
    assert script.pairs[-1].wanted["base"] == ["/tree/test_a.py::noisy"]


def test_more_benchmarks_make_the_intervals_wider(play):
    widths = {}
    for names in (("one",), tuple(f"n{i}" for i in range(20))):
        chance = random.Random(5)
        values = [chance.gauss(0, 0.01) for _ in range(50)]
        outcome = play(
            Script(names, lambda name, pair, values=values: values[pair]), replace(POLICY, max_pairs=4, min_pairs=4)
        )
        low, high = outcome.benchmarks[0].judgement.interval
        widths[len(names)] = high - low
    assert widths[20] > 1.3 * widths[1]


@pytest.mark.parametrize(("side", "other", "why"), [("base", "head", "new"), ("head", "base", "gone, renamed")])
def test_a_benchmark_that_one_side_lacks_is_missing(play, side, other, why):
    script = Script(("one",), noisy())
    script.sides = {side: listed("one"), other: listed("one", "extra")}
    one, extra = sorted(play(script).benchmarks, key=lambda found: found.name, reverse=True)
    assert (one.verdict, extra.verdict) == ("unchanged", "missing")
    assert f"{side} has no benchmark of this name" in extra.reasons[0]
    assert why in extra.reasons[0]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (5.0, 10.0, "its marker's threshold is 5 % on base and 10 % on head; head's counts"),
        (None, 2.5, "its marker's threshold is none on base and 2.5 % on head; head's counts"),
        (5.0, 5.0, None),
    ],
)
def test_a_threshold_that_the_change_itself_moves_is_said(play, ours, theirs, said):
    script = Script(ratio=noisy())
    script.sides = {
        side: Collected({"one": Listed("test_a.py::one", "one", None, threshold)}, ())
        for side, threshold in zip(SIDES, (ours, theirs), strict=True)
    }
    notes = [note for note in only(play(script)).notes if "marker" in note]
    assert notes == ([] if said is None else [said])


def test_a_file_that_cannot_be_imported_is_the_reason(play):
    script = Script(ratio=noisy())
    script.sides = {"base": Collected({}, (broken("test_a.py"),)), "head": listed("one")}
    one = only(play(script))
    assert one.verdict == "missing"
    assert one.reasons == ("base cannot import it: test_a.py: ImportError: no",)


def test_nothing_to_compare_is_bad_input(play):
    script = Script(())
    with pytest.raises(UsageError, match="no test that uses the `profiled` fixture"):
        play(script)


@pytest.mark.parametrize(
    ("outcome", "verdict"), [("skipped", "missing"), ("failed", "incomparable"), ("passed", "incomparable")]
)
@pytest.mark.parametrize("stage", ["begin", "time"])
def test_a_test_that_ends_early(play, outcome, verdict, stage):
    script = Script(("bad", "good"), noisy())
    script.faults[stage, "bad", 1] = EndedError("head", outcome, "because")
    found = {one.name: one for one in play(script).benchmarks}
    assert found["good"].verdict == "unchanged"
    assert found["bad"].verdict == verdict
    assert "head" in found["bad"].reasons[0]
    assert all("bad" not in pair.names for pair in script.pairs[1:])


def test_a_fault_costs_a_pair(play):
    script = Script(ratio=noisy())
    script.faults["time", "one", 2] = WorkerFault("head", "was killed by SIGKILL")
    one = only(play(script))
    assert one.verdict == "unchanged"
    assert len(one.pairs) == len(script.pairs) - 1
    assert one.notes == ("a pair was thrown away: head's worker was killed by SIGKILL",)
    assert script.pairs[1].closed


@pytest.mark.parametrize("stage", ["profile", "finish"])
def test_a_fault_after_the_times_were_taken_keeps_them(play, stage):
    script = Script(ratio=noisy())
    script.faults[stage, "one", 2] = WorkerFault("head", "was killed by SIGKILL")
    one = only(play(script))
    assert one.verdict == "unchanged"
    assert len(one.pairs) == len(script.pairs)
    assert one.notes == ("after a pair was timed, head's worker was killed by SIGKILL",)


def test_benchmarks_behind_a_fault_are_not_charged_for_it(play, monkeypatch):
    clock = iter(float(second) for second in range(0, 100_000, 5))
    monkeypatch.setattr(run_module.time, "monotonic", lambda: next(clock))
    script = Script(("first", "second"), noisy(spread=0.3))
    script.faults["time", "first", 1] = WorkerFault("head", "was killed by SIGKILL")
    found = {one.name: one for one in play(script, replace(POLICY, max_pairs=6)).benchmarks}
    assert len(found["first"].pairs) == len(found["second"].pairs) == 6
    assert found["second"].seconds < found["first"].seconds


def test_the_plan_is_made_from_the_pairs_before_the_first_look(play, monkeypatch):
    # The first pair is cold and takes four times as long.
    now = [0.0]
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now[0])
    script = Script(ratio=lambda name, pair: random.Random(pair).gauss(0, 0.3))
    taken = FakePair.time

    def slow(self, ready):
        now[0] += 40.0 if self.number == 1 else 10.0
        return taken(self, ready)

    monkeypatch.setattr(FakePair, "time", slow)
    one = only(play(script, replace(POLICY, max_pairs=20, seconds=150, least_pairs=0)))
    assert one.policy.max_pairs == 15
    assert one.seconds <= 150
    assert len(one.pairs) == 12


def test_profiles_do_not_eat_the_pairs(play, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now[0])
    timed, profiled = FakePair.time, FakePair.profile

    def slow(self, ready):
        now[0] += 5.0
        return timed(self, ready)

    def slower(self, ready):
        now[0] += 4.0
        return profiled(self, ready)

    monkeypatch.setattr(FakePair, "time", slow)
    monkeypatch.setattr(FakePair, "profile", slower)
    script = Script(ratio=lambda name, pair: 0.04 + random.Random(pair).gauss(0, 0.1))
    one = only(play(script, replace(POLICY, max_pairs=20, seconds=90, least_pairs=0)))
    assert one.verdict == "inconclusive"
    assert one.census.captures == 4
    assert len(one.pairs) == one.policy.max_pairs == 14


def test_two_faults_are_no_verdict_on_time(play):
    script = Script(("bad", "good"), noisy(0.2))
    for number in range(1, 20):
        script.faults["time", "bad", number] = WorkerFault("head", "was given up: no answer within 60 s")
    found = {one.name: one for one in play(script).benchmarks}
    assert found["bad"].verdict == "incomparable"
    assert found["bad"].judgement is None
    assert "no answer within 60 s" in found["bad"].reasons[0]
    assert found["good"].verdict == "regressed"


def test_a_machine_that_was_suspended_throws_the_pair_away(play):
    script = Script(ratio=noisy())
    script.faults["time", "one", 1] = SuspendedError("the machine was suspended while it was timed")
    one = only(play(script))
    assert one.verdict == "unchanged"
    assert "suspended" in one.notes[0]
    assert len(one.pairs) == len(script.pairs) - 1


def test_a_side_that_runs_the_other_sides_code_is_incomparable(play):
    script = Script(ratio=noisy(0.2))
    script.loaded = {"base": {"/b/test_a.py": "1", "/h/src/package/core.py": "2"}, "head": {"/h/test_a.py": "1"}}
    one = only(play(script))
    assert one.verdict == "incomparable"
    assert "base ran src/package/core.py from head's tree" in one.reasons[0]
    assert "python:PATH" in one.reasons[0]
    assert len(script.pairs) == 1


def test_sides_that_share_an_installed_file_are_incomparable(play, tmp_path):
    for name in ("__init__.py", "core.py"):
        (tmp_path / name).touch()
    script = Script(ratio=noisy())
    script.elsewhere = {side: {"pace.core": str(tmp_path / "core.py")} for side in SIDES}
    hashes = {"pace/core.py": "100644 1", "pace/__init__.py": "100644 2"}
    one = only(play(script, changed=changed(["pace/core.py"], hashes, {**hashes, "pace/core.py": "100644 3"})))
    assert one.verdict == "incomparable"
    assert f"both sides ran pace/core.py from {tmp_path}/core.py" in one.reasons[0]
    assert set(script.pairs[0].asked_names) == {"core", "pace.core"}


def test_a_side_that_has_none_of_the_files_is_not_started(play, tmp_path):
    (tmp_path / "test_a.py").touch()
    script = Script(ratio=noisy())
    own = Listed("test_a.py::one", "one", None, None, str(tmp_path / "test_a.py"))
    script.sides = {"base": Collected({}, ()), "head": Collected({"one": own})}
    wanted = {"base": [str(tmp_path / "absent.py")], "head": [str(tmp_path / "test_a.py::one")]}
    assert only(play(script, wanted=wanted)).verdict == "missing"
    assert script.pairs[0].paths == {"base": None, "head": [str(tmp_path / "test_a.py")]}
    script = Script()
    script.sides = {"base": Collected({}, ()), "head": WorkerFault("head", "ended with exit code 4")}
    with pytest.raises(UsageError, match="head's worker ended"):
        play(script, wanted=wanted)


def test_another_rootdir_in_a_later_pair_changes_nothing(play):
    script = Script(ratio=noisy())
    renamed = Collected({"one": Listed("tests/test_a.py::one", "one", None, None, "/tree/test_a.py")}, ())
    script.starts = lambda number: dict.fromkeys(SIDES, renamed if number == 1 else listed("one"))
    assert only(play(script)).verdict == "unchanged"
    assert [pair.nodeids["base"] for pair in script.pairs[:2]] == [["tests/test_a.py::one"], ["test_a.py::one"]]


def test_neither_side_starts(play):
    script = Script()
    script.starts = lambda number: {side: WorkerFault(side, "ended with exit code 4") for side in SIDES}
    said = r"base's worker ended with exit code 4; head's worker ended .* \(3 starts in a row failed\)$"
    with pytest.raises(UsageError, match=said):
        play(script)
    assert len(script.pairs) == 3


def test_one_side_never_starts(play):
    script = Script()
    script.starts = lambda number: {"base": WorkerFault("base", "ended with exit code 4"), "head": listed("one", "two")}
    outcome = play(script)
    assert [(one.name, one.verdict) for one in outcome.benchmarks] == [("one", "incomparable"), ("two", "incomparable")]
    assert all("base's worker ended with exit code 4" in one.reasons[0] for one in outcome.benchmarks)


def test_a_side_that_starts_only_now_and_then(play):
    script = Script(ratio=noisy())
    script.starts = lambda number: (
        {"base": WorkerFault("base", "was killed"), "head": listed("one")} if number % 2 else script.sides
    )
    one = only(play(script))
    assert one.verdict == "unchanged"
    assert one.notes == ("a pair did not start: base's worker was killed",)


def test_a_fault_that_leaves_no_time_for_another_try_is_no_noise(play, monkeypatch):
    clock = iter(float(second) for second in range(0, 100_000, 5))
    monkeypatch.setattr(run_module.time, "monotonic", lambda: next(clock))
    script = Script()
    script.faults["begin", "one", 1] = WorkerFault("head", "was given up: no answer within 300 s")
    one = only(play(script, replace(POLICY, seconds=5, least_pairs=0)))
    assert one.verdict == "incomparable"
    assert one.reasons == ("head's worker was given up: no answer within 300 s",)


def test_a_fault_after_the_last_benchmark_costs_nothing(play):
    script = Script(ratio=noisy())
    script.faults["part", "", 1] = WorkerFault("base", "was killed")
    one = only(play(script))
    assert len(one.pairs) == len(script.pairs)
    assert one.notes == ()


@pytest.mark.parametrize("stage", ["begin", "time", "profile", "finish"])
def test_ctrl_c_keeps_what_is_decided(play, stage):
    script = Script(("fast", "slow"), mixed)
    for number in (3, 6, 7, 8, 9) if stage == "profile" else (6, 7, 8, 9):
        script.faults[stage, "slow", number] = KeyboardInterrupt()
    if stage == "profile":
        script.ratio = lambda name, pair: mixed(name, pair) + (0.2 if name == "slow" else 0)
    outcome = play(script)
    assert outcome.interrupted
    assert outcome.unfinished == (("slow",) if stage != "profile" else ("fast", "slow"))
    assert [one.name for one in outcome.benchmarks] == (["fast"] if stage != "profile" else [])
    assert all(pair.closed for pair in script.pairs)


def test_ctrl_c_before_anything_is_known(play):
    script = Script()

    def interrupt(number):
        raise KeyboardInterrupt

    script.starts = interrupt
    outcome = play(script)
    assert outcome.interrupted
    assert outcome.benchmarks == ()


def test_the_census_alone_takes_two_pairs_and_no_time(play):
    script = Script(ratio=noisy(0.5))
    one = only(play(script, census_only=True))
    assert one.verdict is None
    assert one.judgement is None
    assert one.census is not None
    assert one.census.captures == 2
    assert len(script.pairs) == 2
    assert Counter(stage for pair in script.pairs for stage, _ in pair.did)["time"] == 0


def test_a_budget_ends_it(play, monkeypatch):
    clock = iter(float(second) for second in range(0, 100_000, 5))
    monkeypatch.setattr(run_module.time, "monotonic", lambda: next(clock))
    one = only(play(Script(ratio=noisy(spread=0.3)), replace(POLICY, seconds=200, least_pairs=0)))
    assert one.verdict == "inconclusive"
    assert one.seconds <= 200
    assert 4 <= len(one.pairs) < POLICY.max_pairs
    # The plan was made for what fits.
    assert one.policy.max_pairs < POLICY.max_pairs


def test_a_long_step_gets_the_fewest_pairs_all_the_same(play, monkeypatch):
    clock = iter(float(second) for second in range(0, 1_000_000, 50))
    monkeypatch.setattr(run_module.time, "monotonic", lambda: next(clock))
    one = only(play(Script(ratio=noisy(spread=0.3)), replace(POLICY, seconds=200, least_pairs=6)))
    assert len(one.pairs) == 6


# --- what is listed -----------------------------------------------------------------------------------


def test_a_benchmark_that_a_side_loses_is_not_timed_against_the_one_after_it(play):
    script = Script(("one", "two"), noisy())
    without = Collected({"two": listed("two").benchmarks["two"]})
    script.starts = lambda number: script.sides if number != 2 else {"base": listed("one", "two"), "head": without}
    one, two = play(script).benchmarks
    assert script.pairs[1].nodeids == {side: ["test_a.py::two"] for side in SIDES}
    assert one.notes == ("a pair was thrown away: head does not have it any more",)
    assert (one.verdict, two.verdict) == ("unchanged", "unchanged")
    assert len(one.pairs) < len(script.pairs)


def test_one_that_stays_away_is_incomparable_and_says_why(play):
    script = Script(("one", "two"), noisy())
    without = Collected({"two": listed("two").benchmarks["two"]}, (broken("test_a.py", "SyntaxError: half"),))
    script.starts = lambda number: script.sides if number == 1 else {"base": listed("one", "two"), "head": without}
    one, two = play(script).benchmarks
    assert (one.verdict, one.reasons) == ("incomparable", ("head cannot import it any more: SyntaxError: half",))
    assert two.verdict == "unchanged"


def test_all_of_them_lost_ends_it(play):
    script = Script(ratio=noisy())
    script.starts = lambda number: script.sides if number == 1 else dict.fromkeys(SIDES, Collected({}))
    assert only(play(script)).verdict == "incomparable"
    assert len(script.pairs) == 3


def test_a_file_that_neither_side_can_import_is_incomparable(play):
    script = Script(("one",), noisy())
    for side, why in zip(SIDES, ("ImportError: no", "ImportError: no"), strict=True):
        script.sides[side] = replace(listed("one"), errors=(broken("test_b.py", why),))
    one, other = play(script).benchmarks
    assert one.verdict == "unchanged"
    assert (other.name, other.verdict) == ("test_b.py", "incomparable")
    assert other.reasons == ("neither side can import it: ImportError: no",)
    script = Script(("one",), noisy())
    for side in SIDES:
        script.sides[side] = replace(listed("one"), errors=(broken("test_b.py", f"of {side}"),))
    assert play(script).benchmarks[1].reasons == ("base cannot import it: of base; head cannot import it: of head",)


def test_a_file_that_one_side_cannot_import_is_told_once(play):
    script = Script(("one",), noisy())
    script.sides["head"] = replace(listed("one"), errors=(broken("test_b.py"),))
    outcome = play(script)
    assert outcome.notes == ["head cannot import test_b.py: ImportError: no"]
    assert only(outcome).verdict == "unchanged"
    # It is the reason of what is missing, and said there.
    script = Script(("one",), noisy())
    script.sides["head"] = Collected({}, (broken("test_a.py"),))
    outcome = play(script)
    assert outcome.notes == []
    assert only(outcome).reasons == ("head cannot import it: test_a.py: ImportError: no",)


def test_a_folder_that_cannot_be_imported_is_the_reason_for_its_files(play):
    deep = Collected({"one": Listed("tests/speed/test_a.py::one", "one", None, None, "/tree/tests/speed/test_a.py")})
    script = Script(ratio=noisy())
    script.sides = {"base": deep, "head": Collected({}, (broken("tests/speed", "no conftest"), broken("tests/speeds")))}
    outcome = play(script)
    assert only(outcome).reasons == ("head cannot import it: tests/speed: no conftest",)
    assert outcome.notes == ["head cannot import tests/speeds: ImportError: no"]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("test_a.py::typo", "test_a.py::typo: neither side has a test of this name that uses the `profiled` fixture"),
        ("test_a.py::on", "test_a.py::on: neither side has a test of this name"),
        ("other", "other: neither side has a test in it that uses the `profiled` fixture"),
        ("test_a.py::one", None),
        ("test_a.py", None),
        (".", None),
        ("test_b.py::any", None),  # which cannot be imported, and that is told
    ],
)
def test_an_argument_that_names_nothing_is_bad_input(play, tmp_path, argument, said):
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).touch()
    (tmp_path / "other").mkdir()
    path, colons, test = argument.partition("::")
    place = str(tmp_path / path).removesuffix("/.") + colons + test
    script = Script(("one",), noisy())
    own = Listed("test_a.py::one[1-2]", "one", None, None, str(tmp_path / "test_a.py"))
    errors = (broken("test_b.py", root=str(tmp_path)),)
    script.sides = {"base": Collected({}), "head": Collected({"one": own}, errors)}
    more = {
        "wanted": {side: [str(tmp_path / "test_a.py::one"), place] for side in SIDES},
        "roots": dict.fromkeys(SIDES, str(tmp_path)),
    }
    if said is None:
        assert play(script, **more).benchmarks[0].name == "one"
    else:
        with pytest.raises(UsageError, match=re.escape(said)):
            play(script, **more)
        assert script.pairs[0].closed


# --- what both sides skip -----------------------------------------------------------------------------


def test_what_both_sides_skip_is_a_note(play):
    script = Script(("cuda", "one"), noisy())
    script.faults["begin", "cuda", 1] = SkippedError("no CUDA here")
    outcome = play(script)
    assert only(outcome).name == "one"
    assert only(outcome).verdict == "unchanged"
    assert outcome.notes == ["cuda is skipped on both sides: no CUDA here"]
    assert all(pair.names == ["one"] for pair in script.pairs[1:])


def test_so_is_what_both_skip_at_their_end(play):
    script = Script(("cuda", "one"), noisy())
    passed = FakePair.finish

    def finish(self):
        passed(self)
        return {side: EndedError(side, "skipped", "after all") for side in SIDES} if self.name == "cuda" else {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakePair, "finish", finish)
        outcome = play(script)
    assert only(outcome).name == "one"
    assert outcome.notes == ["cuda is skipped on both sides: after all"]


def test_where_both_skip_everything_there_is_nothing_to_compare(play):
    script = Script(("cuda",), noisy())
    script.faults["begin", "cuda", 1] = SkippedError("no CUDA here")
    with pytest.raises(UsageError, match="there is nothing to compare: cuda is skipped on both sides: no CUDA here"):
        play(script)


def test_what_is_skipped_takes_no_part_of_the_error(play):
    widths = {}
    for skipped in (0, 19):
        chance = random.Random(5)
        values = [chance.gauss(0, 0.01) for _ in range(50)]
        names = (*(f"n{number}" for number in range(skipped)), "one")
        script = Script(names, lambda name, pair, values=values: values[pair])
        for name in names[:-1]:
            script.faults["begin", name, 1] = SkippedError("no CUDA here")
        low, high = only(play(script, replace(POLICY, max_pairs=4, min_pairs=4))).judgement.interval
        widths[skipped] = high - low
    assert widths[19] == widths[0]


# --- files that change meanwhile ----------------------------------------------------------------------


def test_a_file_that_changes_while_the_gate_runs_makes_it_incomparable(play):
    script = Script(("one", "two"), noisy())
    script.loaded = lambda number: {"base": {"/b/a.py": "1"}, "head": {"/h/a.py": "1" if number < 3 else "2"}}
    outcome = play(script)
    for one in outcome.benchmarks:
        assert one.verdict == "incomparable"
        assert one.reasons == ("head's files changed while the gate ran: a.py",)
    assert len(script.pairs) == 3
    assert outcome.loaded["head"] == {"/h/a.py": "1"}


def test_a_file_that_is_loaded_later_is_no_change(play):
    script = Script(ratio=noisy())
    script.loaded = lambda number: {
        "base": {"/b/a.py": "1"}, "head": {"/h/a.py": "1", **({"/h/b.py": "3"} if number > 1 else {})}
    }  # fmt: skip
    assert only(play(script)).verdict == "unchanged"


# --- a verdict stands ---------------------------------------------------------------------------------


def decided_without_profiles(script: Script) -> None:
    """A regression that is sure after four pairs and lacks the third profile, which fails from there on."""
    chance = random.Random(2)
    script.ratio = lambda name, pair: chance.gauss(0.055, 0.0001)
    for number in (3, 4):
        script.faults["profile", "one", number] = SuspendedError("the machine was suspended meanwhile")


@pytest.mark.parametrize("stage", ["begin", "profile", "run", "collect"])
def test_faults_do_not_take_a_verdict_away(play, stage):
    script = Script()
    decided_without_profiles(script)
    for number in range(5, 20):
        script.faults[stage, "" if stage == "run" else "one", number] = WorkerFault("head", "was killed by SIGKILL")
    if stage == "collect":
        script.starts = lambda number: (
            script.sides if number < 5 else {**script.sides, "head": WorkerFault("head", "was killed by SIGKILL")}
        )
    one = only(play(script))
    assert one.verdict == "regressed"
    assert one.judgement is not None
    assert one.reasons == ()
    starts = stage in ("run", "collect")
    assert one.notes[-1] == (
        "after it was decided, no further pair could explain it: head's worker was killed by SIGKILL"
        + " (3 starts in a row failed)" * starts
    )
    assert len(script.pairs) == (7 if starts else 6)


def test_a_failing_test_does_not_take_it_away_either(play):
    script = Script()
    decided_without_profiles(script)
    script.faults["begin", "one", 5] = EndedError("head", "failed", "AssertionError: once")
    one = only(play(script))
    assert one.verdict == "regressed"
    assert "AssertionError: once" in one.notes[-1]


def test_ctrl_c_keeps_a_verdict_that_waits_for_its_explanation(play):
    script = Script()
    decided_without_profiles(script)
    script.faults["begin", "one", 5] = KeyboardInterrupt()
    outcome = play(script)
    assert outcome.interrupted
    assert outcome.unfinished == ()
    assert only(outcome).verdict == "regressed"


def test_a_suspend_during_the_profile_throws_no_pair_away(play):
    script = Script(ratio=noisy())
    script.faults["profile", "one", 1] = SuspendedError("the machine was suspended meanwhile")
    one = only(play(script))
    assert one.notes == ("after a pair was timed, the machine was suspended meanwhile",)
    assert len(one.pairs) == len(script.pairs)


def test_faults_are_counted_in_a_row(play):
    script = Script(ratio=noisy(spread=0.3))
    for number in (2, 4, 6, 8):
        script.faults["time", "one", number] = WorkerFault("head", "was killed by SIGKILL")
    one = only(play(script, replace(POLICY, max_pairs=8)))
    assert one.verdict == "inconclusive"
    assert len(one.pairs) == 8


def test_a_worker_that_is_gone_before_it_runs_is_a_false_start(play):
    script = Script(ratio=noisy())
    script.faults["run", "", 2] = WorkerFault("head", "was killed by SIGKILL")
    one = only(play(script))
    assert one.verdict == "unchanged"
    assert one.notes == ("a pair did not start: head's worker was killed by SIGKILL",)
    script = Script(ratio=noisy())
    for number in range(1, 50):
        script.faults["run", "", number] = WorkerFault("head", "was killed by SIGKILL")
    one = only(play(script))
    reason = "head's worker was killed by SIGKILL (3 starts in a row failed)"
    assert (one.verdict, one.reasons) == ("incomparable", (reason,))
    assert len(script.pairs) == 3


# --- a census is from two processes a side ------------------------------------------------------------


@pytest.mark.parametrize("census_only", [False, True])
def test_a_small_budget_ends_the_timing_and_not_the_census(play, monkeypatch, census_only):
    clock = iter(float(second) for second in range(0, 100_000, 5))
    monkeypatch.setattr(run_module.time, "monotonic", lambda: next(clock))
    script = Script(ratio=noisy())
    one = only(play(script, replace(POLICY, seconds=1, least_pairs=0), census_only=census_only))
    assert one.verdict == (None if census_only else "inconclusive")
    assert one.census.captures == 2
    assert (len(script.pairs), len(one.pairs)) == (2, 0 if census_only else 1)


def test_a_census_that_nobody_took_does_not_pass(play, monkeypatch):
    clock = iter(float(second) for second in range(0, 100_000, 5))
    monkeypatch.setattr(run_module.time, "monotonic", lambda: next(clock))
    script = Script(ratio=noisy())
    for number in range(1, 50):
        script.faults["profile", "one", number] = SuspendedError("the machine was suspended meanwhile")
    one = only(play(script, replace(POLICY, seconds=1, least_pairs=0), census_only=True))
    assert (one.verdict, one.reasons) == ("incomparable", ("the machine was suspended meanwhile",))
    assert len(script.pairs) == 3


# --- interrupts at the wrong moment -------------------------------------------------------------------


@pytest.fixture
def ctrl_c(monkeypatch):
    """SIGINT as in a terminal, however these tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_results_are_put_together_waits_for_them(play, monkeypatch, ctrl_c):
    really = draft_module.judge_census

    def interrupted(*arguments):
        ctrl_c()
        return really(*arguments)

    monkeypatch.setattr(draft_module, "judge_census", interrupted)
    outcome = None
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        outcome = play(Script(ratio=noisy(0.08)))
    assert outcome is not None
    assert not outcome.interrupted
    assert only(outcome).verdict == "regressed"


def test_where_interrupts_are_held_they_still_stop_the_loop(play, ctrl_c):
    script = Script(("fast", "slow"), mixed)
    taken = FakePair.time

    def stop(self, ready):
        if self.number == 6:
            ctrl_c()
        return taken(self, ready)

    with pytest.MonkeyPatch.context() as patch, interrupts_held():
        patch.setattr(FakePair, "time", stop)
        outcome = play(script)
    assert outcome.interrupted
    assert ([one.name for one in outcome.benchmarks], outcome.unfinished) == (["fast"], ("slow",))
    assert script.pairs[-1].closed


# --- starts that fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [(2, 3), (2, 3, 4)])
def test_three_starts_in_a_row_that_fail_give_everything_up_and_two_do_not(play, failing):
    script = Script(("fast", "noisy"), mixed)
    flaky = {"base": WorkerFault("base", "was killed"), "head": listed("fast", "noisy")}
    script.starts = lambda number: flaky if number in failing else script.sides
    found = {one.name: one for one in play(script).benchmarks}
    given_up = len(failing) == 3
    assert found["fast"].verdict == ("incomparable" if given_up else "unchanged")
    assert found["noisy"].verdict == ("incomparable" if given_up else "inconclusive")
    if given_up:
        assert found["noisy"].reasons == ("base's worker was killed (3 starts in a row failed)",)


def test_a_process_that_cannot_be_started_costs_a_pair_and_no_verdict(play, monkeypatch):
    script = Script(("fast", "noisy"), mixed)
    started = FakePair.__init__

    def refused(self, script, first, paths):
        started(self, script, first, paths)
        if self.number in (2, 7):
            raise WorkerFault("head", "cannot be started: Too many open files")

    monkeypatch.setattr(FakePair, "__init__", refused)
    found = {one.name: one for one in play(script).benchmarks}
    assert (found["fast"].verdict, found["noisy"].verdict) == ("unchanged", "inconclusive")
    assert found["fast"].notes == ("a pair did not start: head's worker cannot be started: Too many open files",)


# --- profiles that fail ---------------------------------------------------------------------------------


def failing_profiles(fault: BaseException, ratio: Callable[[str, int], float], first: int = 1) -> Script:
    script = Script(("bad", "good"), ratio)
    for number in range(first, 50):
        script.faults["profile", "bad", number] = fault
    return script


FAULTS = {
    "the test failed": EndedError("head", "failed", "CaptureError: the profiler found nothing"),
    "the test skipped": EndedError("head", "skipped", "not under a profiler"),
    "killed": WorkerFault("head", "was killed by SIGKILL"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_profile_that_fails_does_not_take_a_regression_away(play, fault):
    script = failing_profiles(fault, noisy(0.2))
    found = {one.name: one for one in play(script).benchmarks}
    assert found["bad"].verdict == "regressed"
    assert found["bad"].attribution is None
    assert found["bad"].census is None
    assert f"its operators are not known, since no process could be profiled: {fault}" in found["bad"].notes
    assert found["good"].verdict == "regressed"
    assert found["good"].attribution is not None


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize(("effect", "verdict"), [(0.0, "unchanged"), (-0.2, "improved")])
def test_without_a_census_nothing_passes_and_the_reason_has_the_times(play, fault, effect, verdict):
    script = failing_profiles(fault, noisy(effect))
    found = {one.name: one for one in play(script).benchmarks}
    bad = found["bad"]
    assert bad.verdict == "incomparable"
    assert bad.judgement is not None
    assert bad.judgement.verdict == verdict
    low, high = (f"{100 * (end - 1):+.1f}%" for end in bad.judgement.interval)
    (reason,) = bad.reasons
    assert reason.startswith(f"no census could be taken: {fault}; by time alone it is {verdict}, ")
    assert f"({low} to {high})" in reason
    assert reason.endswith("which is what counts with --no-census, or passes='timing' in its marker")
    assert found["good"].verdict == verdict


def test_what_a_profile_fails_by_is_not_tried_for_ever(play):
    script = failing_profiles(FAULTS["the test failed"], noisy())
    play(script)
    assert [pair.number for pair in script.pairs if ("profile", "bad") in pair.did] == [1]
    script = failing_profiles(FAULTS["killed"], noisy())
    outcome = play(script)
    assert [pair.number for pair in script.pairs if ("profile", "bad") in pair.did] == [1, 2]
    bad = next(one for one in outcome.benchmarks if one.name == "bad")
    assert len(bad.pairs) == len([pair for pair in script.pairs if ("time", "bad") in pair.did])
    assert bad.notes == (
        "after a pair was timed, head's worker was killed by SIGKILL",
        "it is not profiled any more: head's worker was killed by SIGKILL",
    )


def test_profiles_that_fail_later_leave_the_census_of_the_first(play):
    script = failing_profiles(FAULTS["the test failed"], noisy(), first=2)
    bad = next(one for one in play(script).benchmarks if one.name == "bad")
    assert bad.verdict == "unchanged"
    assert bad.census is not None
    assert bad.census.captures == 1


def test_where_no_rule_is_on_none_can_be_broken(play):
    rules = CensusRules(implementation="off", isa="off", dtype="off", reorders="off")
    assert not rules.forbid_anything
    script = failing_profiles(FAULTS["the test failed"], noisy())
    bad = next(one for one in play(script, rules=rules).benchmarks if one.name == "bad")
    assert (bad.verdict, bad.reasons) == ("unchanged", ())
    assert f"there is no census of it: {FAULTS['the test failed']}" in bad.notes


def test_a_test_that_fails_where_nothing_is_timed_is_incomparable(play):
    script = failing_profiles(FAULTS["the test failed"], noisy())
    bad = next(one for one in play(script, census_only=True).benchmarks if one.name == "bad")
    assert (bad.verdict, bad.reasons) == ("incomparable", (str(FAULTS["the test failed"]),))


# --- no census ------------------------------------------------------------------------------------------


def stages(script: Script) -> Counter[str]:
    return Counter(stage for pair in script.pairs for stage, _ in pair.did)


@pytest.mark.parametrize(("effect", "verdict"), [(0.0, "unchanged"), (0.2, "regressed")])
def test_without_rules_nothing_is_profiled_and_times_decide(play, effect, verdict):
    script = Script(ratio=noisy(effect))
    one = only(play(script, rules=None))
    assert (one.verdict, one.census, one.attribution, one.reasons) == (verdict, None, None, ())
    assert stages(script)["profile"] == 0
    assert len(script.pairs) == len(one.pairs)


def marked(**census: bool) -> dict[str, Collected]:
    """Sides whose markers leave the census of ``one`` out, or not; ``two`` has none."""
    return {
        side: Collected({
            "one": Listed("test_a.py::one", "one", None, None, "/tree/test_a.py", census[side]),
            "two": Listed("test_a.py::two", "two", None, None, "/tree/test_a.py"),
        })
        for side in SIDES
    }  # fmt: skip


def test_a_marker_that_leaves_the_census_out_is_heard_and_said(play):
    script = Script(("one", "two"), noisy())
    script.sides = marked(base=False, head=False)
    one, two = play(script).benchmarks
    assert (one.verdict, one.census, two.verdict) == ("unchanged", None, "unchanged")
    assert one.notes == (
        "its marker's passes leave the census out: its verdict is by time alone, and a change is not explained",
    )
    assert two.census is not None
    assert two.notes == ()


@pytest.mark.parametrize(("base", "head"), [(True, False), (False, True)])
def test_where_markers_differ_heads_counts_and_that_is_said(play, base, head):
    script = Script(("one", "two"), noisy())
    script.sides = marked(base=base, head=head)
    one = play(script).benchmarks[0]
    assert (one.census is not None) == head
    alone = "head" if base else "base"
    assert one.notes[0] == f"its marker's passes leave the census out on {alone} alone; head's count"


def test_where_nothing_is_timed_such_a_benchmark_is_a_note(play):
    script = Script(("one", "two"), noisy())
    script.sides = marked(base=False, head=False)
    outcome = play(script, census_only=True)
    assert [one.name for one in outcome.benchmarks] == ["two"]
    said = "one is not looked at: its marker's passes leave the census out, and nothing is timed"
    assert outcome.notes == [said]


# --- what both sides run from a third place -------------------------------------------------------------


def test_a_shared_extension_is_a_note_of_the_gate_once(play, tmp_path):
    script = Script(("one", "two"), noisy())
    script.extensions = {side: [str(tmp_path / "fast.so")] for side in SIDES}
    outcome = play(script)
    assert [one.verdict for one in outcome.benchmarks] == ["unchanged", "unchanged"]
    (note,) = outcome.notes
    assert note.startswith(f"both sides ran {tmp_path}/fast.so, which is in neither side's tree")


def test_one_compiled_from_a_sides_sources_makes_it_incomparable(play, tmp_path):
    (tmp_path / "build.ninja").write_text("build fast.o: compile /h/fast.cpp\n")
    script = Script(ratio=noisy())
    script.extensions = {side: [str(tmp_path / "fast.so")] for side in SIDES}
    one = only(play(script))
    assert one.verdict == "incomparable"
    assert "which was compiled from head's sources" in one.reasons[0]
    assert len(script.pairs) == 1


def test_locks_of_a_pair_before_are_taken_away(play, tmp_path):
    lock = tmp_path / "fast" / "lock"
    lock.parent.mkdir()
    there = []

    def compiling(name, pair):
        there.append(lock.exists())
        lock.touch()
        return 0.0

    play(Script(ratio=compiling), extensions=[str(tmp_path)])
    assert len(there) > 1
    assert not any(there)


# --- what medians do not see ----------------------------------------------------------------------------


def test_a_slow_minority_is_a_note_and_no_verdict(play, monkeypatch):
    chance = random.Random(4)

    def accumulating(self, ready):
        base, head = ((1e7, 1e7, 1e7, 3e7),) * 6, ((1e7, 1e7, 1e7, 6e7),) * 6
        noise = math.exp(chance.gauss(0, 0.005))
        head = tuple(tuple(ns * noise for ns in turn) for turn in head)
        return PairTrace(base, head, "bh" * 6, self.first, 1.0), ()

    monkeypatch.setattr(FakePair, "time", accumulating)
    one = only(play(Script()))
    assert one.verdict == "unchanged"
    (note,) = one.notes
    assert note.startswith("a minority of steps is slower: by the mean of all steps head takes +")


# --- what is said meanwhile -----------------------------------------------------------------------------


class Kept:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.milestones: list[str] = []

    def __call__(self, text: str) -> None:
        self.texts.append(text)

    def milestone(self, text: str) -> None:
        self.milestones.append(text)


def test_a_benchmark_is_told_when_it_begins_and_when_it_is_decided(play):
    kept = Kept()
    script = Script(("fast", "slow"), mixed)
    script.sides["base"] = listed("fast", "slow", "gone")
    outcome = play(script, progress=kept)
    assert kept.milestones[:3] == [
        "fast: begins",
        "slow: begins",
        "gone: missing: head has no benchmark of this name: it is gone, renamed or deselected (1 of 3 done)",
    ]
    fast, slow = kept.milestones[3:]
    assert fast.startswith("fast: by time unchanged, ")
    assert fast.endswith(" (2 of 3 done)")
    assert slow.startswith("slow: by time inconclusive, ")
    assert slow.endswith(" (3 of 3 done)")
    assert len(outcome.benchmarks) == 3
    assert "fast · pair 1 · warm-up" in kept.texts
    assert [text for text in kept.texts if re.search(r"^slow · pair 5 · timing · so far .*% \(.*% to .*%\)$", text)]
