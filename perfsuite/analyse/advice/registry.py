"""All rules, and what they say together."""

from __future__ import annotations

from perfsuite.analyse.advice.elementwise import ElementwiseChains, Fragmented
from perfsuite.analyse.advice.finding import Advice, Finding, NotChecked, Rule
from perfsuite.analyse.advice.frozen import FrozenBackward, FrozenBatchNorm
from perfsuite.analyse.advice.interpreter import PythonBound
from perfsuite.analyse.advice.kernels import Bfloat16, SlowImplementation
from perfsuite.analyse.advice.layouts import Reorders, WeightReorders
from perfsuite.analyse.advice.losses import LossPrecision, LossShare
from perfsuite.analyse.advice.machine import LoaderBound, PageFaults, Threads
from perfsuite.analyse.advice.optimizer import OptimizerLoop
from perfsuite.analyse.advice.reference import Reference
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
#: Two processes of the same code differ by up to a per cent even in quiet surroundings: less could not be seen.
LEAST_SHARE = 0.01


def advise(subject: Subject) -> Advice:
    """What the rules find in one workload: the largest stake first, those whose stake is not known last."""
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
    # By share and not by time: passes are minutes apart and each has a step of its own.
    findings.sort(key=lambda one: -1.0 if one.stake.share is None else one.stake.share, reverse=True)
    return Advice(subject.profile.name, tuple(findings), tuple(silent), tuple(not_checked))
