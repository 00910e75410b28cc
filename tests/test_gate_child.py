"""Interrupts that wait, and where they do not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from perfsuite.gate.child import interruptible, interrupts_held


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """A shell that runs tests in the background has its children ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def stopped(block: Callable[[list[int]], None]) -> list[int]:
    """What a block did before it was interrupted."""
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        block(done)
    return done


def test_an_interrupt_waits_for_the_end_of_the_block():
    def block(done):
        with interrupts_held():
            ctrl_c()
            done.append(1)
        done.append(2)

    assert stopped(block) == [1]


def test_within_another_block_it_waits_for_the_end_of_that_one():
    def block(done):
        with interrupts_held():
            with interrupts_held():
                ctrl_c()
                done.append(1)
            done.append(2)
        done.append(3)

    assert stopped(block) == [1, 2]


def test_in_an_interruptible_part_it_acts_at_once():
    def block(done):
        with interrupts_held(), interruptible():
            ctrl_c()
            done.append(1)

    with interrupts_held():
        assert stopped(block) == []


def test_one_that_has_been_waiting_acts_where_such_a_part_begins():
    done = []
    with interrupts_held():
        ctrl_c()
        with pytest.raises(KeyboardInterrupt), interruptible():
            done.append(1)
        done.append(2)
    assert done == [2]


def test_after_such_a_part_interrupts_wait_again():
    def block(done):
        with interrupts_held():
            with interruptible():
                done.append(1)
            ctrl_c()
            done.append(2)
        done.append(3)

    assert stopped(block) == [1, 2]


def test_a_block_within_such_a_part_holds_them_until_its_own_end():
    def block(done):
        with interruptible():
            with interrupts_held():
                ctrl_c()
                done.append(1)
            done.append(2)

    with interrupts_held():
        assert stopped(block) == [1]


def test_where_nothing_is_held_such_a_part_changes_nothing():
    with pytest.raises(KeyboardInterrupt), interruptible():
        ctrl_c()


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = []
        with interrupts_held(), interruptible():
            signal.raise_signal(signal.SIGHUP)
            done.append(1)
        assert done == [1]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_are_never_interrupted():
    done = []

    def work() -> None:
        with interrupts_held(), interruptible():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert done == [1]
