"""What medians do not see: few steps that became slower while most did not."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.gate.estimate import mean_log_ratio
from perfsuite.gate.judge import in_words, judge
from perfsuite.gate.model import PairTrace, Policy


def minority_note(pairs: Sequence[PairTrace], policy: Policy, family: int) -> str | None:
    """A sentence where the means of steps changed surely by more than the threshold; for benchmarks that are unchanged.

    The means of the same pairs are judged as their medians are (:func:`perfsuite.gate.judge.judge`); it is told and
    decides nothing, because in means every interruption counts.
    """
    means = [mean_log_ratio(pair.base_ns, pair.head_ns) for pair in pairs]
    found = judge(means, policy, family, [pair.first for pair in pairs])
    if found.verdict not in ("regressed", "improved"):
        return None
    how = "slower" if found.verdict == "regressed" else "faster"
    return (
        f"a minority of steps is {how}: by the mean of all steps head takes {in_words(found)}, by their median, which "
        "decides, it is unchanged; if steps are of several kinds, as with accumulated gradients, put the whole cycle "
        "into the step"
    )
