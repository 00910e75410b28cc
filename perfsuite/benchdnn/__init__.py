"""Primitives of a log → command lines of benchdnn, oneDNN's own benchmark.

The options are those of oneDNN's ``tests/benchdnn/doc`` (``driver_*.md``, ``knobs_attr.md``), version 3.
"""

from perfsuite.benchdnn.problems import Problem, command, problems
from perfsuite.benchdnn.tensors import CannotWrite

__all__ = ["CannotWrite", "Problem", "command", "problems"]
