"""Few slow steps among many: no median sees them, and a note does."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from perfsuite.gate.estimate import mean_log_ratio, paired_log_ratio
from perfsuite.gate.judge import judge
from perfsuite.gate.minority import minority_note
from perfsuite.gate.model import PairTrace, Policy

POLICY = Policy()


def a_pair(number: int, optimizer: float = 1.0, spread: float = 0.005, seed: int = 1) -> PairTrace:
    """Turns of four steps, of which the last takes three times as long, on head's side ``optimizer`` times that."""
    chance = random.Random(f"{seed} {number}")
    process = {side: 1e7 * (1 + chance.gauss(0, spread)) for side in ("base", "head")}

    def turns(side: str, last: float) -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(process[side] * chance.gauss(1, spread) * weight for weight in (1, 1, 1, last)) for _ in range(12)
        )

    return PairTrace(turns("base", 3), turns("head", 3 * optimizer), "bh" * 12, ("base", "head")[number % 2], 6.0)


def test_a_slow_minority_is_told_with_its_ratio_and_what_to_do():
    pairs = [a_pair(number, 2.0) for number in range(8)]
    medians = judge([pair.log_ratio for pair in pairs], POLICY, 1, [pair.first for pair in pairs])
    assert medians.verdict == "unchanged"
    note = minority_note(pairs, POLICY, 1)
    assert note is not None
    # Six and six times three: from 6 to 9 of four steps.
    assert note.startswith("a minority of steps is slower: by the mean of all steps head takes +")
    low, high = (float(word.strip("()%+,")) for word in note.split("head takes ")[1].split()[1:4:2])
    assert 45 < low < 50 < high < 55
    assert note.endswith("put the whole cycle into the step")


def test_one_that_became_faster_is_told_as_well():
    note = minority_note([a_pair(number, 0.5) for number in range(8)], POLICY, 1)
    assert note is not None
    assert note.startswith("a minority of steps is faster: by the mean of all steps head takes -")


@pytest.mark.parametrize("seed", range(5))
def test_equal_sides_are_not_spoken_of(seed):
    assert minority_note([a_pair(number, seed=seed) for number in range(8)], POLICY, 1) is None


def test_a_change_within_the_threshold_is_none():
    pairs = [a_pair(number, 1.03, spread=0.001) for number in range(8)]
    assert minority_note(pairs, POLICY, 1) is None
    assert minority_note(pairs, replace(POLICY, threshold=0.002), 1) is not None


def test_what_one_pair_alone_says_is_not_sure():
    pairs = [a_pair(number) for number in range(6)]
    assert minority_note([*pairs, a_pair(6, 3.0)], POLICY, 1) is None


def test_the_mean_sees_what_the_median_does_not():
    base, head = ((1.0, 1.0, 1.0, 3.0),) * 3, ((1.0, 1.0, 1.0, 6.0),) * 3
    assert paired_log_ratio(base, head) == 0
    assert mean_log_ratio(base, head) == pytest.approx(0.405465, abs=1e-6)
    with pytest.raises(ValueError, match="mean of no values"):
        mean_log_ratio((), head)
