"""A profile as the few numbers that the history keeps of it, by benchmark.

asv asks for one number at a time, each from a process of its own, and knows a benchmark by its name and parameters.
What is measured once is therefore kept as plain data: measure → part → samples, where a measure is what a benchmark is
called after ``track_`` and the part is its parameter beside the workload (empty if it has none).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfsuite.records import Profile

#: Measure → part → samples in the measure's unit.
Values = dict[str, dict[str, list[float]]]

#: Measure → its unit.  Less of each is better: so it is the time outside oneDNN that is kept, not the time within.
UNITS = {
    "step": "ms",
    "phase": "ms",
    "operator": "ms",
    "outside_onednn": "%",
    "reorders": "calls",
    "peak_rss": "MiB",
    "focal_loss": "ms",
}
#: The phases that have a series.  Fetching a batch that is there already takes a microsecond and is only noise.
PHASES = ("forward", "loss", "backward", "optimizer")
#: What is counted, and has no noise.
COUNTS = ("reorders",)
#: Benchmarks of a single workload, which is then none of their parameters.
SINGLE = {"focal_loss": "sigmoid_focal_loss"}


def values_of(profile: Profile) -> Values:
    """What the history keeps of a profile; what was not recorded, or did not run, is left out.

    Steps and phases: one sample a timed step.  Operators: one sample a profiled step, which is the self time of all
    operators of the series in it, so that sample by sample the series add up to the time of all operators.  The rest:
    one sample, of this process.
    """
    found: Values = {
        "step": {"": _ms(profile.samples.per_step_ns)} if profile.samples is not None else {},
        "phase": {phase.name: _ms(phase.samples_ns) for phase in profile.phases},
        "operator": _operators(profile),
        "outside_onednn": {},
        "reorders": {},
        "peak_rss": {},
    }
    if "primitives" in profile.passes:
        from perfsuite.analyse.tables import onednn_coverage

        coverage = onednn_coverage(profile)
        if coverage is not None:
            found["outside_onednn"] = {"": [100 * (1 - coverage)]}
        # Added as they come: counts are whole, or fractions of few steps.
        found["reorders"] = {"": [float(sum(one.count for one in profile.primitives if one.kind == "reorder"))]}
    if profile.memory is not None and profile.memory.peak_rss_bytes is not None:
        found["peak_rss"] = {"": [profile.memory.peak_rss_bytes / 2**20]}
    for measure, workload in SINGLE.items():
        if workload == profile.name:
            found[measure] = found["step"]
    return {measure: parts for measure, parts in found.items() if any(parts.values())}


def _operators(profile: Profile) -> dict[str, list[float]]:
    from perfsuite.history.names import series_of

    steps = max((len(row.self_ns_samples) for row in profile.operators), default=0)
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * steps)
    for row in profile.operators:
        series = sums[series_of(row.name, profile.name)]
        for step, ns in enumerate(row.self_ns_samples):
            series[step] += ns
    # One of which no step has run anything did not run: it has no time rather than a time of 0.
    return {name: _ms(samples) for name, samples in sums.items() if any(samples)}


def _ms(samples_ns: tuple[float, ...] | list[int]) -> list[float]:
    return [ns / 1e6 for ns in samples_ns]


def place_of(benchmark: str, parameters: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Where the values of a benchmark of asv are: the workload, the measure and the part.

    Args:
        benchmark: asv's name, ``steps.Steps.track_phase``.
        parameters: as asv names them: ``{"workload": "retinanet", "phase": "forward"}``.

    Returns:
        None for a benchmark that is not one of ours.
    """
    named = re.fullmatch(r"(?:.*\.)?track_(\w+)", benchmark)
    measure = named[1] if named else ""
    if measure not in UNITS:
        return None
    parts = dict(parameters)
    workload = parts.pop("workload", SINGLE.get(measure))
    if workload is None or len(parts) > 1:
        return None
    return workload, measure, next(iter(parts.values()), "")
