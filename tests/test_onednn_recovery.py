"""Records that other output or another record stands in the way of: read where it is safe, reported where not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.onednn import Execution, Rejected, Tally, VerboseParser, tally
from perfsuite.onednn.reader import CUT_OFF
from tests.verbose_text import LOGS, RECORD

CONVOLUTION = (
    "onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core,forward_training,"
    "src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb32a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,"
    "attr-scratchpad:user,alg:convolution_direct,mb4_ic3oc32_ih64oh32kh7,0.258789"
)
GRAPH = "onednn_verbose,v1,graph,exec,cpu,1,sdp,a;b,,in0_f32 out0_f32,fpm:strict,larger,dnnl_backend,0.5"


def read(text: str) -> Tally:
    found = tally([text.encode()])
    assert found.marked == text.count("_verbose,")
    return found


def counts(found: Tally) -> tuple[int, int, int]:
    return found.executions, found.recovered, found.rejected


# --- behind other output, and other output behind ----------------------------------------------------


@pytest.mark.parametrize("before", ["Epoch 1: 12%|#   | ", "50%\r", "\x1b[32m", "0.5", "\x00\x00", "[rank0]: ", "é "])
def test_a_record_behind_other_output_is_read(before: str) -> None:
    found = read(f"{before}{RECORD}\n")
    assert counts(found) == (1, 1, 0)
    assert found.time_ms == 0.25


@pytest.mark.parametrize(
    ("time", "behind"),
    [
        ("0.0529785", "Epoch 2"),
        ("0.0529785", " step 3"),
        ("0.25", "Epoch 2: 12%|#"),
        ("0.25", "\rEpoch 2"),
        ("0.25", "\x1b[0m"),
        ("0.000244141", "[INFO] saved"),
        ("1e-05", "\\n"),
        ("0.467773", "loss,0.5,0.7"),
    ],
)
def test_other_output_behind_a_record_is_told_from_its_time(time: str, behind: str) -> None:
    found = read(f"{RECORD[:-4]}{time}{behind}\n{RECORD}\n")
    assert counts(found) == (2, 1, 0)
    assert found.time_ms == pytest.approx(float(time) + 0.25, rel=1e-15)


@pytest.mark.parametrize(
    "end",
    [
        "0.255hello",
        "0.25 3",
        "0.25.5",
        "0.25%|",
        "0.25e2x",
        "0.05297853 epochs",
        "0.25it/s",
        "0.2x9785",
        "0.05[29785",
        "Epoch",
    ],
)
def test_what_may_be_a_part_of_the_time_is_not_cut_off(end: str) -> None:
    found = read(f"{RECORD[:-4]}{end}\n{RECORD}\n")
    assert counts(found) == (1, 0, 1)
    assert found.rejects[0] == Rejected(1, f"{end!r} is not a time in milliseconds", f"{RECORD[:-4]}{end}")


def test_blanks_behind_a_record_are_no_other_output() -> None:
    assert counts(read(f"{RECORD}\r\n{RECORD} \t\n{RECORD}\x00\x00\n{RECORD}")) == (4, 0, 0)


def test_a_log_wrapped_in_json_lines_is_read() -> None:
    lines = [json.dumps({"log": f"{record}\n", "stream": "stdout"}) for record in (RECORD, CONVOLUTION, GRAPH)]
    found = read("\n".join(lines))
    assert counts(found) == (2, 3, 0)
    assert found.graph_executions == 1
    assert found.time_ms == 0.508789


@given(st.text(st.characters(exclude_characters="\n_")))
def test_any_output_before_a_record_does_not_change_it(before: str) -> None:
    text = f"{before}{CONVOLUTION}\n"
    found = tally([text.encode("utf-8", "replace")])
    assert found.primitives == tally([CONVOLUTION.encode()]).primitives
    assert found.recovered == bool(before)


# --- two records on a line ----------------------------------------------------------------------------


def test_a_record_cut_in_two_by_another_is_read_wherever_it_is_cut() -> None:
    for at in range(len("onednn_verbose,"), len(CONVOLUTION) + 1):
        found = read(f"{CONVOLUTION[:at]}{RECORD}\n{CONVOLUTION[at:]}\n{RECORD}\n")
        assert counts(found) == (3, 2, 0)
        assert found.time_ms == 0.758789
        assert found.primitives[1].problem == "mb4_ic3oc32_ih64oh32kh7"


def test_a_graph_execution_cut_in_two_is_read() -> None:
    found = read(f"{GRAPH[:70]}{RECORD}\n{GRAPH[70:]}\n")
    assert (found.graph_executions, found.graph_time_ms, *counts(found)) == (1, 0.5, 1, 2, 0)


@pytest.mark.parametrize("behind", ["Epoch 1\n", "", f"{RECORD}\n", "\nrder,x,0.5\n", "junk,0.5\n", f"5% {RECORD}\n"])
def test_half_a_record_whose_other_half_does_not_follow_is_rejected(behind: str) -> None:
    found = read(f"first\n{CONVOLUTION[:90]}{RECORD}\n{behind}")
    assert (found.rejected, found.rejects) == (1, (Rejected(2, CUT_OFF, CONVOLUTION[:90]),))


def test_the_other_half_may_stand_before_the_next_record() -> None:
    found = read(f"{CONVOLUTION[:90]}{RECORD}\n{CONVOLUTION[90:]}{RECORD}\n")
    assert counts(found) == (3, 3, 0)


def test_of_several_halves_the_one_that_fits_is_completed() -> None:
    found = read(f"onednn_verbose,v1,prim{CONVOLUTION[:90]}{RECORD}\n{CONVOLUTION[90:]}\n")
    assert counts(found) == (2, 2, 1)
    assert found.rejects == (Rejected(1, CUT_OFF, "onednn_verbose,v1,prim"),)


def test_halves_that_both_fit_are_both_left_alone() -> None:
    found = read(f"{CONVOLUTION[:-3]}{CONVOLUTION[:-3]}{RECORD}\n789\n")
    assert counts(found) == (1, 1, 2)


def test_records_side_by_side_are_read_where_their_times_have_an_end() -> None:
    found = read(f"{CONVOLUTION} {RECORD}\t{GRAPH} onednn_verbose,v1,primitive,create:cache_hit,x {RECORD}\n")
    assert counts(found) == (3, 4, 0)
    assert (found.graph_executions, found.ignored) == (1, {"create:cache_hit": 1})
    # 0.258 may be the beginning of 0.258789.
    assert counts(read(f"{CONVOLUTION[:-3]}{RECORD}\n")) == (1, 1, 1)


@pytest.mark.parametrize("time", ["0.258789", "0.0529785", "12.3457", "123456", "1e-05", "1.23457e+06", "0.000244141"])
@pytest.mark.parametrize("behind", ["", "\n", "\n5", "\ne-05\n"])
def test_a_whole_time_ends_where_another_record_follows_at_once(time: str, behind: str) -> None:
    for record, other in ((RECORD, CONVOLUTION), (GRAPH, RECORD), (RECORD, RECORD)):
        found = read(f"{record.rpartition(',')[0]},{time}{other}{behind}")
        assert (found.executions + found.graph_executions, found.recovered, found.rejected) == (2, 2, 0)
        rest = float(other.rpartition(",")[2])
        assert found.time_ms + found.graph_time_ms == pytest.approx(float(time) + rest, rel=1e-12)


@pytest.mark.parametrize("time", ["0.25", "0.25878", "0", "1.25879", "1e-0", "0.2587891", "0.258780", "1.25879E-05"])
def test_a_time_that_may_not_be_whole_is_cut_off_by_a_record(time: str) -> None:
    found = read(f"{RECORD[:-4]}{time}{CONVOLUTION}\n")
    assert counts(found) == (1, 1, 1)
    assert found.rejects == (Rejected(1, CUT_OFF, f"{RECORD[:-4]}{time}"),)


def test_the_end_of_a_long_line_in_pieces_is_not_taken_for_that_of_a_time() -> None:
    start = RECORD.removesuffix("8x4,0.25")
    # Without a marker in it a piece has this many bytes.
    piece = (1 << 20) - len("onednn_graph_verbose,")
    record = f"{start}{'8' * (piece - len(start) - len(',0.258789'))},0.258789"
    assert len(record) == piece
    assert counts(read(f"{record}5{'x' * 100}\n")) == (0, 0, 1)
    many = f"{RECORD[:-4]}0.258789" * 20_000
    assert counts(read(f"{many}\n")) == (20_000, 20_000, 0)


def test_of_a_rejected_record_its_end_is_kept() -> None:
    long = CONVOLUTION.replace("mb4", f"mb{'4' * 300}")
    (reject,) = read(f"{long[:-3]}{RECORD}\n").rejects
    assert reject == Rejected(1, CUT_OFF, f"…{long[-202:-3]}")
    (reject,) = read(f"{long[:-8]}soon \0\r\n").rejects
    assert reject.text == f"…{long[-203:-8]}soon"


def test_a_header_is_learnt_once_also_where_it_is_cut() -> None:
    info = "onednn_verbose,v1,info,oneDNN v3.12.0 (commit 80afa710)"
    found = read(f"{info[:30]}{RECORD}\n{info[30:]}\n{info}\n{info}\n{RECORD}\n")
    assert (found.executions, found.ignored) == (2, {"info": 3})
    assert found.copies == ({"version": "3.12.0", "commit": "80afa710"},)


def test_the_parser_hands_over_all_executions_of_a_line() -> None:
    parser = VerboseParser()
    assert len(parser.read(f"{RECORD} {RECORD} {CONVOLUTION[:90]}{RECORD}\n")) == 3
    assert parser.rejected == [(1, CUT_OFF)]
    (completed,) = parser.read(CONVOLUTION[90:])
    assert completed.time_ns == 258_789
    assert (parser.executions, parser.recovered, parser.rejected) == (4, 4, [])
    last = parser.feed(f"{RECORD} {CONVOLUTION}")
    assert last is not None
    assert last.kind == "convolution"


# --- versions in one file -------------------------------------------------------------------------------

SHORT = (
    "onednn_verbose,v9,primitive,info,template:operation,primitive,prop_kind,memory_descriptors,problem_desc,exec_time"
)

REST = "implementation,prop_kind,memory_descriptors,attributes,auxiliary,problem_desc,exec_time"


@pytest.mark.parametrize("stamp", ["", "1795228878423.041992,"])
@pytest.mark.parametrize("handed_over", [False, True])
def test_records_of_an_unknown_version_are_read_and_counted(stamp: str, handed_over: bool) -> None:
    new = [record.replace("v1,", f"v2,{stamp}") for record in (RECORD, CONVOLUTION, GRAPH)]
    lines = [*new, RECORD, new[0].replace("v2", "v07")] * 5
    header = "onednn_verbose,v2,info,oneDNN v4.0.0 (commit 0)\nonednn_verbose,v2,primitive,create:cache_hit,x,0.5"
    half = f"{new[1][:90]}{RECORD}\n{new[1][90:]}\n{new[1]}{RECORD}\n{RECORD[:-4]}0.258789{new[1]}"
    handed: list[Execution] = []
    text = "\n".join([header, *lines, half, *lines])
    found = tally([text.encode()], handed.append if handed_over else None)
    assert found.unknown_formats == {"v07": 10, "v2": 33}
    assert (found.executions, found.graph_executions, found.recovered, found.rejected) == (46, 10, 6, 0)
    assert found.marked == text.count("_verbose,")
    assert len(handed) == 46 * handed_over
    assert {row.kind for row in found.primitives} == {"reorder", "convolution"}
    assert len(found.primitives) == 2


def test_a_record_of_an_unknown_version_that_does_not_fit_says_so() -> None:
    found = read(f"{RECORD.replace('v1', 'v2').replace('exec,', 'exec,0,')}\n{RECORD[:-4].replace('v1', 'v2')}soon\n")
    assert [reject.reason for reject in found.rejects] == [
        "11 columns where 10 are expected, in format v2, which is not known",
        "'soon' is not a time in milliseconds, in format v2, which is not known",
    ]
    assert found.unknown_formats == {}
    assert read(f"{RECORD}\n{CONVOLUTION_0},0.5\n").unknown_formats == {}


def test_any_number_of_unknown_versions_is_counted() -> None:
    lines = [f"{RECORD.replace('v1', f'v{2 + n}')}\n" for n in range(300)]
    found = read("".join(lines * 2))
    assert sum(found.unknown_formats.values()) == found.executions == 600
    assert len(found.unknown_formats) == 101


def test_each_marker_and_version_has_columns_of_its_own() -> None:
    found = read(f"{SHORT}\n{RECORD}\nonednn_verbose,v9,primitive,exec,sum,undef,,8x4,2\n{RECORD}\n" * 2)
    assert counts(found) == (6, 0, 0)
    assert {(row.kind, row.engine, row.count, row.time_ms) for row in found.primitives} == {
        ("reorder", "cpu", 4, 1.0),
        ("sum", "cpu", 2, 4.0),
    }


def test_two_copies_of_one_version_with_different_columns_may_alternate() -> None:
    other = SHORT.replace("v9", "v1")
    found = read(f"{other}\n{RECORD}\n".replace("reorder", "x"))
    assert (found.executions, found.rejects[0].reason) == (0, "10 columns where 6 are expected")
    usual = f"template:operation,engine,primitive,{REST}"
    short = "onednn_verbose,v1,primitive,exec,sum,undef,,8x4,2"
    found = read(f"onednn_verbose,v1,primitive,info,{usual}\n{other}\n" + f"{RECORD}\n{short}\n" * 3)
    assert counts(found) == (6, 0, 0)
    assert found.time_ms == 6.75


def test_a_later_template_gives_the_same_columns_another_meaning() -> None:
    swapped = f"template:operation,primitive,engine,{REST}"
    found = read(f"{RECORD}\n{RECORD}\nonednn_verbose,v1,primitive,info,{swapped}\n{RECORD}\n{RECORD}\n")
    assert {(row.kind, row.engine, row.count) for row in found.primitives} == {
        ("reorder", "cpu", 2),
        ("cpu", "reorder", 2),
    }


@pytest.mark.parametrize("marker", ["dnnl_verbose", "mkldnn_verbose"])
@pytest.mark.parametrize("cut", ["", "alg:eltwise_relu"])
def test_a_newer_record_that_ends_too_early_does_not_pass_for_an_old_one(marker: str, cut: str) -> None:
    found = read(f"{marker},exec,cpu,reorder,jit:uni,undef,src_f32::blocked:a:f0,,{cut},32\n")
    assert found.rejects == (Rejected(1, "9 columns where 10 are expected", found.rejects[0].text),)


CONVOLUTION_0 = (
    "mkldnn_verbose,exec,convolution,gemm:blas,forward_training,fsrc:nchw fwei:oihw fbia:undef fdst:nchw,"
    "alg:convolution_direct,mb48_ic3oc64_ih224oh112kh7sh2dh0ph3"
)
RELU_0 = "mkldnn_verbose,exec,eltwise,jit:avx2,forward_training,fdata:x fdiff:undef,alg:eltwise_relu,32"
REORDER_0 = "mkldnn_verbose,exec,reorder,jit:uni,undef,in:f32_nchw out:f32_nChw16c,num:1,2x16x7x7"
REORDER_1 = "dnnl_verbose,exec,cpu,reorder,jit:uni,undef,src_f32::blocked:ab:f0 dst_f32::blocked:ba:f0,num:1,8x4"
PRODUCT_1 = "dnnl_verbose,exec,cpu,inner_product,x,forward_training,src_f32::blocked:ab:f0,,mb4ic16oc8"
CONCAT_1 = "dnnl_verbose,exec,cpu,concat,x,undef,src_f32::blocked:ab:f0 dst_f32::blocked:ab:f0,axis:1,8x4:8x2"
RELU_2 = "dnnl_verbose,exec,cpu,eltwise,x,forward_training,data_f32::blocked:a:f0,,alg:eltwise_relu alpha:0,32"
SDPA_3 = "onednn_verbose,v1,primitive,exec,gpu,sdpa,x,undef,q:f16::blocked:ab::f0,,,query:f16:1x2,key:f16:2x1"
PARTITION_3 = "onednn_graph_verbose,exec,cpu,1,sdp,a;b,,in0_f32 out0_f32,fpm:strict,dnnl_backend"
UNKNOWN_0 = "mkldnn_verbose,exec,warp,x,undef,fsrc:nc fdst:nc,,7"
OLD = [
    CONVOLUTION_0, RELU_0, REORDER_0, REORDER_1, PRODUCT_1, CONCAT_1, RELU_2, SDPA_3, PARTITION_3, UNKNOWN_0,
    RECORD.rpartition(",")[0],
]  # fmt: skip


@pytest.mark.parametrize("record", OLD)
@pytest.mark.parametrize("time", ["9,4747", "0,0529785", "9,5e-05", "4747,25"])
def test_a_decimal_comma_does_not_make_a_record_pass_for_one_of_another_version(record: str, time: str) -> None:
    found = read(f"{record},{time.replace(',', '.')}\n{record},{time}\n{record},12\n")
    assert (found.executions + found.graph_executions, found.rejected) == (2, 1)
    assert len(found.primitives) + len(found.graphs) == 1
    assert f"decimal comma, {time}" in found.rejects[0].reason
    assert found.rejects[0].line == 2


@pytest.mark.parametrize(
    "record",
    [
        CONVOLUTION_0.replace("forward_training", "sideways"),
        CONVOLUTION_0.replace("mb48_ic3oc64_ih224oh112kh7sh2dh0ph3", "9"),
        REORDER_0.replace("in:f32_nchw out:f32_nChw16c", ""),
        REORDER_1.replace("undef", "jit:uni"),
    ],
)
def test_old_columns_that_make_no_sense_are_rejected(record: str) -> None:
    found = read(f"{record},0.5\n")
    assert (found.executions, found.rejected) == (0, 1)
    assert "columns where 10 are expected" in found.rejects[0].reason


def test_every_record_of_every_sample_is_read_behind_a_prefix() -> None:
    for log in LOGS:
        lines = log.read_bytes().splitlines(True)
        plain, prefixed = tally(lines), tally([b"[0]<stdout>: " + line for line in lines])
        assert (prefixed.primitives, prefixed.graphs) == (plain.primitives, plain.graphs)
        assert prefixed.ignored == plain.ignored
        assert prefixed.recovered == plain.executions + plain.graph_executions


# --- what is no execution --------------------------------------------------------------------------------


def test_old_graph_lines_and_what_else_is_no_primitive() -> None:
    found = read(
        "onednn_graph_verbose,info,oneDNN Graph v3.0.0 (commit ab)\n"
        "onednn_graph_verbose,exec,cpu,100002,sdp,a;b,,in0_f32:0:strided:variable:2x3 out0_f32:1,fpm:strict,dnnl,0.5\n"
        "onednn_graph_verbose,compile:cache_hit,cpu,100002,sdp,a;b,,in0,fpm:strict,dnnl,0.5\n"
        "onednn_verbose,v1,primitive,exec:external,CpuIm2ColKernel,0.5\n"
        "onednn_verbose,v1,common,warning,no device,a.cpp:1\n"
        "onednn_verbose,v1,graph,debuginfo,x,y\n"
        "onednn_verbose,v1,ukernel,exec,cpu,brgemm,,undef,src:f32::blocked:ab::f0,,bs:1 beta:0,8x8:8x8,0.25\n"
    )
    assert counts(found) == (1, 0, 0)
    assert (found.graphs[0].backend, found.graphs[0].implementation) == ("dnnl", "")
    assert found.graph_time_ms == 0.5
    assert found.primitives[0].kind == "brgemm"
    assert found.ignored == {
        "info": 1,
        "graph compile:cache_hit": 1,
        "exec:external": 1,
        "warning": 1,
        "graph debuginfo": 1,
    }
    assert found.copies == ({"version": "3.0.0", "commit": "ab"},)
