"""The scripts that hold the gate to its promises: what they keep, and what they conclude from it."""

from __future__ import annotations

import gzip
import json

import pytest

from benchmarks.reach import gate_decisions, gate_simulated, gate_startup
from benchmarks.reach.common import MISSED, REACHED, UNSETTLED, Finding
from benchmarks.reach.gate_counts import KINDS, count, page, summary
from benchmarks.reach.gate_decisions import append, load, record, trace_of
from benchmarks.reach.pages import origin
from perfsuite.capture.calibration.step import PLANTED
from tests.gate_results import a_gate, regressed
from tests.test_gate_simulate import a_pair


def decision(kind: str, **changes):
    right = KINDS[kind].right
    plain = {
        "kind": kind,
        "verdict": right,
        "ratio": 1.0,
        "gate_seconds": 50.0,
        "at": "2026-11-21T00:00:00Z",
        "cpu": "a CPU",
        "commit": "0123456789abcdef",
        "torch": "2.13.0",
        "culprit": PLANTED if right == "regressed" else None,
        "pairs": [{}] * 7,
    }
    return {**plain, **changes}


def enough() -> list[dict]:
    return [decision(name) for name, kind in KINDS.items() for _ in range(kind.decisions)]


def test_a_decision_is_kept_with_all_of_its_times(tmp_path):
    result = a_gate(regressed())
    path = tmp_path / "new" / "decisions.jsonl.gz"
    for _ in range(2):
        append(path, record("6at3", 123, result))
    kept = list(load(path))
    assert len(kept) == 2
    (one,) = result.benchmarks
    assert kept[0]["verdict"] == one.verdict
    assert kept[0]["elements"] == 123
    again = [trace_of(saved) for saved in kept[0]["pairs"]]
    assert [trace.order for trace in again] == [trace.order for trace in one.pairs]
    assert [trace.log_ratio for trace in again] == pytest.approx([trace.log_ratio for trace in one.pairs], abs=1e-4)


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_what_an_interruption_cut_short_costs_that_decision_alone(tmp_path, cut):
    path = tmp_path / "decisions.jsonl.gz"
    for number in range(3):
        append(path, {"kind": "aa", "number": number})
    path.write_bytes(path.read_bytes()[:-cut])
    assert [one["number"] for one in load(path)] == [0, 1]
    append(path, {"kind": "aa", "number": 3})
    assert [one["number"] for one in load(path)] == [0, 1, 3]


def test_no_file_is_no_decision(tmp_path):
    assert list(load(tmp_path / "none.jsonl.gz")) == []


def test_enough_right_decisions_reach_it():
    lines, outcome = summary(enough())
    assert outcome == REACHED
    assert any("at most 1.5 % with 95 % confidence" in line for line in lines)


def test_too_few_settle_nothing():
    assert summary(enough()[::2])[1] == UNSETTLED
    assert summary([])[1] == UNSETTLED


@pytest.mark.parametrize(
    ("kind", "wrong", "bad"),
    [
        ("aa", {"verdict": "regressed"}, 3),
        ("aa", {"verdict": "inconclusive"}, 11),
        ("aa", {"gate_seconds": 91.0}, 1),
        ("6at3", {"verdict": "unchanged"}, 4),
        ("6at3", {"culprit": "aten::add"}, 4),
        ("3at1", {"verdict": "inconclusive"}, 7),
    ],
)
def test_wrong_ones_miss_it(kind, wrong, bad):
    decisions = enough()
    places = [at for at, one in enumerate(decisions) if one["kind"] == kind]
    for at in places[: bad - 1]:
        decisions[at] = decision(kind, **wrong)
    assert summary(decisions)[1] == REACHED
    decisions[places[bad - 1]] = decision(kind, **wrong)
    assert summary(decisions)[1] == MISSED


def test_what_an_operator_s_name_counts_for():
    assert count(enough(), "6at3").named == 60
    assert count([decision("6at3", verdict="inconclusive"), decision("6at3", culprit="aten::add")], "6at3").named == 0
    assert count([], "6at3") is None


def test_the_page_has_a_row_for_each_kind_that_was_decided():
    rows = page([*enough()[:199], decision("aa", verdict="improved", gate_seconds=70.0, at="2026-11-23T00:00:00Z")])
    first, *others = rows.splitlines()[2:]
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells == ["equal sides at 3 %", "199 of 200 unchanged", "99.5 %, 97.7 %", "1, 2.3 %", "", "7", "50, 70"]
    assert others[0] == ""
    assert "200 decisions, 2026-11-21 to 2026-11-23, on a CPU, with torch 2.13.0, at 0123456789ab." in others[1]
    planted = page([decision("6at3"), decision("6at3", culprit="aten::add"), decision("6at3", verdict="unchanged")])
    assert "| +6 % at 3 % | 2 of 3 regressed | 66.7 %, 13.5 % |  | 1 of 2 | 7 | 50, 50 |" in planted


def test_drawn_decisions_are_one_row_for_each_case_and_machine():
    rows = gate_simulated.simulated([a_pair(n) for n in range(30)], decisions=300)
    assert len(rows) == 18
    assert {row["decisions"] for row in rows} == {300}
    assert all(row["right"] > 0.9 for row in rows if row["disturbance"] == "as recorded")
    assert gate_simulated.outcome(rows) == UNSETTLED
    assert gate_simulated.outcome([{**row, "decisions": 10_000} for row in rows]) == REACHED
    rows[1] = {**rows[1], "decisions": 10_000, "alarms": 101}
    assert gate_simulated.outcome(rows) == MISSED
    assert len(gate_simulated.table(rows).splitlines()) == 20
    text = gate_simulated.page(rows, [decision("aa"), decision("aa")])
    assert "drawn from 14 pairs, of 2 decisions on equal sides, 2026-11-21, on a CPU, with torch 2.13.0" in text


def test_without_pairs_it_says_where_they_come_from(tmp_path, monkeypatch, capsys):
    path = tmp_path / "none.jsonl.gz"
    monkeypatch.setattr("sys.argv", ["gate_simulated", "--file", str(path)])
    with pytest.raises(SystemExit) as caught:
        gate_simulated.main()
    assert "gate_decisions records some" in str(caught.value)


def test_the_page_of_the_parts_says_what_a_start_costs():
    figures = {"a plain start with torch": 2.0, "start and import": 1.9, "end": 0.654}
    several = Finding("", "x", [0.9, 0.94, 0.95, 0.96, 0.97, 1.0], high=2.0)
    text = gate_startup.page(figures, several, origin())
    assert text.splitlines()[2:4] == ["| start and import | 1.90 |", "| end | 0.65 |"]
    assert "imports torch starts in 2.00 s; both workers together in 0.95 (0.90–1.00) of that. 6 pairs, " in text
    assert origin()["commit"][:12] in text
    few = Finding("", "x", [0.9], high=2.0)
    assert "together" not in gate_startup.page(figures, few, origin())


def test_the_summary_alone_takes_no_decision(tmp_path, monkeypatch, capsys):
    path = tmp_path / "decisions.jsonl.gz"
    path.write_bytes(b"".join(gzip.compress((json.dumps(one) + "\n").encode(), mtime=0) for one in enough()))
    monkeypatch.setattr(gate_decisions, "gather", lambda *arguments: pytest.fail("a decision was taken"))
    monkeypatch.setattr(gate_decisions, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr("sys.argv", ["gate_decisions", "--summary", "--write", "--file", str(path)])
    assert gate_decisions.main() == REACHED
    assert (tmp_path / "page.md").read_text() == page(enough())
    assert "aa: 200 decisions: 200 unchanged" in capsys.readouterr().out
