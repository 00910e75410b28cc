"""A gate's result as text for a terminal or a pipe."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from perfsuite.analyse.diff import Delta
from perfsuite.gate.model import Attribution, BenchmarkResult, CensusVerdict, GateResult
from perfsuite.present.cells import MISSING, clean
from perfsuite.present.diff import row_lines
from perfsuite.present.gate import words
from perfsuite.present.layout import MIN_WIDTH, Column, hanging, section, taken_by, to_text
from perfsuite.present.phrases import counted, delta_share, signed

_STYLES = {"regressed": "bold red", "incomparable": "bold yellow", "missing": "bold yellow", "inconclusive": "yellow"}

#: Cells that a name needs to be told from others.
_NAME = 14


def render_gate(result: GateResult, top: int, width: int, color: bool, *, code: int | None = None) -> str:
    """Which code ran on each side, a line for each benchmark, what stands behind those that changed, and the verdict.

    Args:
        top: how many rows, and how many failures of the census, to show of each benchmark.
        code: what the command exits with; by default as if inconclusive does not pass.
    """
    width = max(width, MIN_WIDTH)
    parts: list[RenderableType] = [*_header(result, width)]
    if result.identical:
        parts += [Text(), *hanging(f"{words.IDENTICAL[0].upper()}{words.IDENTICAL[1:]}.", width)]
    if result.benchmarks:
        parts += _table(result.benchmarks, width)
    for one in words.worst_first(result):
        if words.remarkable(one):
            parts += [Text(), *_benchmark(one, top, width)]
    if result.unfinished:
        parts += [Text(), *_hung((f"{words.UNFINISHED}: {clean(name)}" for name in result.unfinished), width)]
    verdict = words.overall(result)
    passes = verdict is not None or not result.stopped
    style = _STYLES.get(verdict or "", "bold green" if passes else "bold yellow")
    parts += [Text(), *_hung([words.tally(result)], width)]
    parts += _hung([f"{words.headline(result)}, {words.exit_meaning(result, code)}"], width, style)
    return to_text(parts, width, color)


def _header(result: GateResult, width: int) -> Iterator[RenderableType]:
    for name, one in (("base", result.base), ("head", result.head)):
        code = words.code_of(one)
        yield from _hung([f"{name} {clean(one.spec)}{f': {clean(code)}' if code else ''}"], width, "bold")
    lines = [f"differs: {clean(f'{key} {base} → {head}')}" for key, base, head in words.differing(result)]
    if both := words.shared(result):
        lines.append(f"both: {clean(', '.join(both))}")
    lines.append(f"threshold {words.per_cent(result.threshold)}")
    if result.settings_file is not None:
        lines.append(f"configured by {clean(result.settings_file)}")
    if result.settings:
        lines.append(f"settings: {clean(', '.join(result.settings))}")
    yield from _hung([*lines, *(f"note: {clean(note)}" for note in result.notes)], width)


def _hung(lines: Iterable[str], width: int, style: str = "") -> list[RenderableType]:
    parts = [part for line in lines for part in hanging(line, width)]
    for part in parts:
        if style and isinstance(part, Text):
            part.stylize(style)
    return parts


# --- all benchmarks ---------------------------------------------------------------------------------


def _table(benchmarks: Sequence[BenchmarkResult], width: int) -> list[RenderableType]:
    verdicts = Column("Verdict", "number", [words.verdict(one) for one in benchmarks])
    changes = Column("Change", "number", [words.change(one.judgement) for one in benchmarks])
    pairs = Column("Process pairs", "number", [words.pairs(one) for one in benchmarks])
    seconds = Column("Time", "number", [words.seconds(one.seconds) for one in benchmarks])
    numbers = [verdicts, changes, pairs, seconds]
    if any(one.failed_census or (one.verdict is None and one.census is not None) for one in benchmarks):
        numbers.append(Column("Census", "number", [words.census(one) for one in benchmarks]))
    # Of a test id the end says which one it is.
    names = Column("Benchmark", "path", [clean(one.name) for one in benchmarks])
    # On a narrow line what it took is left out, the time first and the census last.
    for column in (seconds, pairs, numbers[-1]):
        if width - taken_by(numbers) < _NAME and column in numbers:
            numbers.remove(column)
    caption = "Change of the step, its interval, and what it took to find out"
    return section(caption, [*numbers, names], width)


# --- one of them ------------------------------------------------------------------------------------


def _benchmark(one: BenchmarkResult, top: int, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(clean(one.name), "bold", overflow="fold")]
    parts += _hung(map(clean, words.lines(one)), width)
    if one.attribution is not None and one.attribution.rows:
        parts += _attribution(one.attribution, top, width)
    if one.census is not None:
        parts += _census(one.census, top, width)
    return [*parts, *_hung((f"note: {clean(note)}" for note in words.remarks(one)), width)]


def _attribution(found: Attribution, top: int, width: int) -> list[RenderableType]:
    every = found.rows[: found.sure] or found.rows
    rows = every[:top]
    numbers = [
        Column("Change", "number", [signed(row.delta_ns) for row in rows]),
        Column("Interval", "number", [_interval(row) for row in rows]),
        Column("Of step", "number", [delta_share(row) for row in rows]),
    ]
    room = width - taken_by(numbers)
    cells = [row_lines(row, room) for row in rows]
    more = f" (top {len(rows)})" if len(rows) < len(every) else ""
    caption = f"{words.explained(found)}{more}: self time by step"
    parts = section(caption, [*numbers, Column("Row, where, and what the census saw", "stack", cells)], width)
    return [*parts, *_commands(words.RUN_CULPRIT, found.benchdnn, width)]


def _interval(row: Delta) -> str:
    return MISSING if row.interval is None else " to ".join(signed(end) for end in row.interval)


def _census(found: CensusVerdict, top: int, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for failure in found.failures[:top]:
        parts += _hung([f"census fails, {clean(failure.rule)}: {clean(failure.text)}"], width, "red")
        parts += _commands(words.RUN_FAILURE, failure.benchdnn, width)
    if len(found.failures) > top:
        parts += _hung([f"and {counted(len(found.failures) - top, 'more failure')} of the census"], width)
    return parts


def _commands(what: str, commands: Sequence[str], width: int) -> list[RenderableType]:
    if not commands:
        return []
    lines = [line for command in commands for line in shell_lines(clean(command), width)]
    return [*_hung([f"{what}:"], width), *(Text(line, overflow="fold") for line in lines)]


def shell_lines(command: str, width: int) -> list[str]:
    """A command in lines that a shell reads as one: a backslash ends each but the last.

    Only a word that is longer than ``width`` cells, or a quotation that does not end, makes a line longer.
    """
    try:
        words_of_it = [shlex.quote(word) for word in shlex.split(command)]
    except ValueError:
        return [command]
    lines = [""]
    for word in words_of_it:
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width - 2:
            lines[-1] += " \\"
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
