"""``perfsuite parse``: what a oneDNN verbose log says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perfsuite.cli.face import fail, main, screen, tell, write, write_on
from perfsuite.errors import PerfsuiteError, UsageError

if TYPE_CHECKING:
    from perfsuite.onednn import Tally

#: ``--strict``: something in the log could not be read.
_REJECTED = 2


@main.command(short_help="Show where the time in a oneDNN verbose log went.")
@click.argument("log")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Every execution as a row of CSV, in the log's order.")
@click.option("--by", metavar="COLUMNS", help="One table, grouped so: kind,direction,implementation,dtypes,…")
@click.option("--benchdnn", metavar="FILE", help="A benchdnn command line for each distinct problem; - for stdout.")
@click.option("--strict", is_flag=True, help="Exit with 2 if a record could not be read.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Rows in a table.")
def parse(
    log: str, as_json: bool, as_csv: bool, by: str | None, benchdnn: str | None, strict: bool, top: int
) -> int:  # fmt: skip
    """Show where the time in a oneDNN verbose LOG went: a file, gzip or not, or - for standard input.

    Exits with 0, also where the log holds no execution; with 2 if the log cannot be read, or with --strict if a
    record in it cannot.
    """
    from perfsuite.analyse.verbose_log import columns
    from perfsuite.present.cells import clean
    from perfsuite.present.verbose_log import cut_off, nothing_executed, some_rejected, unknown_formats

    if sum((as_json, as_csv, by is not None, benchdnn is not None)) > 1:
        raise UsageError("--json, --csv, --by and --benchdnn each choose the output: give one of them")
    named = columns(by) if by is not None else None
    if benchdnn is not None:
        _keep_the_log(log, benchdnn)
    tally = _read(log, as_csv)
    if as_json:
        from perfsuite.present.verbose_data import log_json

        write(json.dumps(log_json(tally), indent=1, allow_nan=False) + "\n")
    elif benchdnn is not None:
        _write_benchdnn(tally, benchdnn)
    elif not as_csv:
        write(_as_text(tally, named, top))
    if not (tally.executions or tally.graph_executions or tally.rejected):
        tell(f"perfsuite: {nothing_executed(log)}")
    if tally.unterminated:
        tell(f"perfsuite: warning: {cut_off(log)}")
    if tally.unknown_formats:
        tell(f"perfsuite: warning: {clean(log)}: {unknown_formats(tally)}")
    if tally.rejected and strict:
        return fail(some_rejected(log, tally), _REJECTED)
    if tally.rejected:
        tell(f"perfsuite: warning: {some_rejected(log, tally)}")
    return 0


def _read(log: str, as_csv: bool) -> Tally:
    from perfsuite.onednn import open_log, tally
    from perfsuite.present.verbose_data import CsvWriter

    rows = CsvWriter(write_on) if as_csv else None
    with open_log("-" if log == "-" else Path(log)) as stream:
        counted = tally(stream, rows)
    if rows is not None:
        rows.finish()
    return counted


def _as_text(tally: Tally, by: tuple[str, ...] | None, top: int) -> str:
    from perfsuite.present.verbose_log import render_log, render_log_by

    shown = screen()
    if by is None:
        return render_log(tally, top=top, **shown)
    return render_log_by(tally, by, top=top, **shown)


def _write_benchdnn(tally: Tally, file: str) -> None:
    from perfsuite.benchdnn import problems
    from perfsuite.present.verbose_data import benchdnn_file

    found = problems(tally.primitives)
    text = benchdnn_file(found)
    if file == "-":
        write(text)
    else:
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise PerfsuiteError(f"{file}: cannot be written: {error.strerror}") from error
        count = sum(problem.command is not None for problem in found)
        write(f"{count} problem{'' if count == 1 else 's'} in {file}\n")
    missing = [problem for problem in found if problem.command is None]
    if missing:
        calls = sum(problem.count for problem in missing)
        tell(
            f"perfsuite: warning: {len(missing)} of {len(found)} problems ({calls} executions) have no benchdnn line; "
            "each is a comment with its reason"
        )


def _keep_the_log(log: str, file: str) -> None:
    both = Path(log), Path(file)
    if "-" not in (log, file) and all(path.exists() for path in both) and both[0].samefile(both[1]):
        raise UsageError(f"{file} is the log itself: name another file for --benchdnn")
