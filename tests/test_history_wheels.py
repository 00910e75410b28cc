"""What is installed for a commit, and what is said where nothing can be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.errors import UsageError
from perfsuite.history.commits import commit_at, ensure_repository
from perfsuite.history.model import Absent, Stack
from perfsuite.history.settings import read_settings
from perfsuite.history.wheels import _version, _with_torchvision, stack_of
from tests.history_repository import Project, build_wheel, write_conf

#: As a release of IPEX has it.
REAL = {
    "gcc": {"max-version": "null", "min-version": "12.3.0"},
    "llvm": {"commit": "llvmorg-16.0.6"},
    "pytorch": {"index-url": "https://host/whl/cpu", "version": "2.8.0+cpu"},
    "torchaudio": {"version": "2.8.0+cpu"},
    "torchvision": {"version": "0.23.0+cpu"},
    "torch-ccl": {"commit": "v2.8.0+cpu", "version": "2.8.0+cpu"},
    "deepspeed": {"version": "", "commit": "018ece5"},
    "oneDNN": {"version": "3.7"},
}
Ask = Callable[..., Stack | Absent]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def ask(project: Project, tmp_path: Path) -> Ask:
    """What is installed for a name, with keys of the configuration."""

    def asked(name: str = "HEAD", **ours: Any) -> Stack | Absent:
        settings = read_settings(write_conf(tmp_path / "conf", project.path, **ours))
        return stack_of(commit_at(project.path, name), settings, project.path)

    return asked


def reason(found: Stack | Absent) -> str:
    assert isinstance(found, Absent), found
    assert "\n" not in found.reason
    return found.reason


# --- releases ---------------------------------------------------------------------------------------


def test_a_release_has_exactly_the_torch_that_its_file_names(project: Project, ask: Ask) -> None:
    project.write_dependencies(REAL)
    project.commit("v2.8.0+cpu")
    requirements = ["torch=={torch}", "torchvision=={torchvision}", "stand-in=={version}", "onednn=={onednn}"]
    found = ask(
        requirements=requirements,
        extra_requirements=["numpy"],
        tag_pattern=r"v(?P<version>\d+\.\d+\.\d+)(\+cpu)?",
        imports=["stand_in", "torch"],
        python="python3",
    )
    assert found == Stack(
        ("torch==2.8.0", "torchvision==0.23.0", "stand-in==2.8.0", "onednn==3.7", "numpy"),
        ("stand_in", "torch"),
        "release v2.8.0+cpu",
        "python3",
    )


@pytest.mark.parametrize(
    ("content", "torch"),
    [
        ({"pytorch": {"version": "2.7.1+cpu"}}, "2.7.1"),
        ({"torch": "2.7.1"}, "2.7.1"),
        ({"PyTorch": {"version": "v2.7.1", "commit": "abc"}}, "2.7.1"),
        ({"pytorch": {"version": "2.7.0.dev20250226+cpu"}}, "2.7.0"),
        ({"pytorch": {"version": "2.7.0rc1"}}, "2.7.0"),
        ({"pytorch": {"version": "2.7.0.post1"}}, "2.7.0.post1"),
        ({"x": None, "y": [], "z": {"version": "null"}, "pytorch": {"version": "2.7.1"}}, "2.7.1"),
    ],
)
def test_files_differ_in_their_keys(project: Project, ask: Ask, content: Any, torch: str) -> None:
    project.write_dependencies(content)
    project.commit("v2.7.0")
    found = ask()
    assert isinstance(found, Stack), found
    assert found.requirements == (f"torch=={torch}", "stand-in==2.7.0")


@pytest.mark.parametrize(
    ("torch", "torchvision"),
    [("2.6.0", "0.21.*"), ("2.7.1", "0.22.*"), ("2.8.0", "0.23.*"), ("2.13.0", "0.28.*"), ("1.13.1", "0.14.*")],
)
def test_torchvision_goes_with_torch_where_the_file_does_not_name_it(torch: str, torchvision: str) -> None:
    assert _with_torchvision({"torch": torch})["torchvision"] == torchvision
    assert _with_torchvision({"torch": torch, "torchvision": "0.1"})["torchvision"] == "0.1"


def test_of_another_torch_nothing_is_known() -> None:
    assert _with_torchvision({"torch": "3.0"}) == {"torch": "3.0"}
    assert _with_torchvision({}) == {}


def test_without_a_file_the_release_is_torch_itself(project: Project, ask: Ask) -> None:
    project.commit("v2.9.1")
    found = ask(dependency_file=None, requirements=["torch=={version}", "torchvision=={torchvision}"])
    assert isinstance(found, Stack), found
    assert found.requirements == ("torch==2.9.1", "torchvision==0.24.*")


def test_requirements_that_need_no_file_do_not_look_for_it(project: Project, ask: Ask) -> None:
    project.commit("v1.0")
    found = ask(requirements=["stand-in=={version}", "helper=={tag}"])
    assert isinstance(found, Stack), found
    assert found.requirements == ("stand-in==1.0", "helper==v1.0")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "dependency_version.json cannot be read: git show: path 'dependency_version.json' does not exist in"),
        ("{", "dependency_version.json is not valid JSON: "),
        ("[]", "dependency_version.json is no object"),
        ("{}", "dependency_version.json names no version of torch"),
        ('{"pytorch": {"version": "null"}}', "dependency_version.json names no version of torch"),
    ],
)
def test_a_release_that_does_not_say_what_it_needs(project: Project, ask: Ask, content: str | None, said: str) -> None:
    if content is not None:
        (project.path / "dependency_version.json").write_text(content)
    project.commit("v1.0")
    assert reason(ask()).startswith(said)


def test_a_commit_without_a_tag_and_a_tag_that_is_no_release(project: Project, ask: Ask, tmp_path: Path) -> None:
    project.commit("v1.0-rc1", "nightly", torch="2.8.0")
    assert reason(ask()) == "nothing to install: no release tag"
    (tmp_path / "conf/house").mkdir()
    (tmp_path / "conf/map.json").write_text("{}")
    assert reason(ask(wheelhouse="house", wheel_map="map.json")) == (
        "nothing to install: no release tag, not in the wheel map, no wheel in the wheelhouse"
    )


def test_the_configuration_may_say_what_a_release_needs(project: Project, ask: Ask) -> None:
    commit = project.commit("v1.0")
    found = ask(releases={"v1.0": ["torch==2.0.1", "stand-in==1.0.post2"]}, extra_requirements=["numpy"])
    assert found == Stack(("torch==2.0.1", "stand-in==1.0.post2", "numpy"), ("stand_in",), "release v1.0")
    by_hash = ask(releases={commit[:10]: ["a"]})
    assert isinstance(by_hash, Stack)
    assert by_hash.requirements == ("a",)
    assert reason(ask(releases={"v1.0": None})).startswith("not to be measured")
    assert reason(ask(releases={commit[:6]: ["a"]})).startswith("dependency_version.json cannot"), "too few digits"


def test_a_mirror_without_contents_and_without_a_network(project: Project, tmp_path: Path) -> None:
    project.repository.git("config", "uploadpack.allowFilter", "true")
    project.commit("v1.0", torch="2.8.0")
    mirror = tmp_path / "conf/stand-in"
    project.repository.git("clone", "-q", "--mirror", "--filter=blob:none", f"file://{project.path}", str(mirror))
    settings = read_settings(write_conf(tmp_path / "conf", f"file://{project.path}"))
    os.rename(project.path, tmp_path / "away")
    found = stack_of(commit_at(mirror, "v1.0"), settings, mirror)
    assert reason(found).startswith("dependency_version.json cannot be read: git show: ")


@given(st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}", fullmatch=True), st.sampled_from(["", "+cpu", "+git3fa9c1d"]))
def test_what_is_local_to_a_build_is_left_out(version: str, local: str) -> None:
    assert _version(version + local, exactly=True) == _version(version, exactly=False)
    assert "+" not in str(_version(version + local, exactly=False))


@given(st.none() | st.integers() | st.text(max_size=9) | st.lists(st.text()))
def test_any_value_is_a_version_or_none(value: Any) -> None:
    found = _version(value, exactly=True)
    assert found is None or _version(found, exactly=True) == found


# --- wheels of single commits -----------------------------------------------------------------------


def test_the_wheel_map(project: Project, ask: Ask, tmp_path: Path) -> None:
    first, second, third = (project.commit() for _ in range(3))
    wheel = build_wheel(tmp_path / "conf/maps", "stand-in", "1.0", {})
    listed = {first[:7].upper(): [f"./{wheel.name}", "torch==2.8.0"], second: "https://host/a-1-py3-none-any.whl"}
    (tmp_path / "conf/maps/wheels.json").write_text(json.dumps(listed))
    found = ask(first, wheel_map="maps/wheels.json", extra_requirements=["numpy"])
    assert found == Stack((str(wheel), "torch==2.8.0", "numpy"), ("stand_in",), "wheel map")
    by_url = ask(second, wheel_map="maps/wheels.json")
    assert isinstance(by_url, Stack)
    assert by_url.requirements == ("https://host/a-1-py3-none-any.whl",)
    assert reason(ask(third, wheel_map="maps/wheels.json")).endswith("not in the wheel map")
    wheel.unlink()
    assert reason(ask(first, wheel_map="maps/wheels.json")) == f"wheels.json names {wheel}, which is not there"


def test_the_longest_beginning_counts_and_a_changed_map_is_read_again(
    project: Project, ask: Ask, tmp_path: Path
) -> None:
    commit = project.commit()
    path = tmp_path / "map.json"
    path.write_text(json.dumps({commit[:7]: ["a"], commit[:9]: ["b"]}))
    found = ask(wheel_map=str(path))
    assert isinstance(found, Stack)
    assert found.requirements == ("b",)
    path.write_text(json.dumps({commit[:7]: ["something-else"]}))
    found = ask(wheel_map=str(path))
    assert isinstance(found, Stack)
    assert found.requirements == ("something-else",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected an object"),
        ('{"v1.0": ["a"]}', "'v1.0': expected a commit, by 7 to 40 digits"),
        ('{"abc": ["a"]}', "'abc': expected a commit, by 7 to 40 digits"),
        ('{"abcdef1": []}', "abcdef1: expected a list of requirements"),
        ('{"abcdef1": [1]}', "abcdef1: expected a list of requirements"),
        ('{"abcdef1": ["-r x"]}', "abcdef1: expected a requirement and no option"),
        ('{"abcdef1": ["a=={version}"]}', "expected the very version"),
    ],
)
def test_a_wheel_map_that_is_wrong(project: Project, ask: Ask, tmp_path: Path, content: str, said: str) -> None:
    project.commit()
    (tmp_path / "map.json").write_text(content)
    with pytest.raises(UsageError) as raised:
        ask(wheel_map=str(tmp_path / "map.json"))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["wheel_map", "wheelhouse"])
def test_what_the_configuration_names_has_to_be_there(project: Project, ask: Ask, key: str) -> None:
    project.commit()
    with pytest.raises(UsageError, match=rf"^{key} of the configuration: .*nowhere cannot be read: No such file"):
        ask(**{key: "nowhere"})


@pytest.mark.parametrize("local", ["git{}", "cpu.git{}", "g{}"])
def test_a_wheel_in_the_wheelhouse_goes_before_the_release(
    project: Project, ask: Ask, tmp_path: Path, local: str
) -> None:
    commit = project.commit("v1.0", torch="2.9.0.dev20250226+cpu")
    house = tmp_path / "{house}"
    for name, version in (("stand-in", "1.1a0"), ("torch", "2.9.0"), ("other", "1.0")):
        wheel = build_wheel(house, name, f"{version}+{local.format(commit[:8])}", {})
        if name == "stand-in":
            own = wheel
    build_wheel(house, "stand-in", f"1.2+{local.format('0' * 8)}", {})
    (house / "junk.whl").write_text("")
    found = ask(wheelhouse=str(house), requirements=["torch=={torch}", "Stand_In=={version}", "a<{version}"])
    # The nightly stays one here: a wheel of a single commit needs the very torch that it was built with.
    assert found == Stack(("torch==2.9.0.dev20250226", "a<1.1a0", str(own)), ("stand_in",), "wheelhouse")


def test_the_last_build_for_this_interpreter_is_taken(project: Project, ask: Ask, tmp_path: Path) -> None:
    commit = project.commit(torch="2.8.0")
    version = f"1.0+git{commit[:7]}"
    house = tmp_path / "house"
    foreign = build_wheel(house, "stand-in", version, {}, tag="cp27-cp27mu-win32")
    assert "is not for CPython" in reason(ask(wheelhouse=str(house)))
    assert isinstance(ask(wheelhouse=str(house), python="python2.7"), Stack), "nobody knows what that takes"
    old, new = (build_wheel(house, "stand-in", version, {}, tag=f"{k}-py3-none-any") for k in (9, 10))
    found = ask(wheelhouse=str(house))
    assert isinstance(found, Stack)
    assert found.requirements[-1] == str(new)
    assert old.exists()
    assert foreign.exists()


def test_what_a_wheel_needs_must_be_known(project: Project, ask: Ask, tmp_path: Path) -> None:
    commit = project.commit()
    build_wheel(tmp_path / "house", "stand-in", f"1.0+git{commit}", {})
    assert reason(ask(wheelhouse=str(tmp_path / "house"))).startswith("dependency_version.json cannot be read")
    own = ask(wheelhouse=str(tmp_path / "house"), requirements=["stand-in=={version}"])
    assert isinstance(own, Stack)
    assert [Path(one).parent for one in own.requirements] == [tmp_path / "house"]


def test_a_release_stands_in_for_a_wheel_that_cannot_be_used(project: Project, ask: Ask, tmp_path: Path) -> None:
    commit = project.commit("v1.0", torch="2.8.0")
    build_wheel(tmp_path / "house", "stand-in", f"1.0+git{commit[:7]}", {}, tag="cp27-cp27mu-win32")
    found = ask(wheelhouse=str(tmp_path / "house"))
    assert isinstance(found, Stack)
    assert found.origin == "release v1.0"


# --- source -----------------------------------------------------------------------------------------


def test_what_has_no_wheel_is_built_where_that_is_declared(project: Project, ask: Ask) -> None:
    released = project.commit("v1.0", torch="2.8.0+cpu")
    commit = project.commit()
    source = {"commands": [["make", "{wheels}", "rev={commit}"]], "requirements": ["torch=={torch}"]}
    found = ask(commit, source=source, extra_requirements=["numpy"])
    assert isinstance(found, Stack)
    assert (found.origin, found.requirements) == ("source", ("torch==2.8.0", "pip", "numpy"))
    assert found.build[0] == ("git", "clone", "--quiet", "--no-checkout", "--shared", str(project.path), ".")
    assert found.build[1:] == (
        ("git", "checkout", "--quiet", "--detach", commit),
        ("make", "{wheels}", f"rev={commit}"),
    )
    assert ask(released, source=source) != found
    assert getattr(ask(released, source=source), "origin", None) == "release v1.0"


@pytest.mark.parametrize("by", ["url", "path"])
def test_a_clone_of_a_mirror_asks_where_the_mirror_would(project: Project, tmp_path: Path, by: str) -> None:
    """Whether the configuration names the mirror or what it is one of: a stack is the same to both."""
    project.repository.git("config", "uploadpack.allowFilter", "true")
    project.commit()
    url = f"file://{project.path}"
    mirror = ensure_repository(read_settings(write_conf(tmp_path / "conf", url)))
    repo = url if by == "url" else mirror
    settings = read_settings(write_conf(tmp_path / "conf", repo, source={"commands": [["make"]]}))
    found = stack_of(commit_at(mirror, "main"), settings, mirror)
    assert isinstance(found, Stack)
    assert [words[0:2] for words in found.build] == [
        ("git", "clone"),
        *[("git", "config")] * 3,
        ("git", "checkout"),
        ("make",),
    ]
    assert ("git", "config", "remote.origin.url", url) in found.build
    assert ("git", "config", "remote.origin.promisor", "true") in found.build


def test_a_build_needs_the_versions_it_asks_for(project: Project, ask: Ask) -> None:
    project.commit()
    source = {"commands": [["make"]], "requirements": ["torch=={torch}"]}
    assert reason(ask(source=source)).startswith("dependency_version.json cannot be read")
    assert reason(ask(source=source, dependency_file=None)) == (
        "no version of torch is known: the configuration has no `dependency_file`"
    )
