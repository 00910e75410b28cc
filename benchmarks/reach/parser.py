"""Reading a verbose log: at least 8 times as fast as oneDNN's own verbose_converter, in less than 150 MB, same totals.

A training log of a million lines is made by repeating the executions of a sample log with other times: one without
timestamps, one with them.  Both readers break it down by primitive kind, each in a process of its own, one after the
other in random order; the time is from opening the file to the breakdown, without the start of the interpreter.  Two
more logs are read by perfsuite only: one with all that ``ONEDNN_VERBOSE=all`` prints (most lines are no executions) for
its speed, and one of which every problem is another (dynamic shapes) for its memory.

``python -m benchmarks.reach.parser [--converter PATH] [--lines N] [--rounds N] [--json]``; PATH is
``scripts/verbose_converter/verbose_converter.py`` of a oneDNN checkout.  Without it nothing is compared.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.reach.common import UNSETTLED, Finding, conclude, interleave, run_python
from perfsuite.onednn import open_log, tally
from perfsuite.stats import median

TIMES_AS_FAST = 8
LINES_PER_SECOND = 400_000
PEAK_MB = 150

_ROOT = Path(__file__).resolve().parents[2]
_DATA = _ROOT / "tests" / "data"
PLAIN = _DATA / "onednn-3.12_convnet.log"
STAMPED = _DATA / "verbose_logs" / "oneDNN-3.7_ipex-2.8_convnet-train_timestamps.log"

#: What oneDNN's clock counts in.
_TICKS_PER_MS = 4096

#: In a process of its own: the folder of verbose_converter.py and the log → JSON on standard output.
_CONVERT = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
import verbose_converter
started = time.perf_counter()
with open(sys.argv[2]) as file:
    lines = file.readlines()
output = verbose_converter.convert(
    parser="oneDNN", input=lines, action="generate", generator="breakdown", split_output=False,
    agg_keys=["prim_kind"], events=["exec"],
)
answer = {"seconds": time.perf_counter() - started, "breakdown": output["all"]}
answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(answer))
"""


@dataclass(frozen=True)
class Reading:
    """A log read once: how long it took, what it took at most, and the breakdown to two digits as it is printed."""

    seconds: float
    peak_mb: float
    #: Primitive kind → "executions,milliseconds".
    breakdown: dict[str, str]


Reader = Callable[[Path], Reading]


def main() -> int:
    options = _parse()
    if options.worker:
        log, answer = map(Path, options.worker)
        answer.write_text(json.dumps(asdict(measure(log))))
        return 0
    readers: dict[str, Reader] = {"perfsuite": by_perfsuite}
    if options.converter:
        readers["converter"] = partial(by_converter, options.converter)
    findings: list[Finding] = []
    medians: dict[str, tuple[float, str]] = {}
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "training.log"
        for name, lines, read_by in (
            ("no timestamps", repeated(PLAIN, ",exec,cpu,"), readers),
            ("timestamps", repeated(STAMPED, ",exec,cpu,"), readers),
            ("everything", repeated(STAMPED, "onednn_verbose,"), {"perfsuite": by_perfsuite}),
        ):
            write(log, lines, options.lines)
            readings = read_in_turns(read_by, log, options.rounds)
            check_equal(name, readings)
            for reader, of_reader in readings.items():
                rate = median([options.lines / reading.seconds for reading in of_reader])
                medians[f"{reader}, {name}"] = (rate, "lines/s")
            findings += speeds(name, readings, options.lines)
            peaks += [reading.peak_mb for reading in readings["perfsuite"]]
        write(log, dynamic_shapes(), options.lines)
        peaks += [by_perfsuite(log).peak_mb for _ in range(options.rounds)]
    findings.append(Finding("peak memory of perfsuite's process", "MB", peaks, high=PEAK_MB))
    outcome = conclude(findings, medians, options.json)
    if options.converter:
        return outcome
    print("NOT COMPARED with verbose_converter: give its path with --converter", file=sys.stderr)
    return outcome or UNSETTLED


# --- logs ------------------------------------------------------------------------------------------


def repeated(sample: Path, of: str) -> Iterator[str]:
    """The header of ``sample`` and then, without end, its records with ``of`` in them, each with a time of its own."""
    draw = random.Random(0)
    lines = sample.read_text().splitlines()
    yield from (line for line in lines if ",info," in line)
    records = [line for line in lines if ",info," not in line and of in line]
    start = 1_795_228_878_000.0
    while True:
        for record in records:
            before, _, last = record.rpartition(",")
            with contextlib.suppress(ValueError):  # what ends in no time is no execution
                last = f"{round(float(last) * draw.lognormvariate(0, 0.1) * _TICKS_PER_MS) / _TICKS_PER_MS:g}"
            marker, version, stamp, rest = before.split(",", 3)
            if stamp[0].isdigit():
                start += draw.random()
                before = f"{marker},{version},{start:.6f},{rest}"
            yield f"{before},{last}"


def dynamic_shapes() -> Iterator[str]:
    """Products of which each has a shape of its own."""
    for size in itertools.count(1):
        yield (
            "onednn_verbose,v1,primitive,exec,cpu,matmul,brg_matmul:avx512_core,undef,src:f32::blocked:ab::f0 "
            "wei:f32:a:blocked:ba::f0 bia:f32:a:blocked:a::f0_mask2 dst:f32::blocked:ab::f0,attr-scratchpad:user,,"
            f"{size}x768:768x3072,{size % _TICKS_PER_MS / _TICKS_PER_MS:g}"
        )


def write(log: Path, lines: Iterator[str], number: int) -> None:
    """The first ``number`` of ``lines``."""
    with log.open("w") as file:
        file.writelines(f"{line}\n" for line in itertools.islice(lines, number))


# --- readers ---------------------------------------------------------------------------------------


def by_perfsuite(log: Path) -> Reading:
    """perfsuite's tally, in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.json"
        run_python("benchmarks.reach.parser", "--worker", str(log), str(answer), cwd=_ROOT)
        return Reading(**json.loads(answer.read_text()))


def measure(log: Path) -> Reading:
    """For a process of its own, of which the peak memory is."""
    started = time.perf_counter()
    with open_log(log) as stream:
        found = tally(stream)
    sums: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for row in found.primitives:
        sums[row.kind].append(row.time_ms)
        counts[row.kind] += row.count
    seconds = time.perf_counter() - started
    if found.rejected or found.recovered:
        sys.exit(f"{found.rejected} records rejected, {found.recovered} recovered in a log that is whole")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Reading(seconds, peak_mb, {kind: f"{counts[kind]},{math.fsum(ms):.2f}" for kind, ms in sums.items()})


def by_converter(converter: Path, log: Path) -> Reading:
    """What its command line does with ``-g breakdown -k prim_kind -e exec``, in a process of its own."""
    command = [sys.executable, "-c", _CONVERT, str(converter.resolve().parent), str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{converter}: status {done.returncode}\n{done.stderr}")
    answer = json.loads(done.stdout)
    rows = [line.split(",") for line in answer["breakdown"].splitlines()[1:]]
    return Reading(answer["seconds"], answer["peak_mb"], {kind: f"{count},{ms}" for kind, count, ms, *_ in rows})


def read_in_turns(readers: dict[str, Reader], log: Path, rounds: int) -> dict[str, list[Reading]]:
    """Every reader once a round in random order; reader → its readings by round."""
    readings: dict[str, list[Reading]] = {name: [] for name in readers}

    def read(name: str) -> float:
        readings[name].append(readers[name](log))
        return readings[name][-1].seconds

    interleave({name: partial(read, name) for name in readers}, rounds)
    return readings


# --- findings --------------------------------------------------------------------------------------


def check_equal(name: str, readings: dict[str, list[Reading]]) -> None:
    """Exit unless all readers print the same breakdown, to the last digit."""
    first = readings["perfsuite"][0].breakdown
    for reader, of_reader in readings.items():
        for reading in of_reader:
            if reading.breakdown != first:
                sys.exit(f"{name}: {reader} says {reading.breakdown}, perfsuite {first}")


def speeds(name: str, readings: dict[str, list[Reading]], lines: int) -> list[Finding]:
    """Time a line of perfsuite, and its time over the converter's in the same round."""
    ours = [reading.seconds for reading in readings["perfsuite"]]
    found = [Finding(f"a line, {name}", "ns", [seconds / lines * 1e9 for seconds in ours], high=1e9 / LINES_PER_SECOND)]
    if "converter" in readings:
        ratios = [one / other.seconds for one, other in zip(ours, readings["converter"], strict=True)]
        found.append(Finding(f"perfsuite's time ÷ converter's, {name}", "×", ratios, high=1 / TIMES_AS_FAST))
    return found


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--converter", type=Path, metavar="PATH")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", nargs=2, metavar=("LOG", "ANSWER"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
