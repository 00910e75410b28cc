"""asv's commands as a night uses them."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import perfsuite
from perfsuite.errors import StoreError
from perfsuite.history.asv_files import HistoryError
from perfsuite.history.model import Commit
from perfsuite.history.process import run_marked
from perfsuite.history.swap import put_back, replace_folder
from perfsuite.store.files import reason, write_atomically

#: asv, in a process that ends should this one be killed; it gets the folder of this package and its own arguments.
_LAUNCH = """import sys
sys.path[0] = sys.argv.pop(1)
from perfsuite.capture.lifetime import end_with_parent
end_with_parent()
from asv.main import main
main()"""
_COMMIT = re.compile(r"For .* commit ([0-9a-f]{8})")
_PER_CENT = re.compile(r"\[\s*(\d+)\.\d+%\]")
#: What a program says last, or asv of what it would not do.
_TELLING = re.compile(r"^(\w+\.)*\w*(Error|Exception|Interrupt|error): .+|^(Failed|Unknown|Could|No) .+")
#: What a benchmark of ours says of a workload that could not be; asv puts the name of the exception before it, or not.
_SAID = re.compile(r"perfsuite: (\S+ was not measured: .+)")
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class End:
    """How a command of asv's ended."""

    code: int
    #: The line of the log that says most, None where it did what it was told.
    said: str | None = None


@dataclass(frozen=True)
class Asv:
    """asv on one configuration, for one machine, with one log."""

    #: Its configuration; its folder is where asv works.
    config: Path
    machine: str
    #: The folder that asv's processes are known by (:mod:`perfsuite.history.process`).
    mark: Path
    log: Path

    def measure(self, commits: Sequence[Commit], show: Callable[[str], object] = lambda text: None) -> End:
        """One round of the commits, in their order, added to what there is of them.

        Raises:
            HistoryError: asv cannot be started.
        """
        return self._run_commits(commits, ("-a", "rounds=1", "--append-samples", "--show-stderr"), show)

    def discover(self, commit: Commit) -> End:
        """Write the table of benchmarks anew, and measure nothing.

        Raises:
            HistoryError: asv cannot be started.
        """
        return self._run_commits([commit], ("--bench", "just-discover"), lambda text: None)

    def publish(self, html_dir: Path) -> None:
        """Make the site; the one that is there is replaced as a whole, and stays if there is no new one.

        asv writes it beside the old one.  Whatever ends us, there is a whole one (:mod:`perfsuite.history.swap`).

        Raises:
            HistoryError: there is no new one.
        """
        target = Path(os.path.realpath(html_dir))
        made = target.with_name(f".{target.name}.new")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            put_back(target)
            # What is left of a publication that was killed asv removes itself.
            end = self._run(["publish", "--config", str(self.config), "--no-pull", "--html-dir", str(made)])
            if end.code or not (made / "index.html").is_file():
                shutil.rmtree(made, ignore_errors=True)
                raise HistoryError(f"the site was not made, asv publish: {end.said or 'no index.html'}; see {self.log}")
            replace_folder(made, target)
        except OSError as error:
            raise HistoryError(f"{target}: the site cannot be written: {reason(error)}") from error

    def why(self, commit: Commit) -> str | None:
        """What the log says of why nothing of the commit could be measured; None if nothing."""
        try:
            text = self.log.read_bytes().decode("utf-8", "replace")
        except OSError:
            return None
        sections = re.split(r"(?=For .* commit [0-9a-f]{8})", text)
        own = [one for one in sections if (found := _COMMIT.match(one)) and found[1] == commit.hash[:8]]
        lines = [line for one in own[-1:] for raw in one.splitlines() if (line := _plain(raw))]
        said = [found[1] for line in lines if (found := _SAID.search(line))]
        telling = [line for line in lines if _TELLING.match(line)]
        return next(iter(said[:1] or telling[-1:]), None)

    def _run_commits(self, commits: Sequence[Commit], options: Sequence[str], show: Callable[[str], object]) -> End:
        file = self.mark / "commits.txt"
        try:
            write_atomically(file, "".join(f"{one.hash}\n" for one in commits).encode())
        except OSError as error:
            raise StoreError(f"{file}: cannot be written: {reason(error)}; free some space") from error
        command = ["run", "--config", str(self.config), f"HASHFILE:{file}", *options]
        return self._run([*command, "--no-pull", "--machine", self.machine], Watch(self.log, commits, show))

    def _run(self, command: Sequence[str], watch: Callable[[], object] = lambda: None) -> End:
        try:
            began = self.log.stat().st_size if self.log.exists() else 0
            # Where the package that runs is: asv's plugin is to be of the same one.
            around = str(Path(perfsuite.__file__).parent.parent)
            full = [sys.executable, "-u", "-c", _LAUNCH, around, *command]
            code = run_marked(full, self.mark, self.log, cwd=self.config.parent, watch=watch)
        except OSError as error:
            raise HistoryError(f"asv cannot be run: {error.filename or sys.executable}: {reason(error)}") from error
        return End(code, (telling_line(self.log, began) or f"exit code {code}") if code else None)


class Watch:
    """Follows the log, and says where asv is."""

    def __init__(self, log: Path, commits: Sequence[Commit], show: Callable[[str], object]) -> None:
        """``show`` gets ``v2.8.0, 37 %``."""
        self._log = log
        self._labels = {one.hash[:8]: one.label for one in commits}
        self._show = show
        self._place = log.stat().st_size if log.exists() else 0
        self._commit = ""
        self._per_cent = "0"

    def __call__(self) -> None:
        """Look at what has been written since the last time; a log that is gone costs nothing but this."""
        try:
            with open(self._log, "rb") as file:
                file.seek(self._place)
                text = file.read()
        except OSError:
            return
        self._place += len(text)
        lines = text.decode("utf-8", "replace")
        for found in _COMMIT.finditer(lines):
            self._commit = self._labels.get(found[1], found[1])
        for found in _PER_CENT.finditer(lines):
            self._per_cent = found[1]
        if text and self._commit:
            self._show(f"{self._commit}, {self._per_cent} %")


def telling_line(log: Path, began: int) -> str | None:
    """The last line since ``began`` that says what went wrong; else the last one; None if there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(began, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    lines = [line for one in text.splitlines() if (line := _plain(one))]
    telling = [line for line in lines if _TELLING.match(line)]
    return next(reversed(telling or lines), None)


def _plain(line: str) -> str:
    """Without asv's progress and indentation."""
    return re.sub(r"^(\[\s*[\d.]+%\])?[\s·]*", "", line).strip()


def fix_machine(results_dir: Path, machine: str) -> None:
    """Tell asv what this machine is called, with values that stay.

    asv makes each of a machine's values part of a graph's name, so that a new kernel or a memory module would begin
    another line.  They are therefore those of the results that there are; else those that asv knows already; else
    nothing but operating system and architecture: what the machine really was is in every recorded run.

    This writes the file that ``asv machine`` writes: that command of asv 0.6.6 leaves out each value that is what it
    would have guessed, and fails where that is the name.

    Raises:
        HistoryError: the folder's results are of another machine; or asv's file cannot be read or written, and it
            knows other machines, which must not be lost.
    """
    path = Path.home() / ".asv-machine.json"
    try:
        known: Any = json.loads(path.read_bytes()) if path.exists() else {}
        if not isinstance(known, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise HistoryError(f"{path}: asv's list of machines cannot be read ({error}): mend it or remove it") from None
    beside = results_dir / machine / "machine.json"
    values = _machine_in(beside, machine)
    damaged = values is None and beside.exists()
    values = values or known.get(machine)
    if not isinstance(values, dict) or values.get("machine") != machine:
        values = {"machine": machine, "os": platform.system(), "arch": platform.machine()}
        values |= {"cpu": "", "num_cpu": "", "ram": ""}
    try:
        if known.get(machine) != values or known.get("version") != 1:
            write_atomically(path, _as_json({**known, machine: values, "version": 1}))
        if damaged:  # asv was killed over it, and publishes nothing with such a file
            write_atomically(beside, _as_json({**values, "version": 1}))
    except OSError as error:
        raise HistoryError(f"{error.filename or path}: asv's machine cannot be written: {reason(error)}") from error


def _as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=4, sort_keys=True) + "\n").encode()


def _machine_in(path: Path, machine: str) -> dict[str, Any] | None:
    """What asv keeps of the machine beside its results; None if that is not there, or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    name = found.get("machine") if isinstance(found, dict) else None
    if not isinstance(name, str):
        return None
    if name != machine:
        raise HistoryError(f"{path}: these results are of machine {name!r}: say --machine {name}, or move the folder")
    return {key: value for key, value in found.items() if key != "version"}
