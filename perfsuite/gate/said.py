"""Of all that a process printed before it ended, the line that tells why."""

from __future__ import annotations

import re

#: ``__main__.py: error: unrecognized arguments: --speed``, which pytest says of options.
_OF_OPTIONS = re.compile(r"[^:]*: error: ")
#: What pytest prints of itself and of its progress, and how faulthandler ends.
_TELLS_NOTHING = re.compile(
    r"=+( |$)|(rootdir|configfile|testpaths|plugins|cachedir|benchmark|hypothesis profile|asyncio)[ :]"
    r"|platform |collect(ed|ing) |\S+\.py(::\S+)?( *[.FEsxXR]*( *\[ *\d+%\])?)?$|Extension modules: "
)
#: How faulthandler begins, and where it goes on with the thread in which the signal came.
_FATAL, _CURRENT = "Fatal Python error: ", "Current thread "
#: What a library raises when it gives up; it has said why.
_ABORTED = f"{_FATAL}Aborted"


def last_words(text: str) -> str:
    """The telling line of what was printed; an empty text where there is none.

    It is what faulthandler made of a signal, and where in Python that was; else the first of pytest's own errors; else
    the last line that tells anything.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = next((place for place, line in enumerate(lines) if _FATAL in line), None)
    if fatal is not None:
        return _fatal(lines, fatal)
    # What is wrong with an option follows on a line of its own.
    errors = [line for line in lines if line.startswith(("ERROR: ", "E  ", "perfsuite: ")) and "usage: " not in line]
    errors += [line for line in lines if _OF_OPTIONS.match(line)]
    own = [line for line in lines if not _TELLS_NOTHING.match(line)]
    return (errors[:1] or own[-1:] or [""])[0]


def _fatal(lines: list[str], place: int) -> str:
    # It follows the name of the test's file, in the same line, which pytest has not ended.
    said = lines[place][lines[place].index(_FATAL) :]
    before = [line for line in lines[:place] if not _TELLS_NOTHING.match(line)]
    if before and said == _ABORTED:
        said = before[-1]
    threads = (number for number, line in enumerate(lines) if number > place and line.startswith(_CURRENT))
    current = next(threads, None)
    # Without a frame of Python's another line follows it, or none.
    where = lines[current + 1 : current + 2] if current is not None else []
    return ", ".join([said, *(line for line in where if line.startswith("File "))])
