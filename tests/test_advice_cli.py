"""``perfsuite advise``: text, JSON, choices and failures; and the rules on records of any shape."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from rich.cells import cell_len

from perfsuite.analyse.advice import RULES, Advice, Fact, Finding, NotChecked, Stake, Subject, advise
from perfsuite.cli import main
from perfsuite.present.advice import advice_json, render_advice
from perfsuite.records import Operator, Profile
from perfsuite.store import create_run
from tests.samples import NAME, a_primitive, a_profile, an_environment, profiles

ROOT = Path(__file__).parent.parent


def record(directory: Path, *profiles: Profile) -> Path:
    run = create_run(directory, an_environment(torch_threads=8))
    for profile in profiles:
        run.write(profile)
    run.finish()
    return run.path


def invoke(*args: object) -> Result:
    return CliRunner().invoke(main, ["advise", *map(str, args)])


def assert_one_line_error(result: Result, *parts: str) -> None:
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("perfsuite: error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


def test_text_says_what_is_at_stake_what_to_do_and_which_rules_were_silent(tmp_path):
    record(tmp_path, a_profile())
    result = invoke("--dir", tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == NAME
    assert "1. more threads than CPUs [threads]" in lines
    assert any(line.startswith("  at stake: not known") for line in lines)
    assert any(line.startswith("  do: ") for line in lines)
    assert any(line.startswith("looked and found nothing from 1.0% of the step: ") for line in lines)
    assert "not checked: loader: needs a phase named 'data' in the step" in lines
    assert max(map(cell_len, lines)) <= 80


def test_every_rule_is_a_finding_silent_or_not_checked(tmp_path):
    path = record(tmp_path, a_profile())
    found = json.loads(invoke("--json", "--dir", tmp_path).stdout)
    assert (found["format"], found["run"], found["against"]) == (2, path.name, None)
    (workload,) = found["workloads"]
    assert workload["name"] == NAME
    spoken = [one["rule"] for one in workload["findings"]] + workload["silent"]
    assert set(spoken) | {one["rule"] for one in workload["not_checked"]} == {rule.name for rule in RULES}
    assert set(workload["findings"][0]) == {
        "rule", "title", "evidence", "stake_ns", "share", "share_of", "stake_kind", "stake_how", "action",
        "caveat", "first", "part_of",
    }  # fmt: skip
    (threads,) = [one for one in workload["findings"] if one["rule"] == "threads"]
    assert threads["evidence"][0] == {
        "text": "torch runs 8 threads on 4 usable CPUs", "count": None, "time_ns": None, "share": None,
    }  # fmt: skip
    assert threads["stake_ns"] is None


def test_one_workload_of_a_run(tmp_path):
    record(tmp_path, a_profile(), a_profile("other"))
    assert [w["name"] for w in json.loads(invoke("--json", "--dir", tmp_path).stdout)["workloads"]] == [NAME, "other"]
    chosen = invoke("--json", "--workload", "other", "--dir", tmp_path)
    assert [w["name"] for w in json.loads(chosen.stdout)["workloads"]] == ["other"]
    assert_one_line_error(
        invoke("--workload", "nothing", "--dir", tmp_path), "--workload 'nothing' is not in run", NAME, "other"
    )


def test_a_reference_run(tmp_path):
    reference = record(tmp_path, a_profile())
    extra = Operator("aten::bmm", "forward", "net.attention", ((4, 8),), 6.0, 2e4, (20000, 20000), 2e4)
    here = a_profile()
    record(tmp_path, replace(here, operators=(*here.operators, extra)))
    found = json.loads(invoke("--json", "--against", reference.name, "--dir", tmp_path).stdout)
    assert found["against"] == reference.name
    (finding,) = [one for one in found["workloads"][0]["findings"] if one["rule"] == "reference"]
    assert finding["evidence"][0]["text"] == "aten::bmm in forward: 6× here, 0× in the reference"
    assert (finding["stake_ns"], finding["share"]) == (20000, 0.2)


def test_a_reference_of_other_settings_is_said(tmp_path):
    there = a_profile()
    fewer = replace(
        there, scale="full", dtype="bfloat16", primitives=there.primitives[:3], operators=there.operators[:2]
    )
    reference = record(tmp_path, without_bad_indices(fewer))
    record(tmp_path, a_profile())
    found = json.loads(invoke("--json", "--against", reference.name, "--dir", tmp_path).stdout)
    findings = [one for one in found["workloads"][0]["findings"] if one["rule"] == "reference"]
    assert [one["title"] for one in findings] == [
        "operators differ from the reference run",
        "primitives differ from the reference run",
    ]
    for finding in findings:
        assert [fact["text"] for fact in finding["evidence"]][:2] == [
            "scale: smoke here, full in the reference",
            "dtype: float32 here, bfloat16 in the reference",
        ]


def test_a_reference_without_the_workload_is_refused_and_with_some_is_said(tmp_path):
    reference = record(tmp_path, a_profile("another"))
    record(tmp_path, a_profile())
    assert_one_line_error(invoke("--against", reference.name, "--dir", tmp_path), "no workload in common", "another")
    record(tmp_path, a_profile(), a_profile("another"))
    text = invoke("--against", reference.name, "--dir", tmp_path).stdout
    assert text.count("not checked: reference") == 1


def test_what_cannot_be_read_is_one_line(tmp_path):
    assert_one_line_error(invoke("nothing", "--dir", tmp_path), "nothing")
    path = record(tmp_path, a_profile(), a_profile("other"))
    next((path / "workloads").glob("*other*")).write_bytes(b"not gzip")
    result = invoke("--dir", tmp_path)
    assert result.exit_code == 2
    assert NAME in result.stdout
    assert result.stderr.count("\n") == 1
    record(tmp_path)
    assert invoke("--dir", tmp_path).stdout == "no workload was recorded in it\n"


def test_torch_is_not_loaded(tmp_path):
    record(tmp_path, a_profile())
    code = (
        "import sys, perfsuite.cli as cli\n"
        f"try: cli.main(['advise', '--dir', {str(tmp_path)!r}])\n"
        "except SystemExit as error: print('exit', error.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("exit 0 False\n")


# --- presentation -----------------------------------------------------------------------------------


def a_finding(share: float | None = 0.125, **changes: object) -> Finding:
    values: dict[str, object] = {
        "rule": "reorders",
        "title": "a title",
        "evidence": (Fact("a fact", 3, 2e6, 0.5), Fact("another")),
        "stake": Stake(None if share is None else 12.5e6, share, "bound", "all of it"),
        "action": "do this",
        "caveat": "it may be meant",
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


def test_a_finding_as_text():
    text = render_advice(Advice("net", (a_finding(),), ("loader",), ()), width=100, color=False)
    assert text.splitlines() == [
        "net",
        "",
        "1. a title [reorders]",
        "  at stake: up to 12.5 ms, 12.5% of the profiled step (upper bound: all of it)",
        "  - a fact: 3×, 2.00 ms, 50.0%",
        "  - another",
        "  do: do this",
        "  but: it may be meant",
        "",
        "at stake is a share of the step in which it was measured, in time of the timed median; times in the",
        "  evidence are means of the profiled steps",
        "looked and found nothing from 1.0% of the step: loader",
    ]


def test_control_characters_of_a_log_do_not_reach_the_terminal():
    finding = a_finding(title="a \x1b[31mtitle", evidence=(Fact("module \x07"),))
    missing = NotChecked("loader", "\x1b]0;")
    text = render_advice(Advice("net\x1b[2J", (finding,), (), (missing,)), width=80, color=False)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\\x1b[31m" in text
    assert "\x1b[1m" in render_advice(Advice("net", (finding,), (), ()), width=80, color=True)


def test_several_findings_are_said_to_overlap():
    once = render_advice(Advice("net", (a_finding(),), (), ()), width=80, color=False)
    twice = render_advice(Advice("net", (a_finding(), a_finding()), (), ()), width=80, color=False)
    assert "overlap" not in once
    assert "findings overlap, so what is at stake does not add up" in twice


def test_another_librarys_backward_is_not_checked():
    ipex = Operator("torch_ipex::convolution_backward", "backward", "net", ((4, 8),), 1, 6e4, (), 6e4)
    advice = advise(Subject(without_bad_indices(a_profile(operators=(ipex,))), an_environment(torch_threads=1)))
    reasons = {missing.rule: missing.reason for missing in advice.not_checked}
    assert "torch_ipex::convolution_backward" in reasons["frozen-backward"]


def test_without_findings_it_says_so():
    assert "nothing found" in render_advice(Advice("net", (), ("loader",), ()), width=80, color=False)


@given(profiles)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_advice_is_strict_json_and_fits_the_width(profile):
    advice = advise(
        Subject(without_bad_indices(profile), an_environment(torch_threads=8), without_bad_indices(profile))
    )
    json.dumps(advice_json("run", None, [advice]), allow_nan=False)
    text = render_advice(advice, width=72, color=False)
    assert max(map(cell_len, text.split("\n"))) <= 72
    spoken = {f.rule for f in advice.findings} | {m.rule for m in advice.not_checked} | set(advice.silent)
    assert spoken == {rule.name for rule in RULES}


def without_bad_indices(profile: Profile) -> Profile:
    """As a run that could be loaded: its reader refuses an index that points nowhere."""
    operators = tuple(
        replace(row, primitives=tuple(i for i in row.primitives if 0 <= i < len(profile.primitives)))
        for row in profile.operators
    )
    primitives = tuple(
        replace(row, operator=row.operator if 0 <= (row.operator or 0) < len(operators) else None)
        for row in profile.primitives
    )
    return replace(profile, operators=operators, primitives=primitives if operators else ())


# --- how rules decide -------------------------------------------------------------------------------


def test_findings_are_sorted_by_share_and_tiny_ones_are_left_out():
    """A reorder of 30 % and a reference implementation of 20 %; one of 0.5 % is not worth a word."""
    convolution = Operator("aten::mkldnn_convolution", "forward", "net", ((4, 8, 9, 9), (8, 8, 3, 3)), 1, 6e4, (), 6e4)
    rows = (
        a_primitive("reorder", "undef", 30_000.0, 0, layouts="src:abcd dst:aBcd16b", problem="4x8x9x9"),
        a_primitive("sum", "undef", 20_000.0, 0, implementation="ref:any"),
    )
    profile = a_profile(operators=(convolution,), primitives=rows, walls_ns={"primitives": (100_000,)})
    advice = advise(Subject(profile, an_environment(torch_threads=1)))
    assert [finding.rule for finding in advice.findings] == ["reorders", "slow-implementation"]
    assert [finding.stake.share for finding in advice.findings] == [0.3, 0.2]
    tiny = replace(profile, primitives=(replace(rows[1], time_ns=500.0),))
    assert "slow-implementation" in advise(Subject(tiny, an_environment(torch_threads=1))).silent


@pytest.mark.parametrize(
    ("implementation", "found"),
    [
        ("ref:any", True),
        ("ref_int8:any", True),
        ("simple_nchw:any", True),
        ("conv:any+ref:any", True),
        ("brg_conv_fwd:avx512_core", False),
        ("jit:avx2", True),
        ("brg_conv_bwd:avx512_core+brg_conv_fwd:avx512_core", False),
        ("conv:any+jit:avx2", True),
        ("x64:gemm:jit", False),
        ("brg_matmul:avx512_core_amx", False),
        ("jit:avx512_core_bf16", False),
        ("", False),
    ],
)
def test_names_of_implementations(implementation, found):
    isa = ("avx2", "avx512bw", "avx512dq", "avx512f", "avx512vl")
    row = a_primitive("convolution", "backward_weights", 50_000.0, 2, implementation=implementation)
    subject = Subject(without_bad_indices(a_profile(primitives=(row,))), an_environment(isa=isa, torch_threads=1))
    assert ("slow-implementation" in {one.rule for one in advise(subject).findings}) is found
