from __future__ import annotations

import fcntl
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfsuite.errors import PerfsuiteWarning, UsageError
from perfsuite.gate import leftovers
from perfsuite.gate.spec import Spec, parse_spec
from perfsuite.gate.trees import Tree, Trees, differing, identical, mapped
from tests.git_repository import Repository

HEAD = parse_spec("git:HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repo")
    made.commit(a="a", tests__bench__test_it="t")
    return made


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where worktrees go; it must be empty at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def worktrees(repository: Repository) -> list[str]:
    """All that git knows of, but the first, which is the repository's own."""
    lines = repository.git("worktree", "list", "--porcelain").splitlines()
    return [line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")][1:]


def test_a_commit_has_a_worktree_as_long_as_the_gate_runs(repository: Repository, temporary: Path) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.commit(a="b")
    repository.write(a="c")
    with Trees(repository.path) as trees:
        tree = trees.open(parse_spec("git:HEAD~1"))
        assert (tree.path / "a").read_text() == "a"
        assert tree.path.is_relative_to(temporary)
        assert tree.path.name == "repo"  # the user's folder's, in case that it is a package's
        assert (tree.cwd, tree.origin, tree.commit, tree.dirty) == (tree.path, repository.path, first, False)
        assert set(tree.hashes) == {"a", "tests/bench/test_it"}
        assert tree.notes == ()
        assert worktrees(repository) == [str(tree.path)]
        assert repository.git("-C", str(tree.path), "status", "--porcelain", "--branch") == "## HEAD (no branch)"
        head = trees.open(HEAD)
        assert (head.path / "a").read_text() == "b"
    assert worktrees(repository) == []
    assert not (repository.path / ".git" / "worktrees").exists()
    assert (repository.path / "a").read_text() == "c"


def test_the_same_commit_twice_has_two_worktrees(repository: Repository) -> None:
    with Trees(repository.path) as trees:
        base, head = trees.open(HEAD), trees.open(HEAD)
        assert base.path != head.path
        assert len(str(base.path)) == len(str(head.path))
        assert identical(base, head)


@pytest.mark.parametrize("text", [".", "git:.", "env:X=1", "python:python3"])
def test_the_working_tree_is_taken_as_it_is(repository: Repository, text: str) -> None:
    with Trees(repository.path) as trees:
        clean = trees.open(parse_spec(text))
        assert (clean.path, clean.cwd, clean.dirty) == (repository.path, repository.path, False)
        assert clean.commit == repository.git("rev-parse", "HEAD")
        repository.write(new="x")
        assert trees.open(parse_spec(text)).dirty is True
        assert worktrees(repository) == []


def test_before_the_first_commit_there_is_only_the_working_tree(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "new")
    repository.write(a="a")
    with Trees(repository.path) as trees:
        tree = trees.open(parse_spec("."))
        assert (tree.commit, tree.dirty) == (None, True)
        with pytest.raises(UsageError, match="no such commit 'HEAD'"):
            trees.open(HEAD)


def test_what_differs_is_named(repository: Repository) -> None:
    with Trees(repository.path) as trees:
        base = trees.open(HEAD)
        assert identical(base, trees.open(parse_spec(".")))
        repository.write(a="changed", README="x")
        (repository.path / "README").rename(repository.path / "README.md")
        head = trees.open(parse_spec("."))
        assert differing(base, head) == ("README.md", "a")
        assert differing(base, head, ["*.md"]) == ("a",)
        assert identical(base, head, ["*.md", "a"])
        # One folder is what it is, whatever was read of it when.
        assert differing(head, trees.open(parse_spec("."))) == ()


def test_the_users_subfolder_has_a_counterpart(repository: Repository) -> None:
    below = repository.path / "tests" / "bench"
    with Trees(below) as trees:
        assert trees.root == repository.path
        tree = trees.open(HEAD)
        assert tree.cwd == tree.path / "tests" / "bench"
        assert set(tree.hashes) == {"a", "tests/bench/test_it"}
        here = trees.open(parse_spec("."))
        assert (here.path, here.cwd) == (repository.path, below)
        assert identical(tree, here)


def test_a_commit_without_the_users_folder_is_refused(repository: Repository) -> None:
    (repository.path / "new").mkdir()
    with Trees(repository.path / "new") as trees, pytest.raises(UsageError, match=r"git:HEAD: .* no folder new/"):
        trees.open(HEAD)


def test_paths_in_the_working_tree_have_counterparts(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "worktree", tmp_path / "worktree", tmp_path / "repo")
    found = mapped(tree, [str(tmp_path / "repo" / "src"), tmp_path / "elsewhere", tmp_path / "repo"])
    assert found == (tmp_path / "worktree" / "src", tmp_path / "worktree")


# --- nothing of the repository runs, and nothing is left --------------------------------------------


def test_no_hook_runs_and_no_variable_of_a_hook_is_obeyed(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = repository.path / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    repository.git("config", "core.fsmonitor", str(hook))
    other = Repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git" / "index"))
    with Trees(repository.path) as trees:
        assert (trees.open(HEAD).path / "a").exists()
        assert trees.open(parse_spec(".")).dirty is False
    assert not (tmp_path / "ran").exists()
    repository.git("-C", str(repository.path), "checkout", "-q", "--detach")
    assert (tmp_path / "ran").exists(), "the hook would not have run anyway"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_worktrees_are_removed_however_the_gate_ends(repository: Repository, error: type[BaseException]) -> None:
    def run() -> None:
        with Trees(repository.path) as trees:
            trees.open(HEAD)
            tree = trees.open(HEAD)
            (tree.path / "made_by_a_test").mkdir()
            (tree.path / "made_by_a_test" / "file").touch()
            (tree.path / "made_by_a_test").chmod(0o500)
            raise error

    with pytest.raises(error):
        run()
    assert worktrees(repository) == []


def test_worktrees_that_cannot_be_removed_are_said(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        trees = Trees(repository.path)
        folder = trees.open(HEAD).path.parents[1]
        patched.setattr(shutil, "rmtree", lambda *arguments, **named: None)
        with pytest.warns(PerfsuiteWarning, match="could not be removed"):
            trees.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trees.close()
    leftovers.remove_folder(folder, repository.path / ".git")
    assert worktrees(repository) == []


def slow_checkout(repository: Repository, started: Path) -> None:
    """Make git wait, in a child of its own, while it writes a worktree."""
    repository.commit(**{"slow": "x"})
    (repository.path / ".git" / "info").mkdir(exist_ok=True)
    (repository.path / ".git" / "info" / "attributes").write_text("slow filter=slow\n")
    repository.git("config", "filter.slow.smudge", f"echo $$ > {started}; exec sleep 100")
    repository.git("config", "filter.slow.required", "true")


def test_ctrl_c_in_the_middle_of_adding_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    started = tmp_path / "started"
    slow_checkout(repository, started)

    def interrupt() -> None:
        while not (started.exists() and started.read_text().strip()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    def run() -> None:
        with Trees(repository.path) as trees:
            thread.start()
            trees.open(HEAD)

    thread = threading.Thread(target=interrupt, daemon=True)
    with pytest.raises(KeyboardInterrupt):
        run()
    thread.join()
    assert list(repository.path.glob(".git/worktrees/*")) == []
    assert leftovers._started(int(started.read_text())) is None, "git's filter still runs"


def test_ctrl_c_while_all_is_removed_waits_for_its_end(
    repository: Repository, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def interrupted(*arguments: object, **named: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        remove(*arguments, **named)  # type: ignore[arg-type]

    def run() -> None:
        with Trees(repository.path) as trees:
            trees.open(HEAD)
            monkeypatch.setattr(shutil, "rmtree", interrupted)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert list(temporary.iterdir()) == []
    assert worktrees(repository) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- what a gate that was killed has left -----------------------------------------------------------

OPEN = """
import os, sys, tempfile
from perfsuite.gate.spec import parse_spec
from perfsuite.gate.trees import Trees
tempfile.tempdir = sys.argv[2]
trees = Trees(sys.argv[1]).__enter__()
print(trees.open(parse_spec("git:HEAD")).path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another(repository: Repository, temporary: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A gate in another process, and its worktree."""
    command = [sys.executable, "-c", OPEN, str(repository.path), str(temporary)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()
        process.wait()
    leftovers.sweep(temporary, repository.path / ".git")


def test_a_living_gates_worktrees_stay_and_a_dead_ones_go(
    repository: Repository, another: tuple[subprocess.Popen[str], Path]
) -> None:
    process, worktree = another
    with Trees(repository.path) as trees:
        mine = trees.open(HEAD)
        assert sorted(worktrees(repository)) == sorted([str(worktree), str(mine.path)])
    assert worktrees(repository) == [str(worktree)]
    assert (worktree / "a").exists()
    process.kill()
    process.wait()
    assert (worktree / "a").exists()
    with Trees(repository.path):
        assert worktrees(repository) == []
        assert not worktree.parents[1].exists()


def test_a_dead_gates_worktree_of_another_repository_goes_too(
    repository: Repository, another: tuple[subprocess.Popen[str], Path], tmp_path: Path
) -> None:
    process, worktree = another
    process.kill()
    process.wait()
    with Trees(tmp_path / "temporary"):  # where no repository is
        assert not worktree.exists()
    assert worktrees(repository) == []


def test_what_is_registered_goes_where_the_folder_has_gone(
    repository: Repository, another: tuple[subprocess.Popen[str], Path]
) -> None:
    process, worktree = another
    shutil.rmtree(worktree.parents[1])
    with Trees(repository.path):
        assert worktrees(repository) == [str(worktree)], "it lives"
    process.kill()
    process.wait()
    with Trees(repository.path):
        assert worktrees(repository) == []


def test_a_half_made_worktree_goes(repository: Repository, another: tuple[subprocess.Popen[str], Path]) -> None:
    process, worktree = another
    process.kill()
    process.wait()
    (worktree / ".git").unlink()
    (repository.path / ".git" / "worktrees" / "repo" / "locked").write_text("initializing")
    with Trees(repository.path):
        assert worktrees(repository) == []
        assert not worktree.exists()


def test_the_users_own_worktrees_stay_even_if_their_disk_is_not_here(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "-q", "--detach", str(tmp_path / "mine"))
    repository.git("worktree", "add", "-q", "--detach", str(tmp_path / "away"))
    shutil.rmtree(tmp_path / "away")
    with Trees(repository.path) as trees:
        trees.open(HEAD)
    assert sorted(worktrees(repository)) == [str(tmp_path / "away"), str(tmp_path / "mine")]


def test_where_process_ids_mean_nothing_the_lock_decides(repository: Repository, temporary: Path) -> None:
    """As with a gate in another container that shares the temporary folder."""
    folder = temporary / "perfsuite-gate-00000000-1-1-00000000"
    lock = leftovers.claim(folder)
    with Trees(repository.path):
        assert folder.exists()
    fcntl.flock(lock, fcntl.LOCK_UN)
    with Trees(repository.path):
        assert not folder.exists()
    os.close(lock)


def test_only_folders_of_a_gates_own_name_are_removed(repository: Repository, temporary: Path, tmp_path: Path) -> None:
    (temporary / "perfsuite-gate-notes").mkdir()
    (temporary / "perfsuite-gate-00000000-1-1-00000001").symlink_to(tmp_path)
    with Trees(repository.path):
        assert len(list(temporary.iterdir())) == 2
    (temporary / "perfsuite-gate-notes").rmdir()
    (temporary / "perfsuite-gate-00000000-1-1-00000001").unlink()


@pytest.mark.parametrize("what", ["gate", "worker", "calibration"])
def test_a_folder_goes_with_its_owner_or_with_the_next_gate(temporary: Path, what: str) -> None:
    folder = leftovers.OwnFolder(what, temporary)
    (folder.path / "file").touch()
    leftovers.sweep(temporary, None)
    assert folder.path.exists()
    assert folder.remove()
    assert folder.remove(), "it is gone"
    make = f"""
import os, signal, sys
from pathlib import Path
from perfsuite.gate.leftovers import OwnFolder
folder = OwnFolder({what!r}, Path(sys.argv[1]))
(folder.path / "file").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", make, str(temporary)], check=False)
    assert killed.returncode == -9
    (left,) = temporary.iterdir()
    leftovers.sweep(temporary, None)
    assert not left.exists()
    path = leftovers.OwnFolder(what, temporary).path
    gc.collect()
    assert not path.exists(), "nobody holds it any more"


def test_a_process_is_told_from_a_later_one_of_its_id() -> None:
    assert leftovers._started(os.getpid()) == leftovers._started(os.getpid()) is not None
    child = subprocess.Popen(["sleep", "100"])
    try:
        assert leftovers._started(child.pid) is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert leftovers._started(child.pid) is None, "a dead process that nobody has asked after"
    finally:
        child.kill()
        child.wait()


# --- what cannot be opened --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference", ["foo", "HEAD~9", "HEAD:a", "HEAD^{tree}", "foo bar", "0" * 40, "ends.lock", "a..b"]
)
def test_a_commit_that_is_not_there_is_one_line(repository: Repository, reference: str) -> None:
    with Trees(repository.path) as trees, pytest.raises(UsageError) as caught:
        trees.open(Spec("", git=reference))
    assert str(caught.value) == f"git: no such commit {reference!r} in this repository; try git fetch"
    assert caught.value.exit_code == 2


def test_a_branch_of_a_remote_is_proposed(repository: Repository, tmp_path: Path) -> None:
    repository.git("branch", "feature/x")
    repository.git("clone", "-q", str(repository.path), str(tmp_path / "clone"))
    with Trees(tmp_path / "clone") as trees:
        with pytest.raises(UsageError, match=r"did you mean git:origin/feature/x\?"):
            trees.open(parse_spec("git:feature/x"))
        assert trees.open(parse_spec("git:origin/feature/x")).commit == repository.git("rev-parse", "HEAD")


def test_a_shallow_clone_is_said_to_be_one(repository: Repository, tmp_path: Path) -> None:
    repository.commit(a="b")
    repository.git("clone", "-q", "--depth=1", f"file://{repository.path}", str(tmp_path / "clone"))
    with Trees(tmp_path / "clone") as trees:
        assert (trees.open(HEAD).path / "a").read_text() == "b"
        with pytest.raises(
            UsageError, match="no such commit 'HEAD~1' in this shallow clone; try git fetch --unshallow"
        ):
            trees.open(parse_spec("git:HEAD~1"))


def test_outside_of_git_there_is_only_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").mkdir()
    with Trees(tmp_path / "plain") as trees:
        assert trees.root == tmp_path / "plain"
        tree = trees.open(parse_spec("env:X=1"))
        assert tree == Tree(tmp_path / "plain", tmp_path / "plain", tmp_path / "plain")
        assert identical(tree, trees.open(parse_spec(".")))
        with pytest.raises(UsageError, match=r"^git:HEAD: .* is not in a git repository; a side can be \."):
            trees.open(HEAD)
    monkeypatch.setenv("PATH", str(tmp_path))
    with Trees(tmp_path / "plain") as trees, pytest.raises(UsageError, match="git cannot be run"):
        trees.open(HEAD)


def test_a_bare_repository_has_no_working_tree(repository: Repository) -> None:
    with pytest.raises(UsageError, match="is in a repository, but in no working tree: run the gate in one"):
        Trees(repository.path / ".git")


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    made = Repository(tmp_path / "new")
    with (
        Trees(made.path) as trees,
        pytest.raises(UsageError, match="no such commit 'HEAD' in this repository, which has no commit yet"),
    ):
        trees.open(HEAD)


def test_a_temporary_folder_within_the_repository_is_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository.path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(repository.path / "tmp"))
    with Trees(repository.path) as trees, pytest.raises(UsageError, match="set TMPDIR to a folder outside of it"):
        trees.open(HEAD)


def test_a_temporary_folder_that_is_not_there_is_one_line(repository: Repository, temporary: Path) -> None:
    with Trees(repository.path, temporary / "absent") as trees, pytest.raises(UsageError, match="TMPDIR names another"):
        trees.open(HEAD)


# --- what a worktree does not get with its commit ---------------------------------------------------


def test_a_submodule_of_the_working_tree_is_filled_in(repository: Repository, tmp_path: Path) -> None:
    library = Repository(tmp_path / "library")
    library.commit(deep__x="1")
    repository.git("submodule", "add", "-q", str(library.path), "lib/sub")
    repository.commit()
    library.commit(deep__x="2")
    repository.git("-C", str(repository.path / "lib" / "sub"), "pull", "-q")
    repository.commit()
    before = (repository.path / ".git" / "config").read_bytes()
    with Trees(repository.path) as trees:
        base, head = trees.open(parse_spec("git:HEAD~1")), trees.open(HEAD)
        assert (base.path / "lib" / "sub" / "deep" / "x").read_text() == "1"
        assert (head.path / "lib" / "sub" / "deep" / "x").read_text() == "2"
        assert base.notes == head.notes == ()
        assert differing(base, head) == ("lib/sub",)
        assert [path.name for path in (base.path / "lib").iterdir()] == ["sub"]
        assert not (base.path / "lib" / "sub" / ".git").exists()
    assert (repository.path / ".git" / "config").read_bytes() == before
    assert repository.git("status", "--porcelain") == ""


def test_a_submodule_that_is_not_here_is_said(repository: Repository, tmp_path: Path) -> None:
    library = Repository(tmp_path / "library")
    library.commit(x="1")
    repository.git("submodule", "add", "-q", str(library.path), "sub")
    repository.commit()
    repository.git("update-index", "--cacheinfo", f"160000,{'1' * 40},sub")
    repository.git("commit", "-q", "-m", "a commit that nobody has")
    repository.git("clone", "-q", str(repository.path), str(tmp_path / "clone"))
    with Trees(tmp_path / "clone") as trees:
        (note,) = trees.open(HEAD).notes
        assert note.startswith("submodule sub is not checked out: neither is it in the working tree")
    with Trees(repository.path) as trees:
        (note,) = trees.open(HEAD).notes
        assert note.startswith("submodule sub is not checked out: the working tree's does not have commit 111111111111")


def test_pointers_of_git_lfs_are_said(repository: Repository) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    repository.write(weights=pointer, more=pointer, notes=pointer, real="content")
    (repository.path / ".gitattributes").write_text("weights filter=lfs\nmore filter=lfs\nreal filter=lfs\n")
    repository.commit()
    with Trees(repository.path) as trees:
        assert trees.open(HEAD).notes == (
            "Git LFS has not replaced its pointers (more and 1 more): install git-lfs and run git lfs fetch",
        )
