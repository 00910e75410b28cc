"""Which files of a repository a process has loaded, so that each side can be shown to run its own."""

from __future__ import annotations

import functools
import hashlib
import mmap
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from perfsuite.gate.prefixes import interpreter_places, is_environment

#: Where the system has what belongs to it.
_SYSTEM = ("/usr/", "/lib/", "/lib64/")
#: How folders begin in which compilers keep what they made, each file named by what it was made of; variables that name
#: others of their kind.
_BY_CONTENT = ("torchinductor_", ".triton")
_CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")


def loaded_files(roots: Iterable[str], maps: Path = Path("/proc/self/maps")) -> Mapping[str, str]:
    """Every Python module and shared object under ``roots`` that this process has loaded: real path → SHA-256.

    What belongs to an interpreter or an environment that lies within a repository is not the repository's.
    """
    folders = _resolved(roots)
    found = {}
    for path in sorted({*_modules(), *_mapped(maps)}):
        real = _real(path)
        if _is_code(real, folders):
            digest = _sha256(real)
            if digest is not None:
                found[real] = digest
    return found


def loaded_elsewhere(names: Iterable[str], roots: Iterable[str]) -> Mapping[str, str]:
    """The modules of these names that this process has loaded from outside of ``roots``: name → real path.

    What is installed counts as outside, wherever it lies; what is Python's own is left out.
    """
    folders = _resolved(roots)
    found = {}
    for name in names:
        path = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(path, str) and name.partition(".")[0] not in sys.stdlib_module_names:
            real = _real(path)
            if not _is_code(real, folders):
                found[name] = real
    return found


def extensions_elsewhere(roots: Iterable[str], maps: Path = Path("/proc/self/maps")) -> tuple[str, ...]:
    """Compiled extensions that this process has loaded and that are of no repository, environment or system.

    They are modules of Python's, and libraries that torch was told to load; real paths.  What Inductor and Triton
    compile is left out: their files are named by their content.
    """
    folders = _resolved(roots)
    torch = sys.modules.get("torch")
    told = getattr(getattr(torch, "ops", None), "loaded_libraries", ())
    known = {_real(path) for path in (*_modules(), *map(str, told)) if path.endswith(".so")}
    mapped = {_real(path) for path in _mapped(maps)}
    found = (path for path in known | mapped if not _is_code(path, folders) and not _is_given(path))
    # What torch compiles and imports is not among `sys.modules`.
    return tuple(sorted(path for path in found if path in known or _is_module(path)))


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


def _resolved(roots: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(os.path.realpath, roots))


def _real(path: str) -> str:
    """``os.path.realpath``, which looks at every folder on the way: here once a folder, and not for each file in it."""
    folder, name = os.path.split(path)
    return os.path.realpath(path) if os.path.islink(path) else os.path.join(_real_folder(folder), name)


@functools.cache
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _is_code(path: str, folders: Iterable[str]) -> bool:
    """Whether a file is the code of one of the repositories."""
    around = [folder for folder in folders if path.startswith(os.path.join(folder, ""))]
    return any(not _is_installed(os.path.dirname(path), folder) for folder in around)


def _is_given(path: str) -> bool:
    """Whether a file is of an interpreter, an environment or the system, or of a cache that goes by content."""
    caches = tuple(os.path.join(os.path.realpath(os.environ[name]), "") for name in _CACHES if os.environ.get(name))
    if path.startswith((*_SYSTEM, *caches)) or any(part.startswith(_BY_CONTENT) for part in path.split(os.sep)):
        return True
    return _is_installed(os.path.dirname(path), os.sep)


_interpreter_places = functools.cache(interpreter_places)


@functools.cache
def _is_installed(folder: str, root: str) -> bool:
    """:func:`perfsuite.gate.prefixes.is_installed` of a real path, by what is known of the folder around it.

    A worker has thousands of files in hundreds of folders, and is asked for each of its benchmarks; where an
    environment lies in the repository, nearly all of them are in that.  So what the interpreter has to say is asked
    once, and no folder is looked at that lies in an environment.
    """
    if folder in _interpreter_places(root):
        return True
    return folder != root and (_is_installed(os.path.dirname(folder), root) or is_environment(folder))


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
def _is_module(path: str) -> bool:
    """Whether a shared object is a module of Python's."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"PyInit_") >= 0
    except (OSError, ValueError):  # it is gone, or empty
        return False


@functools.cache
def _sha256(path: str) -> str | None:
    # Once per process: what it has loaded stays what it was, whatever happens to the file.
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
