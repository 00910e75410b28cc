"""The raw timed rounds."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.analyse.figures.common import contended, subtitle
from perfsuite.analyse.figures.model import SamplesFigure, Series
from perfsuite.analyse.tables import headline
from perfsuite.records import Profile
from perfsuite.units import counted

#: More rounds than this are drawn by the extremes of as many stretches, half of it.
_DRAWN = 300


def samples(profile: Profile, base: Profile | None = None) -> SamplesFigure:
    """Every timed round in the order in which it ran; with ``base`` those of both, base first."""
    title = "Timed steps" if base is None else "Timed steps of base and head"
    sides = [("run", profile)] if base is None else [("base", base), ("head", profile)]
    series = tuple(one for name, side in sides if (one := _series(name, side)) is not None)
    if not series:
        return SamplesFigure(title=title, subtitle=subtitle(profile), missing="No step was timed.")
    n = ", ".join(f"n = {len(one.values_ns)}" + (f" ({one.name})" if base is not None else "") for one in series)
    return SamplesFigure(
        title=title, subtitle=subtitle(profile, n), notes=_notes(sides, series), series=series
    )  # fmt: skip


def _series(name: str, profile: Profile) -> Series | None:
    line = headline(profile)
    if line is None or profile.samples is None:
        return None
    values, iterations = profile.samples.per_step_ns, profile.samples.iterations
    return Series(
        name, values, line.median_ns, line.low_ns, line.high_ns, line.kind, iterations,
        _thinned(values), _shares(values),
    )  # fmt: skip


def _thinned(values: Sequence[float]) -> tuple[tuple[int, float], ...]:
    """(round, time) of all; of too many the fastest and the slowest of each stretch, so no outlier is lost."""
    points = list(enumerate(values, 1))
    if len(points) <= _DRAWN:
        return tuple(points)
    count, kept = _DRAWN // 2, []
    for at in range(count):
        stretch = points[at * len(points) // count : (at + 1) * len(points) // count]
        kept += sorted({min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])})
    return tuple(kept)


def _shares(values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """The empirical distribution function, the first and the last always in it."""
    ordered, n = sorted(values), len(values)
    count = min(n, _DRAWN)
    ranks = [at * n // count for at in range(1, count + 1)] if n > count else range(1, n + 1)
    return tuple((ordered[rank - 1], rank / n) for rank in dict.fromkeys((1, *ranks)))


def _notes(sides: list[tuple[str, Profile]], series: tuple[Series, ...]) -> tuple[str, ...]:
    found = ["Every timed round, in the order in which it ran."]
    if any(len(one.points) < len(one.values_ns) for one in series):
        found = [f"Of so many rounds, the fastest and the slowest of each of {_DRAWN // 2} stretches, in run order."]
    kinds = {one.kind for one in series}
    if "interval" in kinds:
        found.append("Line and band: median and its 95% interval (order statistics), of this process.")
    if "range" in kinds:
        found.append("Fewer than 6 rounds have no 95% interval: the band is then the range.")
    for one in series:
        if one.iterations > 1:
            of = "" if one.name == "run" else f" of {one.name}"
            found.append(f"A round{of} is {counted(one.iterations, 'step')}; shown is the time of one.")
    if len(series) == 2:
        found.append(
            "The two sides are two processes at two times, not pairs: rounds of the same number have nothing in "
            "common, and a drift of the machine between the two is part of the difference."
        )
    found += [f"{name.capitalize()} was not timed." for name, side in sides if side.samples is None]
    return (*found, *dict.fromkeys(line for _, side in sides for line in contended(side)))
