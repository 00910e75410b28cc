from __future__ import annotations

import pytest

from perfsuite.capture import phases
from perfsuite.capture.phases import NOTHING, PhaseRecorder
from perfsuite.errors import UsageError


class FakeClock:
    def __init__(self, monkeypatch):
        self.now = 0
        monkeypatch.setattr(phases.time, "perf_counter_ns", lambda: self.now)

    def sleep(self, ns: int) -> None:
        self.now += ns


@pytest.fixture
def clock(monkeypatch):
    return FakeClock(monkeypatch)


def test_while_timing_every_phase_is_the_same_object_that_does_nothing():
    recorder = PhaseRecorder()
    assert recorder.phase("forward") is NOTHING
    with recorder.phase("forward"):
        pass
    assert recorder.take() == {}


def test_phases_are_clocked_and_a_phase_entered_twice_adds_up(clock):
    recorder = PhaseRecorder()
    with recorder.clocked():
        for ns in (5, 7):
            with recorder.phase("forward"):
                clock.sleep(ns)
        with recorder.phase("backward"):
            clock.sleep(3)
        assert recorder.take() == {"forward": 12, "backward": 3}
        assert recorder.take() == {}


def test_a_nested_phase_is_not_counted_in_the_outer_one(clock):
    recorder = PhaseRecorder()
    with recorder.clocked(), recorder.phase("forward"):
        clock.sleep(10)
        with recorder.phase("loss"):
            clock.sleep(4)
        clock.sleep(1)
    times = recorder.take()
    assert list(times.items()) == [("forward", 11), ("loss", 4)]


def test_a_phase_that_raises_leaves_nothing_open(clock):
    recorder = PhaseRecorder()
    with recorder.clocked():
        with pytest.raises(RuntimeError), recorder.phase("forward"):
            raise RuntimeError
        recorder.take()
        with recorder.phase("loss"):
            clock.sleep(2)
        assert recorder.take() == {"loss": 2}


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_name_that_is_none_is_refused(name):
    recorder = PhaseRecorder()
    with recorder.clocked(), pytest.raises(UsageError, match="phase name"):
        recorder.phase(name)


def test_modes_are_left_as_they_were_found():
    recorder = PhaseRecorder()
    with recorder.clocked():
        outer = recorder.phase("a")
        with recorder.ranges(lambda name: NOTHING):
            assert recorder.phase("a") is NOTHING
        assert type(recorder.phase("a")) is type(outer)
    assert recorder.phase("a") is NOTHING


def test_a_phase_on_another_thread_is_not_the_steps(clock):
    import threading

    recorder = PhaseRecorder()
    with recorder.clocked(), recorder.phase("forward"):
        clock.sleep(2)

        def elsewhere():
            with recorder.phase("data"):
                clock.sleep(3)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert recorder.take() == {"forward": 5}
