"""A oneDNN log as JSON, as CSV and as a file of benchdnn problems."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from perfsuite.analyse.verbose_log import GRAPH_COLUMNS, group, group_graphs
from perfsuite.benchdnn import Problem
from perfsuite.onednn import Execution, Tally
from perfsuite.present.cells import clean

FORMAT = 1
_PRIMITIVE = ("kind", "implementation", "direction", "dtypes", "layouts", "attributes", "algorithm", "problem")
CSV_COLUMNS = (*_PRIMITIVE, "engine", "descriptors", "start_ns", "time_ms")
_TEXTS = attrgetter(*CSV_COLUMNS[:-2])
#: Rows that are written at once.
_ROWS = 1000


def log_json(tally: Tally) -> dict[str, Any]:
    """``perfsuite parse --json``: rows are distinct in their texts, most time first."""
    return {
        "format": FORMAT,
        "primitives": [
            {**dict(zip(_PRIMITIVE, row.key, strict=True)), "count": row.count, "time_ms": row.time_ms}
            for row in group(tally.primitives, _PRIMITIVE)
        ],
        "graphs": [
            {**dict(zip(GRAPH_COLUMNS, row.key, strict=True)), "count": row.count, "time_ms": row.time_ms}
            for row in group_graphs(tally.graphs)
        ],
        "totals": {
            "lines": tally.lines,
            "executions": tally.executions,
            "time_ms": tally.time_ms,
            "recovered": tally.recovered,
            "rejected": tally.rejected,
            "graph_executions": tally.graph_executions,
            "graph_time_ms": tally.graph_time_ms,
            "unterminated": tally.unterminated,
            "unknown_formats": dict(tally.unknown_formats),
        },
        "rejects": [{"line": reject.line, "reason": reject.reason} for reject in tally.rejects],
        "ignored": dict(sorted(tally.ignored.items())),
        "onednn": [dict(copy) for copy in tally.copies],
    }


class CsvWriter:
    """``perfsuite parse --csv``: a header, then a row for each execution that it is called with, in their order."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._text = io.StringIO()
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow(CSV_COLUMNS)
        self._waiting = 0

    def __call__(self, execution: Execution) -> None:
        """Add a row; a thousand are written at once."""
        start = "" if execution.start_ns is None else execution.start_ns
        self._csv.writerow((*_TEXTS(execution), start, execution.time_ns / 1e6))
        self._waiting += 1
        if self._waiting == _ROWS:
            self.finish()

    def finish(self) -> None:
        """Write what is waiting."""
        self._write(self._text.getvalue())
        self._text.seek(0)
        self._text.truncate()
        self._waiting = 0


def benchdnn_file(problems: Sequence[Problem]) -> str:
    """One line a problem: what follows the word ``benchdnn``.  The lines above it, behind a ``#``, are comments."""
    return "".join(map(_problem, problems))


def _problem(problem: Problem) -> str:
    calls = "1 call" if problem.count == 1 else f"{problem.count} calls"
    names = ", ".join(filter(None, problem.implementations))
    about = f"# {calls}, {problem.time_ms:g} ms in the log{f': {names}' if names else ''}"
    if problem.command is None:
        what = f"{problem.kind} {problem.problem}".strip()
        return f"{clean(about)}\n# not written, {clean(problem.reason or '')}: {clean(what)}\n"
    notes = "".join(f"# {clean(note)}\n" for note in problem.notes)
    return f"{clean(about)}\n{notes}{problem.command}\n"
