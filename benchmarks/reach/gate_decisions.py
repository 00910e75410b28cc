"""Real decisions of `perfsuite gate`: false alarms, misses, culprits and minutes, on a step of about 20 ms.

Each decision is a gate of its own, with its own processes, of the step that ``perfsuite calibrate`` has against itself:

- ``aa``: both sides are the same, at the threshold of 3 %;
- ``6at3``: head runs an operator that base does not, which costs 6 %, at 3 %;
- ``3at1``: one that costs 3 %, at 1 %.

Decisions take minutes, so they are taken one by one, of all kinds in turn, and each is appended with its raw traces to
``benchmarks/data/gate-decisions-MACHINE.jsonl.gz``: stop whenever you like, and go on with the same command.

``python -m benchmarks.reach.gate_decisions [--kinds K…] [--decisions N] [--minutes M]`` takes decisions;
``--summary`` only says what the file holds, and ``--write`` also writes it to ``docs/images/gate-decisions.md``, which
the documentation shows.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import itertools
import json
import math
import os
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.reach.gate_counts import KINDS, Kind, page, summary
from benchmarks.reach.pages import IMAGES
from perfsuite.capture.calibration.step import PLANT
from perfsuite.environment import gather_environment
from perfsuite.gate.model import GateResult, PairTrace
from perfsuite.gate.rehearse import plant_sizes, step_folder
from perfsuite.gate.session import Options, compare_sides

#: Pairs of each measurement of what a plant costs.
_PROBES = 24
PAGE = IMAGES / "gate-decisions.md"
DATA = Path(__file__).resolve().parents[1] / "data"
#: How gzip begins an archive without a name and a time: with its magic number, method and eight fixed bytes.
_BEGIN = gzip.compress(b"", mtime=0)[:10]


def decide(kind: Kind, elements: int) -> GateResult:
    """One gate."""
    head = f"env:{PLANT}={elements}" if kind.plant else "."
    options = Options(threshold=kind.threshold, shortcut=False)
    with step_folder() as folder:
        result, _ = compare_sides(".", head, folder, options)
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def plants(kinds: Sequence[str]) -> dict[str, int]:
    """How many elements the plants of these kinds have on this machine."""
    shares = {name: KINDS[name].plant for name in kinds if KINDS[name].plant}
    sizes = plant_sizes(list(shares.values()), _PROBES)
    return {name: sizes[share] for name, share in shares.items()}


# --- the file --------------------------------------------------------------------------------------


def record(name: str, elements: int, result: GateResult) -> dict[str, Any]:
    """What is kept of a decision: all of the times, and what was made of them."""
    (one,) = result.benchmarks
    judgement = one.judgement
    return {
        "kind": name,
        "elements": elements,
        "commit": gather_environment(cwd=Path(__file__).parent).git_commit,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "verdict": one.verdict,
        "reasons": list(one.reasons),
        "notes": list(one.notes),
        "threshold": one.policy.threshold,
        "ratio": judgement.ratio if judgement else None,
        "interval": judgement.interval if judgement else None,
        "spread": judgement.spread if judgement else None,
        "seconds": one.seconds,
        "gate_seconds": result.seconds,
        "culprit": one.attribution.rows[0].name if one.attribution and one.attribution.rows else None,
        "census": [failure.text for failure in one.census.failures] if one.census else None,
        "torch": result.head.environment.torch if result.head.environment else None,
        "cpu": result.head.environment.cpu_model if result.head.environment else None,
        "pairs": [_trace(trace) for trace in one.pairs],
    }


def _trace(trace: PairTrace) -> dict[str, Any]:
    sides = {side: [[round(ns) for ns in turn] for turn in turns] for side, turns in _turns(trace).items()}
    return {**sides, "order": trace.order, "first": trace.first, "seconds": round(trace.seconds, 3)}


def _turns(trace: PairTrace) -> Mapping[str, Sequence[Sequence[float]]]:
    return {"base": trace.base_ns, "head": trace.head_ns}


def trace_of(saved: Mapping[str, Any]) -> PairTrace:
    """A pair as it was saved."""
    base, head = (tuple(map(tuple, saved[side])) for side in ("base", "head"))
    return PairTrace(base, head, saved["order"], saved["first"], saved["seconds"])


def load(path: Path) -> Iterator[dict[str, Any]]:
    """The decisions of a file; one that an interruption cut short is left out."""
    if not path.exists():
        return
    data = path.read_bytes()
    # Each is an archive of its own, and nothing within one looks like the beginning of the next.
    starts = [found.start() for found in re.finditer(re.escape(_BEGIN), data)]
    for start, end in itertools.pairwise([*starts, len(data)]):
        with contextlib.suppress(EOFError, zlib.error, gzip.BadGzipFile):
            yield json.loads(gzip.decompress(data[start:end]))


def append(path: Path, decision: Mapping[str, Any]) -> None:
    """Add one, as a member of the archive of its own: what was there before is not touched."""
    path.parent.mkdir(exist_ok=True)
    packed = gzip.compress((json.dumps(decision, separators=(",", ":")) + "\n").encode(), mtime=0)
    assert packed.startswith(_BEGIN)
    with path.open("ab") as file:
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())


def machine_file() -> Path:
    """The file of this kind of machine."""
    environment = gather_environment()
    words = f"{environment.cpu_model or 'unknown'}-{environment.usable_cpus}cpu"
    return DATA / f"gate-decisions-{re.sub(r'[^a-z0-9]+', '-', words.lower()).strip('-')}.jsonl.gz"


# --- the command -----------------------------------------------------------------------------------


def main() -> int:
    """Take decisions until there are enough, or time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--decisions", type=int, help="of each kind; default: 200 of aa, 60 of the others")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"write the table to {PAGE.name} in docs/images")
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    path = arguments.file or machine_file()
    if not arguments.summary:
        try:
            gather(path, arguments.kinds, arguments.decisions, time.monotonic() + 60 * arguments.minutes)
        except KeyboardInterrupt:
            print("stopped; the same command goes on", file=sys.stderr)
    decisions = list(load(path))
    lines, outcome = summary(decisions)
    print(*lines, sep="\n")
    if arguments.write and decisions:
        PAGE.write_text(page(decisions))
    return outcome


def gather(path: Path, kinds: Sequence[str], decisions: int | None, deadline: float) -> None:
    """Take decisions of the kinds in proportion to what each lacks."""
    before = list(load(path))
    counts = Counter(one["kind"] for one in before)
    wanted = {name: decisions or KINDS[name].decisions for name in kinds}
    # The same plant as before: all decisions of a kind are about one slowdown.
    elements: dict[str, int] = {one["kind"]: one["elements"] for one in before}
    while time.monotonic() < deadline:
        left = {name: wanted[name] - counts[name] for name in kinds if counts[name] < wanted[name]}
        if not left:
            return
        name = max(left, key=lambda kind: left[kind] / wanted[kind])
        kind = KINDS[name]
        if kind.plant and name not in elements:
            elements.update(plants([one for one in kinds if one not in elements]))
        result = decide(kind, elements.get(name, 0))
        decision = record(name, elements.get(name, 0), result)
        append(path, decision)
        counts[name] += 1
        print(
            f"{decision['at']} {name} {counts[name]}/{wanted[name]}: {decision['verdict']} "
            f"{decision['ratio'] and round(decision['ratio'], 4)} in {len(decision['pairs'])} pairs, "
            f"{decision['gate_seconds']:.0f} s, {decision['culprit']}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
