"""asv's results as series, whatever else lies in their folder."""

from __future__ import annotations

import ast
import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from perfsuite.history.asv_files import HistoryError, asv, result_files
from perfsuite.history.model import Benchmark, Commit, Point, Series
from perfsuite.history.settings import HistorySettings
from perfsuite.units import some

#: A benchmark with one combination of its parameters, by asv's name and the combination's place among all.
_Key = tuple[str, int]
#: A point's place in a series: by commits, of one commit by machine.
_Place = tuple[int, str]
#: How many names a note lists.
_NAMED = 5


def load_series(
    settings: HistorySettings, machines: Collection[str] | None = None, commits: Sequence[Commit] | None = None
) -> tuple[tuple[Series, ...], tuple[str, ...]]:
    """The history of every benchmark, in the order of asv's table of benchmarks, and what of it could not be used.

    What asv's own pages leave out is left out here too: results of benchmarks that are no more, or that have another
    version now, and of commits that are not on the branch.  A file that is cut off, or of another machine than its
    folder, costs that file alone.  Each of these is a note.

    Args:
        settings: their ``results_dir`` and ``branch``.
        machines: whose results; all if None.
        commits: the branch's, if they are at hand; else git is asked.

    Raises:
        HistoryError: there are results and no table of benchmarks that could be read, or there is no asv.
        PerfsuiteError: the branch's commits are not known.
    """
    notes = _Notes()
    files = [
        (machine, path)
        for machine, folder in _machines(settings.results_dir, notes)
        if machines is None or machine in machines
        for path in result_files(folder)
    ]
    if not files:
        return (), (*notes.lines(), f"no results in {settings.results_dir} yet")
    table = read_benchmarks(settings.results_dir)
    places = {one.hash: one for one in (branch_of(settings) if commits is None else commits)}
    found: dict[_Key, dict[_Place, Point]] = {}
    for machine, path in files:
        result = _loaded(path, machine, notes)
        if result is None:
            continue
        commit = places.get(result.commit_hash)
        if commit is None:
            notes.add(f"results of commits that are not on {settings.branch} are left out", result.commit_hash[:8])
            continue
        try:
            points = list(_points(result, commit, machine, table, notes))
        except (OSError, TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            notes.add("results that cannot be read are left out", f"{path} ({type(error).__name__}: {error})")
            continue
        for key, point in points:
            _put(found.setdefault(key, {}), point, notes)
    return _series(table, found), notes.lines()


def read_benchmarks(results_dir: Path) -> Mapping[str, Mapping[str, Any]]:
    """asv's table of benchmarks: name → ``params``, ``param_names``, ``unit``, ``version`` and more.

    Raises:
        HistoryError: it is missing, cut off or of another version of asv.
    """
    path = results_dir / "benchmarks.json"
    mend = "perfsuite history nightly writes it anew"
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise HistoryError(f"{path} is missing, without it results mean nothing: {mend}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise HistoryError(f"{path}: cannot be read ({error}): {mend}") from None
    if not isinstance(found, dict) or found.pop("version", None) != asv("benchmarks").Benchmarks.api_version:
        raise HistoryError(f"{path}: written by another version of asv: {mend}")
    for name, one in found.items():
        if not (isinstance(one, dict) and isinstance(one.get("params"), list) and isinstance(one.get("version"), str)):
            raise HistoryError(f"{path}: damaged, it does not say what {name} is: {mend}")
    return found


def branch_of(settings: HistorySettings) -> tuple[Commit, ...]:
    """The commits whose history it is, in their order.

    Raises:
        UsageError: there is no such branch, or git cannot read the repository.
    """
    from perfsuite.history.commits import branch_commits

    return branch_commits(settings.repo_path, settings.branch, settings.tag_pattern)


def _machines(results_dir: Path, notes: _Notes) -> Iterator[tuple[str, Path]]:
    """Each machine and its folder."""
    try:
        folders = sorted(path for path in results_dir.iterdir() if path.is_dir() and not path.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise HistoryError(f"{results_dir}: cannot be read: {error.strerror}") from error
    for folder in folders:
        path = folder / "machine.json"
        try:
            name = json.loads(path.read_bytes())["machine"]
            if not isinstance(name, str):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            name = folder.name  # as asv names the folder
            if result_files(folder):
                notes.add("taken for the name of the machine, since there is no machine.json that could be read", name)
        yield name, folder


def _loaded(path: Path, machine: str, notes: _Notes) -> Any | None:
    """What asv reads from the file; None, and a note, if that is nothing."""
    refused: type[Exception] = asv("util").UserError
    try:
        found = asv("results").Results.load(str(path), machine_name=machine)
        if not isinstance(found.commit_hash, str):
            raise ValueError("it does not say of which commit it is")
        return found
    except refused as error:
        # asv names the file in most of its messages, and not always first.
        text = str(error)
        notes.add("results that cannot be read are left out", text if str(path) in text else f"{path}: {text}")
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        notes.add("results that cannot be read are left out", f"{path} ({type(error).__name__}: {error})")
    return None


def _points(
    result: Any, commit: Commit, machine: str, table: Mapping[str, Mapping[str, Any]], notes: _Notes
) -> Iterator[tuple[_Key, Point]]:
    """What was measured, of benchmarks as they are today."""
    for name in result.get_all_result_keys():
        described = table.get(name)
        if described is None:
            notes.add("results of what is no benchmark any more are left out", name)
            continue
        version = result.benchmark_version.get(name)
        if version is not None and version != described["version"]:
            notes.add(f"{name} is not what it was, older results are left out", commit.label)
            continue
        values = result.get_result_value(name, described["params"])
        kept = result.get_result_samples(name, described["params"])
        measured = _iso(result.started_at.get(name))
        for place, (value, samples) in enumerate(zip(values, kept, strict=True)):
            if _is_number(value):
                taken = tuple(float(one) for one in samples or () if _is_number(one))
                yield (name, place), Point(commit, machine, float(value), taken, measured)


def _put(points: dict[_Place, Point], point: Point, notes: _Notes) -> None:
    """Of two environments at one commit the one that was measured last counts."""
    place = (point.commit.position, point.machine)
    other = points.get(place)
    if other is not None:
        notes.add("measured in several environments of asv's, of which the last one counts", point.commit.label)
        if (other.measured or "") > (point.measured or ""):
            return
    points[place] = point


def _series(table: Mapping[str, Mapping[str, Any]], found: Mapping[_Key, Mapping[_Place, Point]]) -> tuple[Series, ...]:
    series = []
    for name, described in table.items():
        names = described.get("param_names") or []
        for place, values in enumerate(itertools.product(*described["params"])):
            points = found.get((name, place))
            if points:
                parameters = {str(key): unquoted(str(value)) for key, value in zip(names, values, strict=False)}
                benchmark = Benchmark(name, parameters, str(described.get("unit") or "unit"))
                series.append(Series(benchmark, tuple(points[one] for one in sorted(points))))
    return tuple(series)


def unquoted(text: str) -> str:
    """The string that a ``repr`` spells; the text itself if it spells something else."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _iso(milliseconds: Any) -> str | None:
    """JavaScript's time, as asv keeps it."""
    if not _is_number(milliseconds):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="seconds")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


class _Notes:
    """One line for each thing to know, with the names it is about."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def add(self, text: str, name: str) -> None:
        names = self._names.setdefault(text, [])
        if name not in names:
            names.append(name)

    def lines(self) -> tuple[str, ...]:
        return tuple(f"{text}: {some(names, _NAMED)}" for text, names in self._names.items())
