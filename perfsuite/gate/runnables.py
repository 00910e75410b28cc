"""How workers are started: with which variables and settings, and without the plugins that would disturb them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from perfsuite.gate.model import SIDES
from perfsuite.gate.worker import Runnable
from perfsuite.quiet import Settings, as_list

#: Options that keep a plugin from changing how tests run, where its distribution is installed: a worker runs each
#: benchmark once, in its own process, in the gate's order, for as long as the gate wants.
_PLUGINS = {
    "pytest-xdist": ("-n0",),
    "pytest-timeout": ("--timeout=0",),
    "pytest-cov": ("--no-cov",),
    "pytest-randomly": ("-p", "no:randomly"),
    "pytest-rerunfailures": ("--reruns=0",),
}
#: What a worker loads where pytest is told not to load plugins by itself.
_PLUGINS_NEEDED = ("-p", "perfsuite.pytest_plugin", "-p", "pytest_benchmark.plugin")
#: What a pytest around the gate tells its own children.
_OF_PYTEST = ("PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that workers get from whoever started the gate."""
    return {name: value for name, value in environ.items() if name not in _OF_PYTEST}


def plugins_here() -> Collection[str]:
    """Those of the distributions that would disturb which the interpreter that runs now has."""
    found = []
    for name in _PLUGINS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def told(quiet: Mapping[str, Settings], own: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """What the workers are started with, ``NAME=value`` each; where the sides differ, with the side.

    Args:
        quiet: by side, the quiet settings.
        own: by side, variables whose values are temporary folders of its own, which nobody needs to read.
    """
    found: list[str] = []
    for side in SIDES:
        for name, value in quiet[side].variables.items():
            both = quiet["base"].variables.get(name) == quiet["head"].variables.get(name) == value
            found.append(f"{name}={value}" if both else f"{side}: {name}={value}")
        found += [f"kept {one}" for one in quiet[side].kept]
        for name in own[side]:
            both = name in own["base"] and name in own["head"]
            found.append(f"{name}=(of each side's own)" if both else f"{side}: {name}=(of its own)")
    cpus = {side: f"CPUs {as_list(quiet[side].cpus)}" for side in SIDES}
    found += [cpus[side] if cpus["base"] == cpus["head"] else f"{side}: {cpus[side]}" for side in SIDES]
    return tuple(dict.fromkeys(found))


def runnable(
    side: str,
    python: str,
    cwd: Path,
    variables: Mapping[str, str],
    quiet: Settings,
    packages: Collection[str],
    paths: Sequence[str] = (),
) -> Runnable:
    """A side, ready to be started.

    Args:
        side: its name.
        python: its interpreter.
        cwd: where pytest runs.
        variables: all that the side is started with, the quiet settings apart.
        quiet: those.
        packages: names of distributions that the interpreter has.
        paths: folders that modules are imported from before any other.
    """
    before = [one for one in variables.get("PYTHONPATH", "").split(os.pathsep) if one]
    own = {"PYTHONPATH": os.pathsep.join(dict.fromkeys((*paths, *before)))} if paths else {}
    options = [option for name, several in _PLUGINS.items() if name in packages for option in several]
    if variables.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        options = list(_PLUGINS_NEEDED)  # others are not there, nor their options
    return Runnable(side, python, cwd, {**variables, **quiet.variables, **own}, options, quiet.cpus)
