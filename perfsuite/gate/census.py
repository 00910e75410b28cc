"""What the rules say of a census diff: the part of a gate that no clock and no noise has a say in.

A change that breaks several rules in one primitive is told once, by the first of them: another data type makes another
implementation, that another instruction set, and that another layout.  Failures that are alike are one, with how often
and where first: a machine that lost an instruction set is one finding, not two hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from perfsuite.analyse.diff import Entry, Place, WorkloadDiff
from perfsuite.analyse.diff.primitives import isa_of, label_of
from perfsuite.gate.implementations import is_lower, is_plainer, is_reference, is_wider, words
from perfsuite.gate.model import CensusVerdict, Failure
from perfsuite.gate.reproduce import command_lines
from perfsuite.gate.rules import TOTALS, UNEXPLAINED, CensusRules, Limit, parse_rules
from perfsuite.records import Primitive, Profile
from perfsuite.units import counted, format_bytes, format_grouped, format_share

__all__ = ["CensusRules", "judge_census", "parse_rules"]

#: Rules about primitives, in the order in which one explains the next.
_ORDER = ("dtype", "implementation", "isa", "layout")
#: Entries that say that the step does not run the same operators.
_OPERATORS = frozenset(("operator", "name", "count", "shape", "dtype", "phase"))
_PLACES = 3
_NAMES = 3


@dataclass(frozen=True)
class _Breach:
    """A line of the census that breaks a rule; ``base`` and ``head`` are what the rule is about, and how often."""

    rule: str
    entry: Entry
    base: Mapping[str, float]
    head: Mapping[str, float]

    @property
    def kind(self) -> tuple[object, ...]:
        """What is the same in failures that are told as one."""
        return (self.rule, self.entry.primitive is None, frozenset(self.base), frozenset(self.head))

    @property
    def executions(self) -> float:
        """How often in a step."""
        return max(sum(self.base.values()), sum(self.head.values()))


def judge_census(diff: WorkloadDiff, base: Profile, head: Profile, rules: CensusRules, captures: int) -> CensusVerdict:
    """Which rules head breaks; what is not steady within a side breaks none.

    Args:
        diff: of ``base`` and ``head``, whose primitives the command lines are made of.
        captures: how many profiled processes a side it is from.
    """
    groups: dict[tuple[object, ...], list[_Breach]] = {}
    for breach in _first_of_each(_breaches(diff, base, head, rules)):
        groups.setdefault(breach.kind, []).append(breach)
    failures = [_failure(group, diff, base, head) for group in groups.values()]
    failures.sort(key=lambda failure: _ORDER.index(failure.rule))
    return CensusVerdict((*failures, *_totals(diff, rules)), len(diff.census.unstable), captures)


# --- primitives -------------------------------------------------------------------------------------


def _breaches(diff: WorkloadDiff, base: Profile, head: Profile, rules: CensusRules) -> Iterator[_Breach]:
    unlike = {entry.where for _, entry in diff.census.entries if entry.what in ("operator", "shape")}
    replaced = {entry.where for entry in diff.census.added if entry.what == "primitive"}
    # What could not be joined may be what an operator seems to have lost.
    stray = {label_of(one.kind, one.direction) for one in (*base.primitives, *head.primitives) if one.operator is None}
    other_problem = {_about(entry) for entry in diff.census.changed if entry.what == "problem"}
    for _, entry in diff.census.entries:
        before, after = words(entry.base), words(entry.head)
        if entry.what in _ORDER and not before and entry.primitive in stray:
            continue  # it may be what base runs, too, and could be joined there
        if entry.what in _ORDER and _breaks(entry, before, after, rules):
            # For another shape oneDNN may choose another instruction set or layout for good reasons.
            follows = entry.what in ("isa", "layout") and _about(entry) in other_problem
            if not follows or getattr(rules, entry.what) == "any":
                yield _Breach(entry.what, entry, before, after)
        elif entry.what == "primitive" and entry.where not in unlike and entry.primitive not in stray:
            gone = entry.head is None and entry.where not in replaced
            if _without_counterpart(gone, after, rules):
                yield _Breach("implementation", entry, before, after)


def _about(entry: Entry) -> tuple[Place, str | None, str | None]:
    return entry.where, entry.primitive, entry.problem


def _breaks(entry: Entry, before: Mapping[str, float], after: Mapping[str, float], rules: CensusRules) -> bool:
    rule = getattr(rules, entry.what)
    if rule in ("off", "any"):
        return bool(rule == "any")
    if entry.what == "implementation":
        # Nothing before: base runs the problem there, too, but not so often, and in no execution by this code.
        return any(map(is_reference, after)) and not (before and all(map(is_reference, before)))
    if entry.what == "isa":
        return is_lower(before, after)
    return is_wider(entry.base, entry.head) if entry.what == "dtype" else is_plainer(before, after)


def _without_counterpart(gone: bool, after: Mapping[str, float], rules: CensusRules) -> bool:
    """Whether a primitive that only one side has breaks the rule, in an operator that both sides run alike.

    ``gone``, its work is done by the framework's own code; a new one must not be a reference one.
    """
    if rules.implementation in ("off", "any"):
        return rules.implementation == "any"
    return gone or any(map(is_reference, after))


def _first_of_each(breaches: Iterable[_Breach]) -> list[_Breach]:
    """Of those about the same primitive of the same operator, what explains the others."""
    found: dict[tuple[Place, str | None, str | None], list[_Breach]] = {}
    for breach in breaches:
        found.setdefault(_about(breach.entry), []).append(breach)
    kept = []
    for (where, primitive, _), group in found.items():
        first = min(_ORDER.index(breach.rule) for breach in group)
        # An operator's own data types say nothing more than those of its primitives.
        told = primitive is None and any(
            breach.rule == "dtype" and breach.entry.primitive and breach.entry.where == where
            for other in found.values()
            for breach in other
        )
        kept += [breach for breach in group if _ORDER.index(breach.rule) == first and not told]
    return kept


# --- what is said of them ---------------------------------------------------------------------------


def _failure(group: Sequence[_Breach], diff: WorkloadDiff, base: Profile, head: Profile) -> Failure:
    ordered = sorted(group, key=lambda breach: breach.entry.rank)
    first = ordered[0]
    count = sum(breach.executions for breach in group)
    what = counted(round(count), "execution") if first.entry.primitive else counted(len(group), "operator")
    text = f"{what} a step {_went(first)}: {_places([breach.entry for breach in ordered])}"
    lines = (
        *_reproduced(first, first.base, base, _base_place(first.entry.where, diff)),
        *_reproduced(first, first.head, head, first.entry.where),
    )
    return Failure(first.rule, text, first.entry, tuple(dict.fromkeys(lines)))


def _went(breach: _Breach) -> str:
    before, after = _named(breach.base), _named(breach.head)
    if not after and breach.entry.what == "primitive":
        return f"of {before} left oneDNN, while the operator still runs"
    if not after:
        return f"of {before} went away, while others of the same problem still run"
    if not before:
        return f"of {after} appeared{_meaning(breach)}, in an operator that runs without it on base"
    return f"went from {before} to {after}{_meaning(breach)}"


def _meaning(breach: _Breach) -> str:
    """Why that is worse, where it surely is."""
    entry = breach.entry
    worse = {
        "implementation": (any(map(is_reference, breach.head)), "reference code"),
        "isa": (is_lower(breach.base, breach.head), "a lower instruction set"),
        "dtype": (is_wider(entry.base, entry.head), "a wider data type"),
        "layout": (is_plainer(breach.base, breach.head), "a plain layout"),
    }
    true, words_for_it = worse[breach.rule]
    return f", {words_for_it}" if true else ""


def _named(side: Mapping[str, float]) -> str:
    names = list(side)
    more = f" and {len(names) - _NAMES} others" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _places(entries: Sequence[Entry]) -> str:
    places = list(dict.fromkeys(map(_place, entries)))
    more = f"; and {counted(len(places) - _PLACES, 'other place')}" if len(places) > _PLACES else ""
    return "; ".join(places[:_PLACES]) + more


def _place(entry: Entry) -> str:
    where = entry.where
    about = f"{entry.primitive} in " if entry.primitive else ""
    if where.name is None:
        return f"{entry.primitive or entry.what} that could not be joined to an operator"
    inside = ", ".join(word for word in (where.module, where.phase) if word)
    return f"{about}{where.name}{f' ({inside})' if inside else ''}"


# --- which primitive it was -------------------------------------------------------------------------


def _base_place(where: Place, diff: WorkloadDiff) -> Place:
    """Where base has what head has at ``where``; as it stands where the rows do not tell."""
    for row in diff.operators:
        if (row.name, row.module, row.phase, row.shapes) == (where.name, where.module, where.phase, where.shapes):
            return Place(row.base_name or where.name, row.base_module, where.phase, where.shapes)
    return where


def _reproduced(breach: _Breach, names: Mapping[str, float], profile: Profile, where: Place) -> tuple[str, ...]:
    """The line of the costliest primitive of that place, or else of that problem, that one of ``names`` is said of."""
    aspect = _ASPECTS[breach.rule]
    best: list[Primitive] = []
    nearest = 0
    for one in profile.primitives:
        if label_of(one.kind, one.direction) != breach.entry.primitive or aspect(one) not in names:
            continue
        near = 2 * _is_at(one, profile, where) + (one.problem == breach.entry.problem)
        if near > nearest:
            best, nearest = [one], near
        elif near == nearest and near:
            best.append(one)
    return command_lines(best, at_most=1)


def _is_at(one: Primitive, profile: Profile, where: Place) -> bool:
    if one.operator is None:
        return where.name is None
    row = profile.operators[one.operator]
    return (row.name, row.module, row.phase) == (where.name, where.module, where.phase)


_ASPECTS: dict[str, Callable[[Primitive], str | None]] = {
    "implementation": lambda one: one.implementation,
    "isa": lambda one: isa_of(one.implementation),
    "dtype": lambda one: one.dtypes,
    "layout": lambda one: one.layouts,
}


# --- totals -----------------------------------------------------------------------------------------


def _totals(diff: WorkloadDiff, rules: CensusRules) -> Iterator[Failure]:
    found = {total.what: total for total in diff.census.totals}
    same = not any(entry.what in _OPERATORS and entry.primitive is None for _, entry in diff.census.entries)
    for rule, what in TOTALS.items():
        limit: Limit = getattr(rules, rule)
        total = found.get(what)
        if limit == "off" or total is None or total.base is None or total.head is None:
            continue
        allowed = 0.0 if isinstance(limit, str) else limit
        if total.head <= total.base * (1 + allowed) or (limit == UNEXPLAINED and not same):
            continue
        yield Failure(rule, f"{_grown(rule, what, total.base, total.head)}{_because(limit)}{_new_reorders(rule, diff)}")


def _grown(rule: str, what: str, base: float, head: float) -> str:
    tell = format_bytes if "bytes" in what else format_grouped
    name = "the peak of PyTorch's allocator" if rule == "peak" else "bytes moved" if rule == "bytes" else rule
    grown = f", {format_share((head - base) / base, '+')}" if base > 0 else ""
    return f"{name} went from {tell(base)} to {tell(head)} a step{grown}"


def _because(limit: Limit) -> str:
    return " while the operators are the same" if isinstance(limit, str) else f", where {100 * limit:g}% is allowed"


def _new_reorders(rule: str, diff: WorkloadDiff) -> str:
    new = [entry for entry in diff.census.added if entry.what == "reorder"] if rule == "reorders" else []
    places = [f"{entry.head} in {_place(entry).removeprefix('reorder in ')}" for entry in new[:_PLACES]]
    return f": {'; '.join(places)}" if places else ""
