"""What git is told by the environment, and what it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.gate.git import GitError, run_git, working_tree
from tests.git_repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repo")
    made.commit(a="a\n")
    return made


@pytest.mark.parametrize("by", ["count", "global", "system"])
def test_configuration_by_the_environment_counts(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "count":
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "probe.value")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "seen")
    else:
        file = tmp_path / "config"
        file.write_text("[probe]\n\tvalue = seen\n")
        monkeypatch.delenv("GIT_CONFIG_NOSYSTEM", raising=False)
        monkeypatch.setenv(f"GIT_CONFIG_{by.upper()}", str(file))
    assert run_git(repository.path, "config", "probe.value") == b"seen\n"


def test_it_does_not_go_before_what_keeps_hooks_away(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "/elsewhere")
    assert run_git(repository.path, "config", "core.hooksPath") == b"/dev/null\n"


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("GIT_DIR", ".git"),
        ("GIT_WORK_TREE", "."),
        ("GIT_COMMON_DIR", ".git"),
        ("GIT_INDEX_FILE", ".git/index"),
        ("GIT_OBJECT_DIRECTORY", ".git/objects"),
    ],
)
def test_nothing_leads_to_another_repository(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, within: str
) -> None:
    other = Repository(tmp_path / "other")
    other.commit(b="b\n")
    monkeypatch.setenv(name, str(other.path / within))
    assert working_tree(repository.path) == repository.path.resolve()
    assert run_git(repository.path, "ls-files") == b"a\n"
    assert run_git(repository.path, "cat-file", "-p", "HEAD:a") == b"a\n"


def test_a_namespace_hides_nothing(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_NAMESPACE", "nowhere")
    monkeypatch.setenv("GIT_TRACE", "1")
    assert run_git(repository.path, "for-each-ref", "--format=%(refname)") == b"refs/heads/main\n"
    with pytest.raises(GitError, match=r"^git rev-parse: "):
        run_git(repository.path, "rev-parse", "--verify", "absent")


def test_a_working_tree_is_found_from_below_and_is_none_outside(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = repository.path / "deep er" / "still"
    deep.mkdir(parents=True)
    assert working_tree(deep) == repository.path.resolve()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert working_tree(tmp_path / "plain") is None
