"""Measure one workload in this process and save it as a run, without pytest.

::

    python -m benchmarks.measure retinanet --scale smoke --runs .asv/runs --commit 57d0e8c…

The benchmarks of :mod:`benchmarks.history` start it, quietly, in the environment of the commit that they measure:
torch, torchvision, numpy and psutil are all that is there.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.workloads import BACKENDS, DTYPES, NAMES, SCALES, workload
from benchmarks.workloads.focal import LossKernel
from benchmarks.workloads.protocol import SEED
from perfsuite.capture.lifetime import end_with_parent
from perfsuite.capture.passes import Settings
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.record import Recorded, Subject, record
from perfsuite.capture.seeding import seed
from perfsuite.capture.step import Step
from perfsuite.capture.torch_facts import torch_facts
from perfsuite.capture.training_step import TrainingStep
from perfsuite.capture.verbose import request_timestamps
from perfsuite.environment import gather_environment
from perfsuite.errors import PerfsuiteError
from perfsuite.quiet import from_list
from perfsuite.records import Environment
from perfsuite.store import create_run

#: The kernel that is measured on its own.
FOCAL_LOSS = "sigmoid_focal_loss"
SUBJECTS = (*NAMES, FOCAL_LOSS)

#: How long a step is timed: twice what the tests take, since a history is to show a change of a few per cent.
SECONDS = 2.0


def measure(
    name: str,
    folder: Path,
    *,
    scale: str = "smoke",
    dtype: str = "float32",
    backend: str = "eager",
    commit: str | None = None,
    run_id: str | None = None,
    progress: Callable[[str], object] = lambda stage: None,
) -> Path:
    """Record a workload in all passes and save it as a run of its own in ``folder``; returns the run's path.

    Args:
        name: one of :data:`SUBJECTS`.
        folder: is made if need be.
        scale: as of :func:`benchmarks.workloads.workload`, like ``dtype`` and ``backend``.
        commit: of the project that is measured; the run says it.
        run_id: the run's id; by default a new one.
        progress: is told what is done now.

    Raises:
        PerfsuiteError: the run cannot be saved, the workload needs what is not installed, or cannot be measured.
            Whatever building and stepping it raises passes through; no run is left then.
    """
    request_timestamps()  # before oneDNN is used for the first time
    # Before an hour of measuring: a folder that cannot be written.
    run = create_run(folder, gather_environment(), run_id=run_id)
    with run:
        try:
            progress("build")
            subject = build(name, scale, dtype, backend)
            seed(SEED)
            recorded: Recorded = record(subject, Settings(backend=backend), seconds=SECONDS, progress=progress)
            run.write(recorded.profile, recorded.timeline)
        except BaseException:
            run.discard()
            raise
        # Now that every copy of oneDNN has said what it is.
        run.finish("complete", _environment(commit))
    return run.path


def build(name: str, scale: str, dtype: str, backend: str) -> Subject:
    """The workload, ready to be recorded.

    Raises:
        UsageError: there is none of that name, scale, dtype or backend, or what it needs is not installed.
    """
    recorder = PhaseRecorder()
    if name == FOCAL_LOSS:
        kernel = LossKernel.build(scale, dtype, backend)
        return Subject(name, Step(kernel.gradient), recorder, scale=scale, dtype=dtype)
    built = workload(name, scale=scale, dtype=dtype, backend=backend).build()
    step = TrainingStep(built.model, built.optimizer, built.loss, built.batch, phase=recorder.phase)
    return Subject(name, Step(step), recorder, built.model, scale, dtype)


def _environment(commit: str | None) -> Environment:
    found = gather_environment(torch_facts())
    return found if commit is None else replace(found, git_commit=commit, git_dirty=None)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or what a :class:`~perfsuite.errors.PerfsuiteError` exits with, which is one line."""
    options = _parser().parse_args(arguments)
    end_with_parent()
    try:
        if options.cpus is not None:
            # Before OpenMP counts them.
            os.sched_setaffinity(0, from_list(options.cpus))
        folder = options.runs if options.commit is None else options.runs / options.commit
        path = measure(
            options.name,
            folder,
            scale=options.scale,
            dtype=options.dtype,
            backend=options.backend,
            commit=options.commit,
            run_id=options.run_id,
        )
    except PerfsuiteError as error:
        print(f"perfsuite: {error}", file=sys.stderr)
        return error.exit_code
    print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure", description=main.__doc__)
    parser.add_argument("name", choices=SUBJECTS, help="what to measure")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="where runs are kept")
    parser.add_argument("--commit", type=_commit, metavar="HASH", help="whose run it is: it is kept in DIR/HASH")
    parser.add_argument("--run-id", metavar="ID", help="the run's id; by default a new one")
    parser.add_argument("--scale", choices=SCALES, default="smoke")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--backend", choices=BACKENDS, default="eager")
    parser.add_argument("--cpus", metavar="LIST", help="CPUs to run on, as 0-3,8; by default those of the caller")
    return parser


def _commit(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a commit's forty digits")
    return text


if __name__ == "__main__":
    sys.exit(main())
