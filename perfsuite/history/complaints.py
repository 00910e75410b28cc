"""What pip, uv and compilers print before they fail, in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Says of a whole output why it failed, whatever the lines say.
_FULL = re.compile(r"no space left on device|disk quota exceeded|os error (28|122)\b", re.IGNORECASE)
_UNREACHED = re.compile(
    r"NewConnectionError|ConnectTimeout|ProxyError|name resolution|unreachable|error sending request|dns error",
    re.IGNORECASE,
)
_SECRET = re.compile(r"(?<=://)[^/\s@]+@")
#: uv's sentences, which it wraps: older ones draw lines to the causes, newer ones name them.
_SENTENCE = re.compile(r"(error:|×|cause:|├─▶|╰─▶|hint:)\s*(.*)")
_CAUSES = ("cause:", "├─▶", "╰─▶")
#: Says only that there is more to read.
_EMPTY = "subprocess-exited-with-error"


def without_secrets(text: str) -> str:
    """The text without user names and passwords in URLs."""
    return _SECRET.sub("***@", text)


def tells_of_full_disk(printed: str) -> bool:
    """Whether there was no space left."""
    return _FULL.search(printed) is not None


def failure_line(printed: str) -> str | None:
    """The line that says why, of all that a program printed before it failed; None without any.

    Programs end with advice, so it is the first complaint, but of pip's two about a version that is not there the
    second, which does not name all that are.
    """
    lines = [without_secrets(line.strip()) for line in printed.splitlines() if line.strip()]
    if not lines:
        return None
    errors = [line for line in lines if re.match(r"(error|fatal)\b:?", line, re.IGNORECASE) and _EMPTY not in line]
    missing = [line for line in errors if "No matching distribution found" in line]
    found = _of_uv(lines) or re.sub(r"^(ERROR|error|fatal): ", "", (missing or errors or lines[-1:])[0])
    return f"{found} (the registry could not be reached)" if _UNREACHED.search(printed) else found


def _of_uv(lines: Sequence[str]) -> str | None:
    """uv's complaint with its last cause; None if there is no cause."""
    sentences: list[tuple[str, str]] = []
    for line in lines:
        matched = _SENTENCE.match(line)
        if matched:
            sentences.append((matched[1], matched[2]))
        elif sentences:
            mark, text = sentences[-1]
            sentences[-1] = (mark, f"{text} {line.lstrip('│ ')}")
    causes = [text for mark, text in sentences if mark in _CAUSES]
    complaints = [text for mark, text in sentences if mark in ("error:", "×")]
    if not causes or not complaints:
        return None
    return causes[-1] if complaints[0].startswith("No solution found") else f"{complaints[0]}: {causes[-1]}"
