"""What nights know of each other: a folder that any of them may be killed in.

::

    lock              who is at it (perfsuite.history.lock)
    night.json        what the last night did, and is doing
    findings.json     what has been told
    rounds.json       commits that lack rounds: commit → how many they have
    round.json        the round that runs, and with before/ what there was before it
    before/COMMIT/    asv's files of the commit before the round
    damaged/          files of asv's that were cut off
    log/              what asv said, a file for each night
    summary.md

Each file is replaced as a whole.  All but the first three and the summary are about what is not finished.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from perfsuite.codec import from_json, to_json
from perfsuite.errors import StoreError
from perfsuite.history.asv_files import DIGITS, contents
from perfsuite.history.model import Commit, Finding, Night
from perfsuite.store.files import parse_document, reason, write_atomically

FORMAT = 1
_LOGS = 30
_T = TypeVar("_T")
#: What need not be kept where the folder is kept in a repository.
_IGNORED = ("lock", "log/", "before/", "damaged/", "round.json", "commits.txt", "asv.conf.json", ".*.tmp")


@dataclass(frozen=True)
class Known:
    """A finding that has been told."""

    #: Commits, as in :class:`perfsuite.history.model.Finding`.
    before: str
    at: str
    #: Labels of the benchmarks that changed, the leading one first.
    benchmarks: tuple[str, ...]
    regression: bool
    ratio: float
    #: When it was told first, ISO 8601 in UTC.
    told: str


@dataclass(frozen=True)
class Round:
    """A round that began: each commit, and how many rounds it had had before."""

    before: Mapping[str, int]


@dataclass(frozen=True)
class _Findings:
    findings: tuple[Known, ...] = ()


@dataclass(frozen=True)
class _Rounds:
    rounds: Mapping[str, int] = field(default_factory=dict)


class State:
    """The folder of one machine's nights."""

    def __init__(self, folder: Path) -> None:
        """It is made by :meth:`prepare`, and read as empty as long as it is not there."""
        self.folder = Path(os.path.abspath(folder))

    @property
    def lock(self) -> Path:
        """The lock's file."""
        return self.folder / "lock"

    @property
    def summary(self) -> Path:
        """The Markdown of the last night."""
        return self.folder / "summary.md"

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            StoreError: it cannot be made.
        """
        try:
            (self.folder / "log").mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                write_atomically(ignore, "".join(f"{one}\n" for one in _IGNORED).encode())
        except OSError as error:
            raise StoreError(
                f"{self.folder}: cannot be made: {reason(error)}; choose another one with --state"
            ) from error

    def new_log(self, began: str) -> Path:
        """The file that this night's asv writes to; old ones go."""
        logs = sorted((self.folder / "log").glob("*.log"))
        for old in logs[: max(0, len(logs) - _LOGS + 1)]:
            old.unlink(missing_ok=True)
        return self.folder / "log" / f"{''.join(one for one in began[:19] if one.isalnum())}.log"

    # --- what is known --------------------------------------------------------------------------

    def known(self) -> tuple[Known, ...]:
        """What has been told so far.

        Raises:
            StoreError: the file cannot be read.
        """
        found = self._read("findings.json", _Findings, "remove it, and all that was told counts as new again")
        return found.findings if found is not None else ()

    def remember(self, known: Iterable[Known]) -> None:
        """Replace what has been told."""
        self._write("findings.json", _Findings(tuple(known)))

    def last_night(self) -> Night | None:
        """The last night, as far as it came; None if there was none.

        Raises:
            StoreError: the file cannot be read.
        """
        return self._read("night.json", Night, "remove it")

    def save_night(self, night: Night) -> None:
        """Replace the last night."""
        self._write("night.json", night)

    # --- rounds ---------------------------------------------------------------------------------

    def rounds(self) -> dict[str, int]:
        """The commits that were begun and lack rounds, and how many they have.

        Raises:
            StoreError: the file cannot be read.
        """
        found = self._read("rounds.json", _Rounds, "remove it, and commits that lack rounds count as finished")
        return dict(found.rounds) if found is not None else {}

    def set_rounds(self, rounds: Mapping[str, int]) -> None:
        """Replace them."""
        self._write("rounds.json", _Rounds(rounds))

    def begin_round(self, before: Mapping[str, int], results: Path) -> None:
        """Write down that a round begins, with copies of the commits' files in the machine's folder ``results``."""
        self.end_round()
        for commit in before:
            for name, data in contents(results, commit).items():
                copy = self.folder / "before" / commit / name
                try:
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(copy, data)
                except OSError as error:
                    raise StoreError(f"{copy}: cannot be written: {reason(error)}; free some space") from error
        self._write("round.json", Round(before))  # last: without it the copies are nothing

    def round(self) -> Round | None:
        """The round that was not ended; None if there is none.

        Raises:
            StoreError: the file cannot be read.
        """
        return self._read("round.json", Round, "remove it, and what the last round measured counts as not measured")

    def before(self, commit: str) -> dict[str, bytes]:
        """The commit's files as they were before the round."""
        return contents(self.folder / "before" / commit, commit)

    def end_round(self) -> None:
        """Forget the round."""
        (self.folder / "round.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "before", ignore_errors=True)

    def put_aside(self, path: Path) -> Path:
        """Move a file that is cut off out of asv's way; returns where it is now.

        Raises:
            StoreError: it cannot be moved.
        """
        folder = self.folder / "damaged"
        try:
            folder.mkdir(exist_ok=True)
            number = len(list(folder.iterdir()))
            target = folder / f"{number:03}-{path.name}"
            shutil.move(path, target)
        except OSError as error:
            raise StoreError(f"{path}: damaged, and cannot be moved to {folder}: {reason(error)}") from error
        return target

    # --- files ----------------------------------------------------------------------------------

    def _read(self, name: str, kind: type[_T], mend: str) -> _T | None:
        path = self.folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {reason(error)}") from error
        try:
            found, value = parse_document(data)
            if found != FORMAT:
                raise StoreError(f"format {found}, this perfsuite reads {FORMAT}")
            return from_json(kind, value)
        except StoreError as error:
            raise StoreError(f"{path}: {error}; {mend}") from error

    def _write(self, name: str, record: object) -> None:
        path = self.folder / name
        text = json.dumps({"format": FORMAT, **to_json(record)}, indent=1, allow_nan=False) + "\n"
        try:
            write_atomically(path, text.encode())
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {reason(error)}; free some space") from error


# --- what is new ------------------------------------------------------------------------------------


def untold(findings: Sequence[Finding], known: Sequence[Known], commits: Sequence[Commit]) -> tuple[Finding, ...]:
    """The findings that nobody has been told of.

    One is known if it has the key of a known one; or if it goes the same way, in a benchmark that a known one is about
    too, and lies between commits that overlap with the known one's: what was found between two releases yesterday, and
    is found between two commits of them now that there is a build between, is no second regression.
    """
    places = {one.hash: one.position for one in commits}
    return tuple(finding for finding in findings if not any(_is_same(finding, one, places) for one in known))


def _is_same(finding: Finding, known: Known, places: Mapping[str, int]) -> bool:
    if finding.key == (known.at, known.benchmarks[0]):
        return True
    if finding.is_regression != known.regression:
        return False
    if not {change.benchmark.label for change in finding.changes} & set(known.benchmarks):
        return False
    if known.before not in places or known.at not in places:
        return False
    return max(finding.before.position, places[known.before]) < min(finding.at.position, places[known.at])


def as_known(finding: Finding, told: str) -> Known:
    """What is remembered of a finding."""
    labels = tuple(dict.fromkeys(change.benchmark.label for change in finding.changes))
    return Known(finding.before.hash, finding.at.hash, labels, finding.is_regression, finding.changes[0].ratio, told)


def commit_of(path: Path) -> str:
    """The digits of the commit that a file of asv's is named after."""
    return path.name[:DIGITS]
