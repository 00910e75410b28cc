"""``perfsuite report``: a run as one page, or as a comment."""

from __future__ import annotations

import re
from pathlib import Path

import click

from perfsuite.cli.choose import chosen, load, load_base, problems_of
from perfsuite.cli.face import directory_option, main, target, write, write_document
from perfsuite.errors import PerfsuiteError, UsageError


@main.command(short_help="Write a run, or two compared, as one HTML page.")
@click.argument("run", default="latest")
@click.argument("base", required=False)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to, - for stdout.  By default perfsuite-RUN.html here, RUN being the run's id.",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@click.option("--workload", metavar="NAME", help="Only this workload: its name, or a part that only one has.")
@click.option("--markdown", is_flag=True, help="A summary for a pull request, to stdout unless -o says where.")
@click.option("--force", is_flag=True, help="Compare even what is not comparable; the report says so.")
@directory_option
def report(
    run: str,
    base: str | None,
    output: str | None,
    show: bool,
    workload: str | None,
    markdown: bool,
    force: bool,
    directory: Path,
) -> int:
    """Write a RUN as one HTML page that needs nothing else, compared with BASE if that is given.

    Both are paths, ids, beginnings of one, `latest` (the default of RUN) or `latest~N`, the run N before it.  A file
    that is there is replaced.  Exits with 2 if the runs are not comparable or a part of one cannot be read; what can
    is shown.
    """
    from perfsuite.analyse.report import report as look_at
    from perfsuite.present.libraries import libraries
    from perfsuite.store.ceilings import ceilings_of

    if show and (markdown or output == "-"):
        raise UsageError("--open shows the page, which is neither --markdown nor on stdout")
    path = target(output) if output not in (None, "-") else None
    loaded = load(run, directory)
    before = load_base(base, loaded, directory) if base is not None else None
    profiles = chosen(loaded, workload)
    if before is not None and not profiles:
        raise PerfsuiteError("; ".join(loaded.problems) or f"{loaded.id}: no workload was recorded in it")
    ceilings, why = ceilings_of(loaded, directory)
    found = look_at(loaded, before, profiles=profiles, ceilings=ceilings, no_ceilings=why, force=force)
    if markdown:
        from perfsuite.present.markdown import render_markdown

        _put(render_markdown(found), path)
        return problems_of(loaded, before)
    with libraries("a page"):
        from perfsuite.present.report import render_report

    if output is None:
        path = target(_name(loaded.id))
    _put(render_report(found), path)
    if show and path is not None:
        _open(path)
    return problems_of(loaded, before)


def _put(text: str, path: Path | None) -> None:
    """Write a document where it is wanted; without a path, to stdout."""
    if path is None:
        write_document(text)
    else:
        _save(path, text)


def _save(path: Path, text: str) -> None:
    from perfsuite.present.cells import format_bytes
    from perfsuite.store.files import write_text

    size = write_text(path, text)
    write(f"{path}: {format_bytes(size)}\n")


def _open(path: Path) -> None:
    """Show the page; where there is no browser that is said, and the page is there all the same.

    Raises:
        PerfsuiteError: there is no browser.
    """
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        raise PerfsuiteError(f"--open: no browser was found; open {path} yourself")


def _name(run: str) -> str:
    # An id is what the file says it is.
    return f"perfsuite-{re.sub(r'[^A-Za-z0-9._-]+', '-', run)[:100] or 'run'}.html"
