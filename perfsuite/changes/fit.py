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


def fit(
    innovations: Array, columns: Array, freedom: float, errors: Array | None = None
) -> tuple[Array, Array, Array]:
    """Most likely coefficients of the columns where what is left has Student's t, of many series at once.

    Iteratively reweighted least squares (K. L. Lange, R. J. A. Little and J. M. G. Taylor, J. Amer. Statist. Assoc. 84,
    1989): a night weighs (ν + 1)/(ν + r²/s²).  The scale s has a weak prior, an inverse gamma worth
    :data:`PRIOR_NIGHTS` nights, so that a few nights that happen to be equal do not make it nothing.

    Args:
        innovations: series × nights.
        columns: series × nights × coefficients, whitened like the innovations.
        freedom: ν.
        errors: standard errors that the nights' values have by themselves, series × nights, in the unit of the values; a
            night weighs s²/(s² + error²) of one without.

    Returns:
        The log-likelihood of each series with the prior of its scale; the coefficients, series × coefficients; and their
        standard errors.
    """
    import numpy as np

    nights, wanted = columns.shape[1:]
    weights = np.ones_like(innovations)
    trust: Array | float = 1.0
    squared = None
    ridge = 1e-12 * np.eye(wanted)
    for _ in range(_ITERATIONS):
        weighted = columns * weights[..., None]
        gram = np.einsum("snp,snq->spq", weighted, columns) + ridge
        coefficients = np.linalg.solve(gram, np.einsum("snp,sn->sp", weighted, innovations)[..., None])[..., 0]
        rest = innovations - np.einsum("snp,sp->sn", columns, coefficients)
        if squared is None:
            squared = (_MAD * np.median(abs(rest), axis=1)) ** 2 + 1e-10
        squared = ((weights * rest**2).sum(axis=1) + PRIOR_SPREAD**2 * PRIOR_NIGHTS) / (nights + PRIOR_NIGHTS)
        if errors is not None:
            trust = squared[:, None] / (squared[:, None] + errors**2)
        weights = trust * (freedom + 1) / (freedom + trust * rest**2 / squared[:, None])
    assert squared is not None
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    inner = np.log1p(trust * rest**2 / squared[:, None] / freedom)
    likelihood = nights * constant - nights * np.log(squared) / 2 - (freedom + 1) / 2 * inner.sum(axis=1)
    likelihood += (np.log(trust) / 2 * np.ones_like(rest)).sum(axis=1)
    likelihood -= PRIOR_NIGHTS / 2 * (np.log(squared) + PRIOR_SPREAD**2 / squared)
    # t's information about a location is (ν + 1)/(ν + 3) of what a normal distribution of scale s would have.
    information = (freedom + 1) / (freedom + 3)
    plain = np.linalg.inv(np.einsum("snp,snq->spq", columns, columns) + ridge)
    deviations = np.sqrt(np.diagonal(plain, axis1=1, axis2=2) * squared[:, None] / information)
    return likelihood, coefficients, deviations
