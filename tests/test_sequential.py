"""The looks of a plan err together as often as the plan says, by simulation with other random numbers."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from perfsuite import sequential
from perfsuite.sequential import critical_value, estimate, multiplier

values = st.floats(-1e6, 1e6)


def studentised(samples: np.ndarray, first: int, groups: int) -> np.ndarray:
    """|t| of the mean of the groups' means at each look from ``first`` on, a row for each plan."""
    looks = []
    for n in range(first, samples.shape[1] + 1):
        parts = [samples[:, group:n:groups] for group in range(groups)]
        squares = sum(((part - part.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for part in parts)
        error = np.sqrt(squares / (n - groups) * sum(1 / part.shape[1] for part in parts)) / groups
        looks.append(np.abs(sum(part.mean(axis=1) for part in parts)) / groups / error)
    return np.stack(looks, axis=1)


def errs(samples: np.ndarray, alpha: float, first: int, groups: int) -> float:
    """How many plans of those in the rows err at any look."""
    last = samples.shape[1]
    widths = [multiplier(n, alpha, first, last, groups) for n in range(first, last + 1)]
    return float((studentised(samples, first, groups) > widths).any(axis=1).mean())


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("alpha", "first", "last"), [(0.05, 4, 20), (0.05, 3, 4), (0.05, 5, 40), (0.2, 4, 12), (0.0025, 4, 20)]
)
def test_all_looks_together_err_as_often_as_the_plan_says(alpha: float, first: int, last: int, groups: int) -> None:
    paths = 50_000
    samples = np.random.default_rng(1).standard_normal((paths, last))
    if groups == 2:
        # Whatever the groups differ by.
        samples += np.where(np.arange(last) % 2, 3.0, -3.0)
    deviation = 4 * (alpha / paths) ** 0.5
    assert 0.9 * alpha - deviation < errs(samples, alpha, first, groups) < alpha + deviation


def test_looking_with_students_interval_errs_far_more_often() -> None:
    # What all this is for; and that the simulation above can tell a plan that errs from one that does not.
    samples = np.random.default_rng(2).standard_normal((20_000, 20))
    widths = student.ppf(0.975, np.arange(3, 20))
    assert (studentised(samples, 4, 1) > widths).any(axis=1).mean() > 0.15


@pytest.mark.parametrize(("n", "groups"), [(2, 1), (5, 1), (20, 1), (3, 2), (9, 2)])
def test_a_single_look_is_students_interval(n: int, groups: int) -> None:
    assert multiplier(n, 0.05, n, n, groups) == pytest.approx(student.ppf(0.975, n - groups), rel=1e-9)


def test_before_the_first_look_it_is_students_interval() -> None:
    assert multiplier(3, 0.05, 4, 20) == pytest.approx(student.ppf(0.975, 2), rel=1e-9)
    assert multiplier(3, 0.05, 4, 20, 2) == pytest.approx(student.ppf(0.975, 1), rel=1e-9)


@pytest.mark.parametrize("groups", [1, 2])
def test_early_looks_are_stricter_and_no_look_is_laxer_than_a_single_one(groups: int) -> None:
    widths = [multiplier(n, 0.05, 4, 20, groups) for n in range(4, 21)]
    assert widths == sorted(widths, reverse=True)
    assert all(width > student.ppf(0.975, n - groups) for n, width in enumerate(widths, 4))
    # The level of each look on its own rises, too: it is not only that t has more degrees of freedom.
    levels = [student.sf(width, n - groups) for n, width in enumerate(widths, 4)]
    assert levels == sorted(levels)


def test_less_error_and_more_looks_are_wider() -> None:
    found = [critical_value(alpha, 4, 20) for alpha in (0.1, 0.05, 0.01, 0.001, 0.0002, 1e-5, 1e-9)]
    assert found == sorted(found)
    assert multiplier(10, 0.05, 4, 10) < multiplier(10, 0.05, 4, 20) < multiplier(10, 0.05, 4, 40)


@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_where_too_few_simulated_plans_err_the_bound_errs_on_the_strict_side(
    alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = critical_value(alpha, 4, 20)
    monkeypatch.setattr(sequential, "_FEWEST", 10**9)
    critical_value.cache_clear()
    bound = critical_value(alpha, 4, 20)
    critical_value.cache_clear()
    assert simulated < bound < 1.35 * simulated


def test_it_is_the_same_each_time() -> None:
    before = critical_value(0.03, 4, 9)
    critical_value.cache_clear()
    assert critical_value(0.03, 4, 9) == before


@pytest.mark.parametrize(
    ("alpha", "first", "last", "groups"),
    [(0, 4, 20, 1), (1, 4, 20, 1), (math.nan, 4, 20, 1), (0.05, 1, 20, 1), (0.05, 5, 4, 1), (0.05, 2, 9, 2),
     (0.05, 4, 9, 3), (0.05, 4, 9, 0)],
)  # fmt: skip
def test_what_is_no_plan_is_refused(alpha: float, first: int, last: int, groups: int) -> None:
    with pytest.raises(ValueError, match="no plan"):
        critical_value(alpha, first, last, groups)
    with pytest.raises(ValueError, match="no plan"):
        multiplier(4, alpha, first, last, groups)


@pytest.mark.parametrize(("count", "groups"), [(0, 1), (1, 1), (21, 1), (2, 2)])
def test_no_interval_outside_of_the_plan(count: int, groups: int) -> None:
    with pytest.raises(ValueError, match="in a plan for 20"):
        multiplier(count, 0.05, 4, 20, groups)


# --- the estimate ---------------------------------------------------------------------------------------


@given(st.lists(values, min_size=2, max_size=12))
def test_of_one_group_it_is_mean_and_standard_deviation(sample: list[float]) -> None:
    middle, spread, unit = estimate([sample])
    assert middle == pytest.approx(statistics.fmean(sample), rel=1e-12, abs=1e-9)
    assert spread == pytest.approx(statistics.stdev(sample), rel=1e-6, abs=1e-6)
    assert unit == pytest.approx(len(sample) ** -0.5)


@given(st.lists(values, min_size=2, max_size=9), st.lists(values, min_size=2, max_size=9))
def test_of_two_groups_it_is_a_regression_on_the_group(one: list[float], other: list[float]) -> None:
    # With the group as −1 or 1 the constant is the mean of the two means; by the normal equations.
    design = np.array([[1.0, side] for side, part in ((-1.0, one), (1.0, other)) for _ in part])
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ np.array(one + other)
    residuals = np.array(one + other) - design @ beta
    middle, spread, unit = estimate([one, other])
    assert middle == pytest.approx(beta[0], rel=1e-9, abs=1e-6)
    assert unit**2 == pytest.approx(inverse[0, 0])
    assert spread**2 * (len(design) - 2) == pytest.approx(residuals @ residuals, rel=1e-6, abs=1e-6)


@given(st.lists(values, min_size=1, max_size=9), st.lists(values, min_size=2, max_size=9), st.randoms())
def test_order_makes_no_difference(one: list[float], other: list[float], chance: object) -> None:
    before = estimate([one, other])
    chance.shuffle(one)  # type: ignore[attr-defined]
    chance.shuffle(other)  # type: ignore[attr-defined]
    assert estimate([one, other]) == before
    assert estimate([other, one]) == before


@pytest.mark.parametrize("groups", [[], [[1.0]], [[1.0], [2.0]], [[1.0, 2.0], []]])
def test_of_too_few_values_there_is_no_spread(groups: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="so few"):
        estimate(groups)
