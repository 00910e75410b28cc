"""A badge for a README: how a night went, in two words."""

from __future__ import annotations

from markupsafe import escape

from perfsuite.history.model import Night
from perfsuite.present.cells import clean
from perfsuite.present.history import words
from perfsuite.present.plots.words import width_of

#: White on each of these reaches 4.5:1 (WCAG 2.2, 1.4.3), which a test computes.
TITLE, GOOD, BAD, UNKNOWN = "#3a3d42", "#00694c", "#b03a00", "#5c5f66"
_SIZE, _PADDING, _HEIGHT = 11.0, 6.0, 20
_TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height}" role="img" aria-label="{both}">
<title>{both}</title>
<clipPath id="r"><rect width="{width:g}" height="{height}" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{left:g}" height="{height}" fill="{title_color}"/>\
<rect x="{left:g}" width="{right:g}" height="{height}" fill="{color}"/></g>
<g fill="#ffffff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="{size:g}" text-anchor="middle">
<text x="{title_at:g}" y="14" textLength="{title_long:g}">{title}</text>
<text x="{said_at:g}" y="14" textLength="{said_long:g}">{said}</text>
</g>
</svg>
"""


def render_badge(night: Night, title: str = "training time") -> str:
    """An SVG that needs nothing else; what it says is in its text, and its colour only repeats it."""
    said, color = _said(night)
    title = clean(title)
    long = [round(width_of(text, _SIZE), 1) for text in (title, said)]
    left, right = (length + 2 * _PADDING for length in long)
    return _TEMPLATE.format(
        width=left + right, height=_HEIGHT, both=escape(f"{title}: {said}"), left=left, right=right,
        title_color=TITLE, color=color, size=_SIZE, title_at=left / 2, said_at=left + right / 2,
        title_long=long[0], said_long=long[1], title=escape(title), said=escape(said),
    )  # fmt: skip


def _said(night: Night) -> tuple[str, str]:
    if night.ended is None and not night.findings:
        return "not finished", UNKNOWN
    bad = words.standing(night) or words.new_ones(night)
    return words.verdict(night).replace("\N{NO-BREAK SPACE}", " "), BAD if bad else GOOD
