"""Ranges around every ``nn.Module`` call, so that each operator knows which module it runs in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from perfsuite.capture.events import MODULE_RANGE
from perfsuite.capture.profiler import profiler_range


class ModulePaths:
    """Names modules as PyTorch's own module tracker does: ``ResNet.layer1.0.conv1``.

    The first word is the class of the outermost module that was called; the rest is its attribute path.  A
    second outermost module of the same class is ``Linear#2``, a third ``Linear#3``, in order of first call.
    A module that is reachable by two paths has the first of them.  One that is no attribute, because it is made
    within the call (``nn.ReLU()(x)``), is named by its class below the module that calls it.

    Modules are not kept alive; one that is made anew in each step gets the same name in each.
    """

    def __init__(self) -> None:
        self._paths: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._roots: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def path(self, module: Any, caller: str | None = None) -> str:
        """The path of the module that is being called, within the module whose path is ``caller``."""
        found = self._paths.get(module)
        if found is not None:
            return found
        name = type(module).__name__
        return self._add(module, self._free(name) if caller is None else f"{caller}.{name}", caller is None)

    def _free(self, name: str) -> str:
        number = 1
        while (numbered := name if number == 1 else f"{name}#{number}") in self._roots:
            number += 1
        return numbered

    def _add(self, module: Any, path: str, is_root: bool) -> str:
        if is_root:
            self._roots[path] = module
        for name, child in module.named_modules():
            if child not in self._paths:
                self._paths[child] = f"{path}.{name}" if name else path
        return self._paths[module]


@contextmanager
def module_ranges(paths: ModulePaths) -> Iterator[None]:
    """Within the block every module call on this thread opens a profiler range with its path."""
    from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

    thread = threading.get_ident()
    open_ranges: list[tuple[int, str, AbstractContextManager[None]]] = []

    def enter(module: Any, args: Any) -> None:
        if threading.get_ident() != thread:
            return
        path = paths.path(module, open_ranges[-1][1] if open_ranges else None)
        made = profiler_range(MODULE_RANGE + path)
        made.__enter__()
        open_ranges.append((id(module), path, made))

    def leave(module: Any, args: Any, output: Any) -> None:
        if threading.get_ident() != thread:
            return
        # A pre-hook of the user's that raised after ours leaves nothing to close here but its own range.
        if open_ranges and open_ranges[-1][0] == id(module):
            open_ranges.pop()[2].__exit__(None, None, None)

    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        while open_ranges:
            open_ranges.pop()[2].__exit__(None, None, None)
