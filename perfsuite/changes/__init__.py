"""Since when is the level of a series another?  Numbers in, numbers out.

:func:`find_steps` looks at a series as somebody does who gets a point a night: after each one it asks whether the level
has changed lately, and says so once it is sure.
"""

from perfsuite.changes.detect import LEAST_AFTER, LEAST_BEFORE, WINDOW, Step, find_steps, measure_step

__all__ = ["LEAST_AFTER", "LEAST_BEFORE", "WINDOW", "Step", "find_steps", "measure_step"]
