"""Numbers in, numbers out.

Formulae carry their source and what they do with few samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache


def median(values: Sequence[float]) -> float:
    """The sample median; the mean of the two middle values when their number is even.

    Raises:
        ValueError: ``values`` is empty.
    """
    if not values:
        raise ValueError("the median of no values")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean, summed exactly (``math.fsum``).

    Raises:
        ValueError: ``values`` is empty.
    """
    if not values:
        raise ValueError("the mean of no values")
    return math.fsum(values) / len(values)


#: Fewest samples of which :func:`median_interval` says anything at 95 %.
MEDIAN_INTERVAL_SAMPLES = 6


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """A distribution-free interval for the median, from order statistics.

    The interval [x(k), x(n+1−k)] covers the median with probability 1 − 2·P(B ≤ k−1), B ~ Bin(n, ½); k is
    the largest that still reaches ``confidence`` (Conover, Practical Nonparametric Statistics, 3rd ed.,
    §3.2).  It assumes independent samples: steps of one process are not quite, so it describes this
    process and not the next one.

    Returns:
        The interval, or None where n is too small for any pair of order statistics to reach
        ``confidence`` (n < 6 at 95 %).
    """
    n = len(values)
    tail = (1 - confidence) / 2
    below = 0.0
    rank = 0
    for k in range(1, n // 2 + 1):
        below += math.comb(n, k - 1) * 0.5**n if n < 1000 else _binomial_half(n, k - 1)
        if below > tail:
            break
        rank = k
    if not rank:
        return None
    ordered = sorted(values)
    return ordered[rank - 1], ordered[n - rank]


def variance(values: Sequence[float]) -> float:
    """The sample variance, ddof 1.

    Raises:
        ValueError: there are fewer than two values.
    """
    if len(values) < 2:
        raise ValueError("the variance of fewer than two values")
    middle = mean(values)
    return math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Student's interval for the mean: mean ± t·√(v/n), v the variance with ddof 1, t with n − 1 degrees of freedom.

    "Student", Biometrika 6, 1908.  It assumes independent samples that are not too skewed.

    Returns:
        The interval, or None of fewer than two samples.
    """
    if len(values) < 2:
        return None
    middle = mean(values)
    half = student_t_quantile((1 + confidence) / 2, len(values) - 1) * math.sqrt(variance(values) / len(values))
    return middle - half, middle + half


def welch_interval(
    base: Sequence[float], head: Sequence[float], confidence: float = 0.95
) -> tuple[float, float] | None:
    """Welch's interval for mean(head) − mean(base), two independent samples of unequal variance.

    ± t·√(v_b/n_b + v_h/n_h), v the variances with ddof 1, t the quantile of Student's t with the degrees of freedom of
    Welch and Satterthwaite, (v_b/n_b + v_h/n_h)² ÷ ((v_b/n_b)²/(n_b−1) + (v_h/n_h)²/(n_h−1)) (B. L. Welch, Biometrika
    34, 1947).  A side without any variance adds none.  It assumes independent samples that are not too skewed; an
    interrupted step among few widens it a lot, so it errs on the side of saying nothing.

    Returns:
        The interval, or None where a side has fewer than two samples.
    """
    if len(base) < 2 or len(head) < 2:
        return None
    delta = mean(head) - mean(base)
    errors = variance(base) / len(base), variance(head) / len(head)
    total = sum(errors)
    if total <= 0:
        return delta, delta
    # By shares of the total: the square of a small variance can underflow to 0; shares of it do not.
    share = errors[0] / total
    freedom = 1 / (share**2 / (len(base) - 1) + (1 - share) ** 2 / (len(head) - 1))
    half = student_t_quantile((1 + confidence) / 2, max(freedom, 1.0)) * math.sqrt(total)
    return delta - half, delta + half


def shift_interval(
    base: Sequence[float], head: Sequence[float], confidence: float = 0.95
) -> tuple[float, float] | None:
    """A distribution-free interval for how much head is shifted against base, which outliers do not widen.

    From the k-th smallest to the k-th largest of all differences head − base, where k is the largest for which
    P(U < k) ≤ (1 − confidence)/2, U the statistic of Mann and Whitney (Moses' interval; Hollander, Wolfe and Chicken,
    Nonparametric Statistical Methods, 3rd ed., §4.3).  It assumes independent samples of two distributions of one
    shape.  Ties make it cover more.

    Returns:
        The interval, or None where so few samples cannot reach ``confidence`` (3 and 4 at 95 %).
    """
    rank = _mann_whitney_rank(len(base), len(head), (1 - confidence) / 2)
    if not rank:
        return None
    differences = sorted(after - before for after in head for before in base)
    return differences[rank - 1], differences[-rank]


@cache
def _mann_whitney_rank(m: int, n: int, tail: float) -> int:
    """The largest k with P(U < k) ≤ ``tail`` for samples of ``m`` and ``n``; 0 if there is none."""
    if not m or not n:
        return 0
    if m * n > 2500:
        # The normal approximation with its correction for continuity, good to a rank at this size.
        spread = math.sqrt(m * n * (m + n + 1) / 12)
        return max(0, math.floor(m * n / 2 + normal_quantile(tail) * spread + 0.5))
    ways = _mann_whitney_counts(m, n)
    allowed, below, rank = tail * math.comb(m + n, n), 0, 0
    while below + ways[rank] <= allowed:
        below += ways[rank]
        rank += 1
    return rank


def _mann_whitney_counts(m: int, n: int) -> list[int]:
    """In how many of the C(m+n, n) orders U is 0, 1, …, m·n: the coefficients of a Gaussian binomial."""
    counts = [1] + [0] * (m * n)
    for i in range(1, n + 1):
        # Times 1 − q^(m+i), then divided by 1 − q^i.
        for at in range(m * n, m + i - 1, -1):
            counts[at] -= counts[at - m - i]
        for at in range(i, m * n + 1):
            counts[at] += counts[at - i]
    return counts


def median_ratio_interval(
    base: Sequence[float], head: Sequence[float], confidence: float = 0.95
) -> tuple[float, float] | None:
    """An interval for median(head) ÷ median(base), two independent samples of any, even different, distributions.

    On logarithms, with the standard error of each median from the distance of two of its order statistics (R. M.
    Price and D. G. Bonett, Distribution-free confidence intervals for difference and ratio of medians, Journal of
    Statistical Computation and Simulation 72, 2002).  It assumes independent samples: steps of one process are not
    quite, so it describes these two processes and not the next two.  Of two far modes of equal weight no interval
    for a median tells much, and this one covers too seldom.

    Returns:
        The interval, or None where a side has fewer than five samples or one that is not positive.
    """
    if min(len(base), len(head)) < 5 or min((*base, *head)) <= 0:
        return None
    logs = [[math.log(value) for value in side] for side in (base, head)]
    spread = math.hypot(*map(_median_error, logs)) * normal_quantile((1 + confidence) / 2)
    middle = math.log(median(head) / median(base))
    return math.exp(middle - spread), math.exp(middle + spread)


def _median_error(values: Sequence[float]) -> float:
    """The standard error of the median, from the order statistics about √n ranks on either side of it."""
    n = len(values)
    rank = max(1, round((n + 1) / 2 - math.sqrt(n)))
    outside = 2 * math.fsum(_binomial_half(n, k) for k in range(rank))
    ordered = sorted(values)
    return (ordered[n - rank] - ordered[rank - 1]) / (2 * normal_quantile(1 - outside / 2))


def student_t_quantile(p: float, df: float) -> float:
    """The value that Student's t with ``df`` degrees of freedom, whole or not, is below with probability ``p``.

    Newton's method on the tail, P(T > t) = I_x(df/2, 1/2)/2 with x = df/(df + t²) (Abramowitz and Stegun, Handbook
    of Mathematical Functions, 26.7.1), from their expansion 26.7.5.  Good to 9 digits up to a million degrees of
    freedom; here because importing scipy.stats takes longer than a whole comparison may.

    Raises:
        ValueError: ``p`` is not within (0, 1), or ``df`` is below 1.
    """
    if not 0 < p < 1 or not df >= 1:
        raise ValueError(f"no quantile {p!r} of Student's t with {df!r} degrees of freedom")
    if p < 0.5:
        return -student_t_quantile(1 - p, df)
    if p == 0.5:
        return 0.0
    z = normal_quantile(p)
    t = z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    for _ in range(100):
        density = math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = (_student_tail(t, df) - (1 - p)) / density
        # Right of the root the tangent of this convex tail can lead below zero; left of it, it never overshoots.
        t = max(t + step, t / 2)
        if abs(step) <= 1e-12 * t:
            break
    return t


def normal_quantile(p: float) -> float:
    """The value that a standard normal variable is below with probability ``p``."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def _student_tail(t: float, df: float) -> float:
    """P(T > t) for t > 0."""
    x = df / (df + t * t)
    return _incomplete_beta(df / 2, 0.5, x) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22, Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges fast for the other tail only (DLMF 8.17.4)
        return 1 - _incomplete_beta(b, a, 1 - x)
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    tiny = 1e-300
    value, c, d = tiny, tiny, 0.0
    for m in range(1000):
        half, odd = divmod(m, 2)
        if m == 0:
            term = 1.0
        elif odd:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        d = 1 / (1 + term * d or tiny)
        c = 1 + term / c or tiny
        value *= c * d
        if m and abs(c * d - 1) < 1e-15:
            break
    return math.exp(log_front) * value / a


def _binomial_half(n: int, k: int) -> float:
    # 0.5**n underflows near n = 1075, and the integers get long well before.
    return math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))
