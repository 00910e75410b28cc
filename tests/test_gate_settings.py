from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.errors import UsageError
from perfsuite.gate import settings
from perfsuite.gate.model import Policy
from perfsuite.gate.rules import CensusRules
from perfsuite.gate.settings import GateSettings, find_settings, policy_for, read_settings

EVERYTHING = """
[tool.perfsuite.gate]
threshold = 5
confidence = 99.5
budget = 30
max_pairs = 8
inconclusive = "pass"
ignore = ["*.txt", "!keep.txt"]
benchmarks = ["tests/bench", "tests/test_x.py::test_y"]
allocator = "glibc"
threads = 2
timeout = 60.5
[tool.perfsuite.gate.groups]
conv = 8
[tool.perfsuite.gate.thresholds]
"tests/test_x.py::*" = 1
"tests/*" = 2
"test[a]" = 7
[tool.perfsuite.gate.census]
implementation = "any"
"""


def settings_of(folder: Path, text: str) -> GateSettings:
    (folder / "pyproject.toml").write_text(text)
    return read_settings(folder)


def test_every_key_is_read_and_per_cent_become_fractions(tmp_path: Path) -> None:
    assert settings_of(tmp_path, EVERYTHING) == GateSettings(
        threshold=0.05,
        confidence=0.995,
        budget=30.0,
        max_pairs=8,
        inconclusive="pass",
        ignore=("*.txt", "!keep.txt"),
        benchmarks=("tests/bench", "tests/test_x.py::test_y"),
        allocator="glibc",
        threads=2,
        timeout=60.5,
        groups={"conv": 0.08},
        thresholds={"tests/test_x.py::*": 0.01, "tests/*": 0.02, "test[a]": 0.07},
        census=CensusRules(implementation="any"),
    )


def test_every_field_has_a_key(tmp_path: Path) -> None:
    read, default = settings_of(tmp_path, EVERYTHING), GateSettings()
    for field in dataclasses.fields(GateSettings):
        assert getattr(read, field.name) != getattr(default, field.name), field.name


@pytest.mark.parametrize("text", [None, "", "[tool.other]\nx = 1\n", "[tool.perfsuite]\n", "[tool.perfsuite.gate]\n"])
def test_where_nothing_is_said_the_defaults_hold(tmp_path: Path, text: str | None) -> None:
    found = read_settings(tmp_path) if text is None else settings_of(tmp_path, text)
    assert found == GateSettings()
    assert (found.threshold, found.confidence, found.budget, found.max_pairs) == (0.03, 0.95, None, 20)
    assert found.ignore == ("*.md", "*.rst", "docs/**")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("threshold = 0", "threshold: expected per cent, above 0 and below 1000, found 0"),
        ("threshold = '3 %'", "threshold: expected per cent, above 0 and below 1000, found '3 %'"),
        ("threshold = true", "threshold: expected per cent, above 0 and below 1000, found True"),
        ("threshold = nan", "threshold: expected per cent, above 0 and below 1000, found nan"),
        ("confidence = 100", "confidence: expected per cent, from 50 to below 100, found 100"),
        ("confidence = 0.95", "confidence: expected per cent, from 50 to below 100, found 0.95"),
        ("budget = inf", "budget: expected a number of seconds above 0, found inf"),
        ("timeout = -1", "timeout: expected a number of seconds above 0, found -1"),
        ("max_pairs = 3", "max_pairs: expected a whole number from 4 on, found 3"),
        ("max_pairs = 8.0", "max_pairs: expected a whole number from 4 on, found 8.0"),
        ("threads = 0", "threads: expected a whole number from 1 on, found 0"),
        ("inconclusive = 'maybe'", "inconclusive: expected one of 'fail', 'pass', found 'maybe'"),
        ("inconclusive = false", "inconclusive: expected one of 'fail', 'pass', found False"),
        ("allocator = 'mimalloc'", "allocator: expected one of 'auto', 'glibc', 'tcmalloc', 'jemalloc', found"),
        ("ignore = '*.md'", "ignore: expected a list of strings, found '*.md'"),
        ("ignore = ['!']", "ignore: expected patterns as in .gitignore, found '!'"),
        ("benchmarks = [1]", "benchmarks: expected a list of strings, found [1]"),
        ("benchmarks = ['']", "benchmarks: expected a list of strings, found ['']"),
        ("groups = 5", "groups: expected a table, found 5"),
        ("census = 5", "census: expected a table, found 5"),
        ("treshold = 5", "unknown key 'treshold'; did you mean 'threshold'?"),
        ("x = 5", "unknown key 'x'; it has threshold, confidence, budget, max_pairs"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings_of(tmp_path, f"[tool.perfsuite.gate]\n{line}\n")
    found = str(caught.value).replace("[tool.perfsuite.gate]: ", "[tool.perfsuite.gate] ")
    assert found.startswith(f"pyproject.toml: [tool.perfsuite.gate] {message}")
    assert "\n" not in found


@pytest.mark.parametrize(("said", "rules"), [("false", None), ("true", CensusRules())])
def test_the_census_can_be_left_out(tmp_path: Path, said: str, rules: CensusRules | None) -> None:
    assert settings_of(tmp_path, f"[tool.perfsuite.gate]\ncensus = {said}\n") == GateSettings(census=rules)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.perfsuite.gate.groups]\nconv = 'x'", r"\[tool.perfsuite.gate.groups\] 'conv': expected per cent"),
        ("[tool.perfsuite.gate.thresholds]\n'a*' = 0", r"\[tool.perfsuite.gate.thresholds\] 'a\*': expected per cent"),
        ("[tool.perfsuite.gate.census]\nx = 1", r"\[tool.perfsuite.gate.census\]: unknown key 'x'"),
        ("[tool.perfsuite.gates]\nx = 1", r"\[tool.perfsuite\]: unknown key 'gates'; did you mean 'gate'\?"),
        ("[tool]\nperfsuite = 1", r"\[tool.perfsuite\]: expected a table, found 1"),
        ("tool = 1", r"\[tool\]: expected a table, found 1"),
        ("[tool.perfsuite]\ngate = 1", r"\[tool.perfsuite.gate\]: expected a table, found 1"),
        ("[tool.perfsuite.gate]\nthreshold = ,", r"line 2"),
        ("a = 1\na = 2\n", r"Cannot overwrite a value"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^pyproject.toml: .*{message}"):
        settings_of(tmp_path, text)


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"x = '\xff'")
    with pytest.raises(UsageError, match=r"^pyproject.toml: .*utf-8"):
        read_settings(tmp_path)
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(UsageError, match=r"^pyproject.toml: cannot be read: Is a directory"):
        read_settings(tmp_path)


@pytest.mark.parametrize("check", [settings._threshold, settings._strings, settings._thresholds, settings._seconds])
@given(value=st.none() | st.booleans() | st.text())
def test_no_value_of_another_type_gets_through(check: Callable[[object, str], object], value: object) -> None:
    with pytest.raises(UsageError, match=r"^here: expected"):
        check(value, "here")


# --- which threshold a benchmark has ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "group", "marker", "threshold"),
    [
        ("tests/test_x.py::test_y", "conv", 20.0, 0.20),
        ("tests/test_x.py::test_y", "conv", None, 0.08),
        ("tests/test_x.py::test_y", "other", None, 0.01),
        ("tests/test_z.py::test_y", None, None, 0.02),
        ("test[a]", None, None, 0.07),  # a name that as a pattern would mean testa
        ("testa", None, None, 0.07),
        ("elsewhere", None, None, 0.05),
    ],
)
def test_the_closest_threshold_wins(
    tmp_path: Path, name: str, group: str | None, marker: float | None, threshold: float
) -> None:
    policy = policy_for(settings_of(tmp_path, EVERYTHING), name, group, marker)
    assert policy == Policy(threshold=threshold, confidence=0.995, max_pairs=8, seconds=30.0)


def test_by_default_the_policy_is_the_default_one() -> None:
    assert policy_for(GateSettings(), "test", None, None) == Policy()


def test_a_budget_that_is_the_default_was_said_all_the_same(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "[tool.perfsuite.gate]\nbudget = 90\n").budget == Policy().seconds
    assert settings_of(tmp_path, "[tool.perfsuite.gate]\n").budget is None


def test_a_marker_that_is_none_names_its_test() -> None:
    with pytest.raises(UsageError, match=r"^test_y: @pytest.mark.profiled: threshold: expected per cent.*found -1"):
        policy_for(GateSettings(), "test_y", None, -1)


TABLE = "[tool.perfsuite.gate]\nthreshold = {}\n"


def test_the_nearest_file_with_the_table_counts(tmp_path: Path) -> None:
    root, inner, here = tmp_path / "repo", tmp_path / "repo" / "package", tmp_path / "repo" / "package" / "tests"
    here.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(TABLE.format(1))  # above the repository
    assert find_settings(here, root) is None
    (root / "pyproject.toml").write_text(TABLE.format(2))
    (here / "pyproject.toml").write_text("[tool.black]\nline-length = 90\n")  # of another tool only
    assert find_settings(here, root) == root / "pyproject.toml"
    (inner / "pyproject.toml").write_text("[tool.perfsuite.gate]\n")  # empty, and there
    assert find_settings(here, root) == inner / "pyproject.toml"
    assert find_settings(root, root) == root / "pyproject.toml"


def test_outside_of_the_root_only_the_folder_itself_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "other" / "deep").mkdir(parents=True)
    (tmp_path / "other" / "pyproject.toml").write_text(TABLE.format(1))
    assert find_settings(tmp_path / "other" / "deep", tmp_path / "root") is None
    assert find_settings(tmp_path / "other", tmp_path / "root") == tmp_path / "other" / "pyproject.toml"


def test_a_broken_file_on_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "pyproject.toml").write_text("[tool")
    with pytest.raises(UsageError, match=r"pyproject\.toml: "):
        find_settings(tmp_path / "deep", tmp_path)
