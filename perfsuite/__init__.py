"""perfsuite: where the time of a CPU training step goes, operator by operator.

Importing the package is cheap on purpose: pytest loads the plugin in every session of every project it
is installed in, so nothing here may import torch, numpy or rich.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike

    from perfsuite.analyse.diff import diff_runs
    from perfsuite.capture.training_step import TrainingStep
    from perfsuite.present.frames import to_dataframe
    from perfsuite.records import Run

__all__ = ["TrainingStep", "__version__", "diff_runs", "load_run", "to_dataframe"]

__version__ = "0.1.0"

_ELSEWHERE = {
    "TrainingStep": "perfsuite.capture.training_step",
    "diff_runs": "perfsuite.analyse.diff",
    "to_dataframe": "perfsuite.present.frames",
}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_run(spec: "str | PathLike[str]" = "latest", directory: "str | PathLike[str]" = ".perfsuite") -> "Run":
    """The saved run that ``spec`` names: a path, an id in ``directory``, the beginning of one, ``latest``, or
    ``latest~N``, the one N runs before it.

    Raises:
        UsageError: ``spec`` or ``directory`` is no text and no path.
        StoreError: there is none, or it cannot be read.

    Warns:
        PerfsuiteWarning: a file of the run cannot be read; the rest is there.
    """
    import os
    import warnings
    from pathlib import Path

    from perfsuite.errors import PerfsuiteWarning, UsageError
    from perfsuite.store import load_run, resolve_run

    for what, given in (("a path, an id or 'latest'", spec), ("the path of a folder as directory", directory)):
        if not isinstance(given, (str, os.PathLike)) or not isinstance(os.fspath(given), str):
            raise UsageError(f"load_run: expected {what}, found {given!r}")
    run = load_run(resolve_run(os.fspath(spec), Path(directory)))
    for problem in run.problems:
        warnings.warn(problem, PerfsuiteWarning, stacklevel=2)
    return run


def load_ipython_extension(ipython: Any) -> None:
    """What ``%load_ext perfsuite`` runs: from then on runs, workloads, comparisons and advice show as tables."""
    from perfsuite.present.notebook import register

    register(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """What ``%unload_ext perfsuite`` runs: everything shows as before."""
    from perfsuite.present.notebook import unregister

    unregister(ipython)
