"""What a worktree does not get with its commit: submodules and files of Git LFS; fetched from this disk, or said."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from perfsuite.gate.git import GitError, run_git

_SUBMODULE = "160000 "
_POINTER = b"version https://git-lfs.github.com/spec/"


def complete(origin: Path, worktree: Path, hashes: Mapping[str, str]) -> tuple[str, ...]:
    """Fill in submodules that the user's working tree has; returns what is still missing, a sentence each.

    Nothing is fetched over a network, and nothing is registered anywhere.

    Args:
        origin: the root of the user's working tree.
        worktree: the root of a fresh worktree.
        hashes: its files, as :func:`perfsuite.gate.files.of_commit` has them.
    """
    notes = []
    for path, identity in hashes.items():
        if identity.startswith(_SUBMODULE):
            reason = _fill(origin / path, worktree / path, identity.removeprefix(_SUBMODULE))
            if reason is not None:
                notes.append(f"submodule {path} is not checked out: {reason}")
    pointers = _pointers(worktree, hashes)
    if pointers:
        some = pointers[0] if len(pointers) == 1 else f"{pointers[0]} and {len(pointers) - 1} more"
        notes.append(f"Git LFS has not replaced its pointers ({some}): install git-lfs and run git lfs fetch")
    return tuple(notes)


def _fill(source: Path, target: Path, commit: str) -> str | None:
    """Write a submodule's files, without a repository among them; returns why that cannot be done."""
    if not (source / ".git").exists():  # or git would answer for the repository around it
        return "neither is it in the working tree; run git submodule update --init"
    index = target.parent / f".{target.name}.index"
    try:
        repository = os.fsdecode(run_git(source, "rev-parse", "--absolute-git-dir")).rstrip("\n")
        there = (f"--git-dir={repository}", f"--work-tree={target}")
        target.mkdir(parents=True, exist_ok=True)
        with _absent(index):
            run_git(target, *there, "read-tree", commit, index=index)
            run_git(target, *there, "checkout-index", "--all", "--force", index=index)
    except (GitError, OSError):
        return f"the working tree's does not have commit {commit[:12]}; run git submodule update --init"
    return None


@contextlib.contextmanager
def _absent(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _pointers(worktree: Path, paths: Iterable[str]) -> list[str]:
    """Files that hold what Git LFS calls a pointer, in place of their content."""
    names = {os.path.basename(path) for path in paths}
    if ".gitattributes" not in names:
        return []
    asked = b"".join(os.fsencode(path) + b"\0" for path in paths)
    answers = run_git(worktree, "check-attr", "-z", "--stdin", "filter", stdin=asked).split(b"\0")
    filtered = [os.fsdecode(path) for path, value in zip(answers[::3], answers[2::3], strict=False) if value == b"lfs"]
    return [path for path in filtered if _begins(worktree / path, _POINTER)]


def _begins(path: Path, text: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(text)) == text
    except OSError:
        return False
