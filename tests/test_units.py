"""Numbers in words."""

from __future__ import annotations

import math

import pytest

from perfsuite import units


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (5.04e11, "504 GFLOP/s"),
        (1.97e12, "1.97 TFLOP/s"),
        (999.9e9, "1.00 TFLOP/s"),
        (12, "12 FLOP/s"),
        (0, "0 FLOP/s"),
    ],
)
def test_an_amount_has_the_prefix_that_suits_it(amount, text):
    assert units.format_amount(amount, "FLOP/s") == text


def test_what_is_not_known_is_no_amount():
    assert units.format_amount(None, "B/s") == units.format_amount(math.nan, "B/s") == units.MISSING


def test_one_is_singular():
    assert [units.counted(count, "row") for count in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert units.counted(2, "entry", "entries") == "2 entries"


def test_the_first_of_many_names():
    assert units.some(["a", "b"], 2) == "a, b"
    assert units.some(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert units.some([], 2) == ""
