"""Noise without any change: the covariances, night by night, and what is computed from them."""

from __future__ import annotations

import numpy as np
import pytest

from perfsuite.changes.detect import WINDOW
from perfsuite.changes.noise import HEAVY, MODELS, Noise, whitening
from tests.changes_oracle import covariance, named


@pytest.mark.parametrize("noise", MODELS, ids=named)
@pytest.mark.parametrize("count", [1, 2, 18, WINDOW])
def test_innovations_have_nothing_to_do_with_each_other(noise: Noise, count: int) -> None:
    white, _ = whitening(noise, count)
    assert white @ covariance(noise, count) @ white.T == pytest.approx(np.eye(count), abs=1e-9)


@pytest.mark.parametrize("noise", MODELS, ids=named)
def test_the_volume_is_half_of_the_logarithm_of_the_determinant(noise: Noise) -> None:
    _, volume = whitening(noise, WINDOW)
    assert volume.shape == (WINDOW,)
    for count in (1, 2, 18, 40, WINDOW):
        sign, determinant = np.linalg.slogdet(covariance(noise, count))
        assert sign == 1
        assert volume[count - 1] == pytest.approx(determinant / 2, abs=1e-8)


@pytest.mark.parametrize("noise", MODELS, ids=named)
@pytest.mark.parametrize("count", [1, 2, 18, WINDOW - 1])
def test_what_fewer_nights_have_are_the_leading_rows(noise: Noise, count: int) -> None:
    """So a series that grows needs one matrix, and not one for each night."""
    long, short = whitening(noise, WINDOW), whitening(noise, count)
    assert long[0][:count, :count] == pytest.approx(short[0], abs=1e-9)
    assert long[1][:count] == pytest.approx(short[1], abs=1e-9)


@pytest.mark.parametrize("noise", MODELS, ids=named)
def test_no_night_is_foretold_by_those_after_it(noise: Noise) -> None:
    white, _ = whitening(noise, WINDOW)
    assert np.triu(white, 1) == pytest.approx(np.zeros((WINDOW, WINDOW)), abs=1e-12)
    assert (np.diag(white) > 0).all()


@pytest.mark.parametrize("noise", MODELS, ids=named)
def test_most_of_a_year_can_be_whitened(noise: Noise) -> None:
    """The smooth ones are the nearest to singular."""
    count = 250
    white, volume = whitening(noise, count)
    values = np.random.default_rng(1).standard_normal(count)
    # xᵀΣ⁻¹x, without a root.
    by_solving = float(values @ np.linalg.solve(covariance(noise, count), values))
    assert float((white @ values) @ (white @ values)) == pytest.approx(by_solving, rel=1e-8)
    assert np.isfinite(volume).all()


def test_heavy_tails_and_correlation_are_never_together() -> None:
    """They would explain any step as an accident that lasts."""
    assert len(set(MODELS)) == len(MODELS)
    heavy = [noise for noise in MODELS if noise.freedom <= HEAVY]
    assert heavy
    assert {noise.kind for noise in heavy} == {"independent"}
