"""The commits of a history: their order, their tags, and releases that are tagged beside the branch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsuite.errors import UsageError
from perfsuite.gate.git import GitError, run_git
from perfsuite.history import commits
from perfsuite.history.commits import branch_commits, commit_at, ensure_repository, file_at
from perfsuite.history.settings import read_settings
from tests.history_repository import Project, write_conf


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def labels(project: Project, branch: str = "main") -> list[str]:
    return [one.label if one.tags else "-" for one in branch_commits(project.path, branch)]


def test_the_oldest_is_first_and_tags_are_the_shortest_first(project: Project) -> None:
    first = project.commit()
    second = project.commit("v1.0.0+cpu", "v1.0.0", "release-of-spring!")
    third = project.commit()
    found = branch_commits(project.path, "main")
    assert [one.hash for one in found] == [first, second, third]
    assert [one.position for one in found] == [0, 1, 2]
    assert found[1].tags == ("v1.0.0", "v1.0.0+cpu", "release-of-spring")
    assert found[1].date == "2025-01-02T12:00:00+00:00"
    assert found[0].tags == ()
    assert found[0].label == first[:8]


def test_only_first_parents_are_on_the_branch(project: Project) -> None:
    project.commit()
    project.switch("topic", new=True)
    topic = project.commit()
    project.switch("main")
    project.commit()
    merged = project.merge("topic")
    found = branch_commits(project.path, "main")
    assert len(found) == 3
    assert found[-1].hash == merged
    assert topic not in [one.hash for one in found]


def test_a_release_beside_the_branch_comes_where_its_code_left_it(project: Project) -> None:
    """v1.0 and v1.1 were tagged on a branch of their own while main went on to v2.0."""
    project.commit()
    fork = project.commit()
    project.switch("release/1", new=True)
    project.commit()
    old = project.commit("v1.0!")
    project.switch("main")
    project.commit()
    project.switch("release/1")
    newer = project.commit("v1.1", "v1.1-rc1")
    project.commit("v1.2-rc1", "nightly")
    project.switch("main")
    project.commit("v2.0")
    found = branch_commits(project.path, "main")
    assert labels(project) == ["-", "-", "v1.0", "v1.1", "-", "v2.0"]
    assert [one.position for one in found] == list(range(6))
    assert found[1].hash == fork
    assert [one.hash for one in found[2:4]] == [old, newer]
    assert "v1.2-rc1" not in labels(project), "a candidate is no release"
    chosen = branch_commits(project.path, "main", r"v1\.2.*")
    assert [one.tags for one in chosen if one.tags] == [("nightly", "v1.2-rc1"), ("v2.0",)]


def test_a_release_that_was_merged_back_comes_at_its_time(project: Project) -> None:
    project.commit()
    project.switch("release", new=True)
    project.commit("v1.0")
    project.switch("main")
    project.commit()
    project.merge("release")
    assert labels(project) == ["-", "v1.0", "-", "-"]


def test_a_release_of_another_root_comes_at_its_time(project: Project) -> None:
    project.commit()
    project.repository.git("checkout", "-q", "--orphan", "elsewhere")
    project.commit("v0.1")
    project.switch("main")
    project.commit()
    assert labels(project) == ["-", "v0.1", "-"]
    project.repository.git(
        "tag", "v0.0", project.repository.git("commit-tree", "-m", "old", "main^{tree}", **_AGES_AGO)
    )
    assert labels(project) == ["v0.0", "-", "v0.1", "-"]


_AGES_AGO = {"GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"}


def test_a_tag_of_a_file_is_no_commit(project: Project) -> None:
    project.commit()
    project.repository.git("tag", "v9.9", "HEAD:day.txt")
    project.repository.git("tag", "-a", "v9.8", "-m", "of a file", "HEAD:day.txt")
    assert labels(project) == ["-"]


def test_without_a_branch_of_that_name_it_is_said(project: Project, tmp_path: Path) -> None:
    project.commit()
    with pytest.raises(UsageError, match=r"project has no commit 'develop'$"):
        branch_commits(project.path, "develop")
    with pytest.raises(UsageError, match=r"has no commit '--all'$"):
        branch_commits(project.path, "--all")
    (project.path / "folder").mkdir()
    with pytest.raises(UsageError, match="folder is no git repository"):
        branch_commits(project.path / "folder", "main")


def test_one_commit_by_any_name(project: Project) -> None:
    project.commit()
    second = project.commit("v1.0!")
    for name in (second, second[:9], "v1.0", "main"):
        found = commit_at(project.path, name)
        assert (found.hash, found.position, found.tags) == (second, 1, ("v1.0",))
    assert commit_at(project.path, "main~1").position == 0
    with pytest.raises(UsageError, match="has no commit 'v7'"):
        commit_at(project.path, "v7")


def test_a_file_as_it_was(project: Project) -> None:
    first = project.commit(deep__file="old\n")
    project.commit(deep__file="new\n")
    assert file_at(project.path, first, "deep/file") == b"old\n"
    with pytest.raises(GitError, match="path 'other' does not exist in"):
        file_at(project.path, first, "other")


@given(st.lists(st.sampled_from(["commit", "tag", "branch", "back"]), max_size=12))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_was_tagged_positions_count_and_first_parents_keep_their_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    project = Project(tmp_path_factory.mktemp("p") / "project")
    project.commit()
    for k, step in enumerate(steps):
        if step in ("commit", "tag"):
            project.commit(*([f"v1.{k}"] if step == "tag" else []))
        elif step == "branch":
            project.switch(f"release-{k}", new=True)
        else:
            project.switch("main")
    found = branch_commits(project.path, "main")
    line = run_git(project.path, "rev-list", "--first-parent", "--reverse", "main").decode().split()
    assert [one.position for one in found] == list(range(len(found)))
    assert [one.hash for one in found if one.hash in line] == line
    assert {tag for one in found for tag in one.tags} == {f"v1.{k}" for k, step in enumerate(steps) if step == "tag"}
    assert len({one.hash for one in found}) == len(found)


# --- the mirror -------------------------------------------------------------------------------------


def test_a_mirror_is_cloned_without_contents_and_brought_up_to_date(project: Project, tmp_path: Path) -> None:
    project.repository.git("config", "uploadpack.allowFilter", "true")
    project.repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    first = project.commit("v1.0", deep__file="content\n")
    conf = read_settings(write_conf(tmp_path / "conf", f"file://{project.path}"))
    mirror = ensure_repository(conf)
    assert mirror == tmp_path / "conf/stand-in"
    assert run_git(mirror, "config", "remote.origin.promisor") == b"true\n"
    assert b"?" in run_git(mirror, "rev-list", "--objects", "--missing=print", "main")
    assert [one.label for one in branch_commits(mirror, "main")] == ["v1.0"]
    assert file_at(mirror, first, "deep/file") == b"content\n", "fetched when it is asked for"
    second = project.commit()
    assert [one.hash for one in branch_commits(ensure_repository(conf, fetch=False), "main")] == [first]
    assert [one.hash for one in branch_commits(ensure_repository(conf), "main")] == [first, second]
    assert [path.name for path in (tmp_path / "conf").iterdir() if path.name.startswith(".new")] == []


def test_a_mirror_has_the_branch_and_its_releases_alone(project: Project, tmp_path: Path) -> None:
    project.commit("v1.0")
    project.repository.git("tag", "ciflow/trunk/1")
    project.repository.git("update-ref", "refs/pull/1/head", "HEAD")
    project.repository.git("branch", "gh/somebody")
    pattern = r"v(?P<version>\d+\.\d+)"
    conf = read_settings(write_conf(tmp_path / "conf", f"file://{project.path}", tag_pattern=pattern))
    mirror = ensure_repository(conf)
    refs = ["refs/heads/main", "refs/tags/v1.0"]
    assert run_git(mirror, "for-each-ref", "--format=%(refname)").decode().split() == refs
    project.commit("v1.1")
    project.repository.git("tag", "ciflow/trunk/2")
    ensure_repository(conf)
    assert run_git(mirror, "for-each-ref", "--format=%(refname)").decode().split() == [*refs, "refs/tags/v1.1"]


@pytest.mark.parametrize(
    ("pattern", "releases", "tags"),
    [
        (r"v(?P<version>\d+)", {}, "v*"),
        (r"rel-1\.(?P<version>\d+)", {}, "rel-1*"),
        (r"v?(?P<version>\d+)", {}, "*"),
        (r"v{0,1}(?P<version>\d+)", {}, "*"),
        (r"v(?P<version>\d+)|(?P<other>\d+)", {}, "*"),
        (r"(?P<version>\d+)", {}, "*"),
        (r"v(?P<version>\d+)", {"torch-2": ("torch==2",)}, "*"),
        (r"v(?P<version>\d+)", {"v2-special": ("torch==2",)}, "v*"),
    ],
)
def test_which_tags_may_be_releases(tmp_path: Path, pattern: str, releases: dict[str, tuple[str]], tags: str) -> None:
    conf = replace(read_settings(write_conf(tmp_path, "file:///x")), tag_pattern=pattern, releases=releases)
    assert commits._refs(conf) == ("refs/heads/main", f"refs/tags/{tags}")


def test_asv_takes_the_mirror_for_its_own(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from asv.config import Config
    from asv.repo import get_repo

    first = project.commit("v1.0")
    path = write_conf(tmp_path / "conf", f"file://{project.path}", top={"dvcs": "git"})
    ensure_repository(read_settings(path))
    monkeypatch.chdir(path.parent)
    assert get_repo(Config.load(str(path))).get_hash_from_name("v1.0") == first


def test_what_cannot_be_cloned_leaves_nothing(tmp_path: Path) -> None:
    conf = read_settings(write_conf(tmp_path / "conf", f"file://{tmp_path}/nothing"))
    with pytest.raises(UsageError, match=r"^file:///.*nothing cannot be cloned: ") as raised:
        ensure_repository(conf)
    assert "\n" not in str(raised.value)
    assert [path.name for path in (tmp_path / "conf").iterdir()] == ["asv.conf.json"]


def test_a_killed_clone_is_in_nobodys_way(project: Project, tmp_path: Path) -> None:
    project.commit()
    conf = read_settings(write_conf(tmp_path / "conf", f"file://{project.path}"))
    (tmp_path / "conf/.new-stand-in/objects").mkdir(parents=True)
    assert len(branch_commits(ensure_repository(conf), "main")) == 1
    assert not (tmp_path / "conf/.new-stand-in").exists()


def test_a_clone_that_is_under_way_is_left_alone(project: Project, tmp_path: Path) -> None:
    """`check` and `plot` clone as a night does, and must not take away what it has so far."""
    project.commit()
    conf = read_settings(write_conf(tmp_path / "conf", f"file://{project.path}"))
    arriving = tmp_path / "conf/.new-stand-in"
    with commits._arriving(arriving, "it"):
        (arriving / "objects").mkdir()
        with pytest.raises(UsageError, match=r"is being cloned to .* by another process: wait for it$"):
            ensure_repository(conf)
        assert (arriving / "objects").exists()
    assert not arriving.exists()
    assert len(branch_commits(ensure_repository(conf), "main")) == 1


def test_a_folder_in_place_of_the_repository_is_named(tmp_path: Path) -> None:
    conf = read_settings(write_conf(tmp_path / "conf", "https://localhost/none.git"))
    conf.repo_path.mkdir()
    with pytest.raises(UsageError, match=r"stand-in is no git repository: see `repo`"):
        ensure_repository(conf)
    with pytest.raises(UsageError, match="nowhere is no git repository"):
        ensure_repository(read_settings(write_conf(tmp_path / "conf", "nowhere")))
