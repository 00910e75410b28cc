"""Extensions that torch compiles: each side its own, and what is said where both run one."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy.linalg._umath_linalg  # a compiled module
import pytest

from perfsuite.gate import loaded
from perfsuite.gate.extensions import VARIABLE, own_folders, release, shared
from perfsuite.gate.loaded import extensions_elsewhere
from perfsuite.gate.model import SIDES
from perfsuite.gate.runnables import told
from perfsuite.quiet import Settings

NOTHING: dict[str, dict[str, str]] = {side: {} for side in SIDES}


def test_each_side_has_a_folder_of_its_own_unless_its_spec_names_one(tmp_path):
    own = own_folders(tmp_path, NOTHING)
    assert own == {side: {VARIABLE: str(tmp_path / side)} for side in SIDES}
    own = own_folders(tmp_path, {"base": {"X": "1"}, "head": {VARIABLE: "/mine"}})
    assert own == {"base": {VARIABLE: str(tmp_path / "base")}, "head": {}}


def test_what_workers_are_started_with_says_so(tmp_path):
    quiet = dict.fromkeys(SIDES, Settings({"A": "1"}, (0,), ()))
    assert told(quiet, own_folders(tmp_path, NOTHING)) == ("A=1", f"{VARIABLE}=(of each side's own)", "CPUs 0")
    own = own_folders(tmp_path, {"base": {}, "head": {VARIABLE: "/mine"}})
    assert told(quiet, own) == ("A=1", f"base: {VARIABLE}=(of its own)", "CPUs 0")


def test_the_lock_of_a_worker_that_was_killed_is_taken_away(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "base" / name).mkdir(parents=True)
        (tmp_path / "base" / name / "lock").touch()
        (tmp_path / "base" / name / "x.o").touch()
    release([str(tmp_path / "base"), str(tmp_path / "absent")])
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["x.o", "x.o"]


# --- what both run ------------------------------------------------------------------------------------


@pytest.fixture(params=SIDES)
def built(tmp_path, request):
    """An extension in a third place, and the trees of both sides; one's path is the end of the other's."""
    roots = {side: str(tmp_path / "gate" / "0" / "repo") if side == request.param else "/repo" for side in SIDES}
    (tmp_path / "cache" / "fast op").mkdir(parents=True)
    path = tmp_path / "cache" / "fast op" / "fast.so"
    path.touch()
    return path, roots


@pytest.mark.parametrize("side", SIDES)
def test_one_that_was_compiled_from_a_sides_sources_makes_them_incomparable(built, side):
    path, roots = built
    source = f"{roots[side]}/src/fast op.cpp".replace(" ", "$ ")
    path.with_name("build.ninja").write_text(f"rule compile\nbuild fast.o: compile {source}\n")
    why, note = shared({key: [str(path)] for key in SIDES}, roots)
    assert note is None
    assert why is not None
    assert why.startswith(f"both sides ran {path}, which was compiled from {side}'s sources: ")
    assert "python:PATH" in why


def test_where_that_is_not_known_it_is_a_note(built):
    path, roots = built
    why, note = shared({key: [str(path), str(path.with_name("other.so"))] for key in SIDES}, roots)
    assert why is None
    assert note is not None
    assert note.startswith(f"both sides ran {path} and 1 more, which is in neither side's tree")
    path.with_name("build.ninja").write_text("build fast.o: compile /elsewhere/repository/fast.cpp\n")
    assert shared({key: [str(path)] for key in SIDES}, roots)[1] is not None


def test_what_only_one_side_runs_is_its_own(built):
    path, roots = built
    assert shared({"base": [str(path)], "head": [str(path.with_name("other.so"))]}, roots) == (None, None)
    # Sides of one tree have the same sources, whoever compiles them.
    assert shared({key: [str(path)] for key in SIDES}, dict.fromkeys(SIDES, roots["head"])) == (None, None)


# --- what a process has loaded ------------------------------------------------------------------------


def test_what_a_process_has_loaded_from_no_place_that_explains_itself(tmp_path, monkeypatch):
    cache = tmp_path / "inductor"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    paths = {
        "jit": tmp_path / "cache" / "jit" / "jit.so",
        "sibling": tmp_path / "other" / "src" / "sibling" / "_C.so",
        "own": tmp_path / "repo" / "src" / "own" / "_C.so",
        "installed": tmp_path / "env" / "site-packages" / "installed" / "_C.so",
        "conda": tmp_path / "conda" / "lib" / "conda" / "_C.so",
        "system": Path("/usr/lib/x/system.so"),
        "inductor": cache / "ab" / "cabc.so",
        "inductor_too": tmp_path / "torchinductor_me" / "ab" / "cabd.so",
        "triton": tmp_path / ".triton" / "cache" / "ab" / "triton.so",
        "source": tmp_path / "cache" / "source.py",
    }
    (tmp_path / "conda" / "conda-meta").mkdir(parents=True)
    for name, path in paths.items():
        module = types.ModuleType(name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, f"of_this_test_{name}", module)
    torch = types.ModuleType("torch")
    torch.ops = types.SimpleNamespace(loaded_libraries={str(tmp_path / "cache" / "ops" / "ops.so")})
    monkeypatch.setitem(sys.modules, "torch", torch)
    found = extensions_elsewhere([str(tmp_path / "repo"), str(tmp_path / "worktree")])
    mine = [path for path in found if path.startswith(str(tmp_path))]
    assert mine == sorted(map(str, [paths["jit"], paths["sibling"], tmp_path / "cache" / "ops" / "ops.so"]))
    assert not [path for path in found if path.startswith("/usr")]


def test_what_torch_imports_is_found_though_no_module_tells_of_it(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    contents = {"jit.so": b"\x7fELF..PyInit_jit..", "plain.so.2": b"\x7fELF..", "empty.so": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    lines = [f"7f00-7f01 r-xp 00000000 08:01 1234  {tmp_path / name}\n" for name in (*contents, "gone.so")]
    maps = tmp_path / "maps"
    maps.write_text("".join(lines))
    found = [path for path in extensions_elsewhere([], maps) if path.startswith(str(tmp_path))]
    assert found == [str(tmp_path / "jit.so")]


def test_a_module_that_was_compiled_for_this_interpreter_is_one():
    assert loaded._is_module(numpy.linalg._umath_linalg.__file__)
    assert not loaded._is_module(f"{__file__}.absent")
