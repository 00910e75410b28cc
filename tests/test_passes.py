from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.analyse.kernel import kernel_change
from perfsuite.analyse.passes import ROUGH, PassTimes, pass_times, rough_passes, stray_passes
from perfsuite.passes import PASSES
from perfsuite.records import Memory, Profile, Samples

NS = st.integers(1, 10**12)


def test_every_pass_is_there_in_the_order_in_which_they_run() -> None:
    assert [one.name for one in pass_times(Profile("nothing"))] == list(PASSES)
    assert not any(one.ran for one in pass_times(Profile("nothing")))


def test_timed_rounds_are_of_several_steps_each() -> None:
    timing = pass_times(Profile("x", samples=Samples((200.0, 600.0, 400.0), 2)))[0]
    assert timing == PassTimes("timing", True, 3, 2, 200.0, 100.0, 300.0)
    assert timing.spread == 2


def test_a_pass_that_ran_without_a_clock_and_its_overhead_are_kept() -> None:
    memory = pass_times(Profile("x", passes=("memory",), overhead={"memory": 0.25}))[-1]
    assert memory == PassTimes("memory", True, overhead=0.25)
    assert memory.spread is None


@given(st.lists(NS, min_size=1, max_size=9))
def test_a_pass_lies_within_its_steps(steps: list[int]) -> None:
    one = pass_times(Profile("x", walls_ns={"operators": tuple(steps)}))[2]
    assert one.shortest_ns is not None
    assert one.median_ns is not None
    assert one.longest_ns is not None
    assert one.shortest_ns <= one.median_ns <= one.longest_ns
    assert (one.spread is None) == (len(steps) < 2)


@pytest.mark.parametrize(
    ("name", "told"), [("phases", True), ("operators", True), ("primitives", True), ("memory", False)]
)
def test_only_passes_whose_shares_are_said_are_rough(name: str, told: bool) -> None:
    wild, calm = (Profile("x", walls_ns={name: (1000, int(1000 * (1 + ROUGH)) + more)}) for more in (1, 0))
    assert [one.name for one in rough_passes(wild)] == ([name] if told else [])
    assert rough_passes(calm) == ()


@given(st.lists(NS, min_size=1, max_size=9))
def test_equal_steps_as_long_as_the_timed_one_do_not_stray(steps: list[int]) -> None:
    same = Profile("x", samples=Samples((float(steps[0]),)), walls_ns={"operators": (steps[0],) * len(steps)})
    assert stray_passes(same) == ()


def test_a_mean_that_is_far_from_its_median_or_from_the_timed_step_is_told() -> None:
    walls = {"operators": (100, 100, 700), "primitives": (250, 250), "phases": (1, 999), "memory": (1, 999)}
    torn, slow = stray_passes(Profile("x", samples=Samples((100.0, 100.0)), walls_ns=walls))
    assert (torn.name, torn.mean_ns, torn.of_median, torn.of_timed) == ("operators", 300, 3, 3)
    assert (slow.name, slow.of_median, slow.of_timed) == ("primitives", 1, 2.5)
    (untimed,) = stray_passes(Profile("x", walls_ns=walls))
    assert (untimed.name, untimed.of_timed) == ("operators", None)
    assert stray_passes(Profile("x", samples=Samples((0.0,)), walls_ns={"operators": (0, 0)})) == ()


def memory(system_ns: int | None, faults: int | None) -> Memory:
    return Memory(1, 2, 1000, 1000 - (system_ns or 0), system_ns, faults)


@pytest.mark.parametrize(
    ("base", "head", "moved"),
    [
        (memory(300, 1000), memory(0, 1), True),
        (memory(0, 1), memory(300, 1000), True),
        (memory(300, 1), memory(0, 1000), False),  # the kernel did something else
        (memory(300, 1000), memory(299, 1), False),
        (memory(300, None), memory(0, 1), False),
        (memory(None, 1000), memory(0, 1), False),
        (None, memory(0, 1), False),
        (memory(300, 1000), None, False),
    ],
)
def test_page_faults_move_a_comparison_where_the_kernel_took_more_with_them(
    base: Memory | None, head: Memory | None, moved: bool
) -> None:
    change = kernel_change(base, head)
    assert (change is not None and change.by_faults) is moved
