"""asv's benchmarks: what the nightly history measures of each commit.

asv imports this folder as a package of its own, called ``history``, in the environment of the commit: see
``docs/history``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _find_siblings() -> None:
    """Let ``benchmarks`` and ``perfsuite`` be imported.

    They are on PYTHONPATH, which asv takes off the path of this process; else they are in the checkout around us.
    """
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    checkout = Path(__file__).resolve().parents[2]
    if not any(Path(folder, "benchmarks", "apart.py").is_file() for folder in [*folders, *sys.path]):
        folders.append(str(checkout))
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]


_find_siblings()
