"""Verbose text for the tests of the parser: the sample logs, and every way of spoiling them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).parent / "data"
LOGS = (*sorted(DATA.glob("onednn-*.log")), *sorted((DATA / "verbose_logs").glob("*.log")))

MARKER = re.compile(rb"(?:onednn|dnnl|mkldnn)(?:_graph)?_verbose,")
REORDER = "exec,cpu,reorder,jit:uni,undef,src:f32::blocked:ab::f0 dst:f32::blocked:ba::f0,,,8x4,0.25"
RECORD = f"onednn_verbose,v1,primitive,{REORDER}"
OTHER_OUTPUT = (b"Epoch 1:  12%|#   | ", b"loss 0.693\n", b"\r", b"\x00\x00", b"\xff\xfe", b"0.5", b"\n", b"3", b",,,")

#: Templates and records of versions that are none, and what 3.0 to 3.2 wrote of graphs.
STRANGE = tuple(
    f"{line}\n".encode()
    for line in [
        "onednn_verbose,v1,primitive,info,template:operation,primitive,engine,implementation,prop_kind,"
        "memory_descriptors,attributes,auxiliary,problem_desc,exec_time",
        "onednn_verbose,v1,primitive,info,template:timestamp,operation,engine,primitive,implementation,prop_kind,"
        "memory_descriptors,attributes,auxiliary,problem_desc,device,exec_time",
        "onednn_verbose,v1,graph,info,template:operation,partition_kind,op_names,exec_time",
        "onednn_graph_verbose,exec,cpu,100002,sdp,a;b,,in0_f32:0:strided:variable:2x3 out0_f32:1,fpm:strict,dnnl,0.5",
        "onednn_graph_verbose,compile:cache_hit,cpu,100002,sdp,a;b,,in0,fpm:strict,dnnl,0.5",
        f"{RECORD[:-4]}far,0.25",
        RECORD.replace("v1", "v2"),
        f"onednn_verbose,v3,1795228878423.041992,primitive,{REORDER[:-4]}0.258789",
        "onednn_verbose,v1,primitive,exec:external,CpuIm2ColKernel,0.5",
        "onednn_verbose,v1,common,warning,no device",
    ]
)
#: Some lines of every sample, and strange ones.
LINES = tuple(line for log in LOGS for line in log.read_bytes().splitlines(True)[::3]) + STRANGE * 3


def markers(data: bytes) -> int:
    """How often a verbose marker stands in ``data``."""
    return len(MARKER.findall(data))


def _flip(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


def _drop(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    return data[:start] + data[start + draw.randrange(1, 40) :]


def _splice_output(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + draw.choice(OTHER_OUTPUT) + data[at:]


def _splice_record(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + draw.choice(LINES) + data[at:]


def _carriage_returns(data: bytes, draw: random.Random) -> bytes:
    return data.replace(b"\n", b"\r\n")


def _prefix_lines(data: bytes, draw: random.Random) -> bytes:
    return data.replace(b"\n", draw.choice([b"\n[0] ", b"\n2024-01-01, "]))


def _join_lines(data: bytes, draw: random.Random) -> bytes:
    return data.replace(b"\n", draw.choice([b"", b" ", b"\t"]), draw.randrange(4))


SPOILERS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut, _drop, _splice_output, _splice_output, _splice_record, _carriage_returns, _join_lines,
    _prefix_lines,
)  # fmt: skip


def spoilt(draw: random.Random, lines: int) -> bytes:
    """Some lines of the samples, repeated, shuffled and spoilt."""
    few = [draw.choice(LINES) for _ in range(max(1, lines // 3))]
    data = b"".join(draw.choice(few) for _ in range(lines))
    for _ in range(draw.randrange(lines)):
        if data:
            data = draw.choice(SPOILERS)(data, draw)
    return data
