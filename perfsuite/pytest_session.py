"""A pytest session that records: one run, its progress line and its summary."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from perfsuite.codec import from_json, to_json
from perfsuite.errors import PerfsuiteError, StoreError, UsageError
from perfsuite.pytest_settings import SessionSettings
from perfsuite.records import Environment, Profile

if TYPE_CHECKING:
    from perfsuite.pytest_compare import Baseline, Outcome
    from perfsuite.store import RunWriter
    from perfsuite.timeline import Timeline

_RUN = "perfsuite_run"
_ENVIRONMENT = "perfsuite_environment"
#: A workload that has run for so long shows its progress even where nobody can watch a line change.
_LONG_SECONDS = 10.0


class Session:
    """Holds the run that the session writes; registered as a plugin of its own while recording."""

    def __init__(self, config: pytest.Config, settings: SessionSettings) -> None:
        self.config = config
        self.settings = settings
        self.worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._writer: RunWriter | None = None
        self._environment: Environment | None = None
        self._facts: dict[str, Any] | None = None
        self._names: dict[str, str] = {}
        self._problem: str | None = None
        #: What became of the page, and whether that is an error.
        self._report_line: tuple[str, bool] | None = None
        self._baseline = self._read_baseline()
        self._outcome: Outcome | None = None
        self._progress = ProgressLine(config)

    # --- the run -----------------------------------------------------------------------------------

    def writer(self) -> RunWriter:
        """The run, begun at first need; under pytest-xdist every worker joins the controller's.

        Raises:
            StoreError: the folder cannot be written.
        """
        if self._writer is None:
            from perfsuite import store
            from perfsuite.environment import gather_environment

            if self.worker_input is not None:
                self._writer = store.join_run(Path(self.worker_input[_RUN]))
            else:
                self._writer = store.create_run(self.settings.directory, gather_environment())
        return self._writer

    def save(self, profile: Profile, timeline: Timeline | None = None) -> None:
        """Write a finished workload, and the timeline of one of its steps.

        Raises:
            StoreError: it cannot be written; what was written before is untouched.
        """
        self._note_environment()
        self.writer().write(profile, timeline)

    def claim(self, name: str, nodeid: str) -> None:
        """Keep the name for the test, before it is measured.

        Raises:
            UsageError: another test of this session has it (also on another worker of pytest-xdist).
        """
        if name == nodeid:
            return
        earlier = self._names.setdefault(name, nodeid)
        if earlier == nodeid and self.worker_input is not None and not self.writer().claim(name, nodeid):
            earlier = "a test on another worker"
        if earlier != nodeid:
            raise UsageError(f"{nodeid}: the name {name!r} is taken by {earlier} in this session")

    def _note_environment(self) -> None:
        # Written down at once, for a session that is killed; and again when another copy of oneDNN was heard.
        from perfsuite.capture.torch_facts import torch_facts
        from perfsuite.environment import gather_environment

        facts = torch_facts()
        if facts != self._facts:
            self._facts = facts
            self._environment = gather_environment(facts)
            self.writer().describe(self._environment)

    @property
    def contended(self) -> bool:
        """Whether the session is spread over workers, which run at the same time."""
        return self.worker_input is not None

    def progress(self, nodeid: str, stage: str | None) -> None:
        """Say which pass runs; None when the workload is done."""
        self._progress.show(nodeid, stage)

    def _read_baseline(self) -> Baseline | None:
        """The run to compare with: before this one begins, so that `latest` is not this one."""
        spec = self.settings.compare
        if spec is None or self.worker_input is not None or self.config.getoption("collectonly", False):
            return None
        from perfsuite.pytest_compare import prepare

        folder = self.config.invocation_params.dir
        return prepare(spec, self.settings.directory, self.config.rootpath, self.settings.passes, folder)

    # --- pytest's hooks ----------------------------------------------------------------------------

    def pytest_report_header(self) -> str | None:
        """What is recorded, and where to."""
        if self.worker_input is not None:
            return None
        return f"perfsuite: recording {', '.join(self.settings.passes)} to {_shown(self.settings.directory)}"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin the run if a test will need it."""
        # A folder that cannot be written is better said before an hour of measuring than after it.
        collect_only = self.config.getoption("collectonly", False)
        if self.worker_input is None and not collect_only and any(map(_uses_profiled, session.items)):
            try:
                self.writer()
            except StoreError as error:
                raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Finish the run; a worker hands its environment to the controller instead."""
        if self.worker_input is not None:
            if self._environment is not None:
                output: dict[str, Any] = self.config.workeroutput  # type: ignore[attr-defined]
                output[_ENVIRONMENT] = to_json(self._environment)
            return
        if self._writer is not None and not any(self._writer.path.glob("workloads/*.json.gz")):
            self._writer.discard()
            self._writer = None
        if self._writer is None:
            self._compare(session)
            return
        stopped = bool(session.shouldstop or session.shouldfail)
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not stopped
        try:
            self._writer.finish("complete" if ended else "interrupted", self._environment)
        except StoreError as error:
            self._problem = str(error)
        self._write_report()
        self._compare(session)

    def _compare(self, session: pytest.Session) -> None:
        """Hold the run against the stored one; where it breaks a rule, a session that was well is not."""
        if self._baseline is None:
            return
        from perfsuite.pytest_compare import compare

        self._outcome = compare(self._baseline, self._writer.path if self._writer is not None else None)
        if self._outcome.failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write_report(self) -> None:
        """Write the page if one is wanted; the run is saved by now, whatever becomes of it."""
        if self.settings.report is None:
            return
        assert self._writer is not None
        # An empty path: beside what it was made of, so that it goes when the run is pruned.
        path = self.settings.report if self.settings.report.name else self._writer.path / "report.html"
        try:
            write_report(self._writer.path, self.settings.directory, path)
        except PerfsuiteError as error:
            self._report_line = f"the report could not be written, the run is saved: {error}", True
        else:
            self._report_line = f"report: {_shown(path)}", False

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the run as it was saved."""
        if self.worker_input is not None or self.config.getoption("collectonly", False):
            return
        terminalreporter.section("perfsuite")
        if self._writer is None:
            terminalreporter.line(
                "--profile-dnn: nothing was recorded: no test that uses the `profiled` fixture ran to its end"
            )
            self._show_outcome(terminalreporter)
            return
        if self._problem:
            terminalreporter.line(f"perfsuite: error: {self._problem}", red=True)
        try:
            self._summarise(terminalreporter)
        except PerfsuiteError as error:
            terminalreporter.line(f"perfsuite: error: {error}", red=True)
        if self._report_line is not None:
            text, failed = self._report_line
            terminalreporter.line(f"perfsuite: error: {text}" if failed else text, red=failed)
        self._show_outcome(terminalreporter)

    def _show_outcome(self, terminalreporter: Any) -> None:
        """What became of the comparison."""
        if self._outcome is None:
            return
        from perfsuite.present.cells import clean

        for text, bad in self._outcome.lines:
            terminalreporter.line(clean(text), red=bad)

    def _summarise(self, terminalreporter: Any) -> None:
        from perfsuite.present.terminal import render_profile
        from perfsuite.store import load_run

        assert self._writer is not None
        run = load_run(self._writer.path)
        width = max(terminalreporter._tw.fullwidth, 80)
        for profile in run.workloads:
            text = render_profile(profile, top=self.settings.top, width=width, color=terminalreporter.hasmarkup)
            for line in text.splitlines():
                terminalreporter._tw.line(line)
        for problem in run.problems:
            terminalreporter.line(f"perfsuite: {problem}", red=True)
        where = _shown(self._writer.path)
        terminalreporter.line(f"run {run.id} ({run.status}): {where}")
        terminalreporter.line(f"see it again: perfsuite show {run.id if where == f'.perfsuite/{run.id}' else where}")

    def pytest_unconfigure(self) -> None:
        """Hand on what children of a step printed after it."""
        stdio = sys.modules.get("perfsuite.capture.stdio")
        if stdio is not None:
            stdio.drain_late()


class XdistHooks:
    """Hooks that exist only where pytest-xdist does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run to write into."""
        try:
            node.workerinput[_RUN] = str(self._session.writer().path)
        except StoreError as error:
            raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over the environment that a worker saw."""
        found = getattr(node, "workeroutput", {}).get(_ENVIRONMENT)
        if found is not None:
            self._session._environment = from_json(Environment, found)


class ProgressLine:
    """One line that says what runs now: rewritten in place on a terminal; elsewhere only for long workloads."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began: float | None = None

    def show(self, nodeid: str, stage: str | None) -> None:
        """Show the stage, or take the line away (None)."""
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is None or reporter.verbosity < 0:
            return
        now = time.monotonic()
        first = self._began is None
        if self._began is None:
            self._began = now
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if reporter.isatty:
            text = "" if stage is None else f"perfsuite: {nodeid} · {stage} …"[: reporter._tw.fullwidth - 1]
            with capture.global_and_fixture_disabled():
                if first:
                    reporter.ensure_newline()
                reporter._tw.write(f"\r\x1b[2K{text}", flush=True)
        elif stage is not None and now - self._began > _LONG_SECONDS:
            with capture.global_and_fixture_disabled():
                reporter.ensure_newline()
                reporter._tw.line(f"perfsuite: {nodeid} · {stage} … ({now - self._began:.0f} s so far)")
        if stage is None:
            self._began = None


def write_report(run: Path, directory: Path, path: Path) -> None:
    """Write a saved run as one HTML page.

    Raises:
        PerfsuiteError: the run cannot be read, or the page not be written.
    """
    from perfsuite.analyse.report import report
    from perfsuite.present.libraries import libraries
    from perfsuite.store import load_run
    from perfsuite.store.ceilings import ceilings_of
    from perfsuite.store.files import write_text

    with libraries("a page"):
        from perfsuite.present.report import render_report
    loaded = load_run(run)
    ceilings, why = ceilings_of(loaded, directory)
    write_text(path, render_report(report(loaded, ceilings=ceilings, no_ceilings=why)))


def _uses_profiled(item: pytest.Item) -> bool:
    return "profiled" in getattr(item, "fixturenames", ())


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
