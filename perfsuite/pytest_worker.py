"""A pytest session that a gate steps from outside: see :mod:`perfsuite.protocol`."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from perfsuite import __version__
from perfsuite.capture.lifetime import end_with_parent
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.preload import preload
from perfsuite.capture.seeding import seed
from perfsuite.capture.step import Step
from perfsuite.capture.timing import time_turn, warm_up
from perfsuite.codec import to_json
from perfsuite.errors import PerfsuiteError
from perfsuite.gate.loaded import extensions_elsewhere, loaded_elsewhere, loaded_files
from perfsuite.gate.naming import is_named
from perfsuite.protocol import PROTOCOL, Channel, ClosedError, ProtocolError
from perfsuite.pytest_settings import MarkerSettings, read_marker
from perfsuite.records import FORMAT

#: Markers of pytest-timeout, pytest-rerunfailures and flaky.
_DISTURBING = ("timeout", "flaky")


class WorkerSession:
    """Answers the gate; registered as a plugin in a worker's session."""

    def __init__(self, descriptor: int) -> None:
        self._channel = Channel(socket.socket(fileno=descriptor))
        self._roots: list[str] = []
        self._names: list[str] = []
        self._rootpath = Path()
        self._errors: list[dict[str, str]] = []
        self._ended: dict[str, Any] = {}
        self._skipped = False
        end_with_parent()
        self._channel.send("hello", protocol=PROTOCOL, perfsuite=__version__, records=FORMAT)

    # --- pytest's hooks ----------------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        """Let no option of the project's leave benchmarks out, or write where the other worker does as well.

        The plugins that have them read them after this.
        """
        self._rootpath = config.rootpath
        option = config.option
        option.benchmark_skip = option.benchmark_only = option.collectonly = False
        option.xmlpath = option.basetemp = None
        option.log_file = os.devnull

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a file could not be collected."""
        if report.failed:
            path = self._rootpath / report.nodeid.partition("::")[0]
            why = _last_line(report.longreprtext)
            self._errors.append({"nodeid": report.nodeid, "path": str(path), "why": why})

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Tell which benchmarks there are; keep those that the gate wants, in its order."""
        collect = self._command("collect")
        wanted, self._roots, self._names = collect["wanted"], collect["roots"], collect["names"]
        there = {
            item.nodeid: item
            for item in items
            if "profiled" in getattr(item, "fixturenames", ()) and _is_wanted(item, wanted)
        }
        for item in there.values():
            _undisturbed(item)
        if there:
            preload()
        self._channel.send(
            "collected", benchmarks=[_described(item) for item in there.values()], errors=list(self._errors)
        )
        run = self._command("run")
        lacking = [nodeid for nodeid in run["nodeids"] if nodeid not in there]
        if lacking:  # without it the next one would be taken for it
            pytest.exit(f"perfsuite: the gate wants {lacking[0]}, which is not here", returncode=3)
        items[:] = [there[nodeid] for nodeid in run["nodeids"]]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Wait until it is this benchmark's turn: two processes that compute at once disturb each other."""
        self._ended = {}
        self._channel.send("waiting", nodeid=item.nodeid)
        self._skipped = self._command("begin", "skip")["type"] == "skip"
        seed(0)
        result = yield
        self._channel.send("ended", nodeid=item.nodeid, **{"outcome": "passed", "why": "", **self._ended})
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Leave the benchmark out if the other side has none to compare it with."""
        if self._skipped:
            pytest.skip("the gate leaves it out")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep how the benchmark ended; what went wrong first counts."""
        if report.outcome != "passed" and not self._ended:
            self._ended = {"outcome": report.outcome, "why": _reason(report)}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Say that nothing follows: fixtures and temporary folders are gone, and nobody reads a summary.

        The gate ends the process when what is registered for its end is done, or soon if that takes long.
        """
        gc.freeze()  # or pytest would look for garbage in all of torch, several times
        with suppress(ClosedError):
            self._channel.send("bye")
            self._channel.close()

    # --- a benchmark -------------------------------------------------------------------------------

    def serve(
        self,
        nodeid: str,
        step: Step,
        recorder: PhaseRecorder,
        marker: MarkerSettings,
        model: Any,
        *,
        cold: bool = False,
    ) -> Any:
        """Warm the step up, then do what the gate says until it has had enough.

        ``cold`` says that the test wants no warm-up, which the gate tells its user.

        Returns:
            What the step returned when it was called once more.

        Raises:
            PerfsuiteError: the gate is gone, or speaks another protocol; CaptureError: a pass could not measure.
        """
        warmed = warm_up(step)
        gc.collect()
        gc.freeze()
        try:
            self._channel.send(
                "ready",
                nodeid=nodeid,
                warm_up_ns=list(warmed.calls_ns),
                settled=warmed.settled,
                repeatable=step.setup is None and step.teardown is None,
                cold=cold,
                loaded=loaded_files(self._roots),
                elsewhere=loaded_elsewhere(self._names, self._roots),
                extensions=list(extensions_elsewhere(self._roots)),
            )
            while (command := self._channel.receive())["type"] != "finish":
                self._obey(command, step, recorder, marker, model)
        finally:
            gc.unfreeze()
        with step.ready() as call:
            return call()

    def _obey(
        self, command: Mapping[str, Any], step: Step, recorder: PhaseRecorder, marker: MarkerSettings, model: Any
    ) -> None:
        kind = command["type"]
        if kind == "step":
            times = time_turn(step, command["count"], command["iterations"])
            rss_bytes = _rss_bytes()
            gc.collect()  # before the answer, after which the other side computes
            self._channel.send("steps", ns=times, rss_bytes=rss_bytes)
        elif kind == "profile":
            self._channel.send("profile", profile=_profile(step, recorder, marker, model, command["steps"]))
        elif kind == "environment":
            from perfsuite.capture.torch_facts import torch_facts
            from perfsuite.environment import gather_environment

            self._channel.send("environment", environment=to_json(gather_environment(torch_facts())))
        else:
            raise ProtocolError(f"unknown command {kind!r}")

    def _command(self, *kinds: str) -> Mapping[str, Any]:
        try:
            message = self._channel.receive()
        except PerfsuiteError as error:
            pytest.exit(f"perfsuite: the gate is gone: {error}", returncode=pytest.ExitCode.INTERRUPTED)
        if message["type"] not in kinds:
            pytest.exit(f"perfsuite: the gate said {message['type']!r}, expected {' or '.join(kinds)}", returncode=3)
        return message


def _profile(step: Step, recorder: PhaseRecorder, marker: MarkerSettings, model: Any, steps: int) -> Any:
    from perfsuite.capture.passes import Settings, capture_profile, infer_dtype

    # Whoever asks knows by the marker that a census is wanted.
    memory = ("memory",) if marker.passes is None or "memory" in marker.passes else ()
    settings = Settings(("operators", "primitives", *memory), steps, marker.backend)
    profile = to_json(capture_profile(step, recorder, settings))
    return {**profile, "scale": marker.scale, "dtype": marker.dtype or infer_dtype(model)}


def _is_wanted(item: pytest.Item, wanted: list[str]) -> bool:
    """Whether one of the arguments names it; none names all."""
    test = item.nodeid.partition("::")[2]
    return not wanted or any(is_named(one, str(item.path), test) for one in wanted)


def _undisturbed(item: pytest.Item) -> None:
    """Take markers away that end a test which takes long, or run it again: options have no say in them."""
    for node in item.listchain():
        node.own_markers[:] = [mark for mark in node.own_markers if mark.name not in _DISTURBING]


def _described(item: pytest.Item) -> dict[str, Any]:
    marker = read_marker(item)
    benchmark = item.get_closest_marker("benchmark")
    group = benchmark.kwargs.get("group") if benchmark is not None else None
    return {
        "nodeid": item.nodeid,
        "path": str(item.path),
        "name": marker.name or item.nodeid,
        "group": group if isinstance(group, str) else None,
        "threshold": marker.threshold,
        # The pass over primitives needs the one over operators, and takes it along.
        "census": marker.passes is None or "primitives" in marker.passes,
    }


def _reason(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    # Of an assertion the first line says what was wrong, and those below how it came about.
    return crash.message.strip().partition("\n")[0] if crash is not None else _last_line(report.longreprtext)


def _last_line(text: str) -> str:
    """What an error is called: the last line of a traceback that starts with pytest's ``E``, or the last of all."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (marked or lines or ["no reason given"])[-1]


def _rss_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
