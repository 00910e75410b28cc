"""A profile as rules look at it: the step it was recorded in, typical times, and what its operators worked on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from perfsuite.records import Environment, Operator, Primitive, Profile, PythonTime
from perfsuite.stats import mean
from perfsuite.units import some

T = TypeVar("T")
Dims = tuple[int, ...]
#: What shares of oneDNN's own times are of.
PRIMITIVES_STEP = "the step of the primitives pass"


@dataclass(frozen=True)
class Cost:
    """Time per step and its share of the wall time of the pass that measured it; None where that is not known."""

    ns: float
    share: float | None

    def times(self, factor: float) -> Cost:
        """This part of it."""
        return Cost(self.ns * factor, None if self.share is None else self.share * factor)


@dataclass(frozen=True)
class Subject:
    """One workload of a run, and the workload of the same name in a reference run.

    Times are means over the profiled steps, as in the tables: means add up.  A step that was interrupted counts like
    any other, so that evidence and tables never disagree.
    """

    profile: Profile
    environment: Environment
    against: Profile | None = None
    against_environment: Environment | None = None

    def lacks(self, needed: str) -> str | None:
        """Why a rule that needs this cannot look; None if it can.

        ``needed`` is a pass, or ``phase NAME``: that phase must be marked in the step.
        """
        profile = self.profile
        if needed.startswith("phase "):
            name = needed.removeprefix("phase ")
            marked = {row.phase for row in profile.operators} | {phase.name for phase in profile.phases}
            return None if name in marked else f"needs a phase named {name!r} in the step"
        ran = {
            "operators": profile.ledger is not None,
            "primitives": profile.join is not None,
            "phases": bool(profile.phases) and bool(profile.walls_ns.get("phases")),
            "memory": profile.memory is not None and profile.memory.system_ns is not None,
        }
        if ran[needed]:
            return None
        if needed == "phases" and "phases" in profile.passes:
            return "needs phases, which the step does not mark"
        return f"needs the {needed} pass"

    # --- time ---------------------------------------------------------------------------------------

    def cost(self, operators: Iterable[Operator] = (), python: Iterable[PythonTime] = ()) -> Cost:
        """Self time of these rows of the operator pass."""
        return self._profiled(row.self_ns for rows in (operators, python) for row in rows)

    def whole_cost(self, operators: Iterable[Operator]) -> Cost:
        """Time of these rows with what they call, for rows none of which calls another (those with FLOPs do not).

        The self time where most of the work is in it; the extension's convolutions spend theirs below, in ``…_impl``.
        """
        return self._profiled(row.self_ns if works_itself(row) else row.total_ns for row in operators)

    def primitive_cost(self, primitives: Iterable[Primitive]) -> Cost:
        """Time in these primitives, of the primitive pass."""
        walls = self.profile.walls_ns.get("primitives", ())
        return _cost((row.time_ns for row in primitives), mean(walls) if walls else 0.0)

    def _profiled(self, times: Iterable[float]) -> Cost:
        return _cost(times, self.profile.ledger.wall_ns if self.profile.ledger is not None else 0.0)

    # --- what ran -----------------------------------------------------------------------------------

    def in_phase(self, name: str) -> tuple[Operator, ...]:
        """Operators of this phase."""
        return tuple(row for row in self.profile.operators if row.phase == name)

    def primitives_of(self, operator: Operator) -> tuple[Primitive, ...]:
        """The primitives that ran inside this operator."""
        return tuple(self.profile.primitives[index] for index in operator.primitives)

    def primitives_below(self, operator: Operator) -> tuple[Primitive, ...]:
        """The same; where it leaves the work to another, those of that one in this module and phase.

        The extension's operators call their ``…_impl``, or one of their own name, whose inputs are not recorded.
        """
        own = self.primitives_of(operator)
        if own:
            return own
        names, place = (operator.name, f"{operator.name}_impl"), (operator.phase, operator.module)
        return tuple(
            one
            for row in self.profile.operators
            if row.name in names and (row.phase, row.module) == place and not row.shapes
            for one in self.primitives_of(row)
        )

    def own_work(self, operators: Iterable[Operator]) -> tuple[Operator, ...]:
        """Those of them that pass over their tensors themselves, without those that call another one to do it.

        ``aten::div(tensor, scalar)`` calls ``aten::div(tensor, tensor)``, and only that one carries the bytes.  Where
        no row of the name has any (a run recorded before there were, an operator without a formula), the time tells.
        """
        measured = {row.name for row in self.profile.operators if row.bytes_moved is not None}
        return tuple(
            row for row in operators if row.bytes_moved is not None or (row.name not in measured and works_itself(row))
        )

    def indices(self, operators: Iterable[Operator]) -> tuple[int, ...]:
        """Where these rows stand in the profile."""
        wanted = {id(row) for row in operators}
        return tuple(index for index, row in enumerate(self.profile.operators) if id(row) in wanted)

    def operator_of(self, primitive: Primitive) -> Operator | None:
        """The operator that this primitive ran inside; None if it could not be joined."""
        return None if primitive.operator is None else self.profile.operators[primitive.operator]


def _cost(times: Iterable[float], wall: float) -> Cost:
    ns = math.fsum(times)
    return Cost(ns, ns / wall if wall > 0 else None)


# --- tensors --------------------------------------------------------------------------------------------


def dims(operator: Operator, position: int) -> Dims:
    """Sizes of the tensor at this position; empty if there is none, or a list of tensors."""
    shape = operator.shapes[position] if position < len(operator.shapes) else ()
    return tuple(shape) if is_dims(shape) else ()


def is_dims(shape: object) -> bool:
    """Whether this is the sizes of one tensor, and not a scalar or a list of tensors."""
    return isinstance(shape, tuple) and bool(shape) and all(isinstance(size, int) for size in shape)


def largest(operator: Operator) -> Dims:
    """Sizes of its largest input; empty if it has no tensor."""
    return max((tuple(shape) for shape in operator.shapes if is_dims(shape)), key=math.prod, default=())


def tensor_lists(operator: Operator) -> tuple[tuple[Dims, ...], ...]:
    """For each input that is a list of tensors, their sizes."""
    return tuple(
        tuple(tuple(item) for item in shape)
        for shape in operator.shapes
        if isinstance(shape, tuple) and shape and all(is_dims(item) for item in shape)
    )


def plain_name(operator: Operator) -> str:
    """``aten::add_`` is ``add``: namespace and the mark of an in-place variant gone."""
    return operator.name.rpartition("::")[2].rstrip("_")


def works_itself(operator: Operator) -> bool:
    """Whether most of its time is its own: ``aten::relu`` only calls ``aten::clamp_min``."""
    return operator.self_ns > 0 and operator.self_ns >= 0.5 * operator.total_ns


def written(shape: Sequence[int]) -> str:
    """Sizes as ``4x64x56x56``."""
    return "x".join(map(str, shape))


def sized(text: str, operator: Operator, word: str = "on") -> str:
    """The text and the sizes of the operator's largest tensor, ``aten::mul on 4x64``; without any, the text."""
    return f"{text} {word} {written(largest(operator))}" if largest(operator) else text


def grouped(items: Iterable[T], key: Callable[[T], object]) -> dict[object, list[T]]:
    """The items by key, in the order of their first."""
    groups: dict[object, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def ranked(
    items: Iterable[T], key: Callable[[T], object], cost: Callable[[list[T]], Cost], most: int | None = 4
) -> list[tuple[list[T], Cost]]:
    """The items grouped by key, each group with its cost, the dearest first and at most so many."""
    groups = [(found, cost(found)) for found in grouped(items, key).values()]
    return sorted(groups, key=lambda group: -group[1].ns)[:most]


def named(names: Iterable[str | None], most: int = 2) -> str:
    """The first few names, and how many more there are."""
    found = [name for name in dict.fromkeys(names) if name is not None]
    return some(found, most)
