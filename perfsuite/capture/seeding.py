"""The same random numbers every time."""

from __future__ import annotations

import random
import sys


def seed(number: int) -> None:
    """Seed Python's generator, NumPy's and torch's, of the latter two those that are loaded."""
    random.seed(number)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(number % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(number)
