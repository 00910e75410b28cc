from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from perfsuite.analyse.diff import Delta
from perfsuite.gate.model import Attribution, CensusVerdict, Failure, GateResult, Judgement, Policy
from perfsuite.present.cells import clean
from perfsuite.present.gate import words
from perfsuite.present.gate.terminal import render_gate, shell_lines
from tests import gate_results as made
from tests.hostile import HOSTILE, hostile_text


def shown(result: GateResult, top: int = 5, width: int = 80, **more: int | None) -> str:
    text = render_gate(result, top, width, False, **more)
    assert text.endswith("\n")
    assert "\x1b" not in text
    # A command with a word longer than the line is the only thing that may be wider, and none of these has one.
    assert max(map(cell_len, text.splitlines())) <= max(width, 60)
    return text


def flat(text: str) -> str:
    return " ".join(text.split())


def row_of(text: str, ending: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.endswith(ending) and "  " in line.strip())
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


# --- what it says -----------------------------------------------------------------------------------


def test_a_regression_reads_like_this() -> None:
    assert (
        shown(made.a_gate(made.regressed()))
        == """\
base git:main: commit 0123456789ab
head .: commit fedcba987654, with changes
both: interpreter /usr/bin/python3, Python 3.11.7, torch 2.13.0
threshold 3%
settings: OMP_NUM_THREADS=2, OMP_WAIT_POLICY=passive, CPUs 0-1

Change of the step, its interval, and what it took to find out
  Verdict                Change  Process pairs    Time  Benchmark
────────────────────────────────────────────────────────────────────────────────
regressed  +6.2% (+4.8 to +7.6)              6  41.4 s  …py::test_step[resnet18]

tests/bench/test_training.py::test_step[resnet18]
regressed: +6.2% (+4.8 to +7.6), surely slower by more than the threshold of 3%
  after 6 process pairs

1 row surely changed the way the step did, the likeliest first: self time by
step
 Change             Interval  Of step  Row, where, and what the census saw
───────────────────────────────────────────────────────────────────────────
+100 µs  +89.5 µs to +110 µs   +12.7%  aten::mkldnn_convolution 4x8
                                       Net.layer1.conv2 forward
                                       implementation of convolution
                                         forward_training
                                         brg_conv_fwd:avx512_core → ref:any
run the primitives of the first row alone with benchdnn, as head has them:
benchdnn --conv --dir=FWD_D --dt=f32 --stag=acdb --wtag=any --dtag=acdb \\
mb4_ic512oc512_ih2oh2kh3sh1dh0ph1_iw2ow2kw3sw1dw0pw1

1 benchmark in 45.9 s: 1 regressed
regressed, exit code 1: a benchmark is slower than its threshold allows
"""
    )


def test_every_benchmark_has_its_line() -> None:
    text = shown(made.every_kind(), width=130)
    assert row_of(text, "[resnet18]")[:4] == ["regressed", "+6.2% (+4.8 to +7.6)", "6", "41.4 s"]
    for name, verdict in (
        ("transformer", "unchanged"), ("lstm", "improved"), ("retinanet", "inconclusive"), ("gone", "missing"),
        ("foreign", "incomparable"), ("focal", "unchanged"),
    ):  # fmt: skip
        assert row_of(text, f"[{name}]")[0] == verdict
    assert row_of(text, "[focal]")[4] == "1 failure"


def test_a_narrow_table_leaves_the_time_out_before_the_census() -> None:
    def head(width: int) -> list[str]:
        (line,) = (line for line in shown(made.every_kind(), width=width).splitlines() if line.endswith("Benchmark"))
        return line.split()

    assert head(130) == ["Verdict", "Change", "Process", "pairs", "Time", "Census", "Benchmark"]
    assert head(80) == ["Verdict", "Change", "Process", "pairs", "Census", "Benchmark"]
    assert head(64) == ["Verdict", "Change", "Census", "Benchmark"]
    assert head(60) == ["Verdict", "Change", "Benchmark"]


def test_what_has_no_verdict_by_time_says_why() -> None:
    text = flat(shown(made.every_kind()))
    assert "missing: only base has this benchmark: renamed or removed" in text
    assert "incomparable: base loaded net/model.py from head's tree: set PYTHONPATH=src" in text


def test_what_is_inconclusive_says_how_many_more_pairs_and_what_it_could_have_seen() -> None:
    text = flat(shown(made.a_gate(made.inconclusive(further=7))))
    assert "7 further process pairs would decide if estimate and noise stay the same" in text
    assert "the smallest slowdown that the pairs so far could have found is +4.5%" in text
    assert "no number of further pairs would decide" in flat(shown(made.a_gate(made.inconclusive(further=None))))


def test_too_few_pairs_are_no_interval_and_nothing_is_made_up() -> None:
    one = replace(made.inconclusive(), judgement=Judgement("inconclusive", process_pairs=1))
    text = flat(shown(made.a_gate(one)))
    assert "inconclusive: –, threshold 3% after 1 process pair; too few pairs for an interval" in text
    unknown = replace(made.inconclusive(), judgement=Judgement("inconclusive", 1.02, (0.9, 1.1), 2, None, 3))
    assert "which slowdown the pairs so far could have found is not known" in flat(shown(made.a_gate(unknown)))


def test_a_pair_that_is_set_aside_is_named() -> None:
    text = flat(shown(made.a_gate(made.with_a_stray())))
    assert "note: process pair 6 was set aside, too far from all others to be of their kind: +14.9%" in text
    one = made.with_a_stray()
    assert one.judgement is not None
    two = replace(one, judgement=replace(one.judgement, strays=(0, 5)))
    assert (
        "note: process pairs 1, 6 were set aside, too far from all others to be of their kind: +1.2%, +14.9%"
        in flat(shown(made.a_gate(two)))
    )


def test_a_census_that_fails_is_said_whatever_the_clock_says() -> None:
    text = flat(shown(made.a_gate(made.census_failed())))
    assert "census fails, implementation: convolution forward_training in Net.layer1.conv2" in text
    assert "run this primitive alone with benchdnn, as base and as head had it: benchdnn --conv" in text
    assert "unchanged: +0.1%" in text
    assert "1 count not judged" in text
    assert "regressed, exit code 1: a benchmark breaks a rule of the census" in text
    only = flat(shown(made.a_gate(made.census_only())))
    assert "1 benchmark in 39.0 s: 1 not timed, census fails in 1" in only


def test_only_so_many_failures_and_rows_are_listed() -> None:
    failures = tuple(Failure("flops", f"failure {i}") for i in range(7))
    one = replace(made.census_failed(), census=CensusVerdict(failures))
    text = shown(made.a_gate(one), top=3)
    assert "failure 2" in text
    assert "failure 3" not in text
    assert "and 4 more failures of the census" in text
    assert "and 1 more failure of the census" in shown(made.a_gate(one), top=6)
    rows = made.regressed().attribution.rows  # type: ignore[union-attr]
    many = replace(made.regressed(), attribution=Attribution(rows, len(rows)))
    assert "(top 2)" in shown(made.a_gate(many), top=2)


def test_without_a_culprit_it_says_so() -> None:
    found = made.regressed().attribution
    assert found is not None
    one = replace(made.regressed(), attribution=Attribution(found.rows, 0))
    assert "No row surely changed the way the step did; the largest changes" in shown(made.a_gate(one))


def test_identical_sides_and_an_interrupted_gate_say_so() -> None:
    text = flat(shown(made.identical()))
    assert "Nothing that could change a time differs between base and head, so nothing was run." in text
    assert "unchanged, exit code 0: the gate passes" in text
    text = flat(shown(made.interrupted()))
    assert "stopped before it had a verdict: tests/bench/test_training.py::test_step[b]" in text
    assert "no verdict, exit code 130: the gate was stopped" in text


def test_what_differs_besides_the_code_is_listed() -> None:
    head = replace(
        made.HEAD,
        packages={"torch": "2.12.0", **{f"p{i}": "1" for i in range(8)}},
        variables={"ONEDNN_MAX_CPU_ISA": "AVX2"},
    )
    text = shown(made.a_gate(head=head))
    assert "differs: torch 2.13.0 → 2.12.0" in text
    assert "differs: ONEDNN_MAX_CPU_ISA – → AVX2" in text
    assert "differs: packages – → 4 more that are not the same" in text
    assert "both: interpreter /usr/bin/python3, Python 3.11.7\n" in text


@pytest.mark.parametrize(
    ("result", "code", "told"),
    [
        (made.a_gate(made.unchanged(), made.improved()), 0, None),
        (made.every_kind(), 1, None),
        (made.a_gate(made.census_failed()), 1, None),
        (made.a_gate(made.missing(), made.inconclusive()), 4, None),
        (made.a_gate(made.inconclusive()), 3, None),
        (made.a_gate(made.inconclusive()), 0, 0),
        (made.interrupted(), 130, None),
        (made.identical(), 0, None),
    ],
)
def test_the_last_line_is_the_verdict_and_the_exit_code(result: GateResult, code: int, told: int | None) -> None:
    assert result.exit_code() == code or told is not None
    text = flat(shown(result, code=told))
    assert f"exit code {code}: " in text
    last = f"{words.headline(result)}, {words.exit_meaning(result, told)}"
    assert text.endswith(last)
    assert ("because `inconclusive` is set to `pass`" in last) == (code == 0 and result.verdict == "inconclusive")


def test_a_gate_that_was_stopped_before_it_knew_its_benchmarks_has_no_verdict() -> None:
    early = made.a_gate(interrupted=True)
    assert words.overall(early) is None
    assert "no verdict, exit code 130" in shown(early)


def test_a_stopped_gate_has_no_verdict_but_a_regression() -> None:
    assert words.overall(made.interrupted()) is None
    stopped = made.a_gate(made.regressed(), unfinished=("b",))
    assert words.overall(stopped) == "regressed"
    assert stopped.exit_code() == 130


def test_a_threshold_of_its_own_is_said() -> None:
    one = replace(made.unchanged(), policy=Policy(threshold=0.005), notes=("a note",))
    assert "surely within the threshold of 0.5%" in flat(shown(made.a_gate(one)))


# --- how --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 60, 80, 133])
def test_no_line_is_wider_than_asked(width: int) -> None:
    long = made.a_gate(made.regressed("tests/" + "a/" * 100 + "test_x.py::t"), made.unchanged("漢字" * 80))
    for result in (long, made.every_kind()):
        # `shown` says the same of every text of this file.
        assert all(cell_len(line) <= max(width, 60) for line in shown(result, width=width).splitlines())


def test_escape_codes_are_there_only_with_colour() -> None:
    text = render_gate(made.every_kind(), 5, 80, True)
    assert "\x1b[" in text


def test_a_command_is_cut_where_a_shell_puts_it_together_again() -> None:
    lines = shell_lines(made.BENCHDNN, 60)
    assert len(lines) > 1
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == made.BENCHDNN.split()
    quoted = "--a 'b  c' d"
    assert shlex.split("\n".join(shell_lines(quoted, 8)).replace("\\\n", "")) == shlex.split(quoted)
    assert shell_lines("--a 'b", 60) == ["--a 'b"]


def test_hostile_names_cannot_harm_a_terminal() -> None:
    for evil in HOSTILE:
        text = render_gate(hostile(evil), 5, 80, False)
        # A no-break space is a space, and clean() leaves it.
        assert {char for char in text if not char.isprintable()} <= {"\n", "\xa0"}


def hostile(text: str) -> GateResult:
    """The same evil in every text that comes from outside."""
    found = made.regressed(text).attribution
    assert found is not None
    rows = tuple(evil(row, text) for row in found.rows)
    one = replace(
        made.regressed(text), reasons=(text,), notes=(text,), attribution=Attribution(rows, 1, (text,)),
        census=CensusVerdict((Failure(text, text, None, (text,)),), 2),
    )  # fmt: skip
    side = replace(made.BASE, spec=text, commit=text, python=text, packages={text: text}, variables={text: "1"})
    gone = replace(made.missing(text + "2"), reasons=(text,))
    return made.a_gate(one, gone, base=side, notes=(text,), settings=(text,), unfinished=(text,))


def evil(row: Delta, text: str) -> Delta:
    return replace(row, name=text, module=text, phase=text)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile_text, st.integers(1, 140))
def test_any_text_in_any_width(text: str, width: int) -> None:
    lines = render_gate(hostile(text), 3, width, False).splitlines()
    assert all(char.isprintable() or clean(char) == char for line in lines for char in line)
    assert all(cell_len(line) <= max(width, 60) for line in lines)
    assert clean(text).strip()[:5] in "".join(lines)


def test_a_gate_that_timed_nothing_does_not_say_that_nothing_changed() -> None:
    passed = replace(made.census_only(), census=CensusVerdict(captures=2))
    result = made.a_gate(passed)
    assert (words.overall(result), result.exit_code()) == (None, 0)
    assert words.headline(result) == "the census passes, nothing was timed"
    text = flat(shown(result))
    assert "unchanged" not in text
    assert text.endswith("the census passes, nothing was timed, exit code 0: the gate passes")
    failed = made.a_gate(passed, made.census_only())
    assert (words.overall(failed), failed.exit_code()) == ("regressed", 1)
    assert words.headline(made.a_gate(replace(passed, census=None))) == "nothing was timed"
    assert words.headline(made.a_gate(passed, unfinished=("b",))) == "no verdict"
    assert words.overall(made.a_gate(passed, made.missing())) == "missing"


def test_the_file_of_the_settings_is_said() -> None:
    result = made.a_gate(made.unchanged(), settings_file="sub/pyproject.toml")
    assert "configured by sub/pyproject.toml" in shown(result)
    assert "configured by" not in shown(made.a_gate(made.unchanged()))
