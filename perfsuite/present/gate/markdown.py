"""A gate's result as a comment on a pull request: Markdown of GitHub, the verdict first, the rest folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.analyse.diff import Delta
from perfsuite.gate.model import BenchmarkResult, Failure, GateResult
from perfsuite.present.cells import MISSING
from perfsuite.present.gate import words
from perfsuite.present.gfm import code, details, html, prose, table
from perfsuite.present.phrases import because, counted, delta, delta_share, short, signed

#: An invisible line by which a workflow finds its comment again, to replace it instead of adding one for every push.
MARKER = "<!-- perfsuite gate -->"
#: What GitHub takes as the body of a comment; in bytes of UTF-8, which no way of counting exceeds.
LIMIT = 65_536
_SENTENCE = 300
_COMMAND = 1000


@dataclass(frozen=True)
class _Room:
    """How much is shown: benchmarks in the table, those with details, and lines of each kind in these."""

    benchmarks: int
    detailed: int
    lines: int


#: The first that fits is taken; the last one does whatever the names are made of.
_ROOMS = (_Room(100, 20, 5), _Room(60, 8, 3), _Room(30, 2, 2), _Room(10, 0, 0))


def render_gate_markdown(result: GateResult) -> str:
    """The verdict, a table of the benchmarks, the worst first, and below it what a click unfolds.

    It stays below :data:`LIMIT` whatever the result holds: what does not fit is counted in a sentence.
    """
    texts = (_rendered(result, room) for room in _ROOMS)
    return next(text for text in texts if len(text.encode("utf-8", "replace")) <= LIMIT)


def _rendered(result: GateResult, room: _Room) -> str:
    ordered = words.worst_first(result)
    lines = [
        MARKER,
        f"### perfsuite gate: {words.headline(result)}",
        "",
        f"**{_capital(words.tally(result))}.** {_about(result)}",
    ]
    lines += _notes(result, room)
    if ordered:
        lines += ["", *_table(ordered[: room.benchmarks]), ""]
    if len(ordered) > room.benchmarks:
        left = counted(len(ordered) - room.benchmarks, "more benchmark")
        lines += [f"And {left}, none of them worse: the gate's log and `--json` have all.", ""]
    telling = [one for one in ordered if words.remarkable(one)]
    for one in telling[: room.detailed]:
        lines += [*details(_summary(one), _benchmark(one, room.lines)), ""]
    if len(telling) > room.detailed:
        lines += [f"Details of {counted(len(telling) - room.detailed, 'more benchmark')} are in the gate's log.", ""]
    return (
        "\n".join([*lines, *([] if lines[-1] == "" else [""]), *details("How this was obtained", _origin(result))])
        + "\n"
    )


# --- above the table --------------------------------------------------------------------------------


def _about(result: GateResult) -> str:
    sides = []
    for name, one in (("Base", result.base), ("head", result.head)):
        found = words.code_of(one)
        sides.append(f"{name} {code(short(one.spec))}{f' ({prose(found)})' if found else ''}")
    same = f" {_capital(words.IDENTICAL)}." if result.identical else ""
    return f"{', '.join(sides)}, threshold {words.per_cent(result.threshold)}.{same}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _notes(result: GateResult, room: _Room) -> list[str]:
    """A paragraph each: what the reader must know first."""
    lines = [f"Note: {_sentence(note)}" for note in result.notes[: room.lines]]
    left = len(result.notes) - room.lines
    lines += [f"The gate's log has {counted(left, 'more note')}"] if left > 0 else []
    changed = [_differing(*one) for one in words.differing(result)]
    lines += [f"Differs besides the code: {'; '.join(changed)}"] if changed else []
    if result.unfinished:
        lines.append(_unfinished(result.unfinished, room.lines))
    return [line for text in lines for line in ("", text)]


def _unfinished(names: Sequence[str], most: int) -> str:
    before = "The gate was stopped before"
    if not most:
        return f"{before} {counted(len(names), 'benchmark')} had a verdict"
    shown = ", ".join(code(short(name)) for name in names[:most])
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f"{before} these had a verdict: {shown}{more}"


def _differing(name: str, base: str, head: str) -> str:
    sides = (MISSING if value == MISSING else code(short(value)) for value in (base, head))
    return f"{code(short(name))} {' → '.join(sides)}"


def _sentence(text: str) -> str:
    return prose(short(text, _SENTENCE))


# --- the table --------------------------------------------------------------------------------------


def _table(benchmarks: Sequence[BenchmarkResult]) -> list[str]:
    head = [("Benchmark", "left"), ("Verdict", "left"), ("Change", "right"), ("Process pairs", "right"),
            ("Time", "right"), ("Census", "left"), ("Likeliest culprit", "left")]  # fmt: skip
    return table(head, [_cells(one) for one in benchmarks])


def _cells(one: BenchmarkResult) -> tuple[str, ...]:
    step, found = words.change(one.judgement), words.verdict(one)
    bad = one.verdict in ("regressed", "missing", "incomparable", "inconclusive")
    return (
        code(short(one.name)),
        f"**{found}**" if bad else found,
        step,
        words.pairs(one),
        words.seconds(one.seconds),
        f"**{words.census(one)}**" if one.failed_census else words.census(one),
        _culprit(one),
    )


def _culprit(one: BenchmarkResult) -> str:
    found = one.attribution
    return _row(found.rows[0]) if found is not None and found.sure and found.rows else MISSING


def _row(row: Delta) -> str:
    where = f", in {code(short(row.module))}" if row.module else ""
    sure = f", {signed(row.interval[0])} to {signed(row.interval[1])}" if row.interval is not None else ""
    return f"{signed(row.delta_ns)} ({delta_share(row)}{sure}): {code(delta(row))}{where}: {prose(because(row))}"


# --- details ----------------------------------------------------------------------------------------


def _summary(one: BenchmarkResult) -> str:
    failed = ", census fails" if one.failed_census else ""
    return f"{html(short(one.name))}: {words.verdict(one)}{failed}"


def _benchmark(one: BenchmarkResult, most: int) -> list[str]:
    lines = [f"- Verdict: {words.why(one)}", *(f"- Reason: {_sentence(text)}" for text in one.reasons[:most])]
    if one.attribution is not None and one.attribution.rows:
        lines += [f"- {words.explained(one.attribution)}, by step and as a share of base's profiled step"]
        lines += [f"  - {_row(row)}" for row in one.attribution.rows[: min(one.attribution.sure or most, most)]]
        lines += _commands(_capital(words.RUN_CULPRIT), one.attribution.benchdnn, most, "")
    failures = one.census.failures if one.census is not None else ()
    for failure in failures[:most]:
        lines += _failure(failure, most)
    if len(failures) > most:
        lines.append(f"- And {counted(len(failures) - most, 'more failure')} of the census")
    return [*lines, *(f"- Note: {_sentence(note)}" for note in words.remarks(one)[:most])]


def _failure(failure: Failure, most: int) -> list[str]:
    said = f"- Census fails, {prose(short(failure.rule))}: {_sentence(failure.text)}"
    return [said, *_commands(_capital(words.RUN_FAILURE), failure.benchdnn, most, "  ")]


def _commands(what: str, commands: Sequence[str], most: int, indent: str) -> list[str]:
    if not commands:
        return []
    return [f"{indent}- {what}:", *(f"{indent}  - {code(short(one, _COMMAND))}" for one in commands[:most])]


def _origin(result: GateResult) -> list[str]:
    settings = ", ".join(code(short(one)) for one in result.settings[:20])
    both = ", ".join(map(prose, (short(one) for one in words.shared(result))))
    lines = [f"- What it says: {words.METHOD}", "- The census counts what a profiled step runs; counts carry no noise"]
    lines += [f"- Both sides: {both}"] if both else []
    return [*lines, *([f"- Workers were started with {settings}"] if settings else [])]
