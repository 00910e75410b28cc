"""When a benchmark's budget ends: one rule for gates and for what is simulated of them."""

from __future__ import annotations

from typing import Any

from perfsuite.gate.model import Policy


def is_spent(policy: Policy, taken: Any, another: Any, pairs: Any) -> Any:
    """Whether another pair would not end within the budget; the policy's fewest pairs are taken all the same.

    Args:
        policy: with the budget.
        taken: the seconds that the benchmark has taken; a number, or an array of many benchmarks', as the other two.
        another: those that one more pair would take: the median of the pairs so far.
        pairs: how many there were, those that came to nothing among them.

    Returns:
        A truth value, or an array of them.
    """
    return (taken + another > policy.seconds) & (pairs >= policy.least_pairs)
