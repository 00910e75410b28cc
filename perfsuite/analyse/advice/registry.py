"""All rules, and what they say together."""

from __future__ import annotations

from perfsuite.analyse.advice.elementwise import ElementwiseChains, Fragmented
from perfsuite.analyse.advice.finding import LEAST_SHARE, Advice, Finding, NotChecked, Rule
from perfsuite.analyse.advice.frozen import FrozenBackward, FrozenBatchNorm
from perfsuite.analyse.advice.interpreter import PythonBound
from perfsuite.analyse.advice.kernels import Bfloat16, SlowImplementation
from perfsuite.analyse.advice.layouts import Reorders, WeightReorders
from perfsuite.analyse.advice.losses import LossPrecision, LossShare
from perfsuite.analyse.advice.machine import LoaderBound, PageFaults, Threads
from perfsuite.analyse.advice.optimizer import OptimizerLoop
from perfsuite.analyse.advice.reference import Reference
from perfsuite.analyse.advice.stakes import applied, without_doubles
from perfsuite.analyse.advice.subject import Subject

#: In the order in which they are listed where their findings have the same stake.
RULES: tuple[Rule, ...] = (
    FrozenBackward(),
    FrozenBatchNorm(),
    Reorders(),
    WeightReorders(),
    SlowImplementation(),
    ElementwiseChains(),
    Fragmented(),
    PythonBound(),
    OptimizerLoop(),
    LossShare(),
    LossPrecision(),
    LoaderBound(),
    PageFaults(),
    Threads(),
    Bfloat16(),
    Reference(),
)


def advise(subject: Subject) -> Advice:
    """What the rules find in one workload, in the order to mend it.

    First what distorts the other findings (:attr:`Finding.first`), then the largest share of its step, then what has
    an unknown stake, last what is a part of another finding (:attr:`Finding.part_of`).
    """
    findings: list[Finding] = []
    silent: list[str] = []
    not_checked: list[NotChecked] = []
    for rule in RULES:
        missing = next((why for why in map(subject.lacks, rule.needs) if why is not None), None)
        found = NotChecked(rule.name, missing) if missing is not None else rule.check(subject)
        if isinstance(found, NotChecked):
            not_checked.append(found)
            continue
        worth = [one for one in found if one.stake.share is None or one.stake.share >= LEAST_SHARE]
        findings += worth
        if not worth:
            silent.append(rule.name)
    told = [applied(subject, one) for one in without_doubles(subject, findings)]
    return Advice(subject.profile.name, tuple(sorted(told, key=_rank)), tuple(silent), tuple(not_checked))


def _rank(one: Finding) -> tuple[bool, bool, float]:
    # By share and not by time: a stake without a share is in time of its own pass.
    return (one.first is None, one.part_of is not None, 1.0 if one.stake.share is None else -one.stake.share)
