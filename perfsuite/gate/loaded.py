"""Which files of a repository a process has loaded, so that each side can be shown to run its own."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

#: What is installed in a virtual environment that lies within the repository is not the repository's.
_INSTALLED = ("site-packages", "dist-packages")


def loaded_files(roots: Iterable[str], maps: Path = Path("/proc/self/maps")) -> Mapping[str, str]:
    """Every Python module and shared object under ``roots`` that this process has loaded: real path → SHA-256."""
    folders = tuple(os.path.join(os.path.realpath(root), "") for root in roots)
    found = {}
    for path in sorted({*_modules(), *_mapped(maps)}):
        real = os.path.realpath(path)
        if real.startswith(folders) and not any(part in _INSTALLED for part in real.split(os.sep)):
            digest = _sha256(real)
            if digest is not None:
                found[real] = digest
    return found


def loaded_elsewhere(names: Iterable[str], roots: Iterable[str]) -> Mapping[str, str]:
    """The modules of these names that this process has loaded from outside of ``roots``: name → real path.

    What is installed counts as outside, wherever it lies; what is Python's own is left out.
    """
    folders = tuple(os.path.join(os.path.realpath(root), "") for root in roots)
    found = {}
    for name in names:
        path = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(path, str) and name.partition(".")[0] not in sys.stdlib_module_names:
            real = os.path.realpath(path)
            if not real.startswith(folders) or any(part in _INSTALLED for part in real.split(os.sep)):
                found[name] = real
    return found


def _modules() -> Iterator[str]:
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            yield path


def _mapped(maps: Path) -> Iterator[str]:
    """Shared objects, which need not be modules of Python's: ``torch.ops.load_library`` leaves no other trace."""
    try:
        lines = maps.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/") and ".so" in fields[5]:
            yield fields[5].removesuffix(" (deleted)")


@functools.cache
def _sha256(path: str) -> str | None:
    # Once per process: what it has loaded stays what it was, whatever happens to the file.
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
