"""Which packages two interpreters have in other versions, those first that compute."""

from __future__ import annotations

from collections.abc import Mapping

#: How the names of packages begin that a step's time depends on.
_COMPUTING = ("torch", "intel", "onednn", "mkl", "numpy", "openmp", "triton")


def differing_packages(
    base: Mapping[str, str], head: Mapping[str, str]
) -> tuple[tuple[str, str | None, str | None], ...]:
    """Name, base's version and head's, None where it is absent, of each package that is not the same.

    Those that compute come first, then those that both have, then the rest.
    """
    found = [(name, base.get(name), head.get(name)) for name in base.keys() | head.keys()]
    return tuple(sorted((one for one in found if one[1] != one[2]), key=_rank))


def _rank(one: tuple[str, str | None, str | None]) -> tuple[bool, bool, str]:
    name, before, after = one
    return not name.lower().startswith(_COMPUTING), before is None or after is None, name
