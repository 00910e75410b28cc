"""What a gate is to run: the arguments of its user, as paths that both sides have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from perfsuite.errors import UsageError
from perfsuite.gate.trees import Tree

#: A path relative to the root of a tree, ``::`` or nothing, and a name.
Wanted = tuple[str, str, str]


def find_wanted(
    named: Sequence[str], configured: Sequence[str], folder: Path, root: Path, cwd: Path
) -> Sequence[Wanted]:
    """What to run.

    Args:
        named: on the command line, relative to ``cwd``.
        configured: in pyproject.toml, relative to its ``folder``; they count where nothing is named.
        folder: of that file.
        root: of the user's working tree.
        cwd: the folder that the user is in.
    """
    found = []
    for one in named or configured:
        path, colons, test = one.partition("::")
        full = os.path.normpath((cwd if named else folder).resolve() / path)
        if not Path(full).is_relative_to(root):  # the user may have come by a link
            full = os.path.realpath(full)
        found.append((os.path.relpath(full, root), colons, test))
    return found


def placed(tree: Tree, path: str, test: str = "") -> str:
    """Where it is on a side."""
    return os.path.normpath(tree.path / path) + test


def check_there(wanted: Sequence[Wanted], trees: Mapping[str, Tree]) -> None:
    """At least one side must have each file that is named.

    Raises:
        UsageError: neither has it, or it is not in the repository, of which alone a side has files of its own.
    """
    for path, colons, test in wanted:
        outside = path == os.pardir or path.startswith(os.path.join(os.pardir, ""))
        if outside and trees["base"].path != trees["head"].path:
            root = trees["head"].origin
            where = f"{os.path.normpath(root / path)}{colons}{test}"
            raise UsageError(f"{where} is outside of the repository {root}; both sides are versions of that repository")
        if not any(os.path.exists(placed(trees[side], path)) for side in trees):
            raise UsageError(f"{path}{colons}{test}: neither side has a file or folder {path}")
