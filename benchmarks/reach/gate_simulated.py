"""Ten thousand gates drawn from the process pairs that were recorded: how many raise a false alarm, or miss.

The pairs are those of ``benchmarks.reach.gate_decisions``: real ones, of equal sides.  A decision draws pairs with
replacement and looks after each as a gate does, with the machine as it was and with bursts, a drift, autocorrelated
noise or a slow phase put on top of the recorded steps.  What is drawn knows no noise that the pairs do not show.

``python -m benchmarks.reach.gate_simulated [--decisions N] [--file FILE] [--json]``; ``--write`` also writes the table
to ``docs/images/gate-simulated.md``, which the documentation shows.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.reach.common import MISSED, REACHED, UNSETTLED
from benchmarks.reach.gate_decisions import load, machine_file, trace_of
from benchmarks.reach.pages import IMAGES, taken
from perfsuite.gate.calibration import proportion_at_most
from perfsuite.gate.disturb import DISTURBANCES
from perfsuite.gate.judge import affordable
from perfsuite.gate.model import PairTrace, Policy
from perfsuite.gate.simulate import simulate
from perfsuite.stats import median

PAGE = IMAGES / "gate-simulated.md"
#: Name, planted slowdown, threshold, the verdict that is right and its least share.
CASES = (
    ("equal sides at 3 %", 0.0, 0.03, "unchanged", 0.95),
    ("+6 % at 3 %", 0.06, 0.03, "regressed", 0.95),
    ("+3 % at 1 %", 0.03, 0.01, "regressed", 0.90),
)
#: Of decisions on equal sides.
ALARMS = 0.01
FEWEST_DECISIONS = 10_000


def simulated(traces: list[PairTrace], decisions: int, seed: int = 0) -> list[dict[str, Any]]:
    """One row for each case and disturbance."""
    seconds = median([trace.seconds for trace in traces])
    rows = []
    for name, effect, threshold, right, least in CASES:
        policy = affordable(replace(Policy(), threshold=threshold), seconds)
        for words, disturbance in DISTURBANCES.items():
            tally = simulate(traces, policy, effect=effect, disturbance=disturbance, decisions=decisions, seed=seed)
            alarms = tally.verdicts["regressed"] + tally.verdicts["improved"] if not effect else None
            rows.append(
                {
                    "case": name,
                    "disturbance": words,
                    "decisions": tally.decisions,
                    "right": tally.share(right),
                    "least": least,
                    "alarms": alarms,
                    "alarms_at_most": None if alarms is None else proportion_at_most(alarms, tally.decisions),
                    "pairs": tally.mean_pairs,
                    "seconds": tally.mean_seconds,
                }
            )
    return rows


def outcome(rows: list[dict[str, Any]]) -> int:
    """MISSED if there are too many alarms anywhere, or, on the machine as it was, too few right decisions."""
    alarms = all(row["alarms"] is None or row["alarms"] <= ALARMS * row["decisions"] for row in rows)
    found = all(row["right"] >= row["least"] for row in rows if row["disturbance"] == next(iter(DISTURBANCES)))
    enough = all(row["decisions"] >= FEWEST_DECISIONS for row in rows)
    return MISSED if not (alarms and found) else REACHED if enough else UNSETTLED


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| Sides | Machine | Right | False alarms | At most, 95 % | Pairs | Seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        alarms = "" if row["alarms"] is None else f"{row['alarms']} of {row['decisions']}"
        bound = "" if row["alarms_at_most"] is None else f"{100 * row['alarms_at_most']:.2f} %"
        lines.append(
            f"| {row['case']} | {row['disturbance']} | {100 * row['right']:.1f} % | {alarms} | {bound} | "
            f"{row['pairs']:.1f} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines)


def page(rows: list[dict[str, Any]], recorded: list[dict[str, Any]]) -> str:
    """The table, and which pairs were drawn from.

    Args:
        rows: of :func:`simulated`.
        recorded: the decisions whose pairs these are.
    """
    pairs = sum(len(one["pairs"]) for one in recorded)
    how = taken("decisions on equal sides", recorded, [f"torch {one['torch']}" for one in recorded])
    return f"{table(rows)}\n\nEach row is drawn from {pairs} pairs, of {how}\n"


def main() -> int:
    """Draw the decisions and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=FEWEST_DECISIONS)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"write the table to {PAGE.name} in docs/images")
    arguments = parser.parse_args()
    path = arguments.file or machine_file()
    equal = [one for one in load(path) if one["kind"] == "aa"]
    traces = [trace_of(pair) for one in equal for pair in one["pairs"]]
    if not traces:
        sys.exit(f"{path} has no pairs of equal sides: python -m benchmarks.reach.gate_decisions records some")
    rows = simulated(traces, arguments.decisions)
    if arguments.json:
        print(json.dumps({"pairs": len(traces), "rows": rows}))
    else:
        print(f"{len(traces)} recorded pairs of equal sides, {arguments.decisions} decisions in each row", "", sep="\n")
        print(table(rows))
    if arguments.write:
        PAGE.write_text(page(rows, equal))
    return outcome(rows)


if __name__ == "__main__":
    sys.exit(main())
