"""Loads matplotlib before any other module of this package does, without the backend that the environment asks for."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def load() -> None:
    """Import matplotlib; a backend in ``MPLBACKEND`` that it does not know is no reason to fail: none is used here."""
    if "matplotlib" in sys.modules:
        return
    wanted = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib

        if wanted:
            # As matplotlib's own import does, for whoever uses pyplot later in this process.
            with suppress(ValueError):
                matplotlib.rcParams["backend"] = wanted
    finally:
        if wanted is not None:
            os.environ["MPLBACKEND"] = wanted


load()
