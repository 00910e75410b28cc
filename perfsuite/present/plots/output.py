"""A figure as a file."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.present.plots.style import styled

#: What is left out so that the same figure is the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def format_of(path: Path) -> str:
    """``png``, ``svg`` or ``pdf``, by the suffix.

    Raises:
        UsageError: it is another one, or none.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in _METADATA:
        raise UsageError(f"cannot write a figure to {path}: the name must end in .png, .svg or .pdf")
    return kind


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
        PerfsuiteError: the file cannot be written.
    """
    from perfsuite.store.files import reason, write_atomically

    data = image(figure, format_of(path))
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a device or a pipe, which must not be replaced by a file
        else:
            # A link stays one: what it points to is replaced.
            write_atomically(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise PerfsuiteError(f"cannot write {path}: {reason(error)}") from error
