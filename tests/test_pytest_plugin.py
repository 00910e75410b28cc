"""The plugin as users meet it: whole pytest sessions on real torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from perfsuite.store import load_run
from tests.page import Page, assert_sound

FAST = ("--benchmark-max-time=0.05", "--benchmark-min-rounds=3", "-p", "no:cacheprovider")
NET = """
    import pytest
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
            self.head = torch.nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.conv(x).mean((2, 3)))

    def parts():
        torch.manual_seed(0)
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        batch = (torch.ones(2, 3, 16, 16), torch.zeros(2, 2))
        return model, optimizer, torch.nn.functional.mse_loss, batch
"""
STEP = (
    NET
    + """
    def test_step(profiled):
        loss = profiled.step(*parts())
        assert float(loss) > 0
"""
)


@pytest.fixture
def project(pytester):
    """A scratch project; each session of it is a process of its own, as a user's is."""

    def run(source: str, *args: str, expect: int | None = 0):
        if source:
            pytester.makepyfile(test_it=source)
        result = pytester.runpytest_subprocess(*FAST, *args)
        if expect is not None:
            assert result.ret == expect, result.stdout.str() + result.stderr.str()
        return result

    run.path = pytester.path
    return run


def saved(project, directory=".perfsuite"):
    (folder,) = [p for p in (project.path / directory).iterdir() if p.is_dir()]
    return load_run(folder)


def only(project):
    (profile,) = saved(project).workloads
    return profile


def test_a_slow_step_is_timed_often_enough_for_an_interval(project):
    slow = "import time\n\ndef test_it(profiled):\n    profiled(time.sleep, 0.02)\n"
    for asked, rounds in (("5", 6), ("3", 3), ("7", 7)):  # 5 is what pytest-benchmark says of itself
        project(slow, "--profile-dnn", "--profile-dnn-passes=timing", f"--benchmark-min-rounds={asked}",
                f"--profile-dnn-dir={asked}")  # fmt: skip
        (profile,) = saved(project, asked).workloads
        assert len(profile.samples.rounds_ns) == rounds


def test_a_training_step_is_recorded_whole(project):
    result = project(STEP, "--profile-dnn")
    run = saved(project)
    assert run.status == "complete"
    assert run.environment.torch is not None
    (profile,) = run.workloads
    assert profile.name == "test_it.py::test_step"
    assert (profile.backend, profile.dtype, profile.scale) == ("eager", "float32", None)
    assert len(profile.samples.rounds_ns) >= 3
    assert [p.name for p in profile.phases] == ["data", "forward", "loss", "backward", "optimizer"]
    rows = {(o.name, o.phase, o.module) for o in profile.operators}
    assert ("aten::mkldnn_convolution", "forward", "Net.conv") in rows
    assert ("aten::convolution_backward", "backward", "Net.conv") in rows
    assert len({o.key for o in profile.operators}) == len(profile.operators)
    assert len({p.key for p in profile.primitives}) == len(profile.primitives)
    assert profile.join == "timestamps"
    assert profile.memory.peak_rss_bytes >= profile.memory.start_rss_bytes > 0
    assert max(profile.allocation_curve.live_bytes) > 0
    assert [span.name for span in profile.allocation_curve.phases] == [p.name for p in profile.phases]
    assert set(profile.overhead) == {"phases", "operators", "primitives", "memory"}
    result.stdout.fnmatch_lines(["*perfsuite: recording*", "*test_step*", "*aten::*", f"run {run.id} (complete)*"])


def test_the_ledger_of_a_step_closes_and_every_primitive_is_joined(project):
    project(STEP, "--profile-dnn")
    profile = only(project)
    ledger = profile.ledger
    assert sum(o.self_ns for o in profile.operators) == pytest.approx(ledger.operators_ns, rel=1e-6)
    assert sum(p.self_ns for p in profile.python) == pytest.approx(ledger.python_ns, rel=1e-6)
    assert abs(ledger.unattributed_ns) <= 0.05 * ledger.wall_ns
    assert ledger.executed_primitives > 0
    assert ledger.joined_primitives == ledger.executed_primitives
    assert {profile.operators[p.operator].name for p in profile.primitives} >= {
        "aten::mkldnn_convolution",
        "aten::convolution_backward",
    }


def test_without_the_option_it_times_and_writes_nothing(project):
    result = project(STEP)
    result.stdout.fnmatch_lines(["*test_step*", "*1 passed*"])
    assert not (project.path / ".perfsuite").exists()
    assert "perfsuite:" not in result.stdout.str()


def test_it_returns_what_the_function_returned_and_keeps_benchmarks_json(project):
    source = """
        def test_plain(profiled):
            assert profiled(lambda a, b=0: a + b, 3, b=4) == 7
    """
    project(source, "--profile-dnn", "--benchmark-json=out.json")
    (benchmark,) = json.loads((project.path / "out.json").read_text())["benchmarks"]
    extra = benchmark["extra_info"]["perfsuite"]
    assert extra["name"] == "test_it.py::test_plain"
    assert extra["ledger"]["wall_ns"] > 0
    assert benchmark["stats"]["rounds"] >= 3
    profile = only(project)
    assert profile.primitives == ()
    assert profile.ledger.joined_ratio is None


def test_the_timed_steps_carry_no_instrumentation(project):
    source = """
        import sys
        import torch
        from torch.nn.modules import module

        def test_bare(profiled, benchmark):
            seen = []

            def step():
                with profiled.phase("forward") as entered:
                    hooks = len(module._global_forward_hooks)
                    seen.append((torch.autograd.profiler._is_profiler_enabled, hooks))
                    torch.ones(3).add(1)

            profiled(step)
            rounds = len(benchmark.stats.stats.data)
            warm = next(i for i, s in enumerate(seen) if s != (False, 0))
            assert warm >= rounds + 4
            assert (True, 1) in seen
    """
    project(source, "--profile-dnn")


def test_pedantic_sets_up_and_tears_down_around_every_call(project):
    source = """
        def test_pedantic(profiled):
            log = []

            def setup():
                log.append("setup")
                return (1,), {"b": 2}

            def teardown(a, b):
                log.append("teardown")

            def target(a, b):
                assert log[-1] == "setup"
                log.append("call")
                return a + b

            assert profiled.pedantic(target, setup=setup, teardown=teardown, rounds=4) == 3
            assert log == ["setup", "call", "teardown"] * (len(log) // 3)
    """
    project(source, "--profile-dnn")
    assert len(only(project).samples.rounds_ns) == 4


def test_a_second_use_is_a_usage_error(project):
    source = """
        import pytest
        from perfsuite.errors import UsageError

        def test_twice(profiled):
            profiled(int)
            with pytest.raises(UsageError, match="once in a test"):
                profiled.pedantic(int)

        def test_both(profiled, benchmark):
            benchmark(int)
            with pytest.raises(UsageError, match="use one of them"):
                profiled(int)
    """
    project(source)


def test_disabled_benchmarks_still_profile(project):
    result = project(STEP, "--profile-dnn", "--benchmark-disable")
    profile = only(project)
    assert profile.samples is None
    assert profile.overhead == {}
    assert profile.ledger.wall_ns > 0
    assert any("disabled" in note for note in profile.notes)
    result.stdout.fnmatch_lines(["*disabled*"])


def test_disabled_benchmarks_without_profiling_call_once(project):
    source = """
        calls = []

        def test_once(profiled):
            profiled(calls.append, 1)
            assert calls == [1]
    """
    project(source, "--benchmark-disable")


def test_benchmark_only_keeps_tests_that_use_profiled(project):
    result = project(STEP + "\n    def test_other():\n        pass\n", "--profile-dnn", "--benchmark-only")
    result.assert_outcomes(passed=1, skipped=1)
    assert only(project).name == "test_it.py::test_step"


def test_nothing_recorded_is_said(project):
    result = project("def test_other():\n    pass", "--profile-dnn")
    result.stdout.fnmatch_lines(["*nothing was recorded*profiled*"])
    assert not list((project.path).glob(".perfsuite/*/"))


def test_collecting_only_says_nothing_of_recording(project):
    result = project(STEP, "--profile-dnn", "--collect-only")
    assert "nothing was recorded" not in result.stdout.str()
    assert not (project.path / ".perfsuite").exists()


def test_a_failing_step_fails_its_test_and_loses_no_other(project):
    source = (
        STEP
        + """
    def test_raises(profiled):
        def step():
            raise ZeroDivisionError("planted")
        profiled(step)

    def test_raises_under_the_profiler(profiled):
        def step():
            if torch.autograd.profiler._is_profiler_enabled:
                raise ZeroDivisionError("planted later")
        profiled(step)

    def test_after(profiled):
        profiled(int)
"""
    )
    result = project(source, "--profile-dnn", expect=1)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*ZeroDivisionError: planted", "*ZeroDivisionError: planted later"])
    assert "was not used at all" not in result.stdout.str() + result.stderr.str()
    run = saved(project)
    assert run.status == "complete"
    assert {p.name for p in run.workloads} == {"test_it.py::test_step", "test_it.py::test_after"}


def test_a_loss_that_is_nan_is_said(project):
    source = (
        NET
        + """
    def test_nan(profiled):
        model, optimizer, loss, (x, y) = parts()
        profiled.step(model, optimizer, loss, (x * float("nan"), y))
"""
    )
    result = project(source, "--profile-dnn")
    assert any("nan" in note for note in only(project).notes)
    result.stdout.fnmatch_lines(["*PerfsuiteWarning*nan*"])


def test_a_step_that_changes_the_thread_count_is_said(project):
    source = """
        import torch

        def test_threads(profiled):
            torch.set_num_threads(2)

            profiled(torch.set_num_threads, 1)
    """
    project(source, "--profile-dnn")
    assert any("thread count from 2 to 1" in note for note in only(project).notes)


def test_a_step_that_forks_is_recorded(project):
    source = """
        import os

        def test_fork(profiled):
            def step():
                child = os.fork()
                if not child:
                    os._exit(0)
                os.waitpid(child, 0)

            profiled(step)
    """
    project(source, "--profile-dnn")
    assert only(project).ledger.wall_ns > 0


def test_output_of_the_step_reaches_its_reader(project):
    source = """
        import ctypes
        import sys
        import torch

        libc = ctypes.CDLL(None)
        conv = torch.nn.Conv2d(3, 16, 3)

        def step():
            conv(torch.ones(2, 3, 32, 32))
            libc.printf(b"from C\\n")
            print("from Python")
            step.calls += 1

        step.calls = 0

        def test_loud(profiled, capfd):
            profiled.pedantic(step, rounds=2)
            libc.fflush(None)
            out = capfd.readouterr().out
            assert out.count("from C\\n") == step.calls
            assert out.count("from Python\\n") == step.calls
            assert out == out.replace("onednn_verbose", "")
    """
    project(source, "--profile-dnn")
    assert only(project).primitives


@pytest.mark.parametrize("mode", ["fd", "sys", "no", "tee-sys"])
def test_no_verbose_line_leaks_in_any_capture_mode(project, mode):
    result = project(STEP, "--profile-dnn", f"--capture={mode}")
    assert "onednn_verbose" not in result.stdout.str()
    assert "USDT" not in result.stderr.str() + result.stdout.str()
    assert only(project).ledger.joined_ratio == 1


def test_interrupting_keeps_what_was_finished(project):
    source = (
        STEP
        + """
    def test_stops(profiled):
        def step():
            if torch.autograd.profiler._is_profiler_enabled:
                raise KeyboardInterrupt
        profiled(step)
"""
    )
    project(source, "--profile-dnn", expect=2)
    run = saved(project)
    assert run.status == "interrupted"
    assert [p.name for p in run.workloads] == ["test_it.py::test_step"]


def test_a_kill_keeps_what_was_finished(project):
    marker = project.path / "reached"
    source = (
        STEP
        + f"""
    def test_hangs(profiled):
        import pathlib, time
        def step():
            pathlib.Path({str(marker)!r}).touch()
            time.sleep(60)
        profiled(step)
"""
    )
    (project.path / "test_it.py").write_text(__import__("textwrap").dedent(source))
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *FAST, "--profile-dnn"],
        cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run = saved(project)
    assert run.status == "interrupted"
    assert run.environment.torch is not None
    assert [p.name for p in run.workloads] == ["test_it.py::test_step"]


def test_xdist_workers_join_one_run_and_are_marked_contended(project):
    source = (
        NET
        + """
    @pytest.mark.parametrize("n", range(4))
    def test_step(profiled, n):
        profiled.step(*parts())
"""
    )
    result = project(source, "--profile-dnn", "-n", "2")
    run = saved(project)
    assert run.status == "complete"
    assert run.environment.torch is not None
    assert len(run.workloads) == 4
    assert all(p.contended and p.samples is not None for p in run.workloads)
    result.stdout.fnmatch_lines(["*contended*"])


def test_a_function_too_short_for_the_clock_is_timed_under_xdist(project):
    project("def test_short(profiled):\n    profiled(int)", "--profile-dnn", "-n", "1")
    profile = only(project)
    assert profile.contended
    assert profile.samples.iterations > 10


def test_ini_options_and_command_line(project):
    (project.path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nprofile_dnn = true\nprofile_dnn_dir = "runs"\n'
        'profile_dnn_passes = "operators"\nprofile_dnn_steps = "2"\n'
    )
    project(STEP, "--profile-dnn-steps=4")
    (profile,) = saved(project, "runs").workloads
    assert profile.passes == ("timing", "operators")
    assert profile.steps == 4
    assert profile.phases == ()
    assert profile.memory is None
    assert profile.allocation_curve is None


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--profile-dnn-passes=operators,cache", "*unknown pass 'cache'*"),
        ("--profile-dnn-steps=0", "*--profile-dnn-steps: expected a whole number*'0'*"),
        ("--profile-dnn-top=x", "*--profile-dnn-top: expected a whole number*'x'*"),
    ],
)
def test_malformed_options_are_usage_errors(project, option, message):
    result = project(STEP, "--profile-dnn", option, expect=4)
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("scael='smoke'", "unknown argument 'scael'"),
        ("steps='3'", "steps: expected a whole number"),
        ("steps=True", "steps: expected a whole number"),
        ("name=3", "name: expected a string"),
        ("'smoke'", "takes keyword arguments only"),
        ("passes=['timing', 'x']", "unknown pass 'x'"),
    ],
)
def test_a_wrong_marker_is_a_usage_error_that_names_it(project, arguments, message):
    source = f"""
        import pytest

        @pytest.mark.profiled({arguments})
        def test_it(profiled):
            profiled(int)
    """
    result = project(source, expect=4)
    assert message in result.stderr.str()
    assert "test_it.py::test_it" in result.stderr.str()


def test_a_wrong_marker_under_xdist_fails_its_test(project):
    source = """
        import pytest

        @pytest.mark.profiled(scael="smoke")
        def test_it(profiled):
            profiled(int)
    """
    result = project(source, "-n", "1", expect=1)
    result.stdout.fnmatch_lines(["*unknown argument 'scael'*"])


def test_markers_name_the_workload_and_the_closest_wins(project):
    source = """
        import pytest

        pytestmark = pytest.mark.profiled(scale="full", dtype="float32")

        @pytest.mark.profiled(name="mine", scale="smoke", steps=2)
        def test_it(profiled):
            profiled(int)
    """
    project(source, "--profile-dnn")
    profile = only(project)
    assert (profile.name, profile.scale, profile.dtype, profile.steps) == ("mine", "smoke", "float32", 2)


def test_two_workloads_of_one_name_are_refused(project):
    source = """
        import pytest

        @pytest.mark.profiled(name="same")
        @pytest.mark.parametrize("n", [1, 2])
        def test_it(profiled, n):
            profiled(int)
    """
    result = project(source, "--profile-dnn", expect=4)
    result.stderr.fnmatch_lines(["ERROR: *the name 'same' is taken by test_it.py::test_it?1?*"])
    result = project("", "--profile-dnn", "-n", "2", expect=1)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*UsageError*the name 'same' is taken by*"])


def test_a_folder_that_cannot_be_written_is_said_before_measuring(project):
    (project.path / "file").write_text("")
    result = project(STEP, "--profile-dnn", "--profile-dnn-dir=file", expect=4)
    result.stderr.fnmatch_lines(["ERROR: *file*"])


def test_ids_that_are_no_file_names(project):
    source = """
        import pytest

        @pytest.mark.parametrize("x", ["../../etc/passwd", "a" * 300, "naïve ☃", "a/b", "..", "[red]x[/red]"])
        def test_it(profiled, x):
            profiled(int)
    """
    project(source, "--profile-dnn")
    names = {p.name for p in saved(project).workloads}
    assert len(names) == 6
    assert not (project.path.parent / "etc").exists()


def test_without_torch_the_fixture_times_and_says_what_to_install(project, monkeypatch):
    (project.path / "conftest.py").write_text(
        "import sys, importlib.machinery\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name)\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a)\n"
        "sys.modules['torch'] = None\n"
    )
    source = "def test_it(profiled):\n    assert profiled(lambda: 3) == 3"
    project(source).assert_outcomes(passed=1)
    result = project(source, "--profile-dnn", expect=1)
    result.stdout.fnmatch_lines(["*CaptureError*pip install torch*"])


def test_piped_output_has_no_escape_codes_and_fits_80_columns(project):
    result = project(STEP, "--profile-dnn", "--color=no")
    text = result.stdout.str()
    assert "\x1b" not in text
    tables = text.split("= perfsuite =")[-1].split("benchmark: 1 tests")[0].splitlines()[1:-2]
    assert any("aten::convolution_backward" in line for line in tables)
    assert max(map(len, tables)) <= 80


def test_on_a_terminal_a_progress_line_comes_and_goes(project):
    import pty

    (project.path / "test_it.py").write_text(__import__("textwrap").dedent(STEP))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *FAST, "--profile-dnn"], cwd=project.path, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # the terminal closes with its last process
        pass
    assert process.wait() == 0
    for stage in ("warm-up", "timing", "memory", "phases", "operators", "primitives", "allocations"):
        assert f"\r\x1b[2Kperfsuite: test_it.py::test_step · {stage} …".encode() in shown
    # After the last stage the line is cleared before anything else is printed.
    last = shown.rindex("allocations …".encode())
    assert shown[last:].split("…".encode(), 1)[1].startswith(b"\r\x1b[2K")


def test_a_setting_that_hides_primitives_costs_the_primitives_only(project, monkeypatch):
    monkeypatch.setenv("ONEDNN_VERBOSE", "0,filter=reorder")
    result = project(STEP, "--profile-dnn")
    profile = only(project)
    assert profile.ledger.wall_ns > 0
    assert profile.primitives == ()
    assert profile.join is None
    assert profile.ledger.executed_primitives is None
    assert "primitives" not in profile.passes
    assert any("primitives were not recorded" in note and "filter=" in note for note in profile.notes)
    result.stdout.fnmatch_lines(["*PerfsuiteWarning*primitives were not recorded*"])


def test_warnings_as_errors_do_not_mind_how_the_samples_came_about(project):
    project(STEP, "--profile-dnn", "--benchmark-disable", "-W", "error")
    assert any("disabled" in note for note in only(project).notes)


def test_a_disk_that_is_full_at_the_end_costs_the_manifest_only(project):
    (project.path / "conftest.py").write_text(
        "import errno, pytest\n"
        "@pytest.fixture(autouse=True, scope='session')\n"
        "def full_at_the_end():\n"
        "    yield\n"
        "    from perfsuite.store import writer\n"
        "    def full(path, data):\n"
        "        raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "    writer.write_atomically = full\n"
    )
    result = project(STEP, "--profile-dnn")
    result.stdout.fnmatch_lines(["perfsuite: error: cannot finish the run*space*", "*test_step*"])
    run = saved(project)
    assert run.status == "interrupted"
    assert len(run.workloads) == 1


def test_a_disk_that_fills_up_fails_the_test_in_one_line_and_keeps_the_rest(project):
    source = (
        STEP
        + """
    def test_full(profiled, monkeypatch):
        import errno
        from perfsuite.store import writer

        def full(path, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(writer, "write_atomically", full)
        profiled(int)
"""
    )
    result = project(source, "--profile-dnn", expect=1)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["StoreError: cannot save workload*No space left on device*"])
    assert "pytest_profiled.py" not in result.stdout.str()
    assert [p.name for p in saved(project).workloads] == ["test_it.py::test_step"]


def test_ini_options_may_be_the_lists_and_numbers_of_toml(project):
    (project.path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\nprofile_dnn = true\nprofile_dnn_steps = 2\n"
        'profile_dnn_passes = ["operators", "memory"]\n'
    )
    project(STEP, "-W", "error::pytest.PytestRemovedIn10Warning")
    profile = only(project)
    assert profile.passes == ("timing", "operators", "memory")
    assert profile.steps == 2


def test_a_malformed_ini_option_is_named(project):
    (project.path / "pytest.ini").write_text("[pytest]\nprofile_dnn_steps = some\n")
    result = project(STEP, "--profile-dnn", expect=4)
    result.stderr.fnmatch_lines(["ERROR: *profile_dnn_steps*some*"])


def test_an_empty_folder_name_is_refused(project):
    result = project(STEP, "--profile-dnn", "--profile-dnn-dir=", expect=4)
    result.stderr.fnmatch_lines(["ERROR: --profile-dnn-dir: expected a folder*"])


# --- the report -------------------------------------------------------------------------------------

TINY = """
    def test_tiny(profiled):
        profiled(sum, range(100))
"""


def page_of(path):
    page = Page(path.read_text(encoding="utf-8"))
    assert_sound(page)
    return page


def test_a_report_lies_in_the_folder_of_the_run_or_where_it_is_wanted(project):
    result = project(STEP, "--profile-dnn", "--profile-dnn-report")
    run = saved(project)
    result.stdout.fnmatch_lines([f"run {run.id} (complete)*", f"report: .perfsuite/{run.id}/report.html"])
    page = page_of(project.path / ".perfsuite" / run.id / "report.html")
    assert "test_it.py::test_step" in page.text
    assert "The memory pass did not run" not in page.text
    assert saved(project) == run


def test_a_report_of_any_name_with_a_failed_test_among_others(project):
    source = TINY + "    def test_bad():\n        assert False\n"
    result = project(source, "--profile-dnn", "--profile-dnn-report=out/../page.html", expect=1)
    result.stdout.fnmatch_lines(["report: *page.html"])
    assert "test_tiny" in page_of(project.path / "page.html").text


def test_a_report_that_cannot_be_written_is_one_line_and_loses_nothing(project):
    away = "import pathlib\n\ndef test_away():\n    pathlib.Path('out').rmdir()\n"
    (project.path / "out").mkdir()
    result = project(away + textwrap.dedent(TINY), "--profile-dnn", "--profile-dnn-report=out/page.html")
    result.stdout.fnmatch_lines(
        [
            "run * (complete)*",
            "perfsuite: error: the report could not be written, the run is saved: cannot write *page.html*",
        ]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert only(project).name == "test_it.py::test_tiny"


@pytest.mark.parametrize(
    ("file", "said"), [("no/such/page.html", "there is no folder *no/such"), ("folder.html", "it is a folder")]
)
@pytest.mark.parametrize("ini", [False, True])
def test_where_no_report_can_be_written_is_said_before_anything_is_measured(project, file, said, ini):
    (project.path / "folder.html").mkdir()
    if ini:
        (project.path / "pytest.ini").write_text(f"[pytest]\nprofile_dnn_report = {file}\n")
    result = project(TINY, "--profile-dnn", *([] if ini else [f"--profile-dnn-report={file}"]), expect=4)
    where = "profile_dnn_report in the ini file" if ini else "--profile-dnn-report"
    result.stderr.fnmatch_lines([f"*{where}: cannot write *{file}: {said}*"])
    assert not (project.path / ".perfsuite").exists()


def test_a_report_may_lie_in_the_folder_of_the_runs_which_is_not_there_yet(project):
    project(TINY, "--profile-dnn", "--profile-dnn-report=.perfsuite/page.html")
    assert "test_tiny" in page_of(project.path / ".perfsuite" / "page.html").text


def test_a_page_that_cannot_be_drawn_is_one_line_and_loses_nothing(project):
    broken = (
        "from perfsuite.present.report import page\n"
        "def draw(*_):\n"
        "    raise ValueError('a colour that is none')\n"
        "page.draw = draw\n"
    )
    (project.path / "conftest.py").write_text(broken)
    result = project(TINY, "--profile-dnn", "--profile-dnn-report")
    result.stdout.fnmatch_lines(
        ["perfsuite: error: the report could not be written, *ValueError: a colour that is none*"]
    )
    assert "INTERNALERROR" not in result.stdout.str()
    assert len(saved(project).workloads) == 1


def test_the_report_is_the_controllers_under_xdist(project):
    project(TINY + TINY.replace("tiny", "other"), "--profile-dnn", "--profile-dnn-report=page.html", "-n", "2")
    page = page_of(project.path / "page.html")
    assert "test_tiny" in page.text
    assert "test_other" in page.text
    assert "contended" in page.text
    assert [path.name for path in project.path.glob("*.html")] == ["page.html"]


@pytest.mark.parametrize(
    ("ini", "args", "files"),
    [
        # Of a session that does not record there is nothing to report, and nobody asked for it in this one.
        ("true", [], []),
        ("true", ["--profile-dnn"], ["report.html"]),
        ("false", ["--profile-dnn"], []),
        ("page.html", ["--profile-dnn"], ["page.html"]),
        ("page.html", ["--profile-dnn", "--profile-dnn-report=false"], []),
        ("page.html", ["--profile-dnn-report=false"], []),
    ],
)
def test_the_ini_option_says_whether_and_where(project, ini, args, files):
    (project.path / "pytest.ini").write_text(f"[pytest]\nprofile_dnn_report = {ini}\n")
    project(TINY, *args)
    assert [path.name for path in sorted(project.path.rglob("*.html"))] == files


def test_an_ini_option_that_names_no_page_is_told_what_it_may_be(project):
    (project.path / "pytest.ini").write_text("[pytest]\nprofile_dnn_report = page\n")
    result = project(TINY, "--profile-dnn", expect=4)
    said = "profile_dnn_report in the ini file: expected a file that ends in .html or .htm, found 'page'"
    assert f"{said}; or true, or false" in result.stderr.str()
    assert "option behind the paths" not in result.stderr.str()


def test_a_report_without_recording_is_a_usage_error(project):
    result = project(TINY, "--profile-dnn-report=page.html", expect=4)
    assert "--profile-dnn-report needs --profile-dnn" in result.stderr.str()


def test_a_path_that_follows_the_option_is_not_taken_for_the_page(project):
    result = project(TINY, "--profile-dnn", "--profile-dnn-report", "test_it.py", expect=4)
    assert "--profile-dnn-report: expected a file that ends in .html or .htm, found 'test_it.py'" in result.stderr.str()
    assert (project.path / "test_it.py").read_text()


def test_nothing_recorded_makes_no_report(project):
    project("def test_plain(): pass", "--profile-dnn", "--profile-dnn-report=page.html")
    assert not (project.path / "page.html").exists()
