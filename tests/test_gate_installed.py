"""Which modules a changed file may be, and which installed file is one."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
import types

import pytest

from perfsuite.gate import loaded
from perfsuite.gate.installed import changed
from perfsuite.gate.loaded import foreign, loaded_elsewhere, loaded_files
from perfsuite.gate.prefixes import is_installed

TREE = {"src/pace/__init__.py": "100644 1", "src/pace/core.py": "100644 2", "tools/torch/functional.py": "100644 3"}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("core.py", {"core"}),
        ("src/pace/core.py", {"core", "pace.core", "src.pace.core"}),
        ("src/pace/__init__.py", {"pace", "src.pace"}),
        ("__init__.py", set()),
        ("pace/_C.cpython-311-x86_64-linux-gnu.so", {"_C", "pace._C"}),
        ("my-tools/pace/core.py", {"core", "pace.core"}),
        ("README.md", set()),
        ("py", set()),
    ],
)
def test_names(path, names):
    assert set(changed([path], {}, {}).names) == names


@pytest.fixture
def site(tmp_path):
    """An installed package, older than both sides."""
    (tmp_path / "site-packages" / "pace").mkdir(parents=True)
    (tmp_path / "site-packages" / "pace" / "__init__.py").write_text("\n")
    (tmp_path / "site-packages" / "pace" / "core.py").write_text("OLD = 1\n")
    return tmp_path / "site-packages"


def shared(path, name, file, other=None, hashes=TREE):
    found = changed([path], hashes, {**hashes, path: "100644 9"})
    return found.shared({name: str(file)}, {name: str(other or file)})


def test_a_module_of_the_package_that_both_loaded(site):
    said = shared("src/pace/core.py", "pace.core", site / "pace" / "core.py")
    assert said is not None
    assert said.startswith(f"both sides ran src/pace/core.py from {site}/pace/core.py, where it is installed")
    assert "pip install -e ." in said
    assert "python:PATH" in said


def test_two_interpreters_have_two_files(site, tmp_path):
    assert shared("src/pace/core.py", "pace.core", site / "pace" / "core.py", tmp_path / "other.py") is None
    found = changed(["src/pace/core.py"], TREE, TREE)
    assert found.shared({"pace.core": "/a"}, {}) is None


def test_a_name_of_one_part_is_the_file_only_with_its_content(site):
    (site / "helper.py").write_text("X = 1\n")
    content = (site / "helper.py").read_bytes()
    for digest in (hashlib.sha1, hashlib.sha256):
        identity = digest(b"blob %d\0" % len(content) + content).hexdigest()
        assert shared("helper.py", "helper", site / "helper.py", hashes={"helper.py": f"100644 {identity}"})
    assert shared("helper.py", "helper", site / "helper.py", hashes={"helper.py": "100644 1"}) is None


def test_a_package_of_the_same_name_within_another_is_not_it(site):
    (site / "torch").mkdir()
    for name in ("__init__.py", "functional.py"):
        (site / "torch" / name).touch()
    file = site / "torch" / "functional.py"
    assert shared("tools/torch/functional.py", "torch.functional", file) is None
    inner = {
        "mine/__init__.py": "100644 1",
        "mine/torch/__init__.py": "100644 2",
        "mine/torch/functional.py": "100644 3",
    }
    assert shared("mine/torch/functional.py", "torch.functional", file, hashes=inner) is None
    own = {name.removeprefix("mine/"): identity for name, identity in inner.items() if name != "mine/__init__.py"}
    assert shared("torch/functional.py", "torch.functional", file, hashes=own) is not None


def test_what_a_process_has_loaded_from_elsewhere(tmp_path, monkeypatch):
    for name, path in (
        ("pace.core", tmp_path / "site-packages" / "pace" / "core.py"),
        ("pace.near", tmp_path / "repo" / "pace" / "near.py"),
        ("pace.venv", tmp_path / "repo" / ".venv" / "site-packages" / "pace" / "venv.py"),
        ("pace.none", None),
        ("json.pace", tmp_path / "json" / "pace.py"),
    ):
        module = types.ModuleType(name)
        module.__file__ = path and str(path)
        monkeypatch.setitem(__import__("sys").modules, name, module)
    names = ["pace.core", "pace.near", "pace.venv", "pace.none", "json.pace", "pace.absent"]
    assert loaded_elsewhere(names, [str(tmp_path / "repo")]) == {
        "pace.core": str(tmp_path / "site-packages" / "pace" / "core.py"),
        "pace.venv": str(tmp_path / "repo" / ".venv" / "site-packages" / "pace" / "venv.py"),
    }


@pytest.mark.parametrize("kind", ["own prefix", "conda", "venv", "site-packages"])
def test_an_environment_in_the_repository_is_not_its_code(tmp_path, monkeypatch, kind):
    """As pixi makes them, and ``conda create -p ./env``: their libraries are no side's own code."""
    root = tmp_path / "repo"
    env = root / ".pixi" / "envs" / "default"
    library = env / "lib" / ("site-packages" if kind == "site-packages" else "") / "libmkl_core.so.2"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"x")
    own = root / "src" / "core.py"
    own.parent.mkdir()
    own.write_text("X = 1\n")
    if kind == "own prefix":
        monkeypatch.setattr(sys, "prefix", str(env))
    elif kind != "site-packages":
        (env / ("conda-meta" if kind == "conda" else "pyvenv.cfg")).touch()
    module = types.ModuleType("core")
    module.__file__ = str(own)
    monkeypatch.setitem(sys.modules, "core", module)
    tool = types.ModuleType("tool")
    tool.__file__ = str(library)
    monkeypatch.setitem(sys.modules, "tool", tool)
    maps = tmp_path / "maps"
    maps.write_text(f"7f00-7f01 r-xp 00000000 08:01 1234  {library}\n")
    found = loaded_files([str(root), str(tmp_path / "worktree")], maps)
    assert set(found) == {str(own)}
    assert loaded_elsewhere(["core", "tool"], [str(root)]) == {"tool": str(library)}
    assert foreign({"base": {}, "head": found}, {"base": str(tmp_path / "worktree"), "head": str(root)}) is None


def test_asked_folder_by_folder_the_rule_is_the_same(tmp_path, monkeypatch):
    root = tmp_path / "repo"
    for name in ("src/pace", "own/lib/pace", "env/conda-meta", "env/lib/pace", ".venv/lib64/site-packages/pace/deep"):
        (root / name).mkdir(parents=True)
    (root / ".venv" / "pyvenv.cfg").touch()
    # An environment that is the root itself does not make all in it installed.
    (root / "pyvenv.cfg").touch()
    monkeypatch.setattr(sys, "prefix", str(root / "own"))
    found = {}
    for folder, _, _ in os.walk(root):
        found[os.path.relpath(folder, root)] = loaded._is_installed(folder, str(root))
        assert loaded._is_installed(folder, str(root)) is is_installed(folder, str(root)), folder
    assert {name for name, is_so in found.items() if not is_so} == {".", "src", "src/pace"}
    assert len(found) == 15


def test_an_environment_is_asked_about_once_however_much_of_it_is_loaded(tmp_path, monkeypatch):
    root = tmp_path / "repo"
    site = root / ".venv" / "lib" / "python3.11" / "site-packages"
    lines = []
    for number in range(100):
        library = site / f"package{number}" / "deep" / "core.so"
        library.parent.mkdir(parents=True)
        library.touch()
        lines.append(f"7f00-7f01 r-xp 00000000 08:01 1234  {library}\n")
    (root / ".venv" / "pyvenv.cfg").touch()
    maps = tmp_path / "maps"
    maps.write_text("".join(lines))
    asked, looked = [], []
    path_of, environment = sysconfig.get_path, loaded.is_environment
    monkeypatch.setattr(sysconfig, "get_path", lambda name: asked.append(name) or path_of(name))
    monkeypatch.setattr(loaded, "is_environment", lambda folder: looked.append(folder) or environment(folder))
    for _ in range(3):  # benchmarks
        assert loaded_files([str(root)], maps) == {}
    assert asked == ["stdlib", "platstdlib", "purelib", "platlib"]
    assert looked == [str(root / ".venv")]


def test_links_are_followed_be_they_files_or_folders(tmp_path):
    store, repo = tmp_path / "store", tmp_path / "repo"
    for name in ("pace/core.so", "other.so", "pace/near.so"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(b"x")
    repo.mkdir()
    (repo / "src").symlink_to(store)
    (repo / "other.so").symlink_to(store / "other.so")
    maps = tmp_path / "maps"
    paths = (repo / "src" / "pace" / "core.so", repo / "src" / "pace" / "near.so", repo / "other.so")
    maps.write_text("".join(f"7f00-7f01 r-xp 00000000 08:01 1234  {path}\n" for path in paths))
    assert loaded_files([str(repo)], maps) == {}
    found = {str(store / name) for name in ("pace/core.so", "pace/near.so", "other.so")}
    assert set(loaded_files([str(store)], maps)) == set(loaded_files([str(repo / "src")], maps)) == found


def test_what_a_side_runs_from_the_others_tree_is_named(tmp_path):
    roots = {"base": str(tmp_path / "base"), "head": str(tmp_path / "head")}
    said = foreign({"base": {f"{roots['head']}/src/core.py": "1"}, "head": {}}, roots)
    assert said is not None
    assert said.startswith("base ran src/core.py from head's tree: it is installed from there")
    assert foreign({"base": {f"{roots['base']}/src/core.py": "1"}, "head": {}}, roots) is None
    same = dict.fromkeys(roots, roots["head"])
    assert foreign({"base": {f"{roots['head']}/src/core.py": "1"}, "head": {}}, same) is None
    # A worktree may lie within the other side's tree: the nearest root owns a file.
    within = {"base": f"{roots['head']}/tmp/base", "head": roots["head"]}
    assert foreign({"base": {f"{within['base']}/core.py": "1"}, "head": {}}, within) is None
