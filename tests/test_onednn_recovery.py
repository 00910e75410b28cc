"""Records that other output or another record stands in the way of: read where it is safe, reported where not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.onednn import Rejected, Tally, VerboseParser, tally
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
