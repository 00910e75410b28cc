"""What perfsuite.changes computes, once more: slowly, densely, and by other means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import t as student

from perfsuite.changes.fit import PRIOR_NIGHTS, PRIOR_SPREAD
from perfsuite.changes.noise import Noise

Array = Any


def named(noise: Noise) -> str:
    return f"{noise.kind}-{noise.size:g}-{noise.freedom:g}"


def covariance(noise: Noise, count: int) -> Array:
    """As the models describe it, one pair of nights after the other."""

    def of(apart: int) -> float:
        alone = float(apart == 0)
        if noise.kind == "independent":
            return alone
        if noise.kind == "correlated":
            return math.prod([noise.size] * apart)
        if noise.kind == "smooth":
            return alone + math.exp(-(apart**2) / (2 * noise.size**2))
        assert noise.kind == "periodic"
        return alone + math.cos(2 * math.pi * apart / noise.size)

    return np.array([[of(abs(one - other)) for other in range(count)] for one in range(count)])


def prior(squared: float) -> float:
    """What the prior takes off the log-likelihood of a squared scale."""
    return PRIOR_NIGHTS / 2 * (math.log(squared) + PRIOR_SPREAD**2 / squared)


def most_likely(innovations: Array, columns: Array, freedom: float, *starts: Array) -> tuple[float, Array]:
    """The highest log-likelihood of a series, with the prior of its scale, and the coefficients: by searching.

    Args:
        innovations: nights.
        columns: nights × coefficients.
        freedom: of Student's t.
        starts: coefficients to begin from, beside those of least squares: the likelihood of t may have several peaks.
    """
    top = float(student.logpdf(0.0, freedom))

    def lost(parameters: Array) -> float:
        log_scale = float(parameters[-1])
        rest = (innovations - columns @ parameters[:-1]) / math.exp(log_scale)
        inner = float(np.log1p(rest**2 / freedom).sum())
        return (freedom + 1) / 2 * inner + len(rest) * (log_scale - top) + prior(math.exp(2 * log_scale))

    plain, *_ = np.linalg.lstsq(columns, innovations, rcond=None)
    found = []
    for start in (plain, *starts):
        # The spread of the middle of what is left: what lies far out does not count in it.
        spread = 1.4826 * float(np.median(abs(innovations - columns @ start)))
        point = np.array([*start, math.log(max(spread, 1e-3))])
        for _ in range(3):  # a simplex may collapse before it has arrived
            one = minimize(lost, point, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-9, "maxiter": 4000})
            point = one.x
        found.append((-float(one.fun), one.x[:-1]))
    return max(found, key=lambda one: one[0])


def log_likelihood(logs: Array, columns: Array, noise: Noise, *starts: Array) -> float:
    """The same of a series whose nights have the covariance of a model."""
    root = np.linalg.cholesky(covariance(noise, len(logs)))
    innovations, whitened = np.linalg.solve(root, logs), np.linalg.solve(root, columns)
    found, _ = most_likely(innovations, whitened, noise.freedom, *starts)
    return found - math.fsum(np.log(np.diag(root)))
