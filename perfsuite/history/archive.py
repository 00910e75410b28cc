"""The processes of a history in one small file: what each recorded, in numbers, with its machine and its commit.

Runs are megabytes; what a comparison of releases asks for of them is kilobytes, which can lie in a repository.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfsuite.codec import from_json, to_json
from perfsuite.errors import StoreError
from perfsuite.history.model import Benchmark, Commit, Point, Series
from perfsuite.history.processes import Runs
from perfsuite.history.recorded import Recorded
from perfsuite.history.values import SINGLE, UNITS
from perfsuite.records import Environment
from perfsuite.stats import median
from perfsuite.store.files import parse_document, reason, write_bytes

FORMAT = 1
#: Digits of a sample that are kept: of a step of a second, ten microseconds.
DIGITS = 6
#: Measure → what its parameter beside the workload is called; the others have none.
_PARTS = {"phase": "phase", "operator": "operator"}
_Values = Mapping[str, Mapping[str, Mapping[str, tuple[float, ...]]]]


@dataclass(frozen=True)
class Process:
    """One process: whose it was, and what it recorded, workload → measure → part → samples."""

    commit: str
    #: ISO 8601, with a time zone.
    created: str
    #: Its place among the archive's environments.
    environment: int
    values: _Values


@dataclass(frozen=True)
class Archive:
    """The processes of one machine.  It answers what :class:`perfsuite.history.shelf.Shelf` answers of runs."""

    machine: str
    #: In their order.
    commits: tuple[Commit, ...]
    environments: tuple[Environment, ...]
    #: In the order in which they began.
    processes: tuple[Process, ...]

    def recorded(self, commit: Commit) -> Sequence[Recorded]:
        """What the commit's processes recorded, the newest first."""
        own = [one for one in self.processes if one.commit == commit.hash]
        return [Recorded(one.created, self.environments[one.environment], one.values) for one in reversed(own)]

    def environment(self, commit: Commit) -> Environment | None:
        """Of the commit's newest process; None if it has none."""
        newest = next(iter(self.recorded(commit)), None)
        return newest.environment if newest is not None else None

    def series(self) -> tuple[Series, ...]:
        """A series for each benchmark, as asv's results would have them: points are medians over all processes."""
        samples: dict[Benchmark, dict[str, list[float]]] = {}
        for process in self.processes:
            for benchmark, several in _benchmarks(process.values):
                samples.setdefault(benchmark, defaultdict(list))[process.commit] += several
        return tuple(
            Series(
                benchmark,
                tuple(
                    Point(one, self.machine, median(by_commit[one.hash]), tuple(by_commit[one.hash]))
                    for one in self.commits
                    if one.hash in by_commit
                ),
            )
            for benchmark, by_commit in samples.items()
        )


def archive_of(machine: str, commits: Sequence[Commit], runs: Runs) -> Archive:
    """What was recorded of the commits; those of which nothing was are left out."""
    environments: dict[str, tuple[int, Environment]] = {}
    processes = []
    for commit in commits:
        for one in runs.recorded(commit):
            # One that nothing tells from another is kept once.
            key = json.dumps(to_json(one.environment), sort_keys=True)
            place, _ = environments.setdefault(key, (len(environments), one.environment))
            processes.append(Process(commit.hash, one.created, place, _rounded(one.values)))
    having = {one.commit for one in processes}
    return Archive(
        machine,
        tuple(one for one in commits if one.hash in having),
        tuple(environment for _, environment in environments.values()),
        tuple(sorted(processes, key=lambda one: (one.created, one.commit))),
    )


def write_archive(archive: Archive, path: Path) -> None:
    """Write it; the same archive is the same bytes.

    Raises:
        StoreError: it cannot be written.
    """
    text = json.dumps({"format": FORMAT, **to_json(archive)}, allow_nan=False, separators=(",", ":"))
    write_bytes(path, gzip.compress(text.encode(), mtime=0))


def read_archive(path: Path) -> Archive:
    """An archive from a file.

    Raises:
        StoreError: it cannot be read, is damaged, or has another format.
    """
    try:
        form, value = parse_document(gzip.decompress(path.read_bytes()))
        if form != FORMAT:
            raise StoreError(f"format {form}, this perfsuite reads {FORMAT}")
        found = from_json(Archive, value)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StoreError(f"{path}: damaged, not a whole gzip file ({error})") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {reason(error)}") from error
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from error
    known = {one.hash for one in found.commits}
    for at, process in enumerate(found.processes):
        if process.commit not in known or not 0 <= process.environment < len(found.environments):
            raise StoreError(f"{path}: processes[{at}]: its commit or its environment is not in the file")
    return found


def _benchmarks(values: _Values) -> Iterator[tuple[Benchmark, tuple[float, ...]]]:
    """The samples of a process by benchmark, as asv names them."""
    for workload, measures in values.items():
        single = [measure for measure, name in SINGLE.items() if name == workload]
        for measure, parts in measures.items():
            # A kernel has one benchmark: what else was recorded of it is the same again.
            if measure not in UNITS or (single and measure not in single):
                continue
            for part, samples in parts.items():
                if samples:
                    yield _benchmark(workload, measure, part), samples


def _benchmark(workload: str, measure: str, part: str) -> Benchmark:
    if measure in SINGLE:
        return Benchmark(f"kernels.Kernels.track_{measure}", {}, UNITS[measure])
    more = {_PARTS[measure]: part} if measure in _PARTS else {}
    return Benchmark(f"steps.Steps.track_{measure}", {"workload": workload, **more}, UNITS[measure])


def _rounded(values: _Values) -> _Values:
    return {
        workload: {
            measure: {part: tuple(float(f"{one:.{DIGITS}g}") for one in samples) for part, samples in parts.items()}
            for measure, parts in measures.items()
        }
        for workload, measures in values.items()
    }
