"""A headless browser: Debian's chromium, found or installed, driven by playwright.

The tests of the report, its benchmark and ``docs/screenshot.py`` all look at pages with it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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
