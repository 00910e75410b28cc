"""Which files a tree consists of and a hash of each, so that two trees can be called identical or not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from perfsuite.gate.git import GitError, run_git

#: What stands for the content of a file that git does not track and that nobody reads: no commit has it.
UNTRACKED = "untracked"
#: The mode of a submodule.
_SUBMODULE = 0o160000
#: How many file names go on one command line.
_BATCH = 500
#: What running tests leaves behind, where nobody told git to ignore it: no test depends on it.
_LEAVINGS = frozenset(
    ("__pycache__", ".pytest_cache", ".perfsuite", ".benchmarks", ".hypothesis", ".mypy_cache", ".ruff_cache")
)


def of_commit(root: Path, commit: str) -> Mapping[str, str]:
    """The files of a commit: path within the tree → mode and git's object id.

    Raises:
        GitError: git cannot read it.
    """
    found = {}
    for record in _records(run_git(root, "ls-tree", "-r", "-z", "--full-tree", commit)):
        about, _, path = record.partition("\t")
        mode, _, identity = about.split(" ")
        found[path] = _hash(int(mode, 8), identity)
    return found


def of_working_tree(root: Path) -> Mapping[str, str]:
    """The files of a working tree: tracked ones as git would store them, and new ones that git does not ignore.

    A file that is tracked and unchanged has the index's id, so that only changed ones are read.  New ones are
    :data:`UNTRACKED`: no commit has them, so whatever is in them they make a difference, and there may be gigabytes of
    them.  Caches of Python's and pytest's, and virtual environments, are left out where they are not tracked.

    Raises:
        GitError: git cannot read it.
    """
    found: dict[str, str] = {}
    unsure: dict[str, int] = {}
    for record in _records(run_git(root, "ls-files", "-z", "-v", "--stage")):
        about, _, path = record.partition("\t")
        tag, mode, identity, stage = about.split(" ")
        found[path] = _hash(int(mode, 8), identity)
        # In conflict; or git was told to take its word for the file, and does not look.
        if stage != "0" or tag.islower() or (tag == "S" and os.path.lexists(root / path)):
            unsure[path] = int(mode, 8)
    unsure |= dict(_changed(root))
    for path in unsure:
        del found[path]
    return found | _on_disk(root, unsure) | dict.fromkeys(_untracked(root), UNTRACKED)


def differing(base: Mapping[str, str], head: Mapping[str, str], ignore: Sequence[str] = ()) -> tuple[str, ...]:
    """The paths in which two trees differ, in order, without those that a pattern of gitignore's matches.

    Raises:
        ValueError: a pattern is malformed.
    """
    from pathspec import GitIgnoreSpec

    paths = {path for path in base.keys() | head.keys() if base.get(path) != head.get(path)}
    ignored = GitIgnoreSpec.from_lines(ignore)
    # Where there is nothing to match, a folder of many files is not matched with it.
    return tuple(sorted(path for path in paths if not ignore or not ignored.match_file(path)))


def _records(printed: bytes) -> Iterator[str]:
    """What ``-z`` separates, as names of files are in Python."""
    return (os.fsdecode(record) for record in printed.split(b"\0") if record)


def _hash(mode: int, identity: str) -> str:
    """One string for what a file is: of permissions, git knows only whether it may be executed."""
    if stat.S_ISREG(mode):
        mode = 0o100755 if mode & 0o100 else 0o100644
    elif stat.S_ISLNK(mode):
        mode = stat.S_IFLNK
    return f"{mode:06o} {identity}"


def _changed(root: Path) -> Iterator[tuple[str, int]]:
    """What differs from the index, or looks so, and what kind of file it is now; 0 for none."""
    printed = run_git(root, "diff-files", "-z", "--raw", "--no-renames", "--ignore-submodules=none")
    records = _records(printed)
    for about in records:
        yield next(records), int(about.split(" ")[1], 8)


def _untracked(root: Path) -> list[str]:
    listed = list(_records(run_git(root, "ls-files", "-z", "--others", "--exclude-standard")))
    environments = tuple(path.removesuffix("pyvenv.cfg") for path in listed if path.endswith("/pyvenv.cfg"))
    return [path for path in listed if not path.startswith(environments) and not _is_leaving(path)]


def _is_leaving(path: str) -> bool:
    folders = PurePosixPath(path).parts[:-1]
    return any(name in _LEAVINGS or name.endswith(".egg-info") for name in folders)


def _on_disk(root: Path, paths: Mapping[str, int]) -> dict[str, str]:
    """The hashes of files as they are now; one that is gone has none, one that cannot be read equals no other.

    ``paths`` are with the mode that git takes them to have: not every file system keeps permissions.
    """
    found: dict[str, str] = {}
    regular: list[tuple[str, int]] = []
    for path, supposed in paths.items():
        try:
            mode = (root / path).lstat().st_mode
            target = os.readlink(root / path) if stat.S_ISLNK(mode) else ""
        except OSError:
            continue  # also one that has just gone
        if stat.S_ISLNK(mode):
            found[path] = _hash(mode, _blob(root, os.fsencode(target)))
        elif stat.S_ISDIR(mode):
            if supposed == _SUBMODULE:  # or a folder has taken a file's place, and git lists what is in it
                found[path] = _repository(root / path)
        elif stat.S_ISREG(mode) and os.access(root / path, os.R_OK):
            regular.append((path, supposed if supposed and stat.S_ISREG(supposed) else mode))
        else:
            found[path] = "unreadable"
    for start in range(0, len(regular), _BATCH):
        batch = regular[start : start + _BATCH]
        # With the filters that the file's path has, or line endings and Git LFS would make a difference of nothing.
        printed = run_git(root, "hash-object", "--", *(path for path, _ in batch))
        for (path, mode), identity in zip(batch, printed.decode().split(), strict=True):
            found[path] = _hash(mode, identity)
    return found


def _repository(folder: Path) -> str:
    """A submodule, or a repository that happens to lie within this one: its commit, if nothing differs from that."""
    if (folder / ".git").exists():  # or git would answer for the repository around it
        with contextlib.suppress(GitError):
            commit = run_git(folder, "rev-parse", "--verify", "HEAD").decode().strip()
            if not run_git(folder, "status", "--porcelain"):
                return _hash(_SUBMODULE, commit)
    return "a repository with changes"


def _blob(root: Path, content: bytes) -> str:
    kind = run_git(root, "rev-parse", "--show-object-format").decode().strip()
    return hashlib.new(kind, b"blob %d\0" % len(content) + content).hexdigest()
