"""A value from a fresh process, for a bisection: real torch, in the environment that runs the tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from perfsuite.history import measuring
from perfsuite.history.asv_files import HistoryError
from perfsuite.history.model import Commit, Stack
from perfsuite.history.settings import HistorySettings, parse_settings
from perfsuite.store import list_runs

ROOT = Path(__file__).parent.parent
COMMIT = Commit("a" * 40, 3, "2025-01-01T00:00:00Z", ("v2.8.0",))
STACK = Stack(("torch",), ("torch",), "release")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> HistorySettings:
    document: dict[str, Any] = {
        "repo": ".",
        "env_dir": "env",
        "results_dir": "results",
        "benchmark_dir": str(ROOT / "benchmarks" / "history"),
        "perfsuite": {"imports": ["torch"], "runs_dir": "runs"},
    }
    return parse_settings(document, tmp_path_factory.mktemp("history"))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "install", lambda stack, settings: Path(sys.executable))


def test_a_value_and_the_run_it_is_from(settings: HistorySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    value = measuring.measuring(settings, {COMMIT.hash: STACK}, measuring.target_of("track_focal_loss"))(COMMIT)
    assert 0 < value < 10_000
    (run,) = list_runs(settings.runs_dir / COMMIT.hash)
    assert run.status == "complete"
    # What such a run does not have is no value of 0.
    monkeypatch.setattr(measuring, "_recorded", lambda *_: run.path)
    target = measuring.target_of("phase(sigmoid_focal_loss, forward)")
    with pytest.raises(HistoryError, match=f"the run {run.id} has no phase forward of sigmoid_focal_loss"):
        measuring.measuring(settings, {COMMIT.hash: STACK}, target)(COMMIT)


def test_what_cannot_be_measured_is_one_line(settings: HistorySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = measuring.measuring(settings, {COMMIT.hash: STACK}, measuring.target_of("nothing"))
    with pytest.raises(HistoryError, match=r"nothing: .*invalid choice") as error:
        measure(COMMIT)
    assert str(error.value).startswith("v2.8.0: ")
    assert "\n" not in str(error.value)
    monkeypatch.setattr(measuring, "install", lambda stack, settings: Path("/nowhere/python"))
    with pytest.raises(HistoryError, match=r"v2\.8\.0: /nowhere/python cannot be run: No such file"):
        measuring.measuring(settings, {COMMIT.hash: STACK}, measuring.target_of("lstm"))(COMMIT)


def test_the_extension_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERFSUITE_HISTORY_BACKEND", raising=False)
    release = Stack(("torch==2.8.0", "intel-extension-for-pytorch==2.8.0"), ("torch",), "release")
    wheel = Stack(("torch==2.8.0", "/wheels/x.whl"), ("intel_extension_for_pytorch",), "wheelhouse")
    assert [measuring._backend(one) for one in (release, wheel, STACK)] == ["ipex", "ipex", "eager"]
    monkeypatch.setenv("PERFSUITE_HISTORY_BACKEND", "eager")
    assert measuring._backend(release) == "eager"
