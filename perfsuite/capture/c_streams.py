"""The few calls into the C library that capturing its output needs."""

from __future__ import annotations

import ctypes
from functools import lru_cache


def flush_c_streams() -> None:
    """Write out what the C library holds back of stdout and stderr.

    Not ``fflush(NULL)``: that waits for every stream's lock, and a thread that reads stdin holds one.
    """
    libc = _libc()
    for name in ("stdout", "stderr"):
        libc.fflush(_c_stream(name))


def c_print(text: str) -> None:
    """Print through the C library's stdout, the stream that oneDNN prints to, and flush it.

    Flushed at once: a marker that waits in a full buffer could be written out in two halves, with output
    from Python between them.
    """
    data = text.encode(errors="surrogateescape")
    libc, stdout = _libc(), _c_stream("stdout")
    libc.fwrite(data, 1, len(data), stdout)
    libc.fflush(stdout)


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fwrite.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p)
    libc.fwrite.restype = ctypes.c_size_t
    libc.fflush.argtypes = (ctypes.c_void_p,)
    libc.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t)
    return libc


@lru_cache(maxsize=2)
def _c_stream(name: str) -> ctypes.c_void_p:
    return ctypes.c_void_p.in_dll(_libc(), name)


def keep_line_buffered() -> None:
    """On a terminal C's stdout is line-buffered, which glibc decides at the first write.

    If that came within a capture it would find a file and buffer in full for the rest of the process.
    """
    libc = _libc()
    if hasattr(libc, "__fbufsize"):
        undecided = libc["__fbufsize"](_c_stream("stdout")) == 0
        line_buffered = 1  # _IOLBF
        if undecided:
            libc.setvbuf(_c_stream("stdout"), None, line_buffered, 0)


def pending_bytes(name: str) -> int:
    """How much C's ``stdout`` or ``stderr`` holds back; 1 where the C library does not tell."""
    libc = _libc()
    return int(libc["__fpending"](_c_stream(name))) if hasattr(libc, "__fpending") else 1


def punch_hole(fd: int, size: int) -> None:
    """Free the blocks of what was read; the file keeps its length, so appending goes on undisturbed.

    (Truncating could drop what a late writer appends meanwhile.)  Where the file system cannot punch holes
    the file just stays as large as it is.
    """
    keep_size_and_punch_hole = 3
    fallocate = getattr(_libc(), "fallocate64", None)
    if fallocate is not None:
        fallocate(fd, keep_size_and_punch_hole, ctypes.c_int64(0), ctypes.c_int64(size))
