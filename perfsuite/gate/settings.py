"""``[tool.perfsuite.gate]`` of ``pyproject.toml``: what the gate does where the command line says nothing.

Percentages in the file are fractions here, as in all records.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.gate.model import Policy
from perfsuite.gate.rules import CensusRules, parse_rules
from perfsuite.quiet import ALLOCATORS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILE = "pyproject.toml"
_TABLE = "[tool.perfsuite.gate]"
_LEAST_PAIRS = Policy().min_pairs


@dataclass(frozen=True)
class GateSettings:
    """What ``[tool.perfsuite.gate]`` says."""

    threshold: float = Policy().threshold
    confidence: float = Policy().confidence
    #: Seconds for each benchmark; None for the default, which a calibration of the machine may raise.
    budget: float | None = None
    max_pairs: int = Policy().max_pairs
    #: ``fail`` or ``pass``: what becomes of a benchmark that could not be decided.
    inconclusive: str = "fail"
    #: Patterns as in ``.gitignore`` of files that cannot change a time.
    ignore: tuple[str, ...] = ("*.md", "*.rst", "docs/**")
    #: What is compared where the command line names nothing: node ids, relative to the folder of the file.
    benchmarks: tuple[str, ...] = ()
    allocator: str = "auto"
    #: OpenMP threads of each worker; None for one a physical core.
    threads: int | None = None
    #: Seconds that a worker may take to answer.
    timeout: float = 300.0
    #: Thresholds by the group of pytest-benchmark's marker, and by pattern on the benchmark's name, in order.
    groups: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    #: The rules of the census; None where none is taken.
    census: CensusRules | None = field(default_factory=CensusRules)


def find_settings(cwd: Path, root: Path) -> Path | None:
    """The nearest ``pyproject.toml`` from ``cwd`` upwards that has the table; None if none has it.

    Args:
        cwd: the folder that the user is in.
        root: the repository's; what lies above it is somebody else's.

    Raises:
        UsageError: a file on the way cannot be read.
    """
    here, top = cwd.resolve(), root.resolve()
    for folder in (here, *here.parents) if here.is_relative_to(top) else (here,):
        if _table(folder / _FILE) is not None:
            return folder / _FILE
        if folder == top:
            break
    return None


def settings_for(cwd: Path, root: Path) -> tuple[GateSettings, Path | None]:
    """The settings that count in a folder, and the file they are from: as :func:`find_settings`; else the defaults.

    Raises:
        UsageError: as :func:`find_settings` and :func:`read_settings`.
    """
    found = find_settings(cwd, root)
    return (read_settings(found.parent), found) if found is not None else (GateSettings(), None)


def read_settings(root: Path) -> GateSettings:
    """What ``pyproject.toml`` in ``root`` says; the defaults where there is none, or no such table in it.

    Raises:
        UsageError: the file cannot be read or a value is wrong; the message names the table and the key.
    """
    table = _table(root / _FILE) or {}
    known: dict[str, Callable[[Any, str], Any]] = {
        "threshold": _threshold,
        "confidence": _confidence,
        "budget": _seconds,
        "max_pairs": lambda value, where: _whole(value, where, _LEAST_PAIRS),
        "inconclusive": lambda value, where: _one_of(value, where, ("fail", "pass")),
        "ignore": _patterns,
        "benchmarks": _strings,
        "allocator": lambda value, where: _one_of(value, where, ALLOCATORS),
        "threads": lambda value, where: _whole(value, where, 1),
        "timeout": _seconds,
        "groups": _thresholds,
        "thresholds": _thresholds,
        "census": _rules,
    }
    found = {}
    for key, value in table.items():
        if key not in known:
            raise UsageError(_unknown(f"{_FILE}: {_TABLE}", key, tuple(known)))
        inner = isinstance(value, dict)
        where = f"{_FILE}: {_TABLE[:-1]}.{key}]" if inner else f"{_FILE}: {_TABLE} {key}"
        found[key] = known[key](value, where)
    return GateSettings(**found)


def policy_for(settings: GateSettings, name: str, group: str | None, marker_threshold: float | None) -> Policy:
    """How one benchmark is judged.

    Its marker's threshold goes before its group's, that before the first pattern that matches its name (or is its
    name), that before the threshold of all.

    Args:
        settings: with ``threshold`` replaced by the command line's, where that has one.
        name: the benchmark's.
        group: of ``@pytest.mark.benchmark(group=…)``; None where there is none.
        marker_threshold: of ``@pytest.mark.profiled(threshold=…)``, per cent as it is written there, or None.

    Raises:
        UsageError: the marker's is none.
    """
    patterns = settings.thresholds
    matching = [patterns[pattern] for pattern in patterns if pattern == name or fnmatchcase(name, pattern)]
    if marker_threshold is not None:
        threshold = _threshold(marker_threshold, f"{name}: @pytest.mark.profiled: threshold")
    elif group is not None and group in settings.groups:
        threshold = settings.groups[group]
    else:
        threshold = matching[0] if matching else settings.threshold
    return Policy(
        threshold=threshold,
        confidence=settings.confidence,
        max_pairs=settings.max_pairs,
        seconds=settings.budget if settings.budget is not None else Policy().seconds,
    )


# --- the file ---------------------------------------------------------------------------------------


def _table(path: Path) -> Mapping[str, Any] | None:
    """The table; None without one."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{_FILE}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # of TOML or of UTF-8
        raise UsageError(f"{_FILE}: {error}") from error
    tool = _checked_table(content.get("tool", {}), f"{_FILE}: [tool]")
    ours = _checked_table(tool.get("perfsuite", {}), f"{_FILE}: [tool.perfsuite]")
    for key in ours:
        if key != "gate":
            raise UsageError(_unknown(f"{_FILE}: [tool.perfsuite]", key, ("gate",)))
    return _checked_table(ours["gate"], f"{_FILE}: {_TABLE}") if "gate" in ours else None


def _unknown(where: str, key: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(key, known, n=1)
    meant = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
    return f"{where}: unknown key {key!r}; {meant}"


def _wrong(where: str, expected: str, value: object) -> UsageError:
    return UsageError(f"{where}: expected {expected}, found {value!r}")


def _checked_table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, "a table", value)
    return value


def _number(value: Any) -> float:
    """The number, or NaN, which is within no bounds."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def _threshold(value: Any, where: str) -> float:
    if not 0 < _number(value) < 1000:
        raise _wrong(where, "per cent, above 0 and below 1000", value)
    return _number(value) / 100


def _confidence(value: Any, where: str) -> float:
    if not 50 <= _number(value) < 100:
        raise _wrong(where, "per cent, from 50 to below 100", value)
    return _number(value) / 100


def _seconds(value: Any, where: str) -> float:
    if not 0 < _number(value) < math.inf:
        raise _wrong(where, "a number of seconds above 0", value)
    return _number(value)


def _whole(value: Any, where: str, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _wrong(where, f"a whole number from {least} on", value)
    return value


def _one_of(value: Any, where: str, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise _wrong(where, f"one of {', '.join(map(repr, choices))}", value)
    return value


def _rules(value: Any, where: str) -> CensusRules | None:
    if isinstance(value, bool):
        return CensusRules() if value else None
    return parse_rules(_checked_table(value, where), where)


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise _wrong(where, "a list of strings", value)
    return tuple(value)


def _patterns(value: Any, where: str) -> tuple[str, ...]:
    from pathspec import GitIgnoreSpec

    for pattern in _strings(value, where):
        try:
            GitIgnoreSpec.from_lines([pattern])
        except ValueError:
            raise _wrong(where, "patterns as in .gitignore", pattern) from None
    return tuple(value)


def _thresholds(value: Any, where: str) -> Mapping[str, float]:
    return {key: _threshold(percent, f"{where} {key!r}") for key, percent in _checked_table(value, where).items()}
