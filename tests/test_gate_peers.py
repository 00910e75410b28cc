"""The gate beside its peers: what the peers say is read right, and really run, they say it.

Nothing here asserts how long anything takes, only that a sleep of twice the length is found longer.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import random
import sys
import time
from contextlib import contextmanager

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.reach import gate_decisions, gate_peers, peers
from benchmarks.reach.gate_decisions import load
from benchmarks.reach.peers import FASTER, SAME, SLOWER, Said, ToolFailed
from perfsuite.capture.calibration.step import PLANTED, build

SLEEP = """\
import time


def make():
    return lambda: time.sleep({seconds})
"""
BASE, HEAD = SLEEP.format(seconds=0.01), SLEEP.format(seconds=0.02)


# --- asv ---------------------------------------------------------------------------------------------


def asv_output(mark: str, ratio: str, *conclusion: str) -> str:
    return "\n".join([
        "[100.00%] ··· steps.Suite.time_step                                   37.9±100ms",
        "",
        "All benchmarks:",
        "",
        "| Change   | Before [d9899266] <main~1>   | After [f0a3032f] <main>   |   Ratio | Benchmark (Parameter)   |",
        "|----------|------------------------------|---------------------------|---------|-------------------------|",
        f"| {mark:8} | 37.9±100ms           | 386±40ms                  | {ratio:>7} | steps.Suite.time_step   |",
        "",
        *conclusion,
        "",
    ])  # fmt: skip


CHANGED = "SOME BENCHMARKS HAVE CHANGED SIGNIFICANTLY."
UNCHANGED = "BENCHMARKS NOT SIGNIFICANTLY CHANGED."


@pytest.mark.parametrize(
    ("code", "output", "said"),
    [
        (1, asv_output("+", "10.17", CHANGED, "PERFORMANCE DECREASED."), Said(SLOWER, 10.17)),
        (0, asv_output("-", "0.81", CHANGED, "PERFORMANCE INCREASED."), Said(FASTER, 0.81)),
        (0, asv_output("", "1.02", UNCHANGED), Said(SAME, 1.02)),
        (0, asv_output("", "~1.30", UNCHANGED), Said(SAME, 1.3)),
    ],
)
def test_what_asv_says(code, output, said):
    assert peers.asv_said(code, output) == said


@pytest.mark.parametrize(
    ("code", "output"),
    [
        (1, "· Failed to build the project and import the benchmark suite."),
        (2, asv_output("", "n/a", UNCHANGED)),
        (1, asv_output("!", "n/a", CHANGED, "PERFORMANCE DECREASED.")),
        (0, asv_output("+", "1.17", CHANGED, "PERFORMANCE DECREASED.")),
        (1, asv_output("", "1.01", UNCHANGED)),
        (0, asv_output("-", "1.17", UNCHANGED)),
        (0, UNCHANGED),
        (0, ""),
    ],
)
def test_an_asv_that_fails_or_contradicts_itself_is_no_conclusion(code, output):
    with pytest.raises(ToolFailed, match=f"ended with {code}"):
        peers.asv_said(code, output)


def test_asv_really_run_finds_a_longer_sleep(tmp_path):
    said = peers.asv(BASE, HEAD, tmp_path)
    assert said.verdict == SLOWER
    assert said.ratio > 1.05


def test_an_asv_whose_benchmark_fails_is_no_conclusion(tmp_path):
    with pytest.raises(ToolFailed, match="asv continuous ended with"):
        peers.asv(BASE, "def make():\n    raise ValueError('no step')\n", tmp_path)


# --- pytest-benchmark --------------------------------------------------------------------------------

COMPARING = "Comparing against benchmarks from: Linux-CPython-3.11-64bit/0001_unversioned.json\n"
REGRESSED = f"{COMPARING}Performance has regressed:\n\ttest_step (0001_unversi) - Field 'median' has failed\n"


def test_what_pytest_benchmark_says():
    assert peers.pytest_benchmark_said(0, COMPARING, [0.02, 0.01]) == Said(SAME, 0.5)
    assert peers.pytest_benchmark_said(1, REGRESSED, [0.02, 0.03]) == Said(SLOWER, 1.5)


@pytest.mark.parametrize(
    ("code", "output", "medians"),
    [
        (1, COMPARING, [0.02, 0.01]),
        (0, REGRESSED, [0.02, 0.03]),
        (0, COMPARING, [0.02]),
        (0, "1 passed", [0.02, 0.01]),
        (4, "ERROR: usage", []),
    ],
)
def test_a_pytest_benchmark_that_compares_nothing_is_no_conclusion(code, output, medians):
    with pytest.raises(ToolFailed, match=f"ended with {code}"):
        peers.pytest_benchmark_said(code, output, medians)


def test_pytest_benchmark_really_run_finds_a_longer_sleep(tmp_path):
    said = peers.pytest_benchmark(BASE, HEAD, tmp_path)
    assert said.verdict == SLOWER
    assert said.ratio > 1.05


def test_launched_it_does_under_the_quiet_settings(tmp_path, monkeypatch):
    for name in ("MALLOC_TOP_PAD_", "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)
    quiet = "import os\nassert 'MALLOC_TOP_PAD_' in os.environ or 'LD_PRELOAD' in os.environ\n"
    said = peers.pytest_benchmark(quiet + BASE, quiet + HEAD, tmp_path, gate_peers._LAUNCH)
    assert said.verdict == SLOWER
    (tmp_path / "plain").mkdir()
    with pytest.raises(ToolFailed, match="base ended with"):
        peers.pytest_benchmark(quiet + BASE, quiet + HEAD, tmp_path / "plain")


# --- both --------------------------------------------------------------------------------------------


def test_the_project_is_the_step_of_the_gate_with_the_same_plant(tmp_path, monkeypatch):
    (tmp_path / "project.py").write_text(peers.project(1000))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "project", raising=False)
    module = importlib.import_module("project")
    try:
        step = module.make()
    finally:
        del sys.modules["project"]
    import torch

    with torch.profiler.profile() as profile:
        step()
    assert [row.count for row in profile.key_averages() if row.key == PLANTED] == [1]
    model, *_ = build()
    assert [one.shape for one in step.model.parameters()] == [one.shape for one in model.parameters()]


def test_equal_versions_differ_in_a_comment_only():
    base, head = peers.project(), peers.project(comment="A comment.")
    assert head == f"{base}# A comment.\n"


def test_a_tool_that_hangs_is_ended_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "_SECONDS", 1.0)
    with pytest.raises(ToolFailed, match="still running"):
        peers._run(["sh", "-c", "setsid sleep 300 & echo $! > child; wait"], tmp_path)
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 10  # a kill is no more than asked for
    while time.monotonic() < until and _lives(child):
        time.sleep(0.01)
    assert not _lives(child)


def _lives(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


# --- the gate ----------------------------------------------------------------------------------------


def test_the_gate_really_run_finds_a_longer_sleep(tmp_path, monkeypatch):
    (tmp_path / "test_sleep.py").write_text(
        "import os, time\n\n\ndef test_sleep(profiled):\n"
        "    profiled(time.sleep, 0.02 if 'PERFSUITE_PLANT_ELEMENTS' in os.environ else 0.01)\n"
    )

    @contextmanager
    def folder():
        yield tmp_path

    monkeypatch.setattr(gate_decisions, "step_folder", folder)
    said = gate_peers.gate(1000)
    assert said.verdict == SLOWER
    assert said.ratio > 1.05


# --- rounds ------------------------------------------------------------------------------------------


def test_rounds_are_whole_after_an_interruption_and_in_an_order_drawn_anew(tmp_path):
    path, order = tmp_path / "data" / "peers.jsonl.gz", []

    def one(name, fails_at=math.inf):
        def compare(elements):
            if len(order) == fails_at:
                raise KeyboardInterrupt
            order.append((name, elements))
            return Said(SLOWER if elements else SAME, 1.0)

        return compare

    def run(rounds, fails_at=math.inf):
        tools = {name: one(name, fails_at) for name in ("gate", "asv")}
        gate_peers.gather(path, rounds, math.inf, tools, lambda: 77, random.Random(len(order)))

    with pytest.raises(KeyboardInterrupt):
        run(2, fails_at=6)
    run(12)
    rounds = [order[at : at + 4] for at in range(0, len(order), 4)]
    assert len(rounds) == 12
    assert all(sorted(of) == [("asv", 0), ("asv", 77), ("gate", 0), ("gate", 77)] for of in rounds)
    assert len({tuple(of) for of in rounds}) > 1
    lines = list(load(path))
    assert [(one["tool"], one["elements"] * one["planted"]) for one in lines] == order
    assert [one["alarm"] for one in lines] == [one["planted"] for one in lines]
    assert set(lines[0]["versions"]) == {"torch", "pytest-benchmark", "asv"}


def test_no_comparison_begins_after_the_deadline(tmp_path):
    path = tmp_path / "peers.jsonl.gz"
    gate_peers.gather(path, 2, time.monotonic() - 1, {"asv": lambda elements: pytest.fail("it began")})
    assert not path.exists()


# --- the table ---------------------------------------------------------------------------------------


def comparison(tool: str, planted: bool, said: str, **others: object) -> dict[str, object]:
    line = gate_peers.record(tool, planted, 1000, Said(said, 1.06 if planted else 1.0), 20.0)
    return {**line, "at": "2026-11-21T00:00:00Z", **others}


def test_the_table_has_a_row_for_each_tool():
    said = {"gate": (SAME, SLOWER), "asv": (FASTER, SAME), "pytest-benchmark": (SLOWER, SLOWER)}
    lines = [comparison(tool, bool(at), both[at]) for tool, both in said.items() for at in (0, 1) for _ in range(20)]
    lines += [comparison("gate", True, "undecided", seconds=90.0, at="2026-11-23T00:00:00Z") for _ in range(5)]
    rows = gate_peers.table(lines).splitlines()
    assert [row.count("|") for row in rows[:6]] == [6] * 6
    gate, plain, launched, asv = (tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows[2:6])
    assert gate[1:] == ("0 of 20: 0 % (0–17 %)", "0", "5 of 25: 20 % (7–41 %)", "20")
    assert plain[1:4] == ("20 of 20: 100 % (83–100 %)", "20", "0 of 20: 0 % (0–17 %)")
    assert launched[1:] == ("–", "–", "–", "–")
    assert asv[1:4] == ("20 of 20: 100 % (83–100 %)", "0", "20 of 20: 100 % (83–100 %)")
    text = "\n".join(rows[6:])
    assert "left 0 of the equal versions `inconclusive`" in text
    assert "and 5 of those with the slowdown" in text
    assert "125 comparisons, 2026-11-21 to 2026-11-23, on" in text
    assert "was to make a step 6 % longer, and by the gate's median made it 6.0 % longer." in text


def test_the_table_of_nothing_claims_nothing():
    rows = gate_peers.table([]).splitlines()
    assert [row.partition(" | ")[2] for row in rows[2:6]] == ["– | – | – | – |"] * 4
    assert rows[-1] == "No comparison yet."


@given(st.integers(1, 300).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_the_interval_of_a_rate_holds_the_rate(sample):
    hits, trials = sample
    share, bounds = gate_peers.rate(hits, trials).removeprefix(f"{hits} of {trials}: ").split(" % (")
    low, high = map(int, bounds.removesuffix(" %)").split("–"))
    assert 0 <= low <= int(share) <= high <= 100


def test_the_interval_of_a_rate_is_that_of_the_literature():
    # 0–16.8 % and 27.2–72.8 % in any table of exact limits.
    assert gate_peers.rate(0, 20) == "0 of 20: 0 % (0–17 %)"
    assert gate_peers.rate(10, 20) == "10 of 20: 50 % (27–73 %)"
    assert gate_peers.rate(0, 0) == "–"
