"""The commits whose history is kept, as git tells them: those of the branch, and releases beside it.

Projects tag releases on branches of their own, which is where their wheels are built from.  Such a commit is put where
its code left the branch, so that what happened on the branch afterwards does not come before it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from perfsuite.errors import UsageError
from perfsuite.gate.child import run_child
from perfsuite.gate.git import GitError, run_git
from perfsuite.history.model import Commit
from perfsuite.history.settings import HistorySettings

#: Tags of releases, as most projects write them: ``v2.8.0``, ``2.8``, ``v2.8.0+cpu``; of no candidates.
RELEASE_TAGS = r"v?\d+(\.\d+)+(\+[A-Za-z0-9.]+)?"
#: A large project is cloned for minutes, over a slow line for an hour.
_CLONE_SECONDS = 7200.0
#: Variables by which a git that runs us, for a hook, names its own repository.
OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")


def ensure_repository(settings: HistorySettings, fetch: bool = True) -> Path:
    """The repository on this machine: the configured one, or its mirror, which is cloned if it is not there yet.

    The mirror has commits and trees but no contents of files, which git fetches when they are asked for.

    Args:
        settings: which repository.
        fetch: whether to ask a mirror that is there for what is new; a repository of the user's is left as it is.

    Raises:
        UsageError: there is no repository, or it cannot be cloned.
        GitError: the mirror cannot be brought up to date; it is as it was.
    """
    path = settings.repo_path
    if not settings.is_remote or path.exists():
        _check(path)
        if settings.is_remote and fetch:
            run_git(path, "fetch", "--quiet", "origin")
        return path
    try:
        # Under its own name only once it is whole: asv takes any folder with objects in it for a mirror.
        with _arriving(path.with_name(f".new-{path.name}"), settings.repo) as arriving:
            _clone(settings, arriving)
            os.rename(arriving, path)
    except subprocess.TimeoutExpired:
        raise UsageError(f"{settings.repo} cannot be cloned within {_CLONE_SECONDS:g} s") from None
    except OSError as error:
        raise UsageError(f"{settings.repo} cannot be cloned to {path}: {error.strerror}") from error
    return path


def _clone(settings: HistorySettings, folder: Path) -> None:
    deadline = time.monotonic() + _CLONE_SECONDS
    for words in (
        ["init", "--quiet", "--bare", f"--initial-branch={settings.branch}"],
        ["config", "remote.origin.url", settings.repo],
        ["config", "remote.origin.promisor", "true"],
        ["config", "remote.origin.partialclonefilter", "blob:none"],
        *(["config", "--add", "remote.origin.fetch", f"+{refs}:{refs}"] for refs in _refs(settings)),
        # Tags by the patterns alone; of others git would follow those on the way.
        ["config", "remote.origin.tagOpt", "--no-tags"],
        ["fetch", "--quiet", "origin"],
    ):
        variables = {key: value for key, value in os.environ.items() if key not in OF_ANOTHER_REPOSITORY}
        variables |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        done = run_child(["git", "-C", str(folder), *words], variables, max(deadline - time.monotonic(), 1.0))
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit status {done.returncode}"]
            raise UsageError(f"{settings.repo} cannot be cloned: {said[0].removeprefix('fatal: ')}")


def _refs(settings: HistorySettings) -> tuple[str, ...]:
    """What a mirror has: the branch, and the tags that may be releases.

    Not all there is: PyTorch has a branch or a tag for each of tens of thousands of pull requests.
    """
    (start,) = re.findall(r"\A[\w/-]*", settings.tag_pattern)
    rest = settings.tag_pattern[len(start) :]
    if rest.startswith(("?", "*", "{")) or "|" in rest:
        start = ""  # the last character need not be there, or another one in its place
    if not all(name.startswith(start) for name in settings.releases):
        start = ""
    return f"refs/heads/{settings.branch}", f"refs/tags/{start}*"


@contextlib.contextmanager
def _arriving(folder: Path, repo: str) -> Iterator[Path]:
    """An empty folder that nobody else clones into; it is gone afterwards, unless it was renamed.

    Raises:
        UsageError: another process clones into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _is_mine(descriptor, folder):
            raise UsageError(f"{repo} is being cloned to {folder} by another process: wait for it")
        for left in folder.iterdir():  # by a clone that was killed
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def _is_mine(descriptor: int, folder: Path) -> bool:
    """Whether the open folder is locked by us now, and still has this name: who is done with it renames it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except (BlockingIOError, FileNotFoundError):
        return False


def branch_commits(repo_path: Path, branch: str, tag_pattern: str = RELEASE_TAGS) -> tuple[Commit, ...]:
    """The commits of a branch by first parents, the oldest first, and the releases beside it.

    Args:
        repo_path: a repository, with or without a working tree, or a mirror.
        branch: whose history it is.
        tag_pattern: the whole name of a tag that makes a commit beside the branch one of them; tags of the branch's
            own commits are all there.

    Raises:
        UsageError: there is no such branch.
        GitError: git cannot read the repository.
    """
    head = _resolve(repo_path, branch)
    line = _lines(run_git(repo_path, "rev-list", "--first-parent", "--reverse", "--timestamp", head))
    stamps = {commit: int(stamp) for stamp, commit in (one.split() for one in line)}
    places = {commit: place for place, commit in enumerate(stamps)}
    tags = _tags(repo_path)
    matches = re.compile(tag_pattern).fullmatch
    beside = [one for one in tags if one not in places and any(matches(name) for name in tags[one])]
    after = _fork_places(repo_path, head, beside, places, stamps)
    order = [*places]
    for place in sorted(after, reverse=True):
        order[place + 1 : place + 1] = after[place]
    return tuple(Commit(one, k, _date(stamps[one]), tags.get(one, ())) for k, one in enumerate(order))


def commit_at(repo_path: Path, name: str) -> Commit:
    """The commit that a hash, a tag or a branch names; its position is the number of its first parents.

    Raises:
        UsageError: there is none.
        GitError: git cannot read the repository.
    """
    found = _resolve(repo_path, name)
    (line,) = _lines(run_git(repo_path, "rev-list", "--timestamp", "--max-count=1", found))
    count = int(run_git(repo_path, "rev-list", "--first-parent", "--count", found))
    return Commit(found, count - 1, _date(int(line.split()[0])), _tags(repo_path).get(found, ()))


def file_at(repo_path: Path, commit: str, path: str) -> bytes:
    """What a file had in it at a commit.

    Raises:
        GitError: it was not there, or a mirror without contents cannot fetch it.
    """
    return run_git(repo_path, "show", "--no-textconv", f"{commit}:{path}")


def _check(path: Path) -> None:
    # As asv looks: git itself would take a plain folder for a part of the repository around it.
    if not ((path / ".git").exists() or (path / "objects").is_dir()):
        raise UsageError(
            f"{path} is no git repository: see `repo` in the configuration, or --repo; a damaged mirror is made anew "
            "if it is removed"
        )


def _resolve(repo_path: Path, name: str) -> str:
    _check(repo_path)
    try:
        found = run_git(repo_path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except GitError as error:
        # Without another word than its exit status: git has nothing to complain of but the name.
        if "exit status" in str(error):
            raise UsageError(f"{repo_path} has no commit {name!r}") from None
        raise
    return found.decode().strip()


def _tags(repo_path: Path) -> dict[str, tuple[str, ...]]:
    """Commit → names of the tags on it, the shortest first."""
    fields = ("objecttype", "objectname", "*objecttype", "*objectname", "refname:strip=2")
    form = "%09".join(f"%({one})" for one in fields)
    found = defaultdict(list)
    for line in _lines(run_git(repo_path, "for-each-ref", f"--format={form}", "refs/tags")):
        kind, commit, inner_kind, inner, name = line.split("\t")
        if (inner_kind or kind) == "commit":
            found[inner or commit].append(name)
    return {commit: tuple(sorted(names, key=lambda name: (len(name), name))) for commit, names in found.items()}


def _fork_places(
    repo_path: Path, head: str, beside: Sequence[str], places: Mapping[str, int], stamps: dict[str, int]
) -> dict[int, list[str]]:
    """Place on the branch → the commits that come right after it, in order; their times are added to ``stamps``."""
    if not beside:
        return {}
    asked = "".join(f"{one}\n" for one in (*beside, f"^{head}")).encode()
    walked = run_git(repo_path, "rev-list", "--first-parent", "--parents", "--timestamp", "--stdin", stdin=asked)
    parents = {}
    for stamp, commit, *before in (line.split() for line in _lines(walked)):
        parents[commit] = before[0] if before else ""
        stamps[commit] = int(stamp)
    _add_times(repo_path, [one for one in beside if one not in stamps], stamps)
    dates = [stamps[one] for one in places]
    after = defaultdict(list)
    for one in beside:
        fork = one
        while fork in parents:
            fork = parents[fork]
        after[places[fork] if fork in places else _place_by_time(stamps[one], dates)].append(one)
    return {place: sorted(found, key=lambda one: (stamps[one], one)) for place, found in after.items()}


def _add_times(repo_path: Path, commits: Iterable[str], stamps: dict[str, int]) -> None:
    """Of commits that were merged into the branch, and so are neither on its line nor outside of it."""
    asked = "".join(f"{one}\n" for one in commits).encode()
    if asked:
        for line in _lines(run_git(repo_path, "rev-list", "--no-walk", "--timestamp", "--stdin", stdin=asked)):
            stamp, commit = line.split()
            stamps[commit] = int(stamp)


def _place_by_time(stamp: int, dates: Sequence[int]) -> int:
    """The last place whose commit is not later; -1 if all are."""
    return max((place for place, date in enumerate(dates) if date <= stamp), default=-1)


def _lines(printed: bytes) -> list[str]:
    return printed.decode("utf-8", "replace").splitlines()


def _date(stamp: int) -> str:
    return datetime.fromtimestamp(stamp, timezone.utc).isoformat(timespec="seconds")
