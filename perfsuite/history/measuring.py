"""A benchmark's value at a commit, from one fresh process: what a bisection asks for, again and again."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from perfsuite.environment import find_allocator, libc, usable_cpus
from perfsuite.errors import UsageError
from perfsuite.gate.child import run_child
from perfsuite.history.asv_files import HistoryError
from perfsuite.history.children import benchmark_variables, link_packages
from perfsuite.history.installer import install
from perfsuite.history.model import Commit, Stack
from perfsuite.history.requirements import distribution, is_file_or_url
from perfsuite.history.settings import HistorySettings
from perfsuite.history.values import PHASES, SINGLE, UNITS, values_of
from perfsuite.quiet import as_list, quiet_settings
from perfsuite.stats import median
from perfsuite.store import load_run

_IPEX = "intel_extension_for_pytorch"
#: A workload that takes longer is stuck.
_SECONDS = 3600.0


@dataclass(frozen=True)
class Target:
    """What is looked at: a measure of a workload, and a part of it where it has several."""

    workload: str
    #: One of :data:`perfsuite.history.values.UNITS`.
    measure: str
    part: str = ""

    @property
    def label(self) -> str:
        """``step of retinanet``, ``operator convolution of resnet18``."""
        return f"{' '.join(filter(None, (self.measure, self.part)))} of {self.workload}"


def target_of(text: str) -> Target:
    """What a benchmark is about: ``steps.Steps.track_phase(lstm, backward)``, or a workload alone, for its step.

    ``track_phase(lstm, backward)`` and ``phase(lstm, backward)`` will do.

    Raises:
        UsageError: it is none of the history's.
    """
    found = re.fullmatch(r"(?:.*\.)?(?:track_)?(\w+)(?:\(([^()]*)\))?", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no benchmark: write it as retinanet, or as track_phase(retinanet, backward)")
    name, arguments = found[1], [one.strip() for one in (found[2] or "").split(",") if one.strip()]
    if found[2] is None and name not in UNITS:
        return Target(name, "step")
    if name not in UNITS:
        raise UsageError(f"{text!r}: no benchmark is called {name}, there are {', '.join(UNITS)}")
    if name in SINGLE:
        arguments = [SINGLE[name], *arguments]
    if not 1 <= len(arguments) <= 2:
        raise UsageError(f"{text!r}: of which workload? write it as track_{name}(retinanet)")
    return Target(arguments[0], name, *arguments[1:])


def check_target(target: Target, settings: HistorySettings) -> None:
    """Whether the history measures it, as far as that can be told before gigabytes are installed.

    Raises:
        UsageError: it does not.
    """
    known = (*settings.workloads, *SINGLE.values())
    if settings.workloads and target.workload not in known:
        raise UsageError(f"the history measures no {target.workload!r}, but {', '.join(known)}")
    if target.measure == "phase" and target.part not in PHASES:
        raise UsageError(f"a step has no phase {target.part!r}, but {', '.join(PHASES)}")


def measuring(settings: HistorySettings, stacks: Mapping[str, Stack], target: Target) -> Callable[[Commit], float]:
    """A function that measures a commit once, in a fresh quiet process of its own environment, and keeps the run.

    The value is the median of what the process has measured, in the measure's unit.  The run is kept with the others of
    its commit.

    Args:
        settings: of the history.
        stacks: what to install, by the commit's hash.
        target: what is measured.

    Returns:
        The function; it raises a :class:`~perfsuite.errors.PerfsuiteError` where the commit cannot be installed or
        measured.
    """
    pythons: dict[str, Path] = {}

    def measure(commit: Commit) -> float:
        if commit.hash not in pythons:
            pythons[commit.hash] = install(stacks[commit.hash], settings)
        path = _recorded(settings, pythons[commit.hash], stacks[commit.hash], commit, target.workload)
        for profile in load_run(path).workloads:
            samples = values_of(profile).get(target.measure, {}).get(target.part)
            if samples:
                return median(samples)
        raise HistoryError(f"{commit.label}: the run {path.name} has no {target.label}")

    return measure


def _recorded(settings: HistorySettings, python: Path, stack: Stack, commit: Commit, workload: str) -> Path:
    """The folder of a new run."""
    run_id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    glibc = libc().startswith("glibc")
    try:
        folder = link_packages(settings)
        variables = benchmark_variables(settings, python, os.environ)
        quiet = quiet_settings(variables, usable_cpus(), glibc=glibc, find_library=find_allocator)
        command = [
            str(python), "-m", "benchmarks.measure", workload,
            "--runs", str(settings.runs_dir), "--commit", commit.hash, "--run-id", run_id,
            "--scale", settings.scale, "--backend", _backend(stack), "--cpus", as_list(quiet.cpus),
        ]  # fmt: skip
        done = run_child(command, {**variables, **quiet.variables}, _SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        raise HistoryError(f"{commit.label}: {workload} took longer than {_SECONDS / 60:g} min and was ended") from None
    except OSError as error:
        raise HistoryError(f"{commit.label}: {python} cannot be run: {error.strerror}") from error
    if done.returncode:
        raise HistoryError(f"{commit.label}: {workload}: {_why(done)}")
    return settings.runs_dir / commit.hash / run_id


def _backend(stack: Stack) -> str:
    """As the benchmarks choose it: the extension where it is installed, as its users have it."""
    asked = os.environ.get("PERFSUITE_HISTORY_BACKEND", "auto") or "auto"
    if asked != "auto":
        return asked
    named = {distribution(one) for one in stack.requirements if not is_file_or_url(one)}
    return "ipex" if _IPEX in stack.imports or _IPEX.replace("_", "-") in named else "eager"


def _why(done: subprocess.CompletedProcess[bytes]) -> str:
    """One line of what it said."""
    lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    said = lines[-1].removeprefix("perfsuite: ")[:300] if lines else ""
    if done.returncode < 0:
        known = {one.value: one.name for one in signal.Signals}
        ended = f"ended by {known.get(-done.returncode, f'signal {-done.returncode}')}"
        return f"{ended}, after it said: {said}" if said else ended
    return said or f"exit status {done.returncode}, and nothing was said"
