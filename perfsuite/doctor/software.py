"""What a process that is started from here would have: variables, and whose memory allocator."""

from __future__ import annotations

from perfsuite.doctor.model import Software
from perfsuite.environment import find_allocator, gather_environment, initial_environment, libc

#: The allocators that ``perfsuite launch`` can bring.
_OTHERS = ("tcmalloc", "jemalloc")


def gather_software() -> Software:
    """Read off this process, which was started from here itself."""
    libraries = {family: find_allocator(family) for family in _OTHERS}
    return Software(
        variables=initial_environment(),
        allocator=gather_environment().allocator,
        glibc=libc().startswith("glibc"),
        allocators={family: path for family, path in libraries.items() if path is not None},
    )
