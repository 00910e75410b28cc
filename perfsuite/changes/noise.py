"""How the nights of a series may differ though nothing has changed.

A night is no measurement of its own: the machine drifts, warms up with the season, is slow for days.  Each model here
is a guess how: which nights are alike (a covariance), and whether single nights fall far out (Student's t instead of a
normal distribution).  What a series does is learnt from it, by trying all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Degrees of freedom of t where single nights fall far out, and where none does: nearly normal.
HEAVY, NORMAL = 3.0, 100.0
#: Correlations from night to night.
_CORRELATIONS = (0.3, 0.5, 0.7, 0.85)
#: How long a smooth drift takes to turn, in nights, as the length of a squared-exponential covariance.
_LENGTHS = (7.0, 11.0)
#: A rhythm of the month.
_PERIODS = (30.0,)


@dataclass(frozen=True)
class Noise:
    """A model: its covariance is one up to a factor that is learnt, its innovations have t's degrees of freedom."""

    kind: str
    size: float
    freedom: float
    #: What its log-likelihood must be better by to be believed rather than another.
    handicap: float = 0.0


#: Heavy tails together with correlation would explain any step as an accident that lasts.  That nights have nothing to
#: do with each other and none falls far out is seldom so: short stretches of correlated nights look like it, and then
#: like a step.
MODELS = (
    Noise("independent", 0.0, HEAVY),
    Noise("independent", 0.0, NORMAL, handicap=1.0),
    *(Noise("correlated", size, NORMAL) for size in _CORRELATIONS),
    *(Noise("smooth", size, NORMAL) for size in _LENGTHS),
    *(Noise("periodic", size, NORMAL) for size in _PERIODS),
)


@cache
def whitening(noise: Noise, count: int) -> tuple[Array, Array]:
    """What makes innovations of ``count`` nights, and the logarithm of the determinant of their covariance, halved.

    The first is W = L⁻¹ (count × count, lower triangular), where L·Lᵀ is the covariance: W·x are innovations, the part
    of each night that the nights before it do not foretell, in units of its own standard deviation.  Being triangular,
    its leading rows are those of fewer nights.  The second has, at n − 1, Σ log L_ii over the first n.
    """
    import numpy as np

    nights = np.arange(count)
    apart = abs(nights[:, None] - nights[None])
    if noise.kind == "correlated":
        covariance = noise.size**apart
    else:
        covariance = np.eye(count)
        if noise.kind == "smooth":
            covariance += np.exp(-((apart / noise.size) ** 2) / 2)
        elif noise.kind == "periodic":
            covariance += np.cos(2 * np.pi * apart / noise.size)
    root = np.linalg.cholesky(covariance)
    return np.linalg.inv(root), np.cumsum(np.log(np.diag(root)))
