"""oneDNN verbose text, a line at a time → execution records.

A verbose line is a comma-separated record behind a marker.  Its columns are named by the ``template:`` line
that newer versions print in their header; the parser goes by that line where there is one and by the number
of columns where there is none.  Formats that are understood, oldest first:

``mkldnn_verbose,exec,reorder,jit:uni,undef,in:f32_nchw out:f32_nChw16c,num:1,2x16x7x7,0.46``
``dnnl_verbose,exec,cpu,reorder,jit:uni,undef,src_f32::blocked:abcd:f0 dst_f32::blocked:aBcd8b:f0,,,2x16x7x7,0.02``
``onednn_verbose,exec,cpu,…``, ``onednn_graph_verbose,exec,cpu,100002,…``
``onednn_verbose,primitive,exec,cpu,…``, ``onednn_verbose,1693533460230.4,primitive,exec,cpu,…``
``onednn_verbose,v1,primitive,exec,cpu,…,src:f32::blocked:acdb::f0 dst:f32::blocked:Acdb32a::f0,…``
``onednn_verbose,v1,1795228878423.041992,primitive,exec,cpu,…`` (with ``ONEDNN_VERBOSE_TIMESTAMP=1``)
"""

from __future__ import annotations

from collections import Counter

from perfsuite.onednn.execution import Execution
from perfsuite.onednn.meaning import Call, Other
from perfsuite.onednn.reader import Found, Reader, Rejected


class VerboseParser:
    """Reads verbose text a line at a time and never raises on what the text says.

    Every marker is counted once: as an execution, as a graph execution, as a header line, in :attr:`ignored` (by
    operation: creation, dispatch, checks), or in :attr:`rejected` with the reason.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.executions = 0
        self.graph_executions = 0
        #: Records that were read although other output or another record stood in the way.
        self.recovered = 0
        self.ignored: Counter[str] = Counter()
        #: Executions and graph executions that name a version of the format which is not known: read as ``v1``.
        self.unknown_formats: Counter[str] = Counter()
        #: (line number from 1, what is wrong with it).  A record that another one cut in two is here until the
        #: line comes that holds its other half.
        self.rejected: list[tuple[int, str]] = []
        self._reader = Reader()

    @property
    def header(self) -> list[str]:
        """Header lines in order, from the marker on; of a copy of oneDNN that prints its header twice, the first."""
        return self._reader.header

    @property
    def template(self) -> tuple[str, ...] | None:
        """Columns of a primitive's line as the log names them, without the timestamp; None before it does."""
        return self._reader.template

    def feed(self, line: str) -> Execution | None:
        """The execution that ``line`` records, or None if it records none (see the counters for why).

        For text where a line holds one record, as captured text does; of several (see :meth:`read`) the last.
        """
        executions = self.read(line)
        return executions[-1] if executions else None

    def read(self, line: str) -> list[Execution]:
        """All executions that ``line`` records or completes.

        A record may stand behind other output, and other output behind a record whose end can be told.  A record
        that another one cuts in two is read when the next line holds its other half.
        """
        self.lines += 1
        executions = []
        for outcome in self._reader.read(line, self.lines):
            if isinstance(outcome, Rejected):
                self.rejected.append((outcome.line, outcome.reason))
            elif (execution := self._count(outcome)) is not None:
                executions.append(execution)
        return executions

    def _count(self, found: Found) -> Execution | None:
        if found.instead_of is not None:
            rejected = (found.instead_of.line, found.instead_of.reason)
            # It is among the last.
            del self.rejected[next(at for at in range(len(self.rejected) - 1, -1, -1) if self.rejected[at] == rejected)]
        if isinstance(found.meaning, Other):
            if not found.header:
                self.ignored[found.meaning.operation] += 1
            return None
        self.recovered += found.recovered
        if found.unknown_format is not None:
            self.unknown_formats[found.unknown_format] += 1
        if not isinstance(found.meaning, Call):
            self.graph_executions += 1
            return None
        self.executions += 1
        return Execution.of(found.meaning, found.time_fs, found.start_ns)
