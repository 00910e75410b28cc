"""A run as large as one likes, made up: what pages and tables do with it, without recording it first."""

from __future__ import annotations

from perfsuite.environment import gather_environment
from perfsuite.records import Ledger, Memory, Operator, Phase, Primitive, Profile, PythonTime, Run, Samples

_PHASES = ("forward", "backward", "optimizer")
_CONVOLUTIONS = ("aten::mkldnn_convolution", "aten::convolution_backward")
_NAMES = (*_CONVOLUTIONS, "aten::add_", "aten::native_batch_norm", "aten::mul")


def large_profile(rows: int, name: str = "synthetic") -> Profile:
    """A profile of ``rows`` operator rows over a tree of modules; two of five execute primitives."""
    operators = []
    primitives: list[Primitive] = []
    for index in range(rows):
        self_ns = 1e9 / (index + 10)
        # Convolutions come first, and then as often as anything else.
        kind = index % (len(_NAMES) if index > 20 else len(_CONVOLUTIONS))
        executes = kind < len(_CONVOLUTIONS)
        mine = (len(primitives), len(primitives) + 1) if executes else ()
        primitives += [_primitive(index, number, self_ns * (0.1 if number % 2 else 0.8)) for number in mine]
        operators.append(
            Operator(
                _NAMES[kind],
                _PHASES[index % 3],
                None if index % 3 == 2 else f"Net.stage{index % 7}.block{index % 31}.layer{index % 97}",
                ((8, 16 + index % 512, 56, 56), (64, 16 + index % 512, 3, 3)),
                count=1 + index % 4,
                self_ns=self_ns,
                self_ns_samples=(int(self_ns),),
                total_ns=self_ns * 1.1,
                flops=self_ns * 50 if executes else None,
                bytes_moved=self_ns * 4,
                primitives=mine,
                dtypes=("float32", "float32"),
            )
        )
    spent = sum(operator.self_ns for operator in operators)
    python = PythonTime("module", "forward", "Net", 1, spent * 0.05)
    wall = spent * 1.07
    return Profile(
        name,
        scale="standard",
        dtype="float32",
        backend="eager",
        samples=Samples(tuple(wall * (1 + (step * 7 % 11) / 100) for step in range(20))),
        phases=tuple(Phase(phase, (int(wall / 3),) * 8) for phase in _PHASES),
        operators=tuple(operators),
        primitives=tuple(primitives),
        python=(python,),
        ledger=Ledger(wall, spent, python.self_ns, wall - spent - python.self_ns, len(primitives), len(primitives)),
        memory=Memory(2**30, 2**31),
        walls_ns={"phases": (int(wall),) * 8, "operators": (int(wall),), "primitives": (int(wall),)},
        passes=("timing", "operators", "primitives", "memory"),
        steps=1,
        join="timestamps",
    )


def large_run(rows: int) -> Run:
    """A run of one such workload, recorded on this machine as far as the page can tell."""
    return Run("synthetic", "2026-01-01T00:00:00+00:00", "complete", gather_environment(), (large_profile(rows),))


def _primitive(operator: int, number: int, time_ns: float) -> Primitive:
    return Primitive(
        kind="reorder" if number % 2 else "convolution",
        implementation="jit:uni" if number % 2 else "brg_conv_fwd:avx512_core",
        direction="undef" if number % 2 else "forward_training",
        dtypes="src:f32 wei:f32 dst:f32",
        layouts="src:acdb wei:Acdb64a dst:acdb",
        attributes="attr-scratchpad:user",
        algorithm="alg:convolution_direct",
        problem=f"mb8_ic{16 + number % 512}oc64_ih56oh56kh3sh1dh0ph1_iw56ow56kw3sw1dw0pw1",
        count=1,
        time_ns=time_ns,
        operator=operator,
        counts=(1,),
        time_ns_samples=(time_ns,),
    )
