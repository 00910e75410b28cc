from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, mannwhitneyu, t, ttest_1samp, ttest_ind

from perfsuite.stats import (
    MEDIAN_INTERVAL_SAMPLES,
    mean,
    mean_interval,
    median,
    median_interval,
    median_ratio_interval,
    shift_interval,
    student_t_quantile,
    variance,
    welch_interval,
)

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
    assert median_interval(range(MEDIAN_INTERVAL_SAMPLES - 1)) is None
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


# --- means ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [1, 1.3, 2, 3.7, 8, 20.5, 100, 10_000])
@pytest.mark.parametrize("p", [1e-6, 0.025, 0.5, 0.6, 0.9, 0.975, 0.9995])
def test_the_quantiles_of_students_t_are_scipys(p: float, df: float) -> None:
    assert student_t_quantile(p, df) == pytest.approx(float(t.ppf(p, df)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("p", "df"), [(0.0, 3), (1.0, 3), (math.nan, 3), (0.9, 0.5), (0.9, math.nan)])
def test_a_quantile_that_does_not_exist_is_refused(p: float, df: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        student_t_quantile(p, df)


@pytest.mark.filterwarnings("ignore:Precision loss")
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_the_interval_of_a_difference_is_scipys_where_that_has_one(base: list[float], head: list[float]) -> None:
    interval = welch_interval(base, head)
    assert interval is not None
    low, high = interval
    assert low <= mean(head) - mean(base) <= high
    if variance(base) + variance(head) > 1e-6:
        expected = ttest_ind(head, base, equal_var=False).confidence_interval(0.95)
        assert interval == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=20))
def test_the_interval_of_a_mean_is_students(values: list[float]) -> None:
    low, high = mean_interval(values) or (math.inf, -math.inf)
    if variance(values) > 0:
        expected = ttest_1samp(values, 0.0).confidence_interval(0.95)
        assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-6)
    else:
        assert low == high == values[0]


def test_one_value_has_no_interval_of_its_mean() -> None:
    assert mean_interval([5.0]) is None
    assert mean_interval([]) is None


def test_a_side_without_variance_adds_none() -> None:
    assert welch_interval([0, 0, 0], [5, 5, 5]) == (5, 5)
    one = welch_interval([0, 0, 0], [4, 5, 6])
    assert one is not None
    assert one[1] - one[0] == pytest.approx(2 * t.ppf(0.975, 2) / math.sqrt(3))


@pytest.mark.parametrize("tiny", [5e-324, 1e-320, 1e-163, 1e-160, 1e-81, 1e-80])
def test_a_variance_of_which_the_square_is_none_any_more_still_divides(tiny: float) -> None:
    for base, head in (([0, tiny], [0, tiny, tiny]), ([0, 0, 0], [tiny, 2 * tiny, 3 * tiny]), ([0, 4 * tiny], [1, 1])):
        interval = welch_interval(base, head)
        assert interval is not None
        assert interval[0] <= mean(head) - mean(base) <= interval[1]


def test_one_step_has_no_interval() -> None:
    assert welch_interval([1], [2, 3]) is None
    assert welch_interval([1, 2], []) is None
    with pytest.raises(ValueError, match="fewer than two"):
        variance([1])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_the_interval_of_a_difference_is_mirrored(base: list[float], head: list[float]) -> None:
    there, back = welch_interval(base, head), welch_interval(head, base)
    assert there is not None
    assert back is not None
    assert there == pytest.approx((-back[1], -back[0]))


Draw = Callable[[random.Random], float]
NOISE: dict[str, Draw] = {
    "normal": lambda rng: rng.gauss(100, 5),
    "skewed": lambda rng: 100 + rng.expovariate(0.1),
    "lognormal": lambda rng: 100 * math.exp(rng.gauss(0, 0.5)),
    "spikes": lambda rng: rng.gauss(100, 2) * (1.5 if rng.random() < 0.1 else 1),
}


@pytest.mark.parametrize(("n_base", "n_head"), [(5, 5), (5, 9), (9, 9)])
@pytest.mark.parametrize("noise", ["normal", "skewed"])
def test_the_interval_of_a_difference_covers_it(noise: str, n_base: int, n_head: int) -> None:
    rng = random.Random(n_base * n_head)
    draw, trials, hits = NOISE[noise], 1500, 0
    for _ in range(trials):
        # Head costs 7 more and is three times as noisy.
        head = [7 + 3 * (draw(rng) - 100) + 100 for _ in range(n_head)]
        interval = welch_interval([draw(rng) for _ in range(n_base)], head)
        assert interval is not None
        expected = 7 + (0 if noise == "normal" else 20)
        hits += interval[0] <= expected <= interval[1]
    # Of few samples of a skewed distribution, Welch's interval is known to cover too little.
    assert hits / trials >= (0.93 if noise == "normal" else 0.85)


# --- shifts -----------------------------------------------------------------------------------------


def test_the_shift_by_hand() -> None:
    # Of five and five, P(U < 3) = 4/252 and P(U < 4) = 7/252 > 0.025: the third difference from each end.
    assert shift_interval([0, 0, 0, 0, 0], [1, 2, 3, 4, 5]) == (1, 5)
    assert shift_interval([0, 1, 2, 3, 4], [10, 11, 12, 13, 14]) == (7, 13)


def test_one_interrupted_step_does_not_widen_the_shift() -> None:
    steady, interrupted = [10, 11, 12, 13, 14], [10, 11, 12, 13, 1000]
    base = [0, 1, 2, 3, 4]
    welch = welch_interval(base, interrupted)
    assert welch is not None
    assert welch[0] < 0
    assert (shift_interval(base, interrupted) or (0,))[0] == (shift_interval(base, steady) or (1,))[0] == 7


def test_too_few_samples_have_no_shift() -> None:
    assert shift_interval([1, 2, 3], [1, 2, 3, 4]) is None
    assert shift_interval([], [1, 2, 3, 4, 5, 6]) is None
    assert shift_interval([1, 2, 3, 4], [1, 2, 3, 4]) is not None


@given(
    st.lists(st.integers(0, 1000), min_size=4, max_size=9, unique=True),
    st.lists(st.integers(0, 1000), min_size=4, max_size=9),
)
def test_what_lies_outside_the_shift_is_what_the_test_of_mann_and_whitney_rejects(
    base: list[int], head: list[int]
) -> None:
    interval = shift_interval(base, head)
    assert interval is not None
    for at in (interval[0] - 0.5, interval[0] + 0.5, interval[1] - 0.5, interval[1] + 0.5):
        # Half a nanosecond between the differences: no ties across the sides.
        p = mannwhitneyu([value - at for value in head], base, method="exact").pvalue
        if interval[0] < at < interval[1]:
            assert p > 0.05 - 1e-9
        elif not interval[0] <= at <= interval[1]:
            assert p <= 0.05 + 1e-9


@pytest.mark.parametrize(("n_base", "n_head"), [(4, 4), (5, 5), (5, 30), (60, 60)])
@pytest.mark.parametrize("noise", ["normal", "skewed", "spikes"])
def test_the_shift_covers(noise: str, n_base: int, n_head: int) -> None:
    rng = random.Random(n_base * n_head)
    draw, trials, hits = NOISE[noise], 400, 0
    for _ in range(trials):
        interval = shift_interval([draw(rng) for _ in range(n_base)], [7 + draw(rng) for _ in range(n_head)])
        assert interval is not None
        hits += interval[0] <= 7 <= interval[1]
    assert hits / trials >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / trials)


# --- medians ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_base", "n_head"), [(5, 5), (6, 6), (8, 12), (5, 100), (20, 20), (50, 50), (100, 100)])
@pytest.mark.parametrize("noise", list(NOISE))
def test_the_interval_of_a_ratio_covers_it(noise: str, n_base: int, n_head: int) -> None:
    rng = random.Random(n_base + n_head)
    draw, trials, hits = NOISE[noise], 600, 0
    for _ in range(trials):
        head = [1.3 * draw(rng) for _ in range(n_head)]
        interval = median_ratio_interval([draw(rng) for _ in range(n_base)], head)
        assert interval is not None
        hits += interval[0] <= 1.3 <= interval[1]
    # 0.95 less four standard errors of the simulation.
    assert hits / trials >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / trials)


def test_the_interval_of_a_ratio_gets_narrower_with_samples() -> None:
    rng = random.Random(0)
    widths = []
    for n in (5, 20, 80, 320):
        interval = median_ratio_interval(*[[rng.gauss(100, 5) for _ in range(n)] for _ in "bh"])
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths == sorted(widths, reverse=True)


@given(st.lists(st.floats(0.1, 1e9), min_size=5, max_size=30), st.lists(st.floats(0.1, 1e9), min_size=5, max_size=30))
def test_the_interval_of_a_ratio_holds_it_and_is_mirrored(base: list[float], head: list[float]) -> None:
    there, back = median_ratio_interval(base, head), median_ratio_interval(head, base)
    assert there is not None
    assert back is not None
    assert there[0] <= median(head) / median(base) * (1 + 1e-9)
    assert median(head) / median(base) <= there[1] * (1 + 1e-9)
    assert there == pytest.approx((1 / back[1], 1 / back[0]))


def test_too_few_samples_or_no_times_have_no_ratio() -> None:
    assert median_ratio_interval([1, 2, 3, 4], [1, 2, 3, 4, 5]) is None
    assert median_ratio_interval([1, 2, 3, 4, 5], []) is None
    assert median_ratio_interval([1, 2, 3, 4, 5], [0, 1, 2, 3, 4]) is None
    assert median_ratio_interval([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) is not None
