"""Which observations are set aside, against linear algebra, against simulated noise, and at the edges."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from perfsuite.strays import ALPHA, EVERY, critical, strays

NORMAL = [0.31, -1.2, 0.55, 0.07, -0.4, 1.1, -0.9, 0.2, -0.15, 0.8, -0.6, 0.45, -0.05, 1.3, -1.0, 0.6]


def studentized(groups: list[list[float]]) -> dict[tuple[int, int], float]:
    """The externally studentized residual of each observation, by least squares on indicator columns."""
    places = [(number, place) for number, group in enumerate(groups) for place in range(len(group))]
    values = np.array([groups[number][place] for number, place in places])
    design = np.array([[float(number == column) for column in range(len(groups))] for number, _ in places])
    hat = design @ np.linalg.pinv(design)
    residuals = values - hat @ values
    freedom = len(values) - np.linalg.matrix_rank(design)
    found = {}
    for row, place in enumerate(places):
        room = 1 - hat[row, row]
        if room < 0.51:  # of one, and of two, neither is farther
            continue
        rest = (residuals @ residuals - residuals[row] ** 2 / room) / (freedom - 1)
        found[place] = abs(residuals[row]) / np.sqrt(max(rest, 1e-30) * room)
    return found


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=15), st.integers(1, 2), st.floats(0, 60), st.integers(0, 14))
@settings(max_examples=200, deadline=None)
def test_one_stray_is_what_linear_regression_calls_an_outlier(values, number, far, where):
    values = [value + index * 1e-3 for index, value in enumerate(values)]  # no ties, and a spread
    values[where % len(values)] += far
    groups = [values[start::number] for start in range(number)]
    expected = studentized(groups)
    ordered = sorted(expected.items(), key=lambda item: -item[1])
    limit = stats.t.ppf(1 - ALPHA / (2 * len(values)), len(values) - number - 1)
    assume(abs(ordered[0][1] - limit) > 1e-6 * limit)
    assume(ordered[0][1] > ordered[1][1] * (1 + 1e-6))
    assert strays(groups) == ([ordered[0][0]] if ordered[0][1] > limit else [])


def test_two_that_hide_each_other_are_both_seen():
    """Each makes the standard deviation so large that the other alone is none of those that are too far out."""
    values = [*NORMAL[:14], 30.0, 31.0]
    assert len(strays([[*values[:14], 30.0]])) == 1
    assert sorted(strays([values])) == [(0, 14), (0, 15)]
    assert max(studentized([values]).values()) < critical(16, 14)


def test_three_of_sixteen_are_no_strays():
    """What happens so often is how it is."""
    assert strays([[*NORMAL[:13], 30.0, 31.0, 29.0]]) == []


@pytest.mark.parametrize("count", [2, 5, 7])
def test_of_few_none_is_set_aside(count):
    assert strays([[*NORMAL[: count - 1], 1000.0]]) == []
    assert count < EVERY


def test_of_eight_one_is():
    assert strays([[*NORMAL[:7], 1000.0]]) == [(0, 7)]
    assert strays([NORMAL[:4], [*NORMAL[4:7], -1000.0]]) == [(1, 3)]


def test_groups_have_means_of_their_own():
    groups = [[value + 100 for value in NORMAL[:8]], NORMAL[8:]]
    assert strays(groups) == []
    groups[0][3] -= 100
    assert strays(groups) == [(0, 3)]
    assert strays([[*groups[0], *groups[1]]]) == []  # the same numbers without groups


def test_of_two_that_are_equally_far_out_neither_is_the_farthest():
    assert strays([[*NORMAL[:14], 40.0, -39.0]]) == [(0, 14), (0, 15)]
    assert strays([[0.0] * 14 + [40.0, -40.0]]) == []
    assert strays([NORMAL[:8], [30.0, -30.0]]) == []


def test_one_alone_in_its_group_is_its_own_mean():
    assert strays([NORMAL[:9], [1000.0]]) == []


def test_equal_observations_and_what_the_clock_shows():
    assert strays([[1.0] * 12]) == []
    assert strays([[1.0] * 11 + [1.0 + 1e-6]]) == [(0, 11)]
    assert strays([[1.0] * 11 + [1.0 + 1e-6]], least=1e-4) == []
    assert strays([[1.0] * 11 + [1.1]], least=1e-4) == [(0, 11)]


@given(st.lists(st.integers(-50, 50), min_size=8, max_size=20), st.integers(-1000, 1000), st.sampled_from([0.5, 2, 16]))
def test_neither_place_nor_unit_matter(values, shift, scale):
    assert strays([[scale * value + shift for value in values]]) == strays([list(map(float, values))])


@pytest.mark.parametrize(("number", "count"), [(1, 8), (2, 8), (2, 12), (2, 20)])
def test_normal_observations_are_hardly_ever_set_aside(number, count):
    """At most :data:`ALPHA` for each number of strays that is tried; twice that leaves room for the simulation."""
    chance = random.Random(count + number)
    rounds, found = 4000, 0
    for _ in range(rounds):
        values = [chance.gauss(0, 1) for _ in range(count)]
        found += bool(strays([values[start::number] for start in range(number)]))
    assert found <= stats.binom.ppf(0.9999, rounds, ALPHA * (count // EVERY))


def test_the_critical_value_is_the_quantile_of_t():
    for count, freedom in itertools.product((8, 15, 20), (5, 12, 17)):
        assert critical(count, freedom) == pytest.approx(stats.t.ppf(1 - ALPHA / (2 * count), freedom), rel=1e-6)
