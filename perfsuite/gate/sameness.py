"""Why two sides are not identical: the first thing that differs and could change a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfsuite.gate.files import UNTRACKED
from perfsuite.gate.probe import Probe, differing_software
from perfsuite.gate.trees import Tree, differing
from perfsuite.units import some

#: Of what differs not everything is listed.
_NAMED = 3


def difference(
    trees: Mapping[str, Tree],
    probes: Mapping[str, Probe],
    variables: Mapping[str, Mapping[str, str]],
    ignore: Sequence[str],
) -> str | None:
    """What differs first between the sides; None if nothing that could change a time does.

    Args:
        trees: by side, its files.
        probes: by side, its interpreter.
        variables: by side, all that it is started with, the quiet settings apart.
        ignore: patterns of files that cannot change a time.
    """
    files = differing(trees["base"], trees["head"], ignore)
    if files:
        return f"files differ: {some([_named(path, trees) for path in files], _NAMED)}"
    software = differing_software(probes["base"], probes["head"])
    if software:
        return f"software differs: {some(software, _NAMED)}"
    return None if variables["base"] == variables["head"] else "the environment differs"


def _named(path: str, trees: Mapping[str, Tree]) -> str:
    untracked = any(tree.hashes.get(path) == UNTRACKED for tree in trees.values())
    return f"{path} (which git does not track)" if untracked else path
