"""A report as one HTML page.

The templates take the record as it is; every value that they show goes through :func:`_shown`, so that no text from a
log can harm the page, whoever forgets to think of it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import islice
from typing import Any

import jinja2
from markupsafe import Markup, escape

from perfsuite import __version__
from perfsuite.analyse.diff import MATERIAL
from perfsuite.analyse.kernel import kernel_change
from perfsuite.analyse.report import Report
from perfsuite.analyse.tables import short_direction
from perfsuite.errors import RenderError
from perfsuite.gate.model import GateResult
from perfsuite.present import cells, phrases
from perfsuite.present.gate import words
from perfsuite.present.report.data import as_script, page_data, written_dtypes
from perfsuite.present.report.drawings import draw
from perfsuite.present.report.facts import environment_facts, pass_facts
from perfsuite.present.report.theme import theme_css
from perfsuite.present.roofline import format_rate
from perfsuite.records import Environment
from perfsuite.stats import MEDIAN_INTERVAL_SAMPLES
from perfsuite.units import format_grouped

#: In this order: later ones use earlier ones.
SCRIPTS = ("format.js", "rows.js", "modules.js", "table.js", "icicle.js", "tips.js", "main.js")
#: Rows of a table that stand in the page itself and on paper; scripts show the rest.  They are told by ``data-rows``.
ROWS = 30
#: Rows of the ledger that a comparison lists.
CHANGES = 15
#: What templates and Matplotlib raise where a value is none that they can show; anything else is a mistake of ours.
FAILURES = (jinja2.TemplateError, ArithmeticError, ValueError)
_SPACE = "\N{NO-BREAK SPACE}"


def render_report(report: Report, gate: GateResult | None = None) -> str:
    """The page; it can be encoded as UTF-8 whatever the names in the run are made of.

    Args:
        gate: what the gate says of the benchmarks, some or all of which are the report's workloads; it comes first.

    Raises:
        RenderError: a figure cannot be drawn, or a template cannot show a value.
    """
    try:
        return _rendered(report, gate)
    except FAILURES as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise RenderError(
            f"run {cells.clean(report.run.id)} cannot be made into a page ({cells.clean(what)[:300]}); "
            "the run is whole, perfsuite show reads it, and this is worth a bug report"
        ) from error


def _rendered(report: Report, gate: GateResult | None) -> str:
    workloads = [
        {"id": f"w{index}", "it": one, "drawings": draw(one, f"w{index}")} for index, one in enumerate(report.workloads)
    ]
    script = "\n".join(_static(f"static/{name}") for name in SCRIPTS)
    page = templates().get_template("page.html.j2")
    return page.render(
        report=report,
        workloads=workloads,
        gate=gate,
        judged={one.name: one for one in gate.benchmarks} if gate is not None else {},
        # Workers that never started have none to tell of.
        environment=report.run.environment if gate is None or any(_environments(gate)) else None,
        environments_known=gate is None or all(_environments(gate)),
        data=as_script(page_data(report)),
        styles=Markup(theme_css() + _static("report.css")),
        script=Markup(script),
        script_hash=_hash(script),
        version=__version__,
    )


def _environments(gate: GateResult) -> tuple[Environment | None, Environment | None]:
    return gate.base.environment, gate.head.environment


def _hash(script: str) -> str:
    """A script as ``script-src`` of a Content-Security-Policy names it, so that no other one runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _static(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def templates() -> jinja2.Environment:
    """The report's templates, with the filters and functions that a page shows values by; other pages overlay it."""
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
        part=_part,
        direction=short_direction,
        plain_ns=cells.format_ns,
        amount=_amount,
        grouped=_grouped,
        first_rows=lambda rows, most: list(islice(rows, most)),
        before_colon=lambda text: text.partition(": ")[0],
        sentence=_sentence,
        unsaid=_unsaid,
        coded=_coded,
    )
    environment.globals.update(
        phrases=phrases,
        words=words,
        environment_facts=environment_facts,
        pass_facts=pass_facts,
        rough_sentences=phrases.rough_sentences,
        CHANGES=CHANGES,
        MATERIAL=MATERIAL,
        kernel_change=kernel_change,
        MEDIAN_INTERVAL_SAMPLES=MEDIAN_INTERVAL_SAMPLES,
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


def _sentence(text: str) -> str:
    """With a capital at the beginning: rules and notes speak in half sentences, as a terminal does.

    Only an ordinary word gets one; what has a dot, a bracket, a digit or a backtick in it is a name or code.
    """
    first, _, rest = text.partition(" ")
    return text[:1].upper() + text[1:] if rest and first.rstrip(",:").isalpha() and first.islower() else text


def _unsaid(notes: Sequence[str], said: Sequence[str]) -> list[str]:
    """The notes that are not among those said elsewhere, there perhaps as half sentences."""
    known = {note.rstrip(".").casefold() for note in said}
    return [note for note in notes if note.rstrip(".").casefold() not in known]


def _coded(text: str) -> Markup:
    """Text in which backticks mark code, as in Markdown; one that is left over is a character like any other."""
    parts = phrases.parted(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if code else escape(part) for code, part in parts)


def _part(share: float | None) -> str:
    """A share as the length of a bar."""
    return f"{min(max(share or 0.0, 0.0), 1.0) * 100:.2f}%"


def _amount(value: float | None, what: str) -> str:
    """A total of the census: bytes as such, everything else as a count."""
    return _fixed(cells.format_bytes(value)) if "bytes" in what else _grouped(value)


def _grouped(count: float | None) -> str:
    """A count with its thousands apart: ``10 880``; a mean over steps that differed keeps its fraction."""
    return cells.format_count(count) if count is None or count != round(count) else format_grouped(count)
