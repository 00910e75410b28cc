"""oneDNN verbose text → records.  Needs no torch.

:class:`VerboseParser` reads a line at a time, :func:`tally` a whole log; both go by :mod:`perfsuite.onednn.reader`.
"""

from perfsuite.onednn.execution import Execution
from perfsuite.onednn.header import MARKER, header_facts
from perfsuite.onednn.log import open_log
from perfsuite.onednn.parser import VerboseParser
from perfsuite.onednn.reader import Rejected
from perfsuite.onednn.sums import OTHERS, Distinct, GraphExecution
from perfsuite.onednn.tally import Tally, tally

__all__ = [
    "MARKER",
    "OTHERS",
    "Distinct",
    "Execution",
    "GraphExecution",
    "Rejected",
    "Tally",
    "VerboseParser",
    "header_facts",
    "open_log",
    "tally",
]
