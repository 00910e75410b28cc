"""Which OpenMP runtimes a process has once it has imported modules: asked of a process of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

from perfsuite.doctor.model import OpenMP, Unread
from perfsuite.errors import UsageError

DEFAULT_MODULE = "torch"
_TIMEOUT_S = 60.0
_MARK = "--- maps of the process ---"
#: As GNU, Intel and LLVM call theirs; wheels put a hash behind the name.
_RUNTIME = re.compile(r"lib(?:gomp|iomp5|omp5?)(?:-(?!plugin)[\w-]+)?\.so[.\d]*")
_CODE = f"""
import importlib, sys
sys.path[:] = [entry for entry in sys.path if entry]
for name in sys.argv[1:]:
    importlib.import_module(name)
with open("/proc/self/maps", errors="replace") as maps:
    print({_MARK!r}, maps.read(), sep="\\n", flush=True)
"""


def loaded_runtimes(
    modules: Sequence[str] = (),
    *,
    variables: Mapping[str, str] = os.environ,
    timeout: float = _TIMEOUT_S,
) -> OpenMP | Unread:
    """The OpenMP runtimes of a fresh process of this Python that has imported ``modules``, by default torch.

    Modules in the working directory are not among them.

    Args:
        modules: their names; without any, torch if it is installed.
        variables: what that process is started with.
        timeout: in seconds; after that the process is ended and nothing is known.

    Raises:
        UsageError: what was asked for is no module that is installed.
    """
    for name in modules:
        if not all(part.isidentifier() for part in name.split(".")) or not _installed(name):
            raise UsageError(f"--import {name}: no module of this name is installed for {sys.executable}")
    if not modules and not _installed(DEFAULT_MODULE):
        return Unread(f"{DEFAULT_MODULE} is not installed for {sys.executable}; name another module with --import")
    names = tuple(modules) or (DEFAULT_MODULE,)
    text = _maps_after(names, variables, timeout)
    if isinstance(text, Unread):
        return text
    found = runtimes(text)
    return OpenMP(names, found, preloaded(found, variables))


def _installed(name: str) -> bool:
    # Of a name with dots only the first: looking for the rest would import what is above it.
    try:
        return importlib.util.find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _maps_after(names: tuple[str, ...], variables: Mapping[str, str], timeout: float) -> str | Unread:
    said = f"a process that imports {', '.join(names)}"
    # Files and not pipes: one that a grandchild holds open would be waited for beyond the limit.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            code = _run([sys.executable, "-c", _CODE, *names], variables, out, err, timeout)
        except subprocess.TimeoutExpired:
            return Unread(f"{said} took longer than {timeout:g} s")
        except OSError as error:
            return Unread(f"{said} cannot be started: {error.strerror}")
        out.seek(0)
        err.seek(0)
        text, complaint = (stream.read().decode("utf-8", "replace") for stream in (out, err))
    if code < 0:
        return Unread(f"{said} was ended by signal {-code}")
    if code or _MARK not in text:
        last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
        return Unread(f"{said} failed with exit code {code}: {last}")
    return text.rpartition(_MARK)[2]


def _run(command: list[str], variables: Mapping[str, str], out: IO[bytes], err: IO[bytes], timeout: float) -> int:
    """The exit code; when the time is up, or with Ctrl-C, nothing of what was started is left."""
    process = subprocess.Popen(
        command, env=dict(variables), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
    )
    try:
        return process.wait(timeout)
    finally:
        if process.poll() is None:
            # Its own children too: they are of its session.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def runtimes(maps: str) -> tuple[str, ...]:
    """The OpenMP runtimes among the files that ``/proc/<pid>/maps`` lists, each file once."""
    found: dict[tuple[str, str], str] = {}
    for device, inode, path in re.findall(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ (\S+) (\d+) +(/.*)$", maps, re.MULTILINE):
        if _RUNTIME.fullmatch(os.path.basename(path)):
            found.setdefault((device, inode), path)
    return tuple(sorted(found.values()))


def preloaded(found: Sequence[str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """Those that ``LD_PRELOAD`` brings, under the name there or the one that it is a link to."""
    named = [entry for entry in re.split(r"[:\s]+", variables.get("LD_PRELOAD", "")) if entry]
    names = {os.path.basename(path) for entry in named for path in (entry, os.path.realpath(entry))}
    return tuple(path for path in found if os.path.basename(path) in names)
