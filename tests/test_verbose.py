"""oneDNN's verbose output is switched on for the block and left as it was found.

Each piece of code runs in a process of its own, see clean_process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from perfsuite.capture import verbose
from perfsuite.errors import CaptureError
from tests.clean_process import CleanProcesses

PRELUDE = """
    import os, sys, time, warnings
    import torch
    from perfsuite.capture import verbose
    from perfsuite.capture.stdio import c_print
    from perfsuite.capture.verbose import *
    from perfsuite.errors import CaptureError
    from perfsuite.onednn import VerboseParser, header_facts
    set_verbose = torch._C._verbose.mkldnn_set_verbose

    def execute():
        torch.ones(1, 1, 2, 2).to_mkldnn()

    def kinds(lines, header=()):
        parser = VerboseParser()
        for line in header:
            parser.feed(line)
        found = [e.kind for line in lines if (e := parser.feed(line))]
        assert not parser.rejected
        return found
    """

Run = Callable[..., list[str]]


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanProcesses]:
    with CleanProcesses(PRELUDE, tmp_path_factory.mktemp("verbose")) as processes:
        yield processes


@pytest.fixture
def run(processes: CleanProcesses) -> Run:
    """Runs code; gives its standard output line by line, and standard error must stay empty."""

    def run(code: str, **environment: str) -> list[str]:
        out, err = processes.run(code, **environment)
        assert err == ""
        return out

    return run


def test_lines_are_captured_and_the_user_s_output_is_not(run: Run) -> None:
    out = run(
        """
        with capture_verbose() as capture:
            print("mine", flush=True)
            execute()
            c_print("perfsuite_marker,begin,1\\n")
            torch.nn.functional.conv2d(torch.ones(4, 3, 8, 8), torch.ones(2, 3, 3, 3))
            c_print("also mine\\n")
        execute()
        assert not capture.incomplete
        assert capture.lines[1] == "perfsuite_marker,begin,1"
        assert kinds(capture.lines[:1]) == ["reorder"]
        assert "convolution" in kinds(capture.lines[2:], verbose_header())
        """
    )
    assert out == ["mine", "also mine"]


def test_the_header_is_kept_and_says_what_copy_it_is(run: Run) -> None:
    out = run(
        """
        execute()
        header = verbose_header()
        assert "template:" in header[5], header
        with capture_verbose() as capture:
            execute()
        assert verbose_header() == header
        (facts,) = header_facts(header)
        assert set(facts) == {"version", "commit", "isa", "threads"}, facts
        assert kinds(capture.lines, header) == ["reorder"]
        """
    )
    assert out == []


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_user_s_level_is_found_and_put_back(run: Run, level: int) -> None:
    out = run(
        f"""
        set_verbose({level})
        execute()
        print("--", flush=True)
        with capture_verbose() as capture:
            execute()
        print("--", flush=True)
        try:
            with capture_verbose():
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        timestamps_available(), verbose_header()
        print("--", flush=True)
        execute()
        assert kinds(capture.lines) == ["reorder"]
        """
    )
    before, during, _, after = "\n".join([*out, ""]).split("--\n")
    lines = {0: 0, 1: 1, 2: 2}[level]  # an execution; a creation and an execution
    assert len([line for line in before.splitlines() if ",info," not in line]) == lines
    assert during.count("onednn_verbose,") == lines  # who had it on still sees it
    assert after.count("onednn_verbose,") == lines
    assert after.count("create:") == (level == 2)


def test_the_environment_s_level_is_found_and_its_header_still_shown(run: Run) -> None:
    out = run(
        """
        with capture_verbose() as capture:
            execute()
        print("--", flush=True)
        execute()
        assert verbose_header()
        """,
        ONEDNN_VERBOSE="1",
    )
    at = out.index("--")
    assert [line for line in out[:at] if "template:operation" in line]
    assert [",exec," in line for line in out[:at]].count(True) == 1  # the probes stay unseen
    assert [",exec," in line for line in out[at:]].count(True) == 1


def test_a_header_that_was_printed_before_is_missing(run: Run) -> None:
    run(
        """
        set_verbose(1)
        execute()
        assert verbose_header() == ()
        assert timestamps_available() is False
        with capture_verbose() as capture:
            execute()
        assert kinds(capture.lines, verbose_header()) == ["reorder"]
        """
    )


@pytest.mark.parametrize(
    ("setting", "level"),
    [("dispatch", 0), ("all", 2), ("profile_create", 2), ("profile_exec,check", 1), ("2,debuginfo=3", 2)],
)
def test_what_cannot_be_restored_is_said_once(run: Run, setting: str, level: int) -> None:
    out = run(
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                with capture_verbose() as capture:
                    execute()
        (warning,) = caught
        print("--", warning.message, flush=True)
        execute()
        """,
        ONEDNN_VERBOSE=setting,
    )
    (at,) = [number for number, line in enumerate(out) if line.startswith("--")]
    assert f"ONEDNN_VERBOSE={setting} asks for output" in out[at]
    assert out[at].endswith(f"its verbose level is {level} from now on")
    assert len(out[at + 1 :]) == level


@pytest.mark.parametrize("setting", ["0", "1", "2", "none", "profile", "profile_exec", "error,warn"])
def test_what_a_level_can_say_needs_no_warning(run: Run, setting: str) -> None:
    run("with capture_verbose(): execute()", DNNL_VERBOSE=setting)


def test_a_filter_would_hide_primitives(run: Run) -> None:
    run(
        """
        try:
            with capture_verbose():
                raise AssertionError
        except CaptureError as error:
            assert "ONEDNN_VERBOSE=profile_exec,filter=matmul hides primitives" in str(error), error
        else:
            raise AssertionError
        """,
        ONEDNN_VERBOSE="profile_exec,filter=matmul",
    )


def test_a_block_that_switches_it_off_is_noticed(run: Run) -> None:
    run(
        """
        with capture_verbose() as capture:
            execute()
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                execute()
            execute()
        assert kinds(capture.lines) == ["reorder", "reorder"]
        assert capture.incomplete
        with capture_verbose() as capture:
            execute()
        assert not capture.incomplete
        """
    )


def test_disabled_onednn_executes_nothing(run: Run) -> None:
    run(
        """
        warnings.simplefilter("ignore")  # torch's own, about TF32
        with torch.backends.mkldnn.flags(enabled=False), capture_verbose() as capture:
            torch.nn.functional.conv2d(torch.ones(4, 3, 8, 8), torch.ones(2, 3, 3, 3))
        assert capture.lines == []
        assert not capture.incomplete
        """
    )


@pytest.mark.parametrize("first", ["", "torch.mm(torch.ones(2, 2), torch.ones(2, 2)); execute()"])
def test_timestamps_can_be_asked_for_until_something_is_printed(run: Run, first: str) -> None:
    run(
        f"""
        {first}
        request_timestamps()
        assert timestamps_available() is True
        with capture_verbose() as capture:
            execute()
        parser = VerboseParser()
        assert abs(parser.feed(capture.lines[0]).start_ns - time.time_ns()) < 60e9
        """
    )


def test_timestamps_come_too_late_once_something_was_printed(run: Run) -> None:
    run(
        """
        assert timestamps_available() is False
        request_timestamps()
        assert timestamps_available() is False
        with capture_verbose() as capture:
            execute()
        assert VerboseParser().feed(capture.lines[0]).start_ns is None
        """
    )


@pytest.mark.parametrize("name", ["ONEDNN_VERBOSE_TIMESTAMP", "DNNL_VERBOSE_TIMESTAMP"])
def test_a_user_s_own_wish_about_timestamps_stands(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for known in ("ONEDNN_VERBOSE_TIMESTAMP", "DNNL_VERBOSE_TIMESTAMP"):
        monkeypatch.delenv(known, raising=False)
    monkeypatch.setenv(name, "0")
    verbose.request_timestamps()
    assert os.environ[name] == "0"
    assert os.environ.get("ONEDNN_VERBOSE_TIMESTAMP", "0") == "0"


def test_a_torch_without_onednn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(CaptureError, match="built without oneDNN"):
        verbose.verbose_header()


def test_a_level_that_is_refused_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(verbose, "_KNOWN", {})
    monkeypatch.setattr(torch._C._verbose, "mkldnn_set_verbose", lambda level: 0)
    with pytest.raises(CaptureError, match="oneDNN of torch refuses verbose level 1"):
        verbose.timestamps_available()
