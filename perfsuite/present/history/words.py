"""What every face of a history says of it, in a few words.  Texts from outside are as they came: faces escape them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfsuite.analyse.diff.model import Change as Fact
from perfsuite.analyse.diff.model import Total
from perfsuite.history.brief import Brief, Counted
from perfsuite.history.explain import Contributor, Explanation
from perfsuite.history.model import Change, Commit, Finding, Night
from perfsuite.present.cells import MISSING, format_bytes, format_count
from perfsuite.present.phrases import counted, signed, signed_share, value, why
from perfsuite.units import format_amount

#: How a change comes to be one, for whoever meets one for the first time.
METHOD = (
    "a change is a lasting one: the level of a line is another from a commit on, judged with each point's own samples "
    "and with how much the line varies from run to run; its ratio has an interval, and changes of several lines "
    "between the same commits are one finding. One that was undone later stays in the record, and says since when"
)
#: Why asv's own page may say something else.
ASV_METHOD = (
    "asv's page “Regressions” comes from its own step detection, which has no interval, forgets what recovered, and "
    "flags a line whose last level is more than 5% (by default) above its best one"
)
#: Characters of an implementation, which may be several that work together.
_NAME = 240
#: Who has a regression that the other detection has not.
_BY = {"asv": "only asv's step detection", "perfsuite": "only perfsuite"}


def commits(before: Commit, at: Commit) -> str:
    """``v2.7.0 → v2.8.0``."""
    return f"{before.label} → {at.label}"


def label(commit: Commit) -> str:
    """Its tag and eight digits, or these alone: ``v2.8.0 (0123abcd)``."""
    return f"{commit.label} ({commit.hash[:8]})" if commit.tags else commit.hash[:8]


def ratio(found: float) -> str:
    """A ratio as a change: ``+6.0%``; to a count of none there is no ratio."""
    return "from none" if found == math.inf else signed_share(found - 1)


def interval(change: Change) -> str:
    """``+4.9 to +7.1``, in per cent; ``counted`` where nothing was measured and nothing can vary."""
    if change.counted:
        return "counted"
    return " to ".join(ratio(end).removesuffix("%") for end in change.interval)


def surely(change: Change) -> str:
    """``+4.9 to +7.1 at 95%``."""
    return interval(change) if change.counted else f"{interval(change)} at {change.confidence * 100:g}%"


def change(one: Change) -> str:
    """``+6.0% (+4.9 to +7.1)``."""
    return f"{ratio(one.ratio)} ({interval(one)})"


def state(finding: Finding) -> str:
    """``regression``, ``improvement``, or since when it is undone."""
    recovered = finding.changes[0].recovered
    what = "regression" if finding.is_regression else "improvement"
    return what if recovered is None else f"{what}, undone at {recovered.label}"


def headline(finding: Finding) -> str:
    """``v2.7.0 → v2.8.0: steps.Steps.track_step(retinanet) +6.0% (+4.9 to +7.1)``."""
    first = finding.changes[0]
    return f"{commits(finding.before, finding.at)}: {first.benchmark.label} {change(first)}"


def others(finding: Finding) -> str:
    """``and 12 more lines``, or nothing."""
    more = len(finding.changes) - 1
    return f"and {counted(more, 'more line')}" if more else ""


def amount(number: float | None, unit: str) -> str:
    """A value of a benchmark: ``12.34 ms``."""
    if number is None:
        return MISSING
    shown = f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"
    return f"{shown} {unit}" if unit and unit != "unit" else shown


# --- what explains it -------------------------------------------------------------------------------


def contributor(one: Contributor) -> str:
    """``convolution_backward at ResNet.layer3``."""
    name = {"python": f"Python ({one.name})", "unattributed": "what is unattributed"}.get(one.kind, one.name)
    return f"{name} at {one.module}" if one.module else name


def share(one: Contributor) -> str:
    """``83% (70% to 95%)`` of the change; – where it cannot be said."""
    if one.share is None:
        return MISSING
    whole = _per_cent(one.share)
    if one.share_interval is None:
        return whole
    return f"{whole} ({' to '.join(map(_per_cent, one.share_interval))})"


def _per_cent(part: float) -> str:
    # Rounded to a whole number first, which has no −0.
    return f"{round(part * 100):d}%".replace("-", "−")


def because(one: Contributor) -> str:
    """What the census saw: ``implementation of convolution forward jit:avx512_core → ref:any``, or ``time alone``."""
    return why(one.cause)


def profiled(one: Explanation | Brief) -> str:
    """By how much the profiled step changed: ``+12.3 ms (+10.1 ms to +14.5 ms)``."""
    if one.delta_ns is None:
        return MISSING
    return _change(one.delta_ns, one.interval)


def _change(delta_ns: float, interval: tuple[float, float] | None) -> str:
    around = "" if interval is None else f" ({' to '.join(map(signed, interval))})"
    return f"{signed(delta_ns)}{around}"


def processes(one: Explanation | Brief) -> str:
    """How many processes were profiled: ``3 and 3 processes``."""
    before, after = map(len, one.runs)
    return f"{before} and {counted(after, 'process', 'processes')}"


def explained(one: Explanation | Brief, slower: bool | None = None) -> str:
    """One sentence: ``83% (70% to 95%) from convolution_backward at layer3: implementation A → B``.

    Args:
        slower: which way the timed step changed; a profiled step that went the other way explains nothing of it.
    """
    if one.reasons:
        return f"times of the two sides cannot be compared: {'; '.join(one.reasons)}; the census can"
    if one.delta_ns is None:
        return "no operators were recorded on both sides"
    if slower is not None and one.slower is not None and one.slower != slower:
        if one.interval is not None and one.interval[0] <= 0 <= one.interval[1]:
            return f"the profiled step did not surely change, {profiled(one)}, so nothing is attributed"
        return f"the profiled step changed the other way, {profiled(one)}, so nothing is attributed"
    found = one.culprit
    if found is None:
        alone = min(map(len, one.runs)) < 2
        nothing = "with one process a side nothing is sure" if alone else "no operator surely changed that way"
        return f"{nothing}; the profiled step changed by {profiled(one)}"
    of = f"{share(found)} " if found.share is not None else f"{signed(found.delta_ns)} "
    return f"{of}from {contributor(found)}: {because(found)}"


# --- neighbouring commits ---------------------------------------------------------------------------


def day(commit: Commit) -> str:
    """When it was made: ``2025-06-15``."""
    return commit.date[:10]


def moved(one: Brief) -> str:
    """Whether the profiled step changed: ``+6.0%``, ``no sure change`` or ``not known``."""
    if one.claim == "unsure":
        return "no sure change"
    if one.claim == "unknown" or one.delta_ns is None:
        return "not known"
    return signed(one.delta_ns) if one.ratio is None else ratio(one.ratio)


def taken(one: Brief) -> str:
    """Between which processes: ``3 and 3 processes that took turns``."""
    return f"{processes(one)} that {'took' if one.in_turns else 'did not take'} turns"


def part(one: Contributor) -> str:
    """What a contributor did: ``+12.3 ms (+10.1 ms to +14.5 ms), 83% (70% to 95%) of the change: time alone``."""
    of = "" if one.share is None else f", {share(one)} of the change"
    return f"{_change(one.delta_ns, one.interval)}{of}: {because(one)}"


def census(one: Counted | None) -> list[str]:
    """Lines: ``operators 812 → 815, reorders 4 → 6``, ``implementation of convolution forward A → B in 2 places`` …"""
    if one is None:
        return ["not counted on both sides"]
    if one.is_same:
        return ["the same"]
    totals = [*map(total, one.totals), *([counted(one.more_totals, "more total")] if one.more_totals else [])]
    lines = [", ".join(totals)] if totals else []
    lines += [
        f"{why(each.cause, _NAME)}{f' in {each.places} places' if each.places > 1 else ''}" for each in one.replaced
    ]
    if one.more_replaced:
        lines.append(counted(one.more_replaced, "more implementation"))
    if one.judged:
        lines.append(counted(one.judged, "entry differs", "entries differ"))
    return lines


def total(one: Total) -> str:
    """A total of the census: ``bytes moved 1.20 GiB → 1.25 GiB``."""
    name = "" if one.what == "flops" else one.what.removesuffix("_bytes").replace("_", " ") + " "
    sides = [_total(one.what, side, 3) for side in (one.base, one.head)]
    if sides[0] == sides[1]:  # Too few digits to tell the two apart.
        sides = [_total(one.what, side, 6) for side in (one.base, one.head)]
    return f"{name}{' → '.join(sides)}"


def _total(what: str, count: float | None, digits: int) -> str:
    if "bytes" in what:
        return format_bytes(count, digits)
    return format_amount(count, "FLOP", digits) if what == "flops" else format_count(count)


# --- the machine ------------------------------------------------------------------------------------


def fact(one: Fact) -> str:
    """A change of the environment: ``kernel 6.1 → 6.8``."""
    sides = (_size(one.base), _size(one.head)) if one.key == "ram_bytes" else (value(one.base), value(one.head))
    return f"{one.key.removesuffix('_bytes').replace('_', ' ')} {' → '.join(sides)}"


def _size(one: float | str | None) -> str:
    return format_bytes(one) if isinstance(one, (int, float)) else value(one)


def facts(changes: Sequence[Fact], most: int = 4) -> str:
    """Several of them, the first few by name."""
    shown = [fact(one) for one in changes[:most]]
    if len(changes) > most:
        shown.append(f"{len(changes) - most} more")
    return ", ".join(shown)


# --- a night ----------------------------------------------------------------------------------------


def standing(night: Night) -> tuple[Finding, ...]:
    """Its regressions that nothing has undone."""
    return tuple(one for one in night.findings if one.is_regression and one.changes[0].recovered is None)


def new_ones(night: Night) -> tuple[Finding, ...]:
    """Those of them that no night before had."""
    return tuple(one for one in standing(night) if one.key in night.new)


def verdict(night: Night) -> str:
    """``1 new regression, 3 in all``, ``no regression`` …"""
    fresh, left = len(new_ones(night)), len(standing(night))
    if fresh:
        older = f", {left} in all" if left > fresh else ""
        return f"{counted(fresh, 'new regression')}{older}"
    return f"{counted(left, 'regression')}, none new" if left else "no regression"


def dissent(by: str) -> str:
    """Which of the two detections has it."""
    return _BY[by]
