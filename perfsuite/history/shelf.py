"""The runs that were recorded while a history was measured: ``<folder>/<commit, 40 digits>/<run id>/``."""

from __future__ import annotations

from pathlib import Path

from perfsuite.errors import StoreError
from perfsuite.history import recorded as kept
from perfsuite.history.model import Commit
from perfsuite.history.recorded import Recorded
from perfsuite.records import Environment, Run
from perfsuite.store import list_runs, load_run
from perfsuite.store.reader import read_manifest

#: Of runs that nobody writes into any more.
_FINISHED = ("complete", "interrupted")


class Shelf:
    """Runs by commit, each read once, and only when it is asked for.

    A run that cannot be read is told in :attr:`problems` and left out: the others are as good as before.
    """

    def __init__(self, folder: Path) -> None:
        """``folder`` may be missing: then there are no runs."""
        self.folder = folder
        #: What could not be read, a line each.
        self.problems: list[str] = []
        self._paths: dict[str, tuple[Path, ...]] = {}
        self._runs: dict[str, tuple[Run, ...]] = {}
        self._recorded: dict[str, tuple[Recorded, ...]] = {}
        self._environments: dict[str, Environment | None] = {}

    def has(self, commit: Commit) -> bool:
        """Whether there are runs of the commit, readable or not."""
        return bool(self._found(commit))

    def names(self, commit: Commit) -> tuple[str, ...]:
        """The ids of the commit's runs, the newest first."""
        return tuple(path.name for path in self._found(commit))

    def runs(self, commit: Commit) -> tuple[Run, ...]:
        """The commit's runs, the newest first."""
        if commit.hash not in self._runs:
            self._runs[commit.hash] = tuple(filter(None, map(self._load, self._found(commit))))
        return self._runs[commit.hash]

    def recorded(self, commit: Commit) -> tuple[Recorded, ...]:
        """What the commit's processes recorded, the newest first, in numbers: a run is read for it only once ever."""
        if commit.hash not in self._recorded:
            found = map(self._values, self._found(commit))
            self._recorded[commit.hash] = tuple(one for one in found if one is not None)
        return self._recorded[commit.hash]

    def environment(self, commit: Commit) -> Environment | None:
        """The machine and software of the commit's newest run, of which only the manifest is read; None without one."""
        if commit.hash not in self._environments:
            found = (self._environment(path) for path in self._found(commit))
            self._environments[commit.hash] = next((one for one in found if one is not None), None)
        return self._environments[commit.hash]

    def _found(self, commit: Commit) -> tuple[Path, ...]:
        if commit.hash not in self._paths:
            self._paths[commit.hash] = self._listed(commit)
        return self._paths[commit.hash]

    def _listed(self, commit: Commit) -> tuple[Path, ...]:
        try:
            summaries = list_runs(self.folder / commit.hash)
        except StoreError as error:
            self.problems.append(str(error))
            return ()
        self.problems += [f"{one.path}: {one.problem}" for one in summaries if one.status is None and one.problem]
        return tuple(one.path for one in summaries if one.status in _FINISHED)

    def _load(self, path: Path) -> Run | None:
        try:
            run = load_run(path)
        except StoreError as error:
            self.problems.append(str(error))
            return None
        self.problems += run.problems
        return run

    def _values(self, path: Path) -> Recorded | None:
        try:
            known = kept.find(self.folder, path, read_manifest(path))
        except StoreError as error:
            self.problems.append(str(error))
            return None
        if known is not None:
            return known
        run = self._load(path)
        if run is None:
            return None
        found = kept.recorded(run)
        if not run.problems:
            kept.keep(self.folder, path, found)
        return found

    def _environment(self, path: Path) -> Environment | None:
        try:
            return read_manifest(path).environment
        except StoreError as error:
            self.problems.append(str(error))
            return None
