"""The pytest plugin: options, the run of the session, and the ``profiled`` fixture.

Loaded in every pytest session of every project that has perfsuite installed, so whatever costs time is
imported when a test uses ``profiled``, and torch only with ``--profile-dnn``.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from perfsuite import pytest_settings
from perfsuite.errors import PerfsuiteError

if TYPE_CHECKING:
    from perfsuite.pytest_profiled import Profiled

_SESSION: pytest.StashKey[Any] = pytest.StashKey()
_WORKER: pytest.StashKey[Any] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--profile-dnn`` and its companions."""
    pytest_settings.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Ask oneDNN for timestamps before anything can use it."""
    descriptor = pytest_settings.worker_descriptor(early_config)
    if pytest_settings.is_on(early_config) or descriptor is not None:
        from perfsuite.capture.verbose import request_timestamps

        request_timestamps()
    if descriptor is not None:
        # The gate ends a worker when the connection does.  What is registered first for the end of a process is done
        # last, so whatever a conftest.py registers is done by then.
        weakref.finalize(pytest_addoption, os.close, os.dup(descriptor))


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the session if it records."""
    config.addinivalue_line(
        "markers",
        "profiled(name, scale, dtype, backend, steps, passes, threshold): settings of perfsuite's `profiled` fixture",
    )
    descriptor = pytest_settings.worker_descriptor(config)
    if descriptor is not None:
        from perfsuite.pytest_worker import WorkerSession

        config.stash[_WORKER] = worker = WorkerSession(descriptor)
        config.pluginmanager.register(worker, "perfsuite-worker")
    elif pytest_settings.is_on(config):
        from perfsuite.pytest_session import Session

        session = Session(config, pytest_settings.read_session(config))
        config.stash[_SESSION] = session
        config.pluginmanager.register(session, "perfsuite-session")
        if config.pluginmanager.hasplugin("xdist"):
            from perfsuite.pytest_session import XdistHooks

            config.pluginmanager.register(XdistHooks(session), "perfsuite-xdist")
    else:
        pytest_settings.check_off(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the markers before anything runs: a misspelt setting is not worth an hour of measuring."""
    # A worker of pytest-xdist that refuses to collect takes the whole session down with a traceback; there each
    # test says it for itself.
    if not hasattr(config, "workerinput"):
        pytest_settings.check_markers(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the user can mend is said in one line: a traceback through perfsuite helps nobody."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if report.failed and isinstance(error, PerfsuiteError):
        report.longrepr = f"{type(error).__name__}: {error}"
    return report


@pytest.fixture
def profiled(benchmark: Any, request: pytest.FixtureRequest) -> Profiled:
    """Times a function or a training step, and with ``--profile-dnn`` records where its time goes."""
    from perfsuite.pytest_profiled import Profiled

    stash = request.config.stash
    return Profiled(benchmark, request.node, stash.get(_SESSION, None), stash.get(_WORKER, None))
