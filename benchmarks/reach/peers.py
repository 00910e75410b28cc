"""One comparison of two versions of a project by pytest-benchmark and by asv, run and read as their users do.

A project is one file, ``project.py``, with a function ``make()`` that returns a step; what differs between the sides is
that file and nothing else.  :func:`project` is the step that ``perfsuite gate`` compares in ``gate_decisions``, with
the same operator planted.  It is built once a process and has run ten times before it is handed over, so that neither
tool times a cold one: what a careful user does, and to the advantage of both.  (pytest-benchmark derives from the first
call how often it measures; asv calls ``setup`` before every measurement, so a model that is built there is never warm.)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from perfsuite.capture.calibration.step import PLANT

SLOWER, FASTER, SAME = "slower", "faster", "same"

_STEP = '''\
"""The code under test."""

ELEMENTS = {elements}


def make():
    from perfsuite import TrainingStep
    from perfsuite.capture.calibration.step import build

    step = TrainingStep(*build(ELEMENTS))
    for _ in range(10):
        step()
    return step
'''
_TEST = """\
from project import make


def test_step(benchmark):
    benchmark(make())
"""
_SUITE = """\
from project import make


class Suite:
    step = None

    def setup(self):
        if Suite.step is None:
            Suite.step = make()

    def time_step(self):
        Suite.step()
"""
_MACHINE = "--machine peer --os Linux --arch any --cpu any --num_cpu 1 --ram 1"
_CONFIGURATION = {
    "version": 1,
    "project": "project",
    "repo": ".",
    "branches": ["main"],
    "environment_type": "checkout",
    "plugins": [".asv_checkout"],
}
#: Far more than any comparison takes.
_SECONDS = 900.0


class ToolFailed(Exception):
    """A tool came to no conclusion.  That is never taken for one."""


@dataclass(frozen=True)
class Said:
    """What a tool said of head: ``slower``, ``faster`` or ``same``, and head ÷ base where it says that."""

    verdict: str
    ratio: float | None


def project(elements: int = 0, comment: str = "") -> str:
    """``project.py`` with the step of ``gate_decisions`` and so many elements planted, and a comment at its end."""
    return _STEP.format(elements=elements) + (f"# {comment}\n" if comment else "")


# --- pytest-benchmark --------------------------------------------------------------------------------


def pytest_benchmark(base: str, head: str, folder: Path, launcher: Sequence[str] = ()) -> Said:
    """Save a run of ``base``, then compare one of ``head`` with it; ``launcher`` begins both command lines.

    Raises:
        ToolFailed: a run ended otherwise than by passing or by a regression.
    """
    (folder / "pytest.ini").write_text("[pytest]\n")  # nothing in a folder above applies
    (folder / "test_step.py").write_text(_TEST)
    pytest = [*launcher, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--benchmark-autosave"]
    (folder / "project.py").write_text(base)
    code, output = _run(pytest, folder)
    if code:
        raise ToolFailed(f"pytest-benchmark: base ended with {code}\n{output}")
    (folder / "project.py").write_text(head)
    comparison = ["--benchmark-compare", "--benchmark-compare-fail=median:5%"]
    code, output = _run([*pytest, *comparison], folder)
    medians = [_median(path) for path in sorted((folder / ".benchmarks").rglob("*.json"))]
    return pytest_benchmark_said(code, output, medians)


def pytest_benchmark_said(code: int, output: str, medians: Sequence[float]) -> Said:
    """What the run of head said, given its exit code, its output and the medians of both saved runs.

    Raises:
        ToolFailed: it compared nothing, or failed for another reason than a regression.
    """
    regressed = "Performance has regressed:" in output
    if bool(code) != regressed or len(medians) != 2 or "Comparing against benchmarks from" not in output:
        raise ToolFailed(f"pytest-benchmark: head ended with {code}\n{output}")
    base, head = medians
    return Said(SLOWER if regressed else SAME, head / base)


def _median(path: Path) -> float:
    (benchmark,) = json.loads(path.read_text())["benchmarks"]
    return float(benchmark["stats"]["median"])


# --- asv ---------------------------------------------------------------------------------------------


def asv(base: str, head: str, folder: Path) -> Said:
    """Commit ``base``, then ``head``, and compare the two commits.

    Everything is as it comes: two processes of each commit, in turn, ten measurements of it in all.

    Raises:
        ToolFailed: asv did not run both, or did not say what it found.
    """
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "steps.py").write_text(_SUITE)
    (folder / "asv.conf.json").write_text(json.dumps(_CONFIGURATION))
    shutil.copy(Path(__file__).with_name("asv_checkout.py"), folder)
    _git(folder, "init", "-q", "-b", "main")
    for version in (base, head):
        (folder / "project.py").write_text(version)
        _git(folder, "add", "project.py")
        _git(folder, "commit", "-q", "-m", "A version")
    command = [sys.executable, "-m", "asv"]
    # It asks for the name of the machine's parts if it was not told, and they are keys of its results.
    code, output = _run([*command, "machine", "--yes", *_MACHINE.split()], folder)
    if code:
        raise ToolFailed(f"asv machine ended with {code}\n{output}")
    continuous = ["continuous", "-f", "1.05", "--machine", "peer", "--no-only-changed", "HEAD~1", "HEAD"]
    return asv_said(*_run([*command, *continuous], folder))


_ROW = re.compile(r"^\|\s*(\S?)\s*\|[^|]*\|[^|]*\|\s*~?([\d.]+|n/a)\s*\|\s*steps\.\S+\s*\|$", re.MULTILINE)
_CHANGED = "SOME BENCHMARKS HAVE CHANGED SIGNIFICANTLY."
_CONCLUSIONS = {"PERFORMANCE DECREASED.": SLOWER, "PERFORMANCE INCREASED.": FASTER}
_UNCHANGED = "BENCHMARKS NOT SIGNIFICANTLY CHANGED."


def asv_said(code: int, output: str) -> Said:
    """What ``asv continuous --no-only-changed`` said of the one benchmark there is, by its exit code and its output.

    Raises:
        ToolFailed: it did not conclude anything, or not from a time of each side.
    """
    lines = output.splitlines()
    found = [verdict for text, verdict in _CONCLUSIONS.items() if text in lines]
    if _UNCHANGED in lines:
        found.append(SAME)
    rows = _ROW.findall(output)
    # A row with "!" is a benchmark that fails on head, which asv counts as slower.
    marks = {SLOWER: "+", FASTER: "-", SAME: ""}
    if len(found) != 1 or len(rows) != 1 or rows[0][0] != marks[found[0]] or rows[0][1] == "n/a":
        raise ToolFailed(f"asv continuous ended with {code}\n{output}")
    if (code == 1) != (found[0] == SLOWER) or code > 1 or (found[0] != SAME) != (_CHANGED in lines):
        raise ToolFailed(f"asv continuous ended with {code}, which is not what it says\n{output}")
    return Said(found[0], float(rows[0][1]))


# --- processes ---------------------------------------------------------------------------------------


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    code, output = _run(["git", *identity, *arguments], folder)
    if code:
        raise ToolFailed(f"git {arguments[0]} ended with {code}\n{output}")


def _run(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Exit code, and stdout and stderr together; nothing it started is left behind, whatever happens.

    Raises:
        ToolFailed: it does not end.
    """
    with subprocess.Popen(
        command, cwd=folder, env=_environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=_SECONDS)
        except BaseException as error:
            # asv's own children have process groups of their own.
            for child in [*psutil.Process(process.pid).children(recursive=True), process]:
                child.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise ToolFailed(f"{' '.join(command)}: still running after {_SECONDS:g} s") from None
            raise
    return process.returncode, output


def _environment(folder: Path) -> Mapping[str, str]:
    """The caller's, without what would make these processes something else than what is described."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "GIT_", "ASV_")) and name not in (PLANT, "PYTHONPATH")
    }
    return {
        **inherited,
        "HOME": str(folder),  # where asv keeps what it knows of the machine
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        # Two versions of a file within a second, of one size, have the same cached bytecode.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
