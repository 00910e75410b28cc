"""From log-ratios to a verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from perfsuite.gate.judge import RESOLUTION, affordable, judge, minimal_detectable
from perfsuite.gate.model import VERDICTS, Policy
from perfsuite.gate.simulate import OUTCOMES, decide, looks

POLICY = Policy()
#: What pairs can be like, from indistinguishable to absurd.
log_ratio = st.floats(-0.2, 0.2) | st.floats(-50, 50)
pairs = st.lists(st.tuples(log_ratio, st.sampled_from(["base", "head"])), max_size=20)
ORDER = {"improved": 0, "unchanged": 1, "inconclusive": 1, "regressed": 2}


def around(middle: float, spread: float, count: int) -> tuple[list[float], list[str]]:
    """Log-ratios with this mean and exactly this spread within the groups, and who was started first."""
    rng = np.random.default_rng(count)
    started = ["base" if i % 2 else "head" for i in range(count)]
    values = rng.standard_normal(count)
    for side in ("base", "head"):
        here = [i for i in range(count) if started[i] == side]
        values[here] -= values[here].mean()
    values *= spread / math.sqrt((values**2).sum() / (count - 2))
    return [float(value + middle) for value in values], started


def test_verdicts_at_a_glance():
    for middle, verdict in ((0.0, "unchanged"), (0.06, "regressed"), (-0.06, "improved"), (0.03, "inconclusive")):
        log_ratios, started = around(middle, 0.008, 12)
        found = judge(log_ratios, POLICY, started=started)
        assert found.verdict == verdict
        assert found.decided == (verdict != "inconclusive")
        assert found.process_pairs == 12
        assert found.ratio == pytest.approx(math.exp(middle))
        assert found.spread == pytest.approx(0.008)


def test_the_interval_by_hand():
    # One look at four pairs in two groups: Student's interval with two degrees of freedom.
    once = replace(POLICY, min_pairs=4, max_pairs=4)
    found = judge([0.01, 0.03, 0.02, 0.06], once, started=["base", "head", "base", "head"])
    # Means 0.015 and 0.045; squares within 2·0.005² + 2·0.015².
    spread = math.sqrt((2 * 0.005**2 + 2 * 0.015**2) / 2)
    half = student.ppf(0.975, 2) * spread * math.sqrt(1 / 2 + 1 / 2) / 2
    assert found.interval == pytest.approx((math.exp(0.03 - half), math.exp(0.03 + half)), rel=1e-9)
    alone = judge([0.01, 0.03, 0.02, 0.06], once)
    half = student.ppf(0.975, 3) * np.std([0.01, 0.03, 0.02, 0.06], ddof=1) / 2
    assert alone.interval == pytest.approx((math.exp(0.03 - half), math.exp(0.03 + half)), rel=1e-9)


def test_what_the_order_of_the_start_does_is_no_noise():
    log_ratios, started = around(0.0, 0.005, 12)
    biased = [value + (0.05 if side == "base" else -0.05) for value, side in zip(log_ratios, started, strict=True)]
    plain, known, unknown = (
        judge(log_ratios, POLICY, 1, started),
        judge(biased, POLICY, 1, started),
        judge(biased, POLICY),
    )
    assert known.verdict == "unchanged"
    assert known.interval == pytest.approx(plain.interval)
    assert unknown.verdict == "inconclusive"


def test_an_odd_number_of_pairs_does_not_let_the_order_of_the_start_through():
    log_ratios = [0.03, -0.03, 0.03, -0.03, 0.03]
    found = judge(log_ratios, POLICY, started=["base", "head", "base", "head", "base"])
    assert found.ratio == pytest.approx(1.0)


@given(pairs, st.sampled_from([1, 5, 20]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_whatever_comes_there_is_a_sane_judgement(sample, family, known):
    log_ratios = [value for value, _ in sample]
    started = [side for _, side in sample] if known else None
    found = judge(log_ratios, POLICY, family, started)
    assert found.verdict in VERDICTS
    assert found.process_pairs == len(sample)
    if len(sample) < 2:
        assert (found.verdict, found.ratio, found.interval) == ("inconclusive", None, None)
        return
    low, high = found.interval
    assert 0 < low < found.ratio < high < math.inf
    assert found.spread >= RESOLUTION
    assert found.minimal_detectable > POLICY.threshold
    assert found.further_pairs is None or found.further_pairs >= 1
    # The verdict is what the shown interval says.
    if len(sample) >= POLICY.min_pairs and (not known or len(set(started)) == 2):
        limit = 1 + POLICY.threshold
        by_interval = (
            "regressed" if low > limit else "improved" if high < 1 / limit
            else "unchanged" if low >= 1 / limit and high <= limit else "inconclusive"
        )  # fmt: skip
        edges = [abs(end - edge) / edge for end in (low, high) for edge in (limit, 1 / limit)]
        assert found.verdict == by_interval or min(edges) < 1e-12
    else:
        assert found.verdict == "inconclusive"


@given(pairs, st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_a_slower_head_never_looks_better(sample, more):
    log_ratios, started = [value for value, _ in sample], [side for _, side in sample]
    before = judge(log_ratios, POLICY, 1, started)
    after = judge([value + more for value in log_ratios], POLICY, 1, started)
    assert ORDER[after.verdict] >= ORDER[before.verdict] or abs(more) < 1e-12


@given(pairs, st.booleans())
@settings(max_examples=100, deadline=None)
def test_swapping_the_sides_swaps_the_verdict(sample, known):
    started = [side for _, side in sample]
    other = ["head" if side == "base" else "base" for side in started]
    found = judge([value for value, _ in sample], POLICY, 3, started if known else None)
    swapped = judge([-value for value, _ in sample], POLICY, 3, other if known else None)
    mirror = {"regressed": "improved", "improved": "regressed"}
    assert swapped.verdict == mirror.get(found.verdict, found.verdict)
    assert swapped.further_pairs == found.further_pairs
    if found.interval is not None:
        assert swapped.interval == pytest.approx((1 / found.interval[1], 1 / found.interval[0]))
        assert swapped.ratio == pytest.approx(1 / found.ratio)


@given(pairs, st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_pairs_is_irrelevant(sample, chance):
    before = judge([value for value, _ in sample], POLICY, 1, [side for _, side in sample])
    aside = sorted(sample[place] for place in before.strays)
    chance.shuffle(sample)
    after = judge([value for value, _ in sample], POLICY, 1, [side for _, side in sample])
    assert replace(after, strays=()) == replace(before, strays=())
    assert sorted(sample[place] for place in after.strays) == aside


def test_a_pair_far_from_all_others_is_set_aside():
    sides = [("base", "head")[n % 2] for n in range(9)]
    quiet = [0.004, -0.006, 0.009, 0.001, -0.011, 0.006, 0.0, -0.003]
    with_it = judge([*quiet[:3], 0.15, *quiet[3:]], POLICY, started=sides)
    assert (with_it.verdict, with_it.strays, with_it.process_pairs) == ("unchanged", (3,), 9)
    without = judge(quiet, POLICY, started=[*sides[:3], *sides[4:]])
    assert (with_it.ratio, with_it.interval, with_it.spread) == (without.ratio, without.interval, without.spread)
    # Of fewer than eight pairs, none is: it may be how they are.
    assert judge([*quiet[:6], 0.15], POLICY, started=sides[:7]).strays == ()
    assert judge([*quiet[:6], 0.15], POLICY, started=sides[:7]).verdict == "inconclusive"


def test_two_of_nine_are_none():
    """One slow process in five is how head is."""
    sides = [("base", "head")[n % 2] for n in range(9)]
    found = judge([0.004, 0.151, 0.009, 0.001, -0.011, 0.149, 0.0, -0.003, 0.005], POLICY, started=sides)
    assert (found.verdict, found.strays) == ("inconclusive", ())


def test_what_is_set_aside_is_missing_in_a_plan_of_as_few_pairs():
    """With seven pairs left, a plan that looks at eight first has not looked yet."""
    sides = [("base", "head")[n % 2] for n in range(8)]
    values = [0.004, -0.006, 0.009, 0.001, -0.011, 0.006, 0.0, 0.15]
    found = judge(values, replace(POLICY, min_pairs=8), started=sides)
    assert (found.verdict, found.strays) == ("inconclusive", (7,))
    assert judge(values, POLICY, started=sides).verdict == "unchanged"


def test_equal_log_ratios_are_not_taken_for_certainty():
    found = judge([0.0] * 6, POLICY, started=["base", "head"] * 3)
    low, high = found.interval
    assert low < 1 < high
    assert found.verdict == "unchanged"
    # A threshold below what can be told is not decided on, however equal the pairs are.
    assert judge([0.0] * 6, replace(POLICY, threshold=1e-5), started=["base", "head"] * 3).verdict == "inconclusive"


@pytest.mark.parametrize("count", range(4))
def test_too_few_pairs_decide_nothing(count):
    found = judge([0.5 + i / 1e6 for i in range(count)], POLICY, started=["base", "head", "base", "head"][:count])
    assert found.verdict == "inconclusive"
    assert found.process_pairs == count
    assert (found.interval is None) == (count < 2)


def test_pairs_all_started_in_one_order_decide_nothing():
    log_ratios, _ = around(0.5, 0.001, 10)
    assert judge(log_ratios, POLICY, started=["base"] * 10).verdict == "inconclusive"
    assert judge(log_ratios, POLICY).verdict == "regressed"


def test_no_threshold_at_all():
    log_ratios, started = around(0.02, 0.002, 12)
    none = replace(POLICY, threshold=0.0)
    assert judge(log_ratios, none, 1, started).verdict == "regressed"
    assert judge([value - 0.02 for value in log_ratios], none, 1, started).verdict == "inconclusive"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        judge([0.0, bad, 0.0], POLICY)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="21 pairs where the plan ends after 20"):
        judge([0.0] * 21, POLICY)
    with pytest.raises(ValueError, match="a family of 0"):
        judge([], POLICY, 0)
    with pytest.raises(ValueError, match=r"confidence=1\.0"):
        judge([], replace(POLICY, confidence=1.0))
    with pytest.raises(ValueError, match=r"threshold=-0\.1"):
        judge([], replace(POLICY, threshold=-0.1))
    with pytest.raises(ValueError, match="looks from 4 to 3"):
        judge([], replace(POLICY, max_pairs=3))
    with pytest.raises(ValueError, match="started first"):
        judge([0.0] * 3, POLICY, started=["base", "head"])
    with pytest.raises(ValueError, match="started first"):
        judge([0.0] * 2, POLICY, started=["base", "left"])


# --- what more would tell -----------------------------------------------------------------------------


@pytest.mark.parametrize("middle", [0.0, 0.012, 0.045, -0.05])
def test_as_many_further_pairs_as_it_says(middle):
    log_ratios, started = around(middle, 0.02, 8)
    found = judge(log_ratios, POLICY, started=started)
    assert found.verdict == "inconclusive"
    assert found.further_pairs is not None
    # Within the plan the promise can be held against pairs with the same mean and spread.
    total = 8 + found.further_pairs
    assert total <= POLICY.max_pairs
    for count, decided in ((total, True), (total - 1, False)):
        log_ratios, started = around(middle, 0.02, count)
        assert judge(log_ratios, POLICY, started=started).decided == decided


def test_on_the_threshold_no_number_of_pairs_decides():
    log_ratios, started = around(math.log1p(0.03), 0.02, 8)
    assert judge(log_ratios, POLICY, started=started).further_pairs is None


def test_who_has_a_verdict_needs_no_further_pairs():
    log_ratios, started = around(0.1, 0.002, 8)
    assert judge(log_ratios, POLICY, started=started).further_pairs is None


@pytest.mark.parametrize("count", [8, 14, 20])
def test_the_minimal_detectable_slowdown_is_found_in_four_of_five_cases(count):
    spread = 0.015
    once = replace(POLICY, min_pairs=count, max_pairs=count)
    slowdown = minimal_detectable(count, spread, once)
    noise = np.random.default_rng(3).standard_normal((20_000, count)) * spread
    assert decide(noise + math.log1p(slowdown), once).share("regressed") == pytest.approx(0.8, abs=0.03)


def test_more_pairs_and_less_noise_see_smaller_changes():
    seen = [minimal_detectable(count, 0.02, POLICY) for count in range(4, 21)]
    assert seen == sorted(seen, reverse=True)
    assert minimal_detectable(12, 0.01, POLICY) < minimal_detectable(12, 0.02, POLICY)
    assert minimal_detectable(12, 0.01, POLICY, 1) < minimal_detectable(12, 0.01, POLICY, 20)


def test_a_plan_for_what_fits():
    policy = Policy(seconds=90, least_pairs=8, min_pairs=4, max_pairs=20)
    assert affordable(policy, 6.5).max_pairs == 13
    assert affordable(policy, 1.0).max_pairs == 20
    assert affordable(policy, 60.0).max_pairs == 8
    assert affordable(replace(policy, least_pairs=0), 60.0).max_pairs == 4
    with pytest.raises(ValueError, match="cannot take"):
        affordable(policy, 0.0)


# --- what it promises, by simulation -------------------------------------------------------------------

DECISIONS = 20_000
#: Four standard deviations of a simulated rate of 5 %.
MARGIN = 4 * (0.05 * 0.95 / DECISIONS) ** 0.5
SHAPES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy tails": lambda rng, shape: rng.standard_t(5, shape),
    # What processes do, on each side: the difference of two of them.
    "skewed": lambda rng, shape: rng.exponential(size=shape) - rng.exponential(size=shape),
    "bimodal": lambda rng, shape: 0.5 * rng.standard_normal(shape) * 2**0.5
    + 2.0 * ((rng.random(shape) < 0.2).astype(float) - (rng.random(shape) < 0.2)),
    "outliers": lambda rng, shape: rng.standard_normal(shape)
    + 6.0 * (rng.random(shape) < 0.03) * rng.choice([-1, 1], shape),
}  # fmt: skip


def noise(shape: str, spread: float, columns: int = 20, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = SHAPES[shape](rng, (DECISIONS, columns))
    return values * (spread / values.std())


@pytest.mark.parametrize("shape", SHAPES)
def test_at_the_threshold_it_errs_to_either_side_as_seldom_as_it_says(shape):
    # The interval misses the truth exactly if one of its ends passes the threshold that the truth is on.
    tally = decide(noise(shape, 0.015) + math.log1p(0.03), POLICY)
    assert tally.share("regressed") <= 0.025 + MARGIN
    assert tally.share("regressed") + tally.share("unchanged") + tally.share("improved") <= 0.05 + MARGIN


@pytest.mark.parametrize(("spread", "unchanged", "pairs"), [(0.01, 0.999, 7.5), (0.015, 0.999, 9), (0.02, 0.99, 11)])
def test_equal_sides_are_called_unchanged(spread, unchanged, pairs):
    tally = decide(noise("normal", spread), POLICY)
    assert tally.share("unchanged") >= unchanged
    assert tally.verdicts["regressed"] == tally.verdicts["improved"] == 0
    assert tally.mean_pairs <= pairs


@pytest.mark.parametrize("spread", [0.01, 0.015, 0.02])
def test_twice_the_threshold_is_found(spread):
    assert decide(noise("normal", spread) + math.log1p(0.06), POLICY).share("regressed") >= 0.95


def test_three_per_cent_are_found_at_a_threshold_of_one():
    plan = replace(POLICY, threshold=0.01, max_pairs=14)
    assert decide(noise("normal", 0.018, 14) + math.log1p(0.03), plan).share("regressed") >= 0.9


@pytest.mark.parametrize("family", [1, 5, 20])
def test_a_gate_with_many_benchmarks_errs_no_more_often(family):
    # Each of them on its threshold, which is the worst that there is.
    rng = np.random.default_rng(family)
    gates = DECISIONS // 5
    wrong = np.zeros(gates, dtype=bool)
    for _ in range(family):
        values = rng.standard_normal((gates, POLICY.max_pairs)) * 0.015 + math.log1p(0.03)
        wrong |= looks(values, POLICY, family)[0] == OUTCOMES.index("regressed")
    assert wrong.mean() <= 0.025 + 4 * (0.025 / gates) ** 0.5
