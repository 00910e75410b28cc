"""Releases held against each other, as tables in Markdown: what is not sure is not called a change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfsuite.history.comparison import LEAST, Comparison, Pair, Part, Parts, Row, Tally, is_sure
from perfsuite.history.model import Change, Commit
from perfsuite.history.names import OTHER
from perfsuite.history.values import SINGLE, UNITS
from perfsuite.present.cells import MISSING, format_bytes
from perfsuite.present.gfm import code, prose, table
from perfsuite.present.history import words
from perfsuite.present.phrases import MINUS, counted
from perfsuite.records import Environment

#: Measure → what people call it.
_CALLED = {
    "step": "step",
    "peak_rss": "peak memory",
    "reorders": "reorders in a step",
    "focal_loss": "focal loss, forward and backward",
}
#: Operators of a step that are listed.
_PARTS = 8


def render_machine(found: Comparison) -> str:
    """On what it was measured, and what was installed; one line and a table."""
    machines = dict.fromkeys(_machine(one) for one in found.environments if one is not None)
    lines = [f"Measured on {prose('; '.join(machines))}, called {code(found.machine)} in the history.", ""]
    named = ("release", "torch", "the extension", "oneDNN")
    head = [*((name, "left") for name in named), ("processes", "right")]
    rows = [
        [code(commit.label), *_software(environment), str(count)]
        for commit, environment, count in zip(found.commits, found.environments, found.processes, strict=True)
    ]
    return _text([*lines, *table(head, rows)])


def render_times(found: Comparison) -> str:
    """The steps, the kernels and the peak memory: what was found pair by pair, the changes, and the values."""
    lines = [f"- {_tally(one)}" for one in found.tally()]
    lines += ["", *table([("", "left"), *_heads(map(_pair, found.pairs))], [_changes(one) for one in found.times])]
    lines += ["", f"All intervals hold at once with {found.confidence:.0%}. The values behind them:", ""]
    return _text([*lines, *_levels(found.commits, found.times)])


def render_counts(found: Comparison) -> str:
    """What is counted, by release."""
    return _text(_levels(found.commits, found.counts))


def render_parts(found: Comparison) -> str:
    """The operators of each step that surely changed."""
    lines: list[str] = []
    for pair in found.pairs:
        several = [one for one in found.parts if (one.step.before, one.step.at) == pair]
        lines += [f"**{_pair(pair)}**", ""]
        if not several:
            lines += ["No step surely changed.", ""]
        for one in several:
            lines += [f"{code(one.workload)}, whose step took {words.change(one.step)}:", "", *_parts(one), ""]
    return _text(lines)


# --- pieces -------------------------------------------------------------------------------------------


def _machine(environment: Environment) -> str:
    threads = counted(environment.torch_threads, "thread") if environment.torch_threads is not None else None
    parts = [
        environment.cpu_model or "a processor without a name",
        f"{environment.usable_cpus} of {environment.logical_cpus} CPUs",
        threads,
        format_bytes(environment.ram_bytes),
        environment.kernel,
        environment.allocator,
        environment.python,
    ]
    return ", ".join(part for part in parts if part)


def _software(environment: Environment | None) -> list[str]:
    if environment is None:
        return [MISSING] * 3
    copies = ", ".join(copy.get("version", MISSING) for copy in environment.onednn)
    return [code(one) if one else MISSING for one in (environment.torch, environment.ipex, copies)]


def _tally(one: Tally) -> str:
    parts = (
        (one.slower, "surely slower"),
        (one.faster, "surely faster"),
        (one.undecided, "not told apart"),
        (one.left, "not compared"),
    )
    said = ", ".join(f"{count} {what}" for count, what in parts if count)
    total = counted(one.slower + one.faster + one.undecided + one.left, "step")
    return f"{_pair((one.before, one.at))}: of {total} {said or 'none was measured'}"


def _changes(row: Row) -> list[str]:
    return [_line(row), *map(_cell, row.changes)]


def _cell(change: Change | None) -> str:
    if change is None:
        return "not compared"
    return f"**{words.change(change)}**" if is_sure(change) else f"not sure ({words.interval(change)})"


def _levels(commits: Sequence[Commit], rows: Sequence[Row]) -> list[str]:
    head = [("", "left"), *_heads(code(one.label) for one in commits)]
    return table(head, [[_line(row), *(words.amount(level, row.unit) for level in row.levels)] for row in rows])


def _parts(found: Parts) -> list[str]:
    if not found.parts:
        return [f"No operator surely changed by {LEAST:.0%} of the step: it is spread over many, or outside of them."]
    before, at = (code(one.label) for one in (found.step.before, found.step.at))
    head = [("operator", "left"), *_heads((before, at, "longer by", "that is"))]
    rows = [_part(one) for one in found.parts[:_PARTS]]
    left = len(found.parts) - _PARTS
    return [*table(head, rows), *(["", f"And {counted(left, 'more operator')}."] if left > 0 else [])]


def _part(one: Part) -> list[str]:
    unit = UNITS["operator"]
    name = "all others" if one.name == OTHER else code(one.name)
    change = words.change(one.change) if one.change is not None else "on one side only"
    longer = ("+" if one.delta > 0 else "") + words.amount(one.delta, unit).replace("-", MINUS)
    return [name, words.amount(one.before, unit), words.amount(one.at, unit), longer, change]


def _heads(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, "right") for name in names]


def _line(row: Row) -> str:
    name = _CALLED.get(row.measure, row.measure)
    return name if row.workload in SINGLE.values() else f"{name} of {code(row.workload)}"


def _pair(pair: Pair) -> str:
    return f"{code(pair[0].label)} → {code(pair[1].label)}"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"
