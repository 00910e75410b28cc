"""``perfsuite trace``: real captures as traces, held against the rules of the format and Perfetto's own reader."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.capture.passes import Settings, capture_profile
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.step import Step
from perfsuite.capture.training_step import TrainingStep
from perfsuite.cli import main
from perfsuite.present.trace import microseconds, trace_text
from perfsuite.records import Profile
from perfsuite.store import create_run
from perfsuite.timeline import Span, Timeline
from tests.samples import an_environment
from tests.trace_processor import missing_parts, trace_processor
from tests.trace_rules import Slice, Trace, read_trace

ROOT = Path(__file__).parent.parent
ODD = 'odd/näme [a-b] "q" \\ \x1b[31m\n\ud800 <x>'


def captured(**settings: Any) -> tuple[Profile, Timeline]:
    """A training step of a small convolutional network, recorded for real."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, padding=1),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 16 * 16, 4),
    )
    recorder = PhaseRecorder()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batch = (torch.ones(2, 3, 16, 16), torch.zeros(2, dtype=torch.long))
    step = TrainingStep(model, optimizer, torch.nn.functional.cross_entropy, batch, phase=recorder.phase)
    step()
    kept: list[Timeline] = []
    profile = capture_profile(Step(step), recorder, Settings(steps=3, **settings), None, keep=kept.append)
    (timeline,) = kept
    return profile, timeline


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Profile, Timeline]:
    """A folder with one run of one workload, and what was captured."""
    profile, timeline = captured(passes=("operators", "primitives"))
    profile = replace(profile, name="net", overhead={"primitives": 0.25})
    directory = tmp_path_factory.mktemp("runs")
    run = create_run(directory, an_environment())
    run.write(profile, timeline)
    run.finish()
    return directory, profile, timeline


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["trace", *map(str, arguments)])


def traced(directory: Path, *arguments: str) -> Trace:
    result = invoke("-o", "-", "--dir", directory, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return read_trace(result.stdout)


def assert_one_line(result: Result, *parts: str) -> None:
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in result.stderr


# --- what a real capture gives ----------------------------------------------------------------------


def inside(category: str) -> Callable[[Slice], bool]:
    return lambda one: any(around.event["cat"] == category for around in one.above())


def test_every_primitive_is_inside_an_operator_of_its_track(recorded: Any) -> None:
    trace = traced(recorded[0])
    primitives = trace.slices("primitive")
    assert len(primitives) == recorded[1].ledger.executed_primitives > 5
    assert all(map(inside("operator"), primitives))
    around = {one.parent.event["name"] for one in primitives if one.parent is not None}
    assert {"aten::mkldnn_convolution", "aten::convolution_backward"} <= around
    named = {one.event["name"] for one in primitives}
    assert {"convolution forward_training", "convolution backward_weights"} <= named
    said = primitives[0].event["args"]
    assert {"implementation", "problem", "layouts", "module"} <= set(said)


def test_the_phases_cover_the_step_and_nothing_else_is_at_the_top(recorded: Any) -> None:
    trace = traced(recorded[0])
    phases = trace.tracks["phases"]
    top = [one for one in phases if one.parent is None]
    assert [one.event["name"] for one in top] == ["step"]
    (step,) = top
    assert sum(one.end - one.start for one in top) == recorded[2].spans[0].duration_ns
    assert abs((step.end - step.start) - recorded[2].wall_ns) <= 0.2 * recorded[2].wall_ns
    names = [one.event["name"] for one in step.children]
    assert names == ["data", "forward", "loss", "backward", "optimizer"]
    assert sum(one.end - one.start for one in step.children) >= 0.8 * (step.end - step.start)
    for track in trace.tracks.values():
        assert all(step.start <= one.start and one.end <= step.end for one in track)


def test_modules_are_a_track_and_operators_know_theirs(recorded: Any) -> None:
    trace = traced(recorded[0])
    modules = trace.tracks["modules"]
    assert modules[0].event["name"] == "Sequential"
    assert [one.event["name"] for one in modules[0].children] == [f"Sequential.{i}" for i in range(5)]
    backward = [one for one in trace.slices("operator") if one.event["name"] == "aten::convolution_backward"]
    assert [one.event["args"]["module"] for one in backward] == ["Sequential.2", "Sequential.0"]
    assert backward[0].event["args"]["phase"] == "backward"
    assert "2x8x16x16" in backward[0].event["args"]["shapes"]
    assert "float32" in backward[0].event["args"]["dtypes"]


def test_the_trace_says_what_it_shows_and_what_that_cost(recorded: Any) -> None:
    trace = traced(recorded[0])
    timeline = recorded[2]
    assert trace.process == "net"
    assert trace.metadata["pass"] == "primitives"
    assert trace.metadata["step"] == f"{timeline.step + 1} of 3, the median by wall time"
    assert trace.metadata["step_wall_ns"] == timeline.wall_ns
    assert trace.metadata["overhead_of_the_pass"] == 0.25
    assert trace.metadata["primitives"].endswith("starts by oneDNN's clock")
    assert (trace.metadata["torch"], trace.metadata["onednn"]) == ("2.13.0", "v3.12.0")
    assert None not in trace.metadata.values()


def test_without_the_primitive_pass_it_is_a_step_of_the_operator_pass() -> None:
    profile, timeline = captured(passes=("operators",))
    trace = read_trace(trace_text(timeline, profile, an_environment()))
    assert (timeline.source, timeline.join) == ("operators", None)
    assert trace.slices("primitive") == []
    assert trace.metadata["primitives"] == "not recorded in this pass"
    assert any("2x3x16x16" in one.event["args"].get("shapes", "") for one in trace.slices("operator"))


def test_primitives_without_time_stamps_say_that_their_start_is_not_measured() -> None:
    # oneDNN reads the variable when it first prints, so this takes a process of its own.
    code = (
        "from tests.test_trace import *\n"
        "profile, timeline = captured(passes=('operators', 'primitives'))\n"
        "print(profile.join, profile.ledger.joined_primitives)\n"
        "print(trace_text(timeline, profile, an_environment()))"
    )
    variables = {**os.environ, "ONEDNN_VERBOSE_TIMESTAMP": "0"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    head, _, text = done.stdout.partition("\n")
    trace = read_trace(text)
    primitives = trace.slices("primitive")
    assert head == f"markers {len(primitives)}"
    assert all(map(inside("operator"), primitives))
    assert {one.event["args"]["start"] for one in primitives} == {"not measured"}
    assert not [one for one in trace.slices("annotation") if "perfsuite" in one.event["name"]]
    assert "starts not measured" in trace.metadata["primitives"]


def test_a_pass_that_saw_no_operator_keeps_no_timeline() -> None:
    kept: list[Timeline] = []
    capture_profile(Step(lambda: None), PhaseRecorder(), Settings(passes=("phases",)), None, keep=kept.append)
    assert kept == []


def test_a_session_keeps_a_timeline_of_every_workload(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import torch

        def test_mm(profiled):
            a = torch.ones(8, 8)
            profiled(lambda: a @ a)
        """
    )
    done = pytester.runpytest_subprocess("--profile-dnn", "--benchmark-max-time=0.05", "-p", "no:cacheprovider")
    assert done.ret == 0
    trace = traced(pytester.path / ".perfsuite")
    assert trace.process == "test_it.py::test_mm"
    assert "aten::mm" in {one.event["name"] for one in trace.slices("operator")}


# --- numbers and text -------------------------------------------------------------------------------


@given(st.integers(0, 2**50))
def test_a_time_is_the_same_nanoseconds_whether_it_is_cut_or_rounded(ns: int) -> None:
    us = microseconds(ns)
    assert int(us * 1000) == round(us * 1000) == ns
    assert json.loads(json.dumps(us)) == us


def test_every_fraction_of_a_microsecond_survives() -> None:
    assert [int(microseconds(ns) * 1000) for ns in range(5000)] == list(range(5000))
    assert int(1.001 * 1000) == 1000, "which is why"


def test_names_with_odd_characters(tmp_path: Path) -> None:
    spans = (Span("step", "step", 0, 10), Span("operator", ODD, 1, 5, 0, module=ODD, details={"shapes": ((1, 2),)}))
    run = create_run(tmp_path, an_environment())
    run.write(Profile(ODD), Timeline("operators", 0, 1, 10, None, spans))
    run.write(Profile("other"), Timeline("operators", 0, 1, 10, None, spans[:1]))
    run.finish()
    trace = traced(tmp_path, "--workload", "odd/n")
    assert trace.process == 'odd/näme [a-b] "q" \\ \\x1b[31m\\n\\ud800 <x>'
    assert trace.slices("operator")[0].event["name"] == trace.process
    assert traced(tmp_path, "--workload", "other").process == "other"


# --- the command ------------------------------------------------------------------------------------


def test_a_file_is_compressed_if_its_name_says_so_and_replaced_if_it_is_there(recorded: Any, tmp_path: Path) -> None:
    plain, packed = tmp_path / "t.json", tmp_path / "t.json.gz"
    plain.write_text("something else")
    for path in (plain, packed):
        result = invoke("latest", "-o", path, "--dir", recorded[0])
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"{path}: {len(recorded[2].spans)} slices of step {recorded[2].step + 1} of 3\n"
    text = plain.read_text()
    assert gzip.decompress(packed.read_bytes()).decode() == text
    assert read_trace(text).process == "net"
    assert text == invoke("-o", "-", "--dir", recorded[0]).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json", "t.json.gz"]


def test_links_and_pipes_stay_what_they_are(recorded: Any, tmp_path: Path) -> None:
    (tmp_path / "real.json").touch()
    (tmp_path / "link.json").symlink_to("real.json")
    assert invoke("-o", tmp_path / "link.json", "--dir", recorded[0]).exit_code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert read_trace((tmp_path / "real.json").read_text()).process == "net"
    assert invoke("-o", "/dev/null", "--dir", recorded[0]).exit_code == 0
    assert not Path("/dev/null").is_file()


def test_an_output_that_cannot_be_written_is_one_line(recorded: Any, tmp_path: Path) -> None:
    assert_one_line(
        invoke("-o", tmp_path / "absent" / "t.json", "--dir", recorded[0]), "cannot write", "there is no folder"
    )
    assert_one_line(invoke("-o", tmp_path, "--dir", recorded[0]), "cannot write", "it is a folder")
    assert_one_line(invoke("-o", "/dev/full", "--dir", recorded[0]), "cannot write /dev/full: No space left")
    assert_one_line(invoke("--dir", recorded[0]), "-o")


def test_which_workload(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    timeline = Timeline("operators", 0, 1, 10, None, (Span("step", "step", 0, 10),))
    for name in ("net", "net[a]", "net[b]"):
        run.write(Profile(name), timeline)
    run.write(Profile("bare"))
    run.finish()
    assert traced(tmp_path, "--workload", "net").process == "net"
    assert traced(tmp_path, "--workload", "[b]").process == "net[b]"
    assert_one_line(invoke("-o", "-", "--dir", tmp_path), "more than one workload", "--workload", "net[a]")
    assert_one_line(invoke("-o", "-", "--dir", tmp_path, "--workload", "net["), "names several", "net[a], net[b]")
    assert_one_line(invoke("-o", "-", "--dir", tmp_path, "--workload", "x"), "is not in run", "bare")
    assert_one_line(
        invoke("-o", "-", "--dir", tmp_path, "--workload", "bare"), "no timeline of bare", "pytest --profile-dnn"
    )
    assert_one_line(invoke("no-such-run", "-o", "-", "--dir", tmp_path), "no run 'no-such-run'")


def test_a_run_without_workloads(tmp_path: Path) -> None:
    create_run(tmp_path, an_environment()).finish()
    assert_one_line(invoke("-o", "-", "--dir", tmp_path), "has no workload")


def test_it_needs_no_torch(recorded: Any) -> None:
    code = (
        "import sys; from perfsuite.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print([m for m in ('torch', 'numpy', 'psutil') if m in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "trace", "-o", "-", "--dir", str(recorded[0])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert read_trace(done.stdout).process == "net"


# --- Perfetto's own reader --------------------------------------------------------------------------

needs_perfetto = pytest.mark.skipif(
    bool(missing_parts()),
    reason=f"NOT TESTED: whether Perfetto's trace processor reads a trace, for want of {', '.join(missing_parts())}; "
    "only the rules of tests/trace_rules.py were checked",
)
SLICES = (
    "select thread.name as track, s.name, s.category, s.ts, s.dur, s.depth, p.name as around, p.ts as around_ts "
    "from slice s left join slice p on s.parent_id = p.id "
    "join thread_track t on s.track_id = t.id join thread using (utid)"
)
PROBLEMS = "select name, value from stats where severity in ('error', 'data_loss') and value > 0"


def rows(reader: Any, query: str) -> list[tuple[Any, ...]]:
    return [tuple(vars(row).values()) for row in reader.query(query)]


def as_perfetto(trace: Trace) -> list[tuple[Any, ...]]:
    """The rows of SLICES, by the strict reader of these tests."""
    found: list[tuple[Any, ...]] = []
    for track, slices in trace.tracks.items():
        for one in slices:
            around = (None, None) if one.parent is None else (one.parent.event["name"], one.parent.start)
            name, kind = one.event["name"], one.event["cat"]
            found.append((track, name, kind, one.start, one.end - one.start, len(one.above()), *around))
    return found


@pytest.fixture(scope="module")
def perfetto(recorded: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Perfetto with the real capture loaded, as the command writes it."""
    folder = tmp_path_factory.mktemp("perfetto")
    assert invoke("-o", folder / "trace.json.gz", "--dir", recorded[0]).exit_code == 0
    with trace_processor(folder / "trace.json.gz", folder / "log") as reader:
        yield reader


@needs_perfetto
def test_perfetto_has_every_slice_where_the_strict_reader_has_it(recorded: Any, perfetto: Any) -> None:
    assert rows(perfetto, PROBLEMS) == []
    found = rows(perfetto, SLICES)
    assert len(found) == len(recorded[2].spans)
    assert sorted(found, key=repr) == sorted(as_perfetto(traced(recorded[0])), key=repr)


@needs_perfetto
def test_perfetto_has_every_primitive_inside_an_operator(recorded: Any, perfetto: Any) -> None:
    primitives = rows(perfetto, f"select track, depth > 0 from ({SLICES}) where category = 'primitive'")
    assert primitives == [("operators and primitives", 1)] * recorded[1].ledger.executed_primitives
    inside_one = (
        "select count(distinct p.id) from slice p join ancestor_slice(p.id) a on a.category = 'operator' "
        "where p.category = 'primitive' and a.ts <= p.ts and p.ts + p.dur <= a.ts + a.dur"
    )
    assert rows(perfetto, inside_one) == [(len(primitives),)]


@needs_perfetto
def test_perfetto_has_the_tracks_the_phases_and_the_time_of_the_step(recorded: Any, perfetto: Any) -> None:
    assert rows(perfetto, "select name from process where pid = 1") == [("net",)]
    tracks = rows(perfetto, "select name from thread where upid = 1 order by tid")
    assert tracks == [("phases",), ("modules",), ("operators and primitives",)]
    phases = rows(perfetto, f"select name from ({SLICES}) where track = 'phases' and around = 'step' order by ts")
    assert phases == [("data",), ("forward",), ("loss",), ("backward",), ("optimizer",)]
    modules = rows(perfetto, f"select name from ({SLICES}) where track = 'modules' and depth = 0")
    assert modules == [("Sequential",)]
    step_ns = recorded[2].spans[0].duration_ns
    assert rows(perfetto, f"select sum(dur) from ({SLICES}) where track = 'phases' and depth = 0") == [(step_ns,)]
    ((of_phases, of_operators),) = rows(
        perfetto,
        f"select sum(dur) filter (where category = 'phase'), sum(dur) filter (where category = 'operator' and "
        f"around is null) from ({SLICES})",
    )
    assert 0 < of_operators < of_phases <= step_ns


@needs_perfetto
def test_perfetto_shows_what_the_trace_is_as_arguments_of_the_step(recorded: Any, perfetto: Any) -> None:
    said = rows(
        perfetto,
        "select key, coalesce(string_value, int_value, real_value) from slice join args using (arg_set_id) "
        "where category = 'step'",
    )
    assert {key.removeprefix("args."): value for key, value in said} == traced(recorded[0]).metadata


@needs_perfetto
def test_perfetto_has_odd_names_and_every_nanosecond(tmp_path: Path) -> None:
    steps = [Span("step", "step", 0, 10_000_000)]
    operators = [Span("operator", ODD, at * 1001, at, thread=at % 2) for at in range(1, 2000)]
    text = trace_text(Timeline("operators", 0, 1, 10, None, (*steps, *operators)), Profile(ODD), an_environment())
    (tmp_path / "t.json").write_text(text)
    with trace_processor(tmp_path / "t.json", tmp_path / "log") as reader:
        assert rows(reader, PROBLEMS) == []
        found = rows(reader, SLICES)
        assert rows(reader, "select name from process where pid = 1") == [(read_trace(text).process,)]
    assert sorted(found, key=repr) == sorted(as_perfetto(read_trace(text)), key=repr)
    assert {(ts, dur) for *_, ts, dur, _depth, _name, _ts in found} == {
        (one.start_ns, one.duration_ns) for one in (*steps, *operators)
    }
    assert {track for track, *_ in found} == {"phases", "operators and primitives", "operators, thread 2"}


@needs_perfetto
def test_perfetto_says_so_if_slices_do_not_nest(tmp_path: Path) -> None:
    """What the other tests rely on: it drops a slice that overlaps another, and complains."""
    event = {"ph": "X", "pid": 1, "tid": 1, "cat": "operator", "name": "a", "args": {}}
    events = [{**event, "ts": 0, "dur": 10}, {**event, "ts": 5, "dur": 10}]
    (tmp_path / "t.json").write_text(json.dumps({"traceEvents": events}))
    with trace_processor(tmp_path / "t.json", tmp_path / "log") as reader:
        assert rows(reader, PROBLEMS) == [("slice_drop_overlapping_complete_event", 1)]
        assert rows(reader, "select ts, dur from slice") == [(0, 10000)]
