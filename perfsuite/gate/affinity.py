"""Which CPUs workers run on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from perfsuite.errors import UsageError
from perfsuite.quiet import as_list


class AffinityError(UsageError):
    """The kernel does not let this process run on the CPUs that were chosen."""


@contextmanager
def on_cpus(cpus: Sequence[int] | None) -> Iterator[None]:
    """On these CPUs, which children inherit; this process does next to nothing itself.

    Raises:
        AffinityError: it may not run there.
    """
    before = os.sched_getaffinity(0)
    if cpus is not None:
        try:
            os.sched_setaffinity(0, cpus)
        except OSError as error:
            raise AffinityError(
                f"cannot run on CPUs {as_list(cpus)}: {error.strerror}; this process may use {as_list(sorted(before))}"
            ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # a container that has lost CPUs meanwhile: nothing is wrong with what ran
            os.sched_setaffinity(0, before)
