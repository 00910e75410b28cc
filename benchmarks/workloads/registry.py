"""Workloads by name."""

from __future__ import annotations

from benchmarks.workloads import lstm, resnet, retinanet, transformer
from benchmarks.workloads.protocol import Workload, check_choice

_BUILDERS = {
    "retinanet": retinanet.build,
    "resnet18": resnet.build,
    "lstm": lstm.build,
    "transformer": transformer.build,
}

#: Names of all workloads, the main one first.
NAMES = tuple(_BUILDERS)


def workload(name: str, *, scale: str = "smoke", dtype: str = "float32", backend: str = "eager") -> Workload:
    """The workload of that name; nothing is built yet.

    Raises:
        UsageError: no such name, scale, dtype or backend; the message lists the choices.
    """
    check_choice("name", name, NAMES)
    return Workload(name, _BUILDERS[name], scale, dtype, backend)
