"""What there is to compare: the benchmarks of both sides, those of one, and what could not be looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from perfsuite.errors import UsageError
from perfsuite.gate.answers import Collected
from perfsuite.gate.draft import Draft
from perfsuite.gate.messages import Listed, Uncollected
from perfsuite.gate.model import SIDES, Policy
from perfsuite.gate.naming import is_named


def list_benchmarks(
    found: Mapping[str, Collected], policy_of: Callable[[Listed], Policy], *, timed: bool, census: bool = True
) -> tuple[list[Draft], list[str]]:
    """The benchmarks as drafts, and notes on what is none.

    What both sides have is compared.  What only one has is missing, with the reason.  A file that neither side can
    import may hold any number of benchmarks: it is an incomparable one.  One that cannot be imported on one side, and
    holds no benchmark on the other, is a note.  So is one whose marker leaves the census out where nothing is timed.

    Args:
        found: by side, what it has.
        policy_of: how a benchmark is judged.
        timed: whether it is.
        census: whether a census is taken of those whose markers do not leave it out.

    Raises:
        UsageError: neither side has any benchmark.
    """
    base, head = (found[side] for side in SIDES)
    names = dict.fromkeys((*base.benchmarks, *head.benchmarks))
    if not names:
        errors = dict.fromkeys(f"{one.nodeid}: {one.why}" for one in (*base.errors, *head.errors))
        why = f": {'; '.join(errors)}" if errors else ""
        raise UsageError(f"no test that uses the `profiled` fixture was found on either side{why}")
    family = max(1, sum(name in base.benchmarks and name in head.benchmarks for name in names))
    drafts: list[Draft] = []
    uncounted: list[str] = []
    told: set[tuple[str, str]] = set()
    for name in names:
        both = {side: found[side].benchmarks[name] for side in SIDES if name in found[side].benchmarks}
        listed = both.get("head") or both["base"]
        places = {side: one.place for side, one in both.items()}
        draft = Draft(name, places, policy_of(listed), family, timed, census and listed.census)
        if len(both) < len(SIDES):
            lacking = next(side for side in SIDES if side not in both)
            error = _error_of(found[lacking], listed)
            if error is not None:
                told.add((lacking, error.nodeid))
            draft.settle("missing", _missing(lacking, error))
        elif not timed and not listed.census:
            uncounted.append(f"{name} is not looked at: its marker's passes leave the census out, and nothing is timed")
            continue
        else:
            draft.note(*_of_markers(both, census))
        drafts.append(draft)
    unseen, notes = _uncollected(found, told)
    for nodeid, why in unseen.items():
        draft = Draft(nodeid, {}, policy_of(Listed(nodeid, nodeid, None, None)), family, timed)
        draft.settle("incomparable", why)
        drafts.append(draft)
    return drafts, [*notes, *uncounted]


def _of_markers(both: Mapping[str, Listed], census: bool) -> Iterator[str]:
    """What the markers say that the reader must know, on which the change may have a say."""
    base, head = (both[side] for side in SIDES)
    if base.threshold != head.threshold:
        was, now = map(_per_cent, (base.threshold, head.threshold))
        yield f"its marker's threshold is {was} on base and {now} on head; head's counts"
    if not census:
        return
    if base.census != head.census:
        yield f"its marker's passes leave the census out on {'base' if head.census else 'head'} alone; head's count"
    if not head.census:
        yield "its marker's passes leave the census out: its verdict is by time alone, and a change is not explained"


def check_named(found: Mapping[str, Collected], wanted: Mapping[str, Sequence[str]], root: str) -> None:
    """Make sure that everything that was asked for is there, on one side at least.

    Args:
        found: by side, what it has.
        wanted: by side, the arguments, in the same order.
        root: of head's tree, to which the message is relative.

    Raises:
        UsageError: an argument names nothing that either side has.
    """
    for both in zip(*(wanted[side] for side in SIDES), strict=True):
        if not any(_has(found[side], argument) for side, argument in zip(SIDES, both, strict=True)):
            path, colons, test = both[-1].partition("::")
            raise UsageError(
                f"{os.path.relpath(path, root)}{colons}{test}: neither side has a test of this name that uses the "
                "`profiled` fixture"
                if test
                else f"{os.path.relpath(path, root)}: neither side has a test in it that uses the `profiled` fixture"
            )


def error_at(side: Collected, file: str) -> Uncollected | None:
    """The first error about a file, given by its path, or about a folder that it is in; None if there is none."""
    return next((one for one in side.errors if is_named(one.path, file, "")), None)


def _error_of(side: Collected, listed: Listed) -> Uncollected | None:
    """The same where the file is the counterpart of the other side's."""
    file = listed.nodeid.partition("::")[0]
    return next((one for one in side.errors if _is_about(one.nodeid, file)), None)


def _is_about(nodeid: str, file: str) -> bool:
    place = nodeid.partition("::")[0]
    return place == file or file.startswith(f"{place}/")


def _has(side: Collected, argument: str) -> bool:
    place = argument.partition("::")[0]
    return any(is_named(argument, one.path, one.test) for one in side.benchmarks.values()) or any(
        is_named(place, one.path, "") for one in side.errors
    )


def _uncollected(found: Mapping[str, Collected], told: set[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """By node id, why neither side could collect it; and what only one could not, where that is not told yet."""
    errors = {side: {one.nodeid: one.why for one in found[side].errors} for side in SIDES}
    unseen, notes = {}, []
    for nodeid in dict.fromkeys(nodeid for side in SIDES for nodeid in errors[side]):
        why = {side: errors[side][nodeid] for side in SIDES if nodeid in errors[side]}
        if len(why) == len(SIDES):
            same = len(set(why.values())) == 1
            unseen[nodeid] = (
                f"neither side can import it: {why['base']}"
                if same
                else "; ".join(f"{side} cannot import it: {reason}" for side, reason in why.items())
            )
        else:
            notes += [
                f"{side} cannot import {nodeid}: {reason}" for side, reason in why.items() if (side, nodeid) not in told
            ]
    return unseen, notes


def _missing(side: str, error: Uncollected | None) -> str:
    if error is not None:
        return f"{side} cannot import it: {error.nodeid}: {error.why}"
    return f"{side} has no benchmark of this name: it is {'new' if side == 'base' else 'gone, renamed or deselected'}"


def _per_cent(threshold: float | None) -> str:
    return "none" if threshold is None else f"{threshold:g} %"
