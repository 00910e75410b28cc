"""Extensions that torch compiles when they are first used (``torch.utils.cpp_extension.load``): each side its own.

By default all processes of a user share one folder, in which an extension goes by its name alone.  Workers of both
sides import at the same time; then the second waits for the first to compile, and loads what that has made of its own
sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from perfsuite.gate.model import SIDES
from perfsuite.units import some

#: Where torch compiles them.
VARIABLE = "TORCH_EXTENSIONS_DIR"
#: What torch writes beside an extension: how it is built, its sources among it.
_RECIPE = "build.ninja"
_REMEDY = (
    f"let torch choose the folder (no build_directory, no env:{VARIABLE} that both name), or give each side an "
    "interpreter of its own, python:PATH"
)


def own_folders(folder: Path, said: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    """By side, the variable that names a folder of its own; none for a side whose SPEC names one.

    One that the user's environment names is for both sides, so it does not count.

    Args:
        folder: a temporary one, in which they are; it stays as long as the gate runs, so each side compiles once.
        said: by side, what its SPEC sets.
    """
    return {side: {} if VARIABLE in said[side] else {VARIABLE: str(folder / side)} for side in SIDES}


def release(folders: Iterable[str]) -> None:
    """Take away what a worker that was killed while it compiled has left: the next would wait for it for ever."""
    for folder in folders:
        for lock in Path(folder).glob("*/lock"):
            with suppress(OSError):
                lock.unlink()


def shared(loaded: Mapping[str, Iterable[str]], roots: Mapping[str, str]) -> tuple[str | None, str | None]:
    """What is to be said of compiled extensions that both sides run from a third place.

    Args:
        loaded: by side, :func:`perfsuite.gate.loaded.extensions_elsewhere` of its worker.
        roots: by side, the root of its tree.

    Returns:
        Why the sides cannot be compared: it was compiled from one side's sources; and a note where that is not known.
        Each is None where there is nothing to say.
    """
    both = sorted(set(loaded["base"]) & set(loaded["head"]))
    if not both or roots["base"] == roots["head"]:
        return None, None
    for path in both:
        side = _compiled_from(path, roots)
        if side is not None:
            return f"both sides ran {path}, which was compiled from {side}'s sources: {_REMEDY}", None
    return None, (
        f"both sides ran {some(both, 1)}, which is in neither side's tree, in no environment and not the system's: if "
        f"it was compiled from sources of the repository, one side did not run its own; {_REMEDY}"
    )


def _compiled_from(path: str, roots: Mapping[str, str]) -> str | None:
    """The side whose tree the sources of an extension were in; None where nothing says that."""
    with suppress(OSError):
        # Ninja has a dollar before what it would take for the end of a path.
        recipe = Path(path).with_name(_RECIPE).read_text(encoding="utf-8", errors="replace").replace("$ ", " ")
        longest = sorted(SIDES, key=lambda side: -len(roots[side]))  # one path may end as the other does
        return next((side for side in longest if f"{roots[side]}/" in recipe), None)
    return None
