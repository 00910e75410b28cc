"""Pairs of real workers, and what they notice of the steps that they time."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import pytest

from perfsuite.gate import pair as pair_module
from perfsuite.gate.answers import Collected, SuspendedError
from perfsuite.gate.growth import growth
from perfsuite.gate.model import SIDES
from perfsuite.gate.pair import Pair
from perfsuite.gate.worker import EndedError, Runnable

MIB = 1 << 20


@pytest.mark.parametrize(
    ("rss", "said"),
    [
        ([100 * MIB] * 12, None),
        ([100 * MIB + n * MIB for n in range(12)], None),
        ([100 * MIB + 8 * n * MIB for n in range(12)], "grew by 88 MiB"),
        ([4000 * MIB + 3 * n * MIB for n in range(12)], None),
        # What only fills up at first, or jumps once and comes back, is no leak.
        ([100 * MIB] + [500 * MIB] * 11, None),
        ([100 * MIB] * 5 + [900 * MIB] + [100 * MIB] * 6, None),
        ([100 * MIB, 900 * MIB], None),
        ([], None),
    ],
)
def test_growth(rss, said):
    found = growth("head", rss)
    assert (found is None) if said is None else said in found


@pytest.fixture
def start(tmp_path):
    pairs = []

    def started(head: str) -> Pair:
        for side, body in (("base", "profiled(time.sleep, 0.004)"), ("head", head)):
            (tmp_path / side).mkdir()
            (tmp_path / side / "test_it.py").write_text(
                "import time\nkept = []\ndef test_it(profiled):\n    " + body.replace("\n", "\n    ") + "\n"
            )
        runnables = {side: Runnable(side, sys.executable, tmp_path / side, os.environ) for side in SIDES}
        pair = Pair(runnables, {side: ["test_it.py"] for side in SIDES}, "head", 120, random.Random(1))
        pairs.append(pair)
        found = pair.collect({side: [] for side in SIDES}, [tmp_path / side for side in SIDES])
        assert all(isinstance(found[side], Collected) for side in SIDES), found
        pair.run({side: ["test_it.py::test_it"] for side in SIDES})
        return pair

    yield started
    for pair in pairs:
        pair.close()


def test_a_pair_is_timed_and_profiled(start, tmp_path):
    pair = start("profiled(time.sleep, 0.008)")
    ready = pair.begin()
    assert {Path(path).parent.name for side in SIDES for path in ready.loaded[side]} == set(SIDES)
    trace, noticed = pair.time(ready)
    assert noticed == ()
    assert trace.first == "head"
    assert trace.order.count("b") == trace.order.count("h") == ready.plan.turns == len(trace.base_ns)
    assert {len(turn) for turn in (*trace.base_ns, *trace.head_ns)} == {ready.plan.steps}
    assert trace.log_ratio > 0.3
    profiles = pair.profile(ready)
    assert all(profiles[side].ledger is not None for side in SIDES)
    assert pair.environments()["base"].perfsuite is not None
    assert pair.finish() == {}
    pair.part()


def test_a_step_that_keeps_memory_is_named(start):
    pair = start("profiled(lambda: (time.sleep(0.004), kept.append(bytearray(b'x') * (1 << 20))))")
    _, noticed = pair.time(pair.begin())
    assert len(noticed) == 1
    assert noticed[0].startswith("head's process grew by ")
    assert "leak" in noticed[0]


def test_a_step_that_fails_later_ends_the_benchmark_on_both_sides(start):
    pair = start(
        # More calls than any warm-up has, and fewer than a pair.
        "def step():\n    kept.append(time.sleep(0.004))\n    assert len(kept) < 120, 'worn out'\nprofiled(step)"
    )
    ready = pair.begin()
    with pytest.raises(EndedError) as caught:
        pair.time(ready)
    assert (caught.value.side, caught.value.outcome) == ("head", "failed")
    assert "worn out" in caught.value.why
    assert pair.finish() == {}
    pair.part()


def test_a_machine_that_was_suspended_has_no_times(start, monkeypatch):
    pair = start("profiled(time.sleep, 0.004)")
    ready = pair.begin()
    really = pair_module.suspended_ns
    monkeypatch.setattr(pair_module, "suspended_ns", lambda: really() + 5_000_000_000)
    with pytest.raises(SuspendedError):
        pair.time(ready)
    with pytest.raises(SuspendedError):
        pair.profile(ready)
    assert pair.finish() == {}
    pair.part()


def test_a_pedantic_without_warm_up_is_said_to_be_warmed_up_all_the_same(start):
    pair = start("profiled.pedantic(time.sleep, (0.004,), warmup_rounds=0)")
    assert [note for note in pair.begin().notes if "cold steps (warmup_rounds=0)" in note]


def test_an_interrupt_while_a_worker_starts_leaves_none_behind(monkeypatch):
    made, closed = [], []

    class Starting:
        def __init__(self, runnable, paths, timeout):
            signal.raise_signal(signal.SIGINT)  # where the process runs and nobody has it yet
            made.append(self)

        def close(self, grace=0.0):
            closed.append(self)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(pair_module, "Worker", Starting)
        runnables = {side: Runnable(side, "python", Path(), {}) for side in SIDES}
        with pytest.raises(KeyboardInterrupt):
            Pair(runnables, {side: ["."] for side in SIDES}, "base", 1, random.Random(1))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(made) == 1
    assert closed == made


def test_an_interrupt_does_not_keep_the_second_worker_from_being_closed(monkeypatch):
    closed = []

    class Closing:
        def __init__(self, runnable, paths, timeout):
            self.side = runnable.name

        def close(self, grace=0.0):
            signal.raise_signal(signal.SIGINT)
            closed.append(self.side)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(pair_module, "Worker", Closing)
        runnables = {side: Runnable(side, "python", Path(), {}) for side in SIDES}
        pair = Pair(runnables, {side: ["."] for side in SIDES}, "base", 1, random.Random(1))
        with pytest.raises(KeyboardInterrupt):
            pair.close()
    finally:
        signal.signal(signal.SIGINT, before)
    assert closed == ["base", "head"]
