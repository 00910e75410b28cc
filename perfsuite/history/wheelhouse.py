"""Wheels of single commits: a list of them in a file, or a folder of them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.errors import UsageError
from perfsuite.history.requirements import absolute, check_requirement, fields_of

if TYPE_CHECKING:
    from packaging.version import Version

#: A commit as files name it: by at least as many digits as git itself shows.
HASH = re.compile(r"[0-9a-f]{7,40}")
#: Of a wheel's local version: ``+git3fa9c1d``, ``+cpu.git3fa9c1d``, and ``+g3fa9c1d``, as setuptools-scm has it.
_LOCAL = re.compile(r"g(?:it)?([0-9a-f]{7,40})")


class Wheel:
    """A wheel in the wheelhouse."""

    def __init__(self, path: Path, version: Version, tags: frozenset[Any]) -> None:
        """Of a file whose name says this version and these tags."""
        self.path = path
        #: Without what is local to the build.
        self.version = version.public
        #: Whether the interpreter that runs can use it.
        self.fits = not tags.isdisjoint(_running_tags())


def listed(path: Path, commit: str) -> tuple[str, ...] | None:
    """What the wheel map at ``path`` has for a commit; None if it has nothing.

    Raises:
        UsageError: it cannot be read.
    """
    found: tuple[str, ...] | None = _by_prefix(_read_map(path, _stamp(path, "wheel_map")), commit)
    return found


def housed(path: Path, commit: str, names: Collection[str]) -> tuple[Wheel, ...]:
    """The wheels of a commit in the folder ``path``, the last build last.

    Args:
        path: the folder.
        commit: all its digits.
        names: normalised names of the distributions that are looked for.

    Raises:
        UsageError: the folder cannot be read.
    """
    found = _by_prefix(_read_house(path, _stamp(path, "wheelhouse"), frozenset(names)), commit)
    return found or ()


@lru_cache(maxsize=1)
def _running_tags() -> frozenset[Any]:
    from packaging.tags import sys_tags

    return frozenset(sys_tags())


def _stamp(path: Path, key: str) -> tuple[int, int]:
    """What changes when the file or the folder does."""
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"{key} of the configuration: {path} cannot be read: {error.strerror}") from error
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _read_map(path: Path, stamp: tuple[int, int]) -> Mapping[str, tuple[str, ...]]:
    """Beginning of a commit → requirements, in which paths are relative to the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected an object, commit → list of requirements")
    return {key.lower(): tuple(_entry(key, value, path)) for key, value in found.items()}


def _entry(key: str, value: Any, path: Path) -> Iterator[str]:
    if not HASH.fullmatch(key.lower()):
        raise UsageError(f"{path}: {key!r}: expected a commit, by 7 to 40 digits of its hash")
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or not several or not all(isinstance(one, str) and one for one in several):
        raise UsageError(f"{path}: {key}: expected a list of requirements, paths or URLs of wheels")
    for one in several:
        if fields_of(check_requirement(one, f"{path}: {key}")):
            raise UsageError(f"{path}: {key}: {one!r}: expected the very version, and no field")
        yield absolute(one, path.parent)


@lru_cache(maxsize=4)
def _read_house(path: Path, stamp: tuple[int, int], names: frozenset[str]) -> Mapping[str, tuple[Wheel, ...]]:
    """Beginning of a commit → its wheels."""
    try:
        files = sorted(path.iterdir())
    except OSError as error:
        raise UsageError(f"wheelhouse {path} cannot be read: {error.strerror}") from error
    found: dict[str, list[tuple[Any, Wheel]]] = {}
    for commit, order, wheel in _wheels(files, names):
        found.setdefault(commit, []).append((order, wheel))
    return {commit: tuple(wheel for _, wheel in sorted(some, key=lambda one: one[0])) for commit, some in found.items()}


def _wheels(files: Sequence[Path], names: frozenset[str]) -> Iterator[tuple[str, Any, Wheel]]:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    for file in files:
        if file.suffix != ".whl":
            continue
        try:
            name, version, build, tags = parse_wheel_filename(file.name)
        except InvalidWheelFilename:
            continue  # the installer would not take it for one, either
        for part in (version.local or "").split("."):
            matched = _LOCAL.fullmatch(part)
            if name in names and matched:
                yield matched[1], (version, build, file.name), Wheel(file, version, tags)


def _by_prefix(found: Mapping[str, Any], commit: str) -> Any:
    """What the longest beginning of the commit stands for; None if none does."""
    for length in sorted({len(key) for key in found}, reverse=True):
        if commit[:length] in found:
            return found[commit[:length]]
    return None
