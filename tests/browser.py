"""A real browser for tests of the report: Debian's chromium, found or installed, driven by playwright.

Where there is none and none can be installed, the tests are skipped, and the reason says what was not tested.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
_INSTALL_S = 900


class NoBrowserError(Exception):
    """There is no browser here, and why none could be installed."""


@contextmanager
def started_browser() -> Iterator[Browser]:
    """A headless browser.

    Raises:
        NoBrowserError: there is none, none could be installed, or playwright is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoBrowserError(f"playwright is not installed ({error}); pip install playwright") from error
    path = find_browser() or install_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@contextmanager
def started_or_skipped() -> Iterator[Browser]:
    """As :func:`started_browser`, for a fixture."""
    try:
        opened = started_browser()
        browser = opened.__enter__()
    except NoBrowserError as error:
        pytest.skip(f"NOT TESTED: the report in a browser (scripts, themes, printing, hostile names): {error}")
    try:
        yield browser
    finally:
        opened.__exit__(None, None, None)


def find_browser() -> str | None:
    """The path of an installed browser that playwright's chromium protocol can drive."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def install_browser() -> str:
    """Install Debian's chromium, once a session however many workers it has; returns its path.

    Raises:
        NoBrowserError: this is no machine where one may, or it failed.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoBrowserError(f"none of {', '.join(NAMES)} is on PATH; install one: apt-get install chromium")
    workers = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    outcome = Path(tempfile.gettempdir()) / f"perfsuite-chromium-{workers or os.getpid()}"
    with outcome.open("a+") as shared:
        fcntl.flock(shared, fcntl.LOCK_EX)
        shared.seek(0)
        # What another worker of this session found out while we waited.
        problem = shared.read()
        if not problem and find_browser() is None:
            problem = _apt_get("update") or _apt_get("install", "--yes", "--no-install-recommends", "chromium")
            shared.write(problem)
    if workers is None:
        outcome.unlink()
    found = find_browser()
    if found is None:
        raise NoBrowserError(problem or "apt-get installed chromium, yet it is not on PATH")
    return found


def _apt_get(*arguments: str) -> str:
    """The reason why it failed, empty if it did not."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "--quiet", *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} took longer than {_INSTALL_S} s"
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines() or ["nothing said"]
    return f"{' '.join(command)}: status {done.returncode}: {said[-1]}"


@dataclass
class Seen:
    """What a page did that no report may do."""

    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Collect what it does from now on."""
        page.on("console", lambda m: self.console.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else self.requests.append(r.url))
        page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def check(self) -> None:
        """Fail if there was anything."""
        assert not self.console, self.console
        assert not self.requests, self.requests
        assert not self.dialogs, self.dialogs


@contextmanager
def opened_window(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A window whose pages share settings and storage with each other only."""
    window = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    try:
        yield window
    finally:
        window.close()


@contextmanager
def opened_page(window: BrowserContext, file: Path, at: str = "") -> Iterator[Page]:
    """The file in a window; in the end it must have had no error, no request to a host, and no dialog."""
    seen = Seen()
    page = window.new_page()
    try:
        seen.watch(page)
        page.goto(file.as_uri() + at)
        yield page
        seen.check()
    finally:
        page.close()
