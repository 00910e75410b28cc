"""Every timed round in order, and how they are distributed."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfsuite.analyse.figures import SamplesFigure, Series
from perfsuite.present.cells import format_ns
from perfsuite.present.plots.layout import Sheet, plain, sentence, sheet, unit_for
from perfsuite.present.plots.style import COMPACT, MARKERS, SERIES, WIDE, styled
from perfsuite.present.plots.words import write

_HEIGHT, _LEFT, _BOTTOM, _TOP, _GAP = 168.0, 52.0, 30.0, 12.0, 12.0
#: So few rounds have room for marks that are easily seen.
_FEW = 30


@styled
def samples(record: SamplesFigure, *, width: float = WIDE, words: bool = True) -> Figure:
    """A panel with the rounds of each side, side by side, and one with the share of rounds up to each time."""
    if record.missing is not None:
        return sentence(record, width, words)
    drawn = sheet(record, width, _HEIGHT, words)
    wide = width > COMPACT
    panels = _panels(drawn, len(record.series) + 1)
    unit, size = unit_for(max(max(one.values_ns) for one in record.series))
    low = min(min(one.values_ns) for one in record.series)
    high = max(max(one.values_ns) for one in record.series)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    bottom = max(low - margin, 0.0) if low >= 0 else low - margin
    for panel in panels:
        panel.set_ylim(bottom / size, (high + margin) / size)
        plain(panel, "y")
    for panel in panels[1:]:
        panel.tick_params(labelleft=False)
    begins = f"\naxis from {format_ns(bottom)} on" if bottom > 0 else ""
    panels[0].set_ylabel(f"time of one step ({unit}){begins}")
    for index, one in enumerate(record.series):
        _rounds(panels[index], one, index, size, wide)
        _share(panels[-1], one, index, size)
        if len(record.series) > 1:
            _above(panels[index], one.name)
    if len(record.series) > 1:
        first, second = (one.name for one in record.series)
        _above(panels[-1], f"solid: {first}, dashed: {second}" if wide else f"solid: {first}")
    panels[-1].set(xlim=(0, 1), xticks=(0, 0.5, 1), xlabel="share of rounds up to it" if wide else "share")
    panels[-1].xaxis.set_major_formatter("{x:g}")
    return drawn.figure


def samples_tips(record: SamplesFigure) -> dict[str, str]:
    """What each side is, exactly: on its rounds, on the line of its median, and on its distribution."""
    found: dict[str, str] = {}
    for index, one in enumerate(record.series):
        text = _tip(one)
        found |= {f"samples-{part}-{index}": text for part in ("rounds", "median", "share")}
    return found


def _tip(one: Series) -> str:
    spread = "95% interval" if one.kind == "interval" else "range"
    name = "" if one.name == "run" else f"{one.name}: "
    return (
        f"{name}median {format_ns(one.median_ns, 4)}, {spread} {format_ns(one.low_ns, 4)} to "
        f"{format_ns(one.high_ns, 4)}; {format_ns(min(one.values_ns), 4)} to {format_ns(max(one.values_ns), 4)}, "
        f"n = {len(one.values_ns)}"
    )


def _panels(drawn: Sheet, count: int) -> list[Axes]:
    """Equal panels for the sides and a narrower one for the distribution."""
    right = drawn.width - 8  # half of the last tick's label
    room = right - _LEFT - _GAP * (count - 1)
    last = room * (0.3 if count == 2 else 0.26)
    each = (room - last) / (count - 1)
    height = drawn.height - _BOTTOM - _TOP
    places = [(_LEFT + at * (each + _GAP), each) for at in range(count - 1)]
    places.append((right - last, last))
    return [drawn.axes(left, _BOTTOM, width, height) for left, width in places]


def _above(panel: Axes, text: str) -> None:
    write(panel, 0.5, 1.02, text, transform=panel.transAxes, ha="center", va="bottom")


def _rounds(panel: Axes, one: Series, index: int, size: float, wide: bool) -> None:
    color = SERIES[index]
    panel.axhspan(one.low_ns / size, one.high_ns / size, color=color, alpha=0.2, linewidth=0)
    middle = panel.axhline(one.median_ns / size, color=color, linewidth=1.2)
    middle.set_gid(f"samples-median-{index}")
    rounds, values = zip(*one.points, strict=True)
    (dots,) = panel.plot(
        rounds, [value / size for value in values], linestyle="none", marker=MARKERS[index],
        markersize=4 if len(values) <= _FEW else 2.5,
        markerfacecolor=color, markeredgewidth=0,
    )  # fmt: skip
    dots.set_gid(f"samples-rounds-{index}")
    n = len(one.values_ns)
    panel.set_xlim(1 - 0.03 * n - 0.3, n + 0.03 * n + 0.3)
    panel.set_xlabel("round, in run order" if wide else "round")
    plain(panel, "x", 4 if wide else 2)
    panel.grid(False, axis="x")
    panel.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]


def _share(panel: Axes, one: Series, index: int, size: float) -> None:
    values, shares = zip(*one.steps, strict=True)
    (line,) = panel.step(
        [0.0, *shares], [values[0] / size, *(value / size for value in values)], where="pre", color=SERIES[index],
        linewidth=1.2, linestyle="-" if index == 0 else (0, (4, 1.5)), label=one.name,
    )  # fmt: skip
    line.set_gid(f"samples-share-{index}")
