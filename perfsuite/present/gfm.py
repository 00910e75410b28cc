"""Text from anywhere in GitHub-flavoured Markdown: it shows as it is, and neither pings, links nor formats.

A mention, an issue's number or a link is made by GitHub after the Markdown was rendered, so escaping does not stop
it; being in code does.  https://github.github.com/gfm/ (0.29) has the rules of the rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from perfsuite.present.cells import MISSING, clean

#: Letters and digits of any script, joined by what means nothing between two of them; brackets and stops around.
_HARMLESS = re.compile(r"[(\"']?[^\W_]+(?:[.,:+=%/×’'-][^\W_]+)*[%)\"'.,:;…]{0,3}")
_ALONE = frozenset("→÷×–·=%±…")
#: Harmless to Markdown, but GitHub makes a link of it: a web address without a scheme, an issue's number.
_LINKED = re.compile(r"www\.|[^\W\d_]-\d", re.IGNORECASE)


def code(text: str) -> str:
    """A name from a log or a test id as code; good in a cell of a table, too."""
    shown = clean(text)
    if not shown.strip():
        return MISSING
    if "|" in shown:
        # In a cell parsers disagree about what a backslash before a pipe means, even in code.
        return f"<code>{_entities(shown)}</code>{_mark(shown)}"
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    # One space on each side is taken off again, which keeps a name's own.
    space = " " if longest or shown[0] == " " or shown[-1] == " " else ""
    return f"{fence}{space}{shown}{space}{fence}{_mark(shown)}"


def prose(text: str) -> str:
    """A sentence with names in it: words that might mean something to Markdown or to GitHub become code.

    It must not be the first on its line, where ``1.`` would begin a list.
    """
    return " ".join(_word(word) for word in clean(text).split())


def html(text: str) -> str:
    """A name as code in a line of HTML, where Markdown does not look: ``<summary>``."""
    shown = clean(text)
    return f"<code>{_entities(shown)}</code>{_mark(shown)}" if shown.strip() else MISSING


def row(cells: Sequence[str]) -> str:
    """A row of a table; cells are :func:`code`, :func:`prose` or the caller's own words without a pipe."""
    return f"| {' | '.join(cells)} |"


def table(head: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table; ``head`` has the name and the alignment (``left`` or ``right``) of each column."""
    rules = ["---:" if align == "right" else ":---" for _, align in head]
    return [row([name for name, _ in head]), row(rules), *map(row, rows)]


def details(summary: str, lines: Sequence[str]) -> list[str]:
    """Lines that a click unfolds; ``summary`` is HTML."""
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"]


def _word(word: str) -> str:
    if word in _ALONE or (_HARMLESS.fullmatch(word) and not _LINKED.search(word)):
        return word
    # The sentence's own stops stay outside, unless there is nothing else.
    name = word.rstrip(",.;:") or word
    return code(name) + word[len(name) :]


def _entities(text: str) -> str:
    """Every character that might mean something to HTML or Markdown as a reference: ``&#124;``."""
    return "".join(char if char.isalnum() or char == " " or char > "\x7f" else f"&#{ord(char)};" for char in text)


def _mark(text: str) -> str:
    """What makes the line go on from left to right behind letters that do not."""
    return "&lrm;" if any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text) else ""
