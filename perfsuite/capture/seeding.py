"""The same random numbers every time."""

from __future__ import annotations

import random
import sys
from importlib import import_module
from importlib.util import find_spec


def seed(number: int) -> None:
    """Seed Python's generator, NumPy's, where it is installed, and torch's, if that is loaded.

    NumPy is imported for it: a test may be the first to do so.  A NumPy that cannot be imported has no generator.
    """
    random.seed(number)
    if find_spec("numpy") is not None:
        import_module("numpy").random.seed(number % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(number)
