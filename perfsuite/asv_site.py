"""asv's plugin for the site: works offline, and has a page that says which operator a change is from."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from asv import util  # type: ignore[import-untyped, unused-ignore]
from asv.console import log  # type: ignore[import-untyped, unused-ignore]
from asv.publishing import OutputPublisher  # type: ignore[import-untyped, unused-ignore]

from perfsuite.errors import PerfsuiteError, StoreError

if TYPE_CHECKING:
    from perfsuite.history.explain import Explainer
    from perfsuite.history.model import Commit, Finding
    from perfsuite.history.reports import ReportPage
    from perfsuite.history.site import Jump, Site

#: Where perfsuite's pages are, beside asv's page.
FOLDER = "operators"
_SCRIPT = "perfsuite.js"


class Operators(OutputPublisher):  # type: ignore[misc]
    """perfsuite's pages, in asv's navigation."""

    name = FOLDER
    button_label = "Show operators"
    description = "Which operators a step is made of, commit by commit, and what explains each change"
    #: After asv's page of regressions, which ours is held against.
    order = 100

    @classmethod
    def publish(cls, conf: Any, repo: Any, benchmarks: Any, graphs: Any, revisions: Mapping[str, int]) -> None:
        """Write our pages and make asv's work offline; asv calls this when its own are written.

        Raises:
            asv.util.UserError: something is wrong that the user can mend; asv says it in one line and exits.
        """
        try:
            _publish(conf, benchmarks, revisions)
        except PerfsuiteError as error:
            raise util.UserError(str(error)) from error


def _publish(conf: Any, benchmarks: Mapping[str, Any], revisions: Mapping[str, int]) -> None:
    from perfsuite.history.explain import Explainer
    from perfsuite.history.judge import judge
    from perfsuite.history.neighbours import KeptPairs, neighbours
    from perfsuite.history.results import load_series
    from perfsuite.history.settings import parse_settings
    from perfsuite.history.shelf import Shelf
    from perfsuite.history.site import commits_of, site_of

    html = Path(conf.html_dir).absolute()
    # asv is in the folder of its configuration while it runs.
    settings = parse_settings(vars(conf), Path.cwd())
    _make_offline(html)
    series, notes = load_series(settings)
    explainer = Explainer(Shelf(settings.runs_dir))
    findings, more = judge(series, explainer.shelf)
    commits = commits_of(series)
    reports = _reports(commits, findings, explainer)
    pairs = KeptPairs(settings.runs_dir)
    compared = neighbours(commits, explainer, pairs, {page.commit.hash: page.name for page in reports})
    site = site_of(
        settings.project, series, findings, explainer, reports=tuple(reports), neighbours=compared,
        jumps=tuple(_jumps(html, revisions)), graphs=dict(_graphs(benchmarks)), notes=(*notes, *more),
    )  # fmt: skip
    _write(html, site)
    for page, text in reports.items():
        _put(html / FOLDER / "reports" / page.name, text)
    pairs.sweep()
    for line in site.notes:
        log.warning(line)


def _make_offline(html: Path) -> None:
    from importlib.resources import files

    from perfsuite.present.history.assets import copies, offline, with_operators

    index = html / "index.html"
    page = offline(_text(index))
    _put(index, with_operators(page, f"{FOLDER}/index.html", _SCRIPT))
    script = files("perfsuite.present.history").joinpath("static/asv.js")
    for name, content in (*copies(), (_SCRIPT, script.read_bytes())):
        _put(html / name, content)


def _write(html: Path, site: Site) -> None:
    from perfsuite.history.model import Night
    from perfsuite.present.history.badge import render_badge
    from perfsuite.present.history.page import render_commits, render_gallery, render_operators

    _put(html / FOLDER / "index.html", render_operators(site))
    _put(html / FOLDER / "commits.html", render_commits(site))
    _put(html / FOLDER / "gallery.html", render_gallery(site.gallery, site.project, site))
    findings = tuple(one.finding for one in site.findings)
    # Where nothing was measured nothing is known to be well.
    ended = "" if site.commits else None
    _put(html / "badge.svg", render_badge(Night("", ended, site.commits[-1:], findings=findings)))


def _reports(commits: Sequence[Commit], findings: Sequence[Finding], explainer: Explainer) -> dict[ReportPage, str]:
    """The reports of runs; one that a publication before has made of the same runs is taken again."""
    from perfsuite.history.kept import KeptPages
    from perfsuite.history.reports import made_of, report_of, report_pages
    from perfsuite.present.report import render_report

    kept = KeptPages(explainer.shelf.folder)
    found = {}
    for page in report_pages(commits, findings, explainer, kept):
        key = made_of(page, explainer)
        text = kept.find(key)
        if text is None:
            report = report_of(page, explainer)
            if report is None:  # None of its runs can be read.
                continue
            text = render_report(report)
            kept.keep(key, text)
        found[page] = text
    kept.sweep()
    return found


# --- what asv has written ---------------------------------------------------------------------------


def _jumps(html: Path, revisions: Mapping[str, int]) -> Iterator[Jump]:
    """asv's own regressions."""
    from perfsuite.history.site import Jump, label_of

    hashes = {revision: commit for commit, revision in revisions.items()}
    found = json.loads(_text(html / "regressions.json"))
    for entry, _, _, _, _, _, jumps in found["regressions"]:
        name, _, values = entry.partition("(")
        # asv joins the values of parameters with a comma, and closes with a bracket.
        parameters = values.removesuffix(")").split(", ") if values else []
        for before, at, old, new in jumps or ():
            yield Jump(label_of(name, parameters), hashes.get(before), hashes[at], old, new)


def _graphs(benchmarks: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of each line, the address of asv's graph of it, after ``index.html#``."""
    from perfsuite.history.site import label_of

    for name, one in benchmarks.items():
        for values in itertools.product(*one["params"]):
            chosen = (f"p-{quote(key)}={quote(value)}" for key, value in zip(one["param_names"], values, strict=True))
            yield label_of(name, values), f"{quote(name)}?{'&'.join(chosen)}"


# --- files ------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


def _put(path: Path, content: str | bytes) -> None:
    from perfsuite.store.files import write_bytes, write_text

    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        write_bytes(path, content)
    else:
        write_text(path, content)
