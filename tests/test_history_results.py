"""asv's files as series: whatever is wrong with one of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.history.asv_files import DamagedError, HistoryError, failed, has_values, keep_values, parse, result_files
from perfsuite.history.results import load_series, read_benchmarks, unquoted
from tests.history_files import (
    REORDERS,
    STEP,
    TABLE,
    benchmark,
    commits,
    settings,
    values,
    write_result,
    write_table,
)

COMMITS = commits(4)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    found = tmp_path / "results"
    write_table(found)
    return found


def load(results: Path, **more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    series, notes = load_series(settings(results.parent), commits=COMMITS, **more)
    return {one.benchmark.label: one for one in series}, notes


def test_a_history_in_the_order_of_commits(results: Path) -> None:
    for place in (2, 0, 1):
        steps = [[10.0 + place, 11.0 + place, 12.0 + place], [5.0]]
        write_result(results, "mill", COMMITS[place].hash, {STEP: steps, REORDERS: [[3.0], math.nan]})
    series, notes = load(results)
    assert notes == ()
    assert list(series) == [f"{STEP}(lstm)", f"{STEP}(resnet18)", f"{REORDERS}(lstm)"]
    lstm = series[f"{STEP}(lstm)"]
    assert lstm.benchmark.unit == "ms"
    assert lstm.benchmark.parameters == {"workload": "lstm"}
    assert [(one.commit.position, one.value) for one in lstm.points] == [(0, 11.0), (1, 12.0), (2, 13.0)]
    assert lstm.points[0].samples == (10.0, 11.0, 12.0)
    assert lstm.points[0].machine == "mill"
    assert lstm.points[0].measured is not None
    assert lstm.points[0].measured.endswith("+00:00")


def test_machines_side_by_side_and_one_of_them(results: Path) -> None:
    for machine in ("mill", "barn"):
        write_result(results, machine, COMMITS[1].hash, {STEP: [[1.0], [2.0]]})
    series, _ = load(results)
    assert [one.machine for one in series[f"{STEP}(lstm)"].points] == ["barn", "mill"]
    series, _ = load(results, machines=["mill"])
    assert [one.machine for one in series[f"{STEP}(lstm)"].points] == ["mill"]


def test_nothing_there(tmp_path: Path) -> None:
    assert load_series(settings(tmp_path), commits=COMMITS) == ((), (f"no results in {tmp_path / 'results'} yet",))


def test_a_file_that_is_cut_off_costs_that_file_alone(results: Path) -> None:
    path = write_result(results, "mill", COMMITS[0].hash, {STEP: [[1.0], [2.0]]})
    write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]]})
    whole = path.read_bytes()
    for size in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        series, (note,) = load(results)
        assert [one.commit.position for one in series[f"{STEP}(lstm)"].points] == [1]
        assert str(path) in note
        assert "\n" not in note


@pytest.mark.parametrize(
    "text",
    [
        "[]", "3", '"x"', "{}", '{"version": 2}', '{"version": "x"}', '{"version": 2, "results": []}',
        '{"version": 2, "results": 3, "params": 3, "requirements": {}, "commit_hash": null, "date": 0, "python": "", '
        '"env_name": "", "result_columns": []}',
        '{"version": 3}', "\xff", '{"version": 2, "results": {}, "params": {"machine": "mill"}, "requirements": {}, '
        '"commit_hash": null, "date": 0, "python": "", "env_name": "", "result_columns": []}',
    ],
)  # fmt: skip
def test_a_file_that_is_something_else(results: Path, text: str) -> None:
    write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]]})
    (results / "mill" / "odd.json").write_bytes(text.encode("latin-1"))
    series, (note,) = load(results)
    assert len(series[f"{STEP}(lstm)"].points) == 1
    assert "odd.json" in note


def test_a_file_of_another_machine_is_left_out(results: Path) -> None:
    path = write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]]}, claimed="barn")
    series, (note,) = load(results)
    assert series == {}
    assert str(path) in note
    assert "machine name is not 'mill'" in note


@pytest.mark.parametrize("text", ["", "[]", '{"machine": 3}', None])
def test_without_a_readable_machine_file_the_folder_names_it(results: Path, text: str | None) -> None:
    write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]]})
    path = results / "mill" / "machine.json"
    path.unlink() if text is None else path.write_text(text)
    series, (note,) = load(results)
    assert series[f"{STEP}(lstm)"].points[0].machine == "mill"
    assert note.endswith(": mill")


def test_commits_that_are_not_on_the_branch_are_told(results: Path) -> None:
    write_result(results, "mill", "f" * 40, {STEP: [[1.0], [2.0]]})
    write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]]})
    series, notes = load(results)
    assert len(series[f"{STEP}(lstm)"].points) == 1
    assert notes == ("results of commits that are not on main are left out: ffffffff",)


def test_what_a_benchmark_was_before_is_left_out_as_asv_does(results: Path) -> None:
    old = {STEP: benchmark(STEP, version="0"), REORDERS: benchmark(REORDERS)}
    write_result(results, "mill", COMMITS[0].hash, {STEP: [[1.0], [2.0]], REORDERS: [[1.0], [2.0]]}, table=old)
    write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]], "old.track_x": [[1.0]]})
    series, notes = load(results)
    assert [one.commit.position for one in series[f"{STEP}(lstm)"].points] == [1]
    assert [one.commit.position for one in series[f"{REORDERS}(lstm)"].points] == [0]
    assert f"{STEP} is not what it was, older results are left out: v2.0.0" in notes
    assert "results of what is no benchmark any more are left out: old.track_x" in notes


def test_of_two_environments_the_last_one_counts(results: Path) -> None:
    write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]]}, env="b")
    path = write_result(results, "mill", COMMITS[1].hash, {STEP: [[3.0], [4.0]]}, env="a")
    found = json.loads(path.read_text())
    at = found["result_columns"].index("started_at")
    found["results"][STEP][at] += 5000
    path.write_text(json.dumps(found))
    series, (note,) = load(results)
    assert [one.value for one in series[f"{STEP}(lstm)"].points] == [3.0]
    assert "v2.1.0" in note


def test_a_time_that_there_is_not_costs_that_file_alone(results: Path) -> None:
    write_result(results, "mill", COMMITS[0].hash, {STEP: [[1.0], [2.0]]})
    path = write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]]})
    found = json.loads(path.read_text())
    at = found["result_columns"].index("started_at")
    for time in (1e15, 1e20, 1e25):
        found["results"][STEP][at] = time
        path.write_text(json.dumps(found))
        series, (note,) = load(results)
        assert [one.commit.position for one in series[f"{STEP}(lstm)"].points] == [0]
        assert str(path) in note


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"version": 1}', '{"version": 2, "x": {}}'])
def test_results_without_a_table_are_an_error(results: Path, text: str | None) -> None:
    write_result(results, "mill", COMMITS[1].hash, {STEP: [[1.0], [2.0]]})
    path = results / "benchmarks.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(HistoryError, match=r"benchmarks\.json.*writes it anew") as error:
        load(results)
    assert "\n" not in str(error.value)


def test_the_table_as_asv_writes_it(results: Path) -> None:
    assert read_benchmarks(results) == TABLE


@given(st.text())
def test_reprs_of_texts_are_unquoted(text: str) -> None:
    assert unquoted(repr(text)) == text


@pytest.mark.parametrize("text", ["3", "None", "<object at 0x7f>", "['a']", "'", "__import__('os')", "(" * 500])
def test_other_reprs_stay(text: str) -> None:
    assert unquoted(text) == text


# --- files ------------------------------------------------------------------------------------------


def test_what_failed_in_a_later_round_keeps_what_it_had(results: Path) -> None:
    path = write_result(results, "mill", COMMITS[0].hash, {STEP: [[1.0, 2.0, 3.0], [5.0]], REORDERS: [[7.0], [8.0]]})
    before = path.read_bytes()
    write_result(results, "mill", COMMITS[0].hash, {STEP: [None, [6.0]], REORDERS: [math.nan, None]}, append=True)
    after = path.read_bytes()
    assert values(path)[STEP] == [None, [5.0, 6.0]]
    kept = keep_values(parse(before), parse(after))
    assert kept is not None
    path.write_bytes(kept[0])
    assert kept[1] == (STEP, REORDERS)
    assert values(path) == {STEP: [[1.0, 2.0, 3.0], [5.0, 6.0]], REORDERS: [[7.0], [8.0]]}
    series, notes = load(results)
    assert notes == ()
    assert series[f"{STEP}(lstm)"].points[0].value == 2.0
    # And once more changes nothing.
    assert keep_values(parse(before), parse(path.read_bytes())) is None


def test_another_version_keeps_nothing(results: Path) -> None:
    path = write_result(results, "mill", COMMITS[0].hash, {STEP: [[1.0], [5.0]]})
    before = path.read_bytes()
    table = {STEP: benchmark(STEP, version="2")}
    write_result(results, "mill", COMMITS[0].hash, {STEP: [None, [6.0]]}, table=table)
    assert keep_values(parse(before), parse(path.read_bytes())) is None


def test_whether_anything_was_measured(results: Path) -> None:
    path = write_result(results, "mill", COMMITS[0].hash, {STEP: [None, None], REORDERS: [math.nan, math.nan]})
    found = parse(path.read_bytes())
    assert not has_values(found)
    assert failed(found) == (STEP,)
    found = parse(write_result(results, "mill", COMMITS[1].hash, {STEP: [None, [1.0]]}).read_bytes())
    assert has_values(found)
    assert failed(found) == (STEP,)
    assert [one.name[:8] for one in result_files(results / "mill")] == [COMMITS[0].hash[:8], COMMITS[1].hash[:8]]


@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ).map(lambda one: json.dumps(one).encode())
)
def test_anything_else_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedError):
        parse(data)
