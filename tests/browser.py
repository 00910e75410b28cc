"""The report in a real browser, for tests: a window, and what a page did in it that no report may do.

Where there is no browser and none can be installed, the tests are skipped, and the reason says what was not tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.browser import NoBrowserError, started_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


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
