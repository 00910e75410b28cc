"""A project with a regression: five commits, in one of which a training step gets an operator more.

It is built from source, commit by commit, and what it does to torchvision's ResNet-18 is real: a night installs each
commit beside a real torch and measures the workload as it measures any.  What a night ought to say of it is known.

::

    python -m benchmarks.releases.planted FOLDER
    git clone FOLDER/project FOLDER/clone
    perfsuite history nightly --config FOLDER/asv.conf.json --repo FOLDER/clone --machine NAME
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.releases.stand_in import commit_all, git

#: Commit → its tag; the one without is where the operator comes in.
COMMITS = (
    ("The features are left as they are", "v1.0.0"),
    ("Say so", "v1.1.0"),
    ("Smooth the features", None),
    ("Say that, too", "v1.2.0"),
    ("A release", "v1.3.0"),
)
CULPRIT = 2
#: The operator that is planted, and on how many elements: about a tenth of the step at the smallest scale, where this
#: was written.
OPERATOR, ELEMENTS = "aten::erfinv", 2_500_000
HISTORY = Path(__file__).resolve().parents[1] / "history"

#: Nothing is fetched for a build.
_ALONE = ("--no-deps", "--no-build-isolation")

_PROJECT = """import os
import sys
import sysconfig

from setuptools import setup

# Beside the modules: Python reads such files there when it starts.
beside = os.path.relpath(sysconfig.get_path("purelib"), sys.prefix)
setup(
    name="smoothing",
    version="1.0",
    py_modules=["smoothing", "smoothing_startup"],
    data_files=[(beside, ["smoothing.pth"])],
)
"""

#: torch is not imported for it: other programs start in the environment, too.
_STARTUP = '''"""Has torchvision's ResNet smooth its features, once that is loaded."""

import importlib.abc
import importlib.util
import sys

TARGET = "torchvision.models.resnet"


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != TARGET:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            smoothed(module.ResNet)

        spec.loader.exec_module = exec_module
        return spec


def smoothed(kind):
    forward = kind._forward_impl

    def _forward_impl(self, images):
        import smoothing

        return smoothing.smooth(forward(self, images))

    kind._forward_impl = _forward_impl


sys.meta_path.insert(0, Finder())
'''

_WITHOUT = '''"""Nothing yet."""


def smooth(features):
    return features
'''

_WITH = f'''"""Smooths features."""

import torch

NOISE = torch.rand({ELEMENTS}, generator=torch.Generator().manual_seed(0))


def smooth(features):
    torch.erfinv(NOISE)
    return features
'''


def make_project(path: Path) -> list[str]:
    """The repository, in a folder that must not be there yet; returns the hashes of its commits.

    Raises:
        FileExistsError: it is there.
        subprocess.CalledProcessError: git cannot make it.
    """
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "setup.py").write_text(_PROJECT)
    (path / "smoothing.pth").write_text("import smoothing_startup\n")
    (path / "smoothing_startup.py").write_text(_STARTUP)
    hashes = []
    for number, (message, tag) in enumerate(COMMITS):
        (path / "smoothing.py").write_text(_WITH if number >= CULPRIT else _WITHOUT)
        commit_all(path, message, f"2026-01-{number + 1:02}", tag)
        hashes.append(git(path, "rev-parse", "HEAD").strip())
    return hashes


def configuration(folder: Path, torch: str, torchvision: str) -> dict[str, object]:
    """asv's configuration for it; everything that nights make is in ``folder``."""
    return {
        "version": 1,
        "project": "planted",
        "repo": str(folder / "project"),
        "branches": ["main"],
        "environment_type": "perfsuite",
        "plugins": [".perfsuite.asv_plugin"],
        "benchmark_dir": str(HISTORY),
        "launch_method": "forkserver",
        "env_dir": ".asv/env",
        "results_dir": ".asv/results",
        "html_dir": ".asv/html",
        "perfsuite": {
            "imports": ["torch", "smoothing"],
            "source": {
                "requirements": [f"torch=={torch}", f"torchvision=={torchvision}", "setuptools<81", "wheel"],
                "commands": [
                    [
                        "{python}",
                        "-m",
                        "pip",
                        "wheel",
                        "--no-deps",
                        "--no-build-isolation",
                        "--wheel-dir",
                        "{wheels}",
                        ".",
                    ]
                ],
            },
            "extra_requirements": ["numpy", "psutil"],
            "workloads": ["resnet18", "lstm"],
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where to; must not be there yet")
    folder = parser.parse_args(arguments).folder.resolve()
    if folder.exists():
        print(f"{folder} is there already: remove it to make it anew", file=sys.stderr)
        return 2
    make_project(folder / "project")
    versions = (version(name).partition("+")[0] for name in ("torch", "torchvision"))
    (folder / "asv.conf.json").write_text(json.dumps(configuration(folder, *versions), indent=2) + "\n")
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
