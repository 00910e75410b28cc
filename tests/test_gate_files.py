from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.gate import files
from perfsuite.gate.files import UNTRACKED, differing, of_commit, of_working_tree
from tests.git_repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repo")
    made.commit(a="a\n", b="b\n", deep__c="c\n", run="#!/bin/sh\n")
    return made


def as_git_would_commit(repository: Repository) -> dict[str, str]:
    """The oracle: the tree that ``git add -A && git commit`` would make, without touching the index.

    Of what git does not track yet only the names.
    """
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder, "index")
        if (repository.path / ".git" / "index").exists():
            index.write_bytes((repository.path / ".git" / "index").read_bytes())
        if repository.git("ls-files", "-v", "a").startswith("h"):  # git was told not to look at it
            repository.git("update-index", "--no-assume-unchanged", "a", GIT_INDEX_FILE=str(index))
        listed = subprocess.run(["git", "-C", repository.path, "ls-files", "-z"], check=True, capture_output=True)
        tracked = {os.fsdecode(path) for path in listed.stdout.split(b"\0")}
        repository.git("add", "-A", GIT_INDEX_FILE=str(index))
        tree = repository.git("write-tree", GIT_INDEX_FILE=str(index))
        found = of_commit(repository.path, tree)
        return {path: identity if path in tracked else UNTRACKED for path, identity in found.items()}


def test_a_clean_tree_has_the_files_of_its_commit(repository: Repository) -> None:
    found = of_working_tree(repository.path)
    assert found == of_commit(repository.path, "HEAD")
    assert set(found) == {"a", "b", "deep/c", "run"}
    assert found["a"] == f"100644 {repository.git('rev-parse', 'HEAD:a')}"


ODD_NAMES = ("new\nline", "-dash", "ünïcode", 'quo"te', " blank ", "tab\t", "bytes\udcff")


def odd_names(at: Path) -> None:
    for name in ODD_NAMES:
        (at / name).write_text(name.encode("utf-8", "replace").decode())


def retyped(at: Path) -> None:
    (at / "a").unlink()
    (at / "a").symlink_to("b")


def a_folder_now(at: Path) -> None:
    (at / "a").unlink()
    (at / "a").mkdir()
    (at / "a" / "inner").write_text("x")


def with_git(*arguments: str, before: Callable[[Path], object] | None = None) -> Callable[[Path], None]:
    def change(at: Path) -> None:
        if before is not None:
            before(at)
        subprocess.run(["git", "-C", str(at), *arguments], check=True, capture_output=True)

    return change


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda at: (at / "a").write_text("new\n"),
    "touched": lambda at: os.utime(at / "a", (1, 1)),
    "deleted": lambda at: (at / "a").unlink(missing_ok=True),
    "renamed": lambda at: (at / "b").rename(at / "renamed"),
    "executable": lambda at: (at / "run").chmod(0o755),
    "a link now": retyped,
    "a folder now": a_folder_now,
    "a link to nothing": lambda at: (at / "link").symlink_to("nowhere"),
    "new": lambda at: (at / "new").write_text("x"),
    "new and executable": lambda at: ((at / "tool").write_text("x"), (at / "tool").chmod(0o755)),
    "ignored": lambda at: ((at / ".gitignore").write_text("*.o\n"), (at / "x.o").write_text("x")),
    "odd names": odd_names,
    "odd names, staged": with_git("add", "-A", before=odd_names),
    "staged": with_git("add", "-A", before=lambda at: (at / "b").write_text("staged\n")),
    "staged, then deleted": with_git("rm", "-q", "--cached", "b"),
    "to be added": with_git("add", "-N", "later", before=lambda at: (at / "later").write_text("x")),
    "not to be looked at": with_git("update-index", "--assume-unchanged", "a"),
    "line ends": lambda at: (
        (at / ".gitattributes").write_text("*.txt text eol=crlf\n"),
        (at / "ends.txt").write_bytes(b"1\r\n2\r\n"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_tree_has_the_hashes_that_git_would_give(repository: Repository, name: str) -> None:
    CHANGES[name](repository.path)
    index = (repository.path / ".git" / "index").read_bytes()
    found = of_working_tree(repository.path)
    assert (repository.path / ".git" / "index").read_bytes() == index, "the user's index was written"
    assert found == as_git_would_commit(repository)


@given(st.lists(st.sampled_from(sorted(CHANGES)), min_size=2, max_size=5, unique=True))
@settings(max_examples=20, deadline=None)
def test_so_it_has_after_any_of_them_together(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(Path(folder))
        repository.commit(a="a\n", b="b\n", run="#!/bin/sh\n")
        for name in names:
            try:
                CHANGES[name](repository.path)
            except (OSError, subprocess.CalledProcessError):
                continue  # the file it would change is another thing by now
        found = of_working_tree(repository.path)
        assert found == as_git_would_commit(repository)


def test_a_change_that_git_was_told_not_to_see_is_seen(repository: Repository) -> None:
    committed = of_commit(repository.path, "HEAD")
    repository.git("update-index", "--assume-unchanged", "a")
    repository.git("update-index", "--skip-worktree", "b")
    assert of_working_tree(repository.path) == committed
    repository.write(a="new\n", b="new\n")
    assert differing(committed, of_working_tree(repository.path)) == ("a", "b")
    (repository.path / "b").unlink()  # as a sparse checkout leaves it
    assert differing(committed, of_working_tree(repository.path)) == ("a",)


def test_line_ends_of_the_checkout_are_no_difference(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.write(text="1\n2\n")
    (tmp_path / ".gitattributes").write_text("text eol=crlf\n")
    repository.commit()
    (tmp_path / "text").write_bytes(b"1\r\n2\r\n")
    os.utime(tmp_path / "text", (1, 1))
    assert differing(of_commit(tmp_path, "HEAD"), of_working_tree(tmp_path)) == ()


def test_a_conflict_has_the_hash_of_what_is_on_disk(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "other")
    repository.commit(a="other\n")
    repository.git("checkout", "-q", "main")
    repository.commit(a="main\n")
    subprocess.run(["git", "-C", str(repository.path), "merge", "other"], check=False, capture_output=True)
    found = of_working_tree(repository.path)
    assert found["a"] == f"100644 {repository.git('hash-object', 'a')}"
    (repository.path / "a").unlink()
    assert "a" not in of_working_tree(repository.path)


def test_what_tests_leave_behind_is_no_difference_unless_it_is_tracked(repository: Repository) -> None:
    clean = of_working_tree(repository.path)
    for folder in ("__pycache__", "deep/.pytest_cache/v", ".benchmarks", "x.egg-info", ".hypothesis/a"):
        (repository.path / folder).mkdir(parents=True)
        (repository.path / folder / "file").write_text("x")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", repository.path / "env"], check=True)
    assert of_working_tree(repository.path) == clean
    repository.git("add", "-f", "__pycache__/file")
    assert set(of_working_tree(repository.path)) - set(clean) == {"__pycache__/file"}


def test_a_repository_within_the_repository_is_a_new_file(repository: Repository) -> None:
    Repository(repository.path / "inner").commit(x="1")
    assert of_working_tree(repository.path)["inner/"] == UNTRACKED


def test_a_submodule_counts_as_its_commit(repository: Repository, tmp_path: Path) -> None:
    library = Repository(tmp_path / "library")
    first = library.commit(x="1")
    repository.git("submodule", "add", "-q", str(library.path), "sub")
    repository.commit()
    committed = of_commit(repository.path, "HEAD")
    assert of_working_tree(repository.path) == committed
    assert committed["sub"] == f"160000 {first}"
    (repository.path / "sub" / "x").write_text("2")
    assert differing(committed, of_working_tree(repository.path)) == ("sub",)


def test_a_file_that_cannot_be_read_equals_none(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write(a="new")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    assert of_working_tree(repository.path)["a"] == "unreadable"


def test_a_repository_with_long_ids(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--object-format=sha256", tmp_path], check=True)
    repository = Repository(tmp_path)
    repository.commit(a="1", b="2")
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to("a")
    found = of_working_tree(tmp_path)
    assert len(found["a"].split()[1]) == 64
    assert found == as_git_would_commit(repository)


def test_there_may_be_no_commit_yet(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert of_working_tree(tmp_path) == {}
    repository.write(a="1")
    assert set(of_working_tree(tmp_path)) == {"a"}


def test_what_git_does_not_track_is_not_read(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write(data__b="2", data__a="1", notes="x", a="changed\n")
    asked: list[tuple[str, ...]] = []
    really = files.run_git
    monkeypatch.setattr(files, "run_git", lambda root, *words: asked.append(words) or really(root, *words))
    found = of_working_tree(repository.path)
    assert [words[2:] for words in asked if words[0] == "hash-object"] == [("a",)]
    assert {path for path in found if found[path] == UNTRACKED} == {"data/a", "data/b", "notes"}
    committed = of_commit(repository.path, "HEAD")
    assert differing(committed, found) == ("a", "data/a", "data/b", "notes")
    assert differing(committed, found, ["data", "notes", "a"]) == ()


def test_a_link_that_vanishes_while_it_is_looked_at_is_gone(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(b="b\n")
    (repository.path / "a").unlink()
    (repository.path / "a").symlink_to("b")

    def readlink(path: Path) -> str:
        path.unlink()
        return really(path)

    really = os.readlink
    monkeypatch.setattr(os, "readlink", readlink)
    assert "a" not in of_working_tree(repository.path)


# --- what differs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ignore", "found"),
    [
        ((), ("README.md", "docs/a/b.py", "new", "src/x.md", "src/x.py")),
        (("*.md", "docs/**"), ("new", "src/x.py")),
        (("*.md", "docs/**", "!src/*.md"), ("new", "src/x.md", "src/x.py")),
        (("/README.md", "docs/"), ("new", "src/x.md", "src/x.py")),
        (("*",), ()),
        (("# *", ""), ("README.md", "docs/a/b.py", "new", "src/x.md", "src/x.py")),
    ],
)
def test_what_matches_a_pattern_does_not_differ(ignore: tuple[str, ...], found: tuple[str, ...]) -> None:
    base = {"README.md": "1", "docs/a/b.py": "1", "src/x.md": "1", "src/x.py": "1", "same": "1"}
    head = {"README.md": "2", "docs/a/b.py": "2", "src/x.md": "2", "same": "1", "new": "1"}
    assert differing(base, head, ignore) == found
    assert differing(head, base, ignore) == found


hashes = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"))


@given(hashes, hashes)
def test_nothing_differs_exactly_if_all_is_equal(base: dict[str, str], head: dict[str, str]) -> None:
    assert (differing(base, head) == ()) == (base == head)
