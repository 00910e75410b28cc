"""What the scripts of benchmarks/reach conclude from what they measured."""

from __future__ import annotations

import pytest

from benchmarks.reach.common import MISSED, REACHED, UNSETTLED, Finding, conclude

STEADY = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)


@pytest.mark.parametrize(
    ("samples", "high", "low", "outcome"),
    [
        (STEADY, 1.5, None, REACHED),
        (STEADY, 1.4, None, UNSETTLED),
        (STEADY, 0.9, None, MISSED),
        (STEADY, 2.0, 1.0, REACHED),
        (STEADY, 2.0, 1.6, MISSED),
        (STEADY[:5], 9.0, None, UNSETTLED),
    ],
)
def test_the_whole_interval_must_lie_within_the_target(samples, high, low, outcome):
    assert Finding("a step", "s", samples, high, low).outcome == outcome


@pytest.mark.parametrize(("size", "outcome"), [(2.9, REACHED), (3.0, REACHED), (3.1, MISSED)])
def test_what_is_counted_needs_no_interval(size, outcome):
    found = Finding("its page", "MB", [size], high=3.0, exact=True)
    assert found.outcome == outcome
    assert found.interval == (size, size)
    assert "(exact)" in str(found)
    assert "interval" not in str(found)


def test_the_worst_outcome_is_the_exit_status(capsys):
    reached = Finding("a", "s", STEADY, 2.0)
    unsettled = Finding("b", "s", STEADY, 1.2)
    missed = Finding("c", "MB", [3.1], 3.0, exact=True)
    assert conclude([reached], {"a": (1.25, "s")}, as_json=False) == REACHED
    assert conclude([reached, unsettled], {}, as_json=False) == UNSETTLED
    assert conclude([unsettled, missed, reached], {}, as_json=True) == MISSED
    assert '"exact": true' in capsys.readouterr().out
