"""What is said of a step, a row or a change, in a few words, wherever it is said: every face takes it from here.

Every text is :func:`.cells.clean`.  A change in time that is negative has a real minus sign.
"""

from __future__ import annotations

from collections.abc import Iterator

from perfsuite.analyse import tables
from perfsuite.analyse.advice import Stake
from perfsuite.analyse.diff import MATERIAL, NOISE, Cause, Delta, Entry, Wall, WorkloadDiff
from perfsuite.analyse.diff.model import Value
from perfsuite.analyse.passes import ROUGH, UNLIKE, PassTimes, Stray, rough_passes, stray_passes
from perfsuite.present.cells import MISSING, clean, format_ns, format_shapes, format_share, shorten_right
from perfsuite.records import Environment, Profile, Run
from perfsuite.units import counted

__all__ = [
    "BASIS", "CLAIMS", "MINUS", "NOISE", "NO_ROW", "OVERLAP", "SHARE", "STAKES", "at_stake", "because",
    "census_entry", "changed_rows", "confidence", "counted", "culprit_of", "delta", "delta_share", "entry_change",
    "entry_where", "factor", "interval", "interval_kind", "machine", "operator", "parted", "ratio_interval", "short",
    "signed", "signed_share", "stake_kind", "stake_share", "stake_time", "value", "when", "why",
]  # fmt: skip

#: Nobody reads a longer name in a summary; the whole one is in the page and in ``perfsuite show``.
_LONGEST = 90
MINUS = "−"
#: What :attr:`Wall.claim` allows to say of the timed steps.
CLAIMS = {
    "slower": "In these two processes head’s steps were slower: the interval of the ratio of medians does not hold 1.",
    "faster": "In these two processes head’s steps were faster: the interval of the ratio of medians does not hold 1.",
    "same": "The interval of the ratio of medians holds 1: no difference between these two processes was seen.",
    "unknown": "There are too few samples for an interval, so whether the two differ cannot be said.",
}
#: Where no row is a culprit.
NO_ROW = f"no row changed by more than {format_share(MATERIAL)} of base's profiled step beyond its interval"
_OVERLAP = "overlap, so what is at stake does not add up"
OVERLAP = f"they {_OVERLAP}"
#: What times of a finding are in.
BASIS = (
    "at stake is a share of the step in which it was measured, in time of the timed median; times in the evidence are "
    "means of the profiled steps"
)
STAKES = f"findings {_OVERLAP}; {BASIS}"
#: What a share in a table of rows is of.
SHARE = "of the profiled step"
_STAKE_WORDS = {"bound": "up to ", "measured": "about ", "estimate": "about ", "unknown": ""}
_STAKE_KINDS = {"bound": "upper bound", "measured": "measured", "estimate": "estimate", "unknown": "unknown"}
#: Of which steps a pass whose steps scatter says shares.
_STEPS = {
    "phases": "The steps in which the phases were timed",
    "operators": "The profiled steps",
    "primitives": "The steps in which primitives were timed",
}


def _fit(text: str, width: int | None) -> str:
    return clean(text) if width is None else short(text, width)


def parted(text: str) -> Iterator[tuple[bool, str]]:
    """The parts of a text of the advice, and whether each is code, which stands between backticks there."""
    parts = clean(text).split("`")
    if len(parts) % 2 == 0:
        # One without its partner: a name from a log, and no mark.
        parts[-2:] = ["`".join(parts[-2:])]
    for index, part in enumerate(parts):
        if part:
            yield index % 2 == 1, part


def stake_time(stake: Stake) -> str:
    """``up to 12.3 ms`` for a bound, ``about 12.3 ms`` for what was measured or estimated, ``not known``."""
    return "not known" if stake.ns is None else f"{_STAKE_WORDS[stake.kind]}{format_ns(stake.ns)}"


def stake_share(stake: Stake) -> str:
    """``4.5% of the profiled step``; empty where it is not known."""
    return "" if stake.share is None else f"{format_share(stake.share)} of {stake.of}"


def stake_kind(stake: Stake) -> str:
    """What the number is: ``upper bound``, ``measured``, ``estimate`` or ``unknown``."""
    return _STAKE_KINDS[stake.kind]


def at_stake(stake: Stake) -> str:
    """``up to 12.3 ms, 4.5% of the profiled step``, or ``not known``."""
    return ", ".join(filter(None, (stake_time(stake), stake_share(stake))))


def short(text: str, width: int = _LONGEST) -> str:
    """The beginning of a text from a log, on one line."""
    # Cut before it is cleaned too: a text of a megabyte would take a second.
    return shorten_right(clean(text[: 4 * width]), width)


def interval(step: tables.Headline) -> str:
    """``513.9 ms to 548.6 ms``."""
    return f"{format_ns(step.low_ns, 4)} to {format_ns(step.high_ns, 4)}"


def interval_kind(step: tables.Headline) -> str:
    """What :func:`interval` is: ``95% interval``, or the range where there are too few samples for one."""
    return f"{confidence(step)} interval" if step.kind == "interval" else "range"


def confidence(one: tables.Headline | Wall) -> str:
    """``95%``."""
    return f"{one.confidence * 100:.0f}%"


def factor(ratio: float | None) -> str:
    """Three significant digits, however round, and ×: ``1.00×``, ``0.547×``, ``12.3×``."""
    if ratio is None:
        return MISSING
    return f"{ratio:.0f}×" if ratio >= 100 else f"{ratio:#.3g}×"


def ratio_interval(wall: Wall) -> str:
    """``0.982 to 1.128``, or why there is none."""
    if wall.ratio is None:
        return "not timed on both sides"
    if wall.interval is None:
        return "too few samples"
    return f"{wall.interval[0]:.3f} to {wall.interval[1]:.3f}"


def signed(ns: float, digits: int = 3) -> str:
    """A change in time: ``+1.20 ms``, ``−1.20 ms``."""
    return f"+{format_ns(ns, digits)}" if ns > 0 else format_ns(ns, digits).replace("-", MINUS)


def signed_share(share: float | None) -> str:
    """A change as a share: ``+4.5%``, ``−4.5%``."""
    return format_share(share, "+").replace("-", MINUS)


def delta_share(row: Delta) -> str:
    """The change of base's profiled step: ``+4.5%``, ``−4.5%``."""
    return signed_share(row.share)


def operator(row: tables.OperatorRow) -> str:
    """The operator and what it was called with."""
    return short(f"{row.name} {format_shapes(row.shapes)}".rstrip())


def delta(row: Delta, width: int | None = _LONGEST) -> str:
    """The row of the ledger that a change is of; the whole name where ``width`` is None."""
    if row.kind == "unattributed":
        return "(unattributed)"
    name = f"(Python: {row.name})" if row.kind == "python" else f"{row.name} {format_shapes(row.shapes)}".rstrip()
    return _fit(name, width)


def because(row: Delta, width: int | None = _LONGEST) -> str:
    """What the census saw change in the row."""
    if row.cause.kind == "time" and not row.changed:
        return "unchanged"
    return why(row.cause, width)


def why(cause: Cause, width: int | None = _LONGEST) -> str:
    """``implementation of convolution forward jit:avx512_core → ref:any``, or ``time alone``."""
    if cause.kind == "time":
        return "time alone"
    about = f" of {cause.primitive}" if cause.primitive and cause.kind != "reorder" else ""
    said = f"{cause.kind}{about} {value(cause.base, width)} → {value(cause.head, width)}"
    return _fit(said, width)


def culprit_of(diff: WorkloadDiff) -> str:
    """Why there is no :attr:`WorkloadDiff.culprit`, or its name."""
    if diff.culprit is not None:
        return delta(diff.culprit)
    return f"no row changed beyond its interval{' that way' if diff.culprits else ''}"


def changed_rows(diff: WorkloadDiff, among: str = "these two processes") -> str:
    """How many rows changed, and by which measure; ``among`` says between which processes."""
    if not diff.culprits:
        return NO_ROW
    rows = counted(diff.culprits, "row")
    return f"{rows} of {len(diff.operators)} changed beyond their interval, in {among}, by what matters"


def value(one: Value, width: int | None = _LONGEST) -> str:
    """A side of a change."""
    if one is None:
        return MISSING
    if isinstance(one, str):
        return _fit(one, width)
    return f"{one:.0f}" if one == round(one) else f"{one:.2f}"


def when(created: str) -> str:
    """A time of the store, to the second: ``2026-11-21 10:39:53 UTC``."""
    return f"{short(created[:19]).replace('T', ' ')} UTC"


def machine(run: Run) -> str:
    """The machine and the software of a run, in one line."""
    env = run.environment
    threads = counted(env.torch_threads, "thread") if env.torch_threads is not None else None
    parts = [env.cpu_model, f"{env.usable_cpus} of {env.logical_cpus} CPUs", *_software(env), threads, _commit(env)]
    return " · ".join(short(part) for part in parts if part)


def _software(env: Environment) -> list[str]:
    copies = ", ".join(copy.get("version", MISSING) for copy in env.onednn)
    named = (("torch", env.torch), ("IPEX", env.ipex), ("oneDNN", copies))
    return [f"{name} {version}" for name, version in named if version]


def _commit(env: Environment) -> str | None:
    if not env.git_commit:
        return None
    return f"git {env.git_commit[:12]}{' (dirty)' if env.git_dirty else ''}"


def census_entry(entry: Entry) -> tuple[str, str]:
    """Where a line of the census diff is, and what changed there."""
    return entry_where(entry, _LONGEST), short(entry_change(entry, _LONGEST), 200)


def entry_where(entry: Entry, width: int | None = None) -> str:
    """The operator of a line of the census diff, and its problem or shapes."""
    where = f"{entry.where.name or '(not joined)'} {entry.problem or format_shapes(entry.where.shapes)}"
    return _fit(where.rstrip(), width)


def entry_change(entry: Entry, width: int | None = None) -> str:
    """What changed there."""
    # "reorder: reorder" would say it twice.
    about = f"{entry.primitive}: " if entry.primitive and entry.primitive != entry.what else ""
    what = entry.what.replace("_", " ")
    return _fit(f"{about}{what} {value(entry.base, width)} → {value(entry.head, width)}", width and 3 * width)


def steps_range(one: PassTimes) -> str:
    """From the shortest step of a pass to the longest."""
    return MISSING if one.samples < 2 else f"{format_ns(one.shortest_ns)} to {format_ns(one.longest_ns)}"


def rough_sentences(profile: Profile) -> Iterator[str]:
    """A warning for every pass whose steps scatter so much, or are so unlike the timed one, that shares are rough."""
    strays = {one.name: one for one in stray_passes(profile)}
    for one in rough_passes(profile):
        scatter = f"{_STEPS[one.name]} took {steps_range(one)} each"
        yield f"{scatter}{_on_average(strays.pop(one.name, None))}: shares of them are rough."
    for stray in strays.values():
        yield f"{_STEPS[stray.name]} took {_times(stray)}: shares of them need not hold for the step as it runs."


def _on_average(stray: Stray | None) -> str:
    return "" if stray is None else f", {_times(stray)}"


def _times(stray: Stray) -> str:
    """The mean that all figures of the pass are of, and what it is far from."""
    than = ((stray.of_median, 1 + ROUGH, "their median"), (stray.of_timed, UNLIKE, "the timed step"))
    far = [
        f"{factor(ratio).removesuffix('×')} times {what}"
        for ratio, most, what in than
        if ratio is not None and ratio > most
    ]
    return f"{format_ns(stray.mean_ns)} on average, which is {' and '.join(far)}"
