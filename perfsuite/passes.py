"""The passes over a step.  A module of its own: the plugin's options name them, in sessions that measure nothing."""

from __future__ import annotations

#: In the order in which they run; ``timing`` always does, and is pytest-benchmark's.
PASSES = ("timing", "phases", "operators", "primitives", "memory")
