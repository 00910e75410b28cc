"""A calibration as text and as JSON; nothing is computed here but how a number is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from perfsuite.codec import to_json
from perfsuite.gate.calibration import FORMAT, WANTED, Alarms, Calibration, Found, Planned, Planted
from perfsuite.gate.model import Policy
from perfsuite.gate.simulate import Tally
from perfsuite.present.as_json import strict
from perfsuite.present.cells import MISSING, clean, format_ns, format_share
from perfsuite.present.layout import MIN_WIDTH, Column, hanging, section, to_text
from perfsuite.present.phrases import counted, signed_share

_NOTES = (
    "replayed: the pairs in the order in which they were recorded, each in one decision; all other decisions are drawn "
    "from the pairs with replacement, with the machine made worse as the name says",
    "alarms at most: upper 95% bound of their rate; for drawn decisions it knows no other noise than these pairs'",
    "seconds at most: if all pairs are needed; mean: if the sides are equal; detectable: found in 80% of cases",
)


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """The calibration as strict JSON values; ``docs/gate-statistics.md`` explains the keys."""
    value: dict[str, Any] = strict({"format": FORMAT, **to_json(calibration)})
    return value


def render_calibration(calibration: Calibration, *, width: int, color: bool) -> str:
    """What a gate can tell on this host: false alarms, power, the minimal detectable change against time, a budget."""
    width = max(width, MIN_WIDTH)
    parts: list[RenderableType] = [Text(clean(_title(calibration)), "bold", overflow="fold")]
    for line in (_noise(calibration), _plan(calibration)):
        parts += hanging(line, width)
    parts += section("False alarms: equal sides", _alarm_columns(calibration), width)
    parts += section("Power: a slowdown planted in the recorded steps", _curve_columns(calibration.curve), width)
    caption = "What time buys: plans of so many pairs"
    parts += section(caption, _plan_columns(calibration), width)
    if calibration.planted:
        parts += section("Slowdowns that were built in", _planted_columns(calibration.planted), width)
    parts.append(Text())
    for line in (_budget(calibration), *(f"note: {note}" for note in _NOTES)):
        parts += hanging(line, width)
    return to_text(parts, width, color)


def _title(calibration: Calibration) -> str:
    environment = calibration.environment
    cpu = environment.cpu_model if environment is not None else None
    return f"{cpu or 'unknown CPU'} · {calibration.created}"


def _noise(calibration: Calibration) -> str:
    return (
        f"{counted(calibration.pairs, 'process pair')} of equal sides, {_seconds(calibration.pair_seconds)} each; "
        f"log-ratios differ by {format_share(calibration.spread)} from pair to pair (standard deviation); the process "
        f"that is started first takes {signed_share(calibration.start_effect)}"
    )


def _plan(calibration: Calibration) -> str:
    policy = calibration.policy
    return (
        f"gate: threshold {format_share(policy.threshold)}, {100 * policy.confidence:g}% confidence, "
        f"{policy.min_pairs} to {policy.max_pairs} pairs, {_seconds(policy.seconds)} a benchmark"
    )


def _budget(calibration: Calibration) -> str:
    share, slower = format_share(WANTED), format_share(calibration.slowdown)
    reached = f"{share} of equal sides called unchanged, and {share} of slowdowns by {slower} found"
    if calibration.recommended_seconds is None or calibration.recommended_pairs is None:
        longest = counted(calibration.plans[-1].pairs, "pair")
        return f"no budget is recommended: {longest} do not reach {reached}; perfsuite doctor says what makes the noise"
    pairs = counted(calibration.recommended_pairs, "pair")
    return (
        f"recommended budget: {_seconds(calibration.recommended_seconds)} a benchmark ({pairs} and their profiles), "
        f"which reaches {reached}; perfsuite gate takes it if it is more than its default of "
        f"{_seconds(Policy().seconds)}; it is for one benchmark, and each of several needs some pairs more"
    )


def _alarm_columns(calibration: Calibration) -> list[Column]:
    rows: list[Alarms] = [*([calibration.replayed] if calibration.replayed else []), *calibration.drawn]
    return [
        Column("Decisions", "name", [clean(one.name) for one in rows]),
        Column("Alarms", "number", [f"{one.alarms} of {one.tally.decisions}" for one in rows]),
        Column("At most", "number", [_rate(one.at_most) for one in rows]),
        Column("Unchanged", "number", [format_share(one.unchanged) for one in rows]),
        *_effort([one.tally for one in rows]),
    ]


def _curve_columns(curve: Sequence[Found]) -> list[Column]:
    return [
        Column("Slowdown", "number", [signed_share(one.effect) for one in curve]),
        Column("Regressed", "number", [format_share(one.found) for one in curve]),
        Column("Unchanged", "number", [format_share(one.missed) for one in curve]),
        Column("Inconclusive", "number", [format_share(one.tally.share("inconclusive")) for one in curve]),
        *_effort([one.tally for one in curve]),
    ]


def _effort(tallies: Sequence[Tally]) -> list[Column]:
    return [
        Column("Pairs", "number", [f"{tally.mean_pairs:.1f}" for tally in tallies]),
        Column("Mean", "number", [_seconds(tally.mean_seconds) for tally in tallies]),
    ]


def _plan_columns(calibration: Calibration) -> list[Column]:
    plans: Sequence[Planned] = calibration.plans
    return [
        Column("Pairs", "number", [str(plan.pairs) for plan in plans]),
        Column("At most", "number", [_seconds(plan.seconds) for plan in plans]),
        Column("Mean", "number", [_seconds(plan.mean_seconds) for plan in plans]),
        Column("Detectable", "number", [signed_share(plan.minimal_detectable) for plan in plans]),
        Column("Unchanged", "number", [format_share(plan.unchanged) for plan in plans]),
        Column(
            f"{signed_share(calibration.slowdown)} found",
            "number",
            [format_share(plan.found) for plan in plans],
        ),
    ]


def _planted_columns(planted: Sequence[Planted]) -> list[Column]:
    return [
        Column("Built in", "number", [signed_share(one.effect) for one in planted]),
        Column("Pairs", "number", [str(one.judgement.process_pairs) for one in planted]),
        Column("Measured", "number", [_change(one.judgement.ratio) for one in planted]),
        Column("Interval", "number", [_interval(one.judgement.interval) for one in planted]),
        Column("Found", "number", [_found(one.replayed) for one in planted]),
        Column("Drawn", "number", [format_share(one.drawn.share("regressed")) for one in planted]),
    ]


def _found(tally: Tally | None) -> str:
    return MISSING if tally is None else f"{tally.verdicts['regressed']} of {tally.decisions}"


def _change(ratio: float | None) -> str:
    return signed_share(None if ratio is None else ratio - 1)


def _interval(interval: tuple[float, ...] | None) -> str:
    return MISSING if interval is None else f"{_change(interval[0])} to {_change(interval[1])}"


def _rate(rate: float) -> str:
    return f"{rate:.2%}" if rate < 0.1 else format_share(rate)


def _seconds(seconds: float) -> str:
    return format_ns(seconds * 1e9)
