"""Primitives of a log → command lines of benchdnn, oneDNN's own benchmark.

The options are those of ``tests/benchdnn/doc`` (``driver_*.md``, ``knobs_attr.md``) in oneDNN's repository at commit
3f27bec21f, which is 3.14 in development.
"""

from perfsuite.benchdnn.problems import Problem, command, problems
from perfsuite.benchdnn.tensors import CannotWrite

__all__ = ["CannotWrite", "Problem", "command", "problems"]
