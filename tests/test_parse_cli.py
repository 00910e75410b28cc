from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsuite.analyse.verbose_log import COLUMNS, columns, group, group_graphs
from perfsuite.cli import main
from perfsuite.errors import UsageError
from perfsuite.onednn import Distinct, GraphExecution, Tally, open_log, tally
from perfsuite.present.verbose_data import CSV_COLUMNS
from perfsuite.present.verbose_log import render_log, render_log_by

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
CONVNET = DATA / "onednn-3.12_convnet.log"
MIXED = DATA / "onednn-3.12_mixed.log"
TIMESTAMPS = DATA / "onednn-3.7_ipex_timestamps.log"
COMMAND = [sys.executable, "-c", "from perfsuite.cli import main; main()"]
HEADER = (
    "onednn_verbose,v1,info,oneDNN v3.12.0 (commit 80afa71049cd)\n"
    "onednn_verbose,v1,info,cpu,runtime:OpenMP,nthr:2\n"
    "onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost\n"
)
RELU = (
    "onednn_verbose,v1,primitive,exec,cpu,eltwise,jit:avx512_core,forward_training,data:f32::blocked:abcd::f0,"
    "attr-scratchpad:user,alg:eltwise_relu alpha:0 beta:0,2x16x14x14,{ms}\n"
)
BROKEN = "onednn_verbose,v1,primitive,exec,cpu,eltwise,jit:avx512_core,forward_tr\n"
GRAPH = (
    "onednn_verbose,v1,graph,exec,cpu,100002,matmul_post_ops,matmul;relu,,in0_f32:0:strided:undef:4x8:8s1 "
    "out0_f32:1:strided:undef:4x8:8s1,fpm:strict,larger_partition_kernel_t,dnnl_backend,7.5\n"
)


def invoke(*args: object, **options: Any) -> Result:
    return CliRunner().invoke(main, ["parse", *map(str, args)], **options)


def shell(*args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(
        [*COMMAND, "parse", *map(str, args)], cwd=ROOT, text=True, check=False, timeout=60, **options
    )  # fmt: skip


def read(path: Path) -> Tally:
    with open_log(path) as stream:
        return tally(stream)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.log"
    path.write_text(HEADER + RELU.format(ms=1.5) + "Epoch 1\n" + RELU.format(ms=2.5) + GRAPH)
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.log"
    path.write_text(HEADER + RELU.format(ms=1.5) + BROKEN + RELU.format(ms="soon"))
    return path


# --- text -------------------------------------------------------------------------------------------


def test_the_text_has_header_totals_and_the_three_tables(log: Path) -> None:
    result = invoke(log)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "oneDNN 3.12.0 · commit 80afa71049 · Intel AVX-512 with Intel DL Boost · 2"
    assert "7 lines · 2 executions in 4.00 ms · 0 recovered" in result.stdout
    assert "graph: 1 executions in 7.50 ms, not added to these" in result.stdout
    tables = [line for line in lines if line.startswith("By ")]
    assert tables == [
        "By primitive, direction: 1",
        "By primitive, direction, implementation: 1",
        "By primitive, direction, problem: 1",
    ]
    (row,) = [line.split() for line in lines if line.startswith("eltwise") and "jit" not in line and "2x16" not in line]
    assert row == ["eltwise", "FWD_D", "4.00", "ms", "100.0%", "2", "2.00", "ms"]


def test_graph_partitions_are_rows_of_their_own(log: Path) -> None:
    text = invoke(log).stdout
    table = text[text.index("Graph partitions, timed around the primitives inside them: 1") :]
    assert "matmul_post_ops" in table
    assert "7.50 ms" in table
    assert "7.50 ms" not in text[text.index("By primitive") : text.index("Graph partitions")]


@pytest.mark.parametrize("path", [CONVNET, MIXED, TIMESTAMPS], ids=lambda path: path.name)
def test_real_logs_fit_80_columns_without_escape_codes(path: Path) -> None:
    result = invoke(path)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    for row in read(path).primitives[:5]:
        assert row.kind in result.stdout


def test_a_long_problem_is_wrapped_and_not_cut() -> None:
    text = invoke(CONVNET, "--top", 1000).stdout
    problem = next(row.problem for row in read(CONVNET).primitives if row.kind == "convolution")
    assert problem in "".join(line.split("  ")[1].strip() for line in text.splitlines() if line.startswith("  "))


def test_top_limits_the_rows_and_says_so() -> None:
    text = invoke(CONVNET, "--top", 2).stdout
    assert "By primitive, direction: top 2 of " in text


def test_by_is_one_table(log: Path) -> None:
    result = invoke(log, "--by", "algorithm,kind")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line for line in result.stdout.splitlines() if line.startswith("By ")] == ["By algorithm, primitive: 1"]
    assert "alg:eltwise_relu alpha:0 beta:0" in result.stdout


@pytest.mark.parametrize("by", ["shape", "", "kind,,direction"])
def test_an_unknown_column_is_refused(log: Path, by: str) -> None:
    result = invoke(log, "--by", by)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no column" in result.stderr
    assert "kind, direction, implementation" in result.stderr


def test_what_a_terminal_would_act_on_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "evil.log"
    path.write_text(RELU.format(ms=1).replace("jit:avx512_core", "\x1b[31mred") + BROKEN.replace("jit", "\x1b]0;t\x07"))
    result = invoke(path)
    assert "\\x1b[31mred" in result.stdout
    assert "\x1b" not in result.stdout + result.stderr


# --- rejects ----------------------------------------------------------------------------------------


def test_rejects_are_shown_and_named_on_stderr(broken: Path) -> None:
    result = invoke(broken)
    assert result.exit_code == 0
    assert "2 rejected" in result.stdout.replace("\n", " ").replace("  ", " ")
    assert "Rejected: the first 2 of 2" in result.stdout
    assert result.stderr.count("\n") == 1
    assert "2 records of oneDNN could not be read" in result.stderr
    assert "line 5" in result.stderr


def test_one_reject_is_one_record(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text(RELU.format(ms=1.5) + BROKEN)
    assert "1 record of oneDNN could not be read and counts nowhere; " in invoke(path).stderr
    path.write_text(RELU.format(ms=1.5) + BROKEN * 2)
    assert "2 records of oneDNN could not be read and count nowhere; " in invoke(path).stderr


@pytest.mark.parametrize("width", [60, 80, 200])
def test_of_a_reject_the_whole_reason_and_the_end_of_the_record_are_shown(tmp_path: Path, width: int) -> None:
    path = tmp_path / "run.log"
    comma = "onednn_verbose,v1,primitive,exec,extra," + RELU.partition("exec,")[2].format(ms="9,4747")
    path.write_text(RELU.format(ms="soon") + RELU.format(ms="0.25").strip() + RELU.format(ms=1) + comma)
    found = read(path)
    text = render_log(found, top=1, width=width, color=False)
    table = text[text.index("Rejected: the first 3 of 3") :]
    words = " ".join(table.split())
    assert max(map(len, table.splitlines())) <= width
    for reject, end in zip(found.rejects, ("2x16x14x14,soon", "2x16x14x14,0.25", "2x16x14x14,9,4747"), strict=True):
        assert reject.reason in words
        assert any(line.endswith(end) for line in table.splitlines())


def test_a_reason_in_wide_characters_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text(RELU.format(ms="時" * 40))
    text = render_log(read(path), top=1, width=60, color=False)
    table = text[text.index("Rejected") :].partition("milliseconds")[0]
    assert table.count("時") == 40


@pytest.mark.parametrize("options", [(), ("--json",), ("--csv",), ("--by", "kind"), ("--benchdnn", "-")])
def test_a_format_that_is_not_known_is_said(log: Path, options: tuple[str, ...]) -> None:
    assert "does not know" not in invoke(log, *options).stderr
    log.write_text(log.read_text() + RELU.format(ms=1).replace("v1", "v2") * 12 + GRAPH.replace("v1", "v3"))
    result = invoke(log, "--strict", *options)
    said = "12 records of format v2, 1 of v3, which this version of perfsuite does not know; read as v1"
    assert result.exit_code == 0
    assert result.stderr == f"perfsuite: warning: {log}: {said}\n"
    if "--json" in options:
        totals = json.loads(result.stdout)["totals"]
        assert (totals["unknown_formats"], totals["executions"]) == ({"v2": 12, "v3": 1}, 14)
    elif options in ((), ("--by", "kind")):
        assert said in " ".join(result.stdout.split())


@pytest.mark.parametrize("options", [(), ("--json",), ("--csv",), ("--by", "kind"), ("--benchdnn", "-")])
def test_a_last_time_that_may_be_cut_is_said(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = tmp_path / "run.log"
    for ms, end, cut in (("12.3457", "\n", False), ("1", "", True), ("1", "\n", False), ("12.3457", "", False)):
        path.write_text(RELU.format(ms="12.3457") + RELU.format(ms=ms).removesuffix("\n") + end)
        result = invoke(path, "--strict", *options)
        assert result.exit_code == 0
        assert ("ends without a line feed" in result.stderr) is cut
        assert result.stderr.count("\n") == cut
        if "--json" in options:
            assert json.loads(result.stdout)["totals"]["unterminated"] is cut
        elif options in ((), ("--by", "kind")):
            assert ("ends without a line feed" in result.stdout) is cut


@pytest.mark.parametrize("options", [(), ("--json",), ("--csv",), ("--by", "kind"), ("--benchdnn", "-")])
def test_strict_exits_2_whatever_the_output(broken: Path, log: Path, options: tuple[str, ...]) -> None:
    result = invoke(broken, "--strict", *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("perfsuite: error: ")
    assert result.stdout != ""
    assert invoke(log, "--strict", *options).exit_code == 0


# --- nothing to read --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", "Epoch 1\n", HEADER], ids=["empty", "no record", "header only"])
@pytest.mark.parametrize("options", [(), ("--json",), ("--csv",), ("--benchdnn", "-"), ("--strict",)])
def test_no_execution_says_what_to_do(tmp_path: Path, content: str, options: tuple[str, ...]) -> None:
    path = tmp_path / "run.log"
    path.write_text(content)
    result = invoke(path, *options)
    assert result.exit_code == 0
    assert "ONEDNN_VERBOSE=1" in result.stderr
    if "--json" in options:
        assert json.loads(result.stdout)["primitives"] == []


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_a_log_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    result = invoke(tmp_path / name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("perfsuite: error: ")
    assert result.stderr.count("\n") == 1


def test_a_binary_file_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(bytes(range(256)) * 400)
    result = invoke(path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "binary" in result.stderr
    assert result.stderr.count("\n") == 1


# --- where it is read from --------------------------------------------------------------------------


def test_standard_input_and_gzip_read_alike(tmp_path: Path) -> None:
    packed = tmp_path / "run.log.gz"
    packed.write_bytes(gzip.compress(CONVNET.read_bytes()))
    plain = invoke(CONVNET, "--json").stdout
    assert invoke(packed, "--json").stdout == plain
    assert invoke("-", "--json", input=CONVNET.read_bytes()).stdout == plain


def test_standard_input_of_a_pipe(log: Path) -> None:
    with log.open() as stream:
        result = shell("-", "--by", "kind", stdin=stream)
    assert (result.returncode, result.stderr) == (0, "")
    assert "eltwise" in result.stdout


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_text(RELU.format(ms=1) * 20_000)
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as closed:
        result = shell(path, "--csv", stdout=closed)
    assert (result.returncode, result.stderr) == (0, "")


# --- JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CONVNET, MIXED, TIMESTAMPS], ids=lambda path: path.name)
def test_the_json_has_the_documented_shape(path: Path) -> None:
    data = json.loads(invoke(path, "--json").stdout, parse_constant=pytest.fail)
    assert data["format"] == 1
    names = {"kind", "implementation", "direction", "dtypes", "layouts", "attributes", "algorithm", "problem"}
    for row in data["primitives"]:
        assert set(row) == {*names, "count", "time_ms"}
        assert all(isinstance(row[name], str) for name in names)
        assert isinstance(row["count"], int)
    assert set(data["totals"]) >= {"lines", "executions", "time_ms", "recovered", "rejected"}
    assert sum(row["count"] for row in data["primitives"]) == data["totals"]["executions"] > 0
    assert math.fsum(row["time_ms"] for row in data["primitives"]) == pytest.approx(data["totals"]["time_ms"], 1e-12)
    assert data["totals"]["lines"] == len(path.read_bytes().splitlines())
    assert [row["time_ms"] for row in data["primitives"]] == sorted(
        (r["time_ms"] for r in data["primitives"]), reverse=True
    )


def test_the_json_of_rejects_graphs_and_copies(broken: Path, log: Path) -> None:
    data = json.loads(invoke(broken, "--json").stdout)
    assert [set(reject) for reject in data["rejects"]] == [{"line", "reason"}] * 2
    assert [reject["line"] for reject in data["rejects"]] == [5, 6]
    assert data["totals"]["rejected"] == 2
    data = json.loads(invoke(log, "--json").stdout)
    assert data["onednn"] == [
        {"version": "3.12.0", "commit": "80afa71049cd", "isa": "Intel AVX-512 with Intel DL Boost", "threads": "2"}
    ]
    (graph,) = data["graphs"]
    assert (graph["op_names"], graph["count"], graph["time_ms"]) == ("matmul;relu", 1, 7.5)
    assert data["totals"]["time_ms"] == 4.0


def test_rows_of_the_json_differ(tmp_path: Path) -> None:
    # What the columns do not show (here: who chose the layout) does not split rows.
    path = tmp_path / "run.log"
    path.write_text(RELU.format(ms=1) + RELU.format(ms=2).replace("data:f32::", "data:f32:a:"))
    (row,) = json.loads(invoke(path, "--json").stdout)["primitives"]
    assert (row["count"], row["time_ms"]) == (2, 3.0)


# --- CSV --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CONVNET, MIXED, TIMESTAMPS], ids=lambda path: path.name)
def test_the_csv_has_every_execution_in_order(path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(invoke(path, "--csv").stdout)))
    counted = read(path)
    assert len(rows) == counted.executions
    assert tuple(rows[0]) == CSV_COLUMNS
    assert math.fsum(float(row["time_ms"]) for row in rows) == pytest.approx(counted.time_ms, rel=1e-12)
    for name in ("kind", "implementation", "problem", "descriptors", "attributes"):
        assert {row[name] for row in rows} == {getattr(row, name) for row in counted.primitives}
    starts = [int(row["start_ns"]) for row in rows if row["start_ns"]]
    assert len(starts) == (len(rows) if path == TIMESTAMPS else 0)
    assert starts == sorted(starts)


def test_the_csv_keeps_the_times_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    times = ["0.0529785", "3.72705", "0", "12", "1234567.25"]
    path.write_text("".join(RELU.format(ms=ms) for ms in times))
    rows = list(csv.DictReader(io.StringIO(invoke(path, "--csv").stdout)))
    assert [float(row["time_ms"]) for row in rows] == [float(ms) for ms in times]


def test_the_csv_of_many_rows_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("".join(RELU.format(ms=i) for i in range(2500)))
    rows = list(csv.DictReader(io.StringIO(invoke(path, "--csv").stdout)))
    assert [float(row["time_ms"]) for row in rows] == list(range(2500))


# --- benchdnn ---------------------------------------------------------------------------------------


def test_benchdnn_to_a_file(log: Path, tmp_path: Path) -> None:
    file = tmp_path / "problems.txt"
    result = invoke(log, "--benchdnn", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"1 problem in {file}\n"
    assert file.read_text().splitlines() == [
        "# 2 calls, 4 ms in the log: jit:avx512_core",
        "--eltwise --reset --allow-enum-tags-only=0 --engine=cpu --dir=FWD_D --dt=f32 --tag=abcd --alg=eltwise_relu "
        "--alpha=0 --beta=0 --attr-scratchpad=user 2x16x14x14",
    ]
    assert invoke(log, "--benchdnn", "-").stdout == file.read_text()


def test_what_benchdnn_cannot_run_is_a_comment_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text((RELU.format(ms=1) + RELU.format(ms=1)).replace("eltwise,", "warp,") + RELU.format(ms=5))
    result = invoke(path, "--benchdnn", "-")
    assert result.exit_code == 0
    assert "1 of 2 problems (2 executions) have no benchdnn line" in result.stderr
    assert result.stdout.splitlines()[-2:] == [
        "# 2 calls, 2 ms in the log: jit:avx512_core",
        "# not written, benchdnn has no driver for 'warp': warp 2x16x14x14",
    ]


@pytest.mark.parametrize("path", [CONVNET, MIXED, TIMESTAMPS], ids=lambda path: path.name)
def test_every_problem_of_a_real_log_is_written(path: Path) -> None:
    result = invoke(path, "--benchdnn", "-")
    assert (result.exit_code, result.stderr) == (0, "")
    commands = [line for line in result.stdout.splitlines() if not line.startswith("#")]
    assert len(set(commands)) == len(commands) > 0
    calls = [int(line.split()[1]) for line in result.stdout.splitlines() if " in the log" in line]
    assert sum(calls) == read(path).executions


def test_benchdnn_does_not_overwrite_the_log(log: Path) -> None:
    before = log.read_text()
    result = invoke(log, "--benchdnn", log)
    assert (result.exit_code, result.stdout) == (2, "")
    assert log.read_text() == before


def test_benchdnn_to_a_folder_that_is_not_there(log: Path, tmp_path: Path) -> None:
    result = invoke(log, "--benchdnn", tmp_path / "no" / "file")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize("options", ["--top 4", "--by kind,dtypes", "--benchdnn -"])
def test_the_documentation_shows_what_is_printed(options: str) -> None:
    page = (ROOT / "docs" / "parse.md").read_text()
    shown = page.split(f"$ perfsuite parse tests/data/{CONVNET.name} {options}", 1)[1].split("```", 1)[0]
    shown = shown.partition("\n")[2].removesuffix("…\n")
    assert shown.count("\n") > 3
    assert invoke(CONVNET, *options.split()).stdout.startswith(shown)


# --- options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [("--json", "--csv"), ("--by", "kind", "--json"), ("--benchdnn", "-", "--csv")], ids=" ".join
)
def test_one_output_is_chosen(log: Path, options: tuple[str, ...]) -> None:
    result = invoke(log, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give one of them" in result.stderr


def test_parse_loads_neither_torch_nor_numpy(log: Path) -> None:
    code = (
        "import sys\nfrom perfsuite.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert done.code == 0\n"
        "print([name for name in ('torch', 'numpy', 'psutil') if name in sys.modules], file=sys.stderr)"
    )
    for options in ((), ("--json",), ("--csv",), ("--benchdnn", "-")):
        words = [sys.executable, "-c", code, "parse", str(log), *options]
        printed = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
        assert printed.stderr.strip() == "[]"


# --- grouping ---------------------------------------------------------------------------------------

_texts = st.sampled_from(["", "a", "b"])
_primitives = st.lists(
    st.builds(
        Distinct,
        **dict.fromkeys((*COLUMNS, "descriptors"), _texts),
        count=st.integers(1, 10**6),
        time_ms=st.floats(0, 1e9, allow_subnormal=False),
    )
)


@given(_primitives, st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True))
def test_groups_lose_nothing_and_shares_add_up(primitives: list[Distinct], by: list[str]) -> None:
    rows = group(primitives, by)
    assert len({row.key for row in rows}) == len(rows)
    assert {row.key for row in rows} == {tuple(getattr(one, name) for name in by) for one in primitives}
    assert sum(row.count for row in rows) == sum(one.count for one in primitives)
    total = math.fsum(one.time_ms for one in primitives)
    assert math.fsum(row.time_ms for row in rows) == pytest.approx(total, rel=1e-12)
    assert [row.time_ms for row in rows] == sorted((row.time_ms for row in rows), reverse=True)
    if total:
        assert math.fsum(row.share or 0 for row in rows) == pytest.approx(1)
    else:
        assert all(row.share is None for row in rows)
    assert all(row.mean_ms == row.time_ms / row.count for row in rows)


def test_no_primitive_is_no_row() -> None:
    assert group((), ("kind",)) == ()


def test_columns_are_named_once() -> None:
    assert columns("kind, direction,kind") == ("kind", "direction")
    with pytest.raises(UsageError, match="no column 'shape'"):
        columns("kind,shape")


def test_graphs_are_grouped_by_what_they_do() -> None:
    def partition(number: str, op_names: str, ms: float) -> GraphExecution:
        return GraphExecution("cpu", number, "misc", op_names, "", "", "strict", "kernel", "dnnl", 1, ms)

    rows = group_graphs([partition("1", "relu", 1.0), partition("2", "relu", 2.0), partition("3", "add", 5.0)])
    assert [(row.key[1], row.count, row.time_ms, row.share) for row in rows] == [
        ("add", 1, 5.0, 5 / 8),
        ("relu", 2, 3.0, 3 / 8),
    ]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_asked(width: int) -> None:
    counted = read(MIXED)
    for text in (
        render_log(counted, top=50, width=width, color=False),
        render_log_by(counted, COLUMNS, top=50, width=width, color=False),
    ):
        assert max(map(len, text.splitlines())) <= width


_pieces = st.sampled_from([*HEADER.splitlines(True), RELU.format(ms=1.5), RELU.format(ms=0), BROKEN, GRAPH, "\n", ","])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(_pieces.map(str.encode) | st.binary(max_size=40), max_size=8).map(b"".join),
    st.sampled_from([(), ("--json",), ("--csv",), ("--by", "kind,problem"), ("--benchdnn", "-"), ("--strict",)]),
)
def test_no_log_is_a_traceback(text: bytes, options: tuple[str, ...]) -> None:
    result = invoke("-", *options, input=text)
    assert result.exit_code in (0, 2)
    assert not result.exception or isinstance(result.exception, SystemExit)
    if "--json" in options and result.exit_code == 0:
        data = json.loads(result.stdout)
        assert sum(row["count"] for row in data["primitives"]) == data["totals"]["executions"]
