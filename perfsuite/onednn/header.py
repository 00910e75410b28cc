"""What the header lines say of each copy of oneDNN in the process."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What every record begins with.  (Up to 3.2 graph partitions had a marker of their own.)
MARKER = re.compile(r"(?:onednn|dnnl|mkldnn)(?:_graph)?_verbose,")

_LIBRARY = re.compile(
    r"(?:oneDNN|DNNL|.*MKL-DNN)(?: Graph)? v([\w.+-]+)(?: \((?:commit|Git Hash) ([^)]*)\))?(?:,(.*))?", re.DOTALL
)

_ISA = ("cpu,isa:", "Detected ISA is ")


def names_a_copy(text: str) -> bool:
    """Whether a header line's text (behind ``info,``) is the one that names the library and its version."""
    return _LIBRARY.fullmatch(text) is not None


def header_facts(header: Iterable[str]) -> tuple[dict[str, str], ...]:
    """What the header lines say of each copy of oneDNN: ``version``, ``commit``, ``isa``, ``threads``.

    A fact that the header does not state has no key.  Lines that are no header lines are passed over.
    """
    copies: list[dict[str, str]] = []
    for line in header:
        marker = MARKER.search(line)
        _, found, text = line[marker.end() :].rstrip("\r\n").partition("info,") if marker else ("", "", "")
        if not found:
            continue
        library = _LIBRARY.fullmatch(text)
        if library:
            named = zip(("version", "commit", "isa"), library.groups(), strict=True)
            copies.append({fact: value for fact, value in named if value})
        elif copies and text.startswith(_ISA):
            copies[-1]["isa"] = text.removeprefix("cpu,isa:").removeprefix("Detected ISA is ")
        elif copies and (threads := re.match(r"cpu,.*nthr:(\d+)", text)):
            copies[-1]["threads"] = threads[1]
    return tuple(copies)
