"""Processes that do not outlive who started them."""

from __future__ import annotations

import ctypes
import signal

#: The name of Linux's prctl(2) for: send me this signal when my parent dies.
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Let the kernel end this process should the one that started it be killed; nothing on other kernels than Linux.

    A step that never ends, or one that computes beside the next measurement, would else stay behind.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
