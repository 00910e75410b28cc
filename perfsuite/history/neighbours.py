"""Every commit that was recorded, compared with the one recorded before it, each pair once ever.

To compare two commits their runs have to be read, which takes too long to do for all of a history in one publication.
What is said of a pair is kept beside the runs, and a publication goes on where the one before has ended.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from perfsuite import __version__
from perfsuite.analyse.diff.model import Change
from perfsuite.codec import from_json, to_json
from perfsuite.errors import StoreError
from perfsuite.history.brief import Brief, brief_of
from perfsuite.history.explain import Explainer
from perfsuite.history.kept import Kept
from perfsuite.history.marks import environment_between
from perfsuite.history.model import Commit
from perfsuite.history.processes import runs_in_turns
from perfsuite.history.shelf import Shelf
from perfsuite.records import Run
from perfsuite.store.files import parse_document

#: So many pairs are newly compared by one publication, the newest first.  A night adds one or two commits, and measures
#: those next to them again, which makes four pairs; each takes from a tenth of a second to three, by how many runs
#: there are (thirty a side) and how many operators they have.
NEW = 4
#: A folder among those of commits, none of which begins so.
FOLDER = ".pairs"
#: What people ask for first of an environment; the hashes of what was built tell them least.
_FIRST, _LAST = ("cpu_model", "kernel", "python", "torch", "ipex"), "commit"
#: To be raised when a pair is kept in another form, or something else is said of the same runs.
FORMAT = 1


@dataclass(frozen=True)
class Pair:
    """What the runs of two commits say; this is what is kept of them."""

    #: Those that were recorded on both sides.
    workloads: tuple[Brief, ...]
    #: What differs of software and machine between the runs of each workload; what one alone has is in its brief.
    environment: tuple[Change, ...]
    #: Workloads that only one side has.
    only_before: tuple[str, ...] = ()
    only_at: tuple[str, ...] = ()
    #: How many runs could not be read, or not in full, so that what is damaged in them does not count.
    damaged: int = 0


@dataclass(frozen=True)
class Neighbours:
    """A commit that was recorded, and the one recorded before it."""

    before: Commit
    at: Commit
    #: None where they have not been compared yet.
    pair: Pair | None
    environment: tuple[Change, ...]
    #: The file of the commit's report; None if there is none.
    report: str | None


class KeptPairs:
    """Pairs by the runs that they are made of."""

    def __init__(self, runs_dir: Path) -> None:
        """Beside the runs in ``runs_dir``; the folder is made when the first pair is kept."""
        self._kept = Kept(runs_dir / FOLDER, ".json")

    def find(self, made_of: Sequence[str]) -> Pair | None:
        """The pair that was kept under this; None if there is none that can be read."""
        text = self._kept.find(made_of)
        if text is None:
            return None
        try:
            form, value = parse_document(text.encode())
            pair = from_json(Pair, value) if form == FORMAT else None
        except StoreError:
            return None
        return pair if pair is not None and all(map(_is_whole, pair.workloads)) else None

    def keep(self, made_of: Sequence[str], pair: Pair) -> None:
        """Keep a pair; where that is not possible it will be compared again."""
        self._kept.keep(made_of, json.dumps({"format": FORMAT, **to_json(pair)}, allow_nan=False))

    def sweep(self) -> None:
        """Remove the pairs that nobody asked for since this was made."""
        self._kept.sweep()


def neighbours(
    commits: Sequence[Commit],
    explainer: Explainer,
    kept: KeptPairs,
    reports: Mapping[str, str] | None = None,
    *,
    most: int = NEW,
) -> tuple[Neighbours, ...]:
    """All neighbours among the commits that have runs, the newest first.

    Args:
        commits: all that were measured, in their order.
        explainer: has the runs.
        kept: what publications before have compared; what is new is added.
        reports: commit's hash → the file of its report.
        most: how many pairs may be newly compared.
    """
    shelf = explainer.shelf
    recorded = [one for one in commits if shelf.has(one)]
    found = []
    for before, at in reversed(list(itertools.pairwise(recorded))):
        made_of = _made_of(before, at, shelf)
        pair = kept.find(made_of)
        if pair is None and most > 0:
            most -= 1
            pair = compare(before, at, explainer)
            kept.keep(made_of, pair)
        if pair is not None and pair.workloads:
            environment = pair.environment
        else:
            environment = environment_between(shelf.environment(before), shelf.environment(at))
        found.append(Neighbours(before, at, pair, _ordered(environment), (reports or {}).get(at.hash)))
    return tuple(found)


def compare(before: Commit, at: Commit, explainer: Explainer) -> Pair:
    """What the runs of two commits say, by workload in the order of their names."""
    base, head = (explainer.shelf.runs(one) for one in (before, at))
    ours, theirs = (_names(side) for side in (base, head))
    briefs = []
    for name in sorted(ours & theirs):
        found = explainer.explain(before, at, name)
        if found is not None:
            turns = runs_in_turns(before, at, *(_having(side, name) for side in (base, head)))
            briefs.append(brief_of(found, turns is not None))
    common = _common([one.environment for one in briefs])
    own = (replace(one, environment=tuple(fact for fact in one.environment if fact not in common)) for one in briefs)
    damaged = sum(_damaged(one, explainer.shelf) for one in (before, at))
    return Pair(tuple(own), common, tuple(sorted(ours - theirs)), tuple(sorted(theirs - ours)), damaged)


def _made_of(before: Commit, at: Commit, shelf: Shelf) -> tuple[str, ...]:
    return (__version__, *(f"{one.hash} {name}" for one in (before, at) for name in shelf.names(one)))


def _names(runs: Sequence[Run]) -> set[str]:
    return {profile.name for run in runs for profile in run.workloads}


def _having(runs: Sequence[Run], workload: str) -> list[Run]:
    return [run for run in runs if any(profile.name == workload for profile in run.workloads)]


def _common(every: Sequence[tuple[Change, ...]]) -> tuple[Change, ...]:
    """What all of them have."""
    if not every:
        return ()
    first, *others = every
    return tuple(one for one in first if all(one in other for other in others))


def _ordered(changes: Sequence[Change]) -> tuple[Change, ...]:
    first = {key: place for place, key in enumerate(_FIRST)}
    return tuple(sorted(changes, key=lambda one: (_LAST in one.key, first.get(one.key, len(first)), one.key)))


def _damaged(commit: Commit, shelf: Shelf) -> int:
    runs = shelf.runs(commit)
    return len(shelf.names(commit)) - len(runs) + sum(bool(run.problems) for run in runs)


# --- whether a file holds what was written ----------------------------------------------------------


def _is_whole(one: Brief) -> bool:
    """What the types of the fields do not say: intervals have two ends and sides are two."""
    return len(one.runs) == 2 and bool(one.contributors or not one.sure) and all(len(each) == 2 for each in _ends(one))


def _ends(one: Brief) -> Iterator[tuple[float, ...]]:
    intervals = [one.interval, *(each for part in one.contributors for each in (part.interval, part.share_interval))]
    yield from (each for each in intervals if each is not None)
