"""Tables and lines of a given width, as text: the only place that knows rich's console."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from perfsuite.present.cells import fit_widths, shorten_left, shorten_right

#: Below it the numbers alone fill the line.
MIN_WIDTH = 60
_GAP = 2
_SHORTEN: dict[str, Callable[[str, int], str]] = {
    "name": shorten_right,
    "path": shorten_left,
    "number": lambda text, width: text,
    "stack": lambda text, width: text,
}


@dataclass(frozen=True)
class Column:
    """A column of a table: a ``name`` that is too long loses its end, a ``path`` its beginning.

    A ``number`` is never shortened, and ``stack`` holds lines that fit already.
    """

    header: str
    kind: str
    cells: Sequence[str]
    #: Cells that a text keeps before the others get any, but never more than half of what all texts have.
    least: int = 0


def section(caption: str, columns: Sequence[Column], width: int) -> list[RenderableType]:
    """An empty line, a caption and a table."""
    return [Text(), Text(caption, "italic"), table(columns, width)]


def _natural(column: Column) -> int:
    return max(cell_len(line) for cell in (column.header, *column.cells) for line in cell.split("\n"))


def taken_by(columns: Sequence[Column]) -> int:
    """Cells that the columns take when nothing is shortened, each with the gap beside it."""
    return sum(_natural(column) + _GAP for column in columns)


def table(columns: Sequence[Column], width: int) -> Table:
    """A table of at most ``width`` cells: numbers keep their width, texts share what is left."""
    widths = [_natural(column) for column in columns]
    texts = [i for i, column in enumerate(columns) if column.kind != "number"]
    taken = taken_by([column for column in columns if column.kind == "number"]) + _GAP * (len(texts) - 1)
    for i, fitted in zip(texts, _text_widths([columns[i] for i in texts], width - taken), strict=True):
        widths[i] = fitted
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for column, fitted in zip(columns, widths, strict=True):
        justify: JustifyMethod = "right" if column.kind == "number" else "left"
        grid.add_column(column.header, width=fitted, justify=justify, no_wrap=True)
    for row in range(len(columns[0].cells)):
        # Text and not str: [red] in a test id is no markup, whatever the console is set to.
        cells = [_SHORTEN[c.kind](c.cells[row], fitted) for c, fitted in zip(columns, widths, strict=True)]
        grid.add_row(*map(Text, cells))
    return grid


def _text_widths(columns: Sequence[Column], available: int) -> list[int]:
    wanted = [_natural(column) for column in columns]
    least = fit_widths([min(column.least, want) for column, want in zip(columns, wanted, strict=True)], available // 2)
    more = fit_widths([want - kept for want, kept in zip(wanted, least, strict=True)], available - sum(least))
    return [kept + added for kept, added in zip(least, more, strict=True)]


def hanging(line: str, width: int) -> list[RenderableType]:
    """A line wrapped at words, with what does not fit on the first indented: the next fact begins at the margin."""
    console = Console(width=width, file=io.StringIO())
    first = Text(line).wrap(console, width)[0].plain
    rest = line[len(first) :].strip(" ")
    if not rest:
        return [Text(line)]
    return [Text(first), *(Text(" " * _GAP + part.plain) for part in Text(rest).wrap(console, width - _GAP))]


def to_text(parts: Sequence[RenderableType], width: int, color: bool) -> str:
    """The parts below each other; without ``color`` there are no escape codes and no spaces at line ends."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        force_jupyter=False,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
    )
    for part in parts:
        console.print(part)
    text = out.getvalue()
    return text if color else "".join(f"{line.rstrip()}\n" for line in text.split("\n")[:-1])


def stack(names: Column, details: Sequence[Column], width: int) -> Column:
    """One column with the details on a second line below each name, where there are any."""
    cells = []
    for i, name in enumerate(names.cells):
        there = [column for column in details if column.cells[i]]
        widths = fit_widths([cell_len(column.cells[i]) for column in there], width - _GAP * max(1, len(there)))
        line = (" " * _GAP).join(_SHORTEN[c.kind](c.cells[i], w) for c, w in zip(there, widths, strict=True))
        cells.append(shorten_right(name, width) + (f"\n{' ' * _GAP}{line}" if line else ""))
    return Column(names.header, "stack", cells)
