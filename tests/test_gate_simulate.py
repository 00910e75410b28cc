"""Decisions drawn from recorded pairs."""

from __future__ import annotations

import dataclasses
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.gate.disturb import DISTURBANCES, NOTHING, Disturbance, factors
from perfsuite.gate.draft import Draft
from perfsuite.gate.estimate import paired_log_ratio, paired_log_ratios
from perfsuite.gate.judge import judge
from perfsuite.gate.model import PairTrace, Policy
from perfsuite.gate.simulate import OUTCOMES, decide, looks, mirrored, replay, simulate

POLICY = Policy(max_pairs=14, seconds=1000.0)
times = st.floats(1.0, 1e9)
blocks = st.lists(
    st.tuples(st.lists(times, min_size=1, max_size=4), st.lists(times, min_size=1, max_size=4)), min_size=1
)


def a_pair(
    seed: int, *, slower: float = 0.0, spread: float = 0.015, start: float = 0.01, turns: int = 12, steps: int = 4
) -> PairTrace:
    """A pair of 20 ms steps: processes differ by ``spread``, the one started first takes ``start`` longer."""
    rng = random.Random(seed)
    first = ("base", "head")[seed % 2]
    offset = rng.gauss(0, spread) + (-start if first == "base" else start)
    order = "".join(rng.choice(("bh", "hb")) for _ in range(turns))

    def side(log: float) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(20e6 * math.exp(log + abs(rng.gauss(0, 0.02))) for _ in range(steps)) for _ in range(turns))

    return PairTrace(side(0.0), side(offset + math.log1p(slower)), order, first, 6.0)


TRACES = [a_pair(seed) for seed in range(60)]


# --- what a pair says ---------------------------------------------------------------------------------


@given(blocks)
def test_a_pair_is_the_median_of_its_blocks(drawn):
    base, head = [b for b, _ in drawn], [h for _, h in drawn]
    expected = statistics.median(math.log(statistics.median(h) / statistics.median(b)) for b, h in drawn)
    assert paired_log_ratio(base, head) == pytest.approx(expected, abs=1e-12)
    assert paired_log_ratio(head, base) == pytest.approx(-expected, abs=1e-9)


@given(blocks, st.randoms())
@settings(deadline=None)
def test_many_pairs_at_once_say_the_same(drawn, chance):
    order = [chance.choice(("bh", "hb")) for _ in drawn]
    turns = [(b, h) if block == "bh" else (h, b) for (b, h), block in zip(drawn, order, strict=True)]
    steps = np.array([ns for block in turns for turn in block for ns in turn])
    numbers = np.repeat(np.arange(2 * len(drawn)), [len(turn) for block in turns for turn in block])
    is_head = np.array([letter == "h" for block in order for letter in block])
    found = paired_log_ratios(np.stack([steps, steps * 3]), numbers, is_head)
    assert found == pytest.approx([paired_log_ratio([b for b, _ in drawn], [h for _, h in drawn])] * 2, abs=1e-9)


def test_a_slow_half_and_a_few_bursts_leave_it_alone():
    quiet = TRACES[0]
    said = paired_log_ratio(quiet.base_ns, quiet.head_ns)
    slow = [tuple(ns * 2 for ns in turn) if k >= 6 else turn for k, turn in enumerate(quiet.base_ns)]
    slow_too = [tuple(ns * 2 for ns in turn) if k >= 6 else turn for k, turn in enumerate(quiet.head_ns)]
    assert paired_log_ratio(slow, slow_too) == pytest.approx(said, abs=1e-12)
    hit = [tuple(ns * 3 for ns in turn) if k in (2, 7, 8) else turn for k, turn in enumerate(quiet.head_ns)]
    assert paired_log_ratio(quiet.base_ns, hit) == pytest.approx(said, abs=0.02)


@pytest.mark.parametrize(("base", "head"), [([], []), ([[1.0]], []), ([[1.0]], [[1.0], [2.0]]), ([[1.0]], [[]])])
def test_what_is_no_pair_is_refused(base, head):
    with pytest.raises(ValueError, match=r"blocks of two|no values"):
        paired_log_ratio(base, head)


def test_the_mirror_image_of_a_pair():
    trace = TRACES[0]
    image = mirrored(trace)
    assert paired_log_ratio(image.base_ns, image.head_ns) == -paired_log_ratio(trace.base_ns, trace.head_ns)
    assert image.first != trace.first
    assert all({a, b} == {"b", "h"} for a, b in zip(image.order, trace.order, strict=True))
    assert mirrored(image) == trace


# --- decisions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [1, 20])
@pytest.mark.parametrize("middle", [0.0, 0.02, 0.03, 0.06, -0.06])
def test_many_decisions_at_once_are_those_of_a_gate(middle, family):
    values = np.random.default_rng(1).standard_normal((60, 14)) * 0.012 + middle
    values[:, ::2] += 0.008
    verdicts, pairs = looks(values, POLICY, family)
    for row, verdict, count in zip(values, verdicts, pairs, strict=True):
        for n in range(1, count + 1):
            judged = judge(list(row[:n]), POLICY, family, [("base", "head")[k % 2] for k in range(n)])
            assert judged.decided == (n == count and bool(verdict))
        assert judged.verdict == OUTCOMES[verdict]


def test_the_clock_ends_a_decision_as_it_ends_a_gates():
    values = np.full((1, 14), math.log1p(0.03)) + np.random.default_rng(1).standard_normal((1, 14)) * 0.01
    took = np.full((1, 14), 10.0)
    tally = decide(values, dataclasses.replace(POLICY, seconds=90.0, least_pairs=4), seconds=took)
    assert (tally.verdicts["inconclusive"], tally.mean_pairs, tally.mean_seconds) == (1, 9.0, 90.0)
    # The least number of pairs is taken all the same.
    tally = decide(values, dataclasses.replace(POLICY, seconds=5.0, least_pairs=6), seconds=took)
    assert (tally.mean_pairs, tally.mean_seconds) == (6.0, 60.0)
    clear = decide(values * 0 + 0.5, dataclasses.replace(POLICY, seconds=90.0), seconds=took)
    assert clear.verdicts["regressed"] == 1
    assert clear.mean_seconds == 40.0


@pytest.mark.parametrize("seed", range(6))
def test_budgets_end_where_a_gate_ends_them(seed):
    """A draft, a replay and drawn decisions, on pairs that take unlike times and decide nothing."""
    rng = random.Random(seed)
    edge = [
        dataclasses.replace(a_pair(seed * 100 + k, slower=0.03, spread=0.05), seconds=rng.choice((2.0, 6.0, 30.0)))
        for k in range(14)
    ]
    policy = dataclasses.replace(POLICY, seconds=rng.choice((20.0, 60.0, 120.0)), least_pairs=rng.choice((0, 4, 6)))
    took = np.array([[trace.seconds for trace in edge]])
    values = np.array([[paired_log_ratio(trace.base_ns, trace.head_ns) for trace in edge]])
    drawn = decide(values, policy, seconds=took)
    again = replay(edge, policy)
    draft = Draft("one", {}, policy, 1)
    draft._asked = dataclasses.replace(policy, min_pairs=0)  # whose plan is as it is from the first pair on
    for trace in edge:
        draft.add(trace)
        draft.spend(trace.seconds)
        if draft.spent or draft.decided:
            break
    assert again is not None
    assert drawn.mean_pairs == len(draft.pairs)
    first = replay(edge[: len(draft.pairs)], policy)
    assert first is not None
    assert (first.decisions, first.mean_pairs) == (1, len(draft.pairs))


def test_equal_sides_stay_equal():
    tally = simulate(TRACES, POLICY, decisions=4000)
    assert tally.decisions == sum(tally.verdicts.values()) == 4000
    assert tally.share("unchanged") > 0.98
    assert tally.verdicts["regressed"] <= 4
    assert POLICY.min_pairs <= tally.mean_pairs <= POLICY.max_pairs
    assert tally.mean_seconds == pytest.approx(6.0 * tally.mean_pairs)
    assert tally.mean_seconds <= tally.most_seconds <= 6.0 * 14


def test_a_planted_slowdown_is_found_and_a_speed_up_is_no_alarm():
    assert simulate(TRACES, POLICY, effect=0.06, decisions=2000).share("regressed") > 0.98
    assert simulate(TRACES, POLICY, effect=1 / 1.06 - 1, decisions=2000).share("improved") > 0.98


def test_on_the_threshold_it_is_a_matter_of_error():
    tally = simulate(TRACES, POLICY, effect=0.03, decisions=4000)
    # What is drawn is not normal, only drawn from 60 pairs; four deviations of 4000 draws, and a half more.
    assert tally.share("regressed") < 0.025 * 1.5 + 4 * (0.025 / 4000) ** 0.5
    assert tally.share("inconclusive") > 0.85


def test_a_real_slowdown_in_the_steps_is_the_planted_one():
    slow = [a_pair(seed, slower=0.06) for seed in range(60)]
    real = simulate(slow, POLICY, decisions=2000, mirror=False)
    planted = simulate(TRACES, POLICY, effect=0.06, decisions=2000, mirror=False)
    assert real.verdicts == planted.verdicts
    # Their mirror images are as much faster: with both there is nothing to find.
    assert simulate(slow, POLICY, decisions=2000).share("regressed") < 0.5


def test_equal_seeds_draw_equal_decisions():
    assert simulate(TRACES, POLICY, decisions=300, seed=4) == simulate(TRACES, POLICY, decisions=300, seed=4)
    assert simulate(TRACES, POLICY, decisions=300, seed=4) != simulate(TRACES, POLICY, decisions=300, seed=5)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_worse_machine_makes_no_alarms(name):
    tally = simulate(TRACES, POLICY, disturbance=DISTURBANCES[name], decisions=1500)
    assert tally.share("regressed") <= 0.01
    assert tally.share("unchanged") > 0.85
    found = simulate(TRACES, POLICY, effect=0.06, disturbance=DISTURBANCES[name], decisions=1500)
    assert found.share("regressed") > 0.9


def test_where_all_were_started_in_one_order_they_are_drawn_all_the_same():
    same = [dataclasses.replace(trace, first="base") for trace in TRACES[:5]]
    assert simulate(same, POLICY, decisions=50, mirror=False).decisions == 50


def test_bad_traces_are_refused():
    with pytest.raises(ValueError, match="from 0 pairs"):
        simulate([], POLICY)
    with pytest.raises(ValueError, match="0 decisions"):
        simulate(TRACES, POLICY, decisions=0)
    wrong = dataclasses.replace(TRACES[0], order="bh")
    with pytest.raises(ValueError, match="has order 'bh'"):
        simulate([wrong], POLICY, disturbance=DISTURBANCES["drift"], decisions=10)
    with pytest.raises(ValueError, match="blocks of two"):
        simulate([dataclasses.replace(TRACES[0], head_ns=())], POLICY, decisions=10)


# --- replayed -----------------------------------------------------------------------------------------


def test_replayed_decisions_use_each_pair_once():
    found = replay(TRACES, POLICY)
    assert found is not None
    assert found.verdicts["regressed"] == 0
    assert found.decisions * POLICY.min_pairs <= len(TRACES)
    used = round(found.decisions * found.mean_pairs)
    assert len(TRACES) - POLICY.max_pairs < used <= len(TRACES)
    # By hand, the first one.
    for count in range(1, len(TRACES)):
        seen = TRACES[:count]
        judged = judge(
            [paired_log_ratio(t.base_ns, t.head_ns) for t in seen], POLICY, 1, [t.first for t in seen]
        )  # fmt: skip
        if judged.decided:
            break
    first = replay(TRACES[:count], POLICY)
    assert first is not None
    assert (first.decisions, first.verdicts[judged.verdict], first.mean_pairs) == (1, 1, count)
    assert replay(TRACES[: count - 1], POLICY) is None


def test_replayed_decisions_end_with_the_clock_and_with_the_plan():
    edge = [a_pair(seed, slower=0.03, start=0.0) for seed in range(28)]
    found = replay(edge, POLICY)
    assert found is not None
    assert found.mean_pairs == 14
    hurried = replay(edge, dataclasses.replace(POLICY, seconds=30.0, least_pairs=4))
    assert hurried is not None
    assert hurried.mean_pairs == 5


# --- a worse machine ----------------------------------------------------------------------------------

TURNS = np.repeat(np.arange(24), 4)
PLACE = np.linspace(0, 0.9, 300)


def made(**what: float) -> np.ndarray:
    found = factors(Disturbance(**what), TURNS, PLACE, 0.1, np.random.default_rng(1))  # type: ignore[arg-type]
    assert found.shape == (300, 96)
    # Steps of a turn share their luck.
    assert (found.reshape(300, 24, 4) == found[:, ::4, None]).all()
    return found[:, ::4]


def test_nothing_is_nothing():
    assert (factors(NOTHING, TURNS, PLACE, 0.1, np.random.default_rng(1)) == 1).all()


def test_bursts_are_short_and_as_many_as_asked_for():
    found = made(bursts=0.05, burst_turns=3, burst_factor=2.0)
    assert set(np.unique(found.round(12))) == {1.0, 2.0}
    # A turn is hit if a burst begins in it or in one of the two before: 1 − 0.95³, less at the very beginning.
    assert found[:, 2:].mean() - 1 == pytest.approx(1 - 0.95**3, abs=0.02)
    # Away from the end each lasts three turns.
    begins = np.argwhere((found[:, 1:20] == 2) & (found[:, :19] == 1))
    assert len(begins) > 50
    assert all((found[row, turn + 1 : turn + 4] == 2).all() for row, turn in begins)


def test_a_trend_goes_through_the_whole_decision():
    found = made(trend=0.5)
    assert (np.diff(found, axis=1) > 0).all()
    assert found[0, 0] == pytest.approx(1, abs=0.01)
    assert found[-1, -1] == pytest.approx(1.5, abs=0.01)


def test_a_drift_is_a_line_within_a_pair():
    logs = np.log(made(drift=0.1))
    steps = np.diff(logs, axis=1)
    assert steps == pytest.approx(np.repeat(steps[:, :1], 23, axis=1))
    assert (logs[:, -1] - logs[:, 0]).std() == pytest.approx(0.1, rel=0.15)


def test_noise_is_as_large_and_as_correlated_as_asked_for():
    logs = np.log(made(noise=0.05, correlation=0.7))
    assert logs.std() == pytest.approx(0.05, rel=0.05)
    assert np.corrcoef(logs[:, :-1].ravel(), logs[:, 1:].ravel())[0, 1] == pytest.approx(0.7, abs=0.05)


def test_a_slow_phase_has_one_edge():
    found = made(slow=0.5, slow_factor=2.0)
    edges = (np.diff(found, axis=1) != 0).sum(axis=1)
    assert edges.max() == 1
    assert (found.max(axis=1) == 2).mean() == pytest.approx(0.5, abs=0.1)
    # Some begin slow, some end slow.
    assert (found[:, 0] > found[:, -1]).any()
    assert (found[:, 0] < found[:, -1]).any()


@pytest.mark.parametrize("places", [(3,), (0,), (2, 5)])
def test_what_is_far_from_all_others_is_set_aside_as_the_gate_does(places):
    """Each row looked at as a gate looks at its pairs, where one or two of them lie far out."""
    random = np.random.default_rng(sum(places))
    rows = random.standard_normal((40, 20)) * 0.008
    for place in places:
        rows[:, place] += 0.15
    policy = Policy(max_pairs=20, seconds=1000.0)
    verdicts, pairs = looks(rows, policy, 1)
    set_aside = 0
    for row, verdict, count in zip(rows.tolist(), verdicts, pairs, strict=True):
        started = [("base", "head")[n % 2] for n in range(20)]
        seen = [judge(row[:n], policy, 1, started[:n]) for n in range(policy.min_pairs, 21)]
        first = next((one for one in seen if one.decided), seen[-1])
        assert (OUTCOMES[verdict], count) == (first.verdict, first.process_pairs)
        set_aside += len(first.strays)
    assert set_aside > 0
