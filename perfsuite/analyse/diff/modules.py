"""Which module of base is which module of head, where modules were renamed, wrapped or exchanged."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from perfsuite.analyse.diff.rows import Row

#: What a module runs: its rows but for the names of modules and libraries.
_Signature = Counter[tuple[object, ...]]


def module_map(base: Iterable[Row], head: Iterable[Row]) -> dict[str, str]:
    """Module path in base → in head, for each module that has a counterpart.

    A module keeps its name where both sides have it, unless two or more modules exchanged names: each runs nothing
    of what its namesake does, and together they run the same.  Modules that only one side has are paired by how many
    names at the end of the path agree (``ResNet.layer1`` and ``Wrapper.ResNet.layer1``), then by what they run, then
    by their order.
    """
    before, after = _signatures(base), _signatures(head)
    strangers = [name for name in before if name in after and not _share_tensors(before[name], after[name])]
    exchanged = _bag(before, strangers) == _bag(after, strangers)
    swapped = set(strangers) if exchanged else set()
    found = {name: name for name in before if name in after and name not in swapped}
    found |= _pair(before, after, swapped, swapped, alike_only=True)
    return found | _pair(before, after, set(before) - set(after), set(after) - set(before))


def _signatures(rows: Iterable[Row]) -> dict[str, _Signature]:
    found: dict[str, _Signature] = defaultdict(Counter)
    for row in rows:
        if row.module is not None:
            found[row.module][row.kind, row.family, row.phase, row.tensors, round(row.count, 3)] += 1
    return dict(found)


def _share_tensors(one: _Signature, other: _Signature) -> bool:
    """Whether both run something alike that has a tensor in it; a module without any such is no stranger."""
    ours, theirs = ({entry for entry in signature if entry[3]} for signature in (one, other))
    return bool(ours & theirs) or not ours or not theirs


def _bag(signatures: dict[str, _Signature], names: Iterable[str]) -> Counter[frozenset[object]]:
    return Counter(frozenset(signatures[name].items()) for name in names)


def _pair(
    before: dict[str, _Signature],
    after: dict[str, _Signature],
    ours: set[str],
    theirs: set[str],
    alike_only: bool = False,
) -> dict[str, str]:
    ranks = [{name: rank for rank, name in enumerate(sorted(names, key=_natural))} for names in (ours, theirs)]
    candidates = []
    for one in ours:
        for other in theirs:
            suffix = _common_suffix(one, other)
            same = before[one] == after[other]
            alike = sum((before[one] & after[other]).values())
            if same or (not alike_only and (suffix or alike)):
                distance = abs(ranks[0][one] - ranks[1][other])
                # By exchangeable keys only, so that comparing the other way round pairs the same.
                exchangeable = (min(one, other), max(one, other))
                candidates.append((-suffix, not same, -alike, distance, exchangeable, one, other))
    return greedy((one, other) for *_, one, other in sorted(candidates))


def greedy(candidates: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Pairs in the order given, each name at most once on its side."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for one, other in candidates:
        if one not in found and other not in taken:
            found[one] = other
            taken.add(other)
    return found


def _common_suffix(one: str, other: str) -> int:
    length = 0
    for mine, yours in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if mine != yours:
            break
        length += 1
    return length


def _natural(name: str) -> list[tuple[int, str]]:
    """``layer.10`` after ``layer.9``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
