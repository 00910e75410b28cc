"""The configuration of a history: asv's own file, with an object ``perfsuite`` in it that asv does not look at."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.history.requirements import absolute, check_requirement, fields_of

#: asv's keys that are folders, and asv's own defaults for them.
_FOLDERS = {"benchmark_dir": "benchmarks", "env_dir": "env", "results_dir": "results", "html_dir": "html"}
_TAG_PATTERN = r"v?(?P<version>\d+(\.\d+)+)"
_INSTALLERS = ("auto", "uv", "pip")
#: Something that git would fetch, as asv tells it from a path.
_REMOTE = re.compile(r"[a-z+]+://|[\w.-]+@[\w.-]+:", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """How a commit without a wheel is built."""

    #: Run one after the other in a checkout; ``{python}``, ``{wheels}``, ``{checkout}`` and ``{commit}`` are filled in.
    commands: tuple[tuple[str, ...], ...]
    #: What is installed before that, as in ``HistorySettings.requirements``.
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class HistorySettings:
    """What the configuration file says; every path is absolute."""

    project: str
    #: A URL, or the path of a repository on this machine.
    repo: str
    #: The one branch whose history is kept.
    branch: str
    #: Where the file is, to which its paths are relative.
    folder: Path
    benchmark_dir: Path
    env_dir: Path
    results_dir: Path
    html_dir: Path
    runs_dir: Path
    #: Modules that a stack must be able to import; the first is the project's own.
    imports: tuple[str, ...]
    #: What a release needs, with ``{version}``, ``{torch}``, ``{torchvision}`` … to be filled in.
    requirements: tuple[str, ...] = ()
    #: Tag, or beginning of a commit → its requirements in place of those; None: it is not measured.
    releases: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    #: A regular expression for the whole name of a release's tag; its group ``version`` is the wheel's version.
    tag_pattern: str = _TAG_PATTERN
    #: A file in the project's repository that names the versions it was built for; None if it has none.
    dependency_file: str | None = None
    #: A JSON file, commit → requirements; and a folder of wheels whose version ends in ``+git<commit>``.
    wheel_map: Path | None = None
    wheelhouse: Path | None = None
    #: For the installer, as ``pip install --constraint``.
    constraints: Path | None = None
    #: What all stacks together may take on the disk.
    disk_gib: float = 30.0
    #: Seconds that each command of an installation may take.
    install_timeout: float = 3600.0
    #: ``auto`` (uv if it is on PATH), ``uv`` or ``pip``.
    installer: str = "auto"
    #: The interpreter of stacks, a path or a command; None for the one that runs.
    python: str | None = None
    #: Size of the workloads, and which of them; none stands for all.
    scale: str = "smoke"
    workloads: tuple[str, ...] = ()
    #: Installed in every stack.
    extra_requirements: tuple[str, ...] = ()
    source: Source | None = None
    #: The whole file, for :func:`derived`.
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_remote(self) -> bool:
        """Whether the repository has to be cloned."""
        return _REMOTE.match(self.repo) is not None

    @property
    def repo_path(self) -> Path:
        """The repository on this machine: ``repo`` itself, or the mirror of it, where asv makes its own, too."""
        return self.folder / self.project if self.is_remote else Path(self.repo)


def read_settings(conf_path: Path) -> HistorySettings:
    """What ``asv.conf.json`` says.

    Raises:
        UsageError: it cannot be read, or a value is wrong; the message names the file and the key.
    """
    try:
        text = conf_path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{conf_path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{conf_path}: not UTF-8: {error.reason}") from error
    return parse_settings(_parse(text, conf_path), conf_path.absolute().parent, conf_path.name)


def parse_settings(document: Mapping[str, Any], folder: Path, where: str = "asv.conf.json") -> HistorySettings:
    """What asv's configuration says, read already.

    Args:
        document: all keys of the file, asv's as well.
        folder: what its paths are relative to.
        where: what messages call the file.

    Raises:
        UsageError: a value is wrong.
    """
    ours = document.get("perfsuite")
    if ours is None:
        raise UsageError(f'{where}: it has no object "perfsuite", which says what to install for a commit')
    found = _own(_table(ours, f"{where}: perfsuite"), folder, f"{where}: perfsuite")
    if document.get("matrix"):
        raise UsageError(f"{where}: matrix: stacks are said in perfsuite.requirements, and one graph shows them all")
    folders: dict[str, Any] = {
        key: _path(document.get(key, default), f"{where}: {key}", folder) for key, default in _FOLDERS.items()
    }
    found.setdefault("runs_dir", folders["results_dir"].parent / "runs")
    found.setdefault("python", _python(document.get("pythons"), f"{where}: pythons"))
    return HistorySettings(
        project=_text(document.get("project", "project"), f"{where}: project"),
        repo=_repo(document.get("repo"), f"{where}: repo", folder),
        branch=_branch(document.get("branches"), f"{where}: branches"),
        folder=Path(os.path.abspath(folder)),
        **folders,
        **found,
        document=document,
    )


def derived(settings: HistorySettings, repo: str | Path | None = None, **changes: Any) -> dict[str, Any]:
    """asv's configuration as JSON that means the same in any folder.

    Args:
        settings: of the file that it is derived from.
        repo: a repository on this machine in place of the configured one.
        changes: other keys of asv's or of ``perfsuite``, to their new values.
    """
    ours = dict(settings.document["perfsuite"])
    conf = dict(settings.document) | {"version": 1, "perfsuite": ours}
    for key in _FOLDERS:
        conf[key] = str(getattr(settings, key))
    conf["repo"] = os.path.abspath(repo) if repo is not None else settings.repo
    ours["runs_dir"] = str(settings.runs_dir)
    for key in ("wheel_map", "wheelhouse", "constraints"):
        if getattr(settings, key) is not None:
            ours[key] = str(getattr(settings, key))
    for key in ("requirements", "extra_requirements"):
        ours[key] = list(getattr(settings, key))
    ours["releases"] = {key: None if to is None else list(to) for key, to in settings.releases.items()}
    if settings.source is not None:
        commands = [list(command) for command in settings.source.commands]
        ours["source"] = {"commands": commands, "requirements": list(settings.source.requirements)}
    for key, value in changes.items():
        (ours if key in _KEYS else conf)[key] = str(value) if isinstance(value, Path) else value
    return conf


# --- the file ---------------------------------------------------------------------------------------


def _parse(text: str, path: Path) -> Mapping[str, Any]:
    """The object in the file, which may have comments, as asv allows them."""
    try:
        value = json.loads(text)
    except ValueError as error:
        try:
            import json5  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            raise UsageError(f"{path}: not valid JSON: {error}; comments need json5, which comes with asv") from None
        try:
            value = json5.loads(text)
        except ValueError:
            raise UsageError(f"{path}: not valid JSON: {error}") from None
    return _table(value, str(path))


def _own(table: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        if key not in _KEYS:
            close = get_close_matches(key, _KEYS, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(_KEYS))}"
            raise UsageError(f"{where}: unknown key {key!r}; {meant}")
        # Null is what a template of a file says of what it does not have.
        if value is not None:
            found[key] = _KEYS[key](value, f"{where}.{key}", folder)
    if not found.get("imports"):
        raise UsageError(f"{where}: imports is missing: which modules must a stack be able to import?")
    return found


def _wrong(where: str, expected: str, value: object) -> UsageError:
    return UsageError(f"{where}: expected {expected}, found {value!r}")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(where, "a text", value)
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong(where, "a list of texts", value)
    return tuple(_text(one, f"{where}[{k}]") for k, one in enumerate(value))


def _requirements(value: Any, where: str, folder: Path) -> tuple[str, ...]:
    return tuple(absolute(check_requirement(one, where), folder) for one in _texts(value, where))


def _settled(value: Any, where: str, folder: Path) -> tuple[str, ...]:
    """Requirements without fields."""
    found = _requirements(value, where, folder)
    for one in found:
        if fields_of(one):
            raise _wrong(where, "requirements without fields", one)
    return found


def _releases(value: Any, where: str, folder: Path) -> dict[str, tuple[str, ...] | None]:
    return {
        key: None if one is None else _settled(one, f"{where}.{key}", folder)
        for key, one in _table(value, where).items()
    }


def _path(value: Any, where: str, folder: Path) -> Path:
    return Path(os.path.abspath(folder / _text(value, where)))


def _positive(value: Any, where: str) -> float:
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not 0 < number < math.inf:
        raise _wrong(where, "a number above 0", value)
    return number


def _installer(value: Any, where: str) -> str:
    if value not in _INSTALLERS:
        raise _wrong(where, f"one of {', '.join(map(repr, _INSTALLERS))}", value)
    return str(value)


def _pattern(value: Any, where: str) -> str:
    try:
        compiled = re.compile(_text(value, where))
    except re.error as error:
        raise UsageError(f"{where}: {value!r} is no regular expression: {error}") from None
    if "version" not in compiled.groupindex:
        raise _wrong(where, "a group (?P<version>…) in it", value)
    return compiled.pattern


def _source(value: Any, where: str, folder: Path) -> Source:
    table = _table(value, where)
    for key in table:
        if key not in ("commands", "requirements"):
            raise UsageError(f"{where}: unknown key {key!r}; it has commands, requirements")
    commands = table.get("commands")
    if not isinstance(commands, list) or not commands:
        raise _wrong(f"{where}.commands", "a list of commands, each a list of words", commands)
    read = tuple(_texts(words, f"{where}.commands[{k}]") for k, words in enumerate(commands))
    if not all(read):
        raise _wrong(f"{where}.commands", "commands of at least one word", commands)
    return Source(read, _requirements(table.get("requirements", []), f"{where}.requirements", folder))


def _repo(value: Any, where: str, folder: Path) -> str:
    repo = _text(value, where)
    return repo if _REMOTE.match(repo) else os.path.abspath(folder / repo)


def _branch(value: Any, where: str) -> str:
    branches = ["main"] if value in (None, [None]) else list(_texts(value, where))
    if len(branches) != 1:
        raise _wrong(where, "one branch: a graph for each would have too few points", value)
    return branches[0]


def _python(value: Any, where: str) -> str | None:
    """The command of the interpreter that asv's ``pythons`` names; None for the one that runs."""
    if value is None:
        return None
    versions = _texts(value, where)
    if len(versions) != 1:
        raise _wrong(where, "one version of Python", value)
    running = ".".join(platform.python_version_tuple()[:2])
    return None if versions[0] == running else f"python{versions[0]}"


def _plain(read: Callable[[Any, str], Any]) -> Callable[[Any, str, Path], Any]:
    return lambda value, where, folder: read(value, where)


#: What ``perfsuite`` may have, and how each is read.
_KEYS: Mapping[str, Callable[[Any, str, Path], Any]] = {
    "imports": _plain(_texts),
    "requirements": _requirements,
    "extra_requirements": _settled,
    "releases": _releases,
    "tag_pattern": _plain(_pattern),
    "dependency_file": _plain(_text),
    "wheel_map": _path,
    "wheelhouse": _path,
    "constraints": _path,
    "runs_dir": _path,
    "disk_gib": _plain(_positive),
    "install_timeout": _plain(_positive),
    "installer": _plain(_installer),
    "python": _plain(_text),
    "scale": _plain(_text),
    "workloads": _plain(_texts),
    "source": _source,
}
