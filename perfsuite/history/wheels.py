"""What to install for a commit: a wheel of its own, the release that it is, or a build."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perfsuite.gate.git import GitError, run_git
from perfsuite.history.commits import file_at
from perfsuite.history.model import Absent, Commit, Stack
from perfsuite.history.requirements import distribution, fields_of, fill, is_file
from perfsuite.history.settings import HistorySettings
from perfsuite.history.wheelhouse import HASH, housed, listed

#: What fields need no file: they are of the release itself.
_OWN_FIELDS = frozenset({"version", "commit", "tag"})

Found = Stack | Absent | None


def stack_of(commit: Commit, settings: HistorySettings, repo_path: Path) -> Stack | Absent:
    """What to install to measure a commit.

    Looked for in this order: what ``releases`` of the configuration says of it, the wheel map, the wheelhouse, a tag
    that is a release, a build from source.  Where one of them has something that cannot be used, the next are asked.

    Args:
        commit: the commit, with its tags.
        settings: where to look.
        repo_path: the project's repository on this machine.

    Raises:
        UsageError: the wheel map or the wheelhouse cannot be read.
    """
    said = _said(commit, settings)
    if said is not None:
        return said
    ways: Sequence[Callable[[Commit, HistorySettings, Path], Found]] = (_mapped, _housed, _released, _built)
    why = None
    for way in ways:
        found = way(commit, settings, repo_path)
        if isinstance(found, Stack):
            return found
        why = why or found
    return why or Absent(_nowhere(settings))


def _nowhere(settings: HistorySettings) -> str:
    places = ["no release tag"]
    places += ["not in the wheel map"] if settings.wheel_map else []
    places += ["no wheel in the wheelhouse"] if settings.wheelhouse else []
    return f"nothing to install: {', '.join(places)}"


# --- the ways, in their order -----------------------------------------------------------------------


def _said(commit: Commit, settings: HistorySettings) -> Stack | Absent | None:
    """What ``releases`` has for one of its tags, or for the beginning of its hash."""
    for key, requirements in settings.releases.items():
        if key in commit.tags or (HASH.fullmatch(key) and commit.hash.startswith(key)):
            if requirements is None:
                return Absent("not to be measured, as `releases` of the configuration says")
            return _stack(requirements, settings, f"release {key}")
    return None


def _mapped(commit: Commit, settings: HistorySettings, repo_path: Path) -> Found:
    if settings.wheel_map is None:
        return None
    requirements = listed(settings.wheel_map, commit.hash)
    if requirements is None:
        return None
    for one in requirements:
        if is_file(one) and not os.path.exists(one):
            return Absent(f"{settings.wheel_map.name} names {one}, which is not there")
    return _stack(requirements, settings, "wheel map")


def _housed(commit: Commit, settings: HistorySettings, repo_path: Path) -> Found:
    if settings.wheelhouse is None:
        return None
    names = _own_names(settings)
    found = housed(settings.wheelhouse, commit.hash, names)
    if not found:
        return None
    # Tags are known of the interpreter that runs; for another one the installer finds out.
    usable = [one for one in found if settings.python is not None or one.fits]
    if not usable:
        running = f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}"
        return Absent(f"{found[0].path.name} is not for {running}")
    wheel = usable[-1]
    fields = _fields(commit, settings, repo_path, wheel.version, exactly=True)
    if isinstance(fields, Absent):
        return fields
    templates = [one for one in settings.requirements if distribution(one) not in names]
    braced = str(wheel.path).replace("{", "{{").replace("}", "}}")
    return _filled((*templates, braced), fields, settings, "wheelhouse")


def _released(commit: Commit, settings: HistorySettings, repo_path: Path) -> Found:
    pattern = re.compile(settings.tag_pattern)
    for tag in commit.tags:
        matched = pattern.fullmatch(tag)
        if matched and settings.requirements:
            fields = _fields(commit, settings, repo_path, matched["version"], exactly=False)
            if isinstance(fields, Absent):
                return fields
            return _filled(settings.requirements, {**fields, "tag": tag}, settings, f"release {tag}")
    return None


def _built(commit: Commit, settings: HistorySettings, repo_path: Path) -> Found:
    source = settings.source
    if source is None:
        return None
    needed = _needed(source.requirements)
    fields: dict[str, str] = {}
    if needed and settings.dependency_file is not None:
        named = _named(commit, settings, repo_path, exactly=True)
        if isinstance(named, Absent):
            return named
        fields = named
    # The commands are often pip's, and not every installer puts it into an environment.
    filled = _filled((*source.requirements, "pip"), {**fields, "commit": commit.hash}, settings, "source")
    if isinstance(filled, Absent):
        return filled
    commands = tuple(tuple(word.replace("{commit}", commit.hash) for word in words) for words in source.commands)
    checkout = (
        ("git", "clone", "--quiet", "--no-checkout", "--shared", str(repo_path), "."),
        *_promises(repo_path),
        ("git", "checkout", "--quiet", "--detach", commit.hash),
    )
    return Stack(filled.requirements, filled.imports, filled.origin, filled.python, (*checkout, *commands))


def _promises(repo_path: Path) -> tuple[tuple[str, ...], ...]:
    """A mirror may have no contents of files; the clone of it asks where the mirror would."""
    try:
        said = run_git(repo_path, "config", "--get-regexp", r"^remote\.origin\.(url|promisor|partialclonefilter)$")
    except GitError:
        return ()  # nothing is set
    found = dict(line.split(" ", 1) for line in said.decode("utf-8", "replace").splitlines() if " " in line)
    if found.get("remote.origin.promisor") != "true":
        return ()
    return tuple(("git", "config", key, value) for key, value in sorted(found.items()))


# --- versions ---------------------------------------------------------------------------------------


def _fields(
    commit: Commit, settings: HistorySettings, repo_path: Path, version: str, *, exactly: bool
) -> dict[str, str] | Absent:
    """What the requirements can be filled in with: the release's own version, and those that it was built for."""
    own = {"version": version, "commit": commit.hash}
    if settings.dependency_file is None:
        # It needs no other version than its own: it is torch itself.
        return own | _with_torchvision({"torch": version})
    if not _needed(settings.requirements):
        return own
    named = _named(commit, settings, repo_path, exactly=exactly)
    return named if isinstance(named, Absent) else {**named, **own}


def _needed(templates: Iterable[str]) -> frozenset[str]:
    """The fields that only the dependency file can fill in."""
    return frozenset(name for one in templates for name in fields_of(one)) - _OWN_FIELDS


def _named(commit: Commit, settings: HistorySettings, repo_path: Path, *, exactly: bool) -> dict[str, str] | Absent:
    """What the project's own file says of versions: ``{"pytorch": {"version": "2.8.0+cpu"}, …}``."""
    name = str(settings.dependency_file)
    try:
        found = json.loads(file_at(repo_path, commit.hash, name))
    except GitError as error:
        return Absent(f"{name} cannot be read: {error}")
    except (ValueError, RecursionError) as error:
        return Absent(f"{name} is not valid JSON: {error}")
    if not isinstance(found, dict):
        return Absent(f"{name} is no object")
    versions = {}
    for key, value in found.items():
        version = _version(value.get("version") if isinstance(value, dict) else value, exactly=exactly)
        if version is not None:
            field = re.sub(r"\W", "_", key).lower()
            versions["torch" if field == "pytorch" else field] = version
    return _with_torchvision(versions)


def _version(text: Any, *, exactly: bool) -> str | None:
    """The version without what is local to a build; None if it is none.

    Args:
        text: as the file has it: ``2.8.0+cpu``.
        exactly: whether a nightly stays one; else it is the release that it became, because registries keep no
            nightlies, and the wheel of a release was made for a release.
    """
    from packaging.version import InvalidVersion, Version

    try:
        version = Version(text)
    except (InvalidVersion, TypeError):
        return None
    return version.base_version if version.is_prerelease and not exactly else version.public


def _with_torchvision(versions: dict[str, str]) -> dict[str, str]:
    """With torchvision's, which goes with torch's: 0.23 with 2.8, 0.22 with 2.7, 0.14 with 1.13."""
    matched = re.match(r"([12])\.(\d+)(\D|$)", versions.get("torch", ""))
    if matched and "torchvision" not in versions:
        minor = int(matched[2]) + (15 if matched[1] == "2" else 1)
        return {**versions, "torchvision": f"0.{minor}.*"}
    return versions


def _filled(
    templates: Sequence[str], fields: Mapping[str, str], settings: HistorySettings, origin: str
) -> Stack | Absent:
    try:
        return _stack([fill(one, fields) for one in templates], settings, origin)
    except KeyError as missing:
        if settings.dependency_file is None:
            return Absent(f"no version of {missing.args[0]} is known: the configuration has no `dependency_file`")
        return Absent(f"{settings.dependency_file} names no version of {missing.args[0]}")


def _stack(requirements: Sequence[str], settings: HistorySettings, origin: str) -> Stack:
    return Stack((*requirements, *settings.extra_requirements), settings.imports, origin, settings.python)


def _own_names(settings: HistorySettings) -> tuple[str, str]:
    """What the project's distribution may be called, normalised: as the project or as its module."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(settings.project), canonicalize_name(settings.imports[0])
