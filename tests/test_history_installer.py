"""Stacks are installed by the real pip, from tiny wheels, without a network."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from perfsuite.history import venvs
from perfsuite.history.commits import commit_at, ensure_repository
from perfsuite.history.complaints import failure_line
from perfsuite.history.failures import failures, forget_failure, note_failure
from perfsuite.history.installer import InstallError, disk_bytes, install, is_installed, prune
from perfsuite.history.marked import marked
from perfsuite.history.model import Stack
from perfsuite.history.settings import HistorySettings, read_settings
from perfsuite.history.venvs import Venv
from perfsuite.history.wheels import stack_of
from tests.history_repository import Project, build_wheel, installed_wheel, write_conf

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    installed_wheel(folder, "asv_runner")
    installed_wheel(folder, "pip")
    for version in ("1.0", "2.0"):
        build_wheel(folder, "stand-in", version, {"stand_in.py": f"VERSION = {version!r}\n"}, ["helper"])
    build_wheel(folder, "helper", "1.0", {"helper.py": ""})
    build_wheel(folder, "broken", "1.0", {"broken.py": "import pkg_resources_of_old\n"})
    build_wheel(folder, "deadly", "1.0", {"deadly.py": "import os; os.kill(os.getpid(), 11)\n"})
    build_wheel(folder, "picky", "1.0", {"picky.py": ""}, ["helper==7"])
    return folder


@pytest.fixture
def settings(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HistorySettings:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("ASV_RUNNER_PATH", raising=False)
    return read_settings(write_conf(tmp_path / "conf", "repo"))


@pytest.fixture(scope="module")
def made(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistorySettings]:
    """Settings of a folder in which ``ONE`` is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        settings = read_settings(write_conf(tmp_path_factory.mktemp("conf"), "repo"))
        install(ONE, settings)
        yield settings


ONE = Stack(("stand-in==1.0",), ("stand_in",), "release v1.0")


def venv_of(stack: Stack, settings: HistorySettings) -> Venv:
    (found,) = (one for one in venvs.venvs(settings) if _is_of(one, stack))
    return found


def _is_of(venv: Venv, stack: Stack) -> bool:
    content = json.loads((venv.path / "perfsuite-stack.json").read_text())
    return set(stack.requirements) <= set(content["requirements"])


def printed(python: Path, code: str) -> str:
    # Not where this runs: the folder would be on the path, and a checkout has the metadata of an installation in it.
    done = subprocess.run([str(python), "-c", code], cwd=python.parent, capture_output=True, text=True, check=True)
    return done.stdout.strip()


# --- installing -------------------------------------------------------------------------------------


def test_a_stack_has_what_was_asked_for_and_what_asv_starts(
    made: HistorySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    python = install(ONE, made)
    assert python.is_relative_to(made.env_dir / "stacks")
    assert printed(python, "import stand_in, helper, asv_runner.run; print(stand_in.VERSION)") == "1.0"
    listed = printed(python, "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()))")
    assert listed == "['asv_runner', 'helper', 'stand-in']"


def test_it_is_installed_once(made: HistorySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    venv = venv_of(ONE, made)
    os.utime(venv.path / "perfsuite-stack.json", (1, 1))
    before = venv.log.stat().st_mtime_ns
    monkeypatch.setattr("perfsuite.history.installer.run_child", pytest.fail)
    assert install(ONE, made) == venv.python
    assert venv.log.stat().st_mtime_ns == before
    assert venv.used > time.time() - 60, "so that it is not the first to go"
    assert is_installed(ONE, made)
    assert not is_installed(replace(ONE, requirements=("stand-in==2.0",)), made)


def test_a_stack_is_known_by_what_is_asked_for(made: HistorySettings, tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, "stand-in", "3.0", {})

    def place(stack: Stack, settings: HistorySettings = made) -> Path:
        return venvs.venv_of(stack, settings, stack.requirements).path

    assert place(ONE) == place(replace(ONE, origin="wheel map"))
    stacks = [
        ONE,
        replace(ONE, requirements=("stand-in==1.0", "numpy")),
        replace(ONE, build=(("make",),)),
        replace(ONE, python="python3.9"),
        replace(ONE, requirements=(str(wheel),)),
    ]
    assert len({place(stack) for stack in stacks}) == len(stacks)
    before = place(stacks[-1])
    os.utime(wheel, (1, 1))
    assert place(stacks[-1]) != before, "another wheel at the same place"
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("numpy<2\n")
    constrained = replace(made, constraints=constraints)
    assert place(ONE, constrained) != place(ONE)
    first = place(ONE, constrained)
    constraints.write_text("numpy<3\n")
    assert place(ONE, constrained) != first


def test_a_requirement_that_is_nowhere(settings: HistorySettings) -> None:
    with pytest.raises(InstallError, match=r"^pip: No matching distribution found for stand-in==9\.9 \(see .*\.log\)$"):
        install(replace(ONE, requirements=("stand-in==9.9",)), settings)
    assert venvs.venvs(settings) == (), "what was begun is gone"
    (log,) = (settings.env_dir / "stacks").glob("*.log")
    assert "1.0, 2.0" in log.read_text()


def test_requirements_that_do_not_fit_each_other_and_constraints(settings: HistorySettings, tmp_path: Path) -> None:
    with pytest.raises(InstallError, match=r"^pip: Cannot install .*conflicting dependencies"):
        install(replace(ONE, requirements=("picky", "helper==1.0")), settings)
    (tmp_path / "constraints.txt").write_text("stand-in<2\n")
    constrained = replace(settings, constraints=tmp_path / "constraints.txt")
    python = install(replace(ONE, requirements=("stand-in",)), constrained)
    assert printed(python, "import stand_in; print(stand_in.VERSION)") == "1.0"


def test_what_cannot_be_imported_is_kept_and_costs_only_the_import_again(settings: HistorySettings) -> None:
    stack = Stack(("broken", "stand-in==1.0"), ("stand_in", "broken"), "release v1.0")
    said = r"^broken is installed, but cannot be imported: ModuleNotFoundError: No module named 'pkg_resources_of_old'$"
    with pytest.raises(InstallError, match=said):
        install(stack, settings)
    (venv,) = venvs.venvs(settings)
    before = venv.log.stat().st_mtime_ns
    with pytest.raises(InstallError, match=said):
        install(stack, settings)
    assert venv.log.stat().st_mtime_ns == before
    (site,) = venv.path.glob("lib/python*/site-packages")
    (site / "broken.py").write_text("")
    assert install(stack, settings) == venv.python
    dead = Stack(("deadly",), ("deadly",), "release v1.0")
    with pytest.raises(InstallError, match=r"^deadly is installed, but cannot be imported: ended by signal 11$"):
        install(dead, settings)


def test_the_callers_own_packages_do_not_count(
    settings: HistorySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/pkg_resources_of_old.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "target"))
    with pytest.raises(InstallError, match="broken is installed, but cannot be imported"):
        install(Stack(("broken",), ("broken",), ""), settings)
    assert not (tmp_path / "target").exists()


def test_a_missing_interpreter_and_a_missing_uv(settings: HistorySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InstallError, match=r"^there is no interpreter 'python2\.0'"):
        install(replace(ONE, python="python2.0"), settings)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InstallError, match=r"^there is no uv on PATH"):
        install(ONE, replace(settings, installer="uv"))


def test_a_command_may_not_take_for_ever(settings: HistorySettings) -> None:
    with pytest.raises(InstallError, match=r"^venv did not end within 0\.01 s \(`install_timeout`\)$"):
        install(ONE, replace(settings, install_timeout=0.01))
    assert venvs.venvs(settings) == ()


# --- what was never finished ------------------------------------------------------------------------


def test_a_killed_installation_is_made_anew(settings: HistorySettings, tmp_path: Path) -> None:
    """SIGKILL while pip is at it: nothing can be cleaned up, and the next one must notice."""
    started = tmp_path / "started"
    slow = Stack(
        ("stand-in==1.0",),
        ("stand_in",),
        "source",
        build=(("sh", "-c", f"test -e {started} || {{ echo $$ > {started}; sleep 60; }}"),),
    )
    code = (
        "from perfsuite.history.installer import install; from perfsuite.history.model import Stack;"
        "from perfsuite.history.settings import read_settings; from pathlib import Path;"
        f"install(Stack({slow.requirements!r}, {slow.imports!r}, 'source', None, {slow.build!r}),"
        f" read_settings(Path({str(settings.folder / 'asv.conf.json')!r})))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (started.exists() and started.read_text()):
        assert child.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.kill()
    child.wait()
    (half,) = venvs.venvs(settings)
    assert half.python.exists()
    assert not half.is_whole
    # What the killed one had started lives on, and would write into the environment of the next.
    assert int(started.read_text()) in marked("PERFSUITE_INSTALLING", str(half.path))
    python = install(slow, settings)
    assert python == half.python
    assert marked("PERFSUITE_INSTALLING", str(half.path)) == []
    assert half.is_whole
    assert not half.work.exists()


def test_an_interpreter_that_is_gone_is_noticed(settings: HistorySettings) -> None:
    python = install(ONE, settings)
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert not is_installed(ONE, settings)
    assert printed(install(ONE, settings), "import stand_in; print(stand_in.VERSION)") == "1.0"


def test_two_at_once_install_it_once(settings: HistorySettings) -> None:
    found: list[Path] = []
    both = [threading.Thread(target=lambda: found.append(install(ONE, settings))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(found) == 2
    assert len(set(found)) == 1
    assert venv_of(ONE, settings).log.read_text().count(" -m venv ") == 1


# --- a full disk ------------------------------------------------------------------------------------


def test_a_full_disk_that_the_installer_reports(settings: HistorySettings) -> None:
    full = 'echo "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device" >&2; exit 1'
    stack = Stack((), ("stand_in",), "source", build=(("sh", "-c", full),))
    with pytest.raises(
        InstallError, match=r"^the disk is full \([\d.]+ GiB are free at /.*\): free some, lower `disk_gib`"
    ):
        install(stack, settings)
    assert venvs.venvs(settings) == ()


def test_a_full_disk_that_we_meet_ourselves(settings: HistorySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    monkeypatch.setattr("perfsuite.history.venvs.write_atomically", full)
    with pytest.raises(InstallError, match=r"^the disk is full "):
        install(Stack(("helper",), (), "release"), settings)
    assert venvs.venvs(settings) == ()


def test_a_folder_that_cannot_be_written(settings: HistorySettings) -> None:
    settings.env_dir.parent.mkdir(parents=True)
    settings.env_dir.write_text("a file in its place")
    with pytest.raises(InstallError, match=r"env.*: (Not a directory|File exists)$"):
        install(ONE, settings)


# --- building ---------------------------------------------------------------------------------------


#: A build back end in the project's own tree, so that nothing else is needed to build it.
_BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    import helper
    with zipfile.ZipFile(f"{folder}/stand_in-0-py3-none-any.whl", "w") as wheel:
        wheel.write("stand_in.py")
        wheel.writestr("stand_in-0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: stand-in\\nVersion: 0\\n")
        about = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr("stand_in-0.dist-info/WHEEL", about)
        wheel.writestr("stand_in-0.dist-info/RECORD", "")
    return "stand_in-0-py3-none-any.whl"
"""


def test_a_commit_is_built_by_the_declared_commands(settings: HistorySettings, tmp_path: Path) -> None:
    """The commands of the documentation, on a project that needs what the requirements put into its environment."""
    project = Project(tmp_path / "project")
    table = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {"pyproject.toml": table, "backend.py": _BACKEND}
    commit = project.commit(**files, **{"stand_in.py": "VERSION = 'built'\n"})
    project.commit(**{"stand_in.py": "raise ImportError('a later commit')\n"})
    wheel = ["{python}", "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "{wheels}", "."]
    source = {"commands": [wheel, ["git", "-C", "{checkout}", "rev-parse", "{commit}"]], "requirements": ["helper"]}
    conf = read_settings(write_conf(settings.folder, project.path, source=source))
    stack = stack_of(commit_at(project.path, commit), conf, project.path)
    assert isinstance(stack, Stack)
    python = install(stack, conf)
    assert printed(python, "import stand_in; print(stand_in.VERSION)") == "built"
    assert commit in venv_of(stack, conf).log.read_text()
    assert not venv_of(stack, conf).work.exists()
    failing = (*stack.build[:-1], ("{python}", "-c", "raise SystemExit('no compiler')"))
    with pytest.raises(InstallError, match=r"^python: no compiler \(see "):
        install(replace(stack, requirements=("helper",), build=(*failing[:2], failing[-1])), conf)


def test_a_commit_is_built_from_a_mirror_without_contents(settings: HistorySettings, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.repository.git("config", "uploadpack.allowFilter", "true")
    project.repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    commit = project.commit(**{"stand_in.py": "VERSION = 'of the mirror'\n"})
    project.commit(**{"stand_in.py": "VERSION = 'later'\n"})
    source = {"commands": [["sh", "-c", "cp stand_in.py {python}-of-the-commit.py"]]}
    conf = read_settings(write_conf(settings.folder, f"file://{project.path}", source=source))
    mirror = ensure_repository(conf)
    conf = replace(conf, repo=str(mirror))  # as a night tells asv
    stack = stack_of(commit_at(mirror, commit), conf, mirror)
    assert isinstance(stack, Stack)
    python = install(replace(stack, requirements=(), imports=()), conf)  # no pip: it is not needed here
    assert "of the mirror" in python.with_name("python-of-the-commit.py").read_text()


# --- the disk ---------------------------------------------------------------------------------------


def fake_venv(settings: HistorySettings, name: str, kilobytes: int, used: float) -> Venv:
    venv = Venv(settings.env_dir / "stacks" / name)
    (venv.path / "bin").mkdir(parents=True)
    (venv.path / "bin/python").symlink_to(sys.executable)
    (venv.path / "lib").write_bytes(os.urandom(kilobytes * 1024))
    venv.finish(ONE, ())
    os.utime(venv.path / "perfsuite-stack.json", (used, used))
    return venv


def test_those_unused_for_longest_go_until_the_rest_fits(settings: HistorySettings) -> None:
    old, middle, new = (fake_venv(settings, f"{k}" * 16, 1024, 100.0 + k) for k in range(3))
    roomy = replace(settings, disk_gib=4 / 1024)
    assert prune(roomy) == ()
    assert disk_bytes(settings) >= 3 * 2**20
    tight = replace(settings, disk_gib=2.5 / 1024)
    assert prune(tight) == (old.path,)
    assert [one.path for one in venvs.venvs(settings)] == [middle.path, new.path]
    assert venvs.prune(replace(settings, disk_gib=0.5 / 1024), [middle]) == (new.path,)
    assert venvs.prune(replace(settings, disk_gib=0.5 / 1024), [middle]) == (), "what is asked to be kept stays"


def test_what_was_never_finished_goes_and_what_is_being_made_stays(settings: HistorySettings) -> None:
    whole, killed, growing = (fake_venv(settings, f"{k}" * 16, 1, 100.0) for k in range(3))
    for half in (killed, growing):
        (half.path / "perfsuite-stack.json").unlink()
    with growing.alone():
        assert prune(settings) == (killed.path,)
    assert prune(settings) == (growing.path,)
    assert prune(settings) == ()
    assert whole.is_whole
    with whole.alone():
        assert prune(replace(settings, disk_gib=1e-9)) == ()


def test_prune_keeps_the_stacks_it_is_told_to(made: HistorySettings) -> None:
    tight = replace(made, disk_gib=1e-6)
    assert prune(tight, [ONE]) == ()
    assert is_installed(ONE, made)


def test_hard_links_count_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / "a/deep/file").write_bytes(os.urandom(2**20))
    alone = venvs.disk_bytes([tmp_path / "a"])
    os.link(tmp_path / "a/deep/file", tmp_path / "b/deep/file")
    os.link(tmp_path / "a/deep/file", tmp_path / "a/again")
    os.symlink(tmp_path / "a/deep/file", tmp_path / "b/link")
    both = venvs.disk_bytes([tmp_path / "a", tmp_path / "b"])
    assert 2**20 <= alone <= both < alone + 2**16
    assert venvs.disk_bytes([tmp_path / "b"]) >= 2**20, "each by itself is as large"
    assert venvs.disk_bytes([tmp_path / "none"]) == 0


# --- uv ---------------------------------------------------------------------------------------------

#: What of uv's command line is used, on top of venv and pip; it writes down how it was called.
_UV = """#!/bin/sh
echo "$@" >> {calls}
case "$1" in
  venv) test "$2 $3" = "--no-project --python" && exec "$4" -m venv --without-pip "$5" ;;
  pip) python="$4"; test "$2 $3" = "install --python" && shift 4 && exec {own} -m pip --python "$python" install "$@" ;;
esac
"""


def test_uv_is_taken_where_it_is(settings: HistorySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    uv = tmp_path / "bin/uv"
    uv.parent.mkdir()
    uv.write_text(_UV.format(calls=calls, own=sys.executable))
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("UV_INDEX_URL", "https://host/simple")
    house = tmp_path / "house"
    house.mkdir()
    chosen = replace(settings, installer="auto", wheelhouse=house)
    python = install(ONE, chosen)
    assert printed(python, "import stand_in; print(stand_in.VERSION)") == "1.0"
    first, second = calls.read_text().splitlines()
    assert first == f"venv --no-project --python {sys.executable} {python.parent.parent}"
    assert second.startswith(f"pip install --python {python} --find-links {house} stand-in==1.0 asv_runner==")


# --- reasons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "WARNING: x\n"
            "ERROR: Could not find a version that satisfies the requirement torch==9.9 (from versions: 1, 2)\n"
            "ERROR: No matching distribution found for torch==9.9\n",
            "No matching distribution found for torch==9.9",
        ),
        (
            "ERROR: Cannot install a and b because these package versions have conflicting dependencies.\n\n"
            "The conflict is caused by:\n    a\nERROR: ResolutionImpossible: for help visit https://host\n",
            "Cannot install a and b because these package versions have conflicting dependencies.",
        ),
        (
            "ERROR: a-1-cp27-none.whl is not a supported wheel on this platform.\n",
            "a-1-cp27-none.whl is not a supported wheel on this platform.",
        ),
        (
            "Using Python 3.11.7\n  × No solution found when resolving dependencies:\n"
            "  ╰─▶ Because there is no version of torch==9.9 and you require torch==9.9,\n"
            "      we can conclude that your requirements are unsatisfiable.\n\n"
            "      hint: Pre-releases are available\n",
            "Because there is no version of torch==9.9 and you require torch==9.9, "
            "we can conclude that your requirements are unsatisfiable.",
        ),
        (
            "WARNING: Retrying, connection broken by 'NewConnectionError(': Temporary failure in name resolution'\n"
            "ERROR: No matching distribution found for a\n",
            "No matching distribution found for a (the registry could not be reached)",
        ),
        (
            "error: No solution found when resolving dependencies\n"
            "  cause: Because all versions of a depend on b==7 and\n"
            "         you require b==1, we can conclude that your requirements are unsatisfiable.\n",
            "Because all versions of a depend on b==7 and you require b==1, "
            "we can conclude that your requirements are unsatisfiable.",
        ),
        (
            "  × Failed to download `a==1`\n  ├─▶ Request failed after 3 retries\n  ╰─▶ dns error: failed to\n"
            "      lookup address information\n",
            "Failed to download `a==1`: dns error: failed to lookup address information "
            "(the registry could not be reached)",
        ),
        (
            "  error: subprocess-exited-with-error\n"
            "  × Building wheel for a did not run successfully.\n  │ exit code: 1\n"
            "  ╰─> [1 lines of output]\nERROR: Failed building wheel for a\n",
            "Failed building wheel for a",
        ),
        ("compiling\nmake: *** [all] Error 2\n", "make: *** [all] Error 2"),
        ("fatal: could not fetch 3fa9c1d from promisor remote\n", "could not fetch 3fa9c1d from promisor remote"),
        ("ERROR: cannot reach https://me:secret@host/simple\n", "cannot reach https://***@host/simple"),
        ("\n \n", None),
    ],
)
def test_the_line_that_says_why(said: str, line: str | None) -> None:
    assert failure_line(said) == line


def test_passwords_stay_out_of_messages_and_logs(settings: HistorySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_RETRIES", "0")
    stack = replace(ONE, requirements=("a @ http://me:hunter2@localhost:1/a-1-py3-none-any.whl",))
    with pytest.raises(InstallError) as raised:
        install(stack, settings)
    assert "hunter2" not in str(raised.value)
    (log,) = (settings.env_dir / "stacks").glob("*.log")
    assert "localhost:1" in log.read_text()
    assert "hunter2" not in log.read_text()


# --- failures ---------------------------------------------------------------------------------------


def test_failures_are_kept_until_they_are_forgotten(settings: HistorySettings) -> None:
    assert failures(settings) == {}
    note_failure(settings, "a" * 40, "no wheel")
    note_failure(settings, "b" * 40, "a full disk")
    note_failure(settings, "b" * 40, "no import")
    (settings.env_dir / "failures" / f"{'c' * 40}.json").write_text('{"reas')
    assert failures(settings) == {"a" * 40: "no wheel", "b" * 40: "no import"}
    content = json.loads((settings.env_dir / "failures" / f"{'a' * 40}.json").read_text())
    assert content["reason"] == "no wheel"
    assert content["at"].endswith("+00:00")
    forget_failure(settings, "a" * 40)
    forget_failure(settings, "a" * 40)
    assert list(failures(settings)) == ["b" * 40]


def test_an_interrupt_leaves_nothing_half_made(settings: HistorySettings) -> None:
    stack = Stack((), (), "source", build=(("sh", "-c", f"kill -INT {os.getpid()}; sleep 60"),))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        install(stack, settings)
    assert venvs.venvs(settings) == ()
    assert signal.getsignal(signal.SIGINT) == before
