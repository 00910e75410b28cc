"""Which row of base is which row of head.

First what is the same in everything, then step by step what is the same in less: what the operator is called, its data
types, its shapes, the module it is in, its phase.  What stays alone was added or removed: operators of
different families compute different things, even where one took the other's place.  Within a step the nearest
rows are paired first; every order is by what the rows say and exchangeable between the sides, so neither the order of
the rows nor which side is base changes the pairs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from perfsuite.analyse.diff.modules import greedy, module_map
from perfsuite.analyse.diff.rows import Row

_Key = Callable[[Row, "str | None"], Hashable]

#: What must be the same, less each time.  The second argument is the row's module as head calls it.
_STAGES: tuple[_Key, ...] = (
    lambda row, module: (row.kind, row.name, row.phase, module, row.shapes, row.dtypes),
    lambda row, module: (row.kind, row.spelling, row.phase, module, row.tensors, row.dtypes),
    lambda row, module: (row.kind, row.family, row.phase, module, row.tensors, row.dtypes),
    lambda row, module: (row.kind, row.spelling, row.phase, module, row.tensors),
    lambda row, module: (row.kind, row.family, row.phase, module, row.tensors),
    lambda row, module: (row.kind, row.spelling, row.phase, module or _ranks(row)),
    lambda row, module: (row.kind, row.family, row.phase, module or _ranks(row)),
    # Somewhere else in the step only tensors tell that it is the same.
    lambda row, module: (row.kind, row.family, row.phase, row.tensors or module, row.dtypes),
    lambda row, module: (row.kind, row.family, module, row.tensors or row.phase, row.dtypes),
)


@dataclass(frozen=True)
class Pair:
    """A row on both sides; one of them None where it was added or removed."""

    base: Row | None
    head: Row | None

    @property
    def shown(self) -> Row:
        """Head's, or base's where head has none."""
        row = self.head or self.base
        assert row is not None
        return row


def align(base: Sequence[Row], head: Sequence[Row]) -> tuple[Pair, ...]:
    """Every row of both sides once, in a pair or alone."""
    renamed = module_map(base, head)
    left, right = list(base), list(head)
    pairs: list[Pair] = []
    for stage in _STAGES:
        found = _matched(left, right, lambda row, module, stage=stage: stage(row, module), renamed)  # type: ignore[misc]
        pairs += found
        left, right = _without(left, (pair.base for pair in found)), _without(right, (pair.head for pair in found))
    return (*pairs, *(Pair(row, None) for row in left), *(Pair(None, row) for row in right))


def _matched(left: Sequence[Row], right: Sequence[Row], key: _Key, renamed: dict[str, str]) -> list[Pair]:
    pairs = []
    for ours, theirs in _groups(left, right, key, renamed):
        if len(ours) == len(theirs) == 1:
            pairs.append(Pair(ours[0], theirs[0]))
        else:
            pairs += _nearest(ours, theirs)
    return pairs


def _groups(
    left: Iterable[Row], right: Iterable[Row], key: _Key, renamed: dict[str, str]
) -> list[tuple[list[Row], list[Row]]]:
    """The rows of both sides that have the same key, where both sides have some."""
    groups: dict[Hashable, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for row in left:
        # A module that is gone must not meet a new one of the same name.
        module = renamed.get(row.module, f"\0{row.module}") if row.module is not None else None
        groups[key(row, module)][0].append(row)
    for row in right:
        groups[key(row, row.module)][1].append(row)
    return [group for group in groups.values() if group[0] and group[1]]


def _nearest(ours: Sequence[Row], theirs: Sequence[Row]) -> list[Pair]:
    base, head = {row.order: row for row in ours}, {row.order: row for row in theirs}
    candidates = sorted(
        (_distance(one, other), min(a, b), max(a, b), a, b) for a, one in base.items() for b, other in head.items()
    )
    return [Pair(base[a], head[b]) for a, b in greedy((a, b) for *_, a, b in candidates).items()]


def _distance(one: Row, other: Row) -> tuple[float, ...]:
    """How little two rows have in common; the same both ways."""
    sizes = sum(abs(_log_size(a) - _log_size(b)) for a, b in zip_longest(one.tensors, other.tensors, fillvalue=()))
    return (
        one.name != other.name,
        one.tensors != other.tensors,
        sum(a != b for a, b in zip_longest(one.dtypes, other.dtypes)),
        sizes,
        -_common_end(one.module, other.module),
        abs(one.count - other.count),
    )


def _ranks(row: Row) -> tuple[object, ...]:
    """How many dimensions its tensors have: outside all modules a row of another shape should at least be alike."""
    return tuple("list" if shape and isinstance(shape[0], tuple) else len(shape) for shape in row.tensors)


def _log_size(shape: object) -> float:
    """Logarithm of how many elements a tensor has, or the tensors of a list."""
    if not isinstance(shape, tuple):
        return math.log1p(shape) if isinstance(shape, int) and shape > 0 else 0.0
    return math.fsum(map(_log_size, shape))


def _common_end(one: str | None, other: str | None) -> int:
    pairs = zip(reversed(one or ""), reversed(other or ""), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one or ""), len(other or "")))


def _without(rows: Iterable[Row], gone: Iterable[Row | None]) -> list[Row]:
    taken = {id(row) for row in gone}
    return [row for row in rows if id(row) not in taken]
