"""Which modules a changed file may be, and which installed file is one."""

from __future__ import annotations

import hashlib
import types

import pytest

from perfsuite.gate.installed import changed
from perfsuite.gate.loaded import loaded_elsewhere

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
