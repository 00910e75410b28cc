"""How a gate and its workers talk: one JSON object a line, over a socket that nothing else writes to.

A worker is ``python -m pytest --profile-dnn-worker=FD``.  What is said, in this order:

====================  =====================================================================================
the worker            the gate
====================  =====================================================================================
``hello``             ``collect``: what is wanted, and which folders and modules are of interest
``collected``         ``run``: which node ids to run
``waiting``           ``begin``: build the next benchmark and warm it up; or ``skip`` it
``ready``             ``step``, ``profile`` or ``environment``, any number of times; then ``finish``
``steps`` …           (the answer to each)
``ended``             (the worker goes on to ``waiting``, or to ``bye``)
``bye``
====================  =====================================================================================

``hello`` has ``protocol``, ``perfsuite`` (its version) and ``records`` (the format of its profiles).  ``collect`` has
``wanted`` (absolute paths, with ``::`` and a name after some), ``roots`` (the folders of both sides) and ``names``
(modules that differ between them).  ``waiting`` and ``ready`` have the ``nodeid`` of the benchmark.  ``ready`` also has
``loaded`` (file → SHA-256 of what was loaded from the roots), ``elsewhere`` (name → file of those modules that came
from another place) and ``extensions`` (compiled ones that are of no root, environment or system).  The other keys are
those of :mod:`perfsuite.gate.messages`.

A worker that has nothing to say any more, or whose socket closes, ends.  It closes its own end when everything that is
registered for the end of its process is done.
"""

from __future__ import annotations

import json
import math
import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from perfsuite.codec import from_json
from perfsuite.errors import PerfsuiteError, StoreError

#: Raised whenever a message changes its meaning; both ends must have the same.
PROTOCOL = 2
#: A profile of a large model has a few megabytes.
_LONGEST = 256 << 20
#: How often who waits looks whether the process at the other end lives.
_GLANCE_SECONDS = 0.5

T = TypeVar("T")


class ProtocolError(PerfsuiteError):
    """What came over the socket is no message of this protocol."""


class ClosedError(PerfsuiteError):
    """The other end is gone."""


class SilenceError(PerfsuiteError):
    """The other end did not answer in time, or did not take what was sent."""


class Channel:
    """One end of the socket."""

    def __init__(
        self, end: socket.socket, patience: float | None = None, lives: Callable[[], bool] | None = None
    ) -> None:
        """Take it.

        Args:
            end: the socket.
            patience: how many seconds the other end may take to read a message; None for any number.
            lives: whether the process at the other end does, for who waits for a message: a child of it may keep the
                connection open when it is dead.
        """
        self._socket = end
        self._patience = patience
        self._lives = lives
        self._rest = bytearray()
        # For all of a message, however many parts it goes in; what is received has limits of its own.
        end.settimeout(patience)

    def send(self, kind: str, **content: Any) -> None:
        """Send one message.

        Raises:
            ClosedError: nobody reads it; SilenceError: somebody should, and does not.
        """
        line = json.dumps({"type": kind, **content}, allow_nan=False, separators=(",", ":")) + "\n"
        try:
            self._socket.sendall(line.encode())
        except TimeoutError:
            raise SilenceError(f"{kind!r} was not read within {self._patience:g} s") from None
        except OSError as error:
            raise ClosedError(f"cannot send {kind!r}: {error.strerror}") from error

    def receive(self, seconds: float | None = None) -> Mapping[str, Any]:
        """The next message.

        Raises:
            SilenceError: none came within ``seconds``; ClosedError: none will come; ProtocolError: it is none.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            if searched > _LONGEST:
                raise ProtocolError(f"a message of more than {_LONGEST >> 20} MiB")
            if not self._is_readable(deadline):
                raise SilenceError(f"no answer within {seconds:g} s")
            try:
                more = self._socket.recv(1 << 20)
            except OSError as error:
                raise ClosedError(f"cannot receive: {error.strerror}") from error
            if not more:
                raise ClosedError("the connection was closed")
            self._rest += more
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return _message(line)

    def _is_readable(self, deadline: float | None) -> bool:
        """Wait until there is something to read; False if there is nothing at the deadline.

        Raises:
            ClosedError: the process at the other end is dead, and has left nothing to read.
        """
        poll = select.poll()  # select.select would not take descriptors above 1023
        poll.register(self._socket, select.POLLIN)
        while True:
            left = math.inf if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            lives = self._lives is None or self._lives()
            wait = left if self._lives is None else min(left, _GLANCE_SECONDS if lives else 0.0)
            if poll.poll(None if math.isinf(wait) else math.ceil(1000 * wait)):
                return True
            if not lives:
                raise ClosedError("the process at the other end is dead")

    def ends(self, seconds: float) -> bool:
        """Whether the other end closes within so many seconds; what it says meanwhile is dropped."""
        deadline = time.monotonic() + seconds
        with suppress(OSError, ClosedError):
            while self._is_readable(deadline):
                if not self._socket.recv(1 << 20):
                    return True
        return False

    def close(self) -> None:
        """Close this end; the other one notices."""
        self._socket.close()


def read(kind: type[T], message: Mapping[str, Any]) -> T:
    """What a message has besides its type, as a record whose fields are its keys.

    Raises:
        ProtocolError: a key is missing, is one too many, or has a value of another type; it says which.
    """
    content = {key: value for key, value in message.items() if key != "type"}
    try:
        return from_json(kind, content, repr(message["type"]))
    except StoreError as error:
        # What follows is said of files.
        raise ProtocolError(f"not understood: {str(error).partition('; ')[0]}") from None


def _message(line: bytes) -> Mapping[str, Any]:
    shown = repr(line[:80].decode("utf-8", "replace"))
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise ProtocolError(f"not a message: {shown}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError(f"not a message: {shown}")
    return message
