"""How the steps of a pair are laid out."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from perfsuite.gate.turns import order_turns, plan_turns

SECONDS = st.floats(1e-8, 100.0)


@given(st.lists(SECONDS, min_size=1, max_size=8), st.lists(SECONDS, min_size=1, max_size=8), st.booleans())
def test_a_plan_times_every_side_long_enough_and_not_for_ever(base, head, repeatable):
    calls = [[s * 1e9 for s in side] for side in (base, head)]
    plan = plan_turns(calls, repeatable)
    assert plan.turns >= 3
    assert plan.steps >= 1
    assert 0 <= plan.dropped <= plan.steps
    assert repeatable or plan.iterations == 1
    # Symmetric: no side is treated differently because it is base.
    assert plan == plan_turns(calls[::-1], repeatable)
    step = min(sorted(side[-3:])[len(side[-3:]) // 2] for side in calls) / 1e9 * plan.iterations
    if step >= 0.2:
        assert (plan.steps, plan.dropped) == (1, 0)


def test_a_step_of_twenty_milliseconds():
    plan = plan_turns([[20e6] * 5, [21e6] * 5])
    assert (plan.steps, plan.dropped, plan.iterations) == (4, 1, 1)
    assert 0.8 < plan.turns * plan.steps * 0.02 < 1.2


def test_a_step_of_three_seconds_is_a_turn_of_its_own():
    assert plan_turns([[3e9] * 3] * 2).turns == 3


def test_a_call_of_a_microsecond_is_repeated_in_a_round():
    assert plan_turns([[1e3] * 3] * 2).iterations == 50
    assert plan_turns([[1e3] * 3] * 2, repeatable=False).iterations == 1


@given(st.integers(0, 60), st.integers())
def test_turns_come_in_blocks_of_both_sides(turns, seed):
    order = order_turns(turns, random.Random(seed))
    assert len(order) == 2 * turns
    assert all(set(order[at : at + 2]) == {"b", "h"} for at in range(0, len(order), 2))


def test_who_goes_first_in_a_block_is_left_to_chance():
    firsts = order_turns(2000, random.Random(1))[::2]
    assert 900 < firsts.count("b") < 1100


def test_a_side_that_became_a_hundred_times_slower_needs_no_hundred_steps():
    plan = plan_turns([[20e6] * 5, [2e9] * 5])
    assert plan.turns * (plan.steps + plan.dropped) * 2.02 < 10
    plan = plan_turns([[1e6] * 5, [100e6] * 5])
    assert plan.turns * (plan.steps + plan.dropped) * 0.101 < 10
