"""Nesting, self time and links, on made-up events and against a brute-force oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.capture.events import (
    MEMORY_EVENT,
    MODULE_RANGE,
    PHASE_RANGE,
    STEP_RANGE,
    Event,
    build_tree,
    kind_of,
    normalise_names,
    split_steps,
    with_shapes,
)


def event(name: str, start: int, end: int, **fields: object) -> Event:
    return Event(name, start, end, thread=1, **fields)  # type: ignore[arg-type]


def self_times(tree) -> dict[str, int]:
    return {node.event.name: node.self_ns for node in tree.nodes}


def test_self_time_is_what_the_children_leave():
    tree = build_tree([event("aten::conv2d", 0, 100), event("aten::empty", 10, 20), event("aten::copy_", 50, 80)])
    assert self_times(tree) == {"aten::conv2d": 60, "aten::empty": 10, "aten::copy_": 30}


def test_of_equal_intervals_the_outer_kind_is_outside():
    events = [event("aten::mm", 0, 10), event(PHASE_RANGE + "forward", 0, 10), event(STEP_RANGE, 0, 10)]
    tree = build_tree(events)
    assert [node.kind for node in tree.nodes] == ["step", "phase", "operator"]
    assert self_times(tree)["aten::mm"] == 10


def test_of_equal_operators_the_first_listed_is_outside():
    tree = build_tree([event("aten::outer", 0, 10), event("aten::inner", 0, 10)])
    assert tree.nodes[1].event.name == "aten::inner"
    assert tree.nodes[1].parent == 0


def test_an_event_that_starts_where_another_ends_is_its_sibling():
    tree = build_tree([event("aten::a", 0, 10), event("aten::b", 10, 20)])
    assert tree.nodes[1].parent is None


def test_a_child_that_outlasts_its_parent_is_cut():
    tree = build_tree([event("aten::a", 0, 10), event("aten::b", 5, 12)])
    assert self_times(tree) == {"aten::a": 5, "aten::b": 5}


@st.composite
def nested(draw, low: int = 0, high: int = 1000, depth: int = 0):
    """Events that nest properly, as a profiler records them, outer first."""
    found = []
    at = low
    for _ in range(draw(st.integers(0, 3 if depth else 4))):
        start = draw(st.integers(at, high))
        end = draw(st.integers(start, high))
        found.append((start, end))
        at = end
    events = []
    for start, end in found:
        events.append(event(f"aten::op{depth}", start, end))
        if depth < 3 and end > start:
            events.extend(draw(nested(start, end, depth + 1)))
    return events


@given(nested())
def test_self_times_add_up_to_the_time_covered(events):
    tree = build_tree(events)
    covered = set()
    for e in events:
        covered.update(range(e.start_ns, e.end_ns))
    assert sum(node.self_ns for node in tree.nodes) == len(covered)
    assert all(node.self_ns >= 0 for node in tree.nodes)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=12))
def test_no_instant_is_counted_twice_even_when_intervals_overlap(pairs):
    events = [event("aten::x", min(p), max(p)) for p in pairs]
    tree = build_tree(events)
    covered = set()
    for e in events:
        covered.update(range(e.start_ns, e.end_ns))
    assert sum(node.self_ns for node in tree.nodes) <= len(covered)


@given(nested(), st.integers(0, 1000))
def test_innermost_agrees_with_looking_at_every_event(events, at):
    tree = build_tree(events)
    inside = [n for n in tree.nodes if n.event.start_ns <= at <= n.end_ns]
    index = tree.innermost(at)
    if not inside:
        assert index is None
    else:
        # Where intervals only touch at the instant, any of them holds it; a strictly containing one must win.
        assert index is not None
        found = tree.nodes[index]
        strict = [n for n in inside if n.event.start_ns < at < n.end_ns]
        if strict:
            assert found.total_ns <= max(strict, key=lambda n: n.event.start_ns).total_ns


@pytest.mark.parametrize(
    ("name", "fields", "kind"),
    [
        ("aten::mm", {}, "operator"),
        ("torch_ipex::convolution_forward_impl", {}, "operator"),
        ("## Call CompiledFxGraph fszeatgt ##", {"scope": 7}, "operator"),
        ("autograd::engine::evaluate_function: MmBackward0", {"sequence": 3}, "autograd"),
        ("MmBackward0", {"scope": 1, "sequence": 3}, "autograd"),
        ("torch::autograd::AccumulateGrad", {"scope": 1}, "autograd"),
        ("MyFunction", {"sequence": 4}, "autograd"),
        ("Optimizer.step#Adam.step", {"scope": 7}, "annotation"),
        ("user::named_range", {"scope": 7}, "annotation"),
        ("TorchDynamo Cache Lookup", {}, "annotation"),
        ("perfsuite.phase:loss", {}, "phase"),
        ("perfsuite.module:Net.conv", {}, "module"),
    ],
)
def test_kinds(name, fields, kind):
    assert kind_of(event(name, 0, 1, **fields)) == kind


def test_a_backward_operator_gets_the_module_of_its_forward():
    events = [
        event(STEP_RANGE, 0, 100),
        event(PHASE_RANGE + "forward", 0, 50),
        event(MODULE_RANGE + "Net.frozen", 1, 9),
        event("aten::relu", 2, 8, sequence=7),  # makes no node: the next one has the same number
        event(MODULE_RANGE + "Net.conv", 10, 40),
        event("aten::conv2d", 11, 39, sequence=7),
        event(PHASE_RANGE + "backward", 60, 90),
        event("autograd::engine::evaluate_function: ConvolutionBackward0", 61, 89, sequence=7, forward_thread=1),
        event("ConvolutionBackward0", 62, 88, scope=1, sequence=7, forward_thread=1),
        event("aten::convolution_backward", 63, 87),
    ]
    found = {node.event.name: node for node in build_tree(events).nodes}
    assert found["aten::convolution_backward"].module == "Net.conv"
    assert found["aten::convolution_backward"].phase == "backward"
    assert found["aten::relu"].module == "Net.frozen"


def test_forward_operators_that_run_again_in_the_backward_are_linked_too():
    events = [
        event("CheckpointFunctionBackward", 0, 100, scope=1, sequence=1, forward_thread=1),
        event(MODULE_RANGE + "Net.a", 10, 40),
        event("aten::linear", 11, 39, sequence=5),
        event("autograd::engine::evaluate_function: MmBackward0", 50, 90, sequence=5, forward_thread=1),
        event("aten::mm", 60, 80),
    ]
    assert build_tree(events).nodes[-1].module == "Net.a"


def test_accumulating_a_gradient_belongs_to_no_module():
    events = [
        event("aten::mm", 0, 5, sequence=1),
        event("torch::autograd::AccumulateGrad", 10, 20, scope=1),
        event("aten::add_", 11, 19),
    ]
    assert build_tree(events).nodes[-1].module is None


def test_compiled_graphs_are_numbered_in_the_order_of_their_first_run():
    name = "## Call CompiledFxGraph {} ##".format
    events = [event(name("fbb"), 20, 30), event(name("faa"), 0, 10), event(name("faa"), 40, 50)]
    assert [e.name for e in normalise_names(events)] == [name(0), name(1), name(0)]


def test_steps_are_split_and_other_threads_left_out():
    other = Event("aten::mm", 5, 6, thread=2)
    events = [event(STEP_RANGE, 0, 10), event("aten::a", 1, 2), other, event("aten::between", 11, 12),
              event(STEP_RANGE, 20, 30), event("aten::b", 20, 25)]  # fmt: skip
    thread, steps = split_steps(events)
    assert thread == 1
    assert [[e.name for e in step] for step in steps] == [[STEP_RANGE, "aten::a"], [STEP_RANGE, "aten::b"]]


def test_no_step_is_an_error():
    with pytest.raises(ValueError, match="no step"):
        split_steps([event("aten::a", 0, 1)])


def test_shapes_are_taken_from_the_same_event_of_another_step():
    plain = [event("aten::mm", 5, 9), event("aten::linear", 0, 10), event(MEMORY_EVENT, 6, 6)]
    shaped = [event("aten::linear", 100, 130, shapes=((1,),)), event("aten::mm", 110, 120, shapes=((2,),))]
    merged = with_shapes(plain, shaped)
    assert [(e.name, e.start_ns, e.end_ns, e.shapes) for e in merged] == [
        ("aten::linear", 0, 10, ((1,),)),
        ("aten::mm", 5, 9, ((2,),)),
    ]


def test_shapes_of_a_step_that_ran_other_events_are_nobodys():
    assert with_shapes([event("aten::mm", 0, 1)], [event("aten::bmm", 0, 1)]) is None
    assert with_shapes([event("aten::mm", 0, 1)], []) is None
