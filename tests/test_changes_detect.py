"""Steps found as the nights come in.  How often they are found, and how often wrongly, is for
``benchmarks/reach/change_detection.py``; here are clear cases, what must not matter, and what is refused."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsuite.changes import LEAST_AFTER, LEAST_BEFORE, Step, find_steps, measure_step
from perfsuite.changes.detect import EVIDENCE, EVIDENCE_OF_BETTER, MOST_AFTER, WINDOW
from perfsuite.changes.noise import MODELS
from tests.changes_oracle import log_likelihood

#: A step may be placed so many nights off, and is found so many nights after it at the latest.
NEAR, WITHIN = 2, 5
seeds = st.integers(0, 2**32 - 1)
#: A look takes some milliseconds, and there is one for each night.
few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def line(noise: Sequence[float], at: int | None = None, by: float = 1.1, level: float = 100.0) -> list[float]:
    """A series with this noise, on the logarithm, and a step."""
    return [level * math.exp(one) * (by if at is not None and night >= at else 1.0) for night, one in enumerate(noise)]


def gauss(seed: int, nights: int = 60, spread: float = 0.005) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(0, spread) for _ in range(nights)]


def heavy(seed: int) -> list[float]:
    """Student's t with three degrees of freedom, of a standard deviation of 1 %."""
    draw = random.Random(seed)
    chis = [math.sqrt(sum(draw.gauss(0, 1) ** 2 for _ in range(3)) / 3) for _ in range(60)]
    return [0.01 / math.sqrt(3) * draw.gauss(0, 1) / chi for chi in chis]


def correlated(seed: int) -> list[float]:
    """Each night is like the one before by 0.7; a standard deviation of 1 %."""
    draw = random.Random(seed)
    values = [draw.gauss(0, 0.01)]
    while len(values) < 60:
        values.append(0.7 * values[-1] + draw.gauss(0, 0.01 * math.sqrt(1 - 0.7**2)))
    return values


def places(steps: Sequence[Step]) -> list[tuple[int, int]]:
    return [(step.at, step.found) for step in steps]


# --- clear cases ------------------------------------------------------------------------------------

AT = (16, 24, 33, 41, 50)


@pytest.mark.parametrize("noise", [gauss, heavy, correlated])
def test_a_step_is_found_soon_and_where_it_is(noise: Any) -> None:
    for at, steps in zip(AT, find_steps([line(noise(seed), at) for seed, at in enumerate(AT)]), strict=True):
        (step,) = steps
        assert abs(step.at - at) <= NEAR
        assert at < step.found <= at + WITHIN
        assert step.ratio == pytest.approx(1.1, rel=0.03)
        assert step.interval[0] < step.ratio < step.interval[1]
        assert step.evidence > EVIDENCE


def test_a_clear_step_is_at_its_own_night() -> None:
    """The commit of this night is the one that is blamed, and the one before it is what it is held against."""
    found = find_steps([line(gauss(seed), at) for seed, at in enumerate((*AT, 54))])
    assert [[step.at for step in steps] for steps in found] == [[at] for at in (*AT, 54)]


def test_machines_that_take_turns_at_random_are_no_noise() -> None:
    draw = random.Random(11)
    machines = [[draw.choice(["mill", "barn"]) for _ in range(60)] for _ in AT]
    factors = {"mill": 1.0, "barn": 1.07}
    series = [
        [value * factors[machine] for value, machine in zip(line(gauss(seed), at), row, strict=True)]
        for seed, (at, row) in enumerate(zip(AT, machines, strict=True))
    ]
    for at, steps in zip(AT, find_steps(series, machines), strict=True):
        (step,) = steps
        assert abs(step.at - at) <= NEAR
        assert step.ratio == pytest.approx(1.1, rel=0.01)


def test_another_machine_from_a_night_on_is_no_step_if_it_is_known_to_be_another() -> None:
    values = line(gauss(4, 44), 24, 1.07)
    machines = ["mill"] * 24 + ["barn"] * 20
    (known,) = find_steps([values], [machines])
    (unknown,) = find_steps([values])
    assert known == ()
    assert [abs(step.at - 24) <= NEAR for step in unknown] == [True]


def test_what_was_undone_are_two_steps() -> None:
    values = line(gauss(5), 20)
    values[40:] = [value / 1.1 for value in values[40:]]
    ((up, down),) = find_steps([values])
    assert (abs(up.at - 20) <= NEAR, abs(down.at - 40) <= NEAR) == (True, True)
    assert up.ratio > 1 > down.ratio
    assert up.ratio * down.ratio == pytest.approx(1, abs=0.01)


def test_what_is_long_ago_is_forgotten_but_not_the_step() -> None:
    """Of the first level there is nothing left within the window when the second step comes."""
    nights = WINDOW + 40
    first, second = 20, WINDOW + 30
    values = line(gauss(6, nights), first)
    values[second:] = [value * 1.1 for value in values[second:]]
    (steps,) = find_steps([values])
    assert [abs(step.at - at) <= NEAR for step, at in zip(steps, (first, second), strict=True)] == [True, True]
    assert [step.ratio for step in steps] == pytest.approx([1.1, 1.1], rel=0.01)


# --- no step ----------------------------------------------------------------------------------------


def test_a_line_that_does_what_it_did_has_none() -> None:
    assert find_steps([line(gauss(seed)) for seed in range(20)]) == [()] * 20


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=LEAST_BEFORE + LEAST_AFTER - 1))
def test_a_short_series_has_none_whatever_it_does(values: list[float]) -> None:
    assert find_steps([values]) == [()]


def test_a_step_is_only_found_where_there_are_nights_enough_before_it() -> None:
    early, late = find_steps([line(gauss(1, 18), LEAST_BEFORE - 4, 1.5), line(gauss(1, 18), LEAST_BEFORE, 1.5)])
    assert [step.at for step in early] in ([], [LEAST_BEFORE]), "no earlier one is looked for"
    assert [step.at for step in late] == [LEAST_BEFORE]


@pytest.mark.parametrize("count", [1, 2])
def test_some_slow_nights_are_no_new_level(count: int) -> None:
    """Neither while they are the last ones nor afterwards."""
    series = []
    for at in (16, 20, 25, 30, 34, 38):
        values = line(gauss(at, 40))
        values[at : at + count] = [value * 1.5 for value in values[at : at + count]]
        series.append(values)
    assert find_steps(series) == [()] * len(series)


def test_a_step_below_the_threshold_is_none_however_sure() -> None:
    values = line(gauss(2, 40, 0.0005), 25, 1.02)
    assert find_steps([values]) == [()]
    ((step,),) = find_steps([values], threshold=0.01)
    assert abs(step.at - 25) <= NEAR


def test_nights_that_know_nothing_are_no_evidence() -> None:
    values = line(gauss(3, 40), 25)
    errors = [0.0] * 25 + [1.0] * 15
    assert find_steps([values], errors=[errors]) == [()]
    assert len(find_steps([values], errors=[[0.0] * 40])[0]) == 1


# --- what must not matter ---------------------------------------------------------------------------


@few
@given(seed=seeds, factor=st.floats(1e-9, 1e9))
def test_the_unit_does_not_matter(seed: int, factor: float) -> None:
    values = line(gauss(seed, 34, 0.01), 25)
    (steps, scaled) = find_steps([values, [value * factor for value in values]])
    assert places(steps) == places(scaled)
    assert len(steps) >= 1
    for one, other in zip(steps, scaled, strict=True):
        assert other.ratio == pytest.approx(one.ratio, rel=1e-6)
        assert other.interval == pytest.approx(one.interval, rel=1e-6)
        assert other.evidence == pytest.approx(one.evidence, abs=1e-5)


@few
@given(
    seed=seeds,
    names=st.lists(st.text(max_size=5), min_size=3, max_size=3, unique=True),
    factors=st.tuples(*[st.floats(0.01, 100)] * 3),
)
def test_what_machines_are_called_and_how_fast_they_are_does_not_matter(
    seed: int, names: list[str], factors: tuple[float, float, float]
) -> None:
    draw = random.Random(seed)
    values = line(gauss(seed, 40, 0.01), 30)
    # In an order that begins with another one each time, and of each some nights before and after the step.
    turns = [(night + draw.randrange(3)) % 3 for night in range(40)]
    others = [value * factors[turn] for value, turn in zip(values, turns, strict=True)]
    labels = [["a", "b", "c"][turn] for turn in turns], [names[turn] for turn in turns]
    steps, renamed = find_steps([values, others], labels)
    assert places(steps) == places(renamed)
    assert len(steps) >= 1
    for one, other in zip(steps, renamed, strict=True):
        assert other.ratio == pytest.approx(one.ratio, rel=1e-6)
        assert other.evidence == pytest.approx(one.evidence, abs=1e-5)


@few
@given(seed=seeds)
def test_faster_is_slower_upside_down(seed: int) -> None:
    """An improvement is found like a regression, and never taken for one."""
    values = line(gauss(seed, 34, 0.01), 25)
    slower, faster = find_steps([values, [1 / value for value in values]])
    assert places(slower) == places(faster)
    assert len(slower) >= 1
    for up, down in zip(slower, faster, strict=True):
        assert (up.ratio > 1) == (down.ratio < 1)
        assert down.ratio == pytest.approx(1 / up.ratio, rel=1e-6)
        assert down.interval == pytest.approx((1 / up.interval[1], 1 / up.interval[0]), rel=1e-6)


@few
@given(seed=seeds)
def test_a_night_that_is_still_to_come_changes_nothing_that_was_found(seed: int) -> None:
    values = line(gauss(seed, 40, 0.01), 25)
    *parts, whole = find_steps([values[:count] for count in (26, 29, 32, 36, 40)])
    for count, part in zip((26, 29, 32, 36), parts, strict=True):
        assert [step.found for step in part] == [step.found for step in whole if step.found < count]
    assert len(whole) >= 1


def test_a_series_does_not_care_which_others_are_looked_at_with_it() -> None:
    series = [line(gauss(1, 34, 0.02), 25), line(gauss(2, 34, 0.02)), line(gauss(3, 26, 0.02), 20), line(gauss(4, 34))]
    labels = [["a"] * 34, ["a", "b"] * 17, ["a"] * 26, ["a", "b"] * 17]
    together = find_steps(series, labels)
    assert sum(map(len, together)) >= 1
    for one, names, steps in zip(series, labels, together, strict=True):
        (alone,) = find_steps([one], [names])
        assert places(alone) == places(steps)
        assert [step.ratio for step in alone] == pytest.approx([step.ratio for step in steps], rel=1e-9)


# --- by hand ----------------------------------------------------------------------------------------


def evidence(values: Sequence[float]) -> float:
    """The logarithm of the likelihood ratio after the last night, each likelihood searched for by itself."""
    logs, count = np.log(values), len(values)
    level = np.ones((count, 1))
    null = max(log_likelihood(logs, level, noise, [np.median(logs)]) - noise.handicap for noise in MODELS)
    best = -math.inf
    for after in range(LEAST_AFTER, MOST_AFTER + 1):
        at = count - after
        if at >= LEAST_BEFORE:
            columns = np.column_stack([level, np.arange(count) >= at]).astype(float)
            before = np.median(logs[:at])
            start = [before, np.median(logs[at:]) - before]
            best = max(best, *(log_likelihood(logs, columns, noise, start) - noise.handicap for noise in MODELS))
    return best - null


@pytest.mark.parametrize("seed", [1, 2])
def test_the_evidence_is_the_ratio_of_the_highest_likelihoods(seed: int) -> None:
    values = line(gauss(seed, 34, 0.02), 24, 1.15)
    ((step, *_),) = find_steps([values])
    assert step.evidence == pytest.approx(evidence(values[: step.found + 1]), abs=0.3)
    # And the night before it was not enough.
    assert evidence(values[: step.found]) < EVIDENCE + 0.3


# --- a step whose place is known --------------------------------------------------------------------


def test_a_step_at_a_known_place_is_measured_as_if_it_had_been_found() -> None:
    values = line(gauss(8, 50), 30)
    ((step,),) = find_steps([values])
    measured = measure_step(values, step.at)
    assert replace(step, found=0, evidence=0.0) == replace(measured, found=0, evidence=0.0)
    assert measure_step(values, 30).ratio == pytest.approx(1.1, rel=0.01)


def test_nothing_is_measured_as_nothing() -> None:
    steps = [measure_step(line(gauss(seed, 40, 0.01)), 25) for seed in range(60)]
    # Of 60 intervals 57 are to be expected where the noise is known; here it is not, and they are wider for that.
    assert sum(step.interval[0] <= 1 <= step.interval[1] for step in steps) >= 55
    width = median(math.log(step.interval[1] / step.interval[0]) for step in steps)
    known = 2 * 2.024394 * 0.01 * math.sqrt(1 / 25 + 1 / 15)
    assert known < width < 2 * known


def test_more_confidence_is_a_wider_interval() -> None:
    values = line(gauss(9, 40), 25)
    widths = []
    for confidence in (0.95, 0.99):
        low, high = measure_step(values, 25, confidence=confidence).interval
        widths.append(math.log(high / low))
    # Student's of 40 nights less a level and a step: t of 99.5 % and of 97.5 % at 38.
    assert widths[1] / widths[0] == pytest.approx(2.711558 / 2.024394, rel=1e-5)


def test_machines_and_errors_count_there_too() -> None:
    machines = ["mill", "barn"] * 20
    values = [value * (1.5 if at % 2 else 1.0) for at, value in enumerate(line(gauss(7, 40), 25))]
    assert measure_step(values, 25, machines).ratio == pytest.approx(1.1, rel=0.01)
    values[30] *= 3.0
    errors = [1000.0 if at == 30 else 0.0 for at in range(40)]
    assert measure_step(values, 25, machines, errors).ratio == pytest.approx(1.1, rel=0.01)


@pytest.mark.parametrize("at", [-1, 0, 40, 41])
def test_a_step_has_nights_on_both_sides(at: int) -> None:
    with pytest.raises(ValueError, match=f"a step at {at} of 40 values"):
        measure_step(line(gauss(1, 40)), at)


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, None])
def test_a_value_that_is_no_positive_number_is_refused(bad: Any) -> None:
    good = line(gauss(1, 20))
    with pytest.raises(ValueError, match="not positive"):
        find_steps([good, [*good[:7], bad, *good[8:]]])
    with pytest.raises(ValueError, match="not positive"):
        measure_step([*good[:7], bad, *good[8:]], 10)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, None])
def test_an_error_that_is_no_number_from_nothing_on_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="error"):
        find_steps([line(gauss(1, 20))], errors=[[0.01] * 19 + [bad]])


def test_as_many_labels_and_errors_as_values() -> None:
    with pytest.raises(ValueError, match="3 values, 2 labels, 3 errors"):
        find_steps([[1.0, 2.0, 3.0]], [["a", "b"]])
    with pytest.raises(ValueError, match="3 values, 3 labels, 4 errors"):
        find_steps([[1.0, 2.0, 3.0]], errors=[[0.0] * 4])
    with pytest.raises(ValueError, match="2 values, 1 labels, 2 errors"):
        measure_step([1.0, 2.0], 1, ["a"])


def test_nothing_has_no_steps() -> None:
    assert find_steps([]) == []
    assert find_steps([[]]) == [()]


def test_a_step_to_less_needs_more_evidence():
    """The mirror image of a series has the same evidence, night by night."""
    later = same = 0
    for seed in range(40):
        draw = random.Random(seed)
        logs = [draw.gauss(0, 0.02) + (0.08 if night >= 30 else 0.0) for night in range(40)]
        (up,), (down,) = (find_steps([[math.exp(sign * log) for log in logs]]) for sign in (1, -1))
        if not up:
            continue
        if up[0].evidence <= EVIDENCE_OF_BETTER:
            assert not down or down[0].found > up[0].found
            later += 1
        else:
            assert down
            assert down[0].found == up[0].found
            same += 1
    assert later >= 3
    assert same >= 3
