"""The boxes of a step: where they lie, what they add up to, and that nothing is lost or drawn twice."""

from __future__ import annotations

from collections import Counter
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.analyse.icicle import OUTSIDE_MODULES, OUTSIDE_PHASES, UNATTRIBUTED, Icicle, Node, icicle
from perfsuite.records import Ledger, Operator, Phase, Profile, PythonTime
from tests.samples import a_primitive, a_profile

_ns = st.integers(0, 10**9) | st.floats(0, 1e10)
_phase = st.sampled_from([None, "forward", "backward", "", "(outside phases)"])
_module = st.sampled_from([None, "net", "net.a", "net.a.b", "net..a", "", "other", "." * 300, "x" * 5000])


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Rows of any phase, module and time, primitives of any operator or none, a ledger that closes, or none."""
    operators = tuple(
        Operator(draw(st.sampled_from(["aten::mm", "aten::add"])), draw(_phase), draw(_module), (i,), 1, ns, (), ns)
        for i, ns in enumerate(draw(st.lists(_ns, max_size=8)))
    )
    owners = st.sampled_from([None, *range(len(operators))])
    primitives = tuple(a_primitive("convolution", "undef", ns, draw(owners)) for ns in draw(st.lists(_ns, max_size=8)))
    python = tuple(PythonTime("module", draw(_phase), draw(_module), 1, ns) for ns in draw(st.lists(_ns, max_size=5)))
    inside, of_python = fsum(row.self_ns for row in operators), fsum(row.self_ns for row in python)
    rest = draw(st.sampled_from([0.0, 5e4, -0.001 * (inside + of_python), -0.9 * (inside + of_python)]))
    ledger = Ledger(inside + of_python + rest, inside, of_python, rest) if draw(st.booleans()) else None
    phases = tuple(Phase(name, (1,)) for name in draw(st.lists(st.sampled_from(["forward", "backward"]), unique=True)))
    return Profile("any", operators=operators, primitives=primitives, python=python, ledger=ledger, phases=phases)


def children(found: Icicle, index: int) -> list[Node]:
    return [node for node in found.nodes if node.parent == index]


def only(found: Icicle, label: str) -> Node:
    (node,) = [node for node in found.nodes if node.label == label]
    return node


def path(found: Icicle, node: Node) -> list[str]:
    """Labels from below the step to the node."""
    labels = []
    while node.parent is not None:
        labels.append(node.label)
        node = found.nodes[node.parent]
    return labels[::-1]


@settings(max_examples=300, deadline=None)
@given(profiles())
def test_children_lie_within_their_parent_side_by_side(profile):
    found = icicle(profile)
    reached: dict[int | None, float] = {}
    for index, node in enumerate(found.nodes):
        assert 0 <= node.width <= 1
        assert node.parent is None if index == 0 else node.parent < index
        if node.parent is not None:
            parent = found.nodes[node.parent]
            assert node.width <= parent.width
            assert node.start >= reached.get(node.parent, parent.start) - 1e-12
            assert node.start + node.width <= parent.start + parent.width + 1e-12
            reached[node.parent] = node.start + node.width
    for index in range(len(found.nodes)):
        assert fsum(child.width for child in children(found, index)) <= found.nodes[index].width + 1e-9


@settings(max_examples=300, deadline=None)
@given(profiles())
def test_every_operator_primitive_and_python_row_is_there_once_with_its_time(profile):
    found = icicle(profile)
    if found.missing is not None:
        assert not any(row.self_ns > 0 for row in (*profile.operators, *profile.python))
        return
    operators = {node.row: node.ns for node in found.nodes if node.kind == "operator"}
    assert operators == {index: row.self_ns for index, row in enumerate(profile.operators)}
    assert sum(node.kind == "operator" for node in found.nodes) == len(profile.operators)
    drawn = Counter(node.primitive for node in found.nodes if node.kind == "primitive")
    assert drawn == Counter(index for index, one in enumerate(profile.primitives) if one.operator is not None)
    for node in found.nodes:
        if node.kind == "primitive":
            assert node.ns == profile.primitives[node.primitive].time_ns
            assert node.row == profile.primitives[node.primitive].operator
            within = found.nodes[node.parent]
            assert (within.kind, within.row) == ("operator", node.row)
    python = sorted(node.ns for node in found.nodes if node.kind == "python")
    assert python == sorted(row.self_ns for row in profile.python)


@settings(max_examples=300, deadline=None)
@given(profiles())
def test_the_step_closes_to_the_ledgers_wall_time(profile):
    found = icicle(profile)
    if found.missing is not None:
        return
    step, inside = found.nodes[0], children(found, 0)
    assert (step.kind, step.start, step.width) == ("step", 0, 1)
    assert fsum(node.ns for node in inside) == pytest.approx(step.ns, abs=1e-3)
    rest = [node for node in inside if node.kind == "unattributed"]
    if profile.ledger is not None:
        assert step.ns == profile.ledger.wall_ns
        assert rest[0].ns == pytest.approx(profile.ledger.unattributed_ns, abs=1e-3)
    assert fsum(node.width for node in inside) == pytest.approx(1)
    for index, node in enumerate(found.nodes):
        if node.kind in ("phase", "module"):
            assert node.ns == pytest.approx(fsum(child.ns for child in children(found, index)))


@settings(max_examples=300, deadline=None)
@given(profiles())
def test_a_width_is_the_measured_time_unless_the_node_says_that_it_was_scaled(profile):
    found = icicle(profile)
    if found.missing is not None:
        return
    step_ns = max(found.nodes[0].ns, fsum(node.ns for node in children(found, 0) if node.ns > 0))
    for index, node in enumerate(found.nodes):
        if index and not node.scaled:
            assert node.width * step_ns == pytest.approx(max(node.ns, 0), rel=1e-6, abs=step_ns * 1e-9)
        inside = [child for child in children(found, index) if child.kind == "primitive"]
        too_long = fsum(child.ns for child in inside) > max(node.ns, 0)
        assert {child.scaled for child in inside} <= {too_long}


def test_the_sample_by_hand():
    found = icicle(a_profile())
    assert [node.label for node in children(found, 0)] == [
        "forward", "backward", "optimizer", OUTSIDE_PHASES, UNATTRIBUTED
    ]  # fmt: skip
    assert [node.ns for node in children(found, 0)] == [34_000, 40_000, 5_000, 16_000, 5_000]
    convolution = only(found, "aten::mkldnn_convolution")
    assert path(found, convolution) == ["forward", "net", "conv1", "aten::mkldnn_convolution"]
    assert (convolution.start, convolution.width) == (0, pytest.approx(0.3))
    inside = children(found, found.nodes.index(convolution))
    assert [(node.label, node.ns, node.primitive) for node in inside] == [
        ("convolution FWD_D brg_conv_fwd:avx512_core", 20_000, 1),
        ("reorder jit:uni", 2_000, 0),
    ]
    assert [node.width for node in inside] == pytest.approx([0.2, 0.02])
    assert path(found, only(found, "aten::add_")) == ["optimizer", OUTSIDE_MODULES, "aten::add_"]
    assert path(found, only(found, "Python (step)")) == [OUTSIDE_PHASES, OUTSIDE_MODULES, "Python (step)"]
    python = only(found, "Python (module)")
    assert (path(found, python)[:-1], python.ns) == (["forward", "net", "conv1"], 4_000)
    assert not any(node.scaled for node in found.nodes)


def test_primitives_that_took_longer_than_their_operator_fill_it_and_are_marked():
    primitives = (a_primitive("convolution", "undef", 90.0, 0), a_primitive("reorder", "undef", 30.0, 0))
    operator = Operator("aten::mm", "forward", "net", (), 1, 60.0, (), 60.0)
    found = icicle(Profile("p", operators=(operator,), primitives=primitives, ledger=Ledger(100, 60, 0, 40)))
    inside = [node for node in found.nodes if node.kind == "primitive"]
    assert [(node.ns, node.width, node.scaled) for node in inside] == [
        (90, pytest.approx(0.45), True), (30, pytest.approx(0.15), True)
    ]  # fmt: skip
    assert any("In 1 operator the primitives took longer" in note for note in found.notes)


def test_without_a_ledger_the_step_is_the_sum_of_its_rows():
    found = icicle(a_profile(ledger=None))
    assert found.nodes[0].ns == 95_000
    assert UNATTRIBUTED not in {node.label for node in found.nodes}
    assert fsum(node.width for node in children(found, 0)) == pytest.approx(1)


@pytest.mark.parametrize("ledger", [None, Ledger(100_000, 79_000, 16_000, 5_000)])
def test_a_primitive_that_no_operator_is_known_for_lies_in_no_box_and_is_counted_in_a_note(ledger):
    lost = (a_primitive("matmul", "undef", 7_000.0, None), a_primitive("reorder", "undef", 2_000.0, None))
    found = icicle(a_profile(primitives=lost, ledger=ledger))
    assert not [node for node in found.nodes if node.kind == "primitive"]
    assert not [
        node for node in found.nodes if node.parent is not None and found.nodes[node.parent].label == UNATTRIBUTED
    ]
    runs = f"{sum(one.count for one in lost):.0f} executions and 9.00 µs of a step"
    assert any("2 primitives could not be joined" in note and runs in note for note in found.notes)


def test_primitives_are_said_to_be_scaled_wherever_they_are():
    owners = [
        Operator("aten::mm", "forward", "net", (), 1, 60.0, (), 60.0),
        Operator("aten::mm", None, None, (), 1, 5.0, (), 5.0),
        Operator("aten::mm", None, None, (1,), 1, 0.0, (), 0.0),
    ]
    primitives = tuple(a_primitive("matmul", "undef", 90.0, row) for row in range(len(owners)))
    found = icicle(Profile("p", operators=tuple(owners), primitives=primitives, ledger=Ledger(100, 65, 0, 35)))
    assert all(node.scaled for node in found.nodes if node.kind == "primitive")
    assert any("In 3 operators the primitives took longer" in note for note in found.notes)


@pytest.mark.parametrize(
    "profile",
    [
        Profile("nothing"),
        a_profile(operators=(), primitives=(), python=(), ledger=None),
        Profile("one", primitives=(a_primitive("matmul", "undef", 7.0, None),)),
        Profile("zero", operators=(Operator("aten::view", None, None, (), 1, 0, (), 0),), ledger=Ledger(0, 0, 0, 0)),
    ],
)
def test_a_profile_without_times_says_so_instead_of_drawing(profile):
    found = icicle(profile)
    assert not found.nodes
    assert found.missing


def test_without_operators_the_ledger_alone_is_drawn():
    found = icicle(a_profile(operators=(), primitives=(), python=()))
    assert [(node.label, node.ns) for node in found.nodes] == [("step", 100_000), (UNATTRIBUTED, 100_000)]


def test_without_the_primitive_pass_the_notes_say_so():
    found = icicle(a_profile(primitives=(), passes=("operators",)))
    assert any("primitives pass did not run" in note for note in found.notes)


def test_a_path_of_thousands_of_names_has_a_bottom():
    operator = Operator("aten::mm", None, ".".join("m" * 5000), (), 1, 60.0, (), 60.0)
    found = icicle(Profile("p", operators=(operator,)))
    labels = path(found, only(found, "aten::mm"))
    assert len(labels) < 40
    assert ".".join(labels[1:-1]) == operator.module
