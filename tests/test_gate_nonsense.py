"""Workers that talk nonsense: whatever they say, a pair has a fault that says whose, and nothing else is raised."""

from __future__ import annotations

import json
import os
import random
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.codec import to_json
from perfsuite.gate import messages
from perfsuite.gate.answers import Collected, SkippedError
from perfsuite.gate.model import SIDES, PairTrace
from perfsuite.gate.pair import Pair
from perfsuite.gate.worker import EndedError, Runnable, WorkerFault
from perfsuite.protocol import PROTOCOL, ProtocolError, read
from perfsuite.records import FORMAT
from tests.diff_profiles import op, primitive, profile
from tests.samples import an_environment

#: Stands in for an interpreter: to each message it has its answers.
WORKER = """\
#!{python}
import json, socket, sys
end = socket.socket(fileno=int(next(a for a in sys.argv if a.startswith("--profile-dnn-worker=")).partition("=")[2]))
answers = json.loads({answers!r})
def say(kind):
    for answer in answers[kind]:
        end.sendall(json.dumps(answer).encode() + b"\\n")
say("hello")
for line in end.makefile("rb"):
    say(json.loads(line)["type"])
"""
ONE = "test_a.py::one"
READY: dict[str, Any] = {
    "type": "ready", "nodeid": ONE, "warm_up_ns": [3e8] * 5, "settled": True, "repeatable": True, "cold": False,
    "loaded": {}, "elsewhere": {}, "extensions": [],
}  # fmt: skip
LISTED = {"nodeid": ONE, "path": "/tree/test_a.py", "name": ONE, "group": None, "threshold": None}
ENDED = {"type": "ended", "nodeid": ONE, "outcome": "passed", "why": ""}
GOOD: dict[str, list[dict[str, Any]]] = {
    "hello": [{"type": "hello", "protocol": PROTOCOL, "perfsuite": "1", "records": FORMAT}],
    "collect": [{"type": "collected", "benchmarks": [LISTED], "errors": []}],
    "run": [{"type": "waiting", "nodeid": ONE}],
    "begin": [READY],
    "step": [{"type": "steps", "ns": [3e8], "rss_bytes": 1000}],
    "profile": [{"type": "profile", "profile": to_json(profile([op("aten::mm")], [(0, primitive("brg_matmul"))]))}],
    "environment": [{"type": "environment", "environment": to_json(an_environment())}],
    "finish": [ENDED, {"type": "bye"}],
    "skip": [{**ENDED, "outcome": "skipped"}, {"type": "bye"}],
}


@pytest.fixture
def start(tmp_path):
    pairs = []

    def started(head: Mapping[str, Any], base: Mapping[str, Any] = {}, first: str = "base") -> Pair:
        runnables = {}
        for side, own in (("base", base), ("head", head)):
            script = tmp_path / side
            script.write_text(WORKER.format(python=sys.executable, answers=json.dumps({**GOOD, **own})))
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
            runnables[side] = Runnable(side, str(script), Path(tmp_path), os.environ)
        pairs.append(Pair(runnables, {side: ["."] for side in SIDES}, first, 60, random.Random(1)))
        return pairs[-1]

    yield started
    for pair in pairs:
        pair.close()


def visit(pair: Pair) -> PairTrace:
    """All that a gate does with a pair; returns its times."""
    found = pair.collect({side: [] for side in SIDES}, [])
    for one in found.values():
        if isinstance(one, WorkerFault):
            raise one
        assert isinstance(one, Collected)
    pair.run({side: [ONE] for side in SIDES})
    ready = pair.begin()
    pair.environments()
    trace, _ = pair.time(ready)
    pair.profile(ready)
    assert pair.finish() == {}
    pair.part()
    return trace


def test_sense_is_no_fault(start):
    trace = visit(start({}, {"step": [{**STEPS, "ns": [2e8]}]}))
    assert set(trace.base_ns) == {(2e8,)}
    assert set(trace.head_ns) == {(3e8,)}


def without(message: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != key}


STEPS, COLLECTED, PROFILE = GOOD["step"][0], GOOD["collect"][0], GOOD["profile"][0]["profile"]


def with_row(kind: str, **changes: Any) -> dict[str, Any]:
    """The good profile, whose first row of a kind is spoilt."""
    row, *others = PROFILE[kind]
    return {**PROFILE, kind: [{**row, **changes}, *others]}


#: What decodes and cannot be: whoever reads on would be led astray.
IMPOSSIBLE = {
    "an operator whose primitive is not there": with_row("operators", primitives=[7]),
    "an operator whose primitive is before the first": with_row("operators", primitives=[-1]),
    "a primitive whose operator is not there": with_row("primitives", operator=7),
    "an operator that took no number": with_row("operators", self_ns=float("nan")),
    "an operator that took more than any number": with_row("operators", self_ns=10**400),
    "walls of more than any number": {**PROFILE, "walls_ns": {"operators": [10**400]}},
    "phases of more than any number": {**PROFILE, "phases": [{"name": "forward", "samples_ns": [10**400]}]},
}
BAD = {
    "a benchmark lacks its name": ("collect", {**COLLECTED, "benchmarks": [without(LISTED, "name")]}),
    "a benchmark is a number": ("collect", {"type": "collected", "benchmarks": [5], "errors": []}),
    "the benchmarks are a number": ("collect", {"type": "collected", "benchmarks": 5, "errors": []}),
    "there are no errors": ("collect", {"type": "collected", "benchmarks": []}),
    "it waits for nothing": ("run", {"type": "waiting"}),
    "it waits for a number": ("run", {"type": "waiting", "nodeid": 5}),
    "no warm-up": ("begin", {**READY, "warm_up_ns": []}),
    "a warm-up of text": ("begin", {**READY, "warm_up_ns": ["x"]}),
    "a warm-up without end": ("begin", {**READY, "warm_up_ns": [3e8, 1e400]}),
    "a warm-up that is no number": ("begin", {**READY, "warm_up_ns": [float("nan")]}),
    "a warm-up of nothing": ("begin", {**READY, "warm_up_ns": [0]}),
    "a warm-up of more than any number": ("begin", {**READY, "warm_up_ns": [10**400]}),
    "nothing of what was loaded": ("begin", without(READY, "loaded")),
    "a list of what was loaded": ("begin", {**READY, "loaded": []}),
    "a key too many": ("begin", {**READY, "speed": 5}),
    "another benchmark built": ("begin", {**READY, "nodeid": "test_a.py::two"}),
    "too many steps": ("step", {**STEPS, "ns": [3e8, 3e8]}),
    "a step that took true": ("step", {**STEPS, "ns": [True]}),
    "a step before it began": ("step", {**STEPS, "ns": [-1]}),
    "a step that took no number": ("step", {**STEPS, "ns": [float("nan")]}),
    "no memory": ("step", without(STEPS, "rss_bytes")),
    "memory of text": ("step", {**STEPS, "rss_bytes": "x"}),
    "no profile": ("profile", {"type": "profile"}),
    "an empty profile": ("profile", {"type": "profile", "profile": {}}),
    "a profile of another format": ("profile", {"type": "profile", "profile": {"name": "x", "speed": 5}}),
    **{
        f"a profile with {what}": ("profile", {"type": "profile", "profile": made})
        for what, made in IMPOSSIBLE.items()
    },
    "no environment": ("environment", {"type": "environment", "environment": None}),
    "an end without an outcome": ("finish", {"type": "ended", "why": ""}),
    "an end of numbers": ("finish", {"type": "ended", "why": 5, "outcome": 5}),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "message"), BAD.values(), ids=BAD)
def test_nonsense_is_a_fault(start, kind, message):
    with pytest.raises(WorkerFault) as caught:
        visit(start({kind: [message]}))
    assert caught.value.side == "head"
    assert "\n" not in str(caught.value)


def test_it_says_what_it_did_not_understand(start):
    with pytest.raises(
        WorkerFault, match=r"^head's worker was given up: not understood: 'ready': key 'loaded' is missing"
    ):
        visit(start({"begin": [without(READY, "loaded")]}))


@pytest.mark.parametrize("went_to", ["test_a.py::two", ""])
def test_two_different_benchmarks_are_not_timed_against_each_other(start, went_to):
    pair = start({"run": [{"type": "waiting", "nodeid": went_to}]})
    with pytest.raises(WorkerFault, match=f"head's worker went on to {went_to} where {ONE} was to follow"):
        visit(pair)


def test_nor_is_one_that_nobody_asked_for(start):
    pair = start({})
    pair.collect({side: [] for side in SIDES}, [])
    pair.run({"base": [ONE], "head": []})
    with pytest.raises(WorkerFault, match=f"head's worker went on to {ONE} where nothing more was to follow"):
        pair.begin()


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        ({"protocol": 99, "records": FORMAT}, f"which speaks protocol 99, not {PROTOCOL}"),
        ({"protocol": PROTOCOL, "records": 99}, f"which writes format 99, not {FORMAT}"),
        ({"protocol": PROTOCOL}, f"which writes format unknown, not {FORMAT}"),
    ],
)
def test_another_perfsuite_is_one_line_with_its_side_and_what_to_do(start, tmp_path, hello, said):
    with pytest.raises(WorkerFault) as caught:
        visit(start({"hello": [{"type": "hello", "perfsuite": "0.0.9", **hello}]}))
    text = str(caught.value)
    assert text.startswith(
        f"head's worker has perfsuite 0.0.9, {said}: install the same one there: {tmp_path}/head -m pip"
    )
    assert "\n" not in text


@pytest.mark.parametrize("first", SIDES)
def test_a_cold_benchmark_is_told(start, first):
    pair = start({"begin": [{**READY, "cold": True}]}, first=first)
    pair.collect({side: [] for side in SIDES}, [])
    pair.run({side: [ONE] for side in SIDES})
    assert [note for note in pair.begin().notes if "warmup_rounds=0" in note]


# --- the records of the messages ----------------------------------------------------------------------

KINDS = [
    messages.CollectedMessage,
    messages.WaitingMessage,
    messages.ReadyMessage,
    messages.StepsMessage,
    messages.ProfileMessage,
    messages.EnvironmentMessage,
    messages.EndedMessage,
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_any_message_is_understood_or_is_an_error_of_the_protocol(data):
    kind = data.draw(st.sampled_from(KINDS))
    names = [field.name for field in fields(kind)]
    content = data.draw(st.dictionaries(st.sampled_from([*names, "other"]), VALUES))
    with suppress(ProtocolError):
        found = read(kind, {"type": "x", **content})
        assert isinstance(found, kind)
        assert set(content) <= set(names)


def test_both_sides_that_skip_are_no_end_of_one(start):
    skipped = {**ENDED, "outcome": "skipped", "why": "no CUDA here"}
    pair = start({"begin": [skipped, {"type": "bye"}]}, {"begin": [skipped, {"type": "bye"}]})
    pair.collect({side: [] for side in SIDES}, [])
    pair.run({side: [ONE] for side in SIDES})
    with pytest.raises(SkippedError, match=r"^no CUDA here$"):
        pair.begin()
    assert pair.finish() == {}
    pair.part()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("first", SIDES)
def test_one_side_that_skips_is_asked_against_the_other(start, side, first):
    skipped = {"begin": [{**ENDED, "outcome": "skipped", "why": "no CUDA here"}, {"type": "bye"}]}
    pair = start(skipped if side == "head" else {}, skipped if side == "base" else {}, first)
    pair.collect({side: [] for side in SIDES}, [])
    pair.run({side: [ONE] for side in SIDES})
    with pytest.raises(EndedError) as caught:
        pair.begin()
    assert (caught.value.side, caught.value.outcome) == (side, "skipped")
    assert pair.finish() == {}
    pair.part()
