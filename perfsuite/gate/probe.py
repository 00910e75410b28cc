"""What an interpreter is and has, asked of it once, the way its workers will be started."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.gate.child import run_child
from perfsuite.gate.prefixes import interpreter_places, is_environment, is_installed, within
from perfsuite.gate.software import differing_packages
from perfsuite.gate.trees import Tree
from perfsuite.protocol import PROTOCOL

_SECONDS = 60.0
_MARK = "perfsuite-probe "
_OLDEST = (3, 10)

#: Runs in the interpreter, which can be any: an old Python has to get as far as saying so.  The folder it runs in is
#: first on ``sys.path``, as it is for ``python -m pytest``.
_MAIN = r'''
import json, os, platform, re, sys

def main(mark, origin, tree):
    found = {"version": list(sys.version_info[:2]), "prefix": sys.prefix}
    found["python"] = "%s %s" % (platform.python_implementation(), platform.python_version())
    if sys.version_info >= (3, 10):
        look(found, origin, tree)
    print("\n" + mark + json.dumps(found))

def look(found, origin, tree):
    from importlib import metadata
    from importlib.machinery import PathFinder
    from importlib.util import find_spec

    installed = [entry for entry in sys.path if entry and not within(entry, origin) and not within(entry, tree)]
    found["import_paths"], found["notes"] = import_paths(origin)
    environments = [entry for entry in sys.path if entry and within(entry, origin) and is_installed(entry, origin)]
    packages = found["packages"] = {}
    for distribution in metadata.distributions(path=installed + environments):
        about = distribution.metadata
        if about is not None and about["Name"]:
            packages.setdefault(re.sub("[-_.]+", "-", about["Name"]).lower(), about["Version"])
    mapped = [os.path.normpath(os.path.join(tree, os.path.relpath(path, origin))) for path in found["import_paths"]]
    sys.path[1:1] = mapped
    found["pytest"] = find_spec("pytest") is not None
    # Without its entry point pytest would not know of it, even if it can be imported.
    plugin = [point for point in metadata.entry_points(group="pytest11") if point.value == "perfsuite.pytest_plugin"]
    if not plugin or find_spec("perfsuite") is None:
        return
    import perfsuite
    found["perfsuite"] = str(getattr(perfsuite, "__version__", "of unknown version"))
    found["own"] = any(within(path, tree) and not is_installed(path, tree) for path in perfsuite.__path__)
    # In its own folder: a finder of an editable install adds its modules to any package of that name.
    if PathFinder.find_spec("perfsuite.protocol", perfsuite.__path__) is not None:
        import perfsuite.protocol
        found["protocol"] = perfsuite.protocol.PROTOCOL

def import_paths(origin):
    paths, notes = [entry for entry in sys.path if entry], []
    for module in list(sys.modules.values()):
        mapping = getattr(module, "MAPPING", None)
        if getattr(module, "__name__", "").startswith("__editable__") and isinstance(mapping, dict):
            places = [(name, str(place)) for name, place in mapping.items()]
            spaces = getattr(module, "NAMESPACES", None) or {}
            places += [(name, str(place)) for name, several in spaces.items() for place in several]
            paths += editable(places, origin, notes)
    for finder in sys.meta_path:
        redirections = getattr(finder, "_redirections", None)  # of the library called editables
        if isinstance(redirections, dict):
            paths += editable([(name, str(place)) for name, place in redirections.items()], origin, notes)
    found = []
    for path in paths:
        path = os.path.realpath(path)
        # What does not exist may be no path: finders leave marks of theirs among them.
        if within(path, origin) and os.path.exists(path) and not is_installed(path, origin) and path not in found:
            found.append(path)
    return found, notes

def editable(places, origin, notes):
    """The folders from which the packages can be imported under their names."""
    for name, place in places:
        parts, path = name.split("."), os.path.realpath(place)
        if os.path.basename(path) == "__init__.py":
            path = os.path.dirname(path)
        stem = path[: -len(".py")] if path.endswith(".py") else path
        if stem.split(os.sep)[-len(parts):] == parts:
            yield os.sep.join(stem.split(os.sep)[: -len(parts)]) or os.sep
        elif within(path, origin) and not is_installed(path, origin):
            notes.append("%s is installed from %s, a folder of another name: the side cannot import its own" % (
                name, os.path.relpath(path, origin)))

'''


def _plain(function: Callable[..., object]) -> str:
    """The source of a function without annotations, which an old Python does not read."""
    tree = ast.parse(inspect.getsource(function))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(tree)


@functools.cache
def _script() -> str:
    """What the interpreter runs; what is the repository's is asked by the same rule as in workers."""
    rule: tuple[Callable[..., object], ...] = (within, interpreter_places, is_environment, is_installed)
    return "\n\n".join((_MAIN, *map(_plain, rule), "main(*sys.argv[1:])\n"))


@dataclass(frozen=True)
class Probe:
    """An interpreter that can run workers."""

    #: Its absolute path.
    python: str
    #: ``CPython 3.11.7``.
    python_version: str
    #: Where its packages live.
    prefix: str
    #: The version of perfsuite that its workers will import, and of its protocol.
    perfsuite: str
    protocol: int
    #: The version of each distribution, without those in the repository itself.
    packages: Mapping[str, str] = field(default_factory=dict)
    #: Folders within the user's repository that modules are imported from, the current folder apart.
    import_paths: tuple[str, ...] = ()
    #: What stands in the way of a side's importing its own code.
    notes: tuple[str, ...] = ()


def probe(python: str | None, tree: Tree, variables: Mapping[str, str]) -> Probe:
    """Ask an interpreter what a worker in ``tree`` would have; takes a tenth of a second or a few.

    The script uses the standard library and perfsuite only, and imports no torch.

    Args:
        python: as in a SPEC: a path, a name that is on ``PATH``, or the folder of a virtual environment; None for the
            interpreter that runs now.
        tree: the side's files.
        variables: what the side adds to the environment.

    Raises:
        UsageError: it does not exist or does not start, is too old, has no pytest, or has no perfsuite that can be a
            worker; the message has the line of pip that mends it.
    """
    path = find_python(python)
    answer = _ask(path, tree, variables)
    if tuple(answer["version"]) < _OLDEST:
        raise UsageError(f"{path} is {answer['python']}; perfsuite needs Python {'.'.join(map(str, _OLDEST))} or newer")
    if not answer["pytest"]:
        raise UsageError(f"{path} has no pytest: {_pip(path)} pytest")
    if "perfsuite" not in answer:
        raise UsageError(f"{path} has no perfsuite: {_pip(path)} perfsuite")
    _check_protocol(path, answer["perfsuite"], answer.get("protocol"), own=answer["own"])
    return Probe(
        python=path,
        python_version=answer["python"],
        prefix=answer["prefix"],
        perfsuite=answer["perfsuite"],
        protocol=answer["protocol"],
        packages=answer["packages"],
        import_paths=tuple(answer["import_paths"]),
        notes=tuple(answer["notes"]),
    )


def differing_software(base: Probe, head: Probe) -> tuple[str, ...]:
    """What differs between two interpreters, ``what base → head`` each.

    Two environments are never the same, even with equal versions: a package may have been built here.
    """
    found = [f"Python {base.python_version} → {head.python_version}"] * (base.python_version != head.python_version)
    for name, before, after in differing_packages(base.packages, head.packages):
        found.append(f"{name} {before or 'absent'} → {after or 'absent'}")
    if not found and base.prefix != head.prefix:
        found.append(f"environment {base.prefix} → {head.prefix}")
    return tuple(found)


def find_python(python: str | None) -> str:
    """The absolute path of an interpreter, links left as they are: a virtual environment's is one.

    Raises:
        UsageError: there is none.
    """
    if python is None:
        return sys.executable
    path = os.path.expanduser(python)
    if os.path.isdir(path):
        path = os.path.join(path, "bin", "python")
    found = shutil.which(path)
    if found is None:
        problem = "cannot be executed" if os.path.exists(path) else "does not exist"
        raise UsageError(f"python:{python} {problem}; expected the path of a Python interpreter")
    return os.path.abspath(found)


def _ask(path: str, tree: Tree, variables: Mapping[str, str]) -> dict[str, Any]:
    command = [path, "-c", _script(), _MARK, str(tree.origin), str(tree.path)]
    try:
        done = run_child(command, {**os.environ, **variables}, _SECONDS, cwd=tree.cwd)
    except OSError as error:
        raise UsageError(f"{path} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise UsageError(f"{path} did not say within {_SECONDS:g} s what it has; does it start?") from None
    # Before it, whatever the interpreter's own start-up prints.
    _, mark, answer = done.stdout.decode("utf-8", "replace").rpartition(f"\n{_MARK}")
    if done.returncode or not mark:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = f": {said[-1]}" if said else ""
        raise UsageError(f"{path} is no Python interpreter that could run a worker{why}")
    found: dict[str, Any] = json.loads(answer.splitlines()[0])
    return found


def _check_protocol(path: str, version: str, protocol: int | None, *, own: bool) -> None:
    if protocol == PROTOCOL:
        return
    if own:
        what = f"the side's files have a perfsuite {version} of their own, which cannot be a worker"
        said = "unknown" if protocol is None else protocol
        raise UsageError(f"{what} (protocol {said}, needed is {PROTOCOL}): compare commits of which both can")
    what = f"{path} has perfsuite {version}, which cannot be a worker"
    if protocol is not None and protocol > PROTOCOL:
        mend = f"{_pip(sys.executable)} --upgrade perfsuite"
        raise UsageError(f"{what} (protocol {protocol}, this one speaks {PROTOCOL}): {mend}")
    mend = f"{_pip(path)} --upgrade perfsuite"
    raise UsageError(f"{what} (protocol {'unknown' if protocol is None else protocol}, needed is {PROTOCOL}): {mend}")


def _pip(path: str) -> str:
    return f"{shlex.quote(path)} -m pip install"
