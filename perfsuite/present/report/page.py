"""A report as one HTML page.

The templates take the record as it is; every value that they show goes through :func:`_shown`, so that no text from a
log can harm the page, whoever forgets to think of it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from itertools import islice
from typing import Any

import jinja2
from markupsafe import Markup

from perfsuite import __version__
from perfsuite.analyse.report import Report
from perfsuite.analyse.tables import short_direction
from perfsuite.present import cells, phrases
from perfsuite.present.report.data import as_script, bound_of, page_data, written_dtypes
from perfsuite.present.report.drawings import draw
from perfsuite.present.report.facts import environment_facts, pass_facts
from perfsuite.present.report.theme import theme_css
from perfsuite.present.roofline import format_rate

#: In this order: later ones use earlier ones.
SCRIPTS = ("format.js", "rows.js", "table.js", "icicle.js", "tips.js", "main.js")
#: Rows of a table that stand in the page itself; scripts show the rest.
ROWS = 30
_SPACE = "\N{NO-BREAK SPACE}"


def render_report(report: Report) -> str:
    """The page; it can be encoded as UTF-8 whatever the names in the run are made of."""
    workloads = [
        {"id": f"w{index}", "it": one, "drawings": draw(one, f"w{index}")} for index, one in enumerate(report.workloads)
    ]
    page = _templates().get_template("page.html.j2")
    return page.render(
        report=report,
        workloads=workloads,
        data=as_script(page_data(report)),
        styles=Markup(theme_css() + _static("report.css")),
        scripts=[Markup(_static(f"static/{name}")) for name in SCRIPTS],
        version=__version__,
    )


def _static(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("perfsuite.present.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ns=lambda value, digits=3: _fixed(cells.format_ns(value, digits)),
        bytes=lambda value: _fixed(cells.format_bytes(value)),
        share=lambda value, sign="": cells.format_share(value, sign),
        count=cells.format_count,
        rate=format_rate,
        shapes=cells.format_shapes,
        dtypes=written_dtypes,
        signed=lambda value: _fixed(phrases.signed(value)),
        factor=phrases.factor,
        bound=bound_of,
        part=_part,
        direction=short_direction,
        plain_ns=cells.format_ns,
        amount=_amount,
        grouped=_grouped,
        first_rows=lambda rows, most: list(islice(rows, most)),
        before_colon=lambda text: text.partition(": ")[0],
    )
    environment.globals.update(
        phrases=phrases,
        environment_facts=environment_facts,
        pass_facts=pass_facts,
        ROWS=ROWS,
    )
    return environment


def _shown(value: Any) -> Any:
    """What a template shows of a value: nothing for None, of a text no character that could act."""
    if value is None:
        return cells.MISSING
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        # clean() would also take the no-break spaces of our own for what they are; it does not.
        return cells.clean(value)
    return value


def _fixed(text: str) -> str:
    """A number that is not torn from its unit."""
    return text.replace(" ", _SPACE)


def _part(share: float | None) -> str:
    """A share as the length of a bar."""
    return f"{min(max(share or 0.0, 0.0), 1.0) * 100:.2f}%"


def _amount(value: float | None, what: str) -> str:
    """A total of the census: bytes as such, everything else as a count."""
    return _fixed(cells.format_bytes(value)) if "bytes" in what else _grouped(value)


def _grouped(count: float | None) -> str:
    """A count with its thousands apart: ``10 880``."""
    if count is None or count != round(count):
        return cells.format_count(count)
    return f"{count:,.0f}".replace(",", _SPACE)
