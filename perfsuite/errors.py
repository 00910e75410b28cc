"""The one error family of perfsuite; each face (pytest, command line, asv) catches it once.

Every message is one line that says what is wrong, where, and what to do.
"""


class PerfsuiteError(Exception):
    """Something the user can mend.  ``exit_code`` is what the command line exits with."""

    exit_code = 2


class UsageError(PerfsuiteError):
    """The call, option, marker or configuration is wrong."""


class StoreError(PerfsuiteError):
    """A run cannot be written or read: missing, truncated, unknown version, disk full."""


class CaptureError(PerfsuiteError):
    """A pass over the step could not measure what it is there to measure."""


class PerfsuiteWarning(UserWarning):
    """What was measured may not be what was meant; the same sentence is in the profile's notes."""
