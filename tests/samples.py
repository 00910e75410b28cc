"""Records for tests: a small profile with everything in it, and hypothesis strategies for any."""

from __future__ import annotations

from hypothesis import strategies as st

from perfsuite.records import (
    AllocationCurve,
    Environment,
    Ledger,
    Memory,
    Operator,
    Phase,
    PhaseSpan,
    Primitive,
    Profile,
    PythonTime,
    Samples,
)

NAME = "benchmarks/test_net.py::test_step[smoke-float32]"


def an_environment(**changes: object) -> Environment:
    values = {
        "cpu_model": "A CPU",
        "isa": ("avx2", "fma"),
        "logical_cpus": 4,
        "physical_cores": 2,
        "usable_cpus": 4,
        "numa_nodes": 1,
        "governor": None,
        "ram_bytes": 2**33,
        "kernel": "Linux 6.1",
        "allocator": "glibc 2.36",
        "python": "CPython 3.11.7",
        "omp": {"OMP_NUM_THREADS": "2"},
        "torch": "2.13.0",
        "onednn": ({"version": "v3.12.0", "commit": "80afa710"},),
        "git_commit": "0123456789abcdef",
        "git_dirty": True,
    }
    return Environment(**{**values, **changes})  # type: ignore[arg-type]


def a_primitive(kind: str, direction: str, time_ns: float, operator: int | None, **changes: object) -> Primitive:
    values = {
        "kind": kind,
        "implementation": "jit:uni",
        "direction": direction,
        "dtypes": "src:f32 dst:f32",
        "layouts": "src:acdb dst:acdb",
        "attributes": "",
        "algorithm": "",
        "problem": "mb4_ic3oc32",
        "count": 1.0,
        "time_ns": time_ns,
        "operator": operator,
    }
    return Primitive(**{**values, **changes})  # type: ignore[arg-type]


def a_profile(name: str = NAME, **changes: object) -> Profile:
    """A training step of 100 µs: shares are easy to check by hand."""
    convolution, backward = "aten::mkldnn_convolution", "aten::convolution_backward"
    operators = (
        Operator("aten::add_", "optimizer", None, ((8,),), 2.0, 5e3, (5000, 5000), 5e3),
        Operator(convolution, "forward", "net.conv1", ((4, 3),), 1.0, 3e4, (29000, 31000), 3.1e4, 1e6, 64.0, (0, 1)),
        Operator(backward, "backward", "net.conv1", ((4, 8),), 1.0, 4e4, (39000, 41000), 4.1e4, 2e6, 128.0, (2, 3)),
    )
    primitives = (
        a_primitive("reorder", "undef", 2_000.0, 1),
        a_primitive("convolution", "forward_training", 20_000.0, 1, implementation="brg_conv_fwd:avx512_core"),
        a_primitive("convolution", "backward_data", 16_000.0, 2, implementation="jit:avx512_core"),
        a_primitive("convolution", "backward_weights", 12_000.0, 2, implementation="brg_conv_bwd_w:avx512_core"),
    )
    values: dict[str, object] = {
        "scale": "smoke",
        "dtype": "float32",
        "backend": "eager",
        "samples": Samples(tuple(float(ns) for ns in range(180_000, 220_001, 4_000)), 2),
        "phases": (Phase("forward", (40_000, 42_000)), Phase("backward", (50_000,)), Phase("optimizer", (8_000,))),
        "operators": operators,
        "primitives": primitives,
        "python": (
            PythonTime("module", "forward", "net.conv1", 1.0, 4_000.0),
            PythonTime("step", None, None, 1.0, 16_000.0),
        ),
        "ledger": Ledger(100_000.0, 75_000.0, 20_000.0, 5_000.0, 4.0, 4.0),
        "memory": Memory(10 * 2**20, 25 * 2**20),
        "allocation_curve": AllocationCurve(
            wall_ns=100_000,
            times_ns=(0, 10_000, 41_000, 60_000, 90_000, 95_000, 100_000),
            live_bytes=(0, 2**20, 3 * 2**20, 2**21, -(2**20), 0, 0),
            phases=(
                PhaseSpan("forward", 1_000, 42_000),
                PhaseSpan("backward", 42_000, 92_000),
                PhaseSpan("optimizer", 92_000, 99_000),
            ),
        ),
        "walls_ns": {"phases": (100_000, 100_000), "operators": (100_000, 100_000), "primitives": (100_000, 100_000)},
        "overhead": {"operators": 0.041, "primitives": 0.12},
        "passes": ("timing", "operators", "primitives", "memory"),
        "steps": 2,
        "join": "markers",
        "notes": ("The first note.",),
    }
    return Profile(name, **{**values, **changes})  # type: ignore[arg-type]


# --- hypothesis -------------------------------------------------------------------------------------

_text = st.text(max_size=8)
_word = st.none() | _text
_whole = st.integers(-(2**60), 2**60)
#: No NaN: it is not equal to itself, so no round trip could be seen to keep it.
_number = st.floats(allow_nan=False) | _whole
_shape = st.recursive(st.integers(0, 9), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
_shapes = st.lists(_shape, max_size=3).map(tuple)


def _tuples(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=3).map(tuple)


_operators = st.builds(
    Operator,
    name=_text, phase=_word, module=_word, shapes=_shapes, count=_number, self_ns=_number,
    self_ns_samples=_tuples(_whole), total_ns=_number, flops=st.none() | _number,
    allocated_bytes=st.none() | _number, primitives=_tuples(_whole), dtypes=_tuples(_word), counts=_tuples(_whole),
    bytes_moved=st.none() | _number, allocated_bytes_samples=_tuples(_whole), allocations_samples=_tuples(_whole),
)  # fmt: skip
_primitives = st.builds(
    Primitive,
    kind=_text, implementation=_text, direction=_text, dtypes=_text, layouts=_text, attributes=_text,
    algorithm=_text, problem=_text, count=_number, time_ns=_number, operator=st.none() | _whole,
    counts=_tuples(_whole), time_ns_samples=_tuples(_number),
)  # fmt: skip
_curves = st.builds(
    AllocationCurve,
    wall_ns=_whole,
    times_ns=_tuples(_whole),
    live_bytes=_tuples(_whole),
    phases=_tuples(st.builds(PhaseSpan, _text, _whole, _whole)),
)
_ledgers = st.builds(Ledger, _number, _number, _number, _number, _number, _number)

#: Any profile the types allow, indices that point nowhere included.
profiles = st.builds(
    Profile,
    name=_text, scale=_word, dtype=_word, backend=_word,
    samples=st.none() | st.builds(Samples, _tuples(_number), st.integers(1, 9)),
    phases=_tuples(st.builds(Phase, _text, _tuples(_whole))),
    operators=_tuples(_operators), primitives=_tuples(_primitives),
    python=_tuples(st.builds(PythonTime, _text, _word, _word, _number, _number, _tuples(_whole))),
    ledger=st.none() | _ledgers,
    memory=st.none() | st.builds(Memory, _whole, st.none() | _whole, *[st.none() | _whole] * 4),
    allocation_curve=st.none() | _curves,
    walls_ns=st.dictionaries(_text | st.sampled_from(["phases", "primitives"]), _tuples(_whole), max_size=3),
    overhead=st.dictionaries(_text, _number, max_size=3), passes=_tuples(_text), steps=_whole, join=_word,
    contended=st.booleans(), notes=_tuples(_text),
)  # fmt: skip
