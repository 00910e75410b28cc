"""Advice: the ProfileDNN method (arXiv 2206.10034) as rules over the records of a run.

A rule looks for one thing and hands out findings: what was seen, how much of the step it costs and how that
number was obtained, what to do, and why it might not be so.  ``docs/advise.md`` explains each.
"""

from perfsuite.analyse.advice.finding import LEAST_SHARE, Advice, Fact, Finding, NotChecked, Rule, Stake, StakeKind
from perfsuite.analyse.advice.reference import common_workloads
from perfsuite.analyse.advice.registry import RULES, advise
from perfsuite.analyse.advice.subject import Subject

__all__ = [
    "LEAST_SHARE",
    "RULES",
    "Advice",
    "Fact",
    "Finding",
    "NotChecked",
    "Rule",
    "Stake",
    "StakeKind",
    "Subject",
    "advise",
    "common_workloads",
]
