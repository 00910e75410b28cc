"""Waiting for processes that this one has started."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.capture import children
from perfsuite.capture.children import BUSY, WINDOW_SECONDS, await_children, used_by_children
from perfsuite.capture.passes import Settings
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.record import Subject, Timed, profile_timed
from perfsuite.capture.step import Step
from perfsuite.capture.timing import WarmUp, warm_up

WORK = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n{then}"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for one in found:
        one.kill()
        one.wait()


def python(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code])


def test_without_children_nothing_is_waited_for():
    assert await_children(read=dict, sleep=pytest.fail) == ()


def test_it_waits_until_a_child_has_done_its_work(started: list[subprocess.Popen[bytes]]):
    started.append(python(WORK.format(seconds=1.0, then="time.sleep(60)")))
    assert await_children(most_seconds=50) == ()
    _, used = used_by_children()[started[0].pid]
    assert used >= 0.9
    assert started[0].poll() is None


def test_a_child_of_a_child_counts_and_one_that_goes_on_is_named(started: list[subprocess.Popen[bytes]]):
    inner = WORK.format(seconds=60, then="")
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}, 'inner'])"
    started.append(python(code))
    deadline = time.monotonic() + 30
    while len(used_by_children()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (name,) = await_children(most_seconds=0.4)
    assert name.startswith("python")
    for pid in used_by_children():
        if pid != started[0].pid:
            subprocess.run(["kill", str(pid)], check=True)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/usr/bin/python3", "-u", "/a/torch/_inductor/compile_worker/__main__.py", "--x"], "python3 compile_worker"),
        (["python", "-m", "http.server"], "python http.server"),
        (["python", "-c", "secret code"], "python"),
        (["/bin/sleep", "60"], "sleep 60"),
        ([], ""),
    ],
)
def test_what_a_child_is_called(words: list[str], name: str):
    assert children._called(words) == name


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=3), max_size=20),
    st.floats(0.2, 5),
)
def test_it_ends_at_the_first_window_without_work_and_never_later_than_it_may(steps: list[list[float]], most: float):
    used = [0.0, 0.0, 0.0]
    frames: list[dict[int, tuple[str, float]]] = [{1: ("a", 0.0), 2: ("b", 0.0), 3: ("c", 0.0)}]
    for step in steps:
        used = [one + more for one, more in zip(used, [*step, 0.0, 0.0, 0.0], strict=False)]
        frames.append({pid: ("abc"[pid - 1], one) for pid, one in enumerate(used, 1)})
    frames += [frames[-1]] * 200
    at = iter(frames)
    waits: list[float] = []
    found = await_children(lambda: next(at), waits.append, most)
    least = BUSY * WINDOW_SECONDS
    works = [any(now[k][1] - before[k][1] >= least for k in now) for before, now in itertools.pairwise(frames)]
    quiet = works.index(False) + 1
    assert len(waits) <= quiet
    assert (found == ()) == (len(waits) == quiet)
    assert sum(waits) < most + WINDOW_SECONDS + 1e-9


def test_the_warm_up_waits_after_its_first_call():
    order: list[str] = []

    def rest() -> tuple[str, ...]:
        order.append("rest")
        return ("a loader",)

    warmed = warm_up(Step(lambda: order.append("call")), rest=rest)
    assert order[:3] == ["call", "rest", "call"]
    assert order.count("rest") == 1
    assert warmed.busy == ("a loader",)


def test_what_worked_beside_it_is_a_note_of_the_profile():
    timed = Timed(None, warmed=WarmUp((1, 1), True, ("python compile_worker",)))
    subject = Subject("x", Step(lambda: None), PhaseRecorder())
    profile = profile_timed(subject, timed, Settings(passes=("timing",))).profile
    assert profile.notes == ("processes that it has started worked beside it when it was timed: python compile_worker",)
