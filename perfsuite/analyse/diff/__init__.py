"""Two runs compared: which operator, in which module, with which primitive, took how much more or less, and why."""

from __future__ import annotations

from perfsuite.analyse.diff.align import align
from perfsuite.analyse.diff.census import census, judge
from perfsuite.analyse.diff.comparable import (
    NOISE,
    environment_changes,
    machine_reasons,
    run_notes,
    workload_changes,
    workload_notes,
    workload_reasons,
)
from perfsuite.analyse.diff.deltas import MATERIAL, delta_of, ledgers, ranked, unattributed
from perfsuite.analyse.diff.model import (
    Cause,
    Census,
    Change,
    Delta,
    Entry,
    Ledgers,
    Missing,
    Place,
    RunDiff,
    Total,
    Wall,
    WorkloadDiff,
)
from perfsuite.analyse.diff.reading import reading_notes
from perfsuite.analyse.diff.rows import has_modules, rows_of
from perfsuite.errors import UsageError
from perfsuite.records import Profile, Run
from perfsuite.stats import median, median_ratio_interval

__all__ = [
    "MATERIAL",
    "NOISE",
    "Cause",
    "Census",
    "Change",
    "Delta",
    "Entry",
    "Ledgers",
    "Missing",
    "Place",
    "RunDiff",
    "Total",
    "Wall",
    "WorkloadDiff",
    "diff_profiles",
    "diff_runs",
]


def diff_runs(base: Run, head: Run, workload: str | None = None) -> RunDiff:
    """Compare the workloads that both runs have, or the one of that name.

    Where :attr:`RunDiff.reasons` is not empty the runs are not comparable; whether to show the rest is the
    caller's to decide.

    Raises:
        UsageError: no workload is in both, or not the one that was asked for.
    """
    before, after = ({profile.name: profile for profile in run.workloads} for run in (base, head))
    both = [name for name in before if name in after]
    chosen = both if workload is None else [name for name in both if name == workload]
    if not chosen:
        raise UsageError(_nothing_in_common(base, head, workload))
    reasons = [*machine_reasons(base.environment, head.environment)]
    for name in chosen:
        reasons += workload_reasons(before[name], after[name])
    only = [Missing(name, "unknown" if head.problems else "base", "base") for name in before if name not in after]
    only += [Missing(name, "unknown" if base.problems else "head", "head") for name in after if name not in before]
    return RunDiff(
        base.id,
        head.id,
        tuple(reasons),
        environment_changes(base, head),
        run_notes(base, head),
        tuple(only) if workload is None else (),
        tuple(diff_profiles(before[name], after[name]) for name in chosen),
    )


def diff_profiles(base: Profile, head: Profile, confidence: float = 0.95, wall: Wall | None = None) -> WorkloadDiff:
    """Compare one workload with itself on another side; ``wall`` is what is known better than from the two profiles."""
    notes = list(workload_notes(base, head, timed_elsewhere=wall is not None))
    changes = workload_changes(base, head)
    wall = wall or _wall(base, head, confidence)
    compared = None if base.ledger is None or head.ledger is None else ledgers(base, head)
    notes += reading_notes(wall, compared, base.memory, head.memory)
    if compared is None:
        return WorkloadDiff(
            base.name, changes, wall, None, (), Census(), tuple(notes),
            base_memory=base.memory, head_memory=head.memory,
        )  # fmt: skip
    modules = has_modules(base) and has_modules(head)
    if not modules and (has_modules(base) or has_modules(head)):
        side = "head" if has_modules(base) else "base"
        notes.append(f"{side} has no modules (torch.compile?): rows are compared by operator and shapes alone")
    # Whoever lacks a pass has not lost what it would have recorded.
    primitives = all("primitives" in profile.passes for profile in (base, head))
    pairs = align(*(rows_of(profile, modules, primitives) for profile in (base, head)))
    operators = {id(pair): judge(pair) for pair in pairs if pair.shown.kind == "operator"}
    rows = [delta_of(pair, operators[id(pair)].causes if id(pair) in operators else (), base, head) for pair in pairs]
    rows.append(unattributed(base, head))
    ordered, culprits = ranked(rows, base)
    return WorkloadDiff(
        base.name,
        changes,
        wall,
        compared,
        ordered,
        census(operators.values(), base, head),
        tuple(notes),
        culprits,
        base.memory,
        head.memory,
    )


def _wall(base: Profile, head: Profile, confidence: float) -> Wall:
    before, after = (profile.samples.per_step_ns if profile.samples else () for profile in (base, head))
    medians = [median(values) if values else None for values in (before, after)]
    ratio = medians[1] / medians[0] if medians[0] and medians[1] is not None else None
    interval = median_ratio_interval(before, after, confidence) if before and after else None
    return Wall(medians[0], medians[1], ratio, interval, confidence, len(before), len(after))


def _nothing_in_common(base: Run, head: Run, workload: str | None) -> str:
    names = [", ".join(profile.name for profile in run.workloads) or "none" for run in (base, head)]
    wanted = "no workload" if workload is None else f"no workload {workload!r}"
    return f"{wanted} is in both runs: {base.id} has {names[0]}; {head.id} has {names[1]}"
