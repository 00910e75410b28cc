"""One worker: a process that steps on command, and everything that can go wrong with it, as one error."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from perfsuite import __version__
from perfsuite.errors import PerfsuiteError
from perfsuite.gate.affinity import AffinityError, on_cpus
from perfsuite.gate.leftovers import OwnFolder
from perfsuite.gate.messages import EndedMessage
from perfsuite.gate.printed import Printed
from perfsuite.gate.said import last_words
from perfsuite.protocol import PROTOCOL, Channel, ClosedError, ProtocolError, SilenceError, read
from perfsuite.records import FORMAT

T = TypeVar("T")

#: What a worker that has said good-bye may take for what it registered for its end.
GRACE_SECONDS = 1.0
#: What a worker whose socket is closed may take to end.
_FAREWELL_SECONDS = 10.0
#: How much of what a worker printed is looked at for the reason it ended.
_TAIL_BYTES = 64 << 10
#: What a worker does while a message of this kind is waited for, and of which the limit is a setting.
_DOING = {
    "hello": "pytest was starting",
    "collected": "it imported tests and conftest.py",
    "waiting": "it went on to the next test",
    "ready": "it built the benchmark and warmed it up",
    "steps": "it was timed",
    "profile": "it was profiled",
}
_LIMITED = ("hello", "collected", "ready")
#: What a shell adds to the number of the signal by which its command ended.
_OF_SHELLS = 128


@dataclass(frozen=True)
class Runnable:
    """A side, ready to be started: its interpreter, where, with which variables, and the paths that pytest gets."""

    name: str
    python: str
    cwd: Path
    variables: Mapping[str, str]
    #: Options that keep other plugins of this interpreter from disturbing.
    options: Sequence[str] = ()
    #: The CPUs that its workers run on; None for those of this process.
    cpus: Sequence[int] | None = None


class WorkerFault(PerfsuiteError):
    """A worker died, hung, failed or talked nonsense; ``side`` says whose.  Never a verdict."""

    def __init__(self, side: str, text: str) -> None:
        """``text`` follows "base's worker"."""
        super().__init__(f"{side}'s worker {text}")
        self.side = side


class Worker:
    """A started worker; close it whatever happens."""

    def __init__(self, side: Runnable, paths: Sequence[str], patience: float = 300.0) -> None:
        """Start it.

        Args:
            side: what is started.
            paths: what pytest is given.
            patience: how many seconds it may take to read a message.

        Raises:
            WorkerFault: the interpreter cannot be started.
        """
        self.side = side.name
        self._python = side.python
        #: Whether the benchmark it has come to is being run; None between benchmarks.
        self.begun: bool | None = None
        #: Whether it has said good-bye.
        self._parted = False
        try:
            with ExitStack() as made:
                ours = self._start(side, paths, made)
                made.pop_all()
        except OSError as error:
            raise WorkerFault(side.name, f"cannot be started: {_reason(error)}") from error
        except AffinityError as error:
            raise WorkerFault(side.name, f"cannot be started: {error}") from error
        self._printed.start()
        self._channel = Channel(ours, patience, lambda: self._process.poll() is None)

    def _start(self, side: Runnable, paths: Sequence[str], made: ExitStack) -> socket.socket:
        """Start it; what is made for that goes on ``made``.

        Returns:
            The end of the connection that is ours.
        """
        # pytest's cache cannot be left out, since a project's own options may need it (--ff); but not in the tree.
        self._cache = OwnFolder("worker")
        made.callback(self._cache.remove)
        self._printed = Printed()
        made.callback(self._printed.close)
        ours, theirs = socket.socketpair()
        made.enter_context(ours)
        command = [
            side.python, "-m", "pytest", f"--profile-dnn-worker={theirs.fileno()}",
            "--continue-on-collection-errors", "--maxfail=0", "-o", f"cache_dir={self._cache.path}", "--lfnf=all",
            *side.options, *paths,
        ]  # fmt: skip
        # A session of its own: Ctrl-C is for the gate, which then ends its workers, and their children with them.
        with theirs, on_cpus(side.cpus):
            self._process = subprocess.Popen(
                command,
                cwd=side.cwd,
                env=dict(side.variables),
                stdin=subprocess.DEVNULL,
                stdout=self._printed.writable,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return ours

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, command: str, answer: str, seconds: float, **content: Any) -> Mapping[str, Any]:
        """Send a command and wait for its answer.

        Raises:
            WorkerFault: it did not come; EndedError: the benchmark ended instead.
        """
        self.tell(command, **content)
        return self.expect(answer, seconds)

    def tell(self, command: str, **content: Any) -> None:
        """Send a command.

        Raises:
            WorkerFault: the worker is gone, or does not read it.
        """
        try:
            self._channel.send(command, **content)
        except ClosedError:
            raise self._fault_of_the_dead() from None
        except SilenceError as error:
            raise self._given_up(str(error)) from error

    def expect(self, kind: str, seconds: float) -> Mapping[str, Any]:
        """The next message, which must be of this kind.

        Raises:
            WorkerFault: it is not, or there is none; EndedError: it says that the benchmark ended.
        """
        doing = f" while {_DOING[kind]}" if kind in _DOING else ""
        try:
            message = self._channel.receive(seconds)
        except ClosedError:
            raise self._fault_of_the_dead(doing) from None
        except SilenceError as error:
            longer = "; --timeout gives it longer" if kind in _LIMITED else ""
            raise self._given_up(f"{error}{doing}{longer}") from error
        except ProtocolError as error:
            raise self._given_up(str(error)) from error
        if kind in ("waiting", "ready"):
            self.begun = kind == "ready"
        self._parted = message["type"] == "bye"
        if message["type"] == kind:
            return message
        if message["type"] == "ended":
            raise self._ended(message)
        if message["type"] == "bye" and kind == "collected":
            with suppress(subprocess.TimeoutExpired):  # pytest says what the matter is when it has said good-bye
                self._process.wait(_FAREWELL_SECONDS)
            raise WorkerFault(self.side, f"stopped before it had listed its tests{self._said()}")
        raise WorkerFault(self.side, f"said {message['type']!r} where {kind!r} was expected{self._said()}")

    def expect_end(self, seconds: float) -> EndedError:
        """How the benchmark ended.

        Raises:
            WorkerFault: the worker said something else, or nothing.
        """
        return self._ended(self.expect("ended", seconds))

    def read(self, kind: type[T], message: Mapping[str, Any]) -> T:
        """A message as a record.

        Raises:
            WorkerFault: it has not what it should have.
        """
        try:
            return read(kind, message)
        except ProtocolError as error:
            raise self._given_up(str(error)) from error

    def greet(self, seconds: float) -> None:
        """Wait until it is there.

        Raises:
            WorkerFault: it did not start, or is of another perfsuite: it speaks another version of the protocol, or
                its profiles have another format.
        """
        hello = self.expect("hello", seconds)
        for key, does, ours in (("protocol", "speaks protocol", PROTOCOL), ("records", "writes format", FORMAT)):
            theirs = hello.get(key, "unknown")
            if theirs != ours:
                version = hello.get("perfsuite", "of unknown version")
                mend = f"{shlex.quote(self._python)} -m pip install perfsuite=={__version__}"
                raise WorkerFault(
                    self.side,
                    f"has perfsuite {version}, which {does} {theirs}, not {ours}: install the same one there: {mend}",
                )

    def close(self, grace: float = GRACE_SECONDS) -> None:
        """End it and everything it started.

        One that has said good-bye, and only such a one, has ``grace`` seconds for what it registered for its end (a
        temporary folder of a conftest.py, for example): it closes the connection when that is done.
        """
        if self._parted:
            self._parted = False
            self._channel.ends(grace)
        self._channel.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._printed.close()
        self._cache.remove()

    # --- why it is gone ----------------------------------------------------------------------------

    def _ended(self, message: Mapping[str, Any]) -> EndedError:
        self.begun = None
        end = self.read(EndedMessage, message)
        return EndedError(self.side, end.outcome, end.why)

    def _given_up(self, why: str) -> WorkerFault:
        return WorkerFault(self.side, f"was given up: {why}{self._said()}")

    def _fault_of_the_dead(self, doing: str = "") -> WorkerFault:
        try:
            code = self._process.wait(_FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            return WorkerFault(self.side, f"closed its socket but runs on{self._said()}")
        if code < 0:
            name = _signal(-code)
            out_of_memory = ", as the kernel does when memory runs out" if -code == signal.SIGKILL else ""
            return WorkerFault(self.side, f"was killed by {name}{doing}{out_of_memory}{self._said()}")
        shells = code - _OF_SHELLS
        as_for = f", as a shell says of {_signal(shells)}" if shells in set(signal.Signals) else ""
        return WorkerFault(self.side, f"ended with exit code {code}{as_for}{doing}{self._said()}")

    def _said(self) -> str:
        """What it printed that tells why."""
        last = last_words(self._printed.tail(_TAIL_BYTES, ended=self._process.poll() is not None))
        return f"; it said: {last[:300]}" if last else ""


class EndedError(PerfsuiteError):
    """A benchmark ended on a side before the gate was done with it."""

    def __init__(self, side: str, outcome: str, why: str) -> None:
        """``outcome`` is pytest's: ``passed``, ``failed`` or ``skipped``."""
        super().__init__(f"{side}: {outcome}: {why}" if why else f"{side}: {outcome}")
        self.side = side
        self.outcome = outcome
        self.why = why


def _signal(number: int) -> str:
    """A signal by its name."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _reason(error: OSError) -> str:
    """What an error of the operating system is about, and what helps."""
    about = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    mend = "; ulimit -n raises the limit" if error.errno == errno.EMFILE else ""
    return f"{about}{error.strerror}{mend}"


def suspended_ns() -> int:
    """How long the machine has been suspended since it was started."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
