"""asv's result files, as bytes in and bytes out: what a night has to know of them, and to put right in them.

asv writes a file anew after each round of a commit, in place: one that was being written when asv was killed is cut
off.  A benchmark that fails in a round takes what the rounds before had measured of it out of the file.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perfsuite.errors import PerfsuiteError
from perfsuite.store.files import reason

#: What lies beside results and is none.
_OTHERS = ("machine.json", "benchmarks.json")
#: asv puts so many digits of a commit into the name of its file.
DIGITS = 8


class HistoryError(PerfsuiteError):
    """The history cannot be kept, read or judged."""


class DamagedError(HistoryError):
    """A file of asv's is not what asv writes: cut off, as a rule."""


def asv(module: str) -> Any:
    """A module of asv.

    Raises:
        HistoryError: asv cannot be imported.
    """
    try:
        return importlib.import_module(f"asv.{module}")
    except ImportError as error:
        raise HistoryError(f"the history needs asv ({error}): pip install 'perfsuite[history]'") from error


def result_files(folder: Path) -> tuple[Path, ...]:
    """The results in a machine's folder, by name; none if there is no such folder."""
    return tuple(path for path in sorted(folder.glob("*.json")) if path.name not in _OTHERS)


def contents(folder: Path, commit: str) -> dict[str, bytes]:
    """The files of a commit by name, as they are; one for each environment of asv's.

    Raises:
        HistoryError: one cannot be read.
    """
    return {path.name: read(path) for path in sorted(folder.glob(f"{commit[:DIGITS]}-*.json"))}


def read(path: Path) -> bytes:
    """What is in a file.

    Raises:
        HistoryError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {reason(error)}") from error


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object of a result file.

    Raises:
        DamagedError: it is none, or lacks what every such file has.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not valid JSON ({error})") from None
    if not isinstance(found, dict) or not isinstance(found.get("commit_hash"), str):
        raise DamagedError("not a result of asv")
    rows, columns = found.get("results"), found.get("result_columns")
    if not isinstance(rows, dict) or not isinstance(columns, list) or not {"result", "params"} <= set(columns):
        raise DamagedError("not a result of asv's format 2")
    if not all(isinstance(row, list) and len(row) <= len(columns) for row in rows.values()):
        raise DamagedError("not a result of asv's format 2")
    return found


def has_values(found: Mapping[str, Any]) -> bool:
    """Whether anything was measured; asv writes a file too where nothing was."""
    return any(map(_is_value, (value for row in _rows(found).values() for value in _of(row, "result"))))


def machine_of(found: Mapping[str, Any]) -> str | None:
    """The machine that it says it is of; None if it does not say."""
    about = found.get("params")
    name = about.get("machine") if isinstance(about, dict) else None
    return name if isinstance(name, str) else None


def failed(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The benchmarks of which some combination of parameters failed; those that were left out did not."""
    return tuple(name for name, row in _rows(found).items() if row.get("result") is None or None in row["result"])


def keep_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[bytes, tuple[str, ...]] | None:
    """What failed or did not run in this round, and had values in those before, gets these back.

    Args:
        before: the commit's results before the round.
        after: and after it.

    Returns:
        The file as it should be, and the benchmarks with such values; None where there are none.
    """
    old, new = _rows(before), _rows(after)
    kept = []
    for name, had in old.items():
        has = new.get(name)
        if has is None or any(had.get(key) != has.get(key) for key in ("params", "version")):
            continue
        lost = [
            place
            for place, value in enumerate(_of(had, "result"))
            if _is_value(value) and not _is_value(_at(_of(has, "result"), place))
        ]
        if lost:
            new[name] = _with(has, had, lost)
            kept.append(name)
    if not kept:
        return None
    columns = after["result_columns"]
    table = {name: _packed(row, columns) for name, row in new.items()}
    return json.dumps({**after, "results": table}).encode(), tuple(kept)


# --- rows -------------------------------------------------------------------------------------------


def _rows(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Benchmark → column → value; what asv leaves off at the end of a row is None."""
    columns = found["result_columns"]
    return {
        name: dict(zip(columns, [*row, *[None] * (len(columns) - len(row))], strict=True))
        for name, row in found["results"].items()
    }


def _of(row: Mapping[str, Any], column: str) -> list[Any]:
    value = row.get(column)
    return value if isinstance(value, list) else []


def _is_value(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _per_parameters(columns: Mapping[str, Any]) -> Iterator[str]:
    """The columns with a value for each combination of parameters."""
    yield from (name for name in columns if name in ("result", "samples") or name.startswith("stats_"))


def _with(row: Mapping[str, Any], other: Mapping[str, Any], places: list[int]) -> dict[str, Any]:
    """The row with the other one's values at these places."""
    found = dict(row)
    for column in _per_parameters(row):
        theirs = _of(other, column)
        if theirs:
            ours = _of(row, column) or [None] * len(theirs)
            found[column] = [theirs[i] if i in places and i < len(theirs) else one for i, one in enumerate(ours)]
    return found


def _packed(row: Mapping[str, Any], columns: list[str]) -> list[Any]:
    values = [row[column] for column in columns]
    while values and values[-1] is None:
        values.pop()
    return values


def _at(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else None
