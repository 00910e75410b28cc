"""Which files of a repository a process has loaded, so that each side can be shown to run its own."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from perfsuite.gate.prefixes import is_installed


def loaded_files(roots: Iterable[str], maps: Path = Path("/proc/self/maps")) -> Mapping[str, str]:
    """Every Python module and shared object under ``roots`` that this process has loaded: real path → SHA-256.

    What belongs to an interpreter or an environment that lies within a repository is not the repository's.
    """
    folders = _real(roots)
    found = {}
    for path in sorted({*_modules(), *_mapped(maps)}):
        real = os.path.realpath(path)
        if _is_code(real, folders):
            digest = _sha256(real)
            if digest is not None:
                found[real] = digest
    return found


def loaded_elsewhere(names: Iterable[str], roots: Iterable[str]) -> Mapping[str, str]:
    """The modules of these names that this process has loaded from outside of ``roots``: name → real path.

    What is installed counts as outside, wherever it lies; what is Python's own is left out.
    """
    folders = _real(roots)
    found = {}
    for name in names:
        path = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(path, str) and name.partition(".")[0] not in sys.stdlib_module_names:
            real = os.path.realpath(path)
            if not _is_code(real, folders):
                found[name] = real
    return found


def foreign(loaded: Mapping[str, Mapping[str, str]], roots: Mapping[str, str]) -> str | None:
    """Why two sides do not each run their own code; None where they do.

    Args:
        loaded: by side, :func:`loaded_files` of its worker.
        roots: by side, the root of its tree.
    """
    real = {side: os.path.realpath(root) for side, root in roots.items()}
    if len(set(real.values())) == 1:
        return None
    for side, other in (tuple(roots), tuple(roots)[::-1]):
        own, theirs = (os.path.join(real[name], "") for name in (side, other))
        for path in loaded[side]:
            owner = max((root for root in (own, theirs) if path.startswith(root)), key=len, default=own)
            if owner == theirs:
                return (
                    f"{side} ran {os.path.relpath(path, theirs)} from {other}'s tree: it is installed from there; give "
                    f"{side} an interpreter of its own in which its code is installed, {side} python:PATH, or import "
                    "it from the folder pytest runs in"
                )
    return None


def _real(roots: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(os.path.realpath, roots))


def _is_code(path: str, folders: Iterable[str]) -> bool:
    """Whether a file is the code of one of the repositories."""
    around = [folder for folder in folders if path.startswith(os.path.join(folder, ""))]
    return any(not _is_installed(os.path.dirname(path), folder) for folder in around)


#: By folder: a worker has thousands of files in hundreds of them, and says so for each of its benchmarks.
_is_installed = functools.cache(is_installed)


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
