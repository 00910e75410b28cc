"""Samples put into asv's results without ``asv run``: by asv's own classes, so that the files are what asv writes."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.history.asv_files import HistoryError, asv
from perfsuite.history.children import chosen_variables
from perfsuite.history.model import Commit
from perfsuite.history.results import read_benchmarks, unquoted
from perfsuite.history.values import Values, place_of
from perfsuite.store.files import reason, write_atomically

if TYPE_CHECKING:
    from perfsuite.history.settings import HistorySettings

#: Importing the benchmarks takes a second; a machine may be busy.
_DISCOVERY_SECONDS = 120.0
#: Of a benchmark by the place of a combination of its parameters: the samples.
_Places = dict[int, list[float]]


class Deposit:
    """Adds to the results of one machine.

    Raises:
        HistoryError: there is no asv, it cannot use the configuration, or its table of benchmarks cannot be had.
    """

    def __init__(self, settings: HistorySettings, machine: str) -> None:
        self._folder = settings.results_dir
        self._machine = machine
        self._about = _about(settings.results_dir, machine)
        self._environment = _environment(settings)
        self._benchmarks = _benchmarks(settings)

    def add(self, commit: Commit, values: Mapping[str, Values], measured: str) -> tuple[int, tuple[str, ...]]:
        """Add samples to the results of a commit; what is there stays, samples that are there already are not added.

        The file is replaced in one go.

        Args:
            commit: whose results.
            values: by workload.
            measured: when, ISO 8601 with a time zone.

        Returns:
            How many combinations of a benchmark and parameters got samples, and what was left out.

        Raises:
            HistoryError: the file that is there cannot be read, or no file can be written.
        """
        result = self._result(commit)
        added, notes = 0, []
        for name, described in self._benchmarks.items():
            places = _places(name, described, values)
            has_older = name in result.get_all_result_keys()
            if places and has_older and result.benchmark_version.get(name) != described["version"]:
                notes.append(f"{name}: {commit.label} has results of another version of it, which stay")
                continue
            new = _new(result, name, described, places)
            if new:
                _put(result, described, new, measured)
                added += len(new)
        if added:
            self._save(result)
        return added, tuple(notes)

    def _result(self, commit: Commit) -> Any:
        """asv's record of the commit, with what was measured of it so far."""
        results, environment = asv("results"), self._environment
        path = self._folder / results.get_filename(self._machine, commit.hash, environment.name)
        if path.exists():
            return _loaded(path, self._machine)
        date = round(datetime.fromisoformat(commit.date).timestamp() * 1000)  # JavaScript's
        about = {**self._about, "python": environment.python, **environment.requirements}
        return results.Results(
            about, environment.requirements, commit.hash, date, environment.python, environment.name,
            environment.env_vars,
        )  # fmt: skip

    def _save(self, result: Any) -> None:
        # asv writes in place: a reader would see half a file, and a kill would leave one.
        try:
            with tempfile.TemporaryDirectory() as folder:
                result.save(folder)
                (written,) = Path(folder).rglob("*.json")
                path, data = self._folder / written.relative_to(folder), written.read_bytes()
            path.parent.mkdir(parents=True, exist_ok=True)
            machine = path.parent / "machine.json"
            if not machine.exists():
                _write_json(machine, {**self._about, "version": asv("machine").Machine.api_version})
            write_atomically(path, data)
        except OSError as error:
            raise HistoryError(f"cannot write into {self._folder}: {reason(error)}") from error


# --- what asv knows ---------------------------------------------------------------------------------


def _about(folder: Path, machine: str) -> dict[str, Any]:
    """What asv keeps of the machine: as in its results, as ``asv machine`` was told, or as it finds it."""
    machines, refused = asv("machine"), asv("util").UserError
    path = folder / machine / "machine.json"
    if path.exists():
        try:
            found = dict(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise HistoryError(f"{path}: cannot be read ({error}): asv writes it anew if it is removed") from None
    else:
        try:
            found = dict(machines.MachineCollection.load(machine))
        except refused:
            found = machines.Machine.get_defaults()
    found.pop("version", None)  # of the file's format
    return {**found, "machine": machine}


def _environment(settings: HistorySettings) -> Any:
    """The environment of asv that the configuration describes; nothing is installed."""
    from perfsuite.history.settings import derived

    refused = asv("util").UserError
    try:
        conf = asv("config").Config.from_json(derived(settings))
        for plugin in conf.plugins:
            asv("plugin_manager").plugin_manager.import_plugin(plugin)
        found = list(asv("environment").get_environments(conf, []))
    except refused as error:
        raise HistoryError(f"asv cannot use the configuration: {error}") from error
    if not found:
        raise HistoryError("asv finds no environment: is the configured version of Python installed?")
    return found[0]


def _benchmarks(settings: HistorySettings) -> Mapping[str, Mapping[str, Any]]:
    """asv's table of benchmarks, which is made where asv has not yet."""
    path = settings.results_dir / "benchmarks.json"
    if not path.exists():
        table = {one["name"]: one for one in _discovered(settings)}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_json(path, {**table, "version": asv("benchmarks").Benchmarks.api_version})
        except OSError as error:
            raise HistoryError(f"cannot write {path}: {reason(error)}") from error
    return read_benchmarks(path.parent)


def _discovered(settings: HistorySettings) -> list[dict[str, Any]]:
    """The benchmarks as asv's runner finds them, in this interpreter, which need not be one of a commit."""
    import perfsuite

    benchmarks = settings.benchmark_dir
    own = Path(perfsuite.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (benchmarks.parents[1], own)))}
    environment |= chosen_variables(settings)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "benchmarks.json")
        script = asv("runner").BENCHMARK_RUN_SCRIPT
        try:
            done = subprocess.run(
                [sys.executable, script, "discover", str(benchmarks), str(file)],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_DISCOVERY_SECONDS,
                check=False,
            )
            if done.returncode == 0:
                found: list[dict[str, Any]] = json.loads(file.read_bytes())
                return found
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise HistoryError(f"the benchmarks in {benchmarks} cannot be listed: {error}") from error
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    why = said[-1] if said else f"exit status {done.returncode}"
    raise HistoryError(f"the benchmarks in {benchmarks} cannot be listed: {why}")


def _loaded(path: Path, machine: str) -> Any:
    refused: type[Exception] = asv("util").UserError
    try:
        return asv("results").Results.load(str(path), machine_name=machine)
    except refused as error:
        raise HistoryError(f"{error}: remove the file to import again") from error
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}"
        raise HistoryError(f"{path}: cannot be read ({why}): remove it to import again") from error


# --- samples ----------------------------------------------------------------------------------------


def _places(name: str, described: Mapping[str, Any], values: Mapping[str, Values]) -> _Places:
    """The samples of a benchmark that the values have, by combinations of its parameters."""
    found: _Places = {}
    names = described.get("param_names") or []
    for place, combination in enumerate(itertools.product(*described["params"])):
        where = place_of(name, dict(zip(names, map(unquoted, combination), strict=True)))
        if where is not None:
            workload, measure, part = where
            samples = values.get(workload, {}).get(measure, {}).get(part)
            if samples:
                found[place] = samples
    return found


def _new(result: Any, name: str, described: Mapping[str, Any], places: _Places) -> _Places:
    """Of the samples those that can be added: not there already, and not beside a value whose samples nobody kept."""
    if name not in result.get_all_result_keys():
        return places
    values = result.get_result_value(name, described["params"])
    kept = result.get_result_samples(name, described["params"])
    return {
        place: samples
        for place, samples in places.items()
        if (kept[place] is None and not _is_number(values[place]))
        or (kept[place] is not None and not _within(samples, kept[place]))
    }


def _put(result: Any, described: Mapping[str, Any], new: _Places, measured: str) -> None:
    name = described["name"]
    number = math.prod(map(len, described["params"]))
    outcome = asv("runner").BenchmarkResult(
        # asv's own words for: by samples, and left out.
        result=[True if place in new else math.nan for place in range(number)],
        samples=[new.get(place) for place in range(number)],
        number=[1 if place in new else None for place in range(number)],
        errcode=0,
        stderr="",
        profile=None,
    )
    result.add_result(
        described,
        outcome,
        started_at=_later(measured, result.started_at.get(name)),
        duration=result.duration.get(name),
        record_samples=True,
        append_samples=True,
        selected_idx=set(new),
    )


def _within(part: Sequence[float], whole: Sequence[float]) -> bool:
    return any(list(whole[at : at + len(part)]) == list(part) for at in range(len(whole) - len(part) + 1))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _later(measured: str, known_ms: Any) -> datetime:
    """When it was measured: of two times the later one; asv's are JavaScript's."""
    found = datetime.fromisoformat(measured)
    if not _is_number(known_ms):
        return found
    try:
        return max(found, datetime.fromtimestamp(known_ms / 1000, timezone.utc))
    except (OSError, OverflowError, ValueError):  # no time that there is
        return found


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(value, indent=4, sort_keys=True).encode())
