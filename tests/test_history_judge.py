"""What of a history is a change, and which changes are one finding."""

from __future__ import annotations

import math
import random

import pytest

from perfsuite.history import judge as judging
from perfsuite.history.judge import judge
from perfsuite.history.levels import LONG, own_error
from perfsuite.history.model import Benchmark, Point
from tests.history_runs import (
    BACKWARD,
    CONVOLUTION,
    FORWARD,
    OTHER_STEP,
    REORDERS,
    STEP,
    FakeShelf,
    a_process,
    commit,
    in_turns,
    line,
    renamed,
)


def drawn(count: int, level: float = 100.0, step_at: int | None = None, by: float = 1.1, seed: int = 5, spread=0.005):
    draw = random.Random(seed)
    return [
        level * (by if step_at is not None and at >= step_at else 1.0) * math.exp(draw.gauss(0, spread))
        for at in range(count)
    ]


# --- short series: processes that took turns ------------------------------------------------------------


def test_releases_that_took_turns_are_compared_by_their_processes():
    shelf = in_turns({0: 20.0, 1: 20.0, 2: 22.0})
    (found,), notes = judge([line(STEP, [20.0, 20.0, 22.0])], shelf)
    assert (found.before, found.at) == (commit(1), commit(2))
    change = found.changes[0]
    assert change.ratio == pytest.approx(1.1)
    assert 1.03 < change.interval[0] < 1.1 < change.interval[1]
    assert change.points == (2, 1)
    assert change.recovered is None
    assert notes == ()


def test_the_interval_is_students_of_pooled_processes():
    shelf = in_turns({0: 20.0, 1: 22.0}, noise=(0.0, 0.01, -0.01))
    (found,), _ = judge([line(STEP, [20.0, 22.0])], shelf)
    # Pooled: four squares of 0.01 with four degrees of freedom; t of 97.5 % at four is 2.7764.
    half = 2.776445 * 0.01 * math.sqrt(2 / 3)
    assert found.changes[0].interval == pytest.approx((1.1 * math.exp(-half), 1.1 * math.exp(half)), rel=1e-5)


def test_comparisons_share_the_probability_of_an_error():
    levels = {0: 20.0, 1: 22.0}
    alone = judge([line(STEP, [20.0, 22.0])], in_turns(levels))[0][0].changes[0]
    shelf = in_turns(levels)
    for runs in shelf.by_commit.values():
        runs[:] = [
            type(run)(
                run.id, run.created, run.status, run.environment, (*run.workloads, renamed(run.workloads[0], "lstm"))
            )
            for run in runs
        ]
    (found,), _ = judge([line(STEP, [20.0, 22.0]), line(OTHER_STEP, [20.0, 22.0])], shelf)
    assert len(found.changes) == 2
    assert found.changes[0].interval[0] < alone.interval[0]


def test_a_change_below_the_threshold_or_within_the_noise_is_none():
    assert judge([line(STEP, [20.0, 20.4])], in_turns({0: 20.0, 1: 20.4}))[0] == ()
    noisy = in_turns({0: 20.0, 1: 22.0}, noise=(0.0, 0.1, -0.1))
    assert judge([line(STEP, [20.0, 22.0])], noisy)[0] == ()
    assert judge([line(STEP, [20.0, 20.4])], in_turns({0: 20.0, 1: 20.4}, noise=(0.0, 1e-5, -1e-5)), 0.01)[0] != ()


def test_processes_that_did_not_take_turns_are_not_compared_and_that_is_said():
    shelf = FakeShelf()
    for at, level in ((0, 20.0), (1, 30.0)):
        for number in range(3):
            shelf.record(at, a_process(level + number / 100))
    findings, notes = judge([line(STEP, [20.0, 30.0])], shelf)
    assert findings == ()
    (note,) = notes
    assert note.startswith("v0 → v1: 1 line not compared, since no two processes of each took turns in one night")


def test_other_nights_are_other_sittings_and_the_last_one_with_both_counts():
    shelf = in_turns({0: 20.0})
    shelf.sleep(24)
    for number in range(3):  # the machine is slower now
        for at, level in ((0, 26.0), (1, 26.0)):
            shelf.record(at, a_process(level + number / 100))
    assert judge([line(STEP, [20.0, 26.0])], shelf)[0] == ()
    # Held against the first night the second commit would have become 30 % slower.
    assert judge([line(STEP, [20.0, 26.0])], shelf)[1] == ()


def test_what_a_commit_had_to_itself_does_not_count():
    """Nine processes of the night before, six hours ago at most, would have made the second commit 15 % slower."""
    shelf = FakeShelf()
    for number in range(9):
        shelf.record(0, a_process(20.0 + number % 3 / 100))
    shelf.sleep(5)
    for number in range(3):  # the machine is slower now
        for at in (0, 1):
            shelf.record(at, a_process(24.0 + number / 100))
    assert judge([line(STEP, [20.0, 24.0])], shelf) == ((), ())
    # Nor does what it had to itself afterwards.
    for number in range(9):
        shelf.record(1, a_process(28.0 + number % 3 / 100))
    assert judge([line(STEP, [20.0, 24.0])], shelf) == ((), ())


def test_a_few_turns_are_enough_whoever_began():
    shelf = FakeShelf()
    for at in (0, 1, 1, 0):
        shelf.record(at, a_process(22.0 if at else 20.0))
    (found,), _ = judge([line(STEP, [20.0, 22.0])], shelf)
    assert found.changes[0].ratio == pytest.approx(1.1)
    late = FakeShelf()
    for at in (0, 0, 0, 1, 1, 0):  # one process took its turn after the other commit's, and one before
        late.record(at, a_process(22.0 if at else 20.0))
    assert judge([line(STEP, [20.0, 22.0])], late)[0][0].changes[0].ratio == pytest.approx(1.1)
    alone = FakeShelf()
    for at in (0, 0, 0, 1, 0, 0):
        alone.record(at, a_process(22.0 if at else 20.0))
    assert judge([line(STEP, [20.0, 22.0])], alone)[0] == ()


def test_machines_are_not_compared_with_each_other():
    shelf = FakeShelf()
    for number in range(3):
        shelf.record(0, a_process(20.0 + number / 100))
        shelf.record(1, a_process(30.0 + number / 100), cpu_model="Another CPU")
    assert judge([line(STEP, [20.0, 30.0])], shelf)[0] == ()


def test_a_single_process_a_side_says_nothing():
    shelf = in_turns({0: 20.0, 1: 30.0}, rounds=1)
    findings, notes = judge([line(STEP, [20.0, 30.0])], shelf)
    assert findings == ()
    assert len(notes) == 1


def test_what_recovers_stays_in_the_record():
    (back, found), _ = judge([line(STEP, [20.0, 22.0, 20.0])], in_turns({0: 20.0, 1: 22.0, 2: 20.0}))
    assert found.is_regression
    assert found.changes[0].recovered == commit(2)
    assert not back.is_regression
    assert back.changes[0].recovered is None


def test_a_recovery_in_two_steps_is_one_as_well():
    levels = {0: 20.0, 1: 24.0, 2: 22.0, 3: 20.0}
    found = judge([line(STEP, list(levels.values()))], in_turns(levels))[0][-1]
    assert found.is_regression
    assert found.changes[0].recovered == commit(3)


def test_what_failed_is_no_point():
    shelf = in_turns({0: 20.0, 2: 22.0})
    (found,), _ = judge([line(STEP, [20.0, math.nan, 22.0])], shelf)
    assert (found.before, found.at) == (commit(0), commit(2))
    assert judge([line(STEP, [math.nan, math.nan])], shelf) == ((), ())
    assert judge([], shelf) == ((), ())


def test_what_is_not_ours_is_left_alone():
    assert judge([line(Benchmark("other.track_things"), drawn(40, step_at=20, by=2.0))], FakeShelf()) == ((), ())


# --- long series -----------------------------------------------------------------------------------------


def test_a_long_series_is_judged_by_its_own_noise():
    (found,), notes = judge([line(STEP, drawn(40, step_at=25))], FakeShelf())
    assert found.at == commit(25)
    assert found.before == commit(24)
    assert found.changes[0].interval[0] < 1.1 < found.changes[0].interval[1]
    assert found.changes[0].points == (25, 15)
    assert notes == ()
    assert judge([line(STEP, drawn(40))], FakeShelf())[0] == ()


def test_a_long_regression_that_was_undone():
    values = drawn(60, step_at=20)
    values[40:] = [value / 1.1 for value in values[40:]]
    (back, found), _ = judge([line(STEP, values)], FakeShelf())
    assert (found.at, found.changes[0].recovered) == (commit(20), commit(40))
    assert not back.is_regression
    assert back.changes[0].recovered is None


def test_a_long_recovery_in_two_steps_is_one_as_well():
    values = drawn(60, step_at=16, by=1.2)
    values[30:] = [value / 1.1 for value in values[30:]]
    values[45:] = [value / 1.1 for value in values[45:]]
    found = judge([line(STEP, values)], FakeShelf())[0][-1]
    assert (found.at, found.changes[0].recovered) == (commit(16), commit(45))


def test_what_turned_out_smaller_than_the_threshold_is_none(monkeypatch):
    from perfsuite.changes import Step
    from perfsuite.history import levels

    steps = (Step(20, 25, 1.02, (1.01, 1.03), 9.0), Step(30, 35, 1.05, (1.04, 1.06), 9.0))
    monkeypatch.setattr(levels, "find_steps", lambda values, *rest: [steps for _ in values])
    (found,), _ = judge([line(STEP, drawn(40))], FakeShelf())
    assert found.at == commit(30)


def test_what_was_found_while_the_line_was_short_stays_in_the_record():
    levels = {0: 100.0, 1: 100.0, 2: 110.0, 3: 100.0, 4: 110.0}
    shelf = in_turns(levels)
    values = [*levels.values(), *(110.0 * math.exp(one) for one in (0.002, -0.002) * 20)]
    values[30:] = [value / 1.1 for value in values[30:]]
    short = [(one.at, one.is_regression) for one in judge([line(STEP, list(levels.values()))], shelf)[0]]
    assert short == [(commit(4), True), (commit(3), False), (commit(2), True)]
    findings, notes = judge([line(STEP, values)], shelf)
    assert [(one.at, one.is_regression) for one in findings] == [(commit(30), False), *short]
    assert [one.changes[0].recovered for one in findings] == [None, commit(30), commit(4), commit(3)]
    assert notes == (), "of the first nights of a long line nobody is told that they were not compared"


@pytest.mark.parametrize("at", range(LONG - 4, LONG - 1))
def test_what_was_found_just_before_a_line_became_long_stays_too(at):
    """Its nights alone would show it only when there are four of them."""
    values = drawn(LONG - 1, step_at=at, by=1.3)
    shelf = in_turns({at - 1: 100.0, at: 130.0})
    (short,), _ = judge([line(STEP, values)], shelf)
    (found,), _ = judge([line(STEP, [*values, values[-1]])], shelf)
    assert found.at == short.at == commit(at)


def test_what_both_find_where_a_line_becomes_long_is_one():
    from perfsuite.history.levels import LEAST_BEFORE

    at = LEAST_BEFORE - 1
    values = drawn(40, step_at=at, by=1.3)
    (found,), _ = judge([line(STEP, values)], in_turns({at - 1: 100.0, at: 130.0}))
    assert found.at == commit(at)


def test_two_points_of_one_commit_are_not_two_commits():
    values = drawn(40, step_at=24)
    machines = ["mill" if at % 2 else "barn" for at in range(40)]
    series = line(STEP, values, machines)
    # Each two neighbouring points are of one commit, on two machines.
    points = tuple(Point(commit(at // 2), point.machine, point.value) for at, point in enumerate(series.points))
    (found,), _ = judge([type(series)(STEP, points)], FakeShelf())
    assert found.before.position < found.at.position == commit(12).position


def test_long_lines_that_change_nearly_together_are_one_finding():
    one, other = line(STEP, drawn(40, step_at=25)), line(OTHER_STEP, drawn(40, step_at=26, seed=9))
    (found,), _ = judge([one, other], FakeShelf())
    assert [change.benchmark for change in found.changes] == sorted(
        (STEP, OTHER_STEP), key=lambda one: -next(c.size for c in found.changes if c.benchmark == one)
    )
    far = line(OTHER_STEP, drawn(40, step_at=32, seed=9))
    assert len(judge([one, far], FakeShelf())[0]) == 2
    faster = line(OTHER_STEP, drawn(40, step_at=25, by=0.9, seed=9))
    assert len(judge([one, faster], FakeShelf())[0]) == 2


def test_the_parts_of_a_step_stand_beside_it_and_never_alone():
    step, backward = line(STEP, drawn(40, step_at=25)), line(BACKWARD, drawn(40, 50.0, step_at=25, by=1.2, seed=7))
    forward = line(FORWARD, drawn(40, 30.0, seed=8))
    faster = line(CONVOLUTION, drawn(40, 20.0, step_at=25, by=0.8, seed=3))
    (found,), _ = judge([forward, backward, faster, step], FakeShelf())
    assert [change.benchmark for change in found.changes] == [STEP, BACKWARD]
    assert found.changes[1].interval[0] < 1.2 < found.changes[1].interval[1]
    assert judge([backward, forward], FakeShelf()) == ((), ())


def test_every_workload_of_a_finding_has_its_parts_beside_it():
    elsewhere = Benchmark(BACKWARD.name, {**BACKWARD.parameters, "workload": "lstm"}, "ms")
    other_still = Benchmark(FORWARD.name, {**FORWARD.parameters, "workload": "lstm"}, "ms")
    series = [
        line(STEP, drawn(40, step_at=25, by=1.2)),
        line(OTHER_STEP, drawn(40, step_at=25, seed=9)),
        line(BACKWARD, drawn(40, 50.0, step_at=25, by=1.3, seed=7)),
        line(elsewhere, drawn(40, 50.0, step_at=25, by=1.25, seed=11)),
        line(other_still, drawn(40, 50.0, seed=12)),
    ]
    (found,), _ = judge(series, FakeShelf())
    assert [change.benchmark for change in found.changes] == [STEP, OTHER_STEP, BACKWARD, elsewhere]


def test_a_part_is_measured_between_the_changes_around():
    """Or the level before would be that of the first half and of the second one together."""
    step, backward = drawn(60, step_at=20), drawn(60, 50.0, step_at=20, by=1.2, seed=7)
    for values, by in ((step, 1.1), (backward, 1.2)):
        values[40:] = [value / by for value in values[40:]]
    (back, found), _ = judge([line(STEP, step), line(BACKWARD, backward)], FakeShelf())
    for one, ratio in ((found, 1.2), (back, 1 / 1.2)):
        assert [change.benchmark for change in one.changes] == [STEP, BACKWARD]
        assert one.changes[1].ratio == pytest.approx(ratio, rel=0.01)
        assert one.changes[1].points == (one.at.position // 10, 60 - one.at.position // 10)


def test_parts_of_an_old_finding_are_still_beside_it():
    step, backward = drawn(115, step_at=20), drawn(115, 50.0, step_at=20, by=1.2, seed=7)
    (found,), _ = judge([line(STEP, step), line(BACKWARD, backward)], FakeShelf())
    assert [change.benchmark for change in found.changes] == [STEP, BACKWARD]


def test_parts_of_a_short_series_by_its_processes():
    shelf = FakeShelf()
    for number in range(3):
        for at, backward in ((0, 10.0), (1, 12.0)):
            noise = math.exp((0.0, 0.003, -0.003)[number])
            process = a_process(
                (10 + backward) * noise, backward_ms=backward * noise, convolution_ms=backward * noise / 2
            )
            shelf.record(at, process)
    series = [line(BACKWARD, [10.0, 12.0]), line(STEP, [20.0, 22.0]), line(CONVOLUTION, [5.0, 6.0])]
    (found,), _ = judge(series, shelf)
    assert found.changes[0].benchmark == STEP
    assert {change.benchmark for change in found.changes[1:]} == {BACKWARD, CONVOLUTION}
    assert found.changes[1].ratio == pytest.approx(1.2)


def test_the_error_of_a_point_by_its_samples():
    draw = random.Random(2)
    errors = []
    for _ in range(400):
        samples = tuple(math.exp(draw.gauss(0, 0.05)) for _ in range(25))
        errors.append(own_error(Point(commit(0), "mill", 1.0, samples)))
    # The standard error of a median of 25: 1.2533·0.05/5.
    assert sum(errors) / len(errors) == pytest.approx(0.0125, rel=0.1)
    assert (
        own_error(Point(commit(0), "mill", 1.0, (1.0,))) == own_error(Point(commit(0), "mill", 0.0, (0.0, 1.0))) == 0.0
    )


def test_long_is_as_many_points_as_can_be_judged():
    values = drawn(LONG, step_at=LONG - 4, by=1.3)
    assert judge([line(STEP, values)], FakeShelf())[0][0].at == commit(LONG - 4)


# --- counts ------------------------------------------------------------------------------------------------


def test_a_count_that_changes_is_a_change():
    (found,), _ = judge([line(REORDERS, [10, 10, 14])], FakeShelf())
    change = found.changes[0]
    assert (change.ratio, change.interval, change.counted) == (1.4, (1.4, 1.4), True)
    assert (found.before, found.at) == (commit(1), commit(2))
    assert judge([line(REORDERS, [10, 10, 10])], FakeShelf())[0] == ()
    assert judge([line(REORDERS, [1000, 1010])], FakeShelf())[0] == (), "one per cent"


def test_from_none_and_to_none():
    (back, found), _ = judge([line(REORDERS, [0, 5, 0])], FakeShelf())
    assert found.changes[0].ratio == math.inf
    assert found.changes[0].recovered == commit(2)
    assert back.changes[0].ratio == 0.0
    assert not back.is_regression


def test_counts_that_differ_within_a_commit_say_nothing():
    points = [
        Point(commit(0), "mill", 10.0, (10.0, 10.0)),
        Point(commit(1), "mill", 12.0, (10.0, 14.0)),
        Point(commit(2), "mill", 10.0, (10.0, 10.0)),
    ]
    series = type(line(REORDERS, []))(REORDERS, tuple(points))
    assert judge([series], FakeShelf())[0] == ()


def test_a_line_that_goes_to_and_fro_is_told_once():
    findings, _ = judge([line(REORDERS, [10, 14, 10, 14, 10, 14, 10])], FakeShelf())
    assert [(one.at, one.is_regression) for one in findings] == [(commit(2), False), (commit(1), True)]
    # Releases that each add some do not go to and fro.
    assert len(judge([line(REORDERS, [10, 14, 18, 22])], FakeShelf())[0]) == 3


def test_a_count_need_not_come_back_exactly():
    found = judge([line(REORDERS, [1000, 1100, 1010])], FakeShelf())[0][-1]
    assert (found.is_regression, found.changes[0].recovered) == (True, commit(2))
    found = judge([line(REORDERS, [1000, 1100, 1050])], FakeShelf())[0][-1]
    assert (found.is_regression, found.changes[0].recovered) == (True, None)


def test_counts_that_were_added_in_another_order_are_the_same():
    sums = [0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1]
    assert sums[0] != sums[1]
    points = [Point(commit(at), "mill", value, tuple(sums)) for at, value in enumerate((*sums, 1.2))]
    (found,), _ = judge([type(line(REORDERS, []))(REORDERS, tuple(points))], FakeShelf())
    assert (found.at, found.changes[0].ratio) == (commit(2), pytest.approx(2))


def test_machines_that_agree_have_one_change():
    series = line(REORDERS, [10, 10, 14, 14])
    points = [Point(commit(at // 2), "mill" if at % 2 else "barn", one.value) for at, one in enumerate(series.points)]
    (found,), _ = judge([type(series)(REORDERS, tuple(points))], FakeShelf())
    assert len(found.changes) == 1


# --- what belongs together -----------------------------------------------------------------------------------


def test_what_grows_twice_has_two_causes():
    values = [10.0] * 20 + [14.0] + [18.0] * 20
    findings, _ = judge([line(REORDERS, values)], FakeShelf())
    assert [one.at for one in findings] == [commit(21), commit(20)]
    assert all(len(one.changes) == 1 for one in findings)


def test_counts_and_times_of_one_release_are_one_finding_led_by_the_step():
    shelf = in_turns({0: 20.0, 1: 22.0})
    (found,), _ = judge([line(REORDERS, [10, 20]), line(STEP, [20.0, 22.0])], shelf)
    assert [change.benchmark for change in found.changes] == [STEP, REORDERS]


def test_what_changed_around_is_told_but_not_that_the_commit_is_another():
    shelf = FakeShelf()
    noise = (0.0, 0.01, 0.02)
    for number in range(3):
        shelf.record(0, a_process(20.0 + noise[number]), torch="2.7.0")
        shelf.record(1, a_process(22.0 + noise[number]), torch="2.8.0")
    (found,), _ = judge([line(STEP, [20.0, 22.0])], shelf)
    assert [(one.key, one.base, one.head) for one in found.environment] == [("torch", "2.7.0", "2.8.0")]


def test_the_newest_finding_is_the_first():
    shelf = in_turns({0: 20.0, 1: 22.0, 2: 26.0})
    findings, _ = judge([line(STEP, [20.0, 22.0, 26.0])], shelf)
    assert [one.at for one in findings] == [commit(2), commit(1)]


def test_the_measures_that_are_judged_exist():
    from perfsuite.history.values import UNITS

    assert {*judging.LEADING, *judging._PARTS} == set(UNITS)
