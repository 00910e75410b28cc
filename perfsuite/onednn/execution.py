"""One execution of a oneDNN primitive."""

from __future__ import annotations

from dataclasses import dataclass

from perfsuite.onednn.meaning import Call
from perfsuite.onednn.times import FS_PER_NS


@dataclass(frozen=True)
class Execution:
    """One execution of a oneDNN primitive, in the log's own words.

    ``dtypes`` reads ``"src:f32 wei:f32 dst:f32"`` and ``layouts`` ``"src:acdb wei:Acdb32a dst:acdb"``: the
    tensors that are there, in the log's order.  ``start_ns`` is since the epoch, None where the log has no
    timestamps.  ``direction`` is the prop_kind (``forward_training``, ``backward_weights``, ``undef`` …).
    """

    kind: str
    implementation: str
    direction: str
    dtypes: str
    layouts: str
    attributes: str
    algorithm: str
    problem: str
    time_ns: float
    start_ns: int | None
    engine: str
    #: The raw memory_descriptors column.
    descriptors: str

    @classmethod
    def of(cls, call: Call, time_fs: int, start_ns: int | None) -> Execution:
        """The execution ``call`` that took ``time_fs`` femtoseconds."""
        return cls(
            kind=call.kind,
            implementation=call.implementation,
            direction=call.direction,
            dtypes=call.dtypes,
            layouts=call.layouts,
            attributes=call.attributes,
            algorithm=call.algorithm,
            problem=call.problem,
            time_ns=time_fs / FS_PER_NS,
            start_ns=start_ns,
            engine=call.engine,
            descriptors=call.descriptors,
        )
