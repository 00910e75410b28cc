"""How the optimizer updates the parameters."""

from __future__ import annotations

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import Subject, dims, plain_name, ranked

#: What updates are made of, in place or not.
_STEPS = frozenset({"add", "sub", "mul", "div", "sqrt", "addcmul", "addcdiv", "lerp", "maximum", "pow", "sign"})
#: Fewer calls are no loop worth fusing.
LOOP = 20
#: Below this it hardly matters what an update is made of.
OPTIMIZER_SHARE = 0.02


class OptimizerLoop:
    """An optimizer that updates parameter by parameter where PyTorch has one fused kernel."""

    name = "optimizer-loop"
    needs = ("operators", "phase optimizer")

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Elementwise calls in the phase optimizer, several for each parameter; none where a fused kernel runs."""
        rows = subject.in_phase("optimizer")
        if any(plain_name(row).startswith("_fused_") for row in rows):
            return ()
        # On the CPU foreach operators call the ordinary ones tensor by tensor, so these are there either way.
        loop = [row for row in rows if plain_name(row) in _STEPS and dims(row, 0) and row.count]
        calls = sum(row.count for row in loop)
        if calls < LOOP:
            return ()
        foreach = any(plain_name(row).startswith("_foreach_") for row in rows)
        python = [row for row in subject.profile.python if row.phase == "optimizer"]
        whole = subject.cost(rows, python)
        by_name = ranked(loop, plain_name, subject.cost, None)
        # A fused update must at least move what the widest of its operators moves.
        longest = by_name[0][1].ns
        stake = whole.times(max(0.0, 1 - longest / whole.ns)) if whole.ns else whole
        if stake.share is None or stake.share < OPTIMIZER_SHARE:
            return ()
        kind, fused = _family({plain_name(row) for row in loop})
        facts = [
            Fact(f"aten::{plain_name(found[0])}, tensor by tensor", sum(row.count for row in found), spent.ns)
            for found, spent in by_name[:5]
        ]
        counted = set(map(id, loop))
        others = [row for row in rows if id(row) not in counted]
        facts.append(Fact("other operators", sum(row.count for row in others), subject.cost(others).ns))
        facts.append(Fact("Python in the phase optimizer", None, subject.cost(python=python).ns))
        title = (
            "foreach still loops over the parameters on the CPU" if foreach else "the optimizer loops over parameters"
        )
        return (
            Finding(
                self.name,
                f"{title}, an operator at a time",
                tuple(facts),
                Stake(
                    stake.ns,
                    stake.share,
                    "estimate",
                    "the phase optimizer, less the longest of its operators, whose data a fused "
                    "update has to move as well",
                ),
                fused,
                f"told by its operators, which are those of {kind}",
            ),
        )


def _family(names: set[str]) -> tuple[str, str]:
    """What kind of optimizer has these operators, and how to fuse it."""
    if names >= {"addcdiv", "sqrt", "div"}:
        return "Adam", "pass `fused=True` (Adam and AdamW have a fused CPU kernel): `torch.optim.Adam(…, fused=True)`"
    if "addcdiv" in names and not names & {"mul", "lerp", "div"}:
        return "Adagrad", "pass `fused=True`: `torch.optim.Adagrad(…, fused=True)`"
    if names <= {"add", "mul", "sub"}:
        return "SGD", "pass `fused=True` (SGD has a fused CPU kernel): `torch.optim.SGD(…, fused=True)`"
    return "an optimizer of its own", "compile its update: `torch.compile(optimizer.step)`"
