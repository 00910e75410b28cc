"""False alarms and misses of `perfsuite gate`, pytest-benchmark and asv, side by side in one run.

In each round every tool compares two equal versions of a step of about 20 ms (A/A), and compares one with a slowdown of
6 % planted, each comparison a new one, in an order drawn anew.  All get the same step and the same plant:

- ``perfsuite gate`` at its default threshold of 3 %, as ``gate_decisions`` runs it;
- ``pytest --benchmark-autosave``, then a second one with ``--benchmark-compare-fail=median:5%``, which fails or passes;
- the same with both started by ``perfsuite launch``;
- ``asv continuous -f 1.05 HEAD~1 HEAD`` in a repository of two commits, which says slower, faster or not changed.

A false alarm is equal versions called slower or faster; a slowdown is missed if head is not called slower.  Each
comparison is appended to ``benchmarks/data/gate-peers-MACHINE.jsonl.gz`` as it ends: stop whenever you like, and go on
with the same command.

``python -m benchmarks.reach.gate_peers [--rounds N] [--minutes M]`` compares; ``--summary`` only says what the
file holds, and ``--write`` also writes it to ``docs/images/gate-peers.md``, which the documentation shows.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.reach.common import REACHED, UNSETTLED
from benchmarks.reach.gate_counts import KINDS
from benchmarks.reach.gate_decisions import DATA, append, decide, load, machine_file, plants
from benchmarks.reach.pages import IMAGES, origin, taken
from benchmarks.reach.peers import FASTER, SAME, SLOWER, Said, ToolFailed, asv, project, pytest_benchmark
from perfsuite.errors import PerfsuiteError
from perfsuite.gate.calibration import proportion_at_most
from perfsuite.stats import median

PAGE = IMAGES / "gate-peers.md"
#: The kind of decision of ``gate_decisions`` that has the slowdown, and so how many elements it takes here.
_PLANTED = "6at3"
_UNDECIDED = "undecided"
_LAUNCH = (sys.executable, "-m", "perfsuite.cli", "launch", "--")
_USED = ("torch", "pytest-benchmark", "asv")

#: Compares equal versions for 0 elements, else one with so many planted.
Compare = Callable[[int], Said]


def gate(elements: int) -> Said:
    """One gate.  A census that fails is an alarm too if the sides are equal; the plant must be found by the clock.

    Raises:
        ToolFailed: it has no verdict on time.
    """
    (one,) = decide(KINDS[_PLANTED if elements else "aa"], elements).benchmarks
    words = {"regressed": SLOWER, "improved": FASTER, "unchanged": SAME, "inconclusive": _UNDECIDED}
    if one.verdict not in words:
        raise ToolFailed(f"perfsuite gate: {one.verdict}: {'; '.join(one.reasons)}")
    alarm = one.failed_census and not elements
    return Said(SLOWER if alarm else words[one.verdict], one.judgement.ratio if one.judgement else None)


def _peer(compare: Callable[[str, str, Path], Said]) -> Compare:
    def one(elements: int) -> Said:
        # A folder each: nothing is left of the comparison before.
        with tempfile.TemporaryDirectory(prefix="perfsuite-peers-") as folder:
            return compare(project(), project(elements, "" if elements else "A comment."), Path(folder))

    return one


TOOLS: Mapping[str, Compare] = {
    "gate": gate,
    "pytest-benchmark": _peer(pytest_benchmark),
    "pytest-benchmark launched": _peer(lambda base, head, folder: pytest_benchmark(base, head, folder, _LAUNCH)),
    "asv": _peer(asv),
}
_TITLES = {
    "gate": "`perfsuite gate`, threshold 3 %",
    "pytest-benchmark": "`pytest --benchmark-compare-fail=median:5%`",
    "pytest-benchmark launched": "the same under `perfsuite launch`",
    "asv": "`asv continuous -f 1.05`",
}


# --- rounds ------------------------------------------------------------------------------------------


def gather(
    path: Path,
    rounds: int,
    deadline: float,
    tools: Mapping[str, Compare] = TOOLS,
    calibrate: Callable[[], int] | None = None,
    chance: random.Random | None = None,
) -> None:
    """Compare until the file holds so many rounds, or it is ``deadline`` by the monotonic clock.

    Raises:
        ToolFailed: a tool came to no conclusion; what was compared before is in the file.
    """
    before = list(load(path))
    counts = Counter((one["tool"], one["planted"]) for one in before)
    elements = before[-1]["elements"] if before else 0
    while True:
        done = min(counts[name, planted] for name in tools for planted in (False, True))
        # Of a round that was interrupted, what is left.
        left = [(name, planted) for name in tools for planted in (False, True) if counts[name, planted] == done]
        if done >= rounds or time.monotonic() >= deadline:
            return
        elements = elements or (calibrate or _elements)()
        (chance or random).shuffle(left)
        for name, planted in left:
            if time.monotonic() >= deadline:
                return
            began = time.monotonic()
            said = tools[name](elements if planted else 0)
            line = record(name, planted, elements, said, time.monotonic() - began)
            append(path, line)
            counts[name, planted] += 1
            print(
                f"{line['at']} round {done + 1}/{rounds}: {name}, {'planted' if planted else 'equal'}: "
                f"{said.verdict}, {said.ratio and round(said.ratio, 3)}, {line['seconds']:.0f} s",
                flush=True,
            )


def _elements() -> int:
    """Elements of the plant: those of the real decisions that were taken on this machine, or found out now.

    Raises:
        CaptureError: it cannot be found out.
    """
    known = [one["elements"] for one in load(machine_file()) if one["kind"] == _PLANTED]
    return known[-1] if known else plants([_PLANTED])[_PLANTED]


def record(tool: str, planted: bool, elements: int, said: Said, seconds: float) -> dict[str, Any]:
    """What is kept of a comparison.  ``elements`` is of the plant, which equal versions have not."""
    return {
        "tool": tool,
        "planted": planted,
        "elements": elements,
        "said": said.verdict,
        "alarm": said.verdict in (SLOWER, FASTER),
        "ratio": said.ratio,
        "seconds": round(seconds, 3),
        **origin(),
        "versions": {name: version(name) for name in _USED},
    }


def peers_file() -> Path:
    """The file of this kind of machine."""
    return DATA / f"gate-peers-{machine_file().name.removeprefix('gate-decisions-')}"


# --- what it says ------------------------------------------------------------------------------------


def table(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table with a row for each tool, and how it was obtained."""
    lines = [
        "| | False alarms | of them “slower” | Slowdown missed | Seconds a comparison |",
        "|---|---|---|---|---|",
    ]
    for name in TOOLS:
        equal = [one for one in comparisons if one["tool"] == name and not one["planted"]]
        planted = [one for one in comparisons if one["tool"] == name and one["planted"]]
        seconds = [one["seconds"] for one in (*equal, *planted)]
        cells = [
            _TITLES[name],
            rate(sum(one["alarm"] for one in equal), len(equal)),
            str(sum(one["said"] == SLOWER for one in equal)) if equal else "–",
            rate(sum(one["said"] != SLOWER for one in planted), len(planted)),
            f"{median(seconds):.0f}" if seconds else "–",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_how(comparisons), ""])


def rate(hits: int, trials: int) -> str:
    """``hits`` of ``trials``, with the rate and its two-sided 95 % interval by Clopper and Pearson, in per cent."""
    if not trials:
        return "–"
    low, high = 1 - proportion_at_most(trials - hits, trials, 0.975), proportion_at_most(hits, trials, 0.975)
    return f"{hits} of {trials}: {100 * hits / trials:.0f} % ({100 * low:.0f}–{100 * high:.0f} %)"


def _how(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    if not comparisons:
        return ["No comparison yet."]
    undecided = {
        planted: sum(one["said"] == _UNDECIDED for one in comparisons if one["planted"] == planted)
        for planted in (False, True)
    }
    slower = [one["ratio"] for one in comparisons if one["planted"] and one["tool"] == "gate" and one["ratio"]]
    software = [", ".join(f"{name} {number}" for name, number in one["versions"].items()) for one in comparisons]
    wanted = f"The planted operator was to make a step {100 * KINDS[_PLANTED].plant:g} % longer"
    # By the gate, since it compares within minutes what the others compare with a gap between.
    grew = f", and by the gate's median made it {100 * (median(slower) - 1):.1f} % longer" if slower else ""
    return [
        "In brackets the 95 % interval of the rate (Clopper and Pearson); seconds are the median. The gate left "
        f"{undecided[False]} of the equal versions `inconclusive`, which is no alarm, and {undecided[True]} of those "
        "with the slowdown, which counts as missed.",
        "",
        f"{taken('comparisons', comparisons, software)} {wanted}{grew}.",
    ]


# --- the command -------------------------------------------------------------------------------------


def main() -> int:
    """Compare until there are enough rounds, or time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"write the table to {PAGE.name} in docs/images")
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    path = arguments.file or peers_file()
    failed: Exception | None = None
    if not arguments.summary:
        try:
            gather(path, arguments.rounds, time.monotonic() + 60 * arguments.minutes)
        except KeyboardInterrupt:
            print("stopped; the same command goes on", file=sys.stderr)
        except (ToolFailed, PerfsuiteError) as error:
            failed = error
    comparisons = list(load(path))
    text = table(comparisons)
    print(text, end="")
    if arguments.write and comparisons:
        PAGE.write_text(text)
    if failed:
        print(f"error: {failed}", file=sys.stderr)
        return 2
    return REACHED if comparisons else UNSETTLED


if __name__ == "__main__":
    sys.exit(main())
