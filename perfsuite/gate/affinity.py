"""Which CPUs workers run on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def on_cpus(cpus: Sequence[int] | None) -> Iterator[None]:
    """On these CPUs, which children inherit; this process does next to nothing itself."""
    before = os.sched_getaffinity(0)
    if cpus is not None:
        os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
