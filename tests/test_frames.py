"""Tables with the real pandas, of records that close; what is missing is NA in a column that keeps its type."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perfsuite
from perfsuite.analyse import tables
from perfsuite.analyse.diff import diff_profiles, diff_runs
from perfsuite.errors import PerfsuiteWarning, StoreError, UsageError
from perfsuite.present.frame_tables import DIFF_TABLES, PROFILE_TABLES
from perfsuite.present.frames import to_dataframe
from perfsuite.records import AllocationCurve, Operator, Primitive, Profile, PythonTime, Run, Samples
from perfsuite.store import create_run
from tests.diff_profiles import closing_profiles, op, primitive, profile
from tests.samples import a_profile, an_environment


def a_run(*profiles: Profile, **changes: Any) -> Run:
    values = {"id": "a-run", "created": "2026-11-21T10:39:53+00:00", "status": "complete", **changes}
    return Run(environment=an_environment(), workloads=profiles, **values)


def silent(source: Any, what: str) -> pandas.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PerfsuiteWarning)
        return to_dataframe(source, what)


def plain(values: Iterable[Any]) -> list[Any]:
    return [None if value is pandas.NA else value for value in values]


# --- the values -------------------------------------------------------------------------------------


def test_operators_have_the_fields_of_the_record_and_what_the_tables_derive() -> None:
    made = a_profile()
    frame = to_dataframe(made)
    names = [field.name for field in fields(Operator)]
    assert list(frame.columns) == ["operator", *names, "share", "primitives_ns", "implementations"]
    assert list(frame["operator"]) == [2, 1, 0]
    assert list(frame["self_ns"]) == [4e4, 3e4, 5e3]
    assert list(frame["share"]) == [0.4, 0.3, 0.05]
    assert list(frame["primitives_ns"]) == [28e3, 22e3, 0.0]
    assert frame.loc[0, "implementations"] == ("jit:avx512_core", "brg_conv_bwd_w:avx512_core")
    assert frame.loc[0, "shapes"] == ((4, 8),)
    assert list(frame["flops"].isna()) == [False, False, True]


def test_primitives_name_their_operator_so_that_both_join() -> None:
    made = a_profile()
    joined = to_dataframe(made, "primitives").merge(to_dataframe(made), on="operator", suffixes=("_primitive", ""))
    assert set(joined["name"]) == {"aten::mkldnn_convolution", "aten::convolution_backward"}
    assert joined["time_ns"].sum() == 50_000.0


@settings(max_examples=40, deadline=None)
@given(closing_profiles())
def test_every_row_is_a_record_and_every_none_is_na(made: Profile) -> None:
    for what, kind, records in (
        ("operators", Operator, made.operators),
        ("primitives", Primitive, made.primitives),
        ("python", PythonTime, made.python),
    ):
        frame = silent(made, what)
        ordered = [records[i] for i in frame["operator"]] if what == "operators" else records
        for field in fields(kind):
            assert plain(frame[field.name]) == [getattr(record, field.name) for record in ordered]
    frame = silent(made, "operators")
    assert sorted(frame["operator"]) == list(range(len(made.operators)))
    assert plain(frame["share"]) == [row.share for row in tables.top_operators(made)]


@settings(max_examples=25, deadline=None)
@given(closing_profiles(), closing_profiles())
def test_the_rows_of_a_comparison_close(base: Profile, head: Profile) -> None:
    diff = diff_profiles(base, head)
    frame = silent(diff, "operators")
    assert diff.ledger is not None
    assert frame["delta_ns"].sum() == pytest.approx(diff.ledger.head_ns - diff.ledger.base_ns, abs=1e-3)
    assert frame["culprit"].sum() == diff.culprits
    assert list(frame["cause_kind"]) == [row.cause.kind for row in diff.operators]
    census = silent(diff, "census")
    assert len(census) == diff.census.judged + len(diff.census.unstable)
    assert list(census["where_name"].fillna("")) == [
        entry.where.name or "" for entry in [*(entry for _, entry in diff.census.entries), *diff.census.unstable]
    ]


def test_samples_are_times_of_a_step_and_not_of_a_round() -> None:
    frame = to_dataframe(replace(a_profile(), samples=Samples((300.0, 500.0), 2)), "samples")
    assert frame.to_dict("list") == {"round": [0, 1], "step_ns": [150.0, 250.0], "iterations": [2, 2]}


def test_phases_have_their_samples_in_a_table_of_their_own() -> None:
    frame = to_dataframe(a_profile(), "phase_samples")
    assert list(frame["phase"]) == ["forward", "forward", "backward", "optimizer"]
    assert list(frame["step"]) == [0, 1, 0, 0]
    assert list(to_dataframe(a_profile(), "phases")["wall_ns"][:3]) == [41_000, 50_000, 8_000]


def test_the_curve_of_the_allocator_is_a_table() -> None:
    frame = to_dataframe(replace(a_profile(), allocation_curve=AllocationCurve(9, (0, 4), (64, -8))), "allocations")
    assert frame.to_dict("list") == {"time_ns": [0, 4], "live_bytes": [64, -8]}


def test_a_step_is_one_row_with_what_is_known_of_it() -> None:
    frame = to_dataframe(a_run(a_profile("a"), Profile("bare")), "steps")
    assert list(frame["workload"]) == ["a", "bare"]
    assert frame.loc[0, "median_ns"] == 100_000.0
    assert frame.loc[0, "ledger_wall_ns"] == 100_000.0
    assert frame.loc[0, "memory_peak_rss_bytes"] == 25 * 2**20
    assert frame.loc[1].drop(["workload", "contended"]).isna().all()


# --- types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", PROFILE_TABLES)
def test_columns_keep_their_types_whether_there_are_rows_or_not(what: str) -> None:
    full, empty = silent(a_profile(), what), silent(Profile("bare"), what)
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()
    assert "float64" not in set(map(str, full.dtypes))
    assert list(silent(a_run(a_profile(), Profile("bare")), what).columns) == ["workload", *full.columns]


@pytest.mark.parametrize("what", DIFF_TABLES)
def test_comparisons_keep_their_types_whether_there_are_rows_or_not(what: str) -> None:
    one = profile([op("aten::a")], [(0, primitive("x"))])
    other = profile([op("aten::b"), op("aten::a")], [(1, primitive("y"))])
    full, empty = silent(diff_profiles(one, other), what), silent(diff_profiles(Profile("n"), Profile("n")), what)
    assert len(full) > 0
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()


def test_units_are_in_the_names_and_numbers_can_be_missing() -> None:
    dtypes = to_dataframe(a_profile()).dtypes
    assert str(dtypes["self_ns"]) == "Float64"
    assert str(dtypes["operator"]) == "Int64"
    assert str(dtypes["name"]) == "string"


def test_a_number_that_fits_no_column_of_numbers_is_kept_as_it_is() -> None:
    made = replace(a_profile(), allocation_curve=AllocationCurve(9, (0, 1), (2**70, 1)))
    assert list(to_dataframe(made, "allocations")["live_bytes"]) == [2**70, 1]


# --- where it comes from ----------------------------------------------------------------------------


def test_attributes_say_where_it_comes_from_and_survive_pandas() -> None:
    run = a_run(a_profile("a"), problems=("x: damaged",))
    frame = to_dataframe(run)
    assert frame.attrs["run"] == "a-run"
    assert frame.attrs["environment"]["cpu_model"] == "A CPU"
    assert frame.attrs["problems"] == ["x: damaged"]
    assert frame.attrs["workloads"][0]["notes"] == ["The first note."]
    assert frame[frame["self_ns"] > 1e4].attrs == frame.attrs
    assert pandas.concat([frame, frame]).attrs == frame.attrs
    assert to_dataframe(run.workloads[0]).attrs["workload"] == "a"


def test_a_comparison_says_whose_it_is_and_why_it_may_not_be_one() -> None:
    one, other = a_run(a_profile("a")), replace(a_run(a_profile("a")), environment=an_environment(cpu_model="B"))
    diff = diff_runs(one, other)
    frame = to_dataframe(diff)
    assert frame.columns[0] == "workload"
    assert set(frame["workload"]) == {"a"}
    assert (frame.attrs["base"], frame.attrs["head"]) == ("a-run", "a-run")
    assert frame.attrs["not_comparable"] == list(diff.reasons) != []
    assert to_dataframe(diff.workloads[0]).attrs["workload"] == "a"


@pytest.mark.parametrize("what", [name for name in PROFILE_TABLES if name != "steps"])
def test_what_was_not_recorded_is_said(what: str) -> None:
    with pytest.warns(PerfsuiteWarning, match=f"{what} of bare were not recorded"):
        assert len(to_dataframe(Profile("bare"), what)) == 0


def test_a_pass_that_ran_and_found_nothing_is_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(to_dataframe(Profile("bare", passes=("operators", "primitives")), "primitives")) == 0


# --- errors -----------------------------------------------------------------------------------------


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"needs pandas .*: pip install 'perfsuite\[notebook\]'") as caught:
        to_dataframe(a_profile())
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_other_table_is_refused_with_those_there_are(what: str) -> None:
    if what not in PROFILE_TABLES:
        with pytest.raises(UsageError, match="expected one of operators, primitives"):
            to_dataframe(a_profile(), what)
    if what not in DIFF_TABLES:
        with pytest.raises(UsageError, match="of a WorkloadDiff: expected one of operators, census"):
            to_dataframe(diff_profiles(a_profile(), a_profile()), what)


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a Profile, Run, WorkloadDiff or RunDiff, found str"):
        to_dataframe("latest")  # type: ignore[arg-type]


# --- the package's own names ------------------------------------------------------------------------


def test_load_run_finds_runs_as_the_command_line_does(tmp_path: Path) -> None:
    for name in ("one", "two"):
        writer = create_run(tmp_path, an_environment(), run_id=f"20261121T00000{len(name)}Z-{name}")
        writer.write(a_profile(name))
        writer.finish()
    assert perfsuite.load_run("latest", tmp_path).workloads[0].name == "two"
    assert perfsuite.load_run("latest~1", str(tmp_path)).workloads[0].name == "one"
    assert perfsuite.load_run(writer.path).workloads[0].name == "two"
    with pytest.raises(StoreError, match="no run 'three'"):
        perfsuite.load_run("three", tmp_path)


def test_load_run_warns_of_what_it_cannot_read(tmp_path: Path) -> None:
    writer = create_run(tmp_path, an_environment())
    writer.write(a_profile()).write_bytes(b"")
    writer.finish()
    with pytest.warns(PerfsuiteWarning, match="damaged"):
        assert perfsuite.load_run("latest", tmp_path).workloads == ()


def test_the_package_has_what_it_names() -> None:
    assert set(perfsuite.__all__) <= set(dir(perfsuite))
    for name in perfsuite.__all__:
        assert getattr(perfsuite, name) is not None
    assert perfsuite.diff_runs is diff_runs
    assert perfsuite.to_dataframe is to_dataframe
    with pytest.raises(AttributeError, match="no attribute 'load_runs'"):
        perfsuite.load_runs  # noqa: B018


def test_tables_of_a_saved_run_need_no_torch(tmp_path: Path) -> None:
    writer = create_run(tmp_path, an_environment())
    writer.write(a_profile())
    writer.finish()
    code = (
        "import sys, perfsuite; assert 'pandas' not in sys.modules;"
        f"run = perfsuite.load_run({str(writer.path)!r}); assert 'pandas' not in sys.modules;"
        "frame = perfsuite.to_dataframe(perfsuite.diff_runs(run, run));"
        "print(len(frame), 'pandas' in sys.modules, [name for name in ('torch', 'matplotlib') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.split(maxsplit=1)[1].strip() == "True []"
