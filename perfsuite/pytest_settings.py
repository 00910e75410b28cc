"""The plugin's settings: command line over ini file over default, and the ``profiled`` marker.

No import here may be slow: this module is loaded in every pytest session.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perfsuite.errors import StoreError
from perfsuite.passes import PASSES

_OPTIONS = {
    "dir": ("DIR", ".perfsuite", "folder of the runs"),
    "passes": ("LIST", ",".join(PASSES), "passes to run, comma-separated; timing always runs"),
    "top": ("N", "10", "rows in each table of the terminal summary"),
    "steps": ("N", "5", "steps that each profiled figure is the mean of"),
}
#: What else than a file says whether there is a report.
_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")


@dataclass(frozen=True)
class SessionSettings:
    """What ``--profile-dnn-*`` or the ini file say."""

    directory: Path
    passes: tuple[str, ...]
    top: int
    steps: int
    #: Where the report goes; None for none, and an empty path for ``report.html`` in the folder of the run.
    report: Path | None = None
    #: The stored run that the session is compared with.
    compare: str | None = None


@dataclass(frozen=True)
class MarkerSettings:
    """Arguments of ``@pytest.mark.profiled(...)``; None means: not set here."""

    name: str | None = None
    scale: str | None = None
    dtype: str | None = None
    backend: str | None = None
    steps: int | None = None
    passes: tuple[str, ...] | None = None
    #: Per cent by which `perfsuite gate` lets it get slower.
    threshold: float | None = None


def add_options(parser: pytest.Parser) -> None:
    """Register ``--profile-dnn``, its companions, and the ini option of each."""
    group = parser.getgroup("perfsuite", "perfsuite: operator-level CPU profiles")
    group.addoption(
        "--profile-dnn",
        action="store_true",
        default=None,
        help="record operators, oneDNN primitives, phases and memory of every test that uses `profiled`",
    )
    parser.addini("profile_dnn", "as --profile-dnn", type="bool", default=False)
    for name, (metavar, default, text) in _OPTIONS.items():
        group.addoption(f"--profile-dnn-{name}", metavar=metavar, default=None, help=f"{text} (default: {default})")
        parser.addini(f"profile_dnn_{name}", f"as --profile-dnn-{name}", type=_ini_type(name), default=None)

    group.addoption(
        "--profile-dnn-report",
        metavar="FILE",
        nargs="?",
        const="",
        default=None,
        help="also write the run as one HTML page, FILE.html or .htm (default: report.html in the folder of the run); "
        "false: do not, whatever the ini file says",
    )
    group.addoption(
        "--profile-dnn-worker",
        metavar="FD",
        type=int,
        default=None,
        help="for `perfsuite gate`, which starts its workers with it: step on command of whoever is at that descriptor",
    )
    group.addoption(
        "--profile-dnn-compare",
        metavar="RUN",
        default=None,
        help="fail if what the steps run breaks a rule of the census since RUN: a path, an id or `latest`, the newest "
        "run so far (default: none); false: do not compare, whatever the ini file says",
    )
    parser.addini("profile_dnn_compare", "as --profile-dnn-compare", default=None)
    parser.addini("profile_dnn_report", "as --profile-dnn-report: true, false, or an .html or .htm file", default=None)


def _ini_type(name: str) -> Any:
    # TOML has numbers and lists; pytest knows whole numbers as a type from 8.4 on.
    if name == "passes":
        return "args"
    return "int" if name in ("top", "steps") and pytest.version_tuple >= (8, 4) else "string"


def is_on(config: pytest.Config) -> bool:
    """Whether this session records."""
    if worker_descriptor(config) is not None:
        return False
    given = config.known_args_namespace.profile_dnn
    return bool(config.getini("profile_dnn") if given is None else given)


def worker_descriptor(config: pytest.Config) -> int | None:
    """The socket of the gate whose worker this session is; None if it is none."""
    found: int | None = config.known_args_namespace.profile_dnn_worker
    return found


def read_session(config: pytest.Config) -> SessionSettings:
    """The session's settings.

    Raises:
        pytest.UsageError: a value is malformed; the message names the option and the value.
    """
    directory = _directory(config)
    return SessionSettings(
        directory=directory,
        passes=parse_passes(_value(config, "passes"), "--profile-dnn-passes"),
        top=_positive(_value(config, "top"), "--profile-dnn-top"),
        steps=_positive(_value(config, "steps"), "--profile-dnn-steps"),
        report=_report(config, directory),
        compare=_compare(config),
    )


def check_off(config: pytest.Config) -> None:
    """What is asked for must be possible in a session that does not record.

    Raises:
        pytest.UsageError: a report or a comparison was asked for on the command line.
    """
    for name in ("report", "compare"):
        given = config.getoption(f"profile_dnn_{name}")
        if given is not None and given.lower() not in _NO:
            raise pytest.UsageError(f"--profile-dnn-{name} needs --profile-dnn: without it nothing is recorded")


def _compare(config: pytest.Config) -> str | None:
    given = config.getoption("profile_dnn_compare")
    if given == "":
        raise pytest.UsageError("--profile-dnn-compare: expected a path, an id or `latest`, found ''")
    if given is None:
        given = str(config.getini("profile_dnn_compare") or "").strip() or "false"
    return None if given.lower() in _NO else str(given)


def _report(config: pytest.Config, directory: Path) -> Path | None:
    given = config.getoption("profile_dnn_report")
    where, folder = "--profile-dnn-report", config.invocation_params.dir
    rest = "write --profile-dnn-report=FILE, or put the option behind the paths"
    if given is None:
        given = str(config.getini("profile_dnn_report") or "").strip() or "false"
        given = "" if given.lower() in _YES else given
        where, rest = "profile_dnn_report in the ini file", "or true, or false"
        folder = config.inipath.parent if config.inipath is not None else folder
    if given.lower() in _NO:
        return None
    if not given:
        return Path()
    # What does not look like a page may be the next argument, which pytest hands over as the option's.
    if not given.lower().endswith((".html", ".htm")):
        raise pytest.UsageError(f"{where}: expected a file that ends in .html or .htm, found {given!r}; {rest}")
    path = Path(folder, given)
    # The folder of the runs is made before the page is written, and a worker of pytest-xdist writes none.
    if path.parent != directory and not hasattr(config, "workerinput"):
        _check_target(path, where)
    return path


def _check_target(path: Path, where: str) -> None:
    from perfsuite.store.files import check_target

    try:
        check_target(path)
    except StoreError as error:
        raise pytest.UsageError(f"{where}: {error}") from error


def _value(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"profile_dnn_{name}")
    if given is None:
        try:
            given = config.getini(f"profile_dnn_{name}")
        except (TypeError, ValueError, pytest.UsageError) as error:
            raise pytest.UsageError(f"profile_dnn_{name} in the ini file: {error}") from error
    if given is None or given == []:
        return _OPTIONS[name][1]
    return ",".join(given) if isinstance(given, list) else str(given)


def _directory(config: pytest.Config) -> Path:
    given = config.getoption("profile_dnn_dir")
    if given is not None:
        if not given:
            raise pytest.UsageError("--profile-dnn-dir: expected a folder, found ''")
        return Path(config.invocation_params.dir, given)
    from_ini = config.getini("profile_dnn_dir")
    if from_ini is not None and config.inipath is not None:
        return Path(config.inipath.parent, str(from_ini))
    return Path(config.invocation_params.dir, _OPTIONS["dir"][1])


def parse_passes(value: str | Iterable[str], where: str) -> tuple[str, ...]:
    """Names of passes, in the order in which they run; ``timing`` is always among them.

    Raises:
        pytest.UsageError: an unknown pass.
    """
    names = [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else list(value)
    for name in names:
        if name not in PASSES:
            raise pytest.UsageError(f"{where}: unknown pass {name!r}; the passes are {', '.join(PASSES)}")
    return tuple(name for name in PASSES if name in names or name == "timing")


def _positive(value: str, where: str) -> int:
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise pytest.UsageError(f"{where}: expected a whole number from 1 on, found {value!r}")
    return number


def read_marker(item: pytest.Item) -> MarkerSettings:
    """What the test's ``profiled`` markers say; the closest one wins, argument by argument.

    Raises:
        pytest.UsageError: an unknown or ill-typed argument; the message names it and the test.
    """
    merged: dict[str, Any] = {}
    for marker in item.iter_markers("profiled"):
        where = f"{item.nodeid}: @pytest.mark.profiled"
        if marker.args:
            raise pytest.UsageError(f"{where}: takes keyword arguments only, found {marker.args[0]!r}")
        for name, value in marker.kwargs.items():
            merged.setdefault(name, _checked(name, value, where))
    return MarkerSettings(**merged)


def check_markers(items: Iterable[pytest.Item]) -> None:
    """Read the markers of all tests that use ``profiled``.

    Raises:
        pytest.UsageError: as :func:`read_marker`, or two tests give their workloads the same name.
    """
    names: dict[str, str] = {}
    for item in items:
        if "profiled" not in getattr(item, "fixturenames", ()):
            continue
        name = read_marker(item).name
        if name is not None and names.setdefault(name, item.nodeid) != item.nodeid:
            raise pytest.UsageError(
                f"{item.nodeid}: @pytest.mark.profiled: the name {name!r} is taken by {names[name]}"
            )


def _checked(name: str, value: Any, where: str) -> Any:
    fields = {f.name for f in dataclasses.fields(MarkerSettings)}
    if name not in fields:
        raise pytest.UsageError(f"{where}: unknown argument {name!r}; it takes {', '.join(sorted(fields))}")
    if value is None:
        return None
    if name == "passes":
        if not isinstance(value, (str, tuple, list)):
            raise pytest.UsageError(f"{where}: passes: expected names, found {value!r}")
        return parse_passes(value, f"{where}: passes")
    if name == "steps":
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise pytest.UsageError(f"{where}: steps: expected a whole number from 1 on, found {value!r}")
        return value
    if name == "threshold":
        # One that is not a number is not above 0 either.
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1000:
            raise pytest.UsageError(f"{where}: threshold: expected per cent, a number above 0, found {value!r}")
        return float(value)
    if not isinstance(value, str):
        raise pytest.UsageError(f"{where}: {name}: expected a string, found {value!r}")
    return value
