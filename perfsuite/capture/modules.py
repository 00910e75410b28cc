"""Ranges around every ``nn.Module`` call, so that each operator knows which module it runs in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from perfsuite.capture.events import MODULE_RANGE
from perfsuite.capture.profiler import profiler_range


class ModulePaths:
    """Names modules as PyTorch's own module tracker does: ``ResNet.layer1.0.conv1``.

    The first word is the class of the outermost module that was called; the rest is its attribute path.  A
    second outermost module of the same class is ``Linear#2``, a third ``Linear#3``, in order of first call.
    A module that is reachable by two paths has the first of them.
    """

    def __init__(self) -> None:
        self._paths: dict[int, str] = {}
        self._roots: dict[str, int] = {}
        # Ids are unique only among living objects: hold on to the roots (which hold their children).
        self._alive: list[Any] = []

    def path(self, module: Any) -> str:
        """The path of the module that is being called."""
        found = self._paths.get(id(module))
        return found if found is not None else self._add_root(module)

    def _add_root(self, module: Any) -> str:
        kind = type(module).__name__
        number = self._roots[kind] = self._roots.get(kind, 0) + 1
        root = kind if number == 1 else f"{kind}#{number}"
        self._alive.append(module)
        for name, child in module.named_modules():
            self._paths.setdefault(id(child), f"{root}.{name}" if name else root)
        return self._paths[id(module)]


@contextmanager
def module_ranges(paths: ModulePaths) -> Iterator[None]:
    """Within the block every module call on this thread opens a profiler range with its path."""
    from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

    thread = threading.get_ident()
    open_ranges: list[tuple[int, AbstractContextManager[None]]] = []

    def enter(module: Any, args: Any) -> None:
        if threading.get_ident() != thread:
            return
        made = profiler_range(MODULE_RANGE + paths.path(module))
        made.__enter__()
        open_ranges.append((id(module), made))

    def leave(module: Any, args: Any, output: Any) -> None:
        if threading.get_ident() != thread:
            return
        # A pre-hook of the user's that raised after ours leaves nothing to close here but its own range.
        if open_ranges and open_ranges[-1][0] == id(module):
            open_ranges.pop()[1].__exit__(None, None, None)

    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        while open_ranges:
            open_ranges.pop()[1].__exit__(None, None, None)
