"""The two sides' files: the working tree as it is, and worktrees of commits in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from perfsuite.errors import PerfsuiteWarning, UsageError
from perfsuite.gate import files, leftovers
from perfsuite.gate.child import interrupts_held
from perfsuite.gate.content import complete
from perfsuite.gate.git import GitAbsentError, GitError, run_git
from perfsuite.gate.spec import Spec


@dataclass(frozen=True)
class Tree:
    """The files of one side."""

    #: The root of the tree.
    path: Path
    #: Where pytest runs: the counterpart of the folder that the user is in.
    cwd: Path
    #: The root of the user's working tree, of which :attr:`path` is the counterpart or the same.
    origin: Path
    #: The commit; None outside of git and before the first commit.
    commit: str | None = None
    #: Whether files differ from the commit, files that git does not know yet among them; None where there is none.
    dirty: bool | None = None
    #: Path within the tree → mode and git's object id; empty outside of git.
    hashes: Mapping[str, str] = field(default_factory=dict)
    #: What this tree lacks that the user may expect in it.
    notes: tuple[str, ...] = ()


def differing(base: Tree, head: Tree, ignore: Sequence[str] = ()) -> tuple[str, ...]:
    """The files in which two trees differ, in order; none if both are one folder.

    Args:
        base: a side.
        head: the other side.
        ignore: patterns as in ``.gitignore``; files that match are not looked at.

    Raises:
        ValueError: a pattern is malformed.
    """
    if base.path == head.path:
        return ()
    return files.differing(base.hashes, head.hashes, ignore)


def identical(base: Tree, head: Tree, ignore: Sequence[str] = ()) -> bool:
    """Whether no file differs but those that ``ignore`` matches."""
    return not differing(base, head, ignore)


def mapped(tree: Tree, paths: Iterable[str | Path]) -> tuple[Path, ...]:
    """The counterparts in ``tree`` of paths in the user's working tree; a path elsewhere is left out."""
    found = (Path(path) for path in paths)
    return tuple(tree.path / path.relative_to(tree.origin) for path in found if path.is_relative_to(tree.origin))


class Trees:
    """Opens trees, and removes on exit, however that comes about, all that it made: ``with Trees() as trees: …``."""

    def __init__(self, cwd: Path | None = None, temporary: Path | None = None) -> None:
        """Find the repository around a folder.

        Args:
            cwd: the folder that the user is in, by default the current one.
            temporary: where to make worktrees, by default in the system's temporary folder.

        Raises:
            GitError: there is a repository, but git does not open it.
        """
        self._cwd = Path(cwd or Path()).resolve()
        self._temporary = Path(temporary or tempfile.gettempdir()).resolve()
        self._folder: leftovers.OwnFolder | None = None
        self._opened = 0
        #: Why there is no repository, or None.
        self._absence: str | None = None
        #: The ``.git`` that all worktrees share.
        self._common: Path | None = None
        #: The root of the user's working tree; outside of git the folder that the user is in.
        self.root = self._cwd
        try:
            top, common = _lines(run_git(self._cwd, "rev-parse", "--show-toplevel", "--git-common-dir"))
            self.root, self._common = Path(top).resolve(), (self._cwd / common).resolve()
        except GitAbsentError as error:
            self._absence = str(error)
        except GitError as error:
            if "dubious ownership" in str(error):
                raise UsageError(f"{error}; git config --global --add safe.directory allows it") from error
            if "must be run in a work tree" in str(error):
                raise UsageError(
                    f"{self._cwd} is in a repository, but in no working tree: run the gate in one"
                ) from error
            if "not a git repository" not in str(error):
                raise
            self._absence = f"{self._cwd} is not in a git repository"

    def __enter__(self) -> Trees:
        leftovers.sweep(self._temporary, self._common)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def open(self, spec: Spec) -> Tree:
        """The tree of a side: the working tree, or a new worktree, also where the same commit has one already.

        Raises:
            UsageError: there is no such commit, no repository, or no counterpart of the user's folder in it.
            GitError: git cannot make the worktree.
        """
        if spec.commitish is None:
            return self._working_tree()
        if self._absence is not None:
            raise UsageError(
                f"git:{spec.commitish}: {self._absence}; a side can be . or python:PATH or env:KEY=VALUE there"
            )
        commit = self._commit(spec.commitish)
        hashes = files.of_commit(self.root, commit)
        within = self._cwd.relative_to(self.root)
        if within.parts and not any(path.startswith(f"{within.as_posix()}/") for path in hashes):
            raise UsageError(
                f"git:{spec.commitish}: that commit has no folder {within}/; run the gate where both sides have one"
            )
        path = self._new_folder()
        run_git(self.root, "worktree", "add", "--detach", "--quiet", str(path), commit)
        return Tree(path, path / within, self.root, commit, False, hashes, complete(self.root, path, hashes))

    def scratch(self, name: str) -> Path:
        """A folder for what sides make while they run; it goes with the worktrees.

        Raises:
            UsageError: it cannot be made.
        """
        try:
            path = self._own_folder() / name
            path.mkdir()
        except OSError as error:
            raise self._no_room(error) from error
        return path

    def close(self) -> None:
        """Remove the worktrees; interrupts wait until that is done."""
        with interrupts_held():
            folder, self._folder = self._folder, None
            if folder is not None and not folder.remove(self._common):
                warnings.warn(f"{folder.path} could not be removed", PerfsuiteWarning, stacklevel=2)

    def _working_tree(self) -> Tree:
        if self._absence is not None:
            return Tree(self.root, self._cwd, self.root)
        hashes = files.of_working_tree(self.root)
        commit = None
        with contextlib.suppress(GitError):  # there is no commit yet
            commit = run_git(self.root, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip()
        committed = files.of_commit(self.root, commit) if commit else {}
        return Tree(self.root, self._cwd, self.root, commit, hashes != committed, hashes)

    def _new_folder(self) -> Path:
        """Where the next worktree goes: called like the user's folder, since that can be the name of a package."""
        if self._temporary.is_relative_to(self.root):
            raise UsageError(
                f"the temporary folder {self._temporary} lies in the repository: set TMPDIR to a folder outside of it"
            )
        try:
            parent = self._own_folder() / str(self._opened)
            parent.mkdir()
        except OSError as error:
            raise self._no_room(error) from error
        self._opened += 1
        return parent / (self.root.name if self.root.name.isidentifier() else "tree")

    def _own_folder(self) -> Path:
        """The temporary folder of this gate, made when it is first needed."""
        if self._folder is None:
            with interrupts_held():  # what is made must be known to close()
                self._folder = leftovers.OwnFolder("gate", self._temporary)
        return self._folder.path

    def _no_room(self, error: OSError) -> UsageError:
        return UsageError(
            f"cannot make a folder for worktrees in {self._temporary}: {error.strerror}; TMPDIR names another place"
        )

    def _commit(self, reference: str) -> str:
        try:
            wanted = f"{reference}^{{commit}}"
            return run_git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted).decode().strip()
        except GitAbsentError:
            raise
        except GitError:
            raise UsageError(f"git: no such commit {reference!r} {self._advice(reference)}") from None

    def _advice(self, reference: str) -> str:
        """What may be the matter with a reference that git does not know."""
        if not run_git(self.root, "rev-list", "--all", "--max-count=1"):
            return "in this repository, which has no commit yet"
        remote = _lines(run_git(self.root, "for-each-ref", "--format=%(refname:short)", f"refs/remotes/*/{reference}"))
        if remote:
            return f"in this repository; did you mean git:{remote[0]}?"
        if _lines(run_git(self.root, "rev-parse", "--is-shallow-repository")) == ["true"]:
            return "in this shallow clone; try git fetch --unshallow, or clone with a larger --depth"
        return "in this repository; try git fetch"


def _lines(printed: bytes) -> list[str]:
    return os.fsdecode(printed).splitlines()
