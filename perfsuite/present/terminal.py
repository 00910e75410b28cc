"""Profiles and runs as text for a terminal or a pipe.

Every function returns text that ends in a newline, with no line wider than ``width`` cells (60 at least); escape
codes are in it only if ``color`` is true.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from perfsuite.analyse import tables
from perfsuite.errors import UsageError
from perfsuite.present.cells import (
    MISSING,
    clean,
    format_bytes,
    format_count,
    format_ns,
    format_shapes,
    format_share,
)
from perfsuite.present.layout import MIN_WIDTH, Column, hanging, section, stack, table, taken_by, to_text
from perfsuite.present.phrases import confidence, counted, interval, interval_kind
from perfsuite.records import Profile, Run
from perfsuite.store import RunSummary

GROUPS = ("operator", "primitive", "module", "phase")
#: From it on a row of an operator fits on one line, if its name leaves room for the rest.
_WIDE = 120


def render_profile(profile: Profile, *, top: int, width: int, color: bool) -> str:
    """All about one workload: how long its step takes and where that time goes.

    Args:
        top: how many operators and how many kinds of primitive to show.
    """
    width = max(width, MIN_WIDTH)
    parts: list[RenderableType] = [*_title(profile)]
    if profile.phases:
        parts += section("Phases: from steps without the profiler", _timed_phase_columns(profile), width)
    if profile.operators:
        parts += _operator_part(profile, top, width)
    if profile.primitives:
        parts += _primitive_part(profile, top, width)
    facts = [part for line in _facts(profile) for part in hanging(line, width)]
    return to_text([*parts, *([Text()] if facts else []), *facts], width, color)


def render_grouped(profile: Profile, by: str, *, top: int, width: int, color: bool) -> str:
    """One table of a workload, by ``operator``, ``primitive``, ``module`` or ``phase``; ``top`` rows of it.

    Raises:
        UsageError: ``by`` is none of these.
    """
    if by not in GROUPS:
        raise UsageError(f"by {by!r}: expected one of {', '.join(GROUPS)}")
    width = max(width, MIN_WIDTH)
    parts: list[RenderableType] = [*_title(profile)]
    needed = "primitives" if by == "primitive" else "operators"
    if by != "phase" and not tables.recorded(profile, needed):
        parts += hanging(f"the {needed} pass did not run: record it with pytest --profile-dnn", width)
    elif by == "operator":
        parts += _operator_part(profile, top, width, phase=True)
    elif by == "primitive":
        parts += _primitive_part(profile, top, width, implementations=True)
    elif by == "module":
        parts += _module_part(profile, top, width)
    else:
        caption = f"By phase: median of steps without the profiler; the rest {_origin(profile)}"
        parts += section(caption, _phase_columns(profile), width)
    return to_text(parts, width, color)


def render_header(run: Run, *, width: int, color: bool) -> str:
    """Which run it is and what it was recorded on."""
    width = max(width, MIN_WIDTH)
    lines: list[RenderableType] = [Text(f"run {clean(run.id)}", "bold"), *map(Text, _environment(run))]
    if run.environment.disturbances:
        # Each is what disturbs, a colon, and what to do.
        what = "; ".join(clean(one).partition(": ")[0] for one in run.environment.disturbances)
        lines += hanging(f"not quiet: {what} (see perfsuite launch)", width)
    return to_text(lines, width, color)


def render_runs(runs: Sequence[RunSummary], *, width: int, color: bool) -> str:
    """A listing of runs, in the order given; the problems of broken ones follow below it."""
    width = max(width, MIN_WIDTH)
    columns = [
        Column("Run", "name", [clean(run.id) for run in runs]),
        Column("Created (UTC)", "number", [_when(run.created) for run in runs]),
        Column("Status", "number", [clean(run.status or "unreadable") for run in runs]),
        Column("Workloads", "number", [str(run.workloads) for run in runs]),
        Column("Size", "number", [format_bytes(run.size_bytes) for run in runs]),
    ]
    problems = [Text(f"{clean(run.id)}: {clean(run.problem)}", "red") for run in runs if run.problem]
    return to_text([table(columns, width), *problems], width, color)


# --- lines ------------------------------------------------------------------------------------------


def _title(profile: Profile) -> list[RenderableType]:
    facts = [profile.scale, profile.dtype, profile.backend, "contended" if profile.contended else None]
    about = " · ".join(clean(fact) for fact in facts if fact)
    # Folded and not shortened: a test id is there to be copied.
    title = Text(clean(profile.name), "bold", overflow="fold")
    return [title, *([Text(about)] if about else []), Text(_timing(profile))]


def _timing(profile: Profile) -> str:
    step = tables.headline(profile)
    if step is None:
        return "not timed"
    what = f"{interval_kind(step)}, n = {step.n}"
    if step.kind != "interval":
        what = f"range; n = {step.n} has no {confidence(step)} interval"
    return f"median step {format_ns(step.median_ns, 4)}, {interval(step)} ({what})"


def _facts(profile: Profile) -> list[str]:
    """What the tables cannot say, a line each."""
    lines = []
    ledger, shares = profile.ledger, tables.ledger_shares(profile)
    if ledger is not None and shares is not None:
        lines.append(
            f"ledger: operators {format_share(shares.operators)}, python {format_share(shares.python)}, "
            f"unattributed {format_share(shares.unattributed)} of {format_ns(ledger.wall_ns)} profiled"
        )
    lines += _primitive_facts(profile)
    if facts := _memory_facts(profile):
        lines.append(f"memory: {'; '.join(facts)}")
    if profile.overhead:
        cost = ", ".join(f"{clean(name)} {format_share(part, '+')}" for name, part in profile.overhead.items())
        lines.append(f"passes cost: {cost} over the timed median of the same session")
    return lines + [f"note: {clean(note)}" for note in profile.notes]


def _memory_facts(profile: Profile) -> list[str]:
    facts = []
    if profile.memory is not None:
        peak, start = profile.memory.peak_rss_bytes, profile.memory.start_rss_bytes
        facts.append(f"peak RSS {format_bytes(peak)}, {format_bytes(start)} before the step")
    held = tables.allocation_peak(profile)
    if held is not None:
        where = f" in {clean(held.phase)}" if held.phase is not None else ""
        facts.append(f"allocator peak +{format_bytes(held.bytes)}{where}")
    return facts


def _primitive_facts(profile: Profile) -> list[str]:
    if profile.join is None:
        return []
    if not profile.primitives:
        return ["oneDNN: no primitive was executed"]
    line = f"oneDNN: {format_share(tables.onednn_coverage(profile))} of the step"
    ledger = profile.ledger
    if ledger is None:
        return [line]
    joined, executed = format_count(ledger.joined_primitives), format_count(ledger.executed_primitives)
    return [f"{line}, {joined} of {executed} primitives joined (by {clean(profile.join)})"]


def _environment(run: Run) -> list[str]:
    env = run.environment
    commit = (env.git_commit or "")[:12] + (" (dirty)" if env.git_dirty else "")
    onednn = ", ".join(copy.get("version", MISSING) for copy in env.onednn)
    machine = [env.cpu_model, f"{env.usable_cpus} of {env.logical_cpus} CPUs", format_bytes(env.ram_bytes), env.kernel]
    software = [
        f"torch {env.torch}" if env.torch else None,
        f"IPEX {env.ipex}" if env.ipex else None,
        f"oneDNN {onednn}" if onednn else None,
        counted(env.torch_threads, "thread") if env.torch_threads is not None else None,
        env.allocator,
        f"git {commit}" if commit else None,
    ]
    lines: list[list[str | None]] = [[f"{_when(run.created)} UTC", run.status], machine, software]
    return [" · ".join(clean(item) for item in line if item) for line in lines]


def _when(created: str | None) -> str:
    # The store writes UTC; microseconds only order runs.
    return clean(created)[:19].replace("T", " ") if created else MISSING


def _origin(profile: Profile) -> str:
    return f"mean of {counted(profile.steps, 'profiled step')}"


def _top_of(shown: int, rows: Sequence[object], what: str) -> str:
    return f"top {shown} of {len(rows)} {what}" if shown < len(rows) else f"{len(rows)} {what}"


# --- tables -----------------------------------------------------------------------------------------


def _operator_part(profile: Profile, top: int, width: int, *, phase: bool = False) -> list[RenderableType]:
    rows = tables.top_operators(profile, top)
    details = [Column("Phase", "name", [clean(row.phase or "") for row in rows])] if phase else []
    if profile.primitives:
        details.append(Column("Primitive", "name", [clean(", ".join(row.implementations)) for row in rows]))
    details.append(Column("Module", "path", [clean(row.module or "") for row in rows]))
    numbers = [
        Column("Self", "number", [format_ns(row.self_ns) for row in rows]),
        Column("Share", "number", [format_share(row.share) for row in rows]),
        Column("Calls", "number", [format_count(row.count) for row in rows]),
    ]
    # Rows of one operator in one module differ by what they were called with.  Where that is too long the shapes
    # are cut, behind the name and " …".
    called = [clean(f"{row.name} {format_shapes(row.shapes)}".rstrip()) for row in rows]
    least = max((cell_len(clean(row.name)) for row in rows), default=0) + 2
    names = Column("Operator", "name", called, least)
    caption = f"{_top_of(len(rows), profile.operators, 'operator rows')}: self time, {_origin(profile)}"
    if width >= _WIDE and least <= (width - taken_by(numbers)) // 2:
        return section(caption, [names, *numbers, *details], width)
    return section(caption, [stack(names, details, width - taken_by(numbers)), *numbers], width)


def _primitive_part(profile: Profile, top: int, width: int, *, implementations: bool = False) -> list[RenderableType]:
    every = tables.by_primitive(profile)
    rows = every[:top]
    columns = [
        Column("Primitive", "name", [clean(f"{row.kind} {tables.short_direction(row.direction)}") for row in rows]),
        Column("Time", "number", [format_ns(row.time_ns) for row in rows]),
        Column("Of step", "number", [format_share(row.share) for row in rows]),
        Column("Of oneDNN", "number", [format_share(row.share_of_primitives) for row in rows]),
        Column("Calls", "number", [format_count(row.count) for row in rows]),
    ]
    if implementations:
        columns.append(Column("Implementation", "name", [clean(", ".join(row.implementations)) for row in rows]))
    caption = f"{_top_of(len(rows), every, 'kinds of primitive')}: oneDNN's own clock, {_origin(profile)}"
    return section(caption, columns, width)


def _module_part(profile: Profile, top: int, width: int) -> list[RenderableType]:
    every = tables.by_module(profile)
    rows = every[:top]
    columns = [
        Column("Module", "path", [clean(row.module if row.module is not None else "(outside)") for row in rows]),
        Column("Operators", "number", [format_ns(row.self_ns) for row in rows]),
        Column("Python", "number", [format_ns(row.python_ns) for row in rows]),
        Column("Share", "number", [format_share(row.share) for row in rows]),
        Column("oneDNN", "number", [format_ns(row.primitives_ns) for row in rows]),
        Column("Calls", "number", [format_count(row.count) for row in rows]),
    ]
    caption = f"{_top_of(len(rows), every, 'modules')}, each without its submodules: {_origin(profile)}"
    return section(caption, columns, width)


def _timed_phase_columns(profile: Profile) -> list[Column]:
    rows = [row for row in tables.by_phase(profile) if row.wall_ns is not None]
    return [
        Column("Phase", "name", [clean(row.name or "") for row in rows]),
        Column("Median", "number", [format_ns(row.wall_ns) for row in rows]),
        Column("Of step", "number", [format_share(row.wall_share) for row in rows]),
    ]


def _phase_columns(profile: Profile) -> list[Column]:
    rows = tables.by_phase(profile)
    return [
        Column("Phase", "name", [clean(row.name if row.name is not None else "(outside)") for row in rows]),
        Column("Median", "number", [format_ns(row.wall_ns) for row in rows]),
        Column("Of step", "number", [format_share(row.wall_share) for row in rows]),
        Column("Operators", "number", [format_ns(row.self_ns) for row in rows]),
        Column("Python", "number", [format_ns(row.python_ns) for row in rows]),
        Column("Share", "number", [format_share(row.share) for row in rows]),
        Column("oneDNN", "number", [format_ns(row.primitives_ns) for row in rows]),
    ]
