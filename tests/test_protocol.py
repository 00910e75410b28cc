"""The lines between a gate and its workers."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite import protocol
from perfsuite.protocol import Channel, ClosedError, ProtocolError, SilenceError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    yield Channel(one), other
    one.close()
    other.close()


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.dictionaries(st.from_regex(r"[a-z]\w*", fullmatch=True), VALUES)), max_size=4
    )
)
def test_what_is_sent_is_received(messages):
    one, other = socket.socketpair()
    left, right = Channel(one), Channel(other)
    messages = [
        (kind, {k: v for k, v in content.items() if k not in ("type", "kind", "self")}) for kind, content in messages
    ]
    for kind, content in messages:
        left.send(kind, **content)
    assert [right.receive(1) for _ in messages] == [{"type": kind, **content} for kind, content in messages]
    left.close()
    with pytest.raises(ClosedError):
        right.receive(1)
    right.close()


@given(st.lists(st.integers(1, 40), min_size=1), st.text())
def test_it_does_not_matter_where_a_message_is_cut(cuts, text):
    one, other = socket.socketpair()
    channel = Channel(one)
    wire = (json.dumps({"type": "a", "text": text}) + "\n" + json.dumps({"type": "b"}) + "\n").encode()

    def send():
        at = 0
        while at < len(wire):
            size = cuts[at % len(cuts)]
            other.sendall(wire[at : at + size])
            at += size

    sender = threading.Thread(target=send)
    sender.start()
    assert channel.receive(5) == {"type": "a", "text": text}
    assert channel.receive(5) == {"type": "b"}
    sender.join()
    one.close()
    other.close()


@pytest.mark.parametrize(
    "line", [b"hello", b"[1]", b"{}", b'{"type": 1}', b"\xff\xfe\x00", b"", b"nan", b"[" * 100_000]
)
def test_what_is_no_message_is_said_with_what_it_is(ends, line):
    channel, other = ends
    other.sendall(line + b"\n")
    with pytest.raises(ProtocolError, match="not a message"):
        channel.receive(1)


def test_silence_ends(ends):
    channel, other = ends
    began = time.monotonic()
    other.sendall(b'{"type": "half')
    with pytest.raises(SilenceError, match=r"no answer within 0\.2 s"):
        channel.receive(0.2)
    assert time.monotonic() - began < 30
    # What came so far is not lost.
    other.sendall(b'"}\n')
    assert channel.receive(1) == {"type": "half"}


def test_a_message_without_end_is_given_up(ends, monkeypatch):
    monkeypatch.setattr(protocol, "_LONGEST", 1000)
    channel, other = ends
    other.sendall(b"x" * 5000)
    with pytest.raises(ProtocolError, match="a message of more than"):
        channel.receive(1)


def test_nobody_there_is_said(ends):
    channel, other = ends
    other.close()
    with pytest.raises(ClosedError):
        channel.send("step", filler="x" * 1_000_000)
    with pytest.raises(ClosedError):
        channel.receive(1)


def test_what_is_no_number_is_not_sent(ends):
    channel, _ = ends
    with pytest.raises(ValueError, match="not JSON compliant"):
        channel.send("steps", ns=[float("nan")])


def test_what_is_not_read_in_time_is_given_up():
    one, other = socket.socketpair()
    channel = Channel(one, patience=0.2)
    channel.send("step", count=1)
    with pytest.raises(SilenceError, match=r"'collect' was not read within 0\.2 s"):
        channel.send("collect", names=["x" * 1000] * 10_000)
    # The limit is on what is sent: who has nothing to say yet is waited for.
    other.close()
    with pytest.raises(ClosedError):
        channel.receive(30)
    one.close()


def test_the_limit_is_for_the_whole_message_and_a_slow_reader_is_none():
    one, other = socket.socketpair()
    channel = Channel(one, patience=60)
    total = 10_000_000

    def read():
        left = total
        while left > 0:
            left -= len(other.recv(1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    channel.send("collect", names=["x" * total])
    reader.join(60)
    assert not reader.is_alive()
    one.close()
    other.close()


def test_a_process_that_is_dead_has_nothing_more_to_say_though_the_connection_is_open():
    one, other = socket.socketpair()
    alive = [True]
    channel = Channel(one, lives=lambda: alive[0])
    other.sendall(b'{"type": "a"}\n{"type": "b"}\n{"type": "half')
    alive[0] = False
    assert [channel.receive(30)["type"] for _ in "ab"] == ["a", "b"]
    with pytest.raises(ClosedError, match="the process at the other end is dead"):
        channel.receive(30)
    assert not channel.ends(30)
    one.close()
    other.close()


def test_it_is_looked_at_while_nothing_comes(monkeypatch):
    monkeypatch.setattr(protocol, "_GLANCE_SECONDS", 0.01)
    one, other = socket.socketpair()
    glances = []
    channel = Channel(one, lives=lambda: glances.append(1) or len(glances) < 5)
    with pytest.raises(ClosedError, match="the process at the other end is dead"):
        channel.receive(600)
    assert len(glances) == 5
    one.close()
    other.close()
