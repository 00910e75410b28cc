"""The words that every face says, and the kernel's part of a step that advice and comparison share."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.analyse.advice import Stake
from perfsuite.analyse.diff import diff_profiles
from perfsuite.analyse.kernel import kernel_ns, kernel_share
from perfsuite.present import phrases
from perfsuite.present.cells import clean
from perfsuite.records import Memory, Samples
from tests.diff_profiles import op, profile
from tests.hostile import hostile_text

SLOW, FAST = (Samples(tuple(float(ns + i) for i in range(8))) for ns in (2_000_000, 1_000_000))


@pytest.mark.parametrize(
    ("stake", "said", "kind"),
    [
        (Stake(12.3e6, 0.045, "bound", "x"), "up to 12.3 ms, 4.5% of the profiled step", "upper bound"),
        (Stake(12.3e6, 0.045, "estimate", "x", "a bare step"), "about 12.3 ms, 4.5% of a bare step", "estimate"),
        (Stake(12.3e6, 0.045, "measured", "x"), "about 12.3 ms, 4.5% of the profiled step", "measured"),
        (Stake(12.3e6, None, "bound", "x"), "up to 12.3 ms", "upper bound"),
        (Stake(None, None, "unknown", "x"), "not known", "unknown"),
    ],
)
def test_only_a_bound_is_said_to_be_one(stake: Stake, said: str, kind: str) -> None:
    assert phrases.at_stake(stake) == said
    assert phrases.stake_kind(stake) == kind


def test_code_in_a_text_is_told_from_words() -> None:
    assert list(phrases.parted("use `a(b)`; or `c`")) == [
        (False, "use "),
        (True, "a(b)"),
        (False, "; or "),
        (True, "c"),
    ]
    assert list(phrases.parted("a name` from a log")) == [(False, "a name` from a log")]
    assert list(phrases.parted("`x` and ` alone")) == [(True, "x"), (False, " and ` alone")]


@given(hostile_text | st.text(alphabet="ab `\n\x1b"))
def test_no_part_of_a_text_is_lost_and_all_are_clean(text: str) -> None:
    parts = list(phrases.parted(text))
    assert "".join(part for _, part in parts).replace("`", "") == clean(text).replace("`", "")
    assert all(part and "`" not in part for is_code, part in parts if is_code)


def test_a_change_has_a_sign_and_a_unit() -> None:
    assert [phrases.signed(ns) for ns in (1.2e6, 0.0, -1.2e6)] == ["+1.20 ms", "0 ns", "−1.20 ms"]


def test_the_culprit_is_the_first_row_that_changed_as_the_timed_step_did() -> None:
    slower, faster = (
        profile([op("aten::mm", times=(mm, mm + 9, mm - 9)), op("aten::exp", times=(exp, exp + 9, exp - 9))])
        for mm, exp in ((60_000, 90_000), (20_000, 99_000))
    )
    rows = diff_profiles(replace(slower, samples=SLOW), replace(faster, samples=FAST))
    assert (rows.wall.claim, rows.culprits) == ("faster", 2)
    assert rows.culprit is not None
    assert rows.culprit.name == "aten::mm"
    back = diff_profiles(replace(slower, samples=FAST), replace(faster, samples=SLOW))
    assert (back.wall.claim, back.culprit and back.culprit.name) == ("slower", "aten::exp")
    assert phrases.culprit_of(back).startswith("aten::exp")
    untimed = diff_profiles(replace(slower, samples=None), replace(faster, samples=None))
    assert (untimed.wall.claim, untimed.culprit and untimed.culprit.name) == ("unknown", "aten::mm")
    gone = diff_profiles(*(replace(one, samples=two) for one, two in ((slower, FAST), (faster, SLOW))))
    assert replace(gone, culprits=1).culprit is None
    assert phrases.culprit_of(replace(gone, culprits=1)) == "no row changed beyond its interval that way"
    none = diff_profiles(replace(slower, samples=FAST), replace(slower, samples=FAST))
    assert none.culprit is None
    assert phrases.culprit_of(none) == "no row changed beyond its interval"
    assert phrases.changed_rows(none) == phrases.NO_ROW


@pytest.mark.parametrize(
    ("wall", "user", "system", "ns"),
    [
        (1000, 750, 250, 250),
        (2000, 750, 250, 250),  # it waited for half of the time
        (500, 750, 250, 125),  # two threads
        (0, 750, 250, None),
        (1000, 0, 0, None),
        (1000, None, 250, None),
    ],
)
def test_the_kernel_holds_a_step_up_by_its_part_of_the_cpu_time(
    wall: int, user: int | None, system: int, ns: float | None
) -> None:
    memory = Memory(0, None, wall, user, system, 0)
    assert kernel_ns(memory) == ns
    assert kernel_share(memory) == (None if ns is None else ns / wall)
    assert kernel_share(None) is None
