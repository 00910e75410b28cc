"""Photographs the site of a history for its documentation: ``python docs/site_screenshots.py HTML_DIR [--name NAME]``.

Writes ``docs/images/NAME-operators.png``, the first finding of the page *Operators*, and ``NAME-asv.png``, asv's graph
of the line that leads it, in the browser that the tests use.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.browser import NoBrowserError, started_browser

IMAGES = Path(__file__).parent / "images"
#: In pixels: a finding with its figure and what explains it fits in.
WIDTH, HEIGHT = 1180, 1180


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both pictures and say where they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("html", type=Path, help="the folder that a night or `asv publish` made")
    parser.add_argument("--name", default="history", help="beginning of the pictures' names")
    options = parser.parse_args(arguments)
    if not (options.html / "operators" / "index.html").is_file():
        print(f"site_screenshots: error: {options.html} is no site of a history: it has no operators", file=sys.stderr)
        return 2
    try:
        with _served(options.html) as address:
            _photograph(address, options.name)
    except NoBrowserError as error:
        print(f"site_screenshots: error: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """asv's pages ask for their data by HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _photograph(address: str, name: str) -> None:
    with started_browser() as browser:
        tab = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light").new_page()
        tab.goto(f"{address}/operators/index.html")
        first = tab.locator("article.finding").first
        finding = IMAGES / f"{name}-operators.png"
        first.screenshot(path=finding)
        graph = first.locator("a[href*='index.html#']").first.get_attribute("href")
        tab.goto(f"{address}/operators/{graph}")
        tab.wait_for_selector("#main-graph canvas")
        tab.wait_for_load_state("networkidle")
        asv = IMAGES / f"{name}-asv.png"
        tab.screenshot(path=asv)
        print(finding, asv, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
