from __future__ import annotations

import errno
import gzip
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsuite.errors import StoreError, UsageError
from perfsuite.records import Operator, Profile, Samples
from perfsuite.store import RunWriter, create_run, join_run, list_runs, load_run, prune_runs, resolve_run
from perfsuite.store.files import read_record, workload_file_name
from tests.samples import a_primitive, a_profile, an_environment, profiles

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60.0


def recorded(directory: Path, *names: str, run_id: str | None = None, status: str = "complete") -> Path:
    """A finished run with a small workload for each name."""
    run = create_run(directory, an_environment(), run_id=run_id)
    for name in names:
        run.write(Profile(name))
    run.finish(status)
    return run.path


def names(path: Path) -> list[str]:
    return [profile.name for profile in load_run(path).workloads]


def everything_in(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest or a workload file as another program would."""
    packed = path.suffix == ".gz"
    data = json.loads(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    change(data)
    text = json.dumps(data).encode()
    path.write_bytes(gzip.compress(text) if packed else text)


def workload_file(run: Path, name: str) -> Path:
    return run / "workloads" / workload_file_name(name)


# --- what is written can be read ------------------------------------------------------------------


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    run = create_run(tmp_path / ".perfsuite", an_environment())
    run.write(a_profile())
    run.write(Profile("second", samples=Samples((1.5,))))
    run.finish()
    loaded = load_run(run.path)
    assert loaded.workloads == (a_profile(), Profile("second", samples=Samples((1.5,))))
    assert loaded.environment == an_environment()
    assert (loaded.id, loaded.status, loaded.problems) == (run.id, "complete", ())
    age = datetime.now(timezone.utc) - datetime.fromisoformat(loaded.created)
    assert timedelta(0) <= age < timedelta(minutes=5)


def _reads_back(profile: Profile) -> bool:
    """Whether the indices of a made-up profile point at rows and its numbers are some, which the store insists on."""
    rows = (*profile.operators, *profile.primitives, *profile.python, *filter(None, [profile.ledger]))
    numbers = (value for row in rows for value in vars(row).values() if isinstance(value, float))
    samples = (sample for one in profile.primitives for sample in one.time_ns_samples)
    if not all(abs(number) < 2.0**200 for number in (*numbers, *samples)):
        return False
    curve = profile.allocation_curve
    if curve is not None and not 0 < len(curve.times_ns) == len(curve.live_bytes):
        return False
    if curve is not None and list(curve.times_ns) != sorted(curve.times_ns):
        return False
    return all(0 <= i < len(profile.primitives) for o in profile.operators for i in o.primitives) and all(
        p.operator is None or 0 <= p.operator < len(profile.operators) for p in profile.primitives
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(profile=profiles)
def test_any_profile_reads_back_or_is_named_as_a_problem(tmp_path: Path, profile: Profile) -> None:
    run = create_run(tmp_path, an_environment())
    run.write(profile)
    run.finish()
    loaded = load_run(run.path)
    if _reads_back(profile):
        assert (loaded.workloads, loaded.problems) == ((profile,), ())
    else:
        assert loaded.workloads == ()
        assert re.search("no primitive|no operator|a number that is not finite|allocation_curve", loaded.problems[0])
    shutil.rmtree(run.path)


def test_the_folder_is_as_documented(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / ".perfsuite"
    path = recorded(directory, "a", "b")
    assert (directory / ".gitignore").read_text() == "*\n"
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4,}", path.name)
    assert sorted(everything_in(path)) == [
        ".lock", "run.json", f"workloads/{workload_file_name('a')}", f"workloads/{workload_file_name('b')}",
    ]  # fmt: skip
    manifest = json.loads((path / "run.json").read_text())
    assert manifest["format"] == 3
    assert manifest["workloads"] == [workload_file_name("a"), workload_file_name("b")]


def test_a_folder_with_other_things_in_it_is_not_hidden_from_git(tmp_path: Path) -> None:
    (tmp_path / "setup.py").touch()
    recorded(tmp_path, "a")
    assert not (tmp_path / ".gitignore").exists()


def test_a_gitignore_of_the_users_own_is_kept(tmp_path: Path) -> None:
    recorded(tmp_path, "a")
    (tmp_path / ".gitignore").write_text("*.gz\n")
    recorded(tmp_path, "b")
    assert (tmp_path / ".gitignore").read_text() == "*.gz\n"


def test_the_same_profile_gives_the_same_bytes(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    first = run.write(a_profile()).read_bytes()
    assert run.write(a_profile()).read_bytes() == first
    assert first[4:8] == b"\0\0\0\0", "gzip's own time stamp"
    assert names(run.path) == [a_profile().name]


def test_workloads_come_back_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    order = ["z", "a", "m", "b"]
    run = create_run(tmp_path, an_environment())
    for i, name in enumerate(order):
        file = run.write(Profile(name))
        os.utime(file, ns=(i, i))  # A file system's clock is coarser than this loop.
    assert names(run.path) == order
    run.finish()
    for file in (run.path / "workloads").iterdir():
        os.utime(file, ns=(0, 0))
    assert names(run.path) == order


def test_a_run_is_interrupted_until_it_is_finished(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    run.write(Profile("a"))
    assert load_run(run.path).status == "interrupted"
    run.finish("interrupted")
    assert load_run(run.path).status == "interrupted"
    run.finish(environment=an_environment(torch="2.8.0"))
    assert load_run(run.path).status == "complete"
    assert load_run(run.path).environment.torch == "2.8.0"
    with pytest.raises(ValueError, match="status 'done'"):
        run.finish("done")


# --- names ------------------------------------------------------------------------------------------

HOSTILE = [
    "a/b::c", "../../etc/passwd", "..", ".", "", "/", "a\0b", "ünï→😀", "\ud800", "x" * 300, "y" * 5000, "a b\nc\t",
    "-rf", "CON", "a%2Fb", "~", "$(touch x)", "[red]bold[/red]", "\x1b[31m", "\u00c5", "A\u030a", "case", "CASE",
    "p[0.1]", "p[0-1]", "p 0.1", "a" * 200 + "1", "a" * 200 + "2",
]  # fmt: skip


def test_hostile_test_ids_stay_inside_the_folder_and_apart(tmp_path: Path) -> None:
    run = create_run(tmp_path / "runs", an_environment())
    for name in HOSTILE:
        file = run.write(Profile(name))
        assert file.parent == run.path / "workloads"
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}-[0-9a-f]{20}\.json\.gz", file.name), file.name
    run.finish()
    assert sorted(names(run.path)) == sorted(HOSTILE)
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


@given(st.text(max_size=400), st.text(max_size=400))
def test_file_names_are_plain_and_differ_with_the_name(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}-[0-9a-f]{20}\.json\.gz", workload_file_name(one))
    assert (workload_file_name(one).lower() == workload_file_name(other).lower()) == (one == other)


@pytest.mark.parametrize("run_id", ["", "..", "a/b", ".hidden", "latest", "x" * 101, "a\nb", "-x", "ü"])
def test_a_run_id_must_be_a_plain_name(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(StoreError, match="run id"):
        create_run(tmp_path, an_environment(), run_id=run_id)
    assert list(tmp_path.iterdir()) == []


def test_a_run_id_that_is_taken_is_refused_and_the_run_kept(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a", run_id="mine")
    before = everything_in(tmp_path)
    with pytest.raises(StoreError, match="run 'mine' exists already"):
        create_run(tmp_path, an_environment(), run_id="mine")
    assert everything_in(tmp_path) == before
    assert names(path) == ["a"]


# --- damage -----------------------------------------------------------------------------------------


def test_a_workload_file_cut_off_at_any_byte_does_not_lose_the_others(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a", "b", "c")
    file = workload_file(path, "b")
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        loaded = load_run(path)
        assert [profile.name for profile in loaded.workloads] == ["a", "c"], length
        assert len(loaded.problems) == 1, length
        assert loaded.problems[0].startswith(f"{file}: damaged"), length
    file.write_bytes(whole)
    assert names(path) == ["a", "b", "c"]


def test_a_manifest_cut_off_at_any_byte_is_refused_by_name(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a")
    manifest = path / "run.json"
    whole = manifest.read_bytes()
    for length in range(len(whole)):
        manifest.write_bytes(whole[:length])
        with pytest.raises(StoreError) as caught:
            load_run(path)
        assert str(caught.value).startswith(f"{manifest}: damaged"), length
        assert str(caught.value).endswith("the workload files beside it are untouched"), length
    manifest.write_bytes(whole)
    assert names(path) == ["a"]


def test_a_changed_byte_in_a_workload_file_is_noticed(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a", "b")
    file = workload_file(path, "b")
    whole = file.read_bytes()
    intact = load_run(path)
    # Ten bytes of gzip header hold nothing that the checksum covers.
    for position in range(10, len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        loaded = load_run(path)
        assert loaded.problems or loaded == intact, position
        assert loaded.workloads[0] == intact.workloads[0], position


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"plain text", "not a whole gzip file"),
        (gzip.compress(b"{nonsense"), "not valid JSON"),
        (gzip.compress(b'"\xff\xfe"'), "not valid JSON"),
        (gzip.compress(b"[" * 200_000), "not valid JSON"),
        (gzip.compress(b"[]"), "does not say which format"),
        (gzip.compress(b"{}"), "does not say which format"),
        (gzip.compress(b'{"format": true}'), "does not say which format"),
        (gzip.compress(b'{"format": "1"}'), "does not say which format"),
        (gzip.compress(b'{"format": 0}'), "unknown format 0"),
        (gzip.compress(b'{"format": 1}'), "'profile' is missing"),
        (gzip.compress(b'{"format": 1, "profile": null}'), "expected an object"),
        (gzip.compress(b'{"format": 1, "profile": {"name": 7}}'), "expected str, found 7"),
        (gzip.compress(b'{"format": 1, "profile": {"name": "b"}}') + b"tail", "not a whole gzip file"),
    ],
)
def test_nonsense_in_a_workload_file_is_a_problem_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = recorded(tmp_path, "a", "b")
    workload_file(path, "b").write_bytes(content)
    loaded = load_run(path)
    assert [profile.name for profile in loaded.workloads] == ["a"]
    (problem,) = loaded.problems
    assert reason in problem
    assert workload_file_name("b") in problem
    assert "\n" not in problem


def test_a_listed_file_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a", "b")
    workload_file(path, "a").unlink()
    loaded = load_run(path)
    assert [profile.name for profile in loaded.workloads] == ["b"]
    assert loaded.problems == (f"{workload_file(path, 'a')}: missing, though run.json lists it",)
    assert list_runs(tmp_path)[0].problem == "1 of 2 workload files missing"


def test_temporary_files_and_strangers_are_ignored(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a")
    (path / "workloads" / ".0123.tmp").write_bytes(b"half")
    (path / "workloads" / ".x.json.gz").write_bytes(b"half")
    (path / "workloads" / "notes.txt").write_bytes(b"mine")
    assert (names(path), load_run(path).problems) == (["a"], ())


@pytest.mark.parametrize("index", [1, -1])
def test_a_row_that_points_nowhere_is_a_problem(tmp_path: Path, index: int) -> None:
    operator = Operator("o", None, None, (), 1, 1, (), 1, primitives=(index,))
    run = create_run(tmp_path, an_environment())
    run.write(Profile("a", operators=(operator,), primitives=(a_primitive("reorder", "undef", 1.0, 0),)))
    run.write(Profile("b", primitives=(a_primitive("reorder", "undef", 1.0, 0),)))
    run.write(Profile("c", samples=Samples((1.0,), 0)))
    run.finish()
    assert [re.sub(r".*gz: ", "", problem) for problem in sorted(load_run(run.path).problems)] == [
        f"workload.profile.operators[0].primitives: no primitive {index}",
        "workload.profile.primitives[0].operator: no operator 0",
        "workload.profile.samples.iterations: 0 is not positive",
    ]


def test_a_newer_manifest_is_refused_and_the_way_out_named(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a")
    edit_json(path / "run.json", lambda data: data.update(format=4))
    with pytest.raises(StoreError, match=r"written by a newer perfsuite \(format 4, this one reads 3\).*upgrade"):
        load_run(path)


def test_a_newer_workload_file_is_refused_and_the_rest_shown(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a", "b")
    edit_json(workload_file(path, "b"), lambda data: data.update(format=4))
    loaded = load_run(path)
    assert [profile.name for profile in loaded.workloads] == ["a"]
    assert "written by a newer perfsuite (format 4, this one reads 3)" in loaded.problems[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(colour="blue"), "unknown key 'colour'"),
        (lambda d: d["environment"].update(gpu="none"), "unknown key 'gpu'"),
        (lambda d: d.pop("environment"), "'environment' is missing"),
        (lambda d: d.update(status="done"), "expected one of complete, interrupted, found 'done'"),
        (lambda d: d.update(created="yesterday"), "expected an ISO 8601 time"),
        (lambda d: d.update(created="2026-11-21T08:10:09"), "expected a time zone"),
        (lambda d: d.update(workloads=["../../secret.json.gz"]), "is no plain file name"),
        (lambda d: d.update(workloads=["a\0b"]), "is no plain file name"),
        (lambda d: d.update(workloads=[3]), "expected str"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = recorded(tmp_path, "a")
    edit_json(path / "run.json", change)
    with pytest.raises(StoreError, match=re.escape(message)):
        load_run(path)


def test_an_unknown_key_in_a_workload_file_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a")
    edit_json(workload_file(path, "a"), lambda data: data["profile"].update(colour="blue"))
    assert "unknown key 'colour'" in load_run(path).problems[0]


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run at"):
        load_run(tmp_path)
    with pytest.raises(StoreError, match="no run at"):
        load_run(tmp_path / "absent")


# --- writing fails ----------------------------------------------------------------------------------


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("function", ["replace", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_write_that_fails_says_so_and_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    run = create_run(tmp_path, an_environment())
    run.write(Profile("a"))
    before = everything_in(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing(code))
        for attempt in (lambda: run.write(Profile("b" * 500)), lambda: run.write(Profile("a", steps=9)), run.finish):
            with pytest.raises(StoreError, match=re.escape(os.strerror(code))) as caught:
                attempt()
            assert "\n" not in str(caught.value)
        with pytest.raises(StoreError, match="cannot create a run"):
            create_run(tmp_path, an_environment())
    assert everything_in(tmp_path) == before
    assert names(run.path) == ["a"]


def test_ctrl_c_in_the_middle_of_a_write_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tmp_path, an_environment())
    before = everything_in(tmp_path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run.write(Profile("a"))
        with pytest.raises(KeyboardInterrupt):
            create_run(tmp_path, an_environment())
    assert everything_in(tmp_path) == before
    assert len(list_runs(tmp_path)) == 1


def test_a_file_in_place_of_the_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match=r"cannot create a run in .*; choose a folder"):
            create_run(directory, an_environment())
    run = create_run(tmp_path / "runs", an_environment())
    (run.path / "workloads").rmdir()
    (run.path / "workloads").touch()
    with pytest.raises(StoreError, match=r"cannot save workload 'a' in .*: Not a directory"):
        run.write(Profile("a"))
    with pytest.raises(StoreError, match="cannot finish the run"):
        run.finish()
    with pytest.raises(StoreError, match="cannot be read: Not a directory"):
        load_run(run.path)
    assert "Not a directory" in (list_runs(tmp_path / "runs")[0].problem or "")


def test_a_run_that_was_deleted_under_us_is_one_clear_line(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    shutil.rmtree(run.path)
    with pytest.raises(StoreError, match="cannot save workload"):
        run.write(Profile("a"))
    with pytest.raises(StoreError, match="no run at"):
        join_run(run.path)


FULL_DISK = """
import resource, sys
from pathlib import Path
from perfsuite.errors import StoreError
from perfsuite.records import Profile
from perfsuite.store import create_run, load_run
from tests.samples import an_environment

run = create_run(Path(sys.argv[1]), an_environment())
run.write(Profile("small"))
# The kernel now refuses to let any file grow past this, as it does on a disk that is full.
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
import random
noise = tuple(str(random.random()) for _ in range(2000))
try:
    run.write(Profile("large", notes=noise))
except StoreError as error:
    print(error)
run.write(Profile("another"))
run.finish()
"""


def test_a_disk_that_refuses_the_bytes_loses_only_that_workload(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert "cannot save workload 'large'" in done.stdout
    assert "File too large" in done.stdout
    (run,) = list_runs(tmp_path)
    loaded = load_run(run.path)
    assert (loaded.status, loaded.problems) == ("complete", ())
    assert sorted(profile.name for profile in loaded.workloads) == ["another", "small"]
    assert not list(tmp_path.rglob("*.tmp"))


# --- several processes ------------------------------------------------------------------------------


def _record_some(directory: str, worker: int, runs: int) -> None:
    for i in range(runs):
        recorded(Path(directory), f"worker {worker}, run {i}")


def _join_and_write(path: str, worker: int, count: int) -> None:
    with join_run(Path(path)) as run:
        for i in range(count):
            run.write(Profile(f"worker {worker}, workload {i}"))
        run.finish()


def _in_processes(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=target, args=args) for args in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE_S)
        assert process.exitcode == 0


def test_two_processes_at_once_never_share_a_run(tmp_path: Path) -> None:
    directory = tmp_path / "runs"
    _in_processes(_record_some, [(str(directory), worker, 12) for worker in range(2)])
    runs = list_runs(directory)
    assert [(run.status, run.workloads, run.problem) for run in runs] == [("complete", 1, None)] * 24
    found = {name for run in runs for name in names(run.path)}
    assert found == {f"worker {worker}, run {i}" for worker in range(2) for i in range(12)}


def test_workers_write_into_the_run_of_their_controller(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    manifest = (run.path / "run.json").read_bytes()
    _in_processes(_join_and_write, [(str(run.path), worker, 10) for worker in range(2)])
    assert (run.path / "run.json").read_bytes() == manifest
    run.finish()
    loaded = load_run(run.path)
    assert loaded.problems == ()
    assert len(loaded.workloads) == 20
    assert len(json.loads((run.path / "run.json").read_text())["workloads"]) == 20


WRITES_FOR_EVER = """
import itertools, sys
from pathlib import Path
from perfsuite.store import create_run
from tests.samples import a_profile, an_environment

run = create_run(Path(sys.argv[1]), an_environment())
print(run.path, flush=True)
for i in itertools.count():
    run.write(a_profile(f"workload {i}"))
    print(i, flush=True)
"""


@contextmanager
def endless_writer(directory: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has saved three workloads into a run and is writing the next."""
    command = [sys.executable, "-c", WRITES_FOR_EVER, str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            path = Path(process.stdout.readline().strip())
            assert [process.stdout.readline().strip() for _ in range(3)] == ["0", "1", "2"]
            yield process, path
        finally:
            process.kill()


def test_a_kill_keeps_what_was_finished(tmp_path: Path) -> None:
    with endless_writer(tmp_path) as (process, path):
        assert list_runs(tmp_path)[0].status == "running"
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)
    loaded = load_run(path)
    assert (loaded.status, loaded.problems) == ("interrupted", ())
    assert len(loaded.workloads) >= 3
    assert loaded.workloads[0] == a_profile("workload 0")
    assert list_runs(tmp_path)[0].status == "interrupted"


def test_a_run_that_is_being_written_is_never_pruned(tmp_path: Path) -> None:
    with endless_writer(tmp_path) as (process, path):
        newer = recorded(tmp_path, "a")
        assert prune_runs(tmp_path, 0) == (newer.name,)
        assert path.is_dir()
        process.kill()
        process.wait(DEADLINE_S)
    assert prune_runs(tmp_path, 0) == (path.name,)
    assert list_runs(tmp_path) == ()


def test_a_worker_that_is_still_writing_keeps_the_run_too(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    worker = join_run(run.path)
    run.finish()
    assert prune_runs(tmp_path, 0) == ()
    worker.close()
    worker.close()
    assert prune_runs(tmp_path, 0) == (run.id,)


def test_a_child_that_outlives_the_run_does_not_keep_it(tmp_path: Path) -> None:
    run = create_run(tmp_path, an_environment())
    child = os.fork()
    if child == 0:
        time.sleep(DEADLINE_S)
        os._exit(0)
    try:
        run.finish()
        assert prune_runs(tmp_path, 0) == (run.id,)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _prune_all(directory: str) -> None:
    prune_runs(Path(directory), 0)


def test_two_prunes_at_once_do_not_trip_over_each_other(tmp_path: Path) -> None:
    for i in range(30):
        recorded(tmp_path, f"{i}")
    _in_processes(_prune_all, [(str(tmp_path),)] * 2)
    assert [path.name for path in tmp_path.iterdir()] == [".gitignore"]


# --- list, resolve, prune ---------------------------------------------------------------------------


def test_runs_are_listed_newest_first_even_within_a_second(tmp_path: Path) -> None:
    ids = [recorded(tmp_path, "a").name for _ in range(8)]
    assert [run.id for run in list_runs(tmp_path)] == ids[::-1]
    assert resolve_run("latest", tmp_path) == tmp_path / ids[-1]


def test_a_run_made_on_a_whole_second_sorts_with_the_others(tmp_path: Path) -> None:
    made = []
    for microsecond in ("000000", "000001", "500000"):
        path = recorded(tmp_path, "a")
        edit_json(path / "run.json", lambda d, us=microsecond: d.update(created=f"2026-11-21T08:10:09.{us}+00:00"))
        made.append(path.name)
    assert [run.id for run in list_runs(tmp_path)] == made[::-1]


def test_the_listing_has_sizes_counts_and_times(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a", "b")
    (run,) = list_runs(tmp_path)
    assert (run.id, run.path, run.workloads, run.status, run.problem) == (path.name, path, 2, "complete", None)
    assert run.size_bytes == sum(len(data) for data in everything_in(path).values())
    assert run.created == load_run(path).created


def test_a_broken_run_is_listed_with_its_problem_and_hides_no_other(tmp_path: Path) -> None:
    good, bad, empty = (recorded(tmp_path, "a") for _ in range(3))
    (bad / "run.json").write_bytes(b"{")
    shutil.rmtree(empty)
    empty.mkdir()
    listed = {run.id: run for run in list_runs(tmp_path)}
    assert listed[good.name].problem is None
    assert "run.json: damaged" in (listed[bad.name].problem or "")
    assert (listed[bad.name].created, listed[bad.name].status, listed[bad.name].workloads) == (None, None, 1)
    assert "has no run.json" in (listed[empty.name].problem or "")
    assert len(prune_runs(tmp_path, 0)) == 3


def test_other_folders_are_not_runs(tmp_path: Path) -> None:
    path = recorded(tmp_path, "a")
    (tmp_path / "src").mkdir()
    (tmp_path / "link").symlink_to(path)
    assert [run.id for run in list_runs(tmp_path)] == [path.name]
    assert list_runs(tmp_path / "absent") == ()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot read"):
        list_runs(tmp_path / "file")


def test_prune_keeps_somebody_elses_folder_with_a_run_json(tmp_path: Path) -> None:
    theirs = tmp_path / "app"
    theirs.mkdir()
    (theirs / "run.json").write_text('{"scripts": {}}')
    mine = recorded(tmp_path, "a", run_id="mine")
    assert prune_runs(tmp_path, 0) == (mine.name,)
    assert (theirs / "run.json").exists()


def test_prune_keeps_the_newest(tmp_path: Path) -> None:
    ids = [recorded(tmp_path, "a").name for _ in range(5)]
    assert prune_runs(tmp_path, 9) == ()
    assert sorted(prune_runs(tmp_path, 2)) == sorted(ids[:3])
    assert [run.id for run in list_runs(tmp_path)] == [ids[4], ids[3]]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".gitignore", *ids[3:]])
    with pytest.raises(UsageError, match="keep -1"):
        prune_runs(tmp_path, -1)


def test_prune_sweeps_what_a_kill_left_behind_long_ago(tmp_path: Path) -> None:
    recorded(tmp_path, "a")
    for name in (".new-0123", ".gone-4567"):
        (tmp_path / name / "workloads").mkdir(parents=True)
    prune_runs(tmp_path, 1)
    assert (tmp_path / ".new-0123").exists(), "it may be a run that is just being made"
    for name in (".new-0123", ".gone-4567"):
        os.utime(tmp_path / name, (0, 0))
    prune_runs(tmp_path, 1)
    assert not (tmp_path / ".new-0123").exists()
    assert not (tmp_path / ".gone-4567").exists()


def test_prune_that_may_not_remove_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, "a")
    monkeypatch.setattr(Path, "rename", failing(errno.EACCES))
    with pytest.raises(StoreError, match=r"cannot remove .*Permission denied"):
        prune_runs(tmp_path, 0)


def test_a_run_is_found_by_path_id_beginning_or_latest(tmp_path: Path) -> None:
    directory = tmp_path / "runs"
    first = recorded(directory, "a", run_id="alpha-1")
    second = recorded(directory, "a", run_id="alpha-12")
    third = recorded(directory, "a", run_id="beta")
    assert resolve_run("latest", directory) == third
    assert resolve_run("b", directory) == third
    assert resolve_run("alpha-1", directory) == first, "a whole id wins over a beginning"
    assert resolve_run("alpha-12", directory) == second
    assert resolve_run(str(first), tmp_path / "elsewhere") == first
    with pytest.raises(StoreError, match=r"'alpha' is the beginning of 2 runs: alpha-12, alpha-1; write more"):
        resolve_run("alpha", directory)
    with pytest.raises(StoreError, match=r"no run 'gamma' in .*: there are beta, alpha-12, alpha-1"):
        resolve_run("gamma", directory)


@pytest.mark.parametrize("spec", ["", "/", "..", "x" * 5000, "a\0b", "*"])
def test_a_spec_that_names_nothing_is_one_clear_line(tmp_path: Path, spec: str) -> None:
    recorded(tmp_path, "a")
    with pytest.raises(StoreError, match=r"no run|is not a run"):
        resolve_run(spec, tmp_path)


@pytest.mark.parametrize("spec", ["latest", "2026"])
def test_without_runs_it_says_how_to_record_one(tmp_path: Path, spec: str) -> None:
    with pytest.raises(StoreError, match="record one with: pytest --profile-dnn"):
        resolve_run(spec, tmp_path / "absent")


def test_a_writer_that_is_closed_without_finishing_stays_interrupted(tmp_path: Path) -> None:
    with create_run(tmp_path, an_environment()) as run:
        run.write(Profile("a"))
        assert isinstance(run, RunWriter)
        assert list_runs(tmp_path)[0].status == "running"
    assert list_runs(tmp_path)[0].status == "interrupted"


def recorded_in_full(directory: Path) -> Path:
    run = create_run(directory, an_environment())
    run.write(a_profile("full"))
    run.finish()
    return run.path


def test_a_run_of_format_2_is_still_read(tmp_path: Path) -> None:
    path = recorded_in_full(tmp_path)
    edit_json(workload_file(path, "full"), lambda d: (d.update(format=2), d["profile"].pop("allocation_curve")))
    edit_json(path / "run.json", lambda data: data.update(format=2))
    loaded = load_run(path)
    assert loaded.problems == ()
    assert loaded.workloads == (a_profile("full", allocation_curve=None),)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"live_bytes": [1]}, "1 values for 7 times"),
        ({"live_bytes": [], "times_ns": []}, "0 values for 0 times"),
        ({"times_ns": [0, 10_000, 41_000, 60_000, 90_000, 89_999, 100_000]}, "not in order"),
        ({"live_bytes": [0, 2**300, 0, 0, 0, 0, 0]}, "a number that nothing can have"),
        ({"phases": [{"name": "forward"}]}, "'start_ns' is missing"),
    ],
)
def test_a_damaged_allocation_curve_is_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    path = recorded_in_full(tmp_path)
    edit_json(workload_file(path, "full"), lambda data: data["profile"]["allocation_curve"].update(change))
    loaded = load_run(path)
    assert loaded.workloads == ()
    assert "workload.profile.allocation_curve" in loaded.problems[0]
    assert problem in loaded.problems[0]


def test_a_run_of_format_1_is_still_read(tmp_path: Path) -> None:
    path = recorded_in_full(tmp_path)

    def as_format_1(data: dict[str, Any]) -> None:
        data.update(format=1)
        del data["profile"]["allocation_curve"]
        for operator in data["profile"]["operators"]:
            for key in ("dtypes", "counts", "bytes_moved", "allocated_bytes_samples", "allocations_samples"):
                del operator[key]
        for primitive in data["profile"]["primitives"]:
            del primitive["counts"], primitive["time_ns_samples"]

    edit_json(workload_file(path, "full"), as_format_1)
    edit_json(path / "run.json", lambda data: (data.update(format=1), data["environment"].pop("disturbances")))
    loaded = load_run(path)
    assert loaded.problems == ()
    assert loaded.environment.disturbances is None
    assert loaded.workloads == (a_profile("full", allocation_curve=None),)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400])
def test_numbers_that_nothing_can_have_are_refused(tmp_path: Path, number: float) -> None:
    path = recorded_in_full(tmp_path)
    edit_json(workload_file(path, "full"), lambda data: data["profile"]["operators"][0].update(count=number))
    loaded = load_run(path)
    assert loaded.workloads == ()
    assert "workload.profile.operators[0]: a number that is not finite" in loaded.problems[0]


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("phases[0]", {"phases": [{"name": "forward", "samples_ns": [10**400]}]}),
        ("walls_ns", {"walls_ns": {"a": [-(10**400)]}}),
    ],
)
def test_so_they_are_where_they_are_no_row(tmp_path: Path, place: str, change: dict[str, Any]) -> None:
    path = recorded_in_full(tmp_path)
    edit_json(workload_file(path, "full"), lambda data: data["profile"].update(change))
    loaded = load_run(path)
    assert loaded.workloads == ()
    assert f"workload.profile.{place}: a number that is not finite" in loaded.problems[0]


# --- files of one record ------------------------------------------------------------------------------


def two_rounds_at_least(samples: Samples) -> None:
    if len(samples.rounds_ns) < 2:
        raise StoreError("damaged, it has too few rounds")


def test_a_record_in_a_file_of_its_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "samples.json"
    assert read_record(path, Samples, 3, "measure again") is None
    path.write_text('{"format": 3, "rounds_ns": [1.5]}')
    assert read_record(path, Samples, 3, "measure again") == Samples((1.5,))
    path.write_text('{"format": 3, "rounds_ns": [1.5, 2.5]}')
    assert read_record(path, Samples, 3, "measure again", two_rounds_at_least) == Samples((1.5, 2.5))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged, not valid JSON (Expecting value: line 1 column 1 (char 0))"),
        ("[]", "damaged, it does not say which format it has"),
        ('{"rounds_ns": [1.5]}', "damaged, it does not say which format it has"),
        ('{"format": 2, "rounds_ns": [1.5]}', "format 2, this perfsuite reads 3"),
        ('{"format": 4, "rounds_ns": [1.5]}', "format 4, this perfsuite reads 3"),
        ('{"format": 3}', "Samples: key 'rounds_ns' is missing; the file is damaged"),
        ('{"format": 3, "rounds_ns": [1.5]}', "damaged, it has too few rounds"),
    ],
)
def test_any_other_file_is_refused_with_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "samples.json"
    path.write_text(text)
    with pytest.raises(StoreError) as caught:
        read_record(path, Samples, 3, "measure again", two_rounds_at_least)
    assert str(caught.value) == f"{path}: {said}; measure again"


def test_one_that_cannot_be_opened_is_refused_as_well(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"^{re.escape(str(tmp_path))}: cannot be read: Is a directory$"):
        read_record(tmp_path, Samples, 3, "measure again")
