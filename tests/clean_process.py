"""Processes in which torch is imported and nothing has run yet, a fork away.

oneDNN prints its header once per process and reads the environment once, at its first use, so tests of that
need a process each.  Importing torch takes seconds: one process imports it, runs nothing, and forks for each
piece of code.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import TracebackType

import perfsuite

_SERVER = """
import json, os, sys, traceback
names = {}
exec(sys.argv[1], names)
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        status = 1
        os.environ.update(job["environment"])
        for fd, path in ((1, job["out"]), (2, job["err"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), fd)
        try:
            exec(job["code"], names)
            status = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        names["flush_c_streams"]()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class CleanProcesses:
    """Runs pieces of code, each in a fresh fork of a process that has executed ``prelude``."""

    def __init__(self, prelude: str, folder: Path) -> None:
        environment = {key: value for key, value in os.environ.items() if not re.match("(ONEDNN|DNNL)_VERBOSE", key)}
        environment["PYTHONPATH"] = str(Path(perfsuite.__file__).parents[1])
        prelude = "from perfsuite.capture.stdio import flush_c_streams\n" + textwrap.dedent(prelude)
        self._folder = folder
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, prelude],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what importing says; each piece of code has its own
            env=environment,
            text=True,
        )
        assert self._answer() == "ready"

    def __enter__(self) -> CleanProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()

    def run(self, code: str, **environment: str) -> tuple[list[str], str]:
        """(lines of standard output, standard error) of the code, which must end without an exception."""
        out, err = self._folder / "out", self._folder / "err"
        job = {"code": textwrap.dedent(code), "environment": environment, "out": str(out), "err": str(err)}
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        status = self._answer()
        assert status == "0", f"exit status {status}\n{err.read_text()}"
        return out.read_text().splitlines(), err.read_text()

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()
