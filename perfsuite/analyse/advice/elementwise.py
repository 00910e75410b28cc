"""Operators that do little work each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import (
    Cost,
    Subject,
    grouped,
    largest,
    named,
    plain_name,
    ranked,
    written,
)
from perfsuite.records import Operator

_FORWARD = (
    "add sub mul div neg abs exp expm1 log log1p log2 sqrt rsqrt pow sigmoid tanh clamp clamp_min clamp_max "
    "where lerp addcmul addcdiv gelu silu elu hardtanh leaky_relu hardswish hardsigmoid softplus maximum minimum eq ne "
    "lt le gt ge reciprocal logical_and logical_not bitwise_and bitwise_not masked_fill log_sigmoid_forward sin cos erf"
)
_BACKWARD = "threshold sigmoid tanh gelu silu elu hardtanh leaky_relu hardswish hardsigmoid softplus log_sigmoid"
#: Operators that read each element once and write it once, without the mark of in-place variants.  Those that only
#: call another one (relu calls clamp_min) are left out.
ELEMENTWISE = frozenset(_FORWARD.split()) | {f"{name}_backward" for name in _BACKWARD.split()}
#: Fewer are what layers are made of: a residual's addition and its ReLU.
CHAIN = 3
#: Elements from which on the time is memory's and not the call's: 256 KiB of float32, beyond a first-level cache.
LARGE = 2**16
#: Merging less is not worth a kernel.
CHAINS_SHARE = 0.02

_FORWARD_PHASES = ("forward", "loss")
#: Why a place is left out.
_UNTOLD = "forward and backward cannot be told apart there: mark phases with profiled.step or profiled.phase"

#: An operator call costs a few microseconds of dispatch; below this they are a good part of it.
SHORT_NS = 20_000
#: Fewer operators than this are soon counted; a step of hundreds is fragmented.
MANY = 200
#: Every step has some Python and some short operators, under the profiler up to a fifth; beyond this they rule it.
FRAGMENTED_SHARE = 0.30


class ElementwiseChains:
    """Elementwise operators that pass over the same tensor again and again."""

    name = "elementwise-chain"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Three and more elementwise operators of one module, phase and shape, on tensors beyond the cache."""
        chains, untold = [], []
        working = subject.own_work(filter(_counts, subject.profile.operators))
        for place in grouped(working, _place).values():
            # Backward runs long after forward: both together are never one kernel.
            found, rest = _split(place) if _mixed(subject, place) else (place, [])
            if _is_chain(found):
                chains.append((found, _saved(subject, found)))
            if rest and _is_chain(place):
                untold += rest
        unknown = subject.cost(untold)
        if unknown.share is not None and unknown.share < CHAINS_SHARE:
            untold = []
        finding = self._finding(subject, chains, untold)
        if finding is not None:
            return (finding,)
        names = named((plain_name(row) for row in untold), 6)
        return NotChecked(self.name, f"{names}: {_UNTOLD}") if untold else ()

    def _finding(
        self, subject: Subject, chains: list[tuple[list[Operator], Cost]], untold: Sequence[Operator]
    ) -> Finding | None:
        """None if the chains cost less than would be seen."""
        chains = sorted(chains, key=lambda chain: -chain[1].ns)
        everything = [row for found, _ in chains for row in found]
        one_pass = sum(subject.cost(found).ns - saved.ns for found, saved in chains)
        whole = subject.cost(everything)
        stake = whole.times(max(0.0, 1 - one_pass / whole.ns)) if whole.ns else whole
        if not chains or (stake.share is not None and stake.share < CHAINS_SHARE):
            return None
        facts = [self._fact(subject, found) for found, _ in chains[:4]]
        if len(chains) > 4:
            rest = [row for found, _ in chains[4:] for row in found]
            facts.append(
                Fact(f"{len(chains) - 4} more such places", sum(row.count for row in rest), subject.cost(rest).ns)
            )
        if untold:
            facts.append(Fact(f"not counted, {_UNTOLD}", sum(row.count for row in untold), subject.cost(untold).ns))
        return Finding(
            self.name,
            "elementwise operators pass over the same tensors again and again",
            tuple(facts),
            Stake(
                stake.ns,
                stake.share,
                "estimate",
                "self time of these operators, less one pass by the cheapest of each place",
            ),
            "`torch.compile` the function they are in (the loss, the block), or write it as one fused kernel",
            "taken together by module, phase and shape: the order in which they ran is not recorded",
            rows=subject.indices(everything),
        )

    @staticmethod
    def _fact(subject: Subject, found: Sequence[Operator]) -> Fact:
        names = [plain_name(row) for row in sorted(found, key=lambda row: -row.self_ns)]
        where = f"{found[0].module or 'no module'}, {found[0].phase or 'no phase'}"
        text = f"{written(largest(found[0]))} in {where}: {named(names, 6)}"
        return Fact(text, sum(row.count for row in found), subject.cost(found).ns)


class Fragmented:
    """A step of very many very short operators."""

    name = "fragmented"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """Operators under 20 µs a call, and Python, as a large part of the step."""
        # By their own time: one that only calls others is short whatever those take.
        operators = subject.profile.operators
        rows = [row for row in operators if row.count and subject.cost([row]).ns / row.count < SHORT_NS]
        calls = sum(row.count for row in rows)
        cost = subject.cost(rows, subject.profile.python)
        if calls < MANY or cost.share is None or cost.share < FRAGMENTED_SHARE:
            return ()
        facts = [
            Fact(
                f"operators under {SHORT_NS // 1000} µs a call, phase {found[0].phase or '(none)'}",
                sum(row.count for row in found),
                spent.ns,
            )
            for found, spent in ranked(rows, lambda row: row.phase, subject.cost)
        ]
        python = subject.cost(python=subject.profile.python)
        facts.append(Fact("Python and framework outside operators", None, python.ns, python.share))
        overhead = subject.profile.overhead.get("operators")
        slower = f"; the profiled step took {overhead:+.0%} against the timed one" if overhead is not None else ""
        return (
            Finding(
                self.name,
                "the step is made of very many very short operators",
                tuple(facts),
                Stake(cost.ns, cost.share, "bound", "self time of short operators and Python time"),
                "give each call more work: a larger batch, `torch.compile`, fused modules (`nn.LSTM` instead of cells "
                "in a loop), foreach or fused optimizers",
                f"the profiler itself adds about a microsecond to each call{slower}",
            ),
        )


def _counts(row: Operator) -> bool:
    if plain_name(row) not in ELEMENTWISE or not row.count or row.phase == "optimizer":
        return False
    # Gradients of branches are summed by autograd between the layers, where nothing can be merged.
    summed = row.phase == "backward" and row.module is None and plain_name(row) == "add"
    return math.prod(largest(row)) >= LARGE and not summed


def _is_chain(found: Sequence[Operator]) -> bool:
    # How often the module ran is not recorded; its rarest operator ran at least that often.
    return bool(found) and sum(row.count for row in found) / min(row.count for row in found) >= CHAIN


def _split(found: Sequence[Operator]) -> tuple[list[Operator], list[Operator]]:
    """Those whose names say that they are backward, and the rest: ``mul`` may be either."""
    backward = [row for row in found if plain_name(row).endswith("_backward")]
    return backward, [row for row in found if row not in backward]


def _mixed(subject: Subject, found: Sequence[Operator]) -> bool:
    """Whether both forward and backward may have run in this module and phase.

    Ranges of autograd tell backward.  Those of modules tell forward, and in the phase backward a recomputation.
    """
    phase, module = found[0].phase, found[0].module
    ranges = [row for row in subject.profile.python if row.phase == phase]
    modules = {row.module for row in ranges if row.kind == "module"}
    # In the phases of forward such a range is the forward of a torch.autograd.Function.
    told = phase not in _FORWARD_PHASES and any(row.kind == "autograd" and row.module == module for row in ranges)
    backward = told or bool(_split(found)[0])
    # What no module encloses may have run before autograd all the same.
    anywhere = phase != "backward" and (module is None or not ranges)
    return backward and (anywhere or module in modules)


def _place(row: Operator) -> object:
    return (row.phase, row.module, largest(row))


def _saved(subject: Subject, found: Sequence[Operator]) -> Cost:
    whole = subject.cost(found)
    one_pass = min(subject.cost([row]).ns / row.count for row in found) * min(row.count for row in found)
    return whole.times(max(0.0, 1 - one_pass / whole.ns)) if whole.ns else whole
