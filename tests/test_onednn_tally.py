"""A whole log at once says what its lines say one by one, however it is cut and whatever is in it."""

from __future__ import annotations

import dataclasses
import io
import math
import random
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfsuite.onednn import OTHERS, Distinct, Execution, Tally, VerboseParser, log, memory, open_log, sums, tally
from perfsuite.onednn import tally as tally_of
from tests.verbose_text import LOGS, RECORD, REORDER, markers, spoilt

seeds = st.integers(0, 2**32)


def one_by_one(data: bytes) -> tuple[VerboseParser, list[Execution]]:
    parser = VerboseParser()
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return parser, [e for line in lines for e in parser.read(line.decode("utf-8", "replace"))]


def key(record: Execution | Distinct) -> tuple[str, ...]:
    return tuple(getattr(record, f.name) for f in dataclasses.fields(Distinct)[:-2])


def check(data: bytes, found: Tally) -> None:
    """``found`` is what ``data`` says line by line, and accounts for every marker in it."""
    parser, executions = one_by_one(data)
    times = defaultdict(list)
    for execution in executions:
        times[key(execution)].append(execution.time_ns)
    assert {key(row): row.count for row in found.primitives} == {k: len(ns) for k, ns in times.items()}
    for row in found.primitives:
        assert row.time_ms == pytest.approx(math.fsum(times[key(row)]) / 1e6, rel=1e-12)
    assert found.time_ms == pytest.approx(math.fsum(e.time_ns for e in executions) / 1e6, rel=1e-12)
    assert (found.executions, found.graph_executions) == (parser.executions, parser.graph_executions)
    assert sum(row.count for row in found.graphs) == found.graph_executions
    assert found.recovered == parser.recovered
    assert [(r.line, r.reason) for r in found.rejects] == parser.rejected
    assert found.rejected == len(parser.rejected)
    assert Counter(found.ignored) == parser.ignored + Counter(info=len(parser.header))
    assert found.unknown_formats == parser.unknown_formats
    assert found.lines == parser.lines
    accounted = found.executions + found.graph_executions + found.rejected + sum(found.ignored.values())
    assert found.marked == accounted == markers(data)


# --- real logs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_every_sample_is_read_whole(path: Path) -> None:
    data = path.read_bytes()
    found = tally(open_log(path))
    check(data, found)
    assert found.rejects == ()
    assert found.recovered == 0
    assert found.executions == data.count(b",exec,cpu,") - data.count(b"graph,exec,cpu,") > 0
    assert len(found.copies) == 1


def named(name: str) -> Tally:
    return tally(open_log(next(path for path in LOGS if path.stem == name)))


def test_graph_partitions_of_a_real_log() -> None:
    found = named("oneDNN-3.7_torch-2.8_graph")
    convolution, product = sorted(found.graphs, key=lambda row: row.partition_kind)
    assert (convolution.partition_kind, convolution.op_names) == (
        "convolution_post_ops",
        "aten::_convolution;aten::relu",
    )
    assert (convolution.implementation, convolution.backend, convolution.engine) == (
        "conv_fwd_t",
        "dnnl_backend",
        "cpu",
    )
    assert (product.partition_kind, product.data_formats, product.fpmath_mode) == ("matmul_post_ops", "", "fpm:strict")
    assert convolution.count + product.count == found.graph_executions == 8
    assert found.graph_time_ms == pytest.approx(convolution.time_ms + product.time_ms)
    assert found.time_ms == pytest.approx(sum(row.time_ms for row in found.primitives))


def test_reference_implementations_and_low_precision_of_real_logs() -> None:
    rnn = [row for row in named("oneDNN-3.12_torch-2.13_lstm-train_sse41").primitives if row.kind == "rnn"]
    assert {row.implementation for row in rnn} == {"ref"}
    assert any("src:u8 wei:s8" in row.dtypes for row in named("oneDNN-3.12_torch-2.13_int8").primitives)
    assert any("bf16" in row.dtypes for row in named("oneDNN-3.12_torch-2.13_bf16-train_timestamps").primitives)


@pytest.mark.parametrize("name", ["oneDNN-2.0", "oneDNN-2.5_timestamps", "oneDNN-3.2_timestamps"])
def test_old_versions_say_the_same_in_their_own_spelling(name: str) -> None:
    found = named(name)
    (convolution,) = [row for row in found.primitives if row.kind == "convolution"]
    assert convolution.dtypes == "src:f32 wei:f32 bia:f32 dst:f32"
    assert convolution.layouts == "src:aBcd16b wei:ABcd16b16a bia:a dst:aBcd16b"
    assert convolution.problem == "mb2_ic16oc16_ih8oh8kh3sh1dh0ph1_iw8ow8kw3sw1dw0pw1"
    assert "eltwise_relu" in convolution.attributes
    assert convolution.count == 2
    assert found.copies[0]["version"] == re.findall(r"[\d.]+", name)[0] + ".0"


def test_all_samples_in_one_file_are_read_by_their_own_headers() -> None:
    data = b"".join(path.read_bytes() for path in LOGS)
    found = tally([data])
    check(data, found)
    assert found.rejects == ()
    assert {copy["version"] for copy in found.copies} == {"2.0.0", "2.5.0", "3.2.0", "3.7.1", "3.7.2", "3.12.0"}


def test_a_log_without_timestamps_and_one_with_them_mean_the_same() -> None:
    (path,) = [path for path in LOGS if path.stem == "oneDNN-3.12_torch-2.13_bf16-train_timestamps"]
    stamped = path.read_bytes()
    lines = [line.split(b",", 3) for line in stamped.splitlines(True)]
    plain = b"".join(b",".join(f[:2] + f[3:] if f[2][:1].isdigit() else f) for f in lines)
    assert plain != stamped
    assert tally([plain * 3]).primitives == tally([stamped * 3]).primitives


# --- one definition of what a line means --------------------------------------------------------------


@given(seeds, st.integers(1, 40))
@example(0, 40)
def test_a_spoilt_log_is_read_the_same_at_once_and_line_by_line(seed: int, lines: int) -> None:
    data = spoilt(random.Random(seed), lines)
    check(data, tally([data]))


def test_a_long_run_of_spoilt_logs() -> None:
    draw = random.Random(20_240_601)
    for _ in range(250):
        data = spoilt(draw, draw.randrange(1, 80))
        check(data, tally([data]))


@given(seeds, st.integers(1, 15), st.integers(1, 300), st.integers(60, 500))
def test_where_the_bytes_are_cut_makes_no_difference(seed: int, lines: int, chunk: int, longest: int) -> None:
    data = spoilt(random.Random(seed), lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "LONGEST_LINE", longest)
        patch.setattr(log, "_CHUNK", longest // 2)
        whole = tally([data])
        patch.setattr(log, "_CHUNK", 1 + chunk % (longest // 2))
        assert tally([data[i : i + chunk] for i in range(0, len(data), chunk)]) == whole
        assert tally(io.BytesIO(data)) == whole
    assert whole.marked == markers(data)


def test_every_place_to_cut_a_log_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_CHUNK", 1)
    data = f"{RECORD}\nxonednn_verbose,v1,primi{RECORD}\ntive,{REORDER}\r\n5% {RECORD}".encode()
    whole = tally([data])
    check(data, whole)
    assert (whole.executions, whole.recovered, whole.rejected) == (4, 2 + 1, 0)
    for at in range(len(data)):
        assert tally([data[:at], data[at:]]) == whole


@given(seeds, st.integers(1, 30))
def test_every_execution_is_handed_over_in_order(seed: int, lines: int) -> None:
    data = spoilt(random.Random(seed), lines)
    got: list[Execution] = []
    assert tally([data], got.append) == tally([data])
    assert got == one_by_one(data)[1]


def line_after_line(data: bytes) -> Tally:
    """``data`` read with no line remembered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory.Memory, "take", lambda _, lines: next(lines, None))
        return tally([data])


@given(seeds, st.integers(1, 30), st.integers(80, 500), st.booleans())
def test_remembering_lines_changes_nothing(seed: int, lines: int, longest: int, handed_over: bool) -> None:
    data = spoilt(random.Random(seed), lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "LONGEST_LINE", longest)
        patch.setattr(log, "_CHUNK", longest // 2)
        got: list[Execution] = []
        assert tally([data], got.append if handed_over else None) == line_after_line(data)


@pytest.mark.parametrize("times", [(b"0.25", b"0.5"), (b"0.2", b"5"), (b"0.25 ", b"0.5")])
def test_a_known_record_at_the_end_of_a_piece_is_read_as_any_other(times: tuple[bytes, bytes]) -> None:
    record = RECORD.removesuffix("0.25").encode()
    first, second = times
    # The line is cut before its last marker, so a piece ends with a record that is known by then.
    glued = record + first + record + b"0.125" + b"x" * ((1 << 20) - 3 * len(record)) + record + second
    data = (RECORD.encode() + b"\n") * 3 + glued + record + b"1" + b"y" * (1 << 20) + b"\n" + RECORD.encode() + b"\n"
    found = tally([data])
    assert found == line_after_line(data)
    assert found.lines == 5
    pieces = list(log.blocks([(RECORD.encode() + b"\n") * 3, record + first + record + b"0" * (1 << 20)]))
    assert any(block.goes_on and block.lines == [record + first] for block in pieces)
    data = (RECORD.encode() + b"\n") * 3 + record + first + record + b"0" * (1 << 20) + b"\n"
    assert tally([data]) == line_after_line(data)
    assert tally([data]).recovered == tally([data]).executions - 3 == first.endswith(b" ")


@pytest.mark.parametrize("stamp", ["", "1795228878423.041992,", "1795228878423.5,"])
def test_executions_that_are_remembered_are_handed_over_with_their_own_time_and_start(stamp: str) -> None:
    record = f"onednn_verbose,v1,{stamp}primitive,{REORDER}"
    lines = [record[:-4].replace("423.", f"{n:03}.") + f"{n}\n" for n in range(1, 100)]
    got: list[Execution] = []
    tally(["".join(lines).encode()], got.append)
    assert [execution.time_ns for execution in got] == [n * 1e6 for n in range(1, 100)]
    assert got == one_by_one("".join(lines).encode())[1]
    assert (got[0].start_ns is None) == (not stamp)


def test_an_error_of_the_callback_is_not_taken_for_a_time_that_is_none() -> None:
    calls = []

    def fails_later(execution: Execution) -> None:
        calls.append(execution)
        if len(calls) == 3:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tally([f"{RECORD}\n".encode() * 5], fails_later)
    assert len(calls) == 3


def test_little_memory_gives_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(path.read_bytes() for path in LOGS) * 2
    whole = tally([data])
    monkeypatch.setattr(memory, "_MEMORY_BYTES", 2000)
    monkeypatch.setattr(memory, "_TIMES", 3)
    monkeypatch.setattr("perfsuite.onednn.reader._MEMORY_CHARACTERS", 5000)
    monkeypatch.setattr(sys.modules[Tally.__module__], "_ADD_EVERY", 7)
    assert tally([data]) == whole


def test_a_timestamp_is_told_from_a_column_that_looks_like_one() -> None:
    engines = ["1795228878423.041992", "1795228878423.041993", "cpu"]
    data = "".join(f"onednn_verbose,{REORDER.replace('cpu', engine)}\n" for engine in engines * 2).encode()
    found = tally([data])
    check(data, found)
    assert sorted(row.engine for row in found.primitives) == engines


@pytest.mark.parametrize("stamp", ["1795228878423.5", "1795228878423", "179522887842.0041992", "1.5"])
def test_timestamps_of_any_length(stamp: str) -> None:
    data = f"onednn_verbose,v1,{stamp},primitive,{REORDER}\n".encode() * 3
    found = tally([data])
    check(data, found)
    assert (found.executions, len(found.primitives), found.time_ms) == (3, 1, 0.75)


# --- the end of a log ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "cut"),
    [
        ("1", True),
        ("12.34", True),
        ("0.25", True),
        ("0", True),
        ("1.", True),
        ("1e-0", True),
        ("1.23457", True),  # e-05 may follow
        ("12.3457", False),
        ("0.0529785", False),
        ("123456", False),
        ("1e-05", False),
        ("0.25\r", False),
        ("0.25 ", False),
        ("0.25Epoch 2", False),
        ("0.25loss,0.5", False),
        ("nan", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("before", ["", f"{RECORD}\n" * 3], ids=["new", "known"])
def test_a_last_time_that_may_be_cut_is_told(before: str, time: str, cut: bool) -> None:
    text = f"{before}{RECORD.removesuffix('0.25')}{time}"
    found = tally([text.encode()])
    assert found.unterminated is cut
    ended = tally([f"{text}\n".encode()])
    assert not ended.unterminated
    assert dataclasses.replace(found, unterminated=False) == ended
    assert tally([text.encode()], lambda _: None).unterminated is cut


def test_a_log_that_ends_in_something_else_is_not_cut() -> None:
    for end in ("", "Epoch 2", "onednn_verbose,v1,primitive,create:cache_hit,x,0.2", f"{RECORD}\nEpoch 2"):
        assert not tally([f"{RECORD}\n{end}".encode()]).unterminated
    half = len(RECORD) - 2
    assert tally([f"{RECORD[:half]}{RECORD}\n{RECORD[half:]}".encode()]).unterminated
    partition = "onednn_graph_verbose,exec,cpu,1,sdp,a;b,,in0 out0,fpm:strict,dnnl,0.5"
    assert tally([partition.encode()]).unterminated


# --- sums --------------------------------------------------------------------------------------------


def test_sums_are_exact_in_any_order() -> None:
    record = RECORD.removesuffix("0.25")
    lines = [f"{record}{time}\n".encode() for time in ["0.1"] * 10 + ["1e-05", "123456", "4.9e+06"]]
    assert tally(lines).time_ms == tally(lines[::-1]).time_ms == 5_023_457.00001
    assert tally(lines[:10]).time_ms == 1.0  # ten additions of 0.1 in floating point are not


@given(st.lists(st.integers(0, 10**7).map(lambda ticks: f"{ticks / 4096:g}"), min_size=1, max_size=50))
def test_sums_are_those_of_the_printed_times(times: list[str]) -> None:
    record = RECORD.removesuffix("0.25")
    found = tally([f"{record}{time}\n".encode() for time in times])
    assert found.time_ms == pytest.approx(math.fsum(map(float, times)), rel=1e-15)
    assert found.primitives[0].count == len(times)


def test_most_time_comes_first() -> None:
    found = named("onednn-3.12_convnet")
    times = [row.time_ms for row in found.primitives]
    assert times == sorted(times, reverse=True)


def test_too_many_different_problems_share_a_row_and_no_time_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_MEMORY_BYTES", 5000)
    monkeypatch.setattr(sums, "_FOLDED_ROWS", 2)
    records = [REORDER.replace("8x4", f"{n}x4").replace("reorder", kind) for n in range(50) for kind in "abc"]
    data = "".join(f"onednn_verbose,v1,primitive,{record}\n" for record in records * 2).encode()
    found = tally([data])
    assert found.executions == sum(row.count for row in found.primitives) == 300
    assert found.time_ms == 75
    folded = {row.kind: row.count for row in found.primitives if row.problem == OTHERS}
    assert len(folded) == 3
    assert set(folded) < {"a", "b", "c", OTHERS}
    assert OTHERS in folded
    assert 200 < sum(folded.values()) < 300


def test_too_many_different_operations_share_a_row() -> None:
    found = tally(f"onednn_verbose,v1,primitive,create:{n},x\n".encode() for n in range(1500))
    assert sum(found.ignored.values()) == found.marked == 1500
    assert found.ignored[OTHERS] == 500


def test_rejects_are_kept_up_to_a_number_and_all_are_counted() -> None:
    found = tally([b"onednn_verbose,nonsense\n" * 5000])
    assert (found.rejected, found.marked) == (5000, 5000)
    assert [reject.line for reject in found.rejects] == list(range(1, 2001))
    assert found.rejects[0].text == "onednn_verbose,nonsense"


# --- bad input ---------------------------------------------------------------------------------------


def test_an_empty_log() -> None:
    found = tally([])
    assert (found.lines, found.marked, found.primitives, found.copies) == (0, 0, (), ())
    assert found.time_ms == 0


@pytest.mark.parametrize("time", ["-0.25", "nan", "inf", "-inf", "1e999", "0x10", "1_0", "", "0.2.5", "1e13", "+1"])
def test_times_that_are_none_are_rejected_also_when_the_rest_is_known(time: str) -> None:
    data = f"{RECORD}\n{RECORD}\n{RECORD.removesuffix('0.25')}{time}\n{RECORD}\n".encode()
    found = tally([data])
    check(data, found)
    assert (found.executions, found.time_ms, found.rejected) == (3, 0.75, 1)
    assert found.rejects[0].line == 3
    assert "is not a time in milliseconds" in found.rejects[0].reason


def test_unknown_kinds_engines_and_directions_are_kept_as_they_are() -> None:
    record = "onednn_verbose,v1,primitive,exec,npu:3,frobnicate,sycl:micro:any,sideways,,,,p,1\n"
    (row,) = tally([record.encode()]).primitives
    assert (row.kind, row.engine, row.implementation, row.direction) == (
        "frobnicate",
        "npu:3",
        "sycl:micro:any",
        "sideways",
    )


def test_bytes_that_are_no_text_are_kept_replaced() -> None:
    (row,) = tally([RECORD.replace("jit:uni", "jit\xff").encode("latin-1") + b"\x00\x00\r\n"]).primitives
    assert row.implementation == "jit\ufffd"


@pytest.mark.parametrize(
    ("line", "executions", "rejected"),
    [
        (b"x" * 5_000_000, 0, 0),
        (f"{RECORD} ".encode() * 15_000, 15_000, 0),
        (b"onednn_verbose," * 30_000, 0, 30_000),
        (b"onednn_verbose,v1,primitive,exec," + b"," * 4_000_000, 0, 1),
        (b"onednn_verbose,v1,primitive,exec,cpu,a,b,c," + b"src_f32::" * 400_000 + b",,,p,0.5", 0, 1),
        (b"onednn_verbose,v1,primitive,exec,cpu,a,b,c,d,,,p," + b"1" * 4_000_000, 0, 1),
        (b"onednn_verbose,v1,info," + b"MKL-DNN v1 " * 300_000, 0, 0),
    ],
    ids=["garbage", "records", "markers", "commas", "descriptors", "digits", "header"],
)
def test_one_line_without_end(line: bytes, executions: int, rejected: int) -> None:
    found = tally_of([line, b"\n", RECORD.encode()])
    assert (found.executions, found.rejected) == (executions + 1, rejected)
    assert (found.marked, found.lines) == (markers(line) + 1, 2)
    parser, _ = one_by_one(line)
    assert parser.executions + len(parser.rejected) + len(parser.header) + parser.ignored.total() == markers(line)
