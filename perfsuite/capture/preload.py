"""Import early what a step would import late."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec


def preload() -> None:
    """Import torch, and torch._dynamo, which the first step of any of its optimizers imports; nothing without torch.

    Workers do this at the same time; what a benchmark imports by itself they do one after the other.
    """
    if find_spec("torch") is not None:
        import_module("torch")
        import_module("torch._dynamo")
