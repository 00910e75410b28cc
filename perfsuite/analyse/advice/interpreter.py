"""Time that no operator took: Python's, and what lies outside of what was recorded."""

from __future__ import annotations

from perfsuite.analyse.advice.elementwise import SHORT_NS, Fragmented
from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import Subject
from perfsuite.records import PythonTime

#: Every step has some Python, and a small one much of it; from here on it rules the step.
PYTHON_SHARE = 0.30
#: Clocks differ by far less; what is beyond was done outside of all phases.
UNATTRIBUTED_SHARE = 0.10
#: Where it is no more than what leads from one operator to the next: then the step is only small.
_SMALL = "give each call more work (a larger batch, `torch.compile`); then "
_LOOK = (
    "see what Python does in the first of these ranges (`py-spy record`, or `cProfile` around it): waiting, loading or "
    "converting data, logging, `.item()` in a loop; move it out of the step, or do it less often"
)
#: Rows of evidence.
_SHOWN = 5


class PythonBound:
    """A step that runs Python, or what nobody recorded, for a large part of its time."""

    name = "python-bound"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Python from 30 % of the step where short operators do not explain it; unattributed time from 10 %."""
        return (*self._python(subject), *self._unattributed(subject))

    def _python(self, subject: Subject) -> tuple[Finding, ...]:
        # Waiting for data has a rule of its own, where that can look.
        waits = subject.lacks("phases") is None and subject.lacks("phase data") is None
        rows = [row for row in subject.profile.python if not (waits and row.phase == "data")]
        cost = subject.cost(python=rows)
        if cost.share is None or cost.share < PYTHON_SHARE:
            return ()
        of_calls = cost.ns <= SHORT_NS * sum(row.count for row in subject.profile.operators)
        if of_calls and Fragmented().check(subject):
            return ()
        dearest = sorted(rows, key=lambda row: -subject.cost(python=[row]).ns)
        facts = [_fact(subject, [row], _where(row)) for row in dearest[:_SHOWN]]
        if len(dearest) > _SHOWN:
            facts.append(_fact(subject, dearest[_SHOWN:], f"{len(dearest) - _SHOWN} more such ranges"))
        return (
            Finding(
                self.name,
                f"Python outside of operators takes {cost.share:.0%} of the profiled step",
                tuple(facts),
                Stake(cost.ns, cost.share, "bound", "self time of ranges that are not operators"),
                (_SMALL if of_calls else "") + _LOOK,
                "some of it is what the framework needs for each call, and the profiler adds to that",
            ),
        )

    def _unattributed(self, subject: Subject) -> tuple[Finding, ...]:
        ledger = subject.profile.ledger
        if ledger is None or ledger.wall_ns <= 0:
            return ()
        share = ledger.unattributed_ns / ledger.wall_ns
        if share < UNATTRIBUTED_SHARE:
            return ()
        return (
            Finding(
                self.name,
                f"{share:.0%} of the profiled step lies outside of what was recorded",
                (Fact("outside of all phases, or not seen by the profiler", None, ledger.unattributed_ns, share),),
                Stake(ledger.unattributed_ns, share, "bound", "the step less operators and Python"),
                "mark the rest of the step with `profiled.phase` (data, logging, metrics), or look with py-spy or "
                "cProfile at what runs between the phases",
                "it may be work that the step needs and that only lacks a name",
            ),
        )


def _where(row: PythonTime) -> str:
    return f"{row.kind} range of {row.module or 'no module'}, {row.phase or 'no phase'}"


def _fact(subject: Subject, rows: list[PythonTime], text: str) -> Fact:
    cost = subject.cost(python=rows)
    return Fact(text, sum(row.count for row in rows), cost.ns, cost.share)
