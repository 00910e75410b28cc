"""What the processes of benchmarks find around them: this package and the benchmarks, whatever their interpreter has.

An old stack has no perfsuite of its own, and must not see anything else of the environment that asv runs in.  So there
is a folder with nothing in it but links to what they need, and it is the only one on their path.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import perfsuite
from perfsuite.history.settings import HistorySettings

#: What lies beside this package where it is not installed; benchmarks need the first, and some the second.
_BESIDE = ("benchmarks", "kernels")
#: Variables of the interpreter that asv runs in, which would lead another one astray.
_NOT_FOR_CHILDREN = ("PYTHONPATH", "PYTHONHOME", "ASV_PYTHONPATH", "VIRTUAL_ENV")


def package_folder(settings: HistorySettings) -> Path:
    """The one folder on the path of benchmark processes, with links to packages in it."""
    return settings.env_dir / "path"


def link_packages(settings: HistorySettings) -> Path:
    """Make :func:`package_folder` as it has to be, and return it.

    Raises:
        OSError: it cannot be made.
    """
    folder = package_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = _packages(settings)
    for there in folder.iterdir():
        # Names with a dot are those of links that another process is about to put in place.
        if there.is_symlink() and there.name not in wanted and not there.name.startswith("."):
            there.unlink()
    for name, target in wanted.items():
        _link(folder / name, target)
    return folder


def benchmark_variables(settings: HistorySettings, python: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a benchmark's process.

    Args:
        settings: what the benchmarks are told.
        python: the interpreter that runs them.
        inherited: asv's own; they are kept, but for those of another interpreter.
    """
    folder = str(package_folder(settings))
    kept = {key: value for key, value in inherited.items() if key not in _NOT_FOR_CHILDREN}
    return kept | {
        **chosen_variables(settings),
        "PERFSUITE_HISTORY_RUNS": str(settings.runs_dir),
        # Two, because asv's script for benchmarks takes what is in the first off its own path again, and puts what is
        # in the second onto it; the processes that a benchmark starts look at the first.
        "PYTHONPATH": folder,
        "ASV_PYTHONPATH": folder,
        "VIRTUAL_ENV": str(python.parent.parent),
        "PATH": os.pathsep.join([str(python.parent), inherited.get("PATH", os.defpath)]),
    }


def chosen_variables(settings: HistorySettings) -> dict[str, str]:
    """What the benchmarks' module is told of what to measure; their versions go by it too."""
    return {
        "PERFSUITE_HISTORY_SCALE": settings.scale,
        "PERFSUITE_HISTORY_WORKLOADS": ",".join(settings.workloads),
    }


def _packages(settings: HistorySettings) -> dict[str, Path]:
    package = Path(perfsuite.__file__).resolve().parent
    found = {"perfsuite": package}
    # The benchmarks' own folder first: where perfsuite is installed, others may have a package of that name beside it.
    places = (*settings.benchmark_dir.resolve().parents[1:2], package.parent)
    for name in _BESIDE:
        for place in places:
            if (place / name / "__init__.py").is_file():
                found[name] = place / name
                break
    return found


def _link(link: Path, target: Path) -> None:
    """A link to the target, in place of what was there, without a moment in which there is none."""
    with contextlib.suppress(OSError):
        if os.readlink(link) == str(target):
            return
    fresh = link.with_name(f".{link.name}-{secrets.token_hex(4)}")
    os.symlink(target, fresh)
    os.replace(fresh, link)
