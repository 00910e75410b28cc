"""The configuration: what it may say, and what is said of what it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.errors import UsageError
from perfsuite.history.requirements import absolute, check_requirement, distribution, fields_of, fill, is_file
from perfsuite.history.settings import HistorySettings, Source, derived, parse_settings, read_settings
from tests.history_repository import write_conf

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("file", "imports", "version"),
    [
        ("asv.conf.json", "intel_extension_for_pytorch", "v2.8.0+cpu"),
        ("asv.torch.conf.json", "torch", "v2.8.0"),
    ],
)
def test_the_two_configurations_of_this_repository(file: str, imports: str, version: str) -> None:
    import re

    settings = read_settings(ROOT / file)
    assert settings.imports[0] == imports
    assert settings.benchmark_dir == ROOT / "benchmarks/history"
    assert settings.is_remote
    assert settings.repo_path == ROOT / settings.project
    assert settings.branch == "main"
    matched = re.fullmatch(settings.tag_pattern, version)
    assert matched is not None
    assert matched["version"] == "2.8.0"
    assert not re.fullmatch(settings.tag_pattern, "v2.8.10+xpu")
    assert not re.fullmatch(settings.tag_pattern, "v2.8.0-rc1")
    assert not re.fullmatch(settings.tag_pattern, "v2.5.0"), "perfsuite needs torch 2.6"
    assert re.fullmatch(settings.tag_pattern, "v2.13.0")


def test_their_results_and_runs_are_apart() -> None:
    one, other = (read_settings(ROOT / file) for file in ("asv.conf.json", "asv.torch.conf.json"))
    assert one.results_dir != other.results_dir
    assert one.runs_dir != other.runs_dir
    assert one.html_dir != other.html_dir


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    ours = {
        "wheel_map": "wheels.json",
        "wheelhouse": "../house",
        "constraints": "/etc/constraints.txt",
        "extra_requirements": ["numpy", "./local/thing-1-py3-none-any.whl"],
        "releases": {"v1": ["deep/a-1-py3-none-any.whl"], "v2": None},
    }
    settings = read_settings(write_conf(tmp_path / "conf", "../project", **ours))
    assert settings.repo == str(tmp_path / "project")
    assert settings.repo_path == tmp_path / "project"
    assert not settings.is_remote
    assert settings.wheel_map == tmp_path / "conf/wheels.json"
    assert settings.wheelhouse == tmp_path / "house"
    assert settings.constraints == Path("/etc/constraints.txt")
    assert settings.extra_requirements == ("numpy", str(tmp_path / "conf/local/thing-1-py3-none-any.whl"))
    assert settings.releases == {"v1": (str(tmp_path / "conf/deep/a-1-py3-none-any.whl"),), "v2": None}
    assert settings.env_dir == tmp_path / "conf/.asv/env"
    assert settings.runs_dir == tmp_path / "conf/.asv/runs"


def test_comments_are_allowed_as_asv_allows_them(tmp_path: Path) -> None:
    path = write_conf(tmp_path, "repo")
    path.write_text("// a history\n" + path.read_text().replace('"stand_in"', '"stand_in" /* the module */'))
    assert read_settings(path).imports == ("stand_in",)


@pytest.mark.parametrize("repo", ["https://host/a/b.git", "git@host:a/b.git", "ssh://git@host/b.git", "file:///a/b"])
def test_the_mirror_of_a_url_is_where_asv_makes_it(tmp_path: Path, repo: str) -> None:
    settings = read_settings(write_conf(tmp_path, repo))
    assert settings.repo == repo
    assert settings.repo_path == tmp_path / "stand-in"


@pytest.mark.parametrize(
    ("ours", "top", "said"),
    [
        ({"import": ["x"]}, {}, "perfsuite: unknown key 'import'; did you mean 'imports'?"),
        ({"zzz": 1}, {}, "unknown key 'zzz'; it has constraints,"),
        ({"imports": []}, {}, "imports is missing"),
        ({"imports": "torch"}, {}, "perfsuite.imports: expected a list of texts, found 'torch'"),
        ({"disk_gib": 0}, {}, "perfsuite.disk_gib: expected a number above 0, found 0"),
        ({"disk_gib": True}, {}, "expected a number above 0, found True"),
        ({"tag_pattern": "v(.*)"}, {}, r"expected a group (?P<version>…) in it"),
        ({"tag_pattern": "v("}, {}, "is no regular expression"),
        ({"requirements": ["torch=={"]}, {}, "perfsuite.requirements: 'torch=={'"),
        ({"requirements": ["torch=={0}"]}, {}, "expected fields such as {version} and {torch}"),
        ({"requirements": ["torch=="]}, {}, "'torch==' is no requirement"),
        ({"requirements": ["--index-url=x"]}, {}, "no option of the installer"),
        ({"extra_requirements": ["numpy=={version}"]}, {}, "expected requirements without fields"),
        ({"releases": {"v1": ["a=={version}"]}}, {}, "perfsuite.releases.v1: expected requirements without fields"),
        ({"releases": ["v1"]}, {}, "perfsuite.releases: expected an object"),
        ({"installer": "conda"}, {}, "expected one of 'auto', 'uv', 'pip', found 'conda'"),
        ({"source": {"commands": []}}, {}, "perfsuite.source.commands: expected a list of commands"),
        ({"source": {"commands": [[]]}}, {}, "commands of at least one word"),
        ({"source": {"commands": ["make"]}}, {}, "perfsuite.source.commands[0]: expected a list of texts"),
        ({"source": {"command": []}}, {}, "perfsuite.source: unknown key 'command'; it has commands, requirements"),
        ({}, {"branches": ["main", "release"]}, "branches: expected one branch"),
        ({}, {"matrix": {"req": {"numpy": ["1"]}}}, "matrix: stacks are said in perfsuite.requirements"),
        ({}, {"pythons": ["3.11", "3.12"]}, "pythons: expected one version of Python"),
        ({}, {"repo": ""}, "repo: expected a text, found ''"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(
    tmp_path: Path, ours: dict[str, object], top: dict[str, object], said: str
) -> None:
    path = write_conf(tmp_path, "repo", top=top, **ours)
    with pytest.raises(UsageError) as raised:
        read_settings(path)
    assert said in str(raised.value)
    assert str(raised.value).startswith("asv.conf.json: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not valid JSON"), ("[]", "expected an object"), ('{"repo": "x"}', 'no object "perfsuite"')],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_settings(tmp_path / "a.json")
    with pytest.raises(UsageError, match=r"b\.json: cannot be read: No such file"):
        read_settings(tmp_path / "b.json")


def test_null_is_what_is_not_there(tmp_path: Path) -> None:
    settings = read_settings(write_conf(tmp_path, "repo", source=None, wheel_map=None, dependency_file=None))
    assert (settings.source, settings.wheel_map, settings.dependency_file) == (None, None, None)


def test_another_python_is_a_command(tmp_path: Path) -> None:
    import sys

    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert read_settings(write_conf(tmp_path, "r", top={"pythons": [own]})).python is None
    assert read_settings(write_conf(tmp_path, "r", top={"pythons": ["2.7"]})).python == "python2.7"
    assert read_settings(write_conf(tmp_path, "r", python="/opt/python")).python == "/opt/python"


def test_asv_reads_the_same_as_we_do(tmp_path: Path) -> None:
    from asv.config import Config

    path = write_conf(tmp_path, "repo", workloads=["lstm"], source={"commands": [["make"]]})
    conf = Config.load(str(path))
    assert parse_settings(vars(conf), tmp_path) == read_settings(path)


def test_a_derived_configuration_means_the_same_in_any_folder(tmp_path: Path) -> None:
    ours = {"wheel_map": "w.json", "wheelhouse": "w", "extra_requirements": ["./a.whl"], "releases": {"v1": ["b.whl"]}}
    source = {"commands": [["make", "{wheels}"]], "requirements": ["./c.whl", "torch=={torch}"]}
    top = {"show_commit_url": "https://host/", "install_timeout": 7}
    settings = read_settings(write_conf(tmp_path / "here", "repo", top=top, **ours, source=source))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made = json.loads(json.dumps(derived(settings)))
    again = parse_settings(made, elsewhere)
    assert again == HistorySettings(**{**vars(settings), "folder": elsewhere})
    assert again.source == Source((("make", "{wheels}"),), (str(tmp_path / "here/c.whl"), "torch=={torch}"))
    assert made["version"] == 1
    assert made["show_commit_url"] == "https://host/"
    assert settings.document["env_dir"] == ".asv/env", "the original stays as it is"


def test_a_derived_configuration_with_changes(tmp_path: Path) -> None:
    settings = read_settings(write_conf(tmp_path, "https://host/b.git"))
    clone = tmp_path / "clone"
    made = derived(settings, clone, results_dir=tmp_path / "r", disk_gib=3, workloads=["lstm"])
    again = parse_settings(made, tmp_path)
    assert again.repo_path == clone
    assert (again.results_dir, again.disk_gib, again.workloads) == (tmp_path / "r", 3.0, ("lstm",))


# --- requirements -----------------------------------------------------------------------------------


def test_a_requirement_is_a_name_a_path_or_a_url(tmp_path: Path) -> None:
    assert check_requirement("torch=={torch}", "") == "torch=={torch}"
    assert check_requirement("a @ https://host/a-{version}-py3-none-any.whl", "").startswith("a @")
    assert distribution("Intel_Extension.for-PyTorch=={version}") == "intel-extension-for-pytorch"
    assert distribution("/deep/a-1-py3-none-any.whl") is None
    assert absolute("a/b.whl", tmp_path) == str(tmp_path / "a/b.whl")
    assert absolute("https://host/b.whl", tmp_path) == "https://host/b.whl"
    assert absolute("numpy", tmp_path) == "numpy"
    assert not is_file("https://host/b.whl")


@given(st.sampled_from(["torch", "a-b", "a_b.c"]), st.from_regex(r"[1-9][0-9]{0,2}(\.[0-9]{1,3}){0,3}", fullmatch=True))
def test_filling_in_a_version_gives_a_requirement(name: str, version: str) -> None:
    template = check_requirement(f"{name}=={{version}}", "here")
    assert fields_of(template) == {"version"}
    assert fill(template, {"version": version}) == f"{name}=={version}"
    assert fields_of(check_requirement(f"{name}=={version}", "here")) == set()


@given(st.text(max_size=30))
def test_any_text_is_a_requirement_or_is_refused_in_one_line(text: str) -> None:
    try:
        said = check_requirement(text, "here")
    except UsageError as error:
        said = str(error)
        assert said.startswith("here: ")
    assert said == text or len(said.splitlines()) == 1
