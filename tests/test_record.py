from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfsuite.capture.passes import Settings
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.record import Subject, Timed, profile_timed, record
from perfsuite.capture.step import Step
from perfsuite.capture.timing import WarmUp
from perfsuite.errors import UsageError
from perfsuite.passes import PASSES
from perfsuite.records import Samples

torch = pytest.importorskip("torch")


def a_step(recorder: PhaseRecorder) -> tuple[Step, torch.nn.Module]:
    model = torch.nn.Linear(8, 4)
    inputs = torch.randn(16, 8)

    def step() -> torch.Tensor:
        with recorder.phase("forward"):
            loss = model(inputs).square().mean()
        with recorder.phase("backward"):
            loss.backward()
        return loss.detach()

    return Step(step), model


def a_subject(name: str = "linear", **changes: object) -> Subject:
    recorder = PhaseRecorder()
    step, model = a_step(recorder)
    return Subject(name, step, recorder, model, **changes)  # type: ignore[arg-type]


def test_a_recording_without_pytest_has_all_that_one_with_it_has():
    stages: list[str] = []
    recorded = record(a_subject(scale="smoke"), Settings(steps=2), seconds=0.02, progress=stages.append)
    profile = recorded.profile
    assert (profile.name, profile.scale, profile.dtype, profile.backend) == ("linear", "smoke", "float32", "eager")
    assert profile.samples is not None
    assert len(profile.samples.rounds_ns) >= 6
    assert [phase.name for phase in profile.phases] == ["forward", "backward"]
    assert {row.name for row in profile.operators} >= {"aten::addmm", "aten::mean"}
    assert profile.ledger is not None
    assert profile.memory is not None
    assert profile.passes == PASSES
    assert profile.steps == 2
    assert set(profile.overhead) >= {"operators", "primitives"}
    assert recorded.timeline is not None
    assert stages[:2] == ["warm-up", "timing"]
    assert "primitives" in stages
    assert not profile.contended


def test_what_is_suspect_is_told_apart_from_what_is_only_to_be_known():
    timed = Timed(
        samples=Samples((1e6,) * 6),
        result=float("nan"),
        warmed=WarmUp((3_000_000_000, 1_000_000_000), settled=False),
        remarks=("timed by hand",),
    )
    recorded = profile_timed(a_subject(dtype="bfloat16"), timed, Settings(("phases",), steps=2))
    settling, remark, *suspicions = recorded.profile.notes
    assert settling == "the step had not settled when its warm-up ended after 2 calls (4.0 s)"
    assert remark == "timed by hand"
    assert tuple(suspicions) == recorded.suspicions
    assert "the step returned nan" in suspicions[0]
    assert recorded.profile.dtype == "bfloat16", "what is said goes before what the parameters are"
    assert recorded.timeline is None, "no pass saw operators"


def test_a_step_without_a_model_or_samples_is_profiled_all_the_same():
    subject = Subject("bare", Step(lambda: torch.ones(4).sum()), PhaseRecorder())
    recorded = profile_timed(subject, Timed(None), Settings(("operators",), steps=1))
    assert recorded.profile.samples is None
    assert recorded.profile.dtype is None
    assert recorded.profile.notes == ()
    assert recorded.profile.overhead == {}


def test_what_the_step_raises_passes_through():
    with pytest.raises(UsageError, match="mine"):
        record(Subject("bad", Step(_raise), PhaseRecorder()), Settings())


def _raise() -> None:
    raise UsageError("mine")


def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path):
    child = (
        "import os, pathlib, time; from perfsuite.capture.lifetime import end_with_parent; end_with_parent();"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"]
    )
    pid = int(_wait_for(tmp_path / "pid"))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    for _ in range(500):
        if not _runs(pid):
            break
        time.sleep(0.01)
    assert not _runs(pid)


def _wait_for(path: Path) -> str:
    for _ in range(2000):
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def _runs(pid: int) -> bool:
    try:
        # The third field, after the name in brackets: a zombie has ended, whoever has not waited for it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
