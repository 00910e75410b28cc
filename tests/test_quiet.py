from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite import environment
from perfsuite.environment import cpu_quota, find_allocator, gather_environment, huge_pages, usable_cpus
from perfsuite.errors import UsageError
from perfsuite.present.terminal import render_header
from perfsuite.quiet import (
    GLIBC,
    JEMALLOC,
    TCMALLOC,
    Cpus,
    as_list,
    as_number,
    disturbances,
    first_number,
    from_list,
    preloaded_allocator,
    quiet_settings,
)
from perfsuite.records import Run
from tests.samples import an_environment

ROOT = Path(__file__).parent.parent
#: Two sockets' worth: four cores of two hardware threads each, as Linux numbers them.
SMT = Cpus(((0, 4), (1, 5), (2, 6), (3, 7)))
PLAIN = Cpus(((0,), (1,)))
PASSIVE = {"GOMP_SPINCOUNT": "100000", "KMP_BLOCKTIME": "1"}
#: Nothing of what this process was started with.
OWN = ("MALLOC_", "GLIBC_", "LD_PRELOAD", "OMP_", "GOMP_", "KMP_", "MKL_", "TCMALLOC_")


# --- the settings -----------------------------------------------------------------------------------


def test_by_default_glibc_is_tuned_and_there_is_a_thread_for_each_core() -> None:
    settings = quiet_settings({"PATH": "/bin"}, SMT)
    assert settings.variables == {**GLIBC, "OMP_NUM_THREADS": "4", **PASSIVE}
    assert (settings.cpus, settings.kept) == ((0, 1, 2, 3), ())


def test_a_mask_that_was_inherited_is_kept_to() -> None:
    assert quiet_settings({}, SMT.within((1, 5, 6))).cpus == (1, 6)
    assert quiet_settings({}, SMT.within((5,))).variables["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("own", "cpus"), [("2", (0, 1)), ("2,4", (0, 1)), ("6", tuple(range(8))), ("100", tuple(range(8)))]
)
def test_the_users_number_of_threads_decides(own: str, cpus: tuple[int, ...]) -> None:
    settings = quiet_settings({"OMP_NUM_THREADS": own}, SMT)
    assert "OMP_NUM_THREADS" not in settings.variables
    assert settings.kept == (f"OMP_NUM_THREADS={own}",)
    assert settings.cpus == cpus


def test_an_option_was_said_later_than_a_variable() -> None:
    settings = quiet_settings({"OMP_NUM_THREADS": "4"}, SMT, threads=1)
    assert (settings.variables["OMP_NUM_THREADS"], settings.cpus, settings.kept) == ("1", (0,), ())


@pytest.mark.parametrize(
    ("chosen", "threads", "number"), [((1, 5), None, "1"), ((1, 2, 5), None, "2"), ((0, 1, 2), 2, "2")]
)
def test_chosen_cpus_are_taken_as_they_are(chosen: tuple[int, ...], threads: int | None, number: str) -> None:
    settings = quiet_settings({}, SMT, chosen=chosen, threads=threads)
    assert (settings.cpus, settings.variables["OMP_NUM_THREADS"]) == (chosen, number)


def test_cpus_that_may_not_be_used_are_named() -> None:
    with pytest.raises(UsageError, match="CPU 9 cannot be used: this process may use 0-7"):
        quiet_settings({}, SMT, chosen=(1, 9))
    with pytest.raises(UsageError, match="may use 0-7"):
        quiet_settings({}, SMT, chosen=())


@pytest.mark.parametrize(
    "own",
    [
        {"MALLOC_MMAP_THRESHOLD_": "1"},
        {"OMP_WAIT_POLICY": "active"},
        {"GOMP_SPINCOUNT": "infinity"},
        {"KMP_BLOCKTIME": "200"},
        {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"},
        {"OMP_NUM_THREADS": "not a number"},
    ],
)
def test_what_the_user_set_is_reported_and_not_changed(own: dict[str, str]) -> None:
    settings = quiet_settings(own, SMT)
    ((name, value),) = own.items()
    assert name not in settings.variables
    assert settings.kept == (f"{name}={value}",)
    if name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        assert not set(PASSIVE) & set(settings.variables), "half a policy of ours would contradict the user's"
    if name == "GLIBC_TUNABLES":
        assert not set(GLIBC) & set(settings.variables)


@given(
    st.dictionaries(
        st.sampled_from([*GLIBC, *PASSIVE, *JEMALLOC, *TCMALLOC, "OMP_NUM_THREADS", "GLIBC_TUNABLES", "PATH"]),
        st.text("0123456789abc,. ", max_size=5),
    ),
    st.sampled_from(["auto", "glibc", "jemalloc", "tcmalloc"]),
)
def test_no_variable_of_the_users_is_ever_changed(own: dict[str, str], allocator: str) -> None:
    settings = quiet_settings(own, SMT, allocator=allocator, find_library=lambda family: f"/lib/lib{family}.so")
    assert not set(settings.variables) & set(own)
    assert set(settings.cpus) <= set(SMT.all)


def test_another_allocator_is_preloaded_before_what_the_user_preloads() -> None:
    found = {"tcmalloc": "/x/libtcmalloc.so.4", "jemalloc": "/x/libjemalloc.so.2"}.get
    tcmalloc = quiet_settings({"LD_PRELOAD": "/y/libmine.so"}, PLAIN, allocator="tcmalloc", find_library=found)
    assert tcmalloc.variables["LD_PRELOAD"] == "/x/libtcmalloc.so.4:/y/libmine.so"
    assert tcmalloc.variables["TCMALLOC_RELEASE_RATE"] == "0"
    assert not set(GLIBC) & set(tcmalloc.variables)
    jemalloc = quiet_settings({}, PLAIN, allocator="jemalloc", find_library=found)
    assert jemalloc.variables["LD_PRELOAD"] == "/x/libjemalloc.so.2"
    assert JEMALLOC.items() <= jemalloc.variables.items()


def test_an_allocator_that_is_preloaded_stays() -> None:
    own = {"LD_PRELOAD": "/x/libjemalloc.so.2"}
    settings = quiet_settings(own, PLAIN)
    assert JEMALLOC.items() <= settings.variables.items()
    assert not {"LD_PRELOAD", *GLIBC} & set(settings.variables)
    assert settings.kept == ("LD_PRELOAD=/x/libjemalloc.so.2",)
    with pytest.raises(UsageError, match=r"LD_PRELOAD brings /x/libjemalloc\.so\.2"):
        quiet_settings(own, PLAIN, allocator="tcmalloc", find_library=lambda family: "/x/libtcmalloc.so")


@pytest.mark.parametrize(
    ("preload", "family"),
    [
        ("/x/libjemalloc.so.2", "jemalloc"),
        ("/y/libmine.so:/x/libtcmalloc_minimal.so.4", "tcmalloc"),
        ("/y/libmine.so", None),
    ],
)
def test_the_allocator_that_is_preloaded_is_known(preload: str, family: str | None) -> None:
    assert preloaded_allocator({"LD_PRELOAD": preload}) == family
    assert preloaded_allocator({}) is None


def test_an_allocator_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="--allocator jemalloc: its library was not found"):
        quiet_settings({}, PLAIN, allocator="jemalloc")
    with pytest.raises(UsageError, match="the C library here is another one"):
        quiet_settings({}, PLAIN, allocator="glibc", glibc=False)
    assert not set(GLIBC) & set(quiet_settings({}, PLAIN, glibc=False).variables)


# --- what disturbs ----------------------------------------------------------------------------------


def whats(variables: dict[str, str], allocator: str = "glibc 2.36", cpus: Cpus = PLAIN, **facts: Any) -> list[str]:
    found = disturbances(variables, allocator, cpus, **facts)
    assert all(": " in sentence for sentence in found), "what it is, a colon, what to do"
    return [sentence.partition(": ")[0] for sentence in found]


def test_a_process_as_it_comes_is_not_quiet() -> None:
    assert whats({}) == ["glibc returns freed tensors to the kernel", "idle OpenMP threads spin"]
    assert whats({}, cpus=SMT) == [
        "glibc returns freed tensors to the kernel", "idle OpenMP threads spin", "8 threads share 4 physical cores",
    ]  # fmt: skip


@pytest.mark.parametrize("cpus", [PLAIN, SMT, SMT.within((1, 5, 6)), Cpus(((3,),))])
@pytest.mark.parametrize("own", [{}, {"OMP_NUM_THREADS": "1"}])
@pytest.mark.parametrize("allocator", ["auto", "glibc", "tcmalloc", "jemalloc"])
def test_what_launch_starts_is_quiet(cpus: Cpus, own: dict[str, str], allocator: str) -> None:
    settings = quiet_settings(own, cpus, allocator=allocator, find_library=lambda family: f"/lib/lib{family}.so")
    name = f"{allocator} (lib{allocator}.so)" if allocator in ("tcmalloc", "jemalloc") else "glibc 2.36 (A=1)"
    assert disturbances({**own, **settings.variables}, name, cpus.within(settings.cpus)) == ()


@pytest.mark.parametrize(
    ("variables", "quiet"),
    [
        (GLIBC, True),
        ({"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "0x400000000"}, True),
        ({"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=8589934592"}, True),
        ({"MALLOC_MMAP_THRESHOLD_": GLIBC["MALLOC_MMAP_THRESHOLD_"]}, False),
        ({"MALLOC_TRIM_THRESHOLD_": GLIBC["MALLOC_TRIM_THRESHOLD_"]}, False),
        ({**GLIBC, "MALLOC_TRIM_THRESHOLD_": "131072"}, False),
        ({**GLIBC, "MALLOC_MMAP_THRESHOLD_": "many"}, False),
    ],
)
def test_glibc_is_quiet_only_if_it_keeps_large_blocks(variables: dict[str, str], quiet: bool) -> None:
    assert (whats({**variables, **PASSIVE}) == []) is quiet


@pytest.mark.parametrize(
    ("allocator", "variables", "quiet"),
    [
        ("jemalloc (libjemalloc.so.2)", {}, False),
        ("jemalloc (libjemalloc.so.2)", {"MALLOC_CONF": "background_thread:true,dirty_decay_ms:9000000000"}, True),
        ("tcmalloc (libtcmalloc.so.4)", {}, False),
        ("tcmalloc (libtcmalloc.so.4)", TCMALLOC, True),
        ("mimalloc (libmimalloc.so.2)", {}, True),
        ("libc", {}, False),
    ],
)
def test_other_allocators(allocator: str, variables: dict[str, str], quiet: bool) -> None:
    assert (whats({**variables, **PASSIVE}, allocator) == []) is quiet


def test_threads_spin_only_where_there_are_some_and_they_may() -> None:
    spin = "idle OpenMP threads spin"
    assert spin in whats({}, threads=2)
    assert spin in whats({"OMP_WAIT_POLICY": "ACTIVE"})
    assert spin not in whats({}, threads=1)
    for quiet in ({"OMP_WAIT_POLICY": " PASSIVE"}, {"GOMP_SPINCOUNT": "0"}, {"KMP_BLOCKTIME": "0"}, PASSIVE):
        assert spin not in whats(quiet)


def test_threads_and_cpus_must_fit() -> None:
    calm = {**GLIBC, **PASSIVE}
    assert whats(calm, threads=3) == ["3 threads share 2 physical cores"]
    assert whats({**calm, "OMP_NUM_THREADS": "2"}, cpus=SMT) == ["2 threads wander over 8 CPUs"]
    assert whats(calm, cpus=SMT, threads=1) == ["1 thread wanders over 8 CPUs"]
    assert whats({**calm, "OMP_PROC_BIND": "close"}, cpus=SMT, threads=2) == []
    assert whats(calm, cpus=SMT.within((0, 1)), threads=2) == []


def test_a_quota_below_the_threads_disturbs() -> None:
    calm = {**GLIBC, **PASSIVE}
    assert whats(calm, quota=1.5) == ["2 threads have 1.5 CPUs of time"]
    assert whats(calm, quota=2.0) == []


# --- numbers, lists, and what the machine says ------------------------------------------------------


@given(st.sets(st.integers(0, 5000), min_size=1, max_size=40))
def test_lists_of_cpus_read_back(cpus: set[int]) -> None:
    assert from_list(as_list(sorted(cpus))) == tuple(sorted(cpus))


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,", "-1", "1-2-3", "1;2", "9999999", "٣"])
def test_what_is_no_list_of_cpus_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="0-3,8"):
        from_list(text)


def test_numbers_are_read_as_the_c_library_does() -> None:
    read = [as_number(text) for text in ("12", "0x10", "010", "0", "", "-1", "1e3", None)]
    assert read == [12, 16, 8, 0, None, None, None, None]
    assert [first_number(text) for text in ("4,2", " 3 ", "0", "x", None)] == [4, 3, None, None, None]


@given(st.text(max_size=12))
def test_any_setting_is_read_without_complaint(text: str) -> None:
    assert as_number(text) is None or as_number(text) >= 0
    variables = dict.fromkeys((*GLIBC, *PASSIVE, "OMP_NUM_THREADS", "GLIBC_TUNABLES", "LD_PRELOAD"), text)
    assert isinstance(disturbances(variables, "glibc 2.36", SMT), tuple)
    assert quiet_settings(variables, SMT).cpus


def test_cores_are_told_by_their_siblings(tmp_path: Path) -> None:
    for cpu in os.sched_getaffinity(0):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text("0-63\n")
    assert usable_cpus(tmp_path).cores == (tuple(sorted(os.sched_getaffinity(0))),)
    assert usable_cpus(tmp_path / "absent").cores == tuple((cpu,) for cpu in sorted(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_the_control_group(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == quota


def test_huge_pages(tmp_path: Path) -> None:
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    assert huge_pages(tmp_path / "enabled") == "madvise"
    assert huge_pages(tmp_path / "absent") is None


def test_an_allocators_library_is_found_where_the_loader_looks(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(environment, "_library_folders", lambda: [tmp_path / "absent", tmp_path])
    for name in ("libtcmalloc_minimal.so.4", "libtcmalloc_minimal_debug.so.4", "libjemalloc.so.2", "libjemalloc.a"):
        (tmp_path / name).touch()
    assert find_allocator("tcmalloc") == str(tmp_path / "libtcmalloc_minimal.so.4")
    assert find_allocator("jemalloc") == str(tmp_path / "libjemalloc.so.2")
    (tmp_path / "libtcmalloc.so.4").touch()
    assert find_allocator("tcmalloc") == str(tmp_path / "libtcmalloc.so.4")
    (tmp_path / "libjemalloc.so.2").unlink()
    assert find_allocator("jemalloc") is None


def test_a_bound_thread_does_not_hide_the_other_cpus() -> None:
    import threading

    every = os.sched_getaffinity(0)
    ready, done = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: (ready.set(), done.wait()))
    other.start()
    ready.wait()
    try:
        os.sched_setaffinity(0, {min(every)})  # as OpenMP does to the thread that first needs it
        assert set(usable_cpus().all) == every
    finally:
        os.sched_setaffinity(0, every)
        done.set()
        other.join()


def test_the_header_of_a_run_says_that_it_was_not_quiet() -> None:
    loud = disturbances({}, "glibc 2.36", PLAIN)

    def header(found: tuple[str, ...] | None) -> str:
        run = Run("r", "2026-11-21T08:10:09+00:00", "complete", an_environment(disturbances=found))
        return render_header(run, width=120, color=False)

    said = "not quiet: glibc returns freed tensors to the kernel; idle OpenMP threads spin (see perfsuite launch)\n"
    assert header(loud).endswith(said)
    assert header(()) == header(None)
    assert "not quiet" not in header(())


# --- the command, as a process ----------------------------------------------------------------------

LOOK = """
import json, os, signal
from perfsuite.environment import gather_environment
found = gather_environment()
print(json.dumps({
    "disturbances": found.disturbances, "allocator": found.allocator, "cpus": sorted(os.sched_getaffinity(0)),
    "pipe": signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL, "variables": dict(os.environ), "pid": os.getpid(),
}))
"""


def launch(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OWN)}
    return subprocess.run(
        [sys.executable, "-m", "perfsuite.cli", "launch", *arguments],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    for part in parts:
        assert part in done.stderr


def test_a_process_that_was_launched_finds_itself_quiet() -> None:
    done = launch("--", sys.executable, "-c", LOOK)
    found = json.loads(done.stdout)
    assert found["disturbances"] == []
    assert all(f"{name}={value}" in found["allocator"] for name, value in GLIBC.items())
    assert found["cpus"] == list(usable_cpus().firsts)
    assert done.stderr.startswith("perfsuite launch: MALLOC_MMAP_THRESHOLD_=")
    assert done.stderr.count("\n") == 1


def test_a_process_that_was_not_launched_finds_itself_disturbed() -> None:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(OWN)}
    look = [sys.executable, "-c", LOOK]
    done = subprocess.run(look, cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["disturbances"][0].startswith("glibc returns freed tensors to the kernel: ")


def test_what_the_user_set_reaches_the_command_and_is_reported() -> None:
    done = launch("--", sys.executable, "-c", LOOK, OMP_WAIT_POLICY="active", OMP_NUM_THREADS="1")
    found = json.loads(done.stdout)
    assert (found["variables"]["OMP_WAIT_POLICY"], found["variables"]["OMP_NUM_THREADS"]) == ("active", "1")
    assert "kept OMP_NUM_THREADS=1 OMP_WAIT_POLICY=active" in done.stderr
    assert found["cpus"] == list(usable_cpus().firsts[:1])


def test_nothing_else_of_the_environment_changes() -> None:
    ours = {*GLIBC, *PASSIVE, "OMP_NUM_THREADS"}
    without_locale = {"LC_ALL": "", "LC_CTYPE": "", "LANG": ""}  # Python then sets one for itself
    for variables in ({"LANG": "C.UTF-8"}, without_locale):
        done = launch("--", "env", "-0", **variables)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(OWN)}
        after = dict(item.split("=", 1) for item in done.stdout.split("\0") if item)
        assert {key: value for key, value in after.items() if key not in ours} == {**kept, **variables}


def test_exit_codes_and_signals_are_the_commands_own() -> None:
    assert launch("--", "sh", "-c", "exit 7").returncode == 7
    assert launch("sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    assert launch("--", "sh", "-c", "kill -PIPE $$; exit 3").returncode == -signal.SIGPIPE
    assert json.loads(launch("--", sys.executable, "-c", LOOK).stdout)["pipe"] is False  # Python's own doing


def test_it_is_the_same_process() -> None:
    command = [sys.executable, "-m", "perfsuite.cli", "launch", "--", "sh", "-c", "echo $$; sleep 60"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert int(process.stdout.readline()) == process.pid
        # Not SIGINT: what a shell starts in the background ignores it, and hands that down.
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM


def test_what_stays_noisy_because_it_was_asked_for_is_said() -> None:
    assert "still: 99 threads share" in launch("--threads", "99", "--", "true").stderr
    assert "still:" not in launch("--threads", "1", "--", "true").stderr


def test_a_folder_of_the_commands_name_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "echo").mkdir()
    command = [sys.executable, "-m", "perfsuite.cli", "launch", "--", "echo", "found"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "found\n")


def test_options_of_the_command_are_its_own() -> None:
    assert launch("echo", "--threads", "x", "--", "--help").stdout == "--threads x -- --help\n"


def test_a_command_that_cannot_be_run(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo")
    assert_one_line(launch("--", "no-such-command"), 127, "no-such-command: command not found")
    assert_one_line(launch("--", str(tmp_path / "absent")), 127, "absent: command not found")
    assert_one_line(launch("--", ""), 127, "command not found")
    assert_one_line(launch("--", str(script)), 126, "script: cannot be run: Permission denied")
    assert_one_line(launch("--", str(tmp_path)), 126, "cannot be run")
    assert_one_line(launch("--", "tests"), 127, "tests: command not found")  # a folder here is no command
    script.write_bytes(b"\x7fELF and nothing more")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    failed = launch("--", str(script))
    assert failed.returncode == 126
    assert failed.stderr.splitlines()[-1] == f"perfsuite: error: {script}: cannot be run: Exec format error"


def test_wrong_calls_are_one_line() -> None:
    assert_one_line(launch(), 2, "which command? perfsuite launch -- COMMAND")
    assert_one_line(launch("--cpus", "4096", "--", "true"), 2, "CPU 4096 cannot be used")
    assert_one_line(launch("--cpus", "x", "--", "true"), 2, "CPU list 'x'")
    assert_one_line(launch("--threads", "0", "--", "true"), 2, "--threads")
    assert_one_line(launch("--allocator", "hoard", "--", "true"), 2, "hoard")


def test_a_dry_run_prints_what_a_shell_can_evaluate_and_runs_nothing(tmp_path: Path) -> None:
    dry = launch("--dry-run", "--threads", "1", "--", "touch", str(tmp_path / "made"))
    assert not (tmp_path / "made").exists()
    assert (dry.returncode, dry.stderr) == (0, "")
    printed = subprocess.run(
        ["sh", "-c", f"{dry.stdout}\nenv"], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    after = dict(line.split("=", 1) for line in printed.stdout.splitlines())
    assert {**GLIBC, **PASSIVE, "OMP_NUM_THREADS": "1"}.items() <= after.items()
    if len(usable_cpus().all) > 1:
        assert f"taskset -p -c {usable_cpus().firsts[0]} $$" in dry.stdout


def test_launch_needs_no_torch() -> None:
    code = (
        "import os, sys\n"
        "os.execvpe = lambda *a: print([m for m in ('torch', 'numpy', 'psutil', 'rich.table') if m in sys.modules])\n"
        "from perfsuite.cli import main\n"
        "main(['launch', '--', 'true'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n"


def test_gathering_an_environment_records_what_disturbs() -> None:
    here = gather_environment()
    assert here.disturbances is not None
    facts = {"torch_threads": 1000}
    shared = f"1000 threads share {len(usable_cpus().cores)} physical core"
    assert any(one.startswith(shared) for one in gather_environment(facts).disturbances or ())
