"""What asv loads: ``"plugins": [".perfsuite.asv_plugin"]`` and ``"environment_type": "perfsuite"``.

The dot is asv's: without it the entry is looked for among asv's own plugins, and left out without a word.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from asv import environment, util  # type: ignore[import-untyped, unused-ignore]
from asv.console import log  # type: ignore[import-untyped, unused-ignore]

from perfsuite import asv_site
from perfsuite.errors import PerfsuiteError
from perfsuite.history.children import benchmark_variables, link_packages
from perfsuite.history.commits import commit_at
from perfsuite.history.failures import forget_failure, note_failure
from perfsuite.history.installer import install, prune
from perfsuite.history.model import Absent, Commit, Stack
from perfsuite.history.settings import parse_settings
from perfsuite.history.wheels import stack_of

__all__ = ["StackEnvironment", "asv_site"]


class NotMeasurable(util.ProcessError):  # type: ignore[misc]
    """A commit cannot be installed.  asv goes on with the next one after this error, and after no other."""

    def __init__(self, commit: str, reason: str) -> None:
        """One line says why."""
        super().__init__(["install", commit], 1, "", reason)

    def __str__(self) -> str:
        """The line."""
        return str(self.stderr)


class StackEnvironment(environment.Environment):  # type: ignore[misc]
    """The one environment that asv sees; behind it is one for each stack, and a commit chooses among them."""

    tool_name = "perfsuite"

    def __init__(self, conf: Any, python: str, requirements: Any, tagged_env_vars: Any) -> None:
        """As asv calls it; nothing is installed yet."""
        self._selected: str | None = None
        #: Commit → why it cannot be measured, so that a second round does not try again.
        self._refused: dict[str, str] = {}
        try:
            # asv has made the configuration's folder the current one.
            self._settings = parse_settings(vars(conf), Path.cwd())
        except PerfsuiteError as error:
            raise util.UserError(str(error)) from error
        # asv's own constructor asks for its name before it keeps what is in the name.
        self._python, self._requirements, self._tagged_env_vars = python, requirements, tagged_env_vars
        super().__init__(conf, python, requirements, tagged_env_vars)

    @classmethod
    def matches(cls, python: str) -> bool:
        """Whether asv may choose it for this Python without being told to."""
        return False

    def check_presence(self) -> bool:
        """There is nothing to make before a commit is known."""
        return True

    def create(self) -> None:
        """Put in place what all stacks share."""
        try:
            link_packages(self._settings)
        except OSError as error:
            raise util.UserError(f"{error.filename}: {error.strerror}") from error
        self._is_setup = True

    def install_project(self, conf: Any, repo: Any, commit_hash: str) -> None:
        """Select the environment of the commit's stack, which is installed if it is not there yet."""
        self._select(None)
        if commit_hash in self._refused:
            raise NotMeasurable(commit_hash, self._refused[commit_hash])
        label = commit_hash[:8]
        try:
            commit = commit_at(self._settings.repo_path, commit_hash)
            label = commit.label
            python = self._installed(commit)
            forget_failure(self._settings, commit_hash)
        except PerfsuiteError as error:
            self._refuse(commit_hash, label, str(error))
        except OSError as error:
            self._refuse(commit_hash, label, f"{error.filename}: {error.strerror}")
        self._select(commit_hash, python)

    def run(self, args: Sequence[str], **kwargs: Any) -> Any:
        """Start the selected interpreter."""
        return self.run_executable("python", args, **kwargs)

    def run_executable(self, executable: str, args: Sequence[str], **kwargs: Any) -> Any:
        """Start a program of the selected environment, as benchmarks are to find things."""
        program = Path(self.find_executable(executable))
        inherited = {**kwargs.pop("env", os.environ), **self._global_env_vars}
        kwargs["env"] = benchmark_variables(self._settings, program, inherited)
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._install_timeout
        return util.check_output([str(program), *args], **kwargs)

    def _installed(self, commit: Commit) -> Path:
        """The interpreter of the commit's stack.

        Raises:
            PerfsuiteError: it cannot be installed, or there is nothing to install.
        """
        found = stack_of(commit, self._settings, self._settings.repo_path)
        if isinstance(found, Absent):
            raise PerfsuiteError(found.reason)
        python = install(found, self._settings)
        self._prune(found)
        return python

    def _prune(self, stack: Stack) -> None:
        try:
            for folder in prune(self._settings, [stack]):
                log.info(f"Removed {folder}: together the environments took more than disk_gib")
        except PerfsuiteError as error:  # the commit can be measured all the same
            log.warning(str(error))

    def _refuse(self, commit: str, label: str, reason: str) -> NoReturn:
        log.warning(f"{label} cannot be measured: {reason}")
        self._refused[commit] = reason
        try:
            note_failure(self._settings, commit, reason)
        except OSError as error:
            log.warning(f"{error.filename}: {error.strerror}")
        raise NotMeasurable(commit, reason)

    def _select(self, commit: str | None, python: Path | None = None) -> None:
        self._selected = commit
        self._set_commit_hash(commit)
        self._set_build_dirs(None, None)
        if python is not None:
            self._path = str(python.parent.parent)
            self._global_env_vars["ASV_ENV_DIR"] = self._path

    def _get_installed_commit_hash(self) -> str | None:
        # asv keeps it in a file, by which a killed run would be believed; here it costs nothing to look again.
        return self._selected
