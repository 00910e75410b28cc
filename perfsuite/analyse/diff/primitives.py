"""What differs between the oneDNN primitives of two operators."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from perfsuite.analyse.diff.model import Value
from perfsuite.records import Primitive

#: In the implementation's name as oneDNN writes it, ``brg_conv_fwd:avx512_core_bf16``.
_ISA = re.compile(r"\b(sse41|avx\w*|amx\w*|sve\w*|asimd|neon|rvv\w*|vsx\w*|vxe\w*|ref)\b")
_LAYOUT = re.compile(r"(?:src|wei|dst)\d*:(\S+)")


@dataclass(frozen=True)
class Finding:
    """A difference between two groups of primitives of one kind and direction; a side that is None has none."""

    what: str
    base: Value
    head: Value
    primitive: str
    problem: str | None


def isa_of(implementation: str) -> str | None:
    """The instruction set that an implementation's name says it was made for, ``ref`` for reference code; or None."""
    found = _ISA.search(implementation)
    return found[1] if found else None


def compare_primitives(base: Sequence[Primitive], head: Sequence[Primitive]) -> Iterator[Finding]:
    """What was added, removed or changed, kind by kind and direction by direction, in the order of their names."""
    left, right = _by_direction(base), _by_direction(head)
    for key in sorted(set(left) | set(right)):
        label = " ".join(word for word in key if word not in ("", "undef"))
        ours, theirs = left.get(key, []), right.get(key, [])
        problem = _words(_bag(theirs or ours, lambda one: one.problem))
        if key[0] == "reorder":
            yield from _compare_reorders(ours, theirs, label, problem)
        elif not ours or not theirs:
            before, after = (_words(_bag(side, lambda one: one.implementation)) for side in (ours, theirs))
            yield Finding("primitive", before, after, label, problem)
        else:
            yield from _compare_alike(ours, theirs, label, problem)


def _compare_alike(
    base: Sequence[Primitive], head: Sequence[Primitive], label: str, problem: str | None
) -> Iterator[Finding]:
    before, after = (sum(one.count for one in side) for side in (base, head))
    if before != after:
        yield Finding("executions", before, after, label, problem)
    aspects: tuple[tuple[str, Callable[[Primitive], str | None]], ...] = (
        ("implementation", lambda one: one.implementation),
        ("isa", lambda one: isa_of(one.implementation)),
        ("dtype", lambda one: one.dtypes),
        ("layout", lambda one: one.layouts),
        ("attributes", lambda one: one.attributes),
        ("algorithm", lambda one: one.algorithm),
        ("problem", lambda one: one.problem),
    )
    for what, aspect in aspects:
        ours, theirs = _differing(_bag(base, aspect), _bag(head, aspect), counts=before == after)
        if ours or theirs:
            yield Finding(what, _words(ours), _words(theirs), label, problem)


def _compare_reorders(
    base: Sequence[Primitive], head: Sequence[Primitive], label: str, problem: str | None
) -> Iterator[Finding]:
    ours, theirs = _differing(_bag(base, _move), _bag(head, _move), counts=True)
    if ours or theirs:
        yield Finding("reorder", _words(ours), _words(theirs), label, problem)
        return
    before, after = (_bag(side, lambda one: one.implementation) for side in (base, head))
    ours, theirs = _differing(before, after, counts=True)
    if ours or theirs:
        yield Finding("implementation", _words(ours), _words(theirs), label, problem)


def _move(reorder: Primitive) -> str:
    """``abcd→aBcd16b``, with the data types where they differ."""
    layouts, dtypes = (_LAYOUT.findall(text) for text in (reorder.layouts, reorder.dtypes))
    if len(layouts) != 2:
        return reorder.layouts
    if len(dtypes) != 2 or dtypes[0] == dtypes[1]:
        return "→".join(layouts)
    return "→".join(f"{dtype}:{layout}" for dtype, layout in zip(dtypes, layouts, strict=True))


def _by_direction(primitives: Iterable[Primitive]) -> dict[tuple[str, str], list[Primitive]]:
    groups: dict[tuple[str, str], list[Primitive]] = defaultdict(list)
    for one in primitives:
        groups[one.kind, one.direction].append(one)
    return groups


def _bag(primitives: Iterable[Primitive], aspect: Callable[[Primitive], str | None]) -> Counter[str]:
    bag: Counter[str] = Counter()
    for one in primitives:
        word = aspect(one)
        if word is not None:
            bag[word] += one.count  # type: ignore[assignment]
    return bag


def _differing(base: Counter[str], head: Counter[str], counts: bool) -> tuple[Counter[str], Counter[str]]:
    """What each side has and the other has not; with ``counts``, or has less often."""
    if counts:
        return base - head, head - base
    return _only(base, head), _only(head, base)


def _only(one: Counter[str], other: Counter[str]) -> Counter[str]:
    return Counter({word: count for word, count in one.items() if word not in other})


def _words(bag: Counter[str]) -> str | None:
    """``jit:uni ×2, jit:blk``, in the order of the alphabet; None for nothing."""
    words = (f"{word} ×{count:g}" if count != 1 else word for word, count in sorted(bag.items()) if word)
    return ", ".join(words) or None
