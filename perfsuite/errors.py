"""The one error family of perfsuite: pytest's plugin and the command line catch it once, callers in Python get it.

Every message is one line that says what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

#: What a command exits with after Ctrl-C, as shells have it.
INTERRUPTED = 130
#: What it exits with after a fault of its own, which sysexits.h calls EX_SOFTWARE: no verdict has this code.
FAULT = 70


class PerfsuiteError(Exception):
    """Something the user can mend.  ``exit_code`` is what the command line exits with."""

    exit_code = 2


class UsageError(PerfsuiteError):
    """The call, option, marker or configuration is wrong."""


class NotComparableError(UsageError):
    """Two runs are of unlike machines or workloads, so that their times say nothing about the code.

    The face of it says how to compare them all the same.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        """``reasons`` are those of :attr:`perfsuite.analyse.diff.RunDiff.reasons`."""
        super().__init__(f"not comparable: {'; '.join(reasons)}")


class StoreError(PerfsuiteError):
    """A run cannot be written or read: missing, truncated, unknown version, disk full."""


class CaptureError(PerfsuiteError):
    """A pass over the step could not measure what it is there to measure."""


class RenderError(PerfsuiteError):
    """What was recorded cannot be shown: a template or a drawing failed.  The run itself is whole."""


class PerfsuiteWarning(UserWarning):
    """What was measured may not be what was meant; the same sentence is in the profile's notes."""
