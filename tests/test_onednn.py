"""Verbose text of every age becomes records, and no line with a marker goes uncounted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfsuite.onednn import MARKER, Execution, VerboseParser, header_facts

DATA = Path(__file__).parent / "data"
TEMPLATE = (
    "operation", "engine", "primitive", "implementation", "prop_kind", "memory_descriptors",
    "attributes", "auxiliary", "problem_desc", "exec_time",
)  # fmt: skip
REORDER = "exec,cpu,reorder,jit:uni,undef,src:f32::blocked:ab::f0 dst:f32::blocked:ba::f0,,,8x4,0.25"


def parse(text: str) -> tuple[VerboseParser, list[Execution]]:
    parser = VerboseParser()
    return parser, [execution for line in text.splitlines(True) if (execution := parser.feed(line)) is not None]


def one(line: str) -> Execution:
    parser, (execution,) = parse(line)
    assert parser.rejected == []
    return execution


def accounted(parser: VerboseParser) -> int:
    return (
        parser.executions
        + parser.graph_executions
        + len(parser.header)
        + sum(parser.ignored.values())
        + len(parser.rejected)
    )


# --- real logs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "executions", "ignored"),
    [("onednn-3.12_convnet.log", 57, 0), ("onednn-3.12_mixed.log", 29, 0), ("onednn-3.7_ipex_timestamps.log", 4, 17)],
)
def test_real_logs_are_read_whole(name: str, executions: int, ignored: int) -> None:
    text = (DATA / name).read_text()
    parser, found = parse(text)
    assert parser.rejected == []
    assert (len(found), parser.executions, sum(parser.ignored.values())) == (executions, executions, ignored)
    assert accounted(parser) == len(text.splitlines())
    assert parser.template == TEMPLATE
    assert len(parser.header) == 7


def test_a_convolution_of_a_real_log() -> None:
    _, found = parse((DATA / "onednn-3.12_convnet.log").read_text())
    assert found[1] == Execution(
        kind="convolution",
        implementation="brg_conv_fwd:avx512_core",
        direction="forward_training",
        dtypes="src:f32 wei:f32 bia:f32 dst:f32",
        layouts="src:acdb wei:Acdb32a bia:a dst:acdb",
        attributes="attr-scratchpad:user",
        algorithm="alg:convolution_direct",
        problem="mb4_ic3oc32_ih64oh32kh7sh2dh0ph3_iw64ow32kw7sw2dw0pw3",
        time_ns=258789.0,
        start_ns=None,
        engine="cpu",
        descriptors="src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb32a::f0 bia:f32:a:blocked:a::f0 "
        "dst:f32::blocked:acdb::f0",
    )
    absent_bias = next(e for e in found if e.direction == "backward_data")
    assert absent_bias.layouts == "src:acdb wei:Bcda64b dst:acdb"
    assert absent_bias.dtypes == "src:f32 wei:f32 dst:f32"


def test_rnn_strides_and_post_operations_of_a_real_log() -> None:
    _, found = parse((DATA / "onednn-3.12_mixed.log").read_text())
    backward = next(e for e in found if e.kind == "rnn" and e.direction == "backward")
    assert "src_layer:abc " in backward.layouts
    assert "wei_layer:abdec:1024x1024x1x256x16 wei_iter:abdec " in backward.layouts
    assert "diff_src_layer:f32" in backward.dtypes
    assert "attr-scratchpad:user attr-post-ops:sum" in {e.attributes for e in found}
    assert any(e.time_ns == 0 for e in found)  # shorter than the clock's step: 0 is what was measured


def test_timestamps_keep_all_their_digits() -> None:
    _, found = parse((DATA / "onednn-3.7_ipex_timestamps.log").read_text())
    assert found[0].start_ns == 1795228878423041992
    assert all(e.start_ns is not None for e in found)


def test_a_log_without_its_header_is_read_the_same() -> None:
    for path in sorted(DATA.glob("onednn*.log")):
        _, whole = parse(path.read_text())
        parser, headless = parse("".join(line for line in path.open() if ",info," not in line))
        assert parser.template is None
        assert headless == whole


# --- formats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["onednn_verbose", "dnnl_verbose", "mkldnn_verbose"])
@pytest.mark.parametrize("version", ["", "v1,"])
@pytest.mark.parametrize("timestamp", ["", "1795228878423.5,"])
@pytest.mark.parametrize("component", ["", "primitive,"])
@pytest.mark.parametrize(("before", "after"), [("", "\n"), ("\x1b[32mstep 3\x1b[0m ", "\r\n"), ("50%\r", "")])
def test_every_way_of_writing_it(
    prefix: str, version: str, timestamp: str, component: str, before: str, after: str
) -> None:
    execution = one(f"{before}{prefix},{version}{timestamp}{component}{REORDER}{after}")
    assert (execution.kind, execution.layouts, execution.problem) == ("reorder", "src:ab dst:ba", "8x4")
    assert execution.time_ns == 250_000
    assert execution.start_ns == (1795228878423500000 if timestamp else None)


@pytest.mark.parametrize(
    ("line", "dtypes", "layouts", "implementation", "problem"),
    [
        (  # before 1.0: no engine, no attributes, old names of layouts
            "mkldnn_verbose,exec,convolution,jit:avx512_common,forward_training,"
            "fsrc:nChw16c fwei:OIhw16i16o fbia:undef fdst:nChw16c,alg:convolution_direct,mb100_ic128oc32_ih7,0.201904",
            "",
            "src:nChw16c wei:OIhw16i16o dst:nChw16c",
            "jit:avx512_common",
            "mb100_ic128oc32_ih7",
        ),
        (
            "mkldnn_verbose,exec,reorder,jit:uni,undef,in:f32_nchw out:f32_nChw16c,num:1,32x32x256x256,6.47681",
            "in:f32 out:f32",
            "in:nchw out:nChw16c",
            "jit:uni",
            "32x32x256x256",
        ),
        (  # 1.0: no attributes
            "dnnl_verbose,exec,cpu,reorder,jit:uni,undef,src_f32::blocked:abcd:f0 dst_f32::blocked:aBcd8b:f0,"
            "num:1,2x16x7x7,0.468994",
            "src:f32 dst:f32",
            "src:abcd dst:aBcd8b",
            "jit:uni",
            "2x16x7x7",
        ),
        (  # 1.x: absent tensor spelt the old way
            "dnnl_verbose,exec,cpu,eltwise,jit:avx2,forward_training,data_f32::blocked:abcd:f0 diff_undef::undef::f0,,"
            "alg:eltwise_relu alpha:0 beta:0,2x3x4x5,0.36499",
            "data:f32",
            "data:abcd",
            "jit:avx2",
            "2x3x4x5",
        ),
        (  # 3.0: data type joined to the name, strides field
            "onednn_verbose,primitive,exec,cpu,matmul,brg:avx512_core_amx,undef,src_bf16::blocked:ab::f0 "
            "wei_bf16::blocked:ba:8x1:f0 dst_f8_e5m2::blocked:ab::f0,attr-scratchpad:user ,,256x11008:11008x4096,1.2",
            "src:bf16 wei:bf16 dst:f8_e5m2",
            "src:ab wei:ba:8x1 dst:ab",
            "brg:avx512_core_amx",
            "256x11008:11008x4096",
        ),
        (  # 3.x: kinds of format that have no tag, and compensation
            "onednn_verbose,v1,primitive,exec,cpu,convolution,x,forward_inference,src:u8:a:any:any::f0 "
            "wei:s8:ap:blocked:ABcd4b16a4b::f8:zpm3 bia:undef::undef::: a:f32::opaque:::f0 b:f32::rnn_packed:::f0 "
            "dst:s4::sparse:csr::f0,,,p,1e-05",
            "src:u8 wei:s8 a:f32 b:f32 dst:s4",
            "src:any wei:ABcd4b16a4b:f8:zpm3 a:opaque b:rnn_packed dst:csr",
            "x",
            "p",
        ),
        (  # attention's problem is written with commas
            "onednn_verbose,v1,primitive,exec,gpu:0,sdpa,ocl:micro:any,undef,src:f16::blocked:abcd::f0,attr,alg:x,"
            "query:f16:1x2,key:f16:2x1,val:f16:1x2,0.5",
            "src:f16",
            "src:abcd",
            "ocl:micro:any",
            "query:f16:1x2,key:f16:2x1,val:f16:1x2",
        ),
    ],
)
def test_formats_of_other_versions(line: str, dtypes: str, layouts: str, implementation: str, problem: str) -> None:
    execution = one(line)
    assert (execution.dtypes, execution.layouts) == (dtypes, layouts)
    assert (execution.implementation, execution.problem) == (implementation, problem)


def test_the_log_s_own_template_decides() -> None:
    parser, (execution,) = parse(
        "onednn_verbose,v2,primitive,info,template:timestamp,operation,primitive,problem_desc,prop_kind,"
        "memory_descriptors,device,exec_time\n"
        "onednn_verbose,v2,1.5,primitive,exec,softmax,8x8,forward_inference,src:f32::blocked:ab::f0,far,2\n"
    )
    assert parser.template is not None
    assert "device" in parser.template
    assert (execution.kind, execution.problem, execution.direction) == ("softmax", "8x8", "forward_inference")
    assert (execution.implementation, execution.engine, execution.start_ns) == ("", "cpu", 1_500_000)


# --- what is no execution --------------------------------------------------------------------------


def test_other_records_are_counted_by_what_they_are() -> None:
    parser, found = parse(
        "onednn_verbose,v1,primitive,create:cache_hit,cpu,reorder,x,undef,m,,,p,0.1\n"
        "onednn_verbose,v1,1.5,primitive,create:dispatch,convolution,bad flags,src/cpu/x64/a.cpp:1\n"
        "onednn_verbose,v1,primitive,exec:check,primitive,unused argument (80),b.cpp:77\n"
        "onednn_verbose,v1,common,error,filter format is ill-formed\n"
        "onednn_verbose,v1,graph,exec,gpu,100002,sdp,matmul;softmax,,in0:f16 out0:f16,fpm:strict,larger,dnnl,0.2\n"
        "onednn_verbose,v1,graph,create:cache_miss,cpu,1,x\n"
        "a line about onednn_verbose that is none\n"
    )
    assert found == []
    assert parser.graph_executions == 1
    assert parser.ignored == {
        "create:cache_hit": 1,
        "create:dispatch": 1,
        "exec:check": 1,
        "error": 1,
        "graph create:cache_miss": 1,
    }
    assert parser.rejected == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("onednn_verbose,", "unknown operation ''"),
        ("onednn_verbose,v1,primitive,frobnicate,cpu", "unknown operation 'frobnicate'"),
        ("onednn_verbose,v1,primitive,exec,cpu,reorder,jit:u", "4 columns where 10 are expected"),
        (f"onednn_verbose,v1,primitive,{REORDER}5hello", "'0.255hello' is not a time in milliseconds"),
        (f"onednn_verbose,v1,primitive,{REORDER[:-4]}-1", "'-1' is not a time in milliseconds"),
        (f"onednn_verbose,v1,primitive,{REORDER[:-4]}nan", "'nan' is not a time in milliseconds"),
        (f"onednn_verbose,v1,primitive,{REORDER[:-4]}1e999", "'1e999' is not a time in milliseconds"),
        (f"onednn_verbose,v1,primitive,exec,extra,{REORDER[5:]}", "11 columns where 10 are expected"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_its_line_and_reason(line: str, reason: str) -> None:
    parser, found = parse(f"something else\n{line}\n")
    assert found == []
    assert parser.rejected == [(2, reason)]


def test_a_record_cut_off_by_another_is_rejected_and_the_other_read() -> None:
    parser, (execution,) = parse(f"onednn_verbose,v1,primitive,exec,cpu,reoonednn_verbose,v1,primitive,{REORDER}\n")
    assert execution.kind == "reorder"
    assert parser.rejected == [(1, "cut off by another record on the same line")]


# --- the header ------------------------------------------------------------------------------------


def test_facts_of_two_copies_in_one_process() -> None:
    text = (DATA / "onednn-3.12_convnet.log").read_text() + (DATA / "onednn-3.7_ipex_timestamps.log").read_text()
    parser, _ = parse(text + text)
    assert len(parser.header) == 14  # of each copy once, though printed twice
    assert parser.ignored["info"] == 14
    first, second = header_facts(parser.header)
    assert first == {
        "version": "3.12.0",
        "commit": "80afa71049cd69a3df32adcccb623b12cd7baa22",
        "isa": "Intel AVX-512 with Intel DL Boost",
        "threads": "2",
    }
    assert (second["version"], second["commit"]) == ("3.7.2", "N/A")


def test_facts_of_old_headers() -> None:
    assert header_facts(["dnnl_verbose,info,DNNL v1.3.0 (commit d0fc)\n", "dnnl_verbose,info,cpu,runtime:OpenMP"]) == (
        {"version": "1.3.0", "commit": "d0fc"},
    )
    assert header_facts(["mkldnn_verbose,info,Intel(R) MKL-DNN v0.95.0 (Git Hash ce11),Intel(R) AVX2"]) == (
        {"version": "0.95.0", "commit": "ce11", "isa": "Intel(R) AVX2"},
    )
    old = ["mkldnn_verbose,info,Intel MKL-DNN v0.21.0 (commit ab)", "mkldnn_verbose,info,Detected ISA is Intel AVX2"]
    assert header_facts(old) == ({"version": "0.21.0", "commit": "ab", "isa": "Intel AVX2"},)
    assert header_facts(["no header", "onednn_verbose,v1,info,cpu,isa:of no copy"]) == ()


# --- any text --------------------------------------------------------------------------------------

WORDS = [
    "onednn_verbose,", "dnnl_verbose,", "mkldnn_verbose", "v1,", "v1", "1795228878423.041992,", "primitive,", "graph,",
    "exec,", "exec:check,", "info,", "template:", "create:", "cpu,", "sdpa,", "src:f32::blocked:ab:8x1:f0 ", "undef",
    "dst_f32::blocked", "operation,primitive,prop_kind,memory_descriptors,problem_desc,exec_time", REORDER, ",", ":",
    "_", " ", "\r", "0.5", "1e5", "9" * 5000, "²", "٣", "\udcff", "\x00", "oneDNN v3.1 (commit x)",
]  # fmt: skip
scraps = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), max_size=25).map("".join)


@given(st.lists(scraps, max_size=8))
@example([f"onednn_verbose,v1,primitive,{REORDER}"])
@example(["onednn_verbose,٣.٣,exec," + "," * 8 + "٣"])
def test_no_text_is_too_strange_and_no_marker_goes_uncounted(lines: list[str]) -> None:
    parser = VerboseParser()
    for line in lines:
        execution = parser.feed(line)
        assert execution is None or execution.time_ns >= 0
    assert accounted(parser) == sum(len(MARKER.findall(line)) for line in lines)
    assert parser.lines == len(lines)
    header_facts(lines)


@given(st.integers(0, 10**13), st.integers(0, 999_999), st.floats(0, 1e6).map(lambda ms: f"{ms:g}"))
def test_times_are_read_exactly(whole: int, fraction: int, milliseconds: str) -> None:
    execution = one(f"onednn_verbose,v1,{whole}.{fraction:06},primitive,{REORDER[:-4]}{milliseconds}")
    assert execution.start_ns == whole * 1_000_000 + fraction
    assert execution.time_ns == pytest.approx(float(milliseconds) * 1e6, rel=1e-15, abs=1e-6)
