from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from perfsuite.stats import mean, median, median_interval

numbers = st.floats(-1e12, 1e12)


@given(st.lists(numbers, min_size=1))
def test_the_median_is_the_standard_librarys(values: list[float]) -> None:
    assert median(values) == statistics.median(values)


@given(st.lists(numbers, min_size=1))
def test_the_mean_is_the_standard_librarys(values: list[float]) -> None:
    assert mean(values) == pytest.approx(statistics.fmean(values), rel=1e-15)


@pytest.mark.parametrize("function", [median, mean])
def test_nothing_has_no_middle(function: object) -> None:
    with pytest.raises(ValueError, match="of no values"):
        function([])  # type: ignore[operator]


def rank(n: int, confidence: float) -> int | None:
    """The k of the interval [x(k), x(n+1-k)], seen from outside: the values are their own ranks."""
    interval = median_interval(range(1, n + 1), confidence)
    if interval is None:
        return None
    low, high = interval
    assert low + high == n + 1, "the two ends are not mirror images"
    return int(low)


def covers(n: int, k: int) -> float:
    """Probability that [x(k), x(n+1-k)] holds the median of a continuous distribution."""
    return float(1 - 2 * binom.cdf(k - 1, n, 0.5))


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_the_interval_is_the_narrowest_that_reaches_the_confidence(confidence: float) -> None:
    for n in [*range(1, 130), 500, 998, 999, 1000, 1001, 1023, 1074, 1075, 1080, 2500, 10_000]:
        k = rank(n, confidence)
        if k is None:
            assert covers(n, 1) < confidence, n
        else:
            assert covers(n, k) >= confidence - 1e-12, n
            # For n = 2 at most there is no next rank inside.
            assert 2 * k + 1 > n or covers(n, k + 1) < confidence, n


def test_five_values_are_too_few_and_six_are_not() -> None:
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert median_interval([]) is None
    assert median_interval([6, 1, 3, 2, 5, 4]) == (1, 6)


@pytest.mark.parametrize("n", [7, 25, 60])
def test_simulated_coverage_is_the_exact_one(n: int) -> None:
    rng = random.Random(n)
    trials = 4000
    true_median = math.log(2)  # Of the exponential distribution, which is as skewed as timings are.
    hits = 0
    for _ in range(trials):
        interval = median_interval([rng.expovariate(1.0) for _ in range(n)])
        assert interval is not None
        hits += interval[0] <= true_median <= interval[1]
    expected = covers(n, rank(n, 0.95) or 0)
    assert expected >= 0.95
    assert abs(hits / trials - expected) < 4 * math.sqrt(expected * (1 - expected) / trials)


@given(st.lists(numbers, min_size=6, max_size=40), st.randoms())
def test_the_interval_holds_the_median_and_ignores_the_order(values: list[float], rng: random.Random) -> None:
    interval = median_interval(values)
    assert interval is not None
    low, high = interval
    assert low <= median(values) <= high
    assert {low, high} <= set(values)
    rng.shuffle(values)
    assert median_interval(values) == interval


@given(st.lists(numbers, min_size=6, max_size=40), st.floats(0.01, 100), numbers)
def test_the_interval_moves_with_the_values(values: list[float], scale: float, shift: float) -> None:
    interval = median_interval(values)
    moved = median_interval([value * scale + shift for value in values])
    assert interval is not None
    assert moved == tuple(end * scale + shift for end in interval)


@given(st.lists(numbers, min_size=8, max_size=60))
def test_more_confidence_never_narrows(values: list[float]) -> None:
    for less, more in itertools.pairwise((0.5, 0.8, 0.95, 0.99)):
        inner, outer = median_interval(values, less), median_interval(values, more)
        assert inner is not None
        assert outer is None or (outer[0] <= inner[0] and inner[1] <= outer[1])
