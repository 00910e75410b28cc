"""``perfsuite diff`` as users meet it: the text, the JSON, the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from perfsuite.analyse.diff import diff_runs
from perfsuite.cli import main
from perfsuite.present.diff import render_diff
from perfsuite.present.diff_as_json import diff_json
from perfsuite.records import Memory, Profile, Run, Samples
from perfsuite.store import create_run
from tests.diff_profiles import op, primitive, profile, python
from tests.samples import an_environment

CONV = "aten::mkldnn_convolution"
BASE = profile(
    [op(CONV, "Net.conv", times=(1000, 1010, 990)), op("aten::relu", "Net.act")],
    [(0, primitive("brg_conv_fwd:avx512_core"))],
    [python("Net.conv")],
)
HEAD = profile(
    [op(CONV, "Net.conv", times=(3000, 3010, 2990)), op("aten::relu", "Net.act"), op("aten::erf", "Net.act", ((9,),))],
    [(0, primitive("jit:sse41"))],
    [python("Net.conv")],
)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    directory = tmp_path / ".perfsuite"
    record(directory, BASE)
    record(directory, HEAD, torch="2.14.0")
    return directory


def record(directory: Path, *profiles: Profile, **environment: Any) -> str:
    run = create_run(directory, an_environment(**{"disturbances": (), **environment}))
    for one in profiles:
        run.write(one)
    run.finish()
    return run.path.name


def invoke(*args: object) -> Result:
    return CliRunner().invoke(main, ["diff", *map(str, args)])


def refused(result: Result) -> str:
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("perfsuite: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_the_text_names_the_culprit_and_why(runs: Path) -> None:
    result = invoke("latest~1", "latest", "--dir", runs)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[1] == "environment: torch 2.13.0 → 2.14.0"
    assert "net" in lines
    assert "step: head is 1.00× base" in result.stdout
    assert "of these two processes (n = 6, 6)" in result.stdout.replace("\n  ", " ")
    row = next(i for i, line in enumerate(lines) if CONV in line)
    assert lines[row].split()[:5] == ["+2.00", "µs", "+1.98", "µs", "+95.0%"]
    assert lines[row].endswith(f"{CONV} 4x8")
    assert lines[row + 1].split() == ["Net.conv", "forward"]
    assert lines[row + 2].strip() == "implementation of convolution forward_training"
    assert lines[row + 3].strip() == "brg_conv_fwd:avx512_core → jit:sse41"
    assert "isa avx512_core 1 → 0" in result.stdout
    assert "added: 1 × operator" in result.stdout
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in result.stdout


def test_head_is_the_latest_run_by_default(runs: Path) -> None:
    assert invoke("latest~1", "--dir", runs).stdout == invoke("latest~1", "latest", "--dir", runs).stdout


def test_one_step_a_side_leaves_open_what_a_change_is_at_least(tmp_path: Path) -> None:
    for ns in (100, 150):
        record(tmp_path, profile([op(CONV, times=(ns,), counts=(1,))], rest=(0,)))
    lines = invoke("latest~1", "--dir", tmp_path).stdout.splitlines()
    assert next(line for line in lines if CONV in line).split()[:4] == ["+50", "ns", "–", "+50.0%"]


def test_top_limits_the_rows(runs: Path) -> None:
    text = invoke("latest~1", "--dir", runs, "--top", 1).stdout
    assert "top 1 of 5 rows" in text
    assert "aten::relu" not in text


def test_the_json_has_everything_and_one_workload_at_the_top(runs: Path) -> None:
    result = invoke("latest~1", "latest", "--dir", runs, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert (document["format"], document["comparable"], document["reasons"]) == (1, True, [])
    assert document["environment_changes"] == [{"key": "torch", "base": "2.13.0", "head": "2.14.0"}]
    (workload,) = document["workloads"]
    for key in ("wall", "operators", "census"):
        assert document[key] == workload[key]
    assert document["wall"]["ratio"] == 1
    assert document["wall"]["interval"][0] < 1 < document["wall"]["interval"][1]
    row = document["operators"][0]
    assert {key: row[key] for key in ("kind", "name", "module", "phase", "shapes", "there", "delta_ns")} == {
        "kind": "operator", "name": CONV, "module": "Net.conv", "phase": "forward", "shapes": [[4, 8]],
        "there": "both", "delta_ns": 2000,
    }  # fmt: skip
    assert row["cause"] == {
        "kind": "implementation", "base": "brg_conv_fwd:avx512_core", "head": "jit:sse41",
        "primitive": "convolution forward_training",
    }  # fmt: skip
    assert workload["culprits"] == 2
    (relu,) = (one for one in document["operators"] if one["name"] == "aten::relu")
    assert (relu["delta_ns"], relu["cause"], relu["causes"]) == (0, None, [])
    assert workload["memory"] == {"base": None, "head": None}
    assert row["share"] == pytest.approx(2000 / workload["ledger"]["base_ns"])
    assert row["interval"][0] < 2000 < row["interval"][1]
    assert (row["method"], row["beyond_ns"]) == ("welch", row["interval"][0])
    difference = workload["ledger"]["head_ns"] - workload["ledger"]["base_ns"]
    assert sum(one["delta_ns"] for one in document["operators"]) == pytest.approx(difference)
    (added,) = document["census"]["added"]
    assert (added["what"], added["name"], added["module"], added["base"], added["head"]) == (
        "operator", "aten::erf", "Net.act", None, 1,
    )  # fmt: skip
    assert [one["what"] for one in document["census"]["changed"]] == ["implementation", "isa"]
    assert {one["cost_ns"] for one in document["census"]["changed"]} == {500}
    assert document["census"]["unstable"] == []


def test_of_several_workloads_none_stands_at_the_top(tmp_path: Path) -> None:
    directory = tmp_path / "runs"
    both = (BASE, replace(BASE, name="other"))
    record(directory, *both)
    record(directory, *both, replace(BASE, name="third"))
    document = json.loads(invoke("latest~1", "latest", "--dir", directory, "--json").stdout)
    assert [one["name"] for one in document["workloads"]] == ["net", "other"]
    assert document["missing"] == [{"name": "third", "only_in": "head", "found_in": "head"}]
    assert "wall" not in document
    assert "only in head: third" in invoke("latest~1", "--dir", directory).stdout
    chosen = json.loads(invoke("latest~1", "latest", "--dir", directory, "--json", "--workload", "other").stdout)
    assert "wall" in chosen


def test_another_machine_is_refused_with_the_reason_and_forced_with_it(tmp_path: Path) -> None:
    directory = tmp_path / "runs"
    record(directory, BASE)
    record(directory, HEAD, cpu_model="Another CPU", usable_cpus=1)
    error = refused(invoke("latest~1", "latest", "--dir", directory))
    assert "CPU model: A CPU and Another CPU; usable CPUs: 4 and 1; --force" in error
    forced = invoke("latest~1", "latest", "--dir", directory, "--force")
    assert forced.exit_code == 0
    assert "NOT COMPARABLE" in forced.stdout
    document = json.loads(invoke("latest~1", "latest", "--dir", directory, "--force", "--json").stdout)
    assert document["comparable"] is False
    assert document["reasons"] == ["CPU model: A CPU and Another CPU", "usable CPUs: 4 and 1"]
    assert len(document["operators"]) == 5


def test_what_cannot_be_compared_is_one_line(runs: Path) -> None:
    assert "no run 'nothing'" in refused(invoke("nothing", "latest", "--dir", runs))
    assert "no run 'latest~2'" in refused(invoke("latest~2", "latest", "--dir", runs))
    assert "no runs in" in refused(invoke("latest", "latest", "--dir", runs / "nowhere"))
    assert "--workload 'other' is not in run" in refused(invoke("latest~1", "--dir", runs, "--workload", "other"))
    empty = record(runs)
    assert f"{empty}: no workload was recorded in it" in refused(invoke("latest~1", empty, "--dir", runs))


def test_a_damaged_workload_is_told_and_not_taken_for_missing(runs: Path) -> None:
    (file,) = (runs / record(runs, HEAD) / "workloads").iterdir()
    file.write_bytes(b"\x1f\x8b broken")
    assert "damaged" in refused(invoke("latest~1", "latest", "--dir", runs))


def test_a_workload_that_may_be_in_a_damaged_file_is_not_said_to_be_missing(tmp_path: Path) -> None:
    base = record(tmp_path, BASE, replace(BASE, name="other"))
    record(tmp_path, BASE, replace(BASE, name="other"))
    (file,) = (tmp_path / base / "workloads").glob("*other*")
    file.write_bytes(b"broken")
    text = invoke("latest~1", "--dir", tmp_path)
    assert text.exit_code == 2
    told = " ".join(text.stdout.split())
    assert "note: base has workloads that cannot be read: " in told
    assert "in head, on the other side missing or in a file that cannot be read: other" in told
    document = json.loads(invoke("latest~1", "--dir", tmp_path, "--json").stdout)
    assert document["missing"] == [{"name": "other", "only_in": "unknown", "found_in": "head"}]


def test_what_the_kernel_did_in_a_bare_step_is_a_line(tmp_path: Path) -> None:
    for system, faults, peak in ((31_800_000, 10_880, 2**30), (22_000, 0, 2**29)):
        record(tmp_path, replace(BASE, memory=Memory(2**28, peak, 200_000_000, 10**8, system, faults)))
    text = invoke("latest~1", "--dir", tmp_path).stdout.replace("\N{NO-BREAK SPACE}", " ")
    told = " ".join(text.split())
    assert "kernel: 10 880 page faults, 31.8 ms system time → 0, 22.0 µs (one bare step)" in told
    assert "memory: 1.00 GiB → 512 MiB resident at most" in told
    assert (
        "note: page faults, not operators: of one bare step the kernel took about 31.8 ms → 22.0 µs for 10 880 → 0 "
        in told
    )
    (one,) = json.loads(invoke("latest~1", "--dir", tmp_path, "--json").stdout)["workloads"]
    assert one["memory"]["base"] == {
        "start_rss_bytes": 2**28, "peak_rss_bytes": 2**30, "wall_ns": 200_000_000, "user_ns": 10**8,
        "system_ns": 31_800_000, "page_faults": 10_880,
    }  # fmt: skip


def test_a_run_beside_itself_is_said_to_be_itself(runs: Path) -> None:
    text = " ".join(invoke("latest", "latest", "--dir", runs).stdout.split())
    assert "note: these are the same run" in text
    assert "no row changed by more than 0.1% of base's profiled step beyond its interval" in text
    assert "likeliest culprit" not in text
    assert "unchanged" in text
    rows = json.loads(invoke("latest", "latest", "--dir", runs, "--json").stdout)["operators"]
    assert [row["cause"] for row in rows] == [None] * len(rows)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.0, "1.00"), (1.3, "1.30"), (1.04, "1.04"), (0.547, "0.547"), (21.26, "21.3"), (1234.5, "1234")],
)
def test_a_ratio_has_three_digits_however_round(tmp_path: Path, ratio: float, text: str) -> None:
    record(tmp_path, Profile("net", samples=Samples((1e6,))))
    record(tmp_path, Profile("net", samples=Samples((ratio * 1e6,))))
    assert f"step: head is {text}× base" in invoke("latest~1", "--dir", tmp_path).stdout


def test_names_cannot_harm_the_terminal() -> None:
    def evil(text: str) -> Run:
        rows = [op(f"aten::{text}", f"Net.{text}", phase=text), op("aten::relu", "Net.act", counts=(1, 2, 1))]
        found = [(0, primitive(text, text, attributes=text))]
        one = replace(profile(rows, found, scale=text), name="net", notes=(text,))
        environment = an_environment(omp={"OMP": text}, allocator=text, disturbances=(text,))
        return Run(text, "2026-01-01T00:00:00+00:00", "complete", environment, (one,), (text,))

    diff = diff_runs(evil("a\x1b[31mb"), evil("c\x1b]0;\u202ed"))
    text = render_diff(diff, top=20, width=40, color=False)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) <= 60
    json.dumps(diff_json(diff), allow_nan=False)


def test_nothing_to_compare_but_the_wall_is_said(tmp_path: Path) -> None:
    timed = Profile("net", samples=BASE.samples)
    record(tmp_path, timed)
    record(tmp_path, timed)
    text = invoke("latest~1", "--dir", tmp_path).stdout
    assert "base and head have no operator pass" in text
    assert "Census" not in text
    document = json.loads(invoke("latest~1", "--dir", tmp_path, "--json").stdout)
    assert (document["operators"], document["workloads"][0]["ledger"]) == ([], None)


def test_it_loads_neither_torch_nor_anything_else_that_is_slow(runs: Path) -> None:
    code = (
        "import sys; from perfsuite.cli import main\n"
        f"sys.argv = ['perfsuite', 'diff', 'latest~1', '--dir', {str(runs)!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print([m for m in ('torch', 'numpy', 'scipy', 'matplotlib', 'pytest') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.splitlines()[-1] == "[]"
