"""``perfsuite report`` of RetinaNet takes less than 3 s, without torch; a page of 20 000 operators is ready within 1 s.

The command is timed as a process, on runs that are recorded first unless they are given.  *Interactive* is meant
strictly: from the start of the navigation until the table and the icicle are drawn **and** a click that sorts all rows
**and** a text that filters them were each answered by a painted frame, in headless chromium, each time in a window
that never saw the page.

``python -m benchmarks.reach.report [--runs DIR] [--scale S] [--rows N] [--rounds N] [--json]``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.browser import NoBrowserError, started_browser
from benchmarks.reach.common import Finding, conclude, interleave
from benchmarks.reach.diff_speed import record
from benchmarks.reach.synthetic import large_run
from benchmarks.workloads import SCALES
from perfsuite.stats import median

if TYPE_CHECKING:
    from playwright.sync_api import Browser

COMMAND_S, PAGE_S, SIZE_MB = 3.0, 1.0, 3.0

#: The command, and whether torch was imported when it is done.
_COMMAND = """
import sys
from perfsuite.cli import main
status = main(standalone_mode=False)
if status or "torch" in sys.modules:
    sys.exit(f"status {status}, torch imported: {'torch' in sys.modules}")
"""

#: Runs before the page's own script.  Two animation frames: what was done before the first is painted by the second.
_INTERACTION = """
const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
// The page's own script, not the server, offers the phases.
const offered = () => document.querySelector(".filter-phase").options.length > 1;
const drawn = () => document.querySelectorAll(".icicle svg [data-node]").length > 10 && offered();
window.interactive = new Promise((answer) => addEventListener("DOMContentLoaded", async () => {
  while (!drawn()) await painted();
  await painted();
  const times = { drawn: performance.now() };
  document.querySelector("th[data-key=count] button").click();
  await painted();
  times.sorted = performance.now();
  const filter = document.querySelector(".filter-text");
  filter.value = "convolution stage3";
  filter.dispatchEvent(new Event("input", { bubbles: true }));
  await painted();
  times.filtered = performance.now();
  times.found = document.querySelector(".row-count").textContent;
  times.order = document.querySelector("th[data-key=count]").getAttribute("aria-sort");
  answer(times);
}));
"""


def main() -> int:
    options = _parse()
    with tempfile.TemporaryDirectory() as scratch:
        runs = options.runs or Path(scratch) / "runs"
        if options.runs is None:
            record(runs, options.scale)
        page = Path(scratch) / "report.html"
        seconds = interleave({"perfsuite report": _timed(runs, page)}, options.rounds + 1)["perfsuite report"]
        findings = [
            # The first reads modules and fonts that nobody read since the machine started.
            Finding("perfsuite report", "s", seconds[1:], high=COMMAND_S),
            Finding("its page", "MB", [page.stat().st_size / 1e6], high=SIZE_MB, exact=True),
        ]
        times = _interactive(_large_page(Path(scratch), options.rows), options.rounds + 1)
    ready = [one["filtered"] for one in times[1:]]
    findings.append(Finding(f"interactive with {options.rows} operator rows", "s", ready, high=PAGE_S))
    sides = {finding.what: (median(finding.samples), finding.unit) for finding in findings}
    for step in ("drawn", "sorted", "filtered"):
        sides[f"{step} after"] = (median([one[step] for one in times[1:]]), "s")
    return conclude(findings, sides, options.json)


def _timed(runs: Path, page: Path) -> Callable[[], float]:
    command = [sys.executable, "-c", _COMMAND, "report", "latest", f"--dir={runs}", "-o", str(page)]

    def once() -> float:
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        spent = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"perfsuite {' '.join(command[3:])}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return spent

    return once


def _large_page(folder: Path, rows: int) -> Path:
    from perfsuite.analyse.report import report
    from perfsuite.present.report.page import render_report

    path = folder / "large.html"
    path.write_text(render_report(report(large_run(rows))), encoding="utf-8")
    return path


def _interactive(page: Path, rounds: int) -> list[dict[str, float]]:
    """Seconds from the start of the navigation to each stage, a window each time.

    Raises:
        SystemExit: there is no browser, or the page did not answer as it should.
    """
    try:
        with started_browser() as browser:
            return [_once(browser, page) for _ in range(rounds)]
    except NoBrowserError as error:
        sys.exit(f"not measured: {error}")


def _once(browser: Browser, page: Path) -> dict[str, float]:
    window = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        tab = window.new_page()
        tab.add_init_script(_INTERACTION)
        tab.goto(page.as_uri())
        times = tab.evaluate("interactive")
    finally:
        window.close()
    if times.pop("order") != "descending" or times.pop("found").startswith("0 of"):
        sys.exit(f"{page}: a click and a text were not answered by a sorted and filtered table")
    return {stage: milliseconds / 1e3 for stage, milliseconds in times.items()}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, help="folder whose latest run has RetinaNet (default: record it)")
    parser.add_argument("--scale", choices=SCALES, default="standard")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
