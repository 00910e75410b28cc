"""``perfsuite …``: the command line; no command but ``machine`` loads torch.

A command imports what it needs when it runs: ``perfsuite list`` should answer at once.
"""

from perfsuite.cli import (
    advise,
    calibrate,
    diff,
    doctor,
    gate,
    history,
    launch,
    machine,
    parse,
    plot,
    report,
    runs,
    trace,
)
from perfsuite.cli.face import main

__all__ = [
    "advise",
    "calibrate",
    "diff",
    "doctor",
    "gate",
    "history",
    "launch",
    "machine",
    "main",
    "parse",
    "plot",
    "report",
    "runs",
    "trace",
]
