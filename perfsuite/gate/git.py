"""Git, asked and told without surprises: no hook and no program that a repository names, no question to the user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from perfsuite.errors import UsageError
from perfsuite.gate.child import run_child

#: Nothing here asks a network, but a large repository is checked out for minutes.
_SECONDS = 600.0
_SETTINGS = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "gc.auto=0", "submodule.recurse=false")
#: Git's variables that stay: configuration, by which CI sets ``safe.directory`` (what is set above goes before it), and
#: where git and a repository are looked for.  The others would answer for another repository than the one around the
#: folder, as a hook's GIT_DIR does, or write between what is read here.
_KEPT = ("GIT_CONFIG_", "GIT_SSL_", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")


class GitError(UsageError):
    """Git said no, in its own words."""


class GitAbsentError(GitError):
    """There is no git to ask."""


def run_git(folder: Path, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> bytes:
    """What git prints.

    Args:
        folder: where git runs.
        arguments: the command and its arguments.
        stdin: what it reads.
        index: a file in place of the repository's index.

    Raises:
        GitError: it failed, with the first line of what it said; GitAbsentError: it cannot be run.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(_KEPT)}
    # Looking must not take the index lock from the user's own git; messages are read here, so they are in English.
    environment = kept | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    configured = [word for setting in _SETTINGS for word in ("-c", setting)]
    command = ["git", *configured, "-C", str(folder), *arguments]
    try:
        done = run_child(command, environment, _SECONDS, stdin=stdin)
    except OSError as error:
        raise GitAbsentError(f"git cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]} did not end within {_SECONDS:g} s") from None
    if done.returncode:
        said = _first_line(done.stderr) or f"exit status {done.returncode}"
        raise GitError(f"git {arguments[0]}: {said}")
    return done.stdout


def working_tree(folder: Path) -> Path | None:
    """The root of the working tree around ``folder``; None outside of git, or where git does not say."""
    try:
        top = run_git(folder, "rev-parse", "--show-toplevel")
    except GitError:
        return None
    return Path(os.fsdecode(top.removesuffix(b"\n"))).resolve()


def _first_line(said: bytes) -> str:
    """The first complaint, without the word that says it is one."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or [""])[0].removeprefix("fatal:").removeprefix("error:").strip()
