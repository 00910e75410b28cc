"""What lies in a repository and is not its code: interpreters, environments and what is installed in them.

The functions are asked in a worker, of what it has loaded, and are sent to interpreters that have no perfsuite yet,
which may be of any age (:mod:`perfsuite.gate.probe`): so they use ``os`` and ``sys`` and an old Python's syntax, their
annotations apart.
"""

from __future__ import annotations

import os
import sys


def within(path: str, root: str) -> bool:
    """Whether a path is ``root`` or lies in it, links followed."""
    path, root = os.path.realpath(path), os.path.realpath(root)
    return path == root or path.startswith(os.path.join(root, ""))


def interpreter_places(origin: str) -> list[str]:
    """Real paths of where the interpreter that runs now lies, and what is installed for it, as far as in ``origin``."""
    import sysconfig

    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    prefixes = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    places += [prefix for prefix in prefixes if os.path.realpath(prefix) != os.path.realpath(origin)]
    return [os.path.realpath(place) for place in places if within(place, origin)]


def is_environment(folder: str) -> bool:
    """Whether a folder is one that packages are installed in, or an environment of any interpreter's."""
    installed = os.path.basename(folder) in ("site-packages", "dist-packages")
    return installed or any(os.path.exists(os.path.join(folder, mark)) for mark in ("pyvenv.cfg", "conda-meta"))


def is_installed(path: str, origin: str) -> bool:
    """Whether the path, within the repository ``origin``, belongs to an interpreter or an environment."""
    path, origin = os.path.realpath(path), os.path.realpath(origin)
    if any(within(path, place) for place in interpreter_places(origin)):
        return True
    while path != origin and within(path, origin):
        if is_environment(path):
            return True
        path = os.path.dirname(path)
    return False
