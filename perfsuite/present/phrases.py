"""What a summary says of a step, a row or a change, in a few words; every text is :func:`.cells.clean`."""

from __future__ import annotations

from perfsuite.analyse import tables
from perfsuite.analyse.diff import Delta, Entry, Wall
from perfsuite.analyse.diff.model import Value
from perfsuite.present.cells import MISSING, clean, format_ns, format_shapes, format_share, shorten_right
from perfsuite.records import Environment, Run

#: Nobody reads a longer name in a summary; the whole one is in the page and in ``perfsuite show``.
_LONGEST = 90


def short(text: str, width: int = _LONGEST) -> str:
    """The beginning of a text from a log, on one line."""
    # Cut before it is cleaned too: a text of a megabyte would take a second.
    return shorten_right(clean(text[: 4 * width]), width)


def counted(count: int, what: str) -> str:
    """``1 workload``, ``2 workloads``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def interval(step: tables.Headline) -> str:
    """``513.9 ms to 548.6 ms``."""
    return f"{format_ns(step.low_ns, 4)} to {format_ns(step.high_ns, 4)}"


def interval_kind(step: tables.Headline) -> str:
    """What :func:`interval` is: ``95% CI``, or the range where there are too few samples for one."""
    return f"{step.confidence * 100:.0f}% CI" if step.kind == "interval" else "range"


def factor(ratio: float | None) -> str:
    """Three significant digits, however round, and ×: ``1.00×``, ``0.547×``, ``12.3×``."""
    if ratio is None:
        return MISSING
    return f"{ratio:.0f}×" if ratio >= 100 else f"{ratio:#.3g}×"


def ratio_interval(wall: Wall) -> str:
    """``0.982 to 1.128``, or why there is none."""
    if wall.ratio is None:
        return "not timed on both sides"
    if wall.interval is None:
        return "too few samples"
    return f"{wall.interval[0]:.3f} to {wall.interval[1]:.3f}"


def signed(ns: float) -> str:
    """A change in time: ``+1.20 ms``."""
    return f"+{format_ns(ns)}" if ns > 0 else format_ns(ns)


def operator(row: tables.OperatorRow) -> str:
    """The operator and what it was called with."""
    return short(f"{row.name} {format_shapes(row.shapes)}".rstrip())


def delta(row: Delta) -> str:
    """The row of the ledger that a change is of."""
    if row.kind == "unattributed":
        return "(unattributed)"
    if row.kind == "python":
        return short(f"(Python: {row.name})")
    return short(f"{row.name} {format_shapes(row.shapes)}".rstrip())


def because(row: Delta) -> str:
    """What the census saw change in the row."""
    cause = row.cause
    if cause.kind == "time":
        return "time alone" if row.changed else "unchanged"
    about = f" of {cause.primitive}" if cause.primitive and cause.kind != "reorder" else ""
    return short(f"{cause.kind}{about} {value(cause.base)} → {value(cause.head)}")


def at_stake(ns: float | None, share: float | None) -> str:
    """``12.3 ms, 4.5%``."""
    if ns is None:
        return "not known"
    return f"{format_ns(ns)}, {format_share(share)}"


def value(one: Value) -> str:
    """A side of a change."""
    if one is None:
        return MISSING
    if isinstance(one, str):
        return short(one)
    return f"{one:.0f}" if one == round(one) else f"{one:.2f}"


def when(created: str) -> str:
    """A time of the store, to the second: ``2026-11-21 10:39:53 UTC``."""
    return f"{short(created[:19]).replace('T', ' ')} UTC"


def machine(run: Run) -> str:
    """The machine and the software of a run, in one line."""
    env = run.environment
    threads = counted(env.torch_threads, "thread") if env.torch_threads is not None else None
    parts = [env.cpu_model, f"{env.usable_cpus} of {env.logical_cpus} CPUs", *_software(env), threads, _commit(env)]
    return " · ".join(short(part) for part in parts if part)


def _software(env: Environment) -> list[str]:
    copies = ", ".join(copy.get("version", MISSING) for copy in env.onednn)
    named = (("torch", env.torch), ("IPEX", env.ipex), ("oneDNN", copies))
    return [f"{name} {version}" for name, version in named if version]


def _commit(env: Environment) -> str | None:
    if not env.git_commit:
        return None
    return f"git {env.git_commit[:12]}{' (dirty)' if env.git_dirty else ''}"


def census_entry(entry: Entry) -> tuple[str, str]:
    """Where a line of the census diff is, and what changed there."""
    where = f"{entry.where.name or '(not joined)'} {entry.problem or format_shapes(entry.where.shapes)}".rstrip()
    # "reorder: reorder" would say it twice.
    about = f"{entry.primitive}: " if entry.primitive and entry.primitive != entry.what else ""
    return short(where), short(f"{about}{entry.what.replace('_', ' ')} {value(entry.base)} → {value(entry.head)}", 200)
