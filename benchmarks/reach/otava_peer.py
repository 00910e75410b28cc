"""Otava's change points, in an interpreter of its own: it pins another numpy than torch is tested with.

A program, and no module: ``python otava_peer.py`` reads ``[[[values…], [machines…]], …]`` as JSON and writes
``[[night, place] | null, …]``, the night after which Otava first reports an increase, and where that is placed.  Each
night the series of that night's machine is analysed, with Otava's defaults.
"""

from __future__ import annotations

import json
import logging
import sys


def first_increase(values: list[float], machines: list[str]) -> tuple[int, int] | None:
    for night in range(2, len(values)):
        places = [place for place in range(night + 1) if machines[place] == machines[night]]
        found = increases([values[place] for place in places])
        if found:
            return night, places[max(found)]
    return None


def increases(values: list[float]) -> list[int]:
    from otava.series import AnalysisOptions, Metric, Series

    series = Series("series", None, list(range(len(values))), {"step": Metric(-1, 1.0, "ms")}, {"step": values}, {})
    points = series.analyze(AnalysisOptions()).change_points["step"]
    return [int(point.index) for point in points if point.stats.forward_rel_change() > 0]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    json.dump([first_increase(values, machines) for values, machines in json.load(sys.stdin)], sys.stdout)
