"""Levels fitted to innovations: against generalized least squares and against a search, and what must not matter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from perfsuite.changes.fit import PRIOR_NIGHTS, PRIOR_SPREAD, fit
from perfsuite.changes.noise import HEAVY, MODELS, NORMAL, Noise, whitening
from tests.changes_oracle import covariance, most_likely, named, prior

Array = Any
#: Degrees of freedom with which t is the normal distribution.
LARGE = 1e6
seeds = st.integers(0, 2**32 - 1)
freedoms = st.sampled_from([HEAVY, NORMAL])
some = settings(max_examples=30, deadline=None)


def two_machines(nights: int, at: int) -> Array:
    """Levels of two machines that take turns, and a step: nights × 3."""
    night = np.arange(nights)
    return np.column_stack([night % 2 == 0, night % 2 == 1, night >= at]).astype(float)


# --- against other means ----------------------------------------------------------------------------


@pytest.mark.parametrize("noise", MODELS, ids=named)
@pytest.mark.parametrize("seed", range(3))
def test_of_normal_noise_it_is_generalized_least_squares(noise: Noise, seed: int) -> None:
    nights, columns = 30, two_machines(30, 21)
    values = columns @ [4.6, 4.67, 0.1] + 0.02 * np.random.default_rng(seed).standard_normal(nights)
    dense = covariance(noise, nights)
    # By the symmetric root of the covariance, which is another one than the triangular.
    sizes, vectors = np.linalg.eigh(dense)
    root = vectors @ np.diag(sizes**-0.5) @ vectors.T
    wanted, *_ = np.linalg.lstsq(root @ columns, root @ values, rcond=None)
    rest = values - columns @ wanted
    squared = (rest @ np.linalg.solve(dense, rest) + PRIOR_NIGHTS * PRIOR_SPREAD**2) / (nights + PRIOR_NIGHTS)
    density = multivariate_normal(columns @ wanted, squared * dense).logpdf(values)
    spread = np.sqrt(squared * np.diag(np.linalg.inv(columns.T @ np.linalg.solve(dense, columns))))

    white, volume = whitening(noise, nights)
    likelihood, coefficients, deviations = fit((white @ values)[None], (white @ columns)[None], LARGE)
    assert coefficients[0] == pytest.approx(wanted, abs=1e-6)
    assert likelihood[0] - volume[-1] == pytest.approx(density - prior(squared), abs=1e-3)
    assert deviations[0] == pytest.approx(spread, rel=1e-3)


@pytest.mark.parametrize("freedom", [HEAVY, NORMAL])
@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_the_most_likely_one(freedom: float, seed: int) -> None:
    nights, columns = 40, two_machines(40, 31)
    noise = 0.02 * np.random.default_rng(seed).standard_t(freedom, nights)
    innovations = columns @ [4.6, 4.67, 0.1] + noise
    likelihood, coefficients, _ = fit(innovations[None], columns[None], freedom)
    highest, wanted = most_likely(innovations, columns, freedom, coefficients[0])
    assert likelihood[0] <= highest + 1e-4
    assert likelihood[0] == pytest.approx(highest, abs=0.05)
    assert coefficients[0] == pytest.approx(wanted, abs=0.003)


@pytest.mark.parametrize("freedom", [HEAVY, NORMAL])
def test_the_errors_are_those_of_the_coefficients(freedom: float) -> None:
    """Of two levels of thirty nights each an interval of 95 % is a little narrow, as the scale's error is not in it."""
    series, nights = 4000, 60
    columns = np.broadcast_to(np.column_stack([np.ones(nights), np.arange(nights) >= 30]), (series, nights, 2))
    noise = 0.02 * np.random.default_rng(7).standard_t(freedom, (series, nights))
    _, coefficients, deviations = fit(columns @ [4.6, 0.1] + noise, columns, freedom)
    covered = abs(coefficients - [4.6, 0.1]) < 1.96 * deviations
    assert (covered.mean(axis=0) > 0.92).all()
    assert (covered.mean(axis=0) < 0.965).all()


# --- nights that are believed less ------------------------------------------------------------------


@pytest.mark.parametrize("freedom", [HEAVY, NORMAL])
def test_a_night_that_knows_nothing_counts_for_nothing(freedom: float) -> None:
    nights, columns = 40, two_machines(40, 31)
    innovations = columns @ [4.6, 4.67, 0.1] + 0.02 * np.random.default_rng(3).standard_normal(nights)
    innovations[7] += 5.0
    errors = np.zeros(nights)
    errors[7] = 100.0
    others = np.arange(nights) != 7
    _, wanted, _ = fit(innovations[None, others], columns[None, others], freedom)
    _, coefficients, _ = fit(innovations[None], columns[None], freedom, errors[None])
    assert coefficients[0] == pytest.approx(wanted[0], abs=2e-4)
    # Which it would do else, of normal noise.
    _, spoilt, _ = fit(innovations[None], columns[None], LARGE)
    assert abs(spoilt[0, 1] - wanted[0, 1]) > 0.1


def test_nights_without_errors_of_their_own_are_those_with_errors_of_nothing() -> None:
    columns = two_machines(30, 20)[None]
    innovations = (columns[0] @ [4.6, 4.67, 0.1] + 0.02 * np.random.default_rng(3).standard_normal(30))[None]
    for found, wanted in zip(
        fit(innovations, columns, HEAVY, np.zeros((1, 30))), fit(innovations, columns, HEAVY), strict=True
    ):
        assert found == pytest.approx(wanted, rel=1e-12)


def test_nights_that_are_equal_do_not_make_the_scale_nothing() -> None:
    nights = 20
    likelihood, coefficients, deviations = fit(np.full((1, nights), 4.6), np.ones((1, nights, 1)), LARGE)
    squared = PRIOR_NIGHTS * PRIOR_SPREAD**2 / (nights + PRIOR_NIGHTS)
    assert coefficients[0, 0] == pytest.approx(4.6)
    assert deviations[0, 0] == pytest.approx(math.sqrt(squared / nights), rel=1e-4)
    assert np.isfinite(likelihood).all()


# --- what must not matter ---------------------------------------------------------------------------


def drawn(seed: int, freedom: float) -> tuple[Array, Array, Array]:
    """Innovations, columns and errors of three series."""
    random = np.random.default_rng(seed)
    columns = random.standard_normal((3, 24, 3))
    innovations = np.einsum("snp,p->sn", columns, [1.0, -0.5, 0.1]) + 0.02 * random.standard_t(freedom, (3, 24))
    return innovations, columns, 0.01 * random.random((3, 24))


@some
@given(seed=seeds, freedom=freedoms, shift=st.tuples(*[st.floats(-10, 10)] * 3))
def test_what_the_columns_say_moves_the_coefficients_and_nothing_else(
    seed: int, freedom: float, shift: tuple[float, float, float]
) -> None:
    innovations, columns, errors = drawn(seed, freedom)
    before = fit(innovations, columns, freedom, errors)
    after = fit(innovations + columns @ shift, columns, freedom, errors)
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert after[1] == pytest.approx(before[1] + shift, abs=1e-8)
    assert after[2] == pytest.approx(before[2], rel=1e-6)


@some
@given(seed=seeds, freedom=freedoms)
def test_up_is_as_good_as_down(seed: int, freedom: float) -> None:
    innovations, columns, errors = drawn(seed, freedom)
    up, down = fit(innovations, columns, freedom, errors), fit(-innovations, columns, freedom, errors)
    assert down[0] == pytest.approx(up[0], abs=1e-8)
    assert down[1] == pytest.approx(-up[1], abs=1e-10)


@some
@given(seed=seeds, freedom=freedoms, order=st.permutations(range(24)), places=st.permutations(range(3)))
def test_the_order_of_nights_and_columns_does_not_matter(
    seed: int, freedom: float, order: list[int], places: list[int]
) -> None:
    innovations, columns, errors = drawn(seed, freedom)
    before = fit(innovations, columns, freedom, errors)
    after = fit(innovations[:, order], columns[:, order][:, :, places], freedom, errors[:, order])
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert after[1] == pytest.approx(before[1][:, places], abs=1e-8)
    assert after[2] == pytest.approx(before[2][:, places], rel=1e-6)


@some
@given(seed=seeds, freedom=freedoms)
def test_a_series_does_not_care_which_others_are_fitted_with_it(seed: int, freedom: float) -> None:
    innovations, columns, errors = drawn(seed, freedom)
    together = fit(innovations, columns, freedom, errors)
    for one in range(3):
        alone = fit(innovations[[one]], columns[[one]], freedom, errors[[one]])
        for found, wanted in zip(alone, together, strict=True):
            assert found[0] == pytest.approx(wanted[one], rel=1e-9, abs=1e-9)


@some
@given(seed=seeds)
def test_one_column_more_is_never_less_likely(seed: int) -> None:
    """The evidence of a step begins at nothing."""
    innovations, columns, _ = drawn(seed, NORMAL)
    fewer, more = fit(innovations, columns[:, :, :2], LARGE)[0], fit(innovations, columns, LARGE)[0]
    assert (more >= fewer - 1e-6).all()
