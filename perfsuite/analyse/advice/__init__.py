"""Advice: the ProfileDNN method (arXiv 2206.10034) as rules over the records of a run.

A rule looks for one thing and hands out findings: what was seen, how much of the step it costs at most and how that
number was obtained, what to do, and why it might not be so.  ``docs/advise.md`` explains each.
"""

from perfsuite.analyse.advice.finding import Advice, Fact, Finding, NotChecked, Rule, Stake
from perfsuite.analyse.advice.reference import common_workloads
from perfsuite.analyse.advice.registry import LEAST_SHARE, RULES, advise
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
    "Subject",
    "advise",
    "common_workloads",
]
