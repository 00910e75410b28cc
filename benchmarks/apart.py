"""Measure workloads for asv: each in a quiet process of its own, one after the other.

asv asks for the values one by one, each from a new process that loads this module: nothing heavy is imported here.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.workloads import NAMES, SCALES
from benchmarks.workloads.protocol import check_choice
from perfsuite.history.names import has_series

#: What the environment of asv says (docs/history): where runs are kept, and what to measure.
RUNS = "PERFSUITE_HISTORY_RUNS"
SCALE = "PERFSUITE_HISTORY_SCALE"
WORKLOADS = "PERFSUITE_HISTORY_WORKLOADS"
BACKEND = "PERFSUITE_HISTORY_BACKEND"
BACKENDS = ("auto", "eager", "ipex")
_IPEX = "intel_extension_for_pytorch"

#: A workload that takes longer is stuck.
TIMEOUT_SECONDS = 3600.0
#: For ``setup_cache.timeout``: asv ends what has said nothing for so long, and each workload says a line at its end.
PATIENCE_SECONDS = TIMEOUT_SECONDS + 300.0

#: Workload → its values, or why there are none: ``{"values": …}`` or ``{"failed": "one line"}``.
Measured = dict[str, dict[str, Any]]


def chosen_workloads() -> tuple[str, ...]:
    """The workloads to measure; all of them where nobody says which.

    Raises:
        UsageError: there is none of that name.
    """
    names = tuple(name.strip() for name in os.environ.get(WORKLOADS, "").split(",") if name.strip())
    for name in names:
        check_choice("name", name, NAMES)
    return tuple(dict.fromkeys(names)) or NAMES


def chosen_backend() -> str:
    """``eager`` or ``ipex``; by default the extension where it is installed, as its users have it.

    Raises:
        UsageError: the variable says something else.
    """
    from importlib.util import find_spec

    asked = _asked_backend()
    if asked != "auto":
        return asked
    return "ipex" if find_spec(_IPEX) is not None else "eager"


def _asked_backend() -> str:
    asked = os.environ.get(BACKEND, "") or "auto"
    check_choice("backend", asked, BACKENDS)
    return asked


def _chosen_scale() -> str:
    scale = os.environ.get(SCALE, "") or SCALES[0]
    check_choice("scale", scale, SCALES)
    return scale


def version() -> str:
    """The version of every benchmark: of what it does, and at which scale and with which backend.

    With another scale a step takes ten times as long: that is another line, and no change of this one.  asv's own
    version is a hash of the source, and an edit of a comment would begin the history anew.

    Raises:
        UsageError: a setting is wrong.
    """
    return f"1, {_chosen_scale()}, {_asked_backend()}"


def measure_apart(names: Sequence[str]) -> Measured:
    """Measure the workloads one after the other; one that fails does not keep the others from being measured.

    The runs are kept in the folder of the commit; where asv measures no commit they are gone when asv is done.

    Raises:
        UsageError: a setting is wrong.
    """
    from perfsuite.capture.lifetime import end_with_parent

    end_with_parent()
    scale = _chosen_scale()
    found: Measured = {}
    for name in names:
        found[name] = _measured(name, ["--scale", scale, "--backend", chosen_backend()])
        # asv shows it where something failed; and as long as something is said it waits.
        print(f"{name}: {found[name].get('failed', 'measured')}", flush=True)
    return found


def answer(measured: Measured, workload: str, measure: str, part: str = "") -> Any:
    """What a benchmark returns to asv: the samples, which asv keeps, or NaN where there is nothing to measure.

    Where the workload failed, so do its benchmarks, with a line that says why.
    """
    if measure == "operator" and not has_series(workload, part):
        return math.nan
    found = measured[workload]
    if "failed" in found:
        # An exception would put a traceback of asv's own around the line.
        sys.exit(f"perfsuite: {workload} was not measured: {found['failed']}")
    samples = found["values"].get(measure, {}).get(part)
    return {"samples": samples, "number": 1} if samples else math.nan


def _measured(name: str, settings: Sequence[str]) -> dict[str, Any]:
    from perfsuite.errors import StoreError
    from perfsuite.history.values import values_of
    from perfsuite.store import load_run

    folder, commit = _folder()
    run_id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    where = ["--runs", str(folder), "--run-id", run_id, *(["--commit", commit] if commit else [])]
    failed = _run([name, *where, *settings])
    if failed is not None:
        return {"failed": failed}
    try:
        run = load_run((folder / commit if commit else folder) / run_id)
    except StoreError as error:
        return {"failed": str(error)}
    for profile in run.workloads:
        return {"values": values_of(profile)}
    return {"failed": f"nothing was recorded: {'; '.join(run.problems) or 'the run is empty'}"}


def _folder() -> tuple[Path, str | None]:
    """Where the runs are, and of which commit this one is; of none if asv does not say both."""
    runs, commit = os.environ.get(RUNS), os.environ.get("ASV_COMMIT")
    if runs and commit:
        return Path(runs), commit
    return Path.cwd() / "runs", None  # asv's own folder for what is set up, which it removes


def _run(arguments: Sequence[str]) -> str | None:
    """Run :mod:`benchmarks.measure` quietly; None if it ended well, else one line that says why not."""
    from perfsuite.environment import find_allocator, libc, usable_cpus
    from perfsuite.quiet import as_list, quiet_settings

    glibc = libc().startswith("glibc")
    quiet = quiet_settings(os.environ, usable_cpus(), glibc=glibc, find_library=find_allocator)
    command = [sys.executable, "-m", "benchmarks.measure", *arguments, "--cpus", as_list(quiet.cpus)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **quiet.variables, "PYTHONPATH": _path()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {TIMEOUT_SECONDS / 60:g} min and was ended"
    except OSError as error:
        return f"{sys.executable} cannot be started: {error.strerror}"
    return reason(done.returncode, done.stderr.decode("utf-8", "replace")) if done.returncode else None


def _path() -> str:
    """``PYTHONPATH`` for the child: first where this package and perfsuite were found, which may be links."""
    import benchmarks
    import perfsuite

    own = [os.path.dirname(os.path.dirname(str(package.__file__))) for package in (benchmarks, perfsuite)]
    return os.pathsep.join(dict.fromkeys([*own, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))


def reason(status: int, said: str) -> str:
    """Why a Python process failed, in one line: the exception of its last traceback, or the last that it said."""
    lines = said.splitlines()
    last = max((at for at, line in enumerate(lines) if line.startswith("Traceback ")), default=None)
    # Below it are the frames, indented; a message may have several lines, of which the first says what was wrong.
    below = [] if last is None else [line for line in lines[last + 1 :] if line.strip() and not line[0].isspace()]
    told = below[:1] or [line.strip() for line in lines if line.strip()][-1:]
    text = told[0].removeprefix("perfsuite: ")[:300] if told else ""
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        return f"ended by {name}" + (f" after it said: {text}" if text else "")
    return text or f"exit status {status}, and nothing was said"
