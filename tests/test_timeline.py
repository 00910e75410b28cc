"""From recorded steps to the spans of a trace, on made-up events, and how they are stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.capture.events import MARKER_RANGE, MODULE_RANGE, PHASE_RANGE, STEP_RANGE, Event
from perfsuite.capture.operators import nest
from perfsuite.capture.primitives import join_by_markers, join_by_time
from perfsuite.capture.profiler import Recording
from perfsuite.capture.timeline import timeline_of
from perfsuite.errors import StoreError
from perfsuite.records import Profile
from perfsuite.store import create_run, list_runs, load_run, load_timeline, prune_runs
from perfsuite.timeline import KINDS, Span, Timeline, from_columns, to_columns
from tests.samples import an_environment

HEADER = (
    "onednn_verbose,v1,info,template:timestamp,operation,engine,primitive,implementation,prop_kind,"
    "memory_descriptors,attributes,auxiliary,problem_desc,exec_time"
)
STEP = Event(STEP_RANGE, 1_000_000, 1_100_000, 1)
FORWARD = Event(PHASE_RANGE + "forward", 1_001_000, 1_090_000, 1)
MODULE = Event(MODULE_RANGE + "Net.conv", 1_002_000, 1_080_000, 1)
OUTER = Event("aten::conv2d", 1_003_000, 1_070_000, 1, shapes=((2, 3), ()), dtypes=("float32", None))
INNER = Event("aten::empty", 1_020_000, 1_030_000, 1)
STEP_LINES = ("perfsuite_marker,step-begin,0", "perfsuite_marker,step-end,0")


def verbose(start_ns: int | None, time_ns: int, kind: str = "convolution", direction: str = "forward_training") -> str:
    at = "" if start_ns is None else f"{start_ns // 10**6}.{start_ns % 10**6:06d},"
    what = f"cpu,{kind},jit:avx512_core,{direction},src:f32::blocked:abcd::f0,,alg:direct,mb2_ic3"
    return f"onednn_verbose,v1,{at}primitive,exec,{what},{time_ns / 1e6:.6f}"


def made(*events: Event, lines: tuple[str, ...] = (), walls: tuple[int, ...] = (100_500,)) -> Timeline:
    steps = nest(Recording(events, walls))
    if not lines:
        return timeline_of(steps, "operators")
    return timeline_of(steps, "primitives", join_by_time(steps, (STEP_LINES[0], *lines, STEP_LINES[1]), (HEADER,)))


def drawn(timeline: Timeline) -> list[tuple[str, int, int, str | None]]:
    """(name, start, duration, name of the span around it) of each span."""
    around = [None if span.parent is None else timeline.spans[span.parent].name for span in timeline.spans]
    return [(s.name, s.start_ns, s.duration_ns, p) for s, p in zip(timeline.spans, around, strict=True)]


def test_spans_begin_with_the_step_and_know_what_is_around_them() -> None:
    timeline = made(STEP, FORWARD, MODULE, OUTER, INNER)
    assert drawn(timeline) == [
        ("step", 0, 100_000, None),
        ("forward", 1_000, 89_000, "step"),
        ("Net.conv", 2_000, 78_000, "forward"),
        ("aten::conv2d", 3_000, 67_000, "Net.conv"),
        ("aten::empty", 20_000, 10_000, "aten::conv2d"),
    ]
    assert [span.kind for span in timeline.spans] == ["step", "phase", "module", "operator", "operator"]
    assert timeline.spans[3].details == {"shapes": ((2, 3), ()), "dtypes": ("float32", None)}
    assert (timeline.spans[4].phase, timeline.spans[4].module, timeline.spans[4].details) == ("forward", "Net.conv", {})
    assert (timeline.source, timeline.step, timeline.steps, timeline.wall_ns) == ("operators", 0, 1, 100_500)
    assert timeline.join is None


@pytest.mark.parametrize(("walls", "step"), [((5, 9, 7), 2), ((5, 9, 7, 8), 2), ((7, 7, 7), 1), ((9, 5), 1)])
def test_it_is_the_step_with_the_median_wall_time(walls: tuple[int, ...], step: int) -> None:
    events = [Event(STEP_RANGE, 1000 * i, 1000 * i + 100 + i, 1) for i in range(len(walls))]
    timeline = made(*events, walls=walls)
    assert (timeline.step, timeline.steps, timeline.wall_ns) == (step, len(walls), walls[step])
    assert timeline.spans[0].duration_ns == 100 + step


def test_a_primitive_is_where_its_time_stamp_says() -> None:
    timeline = made(STEP, FORWARD, MODULE, OUTER, INNER, lines=(verbose(1_040_000, 20_000),))
    assert drawn(timeline)[-1] == ("convolution forward_training", 40_000, 20_000, "aten::conv2d")
    primitive = timeline.spans[-1]
    assert (primitive.kind, primitive.phase, primitive.module) == ("primitive", "forward", "Net.conv")
    assert primitive.details == {
        "implementation": "jit:avx512_core", "problem": "mb2_ic3", "dtypes": "src:f32", "layouts": "src:abcd",
        "algorithm": "alg:direct",
    }  # fmt: skip
    assert (timeline.source, timeline.join, timeline.left_out) == ("primitives", "timestamps", 0)


def test_a_primitive_that_sticks_out_is_cut_and_its_time_kept() -> None:
    lines = (verbose(1_002_500, 10_000), verbose(1_012_000, 9_000), verbose(1_065_000, 8_000, "reorder", "undef"))
    timeline = made(STEP, OUTER, INNER, lines=lines)
    assert [row for row in drawn(timeline) if row[3] == "aten::conv2d"] == [
        ("convolution forward_training", 3_000, 9_500, "aten::conv2d"),  # began before its operator
        ("convolution forward_training", 12_500, 7_500, "aten::conv2d"),  # between the one before and aten::empty
        ("aten::empty", 20_000, 10_000, "aten::conv2d"),
        ("reorder", 65_000, 5_000, "aten::conv2d"),  # ended after its operator
    ]
    assert [s.details.get("time_ns") for s in timeline.spans if s.kind == "primitive"] == [10_000, 9_000, 8_000]


def test_a_primitive_without_an_operator_is_counted_and_left_out() -> None:
    timeline = made(STEP, INNER, lines=(verbose(1_050_000, 1_000), verbose(1_021_000, 1_000)))
    assert [span.kind for span in timeline.spans] == ["step", "operator", "primitive"]
    assert timeline.left_out == 1


def marked(*events: Event, lines: tuple[str, ...]) -> Timeline:
    steps = nest(Recording((STEP, *events), (100_500,)))
    between = (STEP_LINES[0], "perfsuite_marker,begin,7", *lines, "perfsuite_marker,end,7", STEP_LINES[1])
    return timeline_of(steps, "primitives", join_by_markers(steps, between))


def test_primitives_without_a_start_follow_one_another_from_their_operators() -> None:
    marker = Event(MARKER_RANGE + "7", 1_002_500, 1_071_000, 1)
    lines = (verbose(None, 10_000), verbose(None, 9_000), verbose(None, 11_000), verbose(None, 40_000))
    timeline = marked(marker, OUTER, INNER, lines=lines)
    assert drawn(timeline) == [
        ("step", 0, 100_000, None),
        ("aten::conv2d", 3_000, 67_000, "step"),  # and not the marker, which is ours
        ("convolution forward_training", 3_000, 10_000, "aten::conv2d"),
        ("aten::empty", 20_000, 10_000, "aten::conv2d"),
        ("convolution forward_training", 30_000, 9_000, "aten::conv2d"),
        ("convolution forward_training", 39_000, 11_000, "aten::conv2d"),
        ("convolution forward_training", 50_000, 20_000, "aten::conv2d"),
    ]
    primitives = [span for span in timeline.spans if span.kind == "primitive"]
    assert all(span.details["start"] == "not measured" for span in primitives)
    assert [span.details.get("time_ns") for span in primitives] == [None, None, None, 40_000]
    assert timeline.join == "markers"


def test_operators_of_other_threads_have_threads_of_their_own() -> None:
    elsewhere = [
        Event("aten::mm", 1_010_000, 1_020_000, 77), Event("aten::t", 1_011_000, 1_012_000, 77),
        Event("aten::add", 1_005_000, 1_006_000, 42), Event("aten::mul", 900_000, 901_000, 42),
    ]  # fmt: skip
    timeline = made(STEP, *elsewhere)
    assert [(span.name, span.thread, span.parent) for span in timeline.spans] == [
        ("step", 0, None), ("aten::add", 1, None), ("aten::mm", 2, None), ("aten::t", 2, 2),
    ]  # fmt: skip


_lengths = st.tuples(st.integers(0, 99_999), st.integers(0, 30_000))


@given(st.lists(_lengths, max_size=12), st.lists(_lengths, max_size=12), st.booleans())
def test_whatever_ran_the_spans_nest_and_none_is_lost(
    operators: list[tuple[int, int]], primitives: list[tuple[int, int]], by_time: bool
) -> None:
    events = [
        Event(f"aten::op{i}", 1_000_000 + at, min(1_000_000 + at + length, STEP.end_ns), 1)
        for i, (at, length) in enumerate(operators)
    ]
    lines = tuple(verbose(1_000_000 + at if by_time else None, length) for at, length in primitives)
    if by_time:
        timeline = made(STEP, *events, lines=lines or (verbose(1, 1),))
    else:
        timeline = marked(Event(MARKER_RANGE + "7", STEP.start_ns, STEP.end_ns, 1), *events, lines=lines)
    kinds = [span.kind for span in timeline.spans]
    assert kinds.count("operator") == len(events)
    assert kinds.count("primitive") + timeline.left_out == max(len(lines), by_time)
    assert from_columns(json.loads(json.dumps(to_columns(timeline)))) == timeline, "reading back checks the nesting"
    overlap = [0] * len(timeline.spans)
    reached: dict[int | None, int] = {}
    for index, span in enumerate(timeline.spans):
        overlap[index] = reached.get(span.parent, 0) - span.start_ns
        reached[span.parent] = span.end_ns
    assert all(found <= 0 for found in overlap), "of two spans in the same one, neither begins before the other ends"


# --- stored -----------------------------------------------------------------------------------------

_text = st.text(max_size=6)
_value = st.recursive(
    st.none() | st.integers(-(2**60), 2**60) | _text, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4
)


@st.composite
def timelines(draw: Any) -> Timeline:
    spans: list[Span] = []
    for index in range(draw(st.integers(0, 8))):
        parent = draw(st.none() | st.integers(0, index - 1)) if index else None
        start, end = (0, 1000) if parent is None else (spans[parent].start_ns, spans[parent].end_ns)
        begin = draw(st.integers(start, end))
        details = draw(st.dictionaries(_text, _value, max_size=2))
        word = st.none() | _text
        length = draw(st.integers(0, end - begin))
        spans.append(
            Span(draw(st.sampled_from(KINDS)), draw(_text), begin, length, parent, draw(st.integers(0, 3)),
                 draw(word), draw(word), details)
        )  # fmt: skip
    return Timeline(draw(_text), 1, 5, 10**6, draw(st.none() | _text), tuple(spans), draw(st.integers(0, 9)))


@given(timelines())
def test_any_timeline_reads_back(timeline: Timeline) -> None:
    assert from_columns(json.loads(json.dumps(to_columns(timeline)))) == timeline


def a_timeline() -> Timeline:
    return made(STEP, FORWARD, MODULE, OUTER, INNER, lines=(verbose(1_040_000, 20_000),))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": [0]}, "values for 1 spans"),
        ({"thread": ["0"] * 6}, r"thread\[0\]: expected int"),
        ({"name": [99] * 6}, "no entry 99"),
        ({"name": [-1] * 6}, "no entry -1"),
        ({"texts": [None] * 9}, "span without a name"),
        ({"parent": [1] * 6}, "span 0 has no span 1 before it"),
        ({"duration": [-1] * 6}, "lasts less than nothing"),
        ({"duration": [10**6] * 6}, "lies outside"),
        ({"tables": [1, 2, 3]}, "not pairs"),
        ({"extra": 1}, "unknown key 'extra'"),
    ],
)
def test_damage_is_said_to_be_damage(change: dict[str, Any], says: str) -> None:
    stored = {**json.loads(json.dumps(to_columns(a_timeline()))), **change}
    with pytest.raises(StoreError, match=says):
        from_columns(stored)


def test_a_run_keeps_timelines_beside_its_workloads(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    run.write(Profile("a/b [ü]"), a_timeline())
    run.write(Profile("without"))
    run.finish()
    assert load_timeline(run.path, "a/b [ü]") == a_timeline()
    assert [profile.name for profile in load_run(run.path).workloads] == ["a/b [ü]", "without"]
    (file,) = (run.path / "timelines").iterdir()
    assert (run.path / "workloads" / file.name).exists(), "the file has its workload's name"
    file.write_bytes(b"damaged")
    assert load_run(run.path).problems == (), "nothing but a trace reads it"
    with pytest.raises(StoreError, match=f"{file.name}: damaged, not a whole gzip file"):
        load_timeline(run.path, "a/b [ü]")
    assert prune_runs(tmp_path, 0) == (run.id,)
    assert list_runs(tmp_path) == ()
    assert not file.exists()


def test_a_workload_without_a_timeline_says_how_to_get_one(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    run.write(Profile("a"), a_timeline())
    run.write(Profile("a"))
    with pytest.raises(StoreError, match=r"no timeline of a: .*record it again with: pytest --profile-dnn"):
        load_timeline(run.path, "a")
