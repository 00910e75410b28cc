"""What ``perfsuite doctor`` found, as text and as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from perfsuite import __version__
from perfsuite.doctor import STATUSES, Diagnosis, Finding, Status
from perfsuite.present.cells import clean
from perfsuite.present.layout import MIN_WIDTH, hanging, to_text
from perfsuite.present.phrases import parted

FORMAT = 1
_COLORS: dict[Status, str] = {"bad": "bold red", "warn": "yellow", "unknown": "cyan", "good": "green"}


def render_diagnosis(diagnosis: Diagnosis, *, width: int, color: bool) -> str:
    """Each finding with what it does to times and what mends it; of what is good only what was found.

    No line is wider than ``width`` but a command, which is there to be copied.
    """
    width = max(width, MIN_WIDTH)
    counts = [f"{diagnosis.count(status)} {status}" for status in STATUSES if diagnosis.count(status)]
    texts = [to_text([Text(f"{', '.join(counts)}; sampled for {diagnosis.seconds:.1f} s", "bold")], width, color)]
    good = [finding for finding in diagnosis.findings if finding.status == "good"]
    for finding in diagnosis.findings:
        if finding.status != "good":
            parts = [Text(), _head(finding), *_indented(finding.found, width), *_indented(finding.why, width)]
            texts.append(to_text(parts, width, color) + _mend(finding, width, color))
    if good:
        parts = [part for finding in good for part in (_head(finding), *_indented(finding.found, width))]
        texts.append(to_text([Text(), *parts], width, color))
    return "".join([*texts, to_text([Text(), *_end(diagnosis, width)], width, color)])


def _head(finding: Finding) -> Text:
    return Text.assemble((f"{finding.status:8}", _COLORS[finding.status]), (clean(finding.check), "bold"))


def _indented(text: str, width: int) -> list[RenderableType]:
    lines = hanging(clean(text), width - 2)
    return [Text("  ") + line for line in lines if isinstance(line, Text)]


def _mend(finding: Finding, width: int, color: bool) -> str:
    if finding.mend is None:
        return ""
    said = list(parted(finding.mend))
    prose = "".join(text for is_code, text in said if not is_code).strip()
    # Not through the console, which would wrap or crop what is longer than a line.
    commands = [f"    {text}\n" for is_code, text in said if is_code]
    return to_text(_indented(f"→ {prose}", width), width, color) + "".join(commands)


def _end(diagnosis: Diagnosis, width: int) -> list[RenderableType]:
    if not diagnosis.launch:
        return hanging("perfsuite launch would change none of these.", width)
    return hanging(f"perfsuite launch -- COMMAND mends: {', '.join(map(clean, diagnosis.launch))}", width)


def diagnosis_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The same as JSON's values; ``docs/doctor.md`` describes the format."""
    return {
        "format": FORMAT,
        "perfsuite": __version__,
        "seconds": diagnosis.seconds,
        "counts": {status: diagnosis.count(status) for status in STATUSES},
        "findings": [
            {
                "check": finding.check,
                "status": finding.status,
                "found": finding.found,
                "why": finding.why,
                "mend": finding.mend,
            }
            for finding in diagnosis.findings
        ],
        "launch": list(diagnosis.launch),
    }
