"""A timeline in the trace event format that Perfetto and Chrome open.

One process with a track for the phases, one for the modules, and one a thread for operators with the primitives nested
in them.  On every track slices nest: of two that overlap one holds the other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from perfsuite.present.cells import MISSING, clean, format_ns, format_shapes, format_share
from perfsuite.records import Environment, Profile
from perfsuite.timeline import Span, Timeline

_PROCESS = 1
_PHASES, _MODULES, _OPERATORS = 1, 2, 3
_TRACK_OF = {"step": _PHASES, "phase": _PHASES, "module": _MODULES}


def trace_text(timeline: Timeline, profile: Profile, environment: Environment) -> str:
    """The trace as strict JSON, metadata first, an event a line."""
    said = trace_metadata(timeline, profile, environment)
    events = ",\n".join(map(_dumps, _events(timeline, profile, said)))
    return f'{{"otherData":{_dumps(said)},\n"traceEvents":[\n{events}\n]}}\n'


def trace_metadata(timeline: Timeline, profile: Profile, environment: Environment) -> dict[str, Any]:
    """What the trace shows and how it was measured; what is not known is left out."""
    facts = {
        "workload": clean(profile.name),
        "pass": timeline.source,
        "step": f"{timeline.step + 1} of {timeline.steps}, the median by wall time",
        "step_wall_ns": timeline.wall_ns,
        "overhead_of_the_pass": _finite(profile.overhead.get(timeline.source)),
        "primitives": _about_primitives(timeline),
        "scale": profile.scale,
        "dtype": profile.dtype,
        "backend": profile.backend,
        "torch": environment.torch,
        "ipex": environment.ipex,
        "onednn": ", ".join(copy.get("version", MISSING) for copy in environment.onednn) or None,
        "cpu": environment.cpu_model,
        "threads": environment.torch_threads,
        "git_commit": environment.git_commit,
        "perfsuite": environment.perfsuite,
    }
    return {key: clean(value) if isinstance(value, str) else value for key, value in facts.items() if value is not None}


def _about_primitives(timeline: Timeline) -> str:
    if timeline.join is None:
        return "not recorded in this pass"
    shown = [span for span in timeline.spans if span.kind == "primitive"]
    guessed = any("start" in span.details for span in shown)
    how = "starts not measured: one after another in their operator" if guessed else "starts by oneDNN's clock"
    more = f"; {timeline.left_out} more without an operator are not shown" if timeline.left_out else ""
    return f"{len(shown)}, {how}{more}"


def _events(timeline: Timeline, profile: Profile, said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield _name("process_name", clean(profile.name))
    yield _name("process_labels", _label(timeline, profile), key="labels")
    for track, name in _tracks(timeline).items():
        yield _name("thread_name", name, track)
        yield _name("thread_sort_index", track, track, key="sort_index")
    for span in timeline.spans:
        yield {
            "ph": "X",
            "pid": _PROCESS,
            "tid": _track(span),
            "ts": microseconds(span.start_ns),
            "dur": microseconds(span.duration_ns),
            "cat": span.kind,
            "name": clean(span.name) or "(no name)",
            # Perfetto reads neither otherData nor the process's labels, so the step says them too.
            "args": said if span.kind == "step" else _arguments(span),
        }


def _label(timeline: Timeline, profile: Profile) -> str:
    overhead = profile.overhead.get(timeline.source)
    cost = "" if overhead is None else f", {format_share(overhead, '+')} over the timed median"
    return f"step {timeline.step + 1} of {timeline.steps} of the {timeline.source} pass{cost}"


def _tracks(timeline: Timeline) -> dict[int, str]:
    names = {_PHASES: "phases", _MODULES: "modules", _OPERATORS: "operators and primitives"}
    used = {_track(span) for span in timeline.spans}
    return {track: names.get(track, f"operators, thread {track - _OPERATORS + 1}") for track in sorted(used)}


def _track(span: Span) -> int:
    # Phases and modules of another thread overlap with those of the stepping one: they stay on their own track.
    return _OPERATORS + span.thread if span.thread else _TRACK_OF.get(span.kind, _OPERATORS)


def _arguments(span: Span) -> dict[str, Any]:
    said: dict[str, Any] = {"phase": span.phase, "module": span.module}
    for key, value in span.details.items():
        if key == "shapes":
            said[key] = format_shapes(value)
        elif key == "dtypes" and not isinstance(value, str):
            said[key] = " ".join(one or MISSING for one in value)
        elif key == "time_ns":
            said["time by oneDNN"] = format_ns(value)
        else:
            said[key] = value
    return {key: clean(value) if isinstance(value, str) else value for key, value in said.items() if value}


def _name(what: str, value: str | int, track: int = 0, key: str = "name") -> dict[str, Any]:
    return {"ph": "M", "pid": _PROCESS, "tid": track, "ts": 0, "name": what, "args": {key: value}}


def microseconds(ns: int) -> float:
    """The format's unit, as a number that is ``ns`` again whether a reader rounds its product with 1000 or cuts it.

    Perfetto rounds, but its older versions cut: 1.001 × 1000 is a little less than 1001, and a slice that ends a
    nanosecond late no longer nests.
    """
    found = ns / 1000
    while int(found * 1000) < ns:
        found = math.nextafter(found, math.inf)
    return int(found) if found.is_integer() else found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
