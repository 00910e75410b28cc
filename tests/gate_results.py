"""Results of gates as they come, made of small profiles that are really compared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from perfsuite.analyse.diff import WorkloadDiff, diff_profiles
from perfsuite.gate.model import (
    Attribution,
    BenchmarkResult,
    CensusVerdict,
    Failure,
    GateResult,
    Judgement,
    PairTrace,
    Policy,
    Side,
)
from perfsuite.records import Profile
from tests.diff_profiles import op, primitive, profile, python
from tests.samples import an_environment

CONV = "aten::mkldnn_convolution"
TEST = "tests/bench/test_training.py::test_step"
BENCHDNN = (
    "benchdnn --conv --dir=FWD_D --dt=f32 --stag=acdb --wtag=any --dtag=acdb "
    "mb4_ic512oc512_ih2oh2kh3sh1dh0ph1_iw2ow2kw3sw1dw0pw1"
)
POLICY = Policy()


def a_side(spec: str, commit: str, **changes: Any) -> Side:
    """A side of a gate with everything known of it."""
    values: dict[str, Any] = {
        "dirty": False,
        "python": "/usr/bin/python3",
        "python_version": "3.11.7",
        "packages": {"torch": "2.13.0", "numpy": "2.1.0"},
        "environment": an_environment(disturbances=(), torch_threads=2),
        "modules": {"net/model.py": "ab" * 32},
        **changes,
    }
    return Side(spec, commit, **values)


BASE = a_side("git:main", "0123456789abcdef0123")
HEAD = a_side(".", "fedcba9876543210fedc", dirty=True)


def sides(slower: float = 1.0, implementation: str = "brg_conv_fwd:avx512_core") -> tuple[Profile, Profile]:
    """A step of two convolutions; on head the second one takes ``slower`` times as long."""

    def one(ns: float, name: str) -> Profile:
        rows = [
            op(CONV, "Net.stem", times=(300_000, 301_000, 299_000)),
            op(CONV, "Net.layer1.conv2", times=(int(ns), int(ns * 1.01), int(ns * 0.99))),
            op("aten::relu", "Net.relu", times=(90_000, 90_500, 89_500)),
        ]
        made = profile(
            rows, [(0, primitive("brg_conv_fwd:avx512_core")), (1, primitive(name))], [python("Net")], (50, 50, 50)
        )
        return replace(made, name=TEST)

    return one(400_000, "brg_conv_fwd:avx512_core"), one(400_000 * slower, implementation)


def a_trace(ratio: float, number: int = 0, base_ns: float = 2e7) -> PairTrace:
    """Two turns of three steps a side, the medians exactly ``ratio`` apart."""
    turns = ((base_ns * 0.99, base_ns, base_ns * 1.01), (base_ns * 0.98, base_ns, base_ns * 1.02))
    head = tuple(tuple(ns * ratio for ns in turn) for turn in turns)
    return PairTrace(turns, head, "bhhb", ("base", "head")[number % 2], 6.5)


def judged(verdict: str, ratio: float, half: float, pairs: int = 6, further: int | None = None) -> dict[str, Any]:
    """The fields that the clock fills."""
    interval = (ratio - half, ratio + half)
    traces = tuple(a_trace(ratio * math.exp(0.01 * (-1) ** i), i) for i in range(pairs))
    found = Judgement(verdict, ratio, interval, pairs, 0.045, further, 0.012)
    return {"verdict": verdict, "judgement": found, "pairs": traces, "seconds": 6.9 * pairs}


def attributed(diff: WorkloadDiff) -> Attribution:
    """The rows that the diff found guilty."""
    return Attribution(diff.operators, diff.culprits, (BENCHDNN,) if diff.culprits else ())


def compared(name: str, base: Profile, head: Profile, **more: Any) -> BenchmarkResult:
    """A benchmark with its profiles and their comparison."""
    base, head = replace(base, name=name), replace(head, name=name)
    values: dict[str, Any] = {"policy": POLICY, "census": CensusVerdict(captures=2), **more}
    return BenchmarkResult(name, base=base, head=head, diff=diff_profiles(base, head), **values)


def regressed(name: str = f"{TEST}[resnet18]") -> BenchmarkResult:
    """One convolution fell back to a reference implementation."""
    one = compared(name, *sides(1.25, "ref:any"), **judged("regressed", 1.062, 0.0135))
    assert one.diff is not None
    return replace(one, attribution=attributed(one.diff))


def improved(name: str = f"{TEST}[lstm]") -> BenchmarkResult:
    """The same the other way round."""
    base, head = sides(1.25)
    one = compared(name, head, base, **judged("improved", 0.9, 0.02, 4))
    assert one.diff is not None
    return replace(one, attribution=attributed(one.diff))


def unchanged(name: str = f"{TEST}[transformer]") -> BenchmarkResult:
    """Nothing happened."""
    return compared(name, *sides(), **judged("unchanged", 1.002, 0.011, 5))


def with_a_stray(name: str = f"{TEST}[resnet18]") -> BenchmarkResult:
    """One process was slow for as long as it lived."""
    one = unchanged(name)
    assert one.judgement is not None
    pairs = (*one.pairs, a_trace(1.149, 5), *one.pairs[:2])
    return replace(one, pairs=pairs, judgement=replace(one.judgement, process_pairs=8, strays=(5,)))


def inconclusive(name: str = f"{TEST}[retinanet]", further: int | None = 7) -> BenchmarkResult:
    """As far as the pairs go it might be one or the other."""
    return compared(name, *sides(1.05), **judged("inconclusive", 1.021, 0.024, 20, further))


def missing(name: str = f"{TEST}[gone]") -> BenchmarkResult:
    """Base has it and head does not."""
    return BenchmarkResult(name, "missing", POLICY, reasons=("only base has this benchmark: renamed or removed",))


def incomparable(name: str = f"{TEST}[foreign]") -> BenchmarkResult:
    """A side ran the other one's code."""
    reason = "base loaded net/model.py from head's tree: set PYTHONPATH=src"
    return BenchmarkResult(name, "incomparable", POLICY, seconds=3.2, reasons=(reason,))


def census_failed(name: str = f"{TEST}[focal]") -> BenchmarkResult:
    """As fast as before, on another implementation."""
    one = compared(name, *sides(1.0, "ref:any"), **judged("unchanged", 1.001, 0.012, 5))
    assert one.diff is not None
    entry = next(entry for _, entry in one.diff.census.entries if entry.what == "implementation")
    text = "convolution forward_training in Net.layer1.conv2: implementation brg_conv_fwd:avx512_core → ref:any"
    return replace(one, census=CensusVerdict((Failure("implementation", text, entry, (BENCHDNN, BENCHDNN)),), 1, 2))


def census_only(name: str = f"{TEST}[counted]") -> BenchmarkResult:
    """Nothing was timed."""
    return replace(census_failed(name), verdict=None, judgement=None, pairs=())


def a_gate(*benchmarks: BenchmarkResult, **changes: Any) -> GateResult:
    """A gate over these benchmarks."""
    values: dict[str, Any] = {
        "seconds": sum(one.seconds for one in benchmarks) + 4.5,
        "settings": ("OMP_NUM_THREADS=2", "OMP_WAIT_POLICY=passive", "CPUs 0-1"),
        **changes,
    }
    return GateResult(values.pop("base", BASE), values.pop("head", HEAD), 0.03, benchmarks, **values)


def every_kind() -> GateResult:
    """One benchmark of each verdict."""
    return a_gate(
        unchanged(), regressed(), improved(), inconclusive(), missing(), incomparable(), census_failed(),
        notes=("the machine was busy: load 3.1",),
    )  # fmt: skip


def identical() -> GateResult:
    """Nothing differs."""
    return a_gate(identical=True, seconds=1.2)


def interrupted() -> GateResult:
    """Stopped after the first of three."""
    return a_gate(unchanged(), unfinished=(f"{TEST}[b]", f"{TEST}[c]"), interrupted=True)
