"""What a calibration concludes, from made-up pairs whose noise is known."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from perfsuite.codec import from_json, to_json
from perfsuite.errors import StoreError, UsageError
from perfsuite.gate.calibration import CURVE, FEWEST_PAIRS, PLANS, WANTED, Calibration, calibrate, proportion_at_most
from perfsuite.gate.disturb import DISTURBANCES
from perfsuite.gate.draft import MOST_PROFILES
from perfsuite.gate.judge import affordable
from perfsuite.gate.model import Policy
from perfsuite.present.calibration import calibration_json, render_calibration
from tests.samples import an_environment
from tests.test_gate_simulate import a_pair

CREATED = "2026-11-21T18:00:00+00:00"


def made(count: int = 60, *, slower: float = 0.06, seed: int = 0, **noise: float) -> Calibration:
    same = [a_pair(k, **noise) for k in range(count)]
    slow = [a_pair(1000 + k, slower=slower, **noise) for k in range(30)]
    return calibrate(
        same, {slower: slow}, Policy(), created=CREATED, environment=an_environment(), decisions=400, seed=seed
    )


@pytest.fixture(scope="module")
def quiet() -> Calibration:
    return made()


def test_the_noise_of_the_host(quiet):
    assert quiet.pairs == 60
    assert quiet.pair_seconds == quiet.slow_pair_seconds == 6.0
    # What a_pair was asked for; the steps' own noise adds a little to the spread.
    assert quiet.spread == pytest.approx(0.015, rel=0.25)
    assert quiet.start_effect == pytest.approx(0.01, abs=3 * 0.015 / 60**0.5)
    # 15 pairs of 6 s fit into 90 s.
    assert quiet.policy.max_pairs == 15


def test_false_alarms(quiet):
    assert [one.name for one in quiet.drawn] == list(DISTURBANCES)
    for one in (*quiet.drawn, quiet.replayed):
        assert one.alarms == one.tally.verdicts["regressed"] == 0
        assert one.at_most == pytest.approx(1 - 0.05 ** (1 / one.tally.decisions))
        assert one.unchanged == one.tally.share("unchanged")
    assert all(one.tally.decisions == 400 for one in quiet.drawn)
    assert 60 // 15 <= quiet.replayed.tally.decisions <= 60 // 4


def test_the_power_curve_rises(quiet):
    assert [one.effect for one in quiet.curve] == pytest.approx([times * 0.03 for times in CURVE])
    found = [one.found for one in quiet.curve]
    assert all(after >= before - 0.02 for before, after in itertools.pairwise(found))
    assert found[0] == 0
    assert found[-1] > 0.99
    missed = [one.missed for one in quiet.curve]
    assert missed[0] > 0.95
    assert missed[-1] == 0


def test_time_buys_smaller_changes(quiet):
    assert [plan.pairs for plan in quiet.plans] == [8, 10, 12, 15, 20]
    assert [plan.seconds for plan in quiet.plans] == [6.0 * plan.pairs for plan in quiet.plans]
    detectable = [plan.minimal_detectable for plan in quiet.plans]
    assert detectable == sorted(detectable, reverse=True)
    assert all(one > 0.03 for one in detectable)
    assert all(plan.mean_seconds <= plan.seconds + 1e-9 for plan in quiet.plans)


@pytest.mark.parametrize(("most", "plans"), [(5, [5]), (9, [8, 9]), (18, [8, 10, 12, 15, 18]), (100, list(PLANS))])
def test_no_plan_ends_later_than_the_projects_gates_do(most, plans):
    # At such a confidence nothing has to be simulated for the intervals.
    policy = Policy(max_pairs=most, confidence=0.9999)
    found = calibrate([a_pair(k) for k in range(10)], {}, policy, created=CREATED, decisions=20)
    assert [plan.pairs for plan in found.plans] == plans
    # 15 pairs of 6 s fit into 90 s.
    assert (found.policy.max_pairs, found.policy.confidence) == (min(most, 15), 0.9999)
    assert "99.99% confidence" in render_calibration(found, width=200, color=False)


def test_the_recommended_budget_is_the_least_that_suffices(quiet):
    at = [plan.pairs for plan in quiet.plans].index(quiet.recommended_pairs)
    assert min(quiet.plans[at].unchanged, quiet.plans[at].found) >= WANTED
    assert all(min(plan.unchanged, plan.found) < WANTED for plan in quiet.plans[:at])
    assert quiet.recommended_seconds == quiet.recommended_pairs * 6.0
    assert quiet.slowdown == 0.06


def test_a_noisier_host_needs_more_and_a_hopeless_one_gets_no_budget(quiet):
    noisy = made(spread=0.022)
    assert noisy.recommended_pairs > quiet.recommended_pairs
    hopeless = made(spread=0.2)
    assert hopeless.recommended_pairs is None
    assert hopeless.recommended_seconds is None
    text = " ".join(render_calibration(hopeless, width=200, color=False).split())
    assert "no budget is recommended: 20 pairs do not reach 95.0% of equal sides called unchanged" in text
    # It says that it does not know, and does not say that there is something.
    assert hopeless.drawn[0].tally.share("inconclusive") > 0.9
    assert hopeless.drawn[0].alarms <= 0.025 * 400 + 4 * (0.025 * 400) ** 0.5


def test_slow_pairs_need_a_larger_budget():
    same = [dataclasses.replace(a_pair(k), seconds=6.0 if k % 4 else 9.0) for k in range(40)]
    found = calibrate(same, {}, Policy(), created=CREATED, decisions=200)
    assert (found.pair_seconds, found.slow_pair_seconds) == (6.0, 9.0)
    assert found.recommended_seconds == found.recommended_pairs * 9.0


def test_profiles_are_in_the_budget_and_leave_less_for_pairs(quiet):
    same = [a_pair(k) for k in range(60)]
    found = calibrate(same, {}, Policy(), created=CREATED, decisions=400, profile_seconds=3.0)
    assert found.recommended_pairs == quiet.recommended_pairs
    assert found.recommended_seconds == quiet.recommended_seconds + MOST_PROFILES * 3.0
    assert [plan.seconds for plan in found.plans] == [plan.seconds + 12.0 for plan in quiet.plans]
    # What a gate plans with that budget is the recommended plan.
    left = found.recommended_seconds - MOST_PROFILES * 3.0
    assert affordable(Policy(seconds=left), 6.0).max_pairs == found.recommended_pairs
    # 13 pairs of 6 s fit into 90 s beside the profiles.
    assert (found.policy.max_pairs, found.policy.seconds) == (13, 90.0)


def test_what_was_built_in_is_measured(quiet):
    (planted,) = quiet.planted
    assert planted.effect == 0.06
    low, high = planted.judgement.interval
    assert low < 1.06 < high
    assert planted.judgement.process_pairs == 30
    assert planted.drawn.share("regressed") > 0.9
    assert planted.replayed.verdicts["unchanged"] == 0


def test_pairs_that_were_all_started_in_one_order_are_used():
    same = [a_pair(2 * k) for k in range(10)]
    assert len({trace.first for trace in same}) == 1
    found = calibrate(same, {0.06: same[:5]}, Policy(), created=CREATED, decisions=50)
    assert found.planted[0].judgement.interval is not None


def test_few_pairs_have_no_real_decision():
    found = calibrate(
        [a_pair(k) for k in range(FEWEST_PAIRS)], {}, Policy(threshold=0.001), created=CREATED, decisions=50
    )
    assert found.replayed is None
    assert found.planted == ()
    text = render_calibration(found, width=80, color=False)
    assert "\nreplayed" not in text
    assert "built in" not in text


def test_too_few_pairs_are_a_clear_error():
    with pytest.raises(UsageError, match=r"needs 8 pairs of equal sides or more, there are 7"):
        calibrate([a_pair(k) for k in range(7)], {}, Policy(), created=CREATED)
    with pytest.raises(UsageError, match=r"needs three pairs of a planted slowdown of 6\.0%, not 2"):
        calibrate([a_pair(k) for k in range(8)], {0.06: [a_pair(1), a_pair(2)]}, Policy(), created=CREATED)


# --- stored and shown ---------------------------------------------------------------------------------


def test_stored_and_read_again_it_is_the_same(quiet):
    stored = json.loads(json.dumps(to_json(quiet), allow_nan=False))
    assert from_json(Calibration, stored) == quiet
    stored["plans"][0]["pairs"] = "five"
    with pytest.raises(StoreError, match=r"\.plans\[0\]\.pairs"):
        from_json(Calibration, stored)


def test_the_json_is_strict_and_says_its_format(quiet):
    value = json.loads(json.dumps(calibration_json(quiet), allow_nan=False))
    assert value["format"] == 1
    assert {field.name for field in dataclasses.fields(Calibration)} == set(value) - {"format"}
    assert value["recommended_pairs"] == quiet.recommended_pairs


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_text_fits_and_says_it_all(quiet, width):
    text = render_calibration(quiet, width=width, color=False)
    assert max(map(len, text.splitlines())) <= width
    joined = " ".join(text.split())
    assert "60 process pairs of equal sides, 6.00 s each" in joined
    assert "threshold 3.0%, 95% confidence, 4 to 15 pairs, 90.0 s a benchmark" in joined
    assert f"recommended budget: {quiet.recommended_seconds:.1f} s a benchmark" in joined
    assert f"({quiet.recommended_pairs} pairs and their profiles)" in joined
    assert "if it is more than its default of 90.0 s; it is for one benchmark" in joined
    assert f"0 of {quiet.replayed.tally.decisions}" in joined
    assert "\nreplayed" in text
    assert "slow phase" in joined
    assert "+6.0% found" in joined
    assert "\x1b" not in text


def test_a_name_that_acts_is_shown_as_text(quiet):
    evil = dataclasses.replace(quiet, environment=an_environment(cpu_model="CPU\x1b[31m[red]"))
    text = render_calibration(evil, width=80, color=False)
    assert "CPU\\x1b[31m[red]" in text
    assert "unknown CPU" in render_calibration(dataclasses.replace(quiet, environment=None), width=80, color=False)


# --- the bound ----------------------------------------------------------------------------------------


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.95]))
@settings(deadline=None)
def test_with_the_bound_so_few_hits_would_be_as_rare_as_it_says(drawn, confidence):
    hits, trials = drawn
    bound = proportion_at_most(hits, trials, confidence)
    if hits == trials:
        assert bound == 1
    else:
        assert hits / trials < bound < 1
        assert binom.cdf(hits, trials, bound) == pytest.approx(1 - confidence, rel=1e-6)


def test_two_alarms_of_two_hundred():
    assert proportion_at_most(2, 200) == pytest.approx(0.0311, abs=0.0001)
    assert proportion_at_most(0, 10_000) == pytest.approx(3e-4, rel=0.01)


@pytest.mark.parametrize(("hits", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_no_bound_without_trials(hits, trials):
    with pytest.raises(ValueError, match="trials"):
        proportion_at_most(hits, trials)
