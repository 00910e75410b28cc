"""Recorded primitives → command lines of benchdnn that run the like of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from perfsuite.benchdnn import CannotWrite, command
from perfsuite.onednn import Distinct
from perfsuite.records import Primitive

#: Layouts that have no tag of letters; the record has their name where the tag would be.
_NOT_BLOCKED = frozenset(("any", "opaque", "sparse", "coo", "csr", "packed", "wino", "rnn_packed", "cublaslt_blocked"))
#: ``src:acdb:100x10x1:s8_mask1``: a tensor's name, tag, strides where they are not dense, and extra flags.
_TENSOR = re.compile(r"([^:]+):([^:]*)(.*)")


def command_lines(primitives: Iterable[Primitive], at_most: int = 3) -> tuple[str, ...]:
    """Of the primitives that cost most, each distinct line once; what benchdnn has no line for is left out.

    The record has the layouts that were used and not which of them oneDNN was free to choose, so a line names them
    all: it runs the primitive on tensors that lie in memory as they did.
    """
    ordered = sorted(primitives, key=lambda one: -one.time_ns)
    lines = dict.fromkeys(line for one in ordered for line in _line(one))
    return tuple(lines)[:at_most]


def _line(one: Primitive) -> Iterator[str]:
    try:
        options, _ = command(_distinct(one))
    except CannotWrite:
        return
    yield f"benchdnn {options}"


def _distinct(one: Primitive) -> Distinct:
    return Distinct(
        one.kind,
        one.implementation,
        one.direction,
        one.dtypes,
        one.layouts,
        one.attributes,
        one.algorithm,
        one.problem,
        "cpu",
        " ".join(_descriptors(one.dtypes, one.layouts)),
        1,
        one.time_ns / 1e6,
    )


def _descriptors(dtypes: str, layouts: str) -> Iterator[str]:
    """The memory_descriptors column of a verbose line of oneDNN 3, as far as the record still has it."""
    laid = [match.groups() for match in map(_TENSOR.fullmatch, layouts.split()) if match]
    for text in dtypes.split():
        name, _, dtype = text.partition(":")
        at = next((index for index, (tensor, *_) in enumerate(laid) if tensor == name), None)
        _, tag, rest = laid.pop(at) if at is not None else (name, "any", "")
        kind, tag = (tag, "") if tag in _NOT_BLOCKED else ("blocked", tag)
        yield f"{name}:{dtype}::{kind}:{tag}{rest}:f0"
