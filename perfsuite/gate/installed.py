"""Code that both sides run from a third place, where it is installed, though it differs between their trees."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PACKAGE = "__init__"


@dataclass(frozen=True)
class Changed:
    """What differs between the trees of two sides, as modules."""

    #: Name that a module may be imported by → paths within the trees that may be it.
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: By side, path within the tree → mode and git's object id.
    hashes: Sequence[Mapping[str, str]] = ()

    def shared(self, base: Mapping[str, str], head: Mapping[str, str]) -> str | None:
        """Why the sides do not each run their own code; None if they do, as far as this shows.

        A file that both have loaded is a changed one if its content is one side's, or if it is in the package in which
        the changed one is: it may be older than both.

        Args:
            base: name of a module → the real path of its file outside of the trees, as base's worker has loaded it.
            head: the same of head's.
        """
        for name, file in sorted(base.items()):
            if head.get(name) != file:
                continue
            for path in self.names.get(name, ()):
                if self._is_side_s(path, file) or self._is_in_package(name, path, file):
                    return (
                        f"both sides ran {path} from {file}, where it is installed, and not their own: install it "
                        "editable (pip install -e .), or give each side an interpreter of its own, python:PATH"
                    )
        return None

    def _is_side_s(self, path: str, file: str) -> bool:
        identities = {side[path].rpartition(" ")[2] for side in self.hashes if path in side}
        try:
            content = Path(file).read_bytes()
        except OSError:
            return False
        text = b"blob %d\0" % len(content) + content
        # Git's object ids are one or the other, the whole repository over.
        return not identities.isdisjoint((hashlib.sha1(text).hexdigest(), hashlib.sha256(text).hexdigest()))

    def _is_in_package(self, name: str, path: str, file: str) -> bool:
        """Whether the name is one of a module in a package, and the same kind of package in both places.

        ``tools/torch/functional.py`` could be ``torch.functional``, but is not torch's.
        """
        up = name.count(".") + (Path(path).stem == _PACKAGE)
        if "." not in name or (Path(path).stem == _PACKAGE) != (Path(file).stem == _PACKAGE):
            return False
        ours, theirs = Path(path).parents, Path(file).parents
        top, above = ours[up - 1], ours[up].as_posix()
        if self._has(f"{above}/{_PACKAGE}.py".removeprefix("./")):
            return False  # the name goes on at its front
        return self._has(f"{top.as_posix()}/{_PACKAGE}.py") == (theirs[up - 1] / f"{_PACKAGE}.py").exists()

    def _has(self, path: str) -> bool:
        return any(path in side for side in self.hashes)


def changed(paths: Sequence[str], base: Mapping[str, str], head: Mapping[str, str]) -> Changed:
    """What differs, with every name by which a module of Python's among it can be imported.

    Args:
        paths: those that differ, within the trees.
        base: path → mode and git's object id, of all files of a side.
        head: the same of the other side.
    """
    found: dict[str, list[str]] = {}
    for path in paths:
        for name in _names(path):
            found.setdefault(name, []).append(path)
    return Changed(found, (base, head))


def _names(path: str) -> Iterator[str]:
    """``a/b/c.py`` is c, b.c or a.b.c, as the folder has it that is imported from."""
    folder, file = os.path.split(path)
    stem, dot, _ = file.partition(".")
    if not dot or not file.endswith((".py", ".so")):
        return
    parts = [*folder.split("/"), stem] if folder else [stem]
    if stem == _PACKAGE:
        parts.pop()
    for first in range(len(parts) - 1, -1, -1):
        if not parts[first].isidentifier():
            return
        yield ".".join(parts[first:])
