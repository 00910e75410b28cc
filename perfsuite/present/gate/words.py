"""What every face of a gate says of it, in a few words.  Texts from outside are as they came: faces escape them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from perfsuite.errors import INTERRUPTED, PerfsuiteError
from perfsuite.gate.model import VERDICTS, Attribution, BenchmarkResult, GateResult, Judgement, Side
from perfsuite.gate.software import differing_packages
from perfsuite.present.cells import MISSING
from perfsuite.present.phrases import counted, signed_share

#: Why a gate exits with 0, 2, 3, 4 or 130; of 1 :func:`exit_meaning` knows more.
_CODES = {
    0: "the gate passes",
    PerfsuiteError.exit_code: "a file that was asked for could not be written",
    3: "a benchmark is inconclusive, and none is worse",
    4: "a benchmark is missing or incomparable, and none regressed",
    INTERRUPTED: "the gate was stopped before every benchmark had a verdict",
}
IDENTICAL = "nothing that could change a time differs between base and head, so nothing was run"
NOT_TIMED = "not timed"
UNFINISHED = "stopped before it had a verdict"
#: What stands before command lines of benchdnn.
RUN_CULPRIT = "run the primitives of the first row alone with benchdnn, as head has them"
RUN_FAILURE = "run this primitive alone with benchdnn, as base and as head had it"
#: How the figures of a gate come about, for whoever meets one for the first time.
METHOD = (
    "a process pair is one fresh process of each side; the two take turns of a few steps, in random order, and their "
    "ratio is the median over turns that follow each other; a change is the mean over all pairs (of logarithms); the "
    "intervals are wide enough to hold for all benchmarks and after every pair at once"
)
_PACKAGES = 5
_SURE = {"regressed": "slower by more than", "improved": "faster by more than", "unchanged": "within"}


# --- the whole gate ---------------------------------------------------------------------------------


def overall(result: GateResult) -> str | None:
    """The gate's verdict; None where nothing was timed or it was stopped, unless it regressed: nothing is worse."""
    return None if result.stopped and result.verdict != "regressed" else result.verdict


def exit_meaning(result: GateResult, code: int | None = None) -> str:
    """``exit code 4: a benchmark is missing or incomparable, and none regressed``.

    Args:
        code: what the command exits with; by default as if inconclusive does not pass.
    """
    code = result.exit_code() if code is None else code
    if code != 1:
        allowed = ", because `inconclusive` is set to `pass`" if code == 0 and result.verdict == "inconclusive" else ""
        return f"exit code {code}: {_CODES[code]}{allowed}"
    slower = any(one.verdict == "regressed" for one in result.benchmarks)
    broken = any(one.failed_census for one in result.benchmarks)
    reasons = [*(["is slower than its threshold allows"] * slower), *(["breaks a rule of the census"] * broken)]
    return f"exit code 1: a benchmark {', and one '.join(reasons)}"


def headline(result: GateResult) -> str:
    """The gate's verdict in a few words."""
    if result.stopped or result.verdict is not None:
        return overall(result) or "no verdict"
    counted_all = all(one.census is not None for one in result.benchmarks)
    return "the census passes, nothing was timed" if counted_all else "nothing was timed"


def tally(result: GateResult) -> str:
    """``3 benchmarks in 93.1 s: 1 regressed, 2 unchanged``."""
    if result.identical and not result.benchmarks:
        return f"identical, which took {seconds(result.seconds)} to see"
    said = Counter(verdict(one) for one in result.benchmarks)
    parts = [f"{said[name]} {name}" for name in (*VERDICTS, NOT_TIMED) if said[name]]
    failed = sum(one.failed_census for one in result.benchmarks)
    parts += [f"census fails in {failed}"] if failed else []
    parts += [f"{len(result.unfinished)} not finished"] if result.unfinished else []
    count = counted(len(result.benchmarks) + len(result.unfinished), "benchmark")
    return f"{count} in {seconds(result.seconds)}{': ' if parts else ''}{', '.join(parts)}"


def worst_first(result: GateResult) -> list[BenchmarkResult]:
    """The benchmarks in the order in which a reader wants to see them."""
    return sorted(result.benchmarks, key=_rank)


def _rank(one: BenchmarkResult) -> int:
    if one.failed_census or one.verdict == "regressed":
        return 0
    return VERDICTS.index(one.verdict) if one.verdict is not None else len(VERDICTS)


# --- the sides --------------------------------------------------------------------------------------


def code_of(one: Side) -> str:
    """Which code a side ran: ``commit 0123456789ab, with changes``; empty outside of git."""
    return f"commit {one.commit[:12]}{', with changes' if one.dirty else ''}" if one.commit else ""


def shared(result: GateResult) -> list[str]:
    """The interpreter and the libraries that both sides ran with: ``torch 2.13.0``."""
    base, head = _software(result.base), _software(result.head)
    return [f"{name} {value}" for name, value in base.items() if value is not None and head[name] == value]


def differing(result: GateResult) -> Iterator[tuple[str, str, str]]:
    """Name, base's and head's, of what the sides were run with and differ in besides their code."""
    base, head = result.base, result.head
    yield from _unlike(_software(base), _software(head))
    yield from _unlike(base.variables, head.variables)
    packages = [one for one in differing_packages(base.packages, head.packages) if one[0] != "torch"]
    for name, before, after in packages[:_PACKAGES]:
        yield name, before or MISSING, after or MISSING
    if len(packages) > _PACKAGES:
        yield "packages", MISSING, f"{len(packages) - _PACKAGES} more that are not the same"


def _software(one: Side) -> dict[str, str | None]:
    torch = one.packages.get("torch") or (one.environment.torch if one.environment is not None else None)
    return {"interpreter": one.python or None, "Python": one.python_version, "torch": torch}


def _unlike(base: Mapping[str, str | None], head: Mapping[str, str | None]) -> list[tuple[str, str, str]]:
    names = sorted({*base, *head})
    sides = [(name, base.get(name), head.get(name)) for name in names]
    return [(name, one or MISSING, other or MISSING) for name, one, other in sides if one != other]


# --- a benchmark ------------------------------------------------------------------------------------


def seconds(taken: float) -> str:
    """``41.2 s``."""
    return f"{taken:.1f} s"


def per_cent(share: float) -> str:
    """A threshold: ``3%``, ``0.5%``."""
    return f"{share * 100:g}%"


def change(judgement: Judgement | None) -> str:
    """By how much head's step takes longer, and the interval: ``+6.2% (+4.9 to +7.6)``."""
    if judgement is None or judgement.ratio is None:
        return MISSING
    step = signed_share(judgement.ratio - 1)
    return step if judgement.interval is None else f"{step} ({interval(judgement)})"


def interval(judgement: Judgement | None) -> str:
    """``+4.9 to +7.6``, in per cent."""
    if judgement is None or judgement.interval is None:
        return MISSING
    return " to ".join(signed_share(end - 1).removesuffix("%") for end in judgement.interval)


def pairs(one: BenchmarkResult) -> str:
    """How many process pairs there were, as a cell."""
    return str(one.process_pairs)


def census(one: BenchmarkResult) -> str:
    """``passes``, ``2 failures``, or – where there is none."""
    if one.census is None:
        return MISSING
    return "passes" if one.census.passed else counted(len(one.census.failures), "failure")


def verdict(one: BenchmarkResult) -> str:
    """The verdict by time as a cell."""
    return one.verdict or NOT_TIMED


def why(one: BenchmarkResult) -> str:
    """The verdict by time and what it rests on; it has no text from outside, :attr:`BenchmarkResult.reasons` do."""
    threshold, found, said = per_cent(one.policy.threshold), one.judgement, change(one.judgement)
    after = f" after {counted(found.process_pairs, 'process pair')}" if found is not None else ""
    if one.verdict in _SURE:
        return f"{one.verdict}: {said}, surely {_SURE[one.verdict]} the threshold of {threshold}{after}"
    if one.verdict == "inconclusive":
        return f"inconclusive: {said}, threshold {threshold}{after}; {_undecided(found)}"
    return verdict(one)


def lines(one: BenchmarkResult) -> list[str]:
    """The same with the reasons: why there is no verdict by time, or what happened on the way to it."""
    if one.verdict in _SURE or one.verdict == "inconclusive" or not one.reasons:
        return [why(one), *one.reasons]
    return [f"{why(one)}: {'; '.join(one.reasons)}"]


def _undecided(found: Judgement | None) -> str:
    """How many more pairs it takes, and what the pairs so far could have found."""
    if found is None or found.interval is None:
        return "too few pairs for an interval"
    further = found.further_pairs
    pairs = "no number of further pairs" if further is None else counted(further, "further process pair")
    more = f"{pairs} would decide if estimate and noise stay the same"
    if found.minimal_detectable is None:
        return f"{more}; which slowdown the pairs so far could have found is not known"
    least = signed_share(found.minimal_detectable)
    return f"{more}; the smallest slowdown that the pairs so far could have found is {least}"


def remarkable(one: BenchmarkResult) -> bool:
    """Whether there is more to say of it than its line in a table."""
    return one.verdict not in ("unchanged", None) or one.failed_census or bool(one.reasons or one.notes or one.strays)


def explained(found: Attribution) -> str:
    """What the rows of an attribution are."""
    if not found.sure:
        return "No row surely changed the way the step did; the largest changes"
    return f"{counted(found.sure, 'row')} surely changed the way the step did, the likeliest first"


def remarks(one: BenchmarkResult) -> list[str]:
    """What happened on the way and what was left out, a sentence each; the notes are from outside."""
    return [text for text in (_aside(one), _steady(one), *one.notes) if text is not None]


def _aside(one: BenchmarkResult) -> str | None:
    """Which process pairs do not count; None where all do."""
    found = one.strays
    if not found:
        return None
    many = len(found) > 1
    named = f"process pair{'s' * many} {', '.join(str(number) for number, _ in found)}"
    said = ", ".join(signed_share(change) for _, change in found)
    return f"{named} {'were' if many else 'was'} set aside, too far from all others to be of their kind: {said}"


def _steady(one: BenchmarkResult) -> str | None:
    """What the census did not judge; None where there is nothing to say."""
    if one.census is None or not one.census.unsteady:
        return None
    return f"{counted(one.census.unsteady, 'count')} not judged, because within a side it is not steady"
