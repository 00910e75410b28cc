"""Requirements as they are written in the configuration: pip's, paths of wheels, URLs, with fields to be filled in."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from string import Formatter

from perfsuite.errors import UsageError


def check_requirement(text: str, where: str) -> str:
    """A requirement, which may have fields such as ``{version}`` in it, as it is.

    Raises:
        UsageError: the installer would not take it for one.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise UsageError(f"{where}: {text!r}: {error}") from None
    for _, name, spec, conversion in parts:
        if name is not None and (not name.isidentifier() or spec or conversion):
            raise UsageError(f"{where}: expected fields such as {{version}} and {{torch}}, found {text!r}")
    filled = text.format_map(defaultdict(lambda: "1.0"))
    if filled.startswith("-"):
        raise UsageError(f"{where}: expected a requirement and no option of the installer, found {text!r}")
    if not is_file_or_url(filled):
        try:
            Requirement(filled)
        except InvalidRequirement as error:
            raise UsageError(f"{where}: {text!r} is no requirement: {str(error).splitlines()[0]}") from None
    return text


def is_file_or_url(requirement: str) -> bool:
    """Whether the installer gets it as it is: a wheel, a folder or a URL, and not a name with a version."""
    return "://" in requirement or is_file(requirement)


def is_file(requirement: str) -> bool:
    """Whether it is the path of a wheel or of a folder."""
    return "://" not in requirement and (requirement.endswith(".whl") or requirement.startswith(("/", "./", "../")))


def absolute(requirement: str, folder: Path) -> str:
    """The requirement; if it is a path, it is made absolute, from ``folder`` on."""
    return os.path.abspath(folder / requirement) if is_file(requirement) else requirement


def fields_of(requirement: str) -> frozenset[str]:
    """The names of the fields in it."""
    return frozenset(name for _, name, _, _ in Formatter().parse(requirement) if name is not None)


def fill(requirement: str, fields: Mapping[str, str]) -> str:
    """The requirement with its fields filled in.

    Raises:
        KeyError: it has a field that is not among them.
    """
    return requirement.format_map(fields)


def distribution(requirement: str) -> str | None:
    """The normalised name of the distribution that it asks for; None for a path or a URL without one."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        return canonicalize_name(Requirement(requirement.format_map(defaultdict(lambda: "1.0"))).name)
    except InvalidRequirement:
        return None
