"""What decodes as a profile and cannot be one, whether it comes from a file or from another process."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from perfsuite.errors import StoreError
from perfsuite.records import AllocationCurve, Profile

#: No time, count or size that was measured is near it; beyond it a number no longer fits a float's exponent at last.
_LARGEST = 2.0**200
_NO_NUMBER = "a number that is not finite, or that nothing can have"


def check_profile(profile: Profile, where: str = "workload.profile") -> None:
    """Refuse what would break every reader: rows that point nowhere, a loop of no calls, no numbers.

    Args:
        profile: what was decoded.
        where: the path of it, for messages.

    Raises:
        StoreError: it cannot be a profile; the message names the place.
    """
    for what in ("operators", "primitives", "python", "phases"):
        for i, row in enumerate(getattr(profile, what)):
            # A row is flat but for its samples and shapes.
            if not all(map(_is_sane, vars(row).values())):
                raise StoreError(f"{where}.{what}[{i}]: {_NO_NUMBER}")
    if profile.ledger is not None and not all(map(_is_sane, vars(profile.ledger).values())):
        raise StoreError(f"{where}.ledger: {_NO_NUMBER}")
    if not all(map(_is_sane, profile.walls_ns.values())):
        raise StoreError(f"{where}.walls_ns: {_NO_NUMBER}")
    if profile.allocation_curve is not None:
        _check_curve(profile.allocation_curve, f"{where}.allocation_curve")
    if profile.samples is not None and profile.samples.iterations < 1:
        raise StoreError(f"{where}.samples.iterations: {profile.samples.iterations} is not positive")
    for i, operator in enumerate(profile.operators):
        for index in operator.primitives:
            if not 0 <= index < len(profile.primitives):
                raise StoreError(f"{where}.operators[{i}].primitives: no primitive {index}")
    for i, primitive in enumerate(profile.primitives):
        if primitive.operator is not None and not 0 <= primitive.operator < len(profile.operators):
            raise StoreError(f"{where}.primitives[{i}].operator: no operator {primitive.operator}")


def _check_curve(curve: AllocationCurve, where: str) -> None:
    times, live = curve.times_ns, curve.live_bytes
    if not times or len(times) != len(live):
        raise StoreError(f"{where}: {len(live)} values for {len(times)} times")
    if any(after < before for before, after in pairwise(times)):
        raise StoreError(f"{where}.times_ns: they are not in order")
    if not all(map(_is_sane, (curve.wall_ns, *times[-1:], *times[:1], *live))):
        raise StoreError(f"{where}: a number that nothing can have")


def _is_sane(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_sane, value))
    return not isinstance(value, (int, float)) or -_LARGEST < value < _LARGEST
