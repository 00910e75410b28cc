"""A line of a history as small as a word: an ``<svg>`` of a few elements, of which a page can hold hundreds.

Matplotlib takes a tenth of a second for a figure, which is too long for every line of a history every night.
"""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup, escape

from perfsuite.history.figure import SeriesFigure
from perfsuite.present.cells import clean
from perfsuite.present.history import words as say
from perfsuite.present.plots.style import CSS_NAMES, FASTER, SERIES, SLOWER

_WIDTH, _HEIGHT, _MARGIN = 240.0, 52.0, 4.0
#: As markers of the large figures: a disc, a square, a triangle, a diamond.
_SHAPES = (
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="1.7"/>',
    '<rect x="{left:.1f}" y="{above:.1f}" width="3.2" height="3.2"/>',
    '<path d="M{x:.1f} {above:.1f}l2 3.6h-4z"/>',
    '<path d="M{x:.1f} {above:.1f}l2 1.9l-2 1.9l-2 -1.9z"/>',
)


def sparkline(record: SeriesFigure) -> Markup:
    """Points, levels, changes and marks; colours are those of the page's theme."""
    if record.missing is not None:
        return Markup("")
    label = escape(clean(f"{record.title}: {record.subtitle}"))
    return Markup(
        f'<svg class="spark" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(_marks(record))}{''.join(_turns(record))}{''.join(_levels(record))}"
        f"{''.join(_dots(record))}</svg>"
    )


def _x(record: SeriesFigure, x: float) -> float:
    return _MARGIN + (x + 0.5) * (_WIDTH - 2 * _MARGIN) / len(record.commits)


def _y(record: SeriesFigure, value: float) -> float:
    return _HEIGHT - _MARGIN - (value - record.low) / (record.high - record.low) * (_HEIGHT - 2 * _MARGIN)


def _variable(color: str) -> str:
    return f"var({CSS_NAMES[color]})"


def _marks(record: SeriesFigure) -> Iterator[str]:
    for one in record.marks:
        x = _x(record, one.x - 0.5)
        yield f'<path d="M{x:.1f} 0V{_HEIGHT:g}" style="stroke:var(--muted);stroke-dasharray:1 2"/>'


def _turns(record: SeriesFigure) -> Iterator[str]:
    for turn in record.turns:
        x = _x(record, turn.x - 0.5)
        color = _variable(SLOWER if turn.change.is_regression else FASTER)
        tip = escape(clean(f"{say.commits(turn.change.before, turn.change.at)}: {say.change(turn.change)}"))
        style = f"stroke:{color};stroke-dasharray:4 2"
        yield f'<path d="M{x:.1f} 0V{_HEIGHT:g}" style="{style}"><title>{tip}</title></path>'


def _levels(record: SeriesFigure) -> Iterator[str]:
    for level in record.levels:
        ends, y = (_x(record, level.first - 0.5), _x(record, level.last + 0.5)), _y(record, level.value)
        color = _variable(SERIES[level.machine % 7])
        yield f'<path d="M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}" style="stroke:{color}"/>'


def _dots(record: SeriesFigure) -> Iterator[str]:
    for index in range(len(record.machines)):
        shape = _SHAPES[index % len(_SHAPES)]
        yield f'<g style="fill:{_variable(SERIES[index % 7])}">'
        for dot in record.dots:
            if dot.machine == index:
                x, y = _x(record, dot.x), _y(record, dot.value)
                yield shape.format(x=x, y=y, left=x - 1.6, above=y - 1.8)
        yield "</g>"
