"""What differs between the oneDNN primitives of two operators."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from perfsuite.analyse.diff.model import Value
from perfsuite.records import Primitive

#: In the implementation's name as oneDNN writes it, ``brg_conv_fwd:avx512_core_bf16``.
_ISA = re.compile(r"\b(sse41|avx\w*|amx\w*|sve\w*|asimd|neon|rvv\w*|vsx\w*|vxe\w*|ref)\b")
_NUMBER = re.compile(r"[0-9]{1,15}")
_LAYOUT = re.compile(r"(?:src|wei|dst)\d*:(\S+)")


class _Kernel(NamedTuple):
    """What a primitive of some kind and direction is, but for where, how often and how long it ran."""

    problem: str
    dtypes: str
    algorithm: str
    attributes: str
    layouts: str
    implementation: str


#: Executions in a step.
_Bag = Counter[_Kernel]
#: Base's primitive, head's, and how many executions of the one are now the other.
_Change = tuple[_Kernel, _Kernel, float]
_Sides = tuple[_Bag, _Bag]
#: Of each side, what one execution takes, in ns.
_Times = tuple[Mapping[_Kernel, float], Mapping[_Kernel, float]]
_Aspect = Callable[[_Kernel], "str | None"]


@dataclass(frozen=True)
class Finding:
    """A difference between primitives of one kind and direction; a side that is None has none.

    ``problem`` is that of the primitives that differ, as head has it, or base where head has none.
    """

    what: str
    base: Value
    head: Value
    primitive: str
    problem: str | None
    #: Time by step of the executions it is about, on the side where they take longer, in ns.
    cost_ns: float
    #: Of a ``primitive`` that was added or removed, how many executions.
    counts: tuple[float, float] | None = None


def isa_of(implementation: str) -> str | None:
    """The instruction set that an implementation's name says it was made for, ``ref`` for reference code; or None."""
    found = _ISA.search(implementation)
    return found[1] if found else None


def label_of(kind: str, direction: str) -> str:
    """``convolution backward_weights``; of a kind without directions the kind alone."""
    return " ".join(word for word in (kind, direction) if word not in ("", "undef"))


def problem_of(one: Primitive) -> tuple[str, str, str]:
    """Kind, direction and problem: what it computes, whatever computes it."""
    return one.kind, one.direction, one.problem


def compare_primitives(base: Sequence[Primitive], head: Sequence[Primitive]) -> Iterator[Finding]:
    """What was added, removed or changed, kind by kind, direction by direction and problem by problem.

    Executions that are the same in everything are left out first.  Of the rest those of one problem are paired, then
    those of the nearest problem, and within these the ones that differ least, so that nothing is hidden where two
    primitives change places.
    """
    left, right = _by_direction(base), _by_direction(head)
    nothing: tuple[_Bag, Mapping[_Kernel, float]] = (Counter(), {})
    for key in sorted(set(left) | set(right)):
        (before, base_times), (after, head_times) = left.get(key, nothing), right.get(key, nothing)
        yield from _compare(key[0] == "reorder", before, after, (base_times, head_times), label_of(*key))


def _compare(reorders: bool, base: _Bag, head: _Bag, times: _Times, label: str) -> Iterator[Finding]:
    changed, gone, new = _paired(base - head, head - base)
    groups: dict[tuple[str, str], list[_Change]] = defaultdict(list)
    for one, other, count in changed:
        groups[one.problem, other.problem].append((one, other, count))
    aspects = _OF_REORDERS if reorders else _ASPECTS
    for (before, after), group in sorted(groups.items()):
        for what, aspect in aspects.items():
            # That another reorder is implemented in another way says nothing more.
            alike = [one for one in group if not reorders or what == "reorder" or _move(one[0]) == _move(one[1])]
            cost = _cost(((one, n) for one, _, n in alike), ((other, n) for _, other, n in alike), times)
            for ours, theirs in _moves(aspect, alike):
                yield Finding(what, ours, theirs, label, after or before, cost)
    for problem in sorted({one.problem for one in (*gone, *new)}):
        sides = _of_problem(base, problem), _of_problem(head, problem)
        extra = _of_problem(gone, problem), _of_problem(new, problem)
        cost = _cost(extra[0].items(), extra[1].items(), times)
        yield from _extra(reorders, sides, extra, label, problem, cost)


def _extra(reorders: bool, sides: _Sides, extra: _Sides, label: str, problem: str, cost: float) -> Iterator[Finding]:
    """What has no counterpart: primitives of a problem that the other side lacks, or more executions of one."""
    if reorders or not all(sides):
        told: _Aspect = _move if reorders else _implementation
        before, after = (_words(_bag(bag, told)) for bag in extra)
        counts = None if reorders else (math.fsum(extra[0].values()), math.fsum(extra[1].values()))
        yield Finding("reorder" if reorders else "primitive", before, after, label, problem, cost, counts)
        return
    yield Finding("executions", math.fsum(sides[0].values()), math.fsum(sides[1].values()), label, problem, cost)
    for what, aspect in _ASPECTS.items():
        before, after = (
            _words(_only(_bag(bag, aspect), _bag(other, aspect))) for bag, other in zip(extra, sides[::-1], strict=True)
        )
        if before or after:
            yield Finding(what, before, after, label, problem, cost)


def _cost(base: Iterable[tuple[_Kernel, float]], head: Iterable[tuple[_Kernel, float]], times: _Times) -> float:
    """What executions of both sides take, on the side where they take longer."""
    return max(
        math.fsum(side[kernel] * count for kernel, count in executions)
        for executions, side in zip((base, head), times, strict=True)
    )


def _paired(base: _Bag, head: _Bag) -> tuple[list[_Change], _Bag, _Bag]:
    """Executions of base and head that took each other's place, and what is left of either side."""
    left, right = base.copy(), head.copy()
    changed: list[_Change] = []
    for problem in sorted({one.problem for one in base} & {one.problem for one in head}):
        changed += _greedy(_of_problem(left, problem), _of_problem(right, problem), left, right)
    changed += _greedy(+left, +right, left, right)
    return changed, +left, +right


def _greedy(ours: _Bag, theirs: _Bag, left: _Bag, right: _Bag) -> Iterator[_Change]:
    """The most alike of ours and theirs first, each as often as both sides have it, taken from ``left`` and ``right``.

    Ordered by exchangeable keys only, so that comparing the other way round pairs the same.
    """
    mine, yours = ({one: _numbers(one.problem) for one in bag} for bag in (ours, theirs))
    candidates = [
        (_distance(one, other, mine[one], yours[other]), min(one, other), max(one, other), one, other)
        for one in mine
        for other in yours
    ]
    for *_, one, other in sorted(candidates, key=lambda candidate: candidate[:3]):
        count = min(left[one], right[other])
        if count > 0:
            left[one] -= count
            right[other] -= count
            yield one, other, count


def _distance(one: _Kernel, other: _Kernel, mine: Sequence[int], yours: Sequence[int]) -> tuple[float, ...]:
    """How little two primitives have in common: what they compute before how they do it."""
    return (
        len(mine) != len(yours),
        math.fsum(abs(math.log1p(a) - math.log1p(b)) for a, b in zip_longest(mine, yours, fillvalue=0)),
        one.dtypes != other.dtypes,
        one.algorithm != other.algorithm,
        one.attributes != other.attributes,
        one.layouts != other.layouts,
        one.implementation != other.implementation,
    )


def _numbers(problem: str) -> list[int]:
    return list(map(int, _NUMBER.findall(problem)))


def _moves(aspect: _Aspect, group: Iterable[_Change]) -> Iterator[tuple[str | None, str | None]]:
    """From what to what an aspect went: in one line, or one by one where a word stands on both sides."""
    moves: Counter[tuple[str | None, str | None]] = Counter()
    for one, other, count in group:
        before, after = aspect(one), aspect(other)
        if before != after:
            moves[before, after] += count  # type: ignore[assignment]
    bags: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for sides, count in moves.items():
        for bag, word in zip(bags, sides, strict=True):
            if word:
                bag[word] += count
    if bags[0].keys() & bags[1].keys():
        for sides, count in sorted(moves.items(), key=repr):
            before, after = (_words(Counter({word: count})) if word else None for word in sides)
            yield before, after
    elif moves:
        yield _words(bags[0]), _words(bags[1])


def _move(reorder: _Kernel) -> str:
    """``abcd→aBcd16b``, with the data types where they differ."""
    layouts, dtypes = (_LAYOUT.findall(text) for text in (reorder.layouts, reorder.dtypes))
    if len(layouts) != 2:
        return reorder.layouts
    if len(dtypes) != 2 or dtypes[0] == dtypes[1]:
        return "→".join(layouts)
    return "→".join(f"{dtype}:{layout}" for dtype, layout in zip(dtypes, layouts, strict=True))


def _implementation(kernel: _Kernel) -> str:
    return kernel.implementation


_ASPECTS: dict[str, _Aspect] = {
    "implementation": _implementation,
    "isa": lambda one: isa_of(one.implementation),
    "dtype": lambda one: one.dtypes,
    "layout": lambda one: one.layouts,
    "attributes": lambda one: one.attributes,
    "algorithm": lambda one: one.algorithm,
    "problem": lambda one: one.problem,
}
_OF_REORDERS: dict[str, _Aspect] = {
    "reorder": _move,
    "implementation": _implementation,
    "attributes": lambda one: one.attributes,
    "problem": lambda one: one.problem,
}


def _by_direction(primitives: Iterable[Primitive]) -> dict[tuple[str, str], tuple[_Bag, dict[_Kernel, float]]]:
    """By kind and direction: executions of each kernel, and what one of them takes in ns."""
    groups: dict[tuple[str, str], dict[_Kernel, list[Primitive]]] = defaultdict(lambda: defaultdict(list))
    for one in primitives:
        kernel = _Kernel(one.problem, one.dtypes, one.algorithm, one.attributes, one.layouts, one.implementation)
        groups[one.kind, one.direction][kernel].append(one)
    found: dict[tuple[str, str], tuple[_Bag, dict[_Kernel, float]]] = {}
    for key, kernels in groups.items():
        counts = {kernel: math.fsum(one.count for one in alike) for kernel, alike in kernels.items()}
        times = {kernel: math.fsum(one.time_ns for one in alike) for kernel, alike in kernels.items()}
        bag: _Bag = Counter()
        for kernel, count in counts.items():
            bag[kernel] = count  # type: ignore[assignment]
        found[key] = bag, {kernel: times[kernel] / count if count else 0.0 for kernel, count in counts.items()}
    return found


def _of_problem(bag: _Bag, problem: str) -> _Bag:
    return Counter({kernel: count for kernel, count in bag.items() if kernel.problem == problem})


def _bag(kernels: _Bag, aspect: _Aspect) -> Counter[str]:
    bag: Counter[str] = Counter()
    for kernel, count in kernels.items():
        word = aspect(kernel)
        if word is not None:
            bag[word] += count
    return bag


def _only(bag: Counter[str], other: Counter[str]) -> Counter[str]:
    return Counter({word: count for word, count in bag.items() if word not in other})


def _words(bag: Counter[str]) -> str | None:
    """``jit:uni ×2, jit:blk``, in the order of the alphabet; None for nothing."""
    words = (f"{word} ×{count:g}" if count != 1 else word for word, count in sorted(bag.items()) if word)
    return ", ".join(words) or None
