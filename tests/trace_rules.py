"""The rules of the trace event format that a reader relies on, checked strictly.

By the format's description (Trace Event Format, sections "JSON Object Format", "Complete Events" and "Metadata Events")
and by what Perfetto's importer does: it multiplies microseconds by 1000 and rounds the product (older versions cut it),
sorts by start, keeps the order of the file where starts are equal, and drops a slice that overlaps another on its
track without nesting.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

METADATA = {
    "process_name": "name",
    "process_labels": "labels",
    "thread_name": "name",
    "thread_sort_index": "sort_index",
}


@dataclass
class Slice:
    """A complete event as a reader has it: times in whole nanoseconds, and the slice around it."""

    event: dict[str, Any]
    start: int
    end: int
    parent: Slice | None = None
    children: list[Slice] = field(default_factory=list)

    def above(self) -> list[Slice]:
        """The slices around it, innermost first."""
        return [] if self.parent is None else [self.parent, *self.parent.above()]


@dataclass
class Trace:
    metadata: dict[str, Any]
    #: Name of each track, and its slices in order.
    tracks: dict[str, list[Slice]]
    process: str

    def slices(self, category: str) -> list[Slice]:
        return [one for track in self.tracks.values() for one in track if one.event["cat"] == category]


def read_trace(text: str) -> Trace:
    """The trace, which must keep every rule."""
    whole = json.loads(text, parse_constant=_refuse, object_pairs_hook=_no_key_twice)
    assert set(whole) == {"otherData", "traceEvents"}
    names: dict[int, str] = {}
    process = ""
    by_track: dict[int, list[Slice]] = defaultdict(list)
    for event in whole["traceEvents"]:
        assert event["ph"] in ("X", "M")
        assert all(type(event[key]) is int and event[key] >= 0 for key in ("pid", "tid"))
        assert isinstance(event["name"], str)
        assert event["name"].isprintable(), "a name that a reader may refuse or print"
        assert isinstance(event["args"], dict)
        if event["ph"] == "M":
            assert list(event["args"]) == [METADATA[event["name"]]]
            if event["name"] == "thread_name":
                assert event["tid"] not in names, "a track has one name"
                names[event["tid"]] = event["args"]["name"]
            elif event["name"] == "process_name":
                process = event["args"]["name"]
            continue
        assert set(event) == {"ph", "pid", "tid", "ts", "dur", "cat", "name", "args"}
        start, duration = _nanoseconds(event["ts"]), _nanoseconds(event["dur"])
        assert start >= 0
        assert duration >= 0
        by_track[event["tid"]].append(Slice(event, start, start + duration))
    assert set(by_track) == set(names), "every track has a name, and every name a track"
    for track in by_track.values():
        _nest(track)
    return Trace(whole["otherData"], {names[tid]: track for tid, track in sorted(by_track.items())}, process)


def _nest(track: list[Slice]) -> None:
    assert [one.start for one in track] == sorted(one.start for one in track), "in order of start"
    stack: list[Slice] = []
    for one in track:
        while stack and stack[-1].end <= one.start and not (stack[-1].end == one.end == one.start == stack[-1].start):
            stack.pop()
        if stack:
            assert one.end <= stack[-1].end, f"{one.event} outlasts {stack[-1].event}"
            one.parent = stack[-1]
            stack[-1].children.append(one)
        stack.append(one)


def _nanoseconds(us: Any) -> int:
    assert type(us) in (int, float), f"{us!r} is no number"
    assert int(us * 1000) == round(us * 1000), f"{us!r} µs: rounding and cutting disagree"
    return int(us * 1000)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), "a key twice"
    return dict(pairs)
