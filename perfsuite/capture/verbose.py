"""Switch oneDNN's verbose output on around a block, and put it back as it was.

oneDNN has a setter for its verbose level and no getter: the level is found by running a tiny primitive and
looking at what it prints.  A process holds one copy of oneDNN inside torch and a second one inside Intel
Extension for PyTorch where that is imported; each has its own level and prints its own header, once.

Output that levels 0–2 cannot name (``ONEDNN_VERBOSE=dispatch``) cannot be switched on again from within the
process; a warning says so, once.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from perfsuite.capture.stdio import StdoutCapture, c_print
from perfsuite.errors import CaptureError
from perfsuite.onednn import VerboseParser

#: Lines that begin so are captured together with the verbose lines, in the order they were printed.
MARKER_PREFIX = "perfsuite_marker,"

_VERBOSE = re.compile(rb"(?:onednn|dnnl|mkldnn)_verbose,")
_RECORD = re.compile(_VERBOSE.pattern + rb"|" + MARKER_PREFIX.encode())
_TIMESTAMPS = ("ONEDNN_VERBOSE_TIMESTAMP", "DNNL_VERBOSE_TIMESTAMP")
#: What no level brings back: more than errors, warnings, executions and creations.
_BEYOND_LEVELS = frozenset(("all", "-1", "check", "dispatch", "profile_externals"))


@dataclass
class VerboseCapture:
    """What was captured; filled when the block is left, also by an exception."""

    #: Verbose and marker lines in the order they were printed, without line breaks.
    lines: list[str] = field(default_factory=list)
    #: Something in the block switched verbose output off (``torch.backends.mkldnn.verbose`` does when it is
    #: left) or pointed stdout elsewhere: lines are missing.
    incomplete: bool = False


@contextmanager
def capture_verbose() -> Iterator[VerboseCapture]:
    """Within the block every copy of oneDNN prints its executions, and the lines are captured.

    The user's own output is handed on when the block ends; so are the verbose lines if the user had them
    switched on.  Without any primitive executed ``lines`` is empty.  Not for two threads at once.

    Raises:
        CaptureError: torch has no oneDNN, or oneDNN cannot be made to print everything.
    """
    copies = _copies()
    for copy in copies:
        _learn(copy)
    levels = _levels(copies)
    result = VerboseCapture()
    capture = StdoutCapture(_RECORD, replay_records=_VERBOSE if any(levels) else False)
    try:
        with capture:
            for copy, level in zip(copies, levels, strict=True):
                _set_level(copy, max(1, level))
            yield result
    finally:
        try:
            result.lines = capture.records
            result.incomplete = capture.displaced or not all(_levels(copies))
        finally:
            for copy, level in zip(copies, levels, strict=True):
                _set_level(copy, level)


def verbose_header() -> tuple[str, ...]:
    """Header and template lines of every copy of oneDNN in this process.

    Each copy prints them once.  They are missing if they were printed before perfsuite first listened, which
    happens when the user switched verbose output on; the parser then goes by its default order of columns.

    Raises:
        CaptureError: as :func:`capture_verbose`.
    """
    return tuple(line for copy in _copies() for line in _learn(copy).header)


def timestamps_available() -> bool:
    """Whether verbose lines carry the start of the execution, in all copies of oneDNN.

    oneDNN reads ``ONEDNN_VERBOSE_TIMESTAMP`` once, when it first prints something.

    Raises:
        CaptureError: as :func:`capture_verbose`.
    """
    return all(_learn(copy).timestamps for copy in _copies())


def known_headers() -> dict[str, tuple[str, ...]]:
    """The header lines of each copy of oneDNN that was listened to so far, by where it is built in; no probing."""
    return {name: facts.header for name, facts in _KNOWN.items()}


def request_timestamps() -> None:
    """Ask for timestamps in verbose lines, unless the user has set the variable; call this early."""
    if not any(name in os.environ for name in _TIMESTAMPS):
        os.environ[_TIMESTAMPS[0]] = "1"


# --- the copies of oneDNN --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Copy:
    name: str
    set_level: Callable[[int], Any]
    #: Executes one primitive of this copy; None if no operator is known that does, it then passes for torch's.
    execute: Callable[[], Any] | None


@dataclass(frozen=True)
class _Facts:
    header: tuple[str, ...]
    timestamps: bool


#: What was learnt of each copy, by its name.  The header comes once per process, so it is kept for good.
_KNOWN: dict[str, _Facts] = {}
_warned = False


def _copies() -> list[_Copy]:
    import torch

    setter = getattr(getattr(torch._C, "_verbose", None), "mkldnn_set_verbose", None)
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if setter is None or not available:
        raise CaptureError(
            f"torch {torch.__version__} is built without oneDNN, so it executes no primitives; "
            "leave the primitives pass out"
        )
    copies = [_Copy("torch", setter, _execute_in_torch)]
    # Only if the user imported it: what is not imported executes nothing.
    extension = sys.modules.get("intel_extension_for_pytorch")
    extension_setter = getattr(getattr(extension, "_C", None), "mkldnn_set_verbose", None)
    if extension_setter is not None:
        prepack = getattr(torch.ops.ipex_prepack, "convolution_prepack", None)
        copies.append(_Copy("intel_extension_for_pytorch", extension_setter, _execute_in_ipex if prepack else None))
    return copies


def _execute_in_torch() -> None:
    import torch

    with torch.no_grad():
        torch.ones(1, 1, 2, 2, device="cpu", dtype=torch.float32).to_mkldnn()


def _execute_in_ipex() -> None:
    """Packing a 1×1 weight is a reorder by the extension's own oneDNN."""
    import torch

    with torch.no_grad():
        weight = torch.ones(1, 1, 1, 1, device="cpu", dtype=torch.float32)
        torch.ops.ipex_prepack.convolution_prepack(weight, None, [1, 1], [0, 0], [1, 1], 1, False, [1, 1, 2, 2])


def _set_level(copy: _Copy, level: int) -> None:
    if not copy.set_level(level):
        raise CaptureError(f"oneDNN of {copy.name} refuses verbose level {level}; was it built without verbose output?")


def _probe(copy: _Copy) -> list[str]:
    """What the copy prints for one tiny execution; the user does not see it."""
    with StdoutCapture(_VERBOSE) as capture:
        if copy.execute is not None:
            copy.execute()
    return capture.records


def _levels(copies: list[_Copy]) -> list[int]:
    """Each copy's level; torch's, which comes first, for a copy that cannot be probed."""
    torch_level = _level(_probe(copies[0]))
    return [torch_level, *(_level(_probe(copy)) if copy.execute else torch_level for copy in copies[1:])]


def _level(lines: list[str]) -> int:
    """The level at which these lines were printed; the nearest where none prints just these.

    2 prints creations and executions, 1 executions; creations alone are nearest to 2, which loses none.
    """
    parser = VerboseParser()
    for line in lines:
        parser.feed(line)
    if any(operation.startswith("create:cache") for operation in parser.ignored):
        return 2
    return 1 if parser.executions else 0


def _learn(copy: _Copy) -> _Facts:
    """Make the copy print its header, once; its level is afterwards as it was."""
    if copy.execute is None:
        return _Facts((), _KNOWN["torch"].timestamps)
    if copy.name not in _KNOWN:
        _KNOWN[copy.name] = _first_lines(copy)
    return _KNOWN[copy.name]


def _first_lines(copy: _Copy) -> _Facts:
    setting = _environment_setting()
    if "filter=" in setting:
        raise CaptureError(
            f"{setting} hides primitives from the capture and oneDNN keeps it for the life of the process; "
            "start pytest without filter="
        )
    lines = _probe(copy)
    level = _level(lines)
    _warn_of_what_is_lost(setting, level)
    parser = VerboseParser()
    _set_level(copy, 1)
    try:
        lines += _probe(copy)
    finally:
        _set_level(copy, level)
    starts = [execution.start_ns for line in lines if (execution := parser.feed(line)) is not None]
    if not starts:
        raise CaptureError(
            f"oneDNN of {copy.name} prints nothing at verbose level 1, so its primitives cannot be seen; "
            "leave the primitives pass out"
        )
    if level:
        # The user is listening too, and this was the only time that it is printed.
        c_print("".join(f"{line}\n" for line in parser.header))
    return _Facts(tuple(parser.header), all(start is not None for start in starts))


def _environment_setting() -> str:
    """``ONEDNN_VERBOSE=…`` as oneDNN found it, or an empty string."""
    for name in ("ONEDNN_VERBOSE", "DNNL_VERBOSE"):
        if name in os.environ:
            return f"{name}={os.environ[name]}"
    return ""


def _warn_of_what_is_lost(setting: str, level: int) -> None:
    global _warned  # noqa: PLW0603 - once per process is what it says
    words = set(setting.partition("=")[2].split(","))
    creations_only = "profile_create" in words and not words & {"1", "2", "profile", "profile_exec"}
    beyond = words & _BEYOND_LEVELS or any(word.startswith("debuginfo=") for word in words)
    if (beyond or creations_only) and not _warned:
        _warned = True
        warnings.warn(
            f"{setting} asks for output that oneDNN cannot be told to resume after a capture; "
            f"its verbose level is {level} from now on",
            stacklevel=2,
        )
