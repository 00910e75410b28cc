"""Since when is the level of a series another?  Numbers in, numbers out.

:func:`find_steps` looks at a series as somebody does who gets a point a night: after each one it asks whether the level
has changed lately, and says so once it is sure.
"""

from perfsuite.changes.detect import Step, find_steps

__all__ = ["Step", "find_steps"]
