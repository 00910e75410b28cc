"""What the pages have in common that these scripts write into the documentation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfsuite.environment import gather_environment

#: Where the documentation includes generated figures and tables from.
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def origin() -> dict[str, Any]:
    """When, on what and at which commit something is measured now."""
    environment = gather_environment(cwd=Path(__file__).parent)
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": environment.git_commit,
        "cpu": f"{environment.cpu_model or 'unknown CPU'}, {environment.usable_cpus} CPUs",
    }


def taken(what: str, entries: Sequence[Mapping[str, Any]], software: Sequence[str]) -> str:
    """``133 decisions, 2026-11-20 to 2026-11-22, on CPU, with torch 2.13.0, at COMMIT``; each entry has what
    :func:`origin` has."""
    days = dict.fromkeys(day(one["at"][:10] for one in entries) for day in (min, max))
    cpus = "; ".join(sorted({one["cpu"] for one in entries}))
    commits = ", ".join(sorted({(one["commit"] or "no commit")[:12] for one in entries}))
    return (
        f"{len(entries)} {what}, {' to '.join(days)}, on {cpus}, with {'; '.join(sorted(set(software)))}, at {commits}."
    )
