"""Profiles whose ledger closes, written briefly, and a hypothesis strategy for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from perfsuite.records import Ledger, Operator, Primitive, Profile, PythonTime, Samples
from perfsuite.stats import mean
from tests.samples import a_primitive

STEPS = 3


def op(
    name: str,
    module: str | None = None,
    shapes: tuple[Any, ...] = ((4, 8),),
    *,
    times: Sequence[int] = (1000, 1010, 990),
    counts: Sequence[int] = (1, 1, 1),
    phase: str | None = "forward",
    dtypes: tuple[str | None, ...] | None = None,
    **more: Any,
) -> Operator:
    """An operator row; ``times`` and ``counts`` are by step."""
    return Operator(
        name, phase, module, shapes, mean(counts), mean(times), tuple(times), mean(times),
        counts=tuple(counts), dtypes=("float32",) * len(shapes) if dtypes is None else dtypes, **more,
    )  # fmt: skip


def python(module: str | None = None, times: Sequence[int] = (100, 110, 90), phase: str = "forward") -> PythonTime:
    """A range of Python time in a module."""
    return PythonTime("module", phase, module, 1, mean(times), tuple(times))


def primitive(
    implementation: str, layouts: str = "src:abcd dst:abcd", kind: str = "convolution", **more: Any
) -> Primitive:
    """A primitive that ran once in each step; give it to :func:`profile` with its operator's index."""
    direction = more.pop("direction", "undef" if kind == "reorder" else "forward_training")
    time_ns = more.pop("time_ns", 500.0)
    values = {"implementation": implementation, "layouts": layouts, "counts": (1,) * STEPS, **more}
    return a_primitive(kind, direction, time_ns, None, **values)


def profile(
    operators: Sequence[Operator],
    primitives: Sequence[tuple[int, Primitive]] = (),
    ranges: Sequence[PythonTime] = (),
    rest: Sequence[int] = (5, 5, 5),
    **more: Any,
) -> Profile:
    """A workload of which every step is accounted for; ``primitives`` are (index of the operator, primitive)."""
    placed = tuple(replace(one, operator=at) for at, one in primitives)
    rows = tuple(
        replace(row, primitives=tuple(i for i, one in enumerate(placed) if one.operator == at))
        for at, row in enumerate(operators)
    )
    columns = [row.self_ns_samples for row in rows] + [row.self_ns_samples for row in ranges]
    walls = tuple(sum(parts) for parts in zip(rest, *columns, strict=True))
    ledger = Ledger(mean(walls), sum(row.self_ns for row in rows), sum(row.self_ns for row in ranges), mean(rest))
    values: dict[str, Any] = {
        "samples": Samples((2e6, 2.1e6, 1.9e6, 2.05e6, 1.95e6, 2e6)),
        "walls_ns": {"operators": walls},
        "passes": ("timing", "operators", "primitives", "memory"),
        "steps": len(rest),
        "backend": "eager",
        **more,
    }
    return Profile("net", operators=rows, primitives=placed, python=tuple(ranges), ledger=ledger, **values)


_times = st.tuples(*[st.integers(0, 10**7)] * STEPS)
_counts = st.sampled_from([(1, 1, 1), (2, 2, 2), (1, 1, 1), (1, 2, 1)])
_shapes = st.sampled_from([((4, 8),), ((4, 8), (8, 8)), ((2, 2),), ((),), ((16, 4), ()), (((2, 2), (3, 3)),)])
_NAMES = ["aten::add", "aten::add_", "aten::mkldnn_convolution", "torch_ipex::convolution_forward_impl", "aten::erf"]
_MODULES = [None, "Net", "Net.a", "Net.b.conv", "Net.c.conv", "Wrapper.Net.a", "Other.b.conv"]
_operators = st.lists(
    st.builds(
        op, st.sampled_from(_NAMES), st.sampled_from(_MODULES), _shapes, times=_times, counts=_counts,
        phase=st.sampled_from(["forward", "backward", None]),
        dtypes=st.sampled_from([None, None, ("bfloat16",)]),
        flops=st.sampled_from([None, 100.0, 200.0]),
        allocations_samples=st.sampled_from([(), (1, 1), (1, 2), (2, 2)]),
    ),
    max_size=12,
    unique_by=lambda row: row.key,
)  # fmt: skip
_primitives = st.lists(
    st.builds(
        primitive,
        st.sampled_from(["jit:avx512_core", "ref:any", "brg:sse41"]),
        st.sampled_from(["src:abcd dst:abcd", "src:abcd dst:aBcd16b"]),
        st.sampled_from(["convolution", "reorder"]),
        counts=_counts,
    ),
    max_size=6,
)
_ranges = st.lists(
    st.builds(python, st.sampled_from(_MODULES), _times, st.sampled_from(["forward", "backward"])),
    max_size=4,
    unique_by=lambda row: (row.module, row.phase),
)


@st.composite
def closing_profiles(draw: st.DrawFn) -> Profile:
    """Any profile of a few rows with names, modules and shapes that other draws have too."""
    rows = draw(_operators)
    found = draw(_primitives) if rows else []
    placed = [(draw(st.integers(0, len(rows) - 1)), one) for one in found]
    return profile(rows, placed, draw(_ranges), draw(st.tuples(*[st.integers(-50, 10**5)] * STEPS)))


def shuffled(profile: Profile, order: Sequence[int]) -> Profile:
    """The same profile with its operator rows in another order, primitives and Python ranges reversed."""
    place = {old: new for new, old in enumerate(order)}
    last = len(profile.primitives) - 1
    primitives = tuple(
        replace(one, operator=place[one.operator] if one.operator is not None else None)
        for one in reversed(profile.primitives)
    )
    rows = tuple(
        replace(profile.operators[old], primitives=tuple(last - i for i in profile.operators[old].primitives))
        for old in order
    )
    return replace(profile, operators=rows, primitives=primitives, python=profile.python[::-1])
