"""Kernels that are not the fastest this machine has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perfsuite.analyse.advice.finding import Fact, Finding, NotChecked, Stake
from perfsuite.analyse.advice.subject import PRIMITIVES_STEP, Cost, Subject, named, plain_name, ranked
from perfsuite.flops.dtypes import compute_dtype
from perfsuite.records import Environment, Operator, Primitive

#: oneDNN's recurrent "ref" cells do their products with its own GEMM: only their name is a reference's.
_NOT_NAIVE = frozenset({"rnn"})
#: Kinds whose time is arithmetic: only there does the width of a vector bound the speed.
_COMPUTE = frozenset({"convolution", "deconvolution", "inner_product", "matmul", "rnn"})
#: Bytes in a vector register of the instruction sets in implementation names.
#: AVX10 is as wide where its name does not say 512 ("avx10_2_amx_2").
_WIDTHS = {"sse41": 16, "avx": 32, "avx2": 32, "avx512": 64, "avx10": 64}
#: "ref:any", and what is made of one: "conv:any+ref:any".
_REFERENCE = re.compile(r"(^|\+)ref[^:+]*(:|$)")
#: "simple:any", "simple_nchw:any": ordinary C++ for every CPU, of reorders and sums the way most are meant to run.
_GENERIC = re.compile(r"(^|\+)simple[^:+]*(:|$)")
_ISA_WORD = "|".join(_WIDTHS)
_ISA = re.compile(rf":({_ISA_WORD})(?=_|\+|$)")
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
#: FLOPs of a call from which on converting its tensors is cheap beside it: a core that has these instructions computes
#: 10 MFLOP in float32 in about 100 µs, and autocast adds a conversion of some µs for input, weight and result.
LEAST_FLOPS = 1e7
#: FLOPs per ns (GFLOP/s) that one core reaches where it computes: a tenth of two 256-bit FMAs a cycle at 3 GHz, 96.
LEAST_RATE = 10.0
#: Part of the run's best rate below which something else than arithmetic is the limit: memory, layout, calls.
RATE_OF_BEST = 0.1
#: FLOPs per byte below which memory and not arithmetic bounds a product; CPUs here reach 6 to 12 before that.
_COMPUTE_BOUND = 6.0


class SlowImplementation:
    """Primitives in a reference implementation, or in one for an older instruction set than the CPU has."""

    name = "slow-implementation"
    needs = ("primitives",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """``ref:any``; ``simple:any``; ``avx2`` and ``sse41`` kernels on a CPU with wider vectors."""
        return (*self._reference(subject), *self._generic(subject), *self._narrow(subject))

    def _reference(self, subject: Subject) -> tuple[Finding, ...]:
        return self._all_of(
            subject,
            [row for row in subject.profile.primitives if _is_reference(row)],
            what="in a reference implementation",
            how="all time in them; a fast implementation keeps a part",
            action="ask oneDNN why it refused the others (`ONEDNN_VERBOSE=dispatch`), then change what it names: "
            "layout, data type, an odd number of channels; or another release of torch"
            + _cap_advice(subject.environment),
            caveat="some rare problems have no other implementation",
        )

    def _generic(self, subject: Subject) -> tuple[Finding, ...]:
        return self._all_of(
            subject,
            [row for row in subject.profile.primitives if _is_generic(row)],
            what="without an implementation for this CPU's instruction set",
            how="all time in them; they may be at the memory's speed already",
            action="bring the tensors into the layouts and data types that have one (channels_last or plain, one data "
            "type), or leave the work to PyTorch's own operators",
            caveat="compiled for any CPU, not slow as such: of small tensors, and of those that memory bounds, there "
            "is nothing faster",
        )

    def _all_of(
        self, subject: Subject, rows: list[Primitive], *, what: str, how: str, action: str, caveat: str
    ) -> tuple[Finding, ...]:
        """At most all time of these rows could go; nothing where there are none."""
        if not rows:
            return ()
        cost = subject.primitive_cost(rows)
        stake = Stake(cost.ns, cost.share, "bound", how, PRIMITIVES_STEP)
        title = f"{named(row.kind for row in rows)} {what}"
        return (Finding(self.name, title, _facts(subject, rows), stake, action, caveat),)

    def _narrow(self, subject: Subject) -> tuple[Finding, ...]:
        widest = _machine_width(subject.environment)
        cap = _cap(subject.environment)
        # Under a cap oneDNN also falls back to GEMM kernels, whose names say no instruction set.
        widths = {
            index: width
            for index, row in enumerate(subject.profile.primitives)
            if row.kind in _COMPUTE
            and not (_is_reference(row) or _is_generic(row))
            and (width := _width(row) or cap or widest) < widest
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
                Stake(total.ns, total.share, "estimate", "vectors twice as wide halve the time", PRIMITIVES_STEP),
                "try channels_last, where oneDNN may have a wider kernel for the same problem (grouped convolutions); "
                "`ONEDNN_VERBOSE=dispatch` says why it refused the wider ones" + _cap_advice(subject.environment),
                "for a few channels per group the narrower kernel can be the faster one",
            ),
        )


class Bfloat16:
    """Convolutions and products in float32 on a CPU that multiplies bfloat16."""

    name = "bfloat16"
    needs = ("operators",)

    def check(self, subject: Subject) -> tuple[Finding, ...] | NotChecked:
        """float32 time of operators that arithmetic limits, if half of it is a visible part of the step."""
        have = _BFLOAT16_ISA & set(subject.environment.isa)
        if not have:
            return ()
        rows = [
            row
            for row in subject.profile.operators
            if row.flops and row.dtypes and row.dtypes[0] == "float32" and not _memory_bound(row.flops, row.bytes_moved)
            if not _rounded(subject, row)
        ]
        rows = _computing(subject, rows)
        cost = subject.whole_cost(rows).times(_BFLOAT16_SAVES)
        if not rows or cost.share is None or cost.share < BFLOAT16_SHARE:
            return ()
        facts = [
            Fact(f"{plain_name(found[0])} in float32{_rate(found, spent)}", sum(row.count for row in found), spent.ns)
            for found, spent in ranked(rows, plain_name, subject.whole_cost)
        ]
        unseen = "" if subject.lacks("primitives") is None else (
            "; whether a math mode lets oneDNN round to bfloat16 already was not recorded (no primitives pass)"
        )  # fmt: skip
        return (
            Finding(
                self.name,
                "convolutions and products run in float32 on a CPU with bfloat16 instructions",
                (Fact(f"the CPU has {', '.join(sorted(have))}"), *facts),
                Stake(cost.ns, cost.share, "estimate", "half of the float32 time of operators that arithmetic limits"),
                "run the forward pass under `torch.autocast('cpu', dtype=torch.bfloat16)` and the loss outside of it, "
                "on `logits.float()`",
                "training in bfloat16 must reach the same quality: check it before the speed; converting "
                "tensors costs time too" + unseen,
            ),
        )


def _is_reference(row: Primitive) -> bool:
    return row.kind not in _NOT_NAIVE and _REFERENCE.search(row.implementation) is not None


def _is_generic(row: Primitive) -> bool:
    return _GENERIC.search(row.implementation) is not None and not _is_reference(row)


def _width(row: Primitive) -> int | None:
    # "brg_conv_bwd:avx512_core+brg_conv_fwd:avx512_core": the narrowest part counts.
    found = [_WIDTHS[name] for name in _ISA.findall(row.implementation)]
    return min(found, default=None)


def _cap(environment: Environment) -> int | None:
    """Width that a variable allows oneDNN; None without one, or for one that this table does not know."""
    cap = next((environment.omp[name] for name in _ONEDNN_CAPS if name in environment.omp), "")
    named_isa = re.match(rf"({_ISA_WORD})(?=_|$)", cap.lower())
    return _WIDTHS[named_isa[1]] if named_isa is not None else None


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
    return f"; unset {', '.join(f'`{cap}`' for cap in caps)}, which the run was recorded with" if caps else ""


def _rounded(subject: Subject, row: Operator) -> bool:
    """Whether most of its products are computed in another type than its tensors': a math mode permits that."""
    products = [one for one in subject.primitives_below(row) if one.kind in _COMPUTE]
    spent = [(one.time_ns, compute_dtype(one.dtypes, one.attributes, one.implementation)) for one in products]
    return 2 * sum(ns for ns, dtype in spent if dtype not in ("f32", None)) > sum(ns for ns, _ in spent)


def _memory_bound(flops: float, moved: float | None) -> bool:
    return bool(moved) and flops / (moved or 1) < _COMPUTE_BOUND


def _computing(subject: Subject, rows: Sequence[Operator]) -> list[Operator]:
    """Those that arithmetic limits: many FLOPs a call, at a rate near the best of them."""
    rates = {
        index: (row.flops or 0) / ns
        for index, row in enumerate(rows)
        if row.count and (row.flops or 0) / row.count >= LEAST_FLOPS and (ns := subject.whole_cost([row]).ns) > 0
    }
    least = max(LEAST_RATE, RATE_OF_BEST * max(rates.values(), default=0.0))
    return [rows[index] for index, rate in rates.items() if rate >= least]


def _rate(rows: Sequence[Operator], spent: Cost) -> str:
    return f" at {sum(row.flops or 0 for row in rows) / spent.ns:.0f} GFLOP/s"
