"""Steps of a level, found as the nights come in.

After each night the likelihood of the series is compared with and without a step some nights ago, each under the noise
that explains it best (:mod:`perfsuite.changes.noise`): a generalized likelihood ratio over a bank of models, as in
M. Basseville and I. V. Nikiforov, Detection of Abrupt Changes (1993), chapters 2 and 7.  A drift, a season, nights that
are alike or fall far out are so no steps, as long as they do what they did before.

What counts as sure was found by simulation, see ``benchmarks/reach/change_detection.py``: at :data:`EVIDENCE` at most
one series in a hundred of sixty nights without any step has one reported, whichever of the noises there it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from perfsuite.changes.fit import fit
from perfsuite.changes.noise import MODELS, whitening
from perfsuite.stats import student_t_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Logarithm of the likelihood ratio that a step must have.
EVIDENCE = 7.0
#: The same of a step to less.  It may be found late, as nobody waits for it; and where it was none, the way back would
#: look like one to more.
EVIDENCE_OF_BETTER = 9.0
#: How many nights there must be on the new level, and how many of them are looked back on.
LEAST_AFTER, MOST_AFTER = 4, 6
#: So many more places on either side are asked where the step is.
_ASIDE = 2
#: How many nights there must be before it: fewer do not show what kind of noise there is.
LEAST_BEFORE = 14
#: What is longer ago is forgotten.
WINDOW = 90
#: A step this small is not looked for further: it is a small part of any threshold.
_SUSPICIOUS = 0.5
#: Of the interval of a step's size.
CONFIDENCE = 0.95
#: Noises whose log-likelihood is so near to the best one's may be the true one: the interval is that of all of them.
PLAUSIBLE = 2.0
#: A logarithm with so large an error may be anything.
_UNKNOWN = 100.0


@dataclass(frozen=True)
class Step:
    """The level is another from a night on."""

    #: Place of the first night on the new level, and of the one after which the step was sure.
    at: int
    found: int
    #: New level ÷ old one, and its interval.
    ratio: float
    interval: tuple[float, float]
    #: Logarithm of the likelihood ratio when it was found.
    evidence: float


@dataclass(frozen=True)
class _Series:
    """A series on the logarithm, and the steps that are known of it so far."""

    logs: Array
    #: Nights × machines, 1 where a night is one of the machine's.
    machines: Array
    #: Standard errors of the nights' own values, 0 where they are not known.
    errors: Array
    steps: tuple[Step, ...] = ()

    def __len__(self) -> int:
        return len(self.logs)


def find_steps(
    series: Sequence[Sequence[float]],
    labels: Sequence[Sequence[str]] | None = None,
    errors: Sequence[Sequence[float]] | None = None,
    threshold: float = 0.03,
) -> list[tuple[Step, ...]]:
    """The steps of each series, in the order in which they were found.

    Args:
        series: positive values in the order of time, whose noise is relative.
        labels: of each value, the machine it was measured on: machines differ by a constant factor.
        errors: of each value, the relative standard error that it has by itself (a fraction).
        threshold: the smallest step that is reported, as a share.

    Raises:
        ValueError: a value is not positive and finite, or there are not as many labels or errors as values.
    """
    for name, beside in (("labels", labels), ("errors", errors)):
        if beside is not None and len(beside) != len(series):
            raise ValueError(f"{len(series)} series and {name} of {len(beside)}")
    many = [
        _read(values, labels[row] if labels else None, errors[row] if errors else None, f"series {row}: ")
        for row, values in enumerate(series)
    ]
    limit = math.log1p(threshold)
    for count in range(LEAST_BEFORE + LEAST_AFTER, max(map(len, many), default=0) + 1):
        groups: dict[tuple[int, int], list[int]] = {}
        for row, one in enumerate(many):
            if len(one) >= count and _is_suspicious(one, count, limit):
                groups.setdefault((one.machines.shape[1], len(_recent(one, count))), []).append(row)
        for rows in groups.values():
            for row, step in _look([many[row] for row in rows], rows, count, limit):
                many[row] = replace(many[row], steps=(*many[row].steps, step))
    return [_measured(one) for one in many]


def _read(
    values: Sequence[float], labels: Sequence[str] | None, errors: Sequence[float] | None, where: str = ""
) -> _Series:
    import numpy as np

    numbers = np.asarray(values, dtype=float)
    names = list(labels) if labels is not None else [""] * len(numbers)
    own = np.asarray(errors if errors is not None else np.zeros(len(numbers)), dtype=float)
    if len(names) != len(numbers) or len(own) != len(numbers):
        raise ValueError(f"{where}{len(numbers)} values, {len(names)} labels, {len(own)} errors")
    for what, good in (("positive", np.isfinite(numbers) & (numbers > 0)), ("an error", np.isfinite(own) & (own >= 0))):
        if not good.all():
            place = int(np.argmin(good))
            raise ValueError(f"{where}value {place} is not {what}: {(numbers if what == 'positive' else own)[place]}")
    machines = list(dict.fromkeys(names))
    columns = np.asarray([[name == one for one in machines] for name in names], dtype=float)
    return _Series(np.log(numbers), columns.reshape(len(numbers), len(machines)), own)


def _start(count: int) -> int:
    return max(0, count - WINDOW)


def _recent(one: _Series, count: int) -> tuple[Step, ...]:
    """The known steps that have nights on both sides within what is looked back on."""
    return tuple(step for step in one.steps if _start(count) + LEAST_AFTER <= step.at <= count - 1)


def _is_suspicious(one: _Series, count: int, limit: float) -> bool:
    """Whether the last nights are anything but those before them: most nights of most series need no further look."""
    if one.machines.shape[1] > 1 or _recent(one, count):
        return True
    seen = one.logs[:count]
    return any(
        abs(float(seen[-after:].mean() - seen[-after - LEAST_BEFORE : -after].mean())) > _SUSPICIOUS * limit
        for after in range(LEAST_AFTER, MOST_AFTER + 1)
    )


def _look(series: Sequence[_Series], rows: Sequence[int], count: int, limit: float) -> list[tuple[int, Step]]:
    """The steps that are sure after so many nights, of series with as many machines and known steps."""
    import numpy as np

    start = _start(count)
    logs = np.stack([one.logs[start:count] for one in series])
    base = np.stack([_columns(one, start, count) for one in series])
    errors = np.stack([one.errors[start:count] for one in series])
    null = np.full(len(series), -np.inf)
    # How sure a step is, is asked of few places, and where it is, of some more: a large one is sure before it is four
    # nights old, and would be placed too early.
    sure = np.full(len(series), -np.inf)
    best = np.full(len(series), -np.inf)
    place = np.zeros(len(series), dtype=int)
    for model in MODELS:
        white, volume = whitening(model, WINDOW)
        size = count - start
        root, lost = white[:size, :size], volume[size - 1] + model.handicap
        innovations = logs @ root.T
        known = np.einsum("mn,snp->smp", root, base)
        null = np.maximum(null, fit(innovations, known, model.freedom, errors)[0] - lost)
        for after in range(LEAST_AFTER - _ASIDE, MOST_AFTER + _ASIDE + 1):
            if size - after < LEAST_BEFORE:
                continue
            step = root[:, size - after :].sum(axis=1)
            columns = np.concatenate([known, np.broadcast_to(step[None, :, None], (*innovations.shape, 1))], axis=2)
            likelihood = fit(innovations, columns, model.freedom, errors)[0] - lost
            if LEAST_AFTER <= after <= MOST_AFTER:
                sure = np.maximum(sure, likelihood)
            better = likelihood > best
            best[better] = likelihood[better]
            place[better] = count - after
    found = []
    for row, one, proof, at in zip(rows, series, sure - null, place, strict=True):
        if proof > EVIDENCE and all(abs(step.at - at) >= LEAST_AFTER for step in one.steps):
            step = _sized(one, Step(int(at), count - 1, 1.0, (1.0, 1.0), float(proof)))
            faster = step.interval[1] < math.exp(-limit) and proof > EVIDENCE_OF_BETTER
            if step.interval[0] > math.exp(limit) or faster:
                found.append((row, step))
    return found


def _sized(one: _Series, step: Step) -> Step:
    """The step as it is seen when it is found."""
    seen = slice(0, step.found + 1)
    then = replace(
        one,
        logs=one.logs[seen],
        machines=one.machines[seen],
        errors=one.errors[seen],
        steps=(*(other for other in one.steps if other.at <= step.found), step),
    )
    return next(other for other in _measured(then) if other.at == step.at)


def _columns(one: _Series, start: int, count: int) -> Array:
    """Levels of the machines, and the known steps: nights × coefficients."""
    import numpy as np

    steps = [np.arange(start, count) >= step.at for step in _recent(one, count)]
    return np.column_stack([one.machines[start:count], *steps]).astype(float)


def measure_step(
    values: Sequence[float],
    at: int,
    labels: Sequence[str] | None = None,
    errors: Sequence[float] | None = None,
    confidence: float = 0.95,
    others: Sequence[int] = (),
) -> Step:
    """How large a step is whose place is known from elsewhere; arguments as those of :func:`find_steps`.

    Args:
        others: places of further steps, which are measured along with it.

    Raises:
        ValueError: as :func:`find_steps`, or there is no value before a place, or none after it.
    """
    places = sorted({at, *others})
    for place in places:
        if not 0 < place < len(values):
            raise ValueError(f"a step at {place} of {len(values)} values")
    known = tuple(Step(place, len(values) - 1, 1.0, (1.0, 1.0), 0.0) for place in places)
    return _measured(replace(_read(values, labels, errors), steps=known), confidence)[places.index(at)]


def _measured(one: _Series, confidence: float = CONFIDENCE) -> tuple[Step, ...]:
    """The steps with their sizes by all the nights of the series."""
    import numpy as np

    steps = sorted(one.steps, key=lambda step: step.at)
    if not steps:
        return ()
    count = len(one)
    nights = np.arange(count)
    columns = np.column_stack([one.machines, *(nights >= step.at for step in steps)]).astype(float)[None]
    fits = []
    for model in MODELS:
        # One matrix for lines of many lengths.
        white, volume = whitening(model, -(-count // WINDOW) * WINDOW)
        root = white[:count, :count]
        known = np.einsum("mn,snp->smp", root, columns)
        likelihood, found, spread = fit((one.logs @ root.T)[None], known, model.freedom, one.errors[None])
        fits.append((float(likelihood[0]) - float(volume[count - 1]) - model.handicap, found[0], spread[0]))
    best, likeliest, _ = max(fits, key=lambda item: item[0])
    first, freedom = one.machines.shape[1], count - columns.shape[2]
    measured = []
    for number, step in enumerate(steps, first):
        intervals = [
            _interval(float(found[number]), float(spread[number]), confidence, freedom)
            for likelihood, found, spread in fits
            if likelihood > best - PLAUSIBLE
        ]
        whole = min(low for low, _ in intervals), max(high for _, high in intervals)
        measured.append(replace(step, ratio=math.exp(likeliest[number]), interval=whole))
    return tuple(measured)


def _interval(size: float, spread: float, confidence: float, freedom: int) -> tuple[float, float]:
    """Student's, of a ratio whose logarithm has this standard error; all ratios where nothing can be told.

    Nothing can be told where another machine took over just then.
    """
    if freedom < 1 or not spread < _UNKNOWN:
        return 0.0, math.inf
    half = student_t_quantile((1 + confidence) / 2, freedom) * spread
    return (math.exp(size - half), math.exp(size + half)) if half < _UNKNOWN else (0.0, math.inf)
