"""A figure as a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from perfsuite.present.kinds import format_of
from perfsuite.present.plots.style import styled

#: What is left out so that the same figure is the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@styled
def image(figure: Figure, kind: str) -> bytes:
    """The figure in one of these formats; the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write the figure in the format that the suffix says; a file that is there is replaced when all of it is ready.

    Raises:
        UsageError: the suffix is none of ``.png``, ``.svg``, ``.pdf``.
        StoreError: the file cannot be written.
    """
    from perfsuite.store.files import write_bytes

    write_bytes(path, image(figure, format_of(path)))
