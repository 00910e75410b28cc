"""Photographs the beginning of a report for the README: ``python docs/screenshot.py [RUN] --dir DIR --workload NAME``.

Writes ``docs/images/report-light.png`` and ``report-dark.png``, in the browser that the tests use.  The README says
that it shows the RetinaNet of ``make figures``: ``python docs/figures.py --keep DIR`` leaves that recording in DIR.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.browser import NoBrowserError, started_browser
from perfsuite.analyse.report import report
from perfsuite.cli.choose import chosen
from perfsuite.errors import PerfsuiteError
from perfsuite.present.report import render_report
from perfsuite.store import load_run, resolve_run
from perfsuite.store.ceilings import ceilings_of

IMAGES = Path(__file__).parent / "images"
#: In pixels: the median step and two findings fit in.
WIDTH, HEIGHT = 1180, 1320


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both pictures and say where they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", nargs="?", default="latest", help="a path, an id, the beginning of one, or latest")
    parser.add_argument("--dir", type=Path, default=Path(".perfsuite"), help="folder of the runs (default: .perfsuite)")
    parser.add_argument("--workload", metavar="NAME", help="only this one of the run's workloads")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            page = Path(scratch) / "report.html"
            page.write_text(_page(options.run, options.dir, options.workload), encoding="utf-8")
            _photograph(page)
    except (PerfsuiteError, NoBrowserError) as error:
        print(f"screenshot: error: {error}", file=sys.stderr)
        return 1
    return 0


def _page(spec: str, directory: Path, workload: str | None) -> str:
    run = load_run(resolve_run(spec, directory))
    ceilings, why = ceilings_of(run, directory)
    return render_report(report(run, profiles=chosen(run, workload), ceilings=ceilings, no_ceilings=why))


def _photograph(page: Path) -> None:
    with started_browser() as browser:
        for scheme in ("light", "dark"):
            window = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            tab = window.new_page()
            tab.goto(page.as_uri())
            tab.wait_for_selector(".icicle svg [data-node]")
            path = IMAGES / f"report-{scheme}.png"
            tab.screenshot(path=path)
            window.close()
            print(path)


if __name__ == "__main__":
    sys.exit(main())
