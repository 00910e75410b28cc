"""The pages of a history: what changed and why, and every line of it.

They need no script and load nothing; the templates share their filters and pieces with the report's
(:mod:`perfsuite.present.report.page`), so that a value is shown, and made harmless, in one way everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from perfsuite import __version__
from perfsuite.errors import RenderError
from perfsuite.history.explain import Explanation
from perfsuite.history.figure import SeriesFigure, series_figure
from perfsuite.history.marks import Mark
from perfsuite.history.model import Change, Series
from perfsuite.history.site import Site
from perfsuite.present.cells import clean
from perfsuite.present.history import words
from perfsuite.present.history.drawings import series_drawing, stack_drawing
from perfsuite.present.history.spark import sparkline
from perfsuite.present.report.page import FAILURES, templates
from perfsuite.present.report.theme import theme_css
from perfsuite.store.files import write_text

_HERE, _REPORT = "perfsuite.present.history", "perfsuite.present.report"
#: Rows of a table of contributors, of changes of a finding, of census entries, and of anything else; facts of an
#: environment in a line.
CONTRIBUTORS, CHANGES, CENSUS, ROWS, FACTS = 8, 12, 10, 200, 4


def render_operators(site: Site) -> str:
    """The page that asv's navigation leads to; addresses in it are relative to a folder beside asv's page.

    Raises:
        RenderError: a figure cannot be drawn, or a template cannot show a value.
    """
    told = [
        (one, None if one.figure is None else series_drawing(one.figure, f"f{index}"))
        for index, one in enumerate(site.findings)
    ]
    stacks = [(one, stack_drawing(one, f"s{index}")) for index, one in enumerate(site.stacks)]
    return _rendered("operators.html.j2", site=site, told=told, stacks=stacks)


def render_commits(site: Site) -> str:
    """The page of each recorded commit beside the one before it, whether anything was found there or not.

    Raises:
        RenderError: a template cannot show a value.
    """
    return _rendered("commits.html.j2", site=site)


def render_gallery(figures: Sequence[SeriesFigure], project: str, site: Site | None = None) -> str:
    """Every line as small as a word, in the order given.

    Args:
        site: what it is a part of, for links to the other pages; None for a page that stands alone.

    Raises:
        RenderError: a template cannot show a value.
    """
    return _rendered("gallery.html.j2", figures=figures, project=project, site=site)


def draw_gallery(
    series: Sequence[Series],
    changes: Sequence[Change],
    marks: Sequence[Mark],
    path: Path,
    *,
    project: str = "history",
    explanations: Sequence[Explanation] = (),
) -> None:
    """Write a page with every line, that needs nothing else; those that changed come first.

    Raises:
        RenderError: a template cannot show a value.
        StoreError: the file cannot be written.
    """
    figures = [series_figure(one, changes, marks, explanations) for one in series]
    write_text(path, render_gallery(sorted(figures, key=lambda one: not one.turns), project))


def _rendered(name: str, **values: Any) -> str:
    try:
        return (
            _environment()
            .get_template(name)
            .render(
                styles=Markup(theme_css() + _file(_REPORT, "report.css") + _file(_HERE, "history.css")),
                version=__version__,
                say=words,
                sparkline=sparkline,
                CONTRIBUTORS=CONTRIBUTORS,
                CHANGES=CHANGES,
                CENSUS=CENSUS,
                ROWS=ROWS,
                FACTS=FACTS,
                **values,
            )
        )
    except FAILURES as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise RenderError(
            f"the history cannot be made into a page ({clean(what)[:300]}); nothing that was measured is lost, and "
            "this is worth a bug report"
        ) from error


def _file(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return templates().overlay(loader=jinja2.ChoiceLoader([jinja2.PackageLoader(_HERE), jinja2.PackageLoader(_REPORT)]))
