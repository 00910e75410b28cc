"""What the pages have in common that these scripts write into the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: Where the documentation includes generated figures and tables from.
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def taken(what: str, entries: Sequence[Mapping[str, Any]], software: Sequence[str]) -> str:
    """``133 decisions, 2026-11-20 to 2026-11-22, on CPU, with torch 2.13.0, at COMMIT``; each entry has ``at``, a UTC
    time, ``cpu`` and ``commit``."""
    days = dict.fromkeys(day(one["at"][:10] for one in entries) for day in (min, max))
    cpus = "; ".join(sorted({one["cpu"] for one in entries}))
    commits = ", ".join(sorted({(one["commit"] or "no commit")[:12] for one in entries}))
    return (
        f"{len(entries)} {what}, {' to '.join(days)}, on {cpus}, with {'; '.join(sorted(set(software)))}, at {commits}."
    )
