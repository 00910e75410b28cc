"""The house rules that can be read off the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "perfsuite"
FLOORS = {
    "records": 0, "codec": 0, "errors": 0, "stats": 0, "ceilings": 0, "timeline": 0, "units": 0, "passes": 0,
    "sequential": 0, "strays": 0,
    "protocol": 1, "doctor": 1,
    "onednn": 1, "benchdnn": 1, "flops": 1, "store": 1, "environment": 1, "quiet": 1, "changes": 1,
    "analyse": 2, "capture": 2,
    "gate": 3,
    "history": 3,
    "present": 4,
    "pytest_settings": 5, "pytest_plugin": 5, "pytest_session": 5, "pytest_profiled": 5, "cli": 5,
    "pytest_worker": 5, "pytest_compare": 5,
    "asv_plugin": 5, "asv_site": 5,
}  # fmt: skip
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module, and whether the import runs when the module is loaded."""
    tree = ast.parse(path.read_text())
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # `from perfsuite.capture import memory` imports a module of that package.
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield node.module or "", id(node) not in lazy
            yield from ((name, id(node) not in lazy) for name in submodules if name.startswith("perfsuite."))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    here = room(path)
    if here == "__init__":
        return
    assert here in FLOORS, f"{here} has no floor: add it to the table here and in docs/design.md"
    for name, _ in imports(path):
        parts = name.split(".")
        assert parts[0] not in ("benchmarks", "kernels", "tests"), f"{path.name} imports {name}"
        if parts[0] == "perfsuite" and len(parts) > 1 and parts[1] in FLOORS:
            assert FLOORS[parts[1]] <= FLOORS[here], f"{here} imports {name}, a higher floor"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_torch_and_matplotlib_stay_in_their_rooms(path):
    for name, at_load in imports(path):
        top = name.split(".")[0]
        if top in ("torch", "torchvision", "intel_extension_for_pytorch"):
            assert room(path) == "capture", f"{name} outside capture/"
            assert not at_load, f"{name} is imported when {path.name} is loaded, not inside a function"
        if top == "matplotlib":
            assert room(path) == "present", "matplotlib outside present/"


def test_the_package_and_the_plugin_import_nothing_heavy():
    code = (
        "import sys, perfsuite, perfsuite.pytest_plugin;"
        "heavy = ('torch', 'numpy', 'rich', 'scipy', 'matplotlib', 'jinja2', 'click', 'psutil');"
        "print([m for m in heavy if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_are_small(path):
    assert len(path.read_text().splitlines()) <= 350, f"{path.name}: is there a second reason to change in it?"
