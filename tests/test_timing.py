from __future__ import annotations

from itertools import chain, repeat

from perfsuite.capture.step import Step
from perfsuite.capture.timing import MAX_CALLS, time_steps, warm_up


class FakeStep:
    """Calls take the given times on a clock that only they move."""

    def __init__(self, *durations_ms: float, then: float):
        self._durations = chain(durations_ms, repeat(then))
        self.now = 0

    def __call__(self) -> None:
        self.now += int(next(self._durations) * 1e6)

    def clock(self) -> int:
        return self.now


def test_warm_up_goes_on_while_the_step_gets_faster():
    step = FakeStep(1000, 50, 10, 5, then=2)
    warmed = warm_up(Step(step), step.clock)
    assert warmed.settled
    assert warmed.calls_ns[-3:] == (2_000_000, 2_000_000, 2_000_000)


def test_a_cold_first_call_alone_takes_four_more():
    step = FakeStep(1000, then=2)
    assert len(warm_up(Step(step), step.clock).calls_ns) == 5


def test_noise_above_the_best_time_does_not_prolong_it():
    step = FakeStep(100, 10, 14, 10, 30, 11, then=10)
    assert len(warm_up(Step(step), step.clock).calls_ns) <= 6


def test_a_step_that_never_settles_is_said_to_be_so():
    durations = [1000 * 0.9**i for i in range(500)]
    step = FakeStep(*[d / 100 for d in durations], then=0)
    warmed = warm_up(Step(step), step.clock)
    assert not warmed.settled
    assert len(warmed.calls_ns) == MAX_CALLS


def test_a_very_long_step_is_called_twice():
    step = FakeStep(then=20_000)
    warmed = warm_up(Step(step), step.clock)
    assert len(warmed.calls_ns) == 2
    assert not warmed.settled


def test_a_first_call_that_compiles_for_a_minute_is_warmed_up_all_the_same():
    step = FakeStep(60_000, then=2)
    warmed = warm_up(Step(step), step.clock)
    assert warmed.settled
    assert warmed.calls_ns[-1] == 2_000_000


def test_rounds_go_on_for_the_time_and_at_least_for_the_number():
    short = FakeStep(then=100)
    assert len(time_steps(Step(short), clock=short.clock).rounds_ns) == 10
    long = FakeStep(then=5000)
    assert len(time_steps(Step(long), clock=long.clock).rounds_ns) == 6


def test_a_call_that_is_short_for_the_clock_is_repeated_within_a_round():
    step = FakeStep(then=0.001)
    samples = time_steps(Step(step), max_seconds=0.01, clock=step.clock)
    assert samples.iterations == 100
    assert set(samples.per_step_ns) == {1000}
    assert len(samples.rounds_ns) == 100
    set_up = FakeStep(then=0.001)
    assert time_steps(Step(set_up, setup=lambda: None), max_seconds=1e-5, clock=set_up.clock).iterations == 1


def test_set_up_and_teardown_are_not_timed():
    step = FakeStep(then=10)

    def slow(*args):
        step.now += 10**9

    warmed = warm_up(Step(step, setup=slow, teardown=slow), step.clock)
    assert set(warmed.calls_ns) == {10_000_000}
