"""Distinct primitives → distinct benchdnn problems, with what they cost in the log."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from perfsuite.benchdnn import attributes, drivers, products
from perfsuite.benchdnn.call import Call
from perfsuite.benchdnn.tensors import CannotWrite
from perfsuite.onednn import OTHERS, Distinct
from perfsuite.onednn.meaning import WITH_LETTERS

#: Kind of primitive → (driver, what writes its options).
_DRIVERS: dict[str, tuple[str, Callable[[Call], list[str]]]] = {
    "batch_normalization": ("bnorm", drivers.batch_normalization),
    "binary": ("binary", drivers.binary),
    "concat": ("concat", drivers.concat),
    "convolution": ("conv", products.convolution),
    "deconvolution": ("deconv", products.deconvolution),
    "eltwise": ("eltwise", drivers.eltwise),
    "gemm_api": ("matmul", products.matmul),
    "group_normalization": ("gnorm", drivers.group_normalization),
    "inner_product": ("ip", products.inner_product),
    "layer_normalization": ("lnorm", drivers.layer_normalization),
    "logsoftmax": ("softmax", drivers.softmax),
    "lrn": ("lrn", drivers.lrn),
    "matmul": ("matmul", products.matmul),
    "pooling": ("pool", drivers.pooling),
    "prelu": ("prelu", drivers.prelu),
    "reduction": ("reduction", drivers.reduction),
    "reorder": ("reorder", drivers.reorder),
    "resampling": ("resampling", drivers.resampling),
    "rnn": ("rnn", products.rnn),
    "sdpa": ("sdpa", products.sdpa),
    "shuffle": ("shuffle", drivers.shuffle),
    "softmax": ("softmax", drivers.softmax),
    "sum": ("sum", drivers.sum_),
}
#: A log is not to be trusted: no problem may look like an option, no value like two, no text like shell syntax.
_DIMENSIONS = re.compile(r"\d+(?:x\d+)*(?::\d+(?:x\d+)*)*")
_LETTERS = re.compile(r"(?:[a-z]+\d+(?:\.\d+)?(?:e-\d+)?_?)+")
_OLD_MATMUL = re.compile(r"(?:b(\d+))?m(\d+)n(\d+)k(\d+)")
_OPTION = re.compile(r"--[A-Za-z-]+(?:_[a-z_]+)?=[A-Za-z0-9_.:+-]*")


@dataclass(frozen=True)
class Problem:
    """All primitives of a log that one benchdnn command line stands for.

    ``command`` is what follows the word ``benchdnn``; it is None where there is no such line, and ``reason`` says
    why.  ``notes`` is what the line cannot carry over from the log.
    """

    command: str | None
    reason: str | None
    kind: str
    #: The log's words for the problem, for one that cannot be written.
    problem: str
    implementations: tuple[str, ...]
    notes: tuple[str, ...]
    count: int
    time_ms: float


def command(primitive: Distinct) -> tuple[str, tuple[str, ...]]:
    """(what follows ``benchdnn`` to run this primitive, what it cannot carry over).

    Raises:
        CannotWrite: benchdnn has no line for it, or the log does not say enough; the message is the reason.
    """
    if primitive.kind not in _DRIVERS:
        raise CannotWrite(f"benchdnn has no driver for {primitive.kind[:40]!r}")
    if primitive.problem == OTHERS:
        raise CannotWrite("different problems, too many to tell apart")
    driver, write = _DRIVERS[primitive.kind]
    call = Call(primitive)
    options = [
        "--reset",
        "--allow-enum-tags-only=0",
        # A reorder between engines (cpu2gpu) runs on the one that is not the host.
        f"--engine={'gpu' if '2' in primitive.engine else primitive.engine}",
        *write(call),
        *attributes.options(primitive.attributes, call.notes),
    ]
    for option in options[1:]:
        if not _OPTION.fullmatch(option):
            raise CannotWrite(f"{option[:60]!r} cannot be an option")
    problem = _problem(primitive)
    return " ".join([f"--{driver}", *options, problem]), tuple(dict.fromkeys(call.notes))


def _problem(primitive: Distinct) -> str:
    problem = primitive.problem
    old = _OLD_MATMUL.fullmatch(problem) if primitive.kind == "matmul" else None
    if old:
        batch, m, n, k = old.groups()
        problem = ":".join("x".join(filter(None, sizes)) for sizes in ((batch, m, k), (batch, k, n)))
    if primitive.kind in ("matmul", "binary"):
        # A matmul's third shape (before 3.0) and a select's condition follow from the other two.
        problem = ":".join(problem.split(":")[:2])
    if "*" in problem:
        raise CannotWrite("a dimension is not known before execution")
    pattern = _LETTERS if primitive.kind in WITH_LETTERS else _DIMENSIONS
    if not pattern.fullmatch(problem):
        raise CannotWrite(f"{problem[:60]!r} cannot be a problem")
    return problem


def problems(primitives: Iterable[Distinct]) -> tuple[Problem, ...]:
    """Distinct problems, most time first.

    Primitives that differ in what benchdnn is not told (the implementation, a layout that was oneDNN's choice)
    are one problem; one that cannot be written is a problem of its own.
    """
    groups: dict[tuple[str | None, ...], list[Distinct]] = {}
    texts: dict[tuple[str | None, ...], tuple[str | None, str | None, tuple[str, ...]]] = {}
    for primitive in primitives:
        try:
            line, notes = command(primitive)
            text: tuple[str | None, str | None, tuple[str, ...]] = (line, None, notes)
            key: tuple[str | None, ...] = (line,)
        except CannotWrite as error:
            text = (None, str(error), ())
            key = (None, str(error), primitive.kind, primitive.problem)
        groups.setdefault(key, []).append(primitive)
        texts.setdefault(key, text)
    made = [_group(texts[key], members) for key, members in groups.items()]
    return tuple(sorted(made, key=lambda problem: -problem.time_ms))


def _group(text: tuple[str | None, str | None, tuple[str, ...]], members: list[Distinct]) -> Problem:
    line, reason, notes = text
    members = sorted(members, key=lambda member: -member.time_ms)
    return Problem(
        line,
        reason,
        members[0].kind,
        members[0].problem,
        tuple(dict.fromkeys(member.implementation for member in members)),
        notes,
        count=sum(member.count for member in members),
        time_ms=math.fsum(member.time_ms for member in members),
    )
