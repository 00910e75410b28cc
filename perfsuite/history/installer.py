"""Installs stacks, each into an environment of its own, which is made once and found again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from perfsuite.errors import PerfsuiteError
from perfsuite.gate.child import run_child
from perfsuite.history import venvs
from perfsuite.history.commits import OF_ANOTHER_REPOSITORY
from perfsuite.history.complaints import failure_line, tells_of_full_disk, without_secrets
from perfsuite.history.marked import end_marked
from perfsuite.history.model import Stack
from perfsuite.history.settings import HistorySettings
from perfsuite.history.venvs import Venv

#: The variable that all processes of an installation inherit; its value is the folder of the environment.
_MARK = "PERFSUITE_INSTALLING"
_IMPORT_SECONDS = 300.0
#: Says which module it is at, so that one that ends the process is known as well.
_IMPORTS = (
    "import importlib, sys\nfor name in sys.argv[1:]:\n    print(name, flush=True)\n    importlib.import_module(name)"
)
#: Variables that would put what is installed elsewhere, or let it find what is not in the environment.
_NOT_FOR_CHILDREN = {
    *("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON"),
    *OF_ANOTHER_REPOSITORY,
}


class InstallError(PerfsuiteError):
    """A stack cannot be installed, or what was installed cannot be imported."""


def install(stack: Stack, settings: HistorySettings) -> Path:
    """Install a stack, unless that was done before, and see whether its modules can be imported.

    What was never finished, because it failed or was killed, is made anew.  One whose modules cannot be imported is
    kept, so that the next attempt costs only the import.

    Returns:
        The interpreter of the environment.

    Raises:
        InstallError: it cannot be; one line says why, and where the rest of what the installer printed is.
    """
    requirements = _requirements(stack)
    venv = venvs.venv_of(stack, settings, requirements)
    try:
        with venv.alone():
            if not venv.is_whole:
                _make(stack, requirements, settings, venv)
            venv.touch()
            if not set(stack.imports) <= set(venv.imported):
                _verify(stack, venv)
                venv.finish(stack, requirements, stack.imports)
    except OSError as error:
        raise InstallError(_in_words(error, venv)) from error
    return venv.python


def is_installed(stack: Stack, settings: HistorySettings) -> bool:
    """Whether :func:`install` would find the stack's environment as it should be."""
    return venvs.venv_of(stack, settings, _requirements(stack)).is_whole


def prune(settings: HistorySettings, keep: Iterable[Stack] = ()) -> tuple[Path, ...]:
    """Remove environments, those unused for longest first, until all together take no more than ``disk_gib``.

    Args:
        settings: where they are.
        keep: stacks whose environments stay, even if they alone take more.

    Returns:
        The folders that were removed.

    Raises:
        InstallError: one cannot be removed.
    """
    kept = [venvs.venv_of(stack, settings, _requirements(stack)) for stack in keep]
    try:
        return venvs.prune(settings, kept)
    except OSError as error:
        raise InstallError(f"{error.filename} cannot be removed: {error.strerror}") from error


def disk_bytes(settings: HistorySettings) -> int:
    """What all environments take on the disk together."""
    return venvs.disk_bytes(venv.path for venv in venvs.venvs(settings))


def _requirements(stack: Stack) -> tuple[str, ...]:
    """With what asv starts in every environment: its runner, of asv's own version, as asv's variable has it."""
    given = os.environ.get("ASV_RUNNER_PATH")
    if given and (Path(given) / "asv_runner").is_dir():
        return (*stack.requirements, os.path.abspath(given))
    try:
        return (*stack.requirements, f"asv_runner=={metadata.version('asv_runner')}")
    except metadata.PackageNotFoundError:
        return (*stack.requirements, "asv_runner")


# --- making one -------------------------------------------------------------------------------------


def _make(stack: Stack, requirements: Sequence[str], settings: HistorySettings, venv: Venv) -> None:
    # Of an installer that was killed: they would write into what is made anew.  We hold the lock, and have none yet.
    end_marked(_MARK, str(venv.path))
    venv.remove()
    steps = _Steps(settings, venv)
    try:
        steps.create(stack.python)
        steps.install(requirements)
        if stack.build:
            steps.build(stack.build)
        venv.finish(stack, requirements)
    except BaseException:
        venv.remove()
        raise


class _Steps:
    """The commands that make an environment; what they print is kept in its log."""

    def __init__(self, settings: HistorySettings, venv: Venv) -> None:
        self._settings = settings
        self._venv = venv
        self._uv = _uv(settings)
        self._variables = _variables(venv)
        venv.log.write_bytes(b"")

    def create(self, python: str | None) -> None:
        """The empty environment."""
        found = sys.executable if python is None else shutil.which(python)
        if found is None:
            raise InstallError(f"there is no interpreter {python!r} to make an environment with")
        if self._uv is not None:
            self._run([self._uv, "venv", "--no-project", "--python", found, str(self._venv.path)])
        else:
            self._run([found, "-m", "venv", "--without-pip", str(self._venv.path)])

    def install(self, requirements: Sequence[str], *options: str) -> None:
        """Requirements, all at once, so that they fit each other."""
        chosen = [*options]
        if self._settings.constraints is not None:
            chosen += ["--constraint", str(self._settings.constraints)]
        if self._settings.wheelhouse is not None:
            chosen += ["--find-links", str(self._settings.wheelhouse)]
        python = str(self._venv.python)
        if self._uv is not None:
            self._run([self._uv, "pip", "install", "--python", python, *chosen, *requirements])
        else:
            installer = [sys.executable, "-m", "pip", "--python", python, "install", "--no-input"]
            self._run([*installer, "--progress-bar", "off", *chosen, *requirements])

    def build(self, commands: Sequence[Sequence[str]]) -> None:
        """Run the commands in a new folder, and install the wheels that they leave in ``{wheels}``."""
        checkout, wheels = self._venv.work / "checkout", self._venv.work / "wheels"
        checkout.mkdir(parents=True)
        wheels.mkdir()
        filled = {"{python}": self._venv.python, "{checkout}": checkout, "{wheels}": wheels}
        for command in commands:
            words = list(command)
            for field, value in filled.items():
                words = [word.replace(field, str(value)) for word in words]
            self._run(words, checkout)
        made = sorted(str(path) for path in wheels.glob("*.whl"))
        if made:
            # What they need is in the requirements; anything else would come in place of it.
            self.install(made, "--no-deps")
        shutil.rmtree(self._venv.work)

    def _run(self, command: Sequence[str], cwd: Path | None = None) -> None:
        """One command, to its end.

        Raises:
            InstallError: it failed.
            OSError: it cannot be started, or the log cannot be written.
        """
        seconds = self._settings.install_timeout
        self._log(f"$ {' '.join(command)}")
        try:
            done = run_child(command, self._variables, seconds, cwd=cwd or self._venv.path.parent)
        except subprocess.TimeoutExpired:
            raise InstallError(f"{_name(command)} did not end within {seconds:g} s (`install_timeout`)") from None
        printed = (done.stdout + done.stderr).decode("utf-8", "replace")
        self._log(printed)
        if done.returncode:
            if tells_of_full_disk(printed):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            said = failure_line(printed) or f"exit status {done.returncode}"
            raise InstallError(f"{_name(command)}: {said} (see {self._venv.log})")

    def _log(self, text: str) -> None:
        with open(self._venv.log, "a", encoding="utf-8") as log:
            log.write(without_secrets(f"{text}\n"))


def _name(command: Sequence[str]) -> str:
    """What people call the program."""
    words = [os.path.basename(command[0]), *command[1:]]
    for program in ("pip", "venv"):
        if program in words[:3]:
            return program if words[0] != "uv" else f"uv {program}"
    return words[0]


def _uv(settings: HistorySettings) -> str | None:
    """The command; None for pip.

    Raises:
        InstallError: what is configured is not there, or nothing is.
    """
    found = shutil.which("uv") if settings.installer in ("auto", "uv") else None
    if found is None and settings.installer == "uv":
        raise InstallError("there is no uv on PATH: install it, or set `installer` to pip")
    if found is None and find_spec("pip") is None:
        raise InstallError("there is neither uv on PATH nor pip in this environment: install one of them")
    return found


def _variables(venv: Venv) -> Mapping[str, str]:
    """The user's, with the settings of registries that are among them, but of no other environment."""
    kept = {key: value for key, value in os.environ.items() if key not in _NOT_FOR_CHILDREN}
    path = os.pathsep.join([str(venv.python.parent), kept.get("PATH", os.defpath)])
    quiet = {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "GIT_TERMINAL_PROMPT": "0", "NO_COLOR": "1"}
    return {**kept, **quiet, _MARK: str(venv.path), "VIRTUAL_ENV": str(venv.path), "PATH": path, "LC_ALL": "C.UTF-8"}


# --- looking at it ----------------------------------------------------------------------------------


def _verify(stack: Stack, venv: Venv) -> None:
    """Import the stack's modules in a process of its own.

    Raises:
        InstallError: one cannot be.
    """
    # Isolated: neither the folder it runs in nor PYTHONPATH may stand in for what was installed.
    command = [str(venv.python), "-I", "-c", _IMPORTS, *stack.imports]
    try:
        done = run_child(command, _variables(venv), _IMPORT_SECONDS, cwd=venv.path)
    except subprocess.TimeoutExpired:
        raise InstallError(f"importing {', '.join(stack.imports)} did not end within {_IMPORT_SECONDS:g} s") from None
    except OSError as error:
        raise InstallError(f"{venv.python} cannot be run: {error.strerror}") from error
    if done.returncode:
        begun = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line in stack.imports]
        said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        why = f"ended by signal {-done.returncode}" if done.returncode < 0 else (said or ["it exits"])[-1]
        raise InstallError(f"{(begun or stack.imports)[-1]} is installed, but cannot be imported: {why}")


def _in_words(error: OSError, venv: Venv) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        there = next(folder for folder in venv.path.parents if folder.exists())
        free = shutil.disk_usage(there).free / 2**30
        return (
            f"the disk is full ({free:.1f} GiB are free at {there}): free some, lower `disk_gib`, "
            "or let TMPDIR lead to a larger disk"
        )
    return f"{error.filename or venv.path}: {error.strerror}"
