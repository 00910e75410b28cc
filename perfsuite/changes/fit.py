"""Levels fitted to innovations that may fall far out: least squares that trusts such nights less."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: What a series that has said nothing yet is expected to do: nights that differ by 2 %, believed like one night.
PRIOR_SPREAD, PRIOR_NIGHTS = 0.02, 1.0
_ITERATIONS = 6
#: Of normal noise, the standard deviation is so many median absolute deviations.
_MAD = 1.4826


def fit(innovations: Array, columns: Array, freedom: float, errors: Array | None = None) -> tuple[Array, Array, Array]:
    """Most likely coefficients of the columns where what is left has Student's t, of many series at once.

    Iteratively reweighted least squares (K. L. Lange, R. J. A. Little and J. M. G. Taylor, J. Amer. Statist. Assoc. 84,
    1989): a night weighs (ν + 1)/(ν + r²/s²), and s² is Σ weight·r² ÷ nights.  The scale s has a weak prior, an inverse
    gamma worth :data:`PRIOR_NIGHTS` nights, so that a few nights that happen to be equal do not make it nothing.

    Args:
        innovations: series × nights.
        columns: series × nights × coefficients, whitened like the innovations.
        freedom: ν.
        errors: standard errors that the nights' values have by themselves, series × nights, in the unit of the values;
            a night's scale is then √(s² + error²).  Of nights that are alike this is roughly so.

    Returns:
        The log-likelihood of each series with the prior of its scale; the coefficients, series × coefficients; and
        their standard errors.
    """
    import numpy as np

    nights, wanted = columns.shape[1:]
    ridge = 1e-12 * np.eye(wanted)
    # Where to begin: a night with a large error of its own must not lead astray, six iterations may not find back.
    trust = _trust(np.full(len(innovations), PRIOR_SPREAD**2), errors, innovations)
    coefficients = _solve(columns, trust, innovations, ridge)
    rest = innovations - np.einsum("snp,sp->sn", columns, coefficients)
    squared = (_MAD * np.median(abs(rest), axis=1)) ** 2 + 1e-10
    trust = _trust(squared, errors, rest)
    for _ in range(_ITERATIONS):
        believed = (freedom + 1) / (freedom + trust * rest**2 / squared[:, None])
        coefficients = _solve(columns, trust * believed, innovations, ridge)
        rest = innovations - np.einsum("snp,sp->sn", columns, coefficients)
        spent = (trust**2 * believed * rest**2).sum(axis=1) + PRIOR_SPREAD**2 * PRIOR_NIGHTS
        squared = spent / (trust.sum(axis=1) + PRIOR_NIGHTS)
        trust = _trust(squared, errors, rest)
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    inner = np.log1p(trust * rest**2 / squared[:, None] / freedom)
    likelihood = nights * constant - nights * np.log(squared) / 2 - (freedom + 1) / 2 * inner.sum(axis=1)
    likelihood += np.log(trust).sum(axis=1) / 2
    likelihood -= PRIOR_NIGHTS / 2 * (np.log(squared) + PRIOR_SPREAD**2 / squared)
    # t's information about a location is (ν + 1)/(ν + 3) of what a normal distribution of scale s would have.
    information = (freedom + 1) / (freedom + 3)
    plain = np.linalg.inv(np.einsum("snp,sn,snq->spq", columns, trust, columns) + ridge)
    deviations = np.sqrt(np.diagonal(plain, axis1=1, axis2=2) * squared[:, None] / information)
    return likelihood, coefficients, deviations


def _solve(columns: Array, weights: Array, values: Array, ridge: Array) -> Array:
    """Weighted least squares of each series."""
    import numpy as np

    weighted = columns * weights[..., None]
    gram = np.einsum("snp,snq->spq", weighted, columns) + ridge
    found: Array = np.linalg.solve(gram, np.einsum("snp,sn->sp", weighted, values)[..., None])[..., 0]
    return found


def _trust(squared: Array, errors: Array | None, like: Array) -> Array:
    """s²/(s² + error²): what a night weighs besides one that has no error of its own."""
    import numpy as np

    if errors is None:
        return np.ones_like(like)
    found: Array = squared[:, None] / (squared[:, None] + errors**2)
    return found
