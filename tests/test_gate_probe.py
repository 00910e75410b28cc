from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import perfsuite
from perfsuite.errors import UsageError
from perfsuite.gate import probe as module
from perfsuite.gate.prefixes import is_installed
from perfsuite.gate.probe import Probe, differing_software, find_python, probe
from perfsuite.gate.trees import Tree, mapped
from perfsuite.protocol import PROTOCOL


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A worktree beside the user's repository; what is in them the test decides."""
    for name in ("repo", "worktree"):
        (tmp_path / name / "src").mkdir(parents=True)
    return Tree(tmp_path / "worktree", tmp_path / "worktree", tmp_path / "repo")


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with nothing in it."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def environment(folder: Path, **files: str) -> Path:
    """A new virtual environment that sees this one's packages; ``files`` go into its site-packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # What a .pth file names comes behind site-packages, so that the files here are found first.
    paths = [path for path in sys.path if "site-packages" in path] + [str(Path(perfsuite.__file__).parents[1])]
    (site / "parent.pth").write_text("\n".join(paths) + "\n")
    install(site, "pytest11", "perfsuite", perfsuite.__version__, "perfsuite = perfsuite.pytest_plugin")
    for name, content in files.items():
        (site / name).write_text(content)
    return site


def install(site: Path, group: str, name: str, version: str, point: str) -> None:
    """The metadata of a distribution."""
    about = site / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{point}\n")


def test_the_interpreter_that_runs_can_run_workers(tree: Tree) -> None:
    found = probe(None, tree, {})
    assert found.python == sys.executable
    assert found.python_version == "CPython {}.{}.{}".format(*sys.version_info[:3])
    assert (found.prefix, found.perfsuite, found.protocol) == (sys.prefix, perfsuite.__version__, PROTOCOL)
    assert found.packages["pytest"] == pytest.__version__
    assert "pytest-benchmark" in found.packages
    assert (found.import_paths, found.notes) == ((), ())


def test_torch_is_not_imported(tree: Tree, tmp_path: Path) -> None:
    (tree.cwd / "torch.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    (tree.cwd / "numpy.py").write_text("raise SystemError")
    probe(None, tree, {})
    assert not (tmp_path / "imported").exists()


def test_the_sides_variables_count(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "sitecustomize.py").write_text("import sys; sys.prefix = '/changed'; print('hello')")
    assert probe(None, tree, {"PYTHONPATH": str(tmp_path / "elsewhere")}).prefix == "/changed"


def put_perfsuite(folder: Path, protocol: int | None) -> None:
    """A perfsuite of another version, which can be imported and no more."""
    (folder / "perfsuite").mkdir(parents=True)
    (folder / "perfsuite" / "__init__.py").write_text("__version__ = '0.0.7'")
    if protocol is not None:
        (folder / "perfsuite" / "protocol.py").write_text(f"PROTOCOL = {protocol}")


def test_the_folder_that_pytest_runs_in_comes_first(tree: Tree) -> None:
    """As for a repository that has perfsuite itself in it."""
    put_perfsuite(tree.cwd, PROTOCOL)
    assert probe(None, tree, {}).perfsuite == "0.0.7"


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        (None, rf"\(protocol unknown, needed is {PROTOCOL}\): {re.escape(sys.executable)} -m pip install --upgrade"),
        (0, rf"\(protocol 0, needed is {PROTOCOL}\): {re.escape(sys.executable)} -m pip install --upgrade perfsuite$"),
        (PROTOCOL + 1, rf"\(protocol {PROTOCOL + 1}, this one speaks {PROTOCOL}\): {re.escape(sys.executable)} -m pip"),
    ],
)
def test_another_protocol_is_refused_with_the_line_that_mends_it(
    tree: Tree, tmp_path: Path, protocol: int | None, said: str
) -> None:
    put_perfsuite(tmp_path / "elsewhere", protocol)
    with pytest.raises(UsageError, match=r"has perfsuite 0\.0\.7, which cannot be a worker " + said) as caught:
        probe(None, tree, {"PYTHONPATH": str(tmp_path / "elsewhere")})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("protocol", "said"), [(None, "unknown"), (PROTOCOL + 1, str(PROTOCOL + 1))])
def test_another_protocol_in_the_sides_own_files_is_nothing_for_pip(
    tree: Tree, protocol: int | None, said: str
) -> None:
    put_perfsuite(tree.cwd, protocol)
    with pytest.raises(UsageError, match=rf"a perfsuite 0\.0\.7 of their own.*protocol {said}.*compare commits"):
        probe(None, tree, {})


# --- interpreters that will not do ------------------------------------------------------------------


def test_one_without_pytest_or_perfsuite_is_told_the_line_of_pip(tree: Tree, bare: Path, tmp_path: Path) -> None:
    python = str(bare / "bin" / "python")
    with pytest.raises(UsageError, match=rf"^{python} has no pytest: {python} -m pip install pytest$"):
        probe(python, tree, {})
    (tmp_path / "pytest.py").touch()
    with pytest.raises(UsageError, match=rf"^{python} has no perfsuite: {python} -m pip install perfsuite$"):
        probe(python, tree, {"PYTHONPATH": str(tmp_path)})


def test_perfsuite_that_pytest_does_not_know_of_is_none(tree: Tree, bare: Path, tmp_path: Path) -> None:
    (tmp_path / "pytest.py").touch()
    (tmp_path / "perfsuite").symlink_to(Path(perfsuite.__file__).parent)
    with pytest.raises(UsageError, match="has no perfsuite"):
        probe(str(bare), tree, {"PYTHONPATH": str(tmp_path)})


def executable(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def old_python(path: Path) -> str:
    """Answers as Python 3.6 would, which has read the script."""
    answer = json.dumps({"version": [3, 6], "prefix": "/", "python": "CPython 3.6.8"})
    return executable(path, f"#!/bin/sh\necho noise\necho\necho '{module._MARK}{answer}'\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: str(path / "absent"), "absent does not exist; expected the path of a Python interpreter"),
        (str, "does not exist; expected"),
        (lambda path: str((path / "data").write_text("x") and path / "data"), "data cannot be executed; expected"),
        (lambda path: executable(path / "no", "\0\1"), "no cannot be started: Exec format error"),
        (lambda path: executable(path / "no", "#!/bin/true\n"), "is no Python interpreter that could run a worker$"),
        (lambda path: executable(path / "no", "#!/bin/sh\necho why >&2; exit 3"), "could run a worker: why$"),
        (lambda path: old_python(path / "no"), r"no is CPython 3\.6\.8; perfsuite needs Python 3\.10 or newer"),
    ],
)
def test_what_is_no_interpreter_is_one_line(
    tree: Tree, tmp_path: Path, make: Callable[[Path], str], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        probe(make(tmp_path), tree, {})
    assert "\n" not in str(caught.value)


def test_the_script_is_text_that_an_old_python_reads() -> None:
    # No f-string, no annotation, nothing that came after Python 3.6: or it could not say how old it is.
    compile(module._script(), "script", "exec", dont_inherit=True)
    assert not re.search(r"\bf[\"']|:=|->|match ", module._script())


def test_an_interpreter_that_hangs_is_given_up_on(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.2)
    python = executable(tmp_path / "slow", f"#!/bin/sh\necho $$ > {tmp_path / 'pid'}; sleep 100\n")
    with pytest.raises(UsageError, match=r"did not say within 0\.2 s"):
        probe(python, tree, {})
    if (tmp_path / "pid").exists():
        assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_an_interpreter_is_found_as_a_shell_would(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = str(bare / "bin" / "python")
    assert find_python(None) == sys.executable
    assert find_python(python) == find_python(str(bare)) == python, "the link would lose the environment"
    monkeypatch.chdir(bare)
    assert find_python("bin/python") == python
    monkeypatch.setenv("HOME", str(bare))
    assert find_python("~/bin/python") == python
    monkeypatch.setenv("PATH", str(bare / "bin"))
    assert find_python("python") == python


# --- where the side's own code comes from -----------------------------------------------------------

SAY = "import json, package, sys; print(json.dumps(package.__file__))"


def imported(python: Path, tree: Tree, paths: tuple[Path, ...]) -> str:
    """Which file ``import package`` takes in the worktree."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run([python, "-c", SAY], cwd=tree.cwd, env=variables, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout))


def lay_out(tree: Tree) -> None:
    for root in (tree.origin, tree.path):
        (root / "src" / "package").mkdir()
        (root / "src" / "package" / "__init__.py").touch()


def test_a_package_installed_by_a_path_file_is_imported_from_the_worktree(tree: Tree, tmp_path: Path) -> None:
    lay_out(tree)
    environment(tmp_path / "venv", **{"package.pth": f"{tree.origin / 'src'}\n"})
    python = tmp_path / "venv" / "bin" / "python"
    assert imported(python, tree, ()) == str(tree.origin / "src" / "package" / "__init__.py"), "not the trap"
    found = probe(str(python), tree, {})
    assert found.import_paths == (str(tree.origin / "src"),)
    paths = mapped(tree, found.import_paths)
    assert imported(python, tree, paths) == str(tree.path / "src" / "package" / "__init__.py")


def test_so_is_one_that_setuptools_installed(tree: Tree, tmp_path: Path) -> None:
    from setuptools.command.editable_wheel import _finder_template

    lay_out(tree)
    name = "__editable___package_1_finder"
    mapping = {"package": str(tree.origin / "src" / "package")}
    environment(
        tmp_path / "venv",
        **{f"{name}.py": _finder_template(name, mapping, {}), "p.pth": f"import {name}; {name}.install()\n"},
    )
    python = tmp_path / "venv" / "bin" / "python"
    assert imported(python, tree, ()) == str(tree.origin / "src" / "package" / "__init__.py"), "not the trap"
    found = probe(str(python), tree, {})
    assert found.import_paths == (str(tree.origin / "src"),)
    assert found.notes == ()
    paths = mapped(tree, found.import_paths)
    assert imported(python, tree, paths) == str(tree.path / "src" / "package" / "__init__.py")


FINDER = """
MAPPING = {mapping!r}
NAMESPACES = {namespaces!r}
"""


@pytest.mark.parametrize(
    ("mapping", "namespaces", "paths", "notes"),
    [
        ({"package": "src/package"}, {}, ["src"], []),
        ({"module": "src/module"}, {}, ["src"], []),
        ({"module": "src/module.py"}, {}, ["src"], []),
        ({"package": "package"}, {}, ["."], []),
        ({"space.package": "src/space/package"}, {}, ["src"], []),
        ({}, {"space": ["src/space"]}, ["src"], []),
        ({"a": "src/a", "b": "src/b", "c": "lib/c"}, {}, ["src", "lib"], []),
        ({"package": "src/other"}, {}, [], ["package is installed from src/other, a folder of another name"]),
        ({"package": "/elsewhere/package"}, {}, [], []),
        ({"package": "../repository/package"}, {}, [], []),
        ({"package": "venv/lib/python3/site-packages/package"}, {}, [], []),
    ],
)
def test_each_kind_of_mapping_has_its_paths(
    tree: Tree,
    tmp_path: Path,
    mapping: dict[str, str],
    namespaces: dict[str, list[str]],
    paths: list[str],
    notes: list[str],
) -> None:
    root = tree.origin
    (root / "lib").mkdir()
    absolute = {name: str(root / place) for name, place in mapping.items()}
    spaces = {name: [str(root / place) for place in several] for name, several in namespaces.items()}
    (tmp_path / "__editable___x_finder.py").write_text(FINDER.format(mapping=absolute, namespaces=spaces))
    (tmp_path / "sitecustomize.py").write_text("import __editable___x_finder\n")
    found = probe(None, tree, {"PYTHONPATH": str(tmp_path)})
    assert found.import_paths == tuple(os.path.normpath(root / path) for path in paths)
    assert [note.split(":")[0] for note in found.notes] == notes


def test_the_redirections_of_the_library_called_editables_are_known(tree: Tree, tmp_path: Path) -> None:
    place = str(tree.origin / "src" / "package" / "__init__.py")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Finder:\n"
        f"    _redirections = {{'package': {place!r}}}\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None): return None\n"
        "sys.meta_path.append(Finder)\n"
    )
    assert probe(None, tree, {"PYTHONPATH": str(tmp_path)}).import_paths == (str(tree.origin / "src"),)


def test_an_environment_in_the_repository_is_not_its_code(tree: Tree) -> None:
    environment(tree.origin / ".venv", **{"package.pth": f"{tree.origin / 'src'}\n{tree.origin / 'tools'}\n"})
    found = probe(str(tree.origin / ".venv"), tree, {})
    assert found.import_paths == (str(tree.origin / "src"),), "a folder that is not there is no path"
    assert found.packages["perfsuite"] == perfsuite.__version__


def test_workers_and_interpreters_are_asked_by_one_rule(tmp_path: Path) -> None:
    for name in ("repo/env/conda-meta", "repo/env/lib/pace", "repo/src/pace", "repo/.venv/lib/site-packages/pace"):
        (tmp_path / name).mkdir(parents=True)
    root = str(tmp_path / "repo")
    names: dict[str, Callable[[str, str], bool]] = {}
    exec(module._script().replace("main(*sys.argv[1:])", ""), names)
    for path, installed in (("env/lib/pace", True), ("src/pace", False), (".venv/lib/site-packages/pace", True)):
        assert is_installed(f"{root}/{path}", root) is installed
        assert names["is_installed"](f"{root}/{path}", root) is installed


def test_what_is_built_in_the_repository_is_no_package(tree: Tree) -> None:
    for root in (tree.origin, tree.path):
        install(root / "src", "none", "package", "1", "a = b")
    variables = {"PYTHONPATH": os.pathsep.join((str(tree.origin / "src"), str(tree.path / "src")))}
    assert "package" not in probe(None, tree, variables).packages


def test_perfsuite_itself_is_looked_for_in_the_worktree(tree: Tree, tmp_path: Path) -> None:
    """Its own repository, with an editable install, from a subfolder: the mapped path decides what workers import."""
    for root, version in ((tree.origin, "1.0"), (tree.path, "2.0")):
        (root / "src" / "perfsuite").mkdir()
        (root / "src" / "perfsuite" / "__init__.py").write_text(f"__version__ = {version!r}")
        (root / "src" / "perfsuite" / "protocol.py").write_text(f"PROTOCOL = {PROTOCOL}")
    found = probe(None, tree, {"PYTHONPATH": str(tree.origin / "src")})
    assert found.perfsuite == "2.0"


# --- what differs -----------------------------------------------------------------------------------


def a_probe(version: str = "CPython 3.11.7", prefix: str = "/a", **packages: str) -> Probe:
    return Probe(f"{prefix}/bin/python", version, prefix, "1", PROTOCOL, packages)


@pytest.mark.parametrize(
    ("base", "head", "found"),
    [
        (a_probe(torch="1"), a_probe(torch="1"), ()),
        (a_probe(torch="1", a="1"), a_probe(torch="2", b="1"), ("torch 1 → 2", "a 1 → absent", "b absent → 1")),
        (
            a_probe(alabaster="1", numpy="1", pip="1"),
            a_probe(intel_extension_for_pytorch="2.8.0", numpy="2", pip="2"),
            ("numpy 1 → 2", "intel_extension_for_pytorch absent → 2.8.0", "pip 1 → 2", "alabaster 1 → absent"),
        ),
        (a_probe(), a_probe("CPython 3.12.1"), ("Python CPython 3.11.7 → CPython 3.12.1",)),
        (a_probe(), a_probe(prefix="/b"), ("environment /a → /b",)),
    ],
)
def test_what_differs_between_interpreters_is_named(base: Probe, head: Probe, found: tuple[str, ...]) -> None:
    assert differing_software(base, head) == found
