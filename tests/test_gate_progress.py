"""What a long command says where nobody watches, and on a terminal."""

from __future__ import annotations

import io
import os
import sys

import pytest

from perfsuite.cli import progress


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_in_a_log_milestones_are_lines_and_what_runs_is_one_when_long_nothing_was_said(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.progress_line() as say:
        say("opening both sides")
        say.milestone("a: begins")
        for second in range(1, 150):
            clock.now += 1
            say(f"a · pair {second}")
        say.milestone("a: by time unchanged\x1b[2K")
    assert capsys.readouterr().err.splitlines() == [
        "perfsuite: a: begins",
        "perfsuite: a · pair 60",
        "perfsuite: a · pair 120",
        r"perfsuite: a: by time unchanged\x1b[2K",
    ]


class Terminal(io.StringIO):
    """Standard error on a terminal of 40 columns."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2


def test_on_a_terminal_there_is_one_line_and_at_the_end_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: os.terminal_size((40, 24)))
    with progress.progress_line() as say:
        say("a · pair 1\n" + "x" * 100)
        say.milestone("a: begins")
    assert "\n" not in stream.getvalue()
    texts = stream.getvalue().split("\r\x1b[2K")
    assert texts[0] == texts[-1] == ""
    assert texts[1] == (r"a · pair 1\n" + "x" * 100)[:39]
    assert texts[2] == "a: begins"


def test_without_a_standard_error_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with progress.progress_line() as say:
        assert say.milestone("a: begins") is None
