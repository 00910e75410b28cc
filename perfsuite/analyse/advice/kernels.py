"""Kernels that are not the fastest this machine has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import Cost, Subject, named, plain_name, ranked
from perfsuite.records import Environment, Primitive

#: oneDNN's recurrent "ref" cells do their products with its own GEMM: only their name is a reference's.
_NOT_NAIVE = frozenset({"rnn"})
#: Kinds whose time is arithmetic: only there does the width of a vector bound the speed.
_COMPUTE = frozenset({"convolution", "deconvolution", "inner_product", "matmul", "rnn"})
#: Bytes in a vector register of the instruction sets in implementation names.
_WIDTHS = {"sse41": 16, "avx": 32, "avx2": 32, "avx512": 64}
#: "ref:any", "simple_nchw:any", and what is made of one: "conv:any+ref:any".
_REFERENCE = re.compile(r"(^|\+)(ref|simple)[^:+]*(:|$)")
_ISA = re.compile(r":(sse41|avx512|avx2|avx)")
_AVX512_CORE = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
#: Variables that keep a library from using what the CPU has.
_ONEDNN_CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_CAPS = (*_ONEDNN_CAPS, "ATEN_CPU_CAPABILITY")
#: Flags of CPUs that multiply bfloat16 in hardware.
_BFLOAT16_ISA = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
#: "bf16 about half the compute time" is what published CPU training reached, and a register holds twice as many.
_BFLOAT16_SAVES = 0.5
#: Changing the numbers' format means checking the accuracy again: not for less than this.
BFLOAT16_SHARE = 0.10
#: FLOPs per byte below which memory and not arithmetic bounds a product; CPUs here reach 6 to 12 before that.
_COMPUTE_BOUND = 6.0


class SlowImplementation:
    """Primitives in a reference implementation, or in one for an older instruction set than the CPU has."""

    name = "slow-implementation"
    needs = ("primitives",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """``ref:any`` and ``simple:any``; ``avx2`` and ``sse41`` kernels on a CPU with wider vectors."""
        return (*self._reference(subject), *self._narrow(subject))

    def _reference(self, subject: Subject) -> tuple[Finding, ...]:
        rows = [row for row in subject.profile.primitives if _is_reference(row)]
        if not rows:
            return ()
        cost = subject.primitive_cost(rows)
        return (
            Finding(
                self.name,
                f"{named(row.kind for row in rows)} in a reference implementation",
                _facts(subject, rows),
                Stake(cost.ns, cost.share, "upper bound: all time in them; a fast implementation keeps a part"),
                "ask oneDNN why it refused the others (ONEDNN_VERBOSE=dispatch), then change what it names: layout, "
                "data type, an odd number of channels; or another release of torch" + _cap_advice(subject.environment),
                "some rare problems have no other implementation",
            ),
        )

    def _narrow(self, subject: Subject) -> tuple[Finding, ...]:
        widest = _machine_width(subject.environment)
        cap = _cap(subject.environment)
        # Under a cap oneDNN also falls back to GEMM kernels, whose names say no instruction set.
        widths = {
            index: width
            for index, row in enumerate(subject.profile.primitives)
            if row.kind in _COMPUTE and not _is_reference(row) and (width := _width(row) or cap or widest) < widest
        }
        rows = [subject.profile.primitives[index] for index in widths]
        if not rows:
            return ()
        stakes = [
            subject.primitive_cost([subject.profile.primitives[index]]).times(1 - width / widest)
            for index, width in widths.items()
        ]
        shares = [cost.share for cost in stakes]
        total = Cost(sum(cost.ns for cost in stakes), None if None in shares else sum(s or 0 for s in shares))
        return (
            Finding(
                self.name,
                f"{named(row.kind for row in rows)} for narrower vectors than this CPU has",
                _facts(subject, rows),
                Stake(total.ns, total.share, "estimated upper bound: vectors twice as wide halve the time"),
                "try channels_last, where oneDNN may have a wider kernel for the same problem (grouped convolutions); "
                "ONEDNN_VERBOSE=dispatch says why it refused the wider ones" + _cap_advice(subject.environment),
                "for a few channels per group the narrower kernel can be the faster one",
            ),
        )


class Bfloat16:
    """Convolutions and products in float32 on a CPU that multiplies bfloat16."""

    name = "bfloat16"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """float32 time of operators with FLOPs, if half of it is a visible part of the step."""
        have = _BFLOAT16_ISA & set(subject.environment.isa)
        if not have:
            return ()
        rows = [
            row
            for row in subject.profile.operators
            if row.flops and row.dtypes and row.dtypes[0] == "float32" and not _memory_bound(row.flops, row.bytes_moved)
        ]
        cost = subject.cost(rows).times(_BFLOAT16_SAVES)
        if not rows or cost.share is None or cost.share < BFLOAT16_SHARE:
            return ()
        facts = [
            Fact(f"{plain_name(found[0])} in float32", sum(row.count for row in found), spent.ns)
            for found, spent in ranked(rows, plain_name, subject.cost)
        ]
        return (
            Finding(
                self.name,
                "convolutions and products run in float32 on a CPU with bfloat16 instructions",
                (Fact(f"the CPU has {', '.join(sorted(have))}"), *facts),
                Stake(cost.ns, cost.share, "estimated: half of the float32 time of operators with FLOPs"),
                "run the forward pass under torch.autocast('cpu', dtype=torch.bfloat16) and the loss outside of it, on "
                "logits.float()",
                "training in bfloat16 must reach the same quality: check it before the speed",
            ),
        )


def _is_reference(row: Primitive) -> bool:
    return row.kind not in _NOT_NAIVE and _REFERENCE.search(row.implementation) is not None


def _width(row: Primitive) -> int | None:
    # "brg_conv_bwd:avx512_core+brg_conv_fwd:avx512_core": the narrowest part counts.
    found = [_WIDTHS[name] for name in _ISA.findall(row.implementation)]
    return min(found, default=None)


def _cap(environment: Environment) -> int | None:
    """Width that a variable allows oneDNN; None without one, or for one that this table does not know."""
    cap = next((environment.omp[name] for name in _ONEDNN_CAPS if name in environment.omp), "")
    return next((width for name, width in _WIDTHS.items() if re.match(rf"{name}(_|$)", cap.lower())), None)


def _machine_width(environment: Environment) -> int:
    flags = set(environment.isa)
    if flags >= _AVX512_CORE:
        return 64
    return 32 if "avx2" in flags else 0


def _facts(subject: Subject, rows: Sequence[Primitive]) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            f"{found[0].kind} {found[0].direction} {found[0].implementation} in {_where(subject, found)}",
            sum(row.count for row in found),
            spent.ns,
        )
        for found, spent in ranked(
            rows, lambda row: (row.kind, row.direction, row.implementation), subject.primitive_cost
        )
    )


def _where(subject: Subject, rows: Sequence[Primitive]) -> str:
    operators = [subject.operator_of(row) for row in rows]
    return named(row.module or row.name for row in operators if row is not None) or "no operator known"


def _cap_advice(environment: Environment) -> str:
    caps = [f"{name}={environment.omp[name]}" for name in _CAPS if name in environment.omp]
    return f"; unset {', '.join(caps)}, which the run was recorded with" if caps else ""


def _memory_bound(flops: float, moved: float | None) -> bool:
    return bool(moved) and flops / (moved or 1) < _COMPUTE_BOUND
